"""Who sees and touches what, where: every route × every role × a foreign area, exactly as the table says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

import dashboards
from dashboards.app import WAYS, Cut, Way
from hub.ledger import Note
from hub.model import Alarm, Words
from hub.rights import BY_FAMILY, ROLES, Family, Right
from tests.dashboards.county import COUNTY, County, becomes, county
from tests.dashboards.test_api_table import DemoDesk, named, status

V1 = "/api/v1"
EAST, VILLAGE, WEST = (it.code for it in COUNTY[1:])
OURS, THEIRS = "ps-chengdong-1", "ps-00002"  # in EAST and in WEST
IN_THE_VILLAGE = "ps-00001"  # below EAST


class Things(NamedTuple):
    """What there is about one device: its id, an alarm that stands, a command that was given."""

    device: str
    alarm: str
    command: str


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, demo=DemoDesk()) as it:
        assert it.house.hub.members[THEIRS].device.area == WEST
        assert it.house.hub.members[IN_THE_VILLAGE].device.area == VILLAGE
        yield it


async def things(here: County) -> dict[str, Things]:
    """Of each device."""
    here.field.silent = True
    found = {}
    async with here.browser("water_operator") as whole:
        for device in (OURS, THEIRS):
            alarm: Alarm = here.raise_alarm(device, "level high", 3)
            address = here.house.hub.members[device].device.address
            here.house.hub.puzzled_by(address, device.encode(), Words("quality.no_value"))
            says = {"about": "calls", "outcome": "sent", "route": "all", "step": 0, "person": "li.na", "channel": "sms"}
            here.house.hub.outbox.put(Note("notice", here.house.clock.now(), "", alarm.id, device, says))
            body = {"device": device, "action": "pump1.stop", "args": {}}
            given = (await whole.post(f"{V1}/commands", json=body)).json()
            found[device] = Things(device, alarm.id, given["id"])
    here.house.hub.puzzled_by("field:nobody", b"nobody's", Words("quality.no_value"))
    return found


# ---- the table: how each route that is cut to a view is asked about a device ----------------------------------------

Ask = Callable[[Things], tuple[str, dict[str, Any]]]  # -> address, what else is sent


def _get(path: str) -> Ask:
    return lambda it: (path.format(**it._asdict()), {})


def _post(path: str, body: Callable[[Things], dict[str, Any]]) -> Ask:
    return lambda it: (path.format(**it._asdict()), {"json": body(it)})


def _wish(it: Things) -> dict[str, Any]:
    return {"device": it.device, "action": "pump1.stop", "args": {}}


_LATELY = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
# A route that names a device: of one in a foreign area it says 404, as of one that is not there.
NAMES: dict[str, Ask] = {
    "GET /api/v1/devices/{device_id}": _get(f"{V1}/devices/{{device}}"),
    "GET /api/v1/devices/{device_id}/nameplate": _get(f"{V1}/devices/{{device}}/nameplate"),
    "GET /api/v1/devices/{device_id}/latest": _get(f"{V1}/devices/{{device}}/latest"),
    "GET /api/v1/devices/{device_id}/rules": _get(f"{V1}/devices/{{device}}/rules"),
    "GET /api/v1/devices/{device_id}/series": _get(f"{V1}/devices/{{device}}/series?points=inlet.level&from={_LATELY}"),
    **{
        f"GET /api/v1/devices/{{device_id}}/{it}": _get(f"{V1}/devices/{{device}}/{it}?points={point}&from={_LATELY}")
        for it, point in (
            ("states", "pump1.running"),
            ("gaps", "inlet.level"),
            ("counts", "inlet.level"),
            ("track", "place"),
        )
    },
    "GET /api/v1/series": _get(f"{V1}/series?points={{device}}:inlet.level&from={_LATELY}"),
    "GET /api/v1/values": _get(f"{V1}/values?points={{device}}:inlet.level"),
    "POST /api/v1/commands/prepare": _post(f"{V1}/commands/prepare", _wish),
    "POST /api/v1/commands": _post(f"{V1}/commands", _wish),
    "GET /api/v1/commands/{command_id}": _get(f"{V1}/commands/{{command}}"),
    "POST /api/v1/commands/{command_id}/cancel": _post(f"{V1}/commands/{{command}}/cancel", lambda it: {}),
    "GET /api/v1/alarms/{alarm_id}": _get(f"{V1}/alarms/{{alarm}}"),
}
# A route that shows many: what is foreign is not among them.
LISTS: dict[str, Ask] = {
    "GET /api/v1/snapshot": _get(f"{V1}/snapshot"),
    "GET /api/v1/roster": _get(f"{V1}/roster"),
    "GET /api/v1/devices": _get(f"{V1}/devices"),
    "GET /api/v1/commands": _get(f"{V1}/commands"),
    "GET /api/v1/alarms": _get(f"{V1}/alarms"),
    "GET /api/v1/alarms/history": _get(f"{V1}/alarms/history"),
    "GET /api/v1/alarms/kpis": _get(f"{V1}/alarms/kpis"),
    "GET /api/v1/notices": _get(f"{V1}/notices"),
    "GET /api/v1/puzzles": _get(f"{V1}/puzzles"),
}
# These have a test of their own below.
APART = {
    "GET /api/v1/rules",
    "GET /api/v1/stream",
    "GET /api/v1/areas",
    "POST /api/v1/alarms/acknowledge",
    "POST /api/v1/alarms/{alarm_id}/acknowledge",
    "POST /api/v1/alarms/{alarm_id}/remark",
    "POST /api/v1/alarms/{alarm_id}/shelve",
    "POST /api/v1/alarms/{alarm_id}/unshelve",
    "POST /api/v1/devices",
    "POST /api/v1/devices/check",
    "PATCH /api/v1/devices/{device_id}",
    "POST /api/v1/devices/{device_id}/retire",
    "GET /api/v1/devices/{device_id}/row",
    "GET /api/v1/devices/{device_id}/secret",
    "POST /api/v1/devices/{device_id}/secret",
    "POST /api/v1/devices/{device_id}/secret/end",
}


def test_every_route_that_shows_or_touches_devices_is_in_the_table():
    cut = {named(way) for way in WAYS if way.cut is Cut.VIEW}
    assert cut == set(NAMES) | set(LISTS) | APART
    assert len(cut) == len(NAMES) + len(LISTS) + len(APART), "each is in one of them"


def test_what_needs_no_log_in_or_only_oneself_is_never_about_devices():
    for way in WAYS:
        if way.right in (Right.OPEN, Right.SELF, Right.TOKENS):
            assert way.cut is Cut.NONE, named(way)
        if way.right in (Right.PEOPLE, Right.PERMISSIONS, Right.ROLL, Right.AUDIT, Right.SETTINGS):
            assert way.cut is Cut.WHOLE, named(way)


@pytest.mark.parametrize("role", [name for name, it in ROLES.items() if not it.whole])
async def test_each_role_of_a_town_sees_and_touches_that_town_and_nothing_else(here: County, role: str):
    about = await things(here)
    asked = 0
    async with here.browser(f"{role}@{EAST}") as browser:
        for way in WAYS:
            ask = NAMES.get(named(way)) or LISTS.get(named(way))
            if way.right not in ROLES[role].rights:
                if way.right is not Right.OPEN:
                    code, problem = await status(browser, way)
                    assert (code, problem["code"]) == (403, "no_right"), named(way)
            elif way.cut is Cut.WHOLE:
                code, problem = await status(browser, way)
                assert (code, problem["code"]) == (403, "not_whole"), named(way)
            elif ask is not None:
                await _as_the_table_says(browser, way, ask, about, role)
                asked += 1
    assert asked >= 9
    assert {it.device for it in here.field.heard} <= {OURS, THEIRS}
    heard = [it for it in here.field.heard if it.device == THEIRS]
    assert [it.asked_by for it in heard] == ["water_operator"], "nothing but the whole house's operator"


async def _as_the_table_says(
    browser: httpx.AsyncClient, way: Way, ask: Ask, about: dict[str, Things], role: str
) -> None:
    place, more = ask(about[OURS])
    ours = await browser.request(way.method, place, **more)
    if named(way) in LISTS:
        assert ours.status_code == 200, (named(way), ours.text)
        assert (OURS in ours.text) or (OURS.encode().hex(" ") in ours.text), named(way)
        for foreign in (*about[THEIRS], THEIRS.encode().hex(" "), WEST, "城西镇", "nobody"):
            assert foreign not in ours.text, named(way)
        return
    place, more = ask(about[THEIRS])
    theirs = await browser.request(way.method, place, **more)
    place, more = ask(Things("ps-nowhere", "nowhere", "nowhere"))
    nowhere = await browser.request(way.method, place, **more)
    assert theirs.status_code == nowhere.status_code == 404, (named(way), theirs.text)
    assert theirs.json()["code"] == nowhere.json()["code"], "a foreign device is as one that is not there"
    assert THEIRS not in theirs.json().get("near", ())
    mine = way.right not in BY_FAMILY or Family.WATER in ROLES[role].families
    if mine:
        assert ours.status_code in (200, 202, 409), (named(way), ours.text)
        assert ours.status_code != 409 or ours.json()["code"] in ("not_under_way",)
    elif way.path.endswith("/prepare"):
        assert ours.json()["refusal"]["key"] == "refused.no_right"
    elif way.path.endswith("/cancel"):
        assert (ours.status_code, ours.json()["code"]) == (403, "no_right")
    else:
        assert (ours.status_code, ours.json()["code"]) == (409, "command_refused"), (named(way), ours.text)


@pytest.mark.parametrize("role", [name for name, it in ROLES.items() if it.whole])
async def test_each_power_sees_everything_and_commands_nothing(here: County, role: str):
    about = await things(here)
    async with here.browser(role) as browser:
        for way in WAYS:
            ask = NAMES.get(named(way)) or LISTS.get(named(way))
            if ask is None:
                continue
            place, more = ask(about[THEIRS])
            answer = await browser.request(way.method, place, **more)
            expected = 200 if way.right in ROLES[role].rights else 403
            assert answer.status_code == expected, (named(way), answer.text)
            assert way.right not in BY_FAMILY or expected == 403
    assert [it.asked_by for it in here.field.heard] == ["water_operator"] * 2


# ---- the rest of the table ------------------------------------------------------------------------------------------


async def test_who_commissions_a_town_brings_changes_and_retires_devices_there_only(here: County):
    new = {"id": "ps-new", "name": "新站", "kind": "pump_station", "address": "field:77", "profile": "test"}
    async with here.browser(f"field_engineer@{EAST}") as browser:
        for area, expected in ((WEST, 403), ("", 403), (VILLAGE, 201)):
            checked = await browser.post(f"{V1}/devices/check", json={**new, "area": area})
            made = await browser.post(f"{V1}/devices", json={**new, "area": area})
            assert (checked.status_code, made.status_code) == (200 if expected == 201 else 403, expected), area
        row = (await browser.get(f"{V1}/devices/ps-new/row")).json()
        assert row == {**new, "area": VILLAGE, "settings": {}, "file": ""}
        assert (await browser.get(f"{V1}/devices/{THEIRS}/row")).status_code == 404
        moved = await browser.patch(f"{V1}/devices/ps-new", json={"area": WEST})
        assert (moved.status_code, moved.json()["code"]) == (403, "no_right"), "not out of one's own town either"
        assert (await browser.patch(f"{V1}/devices/{THEIRS}", json={"name": "mine"})).status_code == 404
        gone = await browser.post(f"{V1}/devices/{THEIRS}/retire", json={"confirm": "泵站 2"})
        assert gone.status_code == 404
        assert (await browser.post(f"{V1}/devices/ps-new/retire", json={"confirm": "新站"})).status_code == 204
    assert "ps-new" not in here.house.hub.members


async def test_the_secret_of_a_terminal_is_made_by_who_commissions_all_devices_behind_it(here: County):
    new = {"name": "新站", "kind": "pump_station", "profile": "test"}
    async with here.browser("field_engineer") as whole, here.browser(f"field_engineer@{EAST}") as town:
        rows = {"one": ("field:88/1", EAST), "two": ("field:88/2", EAST), "far": ("field:99/1", WEST)}
        for id, (address, area) in rows.items():
            row = {**new, "id": id, "name": f"新站 {id}", "address": address, "area": area}
            assert (await whole.post(f"{V1}/devices", json=row)).status_code == 201
        told = (await town.get(f"{V1}/devices/one/secret")).json()
        assert told == {"speaker": "field:88", "devices": ["one", "two"], "secrets": []}
        made = await town.post(f"{V1}/devices/two/secret", json={"overlap_days": 1})
        assert made.status_code == 201
        name, _, secret = made.json()["text"].partition(":")
        assert name == "88"
        assert [it["named"] for it in made.json()["secrets"]] == [False, True]
        proves = here.house.reception.may_speak
        assert proves("field:88", secret)
        assert proves("field:88", "")
        assert secret not in (await town.get(f"{V1}/devices/one/secret")).text, "told once"
        ended = await town.post(f"{V1}/devices/one/secret/end", json={"what": "old"})
        assert [it["named"] for it in ended.json()["secrets"]] == [False]
        assert not proves("field:88", "")

        assert (await town.get(f"{V1}/devices/far/secret")).status_code == 404
        assert (await whole.patch(f"{V1}/devices/two", json={"area": WEST})).status_code == 200
        for answer in (
            await town.get(f"{V1}/devices/one/secret"),
            await town.post(f"{V1}/devices/one/secret", json={}),
            await town.post(f"{V1}/devices/one/secret/end", json={"what": "all"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "no_right"), "part of it is another town's"
        assert (await whole.post(f"{V1}/devices/one/secret/end", json={"what": "all"})).json()["secrets"] == []
        assert proves("field:88", "")

        assert (
            await whole.post(f"{V1}/devices", json={**new, "id": "ours", "address": "field:out-1"})
        ).status_code == 201
        assert (await whole.get(f"{V1}/devices/ours/secret")).json() == {"speaker": "", "devices": [], "secrets": []}
        nothing = await whole.post(f"{V1}/devices/ours/secret", json={})
        assert (nothing.status_code, nothing.json()["code"]) == (409, "dials_nowhere")
    notes = await here.house.ledger.entries("identity")
    assert [it.says["did"] for it in notes if it.subject == "field:88"] == [
        "device secrets ended",
        "old device secrets ended",
        "device secret made",
    ]
    assert all(secret not in str(it.says) for it in notes)


async def test_a_stream_tells_a_town_of_its_own_devices_only(here: County):
    about = await things(here)
    text = b""
    async with (
        here.browser(f"viewer@{EAST}") as browser,
        browser.stream("GET", f"{V1}/stream") as answer,
    ):
        chunks = answer.aiter_bytes()
        text += await anext(chunks)
        for number, device in enumerate((THEIRS, OURS, IN_THE_VILLAGE)):
            here.tell(device, {"inlet.level": 3.0 + number / 10})
            here.raise_alarm(device, "another", 2)
        async with here.browser("water_operator") as whole:
            for device in (THEIRS, OURS):
                await whole.post(f"{V1}/commands/{about[device].command}/cancel")
        async with asyncio.timeout(10):
            while not all(f'"s:{it}"'.encode() in text for it in (OURS, IN_THE_VILLAGE)) or (
                about[OURS].command.encode() not in text
            ):
                text += await anext(chunks)
    assert b'"a:' in text
    assert THEIRS.encode() not in text
    assert about[THEIRS].command.encode() not in text


async def test_what_was_missed_is_cut_too(here: County):
    bus = here.app.state.desk.bus
    async with here.browser(f"viewer@{EAST}") as browser:
        async with browser.stream("GET", f"{V1}/stream") as answer:
            first = (await anext(answer.aiter_text())).partition("id: ")[2].partition("\n")[0]
        here.tell(THEIRS, {"inlet.level": 3.0})
        here.tell(OURS, {"inlet.level": 3.1})
        async with here.browser("viewer") as whole, whole.stream("GET", f"{V1}/stream"):
            await becomes(lambda: bus.number > int(first.partition(".")[2]))
        async with browser.stream("GET", f"{V1}/stream", headers={"Last-Event-ID": first}) as answer:
            missed = await anext(answer.aiter_text())
    assert f'"s:{OURS}"' in missed
    assert THEIRS not in missed


async def test_a_town_sees_its_areas_and_what_lies_above_them(here: County):
    async with here.browser(f"viewer@{EAST}") as browser:
        codes = [it["code"] for it in (await browser.get(f"{V1}/areas")).json()["areas"]]
    assert codes == [COUNTY[0].code, EAST, VILLAGE]


@pytest.mark.parametrize(
    ("role", "ours", "theirs"),
    [
        (f"water_operator@{EAST}", 200, 409),
        ("water_operator", 200, 200),
        (f"field_engineer@{EAST}", 200, 409),
        (f"dispatcher@{EAST}", 403, 409),
        (f"dispatcher+water_operator@{WEST}", 403, 200),
        (f"viewer+water_operator@{EAST}", 200, 403),
    ],
)
async def test_who_acknowledges_what(here: County, role: str, ours: int, theirs: int):
    about = await things(here)
    async with here.browser(role) as browser:
        for device, expected in ((OURS, ours), (THEIRS, theirs)):
            answer = await browser.post(f"{V1}/alarms/{about[device].alarm}/acknowledge", json={})
            assert answer.status_code == expected, answer.text
            if expected == 409:
                assert answer.json()["code"] == "alarm_not_live", "of a foreign area one does not even learn that it is"


async def test_many_at_once_are_sorted_by_whose_they_are(here: County):
    about = await things(here)
    third = here.raise_alarm(IN_THE_VILLAGE, "level high", 3)
    ids = [about[OURS].alarm, about[THEIRS].alarm, third.id]
    async with here.browser(f"viewer@{EAST}+water_operator@{VILLAGE}") as browser:
        told = (await browser.post(f"{V1}/alarms/acknowledge", json={"ids": ids})).json()
    assert [it["id"] for it in told["acknowledged"]] == [third.id]
    assert (told["not_yours"], told["not_live"]) == ([about[OURS].alarm], [about[THEIRS].alarm])


async def test_counts_and_pages_of_a_town_are_its_own(here: County):
    await things(here)
    for number in range(30):
        here.raise_alarm(THEIRS, f"rule {number}", 3)
    here.raise_alarm(OURS, "older than none", 1)
    async with here.browser(f"viewer@{EAST}") as browser:
        assert (await browser.get(f"{V1}/alarms")).json()["counts"] == [1, 0, 1, 0]
        first = (await browser.get(f"{V1}/alarms/history?limit=1")).json()
        second = (await browser.get(f"{V1}/alarms/history?limit=1&before={first['next']}")).json()
    assert [first["changes"][0]["rule"], second["changes"][0]["rule"]] == ["older than none", "level high"]
    assert second["next"] is None


async def test_an_area_that_is_not_there_gives_nothing(here: County):
    await here.person("viewer")
    async with here.browser("viewer@999999999999") as browser:
        assert (await browser.get(f"{V1}/devices")).json() == {"devices": [], "next": None}
        assert (await browser.get(f"{V1}/roster")).json()["areas"] == []


async def test_a_device_that_moves_to_another_area_moves_out_of_sight(here: County):
    async with here.browser(f"viewer@{EAST}") as browser:
        assert (await browser.get(f"{V1}/devices/{OURS}")).status_code == 200
        member = here.house.hub.members[OURS]
        moved = type(member.device)(**{**_fields(member.device), "area": WEST})
        here.house.hub.adopt(moved, member.plate)
        assert (await browser.get(f"{V1}/devices/{OURS}")).status_code == 404
        assert OURS not in (await browser.get(f"{V1}/snapshot")).text


def _fields(it: Any) -> dict[str, Any]:
    return {name: getattr(it, name) for name in it.__struct_fields__}


async def test_a_token_is_cut_to_its_own_area_and_loses_what_its_maker_loses(here: County):
    async with here.browser(f"water_operator@{EAST}") as browser, here.browser("security_admin") as admin:
        body = {"title": "village board", "grants": [{"role": "viewer", "area": VILLAGE}]}
        token = (await browser.post(f"{V1}/tokens", json=body)).json()["token"]
        more = await browser.post(f"{V1}/tokens", json={"title": "x", "grants": [{"role": "viewer"}]})
        assert more.status_code == 422, "not more than one has"
        async with here.client(Authorization=f"Bearer {token}") as program:
            devices = [it["id"] for it in (await program.get(f"{V1}/devices")).json()["devices"]]
            assert IN_THE_VILLAGE in devices
            assert OURS not in devices
            await admin.put(
                f"{V1}/people/water_operator.{EAST}/grants", json={"grants": [{"role": "viewer", "area": WEST}]}
            )
            answer = await program.get(f"{V1}/devices")
            assert (answer.status_code, answer.json()["code"]) == (403, "no_right")


def test_no_page_asks_the_hub_for_devices_past_the_view():
    """Members, standing alarms and occurrences are reached through desk.py; who needs the whole house says why here."""
    allowed = {
        "desk.py": "makes the cut",
        "live.py": "keeps what changed of all, and cuts each frame",
        "devices.py": "makes each view's snapshot",
        "metrics.py": "counts of the whole house, for who may see it whole (Cut.WHOLE)",
    }
    for file in sorted(Path(dashboards.__file__).parent.glob("*.py")):
        text = file.read_text("utf-8")
        for past in ("hub.members", ".alarms()", ".book", "house.devices", "house.slots("):
            assert past not in text or file.name in allowed or (file.name, past) == ("series.py", "."), (
                file.name,
                past,
            )
