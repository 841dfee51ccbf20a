"""The route table: every route names its right, keeps it for every role, and answers what its example says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pyotp
import pytest
from fastapi.routing import APIRoute

from dashboards.app import WAYS, Way
from dashboards.examples import ANSWERS, OF_ANY_KIND, PROBLEMS, Map
from dashboards.problems import SAYS, STATUS
from hub.model import Words
from hub.notices.plan import Channel, Contact, Plan, Route, Shift, Step, Whom
from hub.rights import ROLES, Right
from tests.dashboards.county import County, county

V1 = "/api/v1"
BOTH = "system_admin+security_admin"


class DemoDesk:
    """Where a demo's faults are switched."""

    def __init__(self) -> None:
        self.on = False
        self.desk = self

    async def faults(self) -> list[dict[str, Any]]:
        title = {"zh-CN": "不启动", "en": "does not start"}
        return [{"station": "ps-chengdong-1", "fault": "does_not_start", "on": self.on, "title": title}]

    async def set(self, station: str, fault: str, on: bool, for_s: float | None = None) -> None:
        if (station, fault) != ("ps-chengdong-1", "does_not_start"):
            raise LookupError("no such station or fault")
        self.on = on


NOBODY = Channel("sms", "env:SMS", "json://127.0.0.1:9/{to}", True)  # who would listen there?
PLAN = Plan(
    ZoneInfo("Asia/Shanghai"),
    "zh-CN",
    {"sms": NOBODY},
    {"li.na": Contact("li.na", {"sms": "13800000001"})},
    {"nights": Shift("nights", (), (("li.na",),))},
    routes=(Route("pump stations", (Step(0.0, ((Whom.SHIFT, "nights"),)),)),),
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, demo=DemoDesk(), plan=PLAN) as it:
        yield it


def named(way: Way) -> str:
    return f"{way.method} {way.path}"


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "nothing", path)


async def test_every_route_of_the_application_names_the_right_it_needs(here: County):
    rights = {named(way): way.right for way in WAYS}
    for route in here.app.router.routes:
        assert isinstance(route, APIRoute), f"{route} is no route of the table"
        for method in route.methods:
            right = (route.openapi_extra or {}).get("x-right")
            assert right == rights[f"{method} {route.path}"].value
    assert len(here.app.router.routes) == len(WAYS)


OPEN_TO_ALL = {
    "POST /api/v1/session",
    "POST /api/v1/setup",
    "GET /api/v1/openid",
    "GET /api/v1/openid/back",
    "GET /api/v1/site",
    "GET /api/v1/words",
    "GET /api/v1/openapi.json",
    "GET /api/v1/docs",
    "GET /healthz",
    "GET /readyz",
    "GET /assets/{version}/{file:path}",
    "GET /{path:path}",
}


def test_only_these_routes_need_no_log_in():
    assert {named(way) for way in WAYS if way.right is Right.OPEN} == OPEN_TO_ALL


def test_every_route_that_is_shown_has_an_example_and_no_example_is_left_over():
    shown = {named(way) for way in WAYS if way.shown}
    assert set(ANSWERS) == shown
    assert set(PROBLEMS) <= shown


def test_every_problem_has_its_sentences_in_both_languages():
    for code in STATUS:
        for part in ("title", "detail"):
            key = f"problem.{code}.{part}"
            assert key in SAYS
            assert SAYS.say(Words(key), "zh-CN") != SAYS.say(Words(key), "en") or "{" in SAYS.say(Words(key))
    known = {f"problem.{code}.{part}" for code in STATUS for part in ("title", "detail")}
    assert set(SAYS.templates("en")) == known, "a sentence that nobody says"


async def status(client: httpx.AsyncClient, way: Way) -> tuple[int, dict[str, Any]]:
    """What the route says to a request that is hardly one; streams are not read."""
    body = {"json": {}} if way.method in ("POST", "PATCH", "PUT") else {}
    async with client.stream(way.method, filled(way.path), **body) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, {}
        await answer.aread()
        is_problem = answer.headers.get("content-type") == "application/problem+json"
        return answer.status_code, answer.json() if is_problem else {}


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_what_its_rights_say_and_nothing_else(here: County, role: str):
    last = [way for way in WAYS if named(way) == "DELETE /api/v1/session"]
    async with here.browser(role) as browser:
        for way in [*(way for way in WAYS if way not in last), *last]:
            code, problem = await status(browser, way)
            if way.right is Right.OPEN or way.right in ROLES[role].rights:
                assert problem.get("code") not in ("sign_in_first", "session_over", "csrf", "no_right"), named(way)
            else:
                assert (code, problem["code"]) == (403, "no_right"), named(way)
                assert problem["args"] == {"who": role, "right": way.right.value}


