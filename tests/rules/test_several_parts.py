"""Conditions over all pumps of a station: any, all, at least so many, the sum, the highest, the lowest."""

import pytest

from hub.model import Nameplate
from rules.condition import Condition
from rules.errors import BadRule
from rules.fit import Fit, against
from rules.story import play
from tests.rules.field import DEVICE, PLATE, Scene, ask, rule

BOTH = "pump*.running is on"


@pytest.mark.parametrize(
    ("first", "second", "any_of", "all_of", "two"),
    [
        (True, True, True, True, True),
        (True, False, True, False, False),
        (False, False, False, False, False),
        (True, ..., True, None, None),
        (False, ..., None, False, False),
        (..., ..., None, None, None),
    ],
)
def test_any_all_and_at_least_are_three_valued(first, second, any_of, all_of, two):
    values = {"pump1.running": first, "pump2.running": second}
    assert ask(f"any({BOTH})", values) is any_of
    assert ask(f"all({BOTH})", values) is all_of
    assert ask(f"at_least(2, {BOTH})", values) is two
    assert ask(f"at_least(1, {BOTH})", values) is any_of


def test_sums_and_extremes_are_known_when_all_are():
    values = {"pump1.current": 5.0, "pump2.current": 7.0}
    assert ask("sum(pump*.current) == 12000 mA", values) is True
    assert ask("highest(pump*.current) == 7 A and lowest(pump*.current) == 5 A", values) is True
    assert ask("highest(pump*.current) > 120 % * lowest(pump*.current)", values) is True
    assert ask("sum(pump*.current) > 3 A", values | {"pump2.current": ...}) is None


def test_two_points_of_one_part_stay_together():
    """The pump that is on and the pump that draws nothing are two pumps: none of them is on and draws nothing."""
    values = {"pump1.running": True, "pump1.current": 5.0, "pump2.running": False, "pump2.current": 0.0}
    assert ask("any(pump*.running is on and pump*.current < 1 A)", values) is False
    assert ask("any(pump*.running is on) and any(pump*.current < 1 A)", values) is True


def test_it_wakes_on_every_part_and_tells_their_values():
    scene = Scene(rule(f"all({BOTH}) and inlet.level < 1 m"))
    assert set(scene.wakes) == {"pump1.running", "pump2.running", "inlet.level"}
    scene.take(0, pump1__running=True, pump2__running=False, inlet__level=0.5)
    assert scene.take(1, pump2__running=True) == ["r raised"]
    assert scene.found[0].facts == {"pump1.running": True, "pump2.running": True, "inlet.level": 0.5}


def test_a_window_can_look_at_several_parts_and_several_parts_can_have_windows():
    scene = Scene(
        rule("mean(sum(pump*.current), 1 min) > 10 A", name="much"),
        rule("any(count(pump*.running is on, 10 min) >= 2)", name="often"),
    )
    scene.take(0, pump1__current=6, pump2__current=6, pump1__running=False, pump2__running=False)
    assert scene.take(60, pump1__current=6) == ["much raised"]
    scene.take(600, pump1__running=True, pump2__running=True)  # one start each is not two
    scene.take(610, pump1__running=False)
    assert scene.take(620, pump1__running=True) == ["often raised"]


def test_a_station_with_more_pumps_has_more_of_them():
    text = Condition(f"at_least(2, {BOTH})")
    more = {**PLATE.points, "pump3.running": PLATE.points["pump1.running"]}
    assert text.reads(PLATE.points) == ("pump1.running", "pump2.running")
    assert text.reads(more) == ("pump1.running", "pump2.running", "pump3.running")
    text.on(PLATE.points)
    assert len(text.on(more).truth.of) == 3


def test_its_story_has_a_column_for_each():
    story = """
    time   pump1.running   pump2.running   is
    0 s    on              off             normal
    5 s    -               on              raised
    9 s    bad             -               raised
    12 s   off             -               normal
    """
    it = rule(f"all({BOTH})", story=story)
    assert play(it, Fit(DEVICE, PLATE, "")) == []
    without = rule(f"all({BOTH})", story="time  pump1.running  is\n0 s  on  normal")
    assert 'the rule looks at "pump2.running" too' in play(without, Fit(DEVICE, PLATE, ""))[0]


def test_a_device_without_such_parts_lacks_the_point():
    it = rule("any(fan*.running is on)")
    found = against(it, [(DEVICE, PLATE)])
    assert found.fit is None
    assert 'no part of ps-2026 has "fan*.running"' in found.mistakes[0]
    some = Nameplate({**PLATE.points, "fan1.running": PLATE.points["pump1.running"]}, {})
    both = against(it, [(DEVICE, PLATE), (type(DEVICE)("ps-2", "", "pump_station", "modbus+tcp://x", "other"), some)])
    assert both.mistakes == []
    assert both.warnings == ['rules/test.toml › rule "r": is not judged on ps-1: no point "fan*.running"']


@pytest.mark.parametrize(
    ("text", "letter", "said"),
    [
        ("pump*.running is on", 1, '"pump*.running" is of several parts. Write for example "any('),
        ("pump*.current > 3 A", 1, '"pump*.current" is of several parts'),
        ("any(pump1.running is on)", 1, 'inside "any" stands one kind of parts. Write for example "any(pump*'),
        ("any(pump*.running is on and rack*.valve > 3 %)", 1, "stands one kind of parts"),
        ("any(pmp*.running is on)", 1, 'no part of this device has "pmp*.running". Did you mean "pump*"?'),
        ("any(pump*.speed > 3 A)", 1, 'no part of this device has "pump*.speed"'),
        ("any(pump*.current > 3 m)", 23, '"m" measures length'),
        ("any(any(pump*.running is on))", 5, '"any" stands inside another one'),
        ("any(2, pump*.running is on)", 1, '"any" is not written so'),
        ("at_least(pump*.running is on)", 1, '"at_least" is not written so. Write for example "at_least(2,'),
        ("at_least(2.5, pump*.running is on)", 10, "how many is a whole number"),
        ("at_least(0, pump*.running is on)", 10, "how many is a whole number"),
        ("at_least(3, pump*.running is on)", 10, "there are only 2 of them: that is never so"),
        ("sum(pump*.winding) > 3 °C", 1, 'temperatures are not added up. Write for example "highest(pump*.winding)"'),
        ("sum(pump*.running) > 3", 5, "is on or off, not a number"),
        ("any(pump*.current)", 5, '"pump*.current" is a number, not yes or no'),
        ("sum(pump*.current)", 1, "this is a number, not yes or no"),
    ],
)
def test_what_is_wrong_is_said_at_its_letter(text, letter, said):
    with pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points)
    assert f"(letter {letter}): " in caught.value.mistakes[0]
    assert said in caught.value.mistakes[0]


def test_more_parts_than_anybody_has_are_refused():
    many = {f"pump{n}.running": PLATE.points["pump1.running"] for n in range(65)}
    with pytest.raises(BadRule, match="stands for 65 parts, more than 64"):
        Condition("any(pump*.running is on)").on(many)
    Condition("any(pump*.running is on)").on(dict(list(many.items())[:64]))


def test_a_mistake_in_one_does_not_hide_the_next():
    with pytest.raises(BadRule) as caught:
        Condition("sum(pump*.running) > 3 and pump*.running is on").on(PLATE.points)
    assert len(caught.value.mistakes) == 2
    assert '"pump*.running" is of several parts' in caught.value.mistakes[1]
