"""The historian's queue: the hub puts readings in and goes on at once, a pump writes them in batches.

A batch is cut once a second, or earlier when it is full. While the backend is away or slow the batches wait in
memory; when there are too many the oldest are dropped, and counted: `backlog`, `dropped` and `last_error` are for
everyone to see.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Iterable

import numpy as np

from hub import traces
from hub.clock import Clock
from hub.historian.base import Batch, Historian, HistoryUnavailable
from hub.historian.thinning import Thinner

BATCH_S = 1.0
BATCH_POINTS = 100_000
MOST_WAITING_POINTS = 2_000_000  # 21 bytes each: 42 MB, or 100 s at 20,000 readings a second
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0


class _Bin:
    """Readings as they come. One instant of one device is one call, so its time is kept once, with a count."""

    __slots__ = ("at_us", "count", "quality", "series", "value")

    def __init__(self) -> None:
        self.series = array("i")
        self.value = array("d")
        self.quality = array("B")
        self.at_us = array("q")
        self.count = array("i")

    def batch(self) -> Batch:
        at_us = np.repeat(np.frombuffer(self.at_us, np.int64), np.frombuffer(self.count, np.int32))
        return Batch(
            np.frombuffer(self.series, np.int32),
            at_us,
            np.frombuffer(self.value, np.float64),
            np.frombuffer(self.quality, np.uint8),
        )


class Collector:
    """One per hub. `offer` is the hot path; `run` is a task of the hub."""

    def __init__(self, historian: Historian, clock: Clock, most_waiting: int = MOST_WAITING_POINTS) -> None:
        self._historian = historian
        self._clock = clock
        self._most_waiting = most_waiting
        self._bin = _Bin()
        self._waiting: deque[_Bin | Batch] = deque()  # a batch: it was thinned already, and could not be written
        self._waiting_points = 0
        self._writing: Batch | None = None
        self._full = asyncio.Event()
        self._one_writer = asyncio.Lock()
        self.thinner = Thinner()
        self.dropped = 0
        self.last_error = ""
        self._slowest_s = 0.0
        self._began_s = 0.0

    # ---- the hot path ---------------------------------------------------------------------------------------------

    def offer(self, at_us: int, series: Iterable[int], values: list[float], qualities: Iterable[int]) -> None:
        """Take one instant of one device. Raises, and takes nothing, when the lists are not numbers of one length.

        Of `series` and `qualities` arrays ("i", "B") are taken fastest.
        """
        it = self._bin
        before = len(it.series)
        try:
            it.series.extend(series)
            it.value.fromlist(values)
            it.quality.extend(qualities)
            it.at_us.append(at_us)
            size = len(it.series)
            if len(it.value) != size or len(it.quality) != size:
                held = len(it.quality) - before
                raise ValueError(f"{size - before} series, {len(values)} values and {held} qualities offered")
        except (TypeError, ValueError, OverflowError):
            # All columns back to where they were, or every later reading would be another's.
            del it.series[before:], it.value[before:], it.quality[before:], it.at_us[len(it.count) :]
            raise
        it.count.append(size - before)
        if size >= BATCH_POINTS:
            self._cut()
            self._full.set()

    def _cut(self) -> None:
        if not self._bin.series:
            return
        self._waiting.append(self._bin)
        self._waiting_points += len(self._bin.series)
        self._bin = _Bin()
        while self._waiting_points > self._most_waiting and len(self._waiting) > 1:
            oldest = _points(self._waiting.popleft())
            self._waiting_points -= oldest
            self.dropped += oldest

    # ---- the pump -------------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Readings that are not durable yet."""
        writing = len(self._writing) if self._writing is not None else 0
        return self._waiting_points + writing + len(self._bin.series)

    def slowest_s(self) -> float:
        """How long the slowest write took since this was last asked, one that is still under way included."""
        slowest, self._slowest_s = self._slowest_s, 0.0
        return max(slowest, self._clock.monotonic() - self._began_s if self._writing is not None else 0.0)

    async def run(self) -> None:
        """Write batches until cancelled. A backend that is away is asked again after growing pauses."""
        pause_s = 0.0
        while True:
            await self._wait(pause_s)
            try:
                await self.flush()
                pause_s = 0.0
            except HistoryUnavailable:
                pause_s = min(max(FIRST_PAUSE_S, pause_s * 2), LONGEST_PAUSE_S)

    async def flush(self) -> None:
        """Write all that was offered before this call. Raises HistoryUnavailable, and keeps what is not written."""
        async with self._one_writer:
            self._full.clear()
            self._cut()
            for _ in range(len(self._waiting)):
                if not self._waiting:  # the rest was dropped while we were writing
                    break
                await self._write_oldest()

    async def _write_oldest(self) -> None:
        it = self._waiting.popleft()
        self._waiting_points -= _points(it)
        self._writing = batch = it if isinstance(it, Batch) else self.thinner.thin(it.batch())
        self._began_s = self._clock.monotonic()
        try:
            with traces.span("history write", {"fieldhub.points": len(batch)}):
                await self._historian.write(batch)
            self._writing = None
            self.last_error = ""
        except HistoryUnavailable as failure:
            self.last_error = str(failure)
            raise
        finally:
            self._slowest_s = max(self._slowest_s, self._clock.monotonic() - self._began_s)
            # Whatever went wrong, these readings are still ours; writing them twice does no harm.
            if self._writing is not None:
                self._waiting.appendleft(batch)
                self._waiting_points += len(batch)
                self._writing = None

    async def _wait(self, pause_s: float) -> None:
        """After a failure the pause, else until a second is over or a batch is full."""
        if pause_s:
            return await self._clock.sleep(pause_s)
        second = asyncio.ensure_future(self._clock.sleep(BATCH_S))
        full = asyncio.ensure_future(self._full.wait())
        try:
            await asyncio.wait((second, full), return_when=asyncio.FIRST_COMPLETED)
        finally:
            second.cancel()
            full.cancel()


def _points(it: _Bin | Batch) -> int:
    return len(it.series)
