"""Sealed history: immutable Parquet files, sorted by series and time, that pandas, DuckDB and Spark can read.

    sid i32 · ts timestamp(us, UTC) · v f64 · q u8 (0 bad, 1 uncertain, 2 good)

A row of the footer's index is (first series, last series, first time, last time) of one row group, so that a reader
opens only the row groups it needs. A file gets its name when it is whole and on disk, not before.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hub.historian.base import DAY_US, I32, I64, Batch, Columns, HistoryUnavailable
from hub.historian.journal import Segment, keep_names

ROW_GROUP = 16_384
GROUPS_AT_ONCE = 64  # row groups in memory at one time: 1 M readings, 22 MB
MOST_OPEN = 256  # files kept open for the next question
MOST_DAYS = 64  # files that one seal makes at most: a device without a clock must not make a thousand
INDEX = b"fieldhub.index"
UNFINISHED = ".part"

_SCHEMA = pa.schema(
    [
        pa.field("sid", pa.int32(), nullable=False),
        pa.field("ts", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("v", pa.float64(), nullable=False),
        pa.field("q", pa.uint8(), nullable=False),
    ]
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


def write(folder: Path, id: int, level: int, batch: Batch) -> Segment:
    """Write a tidy batch as a new file. It is durable, and nobody's yet, on return. Raises HistoryUnavailable."""
    first, last = int(batch.at_us.min()), int(batch.at_us.max())
    name = f"{np.datetime64(first // DAY_US, 'D')}.l{level}.{id:08d}.parquet"
    path, unfinished = folder / name, folder / (name + UNFINISHED)
    try:
        _write_parquet(unfinished, batch)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(path)
        keep_names(folder)
        size = path.stat().st_size
    except OSError as failure:  # pyarrow's too
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise HistoryUnavailable(f"{path} › cannot be written: {failure} › free space on its disk") from failure
    return Segment(id, level, first // DAY_US, first, last, len(batch), size, name)


def _write_parquet(path: Path, batch: Batch) -> None:
    columns = [
        pa.array(batch.series),
        pa.array(batch.at_us).view(_SCHEMA.field("ts").type),
        pa.array(batch.value),
        pa.array(batch.quality),
    ]
    with pq.ParquetWriter(
        path,
        _SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=["q"],
        column_encoding={"sid": "DELTA_BINARY_PACKED", "ts": "DELTA_BINARY_PACKED", "v": "PLAIN"},
        write_statistics=["sid", "ts"],
        write_page_checksum=True,
        store_schema=False,
    ) as file:
        file.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), row_group_size=ROW_GROUP)
        file.add_key_value_metadata({INDEX: base64.b64encode(_index(batch).tobytes())})


def _index(batch: Batch) -> I64:
    starts = np.arange(0, len(batch), ROW_GROUP)
    ends = np.append(starts[1:], len(batch))
    least = np.minimum.reduceat(batch.at_us, starts)
    most = np.maximum.reduceat(batch.at_us, starts)
    return np.stack([batch.series[starts], batch.series[ends - 1], least, most], axis=1).astype(np.int64)


# ---- reading ------------------------------------------------------------------------------------------------------


class _Open:
    """An open file and its index. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.file: Any = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        texts = self.file.metadata.metadata or {}
        if INDEX not in texts:
            raise ValueError("it has no fieldhub.index")
        index = np.frombuffer(base64.b64decode(texts[INDEX]), np.int64).reshape(-1, 4)
        self.first, self.last, self.t0_us, self.t1_us = (np.ascontiguousarray(it) for it in index.T)

    def groups(self, wanted: I32, start_us: int, end_us: int) -> list[int]:
        """The row groups that may hold readings of the wanted series (sorted) in [start, end)."""
        low = np.searchsorted(wanted, self.first, "left")  # the first wanted series that is not before the group
        has = low < len(wanted)
        has[has] = wanted[low[has]] <= self.last[has]
        return [int(it) for it in np.flatnonzero(has & (self.t0_us < end_us) & (self.t1_us >= start_us))]


class Shelf:
    """The folder of sealed files, and the ones that are open. Used by all query threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._idle: dict[str, _Open] = {}  # the longest unused first; dict.pop hands each to one thread only

    def read(self, segment: Segment, wanted: I32, start_us: int, end_us: int) -> Iterator[tuple[int, Columns]]:
        """Pieces (series, readings in [start, end)) of the wanted series (sorted); those of one series in time order.

        Raises FileNotFoundError when the file is gone, HistoryUnavailable when it cannot be read.
        """
        path = self.folder / segment.file
        try:
            it = self._idle.pop(segment.file, None) or _Open(path)
            groups = it.groups(wanted, start_us, end_us)
            for at in range(0, len(groups), GROUPS_AT_ONCE):
                table = it.file.read_row_groups(groups[at : at + GROUPS_AT_ONCE], use_threads=False)
                yield from _pieces(table, wanted, start_us, end_us)
        except FileNotFoundError as gone:
            raise FileNotFoundError(errno.ENOENT, "missing", str(path)) from gone
        except (OSError, pa.ArrowException, ValueError) as failure:
            raise HistoryUnavailable(
                f"{path} › cannot be read: {failure} › restore this file from a backup, or move it away and start again"
            ) from failure
        if path.exists():  # or a file that was dropped meanwhile would keep its place on the disk
            self._idle[segment.file] = it
        while len(self._idle) > MOST_OPEN:
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # another thread may do the same
                self._idle.pop(next(iter(self._idle)))

    def forget(self, segments: Sequence[Segment]) -> None:
        """Remove these files, which are in the catalogue no more; one that resists is removed at the next opening."""
        for it in segments:
            self._idle.pop(it.file, None)
            with contextlib.suppress(OSError):
                (self.folder / it.file).unlink()


def _pieces(table: Any, wanted: I32, start_us: int, end_us: int) -> Iterator[tuple[int, Columns]]:
    sid = _numpy(table, "sid")
    lows, highs = np.searchsorted(sid, wanted, "left"), np.searchsorted(sid, wanted, "right")
    some = highs > lows
    if not some.any():
        return
    at_us, value, quality = _numpy(table, "ts"), _numpy(table, "v"), _numpy(table, "q")
    for series, low, high in zip(wanted[some].tolist(), lows[some].tolist(), highs[some].tolist(), strict=True):
        a, b = (low + np.searchsorted(at_us[low:high], (start_us, end_us))).tolist()
        if a < b:
            # A copy, or this piece would keep all its row groups in memory.
            yield series, Columns(at_us[a:b].copy(), value[a:b].copy(), quality[a:b].copy())


def _numpy(table: Any, name: str) -> Any:
    column = table.column(name).combine_chunks()
    return (column.view(pa.int64()) if name == "ts" else column).to_numpy(zero_copy_only=False)


def warm() -> None:
    """pyarrow's first use costs 0.2 s: have it behind us before somebody waits."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"warm": [1]}), sink, compression="zstd")
    pq.read_table(pa.BufferReader(sink.getvalue()), use_threads=False)
