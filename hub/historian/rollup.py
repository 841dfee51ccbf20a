"""Roll-ups: a day's readings folded into minutes and hours, in files of their own, so that a year is a few rows.

    sid i32 · ts timestamp(us, UTC), the step's begin · n i32 · gaps i32 · last, min, max, sum f64

What the row says without it is null: `last` where n is 0; `min` and `max` where they are `last`; `sum` where it is
n · last. So a minute with one reading costs what the reading costs, and a state that does not change hardly anything.

Of states (bool, enum, text) there are runs too: readings of one value that follow each other.

    sid i32 · ts timestamp(us, UTC), the first reading · until i64, µs, the last one · v f64, null: no usable value
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from hub.historian import spells
from hub.historian.base import F64, I32, Batch, Columns
from hub.historian.files import Form, Writing, column, name_of
from hub.historian.fold import Folds, fold_runs
from hub.historian.journal import Rollup
from hub.historian.spells import Runs

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
TIERS = {MINUTE_US: "1m", HOUR_US: "1h"}  # the finest first
# Rows of a row group: a question wants some steps of some series, and reads whole groups. But each group costs some
# kilobytes of every open file, so in a county with very many points they are larger.
GROUPS = {MINUTE_US: 4_096, HOUR_US: 2_048}
MANY_POINTS = 100_000_000  # readings of a day
RUNS = -1  # in the place of a tier: it has no steps
FORM = Form(
    (
        ("n", pa.int32(), False),
        ("gaps", pa.int32(), False),
        ("last", pa.float64(), True),
        ("min", pa.float64(), True),
        ("max", pa.float64(), True),
        ("sum", pa.float64(), True),
    ),
    dictionary=("n", "gaps"),
)
RUNS_FORM = Form((("until", pa.int64(), False), ("v", pa.float64(), True)), delta=("until",))


class Rolling:
    """The roll-ups of one day while its readings come by, sorted by series. A context; raises HistoryUnavailable."""

    def __init__(self, folder: Path, day: int, id: int, states: I32, points: int) -> None:
        """`states`: the series of which runs are wanted, sorted. `points`: about how many readings will come."""
        self._id, self._day, self._states = id, day, states
        self._steps = {
            tier: Writing(
                folder / name_of(day, name, id), replace(FORM, group=None if points > MANY_POINTS else GROUPS[tier])
            )
            for tier, name in TIERS.items()
        }
        self._runs = Writing(folder / name_of(day, "runs", id), RUNS_FORM)
        self._stack = ExitStack()

    def __enter__(self) -> Rolling:
        for file in (*self._steps.values(), self._runs):
            self._stack.enter_context(file)
        return self

    def __exit__(self, *how: Any) -> None:
        self._stack.__exit__(*how)

    def add(self, batch: Batch) -> None:
        """A tidy batch: all readings of some series in this day."""
        it = Columns(batch.at_us, batch.value, batch.quality)
        for tier, file in self._steps.items():
            step = batch.at_us // tier
            new = (batch.series[1:] != batch.series[:-1]) | (step[1:] != step[:-1])
            first = np.flatnonzero(np.append(True, new)[: len(step)])
            file.add(batch.series[first], *_columns(fold_runs(it, step * tier, first)))
        mine = np.isin(batch.series, self._states)
        series, at_us = batch.series[mine], batch.at_us[mine]
        value = spells.usable(batch.value[mine], batch.quality[mine])
        new = spells.begins(at_us, value)
        new[1:] |= series[1:] != series[:-1]
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(series)) - 1
        none = np.isnan(value[first])
        if len(first):
            self._runs.add(series[first], at_us[first], at_us[last], _or_null(value[first], none))

    def finish(self) -> tuple[Rollup, ...]:
        """They are whole: on disk, under their names. Without a state there are no runs."""
        files = self._steps | ({RUNS: self._runs} if self._runs.rows else {})
        made = [(tier, file.finish()) for tier, file in files.items()]
        return tuple(
            Rollup(self._id, tier, self._day, it.t0_us, it.t1_us, it.rows, it.bytes, it.name) for tier, it in made
        )


def _columns(it: Folds) -> tuple[Any, ...]:
    plain = (it.min == it.last) & (it.max == it.last)
    none = it.count == 0
    return (
        it.start_us,
        it.count.astype(np.int32),
        it.gaps.astype(np.int32),
        _or_null(it.last, none),
        _or_null(it.min, none | plain),
        _or_null(it.max, none | plain),
        _or_null(it.sum, none | (it.sum == it.count * it.last)),
    )


def _or_null(values: F64, null: Any) -> Any:
    return pa.array(values, mask=null)


def pieces_of(table: Any, wanted: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, Folds]]:
    """Of (series, first row, end) of a table of these files: (series, its steps)."""
    if not wanted:
        return
    rows = np.concatenate([np.arange(a, b) for _, a, b in wanted])  # the others are not worth a calculation

    def those(name: str) -> Any:
        return column(table, name)[rows]

    count, gaps = those("n").astype(np.int64), those("gaps").astype(np.int64)
    start_us, last = those("ts"), those("last")
    least, most, total = (those(name) for name in ("min", "max", "sum"))
    none = count == 0
    least = np.where(none, np.inf, np.where(np.isnan(least), last, least))
    most = np.where(none, -np.inf, np.where(np.isnan(most), last, most))
    total = np.where(none, 0.0, np.where(np.isnan(total), count * last, total))
    at = 0
    for series, a, b in wanted:
        part = slice(at, at + b - a)
        at += b - a
        yield series, Folds(*(it[part] for it in (start_us, count, gaps, least, most, total, last)))


def runs_of(table: Any, wanted: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, Runs]]:
    """Of (series, first row, end) of a table of runs: (series, its runs)."""
    columns = column(table, "ts"), column(table, "until"), column(table, "v")
    for series, a, b in wanted:
        yield series, Runs(*(it[a:b].copy() for it in columns))


def tier_for(step_us: int) -> int:
    """The largest tier whose steps make up these; 0 for none."""
    return max((tier for tier in TIERS if step_us % tier == 0), default=0)
