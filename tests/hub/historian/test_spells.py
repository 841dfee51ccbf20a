"""How long a pump ran: from its readings, through a day's runs, by the days of the place where one asks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.historian.base import DAY_US, Batch, Columns, Held, to_datetime
from hub.historian.engine import EmbeddedHistorian
from hub.historian.rollup import HOUR_US, MINUTE_US, RUNS
from hub.historian.spells import held, runs_of, spells
from hub.model import Kind, Quality

START = 20_000 * DAY_US
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)


def readings(*them: tuple[float, float, int]) -> Columns:
    """(minute, value, quality)"""
    minutes, value, quality = zip(*them, strict=True)
    at = START + np.array(minutes) * MINUTE_US
    return Columns(at.astype(np.int64), np.array(value, np.float64), np.array(quality, np.uint8))


def minutes(*them: tuple[float, float, int]) -> list[tuple[int, int, float, bool]]:
    told = spells(runs_of(readings(*them)), START, START + DAY_US)
    starts, ends = ((it - START) // MINUTE_US for it in (told.start_us, told.end_us))
    return list(zip(starts.tolist(), ends.tolist(), told.value.tolist(), told.entered.tolist(), strict=True))


def test_a_state_holds_until_the_next_reading():
    told = minutes((0, 0.0, GOOD), (10, 1.0, GOOD), (20, 1.0, GOOD), (30, 0.0, GOOD))
    assert told == [(0, 10, 0.0, False), (10, 30, 1.0, True), (30, 90, 0.0, True)]


def test_a_silent_device_is_not_running_for_ever():
    assert minutes((0, 1.0, GOOD), (500, 1.0, GOOD)) == [(0, 60, 1.0, False), (500, 560, 1.0, False)]


def test_after_a_silence_or_a_bad_reading_nobody_knows_whether_it_was_started():
    told = minutes((0, 0.0, GOOD), (10, 1.0, BAD), (20, 1.0, GOOD), (30, math.nan, GOOD), (40, 0.0, GOOD))
    assert told == [(0, 10, 0.0, False), (20, 30, 1.0, False), (40, 100, 0.0, False)]


def test_by_the_days_of_shanghai():
    it = spells(runs_of(readings((0, 0.0, GOOD), (50, 1.0, GOOD), (100, 1.0, GOOD))), START, START + DAY_US)
    edges = [START + minute * MINUTE_US for minute in (-60, 30, 60, 120, 1000)]
    assert held(it, edges) == [
        Held(edges[0], 0.0, 30 * MINUTE_US, 0),
        Held(edges[1], 0.0, 20 * MINUTE_US, 0),
        Held(edges[1], 1.0, 10 * MINUTE_US, 1),
        Held(edges[2], 1.0, 60 * MINUTE_US, 0),
        Held(edges[3], 1.0, 40 * MINUTE_US, 0),
    ]
    assert held(spells(runs_of(readings((0, 0.0, BAD))), START, START + DAY_US), edges) == []


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    """A pump that runs 30 of each 50 minutes, read every 10 s, for three days."""
    it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(START + 4 * DAY_US)))
    pump = it.catalogue.number("ps-1", "pump1.running", Kind.BOOL, "")
    level = it.catalogue.number("ps-1", "level", Kind.NUMBER, "m")
    at = START + np.arange(3 * 8640) * 10_000_000
    value = (np.arange(len(at)) % 300 < 180).astype(float)
    for series in (pump, level):
        await it.write(Batch.of(np.full(len(at), series), at, value, np.full(len(at), 2)))
    await it.seal()
    yield it, pump, level
    await it.close()


async def test_days_that_are_over_are_told_from_their_runs(store: Any, monkeypatch: pytest.MonkeyPatch):
    it, pump, level = store
    edges = [START - 8 * HOUR_US + day * DAY_US for day in range(5)]
    before = await it.spells([pump, level], edges[0], edges[-1])
    await it.compact()
    runs = it._view.rollups[RUNS, START // DAY_US]
    assert runs.rows == len(np.flatnonzero(before[pump].start_us < START + DAY_US)), "of the level there are none"
    monkeypatch.setattr(it._shelf, "read", None)  # the readings are not asked
    after = await it.spells([pump], edges[0], edges[-1])
    for one, other in ((before[pump], after[pump]), (before[level], before[pump])):
        for name in ("start_us", "end_us", "value", "entered"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist()
    ran = [row.held_us / HOUR_US for row in held(after[pump], edges) if row.value == 1.0]
    assert sum(ran) == pytest.approx(3 * 24 * 0.6, abs=1.2)
    assert len(ran) == 4


async def test_it_is_known_when_the_readings_are_gone(store: Any):
    it, pump, _ = store
    await it.compact()
    before = await it.spells([pump], START, START + 3 * DAY_US)
    await it.keep(START + 2 * DAY_US, {})
    after = await it.spells([pump], START, START + 3 * DAY_US)
    assert after[pump].start_us.tolist() == before[pump].start_us.tolist()
    late = START + DAY_US + 5 * HOUR_US
    await it.write(Batch.of([pump], [late], [7.0], [GOOD]))  # of a day whose readings are gone: too late
    assert 7.0 not in (await it.spells([pump], START, START + 3 * DAY_US))[pump].value
    await it.keep(START + 2 * DAY_US, {RUNS: START + DAY_US})
    assert (await it.spells([pump], START, START + 3 * DAY_US))[pump].start_us[0] == START + DAY_US
