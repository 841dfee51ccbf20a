"""The historian on a server: batches go to the spool on our own disk, are acknowledged, and are sent from there.

    write ─► commit thread: one journal row, fsync ─► acknowledged
                                 │ as fast as the server takes it
                                 ▼
             send thread: lines of 50,000 readings ─► server ─► row out of the journal

A server that is away, slow or full holds up nothing: the spool grows up to its bound. Sent twice is stored once, so
after any accident what is in the spool is sent again. Questions go to the server; what waits in the spool is not told
yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from hub.clock import Clock
from hub.historian.backend import Away, Backend, Refused
from hub.historian.base import (
    DAY_US,
    FOR_EVER,
    NOTHING,
    AskedTooMuch,
    Batch,
    Buckets,
    Columns,
    HistoryUnavailable,
    Retention,
    Sample,
    Spells,
    to_us,
)
from hub.historian.catalogue import Catalogue
from hub.historian.fold import fold, follow, refold
from hub.historian.folder import own
from hub.historian.health import RemoteHealth
from hub.historian.journal import Journal
from hub.historian.lines import lines
from hub.historian.reader import check_buckets
from hub.historian.spells import HOLD_US, Runs, runs_of, spells
from hub.historian.spells import join as join_runs
from hub.historian.spool import SPOOL_BYTES, Spool

QUERY_THREADS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # after a failure
DROP_EVERY_S = 3_600.0

P = ParamSpec("P")
T = TypeVar("T")


class RemoteHistorian:
    """See hub.historian.base.Historian. Made by `open`; one process owns the folder."""

    def __init__(self, folder: Path, clock: Clock, backend: Backend, measurement: str, names: Catalogue | None) -> None:
        self.catalogue = names or Catalogue()
        self._owns_names = names is None
        self._folder, self._clock, self._backend, self._measurement = folder, clock, backend, measurement
        self._commits = ThreadPoolExecutor(1, "history-commit")
        self._sends = ThreadPoolExecutor(1, "history-send")
        self._queries = ThreadPoolExecutor(QUERY_THREADS, "history-query")
        self._more = asyncio.Event()
        self._closed = False
        self._sent = 0
        self._send_error = ""
        self._floor_us: int
        self._lock: IO[str]
        self._journal: Journal
        self._spool: Spool

    @classmethod
    async def open(
        cls,
        folder: Path,
        clock: Clock,
        backend: Backend,
        measurement: str = "fieldhub",
        names: Catalogue | None = None,
        spool_bytes: int = SPOOL_BYTES,
    ) -> RemoteHistorian:
        """Open or make the spool in `folder`; the server need not be there. `names`: somebody else keeps the numbers.

        Raises HistoryUnavailable.
        """
        it = cls(folder, clock, backend, measurement, names)
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(it._stop_threads)
            await it._in(it._commits, it._open, spool_bytes)
            undo.pop_all()
        return it

    def _open(self, spool_bytes: int) -> None:
        with contextlib.ExitStack() as undo:
            self._lock = undo.enter_context(own(self._folder))
            self._journal = Journal(self._folder / "history.sqlite3")
            undo.callback(self._journal.close)
            if self._owns_names:
                self.catalogue.load(self._journal.entries())
            self._floor_us = self._journal.floor_us
            self._spool = Spool(self._journal, spool_bytes)
            undo.pop_all()

    async def close(self) -> None:
        """What is in the spool is sent after the next start."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._sends.shutdown)  # what is on its way to the server is noted down first
        await asyncio.get_running_loop().run_in_executor(self._commits, self._journal.close)
        await self._stop_threads()
        self._backend.close()
        self._lock.close()

    async def _stop_threads(self) -> None:
        for it in (self._sends, self._commits, self._queries):
            await asyncio.to_thread(it.shutdown)

    # ---- writing --------------------------------------------------------------------------------------------------

    async def write(self, batch: Batch) -> None:
        if len(batch):
            await self._in(self._commits, self._commit, batch)
            self._more.set()

    def _commit(self, batch: Batch) -> None:
        entries = self.catalogue.unsaved() if self._owns_names else []
        self._spool.put(batch, entries)
        if entries:
            self.catalogue.saved(len(entries))

    async def run(self, keep: Retention = FOR_EVER) -> None:
        """Send what waits, and have what is older than `readings_days` forgotten, until cancelled.

        A server keeps no roll-ups of ours, and its own accounts of its disk: the rest of `keep` is nothing to it.
        """
        pause_s, drop_at = 0.0, self._clock.monotonic()
        while True:
            await (self._clock.sleep(pause_s) if pause_s else self._wait_for_more())
            try:
                await self.flush()
                if keep.readings_days and self._clock.monotonic() >= drop_at:
                    drop_at = self._clock.monotonic() + DROP_EVERY_S
                    await self.drop_before(to_us(self._clock.now()) - keep.readings_days * DAY_US)
                pause_s = 0.0
            except HistoryUnavailable:
                pause_s = min(max(FIRST_PAUSE_S, pause_s * 2), LONGEST_PAUSE_S)

    async def _wait_for_more(self) -> None:
        if self._spool.is_empty:
            await self._more.wait()
        self._more.clear()

    async def flush(self) -> None:
        """Send all that waits. Raises HistoryUnavailable, and keeps what is not sent."""
        while await self._in(self._sends, self._send):
            pass

    async def settle(self) -> None:
        """All that was written can be asked for on return. Raises HistoryUnavailable."""
        await self.flush()
        await self._in(self._queries, self._backend.settle)

    def _send(self, single: bool = False) -> bool:
        """In the send thread: the oldest batches. Whether there were any."""
        parcel = self._commits.submit(self._spool.next, *((1,) if single else ())).result()
        if parcel is None:
            self._send_error = ""
            return False
        try:
            self._backend.write(lines(parcel.batch, self.catalogue.series, self._measurement))
        except Away as away:
            if not self._send_error:
                self._commits.submit(self._spool.again).result()
            self._send_error = str(away)
            raise
        except Refused as refused:
            if parcel.count > 1:  # one of them; the others must not suffer for it
                return self._send(single=True)
            self._commits.submit(self._spool.put_aside, parcel.id, str(refused)).result()
            return True
        self._commits.submit(self._spool.sent, parcel.id, self._clock.monotonic()).result()
        self._sent += len(parcel.batch)
        self._send_error = ""
        return True

    # ---- reading --------------------------------------------------------------------------------------------------

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        return await self._in(self._queries, self._range, series, start_us, end_us)

    def _range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        start_us = max(start_us, self._floor_us)
        found = self._backend.range(series, start_us, end_us) if len(series) and start_us < end_us else {}
        return {it: found.get(it, NOTHING) for it in series}

    async def buckets(self, series: Sequence[int], start_us: int, end_us: int, step_us: int) -> dict[int, Buckets]:
        return await self._in(self._queries, self._buckets, series, start_us, end_us, step_us)

    def _buckets(self, series: Sequence[int], start_us: int, end_us: int, step_us: int) -> dict[int, Buckets]:
        if step_us <= 0:
            raise AskedTooMuch(f"history › a step of {step_us} µs › write a step above 0")
        first, last = start_us // step_us, -(-end_us // step_us)
        check_buckets(len(series), max(0, last - first), step_us)
        nothing = refold((), step_us)
        if first >= last or not len(series):
            return dict.fromkeys(series, nothing)
        whole = max(first, -(-self._floor_us // step_us))  # the first step that is all above the floor
        found = self._backend.buckets(series, whole, last, step_us) if whole < last else {}
        if first < whole <= last:
            cut = self._range(series, self._floor_us, whole * step_us)
            for number, it in cut.items():
                if len(it):
                    found[number] = follow([refold([fold(it, step_us)], step_us), found.get(number, nothing)])
        return {it: found.get(it, nothing) for it in series}

    async def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
        return await self._in(self._queries, self._last_before, series, at_us)

    def _last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
        found = self._backend.last_before(series, at_us)
        return {
            it: sample if (sample := found.get(it)) is not None and sample.at_us >= self._floor_us else None
            for it in series
        }

    async def spells(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Spells]:
        return await self._in(self._queries, self._spells, series, start_us, end_us)

    def _spells(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Spells]:
        runs: defaultdict[int, list[Runs]] = defaultdict(list)

        def collect(begin: int, end: int) -> None:
            try:
                found = self._range(series, begin, end)
            except AskedTooMuch:
                if end - begin <= DAY_US:
                    raise
                middle = (begin + end) // 2
                collect(begin, middle)
                collect(middle, end)
                return
            for number, it in found.items():
                runs[number].append(runs_of(it))

        collect(start_us - HOLD_US, end_us)
        return {it: spells(join_runs(runs[it]), max(start_us, self._floor_us), end_us) for it in series}

    # ---- forgetting, and how it is doing --------------------------------------------------------------------------

    async def drop_before(self, at_us: int) -> int:
        """How many readings that were is not known here, so 0; where the server cannot drop, they are only not told."""
        await self._in(self._queries, self._backend.drop_before, at_us)
        await self._in(self._commits, self._raise_floor, at_us)
        return 0

    def _raise_floor(self, at_us: int) -> None:
        self._floor_us = max(self._floor_us, at_us)
        self._journal.drop((), (), self._floor_us, max(self._floor_us, self._journal.readings_floor_us))

    @property
    def health(self) -> RemoteHealth:
        it = self._spool
        return RemoteHealth(
            self._backend.url, it.points, it.bytes, it.dropped, self._sent, self._send_error, tuple(it.damage)
        )

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        if self._closed:
            raise HistoryUnavailable(f"{self._folder} › the history is closed › start the hub again")
        return await asyncio.get_running_loop().run_in_executor(threads, work, *args)
