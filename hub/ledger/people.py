"""People, their sessions and their API tokens. Rows that change; that they changed, and who did it, stands in notes.

Passwords, session ids and secrets come and go as hashes only: hashing is hub/passwords.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs
from msgspec.structs import replace
from sqlalchemy import Connection, CursorResult, Table, delete, insert, select, update

from hub.ledger.entries import Note, draft
from hub.ledger.reader import Reader, Row
from hub.ledger.tables import person, session, token
from hub.ledger.writer import Writer
from hub.rights import Grant

SEEN_EVERY = timedelta(seconds=60)  # how far `seen` and `last_used` on the disk may lag behind


class Person(Struct, frozen=True):
    """Somebody who may log in. `name` is what stands in every entry they cause, and never changes."""

    name: str
    full_name: str
    password: str  # a hash; "": none, signs in at the OpenID provider only
    grants: tuple[Grant, ...]
    created: datetime
    language: str = "zh-CN"
    disabled: bool = False
    password_set: datetime | None = None
    must_change: bool = False  # somebody else chose the password
    second: str = ""  # the second factor's secret, sealed; "": there is none
    second_step: int = 0  # the last step of it that was used: no code opens twice
    recovery: tuple[str, ...] = ()  # hashes of codes for a lost second factor, each good once
    subject: str = ""  # who they are at the OpenID provider


class Session(Struct, frozen=True):
    """One log-in. `id` is a hash of what the browser holds."""

    id: str
    person: str
    csrf: str
    created: datetime
    seen: datetime
    expires: datetime
    address: str = ""
    agent: str = ""
    way: str = ""  # how: "password", "second" (password and code), "openid"


class Token(Struct, frozen=True):
    """A key for a program, with at most these grants of its person's. `secret` is a hash."""

    id: str
    name: str
    person: str
    secret: str
    grants: tuple[Grant, ...]
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None


