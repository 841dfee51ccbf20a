"""Sealed history: immutable Parquet files, sorted by series and time, that pandas, DuckDB and Spark can read.

sid i32 · ts timestamp(us, UTC) · v f64 · q u8 (0 bad, 1 uncertain, 2 good)
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hub.historian.base import DAY_US, I32, Batch, Columns, HistoryUnavailable
from hub.historian.files import Form, Opened, Unreadable, Writing, column, cuts, name_of
from hub.historian.journal import Rollup, Segment

GROUPS_AT_ONCE = 64  # row groups in memory at one time: 1 M readings, 22 MB
MOST_OPEN = 256  # files kept open for the next question,
MOST_OPEN_GROUPS = 200_000  # and row groups in them: some kilobyte of memory each
MOST_DAYS = 64  # files that one seal makes at most: a device without a clock must not make a thousand
READINGS = Form(
    (("v", pa.float64(), False), ("q", pa.uint8(), False)),
    dictionary=("q",),
)


# ---- sealing ------------------------------------------------------------------------------------------------------


def tidy(batch: Batch, floor_us: int) -> Batch:
    """Sorted by series and time, of two readings of one series and time the last one, none older than the floor."""
    order = np.lexsort((batch.at_us, batch.series))  # stable: what was written later comes later
    series, at_us = batch.series[order], batch.at_us[order]
    keep = np.append((series[1:] != series[:-1]) | (at_us[1:] != at_us[:-1]), True)[: len(order)]
    keep &= at_us >= floor_us
    if keep.all():
        return Batch(series, at_us, batch.value[order], batch.quality[order])
    order = order[keep]
    return Batch(series[keep], at_us[keep], batch.value[order], batch.quality[order])


def by_day(batch: Batch) -> Iterator[Batch]:
    """A tidy batch in pieces of one UTC day, the oldest first. When there are too many the oldest days share one."""
    day = batch.at_us // DAY_US
    days = np.unique(day)
    if len(days) == 1:
        yield batch
        return
    days = days[max(0, len(days) - MOST_DAYS) :]
    for number, it in enumerate(days.tolist()):
        mine = day <= it if number == 0 else day == it
        yield Batch(batch.series[mine], batch.at_us[mine], batch.value[mine], batch.quality[mine])


def batch_of(table: Any) -> Batch:
    """All of a table of these files."""
    return Batch(*(column(table, name) for name in ("sid", "ts", "v", "q")))


def write(folder: Path, id: int, level: int, batch: Batch) -> Segment:
    """Write a tidy batch as a new file. It is durable, and nobody's yet, on return. Raises HistoryUnavailable."""
    day = int(batch.at_us.min()) // DAY_US
    with Writing(folder / name_of(day, f"l{level}", id), READINGS) as file:
        add(file, batch)
        return finish(file, id, level, day)


def add(file: Writing, batch: Batch) -> None:
    file.add(batch.series, batch.at_us, batch.value, batch.quality)


def finish(file: Writing, id: int, level: int, day: int) -> Segment:
    made = file.finish()
    return Segment(id, level, day, made.t0_us, made.t1_us, made.rows, made.bytes, made.name)


# ---- reading ------------------------------------------------------------------------------------------------------


class Shelf:
    """The folder of sealed files, and the ones that are open. Used by all query threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._idle: dict[str, Opened] = {}  # the longest unused first; dict.pop hands each to one thread only

    def read(self, segment: Segment, wanted: I32, start_us: int, end_us: int) -> Iterator[tuple[int, Columns]]:
        """Pieces (series, readings in [start, end)) of the wanted series (sorted); those of one series in time order.

        Raises FileNotFoundError when the file is gone, HistoryUnavailable when it cannot be read.
        """
        for table in self.tables(segment.file, wanted, start_us, end_us):
            some = list(cuts(table, wanted, start_us, end_us))
            if not some:
                continue
            at_us, value, quality = column(table, "ts"), column(table, "v"), column(table, "q")
            for series, a, b in some:
                # A copy, or this piece would keep all its row groups in memory.
                yield series, Columns(at_us[a:b].copy(), value[a:b].copy(), quality[a:b].copy())

    def tables(self, file: str, wanted: I32, start_us: int, end_us: int) -> Iterator[Any]:
        """What may hold rows of the wanted series (sorted) in [start, end), some row groups at a time."""
        path = self.folder / file
        try:
            it = self._idle.pop(file, None) or Opened(path)
            groups = it.groups(wanted, start_us, end_us)
            for at in range(0, len(groups), GROUPS_AT_ONCE):
                yield it.file.read_row_groups(groups[at : at + GROUPS_AT_ONCE], use_threads=False)
        except FileNotFoundError as gone:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path)) from gone
        except (OSError, *Unreadable) as failure:
            raise HistoryUnavailable(
                f"{path} › cannot be read: {failure} › restore this file from a backup, or move it away and start again"
            ) from failure
        if path.exists():  # or a file that was dropped meanwhile would keep its place on the disk
            self._idle[file] = it
        while len(self._idle) > MOST_OPEN or self._groups() > MOST_OPEN_GROUPS:
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # another thread may do the same
                self._idle.pop(next(iter(self._idle)))

    def _groups(self) -> int:
        return sum(len(it.first) for it in list(self._idle.values()))

    def forget(self, gone: Iterable[Segment | Rollup]) -> None:
        """Remove these files, which are in the catalogue no more; one that resists is removed at the next opening."""
        for it in gone:
            self._idle.pop(it.file, None)
            with contextlib.suppress(OSError):
                (self.folder / it.file).unlink()


def warm() -> None:
    """pyarrow's first use costs 0.2 s: have it behind us before somebody waits."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"warm": [1]}), sink, compression="zstd")
    pq.read_table(pa.BufferReader(sink.getvalue()), use_threads=False)
