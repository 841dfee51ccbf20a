"""Pieces of a series into one, and one series into buckets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub.historian.base import F64, I64, NOTHING, Buckets, Columns
from hub.model import Quality


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


def fold(it: Columns, step_us: int) -> Buckets:
    """The steps in which the series has readings."""
    if not len(it):
        nothing: F64 = np.empty(0, np.float64)
        none: I64 = np.empty(0, np.int64)
        return Buckets(none, none, none, nothing, nothing, nothing, nothing)
    step = it.at_us // step_us
    first = np.flatnonzero(np.append(True, step[1:] != step[:-1]))
    usable = (it.quality != Quality.BAD) & ~np.isnan(it.value)
    count: I64 = np.add.reduceat(usable, first, dtype=np.int64)
    rows: I64 = np.diff(np.append(first, len(it)))
    least = np.minimum.reduceat(np.where(usable, it.value, np.inf), first)
    most = np.maximum.reduceat(np.where(usable, it.value, -np.inf), first)
    total = np.add.reduceat(np.where(usable, it.value, 0.0), first)
    newest = np.maximum.reduceat(np.where(usable, np.arange(len(it)), -1), first)
    empty = count == 0
    mean = np.clip(total / np.maximum(count, 1), least, np.maximum(least, most))  # rounding must not leave the band
    return Buckets(
        step[first] * step_us,
        count,
        rows - count,
        np.where(empty, np.nan, least),
        np.where(empty, np.nan, most),
        np.where(empty, np.nan, mean),
        np.where(empty, np.nan, it.value[newest]),
    )


def join(buckets: Sequence[Buckets]) -> Buckets:
    """Buckets of one series that follow each other in time."""
    if len(buckets) == 1:
        return buckets[0]
    return Buckets(
        np.concatenate([it.start_us for it in buckets]),
        np.concatenate([it.count for it in buckets]),
        np.concatenate([it.gaps for it in buckets]),
        np.concatenate([it.min for it in buckets]),
        np.concatenate([it.max for it in buckets]),
        np.concatenate([it.mean for it in buckets]),
        np.concatenate([it.last for it in buckets]),
    )
