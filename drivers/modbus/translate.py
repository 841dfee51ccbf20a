"""Registers to readings, and commands to what is written: the only place where physics begins. Pure.

A `Decoder` is made once for each block of each device and is then called with the bytes of every reply; what can be
known beforehand (places, scales, labels) is known beforehand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from math import isfinite
from operator import itemgetter
from typing import Any, cast

from msgspec import Struct

from drivers.modbus.rows import BIT_FUNCTIONS, ActionRow, Label, Row, WriteRow
from hub.model import Quality, Reading, Value, Words
from protocols.modbus import pdu
from protocols.modbus.registers import Codec, codec

NO_VALUE = Words("modbus.no_value")
MISSING = Words("modbus.missing")
JITTER = Words("modbus.jitter")
NO_ANSWER = Words("modbus.no_answer")
LINE_DOWN = Words("modbus.line_down")
GATEWAY = (10, 11)  # exceptions that a gateway says: behind it nobody answers

Look = Callable[[Any], Value]  # from the number in the registers to a point's value; None: no value


class Verdict(Struct, frozen=True):
    """What an exception reply (or silence) says of the values that were asked for."""

    quality: Quality
    why: Words
    hold: bool = False  # what was read last is in doubt, not gone; for a while


def verdict_of(code: int) -> Verdict:
    """What exception `code` says (modbus.md §8)."""
    key = {
        1: "modbus.not_supported",
        2: "modbus.not_supported",
        3: "modbus.not_supported",
        4: "modbus.device_failure",
        5: "modbus.busy",
        6: "modbus.busy",
        8: "modbus.device_failure",
        10: "modbus.gateway",
        11: "modbus.gateway",
    }.get(code, "modbus.exception")
    hold = key == "modbus.busy"
    return Verdict(Quality.UNCERTAIN if hold else Quality.BAD, Words(key, {"code": code}), hold)


def by_gateway(raw: bytes) -> bool:
    """Whether this answer is a gateway's, which does not reach the unit."""
    return raw[0] & 0x80 != 0 and raw[1] in GATEWAY


# ---- reading ------------------------------------------------------------------------------------------------------


class Decoder:
    """Makes the readings of one block of one device. Keeps the last ones, to know what an answer that is missing takes
    away."""

    def __init__(
        self, device: str, at: int, fn: int, rows: Sequence[Row], labels: Mapping[str, Sequence[Label]]
    ) -> None:
        self.device = device
        self.rows = rows
        self._last: list[Reading] = []
        self._words = fn not in BIT_FUNCTIONS
        self._coils = [(row.key, row.at - at) for row in rows]
        if not self._words:
            return
        fields = _fields(rows)
        code, places = _layout(at, fields)
        self._unpack = struct.Struct(code).unpack_from
        self._reorder = itemgetter(*places) if places else None
        self._plain: list[tuple[int, str]] = []
        self._parts: list[tuple[int, str, float]] = []
        self._floats: list[tuple[int, str, float]] = []
        self._bits: list[tuple[int, str, int]] = []
        self._looks: list[tuple[int, str, Look]] = []
        for number, (shared, _) in enumerate(fields):
            wide = len({_number(row).code for row in shared}) > 1
            for row in shared:
                self._sort_in(number, row, labels, wide)

    def _sort_in(self, number: int, row: Row, labels: Mapping[str, Sequence[Label]], wide: bool) -> None:
        """Each row goes to the cheapest loop that can do it."""
        fraction = _fraction(row)
        easy = not (row.no_value or row.wrap or row.offset or row.bits or wide or row.type in _HAND_MADE or _coded(row))
        if row.bit is not None and not wide:
            self._bits.append((number, row.key, 1 << row.bit))
        elif easy and row.type in ("f32", "f64"):
            self._floats.append((number, row.key, row.scale))
        elif easy and row.scale == 1:
            self._plain.append((number, row.key))
        elif easy and fraction:
            self._parts.append((number, row.key, fraction))
        else:
            self._looks.append((number, row.key, look(row, labels, wide)))

    def readings(self, data: bytes, at: datetime) -> list[Reading]:
        """What this reply says. `data` as on the wire, after the byte count."""
        device = self.device
        if not self._words:
            bits = int.from_bytes(data, "little")
            found = [Reading(device, key, bits >> place & 1 == 1, at, at) for key, place in self._coils]
            self._last = found
            return found
        values = self._unpack(bytes(self._reorder(data)) if self._reorder else data)
        found = [Reading(device, key, values[n] / part, at, at) for n, key, part in self._parts]
        if self._plain:
            found += [Reading(device, key, values[n], at, at) for n, key in self._plain]
        if self._floats:
            found += [
                Reading(device, key, x * scale, at, at)
                if (x := values[n]) - x == 0.0  # neither NaN nor infinite
                else Reading(device, key, None, at, at, Quality.BAD, NO_VALUE)
                for n, key, scale in self._floats
            ]
        if self._bits:
            found += [Reading(device, key, values[n] & mask != 0, at, at) for n, key, mask in self._bits]
        if self._looks:
            found += [
                Reading(device, key, value, at, at)
                if (value := look(values[n])) is not None
                else Reading(device, key, None, at, at, Quality.BAD, NO_VALUE)
                for n, key, look in self._looks
            ]
        self._last = found
        return found

    def without(self, verdict: Verdict, at: datetime) -> list[Reading]:
        """What is to be said of the block's points when there is no usable reply: nothing was measured, so there is no
        value. The hub keeps the last good one and its time; to say it again would make a new measurement of it.
        """
        quality, why = verdict.quality, verdict.why
        if verdict.hold and self._last:
            return [Reading(r.device, r.point, None, at, at, min(quality, r.quality), why) for r in self._last]
        return [Reading(self.device, row.key, None, at, at, Quality.BAD, why) for row in self.rows]


