"""May this command go? Each no is a sentence, and what cannot be judged is a no."""

from typing import Any

import pytest

from hub.guard import BadArgs, check_args, compare
from hub.model import Action, Arg, Device, Interlock, LinkState, Nameplate, Proof, Quality, Stage, Words
from hub.model import Test as How
from hub.rights import Grant
from hub.words import house_words

from .kit import NOON, PLATE, START, STATION, TITLE, House, Manner, Reading, reading

WORDS = house_words()
NO, UNKNOWN = "refused.interlock", "refused.cannot_judge"


async def refusal(house: House, action: str = "pump1.start", **more: Any) -> tuple[str, str]:
    """The key and the English sentence of why it was refused; empty when it was not."""
    record = await house.ask(action, **more)
    if record.stage is not Stage.REFUSED:
        return "", ""
    words = await house.words(record)
    assert "None" not in WORDS.say(words, "zh-CN") + WORDS.say(words, "en")
    return words.key, WORDS.say(words)


@pytest.mark.parametrize(
    "held", ["", "viewer", "system_admin", "no such role", "viewer security_admin auditor", "dispatcher", "broadcaster"]
)
async def test_who_has_no_right_to_command_is_refused_by_name(house: House, held: str):
    grants = tuple(Grant(role) for role in held.split(" "))
    assert await refusal(house, grants=grants) == ("refused.no_right", "wang.min may not command this device")


@pytest.mark.parametrize("held", ["water_operator", "viewer field_engineer"])
async def test_who_has_the_right_may(house: House, held: str):
    assert await refusal(house, grants=tuple(Grant(role) for role in held.split(" "))) == ("", "")


async def test_a_rule_is_not_a_person_whatever_roles_it_shows(house: House):
    key, text = await refusal(house, rule="sump high", grants=(Grant("water_operator"),), asked_by="rule:sump high")
    assert key == "refused.not_armed"
    assert text == "the rule “sump high” is not armed for this device; a person must decide"


async def test_a_device_that_is_down_is_not_told_to_start_and_the_reason_is_said(house: House):
    house.hub.take([reading("link", LinkState.DOWN.value)])
    assert await refusal(house) == ("refused.link_down", "the device does not answer: the link is down")
    house.hub.take([reading("link", LinkState.DOWN.value, why=Words("command.time_is_over"))])
    assert await refusal(house) == ("refused.link_down", "the device does not answer: its time is over")


@pytest.mark.parametrize("state", [LinkState.UP, LinkState.DEGRADED])
async def test_a_device_that_answers_somehow_may_be_told(house: House, state: LinkState):
    house.hub.take([reading("link", state.value)])
    assert await refusal(house) == ("", "")


async def test_what_should_prove_it_must_be_known_beforehand(house: House):
    house.hub.take([reading("pump1.running", None, quality=Quality.BAD, why=Words("quality.no_value"))])
    wanted = "the present state of pump1.running is not known: the sensor has no valid value"
    assert await refusal(house) == ("refused.stale", wanted)
    assert await refusal(house, "pump1.stop") == ("", "")


async def test_old_news_starts_nothing(house: House):
    await house.clock.advance(40)
    house.hub.tick()
    assert (await refusal(house))[0] == "refused.stale"


@pytest.mark.parametrize(("level", "key"), [(0.49, NO), (0.5, ""), (6.0, UNKNOWN), (None, UNKNOWN)])
async def test_an_interlock_holds_does_not_or_cannot_be_judged(house: House, level: Any, key: str):
    house.hub.take([reading("sump.level", level)])
    assert (await refusal(house))[0] == key


async def test_an_interlock_says_what_it_saw(house: House):
    house.hub.take([reading("sump.level", 0.2)])
    assert (await refusal(house))[1] == "interlock: level is high enough (sump.level is 0.20 m, limit 0.50 m)"


async def test_a_stop_is_in_nobodys_way(house: House):
    house.hub.take([reading("sump.level", 0.2), reading("link", LinkState.DOWN.value)])
    assert await refusal(house, "pump1.stop") == ("", "")


async def with_lock(house: House, lock: Interlock, value: Any = 1.0) -> tuple[str, str]:
    await house.quiet()
    action = Action("say", interlocks=(lock,))
    house.hub.adopt(STATION, Nameplate(PLATE.points, {"say": action}))
    house.hub.take([reading("sump.level", value)])
    return await refusal(house, "say")


async def test_a_limit_may_be_another_point(house: House):
    house.hub.take([reading("pump1.speed", 2.0)])
    above = Interlock("sump.level", How.ABOVE, "@pump1.speed", title=TITLE)
    assert (await with_lock(house, above, 1.0))[0] == NO
    assert (await with_lock(house, above, 3.0))[0] == ""
    house.hub.take([reading("pump1.speed", None, 9)])
    assert (await with_lock(house, above, 3.0))[0] == UNKNOWN


async def test_a_point_that_the_device_has_not_is_no_yes(house: House):
    assert (await with_lock(house, Interlock("pump9.speed", How.BELOW, 1.0)))[0] == UNKNOWN
    assert (await with_lock(house, Interlock("sump.level", How.BELOW, "@nowhere")))[0] == UNKNOWN


@pytest.mark.parametrize("test", list(How))
async def test_what_cannot_be_compared_is_no_yes_and_no_error(house: House, test: How):
    key, text = await with_lock(house, Interlock("sump.level", test, "fault", title=TITLE))
    assert key == UNKNOWN
    assert "sump.level is 1.00 m, which cannot be compared with the limit fault" in text