class People:
    """Changes are on the disk, together with their notes, when they return; all raise LedgerUnavailable.

    Adding raises AlreadyWritten when the name or id is taken, changing raises LookupError when there is none.
    """

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._seen: dict[tuple[Table, str], datetime] = {}  # not on the disk yet
        self._save_after: datetime | None = None

    # ---- persons --------------------------------------------------------------------------------------------------

    async def persons(self) -> list[Person]:
        """Everybody, disabled ones too, by name."""
        return [_person(row) for row in await self._reader.rows(select(person).order_by(person.c.name))]

    async def person(self, name: str) -> Person | None:
        rows = await self._reader.rows(select(person).where(person.c.name == name))
        return _person(rows[0]) if rows else None

    async def add(self, it: Person, *notes: Note) -> None:
        await self._do(lambda connection: _insert(connection, person, it), notes)

    async def person_of(self, subject: str) -> Person | None:
        """Who this is that the OpenID provider calls `subject`."""
        rows = await self._reader.rows(select(person).where(person.c.subject == subject, person.c.subject != ""))
        return _person(rows[0]) if rows else None

    async def change(self, it: Person, *notes: Note) -> None:
        """Name on the screen, language, grants, whether they may log in, who they are at the OpenID provider.

        Who is disabled loses every session.
        """

        def job(connection: Connection) -> None:
            row = structs.asdict(it)
            values = {key: row[key] for key in ("full_name", "language", "grants", "disabled", "subject")}
            _one(connection.execute(update(person).where(person.c.name == it.name).values(values)), it.name)
            if it.disabled:
                connection.execute(delete(session).where(session.c.person == it.name))

        await self._do(job, notes)

    async def set_password(
        self, name: str, password: str, at: datetime, *notes: Note, must_change: bool = False, keep_session: str = ""
    ) -> None:
        """A new hash; every other session of this person ends."""
        values = {"password": password, "password_set": at, "must_change": must_change}

        def job(connection: Connection) -> None:
            _one(connection.execute(update(person).where(person.c.name == name).values(values)), name)
            connection.execute(delete(session).where(session.c.person == name, session.c.id != keep_session))

        await self._do(job, notes)

    async def set_second(self, name: str, secret: str, recovery: Sequence[str], *notes: Note) -> None:
        """A new second factor, with its recovery codes (hashes); "" takes it away."""
        values = {"second": secret, "second_step": 0, "recovery": list(recovery)}
        change = update(person).where(person.c.name == name).values(values)
        await self._do(lambda connection: _one(connection.execute(change), name), notes)

    async def use_step(self, name: str, step: int) -> bool:
        """A code of the second factor is used up; False when it, or a later one, was before."""
        later = person.c.second_step < step
        change = update(person).where(person.c.name == name, later).values(second_step=step)
        return await self._writer.run(lambda connection: connection.execute(change).rowcount == 1)

    async def use_recovery(self, name: str, code: str, *notes: Note) -> bool:
        """A recovery code (its hash) is used up; False, and no note, when there is none like it."""

        def job(connection: Connection) -> None:
            codes = connection.execute(select(person.c.recovery).where(person.c.name == name)).scalar() or []
            if code not in codes:
                raise LookupError(name)
            left = [it for it in codes if it != code]
            connection.execute(update(person).where(person.c.name == name).values(recovery=left))

        try:
            await self._do(job, notes)
        except LookupError:
            return False
        return True

    async def rehash(self, name: str, before: str, after: str) -> bool:
        """The same password, hashed anew: sessions stay. False when it is no longer `before`: it has been changed."""
        same = update(person).where(person.c.name == name, person.c.password == before).values(password=after)
        return await self._writer.run(lambda connection: connection.execute(same).rowcount == 1)

    # ---- sessions -------------------------------------------------------------------------------------------------

    async def open_session(self, it: Session, *notes: Note) -> None:
        """Raises LookupError when the person is not there or disabled: they may have been, since the password."""

        def job(connection: Connection) -> None:
            _enabled(connection, it.person)
            _insert(connection, session, it)

        await self._do(job, notes)

    async def session(self, id: str) -> tuple[Session, Person] | None:
        """The session and whose it is, also when it has expired (the caller has the time)."""
        found = await self._with_person(session, id)
        return (self._session(found[0]), found[1]) if found else None

    async def sessions(self, person_name: str) -> list[Session]:
        """Of one person, newest first."""
        mine = select(session).where(session.c.person == person_name).order_by(session.c.created.desc())
        return [self._session(row) for row in await self._reader.rows(mine)]

    async def close_session(self, id: str, *notes: Note) -> None:
        """That it is there no more; no error when it was not."""
        self._seen.pop((session, id), None)
        await self._do(lambda connection: connection.execute(delete(session).where(session.c.id == id)), notes)

    async def close_sessions(self, person_name: str, *notes: Note) -> int:
        """All of one person; how many there were."""
        gone = delete(session).where(session.c.person == person_name)
        return int(await self._do(lambda connection: connection.execute(gone).rowcount, notes))

    async def drop_expired(self, now: datetime) -> int:
        """Forget sessions and tokens that expired; how many."""

        def job(connection: Connection) -> int:
            return sum(
                connection.execute(delete(table).where(table.c.expires <= now)).rowcount for table in (session, token)
            )

        return await self._writer.run(job)

    def touch(self, session_id: str, now: datetime) -> None:
        """The session was seen. On the disk within SEEN_EVERY while people work, and at closing."""
        self._touch(session, session_id, now)

    # ---- tokens ---------------------------------------------------------------------------------------------------

    async def add_token(self, it: Token, *notes: Note) -> None:
        """Raises LookupError when the person is not there or disabled."""

        def job(connection: Connection) -> None:
            _enabled(connection, it.person)
            _insert(connection, token, it)

        await self._do(job, notes)

    async def token(self, id: str) -> tuple[Token, Person] | None:
        """The token and whose it is, also when it has expired (the caller has the time)."""
        found = await self._with_person(token, id)
        return (self._token(found[0]), found[1]) if found else None

    async def tokens(self, person_name: str | None = None) -> list[Token]:
        """Of one person or all, newest first."""
        query = select(token).order_by(token.c.created.desc(), token.c.id)
        query = query if person_name is None else query.where(token.c.person == person_name)
        return [self._token(row) for row in await self._reader.rows(query)]

    async def end_token(self, id: str, *notes: Note) -> None:
        """Raises LookupError when there is none of this id."""
        self._seen.pop((token, id), None)
        await self._do(
            lambda connection: _one(connection.execute(delete(token).where(token.c.id == id)), id),
            notes,
        )

    def used(self, token_id: str, now: datetime) -> None:
        """The token was used; as lazy as `touch`."""
        self._touch(token, token_id, now)

    # ---- how ------------------------------------------------------------------------------------------------------

    def save_seen(self) -> asyncio.Future[None]:
        """Write down when sessions and tokens were last seen. The ledger does so at closing."""
        seen = dict(self._seen)

        def job(connection: Connection) -> None:
            for (table, id), at in seen.items():
                column = "seen" if table is session else "last_used"
                connection.execute(update(table).where(table.c.id == id).values({column: at}))

        def saved(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception():
                return  # they stay, for the next time
            for key, at in seen.items():
                if self._seen.get(key) == at:
                    del self._seen[key]

        future = self._writer.run(job)
        future.add_done_callback(saved)
        return future

    def _touch(self, table: Table, id: str, now: datetime) -> None:
        self._seen[table, id] = now
        if self._save_after is None:
            self._save_after = now + SEEN_EVERY
        elif now >= self._save_after:
            self._save_after = now + SEEN_EVERY
            self.save_seen()

    def _session(self, row: Row) -> Session:
        it = Session(**row)
        return replace(it, seen=self._seen.get((session, it.id), it.seen))

    def _token(self, row: Row) -> Token:
        it = Token(**row | {"grants": _grants(row)})
        return replace(it, last_used=self._seen.get((token, it.id), it.last_used))

    async def _with_person(self, table: Table, id: str) -> tuple[Row, Person] | None:
        def read(connection: Connection) -> tuple[Row, Person] | None:
            for row in connection.execute(select(table).where(table.c.id == id)):
                whose = connection.execute(select(person).where(person.c.name == row.person)).one()
                return dict(row._mapping), _person(dict(whose._mapping))
            return None

        return await self._reader.run(read)

    async def _do(self, job: Callable[[Connection], Any], notes: Sequence[Note]) -> Any:
        return await self._writer.run(job, [draft(note) for note in notes])


def _person(row: Row) -> Person:
    return Person(**row | {"grants": _grants(row), "recovery": tuple(row["recovery"] or ())})


def _grants(row: Row) -> tuple[Grant, ...]:
    return tuple(Grant(it["role"], it["area"]) for it in row["grants"] or ())


def _insert(connection: Connection, table: Table, it: Struct) -> None:
    connection.execute(insert(table).values(structs.asdict(it)))


def _one(result: CursorResult[Any], name: str) -> None:
    if result.rowcount != 1:
        raise LookupError(f'there is no "{name}"')


def _enabled(connection: Connection, name: str) -> None:
    found = connection.execute(select(person.c.disabled).where(person.c.name == name)).scalar()
    if found is None or found:
        raise LookupError(f'there is no "{name}" who may log in')