_HAND_MADE = ("bcd16", "bcd32", "string", "u8hi", "u8lo", "i8hi", "i8lo", "bool")
_Field = tuple[list[Row], Codec]


def _number(row: Row) -> Codec:
    """The codec that unpacks the row's registers; halves of a register are taken out of the whole."""
    if row.type == "string":
        return codec("string", row.order, row.length, row.encoding)
    return codec("u16", row.order) if row.type in ("u8hi", "u8lo", "i8hi", "i8lo") else codec(row.type, row.order)


def _fields(rows: Iterable[Row]) -> list[_Field]:
    """Rows by the registers that they share, in the order of these, with the codec for them."""
    by_place = sorted(rows, key=lambda row: row.at)
    fields: list[_Field] = []
    for _, group in groupby(by_place, key=lambda row: row.at):
        shared = list(group)
        codecs = {_number(row).code: _number(row) for row in shared}
        one = next(iter(codecs.values())) if len(codecs) == 1 else codec("u16", shared[0].order)
        fields.append((shared, one))
    return fields


def _layout(at: int, fields: Sequence[_Field]) -> tuple[str, list[int]]:
    """One struct over the whole block, and the order in which its bytes must come (empty: as they are)."""
    code = ">"
    places: list[int] = []
    after = at
    for shared, one in fields:
        begin = shared[0].at
        code += f"{2 * (begin - after)}x" if begin > after else ""
        places += range(2 * (after - at), 2 * (begin - at))
        code += one.code
        places += [2 * (begin - at) + place for place in one.places]
        after = begin + one.registers
    return code, [] if places == list(range(len(places))) else places


def _coded(row: Row) -> bool:
    return bool(row.labels or row.flags or row.when_in)


def _fraction(row: Row) -> float:
    """What to divide by, when one count is a whole part of the unit: 123 / 10 is 12.3, and 123 * 0.1 is not."""
    part = round(1 / row.scale) if row.scale else 0
    return float(part) if part > 1 and abs(part * row.scale - 1) < 1e-12 else 0.0


def look(row: Row, labels: Mapping[str, Sequence[Label]], wide: bool = False) -> Look:
    """From the number in the registers to the value of the point, for rows that need more than one multiplication.

    `wide`: the register is shared and comes as u16, whatever the row's own type is.
    """
    first = _first(row, wide)
    if row.bit is not None:
        mask = 1 << row.bit
        return lambda raw: raw & mask != 0
    if row.type == "bool":
        return lambda raw: raw != 0
    if row.type == "string":
        text = codec("string", length=row.length, encoding=row.encoding)
        return lambda raw: text.read(raw)
    if row.when_in is not None:
        when_in = row.when_in
        return lambda raw: first(raw) in when_in
    if row.flags:
        return _flags(labels[row.flags])
    if row.labels:
        names = {label.code: label.label for label in labels[row.labels]}
        return lambda raw: names.get(first(raw), first(raw))  # a code that is not known is judged by the hub
    return _measure(row, first)


