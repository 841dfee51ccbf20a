"""Modbus frames, both ends: MBAP (TCP, TLS) and RTU (serial, RTU over TCP, 4G DTU).

A stream takes bytes as they come, gives frames, and never raises. Where frames of a side begin and end follows from
their function code, so each stream is told which side it hears: REQUESTS (a device does) or REPLIES (a hub does).
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

LONGEST_PDU = 253
LONGEST_RTU = 256
LONGEST_MBAP = 260


class Side(Enum):
    """Which way the frames of a stream go."""

    REQUESTS = "requests"
    REPLIES = "replies"


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or reply of one unit. `transaction` is MBAP's; RTU has none."""

    unit: int
    pdu: bytes
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that belong to no frame, and why."""

    raw: bytes
    why: str


def seal_rtu(frame: Frame) -> bytes:
    """The frame as it goes over a serial line: unit, PDU, CRC low byte first."""
    body = bytes((frame.unit,)) + frame.pdu
    return body + crc16(body).to_bytes(2, "little")


def seal_mbap(frame: Frame) -> bytes:
    """The frame as it goes over Modbus TCP."""
    return _MBAP.pack(frame.transaction, 0, len(frame.pdu) + 1, frame.unit) + frame.pdu


def crc16(data: bytes | bytearray) -> int:
    """Modbus' CRC: polynomial A001 reflected, starts at FFFF. A body followed by its own CRC gives 0."""
    crc = 0xFFFF
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc


def pdu_size(side: Side, raw: bytes | bytearray, start: int) -> int | None:
    """How long the PDU is that begins at raw[start]; 0: no length is known for it; None: more bytes must come."""
    if start >= len(raw):
        return None
    function = raw[start]
    if size := _FIXED[side].get(function):
        return size
    place = _COUNTED[side].get(function)
    if place is None:
        return 0
    if start + place >= len(raw):
        return None
    size = place + 1 + raw[start + place]
    return size if size <= LONGEST_PDU else 0


def rtu_size(side: Side, raw: bytes | bytearray, start: int, units: Container[int] = range(256)) -> int | None:
    """How long the RTU frame is that begins at raw[start]; 0: none can; None: more bytes must come."""
    if raw[start] not in units:
        return 0
    size = pdu_size(side, raw, start + 1)
    return size + 3 if size else size


class RtuStream:
    """RTU bytes to frames. Framed by length and CRC, not by silence: networks and adapters do not keep t3.5.

    After noise a frame is found again by unit + function + length + CRC. Noise may look like the beginning of a long
    frame, so whoever owns the line calls `idle` when nothing has come for a while.
    """

    def __init__(self, side: Side, units: Container[int] = range(256)) -> None:
        self._side = side
        self._units = units  # of these a frame may come; all else is noise
        self._held = bytearray()
        self._noise = 0  # so many of the bytes held begin no frame

    def feed(self, data: bytes) -> list[Frame | Broken]:
        self._held += data
        return self._sort(quiet=False)

    def idle(self) -> list[Frame | Broken]:
        """Nothing more is coming: what is held is all there is. Afterwards nothing is held."""
        held = bytes(self._held)
        if 4 <= len(held) <= LONGEST_RTU and held[0] in self._units and not crc16(held):
            self.reset()  # a function that we do not know: its frame ends where the silence begins
            return [Frame(held[0], held[1:-2])]
        return self._sort(quiet=True)

    def reset(self) -> None:
        """Forget what is held (a new connection, or a reply that is too late to be wanted)."""
        self._held.clear()
        self._noise = 0

    def _sort(self, quiet: bool) -> list[Frame | Broken]:
        found: list[Frame | Broken] = []
        held = self._held
        begin, at = 0, self._noise
        while at < len(held):
            size = rtu_size(self._side, held, at, self._units)
            end = at + size if size else 0
            if size is None or end > len(held):
                if not quiet:
                    break
            elif size and not crc16(held[at:end]):
                if at > begin:
                    found.append(_noise(held[begin:at]))
                found.append(Frame(held[at], bytes(held[at + 1 : end - 2])))
                begin = at = end
                continue
            at += 1
            if at - begin >= LONGEST_RTU:
                found.append(_noise(held[begin:at]))
                begin = at
        if quiet and at > begin:
            found.append(_noise(held[begin:at]))
            begin = at
        del held[:begin]
        self._noise = at - begin
        return found


class MbapStream:
    """Modbus TCP bytes to frames. After a header that cannot be, the next whose length fits its function is taken."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._held = bytearray()
        self._noise = 0

    def feed(self, data: bytes) -> list[Frame | Broken]:
        found: list[Frame | Broken] = []
        self._held += data
        held = self._held
        begin, at = 0, self._noise
        while len(held) - at >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(held, at)
            good = protocol == 0 and 2 <= length <= LONGEST_PDU + 1
            if good and at > begin:
                size = pdu_size(self._side, held, at + _MBAP.size)
                if size is None:
                    break
                good = size == length - 1
            if good:
                end = at + 6 + length
                if end > len(held):
                    break
                if at > begin:
                    found.append(_noise(held[begin:at]))
                found.append(Frame(unit, bytes(held[at + _MBAP.size : end]), transaction))
                begin = at = end
                continue
            at += 1
            if at - begin >= LONGEST_MBAP:
                found.append(_noise(held[begin:at]))
                begin = at
        del held[:begin]
        self._noise = at - begin
        return found

    def idle(self) -> list[Frame | Broken]:
        """Nothing more is coming: what is held is all there is. Afterwards nothing is held."""
        held = bytes(self._held)
        self.reset()
        return [_noise(held)] if held else []

    def reset(self) -> None:
        self._held.clear()
        self._noise = 0


_MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), length of what follows it, unit

# PDUs that are always equally long,
_FIXED = {
    Side.REQUESTS: {1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 22: 7},
    Side.REPLIES: {5: 5, 6: 5, 15: 5, 16: 5, 22: 7}
    | {0x80 | function: 2 for function in (1, 2, 3, 4, 5, 6, 15, 16, 22, 23)},
}
# and where the byte stands that counts all that follows it.
_COUNTED = {
    Side.REQUESTS: {15: 5, 16: 5, 23: 9},
    Side.REPLIES: {1: 1, 2: 1, 3: 1, 4: 1, 23: 1},
}


def _noise(raw: bytes | bytearray) -> Broken:
    return Broken(bytes(raw), f"{len(raw)} bytes in which no frame begins")


def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()
