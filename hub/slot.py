"""What is known now of one point of one device. The hot path writes it; rules, pages and interlocks read it."""

from __future__ import annotations

from datetime import datetime
from math import inf, nan
from typing import Any

from hub.model import Kind, Point, Quality, Value, Words

STALE_INTERVALS = 3  # a point is expected every interval_s; silence of so many of them makes it stale
LARGEST = 1e30  # a number beyond this is no measurement
Moment = tuple[datetime | None, datetime | None, float]
NEVER: Moment = (None, None, -inf)
NO_DATA_YET = Words("quality.no_data_yet")


class Heard:
    """The moment of the last reading: `at`, `received_at`, monotonic seconds. Points that are read together share it.

    `calm` is for the hand that they are read in (hub/hand.py), and ends when one of them is taken or changed alone.
    """

    __slots__ = ("calm", "moment")

    def __init__(self, moment: Moment = NEVER) -> None:
        self.moment = moment
        self.calm = False


class Slot:
    """The latest reading of a point. Mutable on purpose: one per point for the life of the device.

    Rules bind to slots directly and read `trusted`: the value while it can be believed, else None.
    """

    __slots__ = (
        "beside",
        "calm",
        "codes",
        "device",
        "heard_in",
        "plain",
        "point",
        "quality",
        "series",
        "stale_after_s",
        "stored",
        "stuck_after_s",
        "stuck_at",
        "trusted",
        "valid_high",
        "valid_low",
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
        self.beside: tuple[
            int, ...
        ] = ()  # of a position: those of its longitude and altitude; `series` is the latitude's
        self.plain = point.kind is Kind.NUMBER  # a GOOD value inside low..high needs no further judgement
        self.codes: dict[str, int] = {label: code for code, label in point.labels.items()}
        self.stale_after_s = STALE_INTERVALS * point.interval_s
        self.stuck_after_s = inf if point.stuck_after_s is None else point.stuck_after_s
        # In the range of what is no number is nothing.
        self.valid_low = inf if not self.plain else -LARGEST if point.low is None else point.low
        self.valid_high = -inf if not self.plain else LARGEST if point.high is None else point.high
        self.value: Value = None
        self.trusted: Value = None  # the value when it is GOOD, of its kind and of this world
        self.stored: Any = nan  # what the historian keeps for `value`; not kept up for plain ones
        self.heard_in = Heard()  # the moment of the last reading, good or not
        self.stuck_at = inf  # monotonic seconds at which it has not moved for stuck_after_s
        self.calm = False  # GOOD, and nothing is to be said of it
        self.quality = Quality.BAD
        self.why: Words | None = NO_DATA_YET
        self.was_good: Value = None  # the last good value, kept when it stopped being good
        self.was_good_at: datetime | None = None
        self.wakes: dict[Any, None] = {}  # the rules that read this point (a set that keeps its order)

    @property
    def at(self) -> datetime | None:
        return self.heard_in.moment[0]

    @property
    def received_at(self) -> datetime | None:
        return self.heard_in.moment[1]

    @property
    def heard(self) -> float:
        """Monotonic seconds."""
        return self.heard_in.moment[2]

    def hear(self, heard: Heard) -> None:
        """It was read in this moment, which it shares with the others that were."""
        self.heard_in.calm = False
        self.heard_in = heard

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
        self.trusted = self._worth(value) if quality is Quality.GOOD else None
        self.heard_in.calm = False
        return True

    def put(self, value: Value, quality: Quality, at: datetime, received_at: datetime | None = None) -> None:
        """Take on a reading as it is, unjudged: for the tables that prove rules."""
        self.change(value, value, quality, None, self.heard)
        self.hear(Heard((at, received_at or at, self.heard)))

    def _worth(self, value: Value) -> Value:
        """What rules may make of a GOOD value: on and off are True and False, what is not of its kind is nothing."""
        match self.point.kind:
            case Kind.NUMBER:
                measured = isinstance(value, float | int) and -LARGEST < value < LARGEST
                return value if measured else None
            case Kind.BOOL:
                return True if value == 1 else False if value == 0 else None
            case Kind.POSITION:
                return value
            case _:
                return value if isinstance(value, str) else None

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
