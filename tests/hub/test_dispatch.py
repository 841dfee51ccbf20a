"""Commands that cannot lie: every stage, every end, and nothing sent that should not be."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.guard import BadArgs
from hub.ledger import LedgerUnavailable
from hub.model import Action, CommandRecord, Kind, Nameplate, Point, Proof, Quality, Reading, Stage, Words
from hub.words import house_words

from .kit import PLATE, STATION, House, Manner, at, reading, request

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
    assert (await house.words(record)).key == "command.doubtful"


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
        (Manner.BREAKS_AFTER, [SENT, EXPIRED], "command.doubtful"),
        (Manner.IS_CUT_OFF, [SENT, EXPIRED], "command.doubtful"),
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
    assert await house.life(record) == [UNDELIVERED, SENT, EXPIRED]
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


@pytest.mark.parametrize("measured", [5, 20, 23.9])
async def test_a_buffered_reading_that_is_the_newest_proves_nothing(house: House, measured: float):
    house.driver.manner = Manner.ONLY_SAYS_SO
    fresh = Point("pump1.running", Kind.BOOL, interval_s=600.0)
    house.hub.adopt(STATION, Nameplate({**PLATE.points, "pump1.running": fresh}, PLATE.actions))
    house.poll()
    await house.clock.advance(25)
    record = await house.ask()
    await house.clock.advance(1)
    house.hub.take([reading("pump1.running", True, measured, came=26)])  # it was asked at 25
    await house.clock.advance(20)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, EXPIRED]
    assert (await house.words(record)).key == "command.not_proven_no_reading"


@pytest.mark.parametrize("behind_s", [0.9, 5, 9.5])
async def test_a_device_whose_clock_is_behind_is_believed_as_far_as_it_always_was(house: House, behind_s: float):
    house.driver.manner = Manner.ONLY_SAYS_SO
    await house.clock.advance(25)
    house.hub.take([reading("pump1.running", False, 25 - behind_s, came=25)])
    record = await house.ask()
    await house.clock.advance(1)
    house.hub.take([reading("pump1.running", True, 26 - behind_s, came=26)])
    await house.clock.advance(1)
    assert await house.life(record) == [SENT, ACKNOWLEDGED, CONFIRMED]


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


async def test_a_stop_that_cannot_be_written_down_calls_nothing_off(house: House):
    house.driver.answers_after_s = 3.0
    start = await house.ask()
    await house.quiet()
    house.pen.full = True
    with pytest.raises(LedgerUnavailable):
        await house.ask("pump1.stop")
    house.pen.full = False
    await house.pass_(10)
    assert await house.life(start) == [SENT, ACKNOWLEDGED, CONFIRMED]


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
