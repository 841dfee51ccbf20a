"""The demo county: what it is made of, that its story always heals, and that it runs as one small process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hub.config import read_site
from protocols.modbus import pdu
from protocols.modbus.frames import Frame, MbapStream, Side, seal_mbap, seal_rtu
from simulators.county import County, devices_toml
from simulators.county.control import ControlDesk
from simulators.county.stations import AREAS, COUNTY, NEWCOMER, SITES
from simulators.county.story import EVERY_S, RAIN, Story
from simulators.modbus.device import FAULTS, BadOrder
from simulators.modbus.server import TcpServer
from simulators.worlds.plc import Fault, Mode


@pytest.fixture
async def county():
    it = County(calm=True)
    await it.up()
    yield it
    await it.down()


# ---- what it is made of


def test_twelve_stations_in_four_towns_on_every_kind_of_wire():
    towns = {code for code, _, parent in AREAS if parent == COUNTY}
    assert len(towns) == 4
    assert len(SITES) == 12
    assert {site.area[:9] + "000" for site in SITES} == towns
    assert Counter(site.wire for site in SITES) == {"tcp": 6, "gateway": 3, "rtu": 1, "dtu": 2}
    assert {len(site.parameters.pumps) for site in SITES} == {2, 3, 4}
    assert len({site.parameters.pumps[0].motor.power_kw for site in SITES}) >= 6
    assert len({site.unit for site in SITES if site.wire == "gateway"}) == 3


def test_areas_are_a_tree_with_codes_of_twelve_digits_in_a_county_that_is_invented():
    codes = [code for code, _, _ in AREAS]
    assert len(set(codes)) == len(codes)
    for code, name, parent in AREAS:
        assert re.fullmatch("340299[0-9]{6}", code)
        assert re.search("[一-鿿]", name)
        assert parent in {*codes, ""}
    assert {site.area for site in SITES} <= set(codes)


def test_levels_are_plausible_and_fit_their_registers():
    for site in SITES:
        s = site.parameters.settings
        assert site.parameters.intake_m * 1000 < s.low_low_mm < s.stop_mm < s.start_mm < s.high_high_mm < 32767
        assert s.high_high_mm < site.parameters.spill_m * 1000
        assert site.parameters.outer_m > s.high_high_mm / 1000 - 1.0


async def test_its_devices_are_a_site_that_the_hub_takes_whole(county: County, tmp_path):
    from drivers import DRIVERS

    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "county.toml").write_text(devices_toml(county.ports), "utf-8")
    (tmp_path / "hub.toml").write_text("[drivers.modbus]\ndtu_port = 0\n", "utf-8")
    site = read_site(tmp_path, DRIVERS)
    assert [device.id for device in site.devices] == [one.id for one in SITES]
    assert [device.address for device in site.devices] == [county.address(one.id) for one in SITES]
    assert len(site.plates["ps-chengnan-1"].actions) > 8
    assert len(site.areas) == len(AREAS)


def test_ports_count_up_from_the_base_and_a_gateway_has_one():
    ports = County(base_port=15020, calm=True).ports
    assert sorted(set(ports.values())) == list(range(15020, 15028))
    assert ports["ps-liuhu-1"] == ports["ps-liuhu-2"] == ports["ps-qianjin-1"]
    assert tomllib.loads(devices_toml(ports))["device"][0]["address"] == "modbus+tcp://127.0.0.1:15020/1"


# ---- on the wire


async def ask(county: County, station: str, request: pdu.Request) -> pdu.Reply:
    site = next(site for site in SITES if site.id == station)
    reader, writer = await asyncio.open_connection("127.0.0.1", county.ports[station])
    writer.write(seal_mbap(Frame(site.unit, pdu.encode(request), 1)))
    stream, found = MbapStream(Side.REPLIES), []
    while not found:
        found = stream.feed(await asyncio.wait_for(reader.read(300), 2))
    writer.close()
    return pdu.decode(found[0], Side.REPLIES)


async def test_stations_behind_the_gateway_share_a_port_and_not_their_values(county: County):
    levels = {
        (await ask(county, station, pdu.Read(3, 380, 1))).data
        for station in ("ps-liuhu-1", "ps-liuhu-2", "ps-qianjin-1")
    }
    assert levels == {(6100).to_bytes(2, "big"), (6700).to_bytes(2, "big")}


async def test_link_loss_of_two_behind_the_gateway_lasts_until_both_are_healed(county: County):
    for station in ("ps-liuhu-1", "ps-liuhu-2"):
        county.switch(station, "link_loss", True)
    wire = county.devices["ps-qianjin-1"].wire
    await wire.settled()
    for station, there in (("ps-liuhu-1", False), ("ps-liuhu-2", True)):
        county.switch(station, "link_loss", False)
        await wire.settled()
        if there:
            assert isinstance(await ask(county, "ps-qianjin-1", pdu.Read(3, 1, 1)), pdu.Values)
        else:
            with pytest.raises(ConnectionRefusedError):
                await ask(county, "ps-qianjin-1", pdu.Read(3, 1, 1))


async def test_dtus_dial_the_hub_and_say_who_they_are():
    said: dict[bytes, asyncio.StreamWriter] = {}
    both = asyncio.Event()

    async def hub(reader, writer):
        said[await reader.readexactly(15)] = writer
        if len(said) == 3:
            both.set()

    server = await asyncio.start_server(hub, "127.0.0.1", 0)
    it = County(calm=True, hub=("127.0.0.1", server.sockets[0].getsockname()[1]))
    await it.up()
    await asyncio.wait_for(both.wait(), 5)
    assert set(said) == {site.imei.encode() for site in (*SITES, NEWCOMER) if site.wire == "dtu"}
    assert NEWCOMER.imei not in devices_toml(it.ports), "it is to be adopted"
    await it.down()
    for writer in said.values():
        writer.close()
    server.close()


# ---- its story


def test_the_same_seed_tells_the_same_story_and_something_happens_every_minute():
    def told(seed: int):
        return Story([(site.id, len(site.parameters.pumps)) for site in SITES], seed).due(7200.0)

    assert told(1) == told(1)
    assert told(1) != told(2)
    events = told(1)
    assert [b.at_s - a.at_s for a, b in pairwise(events)] == [EVERY_S] * (len(events) - 1)
    assert all(event.fault == RAIN or event.fault in FAULTS for event in events)
    assert all(event.for_s <= 240 for event in events)
    kinds = Counter(event.fault for event in events)
    assert {RAIN, "chattering_level", "pump_trip", "link_loss", "clogged_rack", "dead_unit"} <= set(kinds)
    assert {event.for_s for event in events if event.fault == "link_loss"} == {40}
    for station in {event.station for event in events}:
        own = [event for event in events if event.station == station]
        assert all(a.heals_at_s <= b.at_s for a, b in pairwise(own))


@pytest.mark.slow
async def test_after_an_hour_of_story_and_five_quiet_minutes_everything_is_well():
    it = County(seed=5)
    seen: Counter[str] = Counter()
    spread: dict[str, list[float]] = {id: [] for id in it.devices}
    for now in range(3600):
        it.tick(float(now), 1.0)
        for id, device in it.devices.items():
            seen.update(device.on)
            spread[id].append(device.station.level_m)
        if now % 60 == 0:
            await asyncio.sleep(0)
    assert len(seen) > 10
    it._story = None
    for now in range(3600, 3900):
        it.tick(float(now), 1.0)
    for id, device in it.devices.items():
        await device.settled()
        world = device.station
        assert device.on == {}, id
        assert world.plc.mode is Mode.AUTO, id
        assert all(pump.fault is Fault.NONE for pump in world.plc.pumps), id
        assert not any(sensor.ail.value for sensor in world.instruments.all()), id
        assert max(spread[id]) - min(spread[id]) > 0.5, f"the level of {id} hardly moves"
        lately = spread[id][-600:]
        assert max(lately) - min(lately) > 0.25, f"the level of {id} does not move within minutes"
    await it.down()


def test_a_fault_that_is_switched_for_a_while_heals_and_what_it_tripped_is_reset():
    it = County(calm=True)
    device = it.devices["ps-xinhe-1"]
    it.tick(0.0, 1.0)
    it.switch("ps-xinhe-1", "pump_trip", True, for_s=30.0, pump=2.0)
    assert device.station.plc.pumps[1].fault is Fault.MOTOR_PROTECTOR
    for now in range(1, 45):
        it.tick(float(now), 1.0)
    assert device.on == {}
    assert device.station.plc.pumps[1].fault is Fault.NONE


def test_after_switching_off_at_the_desk_there_is_a_minute_to_reset_it_from_the_hub():
    it = County(calm=True)
    pump = it.devices["ps-xinhe-1"].station.plc.pumps[0]
    it.switch("ps-xinhe-1", "pump_trip", True)
    it.switch("ps-xinhe-1", "pump_trip", False)
    for now in range(59):
        it.tick(float(now), 1.0)
    assert pump.fault is Fault.MOTOR_PROTECTOR
    for now in range(59, 63):
        it.tick(float(now), 1.0)
    assert pump.fault is Fault.NONE


def test_rain_falls_on_a_whole_town_and_nowhere_else():
    it = County(calm=True)
    it.rain("ps-liuhu-1", 120.0, 60.0)
    for now in range(60):
        it.tick(float(now), 1.0)
    assert {id for id, device in it.devices.items() if device.station.rain_mm_h} == {
        "ps-liuhu-1", "ps-liuhu-2", "ps-qianjin-1",
    }  # fmt: skip


# ---- the desk


def desk(it: County, **asked: Any) -> dict[str, Any]:
    return ControlDesk(it).answer(json.dumps(asked).encode())


async def test_the_desk_lists_what_can_be_switched(county: County):
    told = desk(county, do="list")
    assert told["ok"]
    assert [station["id"] for station in told["stations"]] == [site.id for site in SITES]
    assert told["stations"][0]["address"].startswith("modbus+tcp://127.0.0.1:")
    assert len(told["faults"]) == 12 * len(FAULTS)
    assert all(set(fault["title"]) == {"zh-CN", "en"} and fault["on"] is False for fault in told["faults"])


async def test_the_desk_switches_and_tells_the_truth(county: County):
    assert desk(county, do="set", station="ps-xinhe-1", fault="frozen_level", on=True, for_s=None) == {"ok": True}
    assert desk(county, do="get", station="ps-xinhe-1")["faults"] == ["frozen_level"]
    on = [(f["station"], f["fault"]) for f in desk(county, do="list")["faults"] if f["on"]]
    assert on == [("ps-xinhe-1", "frozen_level")]
    assert desk(county, do="set", station="ps-xinhe-1", fault="frozen_level", on=False)["ok"]
    truth = desk(county, do="get", station="ps-xinhe-1")
    assert truth["faults"] == []
    assert truth["level_m"] == county.devices["ps-xinhe-1"].station.level_m
    assert len(truth["pumps"]) == 2
    assert desk(county, do="rain", station="ps-xinhe-1", mm_h=30)["ok"]
    assert desk(county, do="reset", station="ps-xinhe-1")["ok"]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"do": "dance"}, 'write "do": one of list, get, set, reset, rain'),
        ({"do": "get", "station": "nowhere"}, 'there is no station "nowhere". Stations: ps-chengdong-1, '),
        ({"do": "get", "station": "ps-xinhe"}, 'there is no station "ps-xinhe". Did you mean "ps-xinhe-1"? Stations: '),
        (
            {"do": "set", "station": "ps-xinhe-1", "fault": "gremlins"},
            'there is no fault "gremlins". `fieldhub fault list` shows',
        ),
        (
            {"do": "set", "station": "ps-xinhe-1", "fault": "done_but_does_not_strat"},
            'there is no fault "done_but_does_not_strat". Did you mean "done_but_does_not_start"? `fieldhub',
        ),
        (
            {"do": "set", "station": "ps-xinhe-1", "fault": "link_loss", "for_s": -5},
            '"for_s" is -5. Write a number of seconds above 0',
        ),
        ({"do": "set", "station": "ps-xinhe-1"}, 'write "fault": its name, and "on": true or false'),
        ({"do": "set", "station": "ps-xinhe-1", "fault": "dry_run", "pump": 7}, "there is no pump 7; there are 2"),
        ({"do": "set", "station": "ps-xinhe-1", "fault": "dry_run", "pump": "x"}, "\"pump\" is a number, not 'x'"),
        ({"do": "set", "station": "ps-xinhe-1", "fault": "slow_answers", "by": 3}, '"slow_answers" has no option'),
        ({"do": "set", "station": "ps-xinhe-1", "fault": "dry_run", "by": 3}, '"dry_run" has no options but pump and'),
    ],
)
async def test_the_desk_says_what_was_wrong(county: County, asked: dict, error: str):
    told = desk(county, **asked)
    assert not told["ok"]
    assert told["error"].startswith(error)
    assert desk(county, do="get", station="ps-xinhe-1")["faults"] == []


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[]\n",
        b"\xff\n",
        b"{}\n",
        b'{"do": "set", "station": "ps-xinhe-1", "fault": "dry_run", "pump": NaN}\n',
    ],
)
async def test_nonsense_at_the_desk_is_answered_and_not_a_crash(county: County, line: bytes):
    assert ControlDesk(county).answer(line)["ok"] is False


def test_unknown_faults_are_refused_by_the_device_too():
    with pytest.raises(BadOrder):
        County(calm=True).switch("ps-xinhe-1", "gremlins", True)


# ---- as a process


class Process:
    def __init__(self, *options: str) -> None:
        self._options = options

    async def __aenter__(self) -> Process:
        self.it = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators.county", *self._options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**20,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_) -> None:
        if self.it.returncode is None:
            self.it.kill()
        await self.it.communicate()

    async def hello(self) -> dict[str, Any]:
        return json.loads(await asyncio.wait_for(self.it.stdout.readline(), 20))

    def cpu_s(self) -> float:
        with open(f"/proc/{self.it.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_says_where_and_stops_cleanly(number: signal.Signals):
    async with Process("--serve", "--calm") as process:
        hello = await process.hello()
        devices = tomllib.loads(hello["devices_toml"])["device"]
        assert len(devices) == 12
        assert hello["dtu_port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", hello["control_port"])
        writer.write(b'{"do": "get", "station": "ps-dawan-1"}\n')
        assert json.loads(await asyncio.wait_for(reader.readline(), 5))["ok"]
        process.it.send_signal(number)
        assert await asyncio.wait_for(process.it.wait(), 10) == 0
        assert await process.it.stderr.read() == b""
        writer.close()


async def test_it_ends_when_whoever_started_it_is_gone():
    async with Process("--serve") as process:
        await process.hello()
        process.it.stdin.close()
        assert await asyncio.wait_for(process.it.wait(), 10) == 0


async def test_print_devices_needs_no_sockets_and_a_base_port():
    async with Process("--print-devices", "--base-port", "15020") as process:
        out, _ = await process.it.communicate()
        assert process.it.returncode == 0
        assert out.decode() == devices_toml(County(base_port=15020, calm=True).ports)
    async with Process("--print-devices") as process:
        _, errors = await process.it.communicate()
        assert process.it.returncode == 2
        assert b"--print-devices needs --base-port" in errors


async def test_a_port_that_is_taken_is_said_and_not_a_stack_trace(county: County):
    taken = county.ports["ps-xinhe-1"]
    async with Process("--control-port", str(taken)) as process:
        _, errors = await process.it.communicate()
    assert process.it.returncode == 1
    assert errors.startswith(b"the county cannot listen: ")
    assert b"Traceback" not in errors


@pytest.mark.slow
async def test_the_whole_county_polled_by_a_hub_takes_less_than_a_tenth_of_a_core():
    async with Process("--serve") as process:
        hello = await process.hello()
        devices = tomllib.loads(hello["devices_toml"])["device"]
        lines = [re.fullmatch(r"modbus\+(tcp|rtutcp)://127.0.0.1:(\d+)/(\d+)", d["address"]) for d in devices]
        pollers = [asyncio.create_task(poll(*it.groups())) for it in lines if it]
        await asyncio.sleep(2)  # start-up is not the point
        begin = process.cpu_s()
        await asyncio.sleep(8)
        used = (process.cpu_s() - begin) / 8
        for poller in pollers:
            poller.cancel()
        assert used < 0.10, f"{used:.1%} of a core"


async def poll(kind: str, port: str, unit: str) -> None:
    """Three blocks every two seconds, as a hub does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    seal = seal_mbap if kind == "tcp" else seal_rtu
    try:
        while True:
            for at, count in ((0, 40), (100, 80), (300, 92)):
                writer.write(seal(Frame(int(unit), pdu.encode(pdu.Read(3, at, count)), at)))
                await asyncio.wait_for(reader.read(400), 2)
            await asyncio.sleep(2)
    except (TimeoutError, ConnectionError):  # the story cuts a link now and then
        return
    finally:
        writer.close()


def test_wires_of_stations_that_listen_are_ours():
    assert sum(isinstance(one.wire, TcpServer) for one in County(calm=True).devices.values()) == 10


def test_the_readme_names_every_fault_with_its_chinese_title():
    text = (Path(__file__).parents[2] / "simulators" / "README.md").read_text("utf-8")
    missing = [name for name, about in FAULTS.items() if f"| `{name}` | {about['title']['zh-CN']} |" not in text]
    assert missing == []
