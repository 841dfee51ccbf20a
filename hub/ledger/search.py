"""Entries by what an auditor asks: kind, person, device, time. Every question costs at most so much.

There is no index for persons and times: a ledger of years is searched in stretches, the newest first, and each answer
says where to go on.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, and_, func, or_, select

from hub.ledger.entries import Entry
from hub.ledger.tables import entry

SEARCHED = 100_000  # entries that one question looks at
OF_PERSONS = ("person", "login")  # kinds whose subject is a person


class Sought(Struct, frozen=True):
    """What entries must be like; what is empty is any."""

    kind: str = ""
    person: str = ""  # who caused it, or to whom it happened
    device: str = ""
    start: datetime | None = None  # [start, end): what the clock said
    end: datetime | None = None
    before: int | None = None  # older than this number
    limit: int = 100


def search(connection: Connection, it: Sought) -> tuple[list[Entry], int | None]:
    """(entries, newest first; the number to give as `before` for what is older, None at the ledger's beginning)."""
    top = it.before
    if top is None:
        top = (connection.execute(select(func.max(entry.c.seq))).scalar() or 0) + 1
    bottom = max(1, top - SEARCHED)
    query = select(entry).where(entry.c.seq < top, entry.c.seq >= bottom)
    if it.kind:
        query = query.where(entry.c.kind == it.kind)
    if it.person:
        of_them = and_(entry.c.kind.in_(OF_PERSONS), entry.c.subject == it.person)
        query = query.where(or_(entry.c.by == it.person, of_them))
    if it.device:
        query = query.where(entry.c.device == it.device)
    if it.start is not None:
        query = query.where(entry.c.at >= it.start)
    if it.end is not None:
        query = query.where(entry.c.at < it.end)
    found = [Entry(*row) for row in connection.execute(query.order_by(entry.c.seq.desc()).limit(it.limit + 1))]
    if len(found) > it.limit:
        return found[: it.limit], found[it.limit - 1].seq
    return found, bottom if bottom > 1 else None
