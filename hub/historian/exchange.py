"""Readings as a table that other programs know: a Parquet or CSV file with names and units, out and in again.

    time (µs, UTC) · device · point · kind · unit · value · text · quality (good, uncertain, bad)

`value` is empty where there is none; of a text series the text is in `text`. Of a bool 0 or 1, of an enum its code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from msgspec import Struct

from hub.historian.base import DAY_US, Batch, Columns, HistoryUnavailable, Series
from hub.historian.catalogue import LONGEST_TEXT, Catalogue
from hub.historian.files import Unreadable
from hub.model import Kind, Quality

SERIES_AT_ONCE = 512
ROWS_AT_ONCE = 500_000
MOST_MISTAKES = 20  # of one file; more are counted
LONGEST_NAME = 200
AHEAD_US = DAY_US  # a reading may be so much younger than now
SCHEMA = pa.schema(
    [
        pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
        *(pa.field(it, pa.string(), nullable=False) for it in ("device", "point", "kind", "unit")),
        pa.field("value", pa.float64()),
        pa.field("text", pa.string()),
        pa.field("quality", pa.string(), nullable=False),
    ]
)
QUALITIES = {it.name.lower(): int(it) for it in Quality}
_NAMES = pa.array([it.name.lower() for it in sorted(Quality)])

Read = Callable[[Sequence[int], int, int], Mapping[int, Columns]]  # series, from, to (µs): their readings


# ---- out ----------------------------------------------------------------------------------------------------------


class Writer:
    """A file of readings; Parquet or CSV by its name's end. A context. Raises HistoryUnavailable."""

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self._path, self._unfinished, self._catalogue = path, path.with_name(path.name + ".part"), catalogue
        self._file: Any = None
        self.rows = 0

    def __enter__(self) -> Writer:
        try:
            self._file = (
                csv.CSVWriter(self._unfinished, SCHEMA)
                if self._path.suffix == ".csv"
                else pq.ParquetWriter(self._unfinished, SCHEMA, compression="zstd", compression_level=3)
            )
        except OSError as failure:
            raise self._unwritable(failure) from failure
        return self

    def add(self, found: Mapping[Series, Columns]) -> None:
        try:
            for series, it in found.items():
                if len(it):
                    self._file.write_table(self._table(series, it))
                    self.rows += len(it)
        except OSError as failure:
            raise self._unwritable(failure) from failure

    def _table(self, it: Series, columns: Columns) -> Any:
        named = [pa.array([text]).take(pa.array(np.zeros(len(columns), np.int8))) for text in self._tags(it)]
        text = pa.nulls(len(columns), pa.string())
        value = pa.array(columns.value, mask=np.isnan(columns.value))
        if it.kind is Kind.TEXT:
            said = {code: self._catalogue.text(it.id, code) for code in np.unique(columns.value).tolist()}
            text = pa.array([said.get(code) for code in columns.value.tolist()], pa.string())
            value = pa.nulls(len(columns), pa.float64())
        at = pa.array(columns.at_us).view(pa.timestamp("us", "UTC"))
        quality = _NAMES.take(pa.array(columns.quality))
        return pa.Table.from_arrays([at, *named, value, text, quality], schema=SCHEMA)

    @staticmethod
    def _tags(it: Series) -> tuple[str, ...]:
        return it.device, it.point, it.kind.value, it.unit

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if self._file is not None:
                self._file.close()
            if kind is None:
                with self._unfinished.open("rb") as file:
                    os.fsync(file.fileno())
                self._unfinished.rename(self._path)
            else:
                self._unfinished.unlink(missing_ok=True)
        except OSError as failure:
            raise self._unwritable(failure) from failure

    def _unwritable(self, failure: OSError) -> HistoryUnavailable:
        why = failure.strerror or failure
        return HistoryUnavailable(f"{self._path} › cannot be written: {why} › free space there, or choose another file")


def pieces(
    series: Sequence[Series], days: Sequence[int], period_us: tuple[int, int], read: Read
) -> Iterator[dict[Series, Columns]]:
    """All readings of these series, day by day, so that what is in memory stays small."""
    for day in days:
        start, end = max(period_us[0], day * DAY_US), min(period_us[1], (day + 1) * DAY_US)
        for at in range(0, len(series) if start < end else 0, SERIES_AT_ONCE):
            some = {it.id: it for it in series[at : at + SERIES_AT_ONCE]}
            found = read(list(some), start, end)
            yield {some[number]: columns for number, columns in found.items() if len(columns)}


