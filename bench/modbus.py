"""100 Modbus TCP devices x 20 registers at saturation: our driver beside a bare pymodbus loop, in the same run.

    python -m bench.modbus [--devices 100] [--rounds 5] [--seconds 2] [--intake bare|hub]

The promises: at least 0.7 of the values per CPU-second of the bare loop, and at most 4 us of CPU a value with a hub
behind it (--intake hub: quality, latest values, three rules on each device, the historian's real journal, the ledger,
and somebody who watches the live stream). Both run on uvloop against the same server in another process, taking turns;
the figure is each one's median, and every round is shown. CPU is user and system time of this process; the server's is
not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from dashboards.auth import Caller
from dashboards.live import Bus, Viewer
from drivers.modbus.driver import ModbusDriver, nameplate
from drivers.modbus.options import Options
from hub.clock import SystemClock
from hub.historian.collector import Collector
from hub.historian.engine import EmbeddedHistorian
from hub.hub import Hub
from hub.ledger import Ledger
from hub.ledger.people import Person
from hub.model import Device, Reading, Words
from hub.words import house_words
from rules.book import Book
from rules.load import load_rules

GOAL_RATIO = 0.7
GOAL_US = 4.0
REGISTERS = 20
MOST_DEVICES = 500
PROFILE = """
profile  = "bench"
source   = "bench/modbus.py"
verified = "no"
every_s  = 0.0001

[points]
"""
RULES = """
[[rule]]
name     = "far too much"
kind     = "bench"
when     = "w.n0 > 900 and w.n1 > 10"
severity = "low"
say      = { zh-CN = "过高", en = "far too much" }

[[rule]]
name     = "too much for long"
kind     = "bench"
when     = "w.n5 > 900 or w.n6 > 900"
hold     = "30 s"
until    = "w.n5 < 800"
severity = "low"
say      = { zh-CN = "过高", en = "too much for long" }

[[rule]]
name     = "too little"
kind     = "bench"
when     = "w.n10 < 1 and not w.n11 > 5"
severity = "low"
say      = { zh-CN = "过低", en = "too little" }
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--intake", choices=("bare", "hub"), default="bare")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not 0 < asked.devices <= MOST_DEVICES:
        parser.error(f"--devices: 1 to {MOST_DEVICES}")
    if asked.serve:
        uvloop.run(serve())
        return 0
    server = subprocess.Popen([sys.executable, "-m", "bench.modbus", "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        return compare(asked, int(server.stdout.readline()))
    finally:
        server.terminate()
        server.wait()


def compare(asked: argparse.Namespace, port: int) -> int:
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    for _ in range(asked.rounds):
        bare.append(uvloop.run(measured(lambda: bare_loop(port, asked.devices, asked.seconds))))
        ours.append(uvloop.run(measured(lambda: driver_loop(port, asked.devices, asked.seconds, asked.intake))))
    print(
        f"{asked.devices} devices x {REGISTERS} registers, {asked.rounds} rounds of {asked.seconds:g} s each, in turns"
    )
    for name, runs in (("bare", bare), ("ours", ours)):
        print(f"{name} us/value, round by round: {'  '.join(f'{cost:.2f}' for _, cost in runs)}")
    print(f"{'':34}{'values/s':>12}{'CPU-us/value':>14}")
    us = []
    for name, runs in (("bare pymodbus, asyncio, uvloop", bare), (f"FieldHub driver, intake {asked.intake}", ours)):
        rate, cost = (statistics.median(column) for column in zip(*runs, strict=True))
        us.append(cost)
        print(f"{name:34}{rate:12,.0f}{cost:14.2f}")
    ratio = us[0] / us[1]
    good = ratio >= GOAL_RATIO and us[1] <= GOAL_US
    print(f"values per CPU-second, ours over bare: {ratio:.2f} (goal {GOAL_RATIO} or more)")
    print(f"CPU-us a value: {us[1]:.2f} (goal {GOAL_US:g} or less)   {'kept' if good else 'NOT KEPT'}")
    return 0 if good else 1


async def measured(run: Callable[[], Awaitable[tuple[int, float, float]]]) -> tuple[float, float]:
    """(values/s, CPU-us/value). What earlier rounds left behind is cleared away first, for both alike."""
    gc.unfreeze()
    gc.collect()
    values, wall_s, cpu_s = await run()
    return values / wall_s, cpu_s / values * 1e6


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# ---- the bare loop ------------------------------------------------------------------------------------------------


async def bare_loop(port: int, devices: int, seconds: float) -> tuple[int, float, float]:
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, reconnect_delay=0) for _ in range(devices)]
    for client in clients:
        await client.connect()
    values = 0
    begun, cpu = time.perf_counter(), cpu_s()
    end = begun + seconds

    async def poll(client: AsyncModbusTcpClient) -> None:
        nonlocal values
        while time.perf_counter() < end:
            reply = await client.read_holding_registers(100, count=REGISTERS, device_id=1)
            values += len([word / 10 for word in reply.registers])

    await asyncio.gather(*map(poll, clients))
    found = values, time.perf_counter() - begun, cpu_s() - cpu
    for client in clients:
        client.close()
    return found


# ---- ours ---------------------------------------------------------------------------------------------------------


