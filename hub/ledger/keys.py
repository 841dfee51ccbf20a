"""Hashes of the secrets by which terminals prove who they are (hub/identity.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from hub.ledger.entries import Note, draft
from hub.ledger.reader import Reader
from hub.ledger.tables import speaker_key
from hub.ledger.writer import Writer


class SpeakerKey(Struct, frozen=True):
    """One that counts, until `until` if that is set."""

    speaker: str
    hash: str
    made_at: datetime
    until: datetime | None = None

    def counts(self, now: datetime) -> bool:
        return self.until is None or now < self.until


def hash_of(secret: str) -> str:
    """What is kept of a secret. It is random and long: its hash needs no salt. Of "": the name alone."""
    return sha256(b"speaker " + secret.encode()).hexdigest()


class Keys:
    """Both raise LedgerUnavailable."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def load(self) -> list[SpeakerKey]:
        """All of them, by speaker, the oldest first."""

        def read(connection: Connection) -> list[SpeakerKey]:
            rows = connection.execute(select(speaker_key).order_by(speaker_key.c.speaker, speaker_key.c.made_at))
            return [SpeakerKey(row.speaker, row.hash, row.made_at, row.until) for row in rows]

        return await self._reader.run(read)

    async def put(self, speaker: str, keys: Sequence[SpeakerKey], note: Note) -> None:
        """These are its keys from now on, and the note says who did it; or nothing."""

        def job(connection: Connection) -> None:
            connection.execute(delete(speaker_key).where(speaker_key.c.speaker == speaker))
            for it in keys:
                row = {"speaker": speaker, "hash": it.hash, "made_at": it.made_at, "until": it.until}
                connection.execute(insert(speaker_key), [row])

        await self._writer.run(job, [draft(note)])
