"""The one pen: a single thread that writes all that is asked for, in the order it was asked, many askers a commit.

While one commit is on its way to the disk the next ones gather; all state but the database is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.clock import Clock
from hub.ledger.entries import COMMAND, RECEIPT, START, Draft, seal
from hub.ledger.tables import entry, word
from hub.ledger.trouble import AlreadyWritten, LedgerUnavailable, unavailable

QUEUE_LIMIT = 10_000  # entries that may wait for the disk; what comes on top is refused at once
DEVICES_REMEMBERED = 10_000  # command -> device, for the receipts that follow

T = TypeVar("T")
Job = Callable[[Connection], Any]  # may raise ValueError or LookupError to refuse; is then undone whole


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last commit failed."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """What one call asked for: all of it in one transaction, or nothing."""

    drafts: tuple[Draft, ...]
    job: Job | None
    done: asyncio.Future[Any]

    @property
    def weight(self) -> int:
        return max(1, len(self.drafts))


class Writer:
    """`healthy` says whether the last commit succeeded; each new call tries again."""

    def __init__(self, engine: Engine, place: str, clock: Clock) -> None:
        self._engine = engine
        self._place = place
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "ledger-writer")
        self._waiting: list[_Unit] = []
        self._weight = 0  # entries waiting or on their way to the disk
        self._busy: asyncio.Future[list[Any]] | None = None
        self._closed = False
        self._devices: dict[str, str] = {}  # the thread's own
        self.healthy = True
        self.last_error: Trouble | None = None

    @property
    def backlog(self) -> int:
        """Entries that are not on the disk yet, at most QUEUE_LIMIT."""
        return self._weight

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[int]:
        """Write these together; the future tells the last one's number once all are on the disk."""
        return self._take(tuple(drafts), None)

    def run(self, job: Callable[[Connection], T], drafts: Sequence[Draft] = ()) -> asyncio.Future[T]:
        """Do `job` and write these entries in one transaction; the future tells what `job` returned."""
        return self._take(tuple(drafts), job)

    async def close(self) -> None:
        """Write what waits, then take no more."""
        self._closed = True
        while self._busy or self._waiting:
            await asyncio.wait([self._busy]) if self._busy else await asyncio.sleep(0)
        await asyncio.to_thread(self._thread.shutdown)

    def _take(self, drafts: tuple[Draft, ...], job: Job | None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        unit = _Unit(drafts, job, loop.create_future())
        if self._closed:
            unit.done.set_exception(LedgerUnavailable(f"{self._place} › is closed: the hub is stopping."))
        elif self._weight + unit.weight > QUEUE_LIMIT:
            unit.done.set_exception(
                LedgerUnavailable(
                    f"{self._place} › {self._weight} entries wait for the disk, {QUEUE_LIMIT} is the most: "
                    "the disk is too slow or hangs. Check it; writing goes on by itself."
                )
            )
        else:
            self._waiting.append(unit)
            self._weight += unit.weight
            if self._busy is None and len(self._waiting) == 1:
                loop.call_soon(self._start)  # not at once: what else is asked in this turn comes along
        return unit.done

    def _start(self) -> None:
        if self._busy is None and self._waiting:
            batch, self._waiting = self._waiting, []
            self._busy = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch)
            self._busy.add_done_callback(partial(self._settle, batch))

    def _settle(self, batch: list[_Unit], work: asyncio.Future[list[Any]]) -> None:
        self._busy = None
        self._weight -= sum(unit.weight for unit in batch)
        error = None if work.cancelled() else work.exception()  # one that nobody expected: our bug, loud at the askers
        outcomes = (
            [error or LedgerUnavailable("cancelled")] * len(batch) if error or work.cancelled() else work.result()
        )
        self.healthy = True
        for unit, outcome in zip(batch, outcomes, strict=True):
            failed = isinstance(outcome, BaseException)
            if failed and not isinstance(outcome, ValueError | LookupError):
                self.healthy = False
                self.last_error = Trouble(self._clock.now(), str(outcome))
            if not unit.done.done():
                unit.done.set_exception(outcome) if failed else unit.done.set_result(outcome)
        self._start()

    # ---- in the thread --------------------------------------------------------------------------------------------

    def _commit(self, batch: list[_Unit]) -> list[Any]:
        """For each unit its result, or the error to raise at its asker."""
        try:
            with self._engine.begin() as connection:
                return self._write(connection, batch)
        except (IntegrityError, ValueError, LookupError) as error:
            if len(batch) > 1:  # one of them is to blame: the others shall not pay for it
                return [outcome for unit in batch for outcome in self._commit([unit])]
            return [_already_written() if isinstance(error, IntegrityError) else error]
        except DBAPIError as error:
            self._engine.dispose()  # the next try starts from a fresh connection
            return [unavailable(self._place, "cannot be written", error)] * len(batch)

    def _write(self, connection: Connection, batch: list[_Unit]) -> list[Any]:
        # Read anew each time: `fieldhub user` may have written from another process.
        tip = connection.execute(select(entry.c.seq, entry.c.hash).order_by(entry.c.seq.desc()).limit(1)).first()
        seq, prev = (0, START) if tip is None else (tip.seq, tip.hash)
        rows: list[dict[str, Any]] = []
        results: list[Any] = []
        for unit in batch:
            for it in unit.drafts:
                seq += 1
                rows.append(seal(seq, it, self._device_of(connection, it), prev))
                prev = rows[-1]["hash"]
            results.append(unit.job(connection) if unit.job else seq)
        if rows:
            connection.execute(insert(entry), rows)
        return results

    def _device_of(self, connection: Connection, it: Draft) -> str:
        """A receipt names its command only; with its device it can be found by device."""
        if len(self._devices) > DEVICES_REMEMBERED:
            self._devices.clear()
        if it.kind == COMMAND:
            self._devices[it.subject] = it.device
        if it.kind != RECEIPT:
            return it.device
        if it.subject not in self._devices:
            asked = select(entry.c.device).where(entry.c.kind == word(COMMAND), entry.c.subject == it.subject)
            found = connection.execute(asked).scalar()
            if found is None:
                return ""
            self._devices[it.subject] = found
        return self._devices[it.subject]


def _already_written() -> AlreadyWritten:
    return AlreadyWritten("This id, name or key stands in the ledger already; nothing was written.")
