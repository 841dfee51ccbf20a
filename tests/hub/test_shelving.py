"""A shelved alarm calls nobody, goes on underneath, and returns by itself (ISA-18.2)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alarms import AlarmBook
from hub.annunciator import MAX_SHELVED_S, NotLive
from hub.ledger import LedgerUnavailable
from hub.model import Alarm, AlarmChange, AlarmEvent, AlarmState

from .kit import NOON, STATION, House, Limit

RAISED, RETURNED, ACKNOWLEDGED = AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED
SHELVED, UNSHELVED = AlarmEvent.SHELVED, AlarmEvent.UNSHELVED
NORM, UNACK, ACKED, RTNUN = AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.RETURNED
WHY = "the float switch is being changed"


def now(house: House) -> Alarm | None:
    return house.hub.book.of(STATION.id, Limit.RULE)


async def shelve(house: House, seconds: float = 600) -> Alarm:
    house.poll(level=4.0)
    alarm = now(house)
    assert alarm is not None
    until = house.clock.now() + timedelta(seconds=seconds)
    return await house.hub.alarms.shelve(alarm.id, until, "wang.min", WHY)


async def later(house: House, seconds: float, level: float) -> None:
    await house.clock.advance(seconds)
    house.poll(level=level)
    house.hub.tick()
    await house.quiet()


async def after_a_restart(house: House) -> Alarm | None:
    await house.quiet()
    return AlarmBook(await house.ledger.standing_alarm_changes()).of(STATION.id, Limit.RULE)


async def test_who_until_when_and_why_are_on_the_alarm_and_in_the_ledger(house: House):
    alarm = await shelve(house)
    assert alarm.shelved is not None
    assert (alarm.state, alarm.shelved.by, alarm.shelved.note) == (UNACK, "wang.min", WHY)
    assert alarm.shelved.until - alarm.shelved.at == timedelta(seconds=600)
    assert house.desk.alarms[-1] == alarm
    last = (await house.ledger.alarm_changes(alarm.id))[-1]
    assert (last.event, last.by, last.note, last.until) == (SHELVED, "wang.min", WHY, alarm.shelved.until)
    assert await after_a_restart(house) == alarm


async def test_it_goes_on_underneath_and_its_next_occurrence_is_shelved_too(house: House):
    first = await shelve(house)
    await house.hub.alarms.acknowledge(first.id, "li.na")
    await later(house, 10, 1.0)
    over = now(house)
    assert over is not None  # normal, and still on the list of what is shelved
    assert (over.state, over.shelved) == (NORM, first.shelved)
    assert await after_a_restart(house) == over
    await later(house, 100, 4.0)
    again = now(house)
    assert again is not None
    assert (again.id != first.id, again.state, again.shelved) == (True, UNACK, first.shelved)
    assert await after_a_restart(house) == again


@pytest.mark.parametrize(
    ("seen", "level", "after"),
    [
        (False, 4.0, UNACK),
        (True, 4.0, UNACK),  # somebody had seen it, and now it is to be seen again
        (False, 1.0, RTNUN),
        (True, 1.0, None),
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
async def test_when_it_ends_people_are_called_for_what_stands(
    house: House, seen: bool, level: float, after: AlarmState | None, by_hand: bool
):
    alarm = await shelve(house)
    if seen:
        await house.hub.alarms.acknowledge(alarm.id, "li.na")
    await later(house, 10, level)
    if by_hand:
        told = await house.hub.alarms.unshelve(alarm.id, "li.na", "done")
        assert (told.state, told.shelved) == (after or NORM, None)
    else:
        await later(house, 589, level)
        assert now(house).shelved is not None  # type: ignore[union-attr]
        await later(house, 1, level)
    alone = now(house)
    assert (alone and alone.state) == after
    assert alone is None or alone.shelved is None
    assert (house.desk.alarms[-1].state, house.desk.alarms[-1].shelved) == (after or NORM, None)
    assert await after_a_restart(house) == alone


async def test_what_ended_while_the_hub_was_down_ends_at_the_start(house: House):
    alarm = await shelve(house, 60)
    await house.clock.advance(3600)
    house.hub.restore(await house.ledger.standing_alarm_changes())
    assert now(house) == alarm
    house.hub.tick()
    assert now(house).shelved is None  # type: ignore[union-attr]
    await house.quiet()
    assert [it.event for it in await house.ledger.alarm_changes(alarm.id)] == [RAISED, SHELVED, UNSHELVED]


@pytest.mark.parametrize("seconds", [0, -1, MAX_SHELVED_S + 1])
async def test_a_shelving_has_an_end_within_a_day(house: House, seconds: float):
    with pytest.raises(ValueError, match="is not within 86400 s"):
        await shelve(house, seconds)
    house.poll(level=4.0)
    assert now(house).shelved is None  # type: ignore[union-attr]


async def test_a_shelving_has_a_reason(house: House):
    house.poll(level=4.0)
    alarm = now(house)
    assert alarm is not None
    with pytest.raises(ValueError, match="must learn why"):
        await house.hub.alarms.shelve(alarm.id, house.clock.now() + timedelta(hours=1), "wang.min", " ")


async def test_a_shelving_that_cannot_be_written_hides_nothing(house: House):
    house.poll(level=4.0)
    house.pen.full = True
    with pytest.raises(LedgerUnavailable):
        await shelve(house)
    assert now(house).shelved is None  # type: ignore[union-attr]


@pytest.mark.parametrize("levels", [(1.0,), (1.0, 4.0)])
@pytest.mark.parametrize("seen", [False, True])
async def test_what_moves_while_a_shelving_is_written_is_the_same_after_a_restart(
    house: House, levels: tuple[float, ...], seen: bool
):
    house.poll(level=4.0)
    alarm = now(house)
    assert alarm is not None
    if seen:
        await house.hub.alarms.acknowledge(alarm.id, "li.na")
    house.pen.hold()
    until = house.clock.now() + timedelta(hours=1)
    shelving = asyncio.ensure_future(house.hub.alarms.shelve(alarm.id, until, "wang.min", WHY))
    await house.quiet()
    for level in levels:
        await house.clock.advance(1)
        house.poll(level=level)
    house.pen.let_go()
    (told,) = await asyncio.gather(shelving, return_exceptions=True)
    standing = now(house)
    assert isinstance(told, NotLive) == (standing is None)
    if standing is not None:
        assert standing.shelved is not None
    assert await after_a_restart(house) == standing


async def test_a_superseded_occurrence_is_told_to_be_over(house: House):
    house.poll(level=4.0)
    first = now(house)
    assert first is not None
    await later(house, 10, 1.0)
    await later(house, 100, 4.0)
    assert [(it.id == first.id, it.state) for it in house.desk.alarms] == [
        (True, UNACK),
        (True, RTNUN),
        (True, NORM),
        (False, UNACK),
    ]


@given(st.lists(st.sampled_from([*AlarmEvent, "next"]), max_size=30))
def test_underneath_a_shelf_an_alarm_is_what_it_would_have_been(steps: list[AlarmEvent | str]):
    """But for its being kept: the same life without the shelvings ends in the same state."""
    books, alarm = (AlarmBook(), AlarmBook()), 0
    for step in steps:
        if step == "next":
            alarm += 1
            continue
        change = AlarmChange(f"a{alarm}", AlarmEvent(step), "d", "r", NOON, NOON, until=NOON, note="why", by="wang.min")
        books[0].apply(change)
        if change.event not in (SHELVED, UNSHELVED):
            books[1].apply(change)
        with_shelf, without = (book.of("d", "r") for book in books)
        assert (with_shelf.state if with_shelf else NORM) == (without.state if without else NORM)
        if with_shelf is not None and with_shelf.state is NORM:
            assert with_shelf.shelved is not None
        assert len(books[0].shelved_until(NOON)) == int(with_shelf is not None and with_shelf.shelved is not None)


# ---- remarks ------------------------------------------------------------------------------------------------------


async def test_a_remark_is_of_its_occurrence_and_survives_a_restart(house: House):
    alarm = await shelve(house)
    told = await house.hub.alarms.remark(alarm.id, "li.na", "the electrician comes at 7")
    assert (told.remarks, told.state, told.shelved) == (1, UNACK, alarm.shelved)
    assert await after_a_restart(house) == told
    with pytest.raises(ValueError, match="nothing to remember"):
        await house.hub.alarms.remark(alarm.id, "li.na", " ")
    await later(house, 10, 1.0)
    await later(house, 100, 4.0)
    assert now(house).remarks == 0  # type: ignore[union-attr]
    with pytest.raises(NotLive):
        await house.hub.alarms.remark(alarm.id, "li.na", "too late")
