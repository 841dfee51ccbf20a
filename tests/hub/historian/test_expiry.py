"""Readings of one profile that go sooner: out of their days' files, told in hours, and those of others untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.config_tables import HistoryTable
from hub.historian import checking
from hub.historian.base import DAY_US, Batch, to_datetime
from hub.historian.engine import EmbeddedHistorian
from hub.historian.rollup import HOUR_US
from hub.model import Kind

START = 20_000 * DAY_US
DAYS = 6
NOW = START + DAYS * DAY_US + 2 * HOUR_US


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    """Six days of a ditch's meter and of a pump station, a reading a minute."""
    it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(NOW)))
    at = START + np.arange(DAYS * 1440) * 60_000_000
    for series, device in ((64, "ditch-1"), (128, "ps-1")):
        assert it.catalogue.number(device, "level", Kind.NUMBER, "m") == series
        await it.write(Batch.of(np.full(len(at), series), at, np.arange(len(at)) / 8 + series, np.full(len(at), 2)))
    await it.seal()
    await it.compact()
    yield it
    await it.close()


async def days_of(store: EmbeddedHistorian, series: int) -> list[int]:
    told = (await store.range([series], START, START + DAYS * DAY_US))[series]
    return sorted({int(it) - 20_000 for it in np.unique(told.at_us // DAY_US)})


async def test_what_is_older_than_its_profile_allows_goes_and_its_hours_stay(store: EmbeddedHistorian, tmp_path: Path):
    hours = await store.buckets([64, 128], START, START + DAYS * DAY_US, HOUR_US)
    size = store.health.segment_bytes
    assert await store.expire([(2, [64])]) == 4 * 1440
    assert await days_of(store, 64) == [4, 5]
    assert await days_of(store, 128) == list(range(DAYS))
    assert store.health.segment_bytes < size
    after = await store.buckets([64, 128], START, START + DAYS * DAY_US, HOUR_US)
    for series in (64, 128):
        for name in ("start_us", "count", "min", "max", "last"):
            np.testing.assert_array_equal(getattr(after[series], name), getattr(hours[series], name))
    assert checking.check(tmp_path / "history").faults == []


async def test_it_is_done_once_and_again_when_more_days_are_old(store: EmbeddedHistorian):
    assert await store.expire([(2, [64])]) > 0
    files = {it.file for it in store._view.segments}
    assert await store.expire([(2, [64])]) == 0
    assert {it.file for it in store._view.segments} == files
    assert await store.expire([(2, [64]), (3, [128])]) == 3 * 1440
    assert await days_of(store, 128) == [3, 4, 5]
    clock = store._clock
    assert isinstance(clock, ManualClock)
    clock.jump(86_400)
    assert await store.expire([(2, [64]), (3, [128])]) == 2 * 1440


async def test_another_series_in_its_place_is_looked_for_anew(store: EmbeddedHistorian):
    assert await store.expire([(3, [129])]) == 0
    assert await store.expire([(3, [128])]) == 3 * 1440


async def test_after_a_restart_it_is_as_it_was(store: EmbeddedHistorian, tmp_path: Path):
    await store.expire([(2, [64])])
    await store.close()
    again = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(NOW)))
    assert again.health.damage == ()
    assert await days_of(again, 64) == [4, 5]
    assert await again.expire([(2, [64])]) == 0
    await again.close()


async def test_a_day_that_late_readings_wait_for_is_not_touched_before_they_are_in(store: EmbeddedHistorian):
    await store.write(Batch.of([64], [START + 5], [7.0], [2]))
    await store.seal()
    await store.expire([(2, [64])])
    assert await days_of(store, 64) == [0, 4, 5]
    store._late_taken_on = -1
    await store.compact()
    await store.expire([(2, [64])])
    assert await days_of(store, 64) == [4, 5]
    assert await days_of(store, 128) == list(range(DAYS))


def test_only_sooner_than_the_others():
    with pytest.raises(ValueError, match="can only go sooner"):
        HistoryTable.model_validate({"readings_days": 30, "profiles": {"ditch": 30}})
    assert HistoryTable.model_validate({"profiles": {"ditch": 30}}).profiles == {"ditch": 30}
