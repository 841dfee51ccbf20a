"""docs/api.md is tried: its curl lines are run as they stand, against a house with the devices it names."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from hub.config import SecurityTable
from hub.passwords import add_person
from hub.rights import Grant
from tests.dashboards.county import County, county, final

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def block(name: str) -> str:
    """The indented lines after <!-- tried: NAME -->, without those that show an answer."""
    found = re.search(rf"<!-- tried: {name} -->\n((?:    .*\n|\n)+)", DOCS)
    assert found is not None, f"docs/api.md has no block {name}"
    lines = [line.removeprefix("    ") for line in found[1].splitlines()]
    return "\n".join(line for line in lines if not line.startswith("#"))


async def shell(here: County, folder: Path, script: str) -> list[dict[str, object]]:
    """Run it; every line that came out is JSON."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    found = []
    decoder = json.JSONDecoder()
    text = out.decode().strip()
    while text:
        it, end = decoder.raw_decode(text)
        found.append(it)
        text = text[end:].strip()
    return found


@needs_curl
async def test_the_first_five_minutes_work_as_they_stand(tmp_path: Path):
    async with county(tmp_path / "site", 2) as here:
        await add_person(here.house.ledger, "wang.min", "王敏", "wm-very-good", [Grant("water_operator")], "zh-CN")
        first = (
            block("session")
            .replace("http://127.0.0.1:8420", here.url)
            .replace('"password": "…"', '"password": "wm-very-good"')
        )
        sign_in, make_token = first.split("CSRF=Yk3…\n")
        (who,) = await shell(here, tmp_path, sign_in)
        assert who["name"] == "wang.min"
        hub = f"HUB={here.url}\n"
        (token,) = await shell(here, tmp_path, f"{hub}CSRF={who['csrf']}\n{make_token}")
        assert str(token["token"]).startswith("fh_")

        year = f"{here.house.clock.now():%Y-%m-%d}"
        second = block("token").replace("fh_5d0c11aa92ef_q2…", str(token["token"])).replace("2026-11-25", year)
        second = second.replace('curl -sN -H "Authorization: Bearer $TOKEN" "$HUB/api/v1/stream"', "")
        assert "/stream" not in second
        devices, device, latest, alarms, snapshot, series = await shell(here, tmp_path, hub + second)
        assert len(devices["devices"]) == 2  # type: ignore[arg-type]
        assert device["id"] == "ps-chengdong-1"
        assert [it["point"] for it in latest["readings"]] == ["inlet.level"]  # type: ignore[attr-defined, index]
        assert alarms["counts"] == [0, 0, 0, 0]
        assert "ps-chengdong-1" in snapshot["states"]  # type: ignore[operator]
        assert series["step_ms"] == 60_000
        assert {"start_ms", "min", "max", "mean"} < set(series["series"][0])  # type: ignore[index]
        assert (tmp_path / "level.csv").read_bytes().startswith(b"\xef\xbb\xbftime,device,point")


@needs_curl
async def test_a_command_is_given_as_the_docs_say(tmp_path: Path):
    async with county(tmp_path / "site", 2) as here, here.browser("water_operator") as browser:
        token = (await browser.post("/api/v1/tokens", json={"title": "t"})).json()["token"]
        script = f"HUB={here.url}\nTOKEN={token}\n" + block("command").rpartition("curl ")[0]
        prepared, given = await shell(here, tmp_path, script)
        assert prepared["confirm"] == "城东一号泵站"
        assert given["because"] == "level is rising"
        assert (await final(browser, str(given["id"])))["stage"] == "confirmed"


def test_the_docs_name_every_event_key_and_limit():
    from dashboards import alarms, commands, devices, live, series

    for text in (
        f"last {live.RING_FRAMES} frames",
        f"{live.MAX_VIEWERS:,} streams",
        f"for {live.STUCK_S:.0f} s",
        f"{series.MAX_POINTS} points and {series.LONGEST.days} days",
        f"CSV {series.LONGEST_CSV.days} days",
        f"Devices {devices.MAX_PAGE:,} a page, alarm changes {alarms.MAX_PAGE:,}",
        f"commands {commands.MAX_PAGE}.",
        f"{alarms.MAX_AT_ONCE} alarms",
        f"{SecurityTable().idle_minutes} minutes after the last request",
        f"after {SecurityTable().session_hours} hours",
    ):
        assert text in " ".join(DOCS.split()), text
