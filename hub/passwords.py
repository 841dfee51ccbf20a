"""Passwords: what one must be like, and what is kept of it (argon2id)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.clock import Clock, SystemClock
from hub.ledger.entries import Note
from hub.ledger.ledger import Ledger
from hub.ledger.people import Person

SHORTEST = 10
LONGEST = 200
HASHES_AT_ONCE = 2  # 46 MiB each

_SYSTEM = SystemClock()
# OWASP's second choice: one pass over 46 MiB.
_hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)


class WeakPassword(ValueError):
    """The text says what to write instead."""


def hash_password(name: str, password: str) -> str:
    """Takes some 50 ms of one core. Raises WeakPassword."""
    if len(password) < SHORTEST:
        raise WeakPassword(f"the password has {len(password)} characters. Write at least {SHORTEST}")
    if len(password) > LONGEST:
        raise WeakPassword(f"the password has {len(password)} characters. Write at most {LONGEST}")
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise WeakPassword("the password is the name or has hardly any different letters. Write another one")
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
    roles: Sequence[str],
    language: str,
    by: str = "",
    clock: Clock = _SYSTEM,
) -> None:
    """Raises WeakPassword, AlreadyWritten, LedgerUnavailable."""
    hashed = await asyncio.to_thread(hash_password, name, password)
    now = clock.now()
    person = Person(name, full_name, hashed, tuple(roles), now, language)
    await ledger.people.add(person, Note("person", now, by, name, body={"did": "added", "roles": list(roles)}))


async def set_password(
    ledger: Ledger, name: str, password: str, by: str = "", keep_session: str = "", clock: Clock = _SYSTEM
) -> None:
    """Other sessions of this person end. Raises WeakPassword, LookupError, LedgerUnavailable."""
    hashed = await asyncio.to_thread(hash_password, name, password)
    note = Note("person", clock.now(), by, name, body={"did": "password set"})
    await ledger.people.set_password(name, hashed, note, keep_session=keep_session)
