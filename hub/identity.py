"""Who may speak for a device: a secret that its terminal says with its name; made here, told once, changed in overlap.

A speaker is what proves itself: an address without its unit ("modbus+dtu:860123456789012"); several devices may share
one. As long as no secret was ever made for it, its name is enough. Only hashes are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from secrets import choice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from hub.clock import Clock
from hub.ledger.entries import Note
from hub.ledger.keys import Keys, hash_of
from hub.ledger.keys import SpeakerKey as Key

LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike; they fit into any terminal's text
SECRET_LENGTH = 20  # 100 bits
LONGEST_OVERLAP_DAYS = 90
HASH_LETTERS = 16  # of a key's hash, by which its entry names it
MOST_KEYS = 4  # of one speaker: the new one, and old ones that still count; the oldest ends early


class Standing(Struct, frozen=True):
    """One key as people see it: never the secret. `named`: it is the name alone, which still counts for a while."""

    made_at: datetime
    until: datetime | None
    heard_at: datetime | None  # since the house started
    named: bool


class Identity:
    """The house's speakers and their keys."""

    def __init__(self, keys: Keys, clock: Clock, there: Iterable[Key] = ()) -> None:
        self._keys = keys
        self._clock = clock
        self._of: dict[str, tuple[Key, ...]] = {}
        self._heard: dict[tuple[str, str], datetime] = {}
        self._one_by_one = asyncio.Lock()
        for key in there:
            self._of[key.speaker] = (*self._of.get(key.speaker, ()), key)

    def may_speak(self, speaker: str, secret: str) -> bool:
        """Whether somebody who says this name and this secret ("": none) is believed now."""
        keys = self._of.get(speaker)
        if not keys:
            return True
        said, now = hash_of(secret), self._clock.now()
        for key in keys:
            if compare_digest(key.hash, said) and key.counts(now):
                self._heard[speaker, key.hash] = now
                return True
        return False

    def standing(self, speaker: str) -> list[Standing]:
        """Its keys that count now, the newest first."""
        now = self._clock.now()
        return [
            Standing(it.made_at, it.until, self._heard.get((speaker, it.hash)), it.hash == hash_of(""))
            for it in reversed(self._of.get(speaker, ()))
            if it.counts(now)
        ]

    async def renew(self, speaker: str, overlap: timedelta, by: str, where: Mapping[str, Any]) -> str:
        """A new secret, told now and never again. What counted until now counts for `overlap` more.

        Raises LedgerUnavailable: then nothing has changed.
        """
        secret = "".join(choice(LETTERS) for _ in range(SECRET_LENGTH))
        async with self._one_by_one:
            now = self._clock.now()
            before = self._of.get(speaker) or (Key(speaker, hash_of(""), now),)
            old = [_ending(it, now + overlap) for it in before if it.counts(now)]
            keys = (*[it for it in old if it.counts(now)], Key(speaker, hash_of(secret), now))[-MOST_KEYS:]
            did = {"did": "device secret made", "overlap_days": overlap / timedelta(days=1)}
            await self._keep(speaker, keys, did, now, by, where)
        return secret

    async def end_old(self, speaker: str, by: str, where: Mapping[str, Any]) -> None:
        """Only the newest secret counts from now on. Raises LedgerUnavailable."""
        async with self._one_by_one:
            keys = self._of.get(speaker, ())[-1:]
            await self._keep(speaker, keys, {"did": "old device secrets ended"}, self._clock.now(), by, where)

    async def end_all(self, speaker: str, by: str, where: Mapping[str, Any]) -> None:
        """The name is enough again. Raises LedgerUnavailable."""
        async with self._one_by_one:
            await self._keep(speaker, (), {"did": "device secrets ended"}, self._clock.now(), by, where)

    async def _keep(
        self,
        speaker: str,
        keys: tuple[Key, ...],
        did: Mapping[str, Any],
        now: datetime,
        by: str,
        where: Mapping[str, Any],
    ) -> None:
        told = {it.hash[:HASH_LETTERS]: it.until.isoformat() if it.until else None for it in keys}
        await self._keys.put(speaker, keys, Note("identity", now, by, speaker, body={**did, "keys": told, **where}))
        self._of[speaker] = keys
        for gone in [it for it in self._heard if it[0] == speaker and it[1] not in {key.hash for key in keys}]:
            del self._heard[gone]


def _ending(key: Key, at: datetime) -> Key:
    """The key, which counts no longer than until then."""
    return replace(key, until=at if key.until is None else min(at, key.until))
