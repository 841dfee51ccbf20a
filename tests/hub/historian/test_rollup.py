"""Roll-ups: the same answers as the readings give, also when those are forgotten; and what a file of them holds."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hub.clock import ManualClock
from hub.historian import reader
from hub.historian.base import DAY_US, Batch, Buckets, HistoryUnavailable, to_datetime
from hub.historian.engine import EmbeddedHistorian
from hub.historian.rollup import HOUR_US, MINUTE_US

DAY = 20_000
START = DAY * DAY_US
NEVER = -(1 << 60)
SERIES = [64, 65, 66]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedHistorian]:
    """Two days that are over, a reading every 10 s: a noisy value, a state, and one with gaps."""
    it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(START + 3 * DAY_US)))
    random = np.random.default_rng(1)
    at = START + np.arange(2 * 8640) * 10_000_000
    for series, value, quality in (
        (64, random.normal(2, 0.5, len(at)), 2),
        (65, (np.arange(len(at)) // 700 % 2).astype(float), 2),
        (66, np.where(np.arange(len(at)) % 5000 < 2000, np.nan, 7.5), np.where(np.arange(len(at)) % 3, 2, 0)),
    ):
        await it.write(Batch.of(np.full(len(at), series), at, value, np.broadcast_to(quality, len(at))))
        await it.seal()
    yield it
    await it.close()


def same(one: Buckets, other: Buckets) -> None:
    for name in Buckets.__struct_fields__:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, err_msg=name)


STEPS = [MINUTE_US, 5 * MINUTE_US, HOUR_US, 24 * HOUR_US, 36 * HOUR_US]


@pytest.mark.parametrize("step", STEPS)
async def test_a_roll_up_says_what_the_readings_say(store: EmbeddedHistorian, step: int, monkeypatch: Any):
    period = (START + 7 * HOUR_US, START + 40 * HOUR_US)
    before = await store.buckets(SERIES, *period, step)
    await store.compact()
    assert store.health.rollups == 4

    def no_readings(*_: Any) -> Any:
        raise AssertionError("the readings were asked")

    monkeypatch.setattr(store._shelf, "read", no_readings)
    after = await store.buckets(SERIES, *period, step)
    for it in SERIES:
        same(before[it], after[it])


async def test_readings_that_came_after_it_count(store: EmbeddedHistorian):
    await store.compact()
    late = START + 5 * HOUR_US
    await store.write(Batch.of([64], [late], [99.0], [2]))  # in the head
    day = (START, START + DAY_US, HOUR_US)
    assert (await store.buckets([64], *day))[64].max[5] == 99.0
    assert (await store.buckets([65], *day))[65].max[5] <= 1.0
    await store.seal()  # in a file of its own
    assert (await store.buckets([64], *day))[64].max[5] == 99.0
    store._late_taken_on = -1
    await store.compact()
    assert store.health.segments == 2
    assert (await store.buckets([64], *day))[64].max[5] == 99.0


async def test_tiers_are_forgotten_one_after_the_other(store: EmbeddedHistorian, tmp_path: Path):
    await store.compact()
    day = (START, START + DAY_US)
    minutes = (await store.buckets(SERIES, *day, MINUTE_US))[64]
    hours = (await store.buckets(SERIES, *day, HOUR_US))[64]

    assert await store.keep(START + DAY_US + HOUR_US, {}) == 3 * 8640, "whole days only"
    assert len((await store.range([64], *day))[64]) == 0
    assert (await store.last_before([64], START + DAY_US))[64] is None
    same((await store.buckets([64], *day, MINUTE_US))[64], minutes)
    finer = (await store.buckets([64], *day, 10_000_000))[64]
    same(finer, minutes)  # what is left, at its own steps
    await store.write(Batch.of([64], [START + 1], [5.0], [2]))  # too old to be kept
    await store.seal()
    await store.compact()
    same((await store.buckets([64], *day, HOUR_US))[64], hours)

    assert await store.keep(NEVER, {MINUTE_US: START + DAY_US}) > 0
    same((await store.buckets([64], *day, MINUTE_US))[64], hours)
    await store.close()
    again = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(START + 3 * DAY_US)))
    same((await again.buckets([64], *day, HOUR_US))[64], hours)
    assert len((await again.range([64], START + DAY_US, START + 2 * DAY_US))[64]) == 8640
    await again.drop_before(START + DAY_US)
    assert len((await again.buckets([64], *day, HOUR_US))[64]) == 0, "for good"
    assert again.health.rollups == 2
    await again.close()


async def test_days_go_when_they_are_old_enough_and_never_before_they_are_rolled_up(store: EmbeddedHistorian):
    kept = (1, {MINUTE_US: 1, HOUR_US: 0})
    assert await store.purge(*kept) == 0, "no day of it is rolled up yet"
    await store.compact()
    minutes = store._view.rollups[MINUTE_US, DAY].rows
    assert await store.purge(*kept) == 3 * 8640 + minutes
    assert await store.purge(*kept) == 0
    assert sorted(store._view.rollups) == [
        (MINUTE_US, DAY + 1),
        (HOUR_US, DAY),
        (HOUR_US, DAY + 1),
    ]
    told = (await store.buckets([65], START, START + 2 * DAY_US, DAY_US))[65]
    assert told.count.tolist() == [8640, 8640]


async def test_a_clock_that_was_set_years_ahead_makes_nothing_old(store: EmbeddedHistorian):
    await store.compact()
    clock = store._clock
    assert isinstance(clock, ManualClock)
    clock.jump(10 * 365 * 86_400)
    assert await store.purge(2, {MINUTE_US: 2, HOUR_US: 2}) == 0
    leapt = START + (3 + 10 * 365) * DAY_US
    await store.write(Batch.of([64], [leapt - 2 * DAY_US], [1.0], [2]))
    await store.seal()
    await store.compact()
    assert await store.purge(2, {MINUTE_US: 2, HOUR_US: 2}) > 0, "a day for each day that is lived through"
    assert [it.day for it in store._view.segments] == [DAY + 1, leapt // DAY_US - 2]


async def test_a_device_without_a_clock_does_not_keep_everything(store: EmbeddedHistorian):
    """Readings of a hundred days in one seal: the oldest share a file, which is never merged or rolled up."""
    days = START - np.arange(2, 102) * DAY_US
    await store.write(Batch.of(np.full(100, 67), days, np.ones(100), np.full(100, 2)))
    await store.seal()
    await store.compact()
    assert any(it.t1_us // DAY_US > it.day for it in store._view.segments)
    told = (await store.buckets([67], int(days[-1]), START, DAY_US))[67]
    assert told.count.sum() == 100
    await store.purge(1, {MINUTE_US: 1, HOUR_US: 0})
    assert all(it.day > DAY for it in store._view.segments)


async def test_a_part_of_a_day_that_is_forgotten_is_not_told_by_its_roll_up(store: EmbeddedHistorian):
    await store.compact()
    await store.drop_before(START + 10 * HOUR_US)
    told = (await store.buckets([64], START, START + DAY_US, HOUR_US))[64]
    assert told.start_us[0] == START + 10 * HOUR_US
    assert len(told) == 14


async def test_plain_pyarrow_reads_the_files_and_a_quiet_state_costs_next_to_nothing(
    store: EmbeddedHistorian, tmp_path: Path
):
    await store.compact()
    (file,) = (tmp_path / "history" / "segments").glob("2024-10-04.1m.*.parquet")
    table = pq.read_table(file)
    assert table.column_names == ["sid", "ts", "n", "gaps", "last", "min", "max", "sum"]
    assert str(table.schema.field("ts").type) == "timestamp[us, tz=UTC]"
    state = table.filter(pq.pc.equal(table["sid"], 65)) if hasattr(pq, "pc") else table.slice(1440, 1440)
    assert state["min"].null_count > 1400, "what the last value says already is not said again"
    assert state["sum"].null_count > 1400


async def test_a_village_over_a_month_is_a_few_rows(store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "MOST_POINTS", 100)
    await store.compact()
    told = await store.buckets([64], START, START + 2 * DAY_US, 6 * HOUR_US)
    assert told[64].count.tolist() == [2160] * 8, "no readings were read for it"


async def test_a_store_of_format_1_is_taken_over(store: EmbeddedHistorian, tmp_path: Path):
    before = await store.range(SERIES, START, START + 2 * DAY_US)
    await store.close()
    with sqlite3.connect(tmp_path / "history" / "history.sqlite3") as db:  # as the version before had left it
        db.execute("DROP TABLE rollup")
        db.execute("DELETE FROM meta WHERE key = 'readings_floor_us'")
        db.execute("UPDATE meta SET value = 1 WHERE key = 'format'")
    db.close()
    again = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(START + 3 * DAY_US)))
    after = await again.range(SERIES, START, START + 2 * DAY_US)
    assert all((before[it].at_us == after[it].at_us).all() for it in SERIES)
    await again.compact()
    assert again.health.rollups == 4
    await again.close()


async def test_over_their_size_the_oldest_readings_go_and_their_hours_stay(store: EmbeddedHistorian):
    await store.compact()
    size = store.health.segment_bytes + store.health.rollup_bytes
    assert await store.purge(0, {}, size) == 0
    before = (await store.buckets([64], START, START + 2 * DAY_US, HOUR_US))[64]
    assert await store.purge(0, {}, size - 1) > 0
    assert [it.day for it in store._view.segments] == [DAY + 1]
    same((await store.buckets([64], START, START + 2 * DAY_US, HOUR_US))[64], before)
    assert await store.purge(0, {}, 1) == 0, "the newest day stays"


async def test_a_roll_up_that_cannot_be_read_is_no_loss_while_there_are_readings(
    store: EmbeddedHistorian, tmp_path: Path
):
    await store.compact()
    asked = ([64], START, START + 2 * DAY_US, HOUR_US)
    before = (await store.buckets(*asked))[64]
    store._shelf._idle.clear()
    for it in (tmp_path / "history" / "segments").glob("*.1h.*"):
        it.write_bytes(it.read_bytes()[:-200])
    same((await store.buckets(*asked))[64], before)
    await store.keep(START + DAY_US, {})
    with pytest.raises(HistoryUnavailable):
        await store.buckets(*asked)


async def test_the_next_purge_is_told(store: EmbeddedHistorian):
    await store.compact()
    await store.purge(0, {})
    assert store.health.next_purge_us == 0
    await store.purge(5, {})
    assert store.health.next_purge_us == (DAY + 1 + 5) * DAY_US
