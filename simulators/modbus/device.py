"""A whole make-believe pump station: a world, its PLC as a Modbus unit, its wire, and its faults by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators.modbus.faults import WIRE_FAULTS
from simulators.modbus.image import PumpStationImage
from simulators.modbus.line import Unit
from simulators.modbus.server import Wire
from simulators.worlds.faults import OF_OBEYING, TROUBLES, begin, end, reset_on_site
from simulators.worlds.pump_station import Station

RESET_AFTER_S = 8.0  # after a trouble has healed by itself, somebody comes and resets what it tripped;
COMES_AFTER_S = 60.0  # after it was switched off at the desk there is time to reset it from the hub


class BadOrder(ValueError):
    """Whoever switches faults asked for what there is not. The text says what there is."""


@dataclass
class PumpStationDevice:
    """One station on the wire. `tick` lets time pass; `switch` turns its faults on and off."""

    id: str
    station: Station
    wire: Wire | None = None
    unit: Unit = field(init=False)
    on: dict[str, float | None] = field(default_factory=dict)  # fault -> heals at (loop seconds), None: when told
    _pumps: dict[str, tuple[int, ...]] = field(default_factory=dict)  # fault -> the pumps that have it
    _reset_at_s: float | None = None

    def __post_init__(self) -> None:
        self.unit = Unit(PumpStationImage(self.station))

    def tick(self, now_s: float, dt: float) -> None:
        for fault, until in list(self.on.items()):
            if until is not None and now_s >= until:
                self.switch(fault, False, now_s=now_s)
                self._reset_at_s = now_s + RESET_AFTER_S
        if self._reset_at_s is not None and now_s >= self._reset_at_s:
            reset_on_site(self.station)
            self._reset_at_s = None
        self.station.step(dt)

    def switch(
        self,
        fault: str,
        on: bool,
        for_s: float | None = None,
        pump: int | None = None,
        now_s: float = 0.0,
        **options: float,
    ) -> None:
        """Turn a fault on (for a while) or off. `pump` counts from 1; when none is named, a fault in how commands are
        obeyed takes them all, any other the first. Raises BadOrder.
        """
        if fault in WIRE_FAULTS:
            self._switch_wire(fault, on, options)
        elif fault in TROUBLES:
            self._switch_world(fault, on, self._taken(fault, pump), options)
        else:
            raise BadOrder(f'there is no fault "{fault}"; there are {", ".join(FAULTS)}')
        if fault in self.on and not on:
            self._reset_at_s = now_s + COMES_AFTER_S
        self.on.pop(fault, None)
        if on:
            self.on[fault] = None if for_s is None else now_s + for_s

    def reset(self) -> None:
        """Somebody drives there and resets every pump."""
        reset_on_site(self.station)

    def _switch_wire(self, fault: str, on: bool, options: Mapping[str, float]) -> None:
        try:
            self.unit.faults.switch(fault, on, **options)
        except KeyError as unknown:
            known = ", ".join(WIRE_FAULTS[fault].options) or "none"
            raise BadOrder(f'"{fault}" has no option {unknown}; it has {known}') from None
        if fault == "link_loss" and self.wire is not None:
            (self.wire.pull if on else self.wire.let_go)(self.id)

    def _taken(self, fault: str, pump: int | None) -> tuple[int, ...]:
        if pump is None:
            return tuple(range(len(self.station.pumps))) if fault in OF_OBEYING else (0,)
        if not 1 <= pump <= len(self.station.pumps):
            raise BadOrder(f"there is no pump {pump}; there are {len(self.station.pumps)}")
        return (pump - 1,)

    def _switch_world(self, fault: str, on: bool, pumps: tuple[int, ...], options: Mapping[str, float]) -> None:
        if options:
            raise BadOrder(f'"{fault}" has no options but pump and for_s')
        for pump in self._pumps.pop(fault, ()):
            end(self.station, fault, pump)
        if on:
            for pump in pumps:
                begin(self.station, fault, pump)
            self._pumps[fault] = pumps

    async def settled(self) -> None:
        """When the wire is as the last switch wanted it."""
        if self.wire is not None:
            await self.wire.settled()

    def truth(self) -> dict[str, Any]:
        """The world as it is, not as its instruments see it."""
        world, plc = self.station, self.station.plc
        return {
            "station": self.id,
            "t_s": round(world.t_s, 3),
            "level_m": world.level_m,
            "outer_m": world.outer_m,
            "rack_m": world.rack_m,
            "inflow_m3h": world.inflow_m3h,
            "flow_m3h": world.flow_m3h,
            "head_m": world.head_m,
            "rain_mm_h": world.rain_mm_h,
            "power_kw": world.power_kw,
            "energy_wh": world.book.energy_wh,
            "pumped_m3": world.book.pumped_m3,
            "spilt_m3": world.book.spilt_m3,
            "volts": list(world.volts),
            "mode": plc.mode.name.lower(),
            "connections": self.wire.connections if self.wire else 0,
            "faults": list(self.on),
            "pumps": [
                {
                    "state": book.state.name.lower(),
                    "fault": book.fault.name.lower(),
                    "speed": pump.speed,
                    "flow_m3h": pump.flow_m3h,
                    "amperes": pump.draw.amperes,
                    "run_s": book.run_s,
                    "starts": book.starts,
                    "number": book.number,
                    "result": book.result.name.lower(),
                }
                for pump, book in zip(world.pumps, plc.pumps, strict=True)
            ],
        }


# Every fault that a pump station can have, by name, with its title in both languages and what it does.
FAULTS: dict[str, dict[str, Any]] = {
    name: {"title": dict(one.title), "what": one.what, "options": dict(one.options)}
    for name, one in WIRE_FAULTS.items()
} | {
    name: {"title": dict(one.title), "what": one.what, "options": {"pump": 1} if one.of_pump else {}}
    for name, one in TROUBLES.items()
}
