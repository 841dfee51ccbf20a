"""One line: bytes of requests in, bytes of replies out, for all units that hang on it. Knows no socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from protocols.errors import BadMessage
from protocols.modbus import pdu
from protocols.modbus.frames import Broken, Frame, MbapStream, RtuStream, Side, seal_mbap
from protocols.modbus.pdu import Read, Refusal, Why
from simulators.modbus.faults import Framing, Piece, Troubled
from simulators.modbus.unit import Memory, answer

QUIET_S = 0.05  # nothing for so long on an RTU line: what is held is no frame


@dataclass
class Unit:
    """A unit on a line: what it remembers, and what is wrong with it."""

    memory: Memory
    faults: Troubled = field(default_factory=Troubled)


class Loop(Protocol):
    """What a line needs of an asyncio loop."""

    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[..., object], *args: object) -> object: ...


class Line:
    """One connection, or one serial line. `hear` takes bytes; what is to be said goes to `send`, now or later."""

    def __init__(self, units: Mapping[int, Unit], framing: Framing, loop: Loop, send: Callable[[bytes], None]) -> None:
        self._units = units
        self._framing = framing
        self._loop = loop
        self._send = send
        self._stream = MbapStream(Side.REQUESTS) if framing is Framing.MBAP else RtuStream(Side.REQUESTS)
        self._free_at = 0.0  # until then earlier answers go out
        self._heard = 0
        self.closed = False

    def hear(self, data: bytes) -> None:
        self._heard += 1
        self._answer_all(self._stream.feed(data))
        if self._framing is Framing.RTU:
            self._loop.call_later(QUIET_S, self._quiet, self._heard)

    def _quiet(self, heard: int) -> None:
        if heard == self._heard and not self.closed:
            self._answer_all(self._stream.idle())

    def _answer_all(self, found: Sequence[Frame | Broken]) -> None:
        for frame in found:
            if isinstance(frame, Frame):
                self._answer(frame)

    def _answer(self, request: Frame) -> None:
        if self._framing is Framing.RTU and request.unit == 0:
            for unit in self._units.values():  # to all, and none answers
                answer(unit.memory, request.pdu)
            return
        asked = self._units.get(request.unit)
        if asked is not None:
            self._say(exchange(asked, self._framing, request))
        elif self._framing is Framing.MBAP:  # a gateway says so; a serial line stays silent
            refusal = pdu.encode(Refusal(request.pdu[0] & 0x7F, Why.GATEWAY_NO_ANSWER))
            self._say([Piece(seal_mbap(Frame(request.unit, refusal, request.transaction)))])

    def _say(self, pieces: Sequence[Piece]) -> None:
        now = self._loop.time()
        begins = max(now, self._free_at)
        for piece in pieces:
            at = (begins if piece.waits else now) + piece.after_s
            if at <= now:
                self._send(piece.raw)
            else:
                self._loop.call_later(at - now, self._send_if_open, piece.raw)
            if piece.waits:
                self._free_at = at

    def _send_if_open(self, raw: bytes) -> None:
        if not self.closed:
            self._send(raw)


def exchange(unit: Unit, framing: Framing, request: Frame) -> list[Piece]:
    """What one unit says to one request, with all that is wrong with it."""
    faults = unit.faults
    if faults.has("dead_unit"):
        return []  # and it has done nothing either
    reply = _refusal(faults, request.pdu) or answer(unit.memory, request.pdu)
    if faults.has("wrong_word_order"):
        reply = _turned_round(unit.memory.spans, request.pdu, reply)
    return faults.spoil(framing, request, Frame(request.unit, reply, request.transaction))


def _refusal(faults: Troubled, request_pdu: bytes) -> bytes | None:
    try:
        request = pdu.read_request(request_pdu)
    except BadMessage:
        return None
    match request:
        case Read(function, address, count):
            why = faults.refuses(function, address, count)
        case pdu.WriteWord(address, _):
            why = faults.refuses(6, address, 1)
        case pdu.WriteWords(address, data):
            why = faults.refuses(16, address, len(data) // 2)
        case _:
            return None
    return None if why is None else pdu.encode(Refusal(request_pdu[0], why))


def _turned_round(spans: Mapping[int, int], request_pdu: bytes, reply_pdu: bytes) -> bytes:
    """Values of more than one register, with their registers in the other order."""
    try:
        request, reply = pdu.read_request(request_pdu), pdu.read_reply(reply_pdu)
    except BadMessage:
        return reply_pdu
    if not (isinstance(request, Read) and isinstance(reply, pdu.Values) and request.function in (3, 4)):
        return reply_pdu
    registers = list(pdu.words(reply.data))
    for start, length in spans.items():
        here = start - request.address
        if here >= 0 and here + length <= len(registers):
            registers[here : here + length] = registers[here : here + length][::-1]
    return pdu.encode(pdu.Values(reply.function, pdu.data_of(registers)))
