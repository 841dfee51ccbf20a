"""Modbus requests and replies: functions 1-6, 15, 16, 22, 23 and refusals (exceptions). Both ends, both directions."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from protocols.errors import BadMessage
from protocols.modbus.frames import Frame, Side


class Why(IntEnum):
    """A unit's reason for refusing (exception code). Units also send codes that are not here; they stay integers."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    BUSY = 6
    NEGATIVE_ACKNOWLEDGE = 7
    MEMORY_PARITY = 8
    GATEWAY_NO_PATH = 0x0A
    GATEWAY_NO_ANSWER = 0x0B


# ---- asked --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """Functions 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers."""

    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class WriteBit:
    """Function 5; the reply is the same."""

    address: int
    on: bool


@dataclass(frozen=True, slots=True)
class WriteWord:
    """Function 6; the reply is the same."""

    address: int
    word: int


@dataclass(frozen=True, slots=True)
class WriteBits:
    """Function 15. `packed` as on the wire: the first coil is bit 0 of the first byte."""

    address: int
    count: int
    packed: bytes


@dataclass(frozen=True, slots=True)
class WriteWords:
    """Function 16. `data` as on the wire: two bytes a register, high byte first."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class MaskWord:
    """Function 22: new = (old & and_mask) | (or_mask & ~and_mask). The reply is the same."""

    address: int
    and_mask: int
    or_mask: int


@dataclass(frozen=True, slots=True)
class ReadWriteWords:
    """Function 23: writes first, then reads."""

    read_address: int
    read_count: int
    write_address: int
    data: bytes


# ---- answered -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Values:
    """What functions 1-4 and 23 give. `data` as on the wire: packed bits, or registers of two bytes."""

    function: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What functions 15 and 16 give: where, and how many."""

    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception: the function that was asked for, and the code (see Why)."""

    function: int
    code: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A function that we do not read; kept as it is."""

    function: int
    body: bytes


Request = Read | WriteBit | WriteWord | WriteBits | WriteWords | MaskWord | ReadWriteWords | Unknown
Reply = Values | WriteBit | WriteWord | Written | MaskWord | Refusal | Unknown
Message = Request | Reply


def decode(frame: Frame, side: Side) -> Message:
    return read_request(frame.pdu) if side is Side.REQUESTS else read_reply(frame.pdu)


def read_request(pdu: bytes) -> Request:
    function, body = _open(pdu)
    if function in (1, 2, 3, 4):
        return Read(function, *_exactly(_TWO, function, body))
    if function in (15, 16):
        address, count, size = _head(_TWO_AND_SIZE, function, body)
        data = _counted(function, body, _TWO_AND_SIZE.size, size)
        want = (count + 7) // 8 if function == 15 else 2 * count
        if size != want:
            raise BadMessage(f"function {function}: {count} values need {want} bytes, got {size}")
        return WriteBits(address, count, data) if function == 15 else WriteWords(address, data)
    if function == 23:
        read_address, read_count, write_address, count, size = _head(_FOUR_AND_SIZE, function, body)
        data = _counted(function, body, _FOUR_AND_SIZE.size, size)
        if size != 2 * count:
            raise BadMessage(f"function 23: {count} values need {2 * count} bytes, got {size}")
        return ReadWriteWords(read_address, read_count, write_address, data)
    return _read_echoed(function, body) or Unknown(function, body)


def read_reply(pdu: bytes) -> Reply:
    function, body = _open(pdu)
    if function in (1, 2, 3, 4, 23):
        (size,) = _head(_BYTE, function, body)
        return Values(function, _counted(function, body, 1, size))
    if function in (15, 16):
        return Written(function, *_exactly(_TWO, function, body))
    if function & 0x80:
        return Refusal(function & 0x7F, *_exactly(_BYTE, function, body))
    return _read_echoed(function, body) or Unknown(function, body)


