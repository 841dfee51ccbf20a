"""Every kind of line, against our simulator and against libmodbus, which we did not write."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tty
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from drivers.modbus.link import Framing, Link, NoAnswer, adopt, ask_of, fits, open_tcp
from hub.model import LinkState, Quality, Stage
from protocols.modbus import pdu
from simulators.modbus.line import Unit
from simulators.modbus.server import SerialLine, TcpServer
from tests.drivers.modbus_site import Registers, command, device, driving, serving, until, word_at

LIBMODBUS = r"""
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* The setters of libmodbus 3.1.6 disagree with its own getters (set_abcd, then get_abcd, is not what was set), so the
   getters are the referee: the words are those that this getter takes for 123456.0. */
static void place(uint16_t *at, float (*get)(const uint16_t *)) {
    static const uint16_t forms[4][2] = {{0x47F1, 0x2000}, {0x2000, 0x47F1}, {0xF147, 0x0020}, {0x0020, 0xF147}};
    for (int k = 0; k < 4; k++) if (get(forms[k]) == 123456.0f) { at[0] = forms[k][0]; at[1] = forms[k][1]; }
}
int main(int argc, char **argv) {
    modbus_mapping_t *map = modbus_mapping_new(20, 20, 20, 20);
    place(map->tab_registers, modbus_get_float_abcd);
    place(map->tab_registers + 2, modbus_get_float_dcba);
    place(map->tab_registers + 4, modbus_get_float_badc);
    place(map->tab_registers + 6, modbus_get_float_cdab);
    map->tab_registers[8] = 4711; map->tab_bits[8] = 1; map->tab_input_bits[1] = 1; map->tab_input_registers[3] = 815;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int tcp = !strcmp(argv[1], "tcp"), listener = -1;
    modbus_t *ctx = tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[2])) : modbus_new_rtu(argv[2], 19200, 'N', 8, 1);
    modbus_set_slave(ctx, 7);
    if (tcp) listener = modbus_tcp_listen(ctx, 1);
    else if (modbus_connect(ctx)) return 1;
    puts("ready"); fflush(stdout);
    for (;;) {
        if (tcp && modbus_tcp_accept(ctx, &listener) < 0) return 2;
        for (;;) {
            int n = modbus_receive(ctx, query);
            if (n > 0) modbus_reply(ctx, query, n, map);
            else if (n < 0 && tcp) break;
        }
        modbus_close(ctx);
    }
}
"""


@pytest.fixture(scope="module")
def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libmodbus' own server, with a float in each of its four orders."""
    if not shutil.which("gcc"):
        pytest.skip("gcc and libmodbus-dev are not here (tests/setup_debian.sh brings them)")
    folder = tmp_path_factory.mktemp("libmodbus")
    (folder / "server.c").write_text(LIBMODBUS, "utf-8")
    subprocess.run(
        ["gcc", "-o", "server", "server.c", "-I/usr/include/modbus", "-lmodbus"], cwd=folder, check=True, timeout=60
    )
    return folder / "server"


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.asynccontextmanager
async def two_ends(folder: Path) -> AsyncIterator[tuple[Path, Path]]:
    """A serial cable: two ptys that socat holds together."""
    ends = folder / "hub", folder / "device"
    for end in ends:
        end.unlink(missing_ok=True)  # of a cable that was cut: it leads to a pty that is gone
    process = await asyncio.create_subprocess_exec(
        "socat", *(f"pty,raw,echo=0,link={end}" for end in ends), stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: all(end.exists() for end in ends))
        yield ends
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def all_orders_are_read_and_written(address: str) -> None:
    one = device("d", address, "orders")
    async with driving([one]) as (driver, intake):
        await until(lambda: intake.value("d", "input.bit") is True and intake.value("d", "input.word") == 815)
        await until(lambda: intake.value("d", "coil.ninth") is True and intake.value("d", "word.set") == 4711)
        assert {intake.value("d", f"float.{order}") for order in ("abcd", "cdab", "badc", "dcba")} == {123456.0}
        for action, args in (("word.write", {"value": 5}), ("words.write", {}), ("coil.write", {}), ("word.bit", {})):
            receipt = await driver.carry_out(one, command(one, action, **args), lambda words: None)
            assert receipt.stage is Stage.ACKNOWLEDGED, (action, receipt)
        await until(lambda: intake.value("d", "word.set") == 0x8005)
        await until(lambda: intake.value("d", "float.abcd") == intake.value("d", "float.cdab") == -2.5)
        assert intake.value("d", "link") == LinkState.UP


