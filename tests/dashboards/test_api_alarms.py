"""Alarms: what stands, in which order, its life, and acknowledging one occurrence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.contract import Finding
from hub.model import AlarmEvent
from tests.dashboards.county import County, county

V1 = "/api/v1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 6) as it:
        yield it


async def test_alarms_stand_unseen_first_then_by_severity_then_the_newest(here: County):
    old = here.raise_alarm("ps-00000", "low", 4)
    seen = here.raise_alarm("ps-00001", "seen", 1)
    first = here.raise_alarm("ps-00002", "high", 2)
    second = here.raise_alarm("ps-00003", "high", 2)
    gone = here.raise_alarm("ps-00004", "gone", 3)
    here.return_alarm("ps-00004", "gone", 3)
    async with here.browser() as browser:
        await browser.post(f"{V1}/alarms/{seen.id}/acknowledge", json={"note": ""})
        answer = (await browser.get(f"{V1}/alarms")).json()
        assert [it["id"] for it in answer["alarms"]] == [second.id, first.id, gone.id, old.id, seen.id]
        assert answer["counts"] == [1, 2, 1, 1]
        for query, wanted in (
            ("severity=2", {first.id, second.id}),
            ("state=returned", {gone.id}),
            ("device=ps-00000", {old.id}),
            ("area=341203100201", {first.id, gone.id, seen.id, second.id, old.id}),
            ("device=nothing", set()),
        ):
            found = (await browser.get(f"{V1}/alarms?{query}")).json()["alarms"]
            assert {it["id"] for it in found} <= wanted, query
            assert found or not wanted or query.startswith("area")
        assert (await browser.get(f"{V1}/alarms?severity=5")).status_code == 422


async def test_an_area_holds_the_alarms_of_all_below_it(here: County):
    for device in [id for id in here.house.hub.members if id.startswith("ps-")]:
        here.raise_alarm(device)
    async with here.browser() as browser:
        counts = {}
        for area in ("341200000000", "341203100000", "341203100201", "341204100000", "999999999999"):
            counts[area] = len((await browser.get(f"{V1}/alarms?area={area}")).json()["alarms"])
    assert counts["341200000000"] == 7
    assert counts["341203100000"] + counts["341204100000"] == 7
    assert 0 < counts["341203100201"] < counts["341203100000"]
    assert counts["999999999999"] == 0


async def test_an_acknowledgement_names_who_and_is_kept_with_its_note(here: County):
    alarm = here.raise_alarm("ps-00000")
    async with here.browser() as browser:
        after = (await browser.post(f"{V1}/alarms/{alarm.id}/acknowledge", json={"note": " on my way "})).json()
        assert (after["state"], after["acknowledged_by"]) == ("acknowledged", "water_operator")
        life = (await browser.get(f"{V1}/alarms/{alarm.id}")).json()
    assert [it["event"] for it in life["changes"]] == ["raised", "acknowledged"]
    assert (life["changes"][1]["by"], life["changes"][1]["note"]) == ("water_operator", "on my way")
    assert life["alarm"]["state"] == "acknowledged"


async def test_a_late_acknowledgement_does_not_hit_a_newer_occurrence(here: County):
    alarm = here.raise_alarm("ps-00000")
    async with here.browser() as browser:
        await browser.post(f"{V1}/alarms/{alarm.id}/acknowledge", json={})
        here.return_alarm("ps-00000")
        newer = here.raise_alarm("ps-00000")
        assert newer.id != alarm.id
        late = await browser.post(f"{V1}/alarms/{alarm.id}/acknowledge", json={})
        assert (late.status_code, late.json()["code"]) == (409, "alarm_not_live")
        standing = (await browser.get(f"{V1}/alarms")).json()["alarms"]
        assert [(it["id"], it["state"]) for it in standing] == [(newer.id, "unacknowledged")]
        over = (await browser.get(f"{V1}/alarms/{alarm.id}")).json()
        assert over["alarm"] is None
        assert [it["event"] for it in over["changes"]] == ["raised", "acknowledged", "returned"]


async def test_many_are_acknowledged_at_once_but_not_the_severe_ones(here: County):
    low = [here.raise_alarm(f"ps-0000{n}", severity=3 + n % 2).id for n in range(3)]
    high = here.raise_alarm("ps-00004", severity=2).id
    async with here.browser() as browser:
        ids = [*low, high, "nothing", low[0]]
        answer = (await browser.post(f"{V1}/alarms/acknowledge", json={"ids": ids, "note": "seen"})).json()
        assert [it["id"] for it in answer["acknowledged"]] == low
        assert answer["one_by_one"] == [high]
        assert answer["not_live"] == ["nothing"]
        assert (await browser.post(f"{V1}/alarms/acknowledge", json={"ids": []})).status_code == 422
        assert (await browser.post(f"{V1}/alarms/acknowledge", json={"ids": ["x"] * 101})).status_code == 422


async def test_an_alarm_that_never_was_is_not_found(here: County):
    async with here.browser() as browser:
        answer = await browser.get(f"{V1}/alarms/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_alarm")
        answer = await browser.post(f"{V1}/alarms/nothing/acknowledge", json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "alarm_not_live")


async def test_pages_of_history_stay_in_step_while_new_changes_come(here: County):
    for number in range(7):
        here.raise_alarm("ps-00000", f"rule {number}")
    async with here.browser() as browser:
        wanted = [it["alarm"] for it in (await browser.get(f"{V1}/alarms/history")).json()["changes"]]
        found: list[str] = []
        before: int | None = None
        while True:
            query = {"limit": 2} | ({} if before is None else {"before": before})
            page = (await browser.get(f"{V1}/alarms/history", params=query)).json()
            found += [it["alarm"] for it in page["changes"]]
            here.raise_alarm("ps-00001", f"late {len(found)}")
            if (before := page["next"]) is None:
                break
        assert found == wanted
        mine = (await browser.get(f"{V1}/alarms/history?device=ps-00001")).json()["changes"]
        assert {it["device"] for it in mine} == {"ps-00001"}
        assert (await browser.get(f"{V1}/alarms/history?device=nothing")).status_code == 404


async def test_a_shelved_alarm_calls_nobody_and_is_found_where_it_was_put(here: County):
    alarm, other = here.raise_alarm("ps-00000", severity=2), here.raise_alarm("ps-00001", severity=4)
    async with here.browser() as browser:
        shelve = f"{V1}/alarms/{alarm.id}/shelve"
        after = (await browser.post(shelve, json={"minutes": 60, "note": " the float is stuck "})).json()
        assert after["state"] == "unacknowledged"
        aside = after["shelved"]
        assert (aside["by"], aside["note"]) == ("water_operator", "the float is stuck")
        for query, wanted in (("", [other]), ("?shelved=also", [alarm, other]), ("?shelved=only", [alarm])):
            told = (await browser.get(f"{V1}/alarms{query}")).json()
            assert [it["id"] for it in told["alarms"]] == [it.id for it in wanted], query
            assert told["counts"] == [0, 0, 0, 1]
        lines = (await browser.get("/metrics")).text.splitlines()  # a program that rings by these is silent too
        assert 'fieldhub_alarms_standing{severity="2"} 0.0' in lines
        assert "fieldhub_alarms_shelved 1.0" in lines
        snapshot = (await browser.get(f"{V1}/snapshot")).json()
        assert {it["id"]: it["shelved"] for it in snapshot["alarms"]} == {alarm.id: aside, other.id: None}
        life = (await browser.get(f"{V1}/alarms/{alarm.id}")).json()
        assert (life["changes"][-1]["event"], life["changes"][-1]["until"]) == ("shelved", aside["until"])
        back = (await browser.post(f"{V1}/alarms/{alarm.id}/unshelve", json={})).json()
        assert (back["state"], back["shelved"]) == ("unacknowledged", None)
        assert (await browser.get(f"{V1}/alarms")).json()["counts"] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "wish",
    [
        {"minutes": 0, "note": "why"},
        {"minutes": 1441, "note": "why"},
        {"minutes": 60, "note": "  "},
        {"minutes": 60},
        {"note": "why"},
        {"minutes": 60, "note": "x" * 501},
    ],
)
async def test_a_shelving_without_a_reason_or_an_end_within_a_day_is_refused(here: County, wish: dict[str, object]):
    alarm = here.raise_alarm("ps-00000")
    async with here.browser() as browser:
        assert (await browser.post(f"{V1}/alarms/{alarm.id}/shelve", json=wish)).status_code == 422
        assert len((await browser.get(f"{V1}/alarms")).json()["alarms"]) == 1


async def test_what_is_over_cannot_be_shelved_or_remarked_on_any_more(here: County):
    async with here.browser() as browser:
        for way, body in (("shelve", {"minutes": 5, "note": "w"}), ("unshelve", {}), ("remark", {"note": "w"})):
            answer = await browser.post(f"{V1}/alarms/nothing/{way}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "alarm_not_live")


@pytest.mark.parametrize("role", ["viewer", "auditor", "dispatcher"])
async def test_who_may_not_acknowledge_may_neither_shelve_nor_remark(here: County, role: str):
    alarm = here.raise_alarm("ps-00000")
    async with here.browser(role) as browser:
        for way, body in (("shelve", {"minutes": 5, "note": "w"}), ("unshelve", {}), ("remark", {"note": "w"})):
            assert (await browser.post(f"{V1}/alarms/{alarm.id}/{way}", json=body)).status_code == 403
    now = here.house.hub.book.occurrence(alarm.id)
    assert now is not None
    assert now.shelved is None


async def test_a_remark_is_in_the_alarms_life_and_changes_nothing_else(here: County):
    alarm = here.raise_alarm("ps-00000")
    async with here.browser() as browser:
        remark = f"{V1}/alarms/{alarm.id}/remark"
        after = (await browser.post(remark, json={"note": " the electrician comes at 7 "})).json()
        assert (after["state"], after["remarks"], after["count"]) == ("unacknowledged", 1, 1)
        life = (await browser.get(f"{V1}/alarms/{alarm.id}")).json()
        last = life["changes"][-1]
        assert (last["event"], last["by"], last["note"]) == ("remarked", "water_operator", "the electrician comes at 7")
        for note in ("", "  ", "x" * 501):
            assert (await browser.post(remark, json={"note": note})).status_code == 422
        assert (await browser.get(f"{V1}/alarms/{alarm.id}")).json()["alarm"]["remarks"] == 1


async def test_a_suppressed_alarm_calls_nobody_and_says_what_explains_it(here: County):
    alarm, other = here.raise_alarm("ps-00000"), here.raise_alarm("ps-00001")
    say = {"zh-CN": "属大面积通信中断", "en": "Part of an outage"}
    now = here.house.clock.now()
    found = Finding(alarm.rule, alarm.device, AlarmEvent.SUPPRESSED, now, now, alarm.severity, say, {})
    here.house.hub.alarms.found(found)
    async with here.browser() as browser:
        for query, wanted in (
            ("", [other]),
            ("?suppressed=also", [alarm, other]),
            ("?suppressed=only", [alarm]),
            ("?shelved=also", [other]),
            ("?shelved=only&suppressed=only", []),
        ):
            told = (await browser.get(f"{V1}/alarms{query}")).json()
            assert {it["id"] for it in told["alarms"]} == {it.id for it in wanted}, query
            assert sum(told["counts"]) == 1
        life = (await browser.get(f"{V1}/alarms/{alarm.id}")).json()
        assert life["alarm"]["suppressed"]["say"] == say
        assert life["changes"][-1]["event"] == "suppressed"
        snapshot = (await browser.get(f"{V1}/snapshot")).json()
        assert {it["id"]: bool(it["suppressed"]) for it in snapshot["alarms"]} == {alarm.id: True, other.id: False}
        lines = (await browser.get("/metrics")).text.splitlines()
        assert "fieldhub_alarms_suppressed 1.0" in lines
