"""A pump station's registers: what table PS-2026 says, by its addresses and its struct layouts."""

from __future__ import annotations

import struct
from dataclasses import replace
from math import isnan

import pytest

from protocols.modbus import pdu
from protocols.modbus.pdu import Why
from simulators.modbus.image import PumpStationImage
from simulators.modbus.unit import answer
from simulators.worlds.faults import begin
from simulators.worlds.motor import INVERTER, Motor
from simulators.worlds.plc import Mode, State
from tests.simulators.stations import PUMP, run, running, station


def read(image: PumpStationImage, at: int, layout: str, function: int = 3):
    """One value at a register of 40001+, by its struct letter."""
    count = struct.calcsize(f">{layout}") // 2
    reply = pdu.read_reply(answer(image, pdu.encode(pdu.Read(function, at, count))))
    assert isinstance(reply, pdu.Values), reply
    values = struct.unpack(f">{layout}", reply.data)
    return values[0] if len(values) == 1 else values


def write(image: PumpStationImage, at: int, *words: int) -> pdu.Reply:
    request = pdu.WriteWord(at, words[0]) if len(words) == 1 else pdu.WriteWords(at, pdu.data_of(words))
    return pdu.read_reply(answer(image, pdu.encode(request)))


def refused(reply: pdu.Reply) -> Why | None:
    return Why(reply.code) if isinstance(reply, pdu.Refusal) else None


def test_the_station_as_it_is():
    it = running(station(level_m=3.0, served_h=100.0))
    image = PumpStationImage(it)
    assert read(image, 0, "H") == it.plc.heartbeat
    assert read(image, 1, "H") == 2026
    assert read(image, 2, "H") == Mode.MANUAL
    assert read(image, 3, "H") == 0b11  # mains, remote allowed
    assert read(image, 10, "f") == pytest.approx(it.level_m, abs=0.03)
    assert read(image, 12, "f") == pytest.approx(it.outer_m, abs=0.03)
    assert read(image, 14, "f") == pytest.approx(it.rack_m, abs=0.02)
    assert read(image, 16, "f") == pytest.approx((it.level_m - it.rack_m + it.head_m - 1.0) * 9.81 / 1000, abs=0.003)
    assert read(image, 18, "f") == pytest.approx(it.flow_m3h, rel=0.02)
    assert read(image, 20, "d") == pytest.approx(it.meter_m3 + it.book.pumped_m3)
    assert read(image, 24, "I") == pytest.approx((it.meter_wh + it.book.energy_wh) / 10, abs=1)
    assert read(image, 29, "3H") == tuple(pytest.approx(volts * 10, abs=20) for volts in it.volts)
    assert read(image, 32, "3H") == tuple(pytest.approx(it.amperes * 10, rel=0.03) for _ in range(3))
    assert read(image, 36, "H") == pytest.approx(it.power_kw * 10, abs=1)
    factor = read(image, 35, "H") / 1000
    assert factor == pytest.approx(it.power_kw / (3**0.5 * max(it.volts) * it.amperes / 1000), abs=0.01)


def test_the_pumps_as_they_are():
    it = running(station(level_m=3.0, mode=Mode.MANUAL), 1)
    image = PumpStationImage(it)
    assert read(image, 100, "H") == State.STOPPED
    state, fault, amperes, speed = read(image, 120, "4H")
    assert (state, fault, speed) == (State.RUNNING, 0, 5000)
    assert amperes == pytest.approx(it.pumps[1].draw.amperes * 10, abs=10)
    winding, drive_end, other_end = read(image, 124, "3h")
    assert winding == pytest.approx(it.pumps[1].winding_c * 10, abs=10)
    assert drive_end == pytest.approx(it.pumps[1].bearing_de_c * 10, abs=1)
    assert other_end == pytest.approx(it.pumps[1].bearing_nde_c * 10, abs=1)
    assert read(image, 127, "H") == pytest.approx(it.pumps[1].vibration_mm_s * 100, abs=30)
    run_s, starts, leaks, valve, bars, wait_s = read(image, 128, "2I4H")
    assert (run_s, starts, leaks, valve) == (int(it.plc.pumps[1].run_s), 1, 0, 100)
    assert (bars, wait_s) == (it.plc.bars(1), 0)


def test_input_registers_are_the_same_and_coils_are_not_there():
    image = PumpStationImage(station())
    assert read(image, 10, "f", function=4) == read(image, 10, "f")
    assert refused(pdu.read_reply(answer(image, pdu.encode(pdu.Read(1, 0, 8))))) is Why.ILLEGAL_FUNCTION
    assert refused(pdu.read_reply(answer(image, pdu.encode(pdu.Read(3, 390, 20))))) is Why.ILLEGAL_ADDRESS
    assert refused(pdu.read_reply(answer(image, pdu.encode(pdu.Read(3, 0, 126))))) is Why.ILLEGAL_VALUE
    assert refused(pdu.read_reply(answer(image, pdu.encode(pdu.Read(3, 0, 0))))) is Why.ILLEGAL_VALUE


