"""An alarm is a fold of what happened to it, and one stands for each device and rule (alarms.md §1)."""

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alarms import CHATTER_WINDOW_S, AlarmBook
from hub.annunciator import NotLive
from hub.ledger import LedgerUnavailable
from hub.model import Alarm, AlarmChange, AlarmEvent, AlarmState, Severity

from .kit import NOON, STATION, Desk, House, Limit, Nowhere, at, reading, small_hub

RAISED, RETURNED, ACKNOWLEDGED = AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED
NORM, UNACK, ACKED, RTNUN = AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.RETURNED


def change(event: AlarmEvent, seconds: float = 0, alarm: str = "a1", **more: Any) -> AlarmChange:
    return AlarmChange(alarm, event, "ps-1", "sump high", at(seconds), at(seconds), **more)


def state(*events: AlarmEvent) -> AlarmState:
    book = AlarmBook(change(event, n) for n, event in enumerate(events))
    alarm = book.of("ps-1", "sump high")
    return alarm.state if alarm else NORM


# ---- the state machine --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "after"),
    [
        ([], NORM),
        ([RAISED], UNACK),
        ([RAISED, ACKNOWLEDGED], ACKED),
        ([RAISED, RETURNED], RTNUN),
        ([RAISED, ACKNOWLEDGED, RETURNED], NORM),
        ([RAISED, RETURNED, ACKNOWLEDGED], NORM),
        ([RAISED, RETURNED, RAISED], UNACK),
        ([RAISED, RETURNED, RAISED, ACKNOWLEDGED], ACKED),
        ([RAISED, ACKNOWLEDGED, RAISED], UNACK),  # raised higher: to be seen again
        ([RAISED, ACKNOWLEDGED, RAISED, ACKNOWLEDGED, RETURNED], NORM),  # High, ack, Critical, ack, OK
        ([RAISED, RETURNED, RAISED, RAISED, RETURNED, ACKNOWLEDGED], NORM),  # OK, Medium, Medium again, OK, ack
        ([RETURNED], NORM),
        ([ACKNOWLEDGED], NORM),
        ([RAISED, RETURNED, RETURNED], RTNUN),
        ([RAISED, ACKNOWLEDGED, ACKNOWLEDGED], ACKED),
        ([RAISED, ACKNOWLEDGED, RETURNED, ACKNOWLEDGED], NORM),
    ],
)
def test_the_sequences_of_isa_18_2(events: list[AlarmEvent], after: AlarmState):
    assert state(*events) is after


@pytest.mark.parametrize("events", list(product((RAISED, RETURNED, ACKNOWLEDGED), repeat=5)))
def test_in_any_order_the_last_words_decide(events: tuple[AlarmEvent, ...]):
    # The three axes, without the machine: an occurrence lives from a raise until it has returned and been seen.
    active = seen = lives = False
    for event in events:
        if event is RAISED:
            active, seen, lives = True, False, True
        elif lives:
            active = active and event is not RETURNED
            seen = seen or event is ACKNOWLEDGED
            lives = active or not seen
    wanted = (ACKED if seen else UNACK) if active else RTNUN
    assert state(*events) is (wanted if lives else NORM)


