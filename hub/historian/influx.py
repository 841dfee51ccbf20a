"""InfluxDB 2 through influxdb-client: line protocol in, Flux out, its CSV read by Arrow.

Its resolution is 1 ns, and of readings of one series and time it keeps the last one written. What is old goes when we
say so, or by the bucket's own retention.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from influxdb_client import Dialect, InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from hub.historian.backend import NO_RETRIES, QUERY_S, Access, away, groups, unanswered, unfit
from hub.historian.base import MOST_POINTS, AskedTooMuch, Buckets, Columns, Sample, to_datetime
from hub.historian.lines import assemble

OLDEST, YOUNGEST = -9_000_000_000_000_000, 9_000_000_000_000_000  # µs; it counts in ns
FOLDS = ("min", "max", "mean", "count", "last")
_TYPES = {"_time": pa.timestamp("ns", "UTC"), "_value": pa.float64(), "series": pa.int64(), "fold": pa.string()}
_DIALECT = Dialect(header=True, annotations=[], delimiter=",")


class Influx:
    """See hub.historian.backend.Backend."""

    resolution_us = 1

    def __init__(self, access: Access) -> None:
        self.url, self._it = access.url, access
        self._client = InfluxDBClient(
            access.url, access.token, org=access.org, timeout=int(QUERY_S * 1000), retries=NO_RETRIES
        )
        self._writes = self._client.write_api(write_options=SYNCHRONOUS)
        self._queries = self._client.query_api()

    def write(self, lines: bytes) -> None:
        with self._blaming():
            self._writes.write(self._it.bucket, self._it.org, lines, write_precision="us")

    def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        told: dict[int, Columns] = {}
        for some in groups(series):
            columns = _quoted("_time", "_value", "_field", "series")
            flux = f"{self._these(some, start_us, end_us)} |> keep(columns: [{columns}]) |> group()"
            table = self._ask(f"{flux} |> limit(n: {2 * MOST_POINTS + 2})")
            if table is None:
                continue
            for number, fields in _by_series(table, "_field"):
                it = Columns(*assemble(fields))
                if sum(map(len, told.values())) + len(it) > MOST_POINTS:
                    raise AskedTooMuch(
                        f"history › more than {MOST_POINTS} readings › ask for a shorter time, fewer series, or a step"
                    )
                told[number] = it
        return told

    def buckets(self, series: Sequence[int], first: int, last: int, step_us: int) -> dict[int, Buckets]:
        told: dict[int, Buckets] = {}
        window = f'every: {step_us}us, timeSrc: "_start", createEmpty: false'
        for some in groups(series):
            data = self._these(some, first * step_us, last * step_us)
            folds = [
                f'data |> filter(fn: (r) => r._field == "v") |> aggregateWindow({window}, fn: {it}) '
                f'|> toFloat() |> set(key: "fold", value: "{it}")'
                for it in FOLDS
            ]
            folds.append(
                f'data |> filter(fn: (r) => r._field == "q") |> aggregateWindow({window}, fn: count) '
                '|> toFloat() |> set(key: "fold", value: "all")'
            )
            columns = _quoted("_time", "_value", "fold", "series")
            flux = f"data = {data}\nunion(tables: [{', '.join(folds)}]) |> keep(columns: [{columns}]) |> group()"
            table = self._ask(flux)
            if table is not None:
                told |= {number: _buckets(fields) for number, fields in _by_series(table, "fold")}
        return told

    def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample]:
        told: dict[int, Sample] = {}
        for some in groups(series):
            columns = _quoted("_time", "_value", "_field", "series")
            flux = f"{self._these(some, OLDEST, at_us)} |> last() |> keep(columns: [{columns}]) |> group()"
            table = self._ask(flux)
            if table is None:
                continue
            for number, fields in _by_series(table, "_field"):
                at, value, quality = assemble(fields)
                if len(at):
                    told[number] = Sample(int(at[-1]), float(value[-1]), int(quality[-1]))
        return told

    def drop_before(self, at_us: int) -> bool:
        if at_us > OLDEST:
            with self._blaming():
                self._client.delete_api().delete(
                    to_datetime(OLDEST),
                    to_datetime(min(at_us, YOUNGEST) - 1),  # its end is included
                    f'_measurement="{self._it.measurement}"',
                    self._it.bucket,
                    self._it.org,
                )
        return True

    def settle(self) -> None:
        """What it has answered can be asked for."""

    def close(self) -> None:
        self._client.close()

    def _these(self, series: Sequence[int], start_us: int, end_us: int) -> str:
        start, end = max(start_us, OLDEST) * 1000, min(end_us, YOUNGEST) * 1000
        which = " or ".join(f'r.series == "{it}"' for it in series)
        return (
            f'from(bucket: "{_escaped(self._it.bucket)}") |> range(start: time(v: {start}), stop: time(v: {end})) '
            f'|> filter(fn: (r) => r._measurement == "{self._it.measurement}") |> filter(fn: (r) => {which})'
        )

    def _ask(self, flux: str) -> Any:
        """The answer as an Arrow table, None when it is empty."""
        with self._blaming():
            body: bytes = self._queries.query_raw(flux, dialect=_DIALECT).data
        if not body.strip():
            return None
        if body.lstrip().startswith(b"error"):
            raise unfit(self.url, 500, body.decode(errors="replace"))
        options = pc.ConvertOptions(column_types=_TYPES | {"_field": pa.string()})
        return pc.read_csv(io.BytesIO(body), convert_options=options)

    @contextlib.contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except ApiException as failure:
            raise unfit(self.url, failure.status or 0, str(failure.body or failure.reason or "")) from failure
        except unanswered as failure:
            raise away(self.url, failure) from failure


def _by_series(table: Any, name: str) -> Iterator[tuple[int, dict[str, tuple[Any, Any]]]]:
    """Of each series: of each value of the column `name` the times (µs) and values, sorted by time."""
    series = table.column("series").to_numpy()
    at_us = table.column("_time").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    value = table.column("_value").to_numpy()
    names, code = np.unique(table.column(name).to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    order = np.lexsort((at_us, code, series))
    series, at_us, value, code = series[order], at_us[order], value[order], code[order]
    cut = np.flatnonzero((series[1:] != series[:-1]) | (code[1:] != code[:-1])) + 1
    told: dict[int, dict[str, tuple[Any, Any]]] = {}
    for a, b in zip([0, *cut.tolist()], [*cut.tolist(), len(series)], strict=True):
        told.setdefault(int(series[a]), {})[str(names[code[a]])] = at_us[a:b], value[a:b]
    yield from told.items()


def _buckets(told: dict[str, tuple[Any, Any]]) -> Buckets:
    start_us, every = told["all"]
    columns = {}
    for name in FOLDS:
        columns[name] = np.full(len(start_us), 0.0 if name == "count" else np.nan)
        at, values = told.get(name, (np.empty(0, np.int64), np.empty(0)))
        columns[name][np.searchsorted(start_us, at)] = values
    count = columns["count"].astype(np.int64)
    mean = np.clip(columns["mean"], columns["min"], columns["max"])
    gaps = np.maximum(every.astype(np.int64) - count, 0)
    return Buckets(start_us, count, gaps, columns["min"], columns["max"], mean, columns["last"])


def _quoted(*names: str) -> str:
    return ", ".join(f'"{it}"' for it in names)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