async def test_libmodbus_over_tcp_in_all_four_orders(libmodbus: Path):
    port = free_port()
    with running(libmodbus, "tcp", str(port)):
        await all_orders_are_read_and_written(f"modbus+tcp://127.0.0.1:{port}/7")


async def test_libmodbus_over_a_serial_line_in_all_four_orders(libmodbus: Path, tmp_path: Path):
    async with two_ends(tmp_path) as (hub, far):
        with running(libmodbus, "rtu", str(far)):
            await all_orders_are_read_and_written(f"modbus+rtu://{hub}?baud=19200#7")


async def test_a_serial_line_with_two_units_and_its_adapter_pulled_and_put_back(tmp_path: Path):
    roster = [device(f"d{n}", f"modbus+rtu://{tmp_path}/hub?baud=19200#{n}", gap_ms=5) for n in (1, 2)]
    async with driving(roster, serial_timeout_ms=300) as (_, intake):
        for plugged in range(2):
            async with two_ends(tmp_path) as (_, far):
                line = SerialLine({n: Unit(Registers(salt=n)) for n in (1, 2)}, str(far), 19200)
                await line.up()
                await until(
                    lambda: all(
                        (r := intake.latest.get((f"d{n}", "word.w111"))) is not None
                        and (r.value, r.quality) == (word_at(111, n), Quality.GOOD)
                        for n in (1, 2)
                    ),
                    10,
                )
                await line.down()
            await until(lambda: all(intake.value(f"d{n}", "link") == LinkState.DOWN for n in (1, 2)), 10)
            assert plugged < 2


