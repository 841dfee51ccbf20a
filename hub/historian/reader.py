"""Answers questions from a view of the store: the sealed segments and the head, as they were at one moment.

Runs in the query threads. What is older comes first everywhere, so that the reading that was written last wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from hub.historian import head
from hub.historian.base import I32, NOTHING, AskedTooMuch, Buckets, Columns, Sample
from hub.historian.fold import fold, join, merge
from hub.historian.journal import Segment
from hub.historian.segments import Shelf

MOST_POINTS = 5_000_000  # readings in one answer, or read at one time for buckets: 85 MB
MOST_BUCKETS = 200_000  # in one answer: 20 series of a week at a step of one minute
LOOK_BACK_SEGMENTS = 2_000  # how many sealed files are asked for the last reading of a series
HEAD_ID = 1 << 62


class View(Struct, frozen=True, eq=False):
    """All that is stored, at one moment. Never changed: the store makes a new one."""

    segments: tuple[Segment, ...]  # by id
    parts: head.Parts
    floor_us: int


def read(view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
    """Every reading in [start, end), from the floor on. Raises AskedTooMuch."""
    pieces = _pieces(view, shelf, _sorted(series), start_us, end_us)
    return {it: merge(pieces[it]) if it in pieces else NOTHING for it in series}


def read_buckets(
    view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int, step_us: int
) -> dict[int, Buckets]:
    """Whole steps that touch [start, end). Raises AskedTooMuch."""
    if step_us <= 0:
        raise AskedTooMuch(f"history › a step of {step_us} µs › write a step above 0")
    first, last = start_us // step_us, -(-end_us // step_us)
    _check_buckets(len(series), max(0, last - first), step_us)
    found: defaultdict[int, list[Buckets]] = defaultdict(list)
    _fold(view, shelf, _sorted(series), first, last, step_us, found)
    return {it: join(found[it]) if it in found else fold(NOTHING, step_us) for it in series}


def _fold(
    view: View, shelf: Shelf, wanted: I32, first: int, last: int, step_us: int, found: dict[int, list[Buckets]]
) -> None:
    """The steps first..last, in that order. Where they hold too much for the memory they are done by halves."""
    try:
        pieces = _pieces(view, shelf, wanted, first * step_us, last * step_us)
    except AskedTooMuch:
        if last - first > 1:
            half = (first + last) // 2
            _fold(view, shelf, wanted, first, half, step_us, found)
            _fold(view, shelf, wanted, half, last, step_us, found)
        elif len(wanted) > 1:
            _fold(view, shelf, wanted[: len(wanted) // 2], first, last, step_us, found)
            _fold(view, shelf, wanted[len(wanted) // 2 :], first, last, step_us, found)
        else:
            raise
        return
    for it, some in pieces.items():
        found[it].append(fold(merge(some), step_us))


def read_last(view: View, shelf: Shelf, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
    """The newest reading of each series before `at_us`."""
    wanted = _sorted(series)
    # With each the id of its file, the head's above all: of two readings at one time the one written later counts.
    best: dict[int, tuple[int, int]] = {}
    told: dict[int, Sample] = {}

    def note(number: int, columns: Columns, id: int) -> None:
        at = len(columns) - 1 - int(np.argmax(columns.at_us[::-1]))  # the highest time, and of that the last
        it = Sample(int(columns.at_us[at]), float(columns.value[at]), int(columns.quality[at]))
        if number not in best or (it.at_us, id) > best[number]:
            best[number], told[number] = (it.at_us, id), it

    for number, columns in head.find(view.parts, wanted, view.floor_us, at_us).items():
        note(number, columns, HEAD_ID)
    files = [it for it in view.segments if it.t0_us < at_us and it.t1_us >= view.floor_us]
    for segment in sorted(files, key=lambda it: (it.t1_us, it.id), reverse=True)[:LOOK_BACK_SEGMENTS]:
        end = (segment.t1_us, segment.id)  # a series is still in question while this file may know something newer
        open_ = [it for it in wanted.tolist() if it not in best or best[it] < end]
        if open_:
            for number, columns in shelf.read(segment, np.array(open_, np.int32), view.floor_us, at_us):
                note(number, columns, segment.id)
    return {it: told.get(it) for it in series}


def _pieces(view: View, shelf: Shelf, wanted: I32, start_us: int, end_us: int) -> dict[int, list[Columns]]:
    start_us = max(start_us, view.floor_us)
    pieces: defaultdict[int, list[Columns]] = defaultdict(list)
    total = 0
    if start_us >= end_us or not len(wanted):
        return pieces
    for segment in view.segments:
        if segment.t1_us < start_us or segment.t0_us >= end_us:
            continue
        for number, columns in shelf.read(segment, wanted, start_us, end_us):
            pieces[number].append(columns)
            total = _count(total + len(columns))
    for number, columns in head.find(view.parts, wanted, start_us, end_us).items():
        pieces[number].append(columns)
        total = _count(total + len(columns))
    return pieces


def _sorted(series: Sequence[int]) -> I32:
    return np.unique(np.asarray(series, np.int32))


def _count(points: int) -> int:
    if points > MOST_POINTS:
        raise AskedTooMuch(
            f"history › more than {MOST_POINTS} readings › ask for a shorter time, fewer series, or a step"
        )
    return points


def _check_buckets(series: int, steps: int, step_us: int) -> None:
    asked = steps * series
    if asked > MOST_BUCKETS:
        least_s = -(-asked * step_us // (MOST_BUCKETS * 1_000_000))
        raise AskedTooMuch(
            f"history › {asked} steps asked for, at most {MOST_BUCKETS} are told › "
            f"use a step of at least {least_s} s, a shorter time, or fewer series"
        )
