"""A pump's motor: how it starts and stops, what it draws, how warm it gets and how much it shakes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

from simulators.worlds.hydraulics import GRAVITY


@dataclass(frozen=True)
class Starter:
    """How a motor comes up to speed. `inrush` is its starting current over its nominal one."""

    ramp_s: float
    inrush: float
    steers_speed: bool = False
    efficiency: float = 1.0


DIRECT = Starter(ramp_s=1.5, inrush=6.0)
SOFT = Starter(ramp_s=8.0, inrush=3.0)
INVERTER = Starter(ramp_s=25.0, inrush=1.1, steers_speed=True, efficiency=0.96)


@dataclass(frozen=True)
class Motor:
    """What stands on the motor's plate, and how it and its pump behave as a body."""

    power_kw: float
    volts: float = 380.0
    efficiency: float = 0.92
    cos_phi: float = 0.86
    starter: Starter = SOFT
    spin_down_s: float = 12.0
    winding_rise_k: float = 62.0  # over the room at nominal current
    winding_tau_s: float = 25 * 60.0
    bearing_rise_k: float = 28.0
    bearing_tau_s: float = 60 * 60.0
    vibration_mm_s: float = 1.1  # at best efficiency

    @property
    def amperes(self) -> float:
        """Nominal current."""
        return self.power_kw / self.efficiency * 1000 / (sqrt(3) * self.volts * self.cos_phi)

    def reactive_kvar(self, load: float) -> float:
        """What magnetises it: little less when idle, so PF falls with the load."""
        nominal = self.power_kw / self.efficiency * sqrt(1 / self.cos_phi**2 - 1)
        return nominal * (0.04 + 0.26 * load if self.starter.steers_speed else 0.72 + 0.28 * load * load)


@dataclass(frozen=True, slots=True)
class Draw:
    """What one motor takes from the mains at one moment."""

    kw: float = 0.0
    kvar: float = 0.0
    amperes: float = 0.0


NOTHING = Draw()


def shaft_kw(q_m3h: float, head_m: float, speed: float, best_q_m3h: float, best_efficiency: float) -> float:
    """ρgQH/η with η = η_best·x·(2−x), x = q/(n·q_best): finite at shut-off, where η is 0 and so is q."""
    if speed <= 0:
        return 0.0
    best = speed * best_q_m3h
    x = min(q_m3h / best, 1.8)
    return GRAVITY * (best / 3600) * max(head_m, 0.0) / (best_efficiency * (2 - x))


def draw(motor: Motor, shaft: float, volts: float, starting: float) -> Draw:
    """From shaft power in kW; `starting` goes from 1 (standing still) to 0 (up to speed)."""
    if volts < 50:
        return NOTHING
    kw = shaft / (motor.efficiency * motor.starter.efficiency)
    kvar = motor.reactive_kvar(shaft / motor.power_kw) * (volts / motor.volts) ** 2
    amperes = sqrt(kw * kw + kvar * kvar) * 1000 / (sqrt(3) * volts)
    if starting > 0:
        inrush = motor.amperes * motor.starter.inrush * min(1.0, 1.6 * starting)
        if inrush > amperes:
            more = sqrt(3) * volts * inrush / 1000  # kVA, nearly all of it reactive
            amperes, kvar = inrush, sqrt(max(more * more - kw * kw, 0.0))
    return Draw(kw, kvar, amperes)


def toward(value: float, goal: float, dt: float, tau_s: float) -> float:
    """A first-order lag, exact for any step."""
    return goal + (value - goal) * exp(-dt / tau_s)


def vibration_mm_s(motor: Motor, q_m3h: float, speed: float, best_q_m3h: float, fault: float = 0.0) -> float:
    if speed < 0.02:
        return 0.0
    off = abs(q_m3h / (speed * best_q_m3h) - 1) * 2
    return motor.vibration_mm_s * speed * (1 + off * off) + fault
