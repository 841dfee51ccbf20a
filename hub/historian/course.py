"""The course of a series: only what was news, and from when on nothing was known. Pure."""

from __future__ import annotations

import numpy as np

from hub.historian.base import Columns, Sample
from hub.model import Quality

Step = tuple[int, float, Quality]  # from this time (µs) on it is this; NaN: not known


def course(readings: Columns, before: Sample | None, patience_us: int, most: int) -> list[Step]:
    """In the order of time. `before`: the last reading before them. A reading stands for `patience_us` at most; of more
    than `most` steps every second is told, or every third, ….
    """
    at_us, value, quality = readings.at_us, readings.value, readings.quality
    if before is not None:
        at_us = np.append(np.int64(before.at_us), at_us)
        value = np.append(before.value, value)
        quality = np.append(np.uint8(before.quality), quality)
    if not len(at_us):
        return []
    ends = np.append(at_us[1:], np.iinfo(np.int64).max)
    silent = ends - at_us > patience_us
    news = np.ones(len(at_us), np.bool_)
    news[1:] = (value[1:] != value[:-1]) | (quality[1:] != quality[:-1]) | silent[:-1]
    chosen = np.flatnonzero(news)
    chosen = chosen[:: -(-len(chosen) // most)]
    steps = [(int(at_us[n]), float(value[n]), Quality(int(quality[n]))) for n in chosen]
    steps += [(int(at_us[n]) + patience_us, np.nan, Quality.BAD) for n in np.flatnonzero(silent)]
    return sorted(steps, key=lambda step: step[0])
