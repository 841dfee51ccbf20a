"""Holds to the second, hysteresis, and what happens when nothing is known."""

import math

import pytest

from hub.model import AlarmEvent, Quality, Severity
from tests.rules.field import Scene, at, rule

HIGH = {"when": "inlet.level > 3.20 m", "until": "inlet.level < 3.05 m"}


def test_a_hold_is_over_at_its_second_and_not_before():
    scene = Scene(rule(**HIGH, hold="60 s"))
    assert scene.take(0, inlet__level=3.3) == []
    assert scene.take(59.999, inlet__level=3.3) == []
    assert scene.take(60, inlet__level=3.3) == ["r raised"]
    assert scene.found[0].since == at(0)
    assert scene.found[0].at == at(60)


def test_a_hold_is_over_by_time_alone_when_nothing_is_read():
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0, inlet__level=3.3)
    assert scene.tick(59.9) == []
    assert scene.tick(60) == ["r raised"]
    assert scene.tick(61) == []
    assert scene.found[0].since == at(0)


def test_a_hold_of_nothing_raises_at_the_first_reading():
    assert Scene(rule(**HIGH)).take(0, inlet__level=3.3) == ["r raised"]


def test_one_reading_below_begins_the_hold_anew():
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0, inlet__level=3.3)
    scene.take(30, inlet__level=3.2)
    scene.take(31, inlet__level=3.3)
    assert scene.tick(60) == []  # the timer of the first hold rings, and is no longer meant
    assert scene.tick(90.9) == []
    assert scene.tick(91) == ["r raised"]


def test_between_the_two_limits_nothing_changes():
    scene = Scene(rule(**HIGH))
    assert scene.take(0, inlet__level=3.1) == []
    scene.take(1, inlet__level=3.21)
    assert [scene.take(2 + n, inlet__level=level) for n, level in enumerate((3.19, 3.06, 3.21, 3.05))] == [[]] * 4
    assert scene.take(9, inlet__level=3.04) == ["r returned"]
    assert scene.found[-1].since == at(1)


def test_flapping_around_the_limit_for_ten_minutes_is_one_occurrence():
    scene = Scene(rule(**HIGH))
    for second in range(600):
        scene.take(second, inlet__level=3.19 if second % 2 else 3.21)
        scene.tick(second + 0.5)
    assert [it.event for it in scene.found] == [AlarmEvent.RAISED]


def test_flapping_faster_than_the_hold_raises_nothing():
    scene = Scene(rule(**HIGH, hold="60 s"))
    for second in range(600):
        scene.take(second, inlet__level=3.19 if second % 2 else 3.21)
        scene.tick(second + 0.5)
    assert scene.found == []
    assert len(scene.book._timers) <= 1  # and no timer is left behind for each of them


@pytest.mark.parametrize("nothing", [..., None, math.nan, math.inf, "3.3"])
def test_an_hour_without_a_value_neither_raises_nor_clears(nothing):
    scene = Scene(rule(**HIGH, hold="60 s"), rule(**HIGH, name="standing"), rule("inlet.level > 3 m", name="no until"))
    assert scene.take(0, inlet__level=3.0) == []
    for second in range(1, 3600, 10):
        assert scene.take(second, inlet__level=nothing) == []
        assert scene.tick(second + 5) == []
    assert scene.take(3600, inlet__level=3.3) == ["standing raised", "no until raised"]
    for second in range(3601, 7200, 10):
        assert scene.take(second, inlet__level=nothing) == []
        assert scene.tick(second + 5) == []
    assert scene.take(7201, inlet__level=3.0) == ["standing returned", "no until returned"]


def test_unknown_does_not_end_a_hold_and_cannot_complete_it():
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0, inlet__level=3.3)
    scene.take(10, inlet__level=...)
    assert scene.tick(60) == []
    assert scene.tick(70) == []
    assert scene.take(75, inlet__level=...) == []
    assert scene.take(80, inlet__level=3.3) == ["r raised"]
    assert scene.found[0].since == at(0)


def test_what_was_unknown_when_the_hold_was_over_is_judged_with_the_next_reading():
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0, inlet__level=3.3)
    scene.take(10, inlet__level=...)
    scene.tick(60)
    assert scene.take(61, inlet__level=3.1) == []
    assert scene.take(62, inlet__level=3.3) == []
    assert scene.tick(121.9) == []
    assert scene.tick(122) == ["r raised"]