async def test_who_is_not_signed_in_gets_nowhere(here: County):
    async with here.client() as stranger:
        for way in WAYS:
            code, problem = await status(stranger, way)
            if way.right is not Right.OPEN:
                assert (code, problem["code"]) == (401, "sign_in_first"), named(way)


async def test_no_change_is_made_without_the_csrf_token(here: County):
    async with here.browser("field_engineer") as browser:
        right = browser.headers.pop("X-CSRF-Token")
        for wrong in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": right[:-1] + "~"}):
            browser.headers.update(wrong)
            for way in WAYS:
                if way.method != "GET" and way.right is not Right.OPEN:
                    code, problem = await status(browser, way)
                    assert (code, problem["code"]) == (403, "csrf"), named(way)


def agrees(answer: Any, example: Any, place: str) -> None:
    """That the answer has the form of the example; names of things (Map) and nulls may differ."""
    if isinstance(example, Map) or example is None or answer is None:
        return
    if isinstance(example, dict):
        assert isinstance(answer, dict), place
        assert set(answer) - OPTIONAL == set(example) - OPTIONAL, place
        for key in set(example) & set(answer) - set(OF_ANY_KIND):
            agrees(answer[key], example[key], f"{place}.{key}")
    elif isinstance(example, list):
        assert isinstance(answer, list), place
        for it in answer:
            if example:
                agrees(it, example[0], f"{place}[]")
    else:
        kind = int | float if isinstance(example, float) else type(example)
        assert isinstance(answer, kind), place


OPTIONAL = {"openid", "address", "last_good", "last_good_at", "codes", "users"}


class Asked:
    """Asks routes and compares what they answer with their examples."""

    def __init__(self) -> None:
        self.routes: set[str] = set()

    async def ask(self, browser: httpx.AsyncClient, method: str, path: str, route: str = "", **more: Any) -> Any:
        """What `method path` answers; `route` is its template when it has variables."""
        key = f"{method} {route or path.partition('?')[0]}"
        status, example = ANSWERS[key]
        answer = await browser.request(method, path, **more)
        assert answer.status_code == status, (key, answer.text)
        self.routes.add(key)
        if answer.headers.get("content-type") != "application/json":
            assert isinstance(example, str | None)
            return None
        agrees(answer.json(), example, key)
        return answer.json()


async def ask_about_devices(it: Asked, one: httpx.AsyncClient) -> None:
    for path in ("session", "snapshot", "roster", "areas", "devices", "puzzles", "site", "system", "words?language=en"):
        await it.ask(one, "GET", f"{V1}/{path}")
    for path in ("/metrics", "/healthz", "/readyz"):
        await it.ask(one, "GET", path)
    device, route = f"{V1}/devices/ps-chengdong-1", f"{V1}/devices/{{device_id}}"
    await it.ask(one, "GET", device, route)
    await it.ask(one, "GET", f"{device}/latest?points=inlet.level", f"{route}/latest")
    await it.ask(one, "GET", f"{device}/nameplate", f"{route}/nameplate")
    await it.ask(one, "GET", f"{device}/rules", f"{route}/rules")
    await it.ask(one, "GET", f"{V1}/rules")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    wanted = f"points=inlet.level&from={yesterday}&step=1m&agg=min,max,mean"
    await it.ask(one, "GET", f"{device}/series?{wanted}", f"{route}/series")
    for what, point in (
        ("states", "pump1.running"),
        ("gaps", "inlet.level"),
        ("counts", "inlet.level"),
        ("track", "place"),
    ):
        await it.ask(one, "GET", f"{device}/{what}?points={point}&from={yesterday}", f"{route}/{what}")
    await it.ask(one, "GET", f"{V1}/series?points=ps-chengdong-1:inlet.level&from={yesterday}", f"{V1}/series")
    await it.ask(one, "GET", f"{V1}/values?points=ps-chengdong-1:inlet.level", f"{V1}/values")
    await it.ask(one, "GET", f"{V1}/demo/faults")
    fault = {"station": "ps-chengdong-1", "fault": "does_not_start", "on": True}
    assert (await it.ask(one, "POST", f"{V1}/demo/faults", json=fault))["faults"][0]["on"]


