"""What programs and pages ask beyond readings and steps, the same of every back-end: days, gaps, tracks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import reduce

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from hub.historian.base import F64, I64, MOST_BUCKETS, U8, AskedTooMuch, Columns, Historian, to_us
from hub.historian.rollup import HOUR_US, MINUTE_US

MOST_EDGES = 10_000  # days or hours of one answer
DAY = timedelta(days=1)
LEAST_GAP_US = 2 * MINUTE_US


class Gap(Struct, frozen=True):
    """No usable reading in [start, end), to the minute."""

    start_us: int
    end_us: int


class Count(Struct, frozen=True):
    """From `start_us` until the next edge: readings with a usable value, and readings without one."""

    start_us: int
    count: int
    gaps: int


class Track(Struct, frozen=True, eq=False):
    """Series that share their stamps, side by side."""

    at_us: I64
    values: tuple[F64, ...]  # a column a series
    quality: U8  # the worst of them

    def __len__(self) -> int:
        return len(self.at_us)


def edges(start: datetime, end: datetime, every: timedelta, zone: tzinfo) -> list[int]:
    """µs of `start`, of every midnight (or hour, of local time) in between, and of `end`. Raises AskedTooMuch."""
    local = start.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if every >= DAY:
        local = local.replace(hour=0)
    found = [to_us(start)]
    while (at := to_us(local)) < to_us(end):
        if at > found[-1]:
            found.append(at)
        if len(found) > MOST_EDGES:
            raise AskedTooMuch(f"history › more than {MOST_EDGES} days or hours › ask for a shorter time")
        if every >= DAY:  # the next midnight of the wall clock, whatever the length of the day
            local = (local.replace(tzinfo=None) + every).replace(tzinfo=zone)
        else:
            local = local.astimezone(UTC) + every
    return [*found, to_us(end)]


async def counts(historian: Historian, series: Sequence[int], edges_us: Sequence[int]) -> dict[int, list[Count]]:
    """How many readings there are between these edges (rising; whole minutes, or they are cut to them)."""
    step_us = next((it for it in (HOUR_US, MINUTE_US) if all(edge % it == 0 for edge in edges_us)), MINUTE_US)
    found: dict[int, list[Count]] = {it: [] for it in series}
    for begin, end in stretches(len(series), edges_us[0], edges_us[-1], step_us):
        told = await historian.buckets(series, begin, end, step_us)
        for number, it in told.items():
            place = np.searchsorted(edges_us, it.start_us, "right") - 1
            for n in np.unique(place).tolist():
                mine = place == n
                at = edges_us[max(0, n)]
                new = Count(at, int(it.count[mine].sum()), int(it.gaps[mine].sum()))
                known = found[number]
                if known and known[-1].start_us == at:
                    known[-1] = Count(at, known[-1].count + new.count, known[-1].gaps + new.gaps)
                else:
                    known.append(new)
    return found


async def gaps(
    historian: Historian, series: Sequence[int], start_us: int, end_us: int, least_us: int
) -> dict[int, list[Gap]]:
    """When there was no usable reading for `least_us` or longer, the period's begin and end included."""
    if least_us < LEAST_GAP_US:
        raise AskedTooMuch(
            f"history › a gap of {least_us} µs › ask for gaps of {LEAST_GAP_US // MINUTE_US} min or more"
        )
    minutes: dict[int, list[I64]] = {it: [] for it in series}
    for begin, end in stretches(len(series), start_us, end_us, MINUTE_US):
        for number, it in (await historian.buckets(series, begin, end, MINUTE_US)).items():
            minutes[number].append(it.start_us[it.count > 0])
    return {it: _between(np.concatenate(some), start_us, end_us, least_us) for it, some in minutes.items()}


def _between(present: I64, start_us: int, end_us: int, least_us: int) -> list[Gap]:
    begins = np.append(start_us, present + MINUTE_US)
    ends = np.append(present, end_us)
    long = ends - begins >= least_us
    return [Gap(a, b) for a, b in zip(begins[long].tolist(), ends[long].tolist(), strict=True)]


def stretches(series: int, start_us: int, end_us: int, step_us: int) -> list[tuple[int, int]]:
    """[start, end) in pieces that meet at steps, each small enough to be asked for at one time."""
    size = max(1, MOST_BUCKETS // max(1, series) - 2) * step_us
    first = start_us // step_us * step_us
    return [(max(it, start_us), min(it + size, end_us)) for it in range(first, end_us, size)]


def align(pieces: Sequence[Columns]) -> Track:
    """The stamps at which all of these series have a reading: a position is told as several of one stamp."""
    at_us = reduce(np.intersect1d, [it.at_us for it in pieces])
    rows = [np.searchsorted(it.at_us, at_us) for it in pieces]
    quality: NDArray[np.uint8] = np.minimum.reduce([it.quality[row] for it, row in zip(pieces, rows, strict=True)])
    return Track(at_us, tuple(it.value[row] for it, row in zip(pieces, rows, strict=True)), quality)
