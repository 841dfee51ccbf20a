"""What the house writes into the ledger, and what it reads from it. For every database that is tested."""

import asyncio
import random

import pytest
from msgspec.structs import replace

from hub.alarms import AlarmBook
from hub.clock import ManualClock
from hub.ledger import AlreadyWritten, Ledger, Note
from hub.model import AlarmEvent, Stage

from .samples import at, change, command, receipt

RAISED, RETURNED, ACKNOWLEDGED = AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED


async def test_what_was_appended_is_there_after_opening_again(url: str):
    ledger = await Ledger.open(url, ManualClock())
    asked, sent = command("c1", key="k1"), receipt("c1", Stage.SENT, 1)
    assert await ledger.append(asked) == 1
    assert await ledger.append(sent, change("a1")) == 3
    await ledger.close()

    ledger = await Ledger.open(url, ManualClock())
    assert await ledger.command("c1") == (asked, [sent])
    assert await ledger.alarm_changes("a1") == [change("a1")]
    assert await ledger.append(change("a2")) == 4
    assert await ledger.verify() is None
    await ledger.close()


async def test_the_order_of_calls_is_the_order_of_the_entries(ledger: Ledger):
    numbers = await asyncio.gather(*(ledger.append(change(f"a{i}")) for i in range(300)))
    assert numbers == list(range(1, 301))
    assert [it.subject for it in await ledger.entries("alarm", 300)] == [f"a{i}" for i in reversed(range(300))]


async def test_an_alarm_stands_until_it_has_returned_and_is_acknowledged(ledger: Ledger):
    stories = {
        "raised": [RAISED],
        "acknowledged": [RAISED, ACKNOWLEDGED],
        "returned": [RAISED, RETURNED],
        "ended": [RAISED, ACKNOWLEDGED, RETURNED],
        "ended late": [RAISED, RETURNED, ACKNOWLEDGED],
        "chatters": [RAISED, RETURNED, RAISED],
        "raised higher": [RAISED, ACKNOWLEDGED, RAISED, RETURNED],
        "ended after all": [RAISED, RETURNED, RAISED, ACKNOWLEDGED, RETURNED],
    }
    for alarm, events in stories.items():
        await ledger.append(*(change(alarm, event, n, device=f"of {alarm}") for n, event in enumerate(events)))
    standing = await ledger.standing_alarm_changes()
    assert [(it.alarm, it.event) for it in standing] == [
        (alarm, event) for alarm, events in stories.items() if not alarm.startswith("ended") for event in events
    ]


async def test_an_older_occurrence_is_superseded_and_does_not_come_back(ledger: Ledger):
    await ledger.append(change("old"), change("old", RETURNED), change("new"), change("other", device="pump-8"))
    assert [it.alarm for it in await ledger.standing_alarm_changes()] == ["new", "other"]
    await ledger.append(change("new", RETURNED), change("old", ACKNOWLEDGED), change("new", ACKNOWLEDGED))
    assert [it.alarm for it in await ledger.standing_alarm_changes()] == ["other"]


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_restart_the_alarms_that_stood_stand(ledger: Ledger, seed: int):
    """Whatever happened, the fold of what the ledger gives is the fold of all that there was."""
    chance = random.Random(seed)
    book = AlarmBook()
    occurrences: dict[str, list[str]] = {f"pump-{n}": ["0"] for n in range(5)}
    for n in range(600):
        device = chance.choice(list(occurrences))
        event = chance.choice(list(AlarmEvent))
        if event is RAISED and chance.random() < 0.5:
            occurrences[device].append(str(n))
        alarm = occurrences[device][-1] if event is RAISED else chance.choice(occurrences[device][-2:])
        it = change(f"{device}/{alarm}", event, n, device=device, by="wang.min")
        book.apply(it)
        written = ledger.append(it)
        if n % 30 == 0:
            await written
            again = AlarmBook(await ledger.standing_alarm_changes())
            assert sorted(again.standing(), key=lambda a: a.id) == sorted(book.standing(), key=lambda a: a.id)