@given(st.lists(st.tuples(st.sampled_from(AlarmEvent), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=40))
def test_one_alarm_stands_for_each_device_and_rule_whatever_happens(steps: list[tuple[AlarmEvent, str, str]]):
    book = AlarmBook()
    for event, device, alarm in steps:
        book.apply(AlarmChange(device + alarm, event, device, "r", NOON, NOON))
        standing = book.standing()
        assert len({(it.device, it.rule) for it in standing}) == len(standing)
        for it in standing:
            assert book.occurrence(it.id) is it
            assert it.state is not NORM
            assert (it.state in (UNACK, ACKED)) == book.active(it.device, it.rule)
            assert (it.acknowledged_at is not None) == (it.state is ACKED)
    assert len(book._by_id) == len(book._live)


def test_who_acknowledged_first_stays_the_one_who_did():
    book = AlarmBook([change(RAISED), change(ACKNOWLEDGED, 10, by="wang.min"), change(ACKNOWLEDGED, 20, by="li.na")])
    (alarm,) = book.standing()
    assert (alarm.acknowledged_by, alarm.acknowledged_at) == ("wang.min", at(10))


def test_a_later_raise_brings_its_own_severity_and_facts():
    book = AlarmBook([change(RAISED), change(ACKNOWLEDGED)])
    book.apply(change(RAISED, 9, severity=Severity.URGENT, facts={"sump.level": 4.5}))
    (alarm,) = book.standing()
    assert (alarm.severity, alarm.facts, alarm.count, alarm.raised_at) == (1, {"sump.level": 4.5}, 2, at(9))


# ---- in the hub ---------------------------------------------------------------------------------------------------


class Story:
    """A hub, a rule and a desk, told level by level."""

    def __init__(self) -> None:
        self.ledger = Nowhere()
        self.hub, _, self.clock = small_hub(Limit(), ledger=self.ledger)
        self.desk = Desk()
        self.hub.watch(self.desk)

    def level(self, metres: float | None, seconds: float) -> None:
        self.hub.take([reading("sump.level", metres, seconds)])

    @property
    def alarm(self) -> Alarm:
        (alarm,) = self.hub.book.standing()
        return alarm


def test_a_rule_raises_once_and_returns_once():
    story = Story()
    for second, level in enumerate((1.0, 4.0, 4.1, None, 2.8, 2.0, 1.0)):
        story.level(level, second)
    assert [(alarm.state, alarm.raised_at) for alarm in story.desk.alarms] == [(UNACK, at(1)), (RTNUN, at(1))]
    assert story.alarm.returned_at == at(5)
    assert [noun.event for noun in story.ledger.nouns] == [RAISED, RETURNED]


def test_a_finding_that_is_no_news_changes_nothing():
    story = Story()
    story.level(4.0, 0)
    rule = story.hub._judgement
    assert isinstance(rule, Limit)
    rule.raised.clear()
    story.level(4.0, 1)  # raised again: it stands already
    rule.raised.add(STATION.id)
    story.level(1.0, 2)
    rule.raised.add(STATION.id)
    story.level(1.0, 3)  # returned again: it has gone already
    assert [noun.event for noun in story.ledger.nouns] == [RAISED, RETURNED]


def test_flapping_is_one_occurrence_that_counts():
    story = Story()
    for second in range(600):
        story.level(4.0 if second % 2 == 0 else 1.0, second)
    assert len({noun.alarm for noun in story.ledger.nouns}) == 1
    assert story.alarm.count == 300


@pytest.mark.parametrize(("pause_s", "same"), [(CHATTER_WINDOW_S - 1, True), (CHATTER_WINDOW_S, False)])
def test_what_comes_back_within_the_window_is_the_same_occurrence(pause_s: float, same: bool):
    story = Story()
    story.level(4.0, 0)
    first = story.alarm.id
    story.level(1.0, 10)
    story.level(4.0, 10 + pause_s)
    assert (story.alarm.id == first, story.alarm.count) == (same, 2 if same else 1)


async def test_what_was_acknowledged_and_over_comes_back_as_a_new_occurrence():
    story = Story()
    story.level(4.0, 0)
    first = story.alarm.id
    await story.hub.alarms.acknowledge(first, "wang.min")
    story.level(1.0, 1)
    assert story.hub.book.standing() == []
    story.level(4.0, 2)
    assert story.alarm.id != first


async def test_a_late_acknowledgement_cannot_hit_a_newer_occurrence():
    story = Story()
    story.level(4.0, 0)
    old = story.alarm.id
    story.level(1.0, 1)
    story.level(4.0, 100)
    with pytest.raises(NotLive):
        await story.hub.alarms.acknowledge(old, "wang.min")
    assert story.alarm.state is UNACK
    with pytest.raises(NotLive):
        await story.hub.alarms.acknowledge("never was", "wang.min")


async def test_an_acknowledgement_says_who_and_when_and_is_told():
    story = Story()
    story.level(4.0, 0)
    await story.clock.advance(7)
    after = await story.hub.alarms.acknowledge(story.alarm.id, "wang.min", "on my way")
    assert (after.state, after.acknowledged_by, after.acknowledged_at) == (
        ACKED,
        "wang.min",
        NOON + timedelta(seconds=7),
    )
    assert story.desk.alarms[-1] == after
    assert (story.ledger.nouns[-1].by, story.ledger.nouns[-1].note) == ("wang.min", "on my way")


async def test_a_second_acknowledgement_changes_nothing_and_writes_nothing():
    story = Story()
    story.level(4.0, 0)
    first = await story.hub.alarms.acknowledge(story.alarm.id, "wang.min")
    assert await story.hub.alarms.acknowledge(story.alarm.id, "li.na") == first
    assert [noun.event for noun in story.ledger.nouns] == [RAISED, ACKNOWLEDGED]


# ---- with a disk --------------------------------------------------------------------------------------------------


async def test_an_acknowledgement_that_cannot_be_written_is_not_shown(house: House):
    house.poll(level=4.0)
    (alarm,) = house.hub.book.standing()
    house.pen.full = True
    with pytest.raises(LedgerUnavailable):
        await house.hub.alarms.acknowledge(alarm.id, "wang.min")
    assert [it.state for it in house.hub.book.standing()] == [UNACK]
    assert len(house.desk.alarms) == 1
    house.pen.full = False
    assert (await house.hub.alarms.acknowledge(alarm.id, "wang.min")).state is ACKED


async def test_an_alarm_is_shown_at_once_though_the_disk_is_full(house: House):
    house.pen.full = True
    house.poll(level=4.0)
    assert [alarm.state for alarm in house.desk.alarms] == [UNACK]


async def acknowledged_while(house: House, *levels: float) -> Alarm | None:
    """What stands when the level moves while an acknowledgement is on its way to the disk."""
    house.poll(level=4.0)
    (alarm,) = house.hub.book.standing()
    house.pen.hold()
    acknowledging = asyncio.ensure_future(house.hub.alarms.acknowledge(alarm.id, "wang.min"))
    await house.quiet()
    for level in levels:
        await house.clock.advance(1)
        house.poll(level=level)
    house.pen.let_go()
    await acknowledging
    await house.quiet()
    standing = house.hub.book.of(STATION.id, Limit.RULE)
    after = AlarmBook(await house.ledger.standing_alarm_changes()).of(STATION.id, Limit.RULE)
    assert (after and after.state) == (standing and standing.state)  # a restart would see the same
    return standing


async def test_an_alarm_that_goes_while_it_is_acknowledged_is_over(house: House):
    assert await acknowledged_while(house, 1.0) is None


async def test_an_alarm_that_comes_back_while_it_is_acknowledged_is_to_be_seen_again(house: House):
    standing = await acknowledged_while(house, 1.0, 4.0)
    assert standing is not None
    assert standing.state is UNACK


async def test_two_who_acknowledge_at_once_are_both_content(house: House):
    house.poll(level=4.0)
    (alarm,) = house.hub.book.standing()
    both = await asyncio.gather(*(house.hub.alarms.acknowledge(alarm.id, by) for by in ("wang.min", "li.na")))
    assert [(it.state, it.acknowledged_by) for it in both] == [(ACKED, "wang.min")] * 2
