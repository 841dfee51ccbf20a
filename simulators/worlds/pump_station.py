"""A pump station as a deterministic function of time: sump, pumps, pipes, motors, instruments, PLC (water.md §8).

    station = Station(Parameters(...), seed=7)
    station.step(1.0)

The same parameters, seed, steps and commands give the same station. Nothing here knows a wire or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import pi, sin, sqrt
from random import Random

from simulators.worlds import motor as electric
from simulators.worlds.faults import Troubles
from simulators.worlds.hydraulics import GRAVITY, Basin, Curve, Rising, Running, operating_point
from simulators.worlds.inflow import DAY_S, Cascade, Catchment, Gauge, Sky
from simulators.worlds.motor import Motor, toward
from simulators.worlds.plc import Felt, Limits, Mode, Plate, Plc, Seen, Settings
from simulators.worlds.plc import Pump as PlcPump
from simulators.worlds.sensor import Sensor

LONGEST_STEP_S = 2.0


@dataclass(frozen=True)
class PumpSpec:
    """A pump as bought."""

    curve: Curve
    best_q_m3h: float
    motor: Motor
    best_efficiency: float = 0.78
    valve_s: float = 12.0  # the outlet valve opens and closes in so many seconds


@dataclass(frozen=True)
class Parameters:
    """A station as built. Levels in m above one datum."""

    pumps: tuple[PumpSpec, ...]
    basin: Basin
    rising: Rising
    catchment: Catchment
    settings: Settings
    level_m: float  # at the start
    outer_m: float
    intake_m: float  # below this air comes in
    spill_m: float  # above this it runs over
    header_m: float  # where the pressure gauge sits
    limits: Limits = field(default_factory=Limits)
    outer_swing_m: float = 0.15
    rack_m_at: float = 0.04  # loss at the rack when one pump runs
    volts: float = 390.0  # without load
    sag_v_per_ka: float = 38.0
    house_kw: float = 0.6  # light, PLC, fan
    room_c: float = 26.0
    showers_per_day: float = 0.0
    day_s: float = 8 * 3600.0  # time of the day at the start
    haste: float = 1.0  # how many times faster things warm up than they would: demos have no hour
    mode: Mode = Mode.AUTO
    served_h: float = 0.0  # what the pumps had run before: counters of a real station do not begin at 0


@dataclass
class Pump:
    """A pump as it is now."""

    spec: PumpSpec
    speed: float = 0.0  # 1 = nominal; below 0 it is driven backwards by a leaking flap
    valve: float = 0.0  # 0..1
    flow_m3h: float = 0.0
    draw: electric.Draw = electric.NOTHING
    winding_c: float = 26.0
    bearing_de_c: float = 26.0
    bearing_nde_c: float = 26.0
    vibration_mm_s: float = 0.0
    energy_kwh: float = 0.0
    volume_m3: float = 0.0


@dataclass
class Book:
    """All water and power since the start: what must balance."""

    into_m3: float = 0.0
    pumped_m3: float = 0.0
    spilt_m3: float = 0.0
    leaked_back_m3: float = 0.0
    energy_wh: float = 0.0


@dataclass
class Instruments:
    """The station's own; those of each pump stand in `winding` and so on, one a pump."""

    level: Sensor
    outer: Sensor
    rack: Sensor
    pressure: Sensor
    flow: Sensor
    amperes: list[Sensor]
    winding: list[Sensor]
    vibration: list[Sensor]
    volts: list[Sensor] = field(default_factory=lambda: [Sensor(noise=0.4, quantum=0.1) for _ in range(3)])

    def all(self) -> Iterator[Sensor]:
        yield from (self.level, self.outer, self.rack, self.pressure, self.flow)
        for many in (self.amperes, self.winding, self.vibration, self.volts):
            yield from many


