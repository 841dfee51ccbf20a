"""Who asks, and may they: passwords (argon2id), sessions with CSRF for browsers, bearer tokens for programs.

What the browser or the program holds is a secret of 256 bits; the ledger has only its sha256. Every log-in and every
refusal is noted there. There are no default passwords.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from dashboards.problems import Problem
from dashboards.throttle import Throttle
from hub.clock import Clock
from hub.ledger.entries import Note
from hub.ledger.ledger import Ledger
from hub.ledger.people import People, Person, Session, Token
from hub.passwords import Hashing
from hub.rights import ROLES, Right

IDLE = timedelta(minutes=60)  # a session ends after so long without a request or an open page
LONGEST = timedelta(hours=12)  # a session ends after so long in any case: a shift and the handing-over
TOKEN_LIFE = timedelta(days=365)  # unless its maker says less
MAX_TOKENS = 20  # of one person
RECHECK_S = 30.0  # how long a change made by another process (fieldhub user) may take to be felt here
MAX_KNOWN = 5_000  # sessions and tokens remembered between requests
LONGEST_NAME = 64
NOTE_AGAIN_S = 60.0  # the same refusal is noted so often at most

COOKIE = "fieldhub"
TOKEN_START = "fh_"


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    return frozenset(right for role in roles for right in ROLES.get(role, ()))


class Caller:
    """Somebody who is let in by a session or a token. It is the stream's ticket too."""

    def __init__(self, clock: Clock, person: Person, roles: Iterable[str], expires: datetime | None) -> None:
        self.person = person
        self.roles = tuple(roles)
        self.rights = rights_of(self.roles)
        self.expires = expires
        self.session: Session | None = None
        self.token: Token | None = None
        self.seen = clock.now()
        self.checked_s = clock.monotonic()
        self.ended = False
        self._clock = clock

    @property
    def name(self) -> str:
        return self.person.name

    def may(self, right: Right) -> bool:
        return right in self.rights

    @property
    def over(self) -> bool:
        """Whether an open stream must end. That it is open counts as presence: a duty desk watches without clicking."""
        now = self._clock.now()
        self.seen = now
        return self.out_of_time(now)

    def out_of_time(self, now: datetime) -> bool:
        if self.ended or (self.expires is not None and now >= self.expires):
            return True
        return self.session is not None and now - self.seen > IDLE


