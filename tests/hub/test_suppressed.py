"""A suppressed alarm: it calls nobody, need not be acknowledged when it ends, and is the same after a restart."""

from pathlib import Path

import pytest

from hub.contract import Finding
from hub.ledger import Ledger, Note
from hub.model import Alarm, AlarmEvent, AlarmState, Severity
from tests.hub.kit import STATION, House

BECAUSE = {"zh-CN": "大面积通信中断", "en": "an outage"}


def finding(house: House, event: AlarmEvent, rule: str = "link down") -> Finding:
    now = house.clock.now()
    say = BECAUSE if event is AlarmEvent.SUPPRESSED else {"zh-CN": "通信中断", "en": "no link"}
    return Finding(rule, STATION.id, event, now, now, Severity.MEDIUM, say, {})


def find(house: House, *events: AlarmEvent, rule: str = "link down") -> Alarm | None:
    for event in events:
        house.hub.alarms.found(finding(house, event, rule))
    return house.hub.book.of(STATION.id, rule)


async def written(house: House) -> None:
    """Until all that was put down is on the disk: this comes after it."""
    await house.hub.outbox.now(Note("test", house.clock.now(), "test"))


async def again(house: House) -> list[Alarm]:
    """What stands by the ledger."""
    await written(house)
    book = type(house.hub.book)(await house.ledger.standing_alarm_changes())
    return book.standing()


async def test_it_calls_nobody_and_says_what_explains_it(house: House):
    alarm = find(house, AlarmEvent.RAISED, AlarmEvent.SUPPRESSED)
    assert not alarm.calls
    assert (alarm.state, alarm.suppressed.say) == (AlarmState.UNACKNOWLEDGED, BECAUSE)
    assert alarm.say["en"] == "no link"
    assert await again(house) == [alarm]


async def test_what_had_been_seen_calls_again_when_nothing_explains_it_any_more(house: House):
    alarm = find(house, AlarmEvent.RAISED)
    await house.hub.alarms.acknowledge(alarm.id, "li.na")
    assert find(house, AlarmEvent.SUPPRESSED).state is AlarmState.ACKNOWLEDGED
    after = find(house, AlarmEvent.UNSUPPRESSED)
    assert (after.id, after.state, after.suppressed) == (alarm.id, AlarmState.UNACKNOWLEDGED, None)
    assert await again(house) == [after]


async def test_what_ends_while_it_is_suppressed_is_over_without_a_word(house: House):
    assert find(house, AlarmEvent.RAISED, AlarmEvent.SUPPRESSED, AlarmEvent.RETURNED) is None
    assert await again(house) == []


@pytest.mark.parametrize(
    "events",
    [
        (AlarmEvent.RAISED, AlarmEvent.SUPPRESSED, AlarmEvent.UNSUPPRESSED, AlarmEvent.RETURNED),
        (AlarmEvent.RAISED, AlarmEvent.RETURNED),
    ],
)
async def test_what_ends_when_it_calls_must_be_acknowledged(house: House, events):
    alarm = find(house, *events)
    assert alarm.state is AlarmState.RETURNED
    assert await again(house) == [alarm]


async def test_thousands_that_ended_so_do_not_burden_the_next_start(house: House):
    for n in range(3):
        find(house, AlarmEvent.RAISED, AlarmEvent.SUPPRESSED, AlarmEvent.RETURNED, rule=f"r{n}")
    find(house, AlarmEvent.RAISED, rule="other")
    await written(house)
    ledger: Ledger = house.ledger
    assert {change.rule for change in await ledger.standing_alarm_changes()} == {"other"}


async def test_what_is_said_twice_or_of_what_does_not_stand_is_no_news(house: House, tmp_path: Path):
    assert find(house, AlarmEvent.SUPPRESSED) is None
    find(house, AlarmEvent.RAISED, AlarmEvent.UNSUPPRESSED, AlarmEvent.SUPPRESSED, AlarmEvent.SUPPRESSED)
    await written(house)
    events = [change.event for change in await house.ledger.standing_alarm_changes()]
    assert events == [AlarmEvent.RAISED, AlarmEvent.SUPPRESSED]
