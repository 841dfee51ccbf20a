"""Points of many devices in one question: their steps side by side, and what each said last before a moment."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, device
from dashboards.devices import keys
from dashboards.history import value_of
from dashboards.packed import json
from dashboards.series import LONGEST, mistake, seconds
from dashboards.shape import encode
from hub.historian.base import to_us
from hub.house import House
from hub.model import Point, Quality

MOST = 100  # points of one question


class Many(BaseModel):
    """Which points of which devices."""

    model_config = ConfigDict(extra="forbid")

    points: str = Field(
        min_length=1, max_length=8_000, description="with commas between: ps-1:inlet.level,ps-2:inlet.level"
    )


class ManySteps(Many):
    start: AwareDatetime = Field(alias="from", description="2026-11-25T00:00:00Z, or ms since 1970; included")
    end: AwareDatetime | None = Field(None, alias="to", description="not included; now when left out")
    step: str = Field("1h", description="seconds, or a duration: 15s, 1m, 1h, 1d")


class ManyValues(Many):
    at: AwareDatetime | None = Field(None, description="a moment; now when left out")


def _asked(request: Request, text: str) -> list[tuple[str, Point, int | None]]:
    """(device, point, the historian's number) of each. Raises Problem."""
    house: House = desk(request).house
    found = []
    wanted = list(dict.fromkeys(part for part in text.split(",") if part))
    if not 1 <= len(wanted) <= MOST:
        raise mistake("points", f"name 1 to {MOST} points, each as device:point, with commas between")
    for part in wanted:
        name, colon, key = part.partition(":")
        if not colon:
            raise mistake("points", f'"{part[:60]}" names no point: write device:point, like ps-1:inlet.level')
        it = device(request, name)
        plate = house.plate(it.id)
        (point,) = keys(it.id, plate, key) or [""]
        if not point:
            raise mistake("points", f'"{part[:60]}" names no point: write device:point, like ps-1:inlet.level')
        found.append((it.id, plate.points[point], house.numbers(it.id, [point]).get(point)))
    return found


async def series(request: Request, span: Annotated[ManySteps, Query()]) -> Response:
    """Steps of points of many devices, oldest first: `start_ms`, `count`, `gaps`, `min`, `max`, `mean`, `last` of each.

    One answer has at most 200,000 steps in all. Raw readings are told device by device.
    """
    found = _asked(request, span.points)
    house = desk(request).house
    end = span.end or house.clock.now()
    step_s = seconds(span.step)
    if not step_s:
        raise mistake("step", 'write seconds above 0 or a duration: "60", "15s", "1m", "1h", "1d"')
    if span.start >= end or end - span.start > LONGEST:
        raise mistake("from", f"must be before to, and at most {LONGEST.days} days before it")
    numbers = [number for _, _, number in found if number is not None]
    told = await house.historian.buckets(numbers, to_us(span.start), to_us(end), round(step_s * 1e6))
    rows = [
        {
            "device": id,
            "point": point.key,
            "unit": point.unit,
            **shape.columns(told.get(-1 if number is None else number), ("start_us", *shape.AGGREGATES)),
        }
        for id, point, number in found
    ]
    head = {"start_ms": shape.ms(span.start), "end_ms": shape.ms(end), "step_ms": step_s * 1000}
    return json(encode({**head, "series": rows}))


async def values(request: Request, wanted: Annotated[ManyValues, Query()]) -> Response:
    """What each point said last before a moment, however long ago: a value, its time and quality; null for never."""
    found = _asked(request, wanted.points)
    house = desk(request).house
    at = wanted.at or house.clock.now()
    numbers = [number for _, _, number in found if number is not None]
    told = await house.historian.last_before(numbers, to_us(at))
    rows: list[dict[str, Any]] = []
    for id, point, number in found:
        it = None if number is None else told[number]
        row: dict[str, Any] = {"device": id, "point": point.key, "unit": point.unit, "value": None}
        row |= {"quality": None, "at_ms": None}
        if it is not None:
            row |= {"value": value_of(house, point, number, it.value), "at_ms": it.at_us // 1000}
            row["quality"] = Quality(it.quality).name.lower()
        rows.append(row)
    return json(encode({"before_ms": shape.ms(at), "values": rows}))
