"""Which sealed files are made into one, and how: streamed in slices of series, so that a day need not fit into memory.

A day that goes on: eight files of one level that follow each other become one of the next level. A day that is over:
all its files become one. Late readings come in files of their own and are taken into their day's once a night, or when
there are eight. Of two readings of one series and time the one in the file with the higher id is right, and stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np

from hub.historian import head
from hub.historian.base import DAY_US, I32, Batch
from hub.historian.files import Opened, Writing, name_of
from hub.historian.journal import Rollup, Segment
from hub.historian.rollup import Rolling
from hub.historian.segments import READINGS, add, batch_of, finish, tidy

JOIN_FILES = 8
DAY_LEVEL = 9  # of a file that has all of a day that is over
DAY_IS_OVER_US = 3_600_000_000  # after its end: stragglers come within an hour
SLICE_POINTS = 1_000_000  # readings in memory at one time, twice
LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1  # of series


def due(
    segments: Sequence[Segment], now_us: int, late_too: bool = False, but: Container[int] = ()
) -> tuple[Segment, ...]:
    """The files that are to be made into one next, of one day and in the order of their ids; () for none.

    `late_too`: also days of which only a few late readings are not in their file yet. `but`: not of these days.
    """
    days: defaultdict[int, list[Segment]] = defaultdict(list)
    for it in segments:
        if it.t1_us // DAY_US == it.day and it.day not in but:  # what was lumped together from many days stays as it is
            days[it.day].append(it)
    for day, files in sorted(days.items()):
        is_over = now_us >= (day + 1) * DAY_US + DAY_IS_OVER_US
        run = _of_a_whole_day(files, late_too) if is_over else _of_one_level(files)
        if run and not _between(run, segments):
            return run
    return ()


def _of_a_whole_day(files: Sequence[Segment], late_too: bool) -> tuple[Segment, ...]:
    late = [it for it in files if it.level < DAY_LEVEL]
    is_new = len(late) == len(files)
    return tuple(files) if late and (is_new or late_too or len(late) >= JOIN_FILES) else ()


def _of_one_level(files: Sequence[Segment]) -> tuple[Segment, ...]:
    run: list[Segment] = []
    for it in files:
        run = [*run, it] if run and run[-1].level == it.level else [it]
        if len(run) == JOIN_FILES and it.level < DAY_LEVEL - 1:
            return tuple(run)
    return ()


def _between(run: Sequence[Segment], segments: Sequence[Segment]) -> bool:
    """Whether another file was written between these that may know the same times: it would change its place."""
    low, high, t0_us, t1_us = run[0].id, run[-1].id, min(it.t0_us for it in run), max(it.t1_us for it in run)
    return any(low < it.id < high and it.t0_us <= t1_us and it.t1_us >= t0_us and it not in run for it in segments)


def level_of(run: Sequence[Segment], now_us: int) -> int:
    """The level of what these become."""
    is_over = now_us >= (run[0].day + 1) * DAY_US + DAY_IS_OVER_US
    return DAY_LEVEL if is_over else max(it.level for it in run) + 1


def merge(
    folder: Path, run: Sequence[Segment], level: int, floor_us: int, states: I32, go_on: Callable[[], None]
) -> tuple[tuple[Segment, ...], tuple[Rollup, ...]]:
    """Make one file of these, and of a whole day its roll-ups; nothing when nothing is left above the floor.

    `states`: the series, sorted, of which runs are rolled up too. `go_on` is called before each slice, and may raise.
    Raises HistoryUnavailable, OSError, FileNotFoundError.
    """
    files = [Opened(folder / it.file) for it in run]
    id, day = run[-1].id, run[0].day
    with ExitStack() as stack:
        new = stack.enter_context(Writing(folder / name_of(day, f"l{level}", id), READINGS))
        rolling = (
            stack.enter_context(Rolling(folder, day, id, states, sum(it.points for it in run)))
            if level == DAY_LEVEL
            else None
        )
        for low, high in slices(files):
            go_on()
            part = _slice(files, low, high, floor_us)
            add(new, part)
            if rolling is not None:
                rolling.add(part)
        if not new.rows:
            return (), ()
        return (finish(new, id, level, day),), rolling.finish() if rolling is not None else ()


def slices(files: Sequence[Opened]) -> Iterator[tuple[int, int]]:
    """[low, high) of series, one after the other, so that each has about SLICE_POINTS readings or is of one series."""
    first = np.concatenate([it.first for it in files])
    rows = np.concatenate([it.rows for it in files])
    order = np.argsort(first, kind="stable")
    part = np.cumsum(rows[order]) // SLICE_POINTS
    cuts = first[order][np.flatnonzero(part[1:] != part[:-1]) + 1]
    edges = [LOWEST, *np.unique(cuts).tolist(), HIGHEST]
    yield from pairwise(edges)


def _slice(files: Sequence[Opened], low: int, high: int, floor_us: int) -> Batch:
    return tidy(head.concatenate([batch_of(it.span(low, high)) for it in files]), floor_us)
