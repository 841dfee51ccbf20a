"""The embedded historian: a journal in SQLite, a bounded head in memory, sealed Parquet. Needs no server.

    write ─► commit thread: one journal row, fsync ─► head ─► acknowledged
                                 │ every 6 M readings or hour
                                 ▼
             seal thread: sort, last one wins, one file a day, fsync, rename
                                 │
                                 ▼
             commit thread: "segments in, journal rows out" in one transaction ─► new view
                                 │ as files gather, and when a day is over
                                 ▼
             merge thread: many files of a day into one (compaction.py), and the same swap

Readers take the view, which is never changed, in two query threads. Only the commit thread makes a new view, so nothing
is locked. The event loop itself touches no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

import numpy as np
from msgspec.structs import replace

from hub.clock import Clock
from hub.historian import compaction, expiry, files, head, reader, segments
from hub.historian.base import (
    DAY_US,
    FOR_EVER,
    I32,
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
from hub.historian.compaction import DAY_LEVEL
from hub.historian.folder import be_nice, known_files, own
from hub.historian.health import Health
from hub.historian.journal import NO_FLOOR, Journal, Rollup, Segment
from hub.historian.reader import View
from hub.historian.rollup import HOUR_US, RUNS, TIERS
from hub.historian.segments import Shelf

SEAL_POINTS = 6_000_000  # 126 MB of head; twice as much is the most before writers wait
# The journal makes waiting safe, and reading an hour back in after a crash takes well under a second.
SEAL_AFTER_S = 3600.0
SEAL_AGAIN_S = 10.0  # pause after a seal that failed
QUERY_THREADS = 2
SEAL_NICE = 5  # sorting six million readings may take longer; the devices may not wait
MERGE_NICE = 10
LOOK_EVERY_S = 60.0  # whether files are to be merged

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class EmbeddedHistorian:
    """See hub.historian.base.Historian. Made by `open`; one process owns the folder."""

    def __init__(self, folder: Path, clock: Clock, seal_points: int, seal_after_s: float) -> None:
        self.catalogue = Catalogue()
        self._folder = folder
        self._clock = clock
        self._seal_points = seal_points
        self._seal_after_s = seal_after_s
        self._shelf = Shelf(folder / "segments")
        self._commits = ThreadPoolExecutor(1, "history-commit")  # its order is the order of durability
        self._seals = ThreadPoolExecutor(1, "history-seal", initializer=be_nice(SEAL_NICE))
        self._merges = ThreadPoolExecutor(1, "history-merge", initializer=be_nice(MERGE_NICE))
        self._queries = ThreadPoolExecutor(QUERY_THREADS, "history-query")
        self._damage: list[str] = []
        self._closed = False
        self._lock: IO[str]
        self._journal: Journal
        # Written by the commit thread only:
        self._view: View
        self._sealing: Future[None] | None = None
        self._sealing_upto = 0
        self._head_since = clock.monotonic()
        self._no_seal_before = clock.monotonic()
        self._seal_error = ""
        self._merge_error = ""
        self._next_purge_us = 0
        self._looked: set[tuple[str, bytes]] = set()  # (file, series of which nothing is in it)
        self._late_taken_on = -1  # day since 1970 on which late readings were last taken into their days

    # ---- opening and closing --------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, folder: Path, clock: Clock, seal_points: int = SEAL_POINTS, seal_after_s: float = SEAL_AFTER_S
    ) -> EmbeddedHistorian:
        """Open or make the store in `folder`. Raises HistoryUnavailable."""
        it = cls(folder, clock, seal_points, seal_after_s)
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(it._stop_threads)
            warming = it._queries.submit(segments.warm)
            await it._in(it._commits, it._open)
            await asyncio.wrap_future(warming)
            undo.pop_all()
        return it

    def _open(self) -> None:
        with contextlib.ExitStack() as undo:
            self._lock = undo.enter_context(own(self._folder))
            self._journal = Journal(self._folder / "history.sqlite3")
            undo.callback(self._journal.close)
            self.catalogue.load(self._journal.entries())
            segments_, rollups = known_files(self._shelf.folder, self._journal, self._damage)
            self._view = View(
                segments_, self._replayed(), self._journal.floor_us, self._journal.readings_floor_us, rollups
            )
            undo.pop_all()

    def _replayed(self) -> head.Parts:
        parts: head.Parts = ()
        for it in self._journal.replay():
            if isinstance(it, str):
                self._damage.append(it)
            else:
                parts = head.append(parts, head.Part.of(*it))
        return parts

    async def close(self) -> None:
        """Let what is under way end. What is in the head stays in the journal, and is there again at the next start."""
        if self._closed:
            return
        self._closed = True
        await self._stop_threads(last=self._let_go)

    async def _stop_threads(self, last: Callable[[], None] | None = None) -> None:
        def stop() -> None:
            self._queries.shutdown()
            self._merges.shutdown()
            self._seals.shutdown()  # before the commits: a seal ends with a commit
            if last is not None:
                self._commits.submit(last).result()
            self._commits.shutdown()

        await asyncio.to_thread(stop)

    def _let_go(self) -> None:
        self._journal.close()
        self._lock.close()

    # ---- writing --------------------------------------------------------------------------------------------------

    async def write(self, batch: Batch) -> None:
        if not len(batch):
            return
        while self._head_is_full():
            await self._wait_for_seal()
        await self._in(self._commits, self._commit, batch)

    def _commit(self, batch: Batch) -> None:
        entries = self.catalogue.unsaved()
        id, _ = self._journal.append(batch, entries)
        self.catalogue.saved(len(entries))
        view = self._view
        if not view.parts:
            self._head_since = self._clock.monotonic()
        parts = head.append(view.parts, head.Part.of(id, batch), self._sealing_upto)
        self._view = replace(view, parts=parts)
        self._seal_if_due()

    def _head_is_full(self) -> bool:
        return head.points(self._view.parts) >= 2 * self._seal_points

    async def _wait_for_seal(self) -> None:
        sealing = await self._in(self._commits, self._begin_seal)
        if sealing is not None:
            await asyncio.wrap_future(sealing)
        elif self._head_is_full():
            raise HistoryUnavailable(
                f"{self._folder} › the memory for readings is full and cannot be emptied: {self._seal_error} › "
                "mend that; readings wait until then"
            )

    # ---- sealing --------------------------------------------------------------------------------------------------

    async def seal(self) -> None:
        """Put all that is in the head into segments now. Raises HistoryUnavailable."""
        for _ in range(2):  # the first may be one that was under way
            sealing = await self._in(self._commits, self._begin_seal, True)
            if sealing is not None:
                await asyncio.wrap_future(sealing)
                if self._seal_error:
                    raise HistoryUnavailable(self._seal_error)

    def _seal_if_due(self) -> None:
        age_s = self._clock.monotonic() - self._head_since
        if age_s >= self._seal_after_s or head.points(self._view.parts) >= self._seal_points:
            self._begin_seal()

    def _begin_seal(self, at_once: bool = False) -> Future[None] | None:
        """The seal that is under way, or a new one; None when there is nothing to seal or one has just failed."""
        if self._sealing is not None:
            return self._sealing
        if not self._view.parts or (self._clock.monotonic() < self._no_seal_before and not at_once):
            return None
        self._sealing_upto = self._view.parts[-1].id
        self._sealing = sealing = self._seals.submit(self._seal, self._view)
        sealing.add_done_callback(self._sealed)
        return sealing

    def _seal(self, view: View) -> None:
        """In the seal thread: files first, then the swap."""
        new: list[Segment] = []
        failure = ""
        try:
            batch = segments.tidy(head.concatenate([it.batch for it in view.parts]), view.readings_floor_us)
            for piece in segments.by_day(batch):
                new.append(segments.write(self._shelf.folder, self._journal.take_segment_id(), 0, piece))
        except HistoryUnavailable as unavailable:
            failure = str(unavailable)
        self._commits.submit(self._swap, new, view.parts[-1].id, failure).result()

    def _swap(self, new: Sequence[Segment], upto: int, failure: str) -> None:
        """In the commit thread: the new segments take the place of the head's parts, on disk and in the view."""
        self._sealing = None
        self._sealing_upto = 0
        try:
            if failure:
                raise HistoryUnavailable(failure)
            self._journal.swap(new, upto)
        except HistoryUnavailable as unavailable:
            self._seal_failed(str(unavailable))
            self._shelf.forget(new)
            return
        self._seal_error = ""
        self._head_since = self._clock.monotonic()
        view = self._view
        self._view = replace(view, segments=(*view.segments, *new), parts=head.after(view.parts, upto))

    def _seal_failed(self, why: str) -> None:
        self._seal_error = why
        self._no_seal_before = self._clock.monotonic() + SEAL_AGAIN_S

    def _sealed(self, sealing: Future[None]) -> None:
        """Should a seal end by a mistake of ours, the readings are still in the journal: say so and try again later."""
        if (mistake := sealing.exception()) is not None:
            log.error("history could not be sealed", exc_info=mistake)
            self._seal_failed(repr(mistake))
            self._sealing = None
            self._sealing_upto = 0

    # ---- merging --------------------------------------------------------------------------------------------------

    async def run(self, keep: Retention = FOR_EVER) -> None:
        """Keep the files few, and what is older than `keep` says forgotten, until cancelled.

        What goes wrong is told by `health`, and tried again.
        """
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            with contextlib.suppress(HistoryUnavailable):
                await self.compact()
            with contextlib.suppress(HistoryUnavailable):
                await self.purge(keep.readings_days, keep.tiers_days, keep.most_bytes)
            with contextlib.suppress(HistoryUnavailable):
                await self.expire(keep.sooner())

    async def expire(self, rules: expiry.Rules) -> int:
        """Forget readings of some series sooner than the others'; how many went. Raises HistoryUnavailable."""
        gone = 0
        for segment, series in list(expiry.due(self._view.segments, rules, to_us(self._clock.now()))):
            looked = segment.file, series.tobytes()
            if looked not in self._looked:
                gone += await self._in(self._merges, self._rewrite, segment, series)
                self._looked.add(looked)
        return gone

    def _rewrite(self, segment: Segment, series: I32) -> int:
        """In the merge thread."""
        try:
            new = expiry.without(self._shelf.folder, segment, series, self._go_on)
        except (OSError, *files.Unreadable) as failure:
            self._blame([segment], failure)
            return 0
        if new is None:
            return 0
        self._commits.submit(self._exchange, [segment], new, ()).result()
        return segment.points - sum(it.points for it in new)

    async def purge(self, readings_days: int, tiers_days: Mapping[int, int], most_bytes: int = 0) -> int:
        """Forget what is older than so many days, by the clock and by the days that there are, and the oldest readings
        while the files are larger than so much. 0: no limit.

        The newest so many days that have anything stay whatever the clock says: one that was set years ahead makes
        nothing old. How many readings and steps went. Raises HistoryUnavailable.
        """
        view, now_us = self._view, to_us(self._clock.now())

        def before(days: int, there: set[int]) -> int:
            if not days or len(there) <= days:
                return NO_FLOOR
            return min(now_us - days * DAY_US, sorted(there)[-days] * DAY_US)

        tiers = {
            tier: before(days, {day for it, day in view.rollups if it == tier}) for tier, days in tiers_days.items()
        }
        days = {it.t1_us // DAY_US for it in view.segments}
        floor_us = max(before(readings_days, days), self._over(most_bytes))
        gone = await self.keep(floor_us, tiers)
        oldest = min((it.day for it in self._view.segments), default=None)
        self._next_purge_us = (oldest + 1 + readings_days) * DAY_US if readings_days and oldest is not None else 0
        return gone

    def _over(self, most_bytes: int) -> int:
        """Before when readings must go so that the files are no larger than this. The newest day stays."""
        health, floor_us = self.health, NO_FLOOR
        size = health.segment_bytes + health.rollup_bytes
        by_day: dict[int, int] = {}
        for it in self._view.segments:
            by_day[it.t1_us // DAY_US] = by_day.get(it.t1_us // DAY_US, 0) + it.bytes
        for day in sorted(by_day)[:-1] if most_bytes else ():
            if size <= most_bytes:
                break
            size -= by_day[day]
            floor_us = (day + 1) * DAY_US
        return floor_us

    async def compact(self) -> int:
        """Merge all that is due now; how many files there are fewer.

        Raises HistoryUnavailable when a day's files could not be merged; those of all other days are.
        """
        now_us, fewer = to_us(self._clock.now()), 0
        late_too = self._late_taken_on != now_us // DAY_US  # also at each start
        stuck: dict[int, str] = {}
        while run := compaction.due(self._view.segments, now_us, late_too, stuck):
            try:
                fewer += await self._in(self._merges, self._merge, run, now_us)
            except HistoryUnavailable as unavailable:
                stuck[run[0].day] = str(unavailable)
        self._late_taken_on = now_us // DAY_US
        self._merge_error = next(iter(stuck.values()), "")
        if stuck:
            raise HistoryUnavailable(self._merge_error)
        return fewer

    def _merge(self, run: Sequence[Segment], now_us: int) -> int:
        """In the merge thread: a new file first, then the swap."""
        level, floor_us = compaction.level_of(run, now_us), self._view.readings_floor_us
        states = np.array(sorted(self.catalogue.states()), np.int32)
        try:
            new, rollups = compaction.merge(self._shelf.folder, run, level, floor_us, states, self._go_on)
        except (OSError, *files.Unreadable) as failure:
            self._blame(run, failure)
            return 0
        return self._commits.submit(self._exchange, run, new, rollups).result()

    def _go_on(self) -> None:
        if self._closed:
            raise HistoryUnavailable(f"{self._folder} › the history is closed › start the hub again")

    def _blame(self, run: Sequence[Segment], failure: Exception) -> None:
        """Raises HistoryUnavailable, but not when these files were dropped meanwhile."""
        if set(run) <= set(self._view.segments):
            raise HistoryUnavailable(
                f"{self._shelf.folder} › the {len(run)} files from {run[0].file} to {run[-1].file} cannot be merged: "
                f"{failure} › they stay as they are; restore the broken one from a backup"
            ) from failure

    def _exchange(self, old: Sequence[Segment], new: Sequence[Segment], rollups: Sequence[Rollup]) -> int:
        """In the commit thread: the new file takes the place of the old ones. Not if some were dropped meanwhile."""
        view = self._view
        if not set(old) <= set(view.segments):
            self._shelf.forget([*new, *rollups])
            return 0
        try:
            self._journal.exchange(old, new, rollups)
        except HistoryUnavailable:
            self._shelf.forget([*new, *rollups])
            raise
        kept = [it for it in view.segments if it not in old]
        now = {(it.tier, it.day): it for it in rollups}
        former = [it for key, it in view.rollups.items() if key in now]
        self._view = replace(
            view, segments=tuple(sorted([*kept, *new], key=lambda it: it.id)), rollups={**view.rollups, **now}
        )
        self._shelf.forget([*old, *former])
        return len(old) - len(new)

    # ---- reading --------------------------------------------------------------------------------------------------

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        return await self._ask(lambda view: reader.read(view, self._shelf, series, start_us, end_us))

    async def buckets(self, series: Sequence[int], start_us: int, end_us: int, step_us: int) -> dict[int, Buckets]:
        return await self._ask(lambda view: reader.read_buckets(view, self._shelf, series, start_us, end_us, step_us))

    async def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
        return await self._ask(lambda view: reader.read_last(view, self._shelf, series, at_us))

    async def spells(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Spells]:
        states = frozenset(self.catalogue.states())
        return await self._ask(lambda view: reader.read_spells(view, self._shelf, series, start_us, end_us, states))

    async def _ask(self, question: Callable[[View], T]) -> T:
        return await self._in(self._queries, self._answer, question)

    def _answer(self, question: Callable[[View], T]) -> T:
        while True:
            view = self._view
            try:
                return question(view)
            except FileNotFoundError as gone:
                # Dropped while we were reading: the view has changed, and without the file the answer is right.
                if view is self._view:
                    raise HistoryUnavailable(
                        f"{gone.filename} › this file is missing › restore it from a backup and start again"
                    ) from gone

    # ---- forgetting -----------------------------------------------------------------------------------------------

    async def drop_before(self, at_us: int) -> int:
        return await self._in(self._commits, self._drop_before, at_us, at_us, {})

    async def keep(self, readings_us: int, tiers: Mapping[int, int]) -> int:
        """Forget readings before that time, and the roll-ups of each tier (µs) before its: whole days only.

        How many readings and steps were taken off the disk. What is left of a day is told in its coarser steps; no
        reading goes before its day has been rolled up.
        """
        whole = {tier: at_us // DAY_US * DAY_US for tier, at_us in tiers.items()}
        view = self._view
        plain = [  # what was lumped together from many days never is
            it
            for it in view.segments
            if it.level < DAY_LEVEL and it.t1_us // DAY_US == it.day and (HOUR_US, it.day) not in view.rollups
        ]
        readings_us = min([readings_us, *(it.day * DAY_US for it in plain)]) // DAY_US * DAY_US
        if not any(it.t1_us < readings_us for it in view.segments) and not any(
            (it.day + 1) * DAY_US <= whole.get(it.tier, NO_FLOOR) for it in view.rollups.values()
        ):
            return 0
        return await self._in(self._commits, self._drop_before, NO_FLOOR, readings_us, whole)

    def _drop_before(self, floor_us: int, readings_us: int, tiers: Mapping[int, int]) -> int:
        view = self._view
        floor_us = max(view.floor_us, floor_us)
        readings_us = max(view.readings_floor_us, readings_us, floor_us)
        old = [it for it in view.segments if it.t1_us < readings_us]
        ends = {tier: max(floor_us, tiers.get(tier, NO_FLOOR)) for tier in (*TIERS, RUNS)}
        stale = [it for it in view.rollups.values() if (it.day + 1) * DAY_US <= ends[it.tier]]
        self._journal.drop(old, stale, floor_us, readings_us)
        self._view = View(
            tuple(it for it in view.segments if it.t1_us >= readings_us),
            view.parts,
            floor_us,
            readings_us,
            {key: it for key, it in view.rollups.items() if it not in stale},
        )
        self._shelf.forget([*old, *stale])
        return sum(it.points for it in old) + sum(it.rows for it in stale)

    # ---- how it is doing ------------------------------------------------------------------------------------------

    @property
    def health(self) -> Health:
        view = self._view
        return Health(
            head.points(view.parts),
            len(view.segments),
            sum(it.points for it in view.segments),
            sum(it.bytes for it in view.segments),
            len(view.rollups),
            sum(it.bytes for it in view.rollups.values()),
            self._seal_error,
            self._merge_error,
            self._next_purge_us,
            tuple(self._damage),
        )

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        if self._closed:
            raise HistoryUnavailable(f"{self._folder} › the history is closed › start the hub again")
        return await asyncio.get_running_loop().run_in_executor(threads, work, *args)
