"""One line's trouble stays its own: the others are asked on, and it is started again by itself."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Iterator, Sequence

import pytest

from drivers.modbus.link import Framing, SerialPort, open_serial, open_tcp
from drivers.modbus.member import Member
from hub import supervise
from hub.model import Device, Quality, Reading
from simulators.modbus.line import Unit
from tests.drivers.modbus_site import Intake, Registers, device, driving, serving, until, word_at


@pytest.fixture
def serial_port() -> Iterator[str]:
    """A serial device whose adapter cannot switch the direction of an RS-485 line."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def is_good(intake: Intake, id: str) -> bool:
    reading = intake.latest.get((id, "word.w111"))
    return reading is not None and (reading.value, reading.quality) == (word_at(111), Quality.GOOD)


async def test_a_line_that_fails_says_so_is_started_again_and_disturbs_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.3)
    async with serving({1: Unit(Registers())}) as one, serving({1: Unit(Registers())}) as other:
        roster = [device(f"d{port}", f"modbus+tcp://127.0.0.1:{port}/1") for port in (one.port, other.port)]
        bad, good = (it.id for it in roster)
        async with driving(roster) as (_, intake):
            await until(lambda: is_good(intake, bad) and is_good(intake, good))
            take, failures = intake.take, iter([RuntimeError("no room")])

            def take_badly(readings: Sequence[Reading]) -> None:
                if readings[0].device == bad and readings[0].quality is Quality.GOOD:
                    for failure in failures:
                        raise failure
                take(readings)

            intake.take = take_badly  # type: ignore[method-assign]
            await until(lambda: intake.latest[bad, "word.w111"].quality is Quality.BAD)
            why = intake.latest[bad, "word.w111"].why
            assert why is not None
            assert (why.key, why.args) == ("modbus.line_failed", {"error": "RuntimeError: no room"})
            intake.taken.clear()
            await until(lambda: is_good(intake, bad))
            others = [reading for reading in intake.taken if reading.device == good]
            assert others
            assert not [reading for reading in others if reading.quality is Quality.BAD]
            said = [record.message for record in caplog.records if record.name == "fieldhub.supervise"]
            assert said == [f"modbus line tcp://127.0.0.1:{one.port} failed"]


async def test_a_serial_port_that_cannot_do_what_is_asked_of_it_is_down_and_the_others_are_polled(serial_port: str):
    async with serving({1: Unit(Registers())}) as server:
        roster = [
            device("bad", f"modbus+rtu://{serial_port}?rs485=1#1"),
            device("good", f"modbus+tcp://127.0.0.1:{server.port}/1"),
        ]
        async with driving(roster) as (_, intake):
            await until(lambda: is_good(intake, "good") and ("bad", "word.w111") in intake.latest)
            why = intake.latest["bad", "word.w111"].why
            assert why is not None
            assert why.key == "modbus.cannot_open"
            assert "leave out rs485=1" in why.args["why"]


async def test_a_port_that_could_not_be_set_is_let_go_again(serial_port: str):
    for _ in range(2):  # it is opened for us alone: one that is still held cannot be opened
        with pytest.raises(OSError, match="leave out rs485=1"):
            await open_serial(SerialPort(serial_port, rs485=True), Framing.RTU)
    (await open_serial(SerialPort(serial_port), Framing.RTU)).close()


async def test_a_host_that_cannot_be_looked_up_is_no_more_than_a_host_that_is_away():
    with pytest.raises(OSError, match="label"):
        await open_tcp("10.0..4.7", 502, Framing.MBAP, 1.0)


async def test_a_device_that_cannot_be_taken_in_for_an_unforeseen_reason_is_a_puzzle(monkeypatch: pytest.MonkeyPatch):
    start = Member.start

    def start_badly(self: Member, *how: object) -> None:
        start(self, *how)  # type: ignore[arg-type]
        if self.device.id == "bad":
            raise RuntimeError("no room")

    monkeypatch.setattr(Member, "start", start_badly)
    async with serving({1: Unit(Registers()), 2: Unit(Registers())}) as server:
        roster = [device(id, f"modbus+tcp://127.0.0.1:{server.port}/{n}") for n, id in ((2, "bad"), (1, "good"))]
        async with driving(roster) as (driver, intake):
            await until(lambda: is_good(intake, "good"))
            assert [(at, why.key, why.args) for at, _, why in intake.puzzles] == [
                (roster[0].address, "modbus.device_failed", {"error": "RuntimeError: no room"})
            ]
            assert [[*line.members] for line in driver.lines.values()] == [["good"]]


async def test_a_device_that_moves_to_another_line_leaves_nobody_behind():
    async with serving({1: Unit(Registers())}) as one, serving({1: Unit(Registers())}) as other:

        def at(port: int) -> Device:
            return device("d", f"modbus+tcp://127.0.0.1:{port}/1")

        async with driving([at(one.port)]) as (driver, intake):
            await until(lambda: is_good(intake, "d"))
            intake.roster.change([at(other.port)])
            await until(lambda: other.connections == 1 and one.connections == 0)
            assert [*driver.lines] == [f"tcp://127.0.0.1:{other.port}"]
        await asyncio.sleep(0)
        await until(lambda: other.connections == 0)


async def test_a_connection_that_is_called_off_in_any_moment_is_called_off():
    """Also in the moment in which it comes about: a hub that stops then must not wait for it for ever."""
    async with serving({1: Unit(Registers())}) as server:
        for turns in range(60):
            opening = asyncio.create_task(open_tcp("127.0.0.1", server.port, Framing.MBAP, 1.0))
            for _ in range(turns):
                await asyncio.sleep(0)
            if opening.done():
                opening.result().close()
                break
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        else:
            pytest.fail("it never came about")
        await until(lambda: server.connections == 0)