def test_a_command_in_one_write_with_its_number_gets_a_result():
    it = station(mode=Mode.MANUAL)
    image = PumpStationImage(it)
    assert write(image, 304, 1, 4711) == pdu.Written(16, 304, 2)
    assert read(image, 304, "4H") == (1, 4711, 5000, 1)  # accepted
    run(it, 30)
    assert read(image, 304, "4H") == (1, 4711, 5000, 3)  # done
    assert read(image, 120, "H") == State.RUNNING
    assert write(image, 304, 1, 4711) == pdu.Written(16, 304, 2)  # again: nothing happens
    run(it, 5)
    assert read(image, 130, "I") == 1
    write(image, 304, 9, 4712)
    assert read(image, 307, "H") == 2  # refused


def test_a_command_without_a_new_number_waits_for_it():
    it = station(mode=Mode.MANUAL)
    image = PumpStationImage(it)
    write(image, 300, 1)
    assert not it.plc.pumps[0].turning
    write(image, 301, 1)
    assert it.plc.pumps[0].turning


def test_speed_is_set_in_hundredths_and_clamped():
    image = PumpStationImage(station((replace(PUMP, motor=Motor(55.0, starter=INVERTER)), PUMP)))
    for asked, got in ((4250, 4250), (100, 2000), (6000, 5000)):
        assert write(image, 302, asked) == pdu.WriteWord(302, asked)
        assert read(image, 302, "H") == got


def test_settings_and_mode_are_written_and_nonsense_is_refused():
    it = station()
    image = PumpStationImage(it)
    write(image, 380, 2500, 1200, 600, 4000, 21, 8)
    assert read(image, 380, "6H") == (2500, 1200, 600, 4000, 21, 8)
    assert it.plc.duty() == [1, 0]
    assert refused(write(image, 381, 2600)) is Why.ILLEGAL_VALUE  # stop above start
    assert it.plc.settings.stop_mm == 1200
    assert write(image, 2, 1) == pdu.WriteWord(2, 1)
    assert it.plc.mode is Mode.MANUAL
    assert refused(write(image, 2, 0)) is Why.ILLEGAL_VALUE  # local is a selector on the cabinet
    begin(it, "local_mode")
    assert refused(write(image, 2, 1)) is Why.ILLEGAL_VALUE
    it.step(1.0)
    assert read(image, 3, "H") & 0b1010 == 0b1000  # the door is open, remote is not allowed


@pytest.mark.parametrize("at", [0, 10, 36, 99, 100, 303, 308, 379, 386, 391, 399])
def test_all_else_is_read_only(at: int):
    assert refused(write(PumpStationImage(station()), at, 1)) is Why.ILLEGAL_ADDRESS


def test_a_write_that_is_refused_in_part_changes_nothing():
    it = station(mode=Mode.MANUAL)
    image = PumpStationImage(it)
    assert refused(write(image, 300, 1, 7, 4000, 0)) is Why.ILLEGAL_ADDRESS  # 303 is the PLC's
    assert read(image, 300, "4H") == (0, 0, 5000, 0)
    assert not it.plc.pumps[0].turning


def test_the_watchdog_keeps_manual():
    it = station(mode=Mode.MANUAL)
    image = PumpStationImage(it)
    for n in range(10):
        write(image, 390, n)
        run(it, 10)
    assert it.plc.mode is Mode.MANUAL
    assert read(image, 390, "H") == 9
    run(it, 61)
    assert read(image, 2, "H") == Mode.AUTO


def test_mask_write_and_read_write():
    image = PumpStationImage(station())
    request = pdu.MaskWord(384, 0xFF00, 0x0015)
    assert pdu.read_reply(answer(image, pdu.encode(request))) == request
    assert read(image, 384, "H") == 0x15
    both = pdu.ReadWriteWords(384, 2, 385, pdu.data_of([12]))
    assert pdu.read_reply(answer(image, pdu.encode(both))) == pdu.Values(23, pdu.data_of([0x15, 12]))


@pytest.mark.parametrize(
    ("trouble", "bit"),
    [("emergency_stop", 2), ("local_mode", 3), ("flooding", 4), ("sensor_nan", 5), ("mains_loss", 6)],
)
def test_station_bits(trouble: str, bit: int):
    it = station()
    image = PumpStationImage(it)
    assert not read(image, 3, "H") >> bit & 1
    begin(it, trouble)
    run(it, 2)
    assert read(image, 3, "H") >> bit & 1


def test_what_has_no_number_is_nan_and_what_leaks_has_its_bit():
    it = station()
    image = PumpStationImage(it)
    begin(it, "sensor_nan")
    begin(it, "seal_leak", 1)
    run(it, 2)
    assert isnan(read(image, 10, "f"))
    assert isnan(read(image, 18, "f"))
    assert (read(image, 112, "H"), read(image, 132, "H")) == (0, 1)


