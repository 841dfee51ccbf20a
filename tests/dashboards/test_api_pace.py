"""How fast one may ask, and that a noisy stranger slows down nobody who is signed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards import pace
from dashboards.pace import Pace
from hub.clock import ManualClock
from tests.dashboards.county import county

V1 = "/api/v1"


async def test_a_bucket_fills_again_with_time():
    clock = ManualClock()
    it = Pace(clock)
    waits = [it.stranger_waits_s("10.0.0.1") for _ in range(int(pace.STRANGER_AT_ONCE) + 1)]
    assert set(waits[:-1]) == {0.0}
    assert waits[-1] == pytest.approx(1 / pace.STRANGER_A_SECOND)
    assert it.stranger_waits_s("10.0.0.2") == 0.0
    await clock.advance(1.0)
    again = [it.stranger_waits_s("10.0.0.1") for _ in range(int(pace.STRANGER_A_SECOND) + 1)]
    assert (set(again[:-1]), again[-1] > 0) == ({0.0}, True)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pace, "MAX_REMEMBERED", 10)
    it = Pace(ManualClock())
    for number in range(100):
        it.stranger_waits_s(f"10.0.0.{number}")
    assert len(it._buckets) == 10


async def test_a_noisy_stranger_behind_the_same_router_slows_down_nobody_who_is_signed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pace, "STRANGER_AT_ONCE", 20.0)
    monkeypatch.setattr(pace, "STRANGER_A_SECOND", 0.5)
    async with county(tmp_path, 1) as here, here.browser("viewer") as duty, here.client() as stranger:
        codes = [(await stranger.get(f"{V1}/words")).status_code for _ in range(30)]
        for number in range(5):
            cookie = {"Cookie": f"fieldhub=made-up-{number}"}
            codes.append((await stranger.get(f"{V1}/session", headers=cookie)).status_code)
        assert codes[-10:] == [429] * 10
        held = await stranger.get(f"{V1}/site")
        assert (held.json()["code"], held.headers["retry-after"]) == ("slow_down", "2")
        assert (await stranger.get("/")).status_code == 200, "the page itself comes from memory"
        assert {(await duty.get(f"{V1}/snapshot")).status_code for _ in range(60)} == {200}


async def test_one_session_that_asks_without_end_is_slowed_down_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pace, "CALLER_AT_ONCE", 10.0)
    monkeypatch.setattr(pace, "CALLER_A_SECOND", 0.5)
    async with county(tmp_path, 1) as here, here.browser("viewer") as mad, here.browser("viewer") as calm:
        codes = [(await mad.get(f"{V1}/roster")).status_code for _ in range(20)]
        assert codes == [200] * 10 + [429] * 10
        assert (await calm.get(f"{V1}/roster")).status_code == 200