async def ask_about_the_registry(it: Asked, one: httpx.AsyncClient, here: County) -> None:
    here.house.reception.stranger("field:99", "10.1.4.17", b"860123456789012")
    assert (await it.ask(one, "GET", f"{V1}/pending"))["pending"][0]["address"] == "field:99"
    new = {"id": "ps-new", "name": "新站", "kind": "pump_station", "address": "field:99", "profile": "test"}
    await it.ask(one, "POST", f"{V1}/devices/check", json=new)
    await it.ask(one, "POST", f"{V1}/devices", json=new)
    device, route = f"{V1}/devices/ps-new", f"{V1}/devices/{{device_id}}"
    await it.ask(one, "GET", f"{device}/row", f"{route}/row")
    await it.ask(one, "PATCH", device, route, json={"address": "field:100"})
    await it.ask(one, "POST", f"{device}/secret", f"{route}/secret", json={"overlap_days": 7})
    assert len((await it.ask(one, "GET", f"{device}/secret", f"{route}/secret"))["secrets"]) == 2
    await it.ask(one, "POST", f"{device}/secret/end", f"{route}/secret/end", json={"what": "old"})
    await it.ask(one, "POST", f"{device}/retire", f"{route}/retire", json={"confirm": "新站"})


async def ask_about_commands(it: Asked, one: httpx.AsyncClient) -> None:
    wish = {"device": "ps-chengdong-1", "action": "pump1.start"}
    await it.ask(one, "POST", f"{V1}/commands/prepare", json=wish)
    given = await it.ask(one, "POST", f"{V1}/commands", json={**wish, "confirm": "城东一号泵站"})
    assert (await it.ask(one, "GET", f"{V1}/snapshot"))["commands"], "it is under way"
    await it.ask(one, "GET", f"{V1}/commands")
    await it.ask(one, "GET", f"{V1}/commands/{given['id']}", f"{V1}/commands/{{command_id}}")
    await it.ask(one, "POST", f"{V1}/commands/{given['id']}/cancel", f"{V1}/commands/{{command_id}}/cancel")


async def ask_about_alarms(it: Asked, one: httpx.AsyncClient, first: str, second: str) -> None:
    await it.ask(one, "GET", f"{V1}/alarms")
    await it.ask(one, "GET", f"{V1}/alarms/history")
    await it.ask(one, "GET", f"{V1}/alarms/kpis?days=1")
    await it.ask(one, "GET", f"{V1}/alarms/{first}", f"{V1}/alarms/{{alarm_id}}")
    seen = f"{V1}/alarms/{first}/acknowledge"
    await it.ask(one, "POST", seen, f"{V1}/alarms/{{alarm_id}}/acknowledge", json={"note": "seen"})
    note = {"note": "the electrician comes at 7"}
    await it.ask(one, "POST", f"{V1}/alarms/{first}/remark", f"{V1}/alarms/{{alarm_id}}/remark", json=note)
    aside = {"minutes": 60, "note": "the float switch is being changed"}
    await it.ask(one, "POST", f"{V1}/alarms/{first}/shelve", f"{V1}/alarms/{{alarm_id}}/shelve", json=aside)
    await it.ask(one, "POST", f"{V1}/alarms/{first}/unshelve", f"{V1}/alarms/{{alarm_id}}/unshelve", json={})
    await it.ask(one, "POST", f"{V1}/alarms/acknowledge", json={"ids": [second]})
    await it.ask(one, "POST", f"{V1}/notices/try", json={"channel": "sms", "person": "li.na"})
    assert (await it.ask(one, "GET", f"{V1}/notices"))["notices"]


