"""The ledger for the auditor: every entry, by kind, person, device and time; and texts stay texts."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from dashboards.audit import _entry
from hub.audit import verify
from hub.ledger import Note
from hub.ledger import search as searching
from hub.ledger.entries import chain, changed
from hub.ledger.inspection import inspecting
from tests.dashboards.county import County, county
from tests.dashboards.test_api_commands import CONFIRMED, V1

HOUSE = Path(__file__).resolve().parents[2]
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202egnp.exe",
    "=cmd|'/C calc'!A0",
    "\x1b[31mred",
    "' OR 1=1 --",
    "%",
]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 3) as it:
        yield it


async def asked(auditor: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await auditor.get(f"{V1}/audit", params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_an_entry_says_who_what_when_where_from_before_and_after(here: County):
    async with here.browser() as browser:
        browser.headers["User-Agent"] = "duty desk"
        given = (await browser.post(f"{V1}/commands", json=CONFIRMED)).json()
    body = {"did": "changed", "changed": changed({"roles": ["viewer"]}, {"roles": ["admin"]})}
    await here.house.ledger.append(Note("person", datetime.now(UTC), "li.na", "wang.min", body=body))
    async with here.browser("auditor") as auditor:
        (person,) = (await asked(auditor, kind="person", person="li.na"))["entries"]
        (command,) = (await asked(auditor, kind="command"))["entries"]
    assert (person["by"], person["subject"], person["changed"]) == (
        "li.na",
        "wang.min",
        {"roles": [["viewer"], ["admin"]]},
    )
    assert (command["by"], command["subject"], command["topic"]) == ("water_operator", given["id"], "pump1.start")
    assert (command["device"], command["body"]["because"]) == ("ps-chengdong-1", "level is rising")
    assert command["origin"]["address"] == "127.0.0.1"
    assert command["origin"]["agent"] == "duty desk"


async def test_a_log_in_of_before_there_were_origins_says_where_from_all_the_same(here: County):
    body = {"did": "signed_in", "address": "10.0.4.2", "agent": "Firefox"}
    await here.house.ledger.append(Note("login", datetime.now(UTC), "old", "old", body=body))
    async with here.browser("auditor") as auditor:
        (entry,) = (await asked(auditor, person="old"))["entries"]
    assert (entry["origin"]["address"], entry["origin"]["agent"]) == ("10.0.4.2", "Firefox")


async def test_entries_are_found_by_kind_person_device_and_time(here: County):
    noon = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
    await here.house.ledger.append(
        Note("setting", noon, "a", "x", "ps-1", {"n": 1}),
        Note("login", noon + timedelta(hours=1), "", "a", body={"n": 2}),
        Note("setting", noon + timedelta(hours=2), "b", "a", "ps-2", {"n": 3}),
    )
    async with here.browser("auditor") as auditor:
        for query, wanted in (
            ({"kind": "setting"}, [3, 1]),
            ({"person": "a"}, [2, 1]),
            ({"device": "ps-2"}, [3]),
            ({"from": "2026-06-01T05:00:00Z", "to": "2026-06-01T06:00:00Z"}, [2]),
            ({"from": "2026-06-01T13:00:00+08:00", "to": "2026-06-01T14:00:01+08:00"}, [3, 2]),
            ({"kind": "setting", "person": "a"}, [1]),
            ({"person": "nobody"}, []),
        ):
            found = await asked(auditor, **query)
            assert [it["body"].get("n") for it in found["entries"]] == wanted, query
            assert found["next"] is None


async def test_pages_go_back_to_the_first_entry_and_each_is_once(here: County, monkeypatch: pytest.MonkeyPatch):
    """Also in stretches: a page may be empty and still go on."""
    monkeypatch.setattr(searching, "SEARCHED", 7)
    now = datetime.now(UTC)
    for n in range(40):
        await here.house.ledger.append(Note("rare" if n % 17 == 0 else "usual", now, body={"n": n}))
    async with here.browser("auditor") as auditor:
        for kind, wanted in (("rare", [34, 17, 0]), ("usual", [n for n in reversed(range(40)) if n % 17])):
            found: list[int] = []
            before: dict[str, int] = {}
            while True:
                page = await asked(auditor, kind=kind, limit=3, **before)
                found += [it["body"]["n"] for it in page["entries"]]
                if page["next"] is None:
                    break
                before = {"before": page["next"]}
            assert found == wanted


async def test_the_tip_is_that_of_the_command_line(here: County):
    async with here.browser("auditor") as auditor:
        told = (await auditor.get(f"{V1}/audit/tip")).json()
        newest = (await asked(auditor, limit=1))["entries"][0]
    assert told == {"seq": newest["seq"], "hash": newest["hash"], "tip": f"{newest['seq']}:{newest['hash']}"}


async def test_lines_are_entries_whose_hashes_anybody_can_compute(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(searching, "SEARCHED", 5)
    async with here.browser() as browser:
        await browser.post(f"{V1}/commands", json=CONFIRMED)
    async with here.browser("auditor") as auditor:
        answer = await auditor.get(f"{V1}/audit/lines")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.jsonl"'
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["seq"] for row in rows] == list(range(len(rows), 0, -1))
    for row in rows:
        assert chain({**row, "at": datetime.fromisoformat(row["at"])}) == row["hash"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_told_as_they_are_and_nothing_else(here: County, text: str):
    note = Note(
        "login", datetime.now(UTC), text, text, text, {"did": text, "agent": text, "changed": {text: [text, 1]}}
    )
    await here.house.ledger.append(note)
    async with here.browser("auditor") as auditor:
        answer = await auditor.get(f"{V1}/audit", params={"person": text})
        (entry,) = answer.json()["entries"]
        assert (entry["by"], entry["subject"], entry["device"], entry["origin"]["agent"]) == (text,) * 4
        assert entry["changed"] == {text: [text, 1]}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        lines = await auditor.get(f"{V1}/audit/lines", params={"person": text})
        assert len(lines.text.splitlines()) == 1
        assert lines.headers["content-type"].startswith("application/jsonl")


@pytest.mark.parametrize(
    "query", ["kind=" + "x" * 41, "limit=0", "limit=501", "before=-1", "from=yesterday", "from=2026-06-01", "what=x"]
)
async def test_what_cannot_be_asked_is_said(here: County, query: str):
    async with here.browser("auditor") as auditor:
        assert (await auditor.get(f"{V1}/audit?{query}")).status_code == 422


async def test_a_body_that_is_no_object_does_not_hide_its_entry(here: County):
    for body in ("[1]", '"text"', "null", "{", ""):
        entry = (await here.house.ledger.entries(limit=1))[0]
        assert _entry(replace(entry, body=body))["seq"] == entry.seq


async def test_whatever_people_do_leaves_a_ledger_that_is_whole(here: County):
    """The tables beside the ledger are what the entries say after every kind of change: no false alarm."""
    person = {"name": "li.qiang", "full_name": "李强", "password": "7 lange Worte im Wind", "language": "en"}
    async with here.browser("system_admin") as admin, here.browser("security_admin") as security:
        for answer in (
            await admin.post(f"{V1}/people", json=person),
            await admin.patch(f"{V1}/people/li.qiang", json={"full_name": '["=李强"]', "subject": "li@county"}),
            await security.put(
                f"{V1}/people/li.qiang/grants",
                json={"grants": [{"role": "water_operator", "area": "341203100000"}, {"role": "viewer"}]},
            ),
            await admin.patch(f"{V1}/people/li.qiang", json={"password": "8 kurze Worte im Regen", "disabled": True}),
            await admin.patch(f"{V1}/people/li.qiang", json={"disabled": False}),
            await admin.post(f"{V1}/tokens", json={"title": "x", "days": 1}),
        ):
            assert answer.status_code in (200, 201), answer.text
    async with here.browser() as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "robot", "days": 9})).json()
        await browser.post(f"{V1}/tokens", json={"title": "stays", "days": 9})
        await browser.delete(f"{V1}/tokens/{made['id']}")
        await browser.post(f"{V1}/commands", json=CONFIRMED)
    async with here.browser("viewer") as gone:
        await gone.delete(f"{V1}/session")
    async with here.browser("field_engineer") as one, here.browser("field_engineer") as other:
        password = {"old": here.passwords["field_engineer"], "new": "9 andere Worte im Schnee"}
        assert (await one.post(f"{V1}/session/password", json=password)).status_code == 204
        assert (await other.get(f"{V1}/session")).status_code == 401
    with inspecting(f"sqlite:///{here.house.ledger.place}") as ledger:
        found = verify(ledger)
    assert (found.faults, found.notes) == ([], [])
    assert found.entries > 20


def test_every_deed_that_is_written_has_its_words_on_the_page():
    """Of notes: `"did": "…"` and the names given to the notes' makers, in the code as it is."""
    code = "\n".join(path.read_text("utf-8") for room in ("hub", "dashboards") for path in (HOUSE / room).rglob("*.py"))
    deeds = set(re.findall(r'"did": "([^"]+)"', code)) | set(re.findall(r'\b(?:login_)?note\("([a-z_ ]+)"', code))
    words = json.loads((HOUSE / "dashboards/web/i18n/more/en.json").read_text("utf-8"))
    assert {"signed_in", "grants set", "second factor taken away", "made"} <= deeds
    assert [did for did in sorted(deeds) if f"audit.did.{did.replace(' ', '_')}" not in words] == []
