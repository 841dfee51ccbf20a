"""Roll-ups: a day's readings folded into minutes and hours, in files of their own, so that a year is a few rows.

    sid i32 · ts timestamp(us, UTC), the step's begin · n i32 · gaps i32 · last, min, max, sum f64

What the row says without it is null: `last` where n is 0; `min` and `max` where they are `last`; `sum` where it is
n · last. So a minute with one reading costs what the reading costs, and a state that does not change hardly anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hub.historian.base import F64, Batch, Columns
from hub.historian.files import Form, Writing, column, name_of
from hub.historian.fold import Folds, fold_runs
from hub.historian.journal import Rollup

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
TIERS = {MINUTE_US: "1m", HOUR_US: "1h"}  # the finest first
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


class Rolling:
    """The roll-ups of one day while its readings come by, sorted by series. A context; raises HistoryUnavailable."""

    def __init__(self, folder: Path, day: int, id: int) -> None:
        self._id, self._day = id, day
        self._files = {tier: Writing(folder / name_of(day, name, id), FORM) for tier, name in TIERS.items()}
        self._stack = ExitStack()

    def __enter__(self) -> Rolling:
        for file in self._files.values():
            self._stack.enter_context(file)
        return self

    def __exit__(self, *how: Any) -> None:
        self._stack.__exit__(*how)

    def add(self, batch: Batch) -> None:
        """A tidy batch: all readings of some series in this day."""
        it = Columns(batch.at_us, batch.value, batch.quality)
        for tier, file in self._files.items():
            step = batch.at_us // tier
            new = (batch.series[1:] != batch.series[:-1]) | (step[1:] != step[:-1])
            first = np.flatnonzero(np.append(True, new)[: len(step)])
            file.add(batch.series[first], *_columns(fold_runs(it, step * tier, first)))

    def finish(self) -> tuple[Rollup, ...]:
        """They are whole: on disk, under their names."""
        made = [(tier, file.finish()) for tier, file in self._files.items()]
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
    count, gaps = column(table, "n").astype(np.int64), column(table, "gaps").astype(np.int64)
    start_us, last = column(table, "ts"), column(table, "last")
    least, most, total = (column(table, name) for name in ("min", "max", "sum"))
    none = count == 0
    least = np.where(none, np.inf, np.where(np.isnan(least), last, least))
    most = np.where(none, -np.inf, np.where(np.isnan(most), last, most))
    total = np.where(none, 0.0, np.where(np.isnan(total), count * last, total))
    for series, a, b in wanted:
        columns = (start_us, count, gaps, least, most, total, last)
        yield series, Folds(*(it[a:b].copy() for it in columns))


def tier_for(step_us: int) -> int:
    """The largest tier whose steps make up these; 0 for none."""
    return max((tier for tier in TIERS if step_us % tier == 0), default=0)
