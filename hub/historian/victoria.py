"""VictoriaMetrics: line protocol in, its export and MetricsQL out.

It keeps milliseconds, no time before 1970, and of readings of one series and millisecond one, when it is started with
-dedup.minScrapeInterval=1ms (so it must be; which one it keeps when they differ is its own choice). What is old goes by
its own -retentionPeriod.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from hub.historian.backend import Access, Http, groups
from hub.historian.base import F64, MOST_POINTS, AskedTooMuch, Buckets, Columns, Sample
from hub.historian.fold import fold, follow, merge, refold
from hub.historian.lines import assemble

MS = 1_000
STEPS_AT_ONCE = 30_000  # its own -search.maxPointsPerTimeseries
OLDEST, YOUNGEST = 0, 1 << 52  # µs; the year 2112
LOOK_BACK = ("1h", "1d", "31d", "366d", "3660d")  # for the last reading, the likely ones first
FOLDS = ("count_over_time", "min_over_time", "max_over_time", "sum_over_time", "last_over_time")


class _Row(Struct):
    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


class _Told(Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    value: tuple[float, str] = (0.0, "")


class _Data(Struct):
    result: list[_Told]


class _Answer(Struct):
    data: _Data


_row = msgspec.json.Decoder(_Row)
_answer = msgspec.json.Decoder(_Answer)


class Victoria:
    """See hub.historian.backend.Backend."""

    resolution_us = MS

    def __init__(self, access: Access) -> None:
        headers = {"authorization": f"Bearer {access.token}"} if access.token else {}
        self._http = Http(access.url, headers)
        self._name = access.measurement
        self.url = self._http.url

    def write(self, lines: bytes) -> None:
        self._http.post("/write?precision=us", lines)

    def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        found: defaultdict[int, dict[str, list[tuple[Any, Any]]]] = defaultdict(lambda: defaultdict(list))
        total = 0
        start_ms, end_ms = -(-max(start_us, OLDEST) // MS), -(-min(end_us, YOUNGEST) // MS) - 1  # both included
        if start_ms > end_ms:
            return {}
        for some in groups(series):
            fields = {"match[]": self._these("(v|b|q)", some), "start": start_ms / 1e3, "end": end_ms / 1e3}
            for line in self._http.ask("/api/v1/export", fields).splitlines():
                it = _row.decode(line)
                name = it.metric["__name__"].removeprefix(f"{self._name}_")
                at = np.array(it.timestamps, np.int64) * MS
                found[int(it.metric["series"])][name].append((at, np.array(it.values, np.float64)))
                total += len(at) if name == "q" else 0
                if total > MOST_POINTS:
                    raise AskedTooMuch(
                        f"history › more than {MOST_POINTS} readings › ask for a shorter time, fewer series, or a step"
                    )
        return {number: _columns(fields) for number, fields in found.items()}

    def buckets(self, series: Sequence[int], first: int, last: int, step_us: int) -> dict[int, Buckets]:
        if step_us % MS:
            raw = self.range(series, first * step_us, last * step_us)
            return {it: refold([fold(columns, step_us)], step_us) for it, columns in raw.items()}
        pieces: defaultdict[int, list[Buckets]] = defaultdict(list)
        for some in groups(series):
            for at in range(first, last, STEPS_AT_ONCE):
                for number, it in self._steps(some, at, min(last, at + STEPS_AT_ONCE), step_us).items():
                    pieces[number].append(it)
        return {number: follow(some) for number, some in pieces.items()}

    def _steps(self, series: Sequence[int], first: int, last: int, step_us: int) -> dict[int, Buckets]:
        """A window (t - step, t] with t a millisecond before the step's end holds what [begin, end) holds."""
        step_ms = step_us // MS
        begin = max(first, -(-OLDEST // step_us))
        if begin >= last:
            return {}
        names = ",".join(f'"{it}"' for it in FOLDS)
        folded = f"aggr_over_time(({names}), {self._these('v', series)}[{step_ms}ms])"
        counted = f"count_over_time({self._these('q', series)}[{step_ms}ms])"
        span = {
            "start": ((begin + 1) * step_ms - 1) / 1e3,
            "end": (last * step_ms - 1) / 1e3,
            "step": f"{step_ms}ms",
            "nocache": "1",
        }
        found: defaultdict[int, dict[str, tuple[Any, F64]]] = defaultdict(dict)
        for query, plain in ((folded, ""), (counted, "all")):
            for it in self._query("/api/v1/query_range", {"query": query, **span}):
                ends = np.array([round(at * 1e3) for at, _ in it.values], np.int64)
                values = np.array([float(value) for _, value in it.values])
                found[int(it.metric["series"])][it.metric.get("rollup", plain)] = (ends, values)
        return {number: _buckets(told, step_ms) for number, told in found.items()}

    def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample]:
        at_ms = -(-min(max(at_us, OLDEST), YOUNGEST) // MS) - 1  # the last one that counts
        told: dict[int, Sample] = {}
        if at_ms < 0:
            return told
        for back in LOOK_BACK:
            open_ = [it for it in series if it not in told]
            for some in groups(open_):
                told |= self._lasts(some, at_ms, back)
        return told

    def _lasts(self, series: Sequence[int], at_ms: int, back: str) -> dict[int, Sample]:
        query = f'aggr_over_time(("last_over_time","tlast_over_time"), {self._these("(v|b|q)", series)}[{back}])'
        asked = {"query": f"{query} keep_metric_names", "time": at_ms / 1e3, "nocache": "1"}
        found: defaultdict[int, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        for it in self._query("/api/v1/query", asked):
            name = it.metric["__name__"].removeprefix(f"{self._name}_")
            found[int(it.metric["series"])][name][it.metric["rollup"]] = float(it.value[1])
        told: dict[int, Sample] = {}
        for number, fields in found.items():
            one = {
                name: (np.array([round(it["tlast_over_time"] * 1e3) * MS]), np.array([it["last_over_time"]]))
                for name, it in fields.items()
                if len(it) == 2
            }
            at, value, quality = assemble(one)
            if len(at):
                told[number] = Sample(int(at[0]), float(value[0]), int(quality[0]))
        return told

    def drop_before(self, at_us: int) -> bool:
        return False

    def settle(self) -> None:
        self._http.ask("/internal/force_flush", {})

    def close(self) -> None:
        self._http.close()

    def _query(self, path: str, asked: Mapping[str, Any]) -> list[_Told]:
        return _answer.decode(self._http.ask(path, asked)).data.result

    def _these(self, fields: str, series: Sequence[int]) -> str:
        return f'{{__name__=~"{self._name}_{fields}",series=~"{"|".join(map(str, series))}"}}'


def _columns(fields: Mapping[str, Sequence[tuple[Any, Any]]]) -> Columns:
    one: dict[str, tuple[Any, Any]] = {}
    for name, pieces in fields.items():
        it = merge([Columns(at, value, np.zeros(len(at), np.uint8)) for at, value in pieces])
        one[name] = it.at_us, it.value
    return Columns(*assemble(one))


def _buckets(told: Mapping[str, tuple[Any, F64]], step_ms: int) -> Buckets:
    """From each fold's (ends of steps in ms, values); steps with none that counts are known by `all`."""
    ends, every = told.get("all", (np.empty(0, np.int64), np.empty(0)))
    columns = {}
    for name in FOLDS:
        column = np.full(len(ends), 0.0 if name == "count_over_time" else np.nan)
        at, values = told.get(name, (np.empty(0, np.int64), np.empty(0)))
        place = np.searchsorted(ends, at)
        hit = (place < len(ends)) & (ends[np.minimum(place, len(ends) - 1)] == at) if len(ends) else place < 0
        column[place[hit]] = values[hit]
        columns[name] = column
    count = columns["count_over_time"].astype(np.int64)
    least, most = columns["min_over_time"], columns["max_over_time"]
    mean = np.clip(columns["sum_over_time"] / np.maximum(count, 1), least, most)
    start_us = (ends + 1 - step_ms) * MS
    gaps = np.maximum(every.astype(np.int64) - count, 0)
    return Buckets(start_us, count, gaps, least, most, mean, columns["last_over_time"])
