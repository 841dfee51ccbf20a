"""The make-believe devices on real wires, asked by programs that we did not write: pymodbus, and mbpoll (libmodbus)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient

from protocols.modbus import pdu
from protocols.modbus.frames import Frame, MbapStream, RtuStream, Side, seal_mbap, seal_rtu
from simulators.modbus.device import PumpStationDevice
from simulators.modbus.faults import Framing
from simulators.modbus.server import DialIn, Greeting, SerialLine, TcpServer
from simulators.worlds.plc import Mode
from tests.simulators.stations import running, station

CERTIFICATE = Path(__file__).with_name("loopback.pem")


def devices() -> dict[int, PumpStationDevice]:
    """Unit 1 pumps, unit 2 stands still."""
    return {
        1: PumpStationDevice("one", running(station(level_m=3.0))),
        2: PumpStationDevice("two", station(mode=Mode.MANUAL)),
    }


@contextlib.asynccontextmanager
async def serving(framing: Framing = Framing.MBAP, tls=None) -> AsyncIterator[tuple[TcpServer, dict]]:
    its = devices()
    server = TcpServer({unit: it.unit for unit, it in its.items()}, framing, tls=tls)
    for it in its.values():
        it.wire = server
    await server.up()
    try:
        yield server, its
    finally:
        await server.down()


async def hear(reader: asyncio.StreamReader, count: int, within_s: float = 2.0) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), within_s)


# ---- mbpoll


async def mbpoll(*options: str) -> tuple[int, str]:
    program = await asyncio.create_subprocess_exec(
        "mbpoll", *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(program.communicate(), 20)
    return program.returncode or 0, said.decode()


def values(said: str) -> dict[int, float]:
    return {int(at): float(value) for at, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", said, re.M)}


async def asked_by_mbpoll(its: dict, *where: str) -> None:
    """The same questions on any wire; where = mbpoll's options, and at the end its host or device."""
    *options, target = where
    code, said = await mbpoll(*options, "-a", "1", "-r", "11", "-c", "5", "-t", "4:float", "-B", "-1", target)
    assert code == 0, said
    world = its[1].station
    level, outer, rack, pressure, flow = values(said).values()
    assert level == pytest.approx(world.level_m, abs=0.05)
    assert outer == pytest.approx(world.outer_m, abs=0.05)
    assert flow == pytest.approx(world.flow_m3h, rel=0.03)
    assert rack == pytest.approx(world.rack_m, abs=0.02)
    assert pressure > 0.05
    code, said = await mbpoll(*options, "-a", "1", "-r", "101", "-c", "4", "-t", "3", "-1", target)  # function 4
    assert values(said)[101] == 2, said
    code, said = await mbpoll(*options, "-a", "2", "-r", "381", "-t", "4", "-1", target, "2300")
    assert code == 0, said
    assert its[2].station.plc.settings.start_mm == 2300
    code, said = await mbpoll(*options, "-a", "2", "-r", "301", "-t", "4", "-1", target, "1", "77")
    assert code == 0, said
    assert its[2].station.plc.pumps[0].turning
    code, said = await mbpoll(*options, "-a", "2", "-r", "11", "-t", "4", "-1", target, "5")
    assert "Illegal data address" in said


async def test_mbpoll_over_tcp():
    async with serving() as (server, its):
        await asked_by_mbpoll(its, "-m", "tcp", "-p", str(server.port), "127.0.0.1")


async def test_mbpoll_over_a_pty_whose_other_end_is_ours():
    its = devices()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    line = SerialLine({unit: it.unit for unit, it in its.items()}, ours)
    await line.up()
    try:
        await asked_by_mbpoll(its, "-m", "rtu", "-b", "19200", "-P", "none", os.ttyname(theirs))
    finally:
        await line.down()
        os.close(ours)
        os.close(theirs)


