"""The demo as its user meets it: log in, stop a pump, let a pump lie, pull a link, ask with a foreign client."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import Person, demo, eventually

LIAR, QUIET, FOREIGN = "ps-chengnan-1", "ps-beimen-1", "ps-dongwei-1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with demo(tmp_path_factory.mktemp("demo") / "site", "--calm") as facts:
        yield facts


@pytest.fixture(scope="module")
def engineer(running: dict[str, Any]) -> Iterator[Person]:
    it = Person(running["url"].rstrip("/"), "engineer", running["users"]["engineer"])
    yield it
    it.close()


def _stages(person: Person, id: str) -> list[str]:
    return [receipt["stage"] for receipt in person.get(f"/commands/{id}")["receipts"]]


def _end(person: Person, id: str, within_s: float = 90) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        record: dict[str, Any] = person.get(f"/commands/{id}")
        return record if record["final"] else None

    found = eventually(look, within_s)
    assert found is not None
    return found


def _fault(person: Person, station: str, fault: str, on: bool = True) -> None:
    answer = person.post("/demo/faults", {"station": station, "fault": fault, "on": on})
    assert answer.status_code == 200, answer.text


def _may_start(person: Person, station: str) -> str:
    """The first pump of the station that its PLC would start now."""

    def look() -> str | None:
        for n in (1, 2, 3, 4):
            try:
                state, may = (person.value(station, f"pump{n}.{it}")["value"] for it in ("state", "may_start"))
            except StopIteration:
                return None
            if state == "stopped" and may:
                return f"pump{n}"
        return None

    found = eventually(look, 120)
    assert found is not None
    return found


def test_the_stations_move(engineer: Person) -> None:
    before = engineer.value(FOREIGN, "plc.heartbeat")["value"]
    eventually(lambda: engineer.value(FOREIGN, "plc.heartbeat")["value"] != before)
    assert len(engineer.get("/devices", kind="pump_station")["devices"]) == 12


def test_a_pump_that_starts_and_stops_is_confirmed_by_readings(engineer: Person) -> None:
    station = "ps-qianjin-1"
    pump = _may_start(engineer, station)
    started = _end(engineer, engineer.command(station, f"{pump}.start", "start").json()["id"])
    assert [it["stage"] for it in started["receipts"]] == ["sent", "acknowledged", "confirmed"], started
    stopped = _end(engineer, engineer.command(station, f"{pump}.stop", "stop").json()["id"])
    assert [it["stage"] for it in stopped["receipts"]] == ["sent", "acknowledged", "confirmed"], stopped
    assert engineer.value(station, f"{pump}.state")["value"] == "stopped"


def test_a_pump_that_says_done_and_does_not_start_is_not_proven(engineer: Person) -> None:
    pump = _may_start(engineer, LIAR)
    _fault(engineer, LIAR, "done_but_does_not_start")
    ended = _end(engineer, engineer.command(LIAR, f"{pump}.start", "liar").json()["id"])
    assert [it["stage"] for it in ended["receipts"]] == ["sent", "acknowledged", "expired"], ended
    assert "not proven" in ended["receipts"][-1]["words"]["text"]["en"]
    assert "未得到证实" in ended["receipts"][-1]["words"]["text"]["zh-CN"]
    _fault(engineer, LIAR, "done_but_does_not_start", False)


def test_a_pulled_link_greys_the_values_with_a_reason_and_clears_no_alarm(engineer: Person) -> None:
    _fault(engineer, QUIET, "emergency_stop")
    alarm = eventually(lambda: _alarm(engineer, QUIET, "emergency"), 60)
    _fault(engineer, QUIET, "link_loss")
    level = eventually(lambda: _not_good(engineer, QUIET, "inlet.level"), 60)
    assert level["why"]["text"]["en"]
    assert level["why"]["text"]["zh-CN"]
    assert level["last_good"] is not None
    _fault(engineer, QUIET, "emergency_stop", False)
    assert eventually(lambda: _alarm(engineer, QUIET, "link"), 90)
    still = _alarm(engineer, QUIET, "emergency")
    assert still
    assert still["id"] == alarm["id"]
    assert still["returned_at"] is None, "nobody knows that it is over: the link is away"
    answer = engineer.command(QUIET, "pump1.start", "no-link")
    assert answer.status_code == 409
    _fault(engineer, QUIET, "link_loss", False)
    assert eventually(lambda: (_alarm(engineer, QUIET, "emergency") or {}).get("returned_at"), 90)


def test_mbpoll_reads_what_the_hub_shows_and_what_it_writes_shows_within_a_poll(engineer: Person) -> None:
    where = re.fullmatch(r"modbus\+tcp://([\d.]+):(\d+)/(\d+)", engineer.get(f"/devices/{FOREIGN}")["address"])
    assert where is not None
    host, port, unit = where.groups()
    poll = ["mbpoll", "-m", "tcp", "-a", unit, "-p", port, "-0", "-t", "4"]
    read = subprocess.run([*poll, "-r", "380", "-c", "4", "-1", host], capture_output=True, text=True, timeout=20)
    assert read.returncode == 0, read.stderr
    found = {int(at): int(value) for at, value in re.findall(r"\[(\d+)\]:\s+(\d+)", read.stdout)}
    shown = [
        engineer.value(FOREIGN, f"setting.{it}_level")["value"] for it in ("start", "stop", "low_low", "high_high")
    ]
    assert [round(1000 * it) for it in shown] == [found[at] for at in (380, 381, 382, 383)]
    written = subprocess.run([*poll, "-r", "380", "-1", host, str(found[380] + 10)], capture_output=True, timeout=20)
    assert written.returncode == 0
    wanted = (found[380] + 10) / 1000
    eventually(lambda: abs(engineer.value(FOREIGN, "setting.start_level")["value"] - wanted) < 1e-9, 75)


def _alarm(person: Person, station: str, part: str) -> dict[str, Any] | None:
    found = person.get("/alarms", device=station)["alarms"]
    return next((it for it in found if part in it["rule"]), None)


def _not_good(person: Person, station: str, point: str) -> dict[str, Any] | None:
    it = person.value(station, point)
    return it if it["quality"] != "good" else None


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path / "site") as facts:
        port = facts["control_port"]
    assert not (tmp_path / "site" / "demo.json").exists()
    listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=True).stdout
    assert f"127.0.0.1:{port} " not in listening
