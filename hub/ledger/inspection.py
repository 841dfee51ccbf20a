"""The ledger as an inspector sees it: only read, never migrated, and nothing in it believed.

Values are taken as the database has them: into an SQLite column somebody may put a text that is no time, or bytes that
are no text. Each entry that is not what was written is named; the walk goes on behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, LargeBinary, cast, column, func, inspect, literal, select, table, text
from sqlalchemy.exc import NoSuchTableError, StatementError

from hub.ledger.database import open_to_read, place_of
from hub.ledger.entries import START, Entry, chain
from hub.ledger.tables import entry
from hub.ledger.trouble import LedgerUnavailable, unavailable

VERIFY_PAGE = 2_000  # rows in memory while the chain is walked
DAMAGE_LINES = 10  # of what the database finds wrong with its own file
TEXTS = ("kind", "topic", "step", "subject", "device", "by", "key", "body", "prev", "hash")
REFUSALS = {
    "sqlite": ("entry_refuses_delete", "entry_refuses_update"),
    "postgresql": ("entry_refuses_change",),
}


class Fault(Struct, frozen=True):
    """What is wrong at entry `seq`, in words that begin with its number."""

    seq: int
    what: str

    def __str__(self) -> str:
        return self.what


def walk(connection: Connection) -> Iterator[Entry | Fault]:
    """Every entry that is what was written, and a Fault for every one that is not, in the order of their numbers."""
    before: Entry | None = None  # the one before, when it is sound
    seq = 0
    for row in _rows(connection):
        number = row["seq"]
        if number <= seq:
            yield Fault(number, f"entry {number} › stands in the ledger twice")
            before = None
            continue
        if number != seq + 1:
            yield _missing(seq + 1, number - 1)
            before = None
        it, why = _sound(row)
        if it is None:
            yield Fault(number, f"entry {number} › was changed: {why}")
        elif number == 1 and it.prev != START:
            yield Fault(1, "entry 1 › was changed: it follows another one, and the first follows none")
        elif before is not None and it.prev != before.hash:
            yield Fault(
                number,
                f"entry {number} › does not follow entry {seq}: one of the two was changed and sealed anew",
            )
        else:
            yield it
        before, seq = it, number


def _missing(first: int, last: int) -> Fault:
    if first == last:
        return Fault(first, f"entry {first} › is missing")
    return Fault(first, f"entries {first} to {last} › are missing")


def _sound(row: Mapping[str, Any]) -> tuple[Entry | None, str]:
    """The entry, or why it cannot be the one that was written."""
    values = dict(row)
    if not isinstance(values["at"], datetime):
        at = _time(values["at"])
        if at is None:
            return None, "its time is not written as the hub writes times"
        values["at"] = at
    if values["final"] not in (0, 1) or isinstance(values["final"], float):
        return None, '"final" is neither true nor false'
    values["final"] = bool(values["final"])
    for name in TEXTS:
        it = values[name]
        try:
            values[name] = it if isinstance(it, str) else bytes(it).decode()
        except (UnicodeDecodeError, TypeError):
            return None, f'"{name}" is no text'
    if values["odd"]:
        return None, "a column has a value of another type than the hub writes"
    del values["odd"]
    if chain(values) != values["hash"]:
        return None, "its hash does not fit"
    return Entry(**values), ""


def _time(raw: bytes | None) -> datetime | None:
    """A time in the one form in which the hub writes it into SQLite."""
    try:
        told = (raw or b"").decode()
        at = datetime.fromisoformat(told)
    except (UnicodeDecodeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.isoformat(" ", "microseconds") == told else None


def _rows(connection: Connection) -> Iterator[Mapping[str, Any]]:
    query: Any = _as_it_is() if connection.dialect.name == "sqlite" else select(entry, literal(False).label("odd"))
    found = connection.execute(query.order_by(text("seq")), execution_options={"yield_per": VERIFY_PAGE})
    for row in found.mappings():
        yield dict(row)


def _as_it_is() -> Any:
    """SQLite's columns as bytes, and whether one is of another type than the hub writes: then it is no text of ours."""
    raw = table("entry", *(column(name) for name in ("seq", "at", "final", *TEXTS)))
    types = {name: func.typeof(raw.c[name]) for name in ("seq", "at", "final", *TEXTS)}
    odd = types["seq"] != "integer"
    for name, kind in types.items():
        odd = odd | (kind != ("integer" if name in ("seq", "final") else "text"))
    texts = [cast(raw.c[name], LargeBinary).label(name) for name in ("at", *TEXTS)]
    return select(raw.c.seq, raw.c.final, *texts, odd.label("odd"))


class Inspection:
    """One look at one state of a ledger. Raises LedgerUnavailable when it cannot be read."""

    def __init__(self, connection: Connection, place: str) -> None:
        self._connection = connection
        self.place = place

    def walk(self) -> Iterator[Entry | Fault]:
        return walk(self._connection)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A side table's rows as the database has them, whatever columns this revision has; none without the table."""
        try:
            names = [it["name"] for it in inspect(self._connection).get_columns(name)]
        except NoSuchTableError:
            return []
        query = select(table(name, *(column(it) for it in names)))
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def tip(self) -> tuple[int, str]:
        """(number, hash) of the last entry, whatever it is worth."""
        last = select(entry.c.seq, cast(entry.c.hash, LargeBinary).label("hash")).order_by(entry.c.seq.desc()).limit(1)
        for row in self._connection.execute(last):
            return int(row.seq), bytes(row.hash).decode(errors="replace")
        return 0, START

    def weak_points(self) -> list[str]:
        """What the database itself says of its file, and whether it still refuses to change entries."""
        dialect = self._connection.dialect.name
        found = []
        if dialect == "sqlite":
            said = self._connection.exec_driver_sql(f"PRAGMA integrity_check({DAMAGE_LINES})").scalars().all()
            found += [f"{self.place} › is damaged: {line}" for line in said if line != "ok"]
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        else:
            query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'entry'::regclass AND tgenabled = 'O'"
        there = set(self._connection.exec_driver_sql(query).scalars())
        wanted = set(REFUSALS.get(dialect, ()))
        found += [
            f'{self.place} › trigger "{name}" is gone, which refuses to change entries: somebody took it away'
            for name in sorted(wanted - there)
        ]
        if dialect == "sqlite":
            found += [
                f'{self.place} › trigger "{name}" is none of the hub\'s: it may change what is written'
                for name in sorted(there - wanted)
            ]
        return found


@contextmanager
def inspecting(url: str) -> Iterator[Inspection]:
    """Open the ledger to look at it: nothing is written, migrated or made. Raises LedgerUnavailable."""
    place = place_of(url)
    engine = open_to_read(url)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("entry"):
                raise LedgerUnavailable(f"{place} › has no ledger in it. Name the database of a site that has run")
            yield Inspection(connection, place)
    except StatementError as error:
        raise unavailable(place, "cannot be read", error) from error
    finally:
        engine.dispose()
