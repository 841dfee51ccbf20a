"""The one place where the nouns of the house become JSON.

Records (an alarm, a command) have times as RFC 3339 text in UTC. Columns (states, series) have whole milliseconds since
1970, `…_ms`. A value is a number, true or false, a text, [latitude, longitude] or null; an enum is its label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from hub.model import (
    Action,
    Alarm,
    AlarmChange,
    Area,
    Arg,
    Command,
    CommandRecord,
    Device,
    Interlock,
    Nameplate,
    Point,
    Position,
    Proof,
    Quality,
    Receipt,
    Shelving,
    Title,
    Value,
    Words,
)
from hub.slot import Slot
from hub.words import LANGUAGES, Catalogue

GOOD = Quality.GOOD
POSITION_DIGITS = 6  # a tenth of a metre

_encoder = msgspec.json.Encoder(enc_hook=repr)
encode = _encoder.encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(at: datetime) -> int:
    """Whole milliseconds since 1970."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def value(it: Value) -> Any:
    return [it.latitude, it.longitude] if type(it) is Position else it


# ---- states: the hot one ------------------------------------------------------------------------------------------


def state(slots: Iterable[Slot]) -> bytes:
    """A device's latest values, in its nameplate's order of points, as JSON. Numbers are rounded to the point's digits.

    {"v": [value, …], "q": [quality, …]} and, for points that are not good (by their number):
    "why": {"3": {"key": …, "args": …}}, "last": {"3": [last good value, its time in ms]}
    """
    values: list[Any] = []
    qualities: list[int] = []
    why: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for number, slot in enumerate(slots):
        values.append(_short(slot.value, slot.point.digits))
        qualities.append(slot.quality)
        if slot.quality is not GOOD:
            why[str(number)] = slot.why
            if slot.last_good_at is not None:
                last[str(number)] = [_short(slot.last_good, slot.point.digits), ms(slot.last_good_at)]
    told: dict[str, Any] = {"v": values, "q": qualities}
    if why:
        told["why"] = why
    if last:
        told["last"] = last
    return encode(told)


def _short(it: Value, digits: int) -> Any:
    kind = type(it)
    if kind is float:
        return round(it, digits)  # type: ignore[arg-type]
    if kind is Position:
        return [round(it.latitude, POSITION_DIGITS), round(it.longitude, POSITION_DIGITS)]  # type: ignore[union-attr]
    return it


# ---- sentences ----------------------------------------------------------------------------------------------------


def sentence(catalogue: Catalogue, it: Words | None) -> dict[str, Any] | None:
    """A sentence with its key and values, and written out in both languages."""
    if it is None:
        return None
    text = {language: catalogue.say(it, language) for language in LANGUAGES}
    return {"key": it.key, "args": it.args, "text": text}


def title(it: Title | str) -> dict[str, str]:
    """A name in both languages; one that is the same in both is said twice."""
    if isinstance(it, str):
        return dict.fromkeys(LANGUAGES, it)
    some = next(iter(it.values()), "")
    return {language: it.get(language, some) for language in LANGUAGES}


# ---- what stands ---------------------------------------------------------------------------------------------------


def device(it: Device) -> dict[str, Any]:
    return {
        "id": it.id,
        "name": it.name,
        "kind": it.kind,
        "area": it.area,
        "profile": it.profile,
        "driver": it.driver,
    }


def area(it: Area) -> dict[str, Any]:
    return {"code": it.code, "name": it.name, "parent": it.parent}


def reading(catalogue: Catalogue, slot: Slot) -> dict[str, Any]:
    """A point's latest reading, whole: for one device, not for hot lists."""
    told = {
        "point": slot.point.key,
        "value": value(slot.value),
        "unit": slot.point.unit,
        "quality": slot.quality.name.lower(),
        "at": slot.at,
        "received_at": slot.received_at,
        "why": sentence(catalogue, slot.why),
    }
    if slot.quality is not GOOD:
        told |= {"last_good": value(slot.last_good), "last_good_at": slot.last_good_at}
    return told


def nameplate(it: Nameplate) -> dict[str, Any]:
    return {
        "points": [point(one) for one in it.points.values()],
        "actions": [action(one) for one in it.actions.values()],
    }


def point(it: Point) -> dict[str, Any]:
    return {
        "key": it.key,
        "kind": it.kind,
        "unit": it.unit,
        "low": it.low,
        "high": it.high,
        "digits": it.digits,
        "interval_s": it.interval_s,
        "labels": [{"label": label, "title": title(it.label_titles.get(label, label))} for label in it.labels.values()],
        "title": title(it.title or it.key),
    }


def action(it: Action) -> dict[str, Any]:
    return {
        "key": it.key,
        "title": title(it.title or it.key),
        "target": it.target,
        "hazard": it.hazard,
        "safety": it.safety,
        "valid_s": it.valid_s,
        "args": [_arg(one) for one in it.args],
        "proof": _proof(it.proof),
        "interlocks": [_interlock(one) for one in it.interlocks],
    }