def encode(message: Message) -> bytes:
    """The PDU of a message: what `read_request` or `read_reply` gives back."""
    match message:
        case Read(function, address, count) | Written(function, address, count):
            return bytes((function,)) + _TWO.pack(address, count)
        case Values(function, data):
            return bytes((function, len(data))) + data
        case Refusal(function, code):
            return bytes((function | 0x80, code))
        case WriteBit(address, on):
            return b"\x05" + _TWO.pack(address, 0xFF00 if on else 0)
        case WriteWord(address, word):
            return b"\x06" + _TWO.pack(address, word)
        case WriteBits(address, count, packed):
            return b"\x0f" + _TWO_AND_SIZE.pack(address, count, len(packed)) + packed
        case WriteWords(address, data):
            return b"\x10" + _TWO_AND_SIZE.pack(address, len(data) // 2, len(data)) + data
        case MaskWord(address, and_mask, or_mask):
            return b"\x16" + _THREE.pack(address, and_mask, or_mask)
        case ReadWriteWords(read_address, read_count, write_address, data):
            head = _FOUR_AND_SIZE.pack(read_address, read_count, write_address, len(data) // 2, len(data))
            return b"\x17" + head + data
        case Unknown(function, body):
            return bytes((function,)) + body


def unlike(request: Request, reply: Reply) -> str:
    """Why this reply cannot be the answer to this request; "" when it can.

    RTU has no transaction numbers: a late reply looks like the next one's, and only these checks tell.
    """
    if isinstance(reply, Refusal):
        asked = encode(request)[0]
        return "" if reply.function == asked else f"asked function {asked}, refused function {reply.function}"
    want: Reply
    match request, reply:
        case Read(function, _, count), Values(answered, data):
            size = (count + 7) // 8 if function in (1, 2) else 2 * count
            if answered == function:
                return "" if len(data) == size else f"asked for {size} bytes, got {len(data)}"
            return f"asked function {function}, got function {answered}"
        case ReadWriteWords(_, count, _, _), Values(23, data):
            return "" if len(data) == 2 * count else f"asked for {2 * count} bytes, got {len(data)}"
        case WriteBits(address, count, _), Written():
            want = Written(15, address, count)
        case WriteWords(address, data), Written():
            want = Written(16, address, len(data) // 2)
        case (WriteBit() | WriteWord() | MaskWord()) as echo, _:
            want = echo
        case Unknown(function, _), Unknown(answered, _) if function == answered:
            return ""
        case _:
            return f"asked function {encode(request)[0]}, got function {encode(reply)[0]}"
    return "" if reply == want else f"expected {want}, got {reply}"


def words(data: bytes) -> tuple[int, ...]:
    """Registers from their bytes."""
    return struct.unpack(f">{len(data) // 2}H", data)


def data_of(registers: Iterable[int]) -> bytes:
    """Registers to their bytes."""
    registers = tuple(registers)
    return struct.pack(f">{len(registers)}H", *registers)


def bits(packed: bytes, count: int) -> tuple[bool, ...]:
    """The first `count` coils of packed bytes."""
    whole = int.from_bytes(packed, "little")
    return tuple(bool(whole >> n & 1) for n in range(count))


def pack_bits(coils: Iterable[bool]) -> bytes:
    coils = tuple(coils)
    return sum(bool(on) << n for n, on in enumerate(coils)).to_bytes((len(coils) + 7) // 8, "little")


_BYTE = struct.Struct(">B")
_TWO = struct.Struct(">HH")
_THREE = struct.Struct(">HHH")
_TWO_AND_SIZE = struct.Struct(">HHB")
_FOUR_AND_SIZE = struct.Struct(">HHHHB")


def _read_echoed(function: int, body: bytes) -> WriteBit | WriteWord | MaskWord | None:
    """The three whose reply repeats the request."""
    if function == 5:
        address, value = _exactly(_TWO, function, body)
        if value not in (0, 0xFF00):
            raise BadMessage(f"function 5: a coil is FF00 or 0000, got {value:04X}")
        return WriteBit(address, value == 0xFF00)
    if function == 6:
        return WriteWord(*_exactly(_TWO, function, body))
    if function == 22:
        return MaskWord(*_exactly(_THREE, function, body))
    return None


def _open(pdu: bytes) -> tuple[int, bytes]:
    if not pdu:
        raise BadMessage("a PDU has at least its function, got nothing")
    return pdu[0], pdu[1:]


def _exactly(layout: struct.Struct, function: int, body: bytes) -> tuple[int, ...]:
    if len(body) != layout.size:
        raise BadMessage(f"function {function}: {layout.size} bytes must follow, got {len(body)}")
    return layout.unpack(body)


def _head(layout: struct.Struct, function: int, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise BadMessage(f"function {function}: at least {layout.size} bytes must follow, got {len(body)}")
    return layout.unpack_from(body)


def _counted(function: int, body: bytes, start: int, size: int) -> bytes:
    data = body[start:]
    if len(data) != size:
        raise BadMessage(f"function {function}: says {size} bytes of values, has {len(data)}")
    return data
