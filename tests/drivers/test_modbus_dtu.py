"""4G terminals that dial in: who they are, who is let wait, who is let go, and what they mix into their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.modbus import dtu as door
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.options import Options
from hub.model import LinkState, Quality, Stage
from simulators.modbus.line import Unit
from simulators.modbus.server import DialIn, Greeting
from tests.drivers.modbus_site import Intake, Registers, command, device, driving, until, word_at

IMEI = "860123456789012"
OPTIONS = {"dtu_port": 0, "dtu_settle_ms": 0, "dtu_timeout_ms": 300, "dtu_heartbeats": ["HB", "hex:FE"]}


async def port_of(driver: ModbusDriver) -> int:
    await until(lambda: driver.listener is not None and driver.listener.seats)
    assert driver.listener is not None
    return driver.listener.port


class Caller:
    """One TCP connection to the door, and what came over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def call(cls, port: int, says: bytes = b"") -> Caller:
        caller = cls(*await asyncio.open_connection("127.0.0.1", port))
        caller.writer.write(says)
        return caller

    async def hung_up(self, within_s: float = 3.0) -> bool:
        try:
            while await asyncio.wait_for(self.reader.read(100), within_s):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


@pytest.fixture
async def callers() -> AsyncIterator[list[DialIn]]:
    callers: list[DialIn] = []
    yield callers
    for caller in callers:
        await caller.down()


@pytest.mark.parametrize(
    "greeting",
    [
        Greeting(IMEI.encode()),
        Greeting(b"IMEI:" + IMEI.encode() + b"\r\n", b"HB", 0.05),
        Greeting(IMEI.encode(), b"\xfe", 0.02),
        Greeting(IMEI.encode(), b"HB", 0.03, before_each_packet=True),
    ],
    ids=["plain", "in a sentence, with heartbeats", "heartbeats of one byte", "before each packet"],
)
async def test_a_dtu_that_dials_in_is_polled_whatever_it_says_in_between(greeting: Greeting, callers: list[DialIn]):
    roster = [device(f"d{n}", f"modbus+dtu:{IMEI}/{n}", gap_ms=0) for n in (1, 2)]
    async with driving(roster, **OPTIONS, dtu_registers_each_packet=greeting.before_each_packet) as (driver, intake):
        units = {n: Unit(Registers(salt=n)) for n in (1, 2)}
        callers.append(DialIn(units, "127.0.0.1", await port_of(driver), greeting))
        await callers[0].up()
        await until(lambda: all(intake.value(f"d{n}", "word.w111") == word_at(111, n) for n in (1, 2)))
        await asyncio.sleep(1.0)
        wrong = [r for r in intake.taken if r.point == "word.w111" and r.value != word_at(111, int(r.device[1]))
                 and r.quality is Quality.GOOD]  # fmt: skip
        assert wrong == []
        assert intake.value("d1", "link") == LinkState.UP
        receipt = await driver.carry_out(roster[0], command(roster[0], "word.set", value=9), lambda words: None)
        assert receipt.stage is Stage.ACKNOWLEDGED


async def test_before_it_dials_in_a_dtus_devices_are_down_and_take_no_commands():
    one = device("d1", f"modbus+dtu:{IMEI}/1")
    async with driving([one], **OPTIONS) as (driver, intake):
        await until(lambda: intake.value("d1", "link") == LinkState.DOWN)
        receipt = await driver.carry_out(one, command(one, "word.set", value=9), lambda words: None)
        assert (receipt.stage, receipt.words.key) == (Stage.UNDELIVERED, "modbus.dtu_not_there")


async def test_the_newer_connection_of_one_id_wins(callers: list[DialIn]):
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1", gap_ms=0)], **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        zombie = await Caller.call(port, IMEI.encode())
        await until(lambda: driver.lines and next(iter(driver.lines.values()))._link is not None)
        callers.append(DialIn({1: Unit(Registers())}, "127.0.0.1", port, Greeting(IMEI.encode())))
        await callers[0].up()
        assert await zombie.hung_up()
        await until(lambda: intake.value("d1", "word.w111") == word_at(111))