def test_the_clock_of_a_plc_that_has_halted_stands_still_and_so_does_all_else():
    it = running(station(level_m=3.0))
    image = PumpStationImage(it)
    before = read(image, 0, "100H")
    begin(it, "plc_halt")
    run(it, 60)
    assert read(image, 0, "100H") == before


def test_what_is_longer_than_a_register_is_in_spans():
    image = PumpStationImage(station(pumps=3))
    assert image.spans == {10: 2, 12: 2, 14: 2, 16: 2, 18: 2, 20: 4, 24: 2} | {
        at: 2 for n in range(3) for at in (108 + 20 * n, 110 + 20 * n)
    }


def test_the_table_has_room_for_eight_pumps():
    assert read(PumpStationImage(station(pumps=8)), 240, "H") == State.STOPPED
    with pytest.raises(ValueError, match="room for 8 pumps, not 9"):
        PumpStationImage(station(pumps=9))


# ---- what the world's troubles look like in the registers


def seen(it, image: PumpStationImage) -> dict[str, float]:
    """What a hub reads of the station and its first pump."""
    state, fault, amperes, speed = read(image, 100, "4H")
    level, _, rack, _, flow = read(image, 10, "5f")
    return {
        "level": level, "rack": rack, "flow": flow, "state": state, "fault": fault, "amperes": amperes / 10,
        "speed": speed, "vibration": read(image, 107, "H") / 100, "bars": read(image, 114, "H"),
        "volts": min(read(image, 29, "3H")) / 10, "bits": read(image, 3, "H"), "kw": read(image, 36, "H") / 10,
    }  # fmt: skip


RUNS = {
    "stuck_float": lambda before, after: after["level"] == pytest.approx(3.85, abs=0.001),
    "frozen_level": lambda before, after: after["level"] == before["level"],
    "broken_wire": lambda before, after: after["level"] == 0 and after["state"] in (State.STOPPING, State.STOPPED),
    "sensor_nan": lambda before, after: isnan(after["level"]) and isnan(after["flow"]) and after["bits"] & 32,
    "clogged_rack": lambda before, after: after["rack"] > 0.25 and after["bits"] & 128,
    "mains_loss": lambda before, after: after["volts"] == after["kw"] == 0 and after["bits"] & 65 == 64,
    "phase_loss": lambda before, after: after["fault"] == 3 and after["volts"] < 220 and not after["bits"] & 1,
    "flooding": lambda before, after: after["bits"] & 16,
    "dry_run": lambda before, after: (after["state"], after["fault"]) == (State.FAULT, 2) and after["flow"] < 50,
    "blocked_pump": lambda before, after: (
        after["state"] == State.RUNNING
        and after["flow"] < 0.6 * before["flow"]
        and after["amperes"] < 0.8 * before["amperes"]
        and after["vibration"] > before["vibration"] + 2
    ),
    "pump_trip": lambda before, after: (after["state"], after["fault"]) == (State.FAULT, 9) and after["bars"] & 64,
    "seal_leak": lambda before, after: (after["state"], after["fault"]) == (State.FAULT, 7),
}


@pytest.mark.parametrize("trouble", RUNS)
def test_a_trouble_of_a_pump_that_runs_as_the_hub_reads_it(trouble: str):
    it = running(station(level_m=3.0, mode=Mode.MANUAL))
    image = PumpStationImage(it)
    before = seen(it, image)
    begin(it, trouble)
    run(it, 45)
    assert RUNS[trouble](before, seen(it, image)), seen(it, image)


def test_a_chattering_level_as_the_hub_reads_it():
    it = station(level_m=2.0)
    image = PumpStationImage(it)
    begin(it, "chattering_level")
    levels = []
    for _ in range(6):
        it.step(1.0)
        levels.append(read(image, 10, "f"))
    assert max(levels) - min(levels) > 0.4


@pytest.mark.parametrize(
    ("trouble", "result", "ends"),
    [
        ("pump_refuses", 2, (State.LOCKED_OUT, 0)),  # refused, and says why
        ("done_but_does_not_start", 3, (State.STOPPED, 0)),  # done, it says
        ("does_not_turn", 1, (State.FAULT, 8)),  # accepted, and then nothing
    ],
)
def test_a_start_that_comes_to_nothing_as_the_hub_reads_it(trouble: str, result: int, ends: tuple[int, int]):
    it = station(mode=Mode.MANUAL)
    image = PumpStationImage(it)
    begin(it, trouble)
    write(image, 300, 1, 1)
    assert read(image, 303, "H") == result
    run(it, 40)
    after = seen(it, image)
    assert (after["state"], after["fault"]) == ends
    assert after["flow"] == pytest.approx(0, abs=10)
    assert bool(after["bars"] & 128) == (trouble == "pump_refuses")
