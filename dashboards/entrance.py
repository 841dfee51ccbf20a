"""How somebody gets in: name and password, then a code where there is a second factor; the very first administrator.

A session is opened here and nowhere else. Every try is counted (throttle.py), every outcome noted.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from dashboards.auth import Gate
from dashboards.caller import SESSION_LETTERS, Caller, address_of, agent_of, where_from
from dashboards.problems import Problem
from dashboards.throttle import Throttle
from hub import second_factor
from hub.clock import Clock
from hub.ledger.entries import Note
from hub.ledger.ledger import Ledger
from hub.ledger.people import Person, Session
from hub.passwords import Hashing, add_person
from hub.rights import Grant, Right, rights_of
from hub.vault import Vault

FIRST = (Grant("system_admin"), Grant("security_admin"))  # what the first administrator holds, until there are two
SETUP = "setup"  # the throttle's name for tries at the one-time code
MAX_BEGUN = 200  # second factors that are being set up


class Entrance:
    """Signing in and out, passwords and second factors of those who are in."""

    def __init__(self, gate: Gate, ledger: Ledger, clock: Clock, vault: Vault) -> None:
        self.throttle = Throttle(clock)
        self._gate = gate
        self._ledger = ledger
        self._people = ledger.people
        self._clock = clock
        self._vault = vault
        self._hashing = Hashing()
        self._setup = b""  # digest of the one-time code
        self._begun: dict[str, str] = {}  # session -> the secret of a second factor that is not confirmed yet

    # ---- in and out -----------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str, code: str, scope: Any) -> tuple[str, Caller]:
        """What the browser shall hold, and who it is now. Raises Problem, LedgerUnavailable."""
        address = address_of(scope)
        self._not_too_fast(name, address, scope)
        delay_s = self.throttle.begin(name, address)
        excused = succeeded = False
        try:
            person = await self._checked(name, password)
            await self._clock.sleep(delay_s)
            if person is not None and person.second and not code:
                excused = True
            elif person is not None:
                succeeded = not person.second or await self._code_fits(person, code, scope)
        finally:
            if excused:
                self.throttle.excuse(name, address)
            else:
                self.throttle.end(name, address, succeeded)
        if person is None:
            await self._gate.note_refusal("password", name, scope)
            raise Problem("wrong_name_or_password")
        if excused:
            raise Problem("code_needed")
        if not succeeded:
            await self._gate.note_refusal("code", name, scope)
            raise Problem("wrong_code")
        return await self.open(person, "second" if person.second else "password", scope)

    async def open(self, person: Person, way: str, scope: Any) -> tuple[str, Caller]:
        """A session for somebody who has shown who they are. Raises Problem when they may not sign in."""
        secret = secrets.token_urlsafe(32)
        digest, csrf, now = sha256(secret.encode()).hexdigest(), secrets.token_urlsafe(24), self._clock.now()
        until = now + self._gate.rules.longest
        session = Session(digest, person.name, csrf, now, now, until, address_of(scope), agent_of(scope), way)
        try:
            short = digest[:SESSION_LETTERS]
            note = self._gate.login_note("signed_in", person.name, scope, way=way, session=short)
            await self._people.open_session(session, note)
        except LookupError:  # disabled while the password was checked
            raise Problem("wrong_name_or_password") from None
        return secret, self._gate.open(session, person)

    async def sign_out(self, caller: Caller, scope: Any) -> None:
        assert caller.session is not None
        note = self._gate.login_note("signed_out", caller.name, scope)
        await self._people.close_session(caller.session.id, note)
        self._gate.end_session(caller.session.id)
        caller.ended = True

    async def password_is(self, caller: Caller, password: str, scope: Any) -> bool:
        """Whether this is the caller's own password; wrong ones slow down as at the door."""
        address = address_of(scope)
        self._not_too_fast(caller.name, address, scope)
        self.throttle.begin(caller.name, address)
        right = False
        try:
            right = await self._checked(caller.name, password) is not None
        finally:
            self.throttle.end(caller.name, address, right)
        return right

    def _not_too_fast(self, name: str, address: str, scope: Any) -> None:
        wait_s = self.throttle.wait_s(name, address)
        if wait_s > 0:
            self._gate.refused("too_fast", name, scope)
            raise Problem("slow_down", {"wait_s": wait_s}, headers={"Retry-After": str(int(wait_s) + 1)})

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

    # ---- second factor --------------------------------------------------------------------------------------------

    async def begin_second(self, caller: Caller, password: str, scope: Any) -> str:
        """A new secret for the caller's phone, good once a code of it was given. Raises Problem."""
        if not await self.password_is(caller, password, scope):
            raise Problem("wrong_old_password")
        if len(self._begun) >= MAX_BEGUN:
            del self._begun[next(iter(self._begun))]
        assert caller.session is not None
        secret = self._begun[caller.session.id] = second_factor.new_secret()
        return secret

    async def confirm_second(self, caller: Caller, code: str, scope: Any) -> Sequence[str]:
        """The phone shows the right code: from now on it is asked for. The recovery codes, told once."""
        assert caller.session is not None
        secret, now = self._begun.get(caller.session.id, ""), self._clock.now()
        if not secret:
            raise Problem("second_not_begun")
        if second_factor.step_of(secret, code, now, 0) is None:
            raise Problem("wrong_new_code")
        codes = second_factor.recovery_codes(secrets.choice)
        note = Note("person", now, caller.name, caller.name, body={"did": "second factor set", **where_from(scope)})
        hashes = [second_factor.recovery_hash(it) for it in codes]
        await self._people.set_second(caller.name, self._vault.seal(secret), hashes, note)
        del self._begun[caller.session.id]
        self._gate.forget(caller.name)
        return codes

    async def end_second(self, caller: Caller, password: str, scope: Any) -> None:
        """No code is asked for any more. Raises Problem, also when the site wants one of this person."""
        if any(it.role in self._gate.rules.second_for for it in caller.person.grants):
            raise Problem("second_is_wanted")
        if not await self.password_is(caller, password, scope):
            raise Problem("wrong_old_password")
        await self.take_second(caller.name, caller.name, scope)

    async def take_second(self, name: str, by: str, scope: Any) -> None:
        """The phone is lost. Raises LookupError."""
        body = {"did": "second factor taken away", **where_from(scope)}
        await self._people.set_second(name, "", (), Note("person", self._clock.now(), by, name, body=body))
        self._gate.forget(name)

    async def _code_fits(self, person: Person, code: str, scope: Any) -> bool:
        secret = self._vault.unseal(person.second)
        if secret is not None:
            step = second_factor.step_of(secret, code, self._clock.now(), person.second_step)
            if step is not None:
                return await self._people.use_step(person.name, step)
        note = self._gate.login_note("recovery_code_used", person.name, scope)
        return await self._people.use_recovery(person.name, second_factor.recovery_hash(code), note)

    # ---- the first administrator ----------------------------------------------------------------------------------

    async def setup_code(self) -> str:
        """A one-time code for the first administrator; "" when there is one already.

        It is shown on the server's own console and nowhere else: who can read that may make the first log-in.
        """
        if await self._somebody_permits():
            return ""
        code = "-".join(
            "".join(secrets.choice(second_factor.RECOVERY_LETTERS) for _ in range(5)) for _ in range(4)
        )  # 99 bits
        self._setup = _digest(code)
        return code

    async def _somebody_permits(self) -> bool:
        everybody = await self._people.persons()
        return any(Right.PERMISSIONS in rights_of(it.grants) and not it.disabled for it in everybody)

    async def set_up(self, code: str, name: str, full_name: str, password: str, language: str, scope: Any) -> None:
        """Make the first administrator. Raises Problem, WeakPassword, AlreadyWritten."""
        address = address_of(scope)
        self._not_too_fast(SETUP, address, scope)
        self.throttle.begin(SETUP, address)
        right = bool(self._setup) and compare_digest(_digest(code), self._setup)
        self.throttle.end(SETUP, address, right)
        if not right:
            await self._gate.note_refusal("setup code", name, scope)
            raise Problem("wrong_setup_code")
        used, self._setup = self._setup, b""  # at once: two at the same time would be two administrators
        if await self._somebody_permits():  # made at the server's console since the code was shown
            raise Problem("wrong_setup_code")
        made = False
        try:
            shortest = self._gate.rules.password_length
            where = {"way": "setup code", **where_from(scope)}
            await add_person(
                self._ledger,
                name,
                full_name,
                password,
                FIRST,
                language,
                "",
                self._clock,
                shortest=shortest,
                where=where,
            )
            made = True
        finally:
            if not made:
                self._setup = used


def _digest(code: str) -> bytes:
    return sha256("".join(it for it in code.lower() if it.isalnum()).encode()).digest()


def session_number(it: Session) -> str:
    """What a session is called on screen and in addresses: a part of its id, which opens nothing."""
    return it.id[:16]
