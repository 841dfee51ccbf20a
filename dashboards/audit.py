"""What happened, for the auditor: every entry of the ledger with who, what, when, where-from, before and after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards.desk import desk
from dashboards.packed import json, ready
from dashboards.shape import encode
from hub.audit_export import line
from hub.ledger.entries import Entry
from hub.ledger.search import Sought
from hub.model import Origin

PAGE = 100
MAX_PAGE = 500
MAX_LINES = 10_000  # in one answer; a longer export is `fieldhub audit DIR export`
MAX_STRETCHES = 100  # of the ledger, that one answer of lines looks through
LINES = b"application/jsonl; charset=utf-8"


class Asked(BaseModel):
    """Which entries. `from` and `to` are what the hub's clock said; the order is that of the numbers."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: str = Field("", max_length=40)
    person: str = Field("", max_length=100)
    device: str = Field("", max_length=100)
    start: AwareDatetime | None = Field(None, alias="from")
    end: AwareDatetime | None = Field(None, alias="to")
    before: int | None = Field(None, ge=0, le=2**62)


class Page(Asked):
    """Which entries, and how many at once."""

    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)


async def audit(request: Request, page: Annotated[Page, Query()]) -> Response:
    """Entries of the ledger, newest first. `next` is what to give as `before` for older ones; null: there are none.

    A page may hold few entries, or none, and still have a `next`: a long ledger is searched in stretches. `changed`
    has each field that became another: [before, after]. `hash` seals the entry and `prev`, the hash of the one before.
    """
    found, more = await desk(request).house.ledger.search(_sought(page, page.limit))
    return json(encode({"entries": [_entry(it) for it in found], "next": more}))


async def tip(request: Request) -> Response:
    """The last entry's number and hash. Keep `tip` where nobody can write who can write the ledger.

    `fieldhub audit DIR verify --tip` shows by it that the ledger's end was cut off, or that it was written anew.
    """
    number, hash = await desk(request).house.ledger.tip()
    return json(encode({"seq": number, "hash": hash, "tip": f"{number}:{hash}"}))


async def lines(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    """Entries as JSON lines, newest first, whole as they are hashed: 10,000 at most.

    A line's `body` is the text that was hashed: with it anybody can compute `hash` again (docs/audit.md). Exports under
    the site's seal are made on the server: `fieldhub audit DIR export`.
    """
    ledger = desk(request).house.ledger
    sought, told = _sought(asked, MAX_PAGE), bytearray()
    count = 0
    for _ in range(MAX_STRETCHES):
        found, more = await ledger.search(sought)
        found = found[: MAX_LINES - count]
        count += len(found)
        for it in found:
            told += line(it)
        if more is None or count >= MAX_LINES:
            break
        sought = msgspec.structs.replace(sought, before=more)
    headers = [(b"content-type", LINES), (b"content-disposition", b'attachment; filename="audit.jsonl"')]
    return ready(bytes(told), headers)


def _sought(it: Asked, limit: int) -> Sought:
    return Sought(it.kind, it.person.strip(), it.device.strip(), _utc(it.start), _utc(it.end), it.before, limit)


def _utc(it: datetime | None) -> datetime | None:
    return it.astimezone(UTC) if it else None


def _entry(it: Entry) -> dict[str, Any]:
    says = _says(it)
    changed = says.get("changed")
    return {
        "seq": it.seq,
        "at": it.at,
        "kind": it.kind,
        "topic": it.topic,
        "step": it.step,
        "subject": it.subject,
        "device": it.device,
        "by": it.by,
        "origin": _origin(says),
        "changed": changed if isinstance(changed, dict) else {},
        "body": says,
        "prev": it.prev,
        "hash": it.hash,
    }


def _says(it: Entry) -> dict[str, Any]:
    """The body. What somebody put in its place is shown as it is: the auditor must see that too."""
    try:
        says = it.says
    except msgspec.DecodeError:
        says = it.body
    return says if isinstance(says, dict) else {"body": says}


def _origin(says: dict[str, Any]) -> dict[str, str] | None:
    """Where from, if it is known; older log-ins have it beside the rest."""
    told = says.get("origin")
    if not isinstance(told, dict):
        told = {name: says[name] for name in Origin.__struct_fields__ if name in says and "did" in says}
    return {name: str(told.get(name, "")) for name in Origin.__struct_fields__} if told else None
