"""What a lost answer, a silent block and a silent unit mean: for their points, for probes, and for who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import pytest

from hub.model import Device, LinkState, Stage
from protocols.modbus.frames import Frame
from simulators.modbus.faults import Framing, Piece, Troubled
from simulators.modbus.line import Unit
from tests.drivers.modbus_site import CLOCK, Registers, command, device, driving, serving, until

QUICK = {"tcp_timeout_ms": 60}


class Deaf(Troubled):
    """Gives no answer to what `ignores` says: function, first address, and which request this is."""

    def __init__(self, ignores: Callable[[int, int, int], bool]) -> None:
        super().__init__()
        self.ignores = ignores

    def spoil(self, framing: Framing, request: Frame, reply: Frame) -> list[Piece]:
        pieces = super().spoil(framing, request, reply)
        return [] if self.ignores(request.pdu[0], int.from_bytes(request.pdu[1:3], "big"), self.asked) else pieces


def pair(port: int) -> tuple[Device, Device]:
    """Two on one line: a line whose only unit is silent is opened anew, and that is another story."""
    at = f"modbus+tcp://127.0.0.1:{port}"
    return device("d", f"{at}/1", "watched"), device("n", f"{at}/2")


async def test_a_watchdog_is_fed_through_lost_answers_and_rests_while_its_unit_is_down():
    memory = Registers()
    unit = Unit(memory, Deaf(lambda fn, at, nth: fn == 3 and nth % 5 == 0))
    fed = lambda: sum(at == 390 for at, _ in memory.written)  # noqa: E731
    async with serving({1: unit, 2: Unit(Registers())}) as server:
        one, neighbour = pair(server.port)
        async with driving([one, neighbour], **QUICK) as (_, intake):
            await until(lambda: intake.value("d", "word.w61") is not None)
            await asyncio.sleep(0.6)  # a dozen lost answers
            before = fed()
            await until(lambda: fed() - before >= 3, 1)
            tried: list[int] = []
            unit.faults = Deaf(lambda fn, at, nth: not tried.append(fn))
            await until(lambda: intake.value("d", "link") == LinkState.DOWN)
            await asyncio.sleep(0.2)
            tried.clear()
            await until(lambda: tried)
            assert 6 not in tried
            unit.faults = Troubled()
            before = fed()
            await until(lambda: fed() > before)


async def test_a_poll_that_is_lost_while_a_result_is_awaited_does_not_lose_the_result():
    class Plc(Registers):
        def write(self, address: int, words: Sequence[int]) -> None:
            super().write(address, words)
            self.words[303] = 1  # accepted at once

    luck = Random(4)
    unit = Unit(Plc(), Deaf(lambda fn, at, nth: fn == 3 and at in (0, 60) and luck.random() < 0.3))
    async with serving({1: unit, 2: Unit(Registers())}) as server:
        one, neighbour = pair(server.port)
        async with driving([one, neighbour], **QUICK) as (driver, intake):
            await until(lambda: intake.value("d", "word.w0") is not None)
            for _ in range(2):
                begun = CLOCK.monotonic()
                receipt = await driver.carry_out(one, command(one, "pump.start", within_s=4), lambda words: None)
                if receipt.stage is not Stage.UNDELIVERED:  # its own question may be lost too
                    assert receipt.stage is Stage.ACKNOWLEDGED
                assert CLOCK.monotonic() - begun < 2


@pytest.mark.parametrize("block", [0, 60])
async def test_a_unit_comes_back_after_a_power_cut_though_it_never_answers_for_one_block(block: int):
    power = [True]
    deaf = Deaf(lambda fn, at, nth: not power or block <= at < block + 9)
    async with serving({1: Unit(Registers(), deaf)}) as server:
        one = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1", "watched")
        async with driving([one], **QUICK) as (_, intake):
            for cut in range(2):
                await until(lambda: intake.value("d", f"word.w{60 - block}") is not None)
                await asyncio.sleep(0.3)
                assert intake.value("d", "link") == LinkState.DEGRADED
                if not cut:
                    power.clear()
                    await until(lambda: intake.value("d", "link") == LinkState.DOWN)
                    power.append(True)
