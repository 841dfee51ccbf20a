"""The performance of the alarms: counted by hand on small days, and on what a real ledger holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.alarm_kpis import Flood, kpis
from hub.alarms import AlarmBook
from hub.clock import ManualClock
from hub.ledger import Ledger
from hub.model import AlarmChange, AlarmEvent, Severity
from tests.hub.kit import NOON, at

RAISED, RETURNED, SEEN, SHELVED, UNSHELVED = (
    AlarmEvent.RAISED,
    AlarmEvent.RETURNED,
    AlarmEvent.ACKNOWLEDGED,
    AlarmEvent.SHELVED,
    AlarmEvent.UNSHELVED,
)


def change(alarm: str, event: AlarmEvent, s: float, rule: str = "high", **more: Any) -> AlarmChange:
    severity = more.pop("severity", Severity.HIGH)
    return AlarmChange(alarm, event, more.pop("device", "ps-1"), rule, at(s), at(s), severity, **more)


def of(*changes: AlarmChange, hours: float = 24, operators: int = 1) -> Any:
    ordered = sorted(changes, key=lambda it: it.at)
    end = NOON + timedelta(hours=hours)
    return kpis(ordered, AlarmBook(ordered).standing(), NOON, end, operators)


def test_an_occurrence_is_one_alarm_however_often_it_came_back():
    it = of(
        *(change("a", event, s) for s, event in ((0, RAISED), (5, RETURNED), (20, RAISED), (50, RETURNED))),
        change("b", RAISED, 3_600, chatters=True),
    )
    assert (it.alarms, it.most_in_a_period) == (2, 1)
    (actor,) = it.actors
    assert (actor.alarms, actor.came_back, actor.chattered, actor.fleeting, actor.lasted_s) == (2, 1, 1, 0, 50)
    assert it.a_period == pytest.approx(2 / 144)
    assert of(change("a", RAISED, 0), operators=4).a_period == pytest.approx(1 / 144 / 4)


def test_a_flood_is_more_than_ten_for_each_operator_in_ten_minutes():
    burst = [change(f"{n}", RAISED, 600 * (n // 11) + n, rule=f"{n}") for n in range(22)]
    it = of(*burst, change("later", RAISED, 7_200))
    assert it.floods == (Flood(NOON, at(1_200), 22),)
    assert it.flood_share == pytest.approx(2 / 144)
    assert it.most_in_a_period == 11
    assert of(*burst, operators=2).floods == ()
    assert of(*burst[:10]).floods == ()


def test_answers_are_measured_against_what_the_severity_allows():
    it = of(
        change("a", RAISED, 0, severity=Severity.URGENT),
        change("a", SEEN, 170),
        change("a", SEEN, 500),
        change("b", RAISED, 1_000, rule="other", severity=Severity.URGENT),
        change("b", SEEN, 1_200, rule="other"),
        change("c", RAISED, 2_000, rule="third", severity=Severity.URGENT),
    )
    urgent = it.answers[0]
    assert (urgent.alarms, urgent.acknowledged, urgent.in_time, urgent.median_s) == (3, 2, 1, 185)
    assert it.answers[3].median_s is None


def test_what_was_shelved_called_nobody_and_what_stands_for_a_day_is_stale():
    until = at(30 * 3_600)
    it = of(
        change("a", RAISED, 0),
        change("b", RAISED, 10, rule="aside"),
        change("b", SHELVED, 20, rule="aside", until=until),
        change("b", RETURNED, 30, rule="aside"),
        change("c", RAISED, 40, rule="aside"),
        change("c", UNSHELVED, 50, rule="aside"),
        change("c", RETURNED, 60, rule="aside"),
        change("d", RAISED, 70, rule="aside"),
        hours=25,
    )
    assert it.alarms == 3
    assert set(it.stale) == {"a", "d"}
    assert (it.days[0][1], len(it.days)) == (3, 2)


def test_nothing_is_a_perfect_day():
    it = of()
    assert (it.alarms, it.a_period, it.flood_share, it.actors_share, it.actors) == (0, 0, 0, 0, ())


async def test_a_ledger_tells_what_lies_in_the_time_and_of_whom_one_may_see(tmp_path: Path):
    clock = ManualClock()
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock)
    old = [change(f"old{n}", RAISED, -86_400 * 3 + n, rule=f"{n}") for n in range(20)]
    new = [change(f"new{n}", RAISED, n, rule=f"{n}", device=f"ps-{n % 2}") for n in range(20)]
    await ledger.append(*old, *new)
    found, cut = await ledger.alarms_between(NOON, at(10))
    assert ([it.alarm for it in found], cut) == ([f"new{n}" for n in range(10)], False)
    mine, _ = await ledger.alarms_between(NOON, at(10), {"ps-1"})
    assert {it.device for it in mine} == {"ps-1"}
    await ledger.close()
