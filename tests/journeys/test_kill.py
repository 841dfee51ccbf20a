"""kill -9 of the hub in the middle of its work: nothing acknowledged is lost, nothing is sent twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.running import County, Person, RunningHub, eventually, fieldhub, free_port, write_site

STATION = "ps-chengnan-1"


@pytest.fixture
def county() -> Iterator[County]:
    it = County("--calm")
    yield it
    it.close()


@pytest.fixture
def site(tmp_path: Path, county: County) -> tuple[Path, int]:
    port = free_port()
    folder = tmp_path / "site"
    write_site(folder, county, port)
    made = fieldhub(
        "user", str(folder), "add", "li.qiang", "--role", "field_engineer", "--password-file", "-",
        stdin="a long pass phrase 7\n",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder, port


@pytest.mark.slow
def test_eight_kills_lose_nothing_acknowledged_and_send_nothing_twice(county: County, site: tuple[Path, int]) -> None:
    folder, port = site
    dice = random.Random(20261125)
    county.fault(STATION, "flooding")  # an alarm that stands all the time
    before = county.truth(STATION)["pumps"][0]["number"]
    told: dict[str, str] = {}  # command id -> the stage that somebody was told last
    alarm = ""
    for round_number in range(8):
        hub = RunningHub(folder, port)
        hub.wait_until_up()  # how long that takes: bench/restart.py
        person = Person(hub.url, "li.qiang", "a long pass phrase 7")
        flooded = _flooded(person)
        if alarm:
            assert flooded["id"] == alarm, "the alarm was raised anew"
            assert flooded["state"] == "acknowledged"
        elif flooded["state"] == "unacknowledged":
            assert person.post(f"/alarms/{flooded['id']}/acknowledge", {"note": ""}).status_code == 200
            alarm = flooded["id"]
        for id, stage in told.items():
            record = person.get(f"/commands/{id}")
            assert record["stage"] is not None
            if stage in ("refused", "confirmed", "rejected"):
                assert record["stage"] == stage
        key = f"round-{round_number}"
        eventually(lambda p=person: p.value(STATION, "pump1.state")["quality"] == "good")
        answer = person.command(STATION, "pump1.stop", key)
        assert answer.status_code in (202, 409), answer.text
        record = answer.json().get("command", answer.json())
        time.sleep(dice.uniform(0.0, 0.8))
        told[record["id"]] = person.get(f"/commands/{record['id']}")["stage"] or ""
        person.close()
        hub.kill()
    hub = RunningHub(folder, port)
    hub.wait_until_up()
    person = Person(hub.url, "li.qiang", "a long pass phrase 7")
    for round_number, id in enumerate(told):
        again = person.command(STATION, "pump1.stop", f"round-{round_number}")
        assert again.json().get("command", again.json())["id"] == id, (
            "the same key is the same command, also after kills"
        )
    # The PLC counts what it was told: at most once for each command.
    assert county.truth(STATION)["pumps"][0]["number"] - before <= len(told)
    person.close()
    assert hub.stop() == 0


def _flooded(person: Person) -> dict[str, str]:
    def look() -> dict[str, str] | None:
        found = person.get("/alarms", device=STATION)["alarms"]
        return next((it for it in found if "flood" in it["rule"]), None)

    found = eventually(look, 40)
    assert found is not None
    return found
