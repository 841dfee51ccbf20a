"""Hands: what is taken calmly, all at once, ends as what is weighed reading by reading."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.model import Quality, Reading, Words

from .kit import STATION, Desk, Limit, at, reading, small_hub

GOOD, BAD = Quality.GOOD, Quality.BAD
POINTS = ("sump.level", "pump1.state", "pump1.running", "pump1.speed")


def of_one_instant(readings: Sequence[Reading]) -> list[Reading]:
    """As a driver gives them: the same time is the same object. Otherwise nothing is taken calmly."""
    first = readings[0]
    return [Reading(it.device, it.point, it.value, first.at, first.received_at, it.quality, it.why) for it in readings]


def hand(seconds: float, *values: Any, came: float | None = None) -> list[Reading]:
    return of_one_instant([reading(point, value, seconds, came) for point, value in zip(POINTS, values, strict=False)])


def seen(hub: Any, diary: Any, desk: Desk) -> object:
    slots = hub.members[STATION.id].slots.values()
    return (
        [(it.value, it.trusted, it.quality, it.why, it.at, it.heard, it.calm, it.last_good) for it in slots],
        diary.rows,
        desk.changes,
        [(alarm.rule, alarm.state) for alarm in hub.book.standing()],
        hub.counts,
    )


VALUES = {  # the good ones, and what is weighed
    "sump.level": ([1.0, 2, 2.9, 3.5], [99.0, float("nan"), None, "x"]),
    "pump1.state": (["stopped", "running"], ["gone", 1]),
    "pump1.running": ([True, False, 1], [7]),
    "pump1.speed": ([0.0, 48.5, 49], [-5.0, 10**400]),
}


@st.composite
def polls(draw: Any) -> list[tuple[float, float, list[tuple[str, Any, Quality, Words | None]]]]:
    """When, how late, and what: mostly the same points, mostly good."""
    rows = []
    for _ in range(draw(st.integers(2, 12))):
        points = draw(st.sampled_from([*[POINTS] * 5, POINTS[:2], POINTS[2:], (*POINTS, "sump.level")]))
        good = draw(st.integers(0, 3)) > 0
        row = []
        for point in points:
            usual, strange = VALUES[point]
            doubt = (GOOD, None) if good else draw(st.sampled_from([(GOOD, None), (BAD, Words("quality.stale"))]))
            row.append((point, draw(st.sampled_from(usual if good else usual + strange)), *doubt))
        rows.append(
            (draw(st.sampled_from([1.0, 1.0, 5.0, 40.0])), draw(st.sampled_from([0.0] * 5 + [3.0, 700.0])), row)
        )
    return rows


async def told(polled: Any, *, calm: bool) -> object:
    hub, diary, clock = small_hub()
    desk = Desk()
    hub.watch(desk)
    for wait_s, late_s, row in polled:
        await clock.advance(wait_s)
        now = clock.monotonic()
        readings = [reading(point, value, now - late_s, now, quality=q, why=why) for point, value, q, why in row]
        hub.take(of_one_instant(readings) if calm else readings)
        hub.tick()
    return seen(hub, diary, desk)


@given(polls())
def test_a_calm_hand_ends_as_the_same_readings_one_by_one(polled: Any):
    calm, one_by_one = (asyncio.run(told(polled, calm=calm)) for calm in (True, False))
    assert repr(calm) == repr(one_by_one)  # repr: NaN is NaN


def test_a_point_that_two_polls_read_has_the_time_of_the_newest():
    hub, _, _ = small_hub()
    slots = hub.members[STATION.id].slots
    for second in (0, 1, 2):
        hub.take(hand(second, 1.0 + second, "running"))
    hub.take([reading("pump1.state", "stopped", 3)])
    assert (slots["sump.level"].at, slots["pump1.state"].at) == (at(2), at(3))
    hub.take(hand(4, 5.0, "stopped"))
    assert (slots["sump.level"].at, slots["pump1.state"].at, slots["pump1.state"].value) == (at(4), at(4), "stopped")


def test_a_calm_poll_wakes_the_rules_of_what_moved_and_no_others():
    rule = Limit()
    hub, _, _ = small_hub(rule)
    for second in range(3):
        hub.take(hand(second, 1.0, "running", True, 48.0))
    before = len(rule.judged)
    hub.take(hand(3, 1.0, "running", True, 48.5))
    assert len(rule.judged) == before, "no rule reads the speed"
    hub.take(hand(4, 1.5, "running", True, 48.5))
    assert rule.judged[before:] == [(STATION.id, 1.5, "running")]


async def test_after_a_silence_a_poll_that_says_the_same_is_news():
    hub, _, clock = small_hub()
    desk = Desk()
    hub.watch(desk)
    for second in range(3):
        hub.take(hand(second, 1.0, "running"))
        await clock.advance(1)
    await clock.advance(60)
    hub.tick()
    assert hub.members[STATION.id].slots["sump.level"].quality is not GOOD
    desk.changes.clear()
    hub.take(hand(63, 1.0, "running"))
    assert desk.changes == [(STATION.id, ["sump.level", "pump1.state"])]
    assert hub.members[STATION.id].slots["sump.level"].quality is GOOD