async def test_an_adapter_that_gives_back_what_is_sent_is_heard_past_its_echo(tmp_path: Path):
    async with two_ends(tmp_path) as (hub, far):
        fd = os.open(far, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        memory = Registers()
        loop = asyncio.get_running_loop()
        line = SerialLine({1: Unit(memory)}, fd)
        await line.up()
        hear = line._line.hear

        def echo_and_hear(data: bytes) -> None:
            os.write(fd, data)
            loop.call_later(0.01, hear, data)

        line._line.hear = echo_and_hear
        async with driving([device("d", f"modbus+rtu://{hub}?echo=1#1", gap_ms=5)]) as (_, intake):
            await until(lambda: intake.value("d", "word.w111") == word_at(111))
        await line.down()
        os.close(fd)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for localhost, which nobody but us believes."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return tmp_path


async def test_tls_with_a_certificate_of_our_own(certificate: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server = TcpServer({1: Unit(Registers())}, host="127.0.0.1", tls=context)
    await server.up()
    try:
        one = device("d", f"modbus+tls://localhost:{server.port}/1")
        async with driving([one], tls_ca_file=certificate / "cert.pem") as (_, intake):
            await until(lambda: intake.value("d", "word.w111") == word_at(111))
        async with driving([one]) as (_, intake):  # signed by nobody that the machine knows
            await until(lambda: intake.value("d", "link") == LinkState.DOWN)
            assert intake.latest["d", "word.w111"].why.key == "modbus.cannot_connect"
    finally:
        await server.down()


# ---- the link by itself -------------------------------------------------------------------------------------------


class Pipe(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.sent.append(bytes(data))


READ = ask_of(pdu.Read(3, 100, 2))


async def heard(framing: Framing, *pieces: str, unit: int = 1, heartbeats: tuple[bytes, ...] = ()) -> bytes | str:
    """What a question (FC3, 100, 2) comes to when these bytes come back."""
    pipe = Pipe()
    link: Link = adopt(pipe, framing, heartbeats)
    asking = asyncio.ensure_future(link.ask(unit, READ, 0.15))
    await asyncio.sleep(0)
    for piece in pieces:
        link.data_received(bytes.fromhex(piece))
        await asyncio.sleep(0)
    try:
        return await asking
    except NoAnswer as silence:
        return silence.why


GOOD = "03 04 0001 0002"
BEHIND = "bytes that belong to no frame behind the answer"
RTU = "01 03 04 0001 0002 2A32"


async def test_what_is_sent_is_what_the_standard_says():
    for framing, raw in (
        (Framing.MBAP, "0001 0000 0006 01 03 0064 0002"),
        (Framing.RTU, "01 03 0064 0002 85D4"),
        (Framing.ASCII, b":01030064000296\r\n".hex()),
    ):
        pipe = Pipe()
        link = adopt(pipe, framing)
        with pytest.raises(NoAnswer):
            await link.ask(1, READ, 0.01)
        assert pipe.sent == [bytes.fromhex(raw)]


@pytest.mark.parametrize(
    ("framing", "pieces", "comes_to"),
    [
        (Framing.MBAP, ["0001 0000 0007 01" + GOOD], GOOD),
        (Framing.MBAP, ["0001 00", "00 0007 01", GOOD], GOOD),
        (Framing.MBAP, ["0001 0000 0007 01" + GOOD + "0001 0000 0007 01" + GOOD], GOOD),
        (Framing.MBAP, ["0001 0000 0003 01 83 02"], "83 02"),
        (Framing.MBAP, ["0002 0000 0007 01" + GOOD], "the answer to question 2, which is too late"),
        (Framing.MBAP, ["0001 0000 0007 02" + GOOD], "an answer of unit 2"),
        (Framing.MBAP, ["0001 0000 0005 01 03 02 0001"], "asked for 4 bytes, got 2"),
        (Framing.MBAP, ["0001 0000 0007 01 04 04 0001 0002"], "asked function 3, got function 4"),
        (
            Framing.MBAP,
            ["0001 0000 0007 01 03 04 4842 2D46 0001 0002"],
            BEHIND,
        ),
        (Framing.MBAP, ["0001 0007 0007 01" + GOOD], "bytes that make no answer"),
        (Framing.RTU, [RTU], GOOD),
        (Framing.RTU, [RTU[:8], RTU[8:]], GOOD),
        (Framing.RTU, ["4842" + RTU], GOOD),
        (Framing.RTU, ["01 83 02 C0F1"], "83 02"),
        (Framing.RTU, ["01 03 02 0001 7984"], "asked for 4 bytes, got 2"),
        (Framing.RTU, ["01 03 02 0001 7984", RTU], GOOD),
        (Framing.RTU, [RTU[:-1] + "3"], "bytes that make no answer"),
        (Framing.RTU, [], "no answer"),
        (Framing.ASCII, [b":01030400010002F5\r\n".hex()], GOOD),
        (Framing.ASCII, [b":0103040001".hex(), b"0002F5\r\n".hex()], GOOD),
        (Framing.ASCII, [b":01030400010002F6\r\n".hex()], "bytes that make no answer"),
    ],
)
async def test_only_the_answer_to_the_question_is_believed(framing: Framing, pieces: list[str], comes_to: str):
    found = await heard(framing, *pieces)
    assert (found.hex() if isinstance(found, bytes) else found) == (
        bytes.fromhex(comes_to).hex() if comes_to[0] in "08" and comes_to[1] in "03" else comes_to
    )


async def test_a_heartbeat_before_in_and_after_an_answer_is_taken_out():
    raw = bytes.fromhex(RTU)
    for pieces in ([b"HB" + raw], [raw[:4] + b"HB" + raw[4:]], [raw + b"HB"], [b"H", b"B" + raw[:3], raw[3:]]):
        assert await heard(Framing.RTU, *(one.hex() for one in pieces), heartbeats=(b"HB",)) == bytes.fromhex(GOOD)


def test_a_write_is_answered_by_its_echo_and_by_nothing_else():
    ask = ask_of(pdu.WriteWords(5, b"\0\1\0\2"))
    assert fits(ask, bytes.fromhex("10 0005 0002"))
    assert fits(ask, bytes.fromhex("90 03"))
    assert not fits(ask, bytes.fromhex("10 0006 0002"))
    assert not fits(ask, bytes.fromhex("10 0005 0001"))
    assert not fits(ask_of(pdu.WriteWord(5, 1)), bytes.fromhex("06 0005 0002"))


async def test_nobody_is_connected_to_says_so_in_time():
    with pytest.raises(ConnectionRefusedError):
        await open_tcp("127.0.0.1", free_port(), Framing.MBAP, 1.0)
    async with serving({1: Unit(Registers())}) as server:
        link = await open_tcp("127.0.0.1", server.port, Framing.MBAP, 1.0)
        assert fits(READ, await link.ask(1, READ, 1.0))
        link.close()
        with pytest.raises(NoAnswer, match="the connection is closed"):
            await link.ask(1, READ, 1.0)
