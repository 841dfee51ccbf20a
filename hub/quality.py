"""How far a reading can be believed: range, clock, stuck sensor, silence. Pure; the hub asks on every reading.

The common case (a GOOD number inside its range) is decided in Hub.take itself; everything else comes here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.model import Kind, Quality, Reading, Value, Words
from hub.slot import Slot

MAX_AHEAD_S = 10.0  # a device's clock may be so far ahead of ours before its times are not believed
BAD_AFTER_STALE_S = 30.0  # a stale value (UNCERTAIN) becomes BAD when the silence lasts so much longer …
BAD_AFTER_STALE_INTERVALS = 9  # … or so many intervals in all, whichever is later

Judged = tuple[Value, Quality, Words | None]


def judge(slot: Slot, reading: Reading) -> Judged:
    """The value with its quality and the reason; never better than what the driver said of it."""
    value, quality, why = reading.value, reading.quality, reading.why
    if quality is not Quality.GOOD:
        return value, quality, why or Words("quality.device_says_so")
    kind = slot.point.kind
    if value is None:
        return None, Quality.BAD, Words("quality.no_value")
    if kind is Kind.ENUM:
        if value not in slot.codes:
            return None, Quality.UNCERTAIN, Words("quality.unknown_code", {"code": value})
    elif kind in (Kind.NUMBER, Kind.BOOL) and not slot.low <= value <= slot.high:  # type: ignore[operator]
        return _out_of_range(slot, value)
    return _moving(slot, reading)


def clock_ahead(at: datetime, received_at: datetime) -> Words | None:
    """Why the device's time cannot be used, if it cannot: a time from the future would shadow all true ones."""
    ahead_s = (at - received_at).total_seconds()
    return Words("quality.clock_ahead", {"ahead_s": ahead_s}) if ahead_s > MAX_AHEAD_S else None


def silence(slot: Slot, silent_s: float) -> tuple[Quality, Words] | None:
    """What a value is worth after `silent_s` without a reading; None when it is still what it was."""
    if silent_s <= slot.stale_after_s or slot.quality is Quality.BAD:
        return None
    interval_s = slot.point.interval_s
    bad = silent_s > max(slot.stale_after_s + BAD_AFTER_STALE_S, BAD_AFTER_STALE_INTERVALS * interval_s)
    quality = Quality.BAD if bad else Quality.UNCERTAIN
    if quality is slot.quality:
        return None
    return quality, Words("quality.stale", {"age_s": round(silent_s, 1), "every_s": interval_s})


def _moving(slot: Slot, reading: Reading) -> Judged:
    """A live sensor that does not move at all for long is believed less."""
    limit_s = slot.point.stuck_after_s
    if limit_s is None:
        return reading.value, Quality.GOOD, None
    if reading.value != slot.value or slot.unchanged_since is None:
        slot.unchanged_since = reading.at
    elif reading.at - slot.unchanged_since > timedelta(seconds=limit_s):
        minutes = (reading.at - slot.unchanged_since).total_seconds() / 60
        return reading.value, Quality.UNCERTAIN, Words("quality.stuck", {"minutes": round(minutes, 1)})
    return reading.value, Quality.GOOD, None


def _out_of_range(slot: Slot, value: Value) -> Judged:
    """A number that cannot be true: shown, never believed. NaN is no value at all."""
    if value is None or value != value:
        return None, Quality.BAD, Words("quality.no_value")
    point = slot.point
    args = {"value": value, "low": point.low, "high": point.high, "unit": point.unit}
    return value, Quality.BAD, Words("quality.out_of_range", args)
