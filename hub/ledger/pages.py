"""A page of entries, newest first: of one kind, of one device, or of the devices that somebody may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, select

from hub.ledger.entries import Entry
from hub.ledger.tables import entry

PAGE_LIMIT = 1_000  # entries that one read gives at most
IDS_A_QUERY = 500  # ids in one IN (…)
LOOKED_AT = 100_000  # entries that are gone through in order; who sees few devices is then served by the index of these
ROWS_A_TURN = 500  # of those, fetched at a time


class Page(Struct, frozen=True):
    """`kind` None: of all; `device` None: of all; `before`: older than this number; `seen` None: of every device."""

    kind: str | None = None
    device: str | None = None
    limit: int = 100
    before: int | None = None
    seen: Collection[str] | None = None

    def read(self, connection: Connection) -> list[Entry]:
        limit = max(0, min(self.limit, PAGE_LIMIT))
        if self.seen is None or self.device in self.seen:
            return [Entry(*row) for row in connection.execute(self._query(self.before).limit(limit))]
        if self.device is not None or not limit:
            return []
        found: list[Entry] = []
        looked, last = 0, self.before
        rows = connection.execution_options(yield_per=ROWS_A_TURN).execute(self._query(self.before).limit(LOOKED_AT))
        for row in rows:
            looked, last = looked + 1, row.seq
            if row.device in self.seen:
                found.append(Entry(*row))
                if len(found) == limit:
                    rows.close()
                    return found
        if looked == LOOKED_AT:
            found += self._by_device(connection, last, limit - len(found))
        return found

    def _query(self, before: int | None) -> Select[Any]:
        query = select(entry).order_by(entry.c.seq.desc())
        if self.kind is not None:
            query = query.where(entry.c.kind == self.kind)
        if self.device is not None:
            query = query.where(entry.c.device == self.device)
        return query if before is None else query.where(entry.c.seq < before)

    def _by_device(self, connection: Connection, before: int | None, limit: int) -> list[Entry]:
        """The same, by the index of devices: there are few of them, or they would have been found on the way."""
        found: list[Entry] = []
        for ids in parts(sorted(self.seen or ())):
            query = self._query(before).where(entry.c.device.in_(ids)).limit(limit)
            found += [Entry(*row) for row in connection.execute(query)]
        return sorted(found, key=lambda it: it.seq, reverse=True)[:limit]


def parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + IDS_A_QUERY] for start in range(0, len(ids), IDS_A_QUERY))
