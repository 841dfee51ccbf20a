"""The registry's rows: areas and devices, where each came from, and since when it is there or retired.

Nothing is deleted: what is retired keeps its history, and may come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import Connection, Table, bindparam, insert, select, update

from hub.ledger.entries import Note, draft
from hub.ledger.reader import Reader
from hub.ledger.tables import area, device
from hub.ledger.writer import Writer
from hub.model import Area, Device


class Placed(Struct, frozen=True):
    """An area or a device as the registry has it. `source` is "file:devices.toml", or "" when made by hand."""

    it: Area | Device
    source: str
    added_at: datetime
    retired_at: datetime | None = None


class Put(Struct, frozen=True):
    """Add this, or change it to this; what was retired is back."""

    it: Area | Device
    source: str = ""


class Retire(Struct, frozen=True):
    """Take this out of service: the key is an area's code or a device's id."""

    kind: type[Area] | type[Device]
    key: str


Change = Put | Retire


class Places:
    """Both raise LedgerUnavailable."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def load(self) -> tuple[list[Placed], list[Placed]]:
        """(areas, devices), retired ones too, by code and id."""

        def read(connection: Connection) -> tuple[list[Placed], list[Placed]]:
            return _load(connection, area, Area), _load(connection, device, Device)

        return await self._reader.run(read)

    async def apply(self, changes: Sequence[Change], note: Note, *notes: Note) -> None:
        """All of these in order, and the notes, or nothing. The first note's `at` is when they came or went.

        Raises LookupError for a Retire of what is not there.
        """
        await self._writer.run(
            lambda connection: _apply(connection, changes, note.at), [draft(it) for it in (note, *notes)]
        )


def _load(connection: Connection, table: Table, noun: type[Area] | type[Device]) -> list[Placed]:
    key = table.primary_key.columns[0]
    fields = noun.__struct_fields__
    return [
        Placed(noun(**{name: row[name] for name in fields}), row["source"], row["added_at"], row["retired_at"])
        for row in connection.execute(select(table).order_by(key)).mappings()
    ]


def _apply(connection: Connection, changes: Sequence[Change], at: datetime) -> None:
    for table, noun in ((area, Area), (device, Device)):
        key = table.primary_key.columns[0]
        there = set(connection.execute(select(key)).scalars())
        rows, retired = _outcome(table, noun, changes, there, at)
        added = [row | {"added_at": at} for name, row in rows.items() if name not in there]
        changed = [row | {"_key": name} for name, row in rows.items() if name in there]
        if added:
            connection.execute(insert(table), added)
        if changed:
            connection.execute(update(table).where(key == bindparam("_key")), changed)
        if retired:
            gone = update(table).where(key == bindparam("_key"), table.c.retired_at.is_(None))
            connection.execute(gone, [{"_key": name, "retired_at": at} for name in retired])


def _outcome(
    table: Table, noun: type[Area] | type[Device], changes: Sequence[Change], there: set[str], at: datetime
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """What the changes come to: new rows by key, and keys whose rows stay as they are but for being retired."""
    rows: dict[str, dict[str, Any]] = {}
    retired: set[str] = set()
    for change in changes:
        if isinstance(change, Put) and isinstance(change.it, noun):
            row = structs.asdict(change.it) | {"source": change.source, "retired_at": None}
            name = row[table.primary_key.columns[0].name]
            rows[name] = row
            retired.discard(name)
        elif isinstance(change, Retire) and change.kind is noun:
            if change.key in rows:
                rows[change.key]["retired_at"] = at
            elif change.key in there:
                retired.add(change.key)
            else:
                raise LookupError(f'there is no {table.name} "{change.key}"')
    return rows, retired
