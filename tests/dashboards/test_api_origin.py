"""Where from: what a person causes says from which address, session or token, and with which program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.ledger import Entry
from hub.model import Severity
from tests.dashboards.county import County, county
from tests.dashboards.test_api_commands import CONFIRMED, V1

AGENT = "Firefox of the duty desk"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 3) as it:
        yield it


async def newest(here: County, kind: str) -> Entry:
    return (await here.house.ledger.entries(kind, 1))[0]


def of_a_session(origin: Any) -> bool:
    return (
        origin["address"] == "127.0.0.1"
        and origin["agent"] == AGENT
        and len(origin["session"]) == 12
        and "token" not in origin
    )


async def test_a_command_says_where_from_it_was_asked(here: County):
    async with here.browser() as browser:
        browser.headers["User-Agent"] = AGENT
        await browser.post(f"{V1}/commands", json=CONFIRMED)
    entry = await newest(here, "command")
    assert entry.by == "water_operator"
    assert of_a_session(entry.says["origin"])


async def test_a_session_is_named_by_letters_that_open_nothing(here: County):
    async with here.browser() as browser:
        await browser.post(f"{V1}/commands", json=CONFIRMED)
        secret = browser.cookies["fieldhub"]
    origin = (await newest(here, "command")).says["origin"]
    (session,) = await here.house.ledger.people.sessions("water_operator")
    assert session.id.startswith(origin["session"])
    assert origin["session"] not in secret


async def test_a_program_is_named_by_its_token(here: County):
    async with here.browser() as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "robot", "days": 1})).json()
    async with here.client(Authorization=f"Bearer {made['token']}") as robot:
        await robot.post(f"{V1}/commands", json=CONFIRMED)
    origin = (await newest(here, "command")).says["origin"]
    assert origin["token"] == made["id"]
    assert "session" not in origin
    assert made["token"] not in str(origin)


async def test_calling_a_command_off_says_who_and_where_from(here: County):
    here.field.silent = True
    async with here.browser() as browser:
        browser.headers["User-Agent"] = AGENT
        given = (await browser.post(f"{V1}/commands", json=CONFIRMED)).json()
        await browser.post(f"{V1}/commands/{given['id']}/cancel")
    entry = await newest(here, "receipt")
    assert (entry.step, entry.by, entry.subject) == ("cancelled", "water_operator", given["id"])
    assert of_a_session(entry.says["origin"])


@pytest.mark.parametrize("many", [False, True])
async def test_an_acknowledgement_says_where_from_it_came(here: County, many: bool):
    alarm = here.raise_alarm("ps-chengdong-1", severity=Severity.LOW)
    async with here.browser() as browser:
        browser.headers["User-Agent"] = AGENT
        if many:
            await browser.post(f"{V1}/alarms/acknowledge", json={"ids": [alarm.id]})
        else:
            await browser.post(f"{V1}/alarms/{alarm.id}/acknowledge", json={"note": "seen"})
    entry = await newest(here, "alarm")
    assert (entry.step, entry.by) == ("acknowledged", "water_operator")
    assert of_a_session(entry.says["origin"])


async def test_what_a_program_calls_itself_is_kept_printable_and_short(here: County):
    async with here.browser() as browser:
        browser.headers["User-Agent"] = "<script>\xad\xa0" + "x" * 5000
        await browser.post(f"{V1}/commands", json=CONFIRMED)
    agent = (await newest(here, "command")).says["origin"]["agent"]
    assert agent.startswith("<script>")
    assert agent.isprintable()
    assert len(agent) < 201