def _instruments(pumps: int) -> Instruments:
    return Instruments(
        level=Sensor(noise=0.003, quantum=0.001, lag_s=2.0, swing=0.25),
        outer=Sensor(noise=0.003, quantum=0.001, lag_s=2.0, swing=0.25),
        rack=Sensor(noise=0.002, quantum=0.001, lag_s=5.0, least=0.0),
        pressure=Sensor(noise=0.0003, quantum=0.0001, lag_s=1.0),
        flow=Sensor(noise=1.5, quantum=0.1, lag_s=2.0, least=0.0),
        amperes=[Sensor(noise=0.15, quantum=0.1) for _ in range(pumps)],
        winding=[Sensor(noise=0.1, quantum=0.1, lag_s=10.0) for _ in range(pumps)],
        vibration=[Sensor(noise=0.03, quantum=0.01, lag_s=3.0, least=0.0) for _ in range(pumps)],
    )


class Station:
    """One pump station. Read its attributes; let time pass with `step`; talk to `plc` as the hub would."""

    def __init__(self, parameters: Parameters, seed: int) -> None:
        p = self.parameters = parameters
        self.random = Random(seed)
        self.t_s = 0.0
        self.pumps = [Pump(spec, winding_c=p.room_c, bearing_de_c=p.room_c, bearing_nde_c=p.room_c) for spec in p.pumps]
        self.book = Book()
        self.meter_m3 = self.meter_wh = 0.0  # what the meters showed at the start
        self.sky = Sky(Random(seed + 1), p.showers_per_day)
        self.gauge = Gauge()
        self.troubles = Troubles()
        self.instruments = _instruments(len(p.pumps))
        settings = Settings(**vars(p.settings))
        self.plc = Plc(settings, p.limits, [PlcPump(plate_of(spec)) for spec in p.pumps], Random(seed + 2), p.mode)
        self._serve_before(p.served_h)
        self.volume_m3 = p.basin.volume_m3(p.level_m)
        self.level_m = p.level_m
        self.outer_m = p.outer_m
        self.rack_m = 0.0
        self.head_m = 0.0
        self.inflow_m3h = p.catchment.dry_m3h(p.day_s)
        self.flow_m3h = 0.0
        self.rain_mm_h = 0.0
        self.power_kw = p.house_kw
        self.kvar = 0.0
        self.amperes = 0.0
        self.volts = (p.volts, p.volts, p.volts)
        self.on_battery = False
        self._cascade = Cascade(p.catchment.lag_s)

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass."""
        while dt > 1e-9:
            piece = min(dt, LONGEST_STEP_S)
            self._step(piece)
            dt -= piece

    def _step(self, dt: float) -> None:
        self.t_s += dt
        self._rain_and_river(dt)
        self._mains()
        self._turn(dt)
        self._pump(dt)
        self._burn(dt)
        self._fill(dt)
        self.plc.scan(self._look(dt), dt)

    def _serve_before(self, hours: float) -> None:
        """Counters as they stand after so many hours of each pump, more or less."""
        if not hours:
            return
        for pump, book in zip(self.pumps, self.plc.pumps, strict=True):
            book.run_s = hours * 3600 + self.random.uniform(0, 3600)
            book.starts = int(hours * self.random.uniform(1.2, 1.5))
            self.meter_m3 += book.run_s / 3600 * pump.spec.best_q_m3h
            self.meter_wh += book.run_s / 3.6 * 0.8 * pump.spec.motor.power_kw

    # ---- one after the other, within a step

    def _rain_and_river(self, dt: float) -> None:
        p, t = self.parameters, self.t_s
        self.rain_mm_h = self.sky.rain_mm_h(t, dt)
        fell_mm = self.rain_mm_h * dt / 3600
        self.gauge.step(fell_mm, dt)
        ran_off_m3 = self._cascade.step(fell_mm * 1000 * p.catchment.area_km2 * p.catchment.runoff, dt)
        dry = p.catchment.dry_m3h((p.day_s + t) % DAY_S)
        self.inflow_m3h = (dry + ran_off_m3 * 3600 / dt) * self.troubles.inflow_factor
        self.outer_m = p.outer_m + p.outer_swing_m * sin(2 * pi * t / (12.4 * 3600)) + self.troubles.river_rise_m

    def _mains(self) -> None:
        p = self.parameters
        if self.troubles.no_mains:
            self.volts, self.on_battery = (0.0, 0.0, 0.0), True
            return
        self.on_battery = False
        slow = 3.0 * sin(2 * pi * self.t_s / 5400)
        volts = (p.volts + slow) * self.troubles.volts_factor - p.sag_v_per_ka * self.amperes / 1000
        if self.troubles.phase_lost:
            self.volts = (volts * 0.52, volts, volts * 0.49)  # Uab and Uca: phase A is gone
        else:
            self.volts = (volts + 0.9, volts - 0.6, volts)

    def _turn(self, dt: float) -> None:
        """Contactors, starters, run-down, and the valves that follow."""
        for i, (pump, order) in enumerate(zip(self.pumps, self.plc.pumps, strict=True)):
            spec, starter = pump.spec, pump.spec.motor.starter
            driven = order.run and max(self.volts) > 50 and i not in self.troubles.does_not_turn
            goal = order.speed_chz / 5000 if driven else 0.0
            if i in self.troubles.flap_leaks and not driven:
                goal = -0.12
            rate = dt / (starter.ramp_s if driven else spec.motor.spin_down_s)
            pump.speed += min(max(goal - pump.speed, -rate), rate)
            opening = driven and pump.speed > 0.3
            pump.valve = min(max(pump.valve + (dt if opening else -dt) / spec.valve_s, 0.0), 1.0)

    def _pump(self, dt: float) -> None:
        """Where pumps and pipe agree; never more than there is."""
        p = self.parameters
        suction_m = self.level_m - self.rack_m
        wet = min(max((suction_m - p.intake_m) / 0.15, 0.0), 1.0)
        turning = [(i, pump) for i, pump in enumerate(self.pumps) if pump.speed > 0 and pump.valve > 0]
        for pump in self.pumps:
            pump.flow_m3h = 0.0
        lift_m = self.outer_m - suction_m
        self.head_m = max(lift_m, 0.0)
        if turning:
            running = [
                Running(pump.spec.curve, pump.speed, self.troubles.through(i) * wet * pump.valve) for i, pump in turning
            ]
            self.head_m, flows = operating_point(running, p.rising, lift_m)
            most = self.volume_m3 * 3600 / dt
            share = min(1.0, most / sum(flows)) if sum(flows) > 0 else 1.0
            for (_, pump), flow in zip(turning, flows, strict=True):
                pump.flow_m3h = flow * share
        self.flow_m3h = sum(pump.flow_m3h for pump in self.pumps)

    def _burn(self, dt: float) -> None:
        p, volts = self.parameters, max(self.volts)
        kw, kvar = (p.house_kw, 0.2) if volts > 50 else (0.0, 0.0)
        for i, pump in enumerate(self.pumps):
            driven = self.plc.pumps[i].run and volts > 50
            pump.draw = self._draw(i, pump, volts) if driven else electric.NOTHING
            kw += pump.draw.kw
            kvar += pump.draw.kvar
            self._warm(i, pump, dt)
            pump.energy_kwh += pump.draw.kw * dt / 3600
            pump.volume_m3 += pump.flow_m3h * dt / 3600
        self.power_kw, self.kvar = kw, kvar
        self.amperes = sqrt(kw * kw + kvar * kvar) * 1000 / (sqrt(3) * volts) if volts > 50 else 0.0
        self.book.energy_wh += kw * dt / 3.6

    def _draw(self, i: int, pump: Pump, volts: float) -> electric.Draw:
        if i in self.troubles.does_not_turn:
            return electric.NOTHING
        spec, troubles = pump.spec, self.troubles
        speed = max(pump.speed, 0.0)
        # At its own head: more than the pipe's when its valve or its inside throttles it.
        head_m = spec.curve.head_m(pump.flow_m3h, speed) if speed else 0.0
        shaft = electric.shaft_kw(pump.flow_m3h, head_m, speed, spec.best_q_m3h, spec.best_efficiency)
        if self.parameters.intake_m >= self.level_m - self.rack_m or i in troubles.dry:
            shaft = 0.12 * spec.motor.power_kw * speed**3
        starting = max(0.0, 1 - speed / (self.plc.pumps[i].speed_chz / 5000) - 0.02)
        draw = electric.draw(spec.motor, shaft, volts, starting)
        factor = troubles.current_factor(i)
        return electric.Draw(draw.kw * factor, draw.kvar * factor, draw.amperes * factor)

    def _warm(self, i: int, pump: Pump, dt: float) -> None:
        p, motor, troubles = self.parameters, pump.spec.motor, self.troubles
        dt *= p.haste
        load = pump.draw.amperes / motor.amperes
        speed = abs(pump.speed)
        winding = p.room_c + motor.winding_rise_k * min(load, 3.0) ** 2 + troubles.winding_k(i)
        bearing = p.room_c + motor.bearing_rise_k * speed + troubles.bearing_k(i) * speed
        pump.winding_c = toward(pump.winding_c, winding, dt, motor.winding_tau_s)
        pump.bearing_de_c = toward(pump.bearing_de_c, bearing, dt, motor.bearing_tau_s)
        pump.bearing_nde_c = toward(pump.bearing_nde_c, p.room_c + 0.85 * (bearing - p.room_c), dt, motor.bearing_tau_s)
        pump.vibration_mm_s = electric.vibration_mm_s(
            motor, pump.flow_m3h, pump.speed, pump.spec.best_q_m3h, troubles.vibration_mm_s(i) * speed
        )

    def _fill(self, dt: float) -> None:
        """The sump's balance, and what the rack takes."""
        p, book = self.parameters, self.book
        into, out = self.inflow_m3h * dt / 3600, self.flow_m3h * dt / 3600
        back = sum(0.04 * self.pumps[i].spec.best_q_m3h for i in self.troubles.flap_leaks) * dt / 3600
        book.into_m3 += into
        book.pumped_m3 += out
        book.leaked_back_m3 += back
        self.volume_m3 += into + back - out
        if (spilt := self.volume_m3 - p.basin.volume_m3(p.spill_m)) > 0:
            book.spilt_m3 += spilt
            self.volume_m3 -= spilt
        self.level_m = p.basin.level_m(self.volume_m3)
        one = self.pumps[0].spec.best_q_m3h if self.pumps else 1.0
        wish = p.rack_m_at * self.troubles.rack_factor * (self.flow_m3h / one) ** 2
        self.rack_m = toward(self.rack_m, min(wish, 1.2), dt, 8.0)

    def _look(self, dt: float) -> Seen:
        """What the instruments make of it."""
        see, random = self.instruments, self.random
        see.rack.read(self.rack_m, dt, random)
        metres_at_gauge = max(self.level_m - self.rack_m + self.head_m - self.parameters.header_m, 0.0)
        see.pressure.read(metres_at_gauge * GRAVITY / 1000, dt, random)
        felt = []
        for i, pump in enumerate(self.pumps):
            amperes = see.amperes[i].read(pump.draw.amperes, dt, random) if pump.draw.amperes else 0.0
            see.amperes[i].shown = amperes
            winding = see.winding[i].read(pump.winding_c, dt, random)
            see.vibration[i].read(pump.vibration_mm_s, dt, random)
            felt.append(Felt(pump.speed, amperes, winding, pump.bearing_de_c, i in self.troubles.seal_leaks))
        level, outer = see.level.read(self.level_m, dt, random), see.outer.read(self.outer_m, dt, random)
        flow = see.flow.read(self.flow_m3h, dt, random)
        a, b, c = (one.read(v, dt, random) if v else 0.0 for one, v in zip(see.volts, self.volts, strict=True))
        return Seen(level, outer, flow, (a, b, c), felt)

    @property
    def flooded(self) -> bool:
        """Water stands in the pump room."""
        return self.troubles.room_floods or self.level_m > self.parameters.spill_m - 0.05


def plate_of(spec: PumpSpec) -> Plate:
    motor = spec.motor
    starter = motor.starter
    return Plate(motor.amperes, spec.best_q_m3h, starter.ramp_s, motor.spin_down_s, starter.steers_speed)