class Gate:
    """Every request passes here. What it has seen it remembers for RECHECK_S, so that most cost no read."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.throttle = Throttle(clock)
        self._ledger = ledger
        self._people: People = ledger.people
        self._clock = clock
        self._known: OrderedDict[bytes, Caller] = OrderedDict()  # digest of the secret -> who
        self._hashing = Hashing()
        self._noted: dict[tuple[str, str, str], float] = {}

    # ---- every request --------------------------------------------------------------------------------------------

    async def admit(self, scope: Any, right: Right) -> Caller | None:
        """Who asks. None where nobody needs to sign in. Raises Problem: sign in first, not allowed, not from here."""
        if right is Right.OPEN:
            return None
        bearer = cookie = csrf = b""
        for key, value in scope["headers"]:
            if key == b"authorization":
                bearer = value
            elif key == b"cookie":
                cookie = cookie or _of_cookies(value)
            elif key == b"x-csrf-token":
                csrf = value
        if bearer[:7].lower() == b"bearer ":
            caller = await self._by_token(bearer[7:].strip(), scope)
        elif cookie:
            caller = await self._by_session(cookie)
            if scope["method"] not in ("GET", "HEAD") and not _same(csrf, caller):
                self._refused("csrf", caller.name, scope)
                raise Problem("csrf")
        else:
            raise Problem("sign_in_first", headers={"WWW-Authenticate": "Bearer"})
        if right not in caller.rights:
            self._refused("no_right", caller.name, scope, right=right.value)
            raise Problem("no_right", {"who": caller.name, "right": right.value})
        return caller

    async def is_signed_in(self, scope: Any) -> bool:
        """Whether whoever asks would be let in: for what is open to everybody."""
        try:
            return await self.admit(scope, Right.LOOK) is not None
        except Problem:
            return False

    async def _by_session(self, secret: bytes) -> Caller:
        digest = sha256(secret).digest()
        caller = self._known.get(digest)
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

    async def _read_session(self, digest: bytes) -> Caller:
        found = await self._people.session(digest.hex())
        before = self._known.get(digest)
        if found is None or found[1].disabled:
            self._forget(digest)
            raise _session_over()
        session, person = found
        caller = Caller(self._clock, person, person.roles, session.expires)
        caller.session = session
        caller.seen = max(session.seen, before.seen) if before else session.seen
        return self._remember(digest, caller)

    async def _by_token(self, secret: bytes, scope: Any) -> Caller:
        digest = sha256(secret).digest()
        caller = self._known.get(digest)
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
            self._refused("token", id[:LONGEST_NAME] if id.isalnum() else "", scope)
            raise _bad_token()
        token, person = found
        whole = rights_of(person.roles)
        roles = [role for role in token.roles if rights_of([role]) <= whole]
        caller = Caller(self._clock, person, roles, token.expires)
        caller.token = token
        return self._remember(digest, caller)

    def _remember(self, digest: bytes, caller: Caller) -> Caller:
        before = self._known.get(digest)
        if before is not None and before.roles == caller.roles:
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

    def forget(self, person: str, *, but_session: str = "") -> None:
        """This person's roles, password or sessions have changed: what is remembered of them is read again."""
        for digest, caller in list(self._known.items()):
            if caller.name == person and (caller.session is None or caller.session.id != but_session):
                self._forget(digest)

    async def recheck(self, watching: Iterable[Caller]) -> None:
        """Look again at those who only watch: another process may have ended their session."""
        for caller in set(watching):
            id = caller.session.id if caller.session else caller.token.id if caller.token else ""
            found: Any = await (self._people.session(id) if caller.session else self._people.token(id))
            if found is None or found[1].disabled or not caller.rights <= rights_of(found[1].roles):
                caller.ended = True
            elif caller.session is not None:
                self._people.touch(id, caller.seen)

    # ---- signing in and out ---------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str, scope: Any) -> tuple[str, Caller]:
        """What the browser shall hold, and who it is now. Raises Problem, LedgerUnavailable."""
        address = address_of(scope)
        wait_s = self.throttle.wait_s(name, address)
        if wait_s > 0:
            self._refused("too_fast", name, scope)
            raise Problem("slow_down", {"wait_s": wait_s}, headers={"Retry-After": str(int(wait_s) + 1)})
        delay_s = self.throttle.begin(name, address)
        succeeded = False
        try:
            person = await self._checked(name, password)
            await self._clock.sleep(delay_s)
            succeeded = person is not None
        finally:
            self.throttle.end(name, address, succeeded)
        if person is None:
            await self._note("refused", name, scope, why="password")
            raise Problem("wrong_name_or_password")
        return await self._open(person, scope)

    async def _checked(self, name: str, password: str) -> Person | None:
        person = await self._people.person(name)
        if person is not None and person.disabled:
            person = None
        right, fresh = await self._hashing.same(person.password if person else "", password)
        if person is None or not right:
            return None
        if fresh:  # it was hashed under older parameters
            await self._people.rehash(person.name, person.password, fresh)
        return person

    async def _open(self, person: Person, scope: Any) -> tuple[str, Caller]:
        secret = secrets.token_urlsafe(32)
        digest = sha256(secret.encode()).digest()
        now = self._clock.now()
        session = Session(digest.hex(), person.name, secrets.token_urlsafe(24), now, now, now + LONGEST)
        try:
            await self._people.open_session(session, self._login_note("signed_in", person.name, scope))
        except LookupError:  # disabled while the password was checked
            raise Problem("wrong_name_or_password") from None
        caller = Caller(self._clock, person, person.roles, session.expires)
        caller.session = session
        return secret, self._remember(digest, caller)

    async def sign_out(self, caller: Caller, scope: Any) -> None:
        assert caller.session is not None
        await self._people.close_session(caller.session.id, self._login_note("signed_out", caller.name, scope))
        self._forget(bytes.fromhex(caller.session.id))
        caller.ended = True

    async def password_is(self, caller: Caller, password: str, scope: Any) -> bool:
        """Whether this is the caller's own password; wrong ones slow down as at the door."""
        address = address_of(scope)
        wait_s = self.throttle.wait_s(caller.name, address)
        if wait_s > 0:
            raise Problem("slow_down", {"wait_s": wait_s}, headers={"Retry-After": str(int(wait_s) + 1)})
        self.throttle.begin(caller.name, address)
        right = False
        try:
            right = await self._checked(caller.name, password) is not None
        finally:
            self.throttle.end(caller.name, address, right)
        return right

    # ---- tokens ---------------------------------------------------------------------------------------------------

    async def make_token(self, caller: Caller, title: str, roles: Sequence[str], days: int) -> tuple[str, Token]:
        """The token's text, which is told once, and what is kept of it."""
        id, now = secrets.token_hex(6), self._clock.now()
        text = f"{TOKEN_START}{id}_{secrets.token_urlsafe(32)}"
        expires = now + min(timedelta(days=days), TOKEN_LIFE)
        token = Token(id, title, caller.name, sha256(text.encode()).hexdigest(), tuple(roles), now, expires)
        note = Note("token", now, caller.name, id, body={"did": "made", "title": title, "roles": list(roles)})
        await self._people.add_token(token, note)
        return text, token

    async def end_token(self, caller: Caller, id: str) -> None:
        """Raises LookupError."""
        note = Note("token", self._clock.now(), caller.name, id, body={"did": "ended"})
        await self._people.end_token(id, note)
        for digest, known in list(self._known.items()):
            if known.token is not None and known.token.id == id:
                self._forget(digest)

    # ---- notes ----------------------------------------------------------------------------------------------------

    def _refused(self, why: str, name: str, scope: Any, **more: str) -> None:
        """Note a refusal, the same one once in NOTE_AGAIN_S; nobody waits for the disk."""
        key, now = (why, name, address_of(scope)), self._clock.monotonic()
        if now - self._noted.get(key, -NOTE_AGAIN_S) < NOTE_AGAIN_S:
            return
        if len(self._noted) >= MAX_KNOWN:
            self._noted.clear()
        self._noted[key] = now
        note = self._login_note("refused", name, scope, why=why, path=_plain(scope["path"]), **more)
        self._ledger.append(note).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _note(self, did: str, name: str, scope: Any, **more: str) -> None:
        await self._ledger.append(self._login_note(did, name, scope, **more))

    def _login_note(self, did: str, name: str, scope: Any, **more: str) -> Note:
        by = "" if did == "refused" else name
        body = {"did": did, "address": address_of(scope), "agent": _agent(scope), **more}
        return Note("login", self._clock.now(), by, _plain(name), body=body)


def address_of(scope: Any) -> str:
    """The other side's address, as the server (or the proxy that it trusts) says."""
    client = scope.get("client")
    return client[0] if client else ""


def _session_over() -> Problem:
    return Problem("session_over", headers={"WWW-Authenticate": "Bearer"})


def _bad_token() -> Problem:
    return Problem("bad_token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _same(csrf: bytes, caller: Caller) -> bool:
    return caller.session is not None and compare_digest(csrf, caller.session.csrf.encode())


def _of_cookies(header: bytes) -> bytes:
    for part in header.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name in (b"fieldhub", b"__Host-fieldhub"):
            return value
    return b""


def _agent(scope: Any) -> str:
    return _plain(dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1"))


def _plain(text: str) -> str:
    """What may stand in the ledger: printable and short."""
    return "".join(letter for letter in text[:200] if letter.isprintable())
