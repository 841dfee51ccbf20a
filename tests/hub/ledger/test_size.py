"""How the ledger bears its years: 100,000 alarms that are over, and a restart."""

import time

import pytest
from msgspec.structs import replace

from hub.alarms import AlarmBook
from hub.clock import ManualClock
from hub.ledger import Ledger, Note, Put
from hub.model import AlarmEvent, Device, Stage

from .samples import at, change, command, receipt

OLD_ALARMS = 100_000
RESTART_S = 1.0


@pytest.mark.slow
async def test_a_restart_with_many_old_alarms_is_quick(url: str):
    ledger = await Ledger.open(url, ManualClock())
    for start in range(0, OLD_ALARMS, 2000):
        for n in range(start, start + 2000):
            device = f"device-{n % 5000}"
            alarm = f"{n * 2654435761 % 2**32:08x}-{n}"  # in no order, as ids are
            ledger.append(*(replace(change(alarm, event, n, device=device), rule="old") for event in AlarmEvent))
            if n % 4 == 0:
                ledger.append(command(alarm, n), receipt(alarm, Stage.SENT, n), receipt(alarm, Stage.CONFIRMED, n))
        await ledger.append(Note("hub", at(start)))
    await ledger.append(*(change(f"standing-{n}", device=f"device-{n}") for n in range(150)))
    await ledger.append(*(command(f"open-{n}") for n in range(30)))
    await ledger.close()

    ledger = await Ledger.open(url, ManualClock())
    started = time.perf_counter()
    book = AlarmBook(await ledger.standing_alarm_changes())
    commands = await ledger.open_commands()
    assert time.perf_counter() - started < RESTART_S
    assert (len(book.standing()), len(commands)) == (150, 30)

    started = time.perf_counter()
    assert await ledger.count_sent("pump-7", "pump1.start", at(OLD_ALARMS - 3600)) == 900
    await ledger.command("open-3")
    await ledger.alarm_history("device-7")
    assert time.perf_counter() - started < RESTART_S / 10
    await ledger.close()


@pytest.mark.slow
async def test_twenty_thousand_devices_come_in_one_import(ledger: Ledger):
    devices = [Put(Device(f"d{n}", f"泵站 {n}", "pump_station", f"modbus+tcp://d{n}")) for n in range(20_000)]
    for name in ("first", "again"):
        started = time.perf_counter()
        await ledger.places.apply(devices, Note("registry", at(0), body={"import": name}))
        assert time.perf_counter() - started < 5
    assert len((await ledger.places.load())[1]) == 20_000