async def ask_about_people(it: Asked, one: httpx.AsyncClient, admin: httpx.AsyncClient, password: str) -> None:
    token = await it.ask(one, "POST", f"{V1}/tokens", json={"title": "report", "days": 9})
    await it.ask(one, "GET", f"{V1}/tokens")
    await it.ask(one, "DELETE", f"{V1}/tokens/{token['id']}", f"{V1}/tokens/{{token_id}}")
    person = {"name": "li.qiang", "full_name": "李强", "password": "a long enough one", "grants": [{"role": "viewer"}]}
    await it.ask(admin, "POST", f"{V1}/people", json=person)
    li, route = f"{V1}/people/li.qiang", f"{V1}/people/{{name}}"
    await it.ask(admin, "PATCH", li, route, json={"full_name": "李小强"})
    grants = {"grants": [{"role": "field_engineer", "area": "341203100000"}]}
    await it.ask(admin, "PUT", f"{li}/grants", f"{route}/grants", json=grants)
    await it.ask(admin, "DELETE", f"{li}/second", f"{route}/second")
    await it.ask(admin, "GET", f"{V1}/people/field_engineer/sessions", f"{route}/sessions")
    await it.ask(admin, "DELETE", f"{li}/sessions", f"{route}/sessions")
    await it.ask(admin, "GET", f"{V1}/people")
    await it.ask(one, "GET", f"{V1}/roles")
    await ask_about_oneself(it, one, password)
    await it.ask(one, "POST", f"{V1}/session/password", json={"old": password, "new": "quite another one"})
    await it.ask(one, "DELETE", f"{V1}/session")
    await it.ask(one, "POST", f"{V1}/session", json={"name": "field_engineer", "password": "quite another one"})


async def ask_about_oneself(it: Asked, one: httpx.AsyncClient, password: str) -> None:
    await it.ask(one, "GET", f"{V1}/session/second")
    begun = await it.ask(one, "POST", f"{V1}/session/second", json={"password": password})
    code = pyotp.TOTP(begun["secret"]).now()
    await it.ask(one, "POST", f"{V1}/session/second/confirm", json={"code": code})
    await it.ask(one, "POST", f"{V1}/session/second/end", json={"password": password})
    other = await one.post(f"{V1}/session", json={"name": "field_engineer", "password": password})
    one.headers["X-CSRF-Token"] = other.json()["csrf"]
    (old,) = [its["id"] for its in (await it.ask(one, "GET", f"{V1}/sessions"))["sessions"] if not its["this"]]
    await it.ask(one, "DELETE", f"{V1}/sessions/{old}", f"{V1}/sessions/{{session_id}}")


async def test_every_example_is_true(here: County):
    """Ask every route for something that it gives, and compare with the OpenAPI document's example."""
    here.raise_alarm("ps-chengdong-1", "a", 2)
    first, second = (here.raise_alarm("ps-00001", rule, 3).id for rule in "bc")
    here.house.hub.puzzled_by("field:9", b"\x01\x83", Words("quality.no_value"))
    here.field.silent = True
    it = Asked()
    code = await here.app.state.desk.entrance.setup_code()
    setup = {"code": code, "name": "first", "full_name": "First", "password": "the very first one"}
    async with here.client() as stranger:
        await it.ask(stranger, "POST", f"{V1}/setup", json=setup)
    async with here.browser("field_engineer") as one, here.browser(BOTH) as admin:
        await ask_about_devices(it, one)
        await ask_about_the_registry(it, one, here)
        await ask_about_commands(it, one)
        await ask_about_alarms(it, one, first, second)
        await ask_about_people(it, one, admin, here.passwords["field_engineer"])
    async with here.browser("auditor") as auditor:
        for path in ("audit", "audit/tip", "audit/lines"):
            await it.ask(auditor, "GET", f"{V1}/{path}")
    it.routes.add("GET /api/v1/stream")  # test_api_live.py asks it
    assert it.routes == set(ANSWERS)


async def test_the_openapi_document_describes_every_route(here: County):
    async with here.client() as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    described = {f"{method.upper()} {path}" for path, ways in document["paths"].items() for method in ways}
    assert described == {named(way) for way in WAYS if way.shown}
    for path, ways in document["paths"].items():
        for method, it in ways.items():
            status, example = ANSWERS[f"{method.upper()} {path}"]
            assert it["summary"].endswith("."), path
            assert len(it["summary"]) < 120, it["summary"]
            assert str(status) in it["responses"]
            assert example is None or next(iter(it["responses"][str(status)]["content"].values()))["example"] == example
            assert ("401" in it["responses"]) == (it["x-right"] != "open" or path.endswith("/session"))
            (sample,) = it["x-codeSamples"]
            assert re.search(rf'"\$HUB{re.sub("{[^}]*}", "[^/?]+", path)}(\?|")', sample["source"])
            if "requestBody" in it:
                name = it["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name]["examples"], f"{name} has no example"
    assert "HTTPValidationError" not in str(document["paths"])
