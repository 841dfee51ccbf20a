"""What Modbus bytes say, line by line, for `fieldhub decode`: frames found, and both readings where a frame has two."""

from __future__ import annotations

from protocols.errors import BadMessage
from protocols.modbus.frames import Broken, Frame, MbapStream, RtuStream, Side
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

_READS = {1: "coils", 2: "discrete inputs", 3: "holding registers", 4: "input registers"}


def explain(raw: bytes, framing: str = "auto") -> tuple[bool, list[str]]:
    """(whether every byte was read, one line a frame or piece of noise). `framing`: "tcp", "rtu" or "auto"."""
    kinds = {"tcp": (MbapStream,), "rtu": (RtuStream,), "auto": (MbapStream, RtuStream)}[framing]
    tries = [(kind, side, _found(kind(side), raw)) for kind in kinds for side in Side]
    doubts = [_doubt(found, side) for _, side, found in tries]
    best = [it for it, doubt in zip(tries, doubts, strict=True) if doubt == min(doubts)]
    lines = []
    for kind, side, found in best:
        name = "TCP (MBAP)" if kind is MbapStream else "RTU"
        lines.append(f"as {name}, {'asked by a hub' if side is Side.REQUESTS else 'answered by a device'}:")
        lines += [f"  {_line(it, side)}" for it in found]
    return min(doubts) == (0, 0), lines


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
