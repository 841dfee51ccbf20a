"""The rules as the console shows them, and how they stand on a device."""

from __future__ import annotations

from pathlib import Path

from dashboards.examples import ANSWERS
from drivers.modbus import profile
from hub.model import Device, Quality, Reading
from rules.book import Book
from rules.load import load, shipped_files
from tests.dashboards.county import COUNTY, county
from tests.dashboards.test_api_table import agrees

V1 = "/api/v1"


async def test_every_rule_is_shown_with_its_story_and_how_it_stands_on_a_device(tmp_path: Path):
    plate = profile.load().plate("ps-2026", {"pumps": 1}).nameplate
    device = Device("ps-real", "真站", "pump_station", "field:77", "ps-2026", COUNTY[1].code)
    async with county(tmp_path) as here:
        house = here.house
        book = Book(load([], [(device, plate)], shipped_files()), lambda it: house.plates.get(it.id, plate))
        house.judgement = house.hub._judgement = book
        house.plates[device.id] = plate
        house.hub.adopt(device, plate)
        now = house.clock.now()
        house.hub.take([Reading(device.id, "station.emergency_stop", True, now, now)])
        house.hub.take([Reading(device.id, "station.flood", None, now, now, Quality.BAD)])
        async with here.browser(f"viewer@{COUNTY[1].code}") as one, here.browser("viewer") as whole:
            told = (await one.get(f"{V1}/rules")).json()
            agrees(told, ANSWERS["GET /api/v1/rules"][1], "rules")
            rules = {it["name"]: it for it in told["rules"]}
            stop = rules["emergency stop pressed"]
            assert (stop["standing"], stop["severity"], stop["place"]) == (1, 2, "shipped/pump_station.toml")
            assert stop["story"][0] == ["time", "station.emergency_stop", "is"]
            on = (await one.get(f"{V1}/devices/ps-real/rules")).json()
            agrees(on, ANSWERS["GET /api/v1/devices/{device_id}/rules"][1], "of a device")
            states = {it["rule"]: it for it in on["rules"]}
            assert states["emergency stop pressed"]["state"] == "raised"
            assert states["sump high-high"]["state"] == "unknown"
            assert "inlet.level" in [it["point"] for it in states["sump high-high"]["wants"]]
            assert states["sump high-high"]["wants"][0]["why"]["text"]["en"] == "no data yet"
            assert (await whole.get(f"{V1}/rules")).json() == told
        async with here.browser(f"viewer@{COUNTY[3].code}") as far:
            foreign = {it["name"]: it["standing"] for it in (await far.get(f"{V1}/rules")).json()["rules"]}
            assert foreign["emergency stop pressed"] == 0, "of a device that one does not see"
