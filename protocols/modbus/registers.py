"""What registers hold: numbers in four orders, digits, bits and text. Both directions, no addresses, no units.

An order names the bytes of a value, A first, as they come over the wire: CDAB is "low word first". A type of one
register is AB (or BA); the order of 64-bit types may be written by its 32-bit cousin.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

from protocols.errors import BadMessage

Value = int | float | bool | str | None  # None: the registers say that there is no value

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_OF_ONE = {"AB": "AB", "BA": "BA"}
_OF_TWO = {order: order for order in ORDERS}
_OF_FOUR = {"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}
_OF_FOUR |= {order: order for order in _OF_FOUR.values()}
ORDERS_OF = {1: tuple(_OF_ONE), 2: ORDERS, 4: tuple(_OF_FOUR)}  # registers -> what may be written

# type -> (registers, struct code with A first)
_NUMBERS = {
    "bool": (1, "H"),
    "bits": (1, "H"),
    "u8hi": (1, "Bx"),
    "u8lo": (1, "xB"),
    "i8hi": (1, "bx"),
    "i8lo": (1, "xb"),
    "u16": (1, "H"),
    "i16": (1, "h"),
    "bcd16": (1, "H"),
    "u32": (2, "I"),
    "i32": (2, "i"),
    "f32": (2, "f"),
    "bcd32": (2, "I"),
    "u64": (4, "Q"),
    "i64": (4, "q"),
    "f64": (4, "d"),
}
TYPES = (*_NUMBERS, "string")
LONGEST_TEXT = 60  # registers


@dataclass(frozen=True, slots=True)
class Codec:
    """How one type in one order is read and written."""

    type: str
    order: str
    registers: int
    code: str  # for a struct over many values; the bytes must come in the order of `places`
    places: tuple[int, ...]  # places[k]: where on the wire byte k of the value is
    after: Callable[[int], Value] | None  # what is still to do with the number
    encoding: str = ""

    @property
    def native(self) -> bool:
        """The wire's order is already A first."""
        return self.places == tuple(range(2 * self.registers))

    def read(self, raw: bytes, at: int = 0) -> Value:
        """The value in raw[at:]; None for NaN, infinity and digits that are none."""
        wire = raw[at : at + 2 * self.registers]
        if len(wire) < 2 * self.registers:
            raise BadMessage(f"{self.type} needs {2 * self.registers} bytes, got {len(wire)}")
        plain = wire if self.native else bytes(wire[place] for place in self.places)
        if self.encoding:
            return text_of(plain, self.encoding)
        value: int | float = struct.unpack(f">{self.code}", plain)[0]
        if isinstance(value, float):
            return value if isfinite(value) else None
        return self.after(value) if self.after else value

    def write(self, value: int | float | bool | str) -> bytes:
        """The bytes of `value`. Raises ValueError when it does not fit."""
        plain = self._plain(value)
        wire = bytearray(len(plain))
        for k, place in enumerate(self.places):
            wire[place] = plain[k]
        return bytes(wire)

    def _plain(self, value: int | float | bool | str) -> bytes:
        if self.encoding:
            text = str(value).encode(self.encoding)
            if len(text) > 2 * self.registers:
                raise ValueError(f"{value!r} needs {len(text)} bytes, and there are {2 * self.registers}")
            return text.ljust(2 * self.registers, b"\0")
        if isinstance(value, str):
            raise ValueError(f"{self.type} cannot hold {value!r}")
        try:
            if self.type in ("f32", "f64"):
                return struct.pack(f">{self.code}", value)
            number = int(value)
            if number != value:
                raise ValueError(f"{self.type} cannot hold {value}: it is not whole")
            return struct.pack(f">{self.code}", _digits(number, self) if self.type.startswith("bcd") else number)
        except (struct.error, OverflowError):
            raise ValueError(f"{value} does not fit into {self.type}") from None


@lru_cache(maxsize=256)
def codec(type: str, order: str = "", length: int = 0, encoding: str = "ascii") -> Codec:
    """The codec of a type. `length` in registers and `encoding` are for "string". Raises ValueError."""
    if type == "string":
        if not 1 <= length <= LONGEST_TEXT:
            raise ValueError(f"a string has 1 to {LONGEST_TEXT} registers, not {length}")
        _known(order or "AB", 1)
        places = range(2 * length) if order != "BA" else (k ^ 1 for k in range(2 * length))
        return Codec(type, order or "AB", length, f"{2 * length}s", tuple(places), None, encoding)
    if type not in _NUMBERS:
        raise ValueError(f"{type!r} is not a type: {', '.join(TYPES)}")
    registers, code = _NUMBERS[type]
    full = _known(order or ("AB" if registers == 1 else "ABCD"), registers)
    places_of = tuple(full.index(letter) for letter in "ABCDEFGH"[: len(full)])
    return Codec(type, full, registers, code, places_of, _AFTER.get(type))


def in_all_orders(raw: bytes) -> dict[str, dict[str, Value]]:
    """Two registers as every 32-bit number they could be, for the person who must find out which one is true."""
    return {order: {type: codec(type, order).read(raw) for type in ("f32", "i32", "u32")} for order in ORDERS}


def text_of(plain: bytes, encoding: str) -> str:
    """Text up to the first NUL; what is no letter shows as a replacement mark."""
    return plain.split(b"\0", 1)[0].decode(encoding, "replace").strip()


def _known(order: str, registers: int) -> str:
    full = {1: _OF_ONE, 2: _OF_TWO, 4: _OF_FOUR}[registers].get(order)
    if full is None:
        raise ValueError(f"{order!r} is not an order of {registers} registers: {', '.join(ORDERS_OF[registers])}")
    return full


def _from_digits(number: int) -> int | None:
    digits = f"{number:x}"
    return int(digits) if digits.isdecimal() else None


def _digits(number: int, of: Codec) -> int:
    if not 0 <= number < 10 ** (4 * of.registers):
        raise ValueError(f"{number} does not fit into {of.type}")
    return int(str(number), 16)


_AFTER: dict[str, Callable[[int], Value]] = {"bool": bool, "bcd16": _from_digits, "bcd32": _from_digits}