async def test_mbpoll_over_a_serial_device_that_pyserial_opens(tmp_path: Path):
    its = devices()
    ends = [str(tmp_path / end) for end in ("ours", "theirs")]
    socat = await asyncio.create_subprocess_exec("socat", *(f"pty,raw,echo=0,link={end}" for end in ends))
    try:
        for _ in range(200):
            if all(map(os.path.exists, ends)):
                break
            await asyncio.sleep(0.02)
        line = SerialLine({unit: it.unit for unit, it in its.items()}, ends[0], baud=9600)
        await line.up()
        await asked_by_mbpoll(its, "-m", "rtu", "-b", "9600", "-P", "none", ends[1])
        await line.down()
        await line.up()  # unplugged and plugged in again
        await asked_by_mbpoll(its | {2: its[2]}, "-m", "rtu", "-b", "9600", "-P", "none", ends[1])
        await line.down()
    finally:
        socat.terminate()
        await socat.wait()


# ---- pymodbus


async def asked_by_pymodbus(client, its: dict) -> None:
    assert await client.connect()
    try:
        answer = await client.read_holding_registers(10, count=2, device_id=1)
        assert client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32) == pytest.approx(
            its[1].station.level_m, abs=0.05
        )
        assert (await client.read_holding_registers(0, count=125, device_id=1)).registers[1] == 2026
        assert not (await client.write_registers(300, [1, 5], device_id=2)).isError()
        assert its[2].station.plc.pumps[0].turning
        assert (await client.read_holding_registers(10, count=1, device_id=1)).registers
        assert (await client.write_register(10, 1, device_id=1)).exception_code == 2
        assert (
            await client.mask_write_register(address=384, and_mask=0xFF00, or_mask=0x12, device_id=1)
        ).or_mask == 0x12
    finally:
        client.close()


@pytest.mark.parametrize("framing", [Framing.MBAP, Framing.RTU])
async def test_pymodbus_over_tcp_in_both_framings(framing: Framing):
    async with serving(framing) as (server, its):
        framer = FramerType.SOCKET if framing is Framing.MBAP else FramerType.RTU
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, framer=framer, reconnect_delay=0, timeout=2)
        await asked_by_pymodbus(client, its)


async def test_pymodbus_over_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    trusts = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with serving(tls=context) as (server, its):
        client = AsyncModbusTlsClient(
            "localhost",
            port=server.port,
            sslctx=trusts,
            reconnect_delay=0,
            timeout=2,
        )
        await asked_by_pymodbus(client, its)


# ---- raw sockets


async def test_five_requests_in_one_segment_get_five_answers():
    """pymodbus's own server answers one of them (modbus.md §6)."""
    async with serving() as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        ask = pdu.encode(pdu.Read(3, 1, 1))
        writer.write(b"".join(seal_mbap(Frame(1, ask, n)) for n in range(5)))
        frames = MbapStream(Side.REPLIES).feed(await hear(reader, 5 * 11))
        assert frames == [Frame(1, bytes.fromhex("0302 07EA"), n) for n in range(5)]
        writer.close()


async def test_a_request_that_comes_in_pieces_and_after_noise_is_answered_once():
    async with serving(Framing.RTU) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        raw = b"\xff\xff\x00" + seal_rtu(Frame(2, pdu.encode(pdu.Read(3, 1, 1))))
        for n in range(len(raw)):
            writer.write(raw[n : n + 1])
            await asyncio.sleep(0.001)
        assert await hear(reader, 7) == seal_rtu(Frame(2, bytes.fromhex("0302 07EA")))
        with pytest.raises(TimeoutError):
            await hear(reader, 1, 0.15)
        writer.close()


async def test_byte_by_byte_is_so_on_the_wire_too():
    async with serving() as (server, its):
        its[1].switch("byte_by_byte", True, pause_s=0.02)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(seal_mbap(Frame(1, pdu.encode(pdu.Read(3, 1, 1)), 9)))
        pieces = []
        while sum(map(len, pieces)) < 11:
            pieces.append(await asyncio.wait_for(reader.read(100), 2))
        assert len(pieces) > 8
        writer.close()


