"""The ledger: what happened, in order, never changed. Alarm changes, commands, receipts, and notes of all else.

ledger = await Ledger.open("sqlite:///data/ledger.sqlite", clock)
await ledger.append(command)                # on the disk when this returns; LedgerUnavailable if it could not be
for command, receipts in await ledger.open_commands(): ...
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, select

from hub.clock import Clock
from hub.ledger.database import open_database, place_of
from hub.ledger.entries import (
    ALARM,
    COMMAND,
    RECEIPT,
    START,
    Entry,
    Noun,
    as_alarm_change,
    as_command,
    as_receipt,
    draft,
)
from hub.ledger.inspection import Fault, walk
from hub.ledger.keys import Keys
from hub.ledger.pages import Page, parts
from hub.ledger.people import People
from hub.ledger.places import Places
from hub.ledger.reader import Reader
from hub.ledger.search import Sought, search
from hub.ledger.tables import entry, word
from hub.ledger.writer import Trouble, Writer
from hub.model import AlarmChange, AlarmEvent, Command, Receipt, Stage

ALARMS_TOLD = 200_000  # changes in one answer
CLOCK_SET_BACK = timedelta(hours=2)  # entries may be so far out of the order of their times
CATCH_UP_S = 2.0  # a reader waits so long for what is on its way to the disk

Life = tuple[Command, list[Receipt]]  # a command, and its receipts so far, oldest first


class Ledger:
    """Appending never blocks: it gives a future. Reads run in a few threads of their own.

    Belongs to the event loop it was opened in. Every read raises LedgerUnavailable when the database cannot be read.
    """

    def __init__(self, place: str, writer: Writer, reader: Reader) -> None:
        self.place = place
        self.people = People(writer, reader)
        self.places = Places(writer, reader)
        self.keys = Keys(writer, reader)
        self._writer = writer
        self._reader = reader
        self._newest: asyncio.Future[int] | None = None

    @classmethod
    async def open(cls, url: str, clock: Clock) -> Ledger:
        """Make the database or bring it to the newest revision. Raises LedgerUnavailable: place › what › remedy."""
        writing, reading = await asyncio.to_thread(open_database, url)
        place = place_of(url)
        return cls(place, Writer(writing, place, clock), Reader(reading, place))

    async def close(self) -> None:
        """Write what waits, then let go of the database."""
        self.people.save_seen()
        await self._writer.close()
        await self._reader.close()

    # ---- writing --------------------------------------------------------------------------------------------------

    def append(self, *nouns: Noun) -> asyncio.Future[int]:
        """Write these in one transaction, after all that was appended before. Call it in the event loop.

        The future is done when they are on the disk and tells the number of the last one. It fails with
        LedgerUnavailable (disk, database, more than writer.QUEUE_LIMIT waiting) or AlreadyWritten (a command's id or
        key); nothing of this call is written then. Raises ValueError at once for what could never be written.
        """
        self._newest = self._writer.append([draft(noun) for noun in nouns])
        return self._newest

    @property
    def healthy(self) -> bool:
        """Whether the last commit succeeded."""
        return self._writer.healthy

    @property
    def last_error(self) -> Trouble | None:
        """When and why a commit failed last, for people; stays after it is healthy again."""
        return self._writer.last_error

    @property
    def backlog(self) -> int:
        """Entries that wait for the disk."""
        return self._writer.backlog

    # ---- alarms ---------------------------------------------------------------------------------------------------

    async def standing_alarm_changes(self) -> list[AlarmChange]:
        """For a restart: in order, every change of every occurrence that is not normal now (for hub/alarms.py)."""

        def read(connection: Connection) -> list[AlarmChange]:
            rows = connection.execute(
                select(entry.c.seq, entry.c.body).where(entry.c.kind == word(ALARM), entry.c.subject.in_(_standing()))
            )
            return [as_alarm_change(body) for _, body in _in_order(rows)]

        return await self._reader.run(read)

    async def alarm_changes(self, occurrence: str) -> list[AlarmChange]:
        """The life of one occurrence, oldest first."""
        return [
            as_alarm_change(it.body)
            for it in await self._entries(_of(ALARM).where(entry.c.subject == occurrence).order_by(entry.c.seq))
        ]

    async def alarm_history(
        self,
        device: str | None = None,
        limit: int = 100,
        before: int | None = None,
        seen: Collection[str] | None = None,
    ) -> list[tuple[int, AlarmChange]]:
        """(number, change) of one device or all, newest first, and older than number `before`.

        `seen`: the devices of which entries may be shown; None: of all.
        """
        page = Page(ALARM, device, limit, before, seen)
        await self._caught_up()
        return [(it.seq, as_alarm_change(it.body)) for it in await self._reader.run(page.read)]

    async def alarms_between(
        self, start: datetime, end: datetime, seen: Collection[str] | None = None
    ) -> tuple[list[AlarmChange], bool]:
        """Every change of [start, end) in order, and whether there were more than ALARMS_TOLD: then the newest of them.

        Costs what lies in that time and after it, however long the ledger is. `seen` as in alarm_history.
        """
        newest_first = _of(ALARM).order_by(entry.c.seq.desc())

        def read(connection: Connection) -> tuple[list[AlarmChange], bool]:
            found: list[AlarmChange] = []
            for row in connection.execution_options(yield_per=1_000).execute(newest_first):
                if row.at < start - CLOCK_SET_BACK:
                    break
                if start <= row.at < end and (seen is None or row.device in seen):
                    found.append(as_alarm_change(row.body))
                    if len(found) > ALARMS_TOLD:
                        return found[-2::-1], True
            return found[::-1], False

        await self._caught_up()
        return await self._reader.run(read)

    # ---- commands -------------------------------------------------------------------------------------------------

    async def open_commands(self) -> list[Life]:
        """For a restart: the commands that have no final receipt, oldest first, with the receipts they have."""
        final = entry.alias("final")
        ended = (
            select(final.c.seq)
            .where(
                final.c.kind == word(RECEIPT),
                final.c.subject == entry.c.subject,
                final.c.final.is_(True),
            )
            .exists()
        )
        return [life for _, life in await self._lives(_all_of(_of(COMMAND).where(~ended).order_by(entry.c.seq)))]

    async def command(self, id: str) -> Life | None:
        """The command with this id and its receipts, oldest first."""
        found = await self._lives(_all_of(_of(COMMAND).where(entry.c.subject == id)))
        return found[0][1] if found else None

    async def command_by_key(self, by: str, key: str) -> Life | None:
        """The command that this asker gave this idempotency key."""
        keyed = _of(COMMAND).where(entry.c.by == by, entry.c.key == key, entry.c.key != word(""))
        found = await self._lives(_all_of(keyed))
        return found[0][1] if found else None

    async def commands(
        self,
        device: str | None = None,
        limit: int = 100,
        before: int | None = None,
        seen: Collection[str] | None = None,
    ) -> list[tuple[int, Life]]:
        """(number, command with its receipts) of one device or all, newest first, and older than number `before`.

        `seen`: the devices of which entries may be shown; None: of all.
        """
        return await self._lives(Page(COMMAND, device, limit, before, seen).read)

    async def count_sent(self, device: str, action: str, since: datetime) -> int:
        """How many commands of this action were sent to the device at `since` or later (for starts per hour)."""
        count = select(func.count(entry.c.subject.distinct())).where(
            entry.c.step == word(Stage.SENT.value),
            entry.c.device == device,
            entry.c.topic == action,
            entry.c.at >= since,
        )
        await self._caught_up()
        return await self._reader.run(lambda connection: int(connection.execute(count).scalar_one()))

    # ---- all entries ----------------------------------------------------------------------------------------------

    async def entries(
        self,
        kind: str | None = None,
        limit: int = 100,
        before: int | None = None,
        device: str | None = None,
        seen: Collection[str] | None = None,
    ) -> list[Entry]:
        """Entries of one kind or all, of one device or all, newest first, and older than number `before`.

        `seen`: the devices of which entries may be shown; None: of all.
        """
        page = Page(kind, device, limit, before, seen)
        await self._caught_up()
        return await self._reader.run(page.read)

    async def about(self, kind: str, subjects: Iterable[str]) -> list[Entry]:
        """Every entry of a kind about one of these, oldest first: by an index, however long the ledger is."""
        wanted = list(subjects)

        def read(connection: Connection) -> list[Entry]:
            found = [
                Entry(*row)
                for some in parts(wanted)
                for row in connection.execute(_of(kind).where(entry.c.subject.in_(some)))
            ]
            return sorted(found, key=lambda it: it.seq)

        await self._caught_up()
        return await self._reader.run(read)

    async def search(self, it: Sought) -> tuple[list[Entry], int | None]:
        """(entries that are so, newest first; where to go on, None at the beginning). A stretch at a time."""
        await self._caught_up()
        return await self._reader.run(lambda connection: search(connection, it))

    async def tip(self) -> tuple[int, str]:
        """(number, hash) of the last entry. Print it into a report: then even a cut-off end can be shown."""
        last = await self.entries(limit=1)
        return (last[0].seq, last[0].hash) if last else (0, START)

    async def verify(self) -> int | None:
        """The number of the first entry that is missing or was tampered with, or None when the chain is whole.

        Entries cut off at the end leave a whole chain: compare `tip` with one that was printed earlier.
        """

        def read(connection: Connection) -> int | None:
            return next((it.seq for it in walk(connection) if isinstance(it, Fault)), None)

        return await self._reader.run(read)

    # ---- how it reads ---------------------------------------------------------------------------------------------

    async def _caught_up(self) -> None:
        """What was appended before a question is part of its answer, unless the disk lets everybody wait."""
        if self._newest is not None and not self._newest.done():
            await asyncio.wait({self._newest}, timeout=CATCH_UP_S)

    async def _entries(self, query: Select[Any]) -> list[Entry]:
        await self._caught_up()
        return await self._reader.run(_all_of(query))

    async def _lives(self, commands: Callable[[Connection], list[Entry]]) -> list[tuple[int, Life]]:
        await self._caught_up()

        def read(connection: Connection) -> list[tuple[int, Life]]:
            found = commands(connection)
            receipts = _receipts(connection, [it.subject for it in found])
            return [(it.seq, (as_command(it.body), receipts[it.subject])) for it in found]

        return await self._reader.run(read)


def _of(kind: str) -> Select[Any]:
    return select(entry).where(entry.c.kind == kind)


def _all_of(query: Select[Any]) -> Callable[[Connection], list[Entry]]:
    return lambda connection: [Entry(*row) for row in connection.execute(query)]


def _standing() -> Any:
    """The occurrences that stand: of each device and rule the last one raised, unless it has both returned and been
    acknowledged since, or returned while it was suppressed. An older one is superseded, whatever became of it (as in
    hub/alarms.py). Of a device and rule that are shelved: the last one in any case, and the one that was shelved.

    From the entries alone, by an index that holds nothing but raises: a table of standing alarms could drift from them.
    """
    raised = entry.alias("raised")
    last = (
        select(func.max(raised.c.seq))
        .where(raised.c.step == word(AlarmEvent.RAISED.value))
        .group_by(raised.c.device, raised.c.topic)
    )

    standing = entry.alias("standing")

    def since(event: AlarmEvent) -> Any:
        later = entry.alias(event.value)
        return (
            select(later.c.seq)
            .where(
                later.c.kind == word(ALARM),
                later.c.subject == standing.c.subject,
                later.c.step == word(event.value),
                later.c.seq > standing.c.seq,
            )
            .exists()
        )

    ended = (since(AlarmEvent.RETURNED) & since(AlarmEvent.ACKNOWLEDGED)) | _returned_suppressed(standing)
    shelved = _shelved()
    aside = (
        select(shelved.c.seq).where(shelved.c.device == standing.c.device, shelved.c.topic == standing.c.topic).exists()
    )
    stand = select(standing.c.subject).where(standing.c.seq.in_(last), ~ended | aside)
    return stand.union(select(shelved.c.subject))


def _returned_suppressed(raised: Any) -> Any:
    """Whether the occurrence that was raised here has returned while it was suppressed, as its entries say."""
    names = ("suppressed", "unsuppressed", "returned_so", "returned_before")
    begun, over, returned, before = (entry.alias(name) for name in names)

    def of(it: Any, event: AlarmEvent) -> Any:
        return (it.c.kind == word(ALARM)) & (it.c.subject == raised.c.subject) & (it.c.step == word(event.value))

    between = (over.c.seq > begun.c.seq) & (over.c.seq < returned.c.seq)
    outer = (raised, begun, returned)  # by itself SQLAlchemy looks one level up only
    ended = select(over.c.seq).where(of(over, AlarmEvent.UNSUPPRESSED), between).correlate(*outer).exists()
    suppressed = (begun.c.seq > raised.c.seq) & (begun.c.seq < returned.c.seq) & of(begun, AlarmEvent.SUPPRESSED)
    earlier = (before.c.seq > raised.c.seq) & (before.c.seq < begun.c.seq) & of(before, AlarmEvent.RETURNED)
    gone = select(before.c.seq).where(earlier).correlate(*outer).exists()
    return select(returned.c.seq).where(of(returned, AlarmEvent.RETURNED), suppressed, ~ended, ~gone).exists()


def _shelved() -> Any:
    """The shelvings that nothing has ended yet: (seq, device, topic, subject)."""
    shelved, ended = entry.alias("shelved"), entry.alias("unshelved")
    over = (
        select(ended.c.seq)
        .where(
            ended.c.kind == word(ALARM),
            ended.c.device == shelved.c.device,
            ended.c.topic == shelved.c.topic,
            ended.c.step == word(AlarmEvent.UNSHELVED.value),
            ended.c.seq > shelved.c.seq,
        )
        .exists()
    )
    columns = (shelved.c.seq, shelved.c.device, shelved.c.topic, shelved.c.subject)
    return select(*columns).where(shelved.c.step == word(AlarmEvent.SHELVED.value), ~over).cte("aside")


def _receipts(connection: Connection, commands: list[str]) -> defaultdict[str, list[Receipt]]:
    found: defaultdict[str, list[Receipt]] = defaultdict(list)
    for ids in parts(commands):
        rows = connection.execute(
            select(entry.c.seq, entry.c.subject, entry.c.body).where(
                entry.c.kind == word(RECEIPT), entry.c.subject.in_(ids)
            )
        )
        for _, subject, body in _in_order(rows):
            found[subject].append(as_receipt(body))
    return found


def _in_order(rows: Iterable[Any]) -> list[Any]:
    """By number, first column. Not in SQL: an ORDER BY draws SQLite to read the whole kind by its numbers instead."""
    return sorted(rows, key=lambda row: int(row[0]))
