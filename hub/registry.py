"""Who belongs to the house: the site's files, written down in the registry's table so that nobody is ever forgotten.

Rows that came from a file follow the files: what is in them now is added or changed, what has gone is retired (its
history and its ledger stay). Rows that were made by hand stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from hub.config import Site
from hub.ledger.entries import Note, changed
from hub.ledger.places import Change, Placed, Places, Put, Retire
from hub.model import Area, Device

FILE = "file:"


class Followed(Struct, frozen=True):
    """What a start changed in the registry, and who is there by hand besides the files."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    by_hand: tuple[Area | Device, ...] = ()


async def follow(site: Site, places: Places, now: datetime) -> Followed:
    """Bring the registry up to the site's files, in one transaction with an entry that says what changed.

    Raises LedgerUnavailable; then nothing has changed.
    """
    areas, devices = await places.load()
    there = [*areas, *devices]
    changes, told = compare(site, there)
    if changes:
        each = notes(changes, there, now)
        body = {"added": told.added, "changed": told.changed, "retired": told.retired, "entries": len(each)}
        await places.apply(changes, Note("registry", now, "hub", str(site.folder.name), body=body), *each)
    return told


def notes(
    changes: Iterable[Change],
    there: Iterable[Placed],
    now: datetime,
    by: str = "hub",
    where: Mapping[str, Any] | None = None,
) -> list[Note]:
    """An entry for each change: of kind "area" or "device", with what every field was and is (pure).

    The fold of these is the registry: `fieldhub audit verify` compares. So whoever changes the registry writes them.
    """
    known = {(type(row.it), _key(row.it)): row for row in there}
    told = []
    for change in changes:
        noun, key = (type(change.it), _key(change.it)) if isinstance(change, Put) else (change.kind, change.key)
        row = known.get((noun, key))
        before = _fields(row.it, row.source, row.retired_at is not None) if row else None
        if isinstance(change, Put):
            did, after = "changed" if row else "added", _fields(change.it, change.source, False)
        else:
            did, after = "retired", (before or {}) | {"retired": True}
        body = {"did": did, "changed": changed(before, after), **(where or {})}
        told.append(Note(noun.__name__.lower(), now, by, key, key if noun is Device else "", body))
    return told


def _fields(it: Area | Device, source: str, retired: bool) -> dict[str, Any]:
    return structs.asdict(it) | {"source": source, "retired": retired}


def compare(site: Site, there: Iterable[Placed]) -> tuple[list[Change], Followed]:
    """What must change in the registry so that it says what the files say (pure)."""
    known: Mapping[tuple[type, str], Placed] = {(type(row.it), _key(row.it)): row for row in there}
    changes: list[Change] = []
    added: list[str] = []
    changed: list[str] = []
    wanted: Sequence[Area | Device] = (*site.areas, *site.devices)
    for it in wanted:
        key, source = _key(it), FILE + site.files.get(_key(it), "")
        row = known.get((type(it), key))
        if row is not None and row.retired_at is None and row.it == it and row.source == source:
            continue
        changes.append(Put(it, source))
        (added if row is None else changed).append(key)
    kept = {(type(it), _key(it)) for it in wanted}
    rest = [row for place, row in known.items() if place not in kept and row.retired_at is None]
    gone = [row.it for row in rest if row.source.startswith(FILE)]
    changes += [Retire(type(it), _key(it)) for it in gone]
    by_hand = tuple(row.it for row in rest if not row.source.startswith(FILE))
    return changes, Followed(tuple(added), tuple(changed), tuple(_key(it) for it in gone), by_hand)


def _key(it: Area | Device) -> str:
    return it.code if isinstance(it, Area) else it.id
