"""Parquet files of rows that are sorted by series and time: how one is made and opened. What is in the rows is others'.

    sid i32 · ts timestamp(us, UTC) · more columns, as the form says

A row of the footer's index is (first series, last series, first time, last time) of one row group, so that a reader
opens only the row groups it needs. A file gets its name when it is whole and on disk, not before.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from hub.historian.base import I32, I64, HistoryUnavailable
from hub.historian.journal import keep_names

ROW_GROUP = 16_384
INDEX = b"fieldhub.index"
UNFINISHED = ".part"
_TS = pa.timestamp("us", "UTC")


class Form(Struct, frozen=True):
    """The columns besides sid and ts: (name, Arrow's type, whether it may be null)."""

    columns: tuple[tuple[str, Any, bool], ...]
    dictionary: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    group: int | None = None  # rows of a row group, where it is not ROW_GROUP

    def schema(self) -> Any:
        more = [pa.field(name, kind, nullable=null) for name, kind, null in self.columns]
        return pa.schema([pa.field("sid", pa.int32(), nullable=False), pa.field("ts", _TS, nullable=False), *more])

    def encodings(self) -> dict[str, str]:
        ints = dict.fromkeys(("sid", "ts", *self.delta), "DELTA_BINARY_PACKED")
        return ints | {name: "PLAIN" for name, _, _ in self.columns if name not in (*self.dictionary, *self.delta)}


class Made(Struct, frozen=True):
    """A finished file, its rows and the times of the first and last of them."""

    name: str
    rows: int
    t0_us: int
    t1_us: int
    bytes: int


def name_of(day: int, what: str, id: int) -> str:
    return f"{np.datetime64(day, 'D')}.{what}.{id:08d}.parquet"


class Writing:
    """A file that is being made: rows go in, each time of higher series than before. A context.

    What is not finished leaves nothing behind. Raises HistoryUnavailable.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self._path, self._unfinished = path, path.with_name(path.name + UNFINISHED)
        self._form, self._schema = form, form.schema()
        self._group = form.group or ROW_GROUP
        self._index: list[I64] = []
        self._file: Any = None
        self.rows = 0

    def __enter__(self) -> Writing:
        with self._blaming():
            self._file = pq.ParquetWriter(
                self._unfinished,
                self._schema,
                compression="zstd",
                compression_level=3,
                use_dictionary=list(self._form.dictionary),
                column_encoding=self._form.encodings(),
                write_statistics=["sid", "ts"],
                write_page_checksum=True,
                store_schema=False,
            )
        return self

    def add(self, series: I32, at_us: I64, *columns: Any) -> None:
        """Columns as numpy arrays, or as Arrow's where some are null."""
        if not len(series):
            return
        self.rows += len(series)
        self._index.append(_index(series, at_us, self._group))
        arrays = [it if isinstance(it, pa.Array) else pa.array(it) for it in (series, at_us, *columns)]
        arrays[1] = arrays[1].view(_TS)
        with self._blaming():
            self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=self._group)

    def finish(self) -> Made:
        """It is whole: on disk, under its name."""
        with self._blaming():
            self._close()
            with self._unfinished.open("rb") as file:
                os.fsync(file.fileno())
            self._unfinished.rename(self._path)
            keep_names(self._path.parent)
            size = self._path.stat().st_size
        index = np.concatenate(self._index)
        return Made(self._path.name, self.rows, int(index[:, 2].min()), int(index[:, 3].max()), size)

    def _close(self) -> None:
        file, self._file = self._file, None
        file.add_key_value_metadata({INDEX: base64.b64encode(np.concatenate(self._index).tobytes())})
        file.close()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:  # given up
            with contextlib.suppress(OSError):
                self._file.close()
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except OSError as failure:  # pyarrow's too
            raise HistoryUnavailable(
                f"{self._path} › cannot be written: {failure} › free space on its disk"
            ) from failure


def _index(series: I32, at_us: I64, group: int) -> I64:
    starts = np.arange(0, len(series), group)
    ends = np.append(starts[1:], len(series))
    least = np.minimum.reduceat(at_us, starts)
    most = np.maximum.reduceat(at_us, starts)
    return np.stack([series[starts], series[ends - 1], least, most], axis=1).astype(np.int64)


def cuts(table: Any, wanted: I32, start_us: int, end_us: int) -> Iterator[tuple[int, int, int]]:
    """(series, first row, end) of each wanted series (sorted) that has rows in [start, end)."""
    sid = column(table, "sid")
    lows, highs = np.searchsorted(sid, wanted, "left"), np.searchsorted(sid, wanted, "right")
    some = highs > lows
    if not some.any():
        return
    at_us = column(table, "ts")
    for series, low, high in zip(wanted[some].tolist(), lows[some].tolist(), highs[some].tolist(), strict=True):
        a, b = (low + np.searchsorted(at_us[low:high], (start_us, end_us))).tolist()
        if a < b:
            yield series, a, b


def column(table: Any, name: str) -> Any:
    """A column as a numpy array; null is NaN."""
    it = table.column(name).combine_chunks()
    return (it.view(pa.int64()) if name == "ts" else it).to_numpy(zero_copy_only=False)


Unreadable = (pa.ArrowException, ValueError)  # what a file that is not as it was written raises, besides OSError


class Opened:
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

    @property
    def rows(self) -> I64:
        """How many readings each row group has."""
        metadata = self.file.metadata
        return np.array([metadata.row_group(it).num_rows for it in range(metadata.num_row_groups)], np.int64)

    def span(self, low: int, high: int) -> Any:
        """The rows of the series in [low, high), as a table."""
        groups = np.flatnonzero((self.last >= low) & (self.first < high)).tolist()
        table = self.file.read_row_groups(groups, use_threads=False)
        a, b = np.searchsorted(column(table, "sid"), (low, high)).tolist()
        return table.slice(a, b - a)
