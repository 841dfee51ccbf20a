"""The one pen: a single thread that writes all that is asked for, in the order it was asked, many askers a commit.

While one commit is on its way to the disk the next ones gather; all state but the database is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from hub import traces
from hub.clock import Clock
from hub.ledger.entries import COMMAND, RECEIPT, START, Draft, Note, draft, seal
from hub.ledger.tables import entry, word
from hub.ledger.trouble import AlreadyWritten, LedgerUnavailable, unavailable

QUEUE_LIMIT = 10_000  # entries that may wait for the disk; what comes on top is refused at once
COMMANDS_REMEMBERED = 10_000  # whose device and action are known without a look, for the receipts that follow
RETRY_S = 5.0  # pause before the ledger itself tries again, when nobody else asks for anything

T = TypeVar("T")
Job = Callable[[Connection], Any]  # may raise ValueError or LookupError to refuse; is then undone whole


@dataclass(frozen=True, slots=True)
class Trouble:
    """Since when entries cannot be written (or could not, the last time), why, and how many were refused."""

    at: datetime
    text: str
    refused: int = 0

    def __str__(self) -> str:
        return self.text


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
    """`healthy` says whether entries can be written. When they can again, a note says since when they could not."""

    def __init__(self, engine: Engine, place: str, clock: Clock) -> None:
        self._engine = engine
        self._place = place
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "ledger-writer")
        self._waiting: list[_Unit] = []
        self._weight = 0  # entries waiting or on their way to the disk
        self._busy: asyncio.Future[list[Any]] | None = None
        self._gap: Trouble | None = None  # what has not been said in the ledger yet
        self._telling: asyncio.Future[int] | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._closed = False
        self._commands: dict[str, tuple[str, str]] = {}  # id -> device, action; the thread's own
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
        if self._retrying:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])
        if self._gap:
            self._tell(self._gap)
        self._closed = True
        while self._busy or self._waiting:
            await asyncio.wait([self._busy]) if self._busy else await asyncio.sleep(0)
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()

    def _take(self, drafts: tuple[Draft, ...], job: Job | None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        unit = _Unit(drafts, job, loop.create_future())
        if self._closed:
            unit.done.set_exception(LedgerUnavailable(f"{self._place} › is closed: the hub is stopping."))
            unit.done.exception()
        elif self._weight and self._weight + unit.weight > QUEUE_LIMIT:  # alone, an import may be larger
            error = LedgerUnavailable(
                f"{self._place} › {self._weight} entries wait for the disk, {QUEUE_LIMIT} is the most: "
                "the disk is too slow or hangs. Check it; writing goes on by itself."
            )
            self._refuse(unit, error)
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
        bug = work.exception()  # an error that nobody expected goes to everyone who asked
        outcomes = [bug] * len(batch) if bug else work.result()
        for unit, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._refuse(unit, outcome)
            else:
                self.healthy = True
                if not unit.done.done():
                    unit.done.set_result(outcome)
        if any(_is_trouble(outcome) for outcome in outcomes):
            self._refuse_the_rest()
        self._start()

    # ---- when the disk fails --------------------------------------------------------------------------------------

    def _refuse(self, unit: _Unit, error: BaseException) -> None:
        if not unit.done.done():
            unit.done.set_exception(error)
        if _is_trouble(error):
            unit.done.cancelled() or unit.done.exception()  # it is said in `last_error`: nobody needs to await it
            self._failed(error, 0 if unit.done is self._telling else len(unit.drafts))

    def _refuse_the_rest(self) -> None:
        """What waits behind entries that could not be written is not written before them."""
        waiting, self._waiting = self._waiting, []
        self._weight -= sum(unit.weight for unit in waiting)
        for unit in waiting:
            self._refuse(unit, LedgerUnavailable(str(self.last_error)))

    def _failed(self, error: BaseException, refused: int) -> None:
        gap = self._gap or Trouble(self._clock.now(), "")
        self._gap = self.last_error = Trouble(gap.at, str(error), gap.refused + refused)
        self.healthy = False
        if (self._retrying is None or self._retrying.done()) and not self._closed:
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _retry(self) -> None:
        """Try to write down since when nothing could be written, until that succeeds."""
        while self._gap:
            await self._clock.sleep(RETRY_S)
            gap = self._gap  # with all that was refused until now
            with suppress(LedgerUnavailable):
                await self._tell(gap)
                if self._gap is gap:  # otherwise more was refused meanwhile: say that too
                    self._gap = None

    def _tell(self, gap: Trouble) -> asyncio.Future[int]:
        body = {"event": "ledger_unavailable", "since": gap.at, "refused": gap.refused, "why": gap.text}
        self._telling = self.append([draft(Note("hub", self._clock.now(), body=body))])
        return self._telling

    # ---- in the thread --------------------------------------------------------------------------------------------

    def _commit(self, batch: list[_Unit]) -> list[Any]:
        """For each unit its result, or the error to raise at its asker."""
        try:
            with (
                traces.span("ledger commit", {"fieldhub.units": len(batch)}),
                self._engine.begin() as connection,
            ):
                return self._write(connection, batch)
        except StatementError as error:
            blame = _asker_at_fault(error)
            if blame is None:
                self._commands.clear()
                self._engine.dispose()  # the next try starts from a fresh connection
                return [unavailable(self._place, "cannot be written", error)] * len(batch)
        except (ValueError, LookupError) as error:
            blame = error
        self._commands.clear()  # it may have learnt from what was undone
        if len(batch) == 1:
            return [blame]
        middle = len(batch) // 2  # the others shall not pay for it, and need not be written one by one
        return self._commit(batch[:middle]) + self._commit(batch[middle:])

    def _write(self, connection: Connection, batch: list[_Unit]) -> list[Any]:
        # Read anew each time: `fieldhub user` may have written from another process.
        tip = connection.execute(select(entry.c.seq, entry.c.hash).order_by(entry.c.seq.desc()).limit(1)).first()
        seq, prev = (0, START) if tip is None else (tip.seq, tip.hash)
        rows: list[dict[str, Any]] = []
        results: list[Any] = []
        for unit in batch:
            for it in unit.drafts:
                seq += 1
                rows.append(seal(seq, self._complete(connection, it), prev))
                prev = rows[-1]["hash"]
            results.append(unit.job(connection) if unit.job else seq)
        if rows:
            connection.execute(insert(entry), rows)
        return results

    def _complete(self, connection: Connection, it: Draft) -> Draft:
        """A receipt names its command only; with its device and action it can be found and counted by them."""
        if it.kind == COMMAND:
            if len(self._commands) >= COMMANDS_REMEMBERED:
                self._commands.clear()
            self._commands[it.subject] = (it.device, it.topic)
        if it.kind != RECEIPT:
            return it
        asked = self._commands.get(it.subject)
        if asked is None:
            found = select(entry.c.device, entry.c.topic).where(
                entry.c.kind == word(COMMAND), entry.c.subject == it.subject
            )
            asked = next(((row.device, row.topic) for row in connection.execute(found)), ("", ""))
        return replace(it, device=asked[0], topic=asked[1])


def _is_trouble(outcome: object) -> bool:
    """Whether something failed that is not the asker's own mistake."""
    return isinstance(outcome, BaseException) and not isinstance(outcome, ValueError | LookupError)


def _asker_at_fault(error: StatementError) -> ValueError | LookupError | None:
    """What to raise at the one who asked; None when it is the database that failed."""
    reason = " ".join(str(error.orig).split())
    if isinstance(error, IntegrityError):
        return AlreadyWritten(f"This stands in the ledger already, and nothing was written: {reason}")
    if isinstance(error, DataError) or not isinstance(error, DBAPIError):
        return ValueError(f"This cannot be kept in a database: {reason}")
    return None
