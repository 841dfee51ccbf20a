"""What only shows when all rows of a profile stand side by side: names that do not meet, registers that do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.modbus.plate import kind_of, make_out
from drivers.modbus.rows import ActionRow, Plate, Profile, Repeat, Row
from drivers.modbus.sheet import near
from hub.contract import BadConfig
from hub.model import LINK, Action, Kind
from protocols.modbus import registers

LAST_ADDRESS = 65535


def mistakes_between(profile: Profile) -> list[str]:
    """One line for each mistake, as "place › what. What to write"."""
    found = [f"{profile.file} › {line}" for line in (*_settings(profile), *_labels(profile))]
    if found:
        return found
    most = {key: setting.high for key, setting in profile.settings.items()}
    try:
        plate = make_out(profile, most)
    except BadConfig as bad:
        return [f"{profile.file} › {line}" for line in bad.mistakes]
    for line in (*_twice(profile, plate), *_overlaps(plate.rows), *_meanings(plate), *_actions(plate)):
        if f"{profile.file} › {line}" not in found:
            found.append(f"{profile.file} › {line}")
    return found


def _settings(profile: Profile) -> Iterator[str]:
    known = profile.settings
    for number, repeat in enumerate(profile.repeats, 1):
        setting = known.get(repeat.count)
        if setting is None:
            yield _no_setting(f"repeat number {number}", "count", repeat.count, known)
        elif not setting.whole or setting.low < 0:
            yield f'setting "{repeat.count}" › counts a repeat. Write whole = true and low = 0 or more'
    for row in _all_rows(profile):
        for key in row.times:
            if key not in known:
                yield _no_setting(f'point "{row.key}"', "times", key, known)


def _no_setting(place: str, key: str, name: str, known: object) -> str:
    names = list(known) if isinstance(known, dict) else []
    remedy = f"Write [settings.{name}] with default, low, high"
    return f'{place} › {key} is "{name}", which is no setting.{near(name, names)} {remedy}'


def _labels(profile: Profile) -> Iterator[str]:
    for row in _all_rows(profile):
        for key, name in (("labels", row.labels), ("flags", row.flags)):
            if name and name not in profile.labels:
                hint = f"{near(name, profile.labels)} Write one of [labels]: {', '.join(profile.labels) or 'none yet'}"
                yield f'point "{row.key}" › {key} is "{name}".{hint}'
    for name, labels in profile.labels.items():
        if len({label.label for label in labels}) < len(labels):
            yield f'labels "{name}" › has a label twice. Give every code its own'


def _all_rows(profile: Profile) -> Iterator[Row]:
    yield from profile.points
    for repeat in profile.repeats:
        yield from (row for row, _ in repeat.points)


def _twice(profile: Profile, plate: Plate) -> Iterator[str]:
    seen: set[str] = set()
    for row in plate.rows:
        if row.key in seen or row.key == LINK or row.key.startswith("link."):
            why = (
                "is a point that every device has"
                if row.key.startswith(LINK) and row.key not in seen
                else "stands twice"
            )
            yield f'point "{row.key}" › {why}. Give it another key'
        seen.add(row.key)
    keys = [action.key for action in profile.actions]
    for repeat in profile.repeats:
        keys += _written_out(repeat, profile)
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f'action "{key}" › stands twice. Give it another key'


def _written_out(repeat: Repeat, profile: Profile) -> list[str]:
    most = int(profile.settings[repeat.count].high)
    return [action.key.replace("{n}", str(n)) for n in range(1, most + 1) for action, _ in repeat.actions]


def _overlaps(rows: tuple[Row, ...]) -> Iterator[str]:
    """Two points may read one register each in its own way (bits, codes); partly shared registers are a mistake."""
    for row in rows:
        if row.end - 1 > LAST_ADDRESS:
            last = f"The last one is {LAST_ADDRESS}; check at and step"
            yield f'point "{row.key}" › ends at register {row.end - 1}. {last}'
    by_place = sorted(rows, key=lambda row: (row.fn, row.at, row.registers))
    for k, row in enumerate(by_place):
        for other in by_place[k + 1 :]:
            if other.fn != row.fn or other.at >= row.end:
                break
            if other.at == row.at and other.registers == row.registers and _share(row, other):
                continue
            yield (
                f'point "{other.key}" › its registers {_span(other)} overlap those of "{row.key}" ({_span(row)}). '
                "Check at, type and step; only bits, when_in, labels and flags may share a register"
            )


def _share(row: Row, other: Row) -> bool:
    """Whether both may stand on the same registers: each takes its own part or meaning of them."""
    ways = [
        (it.bit, it.bits, it.when_in, it.labels, it.flags, it.type if it.type in _HALVES else "") for it in (row, other)
    ]
    return row.registers == 1 and row.fn in (3, 4) and ways[0] != ways[1] and row.order == other.order


_HALVES = ("u8hi", "u8lo", "i8hi", "i8lo")


def _span(row: Row) -> str:
    return f"{row.at}" if row.registers == 1 else f"{row.at} to {row.end - 1}"


def _meanings(plate: Plate) -> Iterator[str]:
    for row in plate.rows:
        kind = kind_of(row)
        if row.unit and kind is not Kind.NUMBER:
            yield f'point "{row.key}" › has a unit and is {kind}. Leave the unit out'
        if kind is Kind.NUMBER and not row.title:
            yield f'point "{row.key}" › has no name. Write zh = "…", en = "…"'


def _actions(plate: Plate) -> Iterator[str]:
    points, actions = plate.nameplate.points, plate.nameplate.actions
    for key, action in actions.items():
        place = f'action "{key}"'
        for what, point in _points_of(action, plate.actions[key]):
            if point not in points:
                yield f'{place} › {what} is "{point}", which is no point.{near(point, points)} Write the key of a point'
        if action.proof and isinstance(action.proof.becomes, str) and action.proof.point in points:
            yield from _becomes(place, action, [*points[action.proof.point].labels.values()])
        yield from _values(place, plate.actions[key])
        if not action.title:
            yield f'{place} › has no name. Write zh = "…", en = "…"'
        if action.proof and action.proof.within_s > action.valid_s:
            yield f"{place} › valid_s is {action.valid_s:g}, less than within_s of its proof. Raise valid_s"


def _points_of(action: Action, row: ActionRow) -> Iterator[tuple[str, str]]:
    if action.proof:
        yield "proof", action.proof.point
    if row.handshake and row.handshake.reasons:
        yield "reasons", row.handshake.reasons
    for lock in action.interlocks:
        if lock.point:
            yield "interlock", lock.point
        if isinstance(lock.limit, str) and lock.limit.startswith("@"):
            yield "limit of an interlock", lock.limit[1:]


def _becomes(place: str, action: Action, labels: list[str]) -> Iterator[str]:
    assert action.proof is not None
    wanted = str(action.proof.becomes)
    args = [arg.key for arg in action.args]
    if wanted.startswith("$"):
        if wanted[1:] not in args:
            known = ", ".join(args) or "none"
            yield f'{place} › proof becomes "{wanted}", which is no argument. Write $ and one of: {known}'
    elif wanted not in labels:
        known = ", ".join(labels) or "true, false"
        yield f'{place} › proof becomes "{wanted}", which "{action.proof.point}" never is. Write one of: {known}'


def _values(place: str, row: ActionRow) -> Iterator[str]:
    for number, write in enumerate(row.writes, 1):
        if write.at > LAST_ADDRESS:
            yield f"{place} › write {number} is at {write.at}. The last register is {LAST_ADDRESS}"
        if write.value is None or write.bit is not None or write.fn in (5, 15):
            continue
        try:
            registers.codec(write.type, write.order).write(write.value)
        except ValueError as error:
            yield f"{place} › write {number}: {error}. Write a value that the register can hold"
    if row.handshake and row.handshake.result_at > LAST_ADDRESS:
        yield f"{place} › handshake ends at {row.handshake.result_at}. The last register is {LAST_ADDRESS}"
