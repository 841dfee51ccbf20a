"""What can go wrong on the wire, by name. Each fault changes what a unit says, never what it is.

A reply goes through three doors: what is said (a frame), how it is sealed (bytes), and when they go out (pieces).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from protocols.modbus.frames import Frame, seal_mbap, seal_rtu
from protocols.modbus.pdu import Why

HEARTBEAT = b"HB-FIELDHUB"


class Framing(Enum):
    """How frames lie on the wire."""

    MBAP = "mbap"
    RTU = "rtu"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that go out `after_s` the request came. `waits` for what was said before; a late answer does not."""

    raw: bytes
    after_s: float = 0.0
    waits: bool = True


@dataclass(frozen=True)
class WireFault:
    """One fault. `says` changes the frame (None: nothing is said), `sealed` the bytes, `sent` the pieces."""

    name: str
    title: Mapping[str, str]
    what: str
    options: Mapping[str, float] = field(default_factory=dict)
    says: Callable[[Troubled, Frame, Frame], Frame | None] | None = None
    sealed: Callable[[Troubled, Framing, bytes], bytes] | None = None
    sent: Callable[[Troubled, Piece], Sequence[Piece]] | None = None


class Troubled:
    """The faults of one unit that are on, and what they remember."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, float]] = {}
        self.asked = 0
        self.refused = 0
        self.before: Frame | None = None
        self.heartbeat = HEARTBEAT

    def switch(self, name: str, on: bool, **options: float) -> None:
        """Raises KeyError when there is no fault of this name, or no such option of it."""
        fault = WIRE_FAULTS[name]
        if unknown := options.keys() - fault.options.keys():
            raise KeyError(", ".join(sorted(unknown)))
        self._on.pop(name, None)
        if on:
            self._on[name] = {**fault.options, **options}
            self.asked = self.refused = 0
            self.before = None

    def has(self, name: str) -> bool:
        return name in self._on

    def option(self, name: str, key: str) -> float:
        return self._on[name][key]

    @property
    def names(self) -> list[str]:
        return list(self._on)

    def refuses(self, function: int, address: int, count: int) -> Why | None:
        """What the unit's memory has no place for: holes, and requests that are too long for it."""
        if self.has("illegal_address"):
            first, last = self.option("illegal_address", "first"), self.option("illegal_address", "last")
            if address <= last and address + count > first:
                return Why.ILLEGAL_ADDRESS
        if self.has("short_requests_only") and function in (3, 4):
            return Why.ILLEGAL_VALUE if count > self.option("short_requests_only", "most") else None
        return None

    def spoil(self, framing: Framing, request: Frame, reply: Frame) -> list[Piece]:
        """What goes out for this reply."""
        self.asked += 1
        faults = [WIRE_FAULTS[name] for name in WIRE_FAULTS if name in self._on]
        said: Frame | None = reply
        for fault in faults:
            if fault.says and said is not None:
                said = fault.says(self, request, said)
        if said is None:
            return []
        raw = seal_mbap(said) if framing is Framing.MBAP else seal_rtu(said)
        for fault in faults:
            if fault.sealed:
                raw = fault.sealed(self, framing, raw)
        pieces = [Piece(raw)]
        for fault in faults:
            if fault.sent:
                pieces = [one for piece in pieces for one in fault.sent(self, piece)]
        return pieces


# ---- what is said


def _nothing(unit: Troubled, request: Frame, reply: Frame) -> None:
    return None


def _not_the_fourth(unit: Troubled, request: Frame, reply: Frame) -> Frame | None:
    return None if unit.asked % 4 == 0 else reply


def _busy(unit: Troubled, request: Frame, reply: Frame) -> Frame:
    unit.refused += 1
    if unit.refused % 3 == 0:
        return reply
    return Frame(reply.unit, bytes((request.pdu[0] | 0x80, Why.BUSY)), reply.transaction)


def _one_behind(unit: Troubled, request: Frame, reply: Frame) -> Frame:
    before, unit.before = unit.before or reply, reply
    return Frame(before.unit, before.pdu, reply.transaction)


def _short(unit: Troubled, request: Frame, reply: Frame) -> Frame:
    pdu = reply.pdu
    if pdu[0] not in (3, 4) or pdu[1] < 4:
        return reply
    return Frame(reply.unit, bytes((pdu[0], pdu[1] - 2)) + pdu[2:-2], reply.transaction)


def _wrong_function(unit: Troubled, request: Frame, reply: Frame) -> Frame:
    function = {3: 4, 4: 3, 1: 2, 2: 1, 6: 5, 16: 15}.get(reply.pdu[0], reply.pdu[0])
    return Frame(reply.unit, bytes((function,)) + reply.pdu[1:], reply.transaction)


