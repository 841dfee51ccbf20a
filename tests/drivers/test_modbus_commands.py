"""What a receipt says, and what goes out: never more than is known, and nothing that nobody wants any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from drivers.modbus.driver import ModbusDriver, nameplate
from drivers.modbus.line import Line
from drivers.modbus.member import Member
from hub.dispatch import Dispatch
from hub.guard import Guard, Request
from hub.hub import Hub
from hub.ledger import Ledger
from hub.model import Device, Receipt, Stage, Words
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
    dispatch = Dispatch(hub, ledger, {"modbus": site.driver}, Guard(CLOCK, hub.members, ledger))
    await dispatch.request(Request("d", "word.set", {"value": 77}, "wang.min", "test", "once", ("water_operator",)))
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
