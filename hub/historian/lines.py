"""InfluxDB's line protocol, written from columns: a batch becomes text without a Python object for each reading.

    fieldhub,device=ps-1,kind=number,point=inlet.level,series=64,unit=m v=2.48,q=2 1795572087123000

One field holds the value: `v` when it can be believed, `b` when it is BAD, none when there is none. `q` is the quality,
plus NO_VALUE when there is no value. VictoriaMetrics makes fieldhub_v, fieldhub_b and fieldhub_q of them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hub.historian.base import F64, U8, Batch, Series
from hub.model import Quality

NO_VALUE = 4  # added to a quality
UNKNOWN = Series(0, "", "", "", "")  # type: ignore[arg-type]  # a number without a name is written with its number alone
_NAMES = pa.array(["v=", "b="])
_CODES = pa.array([f"{it} " for it in range(NO_VALUE * 2)])
_SPECIAL = re.compile(r"([,= ])")


def lines(batch: Batch, series: Callable[[int], Series | None], measurement: str) -> bytes:
    """A line for each reading, times in µs. A value that is not finite is no value."""
    if not len(batch):
        return b""
    numbers, place = np.unique(batch.series, return_inverse=True)
    heads = pa.array([head(measurement, it, series(it)) for it in numbers.tolist()])
    there, bad = np.isfinite(batch.value), batch.quality == Quality.BAD
    value = pc.cast(pa.array(batch.value), pa.string())
    if there.all() and not bad.any():
        fields = pc.binary_join_element_wise("v=", value, ",q=", "")
    else:
        known = pc.binary_join_element_wise(_NAMES.take(pa.array(bad.view(np.int8))), value, ",q=", "")
        fields = pc.if_else(pa.array(there), known, "q=")
    codes = np.where(there, batch.quality, batch.quality + NO_VALUE)
    rows = pc.binary_join_element_wise(
        heads.take(pa.array(place)),
        fields,
        _CODES.take(pa.array(codes)),
        pc.cast(pa.array(batch.at_us), pa.string()),
        "",
    )
    whole = pa.ListArray.from_arrays(pa.array([0, len(batch)], pa.int32()), rows)
    text: bytes = pc.binary_join(whole, "\n")[0].as_buffer().to_pybytes()
    return text


def head(measurement: str, number: int, it: Series | None) -> str:
    """Measurement and tags, up to the fields. Without the points that share a number the number itself is enough."""
    tags: dict[str, Any] = {"series": number}
    if it is not None:
        tags |= {"device": it.device, "point": it.point, "kind": it.kind.value, "unit": it.unit}
    told = ",".join(f"{name}={escape(str(value))}" for name, value in sorted(tags.items()) if value != "")
    return f"{measurement},{told} "


def escape(text: str) -> str:
    """A tag's value. A line ends at a line's end, and a backslash at the end would take the next comma with it."""
    return _SPECIAL.sub(r"\\\1", text.replace("\n", " ").replace("\r", " ").rstrip("\\"))


def assemble(fields: Mapping[str, tuple[Any, Any]]) -> tuple[Any, F64, U8]:
    """Times, values and qualities of one series, from its fields' (times, values), each sorted by time.

    A reading is where `q` is; the quality says which of the two fields has its value.
    """
    at, coded = fields.get("q", (np.empty(0, np.int64), np.empty(0)))
    codes = np.asarray(coded, np.int64)
    quality = (codes % NO_VALUE).astype(np.uint8)
    value = np.full(len(at), np.nan)
    for name, mine in (("v", quality != Quality.BAD), ("b", quality == Quality.BAD)):
        times, values = fields.get(name, (np.empty(0, np.int64), np.empty(0)))
        if not len(times):
            continue
        place = np.minimum(np.searchsorted(times, at), len(times) - 1)
        hit = mine & (codes < NO_VALUE) & (np.asarray(times)[place] == at)
        value[hit] = np.asarray(values, np.float64)[place[hit]]
    return np.asarray(at, np.int64), value, quality
