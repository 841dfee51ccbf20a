"""Makes a profile out for one device: settings put in, repeated parts written out, the hub's nameplate of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import log10
from typing import Any

from msgspec import structs

from drivers.modbus.rows import ActionRow, LineRules, Plate, Profile, Row
from drivers.modbus.sheet import near
from hub.contract import BadConfig
from hub.model import FOR_EVER_S, LINK, OUTAGE, Action, Interlock, Kind, LinkState, Nameplate, Point, Proof, Title

RTT = "link.rtt"
LINK_EVERY_S = 30.0  # said again so often even when nothing changes
_NTH = re.compile(r"\{n\}")

_LINK_POINTS = (
    Point(
        LINK,
        Kind.ENUM,
        interval_s=LINK_EVERY_S,
        labels=dict(enumerate(str(state) for state in LinkState)),
        label_titles={
            LinkState.UP: {"zh-CN": "在线", "en": "up"},
            LinkState.DEGRADED: {"zh-CN": "不稳定", "en": "degraded"},
            LinkState.DOWN: {"zh-CN": "中断", "en": "down"},
        },
        title={"zh-CN": "通信", "en": "Link"},
    ),
    Point(RTT, unit="ms", low=0.0, interval_s=LINK_EVERY_S, digits=1, title={"zh-CN": "往返时间", "en": "Round trip"}),
    Point(OUTAGE, Kind.BOOL, interval_s=FOR_EVER_S, title={"zh-CN": "属大面积中断", "en": "Part of an outage"}),
)


def make_out(profile: Profile, settings: Mapping[str, Any]) -> Plate:
    """The profile with these settings. Raises BadConfig."""
    values, line = _settings(profile, settings)
    rows = tuple(_with_settings(row, values) for row in _rows(profile, values))
    actions = {action.key: action for action in _actions(profile, values)}
    points = {point.key: point for point in _LINK_POINTS}
    points |= {row.key: _point(row, profile) for row in rows}
    plates = {key: _action(action) for key, action in actions.items()}
    return Plate(profile, rows, actions, values, line, Nameplate(points, plates))


def _settings(profile: Profile, settings: Mapping[str, Any]) -> tuple[dict[str, float], LineRules]:
    mistakes: list[str] = []
    values = {key: setting.default for key, setting in profile.settings.items()}
    line = structs.asdict(profile.line)
    for key, value in settings.items():
        setting = profile.settings.get(key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if setting is not None:
            if not number or (setting.whole and value != int(value)) or not setting.low <= value <= setting.high:
                kind = "a whole number" if setting.whole else "a number"
                wanted = f"{kind} from {setting.low:g} to {setting.high:g}"
                mistakes.append(f'settings › {key} is {value!r}. Write {wanted} ("{profile.name}")')
                continue
            values[key] = value
        elif key in line:
            if type(value) is not (bool if key == "merge" else int) or (value is not True and value < 0):
                mistakes.append(f"settings › {key} is {value!r}. Write what [line] of a profile takes")
                continue
            line[key] = value
        else:
            known = (*profile.settings, *line)
            mistakes.append(f'settings › "{key}" is not known here.{near(key, known)} Known: {", ".join(known)}')
    if mistakes:
        raise BadConfig(*mistakes)
    if not 1 <= line["max_count"] <= 125:
        raise BadConfig(f"settings › max_count is {line['max_count']}. Write a whole number from 1 to 125")
    return values, LineRules(**line)


def _rows(profile: Profile, values: Mapping[str, float]) -> Iterator[Row]:
    yield from profile.points
    for repeat in profile.repeats:
        for n in range(1, int(values.get(repeat.count, 0)) + 1):
            for row, step in repeat.points:
                yield structs.replace(
                    row, key=nth(row.key, n), at=row.at + (n - 1) * step, title=_title_nth(row.title, n)
                )


def _actions(profile: Profile, values: Mapping[str, float]) -> Iterator[ActionRow]:
    yield from profile.actions
    for repeat in profile.repeats:
        for n in range(1, int(values.get(repeat.count, 0)) + 1):
            for action, step in repeat.actions:
                yield _nth_action(action, n, (n - 1) * step)


def _nth_action(action: ActionRow, n: int, further: int) -> ActionRow:
    plate = dict(action.plate)
    proof: Proof | None = plate["proof"]
    locks: tuple[Interlock, ...] = plate["interlocks"]
    shake = action.handshake
    plate |= {
        "title": _title_nth(plate["title"], n),
        "target": nth(plate["target"], n),
        "proof": structs.replace(proof, point=nth(proof.point, n)) if proof else None,
        "interlocks": tuple(
            structs.replace(
                lock,
                point=nth(lock.point, n),
                limit=nth(lock.limit, n) if isinstance(lock.limit, str) else lock.limit,
                title=_title_nth(lock.title, n),
            )
            for lock in locks
        ),
    }
    return ActionRow(
        key=nth(action.key, n),
        writes=tuple(structs.replace(write, at=write.at + further) for write in action.writes),
        handshake=structs.replace(
            shake,
            at=shake.at + further,
            number_at=shake.number_at + further,
            result_at=shake.result_at + further,
            reasons=nth(shake.reasons, n),
        )
        if shake
        else None,
        plate=plate,
        refresh=tuple(nth(point, n) for point in action.refresh),
    )


def _with_settings(row: Row, values: Mapping[str, float]) -> Row:
    for key in row.times:
        row = structs.replace(row, scale=row.scale * values[key], offset=row.offset * values[key])
    return row


def _point(row: Row, profile: Profile) -> Point:
    labels = profile.labels.get(row.labels or row.flags, ())  # of flags too: people read their names
    return Point(
        key=row.key,
        kind=kind_of(row),
        unit=row.unit,
        low=row.low,
        high=row.high,
        interval_s=row.every_s,
        digits=_digits(row) if row.digits is None else row.digits,
        labels={label.code: label.label for label in labels},
        label_titles={label.label: label.title for label in labels},
        stuck_after_s=row.stuck_after_s,
        deadband=row.deadband,
        heartbeat_s=row.heartbeat_s,
        title=row.title,
    )


def _action(action: ActionRow) -> Action:
    return Action(key=action.key, **action.plate)


def kind_of(row: Row) -> Kind:
    if row.type == "bool" or row.bit is not None or row.when_in is not None:
        return Kind.BOOL
    if row.labels:
        return Kind.ENUM
    return Kind.TEXT if row.flags or row.type == "string" else Kind.NUMBER


def nth(text: str, n: int) -> str:
    return _NTH.sub(str(n), text)


def _title_nth(title: Title, n: int) -> Title:
    return {language: nth(text, n) for language, text in title.items()}


def _digits(row: Row) -> int:
    """As many decimals as one count is worth; 2 for floats."""
    if row.type in ("f32", "f64"):
        return 2
    return max(0, min(4, round(-log10(abs(row.scale))))) if abs(row.scale) < 1 else 0
