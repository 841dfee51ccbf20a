"""`unless`: what something else explains calls nobody, is written down all the same, and calls when that is over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import BadRule
from rules.fit import Fit
from rules.story import play
from tests.rules.field import DEVICE, PLATE, Scene, rule

BECAUSE = {"zh-CN": "泵停着", "en": "the pump stands"}
LOW = {"when": "pump1.current < 1 A", "unless": "pump1.running is off", "unless_say": BECAUSE}


def scene(**fields) -> Scene:
    return Scene(rule(**{**LOW, **fields}))


def test_what_is_explained_from_the_beginning_is_not_raised():
    it = scene(hold="10 s")
    assert it.take(0, pump1__current=0, pump1__running=False) == []
    assert [it.tick(second) for second in (10, 20, 60)] == [[], [], []]
    assert it.take(61, pump1__current=0) == []


def test_it_is_raised_when_the_explanation_is_over_though_nothing_else_moves():
    it = scene(hold="10 s")
    it.take(0, pump1__current=0, pump1__running=False)
    it.tick(30)
    assert it.take(31, pump1__running=True) == ["r raised"]


def test_a_hold_goes_on_underneath():
    it = scene(hold="10 s")
    it.take(0, pump1__current=0, pump1__running=False)
    assert it.take(5, pump1__running=True) == []
    assert it.tick(9.9) == []
    assert it.tick(10) == ["r raised"]


def test_what_stands_is_suppressed_and_says_by_what():
    it = scene()
    assert it.take(0, pump1__current=0, pump1__running=True) == ["r raised"]
    assert it.take(1, pump1__running=False) == ["r suppressed"]
    assert it.found[-1].say == BECAUSE
    assert it.take(2, pump1__running=False) == []
    assert it.take(3, pump1__running=True) == ["r unsuppressed"]
    assert it.found[-1].say == {"zh-CN": "水位", "en": "level"}
    assert it.take(4, pump1__current=2) == ["r returned"]


def test_it_ends_while_it_is_suppressed_and_the_next_time_begins_anew():
    it = scene()
    it.take(0, pump1__current=0, pump1__running=True)
    it.take(1, pump1__running=False)
    assert it.take(2, pump1__current=2) == ["r returned"]
    assert it.take(3, pump1__current=0) == []
    assert it.take(4, pump1__running=True) == ["r raised"]


def test_an_explanation_that_is_not_known_changes_nothing():
    it = scene()
    assert it.take(0, pump1__current=0, pump1__running=...) == ["r raised"]  # it explains nothing
    assert it.take(1, pump1__running=False) == ["r suppressed"]
    assert it.take(2, pump1__running=...) == []
    assert it.take(3, pump1__running=True) == ["r unsuppressed"]
    assert it.take(4, pump1__running=...) == []


def test_by_the_clock_it_is_raised_when_its_time_is_over():
    it = scene(unless='during("12:00-13:00")')  # the scene begins at noon
    it.take(0, pump1__current=0)
    assert it.tick(3599) == []
    assert it.tick(3600) == ["r raised"]


@given(st.lists(st.tuples(st.sampled_from([0.0, 2.0, ...]), st.sampled_from([True, False, ...])), max_size=30))
@settings(max_examples=200)
def test_underneath_the_alarm_is_what_it_would_have_been(course):
    """When nothing explains it, and it is known, a rule with `unless` stands exactly when one without does."""
    with_unless, without = scene(), Scene(rule("pump1.current < 1 A"))
    for n, (current, running) in enumerate(course):
        for it in (with_unless, without):
            it.take(1000 * n, pump1__current=current, pump1__running=running)
        (one,), (other,) = (it.book._instances[DEVICE.id] for it in (with_unless, without))
        assert other.raised or not one.raised
        if running is True and current is not ...:
            assert one.raised == other.raised
            assert not one.suppressed
        if running is False:
            assert not one.raised or one.suppressed


def test_its_story_says_when_it_is_suppressed():
    story = """
    time   pump1.current   pump1.running   is
    0 s    0               on              raised
    5 s    -               off             suppressed
    9 s    bad             -               suppressed
    12 s   -               on              raised
    15 s   2               -               normal
    """
    assert play(rule(**LOW, story=story), Fit(DEVICE, PLATE, "")) == []


def test_where_a_device_has_no_points_for_an_explanation_it_rings():
    it = Scene(rule("pump1.current < 1 A", unless="outage is on", unless_say=BECAUSE))
    assert it.take(0, pump1__current=0) == ["r raised"]


def test_whoever_suppresses_says_why():
    with pytest.raises(BadRule, match="unless_say: is missing: who finds it suppressed must be told what explains it"):
        rule("pump1.current < 1 A", unless="pump1.running is off")
