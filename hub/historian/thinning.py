"""Store on change: of a point with a deadband, what has not moved is not kept, but for a heartbeat.

Kept is a reading that differs from the last kept one by more than the deadband, or in quality, or in whether it has a
value; one a heartbeat; and before a reading that has moved, the one that had not, so that a chart shows a step and no
slope. What is older than what was kept (a device that sends its memory) is always kept. The latest value, rules and
staleness see all readings; only history is thinned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.historian.base import F64, I64, U8, Batch

MOST_RANKS = 256  # readings of one series in a batch that are looked at; what is beyond is kept
FIRST_ROOM = 4096
NEVER = -(1 << 62)


class Thinner:
    """`set` is called on the event loop, `thin` by one task at a time."""

    def __init__(self) -> None:
        self._any = False
        self.left_out = 0  # readings, since the start
        self._deadband: F64 = np.empty(0)  # by series; NaN: not thinned
        self._heartbeat_us: I64 = np.empty(0, np.int64)
        self._at_us: I64 = np.empty(0, np.int64)  # the last kept reading
        self._value: F64 = np.empty(0)
        self._quality: U8 = np.empty(0, np.uint8)
        self._passed_us: I64 = np.empty(0, np.int64)  # the last one that was left out since then; NEVER: none
        self._passed: F64 = np.empty(0)

    def set(self, series: int, deadband: float | None, heartbeat_s: float) -> None:
        """From now on; None: everything is kept."""
        if series >= len(self._deadband):
            if deadband is None:
                return
            self._grow(max(FIRST_ROOM, 2 * series))
        self._deadband[series] = np.nan if deadband is None else deadband
        self._heartbeat_us[series] = round(heartbeat_s * 1e6)
        self._any = self._any or deadband is not None

    def _grow(self, room: int) -> None:
        for name, empty in (
            ("_deadband", np.nan),
            ("_heartbeat_us", 0),
            ("_at_us", NEVER),
            ("_value", np.nan),
            ("_quality", 0),
            ("_passed_us", NEVER),
            ("_passed", np.nan),
        ):
            old = getattr(self, name)
            new = np.full(room, empty, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def thin(self, batch: Batch) -> Batch:
        """What is to be kept of it. Batches come in the order in which they were taken."""
        if not self._any:
            return batch
        ours = batch.series < len(self._deadband)
        ours[ours] = ~np.isnan(self._deadband[batch.series[ours]])
        if not ours.any():
            return batch
        keep = np.ones(len(batch), np.bool_)
        before: list[tuple[I64, I64, F64, U8]] = []
        rows = np.flatnonzero(ours)
        for some in _ranks(batch.series[rows]):
            keep[rows[some]] = self._look(batch, rows[some], before)
        self.left_out += int(len(batch) - keep.sum())
        kept = Batch(batch.series[keep], batch.at_us[keep], batch.value[keep], batch.quality[keep])
        return _with(before, kept)

    def _look(self, batch: Batch, rows: NDArray[np.intp], before: list[tuple[I64, I64, F64, U8]]) -> NDArray[np.bool_]:
        """Readings of different series: which are kept. What stood before a step goes to `before`."""
        series = batch.series[rows].astype(np.int64)
        at_us, value, quality = batch.at_us[rows], batch.value[rows], batch.quality[rows]
        last = self._value[series]
        none, none_before = np.isnan(value), np.isnan(last)
        moved = (none != none_before) | (np.abs(value - last) > self._deadband[series])
        moved |= quality != self._quality[series]
        late = at_us <= self._at_us[series]
        keep: NDArray[np.bool_] = moved | late | (at_us - self._at_us[series] >= self._heartbeat_us[series])
        step = moved & ~late & (self._passed_us[series] > self._at_us[series]) & (self._passed_us[series] < at_us)
        if step.any():
            which = series[step]
            before.append((which, self._passed_us[which], self._passed[which], self._quality[which]))
            self.left_out -= len(which)
        new = series[keep & ~late]
        self._at_us[new], self._value[new] = at_us[keep & ~late], value[keep & ~late]
        self._quality[new], self._passed_us[new] = quality[keep & ~late], NEVER
        passed = series[~keep]
        self._passed_us[passed], self._passed[passed] = at_us[~keep], value[~keep]
        return keep


def _ranks(series: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """The first row of each series, the second of each, and so on."""
    order = np.argsort(series, kind="stable")
    ordered = series[order]
    first = np.append(True, ordered[1:] != ordered[:-1])
    starts = np.flatnonzero(first)
    rank = np.arange(len(series)) - np.repeat(starts, np.diff(np.append(starts, len(series))))
    return [order[rank == it] for it in range(min(int(rank.max()) + 1, MOST_RANKS))]


def _with(before: list[tuple[I64, I64, F64, U8]], kept: Batch) -> Batch:
    if not before:
        return kept
    series, at_us, value, quality = (np.concatenate(it) for it in zip(*before, strict=True))
    return Batch(
        np.concatenate([series.astype(np.int32), kept.series]),
        np.concatenate([at_us, kept.at_us]),
        np.concatenate([value, kept.value]),
        np.concatenate([quality, kept.quality]),
    )