@pytest.mark.parametrize(
    ("value", "test", "limit", "holds"),
    [
        (1.0, How.IS, 1, True),
        (1.0, How.IS_NOT, 1, False),
        (True, How.IS, True, True),
        (True, How.IS, 1, None),
        ("fault", How.IS, "fault", True),
        ("fault", How.IS_NOT, "stopped", True),
        ("fault", How.IS_NOT, 4, None),
        ("b", How.ABOVE, "a", None),
        (True, How.ABOVE, False, None),
        (2, How.ABOVE, 2, False),
        (2, How.AT_LEAST, 2, True),
        (2, How.AT_MOST, 2, True),
        (2, How.BELOW, 2, False),
        (1, How.BELOW, 2, True),
        (None, How.IS, None, None),
    ],
)
def test_values_of_one_kind_are_compared_and_no_others(value: Any, test: How, limit: Any, holds: bool | None):
    assert compare(value, test, limit) is holds


async def test_a_fifth_start_within_the_hour_is_refused_and_one_after_it_is_not(house: House):
    for _ in range(4):
        assert await refusal(house) == ("", "")
        await house.pass_(2)
        await house.ask("pump1.stop")
        await house.pass_(2)
    key, text = await refusal(house)
    assert (key, text) == (NO, "interlock: starts an hour (4 of at most 4 in 60 min)")
    await house.clock.advance(3600)
    house.poll()
    assert await refusal(house) == ("", "")


async def test_only_what_was_sent_counts_as_a_start(house: House):
    house.driver.manner = Manner.IS_AWAY
    for _ in range(5):
        assert await refusal(house) == ("", "")
        await house.quiet()


async def test_the_starts_of_another_device_do_not_count(house: House):
    house.hub.adopt(Device("ps-2", "西门", "pump_station", "pumps:ps-2"), PLATE)
    house.hub.take(
        [Reading("ps-2", point, value, NOON, NOON) for point, value in (("sump.level", 1.0), ("pump1.running", False))]
    )
    for _ in range(4):
        house.driver.manner = Manner.REFUSES
        await house.ask()
        await house.quiet()
    record = await house.ask(device="ps-2")
    assert record.stage is None
    assert (await refusal(house))[0] == NO


async def test_all_checks_are_shown_before_somebody_decides(house: House):
    house.hub.take([reading("sump.level", 0.2)])
    checks = await house.guard.checks(house.hub.members[STATION.id], START)
    assert [check.holds for check in checks] == [False, True]


# ---- arguments ----------------------------------------------------------------------------------------------------

SPEED = Arg("speed", unit="%", low=20.0, high=100.0)
FAN = Action("fan", args=(SPEED, Arg("mode", choices=("day", "night"))))


def test_arguments_in_range_are_taken():
    assert check_args(FAN, {"speed": 20, "mode": "night"}) == {"speed": 20, "mode": "night"}


@pytest.mark.parametrize(
    "speed", [19.9, 100.1, float("nan"), float("inf"), -float("inf"), 10**400, True, "50", None, [50]]
)
def test_an_argument_out_of_range_says_what_to_write(speed: Any):
    with pytest.raises(BadArgs) as caught:
        check_args(FAN, {"speed": speed, "mode": "day"})
    (line,) = caught.value.mistakes
    assert line.endswith(". Write a number from 20 % to 100 %")
    assert line.startswith('"speed" is ')


@pytest.mark.parametrize("speed", [float("inf"), float("nan"), 10**400])
def test_an_argument_without_limits_is_still_a_number(speed: Any):
    with pytest.raises(BadArgs):
        check_args(Action("a", args=(Arg("speed"),)), {"speed": speed})


def test_all_mistakes_are_said_at_once():
    with pytest.raises(BadArgs) as caught:
        check_args(FAN, {"speeed": 50, "mode": "noon"})
    assert caught.value.mistakes == (
        '"speeed" is not an argument of fan. It takes: speed, mode',
        '"speed" is missing. Write a number from 20 % to 100 %',
        "\"mode\" is 'noon'. Write one of day, night",
    )


async def test_an_argument_can_be_what_is_proven(house: House):
    spin = Action("spin", args=(SPEED,), proof=Proof("pump1.speed", "$speed", within_s=10.0, tolerance=0.5))
    house.hub.adopt(STATION, Nameplate(PLATE.points, {"spin": spin}))
    house.hub.take([reading("pump1.speed", 0.0)])
    house.driver.manner = Manner.ONLY_SAYS_SO
    record = await house.ask("spin", args={"speed": 50})
    await house.pass_(1)
    house.hub.take([reading("pump1.speed", 49.4, 1)])
    await house.quiet()
    assert await house.life(record) == [Stage.SENT, Stage.ACKNOWLEDGED]
    house.hub.take([reading("pump1.speed", 49.6, 1)])
    await house.quiet()
    assert await house.life(record) == [Stage.SENT, Stage.ACKNOWLEDGED, Stage.CONFIRMED]
    record = await house.ask("spin", args={"speed": 90})
    await house.clock.advance(5)
    house.hub.take([reading("pump1.speed", 49.6, 6)])
    await house.clock.advance(5)
    text = WORDS.say(await house.words(record))
    assert text == "not proven: the device accepted it, but pump1.speed is 49.60 % instead of 90.00 % after 10 s"
