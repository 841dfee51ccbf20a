"""The wires: Modbus TCP and TLS, RTU over TCP, RTU on a serial device or a pty, and DTUs that dial in."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import serial

from simulators.modbus.faults import Framing
from simulators.modbus.line import Line, Unit

BUFFER = 65536


class _Wire(asyncio.Protocol):
    """One TCP connection, whoever made it."""

    def __init__(self, units: Mapping[int, Unit], framing: Framing, wires: set[_Wire], before: bytes = b"") -> None:
        self._units = units
        self._before = before  # stands before each packet
        self._framing = framing
        self._wires = wires
        self._line: Line | None = None
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._wires.add(self)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or byte by byte becomes one lump
        self._line = Line(self._units, self._framing, asyncio.get_running_loop(), self._send)

    def _send(self, raw: bytes) -> None:
        assert self.transport
        self.transport.write(self._before + raw)

    def data_received(self, data: bytes) -> None:
        assert self._line
        self._line.hear(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._wires.discard(self)
        if self._line:
            self._line.closed = True
        if not self.lost.done():
            self.lost.set_result(None)

    def cut(self) -> None:
        if self.transport:
            self.transport.abort()


class Wire(ABC):
    """What units hang on; several stations may share one. It is up unless somebody has pulled it."""

    def __init__(self) -> None:
        self._pulled_by: set[str] = set()
        self._following: asyncio.Task[None] | None = None

    @abstractmethod
    async def up(self) -> None: ...

    @abstractmethod
    async def down(self) -> None: ...

    @property
    @abstractmethod
    def connections(self) -> int: ...

    def pull(self, who: str) -> None:
        """Its link is lost until each who has pulled it has let go."""
        self._pulled_by.add(who)
        self._follow()

    def let_go(self, who: str) -> None:
        self._pulled_by.discard(who)
        self._follow()

    async def settled(self) -> None:
        """When it is as the last pull or let_go wanted it."""
        while self._following is not None:
            await asyncio.wait([self._following])

    def _follow(self) -> None:
        if self._following is None:
            self._following = asyncio.create_task(self._as_wanted())

    async def _as_wanted(self) -> None:
        try:
            is_up = None
            while is_up is not (wanted := not self._pulled_by):
                await (self.up() if wanted else self.down())
                is_up = wanted
        finally:
            self._following = None


class TcpServer(Wire):
    """A device or gateway that listens: Modbus TCP (with `tls`: Modbus TLS), or RTU over TCP."""

    def __init__(
        self,
        units: Mapping[int, Unit],
        framing: Framing = Framing.MBAP,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.units = units
        self.port = port  # 0 until `up` when any will do
        self._framing = framing
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._wires: set[_Wire] = set()

    async def up(self) -> None:
        """Listen. After `down` at the same port again."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        make = lambda: _Wire(self.units, self._framing, self._wires)  # noqa: E731
        self._server = await loop.create_server(make, self._host, self.port, ssl=self._tls, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Drop everybody, and refuse whoever comes."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for wire in list(self._wires):
            wire.cut()
        await server.wait_closed()

    @property
    def connections(self) -> int:
        return len(self._wires)


class SerialLine(Wire):
    """RTU on a serial device, or on any file descriptor that behaves like one (a pty's)."""

    def __init__(self, units: Mapping[int, Unit], device: str | int, baud: int = 9600, parity: str = "N") -> None:
        super().__init__()
        self._units = units
        self._device = device
        self._baud, self._parity = baud, parity
        self._port: serial.Serial | None = None
        self._fd = -1
        self._line: Line | None = None
        self._unsent = bytearray()

    async def up(self) -> None:
        if self._line is not None:
            return
        if isinstance(self._device, int):
            self._fd = self._device
        else:
            self._port = serial.Serial(self._device, self._baud, parity=self._parity, timeout=0)
            self._fd = self._port.fileno()
        os.set_blocking(self._fd, False)
        loop = asyncio.get_running_loop()
        self._line = Line(self._units, Framing.RTU, loop, self._send)
        loop.add_reader(self._fd, self._readable)

    async def down(self) -> None:
        """Let go of the device; a descriptor that was given stays open."""
        if self._line is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._line.closed = True
        self._line = None
        self._unsent.clear()
        if self._port:
            self._port.close()

    @property
    def connections(self) -> int:
        return int(self._line is not None)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, BUFFER)
        except BlockingIOError:
            return
        except OSError:  # the other end of a pty is shut: nobody is there, until somebody opens it
            data = b""
        if data and self._line:
            self._line.hear(data)

    def _send(self, raw: bytes) -> None:
        self._unsent += raw
        self._writable()

    def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(self._unsent)  # nobody is there to hear it
        del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._fd, self._writable)
        else:
            loop.remove_writer(self._fd)


@dataclass(frozen=True)
class Greeting:
    """How a DTU behaves before and between Modbus."""

    registration: bytes
    heartbeat: bytes = b""
    heartbeat_every_s: float = 30.0
    before_each_packet: bool = False  # the USR option 每包: the registration stands before each packet


class DialIn(Wire):
    """A 4G DTU with RTU units behind it: it calls the hub, says who it is, and calls again when it is cut off."""

    def __init__(
        self, units: Mapping[int, Unit], host: str, port: int, greeting: Greeting, redial_s: float = 1.0
    ) -> None:
        super().__init__()
        self.units = units
        self.host, self.port = host, port
        self.greeting = greeting
        self._redial_s = redial_s
        self._wires: set[_Wire] = set()
        self._calls: asyncio.Task[None] | None = None
        for unit in units.values():
            unit.faults.heartbeat = greeting.heartbeat or unit.faults.heartbeat

    async def up(self) -> None:
        if self._calls is None:
            self._calls = asyncio.create_task(self._call_again_and_again())

    async def down(self) -> None:
        calls, self._calls = self._calls, None
        for wire in list(self._wires):
            wire.cut()
        if calls is not None:
            calls.cancel()
            await asyncio.wait([calls])

    @property
    def connections(self) -> int:
        return len(self._wires)

    async def _call_again_and_again(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = self._redial_s
        while True:
            try:
                transport, wire = await loop.create_connection(self._answer, self.host, self.port)
            except OSError:
                pause_s = min(2 * pause_s, 30.0)
            else:
                pause_s = self._redial_s
                await self._stay(transport, wire)
            await asyncio.sleep(pause_s)

    def _answer(self) -> _Wire:
        greeting = self.greeting
        before = greeting.registration if greeting.before_each_packet else b""
        return _Wire(self.units, Framing.RTU, self._wires, before)

    async def _stay(self, transport: asyncio.Transport, wire: _Wire) -> None:
        greeting = self.greeting
        transport.write(greeting.registration)
        while not wire.lost.done():
            await asyncio.wait([wire.lost], timeout=greeting.heartbeat_every_s)
            if greeting.heartbeat and not wire.lost.done():
                transport.write(greeting.heartbeat)