async def test_link_loss_drops_refuses_and_comes_back_on_the_same_port():
    async with serving() as (server, its):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(seal_mbap(Frame(1, pdu.encode(pdu.Read(3, 1, 1)), 1)))
        await hear(reader, 11)
        assert server.connections == 1
        its[1].switch("link_loss", True, for_s=40, now_s=0.0)
        await its[1].settled()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        its[1].tick(39.0, 1.0)
        await its[1].settled()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        its[1].tick(40.0, 1.0)
        await its[1].settled()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(seal_mbap(Frame(2, pdu.encode(pdu.Read(3, 1, 1)), 1)))
        await hear(reader, 11)
        writer.close()


# ---- a DTU that dials in


class Hub:
    """Listens where DTUs dial to, and keeps what they say."""

    def __init__(self) -> None:
        self.calls: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.called = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Hub:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _answer(self, reader, writer) -> None:
        self.calls.append((reader, writer))
        self.called.set()

    async def call(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await asyncio.wait_for(self.called.wait(), 5)
        self.called.clear()
        return self.calls[-1]

    async def __aexit__(self, *_) -> None:
        for _, writer in self.calls:
            writer.close()
        self._server.close()


async def test_a_dtu_registers_beats_answers_and_calls_again():
    its = devices()
    async with Hub() as hub:
        greeting = Greeting(b"861234050000017", b"\xfe\xfe\xfe", heartbeat_every_s=0.1)
        dtu = DialIn({unit: it.unit for unit, it in its.items()}, "127.0.0.1", hub.port, greeting, redial_s=0.05)
        await dtu.up()
        reader, writer = await hub.call()
        assert await hear(reader, 15) == b"861234050000017"
        assert await hear(reader, 6) == b"\xfe\xfe\xfe" * 2
        writer.write(seal_rtu(Frame(2, pdu.encode(pdu.Read(3, 1, 1)))))
        heard = b""
        while not (frames := RtuStream(Side.REPLIES, units={2}).feed(heard)):
            heard += await asyncio.wait_for(reader.read(100), 2)
        assert Frame(2, bytes.fromhex("0302 07EA")) in frames
        writer.close()  # a base station fails
        again, _ = await hub.call()
        assert await hear(again, 15) == b"861234050000017"
        await dtu.down()
        assert dtu.connections == 0


async def test_a_dtu_s_heartbeat_inside_a_reply_is_its_own():
    its = devices()
    async with Hub() as hub:
        dtu = DialIn({2: its[2].unit}, "127.0.0.1", hub.port, Greeting(b"R", b"PING", 30.0))
        its[2].switch("heartbeat_inside", True)
        await dtu.up()
        reader, writer = await hub.call()
        await hear(reader, 1)
        writer.write(seal_rtu(Frame(2, pdu.encode(pdu.Read(3, 1, 1)))))
        assert await hear(reader, 11) == seal_rtu(Frame(2, bytes.fromhex("0302 07EA"))).replace(
            b"\x02\x03\x02", b"\x02\x03\x02PING"
        )
        await dtu.down()


async def test_a_dtu_may_register_before_each_packet():
    its = devices()
    async with Hub() as hub:
        dtu = DialIn({2: its[2].unit}, "127.0.0.1", hub.port, Greeting(b"USR1", before_each_packet=True))
        await dtu.up()
        reader, writer = await hub.call()
        await hear(reader, 4)
        writer.write(seal_rtu(Frame(2, pdu.encode(pdu.Read(3, 1, 1)))))
        assert await hear(reader, 11) == b"USR1" + seal_rtu(Frame(2, bytes.fromhex("0302 07EA")))
        await dtu.down()


async def test_a_dtu_without_a_hub_keeps_trying_and_stops_when_told():
    async with Hub() as hub:
        port = hub.port
    dtu = DialIn({}, "127.0.0.1", port, Greeting(b"R"), redial_s=0.01)
    await dtu.up()
    await asyncio.sleep(0.1)
    assert dtu.connections == 0
    await dtu.down()
