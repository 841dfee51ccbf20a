"""States over time: a value holds from its reading until the next one, and not longer than a silence may last. Pure.

A run is readings of one value that follow each other without such a silence; a spell is the time that a value held.
NaN is a value too: the readings say that nothing is known. Runs are what is stored of a day that is over: of a state
they are few, and they know the length of anything to the microsecond, whatever a day is where one asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from hub.historian.base import F64, I64, Columns, Held, Spells
from hub.model import Quality

HOLD_US = 3_600_000_000  # a state that nobody has confirmed for so long is not known any more


class Runs(Struct, frozen=True, eq=False):
    """Of one series, in the order of time."""

    from_us: I64  # the first reading
    until_us: I64  # the last one
    value: F64

    def __len__(self) -> int:
        return len(self.from_us)


_NO_TIMES: I64 = np.empty(0, np.int64)
NO_RUNS = Runs(_NO_TIMES, _NO_TIMES, np.empty(0, np.float64))


def usable(value: F64, quality: NDArray[np.uint8]) -> F64:
    """The values, NaN where the reading is BAD."""
    return np.where(quality == Quality.BAD, np.nan, value)


def begins(at_us: I64, value: F64) -> NDArray[np.bool_]:
    """Whether a reading begins a run; readings of one series, sorted by time."""
    other = (value[1:] != value[:-1]) & ~(np.isnan(value[1:]) & np.isnan(value[:-1]))
    return np.append(True, other | (at_us[1:] - at_us[:-1] > HOLD_US))[: len(at_us)]


def runs_of(it: Columns) -> Runs:
    if not len(it):
        return NO_RUNS
    value = usable(it.value, it.quality)
    first = np.flatnonzero(begins(it.at_us, value))
    last = np.append(first[1:], len(it)) - 1
    return Runs(it.at_us[first], it.at_us[last], value[first])


def join(pieces: Sequence[Runs]) -> Runs:
    """Pieces of one series that follow each other, as one."""
    pieces = [it for it in pieces if len(it)]
    if len(pieces) < 2:
        return pieces[0] if pieces else NO_RUNS
    from_us = np.concatenate([it.from_us for it in pieces])
    until_us = np.concatenate([it.until_us for it in pieces])
    value = np.concatenate([it.value for it in pieces])
    other = (value[1:] != value[:-1]) & ~(np.isnan(value[1:]) & np.isnan(value[:-1]))
    first = np.flatnonzero(np.append(True, other | (from_us[1:] - until_us[:-1] > HOLD_US)))
    last = np.append(first[1:], len(from_us)) - 1
    return Runs(from_us[first], until_us[last], value[first])


def spells(it: Runs, start_us: int, end_us: int) -> Spells:
    """How long each value held, within [start, end). Times of which nothing is known are left out."""
    next_us = np.append(it.from_us[1:], np.iinfo(np.int64).max)
    ends = np.minimum(next_us, it.until_us + HOLD_US)
    before = np.append(np.nan, it.value[:-1])
    entered = ~np.isnan(before) & (np.append(False, ends[:-1] == it.from_us[1:])[: len(it)]) & (it.from_us >= start_us)
    starts, ends = np.maximum(it.from_us, start_us), np.minimum(ends, end_us)
    kept = (starts < ends) & ~np.isnan(it.value)
    return Spells(starts[kept], ends[kept], it.value[kept], entered[kept])


def held(it: Spells, edges_us: Sequence[int]) -> list[Held]:
    """By the times between these edges (rising): how long each value held, and how often it began."""
    edges = np.asarray(edges_us, np.int64)
    told: list[Held] = []
    for value in np.unique(it.value).tolist():
        mine = it.value == value
        starts, ends = it.start_us[mine], it.end_us[mine]
        before = np.append(0, np.cumsum(ends - starts))
        at = np.searchsorted(starts, edges, "right")  # so many spells have begun at each edge
        ran = before[at] - np.where(at > 0, np.maximum(0, ends[at - 1] - edges), 0)
        changes = starts[it.entered[mine]]
        entered = np.diff(np.searchsorted(changes, edges))
        told += [
            Held(int(edges[n]), value, us, times)
            for n, (us, times) in enumerate(zip(np.diff(ran).tolist(), entered.tolist(), strict=True))
            if us or times
        ]
    return sorted(told, key=lambda row: (row.start_us, row.value))
