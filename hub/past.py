"""What was read of a device, out of its history and in the order of time: for rules that look back, and for replays.

Only what was news, and from when on nothing was known (hub/historian/course.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from hub.historian.base import DAY_US, Columns, Sample, Series, to_datetime
from hub.historian.course import Meaning, Steps, steps, together
from hub.model import Kind, Point, Quality, Value
from hub.slot import STALE_INTERVALS

ALL = 2**62  # of how many steps every one is told
CHUNK_US = DAY_US  # read at once
MOST_SERIES = 50  # of one question: a day of as many readings each second is 4.3 million

Told = Sequence[tuple[str, Value, Quality]]  # points, and what they were from then on
Instant = tuple[datetime, Told]


class Ranges(Protocol):
    """A historian, or somebody who looks at one."""

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> Mapping[int, Columns]: ...


class Catalogue(Protocol):
    def find(self, device: str, point: str) -> Series | None: ...
    def text(self, series: int, code: float) -> str | None: ...


class Past:
    """Of one device. `points`: those that are wanted; what was never stored is not told."""

    def __init__(self, history: Ranges, catalogue: Catalogue, device: str, points: Mapping[str, Point]) -> None:
        self._history = history
        self._points = points
        found = ((key, catalogue.find(device, key)) for key in points)
        self._numbers = {key: series.id for key, series in found if series is not None}
        self._meanings = {key: _meaning(catalogue, points[key], number) for key, number in self._numbers.items()}
        self.readings = 0  # that were read so far

    async def between(self, start_us: int, end_us: int) -> AsyncIterator[Instant]:
        """[start, end), read a day at a time. Raises HistoryUnavailable, AskedTooMuch."""
        before: dict[str, Sample | None] = dict.fromkeys(self._numbers)
        for first in range(start_us, end_us, CHUNK_US):
            last = min(first + CHUNK_US, end_us)
            every: dict[str, Steps] = {}
            for key, columns in (await self._read(first, last)).items():
                every[key] = steps(columns, before[key], _patience_us(self._points[key]), ALL)
                if len(columns):
                    self.readings += len(columns)
                    at, of, how = columns.at_us[-1], columns.value[-1], columns.quality[-1]
                    before[key] = Sample(int(at), float(of), int(how))
            for at_us, told in together(every, self._meanings, first, last):
                yield to_datetime(at_us), told

    async def _read(self, start_us: int, end_us: int) -> dict[str, Columns]:
        found: dict[str, Columns] = {}
        every = list(self._numbers.items())
        for n in range(0, len(every), MOST_SERIES):
            some = every[n : n + MOST_SERIES]
            read = await self._history.range([number for _, number in some], start_us, end_us)
            found |= {key: read[number] for key, number in some}
        return found


def value_of(catalogue: Catalogue, point: Point, number: int, stored: float) -> Value:
    """What a stored number stands for; None for NaN, and for a code that nobody knows."""
    (value,) = _meaning(catalogue, point, number)([stored])
    it: Value = value
    return it


def _meaning(catalogue: Catalogue, point: Point, number: int) -> Meaning:
    match point.kind:
        case Kind.BOOL:
            return lambda stored: [None if it != it else it != 0.0 for it in stored]
        case Kind.ENUM:
            return lambda stored: [point.labels.get(it) for it in stored]  # type: ignore[call-overload]
        case Kind.TEXT:
            text = partial(catalogue.text, number)
            return lambda stored: [None if it != it else text(it) for it in stored]
        case _:
            return lambda stored: [None if it != it else it for it in stored]


def patience_s(point: Point) -> float:
    """For how long a stored reading stands: what does not move is stored more rarely than it is read."""
    stale_s = STALE_INTERVALS * point.interval_s
    return stale_s if point.deadband is None else max(stale_s, point.heartbeat_s + point.interval_s)


def _patience_us(point: Point) -> int:
    return int(patience_s(point) * 1e6)
