"""What happens in the demo county: something every minute, from a seed, and everything heals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Event:
    """One thing that happens at one station. `fault` "" is a shower over its whole town."""

    at_s: float
    station: str
    fault: str
    for_s: float
    pump: int = 1

    @property
    def heals_at_s(self) -> float:
        return self.at_s + self.for_s


RAIN = ""
EVERY_S = 60.0

# fault, how often among all, shortest and longest, s
_KINDS: tuple[tuple[str, int, float, float], ...] = (
    (RAIN, 5, 150, 240),
    ("chattering_level", 3, 30, 50),
    ("pump_trip", 3, 30, 45),
    ("link_loss", 3, 40, 40),
    ("clogged_rack", 3, 120, 200),
    ("dead_unit", 2, 30, 50),
    ("blocked_pump", 2, 60, 120),
    ("slow_answers", 1, 40, 60),
    ("phase_loss", 1, 15, 25),
    ("mains_loss", 1, 25, 40),
    ("frozen_level", 1, 50, 80),
    ("seal_leak", 1, 40, 60),
    ("flooding", 1, 60, 90),
    ("local_mode", 1, 60, 90),
    ("drop_every_4th", 1, 40, 60),
)


class Story:
    """The timetable, drawn as it is needed. The same seed tells the same story."""

    def __init__(self, stations: Sequence[tuple[str, int]], seed: int, begins_s: float = 20.0) -> None:
        """`stations`: (id, number of pumps)."""
        self._stations = tuple(stations)
        self._random = Random(seed)
        self._next_s = begins_s
        self._busy_until: dict[str, float] = {}
        self._last = ""

    def due(self, now_s: float) -> list[Event]:
        """All that begins until now and has not been told yet."""
        events = []
        while self._next_s <= now_s:
            events.append(self._draw(self._next_s))
            self._next_s += EVERY_S
        return events

    def _draw(self, at_s: float) -> Event:
        """Never two things at one station at once, and never the same thing twice in a row."""
        random = self._random
        kinds = [kind for kind in _KINDS if kind[0] != self._last]
        fault, _, shortest, longest = random.choices(kinds, [kind[1] for kind in kinds])[0]
        free = [one for one in self._stations if self._busy_until.get(one[0], -1.0) <= at_s] or self._stations
        station, pumps = random.choice(free)
        event = Event(at_s, station, fault, round(random.uniform(shortest, longest)), random.randint(1, pumps))
        self._busy_until[station] = event.heals_at_s + 20.0
        self._last = fault
        return event
