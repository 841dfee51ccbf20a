"""How far a reading can be believed: kind, range, clock, stuck sensor, silence. Pure; the hub asks on every reading.

The common case (nothing changed, or a GOOD number in its range) is decided in hub/hand.py; the rest comes here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.model import Kind, Position, Quality, Reading, Value, Words
from hub.slot import LARGEST, Slot

MAX_AHEAD_S = 10.0  # a device's clock may be so far ahead of ours before its times are not believed
MAX_BEHIND_S = 600.0  # what was measured so long before it came in is history: shown, but no ground to act on
BAD_AFTER_STALE_S = 30.0  # a stale value (UNCERTAIN) becomes BAD when the silence lasts so much longer …
BAD_AFTER_STALE_INTERVALS = 9  # … or so many intervals in all, whichever is later
SHOWN_OF_WRONG = 40  # characters of a value that is not what the point's values are

STALE = "quality.stale"
_AHEAD = timedelta(seconds=MAX_AHEAD_S)
_BEHIND = timedelta(seconds=MAX_BEHIND_S)

Judged = tuple[Value, Quality, Words | None]


def judge(slot: Slot, reading: Reading, heard: float) -> Judged:
    """The value with its quality and the reason: the driver's word or the house's own, whichever believes less.

    `heard` is the monotonic time at which the reading came in.
    """
    said, why = reading.quality, reading.why
    if reading.value is None:
        if said is not Quality.GOOD:
            return None, said, why or Words("quality.device_says_so")
        return None, Quality.BAD, why or Words("quality.no_value")
    value, quality, doubt = _possible(slot, reading.value)
    if quality is Quality.GOOD and said is Quality.GOOD and _is_stuck(slot, value, heard):
        minutes = (heard - slot.stuck_at + slot.stuck_after_s) / 60
        quality, doubt = Quality.UNCERTAIN, Words("quality.stuck", {"minutes": round(minutes)})
    if said is Quality.GOOD:
        return value, quality, doubt or why
    if quality < said:
        return value, quality, doubt
    return value, said, why or Words("quality.device_says_so")


def when(at: datetime, received_at: datetime) -> tuple[datetime, Words | None, Words | None]:
    """The time that a reading counts for; why the device's own cannot be used, if so; why it is history only, if so.

    A time from the future would shadow all true ones: ours takes its place. And a truck that leaves a tunnel unloads
    an hour of positions, the oldest first: they are true, they may be the newest there are, and they ring no alarms.
    """
    if at - received_at > _AHEAD:
        ahead_s = round((at - received_at).total_seconds())
        return received_at, Words("quality.clock_ahead", {"ahead_s": ahead_s}), None
    if received_at - at > _BEHIND:
        return at, None, Words("quality.old", {"minutes": round((received_at - at).total_seconds() / 60)})
    return at, None, None


def from_wrong_clock(newest: datetime, received_at: datetime) -> bool:
    """Whether the newest time we have lies in the future: our own clock was wrong and has been set back since."""
    return newest - received_at > _AHEAD


def silence(slot: Slot, silent_s: float) -> tuple[Quality, Words] | None:
    """What a value is worth after `silent_s` without a reading; None when it is still what it was."""
    if silent_s <= slot.stale_after_s or slot.quality is Quality.BAD:
        return None
    interval_s = slot.point.interval_s
    bad = silent_s > max(slot.stale_after_s + BAD_AFTER_STALE_S, BAD_AFTER_STALE_INTERVALS * interval_s)
    quality = Quality.BAD if bad else Quality.UNCERTAIN
    if quality is slot.quality and slot.why is not None and slot.why.key == STALE:
        return None
    return quality, Words(STALE, {"age_s": round(silent_s, 1), "every_s": interval_s})


def _is_stuck(slot: Slot, value: Value, heard: float) -> bool:
    """A live sensor that does not move at all for long is believed less."""
    return heard >= slot.stuck_at and value == slot.newest_value


def _possible(slot: Slot, value: Value) -> Judged:
    """The value as its point has it, and whether it can be true."""
    kind = slot.point.kind
    if kind is Kind.NUMBER:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _in_range(slot, value)
    elif kind is Kind.BOOL:
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value), Quality.GOOD, None
    elif kind is Kind.ENUM:
        if isinstance(value, str | int) and value in slot.codes:
            return value, Quality.GOOD, None
        return None, Quality.UNCERTAIN, Words("quality.unknown_code", {"code": _shown(value)})
    elif kind is Kind.POSITION:
        if isinstance(value, Position):
            on_earth = -90 <= value.latitude <= 90 and -180 <= value.longitude <= 180
            return (value, Quality.GOOD, None) if on_earth else (None, Quality.BAD, Words("quality.no_value"))
    elif isinstance(value, str):
        return value, Quality.GOOD, None
    return None, Quality.BAD, Words("quality.wrong_kind", {"value": _shown(value), "kind": kind.value})


def _in_range(slot: Slot, value: float) -> Judged:
    """A number that cannot be true is shown, never believed. NaN and infinity are no value at all."""
    if not -LARGEST <= value <= LARGEST:
        return None, Quality.BAD, Words("quality.no_value")
    if slot.valid_low <= value <= slot.valid_high:
        return value, Quality.GOOD, None
    low = "−∞" if slot.valid_low == -LARGEST else slot.valid_low
    high = "∞" if slot.valid_high == LARGEST else slot.valid_high
    args = {"value": value, "low": low, "high": high, "unit": slot.point.unit}
    return value, Quality.BAD, Words("quality.out_of_range", args)


def _shown(value: Value) -> str:
    if isinstance(value, int) and abs(value) > LARGEST:
        return "…"  # Python refuses to write out thousands of digits
    return str(value)[:SHOWN_OF_WRONG]
