"""What is known now of one point of one device. The hot path writes it; rules, pages and interlocks read it."""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import Any

from hub.model import Kind, Point, Quality, Value, Words

NO_DATA_YET = Words("quality.no_data_yet")


class Slot:
    """The latest reading of a point. Mutable on purpose: one per point for the life of the device.

    Rules bind to slots directly and must treat `value` as unknown unless `quality` is GOOD.
    """

    __slots__ = (
        "at",
        "device",
        "heard",
        "high",
        "last_good",
        "last_good_at",
        "low",
        "numeric",
        "point",
        "quality",
        "received_at",
        "series",
        "unchanged_since",
        "value",
        "wakes",
        "why",
    )

    def __init__(self, device: str, point: Point, series: int) -> None:
        self.device = device
        self.point = point
        self.series = series  # the historian's number for it
        self.numeric = point.kind in (Kind.NUMBER, Kind.BOOL)
        self.low = -inf if point.low is None else point.low
        self.high = inf if point.high is None else point.high
        self.value: Value = None
        self.at: datetime | None = None
        self.received_at: datetime | None = None
        self.heard = -inf  # monotonic seconds of the last reading, good or not
        self.quality = Quality.BAD
        self.why: Words | None = NO_DATA_YET
        self.last_good: Value = None
        self.last_good_at: datetime | None = None
        self.unchanged_since: datetime | None = None
        self.wakes: tuple[Any, ...] = ()
