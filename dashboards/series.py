"""What was measured: raw readings or buckets of a device's points, as JSON, as bytes for charts, as CSV."""

from __future__ import annotations

import asyncio
import io
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, device
from dashboards.devices import DeviceId, keys
from dashboards.packed import json, ready
from dashboards.problems import Problem
from dashboards.shape import encode
from hub import export
from hub.contract import BadConfig
from hub.historian.base import AskedTooMuch, to_us
from hub.historian.catalogue import MOST_TEXTS
from hub.model import Nameplate, Point

MAX_POINTS = 16  # of one question
LONGEST = timedelta(days=400)
LONGEST_CSV = timedelta(days=31)
WIDTH = 1_000  # pixels of a chart, when it does not say
RAW_PER_PIXEL = 4  # expected readings; more than that come as buckets
SURPLUS = 2 * RAW_PER_PIXEL  # readings a pixel that there are; more than that too
MOST_RAW = 500_000  # readings of one answer
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = "application/vnd.fieldhub.columns"

_HEAD = struct.Struct("<I")
_STEP = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd]?)")


class Period(BaseModel):
    """Which points, from when to when, and how fine."""

    model_config = ConfigDict(extra="forbid")

    points: str = Field(min_length=1, max_length=2_000, description="keys with commas between: inlet.level,outlet.flow")
    start: AwareDatetime = Field(alias="from", description="2026-11-25T00:00:00Z, or ms since 1970; included")
    end: AwareDatetime | None = Field(None, alias="to", description="not included; now when left out")
    step: str = Field("auto", description="auto, raw, seconds, or a duration: 15s, 1m, 1h, 1d")
    agg: str = Field("", description=f"columns of the buckets: {', '.join(shape.AGGREGATES)}; all when left out")
    width: int = Field(WIDTH, ge=10, le=10_000, description="for auto: pixels of the chart")
    format: Literal["json", "columns", "csv"] = Field("json", description="columns: for charts; csv: for spreadsheets")

    @field_validator("step")
    @classmethod
    def _is_a_step(cls, text: str) -> str:
        if text not in ("auto", "raw") and not seconds(text):
            raise ValueError('write auto, raw, seconds above 0 or a duration: "60", "15s", "1m", "1h", "1d"')
        return text

    @field_validator("agg")
    @classmethod
    def _is_known(cls, text: str) -> str:
        for part in text.split(",") if text else ():
            if part not in shape.AGGREGATES:
                raise ValueError(f'"{part[:20]}" is none of {", ".join(shape.AGGREGATES)}; write some of these')
        return text

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a bucket."""
        wanted = self.agg.split(",") if self.agg else shape.AGGREGATES
        return ("start_us", *(it for it in shape.AGGREGATES if it in wanted))


async def series(request: Request, device_id: DeviceId, period: Annotated[Period, Query()]) -> Response:
    """Readings of a device's points, raw or in buckets, oldest first.

    Raw: `at_ms`, `value`, `quality` (0 bad, 1 uncertain, 2 good). In buckets: `start_ms`, `count`, `gaps`, `min`,
    `max`, `mean`, `last`, or those that `agg` names; steps without a reading are left out. A bool is 0 or 1, an enum or
    text a code (`codes`). With step=auto it depends on the width which of both comes; with `agg` buckets come always.

    format=columns gives the same as bytes for charts: a length (u32, little-endian), so many bytes of JSON that name
    the columns, and after them the columns, each at a multiple of 8. format=csv is for spreadsheets.
    """
    it = device(request, device_id)
    house = desk(request).house
    plate = house.plate(it.id)
    points = points_of(it.id, plate, period.points)
    end = period.end or house.clock.now()
    if period.start >= end or end - period.start > LONGEST:
        raise mistake("from", f"must be before to, and at most {LONGEST.days} days before it")
    if period.agg and period.step == "raw":
        raise mistake("agg", 'raw readings have no columns to choose: leave agg out, or write a step like "1m"')
    if period.format == "csv":
        if period.agg or period.step not in ("auto", "raw"):
            raise mistake("format", "csv holds raw readings: leave step and agg out, or write format=json")
        return await _csv(request, it.id, points, period.start, end)
    step_s = _step(period, end - period.start, [plate.points[key] for key in points])
    step_us = None if step_s is None else round(step_s * 1e6)
    try:
        found = await house.series(it.id, points, to_us(period.start), to_us(end), step_us)
        most = max((len(one) for one in found.values()), default=0)
    except AskedTooMuch:
        if step_us is not None or period.step != "auto":
            raise
        found, most = {}, MOST_RAW
    if step_us is None and period.step == "auto" and most > SURPLUS * period.width:
        # The device sends more often than it says: as many pixels as there are, whatever there is.
        step_us = round(_fine(period, end - period.start) * 1e6)
        found = await house.series(it.id, points, to_us(period.start), to_us(end), step_us)
    elif step_us is None and sum(len(one) for one in found.values()) > MOST_RAW:
        what = f"more than {MOST_RAW} readings in one answer: step=auto, a shorter time, or `fieldhub export`"
        raise Problem("asked_too_much", {"what": what})
    told = {
        "device": it.id,
        "start_ms": shape.ms(period.start),
        "end_ms": shape.ms(end),
        "step_ms": None if step_us is None else step_us / 1000,
    }
    pack = _as_json if period.format == "json" else _as_bytes
    columns = shape.RAW if step_us is None else period.columns
    about = {key: _about(plate.points[key], _codes(request, it.id, plate.points[key])) for key in points}
    body = await asyncio.to_thread(pack, told, about, found, columns)
    if period.format == "json":
        return json(body)
    return ready(body, [(b"content-type", BYTES.encode()), (b"cache-control", b"no-store")])


def points_of(device_id: str, plate: Nameplate, text: str) -> list[str]:
    if not 1 <= len(set(text.split(",")) - {""}) <= MAX_POINTS:
        raise mistake("points", f"name 1 to {MAX_POINTS} points, with commas between them")
    return keys(device_id, plate, text)


def seconds(step: str) -> float:
    """ "90", "1.5", "15s", "1m", "1h", "1d" in seconds; 0 for what is no step."""
    found = _STEP.fullmatch(step)
    return float(found[1]) * UNITS_S[found[2]] if found else 0.0


def _step(period: Period, span: timedelta, points: list[Point]) -> float | None:
    """Seconds of a bucket; None: raw readings."""
    if period.step == "raw":
        return None
    if period.step != "auto":
        return seconds(period.step)
    expected = span.total_seconds() / min(point.interval_s or 1.0 for point in points)
    if expected <= RAW_PER_PIXEL * period.width and not period.agg:
        return None
    return _fine(period, span)


def _fine(period: Period, span: timedelta) -> float:
    """Seconds of a bucket, so that there is one a pixel at most."""
    fine = span.total_seconds() / period.width
    return float(next((one for one in STEPS_S if one >= fine), STEPS_S[-1]))


def _codes(request: Request, device_id: str, point: Point) -> dict[str, str]:
    """What an enum's or a text's values stand for."""
    if point.kind == "enum":
        return {str(code): label for code, label in point.labels.items()}
    if point.kind != "text":
        return {}
    catalogue = desk(request).house.historian.catalogue
    known = catalogue.find(device_id, point.key)
    if known is None:
        return {}
    texts = ((code, catalogue.text(known.id, code)) for code in range(MOST_TEXTS + 1))
    return {str(code): text for code, text in texts if text is not None}


def _about(point: Point, codes: Mapping[str, str]) -> dict[str, Any]:
    about: dict[str, Any] = {"point": point.key, "kind": point.kind, "unit": point.unit, "digits": point.digits}
    return about | {"codes": codes} if codes else about


def _as_json(
    told: dict[str, Any], about: dict[str, dict[str, Any]], found: Mapping[str, Any], columns: Sequence[str]
) -> bytes:
    series = [{**it, **shape.columns(found.get(key), columns)} for key, it in about.items()]
    return encode({**told, "series": series})


def _as_bytes(
    told: dict[str, Any], about: dict[str, dict[str, Any]], found: Mapping[str, Any], columns: Sequence[str]
) -> bytes:
    blocks: list[bytes] = []
    place = 0
    series = []
    for key, it in about.items():
        heads = []
        for name, kind, count, block in shape.blocks(found.get(key), columns):
            heads.append({"name": name, "type": kind, "count": count, "at": place})
            blocks.append(block + bytes(-len(block) % 8))
            place += len(blocks[-1])
        series.append({**it, "columns": heads})
    head = encode({**told, "series": series})
    head += b" " * (-(len(head) + _HEAD.size) % 8)
    return b"".join((_HEAD.pack(len(head)), head, *blocks))


async def _csv(request: Request, device_id: str, points: list[str], start: datetime, end: datetime) -> Response:
    """For spreadsheets: UTF-8 with BOM, times in the county's zone, nothing that a spreadsheet would run."""
    if end - start > LONGEST_CSV:
        raise Problem("asked_too_much", {"what": f"A CSV holds {LONGEST_CSV.days} days at most: `fieldhub export`"})
    house = desk(request).house
    zone = house.site.hub.site.zone
    period = export.Period(start.isoformat(), end.isoformat(), zone, end)
    out = io.StringIO()
    try:
        rows = export.readings(house.site, house.historian, house.historian.catalogue, device_id, points, period)
        await export.write(rows, out)
    except BadConfig as bad:  # nothing has been kept of one of them yet
        raise Problem("asked_too_much", {"what": str(bad)}) from None
    name = f"{device_id}-{start.astimezone(period.zone):%Y%m%d}.csv"
    return ready(
        out.getvalue().encode(),
        [
            (b"content-type", b"text/csv; charset=utf-8"),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
            (b"cache-control", b"no-store"),
        ],
    )


def mistake(where: str, what: str) -> Problem:
    return Problem("invalid", {"count": 1}, mistakes=[{"where": f"query.{where}", "what": what, "rule": "range"}])
