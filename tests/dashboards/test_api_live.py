"""The live stream over a real connection: frames, resume, heartbeats, slow readers, good-byes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from dashboards import live
from dashboards.live import Bus
from hub.model import LINK
from hub.rights import Grant
from tests.dashboards.county import County, becomes, county

LIVE = "/api/v1/stream"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path) as it:
        yield it


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same stream, ten times as fast."""
    for name in ("URGENT_GAP_S", "CALM_GAP_S", "HEARTBEAT_S", "FRESH_S"):
        monkeypatch.setattr(live, name, getattr(live, name) / 10)


class Stream:
    """What a browser's EventSource makes of a stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def next(self) -> tuple[str, Any]:
        """(event, data)."""
        event, data = "message", ""
        async with asyncio.timeout(5):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "id":
                    self.last_id = value
                elif name == "data":
                    data = value
                elif not line and data:
                    return event, json.loads(data)
        return "end", None

    async def until(self, key: str) -> Any:
        """The value of the next message that has this key."""
        while True:
            event, data = await self.next()
            assert event in ("message", "hello", "hb", "reset"), (event, data)
            if event == "message" and key in data:
                return data[key]

    @property
    def number(self) -> int:
        return int(self.last_id.partition(".")[2])


@contextlib.asynccontextmanager
async def watching(browser: httpx.AsyncClient, last_id: str = "", query: str = "") -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with browser.stream("GET", LIVE + query, headers=headers) as response:
        assert response.status_code == 200
        yield Stream(response)


async def test_the_stream_says_hello_and_is_never_kept_or_compressed(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert "content-encoding" not in headers
        event, hello = await stream.next()
        assert event == "hello"
        assert stream.last_id == f"{hello['epoch']}.{hello['number']}"


async def test_readings_come_with_quality_why_and_last_good_value(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        here.tell("ps-chengdong-1", {"inlet.level": 2.7183})
        state = await stream.until("s:ps-chengdong-1")
        assert state["v"] == ["up", 2.72, False, "远程", [32.9, 115.8]]
        assert state["q"] == [2, 2, 2, 2, 2]
        assert "why" not in state
        here.tell("ps-chengdong-1", {"inlet.level": 99.0})
        state = await stream.until("s:ps-chengdong-1")
        assert (state["v"][1], state["q"][1]) == (99.0, 0)
        assert state["why"]["1"]["key"] == "quality.out_of_range"
        assert state["last"]["1"][0] == 2.72


async def test_a_device_that_says_the_same_again_is_told_to_be_fresh(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        here.tell("ps-chengdong-1", {"inlet.level": 2.48})
        at_ms = await stream.until("f:ps-chengdong-1")
        newest = here.house.hub.members["ps-chengdong-1"].newest
        assert at_ms == int(newest.timestamp() * 1000)
        snapshot = (await browser.get("/api/v1/snapshot")).json()
        assert snapshot["states"]["ps-chengdong-1"]["at_ms"] >= at_ms


async def test_alarms_and_commands_come_whole(here: County):
    async with here.browser() as browser, watching(browser) as stream:
        alarm = here.raise_alarm("ps-chengdong-1")
        told = await stream.until(f"a:{alarm.id}")
        assert (told["state"], told["say"]["en"], told["device"]) == ("unacknowledged", "level high", "ps-chengdong-1")
        await browser.post(f"/api/v1/alarms/{alarm.id}/acknowledge", json={"note": "seen"})
        told = await stream.until(f"a:{alarm.id}")
        assert (told["state"], told["acknowledged_by"]) == ("acknowledged", "water_operator")
        here.return_alarm("ps-chengdong-1")
        assert (await stream.until(f"a:{alarm.id}"))["state"] == "normal"
        body = {"device": "ps-chengdong-1", "action": "pump1.start", "confirm": "城东一号泵站"}
        given = (await browser.post("/api/v1/commands", json=body)).json()
        while not (told := await stream.until(f"c:{given['id']}"))["final"]:
            pass
        assert told["stage"] == "confirmed"
        assert told["receipts"][-1]["words"]["key"] == "command.proven"


async def test_a_new_device_says_that_the_roster_changed(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        before = (await browser.get("/api/v1/roster")).json()["version"]
        here.house.hub.retire("ps-00001")
        await stream.until("roster")
        after = (await browser.get("/api/v1/roster")).json()
        assert after["version"] != before
        assert "ps-00001" not in after["devices"]["id"]
        snapshot = (await browser.get("/api/v1/snapshot")).json()
        assert snapshot["roster"] == after["version"]
        assert "ps-00001" not in snapshot["states"]


async def test_silence_is_filled_with_heartbeats(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        for _ in range(3):
            event, data = await stream.next()
            if event == "hb":
                assert data["now"] > 1_700_000_000_000
                return
        pytest.fail("no heartbeat")


# ---- resume -------------------------------------------------------------------------------------------------------


async def test_what_was_missed_comes_as_one_frame(here: County):
    async with here.browser("viewer") as browser:
        async with watching(browser) as stream:
            here.tell("ps-chengdong-1", {"inlet.level": 3.0})
            await stream.until("s:ps-chengdong-1")
            last = stream.last_id
        async with watching(browser) as other:  # somebody else goes on watching: frames go out
            await other.next()
            for level in (3.1, 3.2, 3.3):
                here.tell("ps-chengdong-1", {"inlet.level": level})
                await other.until("s:ps-chengdong-1")
            alarm = here.raise_alarm("ps-00001")
            await other.until(f"a:{alarm.id}")
            for query in ("", f"?last_id={last}"):
                async with watching(browser, "" if query else last, query) as again:
                    event, data = await again.next()
                    assert event == "message"
                    assert data["s:ps-chengdong-1"]["v"][1] == 3.3
                    assert data[f"a:{alarm.id}"]["state"] == "unacknowledged"
                    assert again.number == here.app.state.desk.bus.number


async def test_what_happened_while_nobody_watched_is_not_lost(here: County):
    async with here.browser("viewer") as browser:
        async with watching(browser) as stream:
            await stream.next()
            last = stream.last_id
        await becomes(lambda: not here.app.state.desk.bus.viewers)
        alarm = here.raise_alarm("ps-00001")
        async with watching(browser, last) as again:
            event, data = await again.next()
            assert event == "message"
            assert data[f"a:{alarm.id}"]["device"] == "ps-00001"


@pytest.mark.parametrize("last_id", ["deadbeef.1", "x", "....", "{epoch}.999999", "{epoch}.-1", "{epoch}." + "9" * 400])
async def test_who_comes_back_from_too_far_is_told_to_start_anew(here: County, last_id: str):
    async with here.browser("viewer") as browser:
        last_id = last_id.replace("{epoch}", here.app.state.desk.bus.epoch)
        async with watching(browser, last_id) as stream:
            event, data = await stream.next()
            assert event == "reset"
            assert data["epoch"] == here.app.state.desk.bus.epoch


async def test_what_left_the_ring_cannot_be_resumed(here: County, monkeypatch: pytest.MonkeyPatch):
    bus: Bus = here.app.state.desk.bus
    for number in range(live.RING_FRAMES + 5):
        bus.readings("ps-chengdong-1", [])
        bus._states.clear()
        bus._flush()
        if number == 0:
            first = f"{bus.epoch}.{bus.number}"
    async with here.browser("viewer") as browser, watching(browser, first) as stream:
        assert (await stream.next())[0] == "reset"
    async with here.browser("viewer") as browser, watching(browser, f"{bus.epoch}.{bus.number - 599}") as stream:
        assert (await stream.next())[0] == "message"


async def test_snapshot_and_stream_leave_no_hole(here: County):
    """Stream first, snapshot second, frames above its number: that is the truth, whenever the snapshot was made."""
    members = here.house.hub.members

    async def change() -> None:
        for number in range(10_000):
            here.tell("ps-chengdong-1", {"inlet.level": 1 + number / 10_000})
            await asyncio.sleep(0.005)

    async with here.browser("viewer") as browser, here.browser("viewer") as other:
        changing = asyncio.create_task(change())
        for _ in range(8):
            await other.get("/api/v1/snapshot")  # so that a made one may be given again
            async with watching(browser) as stream:
                await stream.next()
                snapshot = (await browser.get("/api/v1/snapshot")).json()
                level = snapshot["states"]["ps-chengdong-1"]["v"][1]
                for _ in range(3):
                    event, data = await stream.next()
                    if event == "message" and stream.number > snapshot["number"] and "s:ps-chengdong-1" in data:
                        level = data["s:ps-chengdong-1"]["v"][1]
                        truth = members["ps-chengdong-1"].slots["inlet.level"].value
                        assert isinstance(truth, float)
                        assert truth - level < 0.01, "at most some frames behind"
        changing.cancel()
        here.tell("ps-chengdong-1", {"inlet.level": 2.19})
        async with watching(browser) as stream:
            await stream.next()
            snapshot = (await browser.get("/api/v1/snapshot")).json()
            assert snapshot["states"]["ps-chengdong-1"]["v"][1] == 2.19


# ---- viewers that are a burden ------------------------------------------------------------------------------------


async def test_a_slow_reader_is_bounded_and_gets_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with county(tmp_path, 300) as here, here.browser("viewer") as browser:
        bus: Bus = here.app.state.desk.bus
        host, port = here.url.removeprefix("http://").split(":")
        slow = socket.socket(proto=socket.IPPROTO_TCP)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        cookie = f"fieldhub={browser.cookies['fieldhub']}"
        slow.sendall(f"GET {LIVE} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        ids = list(here.house.hub.members)
        most = 0
        for turn in range(150):
            for device in ids:
                here.tell(device, {"inlet.level": 1 + turn / 50})
            bus._flush()
            await asyncio.sleep(0.002)
            most = max([most, *(viewer.keys_behind for viewer in bus.viewers)])
        assert bus.frames_merged > 10, "the connection was really full"
        assert 0 < most <= 2 * len(ids) + 10, "one value per key"
        slow.setblocking(False)
        got = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while f'"s:{ids[-1]}":'.encode() not in got or b'"v":["up",3.98' not in got:
                    got += await asyncio.get_running_loop().sock_recv(slow, 65536)
        slow.close()
        assert b'"v":["up",3.98' in got


async def test_who_is_too_far_behind_starts_anew(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MAX_BEHIND", 3)
    bus: Bus = here.app.state.desk.bus
    async with here.browser("viewer"):
        caller = next(iter(here.app.state.desk.gate._known.values()))
        viewer = bus.admit(caller)
        await viewer.next()
        for _ in range(2):
            for device in list(here.house.hub.members):
                here.tell(device, {"inlet.level": 1.0 + bus.number})
            bus._flush()
        assert (await viewer.next() or b"").startswith(b"event: reset\n")
        bus.dismiss(viewer)


async def test_a_connection_that_takes_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "STUCK_S", 0.3)
    async with county(tmp_path, 2000, loaded=False) as here, here.browser("viewer") as browser:
        bus: Bus = here.app.state.desk.bus
        host, port = here.url.removeprefix("http://").split(":")
        slow = socket.socket(proto=socket.IPPROTO_TCP)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(
            f"GET {LIVE} HTTP/1.1\r\nHost: x\r\nCookie: fieldhub={browser.cookies['fieldhub']}\r\n\r\n".encode()
        )
        ids = list(here.house.hub.members)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                turn = 0
                while turn < 10 or bus.viewers:
                    turn += 1
                    for device in ids:
                        here.tell(device, {"inlet.level": turn % 7 + 0.5, LINK: "up"})
                    await asyncio.sleep(0.03)
        assert not bus.viewers
        slow.close()


async def test_there_is_a_limit_to_viewers(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MAX_VIEWERS", 2)
    async with here.browser("viewer") as browser, watching(browser), watching(browser):
        answer = await browser.get(LIVE)
        assert (answer.status_code, answer.json()["code"]) == (503, "too_many_viewers")
        assert answer.headers["retry-after"] == "30"


async def test_who_leaves_is_forgotten(here: County):
    bus: Bus = here.app.state.desk.bus
    async with here.browser("viewer") as browser:
        async with watching(browser) as stream:
            await stream.next()
            assert len(bus.viewers) == 1
        await becomes(lambda: not bus.viewers)
        assert bus._pulse is None, "nothing ticks while nobody watches"
        here.tell("ps-chengdong-1", {"inlet.level": 5.0})
        assert bus._timer is None


async def test_a_head_request_opens_no_stream(here: County):
    async with here.browser("viewer") as browser:
        answer = await browser.head(LIVE)
        assert answer.status_code == 200
        assert not here.app.state.desk.bus.viewers


# ---- good-byes ----------------------------------------------------------------------------------------------------


async def test_signing_out_ends_the_stream_with_a_word(here: County):
    async with here.browser("viewer") as browser, watching(browser) as stream:
        await stream.next()
        await browser.delete("/api/v1/session")
        while (event := await stream.next())[0] in ("message", "hb"):
            pass
        assert event == ("bye", {"why": "session_over"})
        assert (await stream.next())[0] == "end"


async def test_who_is_disabled_by_another_process_is_shown_out(here: County, monkeypatch: pytest.MonkeyPatch):
    from msgspec.structs import replace

    async with here.browser("viewer") as browser, watching(browser) as stream:
        await stream.next()
        people = here.house.ledger.people
        person = await people.person("viewer")
        assert person is not None
        await people.change(replace(person, disabled=True))
        bus = here.app.state.desk.bus
        await here.app.state.desk.gate.recheck(viewer.ticket for viewer in bus.viewers)
        while (event := await stream.next())[0] in ("message", "hb"):
            pass
        assert event[0] == "bye"


async def test_whose_rights_another_process_changed_watches_no_more_and_may_come_back(here: County):
    from msgspec.structs import replace

    async with here.browser("viewer") as browser, watching(browser) as stream:
        await stream.next()
        people = here.house.ledger.people
        person = await people.person("viewer")
        assert person is not None
        await people.change(replace(person, grants=(Grant("auditor", ""),)))
        bus = here.app.state.desk.bus
        await here.app.state.desk.gate.recheck(viewer.ticket for viewer in bus.viewers)
        while (event := await stream.next())[0] in ("message", "hb"):
            pass
        assert event[0] == "bye"
        assert [it["role"] for it in (await browser.get("/api/v1/session")).json()["grants"]] == ["auditor"]


async def test_an_open_page_counts_as_presence(here: County):

    async with here.browser("viewer") as browser, watching(browser) as stream:
        await stream.next()
        caller = next(iter(here.app.state.desk.gate._known.values()))
        caller.seen -= caller.idle * 2
        await asyncio.sleep(0.3)
        assert (await browser.get("/api/v1/session")).status_code == 200


async def test_the_server_stops_quickly_with_open_streams(tmp_path: Path):
    async with county(tmp_path) as here:
        browser = here.browser("viewer")
        client = await browser.__aenter__()
        stream = watching(client)
        await (await stream.__aenter__()).next()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3
    with contextlib.suppress(httpx.HTTPError):
        await stream.__aexit__(None, None, None)
    await browser.__aexit__(None, None, None)


# ---- the bus by itself --------------------------------------------------------------------------------------------


async def test_while_nobody_watches_a_change_costs_one_entry(here: County):
    bus: Bus = here.app.state.desk.bus
    for number in range(1000):
        here.tell("ps-chengdong-1", {"inlet.level": number / 1000})
    assert list(bus._changed).count("ps-chengdong-1") == 1
    assert (bus.number, bus._timer, len(bus._ring)) == (0, None, 0)


def test_two_alarms_in_one_turn_of_the_servers_own_loop_are_told(tmp_path: Path):
    """Under uvloop, as the hub runs: what is due at once is no timer there, and does not know when it is due."""

    async def turn() -> set[str]:
        async with county(tmp_path, 1) as here, here.browser("viewer") as browser, watching(browser) as stream:
            await stream.next()
            here.raise_alarm("ps-chengdong-1", "a")
            await asyncio.sleep(2 * live.URGENT_GAP_S)
            here.app.state.desk.bus._last_frame = 0.0
            here.raise_alarm("ps-chengdong-1", "b")
            here.raise_alarm("ps-chengdong-1", "c")
            told: set[str] = set()
            while len(told) < 3:
                told |= {key for key in (await stream.next())[1] if key.startswith("a:")}
            return told

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(turn())) == 3


async def test_alarms_while_nobody_watches_are_bounded(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MAX_UNTOLD", 10)
    bus: Bus = here.app.state.desk.bus
    for number in range(25):
        here.raise_alarm("ps-chengdong-1", f"rule {number}")
    assert len(bus._untold) <= 10
    async with here.browser("viewer") as browser, watching(browser, f"{bus.epoch}.0") as stream:
        assert (await stream.next())[0] == "reset"
        assert len((await browser.get("/api/v1/snapshot")).json()["alarms"]) == 25


async def test_many_changes_at_once_come_in_frames_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "DEVICES_A_FRAME", 10)
    async with county(tmp_path, 35) as here, here.browser("viewer") as browser, watching(browser) as stream:
        told: set[str] = set()
        for device in here.house.hub.members:
            here.tell(device, {"inlet.level": 4.4})
        while len(told) < 36:
            event, data = await stream.next()
            keys = {key for key in data if key.startswith("s:")}
            assert len(keys) <= 10
            told |= keys if event == "message" else set()
