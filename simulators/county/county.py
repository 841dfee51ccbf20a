"""The demo county, running: twelve pump stations on their wires, a story, and a desk where faults are switched.

A thirteenth dials in and stands in no file: the hub is to adopt it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.county.stations import AREAS, NEWCOMER, SITES, Site
from simulators.county.story import RAIN, Story
from simulators.modbus.device import PumpStationDevice
from simulators.modbus.faults import Framing
from simulators.modbus.line import Unit
from simulators.modbus.server import DialIn, Greeting, TcpServer, Wire
from simulators.worlds.pump_station import Station

TICK_S = 1.0
LONGEST_TICK_S = 5.0  # after a pause of the machine the world does not run after lost time
HEARTBEAT = b"\xfe\xfe\xfe"
HEARTBEAT_EVERY_S = 20.0
SHOWER_MM_H = (35.0, 80.0)

# How a wire is written in a device's address.
_SCHEMES = {"tcp": "modbus+tcp", "gateway": "modbus+tcp", "rtu": "modbus+rtutcp", "dtu": "modbus+dtu"}


class County:
    """All of it, in one loop. `hub` is where the DTUs dial to; without it they stay at home."""

    def __init__(
        self,
        seed: int = 2026,
        base_port: int = 0,
        hub: tuple[str, int] | None = None,
        sites: Sequence[Site] = SITES,
        calm: bool = False,
    ) -> None:
        self.sites = tuple(sites)
        self._by_id = {site.id: site for site in self.sites}
        self.devices = {
            site.id: PumpStationDevice(site.id, Station(site.parameters, seed + n)) for n, site in enumerate(self.sites)
        }
        self._newcomer = PumpStationDevice(NEWCOMER.id, Station(NEWCOMER.parameters, seed + len(self.sites)))
        self._wires = self._hang(base_port, hub)
        self._story = None if calm else Story([(s.id, len(s.parameters.pumps)) for s in self.sites], seed)
        self._now_s = 0.0

    def _hang(self, base_port: int, hub: tuple[str, int] | None) -> list[Wire]:
        """Each station on its wire; those of a gateway on the same."""
        lines: dict[str, list[Site]] = defaultdict(list)
        for site in self.sites:
            lines[site.wire if site.wire == "gateway" else site.id].append(site)
        wires: list[Wire] = []
        port = base_port
        for sites in lines.values():
            units = {site.unit: self.devices[site.id].unit for site in sites}
            wire = self._wire(sites[0], units, port, hub)
            if isinstance(wire, TcpServer):
                port += bool(base_port)
            if wire is not None:
                wires.append(wire)
            for site in sites:
                self.devices[site.id].wire = wire
        self._newcomer.wire = self._wire(NEWCOMER, {NEWCOMER.unit: self._newcomer.unit}, 0, hub)
        return [*wires, self._newcomer.wire] if self._newcomer.wire else wires

    @staticmethod
    def _wire(site: Site, units: Mapping[int, Unit], port: int, hub: tuple[str, int] | None) -> Wire | None:
        if site.wire == "dtu":
            greeting = Greeting(site.imei.encode(), HEARTBEAT, HEARTBEAT_EVERY_S)
            return DialIn(units, *hub, greeting) if hub else None
        return TcpServer(units, Framing.RTU if site.wire == "rtu" else Framing.MBAP, port=port)

    async def up(self) -> None:
        for wire in self._wires:
            await wire.up()

    async def down(self) -> None:
        for device in (*self.devices.values(), self._newcomer):
            await device.settled()
        for wire in self._wires:
            await wire.down()

    async def run(self) -> None:
        """Let time pass until cancelled."""
        loop = asyncio.get_running_loop()
        begun = before = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            self.tick(now - begun, min(now - before, LONGEST_TICK_S))
            before = now

    def tick(self, now_s: float, dt: float) -> None:
        """One step of all worlds, and what the story has for this moment."""
        self._now_s = now_s
        for event in self._story.due(now_s) if self._story else ():
            if event.fault == RAIN:
                self.rain(event.station, event.for_s, SHOWER_MM_H[0] if event.pump == 1 else SHOWER_MM_H[1])
            else:
                self.switch(event.station, event.fault, True, for_s=event.for_s, pump=event.pump)
        for device in (*self.devices.values(), self._newcomer):
            device.tick(now_s, dt)

    def rain(self, station: str, for_s: float, mm_h: float) -> None:
        """A shower over the whole town of a station."""
        town = self._by_id[station].area[:9]
        for site in self.sites:
            if site.area[:9] == town:
                world = self.devices[site.id].station
                world.sky.shower(world.t_s, for_s, mm_h)

    def switch(self, station: str, fault: str, on: bool, **how: Any) -> None:
        """Raises KeyError for an unknown station, BadOrder for what it cannot have."""
        options = {key: float(value) for key, value in how.items() if key not in ("for_s", "pump")}
        self.devices[station].switch(fault, on, how.get("for_s"), _pump(how.get("pump")), now_s=self._now_s, **options)

    @property
    def ports(self) -> dict[str, int]:
        """Where the stations that listen do so."""
        wires = {id: device.wire for id, device in self.devices.items()}
        return {id: wire.port for id, wire in wires.items() if isinstance(wire, TcpServer)}

    def address(self, station: str) -> str:
        return address(self._by_id[station], self.ports)


def address(site: Site, ports: Mapping[str, int]) -> str:
    """The device's address as a hub's site folder has it."""
    scheme = _SCHEMES[site.wire]
    if site.wire == "dtu":
        return f"{scheme}:{site.imei}/{site.unit}"
    return f"{scheme}://127.0.0.1:{ports[site.id]}/{site.unit}"


def devices_toml(ports: Mapping[str, int], sites: Sequence[Site] = SITES) -> str:
    """[[area]] and [[device]] of the county, for a hub's site folder."""
    lines = ["# The demo county, made by simulators/county. All names are invented."]
    for code, name, parent in AREAS:
        lines += ["", "[[area]]", f'code   = "{code}"', f'name   = "{name}"']
        lines += [f'parent = "{parent}"'] if parent else []
    for site in sites:
        lines += [
            "",
            f"[[device]]  # {site.name_en}",
            f'id       = "{site.id}"',
            f'name     = "{site.name}"',
            'kind     = "pump_station"',
            'profile  = "ps-2026"',
            f'area     = "{site.area}"',
            f'address  = "{address(site, ports)}"',
            f"settings = {{ pumps = {len(site.parameters.pumps)} }}",
        ]
    return "\n".join(lines) + "\n"


def _pump(number: float | None) -> int | None:
    return None if number is None else int(number)