def _first(row: Row, wide: bool) -> Callable[[Any], Any]:
    """The number that the row means, out of the number that its registers hold."""
    if row.bits is not None:
        low, high = row.bits
        mask = (1 << (high - low + 1)) - 1
        return lambda raw: raw >> low & mask
    match row.type:
        case "u8hi":
            return lambda raw: raw >> 8
        case "u8lo":
            return lambda raw: raw & 0xFF
        case "i8hi":
            return lambda raw: (raw >> 8 ^ 0x80) - 0x80
        case "i8lo":
            return lambda raw: (raw & 0xFF ^ 0x80) - 0x80
        case "i16" if wide:
            return lambda raw: (raw ^ 0x8000) - 0x8000
        case "bcd16" | "bcd32":
            after = codec(row.type, row.order).after
            assert after is not None
            return after
    return lambda raw: raw


def _measure(row: Row, first: Callable[[Any], Any]) -> Look:
    """A number with marks for "no value", a scale, an offset, and perhaps a counter that starts again."""
    no_value, scale, offset, fraction = frozenset(row.no_value), row.scale, row.offset, _fraction(row)
    rounds = Rounds(row.wrap) if row.wrap else None
    decimals = None if row.type in ("f32", "f64") else _decimals(row)

    def measure(raw: Any) -> Value:
        number: Any = first(raw)
        if number is None or number in no_value or not isfinite(number):
            return None
        if rounds is not None:
            number = rounds.total(number)
        if scale == 1 and not offset:
            return cast(Value, number)
        value: float = (number / fraction if fraction else number * scale) + offset
        return value if decimals is None else round(value, decimals)

    return measure


def _decimals(row: Row) -> int | None:
    """So many decimals can a scaled whole number have: 293.15 - 273.15 is 20, not 19.99999."""
    for decimals in range(10):
        if all(abs(x * 10**decimals - round(x * 10**decimals)) < 1e-9 for x in (row.scale, row.offset)):
            return decimals
    return None


class Rounds:
    """A counter that starts again at `wrap`: goes on counting, as long as the hub runs. A smaller number that is far
    from the end is a new counter (a meter that was changed or reset), not a new round."""

    def __init__(self, wrap: int) -> None:
        self._wrap = wrap
        self._rounds = 0
        self._last = 0

    def total(self, number: int) -> int:
        if number < self._last:
            again = self._last > 0.75 * self._wrap and number < 0.25 * self._wrap
            self._rounds = self._rounds + 1 if again else 0
        self._last = number
        return number + self._rounds * self._wrap


def _flags(labels: Sequence[Label]) -> Look:
    """The names of the bits that are set, in the order of the bits."""
    known: dict[int, str] = {}  # few of the 65536 ever come

    def flags(raw: int) -> str:
        text = known.get(raw)
        if text is None:
            names = [label.label for label in labels if raw >> label.code & 1]
            unknown = raw & ~sum(1 << label.code for label in labels)
            names += [f"bit {n}" for n in range(16) if unknown >> n & 1]
            text = known[raw] = ", ".join(names)
        return text

    return flags


# ---- writing ------------------------------------------------------------------------------------------------------


class Step(Struct, frozen=True):
    """One request of a command. `bit`: only this bit of the register is changed. `then`: written after `pulse_s`."""

    message: pdu.Request
    bit: tuple[int, int, bool] | None = None  # address, bit, on
    pulse_s: float = 0.0
    then: pdu.Request | None = None


def steps(action: ActionRow, args: Mapping[str, Any]) -> list[Step]:
    """What is written, in this order. Raises ValueError when a value does not fit into its registers."""
    return [_step(write, args[write.arg] if write.arg else write.value) for write in action.writes]


def _step(write: WriteRow, value: Any) -> Step:
    if write.bit is not None:
        on = bool(value)
        back = _mask(write.at, write.bit, not on) if write.pulse_ms else None
        return Step(_mask(write.at, write.bit, on), (write.at, write.bit, on), write.pulse_ms / 1000, back)
    then = _message(write, 0) if write.pulse_ms else None
    return Step(_message(write, value), None, write.pulse_ms / 1000, then)


def _mask(at: int, bit: int, on: bool) -> pdu.MaskWord:
    return pdu.MaskWord(at, 0xFFFF & ~(1 << bit), on << bit)


def _message(write: WriteRow, value: Any) -> pdu.Request:
    if write.fn == 5:
        return pdu.WriteBit(write.at, bool(value))
    if write.fn == 15:
        return pdu.WriteBits(write.at, 1, pdu.pack_bits([bool(value)]))
    number = (value - write.offset) / write.scale
    whole = write.type not in ("f32", "f64")
    data = codec(write.type, write.order).write(round(number) if whole else number)
    if write.fn == 6:
        return pdu.WriteWord(write.at, int.from_bytes(data, "big"))
    return pdu.WriteWords(write.at, data)
