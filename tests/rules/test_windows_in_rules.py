"""Rules that look back, and rules that look at the clock: in a book, with readings and without."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.model import AlarmEvent, Quality
from rules.book import Book
from rules.condition import Condition
from rules.errors import BadRule
from rules.fit import Fit
from rules.story import play
from tests.rules.field import DEVICE, PLATE, Scene, at, rule

RISING = {"when": "change(inlet.level, 10 min) > 0.30 m", "until": "change(inlet.level, 10 min) < 0.10 m"}
MIN = 60


def calm(scene, until_s, level=2.0, every_s=30, from_s=0):
    """The level is read and does not move."""
    return [told for s in range(from_s, until_s + 1, every_s) for told in scene.take(s, inlet__level=level)]


def test_a_level_that_rises_fast_raises_and_when_it_stands_it_returns_by_time_alone():
    scene = Scene(rule(**RISING))
    assert calm(scene, 600) == []
    assert scene.take(630, inlet__level=2.25) == []
    assert scene.take(660, inlet__level=2.31) == ["r raised"]
    told = {second: found for second in range(661, 2000) if (found := scene.tick(second))}
    assert told == {1230: ["r returned"]}  # by then it had been above 2.21 for ten minutes


def test_a_window_is_unknown_until_it_has_been_looked_at_for_long_enough():
    scene = Scene(rule("mean(inlet.level, 10 min) > 3 m", until="mean(inlet.level, 10 min) < 2.5 m"))
    assert calm(scene, 510, level=3.5) == []
    assert [blind.wants[0][:2] for blind in scene.book.unknown(DEVICE.id)] == [("inlet.level", Quality.UNCERTAIN)]
    assert scene.take(540, inlet__level=3.5) == ["r raised"]
    assert scene.book.unknown(DEVICE.id) == []


@pytest.mark.parametrize("what", ["change", "mean", "min", "max"])
def test_bad_data_in_a_window_neither_raises_nor_clears(what):
    scene = Scene(
        rule(f"{what}(inlet.level, 10 min) > 1 m", name="above", until=f"{what}(inlet.level, 10 min) < 0.5 m"),
        rule(f"{what}(inlet.level, 10 min) < 1 m", name="below"),
    )
    calm(scene, 600)
    stood = [it.rule for it in scene.found]
    before = len(scene.found)
    for second in range(630, 7200, 30):
        scene.take(second, inlet__level=...)
        scene.tick(second + 15)
    assert scene.found[before:] == []
    assert stood == (["below"] if what == "change" else ["above"])


def test_starts_an_hour_are_counted_and_leave_by_themselves():
    scene = Scene(rule("count(pump1.running is on, 1 h) > 6", until="count(pump1.running is on, 1 h) <= 3"))
    scene.take(0, pump1__running=False)
    told = []
    for n in range(8):
        told += scene.take(3600 + n * 120, pump1__running=True)
        told += scene.take(3660 + n * 120, pump1__running=False)
    assert told == ["r raised"]
    assert scene.found[0].at == at(3600 + 6 * 120)
    returned = next(second for second in range(4600, 9000) if scene.tick(second))
    assert returned == 3600 + 4 * 120 + 3600  # the fifth of eight starts has left


def test_how_long_it_was_so_and_how_long_the_excess_stood():
    scene = Scene(rule("time(pump1.running, 1 h) > 20 min", hold="5 min"))
    scene.take(0, pump1__running=False)
    scene.take(3600, pump1__running=True)
    told = [second for second in range(3600, 6000) if scene.tick(second)]
    assert len(told) == 1
    assert 3600 + 1500 <= told[0] <= 3600 + 1500 + 37  # what moves steadily is looked at a hundred times in its window


def test_an_inner_condition_over_two_points_is_followed_on_both():
    scene = Scene(rule("count(pump1.running is on and inlet.level < 1 m, 10 min) >= 2"))
    scene.take(0, pump1__running=False, inlet__level=2.0)
    scene.take(600, pump1__running=True)
    assert scene.take(610, inlet__level=0.9) == []
    assert scene.take(620, inlet__level=1.1) == []
    assert scene.take(630, inlet__level=0.9) == ["r raised"]


def test_when_and_until_look_at_one_window():
    scene = Scene(rule(**RISING))
    (instance,) = scene.book._instances[DEVICE.id]
    assert len(instance._beside) == 1


def test_a_rule_by_the_clock_begins_and_ends_without_a_reading():
    night = rule(
        'inlet.level > 3 m and during("22:00-07:30")', until='inlet.level < 2.5 m or not during("22:00-07:30")'
    )
    scene = Scene(night)  # NOON is noon in Shanghai
    assert scene.take(0, inlet__level=3.2) == []
    told = {hour: found for hour in range(1, 30) if (found := scene.tick(hour * 3600))}
    assert told == {10: ["r raised"], 20: ["r returned"]}  # at 22:00, and at 07:30, which is seen at 08:00
    scene = Scene(night)
    scene.take(0, inlet__level=3.2)
    scene.tick(10 * 3600)
    assert scene.tick(19 * 3600 + 1799) == []
    assert scene.tick(19 * 3600 + 1800) == ["r returned"]


def test_the_calendar_is_read_in_the_zone_of_the_site():
    for zone, hour in (("UTC", 18), ("Asia/Shanghai", 10)):
        book = Book([rule('inlet.level > 3 m and during("22:00-23:00")')], lambda device: PLATE, ZoneInfo(zone))
        scene = Scene()
        scene.book, scene.wakes = book, book.bind(DEVICE, scene.slots)
        scene.take(0, inlet__level=3.2)
        assert next(h for h in range(24) if scene.tick(h * 3600)) == hour


def test_what_was_before_a_restart_comes_from_the_history():
    scene = Scene(rule(**RISING), rule("count(pump1.running is on, 1 h) > 2", name="starts"))
    for instance in scene.book._instances[DEVICE.id]:
        assert instance.wants() in ({"inlet.level": 600.0}, {"pump1.running": 3600.0})
    scene.take(0, inlet__level=2.5, pump1__running=False)
    assert scene.found == []
    past = [(at(-3600 + n * 60), {"pump1.running": (n in (5, 20, 40), Quality.GOOD)}) for n in range(60)]
    past += [(at(-600), {"inlet.level": (2.15, Quality.GOOD)}), (at(-30), {"inlet.level": (2.15, Quality.GOOD)})]
    scene.book.remember(DEVICE.id, sorted(past, key=lambda row: row[0]))
    assert scene.take(5, inlet__level=2.5, pump1__running=False) == ["r raised", "starts raised"]


def test_a_gap_in_the_history_is_a_gap():
    scene = Scene(rule("mean(inlet.level, 10 min) > 3 m"))
    scene.take(0, inlet__level=4.0)
    good, bad = (4.0, Quality.GOOD), (None, Quality.BAD)
    scene.book.remember(DEVICE.id, [(at(-600), {"inlet.level": good}), (at(-400), {"inlet.level": bad})])
    assert scene.take(1, inlet__level=4.0) == []
    assert scene.tick(300) == []


def test_a_clock_that_is_set_makes_no_window_longer_or_shorter():
    for by in (timedelta(hours=3), timedelta(hours=-3)):
        scene = Scene(rule(**RISING))
        calm(scene, 600)
        scene.book.clock_moved(by)
        moved = by.total_seconds()
        assert scene.take(610 + moved, inlet__level=2.5) == ["r raised"]
        assert scene.found[0].event is AlarmEvent.RAISED
        scene.take(640 + moved, inlet__level=2.5)
        assert [s for s in range(650, 1300) if scene.tick(s + moved)] == [1210]


def test_a_window_of_a_part_looks_at_that_part():
    scene = Scene(rule("count(each.running is on, 10 min) >= 1", each="pump*"))
    scene.take(0, pump1__running=False, pump2__running=False)
    assert scene.take(600, pump2__running=True, pump1__running=False) == ["r / pump2 raised"]


def test_a_difference_of_temperatures_in_a_window_is_in_kelvin():
    scene = Scene(rule("change(pump1.winding, 5 min) > 20 K"))
    scene.take(0, pump1__winding=40)
    assert scene.take(300, pump1__winding=61) == ["r raised"]


def test_a_rate_is_of_an_hour():
    scene = Scene(rule("rate(inlet.level, 10 min) > 2 cm/h"))
    calm(scene, 600)
    assert scene.take(630, inlet__level=2.003) == []
    assert scene.take(660, inlet__level=2.004) == ["r raised"]


# ---- stories ------------------------------------------------------------------------------------------------------

STORY = """
time from 2026-06-05 21:00   inlet.level   pump1.running   is
0 s                          3.2           off             normal
59 min                       -             -               normal
1 h                          -             -               raised
2 h                          bad           -               raised
10 h                         -             -               raised
10.5 h                       3.2           -               normal
34.5 h                       -             -               normal
"""


def test_a_story_can_begin_on_a_day_and_at_a_time():
    weekday = rule('inlet.level > 3 m and pump1.running is off and during("Mon-Fri 22:00-07:30")', story=STORY)
    assert play(weekday, Fit(DEVICE, PLATE, "")) == []
    wrong = rule('inlet.level > 3 m and pump1.running is off and during("Mon-Thu 22:00-07:30")', story=STORY)
    assert play(wrong, Fit(DEVICE, PLATE, "")) == [
        'rules/test.toml › rule "r" › story › at "1 h  -  -": expected "raised", happened "normal"',
        'rules/test.toml › rule "r" › story › at "2 h  bad  -": expected "raised", happened "normal"',
        'rules/test.toml › rule "r" › story › at "10 h  -  -": expected "raised", happened "normal"',
    ]


def test_a_story_that_begins_on_no_day_says_so():
    wrong = rule("inlet.level > 3 m", story="time from 2026-02-30 00:00  inlet.level  is\n0 s  1  normal")
    (said,) = play(wrong, Fit(DEVICE, PLATE, ""))
    assert said.endswith('at "time from 2026-02-30 00:00": there is no such day or time')


def test_a_story_of_days_with_a_short_window_ends_soon():
    lines = "\n".join(f"{hour} h   {1 + hour % 2}   unknown" for hour in range(0, 700, 5))
    of_days = rule("mean(inlet.level, 2 s) > 9 m", story=f"time  inlet.level  is\n{lines}")
    assert len(play(of_days, Fit(DEVICE, PLATE, ""))) == 139  # every line but the first: it is known, and normal


# ---- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "letter", "said"),
    [
        ("mean(inlet.level) > 3 m", 1, '"mean" wants two things: what, and for how long. Write for example "mean('),
        ("mean(inlet.level, 10 min, 3) > 3 m", 1, '"mean" wants two things'),
        ('mean("x", 10 min) > 3 m', 1, '"mean" wants two things'),
        ("mean(inlet.level, setting.margin) > 3 m", 19, "for how long is written down"),
        ("mean(inlet.level, 10) > 3 m", 19, '"10 " is not a time. Write s, min, h or d'),
        ("mean(inlet.level, 8 d) > 3 m", 19, '"8 d" cannot be looked at: more than 0 s and at most 7 d'),
        ("mean(inlet.level, 0 s) > 3 m", 19, "cannot be looked at"),
        ("mean(3 m, 10 min) > inlet.level", 6, '"3 m" is written down: it never changes. Name a point'),
        ("mean(pump1.running, 10 min) > 3", 6, '"pump1.running" is on or off, not a number'),
        ("count(inlet.level, 10 min) > 3", 7, '"inlet.level" is a number, not yes or no'),
        ("mean(max(inlet.level, 1 min), 10 min) > 3 m", 6, '"max" stands inside another window'),
        ("rate(pump1.winding, 10 min) > 3", 1, 'Write "change(pump1.winding,10min)"'),
        ("mean(inlet.level, 10 min) > 3 A", 31, '"A" measures current'),
        ("mean(inlet.level, 10 min) > 300 m", 29, "is outside what"),
        ("count(pump1.running, 1 h) > 3 m", 29, '"3 m" is in m, and "count(pump1.running,1h)" has no unit'),
        ("time(pump1.running, 1 h) > 3", 28, '"3" has no unit'),
        ("mean(inlet.level, 10 min)", 1, "this is a number, not yes or no"),
        ("mean(inlet.levl, 10 min) > 3 m", 6, '"inlet.levl" is not a point of'),
        ("count(inlet.levl > 3 m, 10 min) > 3", 7, '"inlet.levl" is not a point of'),
        ("mean[inlet.level] > 3 m", 5, '"mean" cannot be indexed'),
        ("mean(inlet.level, 10 min > 3 m", 31, 'it ends where "," or ")" should follow'),
        ('during("Mo") and inlet.level > 3 m', 8, '"Mo" is not a day. Did you mean "Mon"?'),
        ("during(inlet.level) and inlet.level > 3 m", 1, '"during" wants one text'),
        ('during("Mon") > 3', 1, "this is yes or no"),
        ('max(during("Mon"), 1 h) > 3 m', 5, "this is yes or no"),
        ('count(pump1.running and during("Mon"), 1 h) > 3', 25, "looks at what is read, not at the clock"),
        ('rain("x") > 3 mm', 1, '"rain" is not a function. Did you mean "during"?'),
        ("__import__(pump1.running)", 1, '"__import__" is not a function'),
    ],
)
def test_what_is_wrong_with_a_call_is_said_at_its_letter(text, letter, said):
    with pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points)
    assert f"(letter {letter}): " in caught.value.mistakes[0]
    assert said in caught.value.mistakes[0]


def test_until_may_not_contradict_when_about_a_window_and_may_about_another():
    with pytest.raises(BadRule, match=r"Write a limit that is not above 0\.3"):
        rule("change(inlet.level, 10 min) > 0.3 m", until="change(inlet.level, 10 min) < 0.4 m").check(PLATE, "", "x")
    rule("change(inlet.level, 10 min) > 0.3 m", until="change(inlet.level, 20 min) < 0.4 m").check(PLATE, "", "x")
    rule("pump1.current > 3 A", until="pump2.current < 4 A").check(PLATE, "", "x")


def test_a_rule_by_the_clock_alone_is_none():
    with pytest.raises(BadRule, match="names no point"):
        rule('during("22:00-07:30")').check(PLATE, "", "x")


def test_a_time_that_cannot_be_read_is_said_without_any_device():
    wrong = rule('inlet.level > 3 m and during("Mo-Fr")')
    assert wrong.strange_units() == [
        'rules/test.toml › rule "r" › in "inlet.level > 3 m and during("Mo-Fr")" (letter 30): "Mo" is not a day. '
        'Did you mean "Mon"? Write for example "Mon-Fri"'
    ]
