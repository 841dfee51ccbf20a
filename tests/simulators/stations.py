"""Stations to try things on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulators.worlds.hydraulics import Basin, Curve, Pipe, Rising
from simulators.worlds.inflow import Catchment
from simulators.worlds.motor import SOFT, Motor
from simulators.worlds.plc import Limits, Mode, Order, Settings, State
from simulators.worlds.pump_station import Parameters, PumpSpec, Station

CURVE = Curve(((0.0, 16.0), (1000.0, 12.0), (1600.0, 6.0)))
PUMP = PumpSpec(CURVE, 1100.0, Motor(55.0, starter=SOFT), 0.78)


def parameters(pumps: int | tuple[PumpSpec, ...] = 2, **changes: Any) -> Parameters:
    """A sump of 5 m with pumps of 1000 m3/h at 12 m, and no noise from the sky."""
    usual = Parameters(
        pumps=pumps if isinstance(pumps, tuple) else (PUMP,) * pumps,
        basin=Basin(((0.0, 100.0), (5.0, 150.0))),
        rising=Rising((Pipe(5, 0.6), Pipe(800, 0.5, 120.0, 2.5))),
        catchment=Catchment(700.0),
        settings=Settings(start_mm=2200, stop_mm=1000, low_low_mm=500, high_high_mm=3800),
        level_m=2.0,
        outer_m=8.0,
        intake_m=0.2,
        spill_m=4.8,
        header_m=1.0,
        limits=Limits(starts_per_hour=6, rest_s=60.0, stagger_s=15.0, shortest_run_s=180.0),
    )
    return replace(usual, **changes)


def station(pumps: int | tuple[PumpSpec, ...] = 2, seed: int = 1, **changes: Any) -> Station:
    it = Station(parameters(pumps, **changes), seed)
    it.step(1.0)
    return it


def run(it: Station, seconds: float, until: Any = None) -> bool:
    """Let time pass second by second; true as soon as `until` holds."""
    for _ in range(int(seconds)):
        if until and until():
            return True
        it.step(1.0)
    return bool(until and until())


def running(it: Station, pump: int = 0) -> Station:
    """The station with this pump, and no other, up to speed: somebody at the desk has started it."""
    it.plc.choose_mode(Mode.MANUAL)
    it.plc.limits = replace(it.plc.limits, watchdog_s=1e9)
    it.plc.command(pump, Order.START, it.plc.pumps[pump].number + 1)
    assert run(it, 90, lambda: it.plc.pumps[pump].state is State.RUNNING)
    run(it, 20)
    return it