async def test_a_dtu_that_dials_in_again_while_it_is_asked_does_not_wait_at_the_door(callers: list[DialIn]):
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1", gap_ms=0)], **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        line = next(iter(driver.lines.values()))
        silent = []
        for _ in range(5):  # a base station that flaps: on none of these gets anything through
            before = line._link
            silent.append(await Caller.call(port, IMEI.encode()))
            await until(lambda before=before: line._link not in (None, before), 2)
            await asyncio.sleep(0.05)
        callers.append(DialIn({1: Unit(Registers())}, "127.0.0.1", port, Greeting(IMEI.encode())))
        await callers[0].up()
        await until(lambda: intake.value("d1", "word.w111") == word_at(111), 2)


async def test_strangers_wait_are_shown_and_come_in_when_they_are_adopted(monkeypatch):
    monkeypatch.setattr(door, "STRANGER_EVERY_S", 0.0)
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        strangers = [await Caller.call(port, says) for says in (b"869999999999999", b"hello?")]
        await until(lambda: len(intake.puzzles) == 2)
        assert [(address, raw) for address, raw, _ in intake.puzzles] == [
            ("modbus+dtu:869999999999999/1", b"869999999999999"),
            ("modbus+dtu:?127.0.0.1", b"hello?"),
        ]
        assert driver.listener.waiting == 2
        intake.roster.change([device("d2", "modbus+dtu:869999999999999/1")])
        await until(lambda: driver.listener.waiting == 1)
        assert await strangers[0].reader.read(8)  # it is asked for its registers


SPEAKER, SECRET = f"modbus+dtu:{IMEI}", "k7mw29xqhd3tk4fgmnpq"


async def test_a_dtu_with_a_secret_is_believed_by_it_and_nobody_else_speaks_for_it(callers: list[DialIn], monkeypatch):
    monkeypatch.setattr(door, "TURNED_AWAY_EVERY_S", 0.0)  # each of them is to be seen here
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1", gap_ms=0)], **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        intake.secrets[SPEAKER] = {SECRET}
        callers.append(DialIn({1: Unit(Registers())}, "127.0.0.1", port, Greeting(f"{IMEI}:{SECRET}".encode())))
        await callers[0].up()
        await until(lambda: intake.value("d1", "word.w111") == word_at(111))
        for says in (IMEI, f"{IMEI}:{'x' * 20}", f"{IMEI}:{SECRET[:-1]}", f"{IMEI}:{SECRET[:-1]}x\r\n"):
            assert await (await Caller.call(port, says.encode())).hung_up(), says
        assert [words.key.split(".")[1] for _, _, words in intake.puzzles] == [
            "no_secret", "wrong_secret", "no_secret", "wrong_secret"]  # fmt: skip
        assert intake.puzzles[1][:2] == (f"modbus+dtu:{IMEI}/1", f"{IMEI}:***".encode()), "what it said is not shown"
        before = len(intake.taken)
        await until(lambda: len(intake.taken) > before)  # the right one was not disturbed
        assert intake.value("d1", "link") == LinkState.UP

        intake.secrets[SPEAKER] = {"another"}  # the overlap is over
        driver.listener.options = driver.listener.options.model_copy(update={"dtu_heartbeat_s": 0.2})
        await until(lambda: intake.value("d1", "link") == LinkState.DOWN, 8)


async def test_a_terminal_that_does_not_know_its_secret_yet_is_told_once_a_minute():
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS) as (driver, intake):
        intake.secrets[SPEAKER] = {SECRET}
        for _ in range(5):  # it dials again and again
            assert await (await Caller.call(await port_of(driver), IMEI.encode())).hung_up()
        assert [words.key for _, _, words in intake.puzzles] == ["modbus.no_secret"]


