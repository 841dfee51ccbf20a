"""Whatever a unit does on the wire: no wrong value on any point, its neighbours are served, and it comes back."""

from __future__ import annotations

import asyncio

import pytest

from drivers.modbus.driver import ModbusDriver
from hub.model import LinkState, Quality, Reading
from simulators.modbus.faults import WIRE_FAULTS, Framing
from simulators.modbus.line import Unit
from simulators.modbus.server import DialIn, Greeting, TcpServer
from tests.drivers.modbus_site import Intake, Registers, device, driving, until, word_at

TIMEOUT_S = 0.25
SERVED_MEANWHILE = 4  # readings of the unit that is well in three seconds; some eight when nothing else runs
# A fault on the whole line, or one that no master can see (the words of a value turned round), is tested elsewhere.
FAULTS = sorted(set(WIRE_FAULTS) - {"link_loss", "wrong_word_order"})
# Within the patience of the tests' short timeouts.
OPTIONS = {"late_answers": {"after_s": 0.4}, "slow_answers": {"after_s": 0.1}, "byte_by_byte": {"pause_s": 0.0005}}
# Through these a unit can still be read; all others are silence to a careful master.
READABLE = {"busy_twice", "drop_every_4th", "slow_answers", "byte_by_byte", "illegal_address", "short_requests_only"}
WAYS = [Framing.MBAP, Framing.RTU, "dial-in"]


def wrong(readings: list[Reading], salts: dict[str, int]) -> list[Reading]:
    """Readings that show a value which that register never had."""
    return [
        r
        for r in readings
        if r.point.startswith("word.") and r.value is not None
        if r.value != word_at(int(r.point.removeprefix("word.w")), salts[r.device])
    ]


class Site:
    """Unit 1 is well, unit 2 is not, and both hang on one line."""

    def __init__(self, way: Framing | str, fault: str) -> None:
        self.fault = fault
        self.way = way
        self.well, self.ill = Unit(Registers(salt=1)), Unit(Registers(salt=2))
        self.units = {1: self.well, 2: self.ill}
        self.salts = {f"{fault}-1": 1, f"{fault}-2": 2}

    def devices(self, port: int) -> list:
        scheme = {Framing.MBAP: "modbus+tcp", Framing.RTU: "modbus+rtutcp"}.get(self.way)
        at = f"{scheme}://127.0.0.1:{port}" if scheme else f"modbus+dtu:{self.fault}"
        return [
            device(f"{self.fault}-{unit}", f"{at}/{unit}", gap_ms=0, max_count=60, timeout_ms=int(1000 * TIMEOUT_S))
            for unit in (1, 2)
        ]

    def switch(self, on: bool) -> None:
        self.ill.faults.switch(self.fault, on, **(OPTIONS.get(self.fault, {}) if on else {}))


async def live(sites: list[Site], ports: dict[str, int], way: Framing | str, story) -> None:
    """Drive all sites at once, each on its own line."""
    devices = [one for site in sites for one in site.devices(ports.get(site.fault, 0))]
    more = {"dtu_port": 0, "dtu_settle_ms": 0, "dtu_heartbeats": ["HB-FIELDHUB"], "dtu_timeout_ms": 250}
    async with driving(devices, **(more if way == "dial-in" else {})) as (driver, intake):
        callers = []
        if way == "dial-in":
            await until(lambda: driver.listener is not None and driver.listener.seats)
            for site in sites:
                caller = DialIn(
                    site.units,
                    "127.0.0.1",
                    driver.listener.port,
                    Greeting(site.fault.encode(), b"HB-FIELDHUB", 0.1),
                    0.1,
                )
                await caller.up()
                callers.append(caller)
        try:
            await story(driver, intake)
        finally:
            for caller in callers:
                await caller.down()


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_no_fault_puts_a_wrong_value_on_any_point(way: Framing | str):
    sites = [Site(way, fault) for fault in FAULTS]
    servers = {site.fault: TcpServer(site.units, way) for site in sites} if way != "dial-in" else {}
    for server in servers.values():
        await server.up()

    async def story(driver: ModbusDriver, intake: Intake) -> None:
        await until(lambda: all(intake.value(name, "word.w111") for site in sites for name in site.salts), 15)
        for site in sites:
            site.switch(True)
        begun = len(intake.taken)
        await asyncio.sleep(3.0)
        during = intake.taken[begun:]
        for site in sites:
            site.switch(False)
        for site in sites:
            ill, well = f"{site.fault}-2", f"{site.fault}-1"
            assert wrong([r for r in intake.taken if r.device in site.salts], site.salts) == [], site.fault
            good = [r for r in during if r.device == ill and r.quality is Quality.GOOD and r.point == "word.w55"]
            if site.fault in READABLE:
                assert good, f"{site.fault} can be lived with"
            served = [r.at.timestamp() for r in during if r.device == well and r.point == "word.w0"]
            assert len(served) >= SERVED_MEANWHILE, f"{site.fault}: unit 1 was read {len(served)} times beside it"
        for site in sites:
            ill = f"{site.fault}-2"
            await until(lambda ill=ill: intake.latest[ill, "link"].value != LinkState.DOWN, 15)
        await asyncio.sleep(0.5)
        assert wrong(intake.taken, {k: v for site in sites for k, v in site.salts.items()}) == []

    try:
        await live(sites, {fault: server.port for fault, server in servers.items()}, way, story)
    finally:
        for server in servers.values():
            await server.down()
