"""The door in: what becomes of readings that are old, early, strange, or not for us."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.contract import Ask, Finding
from hub.model import Alarm, Device, Kind, LinkState, Nameplate, Point, Position, Quality, Reading, Words
from hub.slot import Slot

from .kit import NOON, PLATE, STATE, STATION, Desk, Limit, at, reading, small_hub

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


# ---- two times ----------------------------------------------------------------------------------------------------


def test_an_old_reading_goes_to_history_but_does_not_become_the_latest():
    hub, diary, _ = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0, 0)])
    hub.take([reading("sump.level", 4.0, -60, came=1)])
    assert (slot.value, slot.at) == (1.0, NOON)
    assert diary.of("sump.level") == [(0, 1.0, GOOD), (-60, 4.0, GOOD)]
    assert hub.counts["late"] == 1


def test_an_old_reading_wakes_no_rule():
    rule = Limit()
    hub, _, _ = small_hub(rule)
    hub.take([reading("sump.level", 1.0, 0)])
    hub.take([reading("sump.level", 4.0, -60, came=1)])
    assert len(rule.judged) == 1
    assert hub.book.standing() == []


def test_each_point_has_its_own_newest_time():
    hub, _, _ = small_hub()
    slots = hub.members[STATION.id].slots
    hub.take([reading("sump.level", 1.0, 10)])
    hub.take([reading("pump1.running", True, 9)])
    assert slots["pump1.running"].value is True
    hub.take([reading("pump1.running", False, 8)])
    assert slots["pump1.running"].value is True


def test_an_hour_unloaded_oldest_first_rings_no_alarm_and_says_why():
    rule = Limit()
    hub, diary, _ = small_hub(rule)
    slot = hub.members[STATION.id].slots["sump.level"]
    for minute in range(60):
        hub.take([reading("sump.level", 4.0, 60 * minute, came=3600)])
        assert (slot.quality is UNCERTAIN) == (3600 - 60 * minute > 600)
        if slot.quality is UNCERTAIN:
            assert slot.why == Words("quality.old", {"minutes": 60 - minute})
            assert hub.book.standing() == []
    # They were good measurements, and history keeps them as such; the youngest ten minutes are news.
    assert {quality for _, _, quality in diary.of("sump.level")} == {GOOD}
    assert hub.book.standing()[0].raised_at == at(3000)


def test_a_time_from_the_future_is_replaced_by_ours_and_not_believed():
    hub, diary, _ = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0, 8 * 3600, came=0)])
    assert (slot.value, slot.quality, slot.at) == (1.0, UNCERTAIN, NOON)
    assert slot.why == Words("quality.clock_ahead", {"ahead_s": 28800})
    assert diary.of("sump.level") == [(0, 1.0, UNCERTAIN)]
    hub.take([reading("sump.level", 1.1, 5)])
    assert (slot.value, slot.quality, slot.why) == (1.1, GOOD, None)


def test_a_clock_that_is_a_little_ahead_is_believed():
    hub, _, _ = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0, 10, came=0)])
    assert (slot.quality, slot.at) == (GOOD, at(10))


def test_when_our_own_clock_is_set_back_the_house_does_not_go_blind_until_it_has_caught_up():
    hub, _, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0, 0)])
    clock.jump(-8 * 3600)
    for second in range(3):
        hub.take([reading("sump.level", 2.0 + second, second - 8 * 3600)])
        assert (slot.value, slot.quality, slot.at) == (2.0 + second, GOOD, at(second - 8 * 3600))
    hub.take([reading("sump.level", 9.0, -9 * 3600, came=3 - 8 * 3600)])
    assert slot.value == 4.0
    assert hub.counts["late"] == 1


# ---- instants and devices -----------------------------------------------------------------------------------------


def test_what_shares_an_instant_is_judged_together_even_when_the_times_are_other_objects():
    rule = Limit()
    hub, _, _ = small_hub(rule)
    here = "".join(["ps", "-1"])  # an equal text, another object, as a decoder makes it
    hub.take([reading("pump1.state", "stopped"), Reading(here, "sump.level", 1.0, at(0), at(0))])
    hub.take([reading("pump1.state", "running", 5), Reading(here, "sump.level", 2.0, at(5), at(5))])
    assert rule.judged == [(STATION.id, 1.0, "stopped"), (STATION.id, 2.0, "running")]


def test_several_instants_in_one_hand_are_taken_one_after_the_other():
    rule = Limit()
    hub, diary, _ = small_hub(rule)
    hub.take([reading("sump.level", level, second) for second, level in enumerate((1.0, 4.0, 2.0, 3.5))])
    assert [level for _, level, _ in rule.judged] == [1.0, 4.0, 2.0, 3.5]
    assert [(alarm.raised_at, alarm.count) for alarm in hub.book.standing()] == [(at(3), 2)]
    assert [row[0] for row in diary.of("sump.level")] == [0, 1, 2, 3]


def test_readings_of_several_devices_in_one_hand_reach_each():
    hub, _, _ = small_hub()
    other = Device("ps-2", "西门泵站", "pump_station", "pumps:ps-2")
    hub.adopt(other, PLATE)
    mine, theirs = reading("sump.level", 1.0), Reading("ps-2", "sump.level", 2.0, NOON, NOON)
    hub.take([mine, theirs, reading("pump1.running", True)])
    assert hub.members["ps-2"].slots["sump.level"].value == 2.0
    assert hub.members[STATION.id].slots["pump1.running"].value is True


def test_many_instants_in_one_hand_take_time_in_proportion():
    hub, diary, _ = small_hub()
    hub.take([reading("sump.level", 1.0, second, came=20_000) for second in range(20_000)])
    assert len(diary.rows) == hub.counts["readings"] == 20_000


def test_nothing_is_taken_from_an_empty_hand():
    hub, diary, _ = small_hub()
    hub.take([])
    assert (hub.counts["readings"], diary.rows) == (0, [])


def test_what_is_not_on_the_nameplate_is_counted_and_the_rest_is_taken():
    hub, diary, _ = small_hub()
    hub.take([reading("sump.colour", "blue"), reading("sump.level", 1.0), reading("sump.smell", 3.0)])
    assert hub.counts["unknown_point"] == 2
    assert [row[0] for row in diary.rows] == ["sump.level"]
    hub.take([reading("sump.smell", 3.0)])
    assert hub.counts["unknown_point"] == 3


def test_what_comes_from_nobody_we_know_is_counted_and_the_rest_is_taken():
    hub, diary, _ = small_hub()
    stranger = Reading("ps-9", "sump.level", 1.0, NOON, NOON)
    hub.take([stranger, stranger, reading("sump.level", 1.0), stranger])
    assert hub.counts["unknown_device"] == 3
    assert len(diary.rows) == 1


# ---- never raises on what a device sent ---------------------------------------------------------------------------

ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 10**5000, nan, inf, -inf, 2**63, "running", "stopped", "", 1.8e308]),
    st.text(max_size=50),
    st.builds(Position, st.floats(), st.floats()),
)
EVERY_KIND = Nameplate(
    {
        kind.value: Point(kind.value, kind, low=low, high=high, labels=STATE.labels, stuck_after_s=stuck)
        for kind, low, high, stuck in (
            (Kind.NUMBER, 0.0, 5.0, 60.0),
            (Kind.BOOL, None, None, None),
            (Kind.ENUM, None, None, None),
            (Kind.TEXT, None, None, 60.0),
            (Kind.POSITION, None, None, None),
        )
    }
    | {"free": Point("free")}
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(EVERY_KIND.points)), ANY_VALUE, st.sampled_from(Quality), st.integers(-2000, 2000)
        ),
        max_size=12,
    )
)
def test_take_never_raises_and_never_believes_what_cannot_be(told: list[tuple[str, Any, Quality, int]]):
    hub, diary, _ = small_hub(NoRules(), EVERY_KIND)
    for point, value, quality, seconds in told:
        hub.take([reading(point, value, seconds, came=0, quality=quality)])
    for slot in hub.members[STATION.id].slots.values():
        assert (slot.quality is GOOD) == (slot.why is None)
        assert slot.value == slot.value
        if slot.quality is GOOD:
            assert slot.value is not None
            assert not isinstance(slot.value, float) or slot.valid_low <= slot.value <= slot.valid_high
    places = sum(point == Kind.POSITION for point, *_ in told)  # are three series each
    assert len(diary.rows) == len(told) + 2 * places


def test_a_position_is_three_series_of_the_same_stamps():
    hub, diary, _ = small_hub(NoRules(), EVERY_KIND)
    for seconds, place in (
        (0, Position(32.9, 115.8, 31.5)),
        (1, Position(32.9, 115.8, 31.5)),
        (2, Position(33.0, 116.0)),
    ):
        hub.take([reading("position", place, seconds, came=seconds)])
    assert diary.of("position.latitude") == [(0, 32.9, GOOD), (1, 32.9, GOOD), (2, 33.0, GOOD)]
    assert diary.of("position.longitude") == [(0, 115.8, GOOD), (1, 115.8, GOOD), (2, 116.0, GOOD)]
    assert [value for _, value, _ in diary.of("position.altitude")[:2]] == [31.5, 31.5]
    hub.take([reading("position", Position(95.0, 116.0), 3, came=3)])
    assert diary.of("position.latitude")[-1][2] is Quality.BAD
    hub.take([reading("position", None, 4, came=4)])
    assert all(
        diary.of(f"position.{it}")[-1][1] != diary.of(f"position.{it}")[-1][1] for it in ("latitude", "longitude")
    )


class NoRules(Limit):
    def bind(self, device: Any, slots: Any) -> Any:
        return {}


# ---- watchers -----------------------------------------------------------------------------------------------------


def test_watchers_are_told_what_changed_and_nothing_else():
    hub, _, _ = small_hub()
    desk = Desk()
    stop = hub.watch(desk)
    first = [reading("sump.level", 1.0), reading("pump1.state", "stopped")]
    hub.take(first)
    hub.take([reading("sump.level", 1.0, 5), reading("pump1.state", "running", 5)])
    hub.take([reading("sump.level", 1.0, 6)])
    stop()
    stop()
    hub.take([reading("sump.level", 2.0, 7)])
    assert desk.changes == [(STATION.id, ["sump.level", "pump1.state"]), (STATION.id, ["pump1.state"])]


def test_a_watcher_hears_of_a_new_reason_too_and_once():
    hub, _, _ = small_hub()
    desk = Desk()
    hub.watch(desk)
    for second, why in enumerate(("no answer", "no answer", "gateway")):
        hub.take([reading("sump.level", None, second, quality=BAD, why=Words("why", {"it": why}))])
    assert len(desk.changes) == 2


def test_a_watcher_may_leave_while_it_is_told():
    hub, _, _ = small_hub()
    second = Desk()

    class Leaves(Desk):
        def readings(self, device: str, slots: Any) -> None:
            stop()

    stop = hub.watch(Leaves())
    hub.watch(second)
    hub.take([reading("sump.level", 1.0)])
    assert len(second.changes) == 1


# ---- who is in the house ------------------------------------------------------------------------------------------


def test_a_new_description_keeps_what_is_known_of_points_that_stay():
    hub, _, _ = small_hub()
    hub.take([reading("sump.level", 1.0), reading("pump1.running", True)])
    finer = Point("pump1.running", Kind.BOOL, interval_s=1.0)
    hub.adopt(STATION, Nameplate({**PLATE.points, "pump1.running": finer}, PLATE.actions))
    slots = hub.members[STATION.id].slots
    assert (slots["sump.level"].value, slots["pump1.running"].value) == (1.0, None)


def test_two_devices_can_swap_their_addresses():
    hub, _, _ = small_hub()
    one, two = Device("one", "1", "pump", "pumps:a"), Device("two", "2", "pump", "pumps:b")
    hub.adopt(one, PLATE)
    hub.adopt(two, PLATE)
    now_one, now_two = Device("one", "1", "pump", "pumps:b"), Device("two", "2", "pump", "pumps:a")
    hub.adopt(now_one, PLATE)
    hub.adopt(now_two, PLATE)
    assert (hub.who_is("pumps:b"), hub.who_is("pumps:a")) == (now_one, now_two)
    hub.adopt(Device("one", "1", "pump", "pumps:c"), PLATE)
    hub.retire("one")
    assert (hub.who_is("pumps:a"), hub.who_is("pumps:c")) == (now_two, None)


def test_who_leaves_is_unknown_afterwards():
    hub, diary, _ = small_hub()
    hub.retire(STATION.id)
    hub.retire(STATION.id)
    hub.take([reading("sump.level", 4.0)])
    hub.tick()
    assert (hub.counts["unknown_device"], diary.rows, hub.who_is(STATION.address)) == (1, [], None)


def test_what_cannot_be_read_is_kept_short_and_counted():
    hub, _, clock = small_hub()
    for number in range(600):
        hub.puzzled_by("pumps:ps-1", bytes(2000), Words("why", {"number": number}))
    newest = hub.puzzles[-1]
    assert (len(hub.puzzles), hub.counts["puzzles"], len(newest.raw), newest.at) == (500, 600, 512, clock.now())
    assert newest.why.args == {"number": 599}


def test_the_link_is_a_point_like_any_other():
    hub, _, _ = small_hub()
    hub.take([reading("link", LinkState.DOWN)])
    assert hub.members[STATION.id].slots["link"].value == "down"


def test_a_watcher_that_fails_stops_neither_readings_nor_alarms(caplog: pytest.LogCaptureFixture):
    class Clumsy(Desk):
        def alarm(self, alarm: Alarm) -> None:
            raise ZeroDivisionError

        def readings(self, device: str, slots: Sequence[Slot]) -> None:
            raise ZeroDivisionError

    asked: list[Finding] = []
    hub, _, _ = small_hub(Limit(Ask("pump1.stop")))
    desk = Desk()
    hub.on_ask = asked.append
    hub.watch(Clumsy())
    hub.watch(desk)
    hub.take([reading("sump.level", 3.5)])
    assert ([alarm.rule for alarm in desk.alarms], len(desk.changes), len(asked)) == ([Limit.RULE], 1, 1)
    assert "somebody who looks on failed" in caplog.text
