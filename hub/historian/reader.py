"""Answers questions from a view of the store: the sealed segments and the head, as they were at one moment.

Runs in the query threads. What is older comes first everywhere, so that the reading that was written last wins.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from hub.historian import head
from hub.historian.base import (
    DAY_US,
    I32,
    MOST_BUCKETS,
    MOST_POINTS,
    NOTHING,
    AskedTooMuch,
    Buckets,
    Columns,
    HistoryUnavailable,
    Sample,
    Spells,
)
from hub.historian.files import cuts
from hub.historian.fold import Folds, fold, merge, refold
from hub.historian.journal import Rollup, Segment
from hub.historian.rollup import RUNS, TIERS, pieces_of, tier_for
from hub.historian.rollup import runs_of as rollup_runs
from hub.historian.segments import Shelf
from hub.historian.spells import HOLD_US, Runs, join, runs_of, spells

LOOK_BACK_SEGMENTS = 2_000  # how many sealed files are asked for the last reading of a series
log = logging.getLogger(__name__)
HEAD_ID = 1 << 62
EVER = (-(1 << 62), 1 << 62)  # µs


class View(Struct, frozen=True, eq=False):
    """All that is stored, at one moment. Never changed: the store makes a new one."""

    segments: tuple[Segment, ...]  # by id
    parts: head.Parts
    floor_us: int
    readings_floor_us: int  # at or above the floor: what is older is there as roll-ups only
    rollups: Mapping[tuple[int, int], Rollup] = {}  # (tier, day)

    @property
    def _all(self) -> tuple[Segment | head.Part | Rollup, ...]:
        return (*self.segments, *self.parts, *self.rollups.values())

    @property
    def first_us(self) -> int:
        """No reading and no step is older."""
        return min((it.t0_us for it in self._all), default=0)

    @property
    def last_us(self) -> int:
        """No reading is younger, and no step begins later."""
        return max((it.t1_us for it in self._all), default=0)


class _Question(Struct, frozen=True, eq=False):
    view: View
    shelf: Shelf
    wanted: I32
    unit_us: int  # the steps in which the pieces are folded first
    found: defaultdict[int, list[Folds]]  # the answer: of each series its steps in the order of time


def read(view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
    """Every reading in [start, end), from the floor on. Raises AskedTooMuch."""
    pieces = _pieces(view, shelf, _sorted(series), start_us, end_us)
    return {it: merge(pieces[it]) if it in pieces else NOTHING for it in series}


def read_buckets(
    view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int, step_us: int
) -> dict[int, Buckets]:
    """Whole steps that touch [start, end). Raises AskedTooMuch.

    Of days that have a roll-up that fits, the roll-up is read; of all others the readings. Where only a coarser one is
    left, its steps are told.
    """
    if step_us <= 0:
        raise AskedTooMuch(f"history › a step of {step_us} µs › write a step above 0")
    first, last = start_us // step_us, -(-end_us // step_us)
    check_buckets(len(series), max(0, last - first), step_us)
    start_us, end_us, tier = max(first * step_us, view.floor_us), last * step_us, tier_for(step_us)
    wanted = _sorted(series)
    coarser = sorted((it for it in TIERS if it >= tier), key=lambda it: it != tier)  # the right one before all others
    rolled = _rolled(view, shelf, wanted, (start_us, end_us), tier, coarser)
    # A unit of which both the steps and the days are made up, or a day in the middle could not be another tier's.
    it = _Question(view, shelf, wanted, (tier if rolled else 0) or step_us, defaultdict(list))
    begin = start_us
    for day, rollup in sorted(rolled.items()):
        _fold(it, begin // it.unit_us, -(-day * DAY_US // it.unit_us))
        a, b = max(start_us, day * DAY_US), min(end_us, (day + 1) * DAY_US)
        try:
            for number, folds in list(_rows_of(it, rollup, a, b)):
                it.found[number].append(folds)
        except HistoryUnavailable as failure:
            _instead(view, day, failure)
            _fold(it, a // it.unit_us, -(-b // it.unit_us))
        begin = (day + 1) * DAY_US
    _fold(it, begin // it.unit_us, -(-end_us // it.unit_us))
    return {number: refold(it.found.get(number, ()), step_us) for number in series}


def read_spells(
    view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int, states: Container[int]
) -> dict[int, Spells]:
    """When each series had which value in [start, end). Raises AskedTooMuch.

    Of `states`, and of days that have runs, the runs are read; of others the readings.
    """
    if plain := [it for it in series if it not in states]:
        rest = [it for it in series if it in states]
        told = read_spells(view, shelf, rest, start_us, end_us, states) if rest else {}
        return told | _spells(view, shelf, plain, start_us, end_us, with_runs=False)
    return _spells(view, shelf, series, start_us, end_us, with_runs=True)


def _spells(
    view: View, shelf: Shelf, series: Sequence[int], start_us: int, end_us: int, with_runs: bool
) -> dict[int, Spells]:
    wanted, found, total = _sorted(series), defaultdict[int, list[Runs]](list), 0
    begin = max(start_us - HOLD_US, view.floor_us, view.first_us)
    rolled = _rolled(view, shelf, wanted, (begin, end_us), RUNS, (RUNS,)) if with_runs else {}
    last = min(end_us, view.last_us + 1)
    for day in range(begin // DAY_US, -(-last // DAY_US)):
        rollup = rolled.get(day)
        pieces: list[tuple[int, Runs]] | None = None
        if rollup is not None:
            try:
                tables = shelf.tables(rollup.file, wanted, *EVER)
                pieces = [it for table in tables for it in rollup_runs(table, list(cuts(table, wanted, *EVER)))]
            except HistoryUnavailable as failure:
                _instead(view, day, failure)
        if pieces is None:
            some = _pieces(view, shelf, wanted, max(begin, day * DAY_US), min(last, (day + 1) * DAY_US))
            pieces = [(number, runs_of(merge(it))) for number, it in some.items()]
        for number, runs in pieces:
            found[number].append(runs)
            total = _count(total + len(runs))
    return {it: spells(join(found.get(it, ())), max(start_us, view.floor_us), end_us) for it in series}


def _rolled(
    view: View, shelf: Shelf, wanted: I32, span_us: tuple[int, int], tier: int, coarser: Sequence[int]
) -> dict[int, Rollup]:
    """By day, the roll-ups that know all that the readings of that day would say.

    `coarser`: what else will do where there are no readings.
    """
    found: dict[int, Rollup] = {}
    in_question: dict[int, int] = {}  # day -> its roll-up's id, where readings are there too
    start_us, end_us = span_us
    if not len(wanted) or start_us >= end_us or (tier not in coarser and start_us >= view.readings_floor_us):
        return found
    for day in sorted({it for _, it in view.rollups if start_us < (it + 1) * DAY_US and it * DAY_US < end_us}):
        if day * DAY_US < view.floor_us:
            continue  # only a part of it may be told
        is_all = (day + 1) * DAY_US <= view.readings_floor_us
        there = (view.rollups.get((it, day)) for it in (coarser if is_all else (tier,)))
        rollup = next((it for it in there if it is not None), None)
        if rollup is not None:
            found[day] = rollup
            if not is_all:
                in_question[day] = rollup.id
    if in_question:
        end_us = min(end_us, (max(in_question) + 1) * DAY_US)
        for day in _newer(view, shelf, wanted, start_us, end_us, in_question):
            del found[day]
    return found


def _newer(view: View, shelf: Shelf, wanted: I32, start_us: int, end_us: int, rolled: Mapping[int, int]) -> set[int]:
    """Of days with the id of their roll-up: those of which there are readings in later files or in the head."""
    days: set[int] = set()
    for segment in view.segments:
        if segment.t1_us < start_us or segment.t0_us >= end_us:
            continue
        if segment.t1_us // DAY_US == segment.day:
            if rolled.get(segment.day) != segment.id:
                days.add(segment.day)
        else:  # lumped together from many days: which of them it knows of these series
            for _, columns in shelf.read(segment, wanted, start_us, end_us):
                days.update((columns.at_us // DAY_US).tolist())
    for columns in head.find(view.parts, wanted, start_us, end_us).values():
        days.update(np.unique(columns.at_us // DAY_US).tolist())
    return days & rolled.keys()


def _rows_of(it: _Question, rollup: Rollup, start_us: int, end_us: int) -> Iterator[tuple[int, Folds]]:
    for table in it.shelf.tables(rollup.file, it.wanted, start_us, end_us):
        yield from pieces_of(table, list(cuts(table, it.wanted, start_us, end_us)))


def _instead(view: View, day: int, failure: HistoryUnavailable) -> None:
    """A roll-up that cannot be read is no loss while the readings are there. Raises `failure` when they are not."""
    if (day + 1) * DAY_US <= view.readings_floor_us:
        raise failure
    log.warning("%s (its readings were asked instead)", failure)


def _fold(it: _Question, first: int, last: int) -> None:
    """The units first..last of the readings. Where they hold too much for the memory they are done by halves."""
    if first >= last:
        return
    try:
        pieces = _pieces(it.view, it.shelf, it.wanted, first * it.unit_us, last * it.unit_us)
    except AskedTooMuch:
        if last - first > 1:
            half = (first + last) // 2
            _fold(it, first, half)
            _fold(it, half, last)
        elif len(it.wanted) > 1:
            middle = len(it.wanted) // 2
            _fold(replace(it, wanted=it.wanted[:middle]), first, last)
            _fold(replace(it, wanted=it.wanted[middle:]), first, last)
        else:
            raise
        return
    for number, some in pieces.items():
        it.found[number].append(fold(merge(some), it.unit_us))


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

    for number, columns in head.find(view.parts, wanted, view.readings_floor_us, at_us).items():
        note(number, columns, HEAD_ID)
    files = [it for it in view.segments if it.t0_us < at_us and it.t1_us >= view.readings_floor_us]
    for segment in sorted(files, key=lambda it: (it.t1_us, it.id), reverse=True)[:LOOK_BACK_SEGMENTS]:
        end = (segment.t1_us, segment.id)  # a series is still in question while this file may know something newer
        open_ = [it for it in wanted.tolist() if it not in best or best[it] < end]
        if open_:
            for number, columns in shelf.read(segment, np.array(open_, np.int32), view.readings_floor_us, at_us):
                note(number, columns, segment.id)
    return {it: told.get(it) for it in series}


def _pieces(view: View, shelf: Shelf, wanted: I32, start_us: int, end_us: int) -> dict[int, list[Columns]]:
    start_us = max(start_us, view.readings_floor_us)
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


def check_buckets(series: int, steps: int, step_us: int) -> None:
    asked = steps * series
    if asked > MOST_BUCKETS:
        least_s = -(-asked * step_us // (MOST_BUCKETS * 1_000_000))
        raise AskedTooMuch(
            f"history › {asked} steps asked for, at most {MOST_BUCKETS} are told › "
            f"use a step of at least {least_s} s, a shorter time, or fewer series"
        )
