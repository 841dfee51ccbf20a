"""Hours and starts of a pump, times without readings, readings a day: over the API, by the days of the site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboards import series
from hub.model import Position
from tests.dashboards.county import County, county

DEVICE = "/api/v1/devices/ps-chengdong-1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    """A pump that is off, runs for ten minutes from 50 minutes ago, and is off; its level is silent in between."""
    async with county(tmp_path, 1, loaded=False) as it:
        for age in range(60, 0, -1):
            told: dict[str, Any] = {"pump1.running": 40 < age <= 50, "mode": "远程" if age > 30 else "就地"}
            if not 20 < age <= 45:
                told["inlet.level"] = 2 + age / 100
            it.tell("ps-chengdong-1", told, age_s=age * 60)
        await it.house.collector.flush()
        yield it


async def ask(here: County, what: str, points: str, **more: Any) -> Any:
    async with here.browser("viewer") as browser:
        start = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
        return (await browser.get(f"{DEVICE}/{what}", params={"points": points, "from": start, **more})).json()


async def test_how_long_it_ran_and_how_often_it_was_started(here: County):
    (pump,) = (await ask(here, "states", "pump1.running", by="all"))["series"]
    rows = dict(zip(pump["value"], zip(pump["held_s"], pump["entered"], strict=True), strict=True))
    assert rows[True] == (pytest.approx(600, abs=1), 1)
    assert rows[False] == (pytest.approx(3000, abs=60), 1)
    days = (await ask(here, "states", "pump1.running"))["series"][0]
    assert sum(days["held_s"]) == pytest.approx(3600, abs=60)
    assert all(ms % 86_400_000 == 16 * 3_600_000 for ms in days["start_ms"][2:]), "midnight in Shanghai"


async def test_each_time_for_itself_with_the_text_that_it_had(here: County):
    told = (await ask(here, "states", "mode,link", by="spell"))["series"]
    mode, never = told
    assert mode["value"] == ["远程", "就地"]
    assert mode["end_ms"][0] == mode["start_ms"][1]
    assert never["value"] == []


async def test_a_level_is_no_state(here: County):
    assert (await ask(here, "states", "inlet.level"))["code"] == "invalid"


async def test_times_without_readings(here: County):
    level, never = (await ask(here, "gaps", "inlet.level,link", least_s=600))["series"]
    lengths = [(end - start) / 60_000 for start, end in zip(level["start_ms"], level["end_ms"], strict=True)]
    assert lengths == [pytest.approx(60, abs=2), pytest.approx(25, abs=2)]
    assert [end - start for start, end in zip(never["start_ms"], never["end_ms"], strict=True)] == [
        pytest.approx(7_200_000, abs=60_000)
    ]


async def test_where_it_was(here: County):
    for age, place in (
        (300, Position(32.9, 115.8, 31.5)),
        (200, Position(32.9, 115.8, 31.5)),
        (100, Position(33.0, 116)),
    ):
        here.tell("ps-chengdong-1", {"place": place}, age_s=age)
    await here.house.collector.flush()
    (track,) = (await ask(here, "track", "place"))["series"]
    assert track["latitude"] == [32.9, 32.9, 33.0]
    assert track["longitude"] == [115.8, 115.8, 116.0]
    assert track["altitude"] == [31.5, 31.5, None]
    assert track["quality"] == [2, 2, 2]
    assert track["at_ms"] == sorted(track["at_ms"])
    assert (await ask(here, "track", "inlet.level"))["code"] == "invalid"


async def test_points_of_many_devices_at_once(here: County):
    start = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    names = "ps-chengdong-1:inlet.level,ps-chengdong-1:pump1.running,ps-chengdong-1:link"
    async with here.browser("viewer") as browser:
        steps = (await browser.get("/api/v1/series", params={"points": names, "from": start, "step": "1h"})).json()
        level, pump, link = steps["series"]
        assert (sum(level["count"]), sum(pump["count"]), link["count"]) == (35, 60, [])
        assert max(pump["max"]) == 1.0
        told = (await browser.get("/api/v1/values", params={"points": names + ",ps-chengdong-1:mode"})).json()
        level, pump, link, mode = told["values"]
        assert (level["value"], level["quality"]) == (2.01, "good")
        assert (pump["value"], mode["value"]) == (False, "就地")
        assert (link["value"], link["at_ms"]) == (None, None)
        ago = f"{datetime.now(UTC) - timedelta(minutes=40, seconds=30):%Y-%m-%dT%H:%M:%SZ}"
        then = (await browser.get("/api/v1/values", params={"points": names, "at": ago})).json()["values"]
        assert then[1]["value"] is True
        for wrong in ("ps-chengdong-1", "ps-chengdong-1:", ":inlet.level", ",", "ps-chengdong-1:nothing"):
            answer = await browser.get("/api/v1/values", params={"points": wrong})
            assert answer.status_code in (404, 422), wrong


async def test_readings_a_day(here: County):
    level = (await ask(here, "counts", "inlet.level"))["series"][0]
    assert sum(level["count"]) == 35
    assert sum(level["gaps"]) == 0
    hours = (await ask(here, "counts", "inlet.level", by="hour"))["series"][0]
    assert sum(hours["count"]) == 35
    assert len(hours["count"]) in (2, 3)


async def test_more_readings_than_pixels_never_reach_a_browser(here: County, monkeypatch: pytest.MonkeyPatch):
    """A device that sends far more often than its profile says."""
    many = (await ask(here, "series", "pump1.running", step="raw"))["series"][0]
    assert len(many["at_ms"]) == 60
    thinned = (await ask(here, "series", "pump1.running", width=10))["series"][0]
    assert "at_ms" in thinned
    monkeypatch.setattr(series, "SURPLUS", 4)
    thinned = (await ask(here, "series", "pump1.running", width=10))["series"][0]
    assert len(thinned["min"]) <= 11
    assert max(thinned["max"]) == 1.0
    monkeypatch.setattr(series, "MOST_RAW", 50)
    assert (await ask(here, "series", "pump1.running", step="raw"))["code"] == "asked_too_much"
