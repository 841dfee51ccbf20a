"""The course of a series: what was news, and from when on nothing was known; and of several, in one order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise, repeat
from typing import Any

import numpy as np

from hub.historian.base import F64, I64, U8, Columns, Sample
from hub.model import Quality

Step = tuple[int, float, Quality]  # from this time (µs) on it is this; NaN: not known
Steps = tuple[I64, F64, U8]  # the same in columns

_QUALITIES = tuple(Quality(n) for n in range(len(Quality)))


def course(readings: Columns, before: Sample | None, patience_us: int, most: int) -> list[Step]:
    """In the order of time. `before`: the last reading before them. A reading stands for `patience_us` at most; of more
    than `most` steps every second is told, or every third, ….
    """
    at_us, value, quality = steps(readings, before, patience_us, most)
    return list(zip(at_us.tolist(), value.tolist(), (_QUALITIES[n] for n in quality.tolist()), strict=True))


def steps(readings: Columns, before: Sample | None, patience_us: int, most: int) -> Steps:
    """As `course`, in columns."""
    at_us, value, quality = readings.at_us, readings.value, readings.quality
    if before is not None:
        at_us = np.append(np.int64(before.at_us), at_us)
        value = np.append(before.value, value)
        quality = np.append(np.uint8(before.quality), quality)
    if not len(at_us):
        return at_us, value, quality
    ends = np.append(at_us[1:], np.iinfo(np.int64).max)
    silent = ends - at_us > patience_us
    news = np.ones(len(at_us), np.bool_)
    news[1:] = (value[1:] != value[:-1]) | (quality[1:] != quality[:-1]) | silent[:-1]
    chosen = np.flatnonzero(news)
    chosen = chosen[:: -(-len(chosen) // most)]
    lost = np.flatnonzero(silent)
    times = np.concatenate([at_us[chosen], at_us[lost] + patience_us])
    order = np.argsort(times, kind="stable")
    return (
        times[order],
        np.concatenate([value[chosen], np.full(len(lost), np.nan)])[order],
        np.concatenate([quality[chosen], np.full(len(lost), Quality.BAD, np.uint8)])[order],
    )


Meaning = Callable[[list[float]], list[Any]]  # what stored numbers stand for
Instants = Iterator[tuple[int, list[tuple[str, Any, Quality]]]]


def together(every: Mapping[str, Steps], meanings: Mapping[str, Meaning], first_us: int, last_us: int) -> Instants:
    """Of several series the steps in [first, last), by time: (µs, [(name, value, quality)])."""
    told: list[tuple[str, Any, Quality]] = []
    times: list[I64] = []
    for name, (at_us, value, quality) in every.items():
        a, b = np.searchsorted(at_us, [first_us, last_us])
        if a < b:
            times.append(at_us[a:b])
            meant = meanings[name](value[a:b].tolist())
            told += zip(repeat(name), meant, map(_QUALITIES.__getitem__, quality[a:b].tolist()))
    if not times:
        return
    at = np.concatenate(times)
    order = np.argsort(at, kind="stable")
    at = at[order]
    places: list[int] = order.tolist()
    begins: list[int] = [0, *(np.flatnonzero(np.diff(at)) + 1).tolist(), len(told)]
    for a, b in pairwise(begins):
        yield int(at[a]), [told[n] for n in places[a:b]]
