"""What an instrument makes of the truth: noise, lag, steps, drift, and the ways in which it fails. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isnan, nan
from random import Random

from simulators.worlds.motor import toward

DAY_S = 86400.0


class Ail(Enum):
    """What is wrong with an instrument."""

    NOTHING = ""
    STUCK = "stuck"  # stays where it is
    NAN = "nan"  # gives no number
    BROKEN_WIRE = "broken wire"  # 4-20 mA below 3.6 mA: reads below the bottom of its range
    CHATTER = "chatter"  # jumps up and down by `swing`
    SPIKES = "spikes"  # one reading in twenty is `swing` too high


@dataclass
class Sensor:
    """One instrument. `quantum` is its smallest step."""

    noise: float = 0.0
    quantum: float = 0.0
    lag_s: float = 0.0
    drift_per_day: float = 0.0
    bottom: float = 0.0  # of its range: what a broken wire reads
    least: float = float("-inf")
    swing: float = 0.0
    ail: Ail = Ail.NOTHING
    shown: float = nan
    _lagged: float = nan
    _age_s: float = 0.0
    _up: bool = False

    def read(self, truth: float, dt: float, random: Random) -> float:
        """What it shows now. `shown` keeps it."""
        self._age_s += dt
        lagged = self._lagged
        self._lagged = toward(lagged, truth, dt, self.lag_s) if self.lag_s and not isnan(lagged) else truth
        if self.ail is Ail.STUCK and not isnan(self.shown):
            return self.shown
        value = self._lagged + self.drift_per_day * self._age_s / DAY_S
        if self.noise:
            value += random.gauss(0.0, self.noise)
        if self.ail is not Ail.NOTHING:
            value = self._ailing(value, random)
        value = max(value, self.least)
        if self.quantum and not isnan(value):
            value = round(value / self.quantum) * self.quantum
        self.shown = value
        return value

    def _ailing(self, value: float, random: Random) -> float:
        match self.ail:
            case Ail.NAN:
                return nan
            case Ail.BROKEN_WIRE:
                return self.bottom
            case Ail.CHATTER:
                self._up = not self._up
                return value + (self.swing if self._up else -self.swing)
            case Ail.SPIKES if random.random() < 0.05:
                return value + self.swing
        return value