def batches(found: Mapping[Series, Columns], most: int) -> Iterator[Batch]:
    """The same as batches of so many readings at most."""
    some = [(it.id, columns) for it, columns in found.items() if len(columns)]
    if not some:
        return
    series = np.repeat(np.array([id for id, _ in some], np.int32), [len(it) for _, it in some])
    at_us = np.concatenate([it.at_us for _, it in some])
    value = np.concatenate([it.value for _, it in some])
    quality = np.concatenate([it.quality for _, it in some])
    for at in range(0, len(series), most):
        part = slice(at, at + most)
        yield Batch(series[part], at_us[part], value[part], quality[part])


# ---- in -----------------------------------------------------------------------------------------------------------


class BadRows(ValueError):
    """What is wrong with a file, a sentence each: file, row, what, and what to write instead."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Rows(Struct, frozen=True, eq=False):
    """Some rows of a file that are right, and what their points are."""

    first: int  # the number of the first of them, from 1
    names: list[tuple[str, str, Kind, str]]  # device, point, kind, unit
    which: Any  # of each row: its place in `names`
    at_us: Any
    value: Any
    texts: list[str] | None  # of each row, where some are of a text
    quality: Any

    def batch(self, catalogue: Catalogue) -> Batch:
        """With the numbers that the points have, or get."""
        numbers = [catalogue.number(*name) for name in self.names]
        series = np.array(numbers, np.int32)[self.which]
        value = self.value
        if self.texts is not None:
            of_text = np.array([kind is Kind.TEXT for _, _, kind, _ in self.names])[self.which]
            value = value.copy()
            for row in np.flatnonzero(of_text).tolist():
                text = self.texts[row]
                value[row] = catalogue.code(int(series[row]), text) if text else np.nan
        return Batch(series, self.at_us, value, self.quality)


def read_rows(path: Path, units: Callable[[str], object], floor_us: int, now_us: int) -> Iterator[Rows]:
    """The rows of a file that `Writer` or another program wrote, checked. Raises BadRows, HistoryUnavailable.

    `units` raises ValueError for a unit that the house does not know. Before anything is kept, go through it once.
    """
    first, mistakes, more = 1, list[str](), 0
    for table in _tables(path):
        checked = _Checked(path, first, table)
        rows = checked.rows(units, floor_us, now_us)
        mistakes += checked.mistakes[: MOST_MISTAKES - len(mistakes)]
        more += len(checked.mistakes)
        if rows is not None and not mistakes:
            yield rows
        first += len(table)
    if mistakes:
        left = more - len(mistakes)
        raise BadRows([*mistakes, f"{path} › and {left} more rows like these"] if left else mistakes)


def _tables(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".csv":
            types = {it.name: it.type for it in SCHEMA} | {"time": pa.string(), "value": pa.string()}
            options = csv.ConvertOptions(column_types=types, strings_can_be_null=False)
            with csv.open_csv(path, csv.ReadOptions(block_size=32 << 20), convert_options=options) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        else:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    yield pa.Table.from_batches([batch])
    except (OSError, *Unreadable) as failure:
        if isinstance(failure, BadRows):
            raise
        raise HistoryUnavailable(f"{path} › cannot be read: {failure} › write a file as `export` does") from failure


class _Checked:
    """One piece of a file, its columns looked at one after the other."""

    def __init__(self, path: Path, first: int, table: Any) -> None:
        self._path, self._first, self._table = path, first, table
        self.mistakes: list[str] = []

    def rows(self, units: Callable[[str], object], floor_us: int, now_us: int) -> Rows | None:
        """None when there are mistakes."""
        missing = [it.name for it in SCHEMA if it.name not in self._table.column_names]
        if missing:
            there = ", ".join(it.name for it in SCHEMA)
            self.mistakes.append(f'{self._path} › there is no column "{missing[0]}" › columns are: {there}')
            return None
        names, which = self._names(units)
        at_us = self._times(floor_us, now_us)
        value, texts = self._values(names, which)
        told = self._texts("quality")
        quality = np.array([QUALITIES.get(it, 255) for it in told], np.uint8)
        for row in np.flatnonzero(quality == 255).tolist():
            self._say(row, "quality", told[row], f"write {', '.join(QUALITIES)}")
        if self.mistakes:
            return None
        return Rows(self._first, names, which, at_us, value, texts, quality)

    def _say(self, row: int, column: str, what: object, remedy: str) -> None:
        self.mistakes.append(f'{self._path} › row {self._first + row} › {column} "{what!s:.60}" › {remedy}')

    def _texts(self, name: str) -> list[str]:
        return [it or "" for it in self._table.column(name).cast(pa.string()).to_pylist()]

    def _names(self, units: Callable[[str], object]) -> tuple[list[tuple[str, str, Kind, str]], Any]:
        columns = [self._texts(name) for name in ("device", "point", "kind", "unit")]
        places: dict[tuple[str, ...], int] = {}
        which = np.array([places.setdefault(it, len(places)) for it in zip(*columns, strict=True)], np.int64)
        names = []
        for (device, point, kind, unit), place in places.items():
            row = int(np.argmax(which == place))
            for column, text in (("device", device), ("point", point)):
                if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
                    self._say(row, column, text, f"write its id, at most {LONGEST_NAME} letters")
            if kind not in (Kind.NUMBER, Kind.BOOL, Kind.ENUM, Kind.TEXT):
                self._say(row, "kind", kind, "write number, bool, enum or text")
                kind = Kind.NUMBER
            try:
                units(unit)
            except ValueError as unknown:
                self._say(row, "unit", unit, str(unknown))
            names.append((device, point, Kind(kind), unit))
        return names, which

    def _times(self, floor_us: int, now_us: int) -> Any:
        column = self._table.column("time")
        if pa.types.is_string(column.type):
            at_us = np.zeros(len(column), np.int64)
            for row, text in enumerate(column.to_pylist()):
                try:
                    stamp = pa.scalar(text).cast(pa.timestamp("us", "UTC"))
                    at_us[row] = stamp.value
                except (pa.ArrowInvalid, AttributeError):
                    self._say(row, "time", text, "write it with its zone: 2026-11-01T08:00:00Z")
        elif pa.types.is_timestamp(column.type) and column.type.tz:
            at_us = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).fill_null(0).to_numpy()
        else:
            self.mistakes.append(f"{self._path} › time is a {column.type} › write a timestamp with a zone (UTC)")
            return np.zeros(len(column), np.int64)
        for row in np.flatnonzero((at_us <= 0) | (at_us > now_us + AHEAD_US)).tolist()[:MOST_MISTAKES]:
            self._say(row, "time", column[row], "write a time after 1970 and not after now")
        for row in np.flatnonzero((at_us > 0) & (at_us < floor_us)).tolist()[:MOST_MISTAKES]:
            self._say(row, "time", column[row], "this history has forgotten that time: raise [history] readings_days")
        return at_us

    def _values(self, names: Sequence[tuple[str, str, Kind, str]], which: Any) -> tuple[Any, list[str] | None]:
        column = self._table.column("value")
        if pa.types.is_string(column.type):
            value = np.full(len(column), np.nan)
            for row, text in enumerate(column.to_pylist()):
                try:
                    value[row] = float(text) if text else np.nan
                except ValueError:
                    self._say(row, "value", text, "write a number, or nothing where there is none")
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            value = column.cast(pa.float64()).to_numpy()
        else:
            self.mistakes.append(f"{self._path} › value is a {column.type} › write numbers")
            return np.zeros(len(column)), None
        for row in np.flatnonzero(np.isinf(value)).tolist()[:MOST_MISTAKES]:
            self._say(row, "value", value[row], "write a number")
        if not any(kind is Kind.TEXT for _, _, kind, _ in names):
            return value, None
        texts = self._texts("text")
        for row, place in enumerate(which.tolist()):
            if names[place][2] is Kind.TEXT and len(texts[row]) > LONGEST_TEXT:
                self._say(row, "text", texts[row], f"write at most {LONGEST_TEXT} letters")
        return value, texts
