"""Readings of some series that go sooner than those of the others: their day's file is written again without them.

A day's roll-ups stay, so what is left of these series is told in minutes and hours. Only days that are one file are
looked at: what came late must have been taken in before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hub.historian.base import DAY_US, I32, Batch
from hub.historian.compaction import DAY_LEVEL, slices
from hub.historian.files import Opened, Writing, column, name_of
from hub.historian.journal import Segment
from hub.historian.segments import READINGS, add, batch_of, finish

Rules = Sequence[tuple[int, Sequence[int]]]  # (days, series)


def due(segments: Sequence[Segment], rules: Rules, now_us: int) -> Iterator[tuple[Segment, I32]]:
    """Files of days that are over and one file, with the series (sorted) that should be in them no more."""
    for it in segments:
        if it.level < DAY_LEVEL or any(_overlap(it, other) for other in segments if other is not it):
            continue
        old = [numbers for days, numbers in rules if now_us - days * DAY_US >= (it.day + 1) * DAY_US]
        gone = [series for numbers in old for series in numbers]
        if gone:
            yield it, np.unique(np.array(gone, np.int32))


def _overlap(one: Segment, other: Segment) -> bool:
    return one.t0_us <= other.t1_us and one.t1_us >= other.t0_us


def without(folder: Path, segment: Segment, gone: I32, go_on: Callable[[], None]) -> tuple[Segment, ...] | None:
    """The same file without these series, one level higher and under another name; None when it has none of them.

    Of the same id, so that the day's roll-ups go on being its. Raises HistoryUnavailable, OSError.
    """
    opened = Opened(folder / segment.file)
    groups = opened.groups(gone, segment.t0_us, segment.t1_us + 1)
    if not groups:
        return None
    there = column(opened.file.read_row_groups(groups, columns=["sid"], use_threads=False), "sid")
    if not np.isin(there, gone).any():
        return None
    level = segment.level + 1
    with Writing(folder / name_of(segment.day, f"l{level}", segment.id), READINGS) as new:
        for low, high in slices([opened]):
            go_on()
            it = batch_of(opened.span(low, high))
            kept = ~np.isin(it.series, gone)
            add(new, Batch(it.series[kept], it.at_us[kept], it.value[kept], it.quality[kept]))
        return (finish(new, segment.id, level, segment.day),) if new.rows else ()
