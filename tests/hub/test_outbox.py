"""What happens while the ledger's disk is away is on the disk when it is back: in order, once, or counted as lost."""

from pathlib import Path

import pytest

from hub import outbox
from hub.ledger import LedgerUnavailable
from hub.model import AlarmEvent, AlarmState, Stage

from .kit import STATION, House, Limit

RAISED, RETURNED, ACKNOWLEDGED = AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED


async def events(house: House) -> list[AlarmEvent]:
    await house.quiet()
    return [change.event for _, change in reversed(await house.ledger.alarm_history(None, 100, None))]


async def test_an_alarm_is_shown_while_the_disk_is_away_and_written_when_it_is_back(house: House, tmp_path: Path):
    house.pen.full = True
    house.poll(level=3.5)
    assert house.hub.book.of(STATION.id, Limit.RULE).state is AlarmState.UNACKNOWLEDGED
    assert (await events(house), house.hub.outbox.kept) == ([], 1)
    house.pen.full = False
    house.hub.tick()
    assert (await events(house), house.hub.outbox.kept) == ([RAISED], 0)
    after = await house.die(tmp_path)
    after.hub.restore(await after.ledger.standing_alarm_changes())
    assert [alarm.rule for alarm in after.hub.book.standing()] == [Limit.RULE]
    await after.close()


async def test_what_comes_before_the_kept_are_handed_over_goes_behind_them(house: House):
    house.pen.full = True
    house.poll(level=3.5)
    house.pen.full = False  # nobody has looked yet
    house.poll(level=2.0)
    assert await events(house) == [RAISED, RETURNED]


async def test_an_acknowledgement_is_written_or_refused_and_never_kept(house: House):
    house.pen.full = True
    house.poll(level=3.5)
    alarm = house.hub.book.of(STATION.id, Limit.RULE)
    with pytest.raises(LedgerUnavailable, match="1 entries wait"):
        await house.hub.alarms.acknowledge(alarm.id, "wang.min")
    house.pen.full = False
    house.hub.tick()
    assert await events(house) == [RAISED]
    assert house.hub.book.occurrence(alarm.id).state is AlarmState.UNACKNOWLEDGED
    await house.hub.alarms.acknowledge(alarm.id, "wang.min")
    assert await events(house) == [RAISED, ACKNOWLEDGED]


async def test_what_fails_on_its_way_is_kept_before_what_comes_after(house: House):
    """The pen is full only when the raise has been handed over: its return must not be written alone."""
    house.pen.hold()
    house.poll(level=3.5)
    house.poll(level=2.0)
    (_, raise_), (_, return_) = house.pen._held or []
    for written in (raise_, return_):
        written.set_exception(LedgerUnavailable("the disk is full"))
    house.pen._held = None
    house.poll(level=3.5)
    assert await events(house) == [RAISED, RETURNED, RAISED]


async def test_receipts_of_a_command_on_its_way_are_written_later(house: House):
    record = await house.ask()
    await house.quiet()
    house.pen.full = True
    await house.pass_(2)
    assert house.desk.commands[-1].stage is Stage.CONFIRMED
    house.pen.full = False
    house.hub.tick()
    assert await house.life(record) == [Stage.SENT, Stage.ACKNOWLEDGED, Stage.CONFIRMED]


async def test_of_more_than_can_be_kept_the_oldest_go_and_are_counted(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox, "KEPT_LIMIT", 3)
    house.pen.full = True
    for level in (3.5, 2.0, 3.5, 2.0, 3.5):
        house.poll(level=level)
    assert (house.hub.outbox.kept, house.hub.outbox.lost) == (3, 2)
    house.pen.full = False
    house.hub.tick()
    assert await events(house) == [RAISED, RETURNED, RAISED]
