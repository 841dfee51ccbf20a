"""Series: raw or in buckets, as JSON, as bytes for charts, as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest

from hub.model import Quality
from tests.dashboards.county import County, county

DEVICE = "/api/v1/devices/ps-chengdong-1/series"
NOW = datetime.now(UTC)
START = f"{NOW - timedelta(days=24):%Y-%m-%dT%H:%M:%SZ}"
END = f"{NOW + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1, loaded=False) as it:
        for age_s in range(600, 0, -1):
            it.tell(
                "ps-chengdong-1",
                {"inlet.level": 1 + age_s / 1000, "mode": "远程" if age_s > 300 else "=1+1"},
                age_s=age_s,
            )
        it.tell("ps-chengdong-1", {"inlet.level": 99.0, "pump1.running": True})
        await it.house.collector.flush()
        yield it


async def ask(browser: httpx.AsyncClient, points: str, **more: Any) -> httpx.Response:
    return await browser.get(DEVICE, params={"points": points, "from": START, **more})


async def test_raw_readings_come_with_their_quality(here: County):
    async with here.browser("viewer") as browser:
        it = (await ask(browser, "inlet.level,pump1.running", step="raw")).json()
    level, running = it["series"]
    assert (level["point"], level["unit"], level["kind"]) == ("inlet.level", "m", "number")
    assert len(level["value"]) == len(level["at_ms"]) == len(level["quality"]) == 601
    assert level["at_ms"] == sorted(level["at_ms"])
    assert (level["value"][-1], level["quality"][-1]) == (99.0, Quality.BAD)
    assert running["value"] == [1.0]
    assert it["step_ms"] is None


async def test_texts_are_codes_and_what_they_stand_for(here: County):
    async with here.browser("viewer") as browser:
        mode = (await ask(browser, "mode", step="raw")).json()["series"][0]
    assert {mode["codes"][str(int(value))] for value in mode["value"]} == {"远程", "=1+1"}


async def test_buckets_have_the_extremes_and_count_what_is_not_believed(here: County):
    async with here.browser("viewer") as browser:
        it = (await ask(browser, "inlet.level", step="60")).json()
    level = it["series"][0]
    assert it["step_ms"] == 60_000
    assert 10 <= len(level["start_ms"]) <= 12
    assert all(start % 60_000 == 0 for start in level["start_ms"])
    assert sum(level["count"]) == 600
    assert sum(level["gaps"]) == 1
    assert max(value for value in level["max"] if value is not None) == 1.6


async def test_how_fine_is_chosen_by_the_width_of_the_chart(here: County):
    async with here.browser("viewer") as browser:
        narrow = (await ask(browser, "inlet.level", width=10)).json()
        wide = (await ask(browser, "inlet.level", width=1000)).json()
    assert narrow["step_ms"] == 86_400_000, "576 readings are expected in 24 days: more than 4 a pixel"
    assert wide["step_ms"] is None


@pytest.mark.parametrize(
    ("step", "step_ms"), [("15s", 15_000), ("1m", 60_000), ("1.5m", 90_000), ("1h", 3_600_000), ("1d", 86_400_000)]
)
async def test_a_step_may_be_written_as_a_duration(here: County, step: str, step_ms: int):
    async with here.browser("viewer") as browser:
        told = (await ask(browser, "inlet.level", step=step)).json()
        seconds = (await ask(browser, "inlet.level", step=str(step_ms / 1000))).json()
    assert told["step_ms"] == step_ms
    assert told["series"] == seconds["series"]


async def test_times_may_be_milliseconds(here: County):
    start, end = (round(datetime.fromisoformat(it).timestamp() * 1000) for it in (START, END))
    async with here.browser("viewer") as browser:
        told = (await ask(browser, "inlet.level", **{"from": start, "to": end, "step": "1m"})).json()
        same = (await ask(browser, "inlet.level", to=END, step="1m")).json()
    assert (told["start_ms"], told["end_ms"]) == (start, end)
    assert told == same


@pytest.mark.parametrize("format", ["json", "columns"])
async def test_buckets_hold_the_columns_that_were_asked_for(here: County, format: str):
    async with here.browser("viewer") as browser:
        whole = (await ask(browser, "inlet.level,link", step="1m", to=END)).json()
        answer = await ask(browser, "inlet.level,link", step="1m", to=END, agg="mean,min", format=format)
    for series in whole["series"]:
        wanted = {name: series[name] for name in ("start_ms", "min", "mean")}
        if format == "columns":
            columns = unpack(answer.content)[series["point"]]
            assert {name: column.tolist() for name, column in columns.items()} == wanted | {
                name: [it if it is not None else pytest.approx(float("nan"), nan_ok=True) for it in column]
                for name, column in wanted.items()
            }
        else:
            told = next(it for it in answer.json()["series"] if it["point"] == series["point"])
            assert {name: told[name] for name in wanted} == wanted
            assert not {"count", "gaps", "max", "last"} & set(told)


async def test_who_names_columns_gets_buckets_however_wide_the_chart(here: County):
    async with here.browser("viewer") as browser:
        told = (await ask(browser, "inlet.level", agg="max", width=1000)).json()
    assert told["step_ms"] == 3_600_000


async def test_mistakes_are_said_all_at_once_with_what_to_write(here: County):
    async with here.browser("viewer") as browser:
        answer = await browser.get(DEVICE, params={"points": "inlet.level", "step": "fine", "agg": "avg"})
    told = {it["where"]: it["what"] for it in answer.json()["mistakes"]}
    assert set(told) == {"query.from", "query.step", "query.agg"}
    assert '"1m"' in told["query.step"]
    assert "mean" in told["query.agg"]


def unpack(body: bytes) -> dict[str, Mapping[str, Any]]:
    """What dashboards/web does with it: point -> column -> numbers."""
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    base = 4 + length
    assert base % 8 == 0
    found: dict[str, Mapping[str, Any]] = {}
    for series in head["series"]:
        found[series["point"]] = {
            it["name"]: np.frombuffer(body, "<" + it["type"], it["count"], base + it["at"]) for it in series["columns"]
        }
        assert all((base + it["at"]) % 8 == 0 for it in series["columns"])
    return found


@pytest.mark.parametrize("step", ["raw", "60"])
async def test_bytes_for_charts_say_the_same_as_json(here: County, step: str):
    more = {"step": step, "to": END}
    async with here.browser("viewer") as browser:
        as_json = (await ask(browser, "inlet.level,place,pump1.running", **more)).json()
        answer = await ask(browser, "inlet.level,place,pump1.running", format="columns", **more)
    assert answer.headers["content-type"] == "application/vnd.fieldhub.columns"
    found = unpack(answer.content)
    for series in as_json["series"]:
        for name, column in found[series["point"]].items():
            assert [None if it != it else it for it in column.tolist()] == series[name], (series["point"], name)


async def test_a_point_that_never_said_anything_is_empty_and_not_an_error(here: County):
    async with here.browser("viewer") as browser:
        for step, columns in (("raw", ("at_ms", "value", "quality")), ("60", ("start_ms", "mean"))):
            link = (await ask(browser, "link", step=step)).json()["series"][0]
            assert all(link[name] == [] for name in columns)


async def test_csv_is_for_spreadsheets_and_runs_nothing(here: County):
    async with here.browser("viewer") as browser:
        answer = await ask(browser, "inlet.level,mode", format="csv", to=END)
    first = f"{datetime.fromisoformat(START).astimezone(ZoneInfo('Asia/Shanghai')):%Y%m%d}"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="ps-chengdong-1-{first}.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0]["time"].endswith("+08:00")
    texts = {row["value"] for row in rows if row["point"] == "mode"}
    assert texts == {"远程", "'=1+1"}


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"points": "inlet.level"}, "query.from"),
        ({"points": "", "from": START}, "query.points"),
        ({"points": ",,", "from": START}, "query.points"),
        ({"points": ",".join(f"p{n}" for n in range(17)), "from": START}, "query.points"),
        ({"points": "inlet.level", "from": "yesterday"}, "query.from"),
        ({"points": "inlet.level", "from": "2026-01-01T00:00:00"}, "query.from"),
        ({"points": "inlet.level", "from": START, "to": "2001-01-01T00:00:00Z"}, "query.from"),
        ({"points": "inlet.level", "from": "2001-01-01T00:00:00Z"}, "query.from"),
        ({"points": "inlet.level", "from": START, "step": "0"}, "query.step"),
        ({"points": "inlet.level", "from": START, "step": "fine"}, "query.step"),
        ({"points": "inlet.level", "from": START, "step": "1w"}, "query.step"),
        ({"points": "inlet.level", "from": START, "step": "0m"}, "query.step"),
        ({"points": "inlet.level", "from": START, "step": "-1m"}, "query.step"),
        ({"points": "inlet.level", "from": START, "agg": "min,avg"}, "query.agg"),
        ({"points": "inlet.level", "from": START, "agg": ","}, "query.agg"),
        ({"points": "inlet.level", "from": START, "agg": "min", "step": "raw"}, "query.agg"),
        ({"points": "inlet.level", "from": START, "agg": "min", "format": "csv"}, "query.format"),
        ({"points": "inlet.level", "from": START, "step": "1m", "format": "csv"}, "query.format"),
        ({"points": "inlet.level", "from": START, "start": START}, "query.start"),
        ({"points": "inlet.level", "from": START, "width": "9999999"}, "query.width"),
        ({"points": "inlet.level", "from": START, "format": "xlsx"}, "query.format"),
        ({"points": "inlet.level", "from": START, "colour": "red"}, "query.colour"),
    ],
)
async def test_what_is_wrong_with_a_question_is_said(here: County, query: dict[str, str], where: str):
    async with here.browser("viewer") as browser:
        answer = await browser.get(DEVICE, params=query)
    assert answer.status_code == 422, answer.text
    assert [it["where"] for it in answer.json()["mistakes"]] == [where]


async def test_an_unknown_point_is_named_with_those_that_look_like_it(here: County):
    async with here.browser("viewer") as browser:
        answer = await ask(browser, "inlet.levle")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_point")
    assert answer.json()["near"] == ["inlet.level"]


async def test_more_than_the_historian_gives_is_refused_with_what_to_ask(here: County, monkeypatch: pytest.MonkeyPatch):
    from hub.historian.base import AskedTooMuch, HistoryUnavailable

    async def refuse(*args: Any) -> None:
        raise AskedTooMuch("ask for buckets")

    async def gone(*args: Any) -> None:
        raise HistoryUnavailable("the disk is away")

    async with here.browser("viewer") as browser:
        monkeypatch.setattr(here.house.historian, "range", refuse)
        answer = await ask(browser, "inlet.level", step="raw")
        assert (answer.status_code, answer.json()["code"]) == (422, "asked_too_much")
        assert answer.json()["detail"] == "ask for buckets"
        monkeypatch.setattr(here.house.historian, "range", gone)
        answer = await ask(browser, "inlet.level", step="raw")
        assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
        assert "disk" not in answer.text, "where and why is for the log"
