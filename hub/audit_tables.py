"""Whether the tables beside the chain say what the entries say: who may log in, with what, and who is in the registry.

These rows change, so they are not chained. But each change is an entry, and the fold of the entries is what a row must
be: a role that somebody wrote into the file by hand has none. What no entry tells (a password, when a session was last
seen) cannot be compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from hub.identity import HASH_LETTERS
from hub.ledger.entries import HIDDEN, SECRETS, Entry

KEYS = {"person": "name", "token": "id", "area": "code", "device": "id"}  # of each table, and kind of entry
TABLES = (*KEYS, "session", "speaker_key")
# Fields of entries from before there was `changed`, which said only some of what is.
OLDER = ("full_name", "roles", "grants", "language", "disabled")
# What became of roles when they became grants (migration 002): of the whole house, and of one two.
BECAME = {"admin": ("system_admin", "security_admin")}
SECOND = {"second factor set": True, "second factor taken away": False}
GONE = ("ended",)  # what an entry calls it when the row is there no more
# What no entry tells whenever it changes.
SHORTEST_SESSION = 8  # letters of a session's id that an entry must have to name one
MAX_SESSIONS = 100_000  # newest log-ins that are remembered: a session lasts hours
MAX_OLDER = 1_000  # of one person, by entries that named no session
SAME = timedelta(seconds=5)  # between a session and the entry of its log-in, where that names no session
UNTOLD = frozenset(
    {
        "created",
        "expires",
        "last_used",
        "added_at",
        "retired_at",
        "password_set",
        "must_change",
        "second_step",
        *SECRETS,
    }
)

Rows = Sequence[Mapping[str, Any]]


class _Row:
    """What the entries say of one row."""

    def __init__(self) -> None:
        self.seq = 0  # the last entry that says anything of it
        self.gone = False
        self.fields: dict[str, Any] = {}


class Fold:
    """The side tables, as the entries say that they must be."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, _Row]] = {kind: {} for kind in KEYS}
        self._mentioned: set[str] = set()  # of the registry, in entries that said no more than that
        self._sessions: dict[str, str] = {}  # first letters of a session's id -> whose it is
        self._keys: dict[str, tuple[int, dict[str, Any]]] = {}  # speaker -> last entry, and its keys by their hash
        self._signed_in: dict[str, deque[datetime]] = {}  # of whom, by entries that named no session

    def take(self, it: Entry) -> None:
        """One more entry, in the order of their numbers."""
        if it.kind == "registry":
            return self._summary(it)
        if it.kind == "login":
            return self._log_in(it)
        if it.kind == "identity" and isinstance(it.says, dict) and isinstance(it.says.get("keys"), dict):
            self._keys[it.subject] = it.seq, it.says["keys"]
            return
        if it.kind not in KEYS or not it.subject:
            return
        row = self._row(it.kind, it.subject, it.seq)
        says = it.says if isinstance(it.says, dict) else {}
        changed = says.get("changed")
        if isinstance(changed, dict):
            sides = {name: both[1] for name, both in changed.items() if isinstance(both, list) and len(both) == 2}
            row.fields |= {name: value for name, value in sides.items() if value != HIDDEN}
        else:
            row.fields |= {name: says[name] for name in OLDER if name in says}
        did = says.get("did")
        if did in SECOND:
            row.fields["second factor"] = SECOND[did]
        row.gone = did in GONE

    def _log_in(self, it: Entry) -> None:
        if not isinstance(it.says, dict) or it.says.get("did") != "signed_in":
            return
        session = it.says.get("session")
        if isinstance(session, str) and len(session) >= SHORTEST_SESSION:
            self._sessions[session] = it.subject
            if len(self._sessions) > MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        else:
            self._signed_in.setdefault(it.subject, deque(maxlen=MAX_OLDER)).append(it.at)

    def _summary(self, it: Entry) -> None:
        """What the registry changed. Older entries did not say to what: then nothing is known of these rows."""
        if "entries" in it.says:
            return  # each change has one of its own
        for name in ("added", "changed", "retired"):
            for key in it.says.get(name, ()):
                self._mentioned.add(key)
                for kind in ("area", "device"):
                    self._rows[kind].pop(key, None)

    def _row(self, kind: str, key: str, seq: int) -> _Row:
        row = self._rows[kind].setdefault(key, _Row())
        row.seq = seq
        return row

    def differences(self, tables: Mapping[str, Rows]) -> Iterator[str]:
        """Each row that is not what the entries say, and what it ought to be."""
        yield from self._strange_sessions(tables.get("session", ()))
        yield from self._strange_keys(tables.get("speaker_key", ()))
        for kind, key in KEYS.items():
            there = {str(row[key]): row for row in tables.get(kind, ())}
            for name, row in there.items():
                told = self._rows[kind].get(name)
                if told is None and kind in ("area", "device") and name in self._mentioned:
                    continue
                if told is None:
                    yield f'{kind} "{name}" › is in the table, and no entry says that anybody added it'
                elif told.gone:
                    yield f'{kind} "{name}" › is in the table, and entry {told.seq} says that it has ended'
                else:
                    yield from self._unlike(kind, name, told, row)
            if kind != "token":  # a token that has expired is forgotten without an entry
                for name, told in self._rows[kind].items():
                    if name not in there and not told.gone:
                        yield f'{kind} "{name}" › is in no row, and entry {told.seq} says that it is there'

    def _strange_sessions(self, rows: Rows) -> Iterator[str]:
        """Sessions that nobody opened by signing in: whoever wrote one into the table is let in without a password."""
        lengths = {len(it) for it in self._sessions}
        for row in rows:
            whose = {self._sessions.get(row["id"][:length]) for length in lengths} - {None}
            short, made = row["id"][:12], _time(row["created"])
            older = any(abs(at - made) < SAME for at in self._signed_in.get(row["person"], ()))
            if not whose and not older:
                yield f'session {short} of "{row["person"]}" › is in the table, and no entry says who signed in'
            elif whose and row["person"] not in whose:
                yield f'session {short} › is of "{row["person"]}" in the table, and of {whose} by the entries'

    def _strange_keys(self, rows: Rows) -> Iterator[str]:
        """Secrets that nobody made here: who wrote one into the table speaks for a device."""
        there: dict[str, dict[str, Any]] = {}
        for row in rows:
            until = None if row["until"] is None else _time(row["until"]).isoformat()
            there.setdefault(row["speaker"], {})[str(row["hash"])[:HASH_LETTERS]] = until
        for speaker in there.keys() | self._keys.keys():
            seq, must = self._keys.get(speaker, (0, {}))
            has = there.get(speaker, {})
            if has != must:
                by = f"by entry {seq}" if seq else "by no entry"
                yield f'speaker_key "{speaker}" › {len(has)} in the table are not the {len(must)} {by}'

    def _unlike(self, kind: str, name: str, told: _Row, row: Mapping[str, Any]) -> Iterator[str]:
        has, must = dict(row), dict(told.fields)
        if "retired_at" in has:
            has["retired"] = has["retired_at"] is not None
        if "grants" in has:
            has["grants"] = _grants(has["grants"])
            if "grants" in must:
                must["grants"] = _grants(must["grants"])
            elif "roles" in must:
                must["grants"] = [one for it in must["roles"] for one in BECAME.get(it, (it,))]
        if "second" in has:
            has["second factor"] = has["second"] != ""
        for field, value in must.items():
            if field in UNTOLD or field not in has:
                continue
            if not _same(has[field], value):
                yield (
                    f'{kind} "{name}" › {field} is {has[field]!r} in the table, and {value!r} by the entries '
                    f"(the last is {told.seq})"
                )


def _grants(kept: Any) -> Any:
    """Grants as entries tell them, "role" or "role@area", of grants as the table has them."""
    it = _json(kept)
    if not isinstance(it, list):
        return it
    return [_grant(one) if isinstance(one, dict) else one for one in it]


def _grant(it: Mapping[str, Any]) -> str:
    return f"{it.get('role')}@{it['area']}" if it.get("area") else str(it.get("role"))


def _time(kept: Any) -> datetime:
    """A time of a side table: SQLite has it as text, in UTC."""
    try:
        at = kept if isinstance(kept, datetime) else datetime.fromisoformat(str(kept))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _json(kept: Any) -> Any:
    try:
        return msgspec.json.decode(kept) if isinstance(kept, str) else kept
    except msgspec.DecodeError:
        return kept


def _same(has: Any, value: Any) -> bool:
    """Whether a column has this value; a list or table may be kept as JSON text."""
    return bool(has == value or (not isinstance(value, str) and _json(has) == value))
