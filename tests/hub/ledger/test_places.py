"""The registry's rows. For every database that is tested."""

import pytest
from msgspec.structs import replace

from hub.ledger import Ledger, Note, Placed, Put, Retire
from hub.model import Area, Device

from .samples import at

TOWN = Area("320826101000", "东门镇")
PUMP = Device(
    "pump-7", "东门水泵 2", "pump_station", "modbus+tcp://10.0.4.7:502/1", "two_pumps", TOWN.code, {"ct": 40.5}
)


def note(seconds: float) -> Note:
    return Note("registry", at(seconds), by="li.na", body={"file": "devices.toml"})


async def test_what_was_put_is_there_with_its_source_and_its_time(ledger: Ledger):
    await ledger.places.apply([Put(TOWN), Put(PUMP, "file:devices.toml")], note(5))
    areas, devices = await ledger.places.load()
    assert areas == [Placed(TOWN, "", at(5))]
    assert devices == [Placed(PUMP, "file:devices.toml", at(5))]
    assert [(it.by, it.says) for it in await ledger.entries("registry")] == [("li.na", {"file": "devices.toml"})]


async def test_a_change_keeps_the_time_of_coming_and_a_retired_device_may_come_back(ledger: Ledger):
    await ledger.places.apply([Put(PUMP)], note(0))
    moved = replace(PUMP, address="modbus+tcp://10.0.4.8:502/1", settings={})
    await ledger.places.apply([Put(moved, "file:a.toml")], note(10))
    await ledger.places.apply([Retire(Device, "pump-7")], note(20))
    await ledger.places.apply([Retire(Device, "pump-7")], note(30))  # gone already: since then
    assert (await ledger.places.load())[1] == [Placed(moved, "file:a.toml", at(0), at(20))]
    await ledger.places.apply([Put(moved)], note(40))
    assert (await ledger.places.load())[1] == [Placed(moved, "", at(0))]


async def test_all_changes_or_none(ledger: Ledger):
    with pytest.raises(LookupError, match='there is no device "pump-8"'):
        await ledger.places.apply([Put(TOWN), Put(PUMP), Retire(Device, "pump-8")], note(0))
    assert await ledger.places.load() == ([], [])
    assert await ledger.entries() == []


async def test_changes_follow_each_other(ledger: Ledger):
    await ledger.places.apply([Put(replace(PUMP, id="b")), Put(replace(PUMP, id="c"))], note(0))
    changes = [
        *(Put(PUMP), Retire(Device, "pump-7")),
        *(Retire(Device, "b"), Put(replace(PUMP, id="b"))),
        *(Put(replace(PUMP, id="c", name="first")), Put(replace(PUMP, id="c", name="second"))),
    ]
    await ledger.places.apply(changes, note(9))
    _, devices = await ledger.places.load()
    assert [
        (it.it.id if isinstance(it.it, Device) else "", it.it.name, it.added_at, it.retired_at) for it in devices
    ] == [
        ("b", PUMP.name, at(0), None),
        ("c", "second", at(0), None),
        ("pump-7", PUMP.name, at(9), at(9)),
    ]
