"""Commands that cannot lie: every stage, every end, and nothing sent that should not be."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.contract import Ask
from hub.guard import BadArgs
from hub.ledger import LedgerUnavailable
from hub.model import Action, CommandRecord, Kind, LinkState, Nameplate, Point, Proof, Quality, Reading, Stage, Words
from hub.words import house_words

from .kit import PLATE, SPEAK, STATION, House, Manner, at, reading, request

SENT, ACKNOWLEDGED, CONFIRMED = Stage.SENT, Stage.ACKNOWLEDGED, Stage.CONFIRMED
REFUSED, UNDELIVERED, REJECTED = Stage.REFUSED, Stage.UNDELIVERED, Stage.REJECTED
EXPIRED, CANCELLED = Stage.EXPIRED, Stage.CANCELLED
WORDS = house_words()


async def says(house: House, record: CommandRecord) -> str:
    return WORDS.say(await house.words(record))


# ---- how it ends --------------------------------------------------------------------------------------------------


async def test_a_command_is_confirmed_when_a_reading_shows_it(house: House):
    record = await house.ask()
    assert (record.stage, record.final) == (None, False)
    await house.quiet()
    assert await house.life(record) == [SENT, ACKNOWLEDGED]
    await house.pass_(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]
    assert await says(house, record) == "a reading shows it: pump1.running is on"
    assert house.dispatch.under_way() == []


async def test_a_pump_that_says_done_and_does_not_start_is_not_proven(house: House):
    house.driver.manner = Manner.ONLY_SAYS_SO
    record = await house.ask()
    await house.pass_(19)
    assert await house.life(record) == [SENT, ACKNOWLEDGED]
    await house.pass_(2)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    assert (await house.words(record)).key == "command.not_proven"
    wanted = "not proven: the device accepted it, but pump1.running is off instead of on after 20 s"
    assert await says(house, record) == wanted


async def test_a_proof_that_comes_before_the_acknowledgement_counts_after_it(house: House):
    house.driver.answers_after_s = 5.0
    record = await house.ask()
    await house.pass_(3)
    assert await house.life(record) == [SENT]
    await house.pass_(3)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]


async def test_the_proof_is_what_was_seen_and_not_what_came_after(house: House):
    house.driver.answers_after_s = 5.0
    record = await house.ask()
    await house.pass_(2)
    house.driver.running = False
    await house.pass_(4)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]
    assert await says(house, record) == "a reading shows it: pump1.running is on"


async def test_an_answer_that_is_lost_does_not_matter_when_a_reading_shows_it(house: House):
    house.driver.manner = Manner.DOES_NOT_ANSWER
    record = await house.ask()
    await house.pass_(6)
    assert await house.life(record) == [SENT, CONFIRMED]


async def test_without_an_answer_and_without_a_proof_nobody_claims_to_know(house: House):
    house.driver.manner = Manner.IS_DEAF
    record = await house.ask()
    await house.pass_(21)
    assert await house.life(record) == [SENT, EXPIRED]
    assert (await house.words(record)).key == "command.unanswered"


async def test_no_reading_at_all_is_not_called_a_pump_that_stands_still(house: House):
    house.driver.manner = Manner.ONLY_SAYS_SO
    await house.clock.advance(1)  # since the last reading
    record = await house.ask()
    await house.quiet()
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    wanted = "not proven: no good reading of pump1.running came within 20 s; the state is unknown"
    assert await says(house, record) == wanted


@pytest.mark.parametrize(
    ("manner", "stages", "key"),
    [
        (Manner.REFUSES, [SENT, REJECTED], "pumps.rejected"),
        (Manner.IS_AWAY, [UNDELIVERED], "pumps.undelivered"),
        (Manner.BREAKS_BEFORE, [UNDELIVERED], "command.driver_failed"),
        (Manner.BREAKS_AFTER, [SENT, EXPIRED], "command.unanswered"),
        (Manner.IS_CUT_OFF, [SENT, EXPIRED], "command.unanswered"),
        (Manner.IS_SLOW_TO_REACH, [UNDELIVERED], "command.time_is_over"),
    ],
)
async def test_each_way_to_fail_has_its_word(house: House, manner: Manner, stages: list[Stage], key: str):
    house.driver.manner = manner
    record = await house.ask()
    await house.pass_(62)
    assert await house.life(record) == stages
    assert (await house.words(record)).key == key
    assert house.dispatch.under_way() == []


async def test_a_command_that_nothing_can_prove_ends_acknowledged(house: House):
    record = await house.ask("say")
    await house.quiet()
    found = await house.ledger.command(record.command.id)
    assert found is not None
    assert [(receipt.stage, receipt.last) for receipt in found[1]] == [(SENT, False), (ACKNOWLEDGED, True)]
    assert house.dispatch.under_way() == []


async def test_a_device_that_no_driver_serves_is_told_nothing(house: House):
    house.dispatch._drivers = {}
    record = await house.ask()
    assert await house.life(record) == [UNDELIVERED]


async def test_the_deadline_of_a_command_ends_it_whatever_its_proof_is_allowed(house: House):
    slow = Action("pump1.start", proof=Proof("pump1.running", True, within_s=600.0), valid_s=30.0)
    house.hub.adopt(STATION, Nameplate(PLATE.points, {"pump1.start": slow}))
    house.driver.manner = Manner.ONLY_SAYS_SO
    record = await house.ask()
    await house.pass_(31)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    assert (await house.words(record)).args["within_s"] == 30.0


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
async def test_a_step_of_the_wall_clock_neither_ends_nor_prolongs_a_command(house: House, step_s: float):
    house.driver.manner = Manner.ONLY_SAYS_SO
    record = await house.ask()
    await house.quiet()
    house.clock.jump(step_s)
    await house.pass_(18)
    assert await house.life(record) == [SENT, ACKNOWLEDGED]
    house.driver.running = True
    await house.pass_(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]


# ---- what a driver may not say ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says_sent", "reply", "stages"),
    [
        (True, CONFIRMED, [SENT, ACKNOWLEDGED, EXPIRED]),  # only a reading confirms
        (False, CONFIRMED, [SENT, ACKNOWLEDGED, EXPIRED]),
        (True, SENT, [SENT, EXPIRED]),  # that it went is no answer
        (True, UNDELIVERED, [SENT, EXPIRED]),  # what is out is out
        (False, ACKNOWLEDGED, [SENT, ACKNOWLEDGED, EXPIRED]),  # so it must have been sent
        (False, EXPIRED, [SENT, EXPIRED]),
        (False, UNDELIVERED, [UNDELIVERED]),
        (False, None, [UNDELIVERED]),
        (True, None, [SENT, EXPIRED]),
    ],
)
async def test_what_a_driver_says_is_never_taken_for_more_than_it_can_know(
    house: House, says_sent: bool, reply: Any, stages: list[Stage]
):
    class Careless:
        async def run(self, intake: Any) -> None: ...

        async def carry_out(self, device: Any, command: Any, sent: Any) -> Any:
            if says_sent:
                sent(Words("command.sent"))
                sent(Words("command.sent"))
            return None if reply is None else house.driver._receipt(command, reply)

    house.dispatch._drivers = {"pumps": Careless()}
    record = await house.ask()
    await house.pass_(21)
    assert await house.life(record) == stages
    assert house.dispatch.under_way() == []
    assert (await house.ask("pump1.stop")).stage is not REFUSED


async def test_a_driver_that_fails_while_it_is_called_off_leaves_no_command_open(house: House):
    class Clumsy:
        async def run(self, intake: Any) -> None: ...

        async def carry_out(self, device: Any, command: Any, sent: Any) -> Any:
            try:
                await house.clock.sleep(1e9)
            finally:
                raise ConnectionError("while tidying up")

    house.dispatch._drivers = {"pumps": Clumsy()}
    record = await house.ask()
    await house.pass_(61)
    assert await house.life(record) == [UNDELIVERED]


async def test_a_driver_that_will_not_end_holds_nobody_up(house: House):
    class Stubborn:
        async def run(self, intake: Any) -> None: ...

        async def carry_out(self, device: Any, command: Any, sent: Any) -> Any:
            try:
                await house.clock.sleep(1e9)
            except asyncio.CancelledError:
                await house.clock.sleep(30)
                sent(Words("command.sent"))
                raise

    house.dispatch._drivers = {"pumps": Stubborn()}
    record = await house.ask()
    await house.pass_(64)
    assert await house.life(record) == [UNDELIVERED]
    await house.pass_(30)  # and when it sends after all, that is said too
    assert await house.life(record) == [UNDELIVERED, EXPIRED]
    assert (await house.words(record)).key == "command.sent_late"


# ---- what proves --------------------------------------------------------------------------------------------------


async def test_a_reading_from_before_the_command_proves_nothing_however_late_it_comes(house: House):
    house.driver.manner = Manner.ONLY_SAYS_SO
    await house.clock.advance(120)
    house.poll()
    record = await house.ask()
    await house.quiet()
    now = house.clock.now()
    house.hub.take([Reading(STATION.id, "pump1.running", True, at(121 - 60), now)])
    house.hub.take([Reading(STATION.id, "pump1.speed", 5.0, now, now)])
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]


async def test_a_buffered_reading_that_is_the_newest_proves_nothing(house: House):
    house.driver.manner = Manner.ONLY_SAYS_SO
    fresh = Point("pump1.running", Kind.BOOL, interval_s=600.0)
    house.hub.adopt(STATION, Nameplate({**PLATE.points, "pump1.running": fresh}, PLATE.actions))
    house.poll()
    await house.clock.advance(25)
    record = await house.ask()
    await house.clock.advance(1)
    house.hub.take([reading("pump1.running", True, 5, came=26)])  # measured 20 s before it was asked
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    assert (await house.words(record)).key == "command.not_proven_no_reading"


@pytest.mark.parametrize("quality", [Quality.UNCERTAIN, Quality.BAD])
async def test_a_doubtful_reading_proves_nothing(house: House, quality: Quality):
    house.driver.manner = Manner.ONLY_SAYS_SO
    record = await house.ask()
    await house.clock.advance(1)
    house.hub.take([reading("pump1.running", True, 1, quality=quality)])
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]


async def test_a_device_described_anew_meanwhile_can_still_prove_it(house: House):
    record = await house.ask()
    await house.quiet()
    house.hub.adopt(STATION, PLATE)
    await house.pass_(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]


async def test_a_device_that_is_retired_meanwhile_proves_nothing_and_breaks_nothing(house: House):
    record = await house.ask()
    await house.quiet()
    house.hub.retire(STATION.id)
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    with pytest.raises(LookupError, match='there is no device "ps-1"'):
        await house.ask()


# ---- the ledger first ---------------------------------------------------------------------------------------------


async def test_nothing_is_sent_when_the_ledger_cannot_be_written(house: House):
    house.pen.full = True
    with pytest.raises(LedgerUnavailable):
        await house.ask()
    await house.pass_(5)
    assert house.driver.heard == []
    assert house.dispatch.under_way() == []
    house.pen.full = False
    assert await house.life(await house.ask()) == [SENT, ACKNOWLEDGED]


async def test_nothing_is_sent_before_the_command_is_on_the_disk(house: House):
    house.pen.hold()
    asking = asyncio.ensure_future(house.ask())
    await house.quiet()
    assert house.driver.heard == []
    house.pen.let_go()
    await asking
    await house.quiet()
    assert len(house.driver.heard) == 1


async def test_a_command_that_the_disk_held_up_past_its_deadline_is_not_sent(house: House):
    house.pen.hold()
    asking = asyncio.ensure_future(house.ask())
    await house.quiet()
    await house.clock.advance(61)
    house.pen.let_go()
    assert await house.life(await asking) == [UNDELIVERED]
    assert house.driver.heard == []


async def test_what_became_of_the_readings_while_the_disk_wrote_is_judged_before_it_goes(house: House):
    house.pen.hold()
    asking = asyncio.ensure_future(house.ask())
    await house.quiet()
    house.poll(level=0.2)
    house.pen.let_go()
    record = await asking
    assert await house.life(record) == [REFUSED]
    assert (await house.words(record)).key == "refused.interlock"
    assert house.driver.heard == []


async def test_receipts_that_cannot_be_written_do_not_stop_a_command_on_its_way(house: House):
    record = await house.ask()
    await house.quiet()
    house.pen.full = True
    await house.pass_(2)
    assert house.desk.commands[-1].stage is CONFIRMED
    assert await house.life(record) == [SENT, ACKNOWLEDGED]


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
    first = await house.ask(key="k1", roles=("viewer",))
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
    assert (await house.ask("pump1.stop", roles=("viewer",))).stage is REFUSED
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


# ---- asking wrongly -----------------------------------------------------------------------------------------------


async def test_a_wrong_name_or_argument_is_told_and_nothing_is_written(house: House):
    with pytest.raises(LookupError, match=r'"ps-1" has no action "pump9.fly". It has: pump1.start, pump1.stop, say'):
        await house.ask("pump9.fly")
    with pytest.raises(BadArgs, match=r'"volume" is not an argument of say. It takes: none'):
        await house.ask("say", args={"volume": 3})
    await house.quiet()
    assert (await house.ledger.tip())[0] == 0


async def test_a_house_that_is_closing_sends_nothing_more(tmp_path: Path):
    house = await House.open(tmp_path)
    house.poll()
    await house.dispatch.close()
    record = await house.dispatch.request(request())
    assert await house.life(record) == [REFUSED]
    assert (await house.words(record)).key == "refused.stopping"
    await house.ledger.close()
