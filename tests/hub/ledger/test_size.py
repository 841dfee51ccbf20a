"""How the ledger bears its years: 30,000 alarms that are over, and a restart."""

import sqlite3
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event

from hub.alarms import AlarmBook
from hub.clock import ManualClock
from hub.ledger import Ledger, Note, Put
from hub.model import AlarmEvent, Device, Stage

from .samples import at, change, command, receipt

OLD_ALARMS = 30_000
LIFE = (AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED)
STEP = 1000  # of SQLite's own instructions, in which work is counted: a clock would measure the machine


@pytest.fixture
def work() -> Iterator[list[int]]:
    """work[0] counts what SQLite does, in STEPs, on every connection that is made from now on."""
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.set_progress_handler(step, STEP)

    event.listen(Engine, "connect", connected)
    yield steps
    event.remove(Engine, "connect", connected)


@pytest.mark.slow
async def test_a_restart_with_many_old_alarms_is_little_work(url: str, work: list[int]):
    ledger = await Ledger.open(url, ManualClock())
    for start in range(0, OLD_ALARMS, 2000):
        for n in range(start, start + 2000):
            device = f"device-{n % 5000}"
            alarm = f"{n * 2654435761 % 2**32:08x}-{n}"  # in no order, as ids are
            ledger.append(*(replace(change(alarm, it, n, device=device), rule="old") for it in LIFE))
            if n % 4 == 0:
                ledger.append(command(alarm, n), receipt(alarm, Stage.SENT, n), receipt(alarm, Stage.CONFIRMED, n))
        aside = change(alarm, AlarmEvent.SHELVED, start, device=device)
        aside = replace(aside, rule="old", until=at(start + 60))
        ledger.append(aside, replace(aside, event=AlarmEvent.UNSHELVED))
        await ledger.append(Note("hub", at(start)))
    await ledger.append(*(change(f"standing-{n}", device=f"device-{n}") for n in range(150)))
    aside = [change(f"standing-{n}", AlarmEvent.SHELVED, 0, device=f"device-{n}") for n in range(10)]
    await ledger.append(*(replace(it, until=at(3600)) for it in aside))
    await ledger.append(*(command(f"open-{n}") for n in range(30)))
    await ledger.close()

    ledger = await Ledger.open(url, ManualClock())
    work[0] = 0
    book = AlarmBook(await ledger.standing_alarm_changes())
    commands = await ledger.open_commands()
    assert 0 < work[0] < 1500, "680 when this was written; to make them all took 9,000"
    assert (len(book.standing()), len(commands)) == (150, 30)
    assert len(book.shelved_until(at(3600))) == 10

    work[0] = 0
    assert await ledger.count_sent("pump-7", "pump1.start", at(OLD_ALARMS - 3600)) == 900
    await ledger.command("open-3")
    await ledger.alarm_history("device-7")
    assert 0 < work[0] < 50
    await ledger.close()


@pytest.mark.slow
async def test_twenty_thousand_devices_come_in_one_import(ledger: Ledger):
    devices = [Put(Device(f"d{n}", f"泵站 {n}", "pump_station", f"modbus+tcp://d{n}")) for n in range(20_000)]
    for name in ("first", "again"):
        await ledger.places.apply(devices, Note("registry", at(0), body={"import": name}))
    assert len((await ledger.places.load())[1]) == 20_000
