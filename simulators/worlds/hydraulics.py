"""Water that is lifted: pump curves and affinity laws, pipes, pumps in parallel, and the sump. Pure; m and m3/h."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import log, pi

GRAVITY = 9.81
STANDING = 0.02  # a pump this slow moves no water; the affinity laws end here
BISECTIONS = 40  # halves 100 m of head down to 1e-10 m


@dataclass(frozen=True)
class Curve:
    """H = n²·H0 − B·q^C·n^(2−C) through (0, H0), (q1, h1), (q2, h2): EPANET's power curve. q in m3/h, H in m."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    @cached_property
    def shut_off_m(self) -> float:
        return self.points[0][1]

    @cached_property
    def exponent(self) -> float:
        (_, h0), (q1, h1), (q2, h2) = self.points
        return log((h0 - h2) / (h0 - h1)) / log(q2 / q1)

    @cached_property
    def factor(self) -> float:
        (_, h0), (q1, h1), _ = self.points
        return float((h0 - h1) / q1**self.exponent)

    def head_m(self, q_m3h: float, speed: float) -> float:
        c = self.exponent
        return float(speed**2 * self.shut_off_m - self.factor * q_m3h**c * speed ** (2 - c))

    def flow_m3h(self, head_m: float, speed: float) -> float:
        """What the pump gives against this head; 0 where its shut-off head is not enough (its flap is closed)."""
        spare = speed**2 * self.shut_off_m - head_m
        if spare <= 0 or speed < STANDING:
            return 0.0
        c = self.exponent
        return float((spare / (self.factor * speed ** (2 - c))) ** (1 / c))


@dataclass(frozen=True)
class Pipe:
    """One pipe: Hazen-Williams friction and fittings (ΣK v²/2g)."""

    length_m: float
    diameter_m: float
    roughness: float = 120.0
    minor: float = 0.0

    @cached_property
    def friction(self) -> float:
        """Loss in m = friction · (q in m3/s)^1.852."""
        return float(10.667 * self.length_m / (self.roughness**1.852 * self.diameter_m**4.871))

    @cached_property
    def fittings(self) -> float:
        """Loss in m = fittings · (q in m3/s)²."""
        return self.minor / (2 * GRAVITY * (pi * self.diameter_m**2 / 4) ** 2)


@dataclass(frozen=True)
class Rising:
    """The way up: all pipes that the pumps of a station share, in series."""

    pipes: tuple[Pipe, ...]

    @cached_property
    def _factors(self) -> tuple[float, float]:
        return sum(p.friction for p in self.pipes), sum(p.fittings for p in self.pipes)

    def loss_m(self, q_m3h: float) -> float:
        friction, fittings = self._factors
        q = q_m3h / 3600
        return float(friction * q**1.852 + fittings * q * q)


@dataclass(frozen=True, slots=True)
class Running:
    """A pump as the pipe sees it: its curve, its speed (1 = nominal), and the share of its water that gets through."""

    curve: Curve
    speed: float
    through: float = 1.0


def operating_point(pumps: Sequence[Running], rising: Rising, lift_m: float) -> tuple[float, list[float]]:
    """(head in m, flow of each pump in m3/h): where pumps in parallel and their common pipe agree."""
    top = max((p.speed**2 * p.curve.shut_off_m for p in pumps if p.speed >= STANDING), default=lift_m)
    bottom = lift_m
    if top <= lift_m:
        return lift_m, [0.0] * len(pumps)
    flows: list[float] = []
    for _ in range(BISECTIONS):
        head = (bottom + top) / 2
        flows = [p.through * p.curve.flow_m3h(head, p.speed) for p in pumps]
        if lift_m + rising.loss_m(sum(flows)) > head:
            bottom = head
        else:
            top = head
    return (bottom + top) / 2, flows


@dataclass(frozen=True)
class Basin:
    """A sump: water level and surface (m, m2), rising. Straight between the lines, upright walls above the last."""

    table: tuple[tuple[float, float], ...]
    _volumes: tuple[float, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        volumes = [0.0]
        for (h0, a0), (h1, a1) in pairwise(self.table):
            volumes.append(volumes[-1] + (h1 - h0) * (a0 + a1) / 2)
        object.__setattr__(self, "_volumes", tuple(volumes))

    def volume_m3(self, level_m: float) -> float:
        i = self._line([h for h, _ in self.table], level_m)
        h0, a0 = self.table[i]
        rise = level_m - h0
        return self._volumes[i] + rise * a0 + self._slope(i) * rise * rise / 2

    def level_m(self, volume_m3: float) -> float:
        i = self._line(self._volumes, volume_m3)
        h0, a0 = self.table[i]
        more, slope = volume_m3 - self._volumes[i], self._slope(i)
        if abs(slope) < 1e-12:
            return h0 + more / a0
        return float(h0 + ((a0 * a0 + 2 * slope * more) ** 0.5 - a0) / slope)

    def _slope(self, line: int) -> float:
        if line + 1 >= len(self.table):
            return 0.0
        (h0, a0), (h1, a1) = self.table[line], self.table[line + 1]
        return (a1 - a0) / (h1 - h0)

    @staticmethod
    def _line(values: Sequence[float], value: float) -> int:
        return max(0, bisect_right(values, value) - 1)
