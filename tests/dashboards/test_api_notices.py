"""From an alarm to somebody's telephone and back onto the screen: a house that tells people, asked by its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.notices import postbox
from hub.notices.plan import Channel, Contact, Plan, Route, Step, Whom
from tests.dashboards.county import COUNTY, County, becomes, county
from tests.dashboards.test_api_table import NOBODY, PLAN
from tests.hub.notices.test_sending import Gateway

V1 = "/api/v1"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as it:
        yield it


def plan(gateway: Gateway) -> Plan:
    channel = Channel("sms", "env:SMS", f"json://127.0.0.1:{gateway.port}/{{to}}", True)
    group = Channel("group", "env:GROUP", f"json://127.0.0.1:{gateway.port}/group")
    people = {"li.na": Contact("li.na", {"sms": "13800000001"}, None, "en")}
    route = Route("all", (Step(0.0, ((Whom.PERSON, "li.na"),)), Step(3600.0, ((Whom.CHANNEL, "group"),))))
    return Plan(PLAN.zone, "zh-CN", {"sms": channel, "group": group}, people, routes=(route,), link="https://hub")


async def test_an_alarm_reaches_a_telephone_and_the_screen_says_so(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postbox, "GATHER_S", 0.1)
    async with county(tmp_path, plan=plan(gateway)) as here, here.browser("water_operator") as one:
        alarm = here.raise_alarm("ps-chengdong-1", "level high", 2)
        await becomes(lambda: gateway.asked)
        ((path, said),) = gateway.asked
        assert path.rstrip("/") == "/13800000001"
        assert said["title"].startswith("[High] 城东一号泵站: ")
        assert said["message"].endswith(f"https://hub/alarms?id={alarm.id}")

        async def told() -> list[dict[str, object]]:
            return (await one.get(f"{V1}/notices")).json()["notices"]

        while not (found := await told()):
            pass
        assert (found[0]["alarm"], found[0]["person"], found[0]["outcome"]) == (alarm.id, "li.na", "sent")
        life = (await one.get(f"{V1}/alarms/{alarm.id}")).json()
        assert [it["channel"] for it in life["notices"]] == ["sms"]
        assert "13800000001" not in str(life) + str(found), "a number is in no entry"


async def test_who_commissions_tries_a_channel_and_it_is_written_who_did(tmp_path: Path, gateway: Gateway):
    async with county(tmp_path, plan=plan(gateway)) as here, here.browser("field_engineer") as one:
        ways = [{"channel": "sms", "person": "li.na"}, {"channel": "group"}]
        for way in ways:
            answer = await one.post(f"{V1}/notices/try", json=way)
            assert (answer.status_code, answer.json()["failing"]) == (200, "")
        assert [path.rstrip("/") for path, _ in gateway.asked] == ["/13800000001", "/group"]
        assert "tries whether this channel works" in gateway.asked[0][1]["message"]
        unknown = [{"channel": "sms", "person": "wang.min"}, {"channel": "fax", "person": "li.na"}]
        for way in ({"channel": "sms"}, *unknown):
            answer = await one.post(f"{V1}/notices/try", json=way)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_receiver"), way
        notices = (await one.get(f"{V1}/notices")).json()["notices"]
        assert [(it["about"], it["by"], it["person"]) for it in notices] == [
            ("trial", "field_engineer", ""),
            ("trial", "field_engineer", "li.na"),
        ]
    async with county(tmp_path / "b", plan=PLAN) as here, here.browser("field_engineer") as one:
        answer = await one.post(f"{V1}/notices/try", json={"channel": "sms", "person": "li.na"})
        assert answer.json()["failing"]
        channels = (await one.get(f"{V1}/notices")).json()["channels"]
        assert channels[0]["failing"] == answer.json()["failing"]
        assert NOBODY.url.split("/")[2] not in answer.text


async def test_who_sees_a_town_sees_what_was_told_of_it(tmp_path: Path, gateway: Gateway):
    async with county(tmp_path, plan=plan(gateway)) as here:
        await _alarms(here)
        async with here.browser(f"viewer@{COUNTY[1].code}") as town, here.browser("viewer") as whole:
            seen = {it["device"] for it in (await town.get(f"{V1}/notices")).json()["notices"]}
            assert "ps-chengdong-1" in seen
            assert "ps-00002" not in seen, "it lies in another town"
            assert len((await whole.get(f"{V1}/notices?limit=2")).json()["notices"]) == 2
            page = (await whole.get(f"{V1}/notices?limit=2")).json()
            older = (await whole.get(f"{V1}/notices?limit=2&before={page['next']}")).json()
            assert page["notices"][-1]["number"] > older["notices"][0]["number"]
            assert (await town.get(f"{V1}/notices?device=ps-00002")).status_code == 404


async def _alarms(here: County) -> None:
    for n, device in enumerate(("ps-chengdong-1", "ps-00001", "ps-00002", "ps-00003")):
        here.raise_alarm(device, f"rule {n}", 1)
    await becomes(lambda: here.house.notifier.postbox.channels["sms"].sent >= 1)