async def test_a_command_is_open_until_its_final_receipt(ledger: Ledger):
    for stage in Stage:
        await ledger.append(command(stage), receipt(stage, Stage.SENT), receipt(stage, stage, 1))
    await ledger.append(command("asked"))
    await ledger.append(command("no proof"), replace(receipt("no proof", Stage.ACKNOWLEDGED), last=True))
    opened = {asked.id: [it.stage for it in receipts] for asked, receipts in await ledger.open_commands()}
    assert opened == {
        "sent": [Stage.SENT, Stage.SENT],
        "acknowledged": [Stage.SENT, Stage.ACKNOWLEDGED],
        "asked": [],
    }


async def test_a_key_is_used_once_by_each_asker(ledger: Ledger):
    first = command("c1", key="k")
    await ledger.append(first)
    with pytest.raises(AlreadyWritten):
        await ledger.append(command("c2", key="k"), change("not written either"))
    await ledger.append(command("c3", key="k", by="li.na"), command("c4"), command("c5"))
    assert await ledger.command_by_key("wang.min", "k") == (first, [])
    assert await ledger.command_by_key("wang.min", "") is None
    assert await ledger.alarm_changes("not written either") == []
    assert ledger.healthy


async def test_one_bad_append_does_not_spoil_the_others_of_its_commit(ledger: Ledger):
    await ledger.append(command("c1"))
    good, bad, fine = ledger.append(change("a1")), ledger.append(command("c1")), ledger.append(change("a2"))
    assert await good == 2
    with pytest.raises(AlreadyWritten):
        await bad
    assert await fine == 3
    assert await ledger.verify() is None


async def test_sent_commands_are_counted_for_starts_per_hour(ledger: Ledger):
    for id, action, device in (
        ("c1", "pump1.start", "pump-7"),
        ("c2", "pump1.stop", "pump-7"),
        ("c3", "pump1.start", "x"),
    ):
        await ledger.append(command(id, action=action, device=device))
        await ledger.append(receipt(id, Stage.SENT, 10), receipt(id, Stage.CONFIRMED, 20))
    await ledger.append(command("c4"), receipt("c4", Stage.REFUSED, 30))
    await ledger.append(command("c5"), receipt("c5", Stage.SENT, 40))
    assert await ledger.count_sent("pump-7", "pump1.start", at(0)) == 2
    assert await ledger.count_sent("pump-7", "pump1.start", at(10)) == 2
    assert await ledger.count_sent("pump-7", "pump1.start", at(10.000001)) == 1


async def test_histories_are_read_page_by_page(ledger: Ledger):
    for n in range(5):
        await ledger.append(change(f"a{n}"), change(f"b{n}", device="other"), command(f"c{n}"))
    first = await ledger.alarm_history("pump-7", limit=2)
    assert [it.alarm for _, it in first] == ["a4", "a3"]
    second = await ledger.alarm_history("pump-7", limit=2, before=first[-1][0])
    assert [it.alarm for _, it in second] == ["a2", "a1"]
    assert len(await ledger.alarm_history()) == 10
    page = await ledger.commands("pump-7", limit=2, before=15)
    assert [life[0].id for _, life in page] == ["c3", "c2"]


async def test_a_note_keeps_who_and_what(ledger: Ledger):
    await ledger.append(Note("login", at(0), by="wang.min", subject="s1", body={"from": "10.0.4.2"}))
    (kept,) = await ledger.entries("login")
    assert (kept.seq, kept.at, kept.by, kept.subject, kept.says) == (1, at(0), "wang.min", "s1", {"from": "10.0.4.2"})


@pytest.mark.parametrize("kind", ["alarm", "command", "receipt", ""])
async def test_a_note_cannot_pass_for_something_else(ledger: Ledger, kind: str):
    with pytest.raises(ValueError, match="a Note cannot be of kind"):
        ledger.append(Note(kind, at(0)))