def test_returning_is_held_too_and_begins_anew_when_the_level_rises():
    scene = Scene(rule(**HIGH, until_hold="60 s"))
    scene.take(0, inlet__level=3.3)
    scene.take(10, inlet__level=3.0)
    scene.take(40, inlet__level=3.1)
    scene.take(50, inlet__level=3.0)
    assert scene.tick(109.9) == []
    assert scene.take(109.95, inlet__level=...) == []
    assert scene.tick(110) == []  # unknown cannot complete it
    assert scene.take(111, inlet__level=3.0) == ["r returned"]


def test_an_alarm_never_ends_while_its_condition_is_met():
    scene = Scene(rule("inlet.level > 3.20 m and pump1.running is on", until="pump1.current < 5 A"))
    assert scene.take(0, inlet__level=3.3, pump1__running=True, pump1__current=4.0) == ["r raised"]
    assert scene.take(1, pump1__current=3.0) == []
    assert scene.take(2, pump1__running=False) == ["r returned"]


def test_without_until_the_opposite_ends_it():
    scene = Scene(rule("pump1.running is on", until_hold="10 s"))
    scene.take(0, pump1__running=True)
    scene.take(5, pump1__running=False)
    assert scene.tick(15) == ["r returned"]


@pytest.mark.parametrize("wrong_by", [-300, 8])
def test_a_device_whose_clock_is_wrong_holds_just_as_long(wrong_by):
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0 + wrong_by, received=0, inlet__level=3.3)
    assert scene.tick(59) == []
    assert scene.tick(60) == ["r raised"]
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0 + wrong_by, received=0, inlet__level=3.3)
    assert scene.take(59 + wrong_by, received=59, inlet__level=3.3) == []
    assert scene.take(60 + wrong_by, received=60, inlet__level=3.3) == ["r raised"]


def test_a_house_whose_clock_is_set_back_holds_no_longer():
    scene = Scene(rule(**HIGH, hold="60 s"))
    scene.take(0, received=3600, inlet__level=3.3)
    scene.take(1, received=3601, inlet__level=3.0)
    scene.take(2, received=2, inlet__level=3.3)
    assert scene.tick(61.9) == []
    assert scene.tick(62) == ["r raised"]


def test_a_silence_that_is_noticed_completes_no_hold_of_a_device_whose_clock_is_behind():
    scene = Scene(rule("inlet.level > 3.20 m or pump1.current is missing", hold="60 s"))
    scene.take(-300, received=0, inlet__level=3.3, pump1__current=5.0)
    scene.slots["pump1.current"].quality = Quality.BAD  # it has gone silent
    assert scene.book.step(scene.wakes["pump1.current"], at(10)) == []  # `at` is the house's time here
    assert scene.tick(59) == []
    assert scene.tick(60) == ["r raised"]


def test_a_finding_says_what_was_seen_in_both_languages():
    scene = Scene(
        rule(
            "each.current > 60 A and inlet.level > 3 m",
            each="pump*",
            severity="high",
            say={
                "zh-CN": "{device} {n}# 泵 {each.current}，水位 {inlet.level:.1f}，{each.running}，{each.winding}",
                "en": "{part}: {each.current}, level {inlet.level:.3f}, {each.running}, {each.state}",
            },
            do={"zh-CN": "停泵", "en": "stop it"},
            then=["each.stop"],
        )
    )
    assert scene.take(0, pump2__current=61.25, inlet__level=3.456, pump2__running=True) == ["r / pump2 raised"]
    found = scene.found[0]
    assert found.say == {
        "zh-CN": "东门泵站 2# 泵 61.2 A，水位 3.5，是，—",
        "en": "pump2: 61.2 A, level 3.456, yes, —",
    }
    assert found.do == {"zh-CN": "停泵", "en": "stop it"}
    assert found.severity is Severity.HIGH
    assert found.facts == {
        "pump2.current": 61.25,
        "inlet.level": 3.456,
        "pump2.running": True,
        "pump2.winding": None,
        "pump2.state": None,
    }
    assert [ask.action for ask in found.asks] == ["pump2.stop"]
    scene.slots["pump2.current"].quality = Quality.UNCERTAIN
    scene.take(1, inlet__level=2.0)
    assert scene.found[-1].say["en"] == "pump2: —, level 2.000, yes, —"
    assert scene.found[-1].facts["pump2.current"] is None
    assert scene.found[-1].asks == ()
    assert scene.found[-1].facts["inlet.level"] == 2.0