def _arg(it: Arg) -> dict[str, Any]:
    return {
        "key": it.key,
        "unit": it.unit,
        "low": it.low,
        "high": it.high,
        "choices": it.choices,
        "title": title(it.title or it.key),
    }


def _proof(it: Proof | None) -> dict[str, Any] | None:
    if it is None:
        return None
    return {"point": it.point, "becomes": it.becomes, "within_s": it.within_s, "tolerance": it.tolerance}


def _interlock(it: Interlock) -> dict[str, Any]:
    return {
        "point": it.point,
        "test": it.test,
        "limit": it.limit,
        "count": it.count,
        "per_s": it.per_s,
        "title": title(it.title or it.point),
    }


# ---- what happens -------------------------------------------------------------------------------------------------


def alarm(it: Alarm) -> dict[str, Any]:
    return {
        "id": it.id,
        "device": it.device,
        "rule": it.rule,
        "severity": it.severity,
        "state": it.state,
        "since": it.since,
        "raised_at": it.raised_at,
        "returned_at": it.returned_at,
        "acknowledged_at": it.acknowledged_at,
        "acknowledged_by": it.acknowledged_by,
        "count": it.count,
        "remarks": it.remarks,
        "chatters": it.chatters,
        "shelved": shelving(it.shelved),
        "suppressed": None if it.suppressed is None else {"at": it.suppressed.at, "say": title(it.suppressed.say)},
        "say": title(it.say),
        "do": title(it.do),
        "facts": {key: value(fact) for key, fact in it.facts.items()},
    }


def shelving(it: Shelving | None) -> dict[str, Any] | None:
    return None if it is None else {"until": it.until, "by": it.by, "note": it.note, "at": it.at}


def alarm_change(it: AlarmChange) -> dict[str, Any]:
    return {
        "alarm": it.alarm,
        "event": it.event,
        "device": it.device,
        "rule": it.rule,
        "at": it.at,
        "since": it.since,
        "severity": it.severity,
        "by": it.by,
        "note": it.note,
        "until": it.until,
        "say": title(it.say),
        "facts": {key: value(fact) for key, fact in it.facts.items()},
    }


def command(catalogue: Catalogue, it: CommandRecord) -> dict[str, Any]:
    """`stage` is null while nothing has left the house; `final` says that no more receipts will come."""
    ask: Command = it.command
    return {
        "id": ask.id,
        "device": ask.device,
        "action": ask.action,
        "args": ask.args,
        "asked_by": ask.asked_by,
        "because": ask.because,
        "asked_at": ask.asked_at,
        "deadline": ask.deadline,
        "stage": it.stage,
        "final": it.final,
        "receipts": [receipt(catalogue, one) for one in it.receipts],
    }


def receipt(catalogue: Catalogue, it: Receipt) -> dict[str, Any]:
    return {"stage": it.stage, "at": it.at, "words": sentence(catalogue, it.words)}


# ---- what was -----------------------------------------------------------------------------------------------------


RAW = ("at_us", "value", "quality")
AGGREGATES = ("count", "gaps", "min", "max", "mean", "last")
BUCKETS = ("start_us", *AGGREGATES)
_WHOLE = ("count", "gaps")


def columns(it: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """These columns of one series as lists; NaN is null. A series that has nothing yet is None."""
    told: dict[str, list[Any]] = {}
    for name in names:
        column = None if it is None else getattr(it, name)
        if column is not None and name.endswith("_us"):
            column = column // 1000
        told[_in_ms(name)] = [] if column is None else column.tolist()
    return told


def blocks(it: Any, names: Sequence[str]) -> list[tuple[str, str, int, bytes]]:
    """The same as (name, type, count, little-endian bytes): times and values as f64, counts as u32, quality as u8."""
    told = []
    for name in names:
        kind = "u1" if name == "quality" else "u4" if name in _WHOLE else "f8"
        column = None if it is None else getattr(it, name)
        if column is not None and name.endswith("_us"):
            column = column // 1000
        block = b"" if column is None else column.astype("<" + kind).tobytes()
        told.append((_in_ms(name), kind, 0 if column is None else len(column), block))
    return told


def _in_ms(name: str) -> str:
    return name[:-3] + "_ms" if name.endswith("_us") else name


def plain(it: Any) -> Any:
    """Whatever the house tells about itself, as JSON can hold it."""
    if isinstance(it, bytes):
        return it.hex(" ")
    if isinstance(it, Mapping):
        return {str(key): plain(one) for key, one in it.items()}
    if isinstance(it, list | tuple | set | frozenset):
        return [plain(one) for one in it]
    if isinstance(it, msgspec.Struct):
        return {name: plain(getattr(it, name)) for name in it.__struct_fields__}
    return it
