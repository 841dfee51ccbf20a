"""The house's clock is set: an entry says from when to when, the log says so, and an audit lists the place."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.audit import verify
from hub.clock import ManualClock
from hub.clock_watch import SET_AHEAD, SET_BACK
from hub.config import HubFile, Site
from hub.house import TICK_S, House
from hub.ledger import Entry, Note
from hub.ledger.inspection import inspecting
from tests.hub.kit import NOON, Limit


async def opened(folder: Path, clock: ManualClock) -> House:
    return await House.open(Site(folder, HubFile(), {}), clock, Limit(), {})


async def settings(house: House) -> list[Entry]:
    return list(reversed(await house.ledger.entries("clock")))


def told(it: Entry) -> tuple[Any, ...]:
    return it.says["did"], it.says["was"], it.says["now"], it.says["by_s"], it.says["found"]


async def test_a_clock_that_is_set_back_is_an_entry_with_both_times(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    clock = ManualClock(NOON)
    house = await opened(tmp_path, clock)
    house.start()
    await clock.advance(10)
    clock.jump(-3600)
    with caplog.at_level(logging.WARNING):
        await clock.advance(TICK_S)
    (it,) = await settings(house)
    assert told(it) == ("set back", "2026-06-01T04:00:11Z", "2026-06-01T03:00:11Z", 3600.0, "running")
    assert it.at == NOON - timedelta(seconds=3600 - 11)
    assert "the clock was set back by 3600 s" in caplog.text
    assert [one["did"] for one in house.system()["clock"]["settings"]] == ["set back"]
    await house.close()
    with inspecting(f"sqlite:///{tmp_path}/data/ledger.sqlite") as ledger:
        found = verify(ledger)
    assert found.faults == []
    assert found.notes == [f"entry {it.seq} › the clock was set back, by 3600.0 s, to 2026-06-01 03:00:11+00:00"]


async def test_a_leap_ahead_is_noticed_and_a_small_step_is_not(tmp_path: Path):
    clock = ManualClock(NOON)
    house = await opened(tmp_path, clock)
    house.start()
    for step in (SET_AHEAD, -SET_BACK, timedelta(seconds=1)):
        clock.jump(step.total_seconds())
        await clock.advance(TICK_S)
    assert await settings(house) == []
    clock.jump(SET_AHEAD.total_seconds() + 1)
    await clock.advance(TICK_S)
    assert [told(it)[0] for it in await settings(house)] == ["set ahead"]
    await house.close()


async def test_a_clock_that_was_set_back_while_the_hub_was_off_is_noticed_at_the_start_and_once(tmp_path: Path):
    house = await opened(tmp_path, ManualClock(NOON))
    await house.ledger.append(Note("login", NOON))
    await house.close()
    for _ in range(2):
        house = await opened(tmp_path, ManualClock(NOON - timedelta(days=1)))
        (it,) = await settings(house)
        assert told(it) == ("set back", "2026-06-01T04:00:00Z", "2026-05-31T04:00:00Z", 86400.0, "start")
        await house.close()


async def test_a_long_rest_is_no_leap(tmp_path: Path):
    house = await opened(tmp_path, ManualClock(NOON))
    await house.ledger.append(Note("login", NOON))
    await house.close()
    house = await opened(tmp_path, ManualClock(NOON + timedelta(days=30)))
    assert await settings(house) == []
    await house.close()


async def test_a_setting_that_nobody_could_write_is_written_when_the_disk_is_back(tmp_path: Path):
    clock = ManualClock(NOON)
    house = await opened(tmp_path, clock)
    house.start()
    house.ledger._writer.healthy = False
    clock.jump(-60)
    await clock.advance(TICK_S)
    assert await settings(house) == []
    house.ledger._writer.healthy = True
    await clock.advance(TICK_S)
    assert [told(it)[0] for it in await settings(house)] == ["set back"]
    await house.close()
