"""Once, one at a time, stops first: the order of commands, and who may call one off."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.contract import Ask
from hub.ledger import LedgerUnavailable
from hub.model import CommandRecord, LinkState, Stage, Words
from hub.rights import Grant
from hub.words import house_words

from .kit import SPEAK, STATION, House, Manner, reading

SENT, ACKNOWLEDGED, CONFIRMED = Stage.SENT, Stage.ACKNOWLEDGED, Stage.CONFIRMED
REFUSED, UNDELIVERED, REJECTED = Stage.REFUSED, Stage.UNDELIVERED, Stage.REJECTED
EXPIRED, CANCELLED = Stage.EXPIRED, Stage.CANCELLED
WORDS = house_words()


async def says(house: House, record: CommandRecord) -> str:
    return WORDS.say(await house.words(record))


# ---- once ---------------------------------------------------------------------------------------------------------


async def test_the_same_key_fifty_times_at_once_is_one_command(house: House):
    records = await asyncio.gather(*(house.ask(key="k1") for _ in range(50)))
    await house.quiet()
    assert len({record.command.id for record in records}) == 1
    assert len(house.driver.heard) == 1


async def test_the_same_key_later_is_the_same_command_with_what_came_of_it(house: House):
    first = await house.ask(key="k1")
    assert (await house.ask(key="k1")).command == first.command
    await house.pass_(1)
    again = await house.ask(key="k1")
    assert (again.command, again.stage, again.final) == (first.command, CONFIRMED, True)
    assert len(house.driver.heard) == 1


async def test_the_same_key_after_a_restart_is_the_same_command(tmp_path: Path):
    house = await House.open(tmp_path)
    house.poll()
    first = await house.ask(key="k1")
    await house.pass_(1)
    house = await house.die(tmp_path)
    again = await house.ask(key="k1")
    assert (again.command, again.stage, house.driver.heard) == (first.command, CONFIRMED, [])
    await house.close()


async def test_a_key_belongs_to_who_gave_it(house: House):
    first = await house.ask("say", key="k1")
    await house.quiet()
    second = await house.ask("say", key="k1", asked_by="li.na")
    assert first.command.id != second.command.id


async def test_a_refused_command_keeps_its_key(house: House):
    first = await house.ask(key="k1", grants=(Grant("viewer"),))
    again = await house.ask(key="k1")
    assert (first.stage, again.stage, again.command.id) == (REFUSED, REFUSED, first.command.id)


async def test_a_key_whose_command_could_not_be_written_can_be_tried_again(house: House):
    house.pen.full = True
    outcomes = await asyncio.gather(*(house.ask(key="k1") for _ in range(5)), return_exceptions=True)
    assert [type(it) for it in outcomes] == [LedgerUnavailable] * 5
    house.pen.full = False
    assert (await house.ask(key="k1")).stage is None


async def test_an_asker_who_hangs_up_does_not_leave_a_command_half_asked_for(house: House):
    house.pen.hold()
    asking = asyncio.ensure_future(house.ask())
    await house.quiet()
    asking.cancel()
    await house.quiet()
    house.pen.let_go()
    await house.pass_(1)
    (record,) = {it.command.id: it for it in house.desk.commands}.values()
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]


# ---- one at a time, and stops first -------------------------------------------------------------------------------


async def test_another_command_is_refused_while_one_is_under_way(house: House):
    await house.ask()
    record = await house.ask(asked_by="li.na")
    assert await house.life(record) == [REFUSED]
    assert "asked by wang.min, is still under way" in await says(house, record)


async def test_of_two_commands_at_once_one_is_refused(house: House):
    records = await asyncio.gather(house.ask(), house.ask(), house.ask("say"))
    await house.quiet()
    assert sorted(str(record.stage) for record in records) == ["None", "refused", "refused"]
    assert len(house.driver.heard) == 1


async def test_a_stop_cancels_a_start_and_is_not_held_up_by_it(house: House):
    house.driver.answers_after_s = 10.0
    start = await house.ask()
    await house.quiet()
    house.driver.answers_after_s = 0.0
    stop = await house.ask("pump1.stop", asked_by="li.na")
    await house.pass_(1)
    assert await house.life(start) == [SENT, CANCELLED]
    assert await says(house, start) == "made way for a stop asked by li.na; it had already been sent"
    assert await house.life(stop) == [SENT, ACKNOWLEDGED, CONFIRMED]
    assert [command.action for command in house.driver.heard] == ["pump1.start", "pump1.stop"]


async def test_a_start_that_is_still_being_written_down_is_never_sent_after_a_stop(house: House):
    house.pen.hold()
    starting = asyncio.ensure_future(house.ask())
    await house.quiet()
    stopping = asyncio.ensure_future(house.ask("pump1.stop"))
    await house.quiet()
    house.pen.let_go()
    start, stop = await starting, await stopping
    await house.pass_(2)
    assert [command.action for command in house.driver.heard] == ["pump1.stop"]
    assert await house.life(start) == [CANCELLED]
    assert await says(house, start) == "made way for a stop asked by wang.min before anything was sent"
    assert await house.life(stop) == [SENT, ACKNOWLEDGED, CONFIRMED]


async def test_a_start_that_is_still_being_judged_is_never_sent_after_a_stop(house: House):
    counting = asyncio.Event()

    async def slow(*args: Any) -> int:
        await counting.wait()
        return 0

    house.guard._ledger = Slow(slow)
    starting = asyncio.ensure_future(house.ask())
    await house.quiet()
    stop = await house.ask("pump1.stop")
    await house.pass_(2)
    assert await house.life(stop) == [SENT, ACKNOWLEDGED, CONFIRMED]
    counting.set()
    start = await starting
    await house.pass_(2)
    assert await house.life(start) == [CANCELLED]
    assert [command.action for command in house.driver.heard] == ["pump1.stop"]


class Slow:
    """A ledger whose disk is slow to read."""

    def __init__(self, count_sent: Any) -> None:
        self.count_sent = count_sent


async def test_a_stop_that_is_refused_cancels_nothing(house: House):
    house.driver.answers_after_s = 5.0
    start = await house.ask()
    await house.quiet()
    assert (await house.ask("pump1.stop", grants=(Grant("viewer"),))).stage is REFUSED
    await house.pass_(6)
    assert await house.life(start) == [SENT, ACKNOWLEDGED, CONFIRMED]


async def test_a_stop_asked_again_goes_again(house: House):
    house.driver.running = True
    house.driver.manner = Manner.ONLY_SAYS_SO
    first = await house.ask("pump1.stop")
    await house.pass_(2)
    house.driver.manner = Manner.OBEYS
    second = await house.ask("pump1.stop")
    await house.pass_(2)
    assert await house.life(first) == [SENT, ACKNOWLEDGED, CANCELLED]
    assert await house.life(second) == [SENT, ACKNOWLEDGED, CONFIRMED]


async def test_a_stop_is_tried_even_when_the_link_was_down_a_moment_ago(house: House):
    house.hub.take([reading("link", LinkState.DOWN.value)])
    assert (await house.ask()).stage is REFUSED
    stop = await house.ask("pump1.stop")
    await house.pass_(1)
    assert await house.life(stop) == [SENT, ACKNOWLEDGED, CONFIRMED]


# ---- cancelling ---------------------------------------------------------------------------------------------------


async def test_a_cancel_before_sending_says_that_nothing_was_sent(house: House):
    house.driver.manner = Manner.IS_SLOW_TO_REACH
    record = await house.ask()
    await house.quiet()
    cancelled = await house.dispatch.cancel(record.command.id, "li.na")
    assert cancelled is not None
    assert (cancelled.stage, cancelled.final) == (CANCELLED, True)
    assert await says(house, record) == "cancelled by li.na before anything was sent"
    await house.pass_(70)
    assert await house.life(record) == [CANCELLED]
    assert house.driver.heard == []


async def test_a_cancel_after_sending_does_not_pretend_to_call_it_back(house: House):
    house.driver.answers_after_s = 30.0
    record = await house.ask()
    await house.quiet()
    await house.dispatch.cancel(record.command.id, "li.na")
    await house.pass_(40)
    assert await house.life(record) == [SENT, CANCELLED]
    wanted = "li.na stopped waiting; it had been sent, and what the device did with it is unknown"
    assert await says(house, record) == wanted


async def test_what_is_not_under_way_cannot_be_cancelled(house: House):
    record = await house.ask()
    await house.pass_(1)
    assert await house.dispatch.cancel(record.command.id, "li.na") is None
    assert await house.dispatch.cancel("never was", "li.na") is None


async def test_a_cancel_is_durable_when_it_returns(house: House):
    house.driver.answers_after_s = 30.0
    record = await house.ask()
    await house.quiet()
    house.pen.full = True
    with pytest.raises(LedgerUnavailable):
        await house.dispatch.cancel(record.command.id, "li.na")


# ---- rules ask ----------------------------------------------------------------------------------------------------


async def test_a_rule_that_is_not_armed_is_refused_and_that_is_recorded(tmp_path: Path):
    house = await House.open(tmp_path, Ask("pump1.start"))
    house.poll(level=4.0)
    await house.quiet()
    (record,) = [record for record in house.desk.commands if record.final]
    assert await house.life(record) == [REFUSED]
    assert (record.command.asked_by, record.command.because) == ("rule:sump high", "集水池水位过高")
    assert (await house.words(record)) == Words("refused.not_armed", {"rule": "sump high"})
    assert house.driver.heard == []
    await house.close()


async def test_a_rule_that_is_armed_for_this_device_is_heard(tmp_path: Path):
    house = await House.open(tmp_path, Ask("pump1.start"), armed=[STATION.id])
    house.poll(level=4.0)
    await house.pass_(2)
    assert [command.action for command in house.driver.heard] == ["pump1.start"]
    assert house.desk.commands[-1].stage is CONFIRMED
    await house.close()


async def test_a_rule_may_ask_for_what_harms_nobody_without_being_armed(tmp_path: Path):
    house = await House.open(tmp_path, Ask("say"))
    house.poll(level=4.0)
    await house.quiet()
    assert [command.action for command in house.driver.heard] == [SPEAK.key]
    await house.close()


@pytest.mark.parametrize(("asked", "times"), [("pump1.start", 1), ("pump1.stop", 2)])
async def test_an_alarm_that_chatters_starts_once_and_stops_each_time(tmp_path: Path, asked: str, times: int):
    house = await House.open(tmp_path, Ask(asked), armed=[STATION.id])
    for level in (4.0, 1.0, 4.0):
        house.poll(level=level)
        await house.pass_(3)
        house.driver.running = asked == "pump1.stop"
    assert [command.action for command in house.driver.heard] == [asked] * times
    await house.close()


async def test_a_rule_that_asks_for_what_the_device_cannot_do_breaks_nothing(tmp_path: Path):
    house = await House.open(tmp_path, Ask("pump9.fly"), Ask("say"))
    house.poll(level=4.0)
    await house.quiet()
    assert [command.action for command in house.driver.heard] == ["say"]
    await house.close()


async def test_a_rule_that_cannot_be_written_down_sends_nothing_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    house = await House.open(tmp_path, Ask("pump1.stop"), armed=[STATION.id])
    house.pen.full = True
    house.poll(level=4.0)
    await house.quiet()
    assert house.driver.heard == []
    assert "nothing was sent" in caplog.text
    assert [alarm.state for alarm in house.hub.book.standing()] == ["unacknowledged"]
    await house.close()