class Counting:
    """An intake that counts."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        self.values = 0

    def take(self, readings: Sequence[Reading]) -> None:
        self.values += len(readings)

    def mine(self, driver: str) -> Counting:
        return self

    async def changed(self) -> None:
        await asyncio.Event().wait()

    def who_is(self, address: str) -> Device | None:
        return None

    def may_speak(self, speaker: str, secret: str) -> bool:
        return True

    def stranger(self, address: str, peer: str, raw: bytes) -> None:
        print("a stranger", address, peer, file=sys.stderr)

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        print("puzzled", address, raw.hex(), why, file=sys.stderr)


class Through(Counting):
    """An intake that is a hub: judged, remembered, journalled."""

    def __init__(self, devices: Sequence[Device], take: Callable[[Sequence[Reading]], None]) -> None:
        super().__init__(devices)
        self._take = take

    def take(self, readings: Sequence[Reading]) -> None:
        self.values += len(readings)
        self._take(readings)


async def driver_loop(port: int, devices: int, seconds: float, intake: str) -> tuple[int, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        profiles = Path(folder) / "profiles"
        profiles.mkdir()
        rows = (f'"w.n{n}" = {{ at = {100 + n}, scale = 0.1, zh = "字", en = "word" }}\n' for n in range(REGISTERS))
        (profiles / "bench.toml").write_text(PROFILE + "".join(rows), "utf-8")
        options = Options.model_validate({"profiles_dir": profiles})
        # One line a device, so that there are as many connections as with the bare loop: 127.0.0.0/8 is all ours.
        roster = [
            Device(f"d{n}", f"d{n}", "bench", f"modbus+tcp://127.0.{n // 250}.{n % 250 + 1}:{port}/1", "bench")
            for n in range(devices)
        ]
        driver = ModbusDriver(options, SystemClock())
        async with house(intake, roster, Path(folder)) as counting:
            task = asyncio.create_task(driver.run(counting))
            while sum(line.asked > 1 for line in driver.lines.values()) < devices:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            gc.collect()
            gc.freeze()  # as the house does when it has started
            begun, cpu, before = time.perf_counter(), cpu_s(), counting.values
            await asyncio.sleep(seconds)
            found = counting.values - before, time.perf_counter() - begun, cpu_s() - cpu
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return found


@contextlib.asynccontextmanager
async def house(intake: str, roster: Sequence[Device], folder: Path) -> Any:
    if intake == "bare":
        yield Counting(roster)
        return
    async with hub_of(roster, folder) as hub:
        yield Through(roster, hub.take)


class HubHistory:
    """The catalogue and the queue of the historian, as the hub needs them."""

    def __init__(self, historian: EmbeddedHistorian, collector: Collector) -> None:
        self.number, self.code = historian.catalogue.number, historian.catalogue.code
        self.offer = collector.offer
        self.thin = collector.thinner.set


@contextlib.asynccontextmanager
async def hub_of(roster: Sequence[Device], folder: Path) -> AsyncIterator[Hub]:
    """A hub with its real historian (journal and all), ledger, rules and a live stream that is watched."""
    (folder / "rules").mkdir()
    (folder / "rules" / "bench.toml").write_text(RULES, "utf-8")
    clock = SystemClock()
    ledger = await Ledger.open(f"sqlite:///{folder}/ledger.sqlite", clock)
    historian = await EmbeddedHistorian.open(folder / "history", clock)
    collector = Collector(historian, clock)
    plates = {device.id: nameplate(device) for device in roster}
    book = Book(load_rules(folder / "rules"), lambda device: plates[device.id])
    hub = Hub(clock, HubHistory(historian, collector), ledger, book)
    for device in roster:
        hub.adopt(device, plates[device.id])
    somebody = Caller(clock, Person("bench", "", "", ("viewer",), clock.now()), ("viewer",), None)
    viewer = Bus(hub, house_words()).admit(somebody)
    jobs = [asyncio.ensure_future(job()) for job in (collector.run, lambda: looked_at(viewer))]
    try:
        yield hub
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await collector.flush()
        await historian.close()
        await ledger.close()


async def looked_at(viewer: Viewer) -> None:
    while True:
        await viewer.next()


# ---- the device ---------------------------------------------------------------------------------------------------


class Unit(asyncio.Protocol):
    """As little as a Modbus TCP server can be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.held = b""
        self.count = 0

    def data_received(self, data: bytes) -> None:
        held = self.held + data
        while len(held) >= 12:
            count = struct.unpack_from(">H", held, 10)[0]
            head = held[:2] + b"\0\0" + (3 + 2 * count).to_bytes(2, "big") + held[6:8]
            self.transport.write(head + bytes((2 * count,)) + bytes((0x12, self.count)) * count)  # type: ignore[attr-defined]
            self.count = (self.count + 1) & 0xFF  # every value moves each time
            held = held[12:]
        self.held = held


async def serve() -> None:
    loop = asyncio.get_running_loop()
    first = await loop.create_server(Unit, "127.0.0.1", 0, backlog=2048)
    port = first.sockets[0].getsockname()[1]
    others = [f"127.0.{n // 250}.{n % 250 + 1}" for n in range(1, MOST_DEVICES)]
    await loop.create_server(Unit, others, port, backlog=2048)
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  (ends with whoever started it)
        await asyncio.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
