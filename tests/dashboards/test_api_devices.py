"""Devices: the roster, the snapshot, lists in pages, single ones; compression and names for what has not changed."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from msgspec.structs import replace

from hub.model import Device, Quality, Words
from tests.dashboards.county import PLATE, County, county

V1 = "/api/v1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 25) as it:
        yield it


async def pages(browser: httpx.AsyncClient, **wanted: Any) -> list[list[str]]:
    """The ids on each page."""
    found: list[list[str]] = []
    after = ""
    while True:
        answer = (await browser.get(f"{V1}/devices", params={**wanted, "after": after})).json()
        found.append([it["id"] for it in answer["devices"]])
        if answer["next"] is None:
            return found
        after = answer["next"]


def flat(found: list[list[str]]) -> list[str]:
    return [id for page in found for id in page]


async def test_the_pages_of_a_list_hold_every_device_once(here: County):
    async with here.browser("viewer") as browser:
        for limit in (1, 7, 13, 26, 27, 1000):
            found = await pages(browser, limit=limit)
            assert flat(found) == sorted(here.house.hub.members)
            assert all(len(page) == limit for page in found[:-1])
            assert found[-1], "no empty page at the end"


async def test_what_comes_or_goes_meanwhile_does_not_shift_a_page(here: County):
    async with here.browser("viewer") as browser:
        first = (await browser.get(f"{V1}/devices", params={"limit": 10})).json()
        here.house.hub.retire("ps-00002")
        here.house.hub.adopt(Device("ps-00002b", "新站", "pump_station", "field:99", "test"), PLATE)
        second = (await browser.get(f"{V1}/devices", params={"limit": 10, "after": first["next"]})).json()
        assert second["devices"][0]["id"] == "ps-00010"
        gone = (await browser.get(f"{V1}/devices", params={"limit": 2, "after": "ps-00002"})).json()
        assert [it["id"] for it in gone["devices"]] == ["ps-00002b", "ps-00003"]


async def test_devices_are_found_by_kind_area_and_a_part_of_their_name(here: County):
    async with here.browser("viewer") as browser:
        town = flat(await pages(browser, area="341203100000"))
        village = flat(await pages(browser, area="341203100201"))
        assert set(village) < set(town), "an area holds all that is below it"
        assert flat(await pages(browser, area="341200000000")) == sorted(here.house.hub.members)
        assert await pages(browser, q="城东", kind="pump_station") == [["ps-chengdong-1"]]
        assert await pages(browser, q="PS-0001", limit=1000) == [[f"ps-000{n}" for n in range(10, 20)]]
        for nothing in ({"kind": "truck"}, {"area": "999999999999"}, {"q": "没有"}):
            assert await pages(browser, **nothing) == [[]]


async def test_devices_are_found_by_their_driver_and_whether_they_answer(here: County):
    here.tell("ps-00003", {"link": "down"})
    here.tell("ps-00004", {"link": "up"}, quality=Quality.UNCERTAIN)
    async with here.browser("viewer") as browser:
        assert await pages(browser, link="down") == [["ps-00003"]]
        assert await pages(browser, link="unknown", driver="field") == [["ps-00004"]]
        assert await pages(browser, link="degraded") == [[]]
        up = flat(await pages(browser, link="up", driver="field", limit=7))
        stations = {id for id, it in here.house.hub.members.items() if it.device.driver == "field"}
        assert up == sorted(stations - {"ps-00003", "ps-00004"})
        assert await pages(browser, driver="modbus") == [[]]
        wrong = await browser.get(f"{V1}/devices", params={"link": "off", "limit": "many", "colour": "red"})
        assert [it["where"] for it in wrong.json()["mistakes"]] == ["query.link", "query.limit", "query.colour"]
        assert "'degraded'" in wrong.json()["mistakes"][0]["what"], "what may be written is said"


async def test_latest_readings_are_those_of_the_device(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": 2.4}, quality=Quality.UNCERTAIN)
    path = f"{V1}/devices/ps-chengdong-1"
    async with here.browser("viewer") as browser:
        whole = (await browser.get(path)).json()["readings"]
        told = (await browser.get(f"{path}/latest")).json()
        assert told == {"device": "ps-chengdong-1", "readings": whole}
        some = (await browser.get(f"{path}/latest", params={"points": "mode,inlet.level,mode"})).json()
        assert [it["point"] for it in some["readings"]] == ["mode", "inlet.level"]
        assert some["readings"][1] in whole
        wrong = await browser.get(f"{path}/latest", params={"points": "inlet.levle"})
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["near"]) == (404, "unknown_point", ["inlet.level"])


async def test_one_device_is_told_whole(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": 2.123456}, age_s=3)
    here.tell("ps-chengdong-1", {"inlet.level": 2.4, "mode": "就地"}, quality=Quality.UNCERTAIN)
    async with here.browser("viewer") as browser:
        answer = (await browser.get(f"{V1}/devices/ps-chengdong-1")).json()
    readings = {it["point"]: it for it in answer["readings"]}
    assert list(readings) == list(PLATE.points)
    level = readings["inlet.level"]
    assert (level["value"], level["unit"], level["quality"]) == (2.4, "m", "uncertain")
    assert level["last_good"] == 2.48
    assert level["why"]["text"]["zh-CN"] == "设备标记此值不可靠"
    assert level["at"].endswith("Z")
    assert "address" not in answer, "where a device is reached is for those who commission it"
    async with here.browser("field_engineer") as browser:
        assert (await browser.get(f"{V1}/devices/ps-chengdong-1")).json()["address"] == "field:0"


async def test_an_unknown_device_is_named_with_those_that_look_like_it(here: County):
    async with here.browser("viewer") as browser:
        for path in ("", "/nameplate", "/latest", "/series?points=a&from=0"):
            answer = await browser.get(f"{V1}/devices/ps-chengdon{path}", headers={"Accept-Language": "en-GB,en"})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_device")
            assert answer.json()["near"][0] == "ps-chengdong-1"
            assert answer.json()["detail"] == "There is no device “ps-chengdon”."


async def test_odd_ids_are_answered_too(here: County):
    async with here.browser("viewer") as browser:
        for id in ("%00", "%2e%2e", "a%2fb", "城东", "x" * 500, "%ff", "'"):
            answer = await browser.get(f"{V1}/devices/{id}")
            assert answer.status_code in (404, 422), id
            assert answer.headers["content-type"] == "application/problem+json"


# ---- roster and snapshot ------------------------------------------------------------------------------------------


async def test_equal_nameplates_are_told_once(here: County):
    twin = replace(PLATE, points=dict(PLATE.points))
    other = replace(PLATE, actions={})
    here.house.hub.adopt(Device("twin", "t", "pump_station", "field:90"), twin)
    here.house.hub.adopt(Device("other", "o", "pump_station", "field:91"), other)
    async with here.browser("viewer") as browser:
        roster = (await browser.get(f"{V1}/roster")).json()
    of = dict(zip(roster["devices"]["id"], roster["devices"]["plate"], strict=True))
    assert len(roster["plates"]) == 3  # and that of the areas
    assert of["twin"] == of["ps-chengdong-1"] != of["other"]
    assert [it["key"] for it in roster["plates"][of["twin"]]["points"]] == list(PLATE.points)
    lengths = {len(column) for column in roster["devices"].values()}
    assert lengths == {len(here.house.hub.members)}


async def test_the_roster_is_fetched_again_only_when_it_changed(here: County):
    async with here.browser("viewer") as browser:
        first = await browser.get(f"{V1}/roster")
        tag = first.headers["etag"]
        here.tell("ps-chengdong-1", {"inlet.level": 3.0})
        same = await browser.get(f"{V1}/roster", headers={"If-None-Match": tag})
        assert (same.status_code, same.content) == (304, b"")
        here.house.hub.retire("ps-00000")
        after = await browser.get(f"{V1}/roster", headers={"If-None-Match": tag})
        assert after.status_code == 200
        assert after.json()["version"] != first.json()["version"]


async def test_the_snapshot_tells_every_device_as_the_stream_would(here: County):
    here.tell("ps-00003", {"inlet.level": 99.0})
    alarm = here.raise_alarm("ps-00004")
    async with here.browser("viewer") as browser:
        it = (await browser.get(f"{V1}/snapshot")).json()
    assert set(it["states"]) == set(here.house.hub.members)
    assert it["states"]["ps-chengdong-1"]["v"] == ["up", 2.48, False, "远程", [32.9, 115.8]]
    assert it["states"]["ps-00003"]["q"][1] == 0
    assert [one["id"] for one in it["alarms"]] == [alarm.id]
    assert it["commands"] == []


async def test_a_device_that_was_never_heard_has_no_time(tmp_path: Path):
    async with county(tmp_path, 1, loaded=False) as here, here.browser("viewer") as browser:
        state = (await browser.get(f"{V1}/snapshot")).json()["states"]["ps-00000"]
        assert (state["at_ms"], state["v"], state["q"]) == (None, [None] * 5, [0] * 5)
        assert state["why"]["0"]["key"] == "quality.no_data_yet"


async def test_snapshots_of_a_burst_are_made_once(here: County):
    async with here.browser("viewer") as browser:
        snapshot = here.app.state.desk.snapshot
        answers = await asyncio.gather(*(browser.get(f"{V1}/snapshot") for _ in range(30)))
        assert len({it.headers["etag"] for it in answers}) == 1
        assert snapshot._serial == 1


async def test_a_snapshot_has_every_alarm_that_stands_at_that_moment(here: County):
    async with here.browser("viewer") as browser:
        for number in range(3):
            here.raise_alarm("ps-chengdong-1", f"rule {number}")
            assert len((await browser.get(f"{V1}/snapshot")).json()["alarms"]) == number + 1


async def test_a_snapshot_is_never_older_than_the_last_frame(here: County):
    async with here.browser("viewer") as browser:
        await browser.get(f"{V1}/snapshot")
        here.tell("ps-chengdong-1", {"inlet.level": 5.5})
        here.app.state.desk.bus._flush()
        state = (await browser.get(f"{V1}/snapshot")).json()["states"]["ps-chengdong-1"]
        assert state["v"][1] == 5.5


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, zstd", "zstd"),
        ("zstd;q=0, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
        ("", None),
    ],
)
async def test_answers_are_packed_as_the_asker_likes(here: County, accept: str, encoding: str | None):
    async with here.browser("viewer") as browser:
        plain = (await browser.get(f"{V1}/roster", headers={"Accept-Encoding": "identity"})).content
        async with browser.stream("GET", f"{V1}/roster", headers={"Accept-Encoding": accept}) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
            assert answer.headers.get("content-encoding") == encoding
            assert answer.headers["vary"] == "accept-encoding"
    unpack = {"gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress, None: bytes}[encoding]
    assert unpack(raw) == plain
    assert json.loads(plain)["plates"]


async def test_numbers_that_are_none_are_null(here: County):
    here.tell("ps-chengdong-1", {"inlet.level": float("nan"), "place": None})
    async with here.browser("viewer") as browser:
        state = (await browser.get(f"{V1}/snapshot")).json()["states"]["ps-chengdong-1"]
    assert (state["v"][1], state["v"][4]) == (None, None)
    assert (state["q"][1], state["q"][4]) == (0, 0)


async def test_puzzles_are_told_newest_first_with_their_bytes(here: County):
    for number in range(3):
        here.house.hub.puzzled_by("field:9", bytes([number, 0xFF]), Words("quality.no_value"))
    async with here.browser("field_engineer") as browser:
        puzzles = (await browser.get(f"{V1}/puzzles")).json()["puzzles"]
    assert [it["raw"] for it in puzzles] == ["02 ff", "01 ff", "00 ff"]
