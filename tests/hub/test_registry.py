"""The registry follows the site's files, and forgets nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from hub.clock import ManualClock
from hub.config import HubFile, Site
from hub.ledger import Ledger
from hub.ledger.entries import Note
from hub.ledger.places import Put
from hub.ledger.writer import QUEUE_LIMIT
from hub.model import Area, Device
from hub.registry import follow

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
TOWN = Area("340299100000", "城关镇")
EAST = Device("ps-east", "东门泵站", "pump_station", "modbus+tcp://10.0.0.1:502/1", "ps-2026", TOWN.code, {"pumps": 3})
WEST = Device("ps-west", "西门泵站", "pump_station", "modbus+tcp://10.0.0.2:502/1", "ps-2026", TOWN.code)


def site(*devices: Device) -> Site:
    files = {TOWN.code: "devices/pumps.toml"} | {it.id: "devices/pumps.toml" for it in devices}
    return Site(Path("county"), HubFile(), {}, (TOWN,), devices, {}, files)


async def test_what_the_files_have_is_written_down_and_what_they_lose_is_retired_not_deleted(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", ManualClock(NOON))
    first = await follow(site(EAST, WEST), ledger.places, NOON)
    assert first.added == (TOWN.code, "ps-east", "ps-west")
    again = await follow(site(EAST, WEST), ledger.places, NOON)
    assert (again.added, again.changed, again.retired) == ((), (), ())
    later = NOON + timedelta(days=1)
    moved = Device(EAST.id, EAST.name, EAST.kind, "modbus+tcp://10.0.0.9:502/1", EAST.profile, EAST.area, EAST.settings)
    third = await follow(site(moved), ledger.places, later)
    assert (third.changed, third.retired) == (("ps-east",), ("ps-west",))
    _, devices = await ledger.places.load()
    assert [(row.it, row.added_at, row.retired_at) for row in devices] == [(moved, NOON, None), (WEST, NOON, later)]
    back = await follow(site(moved, WEST), ledger.places, later)
    assert back.changed == ("ps-west",)
    notes = await ledger.entries("registry")
    assert notes[-1].says["added"] == [TOWN.code, "ps-east", "ps-west"]
    await ledger.close()


async def test_what_was_made_by_hand_is_left_alone(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", ManualClock(NOON))
    await ledger.places.apply([Put(WEST)], Note("registry", NOON, "li.qiang"))
    told = await follow(site(EAST), ledger.places, NOON)
    assert told.by_hand == (WEST,)
    assert told.retired == ()
    await ledger.close()


async def test_each_change_is_an_entry_with_what_was_and_what_is(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", ManualClock(NOON))
    await follow(site(EAST, WEST), ledger.places, NOON)
    moved = replace(EAST, address="modbus+tcp://10.0.0.9:502/1")
    await follow(site(moved), ledger.places, NOON)
    gone, changed, *added = await ledger.entries("device")
    assert [(it.subject, it.device, it.says["did"]) for it in added] == [
        ("ps-west", "ps-west", "added"),
        ("ps-east", "ps-east", "added"),
    ]
    assert added[1].says["changed"]["settings"] == [None, {"pumps": 3}]
    assert changed.says == {"did": "changed", "changed": {"address": [EAST.address, moved.address]}}
    assert gone.says == {"did": "retired", "changed": {"retired": [False, True]}}
    (town,) = await ledger.entries("area")
    assert town.says["changed"]["name"] == [None, "城关镇"]
    await ledger.close()


async def test_an_import_of_more_than_the_queue_holds_is_written_whole(tmp_path: Path) -> None:
    ledger = await Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", ManualClock(NOON))
    await follow(site(*(replace(EAST, id=f"ps-{n}") for n in range(QUEUE_LIMIT + 1))), ledger.places, NOON)
    assert (await ledger.tip())[0] == QUEUE_LIMIT + 3, "the summary, the town, and each device"
    assert await ledger.verify() is None
    await ledger.close()
