"""What was measured: raw readings or buckets of a device's points, as JSON, as bytes for charts, as CSV."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, device
from dashboards.devices import DeviceId
from dashboards.packed import json, ready
from dashboards.problems import Problem, unknown
from dashboards.shape import encode
from hub import export
from hub.contract import BadConfig
from hub.historian.base import to_us
from hub.historian.catalogue import MOST_TEXTS
from hub.model import Nameplate, Point

MAX_POINTS = 16  # of one question
LONGEST = timedelta(days=400)
LONGEST_CSV = timedelta(days=31)
WIDTH = 1_000  # pixels of a chart, when it does not say
RAW_PER_PIXEL = 4  # expected readings; more than that come as buckets
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
BYTES = "application/vnd.fieldhub.columns"

_HEAD = struct.Struct("<I")


class Period(BaseModel):
    """Which points, from when to when, and how fine."""

    model_config = ConfigDict(extra="forbid")

    points: str = Field(min_length=1, max_length=2_000, description="keys with commas between: inlet.level,outlet.flow")
    start: AwareDatetime = Field(description="2026-11-25T00:00:00Z, or milliseconds since 1970; included")
    end: AwareDatetime | None = Field(None, description="not included; now when left out")
    step: str = Field("auto", pattern=r"^(auto|raw|[0-9]{1,6}(\.[0-9]{1,3})?)$", description="auto, raw, or seconds")
    width: int = Field(WIDTH, ge=10, le=10_000, description="for auto: pixels of the chart")
    format: Literal["json", "columns", "csv"] = "json"


async def series(request: Request, device_id: DeviceId, period: Annotated[Period, Query()]) -> Response:
    """Readings of a device's points, raw or in buckets, oldest first.

    Raw: `at_ms`, `value`, `quality` (0 bad, 1 uncertain, 2 good). In buckets: `start_ms`, `count`, `gaps`, `min`,
    `max`, `mean`, `last`; steps without a reading are left out. A bool is 0 or 1, an enum or text a code (`codes`).

    format=columns gives the same as bytes for charts: a length (u32, little-endian), so many bytes of JSON that name
    the columns, and after them the columns, each at a multiple of 8. format=csv is for spreadsheets.
    """
    it = device(request, device_id)
    house = desk(request).house
    plate = house.plate(it.id)
    points = _points(it.id, plate, period.points)
    end = period.end or house.clock.now()
    if period.start >= end or end - period.start > LONGEST:
        raise _mistake("start", f"must be before end, and at most {LONGEST.days} days before it")
    if period.format == "csv":
        return await _csv(request, it.id, points, period.start, end)
    step_s = _step(period.step, end - period.start, [plate.points[key] for key in points], period.width)
    step_us = None if step_s is None else round(step_s * 1e6)
    found = await house.series(it.id, points, to_us(period.start), to_us(end), step_us)
    told = {
        "device": it.id,
        "start_ms": shape.ms(period.start),
        "end_ms": shape.ms(end),
        "step_ms": None if step_us is None else step_us / 1000,
    }
    texts = {key: _codes(request, it.id, plate.points[key]) for key in points}
    pack = _as_json if period.format == "json" else _as_bytes
    body = await asyncio.to_thread(pack, told, points, plate, found, texts)
    if period.format == "json":
        return json(body)
    return ready(body, [(b"content-type", BYTES.encode()), (b"cache-control", b"no-store")])


def _points(device_id: str, plate: Nameplate, text: str) -> list[str]:
    points = list(dict.fromkeys(part for part in text.split(",") if part))
    if not 1 <= len(points) <= MAX_POINTS:
        raise _mistake("points", f"name 1 to {MAX_POINTS} points, with commas between them")
    for key in points:
        if key not in plate.points:
            raise unknown("unknown_point", key, plate.points, device=device_id)
    return points


def _step(step: str, span: timedelta, points: list[Point], width: int) -> float | None:
    """Seconds of a bucket; None: raw readings."""
    if step == "raw":
        return None
    if step != "auto":
        seconds = float(step)
        if seconds <= 0:
            raise _mistake("step", 'write auto, raw, or seconds above 0: "60"')
        return seconds
    expected = span.total_seconds() / min(point.interval_s or 1.0 for point in points)
    if expected <= RAW_PER_PIXEL * width:
        return None
    fine = span.total_seconds() / width
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
    told: dict[str, Any], points: list[str], plate: Nameplate, found: Mapping[str, Any], texts: dict[str, Any]
) -> bytes:
    raw = told["step_ms"] is None
    series = [
        {
            **_about(plate.points[key], texts[key]),
            **(shape.columns(found[key]) if key in found else shape.no_columns(raw)),
        }
        for key in points
    ]
    return encode({**told, "series": series})


def _as_bytes(
    told: dict[str, Any], points: list[str], plate: Nameplate, found: Mapping[str, Any], texts: dict[str, Any]
) -> bytes:
    blocks: list[bytes] = []
    place = 0
    series = []
    for key in points:
        columns = []
        for name, kind, count, block in shape.blocks(found.get(key), told["step_ms"] is None):
            columns.append({"name": name, "type": kind, "count": count, "at": place})
            blocks.append(block + bytes(-len(block) % 8))
            place += len(blocks[-1])
        series.append({**_about(plate.points[key], texts[key]), "columns": columns})
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


def _mistake(where: str, what: str) -> Problem:
    return Problem("invalid", {"count": 1}, mistakes=[{"where": f"query.{where}", "what": what, "rule": "range"}])
