"""What history says beyond a chart: how long a state held, when there was nothing, how many readings a day has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, device
from dashboards.devices import DeviceId
from dashboards.packed import json
from dashboards.problems import Problem
from dashboards.series import LONGEST, MOST_RAW, mistake, points_of
from dashboards.shape import encode
from hub.historian import questions
from hub.historian.base import Held, Spells, to_us
from hub.historian.spells import held
from hub.house import House
from hub.model import Kind, Point
from hub.slot import STALE_INTERVALS

EVERY = {"day": timedelta(days=1), "hour": timedelta(hours=1), "all": LONGEST * 2}
MOST_SPELLS = 50_000  # of one point, told one by one


class Span(BaseModel):
    """Which points, from when to when, and by what."""

    model_config = ConfigDict(extra="forbid")

    points: str = Field(min_length=1, max_length=2_000, description="keys with commas between: pump1.running,mode")
    start: AwareDatetime = Field(alias="from", description="2026-11-25T00:00:00Z, or ms since 1970; included")
    end: AwareDatetime | None = Field(None, alias="to", description="not included; now when left out")


class StatesSpan(Span):
    by: Literal["day", "hour", "all", "spell"] = Field(
        "day", description="days and hours of the site's zone; all: one sum; spell: each time for itself"
    )


class CountsSpan(Span):
    by: Literal["day", "hour", "all"] = Field("day", description="days and hours of the site's zone")


class GapsSpan(Span):
    least_s: int = Field(600, ge=120, le=31_536_000, description="shorter ones are not told; seconds")


class _Asked:
    """A question, its points found and its time checked. Raises Problem."""

    def __init__(self, request: Request, device_id: str, span: Span) -> None:
        it = device(request, device_id)
        self.house: House = desk(request).house
        self.device = it.id
        self.plate = self.house.plate(it.id)
        self.points = [self.plate.points[key] for key in points_of(it.id, self.plate, span.points)]
        self.start, self.end = span.start, span.end or self.house.clock.now()
        if self.start >= self.end or self.end - self.start > LONGEST:
            raise mistake("from", f"must be before to, and at most {LONGEST.days} days before it")
        self.numbers = self.house.numbers(self.device, [point.key for point in self.points])

    @property
    def period_us(self) -> tuple[int, int]:
        return to_us(self.start), to_us(self.end)

    def edges(self, by: str) -> list[int]:
        return questions.edges(self.start, self.end, EVERY[by], ZoneInfo(self.house.site.hub.site.zone))

    def answer(self, rows: Mapping[str, Mapping[str, Any]]) -> Response:
        told = [{"point": it.key, "kind": it.kind, **rows.get(it.key, {})} for it in self.points]
        head = {"device": self.device, "start_ms": shape.ms(self.start), "end_ms": shape.ms(self.end)}
        return json(encode({**head, "series": told}))


async def states(request: Request, device_id: DeviceId, span: Annotated[StatesSpan, Query()]) -> Response:
    """How long each value of a state held, and how often it began: hours and starts of a pump.

    A value holds until the next reading, and for one hour at most: what nobody confirms is not known, and is in no sum.
    `entered` counts the changes to it from another known value. Values are as in the latest readings.
    """
    it = _Asked(request, device_id, span)
    for point in it.points:
        if point.kind not in (Kind.BOOL, Kind.ENUM, Kind.TEXT):
            raise mistake("points", f'"{point.key}" is a {point.kind}, not a state; write points that are on or off')
    edges = it.edges(span.by) if span.by != "spell" else []
    found = await it.house.historian.spells(list(it.numbers.values()), *it.period_us)
    rows = {}
    for point in it.points:
        number = it.numbers.get(point.key)
        spells = None if number is None else found[number]
        if not edges:
            rows[point.key] = _spells(it.house, point, number, spells)
        else:
            rows[point.key] = _held(it.house, point, number, [] if spells is None else held(spells, edges))
    return it.answer(rows)


def _spells(house: House, point: Point, number: int | None, it: Spells | None) -> dict[str, Any]:
    if it is not None and len(it) > MOST_SPELLS:
        what = f"{point.key}: {len(it)} times, at most {MOST_SPELLS} are told one by one; ask by=day, or for less time"
        raise Problem("asked_too_much", {"what": what})
    return {
        "start_ms": [] if it is None else (it.start_us // 1000).tolist(),
        "end_ms": [] if it is None else (it.end_us // 1000).tolist(),
        "value": [] if it is None else [value_of(house, point, number, value) for value in it.value.tolist()],
    }


def _held(house: House, point: Point, number: int | None, rows: Sequence[Held]) -> dict[str, Any]:
    return {
        "start_ms": [it.start_us // 1000 for it in rows],
        "value": [value_of(house, point, number, it.value) for it in rows],
        "held_s": [it.held_us / 1e6 for it in rows],
        "entered": [it.entered for it in rows],
    }


def value_of(house: House, point: Point, number: int | None, value: float) -> bool | str | float | None:
    """A stored number as the latest readings show it; null where there was no value."""
    if value != value:
        return None
    if point.kind is Kind.NUMBER:
        return round(value, point.digits)
    if point.kind is Kind.BOOL:
        return bool(value)
    if point.kind is Kind.ENUM:
        return point.labels.get(int(value), value)
    return house.historian.catalogue.text(number or 0, value)


async def gaps(request: Request, device_id: DeviceId, span: Annotated[GapsSpan, Query()]) -> Response:
    """When a point had no usable reading, to the minute; the period's begin and end included.

    A point that is stored on change (`deadband`) has a reading each heartbeat at least; shorter gaps of it are none, so
    `least_s` of the answer may be longer than what was asked for.
    """
    it = _Asked(request, device_id, span)
    rows: dict[str, dict[str, Any]] = {}
    for point in it.points:
        least_s = span.least_s
        if point.deadband is not None:
            least_s = max(least_s, round(point.heartbeat_s + STALE_INTERVALS * point.interval_s))
        told = [questions.Gap(*it.period_us)]
        number = it.numbers.get(point.key)
        if number is not None:
            found = await questions.gaps(it.house.historian, [number], *it.period_us, least_s * 1_000_000)
            told = found[number]
        rows[point.key] = {
            "least_s": least_s,
            "start_ms": [one.start_us // 1000 for one in told],
            "end_ms": [one.end_us // 1000 for one in told],
        }
    return it.answer(rows)


async def counts(request: Request, device_id: DeviceId, span: Annotated[CountsSpan, Query()]) -> Response:
    """How many readings a point has a day: with a usable value (`count`), and without one (`gaps`)."""
    it = _Asked(request, device_id, span)
    found = await questions.counts(it.house.historian, list(it.numbers.values()), it.edges(span.by))
    told = {point.key: found.get(it.numbers.get(point.key, 0), []) for point in it.points}
    return it.answer(
        {
            key: {
                "start_ms": [one.start_us // 1000 for one in some],
                "count": [one.count for one in some],
                "gaps": [one.gaps for one in some],
            }
            for key, some in told.items()
        }
    )


async def track(request: Request, device_id: DeviceId, span: Annotated[Span, Query()]) -> Response:
    """Where a device was: of each point that is a position the places, WGS-84, oldest first.

    `altitude` is metres above the sea, null where it was not told; `quality` as in series.
    """
    it = _Asked(request, device_id, span)
    rows: dict[str, dict[str, Any]] = {}
    for point in it.points:
        if point.kind is not Kind.POSITION:
            raise mistake("points", f'"{point.key}" is a {point.kind}; write points that are positions')
        found = await it.house.track(it.device, point.key, *it.period_us)
        if len(found) > MOST_RAW:
            what = f"{point.key}: {len(found)} places, at most {MOST_RAW} are told; ask for less time"
            raise Problem("asked_too_much", {"what": what})
        latitude, longitude, altitude = found.values
        rows[point.key] = {
            "at_ms": (found.at_us // 1000).tolist(),
            "latitude": _numbers(latitude),
            "longitude": _numbers(longitude),
            "altitude": _numbers(altitude),
            "quality": found.quality.tolist(),
        }
    return it.answer(rows)


def _numbers(column: Any) -> list[float | None]:
    return [None if value != value else round(value, shape.POSITION_DIGITS) for value in column.tolist()]
