"""What a receipt says, and what goes out: never more than is known, and nothing that nobody wants any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from drivers.modbus import line as line_of_modbus
from drivers.modbus.driver import ModbusDriver, nameplate
from drivers.modbus.line import LAST_WORDS_S, Line
from drivers.modbus.member import Member
from drivers.modbus.owed import MOST_OWED, Owed
from hub import supervise
from hub.dispatch import Dispatch
from hub.guard import Guard, Request
from hub.hub import Hub
from hub.ledger import Ledger
from hub.model import Device, LinkState, Receipt, Stage, Words
from hub.rights import Grant
from hub.sight import Sight
from protocols.modbus.pdu import Why
from simulators.modbus.line import Unit
from simulators.modbus.server import TcpServer
from simulators.modbus.unit import Refused
from tests.drivers.modbus_site import CLOCK, Intake, Registers, command, device, driving, serving, until
from tests.hub.kit import Diary, Limit


class Stubborn(Registers):
    """Writes what it is told (or does not), and answers that with an exception."""

    def __init__(self, code: int = 0, does_it: bool = True) -> None:
        super().__init__()
        self.code, self.does_it = code, does_it
        self.events: list[str] = []

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        self.events.append("read")
        return super().read(function, address, count)

    def write(self, address: int, words: Sequence[int]) -> None:
        self.events.append(f"{address} = {words[0]}")
        if self.does_it:
            super().write(address, words)
        if self.code:
            raise Refused(Why(self.code))


class Site:
    """One device on its server, under a driver."""

    def __init__(self, driver: ModbusDriver, intake: Intake, one: Device, unit: Unit, server: TcpServer) -> None:
        self.driver, self.intake, self.device, self.unit, self.server = driver, intake, one, unit, server
        self.memory: Stubborn = unit.memory  # type: ignore[assignment]
        self.sent: list[Words] = []

    @property
    def line(self) -> Line:
        return next(iter(self.driver.lines.values()))

    @property
    def member(self) -> Member:
        return self.line.members["d"]

    async def order(self, action: str, within_s: float = 10.0, **args: int) -> Receipt:
        it = command(self.device, action, within_s, **args)
        return await self.driver.carry_out(self.device, it, self.sent.append)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    unit = Unit(Stubborn())
    async with serving({1: unit}) as server:
        one = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([one]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            yield Site(driver, intake, one, unit, server)


# ---- what an exception says of a write ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stage", "key"),
    [
        (1, Stage.REJECTED, "modbus.refused_by_device"),
        (2, Stage.REJECTED, "modbus.refused_by_device"),
        (3, Stage.REJECTED, "modbus.refused_by_device"),
        (4, Stage.EXPIRED, "modbus.failed_while_written"),
        (5, Stage.EXPIRED, "modbus.takes_long"),
        (6, Stage.REJECTED, "modbus.refused_by_device"),
        (8, Stage.EXPIRED, "modbus.failed_while_written"),
        (10, Stage.EXPIRED, "modbus.gateway_has_no_path"),
        (11, Stage.EXPIRED, "modbus.gateway_heard_nothing"),
    ],
)
async def test_only_an_exception_that_means_it_did_not_happen_is_a_rejection(
    site: Site, code: int, stage: Stage, key: str
):
    site.memory.code = code
    receipt = await site.order("word.set", value=77)
    assert (receipt.stage, receipt.words) == (stage, Words(key, {"code": code}))
    assert (len(site.sent), site.memory.written) == (1, [(5, (77,))])


async def test_an_exception_to_what_is_read_before_a_command_leaves_it_unsent(site: Site, monkeypatch):
    site.member.no_mask = True  # a bit is set by reading its register first

    def read(*what: int) -> Sequence[int]:
        raise Refused(Why.GATEWAY_NO_ANSWER)

    monkeypatch.setattr(site.memory, "read", read)
    receipt = await site.order("word.bit")
    assert (receipt.stage, receipt.words) == (Stage.UNDELIVERED, Words("modbus.refused_before", {"code": 11}))
    assert (site.sent, site.memory.written) == ([], [])


async def test_after_a_gateways_doubt_the_proof_decides(site: Site, tmp_path: Path):
    site.memory.code = 11  # the gateway did not hear the answer of a device that did it
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", CLOCK)
    hub = Hub(CLOCK, Diary(), ledger, Limit())
    hub.adopt(site.device, nameplate(site.device))
    site.intake.take = hub.take  # type: ignore[method-assign]
    hub.take(list(site.intake.latest.values()))
    dispatch = Dispatch(hub, ledger, {"modbus": site.driver}, Guard(CLOCK, hub.members, ledger, Sight(hub)))
    await dispatch.request(
        Request("d", "word.set", {"value": 77}, "wang.min", "test", "once", (Grant("field_engineer"),))
    )
    await until(lambda: not dispatch.under_way())
    found = await ledger.command_by_key("wang.min", "once")
    assert found is not None
    assert found[1][-1].stage is Stage.CONFIRMED
    assert site.memory.written == [(5, (77,))]
    await dispatch.close()
    await ledger.close()


# ---- what nobody wants any more -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "reads"), [("word.order", (3, 300, 2)), ("word.bit", (3, 7, 1))])
async def test_what_is_called_off_while_it_reads_is_not_written(site: Site, action: str, reads: tuple[int, int, int]):
    site.member.no_mask = True
    site.unit.faults.switch("slow_answers", True, after_s=0.15)
    order = asyncio.create_task(site.order(action))
    await until(lambda: reads in site.memory.asked)
    order.cancel()
    await asyncio.sleep(0.4)
    assert (site.sent, site.memory.written) == ([], [])


async def test_what_is_too_late_when_it_has_read_is_not_written(site: Site):
    site.unit.faults.switch("slow_answers", True, after_s=0.15)
    receipt = await site.order("word.order", within_s=0.1)
    assert (receipt.stage, receipt.words) == (Stage.UNDELIVERED, Words("modbus.too_late"))
    assert (site.sent, site.memory.written) == ([], [])


# ---- what is set for a moment -------------------------------------------------------------------------------------

SET, RESET = (9, (1,)), (9, (0,))


async def pulsed(site: Site) -> asyncio.Task[Receipt]:
    """A pulse that has begun."""
    order = asyncio.create_task(site.order("word.long_pulse"))
    await until(lambda: site.memory.written == [SET])
    return order


def is_owed(receipt: Receipt, said: str) -> bool:
    words = receipt.words
    return receipt.stage is Stage.EXPIRED and words is not None and words.key == "modbus.reset_owed" and (
        words.args["said"].key == said
    )  # fmt: skip


async def test_a_pulse_whose_link_is_lost_ends_before_anything_else_is_asked_on_the_next_one(site: Site):
    order = await pulsed(site)
    await site.server.down()
    before = len(site.memory.events)
    assert is_owed(await order, "modbus.sent_but_silent")
    await site.server.up()
    await until(lambda: site.memory.written == [SET, RESET])
    assert site.memory.events[before] == "9 = 0"
    await until(lambda: not site.line.debts)


async def test_a_pulse_ends_before_a_hub_that_is_stopped_lets_go_of_the_line():
    unit = Unit(Stubborn())
    async with serving({1: unit}) as server:
        one = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([one]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            site = Site(driver, intake, one, unit, server)
            order = await pulsed(site)
            begun = CLOCK.monotonic()
        assert site.memory.written == [SET, RESET]
        assert 0.25 < CLOCK.monotonic() - begun < LAST_WORDS_S  # as long as it was meant to be
        assert (await order).stage is Stage.EXPIRED


async def test_a_stopped_hub_does_not_wait_long_for_a_device_that_does_not_answer(monkeypatch, caplog):
    monkeypatch.setattr(line_of_modbus, "LAST_WORDS_S", 0.1)
    unit = Unit(Stubborn())
    async with serving({1: unit}) as server:
        one = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([one]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            order = await pulsed(Site(driver, intake, one, unit, server))
            begun = CLOCK.monotonic()
        assert CLOCK.monotonic() - begun < 0.25
        assert "d is left with what was set for a moment" in caplog.text
        await order


async def test_a_pulse_of_a_unit_that_falls_silent_ends_when_it_answers_again(site: Site):
    order = await pulsed(site)
    site.unit.faults.switch("dead_unit", True)
    assert is_owed(await order, "modbus.sent_but_silent")
    await until(lambda: site.intake.value("d", "link") == LinkState.DOWN)
    site.unit.faults.switch("dead_unit", False)
    await until(lambda: site.memory.written == [SET, RESET])
    await until(lambda: not site.line.debts)


async def test_a_reset_that_is_refused_is_a_puzzle_and_is_written_again_and_again(site: Site):
    order = await pulsed(site)
    site.memory.code, site.memory.does_it = 6, False
    assert is_owed(await order, "modbus.refused_by_device")
    await until(lambda: [why.key for _, _, why in site.intake.puzzles] == ["modbus.reset_refused"])
    site.memory.code, site.memory.does_it = 0, True
    await until(lambda: site.memory.written == [SET, RESET])


async def test_what_was_refused_was_not_set_and_nothing_is_owed(site: Site):
    site.memory.code, site.memory.does_it = 3, False
    assert (await site.order("word.pulse")).stage is Stage.REJECTED
    assert not site.line.debts


async def test_nothing_more_is_set_for_a_moment_when_too_much_is_owed(site: Site):
    for _ in range(MOST_OWED):
        owed = Owed(site.member, lambda exchange: asyncio.sleep(0))
        owed.begin(CLOCK.monotonic() + 60)
        site.line.debts.add(owed)
    receipt = await site.order("word.pulse")
    assert (receipt.stage, receipt.words) == (Stage.UNDELIVERED, Words("modbus.too_much_owed", {"count": MOST_OWED}))
    assert (await site.order("word.set", value=1)).stage is Stage.ACKNOWLEDGED
    site.line.debts.open.clear()


def test_a_reset_is_tried_after_growing_pauses_and_at_once_when_its_device_is_back():
    owed = Owed(cast(Member, SimpleNamespace(breaker=SimpleNamespace(state=LinkState.UP))), lambda exchange: None)
    owed.begin(10.0)
    assert [owed.is_due(now) for now in (9.9, 10.0)] == [False, True]
    pauses = []
    for _ in range(8):
        owed.put_off(100.0)
        pauses.append(owed.due - 100.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    owed.member.breaker.state = LinkState.DOWN
    owed.put_off(100.0)
    assert not owed.is_due(101.0)
    owed.member.breaker.state = LinkState.DEGRADED
    assert owed.is_due(101.0)


async def test_a_failure_of_whoever_is_told_that_it_is_sent_stops_no_line_for_good(site: Site, monkeypatch):
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.1)

    def fail(words: Words) -> None:
        raise RuntimeError("no paper")

    receipt = await site.driver.carry_out(site.device, command(site.device, "word.set", value=7), fail)
    assert (receipt.stage, receipt.words and receipt.words.key) == (Stage.EXPIRED, "modbus.sent_but_silent")
    await until(lambda: site.intake.value("d", "word.w5") == 7)
    assert site.memory.written == [(5, (7,))]
