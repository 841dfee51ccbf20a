"""Who asks, and may they: sessions with CSRF for browsers, bearer tokens for programs.

What the browser or the program holds is a secret of 256 bits; the ledger has only its sha256. Every log-in and every
refusal is noted there. How somebody gets in is entrance.py.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from dashboards.caller import Caller, Rules, address_of, plain, where_from
from dashboards.pace import Pace
from dashboards.problems import Problem
from hub.clock import Clock
from hub.ledger.entries import Note
from hub.ledger.ledger import Ledger
from hub.ledger.people import People, Person, Session, Token
from hub.rights import Grant, Right, areas_of, write_grant
from hub.sight import Sight

TOKEN_LIFE = timedelta(days=365)  # unless its maker says less
MAX_TOKENS = 20  # of one person
RECHECK_S = 30.0  # how long a change made by another process (fieldhub user) may take to be felt here
MAX_KNOWN = 5_000  # sessions and tokens remembered between requests
LONGEST_NAME = 64
NOTE_AGAIN_S = 60.0  # the same refusal is noted so often at most,
NOTES_FROM_ONE = 60  # and of one address so many in that time: the next note says how many more there were

COOKIE = "fieldhub"
TOKEN_START = "fh_"


class Gate:
    """Every request passes here. What it has seen it remembers for RECHECK_S, so that most cost no read."""

    def __init__(self, ledger: Ledger, clock: Clock, sight: Sight, rules: Rules) -> None:
        self.rules = rules
        self.pace = Pace(clock)
        self._sight = sight
        self._ledger = ledger
        self._people: People = ledger.people
        self._clock = clock
        self._known: OrderedDict[bytes, Caller] = OrderedDict()  # digest of the secret -> who
        self._noted: dict[tuple[str, str, str], float] = {}
        self._from_one: dict[str, tuple[float, int, int]] = {}  # address -> since when, notes, refusals not noted

    # ---- every request --------------------------------------------------------------------------------------------

    async def admit(self, scope: Any, right: Right, whole: bool = False) -> Caller | None:
        """Who asks. None where nobody needs to sign in. Raises Problem: sign in first, not allowed, not from here.

        `whole`: the right must be held for the whole house, because what is asked for is not of one area.
        """
        if right is Right.OPEN:
            if scope["path"].startswith("/api/"):  # pages and their files lie in memory, and all of a county load them
                self._not_too_fast(self.pace.stranger_waits_s(address_of(scope)))
            return None
        bearer = cookie = csrf = b""
        for key, value in scope["headers"]:
            if key == b"authorization":
                bearer = value
            elif key == b"cookie":
                cookie = cookie or _of_cookies(value, scope["scheme"])
            elif key == b"x-csrf-token":
                csrf = value
        if bearer[:7].lower() == b"bearer ":
            caller = await self._by_token(bearer[7:].strip(), scope)
        elif cookie:
            caller = await self._by_session(cookie, scope)
            if scope["method"] not in ("GET", "HEAD") and not _same(csrf, caller):
                self.refused("csrf", caller.name, scope)
                raise Problem("csrf")
        else:
            raise Problem("sign_in_first", headers={"WWW-Authenticate": "Bearer"})
        if right not in caller.rights:
            if caller.must:
                raise Problem("do_first", {"must": caller.must[0].value}, must=[it.value for it in caller.must])
            self.refused("no_right", caller.name, scope, right=right.value)
            raise Problem("no_right", {"who": caller.name, "right": right.value})
        if whole and areas_of(caller.grants, right) is not None:
            self.refused("not_here", caller.name, scope, right=right.value)
            raise Problem("not_whole", {"who": caller.name, "right": right.value})
        return caller

    async def is_signed_in(self, scope: Any) -> bool:
        """Whether whoever asks would be let in: for what is open to everybody."""
        try:
            return await self.admit(scope, Right.LOOK) is not None
        except Problem:
            return False

    async def _by_session(self, secret: bytes, scope: Any) -> Caller:
        digest = sha256(secret).digest()
        caller = self._known.get(digest)
        self._keep_pace(caller, digest, scope)
        if caller is None or self._clock.monotonic() - caller.checked_s > RECHECK_S:
            caller = await self._read_session(digest)
        now = self._clock.now()
        if caller.out_of_time(now):
            self._known.pop(digest, None)
            raise _session_over()
        caller.seen = now
        assert caller.session is not None
        self._people.touch(caller.session.id, now)
        return caller

    def _keep_pace(self, caller: Caller | None, digest: bytes, scope: Any) -> None:
        """Raises Problem. Who is not known yet costs a read of the ledger, and counts as a stranger."""
        pace = self.pace
        self._not_too_fast(pace.caller_waits_s(digest) if caller else pace.stranger_waits_s(address_of(scope)))

    @staticmethod
    def _not_too_fast(wait_s: float) -> None:
        if wait_s > 0:
            raise Problem("slow_down", {"wait_s": wait_s}, headers={"Retry-After": str(int(wait_s) + 1)})

    async def _read_session(self, digest: bytes) -> Caller:
        found = await self._people.session(digest.hex())
        before = self._known.get(digest)
        if found is None or found[1].disabled:
            self._forget(digest)
            raise _session_over()
        session, person = found
        caller = self._caller(person, session)
        caller.seen = max(session.seen, before.seen) if before else session.seen
        return self._remember(digest, caller)

    async def _by_token(self, secret: bytes, scope: Any) -> Caller:
        digest = sha256(secret).digest()
        caller = self._known.get(digest)
        self._keep_pace(caller, digest, scope)
        if caller is None or self._clock.monotonic() - caller.checked_s > RECHECK_S:
            caller = await self._read_token(digest, secret, scope)
        now = self._clock.now()
        if caller.out_of_time(now):
            raise _bad_token()
        assert caller.token is not None
        self._people.used(caller.token.id, now)
        return caller

    async def _read_token(self, digest: bytes, secret: bytes, scope: Any) -> Caller:
        id = secret.decode("latin-1").removeprefix(TOKEN_START).partition("_")[0]
        found = await self._people.token(id) if id.isalnum() and id.isascii() else None
        if found is None or not compare_digest(found[0].secret, digest.hex()) or found[1].disabled:
            self._forget(digest)
            self.refused("token", id[:LONGEST_NAME] if id.isalnum() else "", scope)
            raise _bad_token()
        token, person = found
        return self._remember(digest, self._caller(person, token))

    def _caller(self, person: Person, by: Session | Token) -> Caller:
        """With what they may now: all their grants by a session, by a token those of its that they still have."""
        grants = person.grants
        if isinstance(by, Token):
            grants = tuple(it for it in by.grants if self._sight.gives_less(it, person.grants))
        return Caller(self._clock, self.rules, self._sight, person, grants, by)

    def open(self, session: Session, person: Person) -> Caller:
        """A session has begun."""
        return self._remember(bytes.fromhex(session.id), self._caller(person, session))

    def _remember(self, digest: bytes, caller: Caller) -> Caller:
        before = self._known.get(digest)
        if before is not None and before.like(caller):
            before.person, before.checked_s = caller.person, caller.checked_s
            return before  # open streams hold it
        if before is not None:
            before.ended = True  # streams that were opened with other rights end
        self._known[digest] = caller
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return caller

    def _forget(self, digest: bytes) -> None:
        known = self._known.pop(digest, None)
        if known is not None:
            known.ended = True

    def end_session(self, id: str) -> None:
        """This session is over: its open streams end."""
        self._forget(bytes.fromhex(id))

    def forget(self, person: str) -> None:
        """This person's roles, password or sessions have changed: what is remembered of them is read again."""
        for digest, caller in list(self._known.items()):
            if caller.name == person:
                self._forget(digest)

    async def recheck(self, watching: Iterable[Caller]) -> None:
        """Look again at those who only watch: another process may have ended their session."""
        for caller in set(watching):
            session, token = caller.session, caller.token
            found: Any
            if session is not None:
                digest, found = bytes.fromhex(session.id), await self._people.session(session.id)
            else:
                assert token is not None
                digest, found = bytes.fromhex(token.secret), await self._people.token(token.id)
            if found is None or found[1].disabled or not caller.like(self._caller(found[1], found[0])):
                caller.ended = True
                if self._known.get(digest) is caller:  # the next request reads it again, and may find it good
                    del self._known[digest]
            elif session is not None:
                self._people.touch(session.id, caller.seen)

    # ---- tokens ---------------------------------------------------------------------------------------------------

    async def make_token(
        self, caller: Caller, title: str, grants: Sequence[Grant], days: int, scope: Any
    ) -> tuple[str, Token]:
        """The token's text, which is told once, and what is kept of it."""
        id, now = secrets.token_hex(6), self._clock.now()
        text = f"{TOKEN_START}{id}_{secrets.token_urlsafe(32)}"
        expires = now + min(timedelta(days=days), TOKEN_LIFE)
        token = Token(id, title, caller.name, sha256(text.encode()).hexdigest(), tuple(grants), now, expires)
        told = {"did": "made", "title": title, "grants": [write_grant(it) for it in grants], "expires": expires}
        note = Note("token", now, caller.name, id, body={**told, **where_from(scope)})
        await self._people.add_token(token, note)
        return text, token

    async def end_token(self, caller: Caller, id: str, scope: Any) -> None:
        """Raises LookupError."""
        note = Note("token", self._clock.now(), caller.name, id, body={"did": "ended", **where_from(scope)})
        await self._people.end_token(id, note)
        for digest, known in list(self._known.items()):
            if known.token is not None and known.token.id == id:
                self._forget(digest)

    # ---- notes ----------------------------------------------------------------------------------------------------

    def refused(self, why: str, name: str, scope: Any, **more: str) -> None:
        """Note a refusal, the same one once in NOTE_AGAIN_S; nobody waits for the disk."""
        key, now = (why, name, address_of(scope)), self._clock.monotonic()
        if now - self._noted.get(key, -NOTE_AGAIN_S) < NOTE_AGAIN_S:
            return
        note = self._refusal(why, name, scope, path=plain(scope["path"]), **more)
        if note is None:
            return
        if len(self._noted) >= MAX_KNOWN:
            self._noted.clear()
        self._noted[key] = now
        self._ledger.append(note).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def note_refusal(self, why: str, name: str, scope: Any, **more: str) -> None:
        """Each of these is noted. Raises LedgerUnavailable."""
        note = self._refusal(why, name, scope, **more)
        if note is not None:
            await self._ledger.append(note)

    def _refusal(self, why: str, name: str, scope: Any, **more: str) -> Note | None:
        """None when this address has had NOTES_FROM_ONE: it is counted, and the next one says how many there were."""
        address, now = address_of(scope), self._clock.monotonic()
        since, told, unnoted = self._from_one.pop(address, (now, 0, 0))
        if now - since >= NOTE_AGAIN_S:
            since, told = now, 0
        if len(self._from_one) >= MAX_KNOWN:
            self._from_one.clear()
        if told >= NOTES_FROM_ONE:
            self._from_one[address] = since, told, unnoted + 1
            return None
        self._from_one[address] = since, told + 1, 0
        return self.login_note("refused", name, scope, why=why, **more, **({"unnoted": unnoted} if unnoted else {}))

    async def tell_unnoted(self) -> None:
        """Note how many refusals were not noted, for each address whose minute is over. Raises LedgerUnavailable."""
        now = self._clock.monotonic()
        over = {key: it for key, it in self._from_one.items() if now - it[0] >= NOTE_AGAIN_S}
        for address, (_, _, unnoted) in over.items():
            if unnoted:
                body = {"did": "refused", "why": "many", "address": address, "unnoted": unnoted}
                await self._ledger.append(Note("login", self._clock.now(), body=body))
            self._from_one.pop(address, None)  # once it is written: what cannot be is told the next time

    def login_note(self, did: str, name: str, scope: Any, **more: str | int) -> Note:
        by = "" if did == "refused" else name
        body = {"did": did, **where_from(scope), **more}
        return Note("login", self._clock.now(), by, plain(name), body=body)


def _session_over() -> Problem:
    return Problem("session_over", headers={"WWW-Authenticate": "Bearer"})


def _bad_token() -> Problem:
    return Problem("bad_token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _same(csrf: bytes, caller: Caller) -> bool:
    return caller.session is not None and compare_digest(csrf, caller.session.csrf.encode())


def _of_cookies(header: bytes, scheme: str) -> bytes:
    """Over HTTPS only the cookie that nobody but this host over HTTPS can have set."""
    wanted = b"__Host-fieldhub" if scheme == "https" else b"fieldhub"
    for part in header.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == wanted:
            return value
    return b""
