"""The hub is a device too: what it knows of itself are readings, so that ordinary rules watch it and pages show it.

`history.ok` is off when readings cannot be written; `history.dropping` is on while some are lost; `disk.free` says how
soon. They come in by the same door as any device's, and are judged by rules/shipped/hub.toml.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from hub.clock import Clock
from hub.model import Device, Kind, Nameplate, Point, Reading

ID = "hub"
KIND = "hub"
DRIVER = "hub"  # of what the hub tells itself
ADDRESS = f"{DRIVER}:self"
EVERY_S = 10.0
ALWAYS = "ledger.ok"  # a point that it tells as long as it runs
DROPPING_S = 600.0  # readings that were lost less long ago are news


class Watched(Struct, frozen=True):
    """What the house knows of itself at one moment."""

    history_error: str
    backlog: int  # readings that are not durable yet
    dropped: int  # readings lost since the start
    slowest_write_s: float  # since the last look
    merge_error: str
    ledger_ok: bool
    ledger_backlog: int
    server_error: str | None = None  # of a time-series server; None: there is none
    server_waiting: int = 0  # readings that it does not have yet
    channels_failing: int | None = None  # of notify.toml, that did not take the last message; None: there are none


class Disk(Protocol):
    """(free, all) bytes of the disk that a path is on. Raises OSError."""

    def __call__(self, path: Path) -> tuple[int, int]: ...


def disk(path: Path) -> tuple[int, int]:
    it = os.statvfs(path)
    return it.f_bavail * it.f_frsize, it.f_blocks * it.f_frsize


def _point(key: str, zh: str, en: str, kind: Kind = Kind.NUMBER, unit: str = "", digits: int = 0) -> Point:
    return Point(key, kind, unit, interval_s=EVERY_S, digits=digits, title={"zh-CN": zh, "en": en})


_POINTS = (
    _point("history.ok", "历史数据能写入", "History can be written", Kind.BOOL),
    _point("history.dropping", "历史数据正在丢失", "Readings are being lost", Kind.BOOL),
    _point("history.backlog", "等待写入的读数", "Readings that wait"),
    _point("history.write", "最慢一次写入", "Slowest write", unit="ms"),
    _point("history.merging", "历史文件能合并", "History files can be merged", Kind.BOOL),
    _point("ledger.ok", "台账能写入", "The ledger can be written", Kind.BOOL),
    _point("ledger.backlog", "等待写入的台账", "Ledger entries that wait"),
    _point("disk.free", "磁盘剩余", "Free on the disk", unit="GB", digits=1),
    _point("disk.free_share", "磁盘剩余比例", "Share of the disk that is free", unit="%", digits=1),
)
_SERVER_POINTS = (
    _point("server.ok", "时序服务器正常", "The time-series server answers", Kind.BOOL),
    _point("server.waiting", "等待发送的读数", "Readings that wait for the server"),
)
_NOTICES_POINTS = (_point("notices.failing", "失效的通知渠道", "Channels that take no message"),)


def device() -> Device:
    return Device(ID, "FieldHub", KIND, ADDRESS)


def plate(has_server: bool, has_channels: bool) -> Nameplate:
    """With a time-series server, and channels by which people are told, it has more to tell."""
    more = (*(_SERVER_POINTS if has_server else ()), *(_NOTICES_POINTS if has_channels else ()))
    return Nameplate({it.key: it for it in (*_POINTS, *more)})


class SelfWatch:
    """Looks every EVERY_S. `look` tells what the house knows; `take` is the door in."""

    def __init__(
        self,
        clock: Clock,
        data: Path,
        look: Callable[[], Watched],
        take: Callable[[list[Reading]], None],
        free: Disk = disk,
    ) -> None:
        self._clock, self._data, self._look, self._take, self._free = clock, data, look, take, free
        self._dropped = 0
        self._lost_at = -DROPPING_S

    async def run(self) -> None:
        self._dropped = self._look().dropped
        while True:
            await self.once()
            await self._clock.sleep(EVERY_S)

    async def once(self) -> None:
        values = self.values(self._look())
        try:
            free, whole = await asyncio.to_thread(self._free, self._data)
            values["disk.free"], values["disk.free_share"] = free / 1e9, 100 * free / whole
        except OSError:
            values["disk.free"] = values["disk.free_share"] = None  # the reading says so: it has no value
        now = self._clock.now()
        self._take([Reading(ID, key, value, now, now) for key, value in values.items()])

    def values(self, it: Watched) -> dict[str, Any]:
        now_s = self._clock.monotonic()
        if it.dropped > self._dropped:
            self._dropped, self._lost_at = it.dropped, now_s
        values: dict[str, Any] = {
            "history.ok": not it.history_error,
            "history.dropping": now_s - self._lost_at < DROPPING_S,
            "history.backlog": it.backlog,
            "history.write": it.slowest_write_s * 1e3,
            "history.merging": not it.merge_error,
            "ledger.ok": it.ledger_ok,
            "ledger.backlog": it.ledger_backlog,
        }
        if it.server_error is not None:
            values |= {"server.ok": not it.server_error, "server.waiting": it.server_waiting}
        if it.channels_failing is not None:
            values["notices.failing"] = it.channels_failing
        return values
