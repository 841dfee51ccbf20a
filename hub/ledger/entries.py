"""What an entry is: the house's nouns on their way into the ledger and out of it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, structs

from hub.model import FINAL, AlarmChange, Command, Receipt

ALARM, COMMAND, RECEIPT = "alarm", "command", "receipt"
_SEALED = ("kind", "topic", "step", "final", "subject", "device", "by", "key", "body")
START = ""  # what the first entry's hash is chained to
SECRETS = frozenset(
    {"password", "secret", "csrf", "second", "recovery"}
)  # fields whose value, even hashed, stands in no entry
HIDDEN = "***"  # in its place: that it changed is told, to what it is not


class Note(Struct, frozen=True):
    """Anything else worth keeping: kind "login", "setting", "hub", "approval", … and a body for people to read."""

    kind: str
    at: datetime
    by: str = ""
    subject: str = ""
    device: str = ""
    body: Mapping[str, Any] = {}


Noun = AlarmChange | Command | Receipt | Note


class Draft(Struct, frozen=True):
    """An entry that has no number yet. A receipt's device and topic are its command's: the writer looks them up."""

    at: datetime
    kind: str
    topic: str
    step: str
    final: bool
    subject: str
    device: str
    by: str
    key: str
    body: str


class Entry(Struct, frozen=True):
    """An entry as it stands in the ledger."""

    seq: int
    at: datetime
    kind: str
    topic: str
    step: str
    final: bool
    subject: str
    device: str
    by: str
    key: str
    body: str
    prev: str
    hash: str

    @property
    def says(self) -> Any:
        """The body as plain dicts and lists."""
        return msgspec.json.decode(self.body)


def draft(noun: Noun) -> Draft:
    """Raises ValueError or TypeError on what could not be written, so that it cannot spoil a whole commit."""
    body = msgspec.json.encode(noun.body if isinstance(noun, Note) else noun).decode()
    match noun:
        case AlarmChange():
            it = Draft(noun.at, ALARM, noun.rule, noun.event.value, False, noun.alarm, noun.device, noun.by, "", body)
        case Command():
            it = Draft(
                noun.asked_at, COMMAND, noun.action, "", False, noun.id, noun.device, noun.asked_by, noun.key, body
            )
        case Receipt():
            final = noun.last or noun.stage in FINAL
            it = Draft(noun.at, RECEIPT, "", noun.stage.value, final, noun.command, "", noun.by, "", body)
        case Note():
            if noun.kind in (ALARM, COMMAND, RECEIPT) or not noun.kind:
                raise ValueError(f"a Note cannot be of kind {noun.kind!r}: append the {noun.kind or 'noun'} itself")
            it = Draft(noun.at, noun.kind, "", "", False, noun.subject, noun.device, noun.by, "", body)
    if it.at.tzinfo is None:
        raise ValueError(f"{it.at.isoformat()} has no time zone; the ledger keeps aware times")
    for text in (it.kind, it.topic, it.subject, it.device, it.by, it.key):
        if b"\0" in text.encode():  # a lone surrogate raises UnicodeEncodeError, a ValueError
            raise ValueError(f"{text!r} holds a NUL, which a database cannot keep")
    return it


def seal(seq: int, it: Draft, prev: str) -> dict[str, Any]:
    """The row of entry `seq`, chained to the entry before it."""
    row = {"seq": seq, **structs.asdict(it), "prev": prev}
    return row | {"hash": chain(row)}


def chain(row: Mapping[str, Any]) -> str:
    """sha256 over the hash before and this row as canonical JSON: fixed order, UTC with microseconds, no spaces."""
    at = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    rest = [row[name] for name in _SEALED]
    return sha256(row["prev"].encode() + msgspec.json.encode([row["seq"], at, *rest])).hexdigest()


Fields = Mapping[str, Any] | Struct | None


def changed(before: Fields, after: Fields) -> dict[str, list[Any]]:
    """{"roles": [["viewer"], ["admin"]]}: what each field that differs was, and is; for an entry's body.

    None before: it was not there; None after: it is there no more. Of SECRETS only that they changed.
    """
    was, now = _as_json(before), _as_json(after)
    return {
        name: [HIDDEN if name in SECRETS and side is not None else side for side in (was.get(name), now.get(name))]
        for name in dict.fromkeys((*was, *now))
        if was.get(name) != now.get(name)
    }


def _as_json(it: Fields) -> dict[str, Any]:
    """As an entry's body will have it: a tuple is a list, a time is a text."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({} if it is None else it))
    return fields


def as_alarm_change(body: str) -> AlarmChange:
    return msgspec.json.decode(body, type=AlarmChange)


def as_command(body: str) -> Command:
    return msgspec.json.decode(body, type=Command)


def as_receipt(body: str) -> Receipt:
    return msgspec.json.decode(body, type=Receipt)
