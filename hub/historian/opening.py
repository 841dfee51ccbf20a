"""Which store a site has, by [history] of hub.toml: the embedded one, a server, or a server beside the embedded one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from hub.clock import Clock
from hub.historian.base import (
    NOTHING,
    Batch,
    Buckets,
    Columns,
    Historian,
    HistoryUnavailable,
    Retention,
    Sample,
    Spells,
)
from hub.historian.catalogue import Catalogue
from hub.historian.engine import EmbeddedHistorian
from hub.historian.health import Health, MirrorHealth
from hub.historian.journal import JournalSeen
from hub.historian.onlooker import Onlooker
from hub.secrets import Secret

if TYPE_CHECKING:
    from hub.config_tables import HistoryTable, ServerTable
    from hub.historian.backend import Backend
    from hub.historian.remote import RemoteHistorian

MIRROR_AGAIN_S = 60.0  # a mirror that cannot be written is said again in the log after so long

log = logging.getLogger(__name__)


class Store(Historian, Protocol):
    """A historian that keeps names, looks after itself, and says how it is doing."""

    catalogue: Catalogue

    async def run(self, keep: Retention) -> None: ...

    @property
    def health(self) -> Struct: ...


class Mirrored:
    """The embedded store, and all that is written to it written to a server too. Questions go to the embedded one.

    The mirror has a spool of its own, and whatever becomes of it, the embedded store goes on.
    """

    def __init__(self, store: EmbeddedHistorian, mirror: RemoteHistorian, clock: Clock) -> None:
        self.store, self.mirror, self._clock = store, mirror, clock
        self.catalogue = store.catalogue
        self.missed = 0
        self._say_again_at = clock.monotonic()

    async def write(self, batch: Batch) -> None:
        await self.store.write(batch)
        try:
            await self.mirror.write(batch)
        except HistoryUnavailable as failure:
            self.missed += len(batch)
            if self._clock.monotonic() >= self._say_again_at:
                self._say_again_at = self._clock.monotonic() + MIRROR_AGAIN_S
                log.error("the mirror of the history misses readings: %s", failure)

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        return await self.store.range(series, start_us, end_us)

    async def buckets(self, series: Sequence[int], start_us: int, end_us: int, step_us: int) -> dict[int, Buckets]:
        return await self.store.buckets(series, start_us, end_us, step_us)

    async def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
        return await self.store.last_before(series, at_us)

    async def spells(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Spells]:
        return await self.store.spells(series, start_us, end_us)

    async def drop_before(self, at_us: int) -> int:
        return await self.store.drop_before(at_us)

    async def run(self, keep: Retention) -> None:
        """What the server keeps for how long is its own affair, as long as it is a mirror."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.store.run(keep))
            both.create_task(self.mirror.run())

    @property
    def health(self) -> MirrorHealth:
        own = {name: getattr(self.store.health, name) for name in Health.__struct_fields__}
        return MirrorHealth(**own, mirror=self.mirror.health, mirror_missed=self.missed)

    async def close(self) -> None:
        try:
            await self.mirror.close()
        finally:
            await self.store.close()


class RemoteOnlooker:
    """The history on a server, beside the hub that writes it (the names are there). Raises HistoryUnavailable."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.catalogue = Catalogue()
        self.damage: list[str] = []
        self._backend = backend
        path = folder / "history.sqlite3"
        if path.exists():
            with JournalSeen.at_once(path) as journal:
                self.catalogue.load(journal.entries())

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        found = await asyncio.to_thread(self._backend.range, series, start_us, end_us) if series else {}
        return {it: found.get(it, NOTHING) for it in series}


# ---- by hub.toml --------------------------------------------------------------------------------------------------


async def open_store(folder: Path, site: Path, clock: Clock, table: HistoryTable) -> Store:
    """The site's store, in its folder of data. Raises HistoryUnavailable, BadConfig (a token that is not there)."""
    spool, server = table.spool_mb * 1_000_000, table.server or table.mirror
    if server is None:
        return await EmbeddedHistorian.open(folder, clock)
    from hub.historian.remote import RemoteHistorian  # 0.15 s of a start, where there is no server for nothing

    instead, name = server is table.server, server.measurement
    backend = connect(server, site, f"hub.toml › history › {'server' if instead else 'mirror'}")
    if instead:
        return await RemoteHistorian.open(folder, clock, backend, name, spool_bytes=spool)
    async with contextlib.AsyncExitStack() as undo:
        store = await EmbeddedHistorian.open(folder, clock)
        undo.push_async_callback(store.close)
        beside = folder.with_name("mirror")
        mirror = await RemoteHistorian.open(beside, clock, backend, name, store.catalogue, spool)
        undo.pop_all()
    return Mirrored(store, mirror, clock)


def look(folder: Path, site: Path, table: HistoryTable, device: str) -> Onlooker | RemoteOnlooker:
    """The history of a device as it is now, beside a hub that may be running. Raises HistoryUnavailable, BadConfig."""
    if table.server is None:
        return Onlooker(folder, device)
    return RemoteOnlooker(folder, connect(table.server, site, "hub.toml › history › server"))


def connect(table: ServerTable, site: Path, where: str) -> Backend:
    """Raises BadConfig."""
    from hub.historian.backend import Access

    token = Secret(table.token, site, os.environ, f"{where} › token").reveal() if table.token else ""
    access = Access(table.url, token, table.org, table.bucket, table.measurement)
    if table.kind == "influxdb":
        from hub.historian.influx import Influx  # 0.3 s of a start, where there is none for nothing

        return Influx(access)
    from hub.historian.victoria import Victoria

    return Victoria(access)
