"""What is known now of one point of one device. The hot path writes it; rules, pages and interlocks read it."""

from __future__ import annotations

from datetime import datetime
from math import inf, nan
from sys import float_info
from typing import Any

from hub.model import Kind, Point, Quality, Value, Words

STALE_INTERVALS = 3  # a point is expected every interval_s; silence of so many of them makes it stale
LARGEST = float_info.max  # what is beyond is no number of this world: infinity, or an integer no float can hold
Moment = tuple[datetime | None, datetime | None, float]
NEVER: Moment = (None, None, -inf)
NO_DATA_YET = Words("quality.no_data_yet")


class Slot:
    """The latest reading of a point. Mutable on purpose: one per point for the life of the device.

    Rules bind to slots directly and must treat `value` as unknown unless `quality` is GOOD.
    """

    __slots__ = (
        "calm",
        "codes",
        "device",
        "high",
        "low",
        "moment",
        "plain",
        "point",
        "quality",
        "series",
        "stale_after_s",
        "sticks",
        "stored",
        "stuck_after_s",
        "stuck_at",
        "value",
        "wakes",
        "was_good",
        "was_good_at",
        "why",
    )

    def __init__(self, device: str, point: Point, series: int) -> None:
        self.device = device
        self.point = point
        self.series = series  # the historian's number for it
        self.plain = point.kind is Kind.NUMBER  # a GOOD value inside low..high needs no further judgement
        self.codes: dict[str, int] = {label: code for code, label in point.labels.items()}
        self.stale_after_s = STALE_INTERVALS * point.interval_s
        self.sticks = point.stuck_after_s is not None
        self.stuck_after_s = inf if point.stuck_after_s is None else point.stuck_after_s
        self.low = -LARGEST if point.low is None else point.low
        self.high = LARGEST if point.high is None else point.high
        self.value: Value = None
        self.stored: Any = nan  # what the historian keeps for `value`
        self.moment = NEVER  # `at`, `received_at` and `heard` of the last reading, good or not
        self.stuck_at = inf  # monotonic seconds at which it has not moved for stuck_after_s
        self.calm = False  # GOOD, and nothing is to be said of it
        self.quality = Quality.BAD
        self.why: Words | None = NO_DATA_YET
        self.was_good: Value = None  # the last good value, kept when it stopped being good
        self.was_good_at: datetime | None = None
        self.wakes: dict[Any, None] = {}  # the rules that read this point (a set that keeps its order)

    @property
    def at(self) -> datetime | None:
        return self.moment[0]

    @property
    def received_at(self) -> datetime | None:
        return self.moment[1]

    @property
    def heard(self) -> float:
        """Monotonic seconds."""
        return self.moment[2]

    def change(self, value: Value, stored: Any, quality: Quality, why: Words | None, heard: float) -> bool:
        """Take this on; whether value, quality or reason are others than before.

        The last good value is kept when it stops being good. `heard` inf: nothing was heard, and once something is, the
        time that it may stay unmoved begins anew.
        """
        moved = value is not None and value != self.newest_value  # that it is away for a moment is no movement
        if moved or self.stuck_at == inf or heard == inf:
            self.stuck_at = inf if self.stuck_after_s == inf else heard + self.stuck_after_s
        if value == self.value and quality is self.quality and why == self.why:
            return False
        if self.quality is Quality.GOOD and quality is not Quality.GOOD:
            self.was_good, self.was_good_at = self.value, self.at
        self.value = value
        self.stored = stored
        self.quality = quality
        self.why = why
        self.calm = quality is Quality.GOOD and why is None
        return True

    @property
    def newest_value(self) -> Value:
        """The value, or the last good one while there is none."""
        return self.was_good if self.value is None else self.value

    @property
    def last_good(self) -> Value:
        """The newest value that was GOOD, for "last known" on a page; None when there never was one."""
        return self.value if self.quality is Quality.GOOD else self.was_good

    @property
    def last_good_at(self) -> datetime | None:
        return self.at if self.quality is Quality.GOOD else self.was_good_at
