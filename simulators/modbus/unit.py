"""One Modbus unit: its memory, and what it answers when nothing is wrong with it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

from protocols.errors import BadMessage
from protocols.modbus import pdu
from protocols.modbus.pdu import Read, Refusal, Reply, Request, Values, Why, Written

MOST_READ = {1: 2000, 2: 2000, 3: 125, 4: 125}
MOST_WRITTEN = 123


class Refused(Exception):
    """The unit's own word for why it does not do what was asked."""

    def __init__(self, code: Why) -> None:
        super().__init__(code.name)
        self.code = code


class Memory(Protocol):
    """What a unit remembers. Raises Refused.

    `spans` says where values of more than one register begin, and how long they are: faults turn them round.
    """

    @property
    def spans(self) -> Mapping[int, int]: ...
    def read(self, function: int, address: int, count: int) -> Sequence[int]: ...
    def write(self, address: int, words: Sequence[int]) -> None: ...


def answer(memory: Memory, request_pdu: bytes) -> bytes:
    """The reply to one request, both without unit and check bytes."""
    function = request_pdu[0] if request_pdu else 0
    try:
        return pdu.encode(_reply(memory, pdu.read_request(request_pdu)))
    except BadMessage:
        return pdu.encode(Refusal(function & 0x7F, Why.ILLEGAL_VALUE))
    except Refused as refused:
        return pdu.encode(Refusal(function & 0x7F, refused.code))


def _reply(memory: Memory, request: Request) -> Reply:
    match request:
        case Read((3 | 4) as function, address, count):
            return Values(function, _read(memory, function, address, count))
        case Read((1 | 2) as function, address, count):
            _fits(count, MOST_READ[function])
            return Values(function, pdu.pack_bits(bool(bit) for bit in memory.read(function, address, count)))
        case pdu.WriteWord(address, word):
            memory.write(address, (word,))
            return request
        case pdu.WriteWords(address, data):
            _fits(len(data) // 2, MOST_WRITTEN)
            memory.write(address, pdu.words(data))
            return Written(16, address, len(data) // 2)
        case pdu.MaskWord(address, and_mask, or_mask):
            (old,) = memory.read(3, address, 1)
            memory.write(address, ((old & and_mask) | (or_mask & ~and_mask & 0xFFFF),))
            return request
        case pdu.ReadWriteWords(read_address, read_count, write_address, data):
            memory.write(write_address, pdu.words(data))
            return Values(23, _read(memory, 3, read_address, read_count))
    raise Refused(Why.ILLEGAL_FUNCTION)


def _read(memory: Memory, function: int, address: int, count: int) -> bytes:
    _fits(count, MOST_READ[function])
    return pdu.data_of(memory.read(function, address, count))


def _fits(count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise Refused(Why.ILLEGAL_VALUE)


# ---- values in registers; ours, so that a mistake in the hub's own is not made twice

_LAYOUT = {
    "u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f", "u64": ">Q", "i64": ">q", "f64": ">d",
}  # fmt: skip


def registers(kind: str, value: float, order: str = "ABCD") -> tuple[int, ...]:
    """A value as registers. `order` names the bytes of a 32-bit value as they go over the wire."""
    layout = _LAYOUT[kind]
    whole = struct.pack(layout, value if kind[0] == "f" else int(value))
    parts = [whole[i : i + 2] for i in range(0, len(whole), 2)]
    if order in ("CDAB", "DCBA"):
        parts.reverse()
    if order in ("BADC", "DCBA"):
        parts = [part[::-1] for part in parts]
    return tuple(int.from_bytes(part, "big") for part in parts)
