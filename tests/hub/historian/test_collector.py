"""The queue in front of the historian: bounded, honest about what it dropped, patient with a backend that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from hub.clock import ManualClock
from hub.historian import collector as limits
from hub.historian.base import Batch, HistoryUnavailable
from hub.historian.collector import LONGEST_PAUSE_S, Collector

AT = 1_700_000_000_000_000


class Backend:
    """A historian that keeps batches, and can be away or slow."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.tries = 0
        self.away = False
        self.gate: asyncio.Event | None = None

    async def write(self, batch: Batch) -> None:
        self.tries += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise HistoryUnavailable("the disk › is full › free space")
        self.batches.append(batch)

    @property
    def values(self) -> list[float]:
        return [value for batch in self.batches for value in batch.value.tolist()]


@asynccontextmanager
async def pumping(most_waiting: int = 1000) -> AsyncIterator[tuple[Collector, Backend, ManualClock]]:
    backend: Any = Backend()
    clock = ManualClock()
    it = Collector(backend, clock, most_waiting)
    task = asyncio.create_task(it.run())
    await asyncio.sleep(0)
    yield it, backend, clock
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_once_a_second_all_readings_are_one_batch():
    async with pumping() as (it, backend, clock):
        it.offer(AT, [64, 65], [1.0, 2.0], [2, 1])
        it.offer(AT + 5, [70], [3.0], [0])
        await clock.advance(0.9)
        assert (backend.batches, it.backlog) == ([], 3)
        await clock.advance(0.2)
        (batch,) = backend.batches
        assert batch.series.tolist() == [64, 65, 70]
        assert batch.at_us.tolist() == [AT, AT, AT + 5]
        assert batch.value.tolist() == [1.0, 2.0, 3.0]
        assert batch.quality.tolist() == [2, 1, 0]
        assert it.backlog == 0
        await clock.advance(5)
        assert len(backend.batches) == 1


async def test_a_full_batch_is_written_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BATCH_POINTS", 10)
    async with pumping() as (it, backend, clock):
        for value in range(25):
            it.offer(AT, [64], [float(value)], [2])
        await clock.advance(0)
        assert [len(batch) for batch in backend.batches] == [10, 10, 5]
        for value in range(10):
            it.offer(AT, [64], [float(value)], [2])
        await clock.advance(0)
        assert len(backend.values) == 35


async def test_what_comes_while_a_batch_is_written_is_not_late(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BATCH_POINTS", 2)
    async with pumping() as (it, backend, clock):
        backend.gate = asyncio.Event()
        it.offer(AT, [64, 65], [1.0, 2.0], [2, 2])
        await clock.advance(0)
        it.offer(AT, [64, 65], [3.0, 4.0], [2, 2])  # full again, while the first is under way
        assert it.backlog == 4
        backend.gate.set()
        await clock.advance(0)
        assert backend.values == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "bad",
    [
        ([64, 65], [1.0], [2, 2]),
        ([64], [1.0], []),
        ([64, 65], [1.0, None], [2, 2]),
        ([64, 1 << 31], [1.0, 2.0], [2, 2]),
        ([64, 65], [1.0, 2.0], [2, 256]),
        ([64, 65.5], [1.0, 2.0], [2, 2]),
    ],
)
async def test_what_is_not_numbers_of_one_length_is_refused_as_a_whole(bad: Any):
    async with pumping() as (it, backend, _):
        it.offer(AT, [64], [1.0], [2])
        with pytest.raises((ValueError, TypeError, OverflowError)):
            it.offer(AT + 1, *bad)
        with pytest.raises((TypeError, OverflowError)):
            it.offer(1 << 63, [64], [9.0], [2])
        it.offer(AT + 2, [65], [2.0], [1])
        await it.flush()
        (batch,) = backend.batches
        assert list(zip(batch.series, batch.at_us, batch.value, batch.quality, strict=True)) == [
            (64, AT, 1.0, 2),
            (65, AT + 2, 2.0, 1),
        ]


async def test_a_backend_that_is_away_is_asked_after_growing_pauses_and_loses_nothing():
    async with pumping() as (it, backend, clock):
        backend.away = True
        tried_at = []
        for second in range(150):
            it.offer(AT + second, [64], [float(second)], [2])
            before = backend.tries
            await clock.advance(1)
            if backend.tries > before:
                tried_at.append(second + 1)
        assert tried_at == [1, 3, 7, 15, 31, 61, 91, 121]
        assert it.last_error == "the disk › is full › free space"
        assert (it.backlog, it.dropped) == (150, 0)
        backend.away = False
        await clock.advance(LONGEST_PAUSE_S)
        assert backend.values == [float(it) for it in range(150)]
        assert (it.backlog, it.last_error) == (0, "")
        it.offer(AT, [64], [7.0], [2])
        await clock.advance(1)
        assert backend.values[-1] == 7.0


async def test_when_too_much_waits_the_oldest_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BATCH_POINTS", 10)
    async with pumping(most_waiting=30) as (it, backend, clock):
        backend.away = True
        for value in range(100):
            it.offer(AT, [64], [float(value)], [2])
        assert (it.backlog, it.dropped) == (30, 70)
        backend.away = False
        await clock.advance(1)
        assert backend.values == [float(it) for it in range(70, 100)]


async def test_a_batch_that_is_being_written_is_not_dropped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "BATCH_POINTS", 10)
    async with pumping(most_waiting=20) as (it, backend, clock):
        backend.gate = asyncio.Event()
        for value in range(10):
            it.offer(AT, [64], [float(value)], [2])
        await clock.advance(0)
        for value in range(10, 50):
            it.offer(AT, [64], [float(value)], [2])
        assert (it.backlog, it.dropped) == (30, 20)
        backend.gate.set()
        await clock.advance(1)
        assert backend.values == [float(it) for it in (*range(10), *range(30, 50))]


async def test_flush_says_when_it_cannot_and_keeps_all():
    async with pumping() as (it, backend, _):
        backend.away = True
        it.offer(AT, [64], [1.0], [2])
        with pytest.raises(HistoryUnavailable):
            await it.flush()
        assert it.backlog == 1
        backend.away = False
        await it.flush()
        assert (backend.values, it.backlog) == ([1.0], 0)


async def test_a_cancelled_write_keeps_its_batch():
    async with pumping() as (it, backend, _):
        backend.gate = asyncio.Event()
        it.offer(AT, [64], [1.0], [2])
        flush = asyncio.create_task(it.flush())
        await asyncio.sleep(0)
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
        assert it.backlog == 1
        backend.gate.set()
        await it.flush()
        assert backend.values == [1.0]


async def test_flush_while_the_pump_writes_waits_for_both():
    async with pumping() as (it, backend, clock):
        backend.gate = asyncio.Event()
        it.offer(AT, [64], [1.0], [2])
        await clock.advance(1)
        it.offer(AT, [64], [2.0], [2])
        flush = asyncio.create_task(it.flush())
        await clock.advance(0)
        assert not flush.done()
        backend.gate.set()
        await flush
        assert (backend.values, it.backlog) == ([1.0, 2.0], 0)
