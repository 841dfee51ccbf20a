"""What cannot be written into the ledger does not happen: a full disk, and a file that may not be written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from hub.ledger import LedgerUnavailable, Note
from hub.model import AlarmState
from tests.dashboards.county import County, county
from tests.dashboards.test_api_commands import CONFIRMED, V1

FULL, READ_ONLY = "PRAGMA max_page_count=1", "PRAGMA query_only=ON"  # 1: not one page more than there is


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 3) as it:
        yield it


async def fails(here: County, how: str) -> None:
    """From now on the ledger's database says no, as SQLite does on such a disk."""
    engine = here.house.ledger._writer._engine
    event.listen(engine, "connect", lambda connection, record: connection.execute(how))
    engine.dispose()
    refused = 0
    for n in range(20_000):  # until there is room for nothing more, wherever in the file it would go
        try:
            await here.house.ledger.append(Note(f"filler{n % 7}", here.house.clock.now(), subject=str(n % 13)))
            refused = 0
        except LedgerUnavailable:
            refused += 1
        if refused > 7 * 13:
            return
    raise AssertionError("the disk did not become full")


def is_refused(answer: Any) -> bool:
    return bool(answer.status_code == 503 and answer.json()["code"] == "ledger_unavailable")


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
async def test_a_command_that_cannot_be_written_reaches_no_device(here: County, how: str):
    async with here.browser() as browser:
        await fails(here, how)
        assert is_refused(await browser.post(f"{V1}/commands", json=CONFIRMED))
        assert here.field.heard == []
        assert here.house.dispatch.under_way() == []


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
async def test_an_acknowledgement_that_cannot_be_written_does_not_count(here: County, how: str):
    alarm = here.raise_alarm("ps-chengdong-1")
    async with here.browser() as browser:
        await fails(here, how)
        assert is_refused(await browser.post(f"{V1}/alarms/{alarm.id}/acknowledge", json={"note": "seen"}))
    live = here.house.hub.book.occurrence(alarm.id)
    assert live is not None
    assert live.state is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
async def test_nobody_gets_in_when_it_cannot_be_written_who(here: County, how: str):
    password = await here.person("water_operator")
    await fails(here, how)
    async with here.client() as client:
        answer = await client.post(f"{V1}/session", json={"name": "water_operator", "password": password})
        assert is_refused(answer)
        assert "set-cookie" not in answer.headers
    assert await here.house.ledger.people.sessions("water_operator") == []


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
async def test_no_token_is_made_that_cannot_be_written(here: County, how: str):
    async with here.browser() as browser:
        await fails(here, how)
        assert is_refused(await browser.post(f"{V1}/tokens", json={"title": "robot", "days": 1}))
    assert await here.house.ledger.people.tokens() == []


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
async def test_nobody_is_changed_when_it_cannot_be_written(here: County, how: str):
    await here.person("viewer")
    async with here.browser("system_admin") as admin:
        before = await here.house.ledger.people.person("viewer")
        await fails(here, how)
        assert is_refused(await admin.patch(f"{V1}/people/viewer", json={"disabled": True}))
    assert await here.house.ledger.people.person("viewer") == before
