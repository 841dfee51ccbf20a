"""One connection to one or more units: asks one question at a time and believes only the answer to it.

The only file that imports pymodbus: its framers put the frames on the wire, its serial transport moves the bytes. Its
client is not used: it accepts a reply of the wrong function or length, takes a late RTU answer for the next one, and
costs 20 us a request where this costs 9 (bench/modbus.py). RTU is taken in by our own stream, which finds a frame
again after noise and heartbeats.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from enum import Enum

from msgspec import Struct
from pymodbus.framer import FramerAscii, FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.transport.serialtransport import create_serial_connection
from serial.rs485 import RS485Settings

from protocols.errors import BadMessage
from protocols.modbus import pdu
from protocols.modbus.dtu import Stripper
from protocols.modbus.frames import Frame, RtuStream, Side

# What comes wrong is said as a puzzle and by the quality of readings; a second account in a log helps nobody.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

MOST_HELD = 1024  # bytes that make no frame; who sends more is not speaking Modbus
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


class Framing(Enum):
    """How frames lie on the wire."""

    MBAP = "mbap"
    RTU = "rtu"
    ASCII = "ascii"


class NoAnswer(Exception):
    """Nothing came that answers the question. `heard` is what came instead."""

    def __init__(self, why: str, heard: bytes = b"") -> None:
        super().__init__(why)
        self.why = why
        self.heard = heard


class LinkLost(NoAnswer):
    """The connection ended while an answer was awaited."""


class Ask(Struct, frozen=True):
    """A question, and how its answer must look."""

    raw: bytes  # its PDU
    fn: int
    size: int  # of the answer's PDU
    echo: bytes | None  # of writes: the answer itself
    at: int  # of reads: the first address; else -1
    message: pdu.Request


def ask_of(message: pdu.Request) -> Ask:
    """The question that a request is."""
    raw = pdu.encode(message)
    echo: bytes | None = raw
    size = len(raw)
    match message:
        case pdu.Read(function, _, count):
            echo, size = None, 2 + ((count + 7) // 8 if function in (1, 2) else 2 * count)
        case pdu.ReadWriteWords(_, count, _, _):
            echo, size = None, 2 + 2 * count
        case pdu.WriteBits(address, count, _):
            echo = pdu.encode(pdu.Written(15, address, count))
        case pdu.WriteWords(address, data):
            echo = pdu.encode(pdu.Written(16, address, len(data) // 2))
    at = message.address if isinstance(message, pdu.Read) else -1
    return Ask(raw, raw[0], size if echo is None else len(echo), echo, at, message)


class Link(asyncio.Protocol):
    """A connection that is open until it is `closed`; `on_lost` is called once then."""

    def __init__(self, framing: Framing, echoes: bool = False, heartbeats: tuple[bytes, ...] = ()) -> None:
        self.framing = framing
        self.tagged = framing is Framing.MBAP  # answers carry the number of their question
        self.closed = True
        self.heard_at = 0.0  # loop time of the last byte
        self.opened = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._framer = _FRAMERS[framing](DecodePDU(False))
        self._unit: set[int] = set()
        self._stream = RtuStream(Side.REPLIES, self._unit)
        self._stripper = Stripper(heartbeats, self._unit) if heartbeats else None
        self._hear = {Framing.MBAP: self._mbap, Framing.RTU: self._rtu, Framing.ASCII: self._ascii}[framing]
        self._asked: tuple[int, Ask] | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._number = 0
        self._held = b""
        self._raw: list[bytes] = []  # what came since the question, and was not the answer at once
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._odd = ""  # what was wrong with what came
        self._echoes = echoes
        self._own = b""  # what the adapter will still give back to us

    # ---- asking ---------------------------------------------------------------------------------------------------

    async def ask(self, unit: int, ask: Ask, timeout_s: float, sent: Callable[[], None] | None = None) -> bytes:
        """The PDU that answers (an exception reply too). Raises NoAnswer, LinkLost. One question at a time."""
        transport = self._transport
        if self.closed or transport is None:
            raise LinkLost("the connection is closed")
        self._number = number = self._number % 0xFFFF + 1
        self._asked = (unit, ask)
        self._held, self._odd = b"", ""
        if self._raw:
            self._raw = []
        if not self.tagged:
            self._forget(unit)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._answer = answer
        raw = self._framer.encode(ask.raw, unit, number)
        if self._echoes:
            self._own = raw
        transport.write(raw)
        if sent is not None:
            sent()
        self._until = self._loop.time() + timeout_s
        if self._timer is None or self._timer.when() > self._until:
            self._arm()
        try:
            return await answer
        finally:
            self._answer = self._asked = None

    def _forget(self, unit: int) -> None:
        """What came before the question cannot be its answer."""
        self._unit.clear()
        self._unit.add(unit)
        self._stream.reset()
        if self._stripper is not None:
            self._stripper.idle()

    def _arm(self) -> None:
        """One timer for many questions: most are answered long before, and it only looks now and then."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() >= self._until:
            self._too_late()
        else:
            self._arm()

    def close(self) -> None:
        if self._transport is not None and not self.closed:
            self._transport.abort()
        self._ended("the connection was closed")

    # ---- asyncio.Protocol -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.closed = False
        self.opened.set()
        self.heard_at = self._loop.time()
        if (sock := transport.get_extra_info("socket")) is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self._own:
            data = self._without_own(data)
        if self._answer is None or self._answer.done():
            return  # nobody asked: a heartbeat, noise, or an answer that is too late
        self._hear(data)
        if not self._answer.done() and sum(map(len, self._raw)) < MOST_HELD:
            self._raw.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended("the connection was lost")

    def _ended(self, why: str) -> None:
        if self.closed:
            return
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkLost(why, b"".join(self._raw)))
            self._answer.exception()  # who asked may have been called off in the same moment
        if self._timer is not None:
            self._timer.cancel()
        self.on_lost()

    # ---- hearing --------------------------------------------------------------------------------------------------

    def _mbap(self, data: bytes) -> None:
        held = self._held + data if self._held else data
        asked, answer = self._asked, self._answer
        while held and asked is not None and answer is not None:
            size, unit, number, body = self._framer.decode(held)
            if not size:
                break
            if size == len(held) and number == self._number and unit == asked[0] and fits(asked[1], body):
                if not answer.done():
                    answer.set_result(body)
                return
            held = held[size:]
            if number != self._number:
                self._odd = f"the answer to question {number}, which is too late"
            elif unit != asked[0]:
                self._fail(f"an answer of unit {unit}", data)
            elif held and not self._header(held):
                self._fail("bytes that belong to no frame behind the answer", data)
            else:
                self._judge(body, sure=True)
        self._held = held
        if len(held) > MOST_HELD:
            self.close()

    def _header(self, raw: bytes) -> bool:
        """Whether another frame could begin so: what stands behind an answer must be one, or the answer is broken."""
        length = int.from_bytes(raw[4:6], "big")
        return raw[2:4] == b"\0\0"[: len(raw[2:4])] and (len(raw) < 6 or 2 < length < 255)

    def _rtu(self, data: bytes) -> None:
        for found in self._stream.feed(data if self._stripper is None else self._stripper.feed(data)):
            if isinstance(found, Frame):
                self._judge(found.pdu, sure=False)

    def _ascii(self, data: bytes) -> None:
        held = self._held + data
        while held and self._asked is not None:
            try:
                size, unit, _, body = self._framer.decode(held)
            except ValueError:
                self._held = b""
                return
            held = held[size:]
            if unit == self._asked[0] and body:
                self._judge(body, sure=False)
            if not size:
                break
        self._held = held[-MOST_HELD:]

    def _judge(self, body: bytes, sure: bool) -> None:
        """Is this the answer? What is not may be a late one; where frames carry numbers it is a wrong one."""
        answer = self._answer
        if answer is None or answer.done() or self._asked is None:
            return
        ask = self._asked[1]
        if fits(ask, body):
            answer.set_result(body)
            return
        self._odd = _unlike(ask, body)
        if sure:
            self._fail(self._odd)

    def _too_late(self) -> None:
        """Nothing more is awaited. What an RTU line holds back may still be the answer: noise can hide its end."""
        rest = b"" if self._stripper is None else self._stripper.idle()
        for found in (*self._stream.feed(rest), *self._stream.idle()):
            if isinstance(found, Frame):
                self._judge(found.pdu, sure=False)
        self._fail(self._odd or ("bytes that make no answer" if self._raw else "no answer"))

    def _fail(self, why: str, last: bytes = b"") -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer(why, b"".join(self._raw) or last))

    def _without_own(self, data: bytes) -> bytes:
        """Without what an RS-485 adapter gives back of our own question."""
        own = self._own
        size = min(len(own), len(data))
        if data[:size] != own[:size]:
            self._own = b""
            return data
        self._own = own[size:]
        return data[size:]


