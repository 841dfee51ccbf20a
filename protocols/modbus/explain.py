"""What Modbus bytes say, line by line, for `fieldhub decode`: frames found, and both readings where a frame has two."""

from __future__ import annotations

from protocols.errors import BadMessage
from protocols.modbus.frames import Broken, Frame, MbapStream, RtuStream, Side, crc16
from protocols.modbus.pdu import (
    MaskWord,
    Read,
    ReadWriteWords,
    Refusal,
    Unknown,
    Values,
    Why,
    WriteWords,
    Written,
    decode,
    words,
)

SHORTEST_RTU = 4  # unit, function, check bytes
_READS = {1: "coils", 2: "discrete inputs", 3: "holding registers", 4: "input registers"}


def explain(raw: bytes, framing: str = "auto") -> tuple[bool, list[str]]:
    """(whether every byte was read, one line a frame or piece of noise). `framing`: "tcp", "rtu" or "auto"."""
    kinds = {"tcp": (MbapStream,), "rtu": (RtuStream,), "auto": (MbapStream, RtuStream)}[framing]
    tries = [(kind, side, _found(kind(side), raw)) for kind in kinds for side in Side]
    doubts = [_doubt(found, side) for _, side, found in tries]
    if RtuStream in kinds and min(doubts) != (0, 0) and (lines := _but_for_its_crc(raw)):
        return False, lines
    best = [it for it, doubt in zip(tries, doubts, strict=True) if doubt == min(doubts)]
    if not any(isinstance(it, Frame) for _, _, found in best for it in found):
        tried = {"auto": "neither as TCP nor as RTU", "tcp": "as TCP", "rtu": "as RTU"}[framing]
        return False, [f"broken: {raw.hex(' ')}: {len(raw)} bytes in which no frame begins, {tried}"]
    lines = []
    for kind, side, found in best:
        name = "TCP (MBAP)" if kind is MbapStream else "RTU"
        lines.append(f"as {name}, {_who(side)}:")
        lines += [f"  {_line(it, side)}" for it in found]
    return min(doubts) == (0, 0), lines


def _but_for_its_crc(raw: bytes) -> list[str]:
    """What an RTU frame would say whose last two bytes alone are wrong; nothing when it is none."""
    if len(raw) < SHORTEST_RTU:
        return []
    body = raw[:-2]
    right = crc16(body).to_bytes(2, "little")
    lines = []
    for side in Side:
        found = _found(RtuStream(side), body + right)
        if len(found) == 1 and isinstance(found[0], Frame) and _known(found[0], side):
            lines += [f"as RTU, {_who(side)}, if all but the check bytes is right:", f"  {_line(found[0], side)}"]
    said = f"broken: as RTU the check bytes (CRC) are {raw[-2:].hex(' ').upper()}, should be {right.hex(' ').upper()}"
    return [said, *lines] if lines else []


def _who(side: Side) -> str:
    return "asked by a hub" if side is Side.REQUESTS else "answered by a device"


def _found(stream: MbapStream | RtuStream, raw: bytes) -> list[Frame | Broken]:
    return [*stream.feed(raw), *stream.idle()]


def _doubt(found: list[Frame | Broken], side: Side) -> tuple[int, int]:
    """(bytes in no frame, frames that say nothing we know): the smaller, the likelier is this way to read them."""
    unread = sum(len(it.raw) for it in found if isinstance(it, Broken))
    return unread, sum(1 for it in found if isinstance(it, Frame) and not _known(it, side))


def _known(it: Frame, side: Side) -> bool:
    try:
        return not isinstance(decode(it, side), Unknown)
    except BadMessage:
        return False


def _line(it: Frame | Broken, side: Side) -> str:
    if isinstance(it, Broken):
        return f"broken: {it.raw.hex(' ')}: {it.why}"
    try:
        message = decode(it, side)
    except BadMessage as bad:
        return f"unit {it.unit}: broken message: {bad}"
    return f"unit {it.unit}: {_says(message)}"


def _says(message: object) -> str:
    match message:
        case Read(function, address, count):
            what = _READS[function]
            return f"read {count} {what} from {address} (0x{address:04X}), function {function}"
        case Values(function, data) if function in (1, 2):
            return f"{_READS[function]}: {data.hex(' ')} (first is the lowest bit of the first byte)"
        case Values(function, data):
            return f"registers, function {function}: {', '.join(f'{w} (0x{w:04X})' for w in words(data))}"
        case WriteWords(address, data):
            return f"write registers from {address}: {', '.join(str(w) for w in words(data))}"
        case Written(function, address, count):
            return f"wrote {count} from {address}, function {function}"
        case Refusal(function, code):
            known = code in Why.__members__.values()
            why = Why(code).name.lower().replace("_", " ") if known else "unknown code"
            return f"refuses function {function}: exception {code}, {why}"
        case ReadWriteWords() | MaskWord():
            return repr(message)
    return repr(message)
