"""The holds that run, kept over a restart: an alarm that was to come after 30 s comes after 30 s all the same."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec

from hub.clock import Clock
from hub.contract import Hold, Judgement

EVERY_S = 5.0  # a hub that is killed forgets no more of its holds than began in this time

log = logging.getLogger("fieldhub.holds")


class HoldsFile:
    """A small file that is written anew when what it says has changed."""

    def __init__(self, path: Path, judgement: Judgement, clock: Clock) -> None:
        self._path = path
        self._judgement = judgement
        self._clock = clock
        self._written: list[Hold] = []

    def read(self) -> list[Hold]:
        """The holds that ran when it was last written. Without them each hold begins anew, which is said in the log."""
        try:
            self._written = msgspec.json.decode(self._path.read_bytes(), type=list[Hold])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s › cannot be read: %s. Holds begin anew", self._path, error)
        return self._written

    async def run(self) -> None:
        while True:
            await self._clock.sleep(EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Raises OSError."""
        holds = self._judgement.holds()
        if holds != self._written:
            await asyncio.to_thread(self._replace, msgspec.json.encode(holds))
            self._written = holds

    def _replace(self, text: bytes) -> None:
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