_FRAMERS: dict[Framing, type[FramerBase]] = {
    Framing.MBAP: FramerSocket,
    Framing.RTU: FramerRTU,
    Framing.ASCII: FramerAscii,
}


def fits(ask: Ask, body: bytes) -> bool:
    """Whether this PDU can answer the question: function, length and count, or echo; or a refusal of its function."""
    if body and body[0] == ask.fn:
        if ask.echo is not None:
            return body == ask.echo
        return len(body) == ask.size and body[1] == ask.size - 2
    return len(body) == 2 and body[0] == ask.fn | 0x80


def _unlike(ask: Ask, body: bytes) -> str:
    try:
        return pdu.unlike(ask.message, pdu.read_reply(body)) or "an answer of another length"
    except BadMessage as bad:
        return str(bad)


# ---- opening ------------------------------------------------------------------------------------------------------


class SerialPort(Struct, frozen=True):
    """A serial device and how it is set."""

    device: str
    baud: int = 9600
    parity: str = "N"
    stop: int = 1
    bits: int = 8
    echoes: bool = False  # the adapter gives back what we send
    rs485: bool = False  # the kernel switches the direction (TIOCSRS485)


async def open_tcp(host: str, port: int, framing: Framing, timeout_s: float, tls: ssl.SSLContext | None = None) -> Link:
    """A connection over TCP or TLS. Raises OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    try:
        # Not wait_for: in Python 3.11 it loses a cancellation that comes in the moment in which the connection does.
        async with asyncio.timeout(timeout_s):
            _, link = await loop.create_connection(lambda: Link(framing), host, port, ssl=tls)
    except ValueError as error:  # a name that cannot be looked up (UnicodeError)
        raise OSError(str(error)) from error
    return link


async def open_serial(port: SerialPort, framing: Framing) -> Link:
    """A serial line, for us alone. Raises OSError (pyserial's own errors are)."""
    loop = asyncio.get_running_loop()
    try:
        transport, link = await create_serial_connection(
            loop,
            lambda: Link(framing, port.echoes),
            port.device,
            baudrate=port.baud,
            bytesize=port.bits,
            parity=port.parity,
            stopbits=port.stop,
            timeout=0,
        )
    except ValueError as error:  # a rate or a format that this adapter does not have
        raise OSError(str(error)) from error
    assert isinstance(link, Link)
    try:
        await link.opened.wait()
        if port.rs485:
            transport.sync_serial.rs485_mode = RS485Settings()  # type: ignore[attr-defined]
    except ValueError as error:
        transport.abort()
        raise OSError(f"it does not switch the direction by itself, so leave out rs485=1 ({error})") from error
    except (OSError, asyncio.CancelledError):
        transport.abort()
        raise
    return link


def adopt(transport: asyncio.Transport, framing: Framing, heartbeats: tuple[bytes, ...] = ()) -> Link:
    """A connection that somebody else has made (a DTU that dialled in). Raises OSError."""
    link = Link(framing, heartbeats=heartbeats)
    transport.set_protocol(link)
    try:
        link.connection_made(transport)
    except OSError:
        transport.abort()
        raise
    return link
