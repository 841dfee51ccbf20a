"""Pieces of a series into one, readings into steps, and small steps into larger ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from hub.historian.base import F64, I64, NOTHING, Buckets, Columns
from hub.model import Quality


class Folds(Struct, frozen=True, eq=False):
    """Steps of one series, or of many one after the other, that can be folded further.

    Where `count` is 0: min is ∞, max -∞, sum 0 and last NaN.
    """

    start_us: I64
    count: I64
    gaps: I64
    min: F64
    max: F64
    sum: F64
    last: F64

    def __len__(self) -> int:
        return len(self.start_us)


def merge(pieces: Sequence[Columns]) -> Columns:
    """One sorted series of its pieces, the oldest written first: of two readings at one time the last one stays."""
    pieces = [it for it in pieces if len(it)]
    if not pieces:
        return NOTHING
    at_us = np.concatenate([it.at_us for it in pieces])
    value = np.concatenate([it.value for it in pieces])
    quality = np.concatenate([it.quality for it in pieces])
    if bool(np.all(at_us[1:] > at_us[:-1])):
        return Columns(at_us, value, quality)
    order = np.argsort(at_us, kind="stable")
    at_us = at_us[order]
    keep = np.append(at_us[1:] != at_us[:-1], True)
    order = order[keep]
    return Columns(at_us[keep], value[order], quality[order])


def fold(it: Columns, step_us: int) -> Folds:
    """The steps in which the series has readings."""
    step = it.at_us // step_us
    return fold_runs(it, step * step_us, np.flatnonzero(np.append(True, step[1:] != step[:-1])[: len(it)]))


def fold_runs(it: Columns, start_us: I64, first: I64) -> Folds:
    """Readings in runs that begin at the rows `first`; a run's step begins at `start_us` of its first row."""
    if not len(it):
        return FOLDED_NOTHING
    usable = (it.quality != Quality.BAD) & ~np.isnan(it.value)
    count: I64 = np.add.reduceat(usable, first, dtype=np.int64)
    rows: I64 = np.diff(np.append(first, len(it)))
    newest = np.maximum.reduceat(np.where(usable, np.arange(len(it)), -1), first)
    return Folds(
        start_us[first],
        count,
        rows - count,
        np.minimum.reduceat(np.where(usable, it.value, np.inf), first),
        np.maximum.reduceat(np.where(usable, it.value, -np.inf), first),
        np.add.reduceat(np.where(usable, it.value, 0.0), first),
        np.where(count == 0, np.nan, it.value[newest]),
    )


def refold(pieces: Sequence[Folds], step_us: int) -> Buckets:
    """Steps of one series that follow each other, as larger steps (or of the same size)."""
    it = join(pieces)
    if not len(it):
        return Buckets(it.start_us, it.count, it.gaps, it.min, it.max, it.sum, it.last)
    step = it.start_us // step_us
    first = np.flatnonzero(np.append(True, step[1:] != step[:-1]))
    start_us = step[first] * step_us
    if len(first) < len(it):
        count: I64 = np.add.reduceat(it.count, first)
        newest = np.maximum.reduceat(np.where(it.count > 0, np.arange(len(it)), -1), first)
        it = Folds(
            start_us,
            count,
            np.add.reduceat(it.gaps, first),
            np.minimum.reduceat(it.min, first),
            np.maximum.reduceat(it.max, first),
            np.add.reduceat(it.sum, first),
            np.where(count == 0, np.nan, it.last[newest]),
        )
    empty = it.count == 0
    mean = np.clip(it.sum / np.maximum(it.count, 1), it.min, np.maximum(it.min, it.max))  # rounding stays in the band
    return Buckets(
        start_us,
        it.count,
        it.gaps,
        np.where(empty, np.nan, it.min),
        np.where(empty, np.nan, it.max),
        np.where(empty, np.nan, mean),
        it.last,
    )


def follow(pieces: Sequence[Buckets]) -> Buckets:
    """Steps of one series that follow each other, as one."""
    if len(pieces) == 1:
        return pieces[0]
    return Buckets(*(np.concatenate([getattr(it, name) for it in pieces]) for name in Buckets.__struct_fields__))


def join(pieces: Sequence[Folds]) -> Folds:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return FOLDED_NOTHING
    return Folds(*(np.concatenate([getattr(it, name) for it in pieces]) for name in Folds.__struct_fields__))


_NO_TIMES: I64 = np.empty(0, np.int64)
_NO_VALUES: F64 = np.empty(0, np.float64)
FOLDED_NOTHING = Folds(_NO_TIMES, _NO_TIMES, _NO_TIMES, _NO_VALUES, _NO_VALUES, _NO_VALUES, _NO_VALUES)
