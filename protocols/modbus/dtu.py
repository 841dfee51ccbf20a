"""What 4G DTUs send besides Modbus: who they are when they connect, and heartbeats between, before and inside replies.

A name may be followed by a colon and a secret (ours, 20 letters and digits): "860123456789012:k7mw29xqhd3tk4fgmnpq".

`Door` reads the first bytes of a connection; `Stripper` then lets through nothing but frames with a right CRC.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from protocols.modbus.frames import LONGEST_RTU, Side, crc16, rtu_size

LONGEST_REGISTRATION = 512  # with all that came glued to it
LONGEST_HEARTBEAT = 128
SECRET_LETTERS = 20
_SECRET = re.compile(rb":([a-z2-9]{%d})" % SECRET_LETTERS)


class How(Enum):
    """How a registration is recognised. IMEI: 15 digits; its id is the digits."""

    TEXT = "text"
    HEX = "hex"
    IMEI = "imei"
    REGEX = "regex"


@dataclass(frozen=True)
class Greeting:
    """One kind of registration. `pattern`: the text, the bytes in hex, or a regular expression over the bytes as
    Latin-1, whose first group (or all of it) is the id. Raises ValueError when it cannot be one.
    """

    how: How
    pattern: str = ""

    def __post_init__(self) -> None:
        if self.how is not How.IMEI and not self.pattern:
            raise ValueError(f"a registration by {self.how.value} needs a pattern")
        _ = self._literal, self._regex

    @cached_property
    def _literal(self) -> bytes | None:
        if self.how is How.TEXT:
            return self.pattern.encode()
        try:
            return bytes.fromhex(self.pattern) if self.how is How.HEX else None
        except ValueError:
            raise ValueError(f'"{self.pattern}" is not hex: write two digits a byte') from None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        if self.how is How.IMEI:
            return re.compile(r"(?<![0-9])([0-9]{15})(?![0-9])")
        if self._literal is not None:
            return re.compile(re.escape(self._literal.decode("latin-1")))
        try:
            return re.compile(self.pattern)
        except re.error as bad:
            raise ValueError(f'"{self.pattern}" is no regular expression: {bad}') from None

    def may_become(self, held: bytes) -> bool:
        """These first bytes are the beginning of this greeting."""
        literal = self._literal
        return literal is not None and len(held) < len(literal) and literal.startswith(held)

    def read(self, held: bytes) -> Registration | None:
        """What these first bytes say, or None."""
        if self._literal is not None:
            if not held.startswith(self._literal):
                return None
            return Registration(self.pattern, self._literal, held[len(self._literal) :])
        text = held.decode("latin-1")
        found = self._regex.search(text) if self.how is How.IMEI else self._regex.match(text)
        if found is None or not found.end():
            return None
        id = found.group(1) if found.re.groups else found.group()
        return Registration(id or found.group(), held[: found.end()], held[found.end() :], begins=found.start())


@dataclass(frozen=True)
class Registration:
    """A DTU has said who it is. `raw` is what it said, `rest` what came glued to it; `secret` stands in `raw` too.
    `begins`: so many bytes of `raw` came before its name.
    """

    id: str
    raw: bytes
    rest: bytes
    secret: str = ""
    begins: int = 0

    @property
    def shown(self) -> bytes:
        """All of it as people may see it: the secret is not told."""
        raw = self.raw.removesuffix(self.secret.encode()) + b"***" if self.secret else self.raw
        return raw + self.rest

    def with_secret(self) -> Registration:
        """With the secret that follows the name, if one does."""
        found = _SECRET.match(self.rest)
        if found is None:
            return self
        end = found.end()
        raw, rest = self.raw + self.rest[:end], self.rest[end:]
        return Registration(self.id, raw, rest, found.group(1).decode(), self.begins)

    @property
    def may_get_a_secret(self) -> bool:
        """What came glued to it is the beginning of a secret."""
        return not self.secret and self.rest[:1] == b":" and len(self.rest) <= SECRET_LETTERS


class Door:
    """The beginning of one connection: bytes in, a registration out. An id is a name, not a proof."""

    def __init__(self, greetings: Iterable[Greeting]) -> None:
        self._greetings = tuple(greetings)
        self._held = b""

    @property
    def held(self) -> bytes:
        """What has come so far; for the waiting room, when nobody knows it."""
        return self._held

    def feed(self, data: bytes) -> Registration | None:
        """The registration once no more bytes can change it: something else follows it, or `idle` says so."""
        self._held = (self._held + data)[:LONGEST_REGISTRATION]
        best = self._best()
        if best is None or not best.rest or best.may_get_a_secret:
            return None
        may_grow = any(greeting.may_become(self._held) for greeting in self._greetings)
        return None if may_grow else best

    def idle(self) -> Registration | None:
        """Nothing more has come for a moment: what is here is all of it."""
        return self._best()

    def _best(self) -> Registration | None:
        """The first name that is said, and of those the longest: PS-12 is not PS-1 with a 2 behind it, and whoever has
        said who he is does not become somebody else by what he says then.
        """
        found = [one for greeting in self._greetings if (one := greeting.read(self._held))]
        best = min(found, key=lambda one: (one.begins, -len(one.raw)), default=None)
        return best.with_secret() if best else None


class Stripper:
    """Takes heartbeats and noise out of a DTU's bytes, and lets whole frames of the side it hears through.

    A configured text is taken out where a frame may begin, and from the middle of a frame whose CRC is right only
    without it; never from within a frame whose CRC is right. What remains is skipped byte by byte until
    unit, function, length and CRC fit again. Whoever owns the connection calls `idle` after a moment of silence.
    """

    def __init__(self, texts: Iterable[bytes], units: Container[int] = range(256), side: Side = Side.REPLIES) -> None:
        """`texts`: heartbeats, and the registration where it stands before each packet."""
        self._texts = tuple(sorted({text for text in texts if text}, key=len, reverse=True))
        if any(len(text) > LONGEST_HEARTBEAT for text in self._texts):
            raise ValueError(f"a heartbeat has at most {LONGEST_HEARTBEAT} bytes")
        self._units = units
        self._side = side
        self._held = bytearray()
        self.heartbeats = 0
        self.junk = 0  # bytes that belonged to nothing

    def feed(self, data: bytes) -> bytes:
        """The frames that are whole now, one after the other, and nothing else."""
        self._held += data
        return self._strip(quiet=False)

    def idle(self) -> bytes:
        """Nothing more is coming: what is held is all there is. Afterwards nothing is held."""
        return self._strip(quiet=True)

    def _strip(self, quiet: bool) -> bytes:
        clean = bytearray()
        held = self._held
        at = 0
        while at < len(held):
            size = rtu_size(self._side, held, at, self._units)
            end = at + size if size else 0
            if size and end <= len(held) and not crc16(held[at:end]):
                clean += held[at:end]
                at = end
                continue
            frame, length, may_mend = self._without_text(at)
            if frame:
                clean += frame
                self.heartbeats += 1
                at += length
                continue
            text = self._text_at(at)
            may_grow = size is None or end > len(held) or self._begins_text(at) or (may_mend and not text)
            if may_grow and not quiet:
                break
            self.heartbeats += bool(text)
            self.junk += not text
            at += len(text) or 1
        del held[:at]
        return bytes(clean)

    def _text_at(self, at: int) -> bytes:
        return next((text for text in self._texts if self._held.startswith(text, at)), b"")

    def _begins_text(self, at: int) -> bool:
        """The bytes that are there may be the first of a text."""
        rest = bytes(self._held[at : at + LONGEST_HEARTBEAT])
        return any(len(rest) < len(text) and text.startswith(rest) for text in self._texts)

    def _without_text(self, at: int) -> tuple[bytes, int, bool]:
        """A frame that begins here and is right once a text is taken from its middle, and how long both are.

        The last says that there is none yet, but may be when more bytes have come.
        """
        may_mend = False
        if self._held[at] in self._units:
            window = bytes(self._held[at : at + LONGEST_RTU + LONGEST_HEARTBEAT])
            for plain, place, length in self._readings(window):
                size = rtu_size(self._side, plain, 0, self._units)
                if size is None or place < size:
                    if size is None or size > len(plain):
                        may_mend = True
                    elif size and not crc16(plain[:size]):
                        return plain[:size], size + length, False
        return b"", 0, may_mend

    def _readings(self, window: bytes) -> Iterator[tuple[bytes, int, int]]:
        """The window without one text, for each place where one stands: also where its end cuts a text off."""
        for text in self._texts:
            place = window.find(text, 1)
            while place > 0:
                yield window[:place] + window[place + len(text) :], place, len(text)
                place = window.find(text, place + 1)
            for length in range(1, min(len(text), len(window))):
                if window.endswith(text[:length]):
                    yield window[:-length], len(window) - length, length
