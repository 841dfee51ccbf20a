"""The driver against simulated devices on real sockets: what it tells, what it can be told, and what it never does."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

import drivers
from drivers.modbus.driver import SPEC, open_driver
from drivers.modbus.options import Options
from hub.contract import BadConfig
from hub.model import OUTAGE, Device, LinkState, Quality, Stage, Words
from hub.words import house_words
from protocols.modbus.pdu import Why
from simulators.county.stations import SITES
from simulators.modbus import unit as simulated
from simulators.modbus.device import PumpStationDevice
from simulators.modbus.faults import Framing
from simulators.modbus.line import Unit
from simulators.modbus.unit import Refused
from simulators.worlds.plc import Mode
from simulators.worlds.pump_station import Station
from tests.drivers.modbus_site import CLOCK, PROFILES, Registers, command, device, driving, serving, until, word_at

TIMEOUT_S = 0.25


class PumpStation:
    """A simulated station and its PLC on a wire; a second of its time takes a second, or less."""

    def __init__(self, haste: float = 1.0) -> None:
        self.device = PumpStationDevice("ps", Station(SITES[0].parameters, seed=1))
        self.plc = self.device.station.plc
        self.pumps = len(self.device.station.pumps)
        self._haste = haste

    async def live(self) -> None:
        while True:
            self.device.station.step(0.1 * self._haste)
            await asyncio.sleep(0.1)

    def on(self, port: int) -> Device:
        return Device("ps", "东门泵站", "pump_station", f"modbus+tcp://127.0.0.1:{port}/1", "ps-2026",
                      settings={"pumps": self.pumps})  # fmt: skip


@pytest.fixture
async def station():
    station = PumpStation()
    station.plc.mode = Mode.MANUAL
    station.device.station.step(1.0)
    life = asyncio.create_task(station.live())
    yield station
    life.cancel()


# ---- what it tells ------------------------------------------------------------------------------------------------


async def test_a_pump_station_is_read_as_its_world_is(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (_, intake):
        plate = SPEC.nameplate(station.on(server.port))
        await until(lambda: {point for _, point in intake.latest} == set(plate.points) - {OUTAGE})  # the hub says it
        truth = station.device.truth()
        assert intake.value("ps", "inlet.level") == pytest.approx(truth["level_m"], abs=0.05)
        assert intake.value("ps", "outlet.level") == pytest.approx(truth["outer_m"], abs=0.05)
        assert intake.value("ps", "station.mode") == "manual"
        assert intake.value("ps", "pump1.running") is False
        assert intake.value("ps", "plc.table_version") == 2026
        assert intake.value("ps", "link") == LinkState.UP
        assert 0 < intake.value("ps", "link.rtt") < 100
        assert all(reading.quality is Quality.GOOD for reading in intake.latest.values())


async def test_one_poll_is_one_instant_of_one_device(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (_, intake):
        batches: list[Sequence] = []
        take = intake.take
        intake.take = lambda readings: (batches.append(readings), take(readings))  # type: ignore[method-assign]
        await until(lambda: len(batches) > 3)
        assert all(len({id(reading.at) for reading in batch}) == 1 for batch in batches)
        assert all(len({reading.device for reading in batch}) == 1 for batch in batches)


async def test_the_watchdog_register_is_fed(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]):
        await until(lambda: station.plc.watchdog == 1)


class Refusing(Registers):
    """Register 5 gives an exception; everything else is well."""

    code = 4

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        words = super().read(function, address, count)
        if address <= 5 < address + count:
            refused = Refused(Why.DEVICE_FAILURE)
            refused.code = self.code  # units also send codes that nobody has named
            raise refused
        return words


@pytest.mark.parametrize(
    ("code", "quality", "key"),
    [
        (1, Quality.BAD, "modbus.missing"),
        (2, Quality.BAD, "modbus.missing"),
        (3, Quality.BAD, "modbus.missing"),
        (4, Quality.BAD, "modbus.device_failure"),
        (5, Quality.UNCERTAIN, "modbus.busy"),
        (6, Quality.UNCERTAIN, "modbus.busy"),
        (8, Quality.BAD, "modbus.device_failure"),
        (10, Quality.BAD, "modbus.gateway"),
        (11, Quality.BAD, "modbus.gateway"),
        (99, Quality.BAD, "modbus.exception"),
    ],
)
async def test_what_an_exception_says_of_a_value(code: int, quality: Quality, key: str):
    memory = Refusing()
    unit = Unit(Registers())
    async with (
        serving({1: unit}) as server,
        driving([device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")]) as (
            _,
            intake,
        ),
    ):
        await until(lambda: intake.value("d", "word.w5"))
        memory.code = code
        unit.memory = memory
        await until(lambda: intake.latest["d", "word.w5"].quality is quality, 8)
        reading = intake.latest["d", "word.w5"]
        assert (reading.why.key, reading.value) == (key, None)
        unit.memory = Registers()
        if code > 3:  # what is not there is asked again in an hour
            await until(lambda: intake.latest["d", "word.w5"].quality is Quality.GOOD, 8)


async def test_holes_are_found_within_forty_extra_questions_and_not_asked_for_again():
    unit = Unit(Registers())
    unit.faults.switch("illegal_address", True, first=10, last=19)
    async with (
        serving({1: unit}) as server,
        driving([device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")]) as (
            _,
            intake,
        ),
    ):
        missing = [f"word.w{at}" for at in range(10, 20)]
        await until(lambda: all(("d", point) in intake.latest for point in missing))
        await until(lambda: intake.value("d", "word.w20") and intake.value("d", "word.w9"))
        assert {intake.latest["d", point].why.key for point in missing} == {"modbus.missing"}
        asked = unit.faults.asked
        assert asked <= 40 + 10
        await asyncio.sleep(1.0)
        later = unit.memory.asked[-20:]
        assert all(not (at <= 19 and at + count > 10) for _, at, count in later)
        assert intake.latest["d", "word.w9"].quality is Quality.GOOD
        assert intake.latest["d", "link"].value == LinkState.UP


async def test_a_device_that_has_none_of_the_registers_hints_at_the_address_base():
    unit = Unit(Registers(size=0))
    async with (
        serving({1: unit}) as server,
        driving([device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")]) as (
            _,
            intake,
        ),
    ):
        await until(lambda: any(words.key == "modbus.base_hint" for _, _, words in intake.puzzles), 10)


async def test_a_lost_line_makes_every_value_bad_and_a_returned_one_good_again():
    unit = Unit(Registers())
    async with (
        serving({1: unit}) as server,
        driving([device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")]) as (
            _,
            intake,
        ),
    ):
        await until(lambda: intake.value("d", "word.w111"))
        await server.down()
        await until(lambda: intake.value("d", "link") == LinkState.DOWN)
        assert intake.latest["d", "link"].why.key == "modbus.cannot_connect"
        words = [r for (_, point), r in intake.latest.items() if point.startswith("word.")]
        assert {(r.value, r.quality, r.why.key) for r in words} == {(None, Quality.BAD, "modbus.cannot_connect")}
        await server.up()
        await until(lambda: intake.latest["d", "word.w111"].quality is Quality.GOOD, 8)
        assert intake.value("d", "link") != LinkState.DOWN


async def test_what_a_stopped_peer_sends_when_it_goes_on_is_not_taken_for_new():
    unit = Unit(Registers())
    async with (
        serving({1: unit}) as server,
        driving([device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")]) as (
            _,
            intake,
        ),
    ):
        await until(lambda: intake.value("d", "word.w111"))
        unit.faults.switch("late_answers", True, after_s=0.6)
        await until(lambda: intake.value("d", "link") == LinkState.DOWN)
        assert intake.latest["d", "link"].why.key == "modbus.no_answer"
        before = len(intake.taken)
        await asyncio.sleep(1.0)
        assert [r for r in intake.taken[before:] if r.quality is Quality.GOOD and r.point.startswith("word.")] == []


async def test_the_roster_may_change_while_it_runs():
    units = {1: Unit(Registers(salt=1)), 2: Unit(Registers(salt=2))}
    async with serving(units) as server:
        at = f"modbus+tcp://127.0.0.1:{server.port}"
        one, two = device("a", f"{at}/1"), device("b", f"{at}/2")
        async with driving([one]) as (driver, intake):
            await until(lambda: intake.value("a", "word.w1") == word_at(1, 1))
            intake.roster.change([two])
            await until(lambda: intake.value("b", "word.w1") == word_at(1, 2))
            asked = len(units[1].memory.asked)
            intake.roster.change([two, device("a", f"{at}/2")])
            await until(lambda: intake.value("a", "word.w1") == word_at(1, 2))
            assert len(units[1].memory.asked) == asked
            assert server.connections == 1
            intake.roster.change([])
            await until(lambda: not driver.lines and server.connections == 0)


async def test_a_device_that_cannot_be_polled_is_a_puzzle_and_no_harm_to_the_others():
    async with serving({1: Unit(Registers())}) as server:
        good = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        bad = [device("x", "modbus+tpc://h/1"), device("y", "modbus+dtu:1/1"), device("z", good.address, "no-such")]
        async with driving([*bad, good]) as (_, intake):
            await until(lambda: intake.value("d", "word.w1"))
            assert [why.key for _, _, why in intake.puzzles] == ["modbus.bad_config"] * 3


# ---- what it can be told ------------------------------------------------------------------------------------------


async def test_a_pump_is_started_and_stopped_and_the_readings_show_it(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (driver, intake):
        await until(lambda: intake.value("ps", "pump1.may_start") is True, 10)
        sent: list[Words] = []
        receipt = await driver.carry_out(station.on(server.port), command(station.on(0), "pump1.start"), sent.append)
        assert receipt.stage is Stage.ACKNOWLEDGED
        assert receipt.words.key == "modbus.accepted_by_plc"
        assert [words.key for words in sent] == ["modbus.sent"]
        station._haste = 10
        await until(lambda: intake.value("ps", "pump1.running") is True, 15)
        receipt = await driver.carry_out(station.on(0), command(station.on(0), "pump1.stop"), sent.append)
        assert receipt.stage is Stage.ACKNOWLEDGED
        await until(lambda: intake.value("ps", "pump1.running") is False, 3)
        assert station.plc.pumps[0].number == 2


async def test_a_plc_that_refuses_says_why_in_both_languages(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (driver, intake):
        await until(lambda: intake.value("ps", "pump1.may_start") is not None)
        station.plc.pumps[0].tagged = True
        receipt = await driver.carry_out(station.on(0), command(station.on(0), "pump1.start"), lambda words: None)
        assert receipt.stage is Stage.REJECTED
        assert receipt.words.args["reasons"]["en"] == "locked out or tagged"
        assert receipt.words.args["reasons"]["zh-CN"] == "闭锁或挂牌"


async def test_a_plc_that_has_halted_does_not_take_the_number_and_nothing_is_claimed(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (driver, intake):
        await until(lambda: intake.value("ps", "pump1.may_start") is not None)
        station.plc.halted = True
        order = command(station.on(0), "pump1.start", within_s=1.5)
        receipt = await driver.carry_out(station.on(0), order, lambda words: None)
        assert (receipt.stage, receipt.words.key) == (Stage.EXPIRED, "modbus.no_result")


async def test_settings_are_written_and_read_back_and_nonsense_is_rejected(station: PumpStation):
    async with serving({1: station.device.unit}) as server, driving([station.on(server.port)]) as (driver, intake):
        await until(lambda: intake.value("ps", "setting.start_level") is not None)
        ps, quiet = station.on(0), lambda words: None
        level = station.plc.settings.start_mm / 1000 + 0.05
        order = command(ps, "setting.set_start_level", level=level)
        assert (await driver.carry_out(ps, order, quiet)).stage is Stage.ACKNOWLEDGED
        await until(lambda: intake.value("ps", "setting.start_level") == pytest.approx(level), 2)
        receipt = await driver.carry_out(ps, command(ps, "setting.set_start_level", level=31.0), quiet)
        assert (receipt.stage, receipt.words) == (Stage.REJECTED, Words("modbus.refused_by_device", {"code": 3}))
        receipt = await driver.carry_out(ps, command(ps, "setting.set_start_level", level=99.0), quiet)
        assert (receipt.stage, receipt.words.key) == (Stage.UNDELIVERED, "modbus.cannot_write")


async def test_a_stop_goes_ahead_of_twenty_dead_units():
    units = {1: Unit(Registers())}
    for n in range(2, 22):
        units[n] = Unit(Registers())
        units[n].faults.switch("dead_unit", True)
    async with serving(units, Framing.RTU) as server:
        at = f"modbus+rtutcp://127.0.0.1:{server.port}"
        roster = [device(f"d{n}", f"{at}/{n}", gap_ms=20, timeout_ms=250) for n in units]
        async with driving(roster) as (driver, intake):
            await until(lambda: intake.value("d1", "word.w111"), 10)
            waits = []
            for n in range(6):
                await asyncio.sleep(0.07 * n)
                begun = CLOCK.monotonic()
                receipt = await driver.carry_out(roster[0], command(roster[0], "word.stop"), lambda words: None)
                assert receipt.stage is Stage.ACKNOWLEDGED
                waits.append(CLOCK.monotonic() - begun)
            assert max(waits) < 1.2 * (TIMEOUT_S + 0.02) + 0.05, waits


async def test_what_was_sent_and_not_answered_is_read_back_and_never_sent_again():
    unit = Unit(Registers())
    async with serving({1: unit}) as server:
        d = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([d]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            unit.faults.switch("late_answers", True, after_s=0.6)
            sent: list[Words] = []
            receipt = await driver.carry_out(d, command(d, "word.set", value=77), sent.append)
            assert (receipt.stage, receipt.words.key) == (Stage.EXPIRED, "modbus.sent_but_silent")
            assert len(sent) == 1
            unit.faults.switch("late_answers", False)
            await until(lambda: intake.value("d", "word.w5") == 77)
            assert unit.memory.written == [(5, (77,))]


async def test_nothing_is_sent_when_the_line_is_down_or_the_deadline_has_passed():
    unit = Unit(Registers())
    async with serving({1: unit}) as server:
        d = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([d]) as (driver, intake):
            never: list[Words] = []
            await until(lambda: intake.value("d", "word.w111"))
            late = command(d, "word.set", within_s=-1, value=1)
            receipt = await driver.carry_out(d, late, never.append)
            assert (receipt.stage, receipt.words.key) == (Stage.UNDELIVERED, "modbus.too_late")
            await server.down()
            await until(lambda: intake.value("d", "link") == LinkState.DOWN)
            receipt = await driver.carry_out(d, command(d, "word.set", value=1), never.append)
            assert (receipt.stage, receipt.words.key) == (Stage.UNDELIVERED, "modbus.cannot_connect")
            receipt = await driver.carry_out(d, command(d, "word.no_such"), never.append)
            assert receipt.words.key == "modbus.no_action"
            stranger = device("s", d.address)
            assert (await driver.carry_out(stranger, command(d, "word.set"), never.append)).stage is Stage.UNDELIVERED
            assert (unit.memory.written, never) == ([], [])


async def test_a_command_whose_asker_has_gone_before_its_turn_is_not_sent():
    units = {1: Unit(Registers()), 2: Unit(Registers())}
    units[2].faults.switch("dead_unit", True)
    async with serving(units, Framing.RTU) as server:
        at = f"modbus+rtutcp://127.0.0.1:{server.port}"
        d, dead = device("d", f"{at}/1", timeout_ms=500), device("x", f"{at}/2", timeout_ms=500)
        async with driving([d, dead]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            await until(lambda: ("x", "link") in intake.latest)
            sent: list[Words] = []
            never = sent.append
            orders = [
                asyncio.create_task(driver.carry_out(d, command(d, "word.set", value=n), never)) for n in range(3)
            ]
            await asyncio.sleep(0)
            for order in orders:
                order.cancel()
            await asyncio.sleep(1.2)
            assert sent == []
            assert units[1].memory.written == []


async def test_a_bit_is_set_without_touching_the_others_also_where_function_22_is_not_known(monkeypatch):
    for knows in (True, False):
        unit = Unit(Registers())
        async with serving({1: unit}) as server:
            d = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
            async with driving([d]) as (driver, intake):
                await until(lambda intake=intake: intake.value("d", "word.w111"))
                if not knows:
                    plain = simulated._reply

                    def reply(memory, request, plain=plain):
                        if isinstance(request, simulated.pdu.MaskWord):
                            raise Refused(Why.ILLEGAL_FUNCTION)
                        return plain(memory, request)

                    monkeypatch.setattr(simulated, "_reply", reply)
                for _ in range(2):
                    unit.memory.words[7] = 0xE0
                    receipt = await driver.carry_out(d, command(d, "word.bit"), lambda words: None)
                    assert receipt.stage is Stage.ACKNOWLEDGED
                    assert unit.memory.words[7] == 0xE8


async def test_a_pulse_is_taken_back_in_the_same_turn():
    unit = Unit(Registers())
    async with serving({1: unit}) as server:
        d = device("d", f"modbus+tcp://127.0.0.1:{server.port}/1")
        async with driving([d]) as (driver, intake):
            await until(lambda: intake.value("d", "word.w111"))
            order = asyncio.create_task(driver.carry_out(d, command(d, "word.pulse"), lambda words: None))
            await until(lambda: unit.memory.written)
            order.cancel()  # whoever asked has gone; what was set is taken back all the same
            await until(lambda: unit.memory.written == [(8, (1,)), (8, (0,))])


# ---- what a site writes -------------------------------------------------------------------------------------------


def test_the_sample_is_a_site_that_can_be_used():
    sample = tomllib.loads((Path(drivers.__file__).parent / "modbus" / "sample.toml").read_text("utf-8"))
    options = Options.model_validate(sample["drivers"]["modbus"])
    assert open_driver(options, CLOCK) is not None
    for row in sample["device"]:
        one = Device(**row)
        SPEC.check(one)
        assert SPEC.nameplate(one).points


def test_a_sites_own_profiles_are_used_by_the_spec_and_their_mistakes_said(tmp_path: Path):
    Options.model_validate({"profiles_dir": PROFILES})
    assert "word.w5" in SPEC.nameplate(device("d", "modbus+tcp://h/1")).points
    (tmp_path / "x.toml").write_text("profile = 1\n", "utf-8")
    with pytest.raises(BadConfig, match=r"profiles/x\.toml › profile is 1\. Write a text"):
        Options.model_validate({"profiles_dir": tmp_path})
    Options.model_validate({})
    with pytest.raises(BadConfig, match='there is no Modbus profile "words"'):
        SPEC.nameplate(device("d", "modbus+tcp://h/1"))


def test_unknown_options_and_registrations_that_cannot_be_are_mistakes():
    for table in ({"dtu_prot": 1}, {"dtu_registrations": [{"how": "regex", "pattern": "("}]}, {"dtu_heartbeats": [""]}):
        with pytest.raises(ValidationError):
            Options.model_validate(table)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (
            "modbus+tpc://h:502/1",
            '"modbus+tpc" is no kind of Modbus line. Did you mean "tcp"? Write it like: modbus+tcp',
        ),
        ("modbus+tcp://h:502", '"" is no unit (a number from 0 to 255). Write it like: modbus+tcp://10.0.4.7:502/1'),
        ("modbus+tcp://h:502/256", '"256" is no unit (a number from 0 to 255)'),
        ("modbus+rtutcp://h/0", '"0" is no unit (a number from 1 to 247)'),
        ("modbus+tcp://:502/1", "has no host. Write it like"),
        ("modbus+tcp://h:99999/1", 'port "99999" is no port. Write a number from 1 to 65535. Write it like'),
        ("modbus+tcp://10.0..4.7:502/1", '"10.0..4.7" is no IPv4 address. Write four numbers from 0 to 255'),
        ("modbus+tcp://pump..local/1", '"pump..local" is no host name. Write parts of 1 to 63 letters, digits'),
        ("modbus+tls://[v1.x:7]/1", '"v1.x:7" is no IPv6 address. Write one like [fd00::7].'),
        ("modbus+rtu://[x/dev/ttyS0#1", "cannot be read. Write it like: modbus+rtu:///dev/ttyS0?baud=9600#3"),
        ("modbus+tcp://h:502/1?x=1", "has more than host, port and unit"),
        (
            "modbus+rtu:///dev/ttyS0?bauds=9600#3",
            '"bauds" is not known here. Did you mean "baud"? Known: baud, parity,',
        ),
        ("modbus+rtu:///dev/ttyS0?baud=9601#3", 'baud is "9601". Write one of: 1200, 2400,'),
        ("modbus+rtu:///dev/ttyS0?parity=X#3", 'parity is "X". Write N, E or O.'),
        ("modbus+rtu://COM3#3", "has no device. Write it like: modbus+rtu:///dev/ttyS0?baud=9600#3"),
        ("modbus+rtu:///dev/ttyS0?baud=9600", '"" is no unit (a number from 1 to 247)'),
        ("modbus+dtu:/1", "has no registration id"),
        ("modbus+dtu:8601/x", '"x" is no unit'),
    ],
)
def test_an_address_that_cannot_be_used_says_what_to_write(address: str, says: str):
    with pytest.raises(BadConfig) as bad:
        SPEC.check(device("d", address))
    assert bad.value.mistakes[0].startswith(f'address "{address}" › {says}')


def test_every_sentence_that_the_driver_says_exists_in_both_languages():
    words = house_words()
    source = "".join(file.read_text("utf-8") for file in (Path(drivers.__file__).parent / "modbus").glob("*.py"))
    said = set(re.findall(r'"(modbus\.[a-z_]+)"', source))
    assert said
    assert {key for key in said if key not in words} == set()