def _wrong_unit(unit: Troubled, request: Frame, reply: Frame) -> Frame:
    return Frame((reply.unit + 1) & 0xFF, reply.pdu, reply.transaction)


# ---- how it is sealed


def _bad_check(unit: Troubled, framing: Framing, raw: bytes) -> bytes:
    """MBAP has no check bytes: there its length is wrong by two."""
    if framing is Framing.RTU:
        return raw[:-1] + bytes((raw[-1] ^ 0x55,))
    return raw[:5] + bytes(((raw[5] + 2) & 0xFF,)) + raw[6:]


def _heartbeat_inside(unit: Troubled, framing: Framing, raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + unit.heartbeat + raw[middle:]


# ---- when it goes out


def _slowly(unit: Troubled, piece: Piece) -> Sequence[Piece]:
    return [Piece(piece.raw, piece.after_s + unit.option("slow_answers", "after_s"))]


def _late(unit: Troubled, piece: Piece) -> Sequence[Piece]:
    return [Piece(piece.raw, piece.after_s + unit.option("late_answers", "after_s"), waits=False)]


def _byte_by_byte(unit: Troubled, piece: Piece) -> Sequence[Piece]:
    pause = unit.option("byte_by_byte", "pause_s")
    return [Piece(piece.raw[i : i + 1], piece.after_s + i * pause, piece.waits) for i in range(len(piece.raw))]


_LIST = (
    WireFault("dead_unit", {"zh-CN": "从站无应答", "en": "Dead unit"}, "the unit never answers; others on its line do",
              says=_nothing),
    WireFault("drop_every_4th", {"zh-CN": "丢失每第四个应答", "en": "Drops every fourth"},
              "each fourth request is carried out, and its answer is lost", says=_not_the_fourth),
    WireFault("busy_twice", {"zh-CN": "忙两次", "en": "Busy twice"},
              "two of three requests get exception 6 (what was written is written)", says=_busy),
    WireFault("one_behind", {"zh-CN": "应答错后一拍", "en": "One behind"},
              "each request gets the answer of the one before it, under its own transaction number", says=_one_behind),
    WireFault("short_reply", {"zh-CN": "应答少一个寄存器", "en": "Short reply"},
              "one register is missing; count and check bytes are right for what is there", says=_short),
    WireFault("wrong_function", {"zh-CN": "应答功能码错", "en": "Wrong function"},
              "the reply to function 3 says 4 (and so on); check bytes are right", says=_wrong_function),
    WireFault("wrong_unit", {"zh-CN": "应答站号错", "en": "Wrong unit"},
              "the reply comes from the next unit number; check bytes are right", says=_wrong_unit),
    WireFault("bad_crc", {"zh-CN": "校验错", "en": "Bad check bytes"},
              "RTU: the CRC is wrong. MBAP: its length is two too much", sealed=_bad_check),
    WireFault("heartbeat_inside", {"zh-CN": "心跳夹在应答中", "en": "Heartbeat inside"},
              "the DTU's heartbeat comes in the middle of each reply", sealed=_heartbeat_inside),
    WireFault("byte_by_byte", {"zh-CN": "逐字节到达", "en": "Byte by byte"}, "each byte comes by itself",
              {"pause_s": 0.002}, sent=_byte_by_byte),
    WireFault("slow_answers", {"zh-CN": "应答慢", "en": "Slow answers"}, "each answer takes its time, within patience",
              {"after_s": 0.4}, sent=_slowly),
    WireFault("late_answers", {"zh-CN": "应答超时后才到", "en": "Late answers"},
              "answers come when the asker has given up: on RTU they look like the next one's",
              {"after_s": 2.5}, sent=_late),
    WireFault("wrong_word_order", {"zh-CN": "字序颠倒", "en": "Wrong word order"},
              "after a firmware update all values of several registers come with their words turned round"),
    WireFault("illegal_address", {"zh-CN": "地址空洞", "en": "Holes"},
              "requests that touch registers first..last get exception 2", {"first": 10, "last": 19}),
    WireFault("short_requests_only", {"zh-CN": "单次读取长度受限", "en": "Short requests only"},
              "reading more than `most` registers at once gets exception 3", {"most": 16}),
    WireFault("link_loss", {"zh-CN": "链路中断", "en": "Link lost"},
              "connections are dropped and refused; everything on the same line is gone"),
)  # fmt: skip

WIRE_FAULTS: dict[str, WireFault] = {fault.name: fault for fault in _LIST}
