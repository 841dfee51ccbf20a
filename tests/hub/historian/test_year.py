"""A year of a (small) county: written day by day, asked at every zoom, purged by tier, backed up and started again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.historian import checking, questions, reader
from hub.historian.backup import back_up
from hub.historian.base import DAY_US, Batch, to_datetime
from hub.historian.engine import EmbeddedHistorian
from hub.historian.rollup import HOUR_US, MINUTE_US, RUNS
from hub.historian.spells import held
from hub.model import Kind

DAYS, STATIONS, EVERY_S = 365, 2, 300
FIRST = 20_000
START, END = FIRST * DAY_US, (FIRST + DAYS) * DAY_US
A_DAY = 86_400 // EVERY_S
ZOOMS = [None, MINUTE_US * 5, HOUR_US, 6 * HOUR_US, DAY_US, 7 * DAY_US]


def level(at_us: Any, station: int) -> Any:
    """Metres: rises and falls by the tide and with the seasons."""
    day = (at_us - START) / DAY_US
    return np.round(2 + np.sin(2 * math.pi * day / 0.5175 + station) + np.cos(2 * math.pi * day / 365), 3)


def running(at_us: Any) -> Any:
    """A pump that runs for the first quarter of each hour, in summer for half of it."""
    summer = np.abs((at_us - START) // DAY_US - DAYS // 2) < 45
    return (at_us % HOUR_US < np.where(summer, 2, 1) * HOUR_US // 4).astype(float)


@pytest.mark.slow
async def test_a_year_of_a_county(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = ManualClock(to_datetime(START))
    store = await EmbeddedHistorian.open(tmp_path / "history", clock)
    levels = [store.catalogue.number(f"ps-{it}", "inlet.level", Kind.NUMBER, "m") for it in range(STATIONS)]
    pumps = [store.catalogue.number(f"ps-{it}", "pump1.running", Kind.BOOL, "") for it in range(STATIONS)]
    for day in range(FIRST, FIRST + DAYS):
        at = day * DAY_US + np.arange(A_DAY) * EVERY_S * 1_000_000
        values = [level(at, it) for it in range(STATIONS)] + [running(at)] * STATIONS
        series = np.repeat(np.array([*levels, *pumps], np.int32), A_DAY)
        quality = np.full(len(series), 2, np.uint8)
        await store.write(Batch(series, np.tile(at, 2 * STATIONS), np.concatenate(values), quality))
        clock.jump((to_datetime((day + 1) * DAY_US) - clock.now()).total_seconds() + 2 * 3600)
        await store.seal()
        await store.compact()
    assert store.health.segments == DAYS
    assert store.health.segment_points == DAYS * A_DAY * 2 * STATIONS
    assert store.health.segment_bytes / store.health.segment_points < 6

    await every_zoom(store, levels[1], 1)
    await hours_of_the_pump(store, pumps[0], monkeypatch)
    await backed_up(store, tmp_path)

    # Retention: 30 days of readings, 90 of minutes, all hours.
    before = (await store.buckets([levels[1]], START, END, DAY_US))[levels[1]]
    await store.purge(30, {MINUTE_US: 90, HOUR_US: 0, RUNS: 0})
    assert store.health.segments == 30
    after = (await store.buckets([levels[1]], START, END, DAY_US))[levels[1]]
    for name in ("start_us", "count", "min", "max", "last"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), name)
    np.testing.assert_allclose(after.mean, before.mean)
    await hours_of_the_pump(store, pumps[0], monkeypatch)
    minutes = (await store.buckets([levels[1]], END - 60 * DAY_US, END - 59 * DAY_US, MINUTE_US))[levels[1]]
    assert len(minutes) == A_DAY
    assert checking.check(tmp_path / "history").faults == []
    await store.close()


async def every_zoom(store: EmbeddedHistorian, series: int, station: int) -> None:
    """From the whole year to an hour: what is told is what was written, and never more than a chart can show."""
    span = END - START
    while span >= HOUR_US:
        start = END - span
        step = next((it for it in ZOOMS if it and span // it <= 2_000), ZOOMS[-1])
        assert step is not None
        told = (await store.buckets([series], start, END, step))[series]
        assert 0 < len(told) <= 2_001
        truth = level(np.arange(told.start_us[0], END, EVERY_S * 1_000_000), station)
        assert told.count.sum() == len(truth)
        assert (told.min.min(), told.max.max(), told.last[-1]) == (truth.min(), truth.max(), truth[-1])
        span //= 4


async def hours_of_the_pump(store: EmbeddedHistorian, pump: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the days of Shanghai; of a year that is over the readings need not be asked."""
    edges = [it - 8 * HOUR_US for it in range(START + DAY_US, END, DAY_US)]
    with monkeypatch.context() as only_runs:
        only_runs.setattr(reader, "MOST_POINTS", 60_000)
        told = [it for it in held((await store.spells([pump], edges[0], edges[-1]))[pump], edges) if it.value == 1.0]
    assert len(told) == len(edges) - 1
    assert {it.entered for it in told} <= {23, 24}
    hours = [it.held_us / HOUR_US for it in told]
    assert min(hours) == pytest.approx(6, abs=0.1)
    assert max(hours) == pytest.approx(12, abs=0.1)
    assert sum(it > 9 for it in hours) == pytest.approx(89, abs=2)


async def backed_up(store: EmbeddedHistorian, folder: Path) -> None:
    """While it is open; the copy is whole, and says the same."""
    copied = back_up(folder / "history", folder / "copy")
    assert copied.files == store.health.segments + store.health.rollups
    assert checking.check(folder / "copy").faults == []
    copy = await EmbeddedHistorian.open(folder / "copy", ManualClock(to_datetime(END)))
    series = [it.id for it in copy.catalogue.all()]
    one, other = [await it.buckets(series, START, END, DAY_US) for it in (store, copy)]
    for number in series:
        assert one[number].count.tolist() == other[number].count.tolist()
        assert one[number].mean.tolist() == other[number].mean.tolist()
    counts = await questions.counts(copy, series[:1], [START, START + DAY_US, END])
    assert [it.count for it in counts[series[0]]] == [A_DAY, A_DAY * (DAYS - 1)]
    await copy.close()
