"""What the Modbus tests share: an intake that remembers, a unit that knows what its registers must be, and waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import Options
from hub.clock import SystemClock
from hub.model import Command, Device, Reading, Words
from protocols.modbus.pdu import Why
from simulators.modbus.faults import Framing
from simulators.modbus.line import Unit
from simulators.modbus.server import TcpServer
from simulators.modbus.unit import Refused

PROFILES = Path(__file__).parent / "profiles"
CLOCK = SystemClock()


class Roster:
    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        self._bell = asyncio.Event()

    async def changed(self) -> None:
        await self._bell.wait()
        self._bell.clear()

    def change(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        self._bell.set()


class Intake:
    """An intake that remembers."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.roster = Roster(devices)
        self.taken: list[Reading] = []
        self.latest: dict[tuple[str, str], Reading] = {}
        self.puzzles: list[tuple[str, bytes, Words]] = []
        self.strangers: list[tuple[str, str, bytes]] = []
        self.secrets: dict[str, set[str]] = {}  # speaker -> what it may say; none: its name is enough

    def take(self, readings: Sequence[Reading]) -> None:
        self.taken.extend(readings)
        for reading in readings:
            self.latest[reading.device, reading.point] = reading

    def mine(self, driver: str) -> Roster:
        assert driver == "modbus"
        return self.roster

    def who_is(self, address: str) -> Device | None:
        return next((d for d in self.roster.devices if d.address == address), None)

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        self.puzzles.append((address, raw, why))

    def may_speak(self, speaker: str, secret: str) -> bool:
        return speaker not in self.secrets or secret in self.secrets[speaker]

    def stranger(self, address: str, peer: str, raw: bytes) -> None:
        self.strangers.append((address, peer, raw))

    def value(self, device: str, point: str) -> Any:
        reading = self.latest.get((device, point))
        return reading.value if reading else None


class Registers:
    """A unit's memory whose words follow from their addresses, unless they were written."""

    def __init__(self, size: int = 400, salt: int = 0) -> None:
        self.words = [word_at(at, salt) for at in range(size)]
        self.asked: list[tuple[int, int, int]] = []
        self.written: list[tuple[int, tuple[int, ...]]] = []
        self.spans: Mapping[int, int] = {}

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        self.asked.append((function, address, count))
        if address + count > len(self.words):
            raise Refused(Why.ILLEGAL_ADDRESS)
        return self.words[address : address + count]

    def write(self, address: int, words: Sequence[int]) -> None:
        self.written.append((address, tuple(words)))
        self.words[address : address + len(words)] = words


def word_at(address: int, salt: int = 0) -> int:
    return (address * 31 + 7 + salt * 1009) & 0x7FFF


def device(id: str, address: str, profile: str = "words", **settings: Any) -> Device:
    return Device(id, id, "test", address, profile, settings=settings)


def command(device: Device, action: str, within_s: float = 10.0, **args: Any) -> Command:
    now = CLOCK.now()
    return Command("c1", device.id, action, args, "wang.min", "test", now, now + timedelta(seconds=within_s))


@contextlib.asynccontextmanager
async def driving(devices: Sequence[Device], **options: Any) -> AsyncIterator[tuple[ModbusDriver, Intake]]:
    """A driver at work on these devices, with the tests' own profiles."""
    table = {"profiles_dir": PROFILES, "tcp_timeout_ms": 250, "connect_timeout_ms": 500} | options
    driver = ModbusDriver(Options.model_validate(table), CLOCK, Random(1))
    intake = Intake(devices)
    task = asyncio.create_task(driver.run(intake))
    try:
        yield driver, intake
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def serving(units: Mapping[int, Unit], framing: Framing = Framing.MBAP) -> AsyncIterator[TcpServer]:
    server = TcpServer(units, framing)
    await server.up()
    try:
        yield server
    finally:
        await server.down()


async def until(holds: Callable[[], Any], within_s: float = 5.0) -> None:
    """Waits for it to hold; fails when it does not in time."""
    end = CLOCK.monotonic() + within_s
    while not holds():
        assert CLOCK.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)
