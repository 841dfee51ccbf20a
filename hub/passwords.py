"""Passwords: what one must be like, and what is kept of it (argon2id)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from hub.clock import Clock, SystemClock
from hub.ledger.entries import Note, changed
from hub.ledger.ledger import Ledger
from hub.ledger.people import Person
from hub.model import Words
from hub.rights import Grant, write_grant
from hub.words import house_words

SHORTEST = 10
LONGEST = 200
GUESSED_LETTERS = 72  # so many are looked at; the guessing grows with their square
WEAKEST_SCORE = 3  # of 0 to 4: 10^8 guesses and more
HASHES_AT_ONCE = 2  # 46 MiB each

_SYSTEM = SystemClock()
# OWASP's second choice: one pass over 46 MiB.
_hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)


class WeakPassword(ValueError):
    """`words` say what to write instead, in both languages."""

    def __init__(self, key: str, **args: Any) -> None:
        self.words = Words(key, args)
        super().__init__(house_words().say(self.words))


def hash_password(name: str, password: str, shortest: int = SHORTEST) -> str:
    """Takes some 50 ms of one core, and some more to guess at it. Raises WeakPassword."""
    if len(password) < shortest:
        raise WeakPassword("weak.short", count=len(password), least=shortest)
    if len(password) > LONGEST:
        raise WeakPassword("weak.long", count=len(password), most=LONGEST)
    if name.casefold() in password.casefold() and len(password) - len(name) < shortest // 2:
        raise WeakPassword("weak.name")
    # NIST SP 800-63B § 5.1.1.2: what is often used is refused, not what lacks a digit or a sign.
    if zxcvbn(password[:GUESSED_LETTERS], user_inputs=[name, "fieldhub"])["score"] < WEAKEST_SCORE:
        raise WeakPassword("weak.guessed")
    return _hasher.hash(password)


class Hashing:
    """Compares passwords off the loop, HASHES_AT_ONCE at most."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = ""  # a hash to compare with when there is no such person: as slow as with one

    async def same(self, hashed: str, password: str) -> tuple[bool, str]:
        """Whether it is the password, and its hash under today's parameters where `hashed` has older ones, else "".

        `hashed` "": there is nobody; never the same, and as slow.
        """
        async with self._free:
            if not hashed and not self._nobody:
                self._nobody = await asyncio.to_thread(_hasher.hash, secrets.token_hex(16))
            right = await asyncio.to_thread(_verify, hashed or self._nobody, password)
            if not hashed or not right:
                return False, ""
            stale = _hasher.check_needs_rehash(hashed)
            return True, await asyncio.to_thread(_hasher.hash, password) if stale else ""


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


async def add_person(
    ledger: Ledger,
    name: str,
    full_name: str,
    password: str,
    grants: Sequence[Grant],
    language: str,
    by: str = "",
    clock: Clock = _SYSTEM,
    *,
    must_change: bool = False,
    shortest: int = SHORTEST,
    subject: str = "",
    where: Mapping[str, Any] | None = None,
) -> None:
    """`where`: from where it was asked, for the note. Raises WeakPassword, AlreadyWritten, LedgerUnavailable."""
    hashed = await asyncio.to_thread(hash_password, name, password, shortest)
    now = clock.now()
    person = Person(
        name,
        full_name,
        hashed,
        tuple(grants),
        now,
        language,
        password_set=now,
        must_change=must_change,
        subject=subject,
    )
    held = [write_grant(it) for it in grants]
    told = {"full_name": full_name, "language": language, "grants": held, "disabled": False, "subject": subject}
    body = {"did": "added", "grants": held, "changed": changed(None, told), **(where or {})}
    await ledger.people.add(person, Note("person", now, by, name, body=body))


async def set_password(
    ledger: Ledger,
    name: str,
    password: str,
    by: str = "",
    keep_session: str = "",
    clock: Clock = _SYSTEM,
    *,
    must_change: bool = False,
    shortest: int = SHORTEST,
    where: Mapping[str, Any] | None = None,
) -> None:
    """Other sessions of this person end. Raises WeakPassword, LookupError, LedgerUnavailable."""
    hashed = await asyncio.to_thread(hash_password, name, password, shortest)
    now = clock.now()
    note = Note("person", now, by, name, body={"did": "password set", **(where or {})})
    await ledger.people.set_password(name, hashed, now, note, must_change=must_change, keep_session=keep_session)
