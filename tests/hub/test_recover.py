"""Killed at any moment, the hub sends nothing again, and says what it does not know."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from hub.model import CommandRecord, Nameplate, Stage, Words

from .kit import PLATE, STATION, House, Manner

SENT, ACKNOWLEDGED, CONFIRMED, EXPIRED = Stage.SENT, Stage.ACKNOWLEDGED, Stage.CONFIRMED, Stage.EXPIRED


@pytest_asyncio.fixture
async def first(tmp_path: Path) -> House:
    """The house before it is killed."""
    house = await House.open(tmp_path)
    house.poll()
    return house


async def killed_after(
    first: House, folder: Path, manner: Manner, answers_after_s: float
) -> tuple[House, CommandRecord]:
    first.driver.manner, first.driver.answers_after_s = manner, answers_after_s
    record = await first.ask()
    await first.pass_(2 if manner is Manner.IS_SLOW_TO_REACH or answers_after_s else 1)
    return await first.die(folder), record


@pytest.mark.parametrize(
    ("manner", "answers_after_s", "before"),
    [
        (Manner.IS_SLOW_TO_REACH, 0.0, []),
        (Manner.ONLY_SAYS_SO, 30.0, [SENT]),
        (Manner.ONLY_SAYS_SO, 0.0, [SENT, ACKNOWLEDGED]),
        (Manner.OBEYS, 0.0, [SENT, ACKNOWLEDGED, CONFIRMED]),
        (Manner.REFUSES, 0.0, [SENT, Stage.REJECTED]),
        (Manner.IS_AWAY, 0.0, [Stage.UNDELIVERED]),
    ],
)
async def test_after_a_kill_at_any_stage_nothing_is_sent_again_and_nothing_stays_open(
    first: House, tmp_path: Path, manner: Manner, answers_after_s: float, before: list[Stage]
):
    house, record = await killed_after(first, tmp_path, manner, answers_after_s)
    assert await house.life(record) == before
    over = bool(before) and before[-1] not in (SENT, ACKNOWLEDGED)
    assert await house.dispatch.recover() == (0 if over else 1)
    await house.pass_(62)
    assert await house.life(record) == (before if over else [*before, EXPIRED])
    assert house.driver.heard == []
    assert house.dispatch.under_way() == []
    assert await house.dispatch.recover() == 0
    await house.close()


async def test_a_command_that_was_sent_is_confirmed_by_a_reading_after_the_restart(first: House, tmp_path: Path):
    house, record = await killed_after(first, tmp_path, Manner.ONLY_SAYS_SO, 0.0)
    await house.clock.advance(25)  # longer than its proof may take, shorter than its deadline: the hub was away
    await house.dispatch.recover()
    house.driver.running = True
    await house.pass_(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]
    await house.close()


async def test_a_restart_after_the_deadline_says_that_the_hub_was_away(first: House, tmp_path: Path):
    house, record = await killed_after(first, tmp_path, Manner.ONLY_SAYS_SO, 0.0)
    await house.clock.advance(3600)
    house.driver.running = True
    house.poll()
    await house.dispatch.recover()
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    assert await house.words(record) == Words("command.hub_stopped")
    await house.close()


async def test_the_device_stays_busy_after_a_restart_while_a_command_is_watched(first: House, tmp_path: Path):
    house, _ = await killed_after(first, tmp_path, Manner.ONLY_SAYS_SO, 0.0)
    house.poll()
    await house.dispatch.recover()
    assert (await house.ask()).stage is Stage.REFUSED
    stop = await house.ask("pump1.stop")
    await house.pass_(2)
    assert (await house.life(stop))[-1] is CONFIRMED
    assert [command.action for command in house.driver.heard] == ["pump1.stop"]
    await house.close()


async def test_a_command_that_ended_acknowledged_stays_ended(first: House, tmp_path: Path):
    record = await first.ask("say")
    await first.quiet()
    house = await first.die(tmp_path)
    assert await house.dispatch.recover() == 0
    assert await house.life(record) == [SENT, ACKNOWLEDGED]
    await house.close()


async def test_a_device_or_an_action_that_is_gone_after_the_restart_ends_the_command(first: House, tmp_path: Path):
    house, record = await killed_after(first, tmp_path, Manner.ONLY_SAYS_SO, 0.0)
    house.hub.adopt(STATION, Nameplate(PLATE.points, {}))
    await house.dispatch.recover()
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    await house.close()


async def test_closing_says_nothing_and_the_next_start_watches_on(first: House, tmp_path: Path):
    first.driver.manner = Manner.ONLY_SAYS_SO
    record = await first.ask()
    await first.quiet()
    await first.close()
    house = await House.open(tmp_path, clock=first.clock)
    assert await house.life(record) == [SENT, ACKNOWLEDGED]
    assert await house.dispatch.recover() == 1
    house.driver.running = True
    await house.pass_(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]
    await house.close()


async def test_alarms_that_stood_stand_after_the_restart_and_are_not_announced_again(first: House, tmp_path: Path):
    first.poll(level=4.0)
    await first.quiet()
    (before,) = first.hub.book.standing()
    house = await first.die(tmp_path)
    house.hub.restore(await house.ledger.standing_alarm_changes())
    assert house.hub.book.standing() == [before]
    house.poll(level=4.0)
    assert house.desk.alarms == []
    house.poll(level=1.0)
    await house.quiet()
    assert [(alarm.id, alarm.state) for alarm in house.desk.alarms] == [(before.id, "returned")]
    await house.close()


async def test_an_acknowledgement_survives_the_restart(first: House, tmp_path: Path):
    first.poll(level=4.0)
    (alarm,) = first.hub.book.standing()
    await first.hub.alarms.acknowledge(alarm.id, "wang.min", "on my way")
    house = await first.die(tmp_path)
    house.hub.restore(await house.ledger.standing_alarm_changes())
    (after,) = house.hub.book.standing()
    assert (after.state, after.acknowledged_by) == ("acknowledged", "wang.min")
    await house.close()


async def test_a_kill_while_the_command_is_written_sends_nothing(first: House, tmp_path: Path):
    first.pen.hold()
    asking = asyncio.ensure_future(first.ask())
    await first.quiet()
    asking.cancel()
    house = await first.die(tmp_path)
    assert await house.dispatch.recover() == 0
    assert first.driver.heard == house.driver.heard == []
    await house.close()
