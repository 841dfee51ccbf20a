"""Many files of a day become one: when, which, and that no answer changes by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.historian import compaction, files
from hub.historian.base import DAY_US, Batch, HistoryUnavailable, to_datetime, to_us
from hub.historian.compaction import DAY_LEVEL, JOIN_FILES, due
from hub.historian.engine import EmbeddedHistorian
from hub.historian.journal import Segment

DAY = 20_000
NOON = DAY * DAY_US + DAY_US // 2
HOUR = 3_600_000_000
EVER = (-(1 << 60), 1 << 60)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedHistorian]:
    it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(to_datetime(NOON)))
    yield it
    await it.close()


async def sealed(store: EmbeddedHistorian, at_us: int, value: float, series: int = 64) -> None:
    await store.write(Batch.of([series], [at_us], [value], [2]))
    await store.seal()


def levels(store: EmbeddedHistorian) -> list[tuple[int, int]]:
    """(day, level) of each."""
    return [(it.day, it.level) for it in store._view.segments]


async def test_a_day_that_goes_on_has_few_files(store: EmbeddedHistorian):
    for n in range(JOIN_FILES - 1):
        await sealed(store, NOON + n, n)
    assert await store.compact() == 0
    await sealed(store, NOON + 7, 7.0)
    assert await store.compact() == JOIN_FILES - 1
    assert levels(store) == [(DAY, 1)]
    for n in range(8, JOIN_FILES**2 + 3):
        await sealed(store, NOON + n, n)
        await store.compact()
    assert levels(store) == [(DAY, 2), (DAY, 0), (DAY, 0), (DAY, 0)]
    told = (await store.range([64], *EVER))[64]
    assert told.value.tolist() == list(range(JOIN_FILES**2 + 3))


async def test_a_day_that_is_over_is_one_file_and_late_readings_are_taken_in_at_night(
    store: EmbeddedHistorian, tmp_path: Path
):
    clock = store._clock
    assert isinstance(clock, ManualClock)
    for n in range(3):
        await sealed(store, NOON + n, n)
    await sealed(store, NOON, 10.0)  # written again, later: it is right
    await store.compact()
    assert levels(store) == [(DAY, 0)] * 4, "the day is not over"
    await clock.advance(timedelta(hours=13, minutes=1).total_seconds())
    assert await store.compact() == 3
    assert levels(store) == [(DAY, DAY_LEVEL)]
    await sealed(store, NOON + 1, 20.0)  # late
    assert await store.compact() == 0, "not at once: a day is large"
    assert levels(store) == [(DAY, DAY_LEVEL), (DAY, 0)]
    await clock.advance(timedelta(days=1).total_seconds())
    assert await store.compact() == 1
    assert levels(store) == [(DAY, DAY_LEVEL)]
    assert (await store.range([64], *EVER))[64].value.tolist() == [10.0, 20.0, 2.0]
    names = sorted(it.name.split(".")[1] for it in (tmp_path / "history" / "segments").iterdir())
    assert names == ["1h", "1m", "l9"]
    await store.close()
    again = await EmbeddedHistorian.open(tmp_path / "history", clock)
    assert (await again.range([64], *EVER))[64].value.tolist() == [10.0, 20.0, 2.0]
    await again.close()


async def test_a_day_larger_than_the_memory_for_it_is_merged_in_slices(
    store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compaction, "SLICE_POINTS", 1_000)
    monkeypatch.setattr(files, "ROW_GROUP", 100)
    random = np.random.default_rng(1)
    asked: list[tuple[int, int]] = []
    real = compaction._slice

    def noted(some: object, low: int, high: int, floor_us: int) -> Batch:
        batch = real(some, low, high, floor_us)  # type: ignore[arg-type]
        asked.append((low, len(batch)))
        return batch

    monkeypatch.setattr(compaction, "_slice", noted)
    for _ in range(8):
        series = random.integers(64, 4_000, 2_000).astype(np.int32)
        at = NOON + random.integers(0, HOUR, 2_000)
        await store.write(Batch.of(series, at, random.normal(size=2_000), np.full(2_000, 2)))
        await store.seal()
    wanted = list(range(64, 4_000))
    before = await store.range(wanted, *EVER)
    await store.compact()
    after = await store.range(wanted, *EVER)
    assert all((before[it].at_us == after[it].at_us).all() for it in wanted)
    assert all((before[it].value == after[it].value).all() for it in wanted)
    assert len(asked) > 8
    assert max(count for _, count in asked) < 3_000


async def test_what_is_forgotten_is_not_carried_on(store: EmbeddedHistorian):
    for n in range(JOIN_FILES):
        await store.write(Batch.of([64, 64], [NOON + n, NOON + 3 * HOUR + n], [0.0, n], [2, 2]))
        await store.seal()
    await store.drop_before(NOON + HOUR)
    assert await store.compact() == JOIN_FILES - 1
    assert store._view.segments[0].points == JOIN_FILES
    assert (await store.range([64], *EVER))[64].value.tolist() == list(range(JOIN_FILES))


async def test_a_file_that_cannot_be_read_stops_its_day_only_and_is_told(store: EmbeddedHistorian, tmp_path: Path):
    for n in range(JOIN_FILES):
        await sealed(store, NOON + n, n)
    broken = tmp_path / "history" / "segments" / store._view.segments[3].file
    plain = broken.read_bytes()
    broken.write_bytes(plain[:100])
    later = NOON + 2 * DAY_US
    for n in range(JOIN_FILES):
        await sealed(store, later + n, n)
    with pytest.raises(HistoryUnavailable, match=r"8 files from 2024-10-04.l0.* cannot be merged: .* from a backup"):
        await store.compact()
    assert "cannot be merged" in store.health.merge_error
    assert levels(store) == [*[(DAY, 0)] * JOIN_FILES, (DAY + 2, 1)], "the other day is merged"
    broken.write_bytes(plain)
    assert await store.compact() == JOIN_FILES - 1
    assert store.health.merge_error == ""
    assert len((await store.range([64], *EVER))[64]) == 2 * JOIN_FILES


async def test_files_that_are_dropped_while_they_are_merged_stay_dropped(
    store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for n in range(JOIN_FILES):
        await sealed(store, NOON + n, n)
    real = compaction.merge

    def dropped_meanwhile(*how: object) -> object:
        new = real(*how)  # type: ignore[arg-type]
        store._commits.submit(store._drop_before, NOON + HOUR, NOON + HOUR, {}).result()
        return new

    monkeypatch.setattr(compaction, "merge", dropped_meanwhile)
    assert await store.compact() == 0
    assert levels(store) == []
    assert list((tmp_path / "history" / "segments").iterdir()) == []


def segment(id: int, level: int = 0, day: int = DAY, last_day: int = DAY) -> Segment:
    return Segment(id, level, day, day * DAY_US, last_day * DAY_US + 5, 1, 1, f"{id}")


def test_what_was_written_between_two_files_keeps_its_place():
    """A file of many days (a device without a clock) may know the same times: nothing is merged past it."""
    run = [segment(id) for id in range(1, JOIN_FILES + 1)]
    assert due(run, NOON) == tuple(run)
    lumped = segment(100, last_day=DAY + 3)
    assert due([*run, lumped], NOON) == tuple(run), "it was written after all of them"
    run = [*run[:-1], segment(101)]
    assert due([*run[:-1], lumped, run[-1]], NOON) == ()
    later = segment(100, day=DAY + 1, last_day=DAY + 3)
    assert due([*run[:-1], later, run[-1]], NOON) == tuple(run), "it knows nothing of that day"


def test_when_a_day_is_over():
    some = (segment(1, DAY_LEVEL), segment(2))
    over = (DAY + 1) * DAY_US + compaction.DAY_IS_OVER_US
    assert due((segment(1),), over - 1) == ()
    assert due((segment(1),), over) == (segment(1),), "also one file: it is written as a whole day"
    assert due((segment(1, DAY_LEVEL),), over) == ()
    assert due(some, over) == ()
    assert due(some, over, late_too=True) == some
    assert to_us(to_datetime(NOON)) == NOON