async def test_the_secret_of_a_stranger_is_not_shown():
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS) as (driver, intake):
        caller = await Caller.call(await port_of(driver), f"869999999999999:{SECRET}".encode())
        await until(lambda: intake.strangers)
        assert not await caller.hung_up(0.1), "it waits to be adopted"
        assert intake.strangers[0][2] == intake.puzzles[0][1] == b"869999999999999:***"


async def test_who_dials_in_from_elsewhere_is_hung_up_on_and_shown():
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS, dtu_from=["10.20.0.0/16", "192.168.7.9"]) as (
        driver,
        intake,
    ):
        assert await (await Caller.call(await port_of(driver), IMEI.encode())).hung_up()
        assert [(address, words.key) for address, _, words in intake.puzzles] == [
            ("modbus+dtu:?127.0.0.1", "modbus.not_from_there")
        ]
    options = Options.model_validate({"dtu_from": ["10.20.0.0/16"]})
    assert [options.lets_in(it) for it in ("10.20.3.4", "::ffff:10.20.3.4", "10.21.0.1", "?")] == [
        True, True, False, False]  # fmt: skip
    with pytest.raises(ValueError, match=r'has "10.20", which is no network. Write some like "10.20.0.0/16"'):
        Options.model_validate({"dtu_from": ["10.20"]})


async def test_strangers_are_few_a_second_and_do_not_stay(monkeypatch):
    monkeypatch.setattr(door, "MOST_WAITING", 3)
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS, dtu_waiting_s=0.5) as (driver, _):
        port = await port_of(driver)
        callers = [await Caller.call(port, b"stranger %d" % n) for n in range(4)]
        gone = await asyncio.gather(*(caller.hung_up(1.0) for caller in callers))
        assert sorted(gone) == [False, True, True, True]  # one a second from one address
        monkeypatch.setattr(door, "STRANGER_EVERY_S", 0.0)
        callers = [await Caller.call(port, b"stranger %d" % n) for n in range(4)]
        await until(lambda: driver.listener.waiting == 3)
        assert all(await asyncio.gather(*(caller.hung_up(7.0) for caller in callers)))
        await until(lambda: driver.listener.waiting == 0)


async def test_a_dtu_that_falls_silent_is_let_go():
    roster = [device("d1", f"modbus+dtu:{IMEI}/1", gap_ms=0)]
    async with driving(roster, **OPTIONS, dtu_heartbeat_s=0.2) as (driver, _):
        silent = await Caller.call(await port_of(driver), IMEI.encode())
        assert await silent.hung_up(3.0)


async def test_a_dtu_that_dials_in_again_and_again_is_a_puzzle():
    async with driving([device("d1", f"modbus+dtu:{IMEI}/1")], **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        for _ in range(8):
            caller = await Caller.call(port, IMEI.encode() + b"HB")
            await asyncio.sleep(0.05)
            caller.writer.close()
        await until(lambda: [why.key for _, _, why in intake.puzzles].count("modbus.flapping") == 1)


@pytest.mark.slow
async def test_two_hundred_dtus_that_come_back_at_once_are_all_polled_within_a_minute(callers: list[DialIn]):
    ids = [f"8601234567{n:05}" for n in range(200)]
    roster = [device(f"d{id}", f"modbus+dtu:{id}/1", gap_ms=0) for id in ids]
    async with driving(roster, **OPTIONS) as (driver, intake):
        port = await port_of(driver)
        for id in ids:
            callers.append(DialIn({1: Unit(Registers())}, "127.0.0.1", port, Greeting(id.encode(), b"HB"), 0.2))
        for round in range(2):
            await asyncio.gather(*(caller.up() for caller in callers))
            await until(lambda: polled(intake) == len(ids), 60)
            if round == 0:
                await asyncio.gather(*(caller.down() for caller in callers))
                await until(lambda: polled(intake) == 0, 60)


def polled(intake: Intake) -> int:
    return sum(reading.quality is Quality.GOOD for (_, point), reading in intake.latest.items() if point == "word.w111")
