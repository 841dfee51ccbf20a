"""What comes to a station: sewage by the hour of the day, and rain through its catchment (Nash cascade). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, exp, pi
from random import Random

DAY_S = 86400.0


@dataclass(frozen=True)
class Catchment:
    """Where the water comes from."""

    base_m3h: float
    swing: float = 0.35  # of the base, between night and the two peaks of the day
    area_km2: float = 0.6
    runoff: float = 0.55  # C: the share of the rain that arrives
    lag_s: float = 30 * 60.0  # of each of the two reservoirs

    def dry_m3h(self, day_s: float) -> float:
        """The diurnal curve: least at about 3 o'clock, peaks at breakfast and in the evening."""
        hour = day_s / 3600
        wave = -0.45 * cos(2 * pi * (hour - 4) / 24) + 0.55 * cos(2 * pi * (hour - 8) / 12)
        return self.base_m3h * (1 + self.swing * wave)


@dataclass
class Cascade:
    """Two linear reservoirs, one after the other; m3 are held. Exact within a step, and no drop is lost."""

    lag_s: float
    first_m3: float = 0.0
    second_m3: float = 0.0

    def step(self, rain_m3: float, dt: float) -> float:
        """Rain that fell in this step goes in; what runs out of the second reservoir comes back, m3."""
        keep = exp(-dt / self.lag_s)
        self.first_m3 += rain_m3
        over = self.first_m3 * (1 - keep)
        self.first_m3 -= over
        self.second_m3 += over
        out = self.second_m3 * (1 - keep)
        self.second_m3 -= out
        return out


@dataclass
class Sky:
    """Rain in mm/h. Showers come by themselves where `showers_per_day` says so, and when somebody calls for one."""

    random: Random
    showers_per_day: float = 0.0
    _showers: list[tuple[float, float, float]] = field(default_factory=list)  # begins, ends, mm/h

    def shower(self, begins_s: float, lasts_s: float, mm_h: float) -> None:
        self._showers.append((begins_s, begins_s + lasts_s, mm_h))

    def rain_mm_h(self, now_s: float, dt: float) -> float:
        """Swells and fades over each shower. Shower by shower from the seeded source."""
        if self.showers_per_day and self.random.random() < self.showers_per_day * dt / DAY_S:
            self.shower(now_s, self.random.uniform(600, 5400), self.random.lognormvariate(2.0, 0.7))
        if not self._showers:
            return 0.0
        self._showers = [one for one in self._showers if one[1] > now_s]
        return sum(
            peak * (1 - cos(2 * pi * (now_s - begins) / (ends - begins))) / 2
            for begins, ends, peak in self._showers
            if begins <= now_s
        )


@dataclass
class Gauge:
    """A rain gauge: mm over the last five minutes, and since the start."""

    total_mm: float = 0.0
    _slices: list[float] = field(default_factory=lambda: [0.0] * 30)  # ten seconds each
    _left_s: float = 10.0

    def step(self, mm: float, dt: float) -> None:
        self.total_mm += mm
        self._slices[-1] += mm
        self._left_s -= dt
        while self._left_s <= 0:
            self._slices = [*self._slices[1:], 0.0]
            self._left_s += 10.0

    @property
    def last_5min_mm(self) -> float:
        return sum(self._slices)
