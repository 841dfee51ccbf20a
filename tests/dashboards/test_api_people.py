"""Who gives whom what: adding people, grants, and that no power becomes another one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.config import SecurityTable
from tests.dashboards.county import COUNTY, County, county

V1 = "/api/v1"
EAST = COUNTY[1].code
LI = {"name": "li.na", "full_name": "李娜", "password": "three lamps at night"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


async def sign_in(client: httpx.AsyncClient, name: str, password: str) -> dict[str, Any]:
    answer = await client.post(f"{V1}/session", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    client.headers["X-CSRF-Token"] = told["csrf"]
    return told


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_one_adds_another_permits_and_only_then_somebody_may_something(here: County):
    async with here.browser("system_admin") as adds, here.browser("security_admin") as permits, here.client() as li:
        assert (await adds.post(f"{V1}/people", json=LI)).status_code == 201
        told = await sign_in(li, "li.na", LI["password"])
        assert (told["grants"], told["must"]) == ([], ["password"]), "somebody else chose the password"
        assert said(await li.get(f"{V1}/devices")) == (403, "do_first")
        new = {"old": LI["password"], "new": "another four words here"}
        assert (await li.post(f"{V1}/session/password", json=new)).status_code == 204
        assert said(await li.get(f"{V1}/devices")) == (403, "no_right")
        body = {"grants": [{"role": "water_operator", "area": EAST}]}
        assert said(await adds.put(f"{V1}/people/li.na/grants", json=body)) == (403, "no_right")
        assert (await permits.put(f"{V1}/people/li.na/grants", json=body)).status_code == 200
        assert (await li.get(f"{V1}/devices")).status_code == 200
        assert said(await permits.post(f"{V1}/people", json={**LI, "name": "x"})) == (403, "no_right")
    notes = [it for it in await here.notes("person") if it["subject"] == "li.na"]
    assert [(it["did"], it["by"]) for it in notes] == [
        ("added", "system_admin"),
        ("password set", "li.na"),
        ("grants set", "security_admin"),
    ]
    assert notes[2]["changed"] == {"grants": [[], [f"water_operator@{EAST}"]]}
    assert all(it["address"] == "127.0.0.1" for it in notes)


async def test_who_adds_people_may_permit_at_once_only_with_both_powers(here: County):
    with_grants = {**LI, "grants": [{"role": "viewer"}]}
    async with here.browser("system_admin") as adds:
        assert said(await adds.post(f"{V1}/people", json=with_grants)) == (403, "no_right")
    async with here.browser("system_admin+security_admin") as both:
        assert (await both.post(f"{V1}/people", json=with_grants)).status_code == 201


async def test_nobody_gives_themselves_anything(here: County):
    async with here.browser("security_admin") as one:
        both = {"grants": [{"role": "security_admin"}, {"role": "field_engineer"}]}
        assert said(await one.put(f"{V1}/people/security_admin/grants", json=both)) == (403, "not_to_oneself")
    async with here.browser("security_admin+viewer") as one:
        fewer = {"grants": [{"role": "security_admin"}]}
        assert (await one.put(f"{V1}/people/security_admin.viewer/grants", json=fewer)).status_code == 200


async def test_the_last_of_each_power_stays(here: County):
    async with here.browser("system_admin") as adds, here.browser("security_admin") as permits:
        for name in ("system_admin", "security_admin"):
            answer = await permits.put(f"{V1}/people/{name}/grants", json={"grants": []})
            assert said(answer) == (409, "last_admin"), name
        assert said(await adds.patch(f"{V1}/people/system_admin", json={"disabled": True})) == (409, "last_admin")
        await here.person("security_admin+viewer")
        assert (await permits.put(f"{V1}/people/security_admin/grants", json={"grants": []})).status_code == 200


@pytest.mark.parametrize("power", ["security_admin", "auditor"])
@pytest.mark.parametrize("change", [{"password": "an other good one"}, {"disabled": True}, {"subject": "mine"}])
async def test_who_adds_people_cannot_become_somebody_with_another_power(
    here: County, power: str, change: dict[str, Any]
):
    await here.person(power)
    async with here.browser("system_admin") as adds:
        answer = await adds.patch(f"{V1}/people/{power}", json=change)
        assert said(answer) == (403, "power_is_apart")
        assert (await adds.patch(f"{V1}/people/{power}", json={"full_name": "New Name"})).status_code == 200
    async with here.browser(power) as still:
        assert (await still.get(f"{V1}/session")).json()["full_name"] == "New Name"


@pytest.mark.parametrize(
    "grants",
    [
        [{"role": "system_admin"}, {"role": "security_admin"}],
        [{"role": "auditor"}, {"role": "water_operator", "area": EAST}],
    ],
)
async def test_a_site_that_keeps_the_powers_apart_joins_none(tmp_path: Path, grants: list[dict[str, str]]):
    async with county(tmp_path, 1, security=SecurityTable(separate_powers=True)) as here:
        await here.person("viewer")
        await here.person("system_admin")
        async with here.browser("security_admin") as permits:
            answer = await permits.put(f"{V1}/people/viewer/grants", json={"grants": grants})
            assert said(answer) == (409, "powers_are_apart")
            for one in grants:
                answer = await permits.put(f"{V1}/people/viewer/grants", json={"grants": [one]})
                assert answer.status_code == 200


async def test_mistakes_in_grants_are_all_told_with_what_to_write(here: County):
    await here.person("viewer")
    body = {"grants": [{"role": "viewer", "area": "341203100009"}, {"role": "auditor", "area": EAST}]}
    async with here.browser("security_admin") as permits:
        answer = await permits.put(f"{V1}/people/viewer/grants", json=body)
    mistakes = answer.json()["mistakes"]
    assert [it["where"] for it in mistakes] == ["body.grants.0.area", "body.grants.1.area"]
    assert 'there is no area "341203100009". Did you mean' in mistakes[0]["what"]
    assert mistakes[1]["what"] == "auditor is for the whole house: leave area out"


async def test_grants_taken_away_are_felt_by_open_sessions_and_streams(here: County):
    async with here.browser("water_operator") as browser, here.browser("security_admin") as permits:
        async with browser.stream("GET", f"{V1}/stream") as answer:
            chunks = answer.aiter_text()
            await anext(chunks)
            await permits.put(f"{V1}/people/water_operator/grants", json={"grants": [{"role": "viewer"}]})
            assert "event: bye" in "".join([it async for it in chunks])
        assert (await browser.get(f"{V1}/tokens")).status_code == 403
        assert (await browser.get(f"{V1}/session")).json()["rights"] == ["look", "self"]


async def test_all_sessions_of_somebody_end_and_are_seen_before(here: County):
    async with here.browser("viewer") as one, here.browser("viewer"), here.browser("security_admin") as permits:
        open_ones = (await permits.get(f"{V1}/people/viewer/sessions")).json()["sessions"]
        assert [(it["address"], it["way"], it["this"]) for it in open_ones] == [("127.0.0.1", "password", False)] * 2
        assert (await permits.delete(f"{V1}/people/viewer/sessions")).status_code == 204
        assert said(await one.get(f"{V1}/session")) == (401, "session_over")
        assert said(await permits.get(f"{V1}/people/nobody/sessions")) == (404, "unknown_person")


async def test_a_name_from_hostile_hands_is_kept_as_text(here: County):
    hostile = "<img src=x onerror=alert(1)>'\"&"
    async with here.browser("system_admin") as adds:
        assert (await adds.post(f"{V1}/people", json={**LI, "full_name": hostile})).json()["full_name"] == hostile
        for name in ("../x", "a b", "<b>", "(console)", "x" * 65, "", "A"):
            assert (await adds.post(f"{V1}/people", json={**LI, "name": name})).status_code == 422
