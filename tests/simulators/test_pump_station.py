"""The world of a pump station: what must balance does, the same seed gives the same day, and troubles show."""

from dataclasses import replace
from itertools import pairwise
from math import isnan

import pytest

from simulators.worlds.faults import TROUBLES, begin, end, reset_on_site
from simulators.worlds.inflow import Cascade, Catchment, Gauge
from simulators.worlds.motor import DIRECT, INVERTER, SOFT, Motor, draw
from simulators.worlds.plc import Fault, Mode, Order, State
from simulators.worlds.pump_station import Station
from tests.simulators.stations import PUMP, parameters, run, running, station

DAY_S = 86400


@pytest.fixture(scope="module")
def day():
    """A station after 24 hours, what its water balance lacks (m3), and its energy (Wh)."""
    it = station(pumps=3, seed=11, showers_per_day=4.0)
    book, start_m3, start_wh, joules = it.book, it.volume_m3, it.book.energy_wh, 0.0
    before = book.into_m3 - book.pumped_m3 - book.spilt_m3
    for _ in range(DAY_S // 2):
        it.step(2.0)
        joules += it.power_kw * 2000
    error = book.into_m3 - book.pumped_m3 - book.spilt_m3 - before - (it.volume_m3 - start_m3)
    return it, error, joules / 3600 - (book.energy_wh - start_wh)


@pytest.mark.slow
class TestADay:
    def test_water_balances_within_a_thousandth(self, day):
        it, error_m3, _ = day
        assert abs(error_m3) < 0.001 * it.book.into_m3
        assert it.book.pumped_m3 == pytest.approx(sum(pump.volume_m3 for pump in it.pumps))

    def test_energy_is_power_over_time(self, day):
        it, _, error_wh = day
        assert abs(error_wh) < 1e-6 * it.book.energy_wh
        house_kwh = 24 * it.parameters.house_kw
        assert it.book.energy_wh / 1000 == pytest.approx(
            sum(pump.energy_kwh for pump in it.pumps) + house_kwh, rel=1e-3
        )

    def test_energy_per_volume_is_what_such_heads_cost(self, day):
        it, _, _ = day
        lowest_m, highest_m = 8.0 - 4.8, 16.0
        assert 2.725 * lowest_m / 0.85 < it.book.energy_wh / it.book.pumped_m3 < 2.725 * highest_m / 0.4

    def test_the_plc_kept_its_rules_all_day(self, day):
        it, _, _ = day
        assert all(len(pump.started_at_s) <= 6 for pump in it.plc.pumps)
        assert all(pump.fault is Fault.NONE for pump in it.plc.pumps)
        assert sum(pump.starts for pump in it.plc.pumps) > 20


@pytest.mark.parametrize("speed", [1.0, 0.9, 0.8])
def test_energy_per_volume_of_one_steady_pump(speed):
    it = running(station((replace(PUMP, motor=Motor(55.0, starter=INVERTER)),), level_m=3.0))
    it.plc.set_speed(0, round(5000 * speed))
    run(it, 60)
    wh, m3 = it.book.energy_wh, it.book.pumped_m3
    run(it, 60)
    assert 2.725 * it.head_m / 0.85 < (it.book.energy_wh - wh) / (it.book.pumped_m3 - m3) < 2.725 * it.head_m / 0.4


def test_the_same_seed_gives_the_same_day_and_another_gives_another():
    def trace(seed: int) -> list:
        it = Station(parameters(showers_per_day=20.0), seed)
        seen = []
        for _ in range(4000):
            it.step(1.0)
            seen.append((it.level_m, it.instruments.level.shown, it.power_kw, it.plc.pumps[0].state))
        return seen

    assert trace(5) == trace(5)
    assert trace(5) != trace(6)


def test_a_long_step_is_many_short_ones():
    whole, parts = Station(parameters(), 3), Station(parameters(), 3)
    whole.step(60.0)
    for _ in range(30):
        parts.step(2.0)
    assert (whole.level_m, whole.t_s) == (parts.level_m, parts.t_s)


def test_no_drop_is_lost_in_the_catchment_and_the_peak_comes_later():
    cascade = Cascade(lag_s=1800.0)
    out = [cascade.step(100.0 if n == 0 else 0.0, 10.0) for n in range(20000)]
    assert sum(out) + cascade.first_m3 + cascade.second_m3 == pytest.approx(100.0)
    assert out.index(max(out)) * 10 == pytest.approx(1800.0, rel=0.05)  # a Nash cascade of two peaks after one lag


def test_the_rain_gauge_keeps_five_minutes():
    gauge = Gauge()
    for _ in range(300):
        gauge.step(0.01, 1.0)
    assert gauge.last_5min_mm == pytest.approx(3.0, rel=0.04)
    for _ in range(310):
        gauge.step(0.0, 1.0)
    assert gauge.last_5min_mm == pytest.approx(0.0, abs=1e-9)
    assert gauge.total_mm == pytest.approx(3.0)


def test_sewage_is_least_at_night_and_most_at_breakfast_and_in_the_evening():
    catchment = Catchment(1000.0)
    by_hour = [catchment.dry_m3h(hour * 3600.0) for hour in range(24)]
    assert by_hour.index(min(by_hour)) in (2, 3, 4)
    assert by_hour.index(max(by_hour)) in (18, 19, 20)
    assert by_hour[8] > by_hour[11]
    assert sum(by_hour) / 24 == pytest.approx(1000.0, rel=0.01)


class TestAMotor:
    @pytest.mark.parametrize(("starter", "times"), [(DIRECT, 6.0), (SOFT, 3.0), (INVERTER, 1.1)])
    def test_starts_with_its_starter_s_current(self, starter, times):
        motor = Motor(55.0, starter=starter)
        assert draw(motor, 0.0, 380.0, starting=1.0).amperes == pytest.approx(times * motor.amperes)

    def test_draws_its_plate_current_at_its_plate_power(self):
        motor = Motor(55.0, starter=SOFT)
        full = draw(motor, 55.0, 380.0, starting=0.0)
        assert full.amperes == pytest.approx(motor.amperes, rel=0.01)
        assert full.kw / (full.kw**2 + full.kvar**2) ** 0.5 == pytest.approx(0.86, abs=0.01)

    def test_has_a_worse_power_factor_when_it_is_idle(self):
        motor = Motor(55.0, starter=SOFT)
        full, idle = draw(motor, 55.0, 380.0, 0.0), draw(motor, 10.0, 380.0, 0.0)
        assert idle.kw / idle.amperes < 0.6 * full.kw / full.amperes

    def test_warms_up_within_its_time_constant_and_cools_again(self):
        it = running(station(level_m=4.0, catchment=Catchment(1200.0)))
        run(it, 25 * 60 - 50)
        load = it.pumps[0].draw.amperes / PUMP.motor.amperes
        final = 26.0 + PUMP.motor.winding_rise_k * load**2
        assert it.pumps[0].winding_c == pytest.approx(26.0 + 0.63 * (final - 26.0), abs=2.5)
        begin(it, "mains_loss")
        run(it, 25 * 60)
        assert it.pumps[0].winding_c < 26.0 + 0.4 * (final - 26.0)


def test_voltage_sags_when_a_pump_starts_and_less_when_it_runs():
    it = station(level_m=3.0)
    idle = min(it.volts)
    it.plc.limits = replace(it.plc.limits, watchdog_s=1e9)
    it.plc.choose_mode(1)
    it.plc.command(0, 1, 1)
    lowest = min(min(it.volts) for _ in range(12) if not it.step(1.0))
    run(it, 30)
    assert lowest < min(it.volts) < idle


def test_a_pump_spins_down_and_its_valve_shuts():
    it = running(station(level_m=3.0))
    assert it.pumps[0].valve == 1.0
    it.plc.command(0, 2, it.plc.pumps[0].number + 1)
    it.step(1.0)
    assert 0.5 < it.pumps[0].speed < 1.0
    assert run(it, 20, lambda: it.pumps[0].speed == 0 and it.pumps[0].valve == 0)
    assert it.flow_m3h == 0


def test_vibration_is_least_at_best_efficiency():
    it = running(station(level_m=3.0))
    calm = it.pumps[0].vibration_mm_s
    it.outer_m = it.level_m + 15.0
    it.parameters = replace(it.parameters, outer_m=it.outer_m)
    run(it, 10)
    assert it.pumps[0].vibration_mm_s > 1.5 * calm


# ---- troubles, each by its name


def test_every_trouble_has_both_titles_begins_and_ends():
    for name, trouble in TROUBLES.items():
        assert set(trouble.title) == {"zh-CN", "en"}, name
        assert trouble.what, name
        it = station()
        begin(it, name, 1 if trouble.of_pump else 0)
        run(it, 5)
        end(it, name, 1 if trouble.of_pump else 0)
        reset_on_site(it)
        run(it, 120)
        normal = station().troubles
        assert it.troubles == normal, name
        assert all(pump.fault is Fault.NONE for pump in it.plc.pumps), name


@pytest.mark.parametrize(
    ("trouble", "fault", "within_s"),
    [
        ("dry_run", Fault.DRY_RUN, 15),
        ("phase_loss", Fault.PHASE_LOSS, 6),
        ("undervoltage", Fault.UNDERVOLTAGE, 10),
        ("seal_leak", Fault.SEAL_LEAK, 8),
        ("pump_trip", Fault.MOTOR_PROTECTOR, 1),
    ],
)
def test_what_a_running_pump_must_not_live_with_trips_it(trouble, fault, within_s):
    it = running(station(level_m=3.0))
    begin(it, trouble)
    assert run(it, within_s, lambda: it.plc.pumps[0].fault is fault)
    run(it, 30)
    assert it.plc.pumps[0].state is State.FAULT
    assert it.flow_m3h == 0


def test_a_winding_without_cooling_trips_in_the_end():
    it = running(station(level_m=3.0, haste=20.0))
    begin(it, "winding_hot")
    assert run(it, 600, lambda: it.plc.pumps[0].fault is Fault.WINDING_HOT)


def test_a_blocked_pump_gives_less_and_draws_less_and_no_protection_sees_it():
    it = running(station(level_m=3.0))
    flow, amperes, vibration = it.flow_m3h, it.pumps[0].draw.amperes, it.pumps[0].vibration_mm_s
    begin(it, "blocked_pump")
    run(it, 30)
    assert 0.4 * flow < it.flow_m3h < 0.6 * flow  # -60 % against the same head; the pipe resists less
    assert it.pumps[0].draw.amperes == pytest.approx(0.7 * amperes, rel=0.1)
    assert it.pumps[0].vibration_mm_s > vibration + 2.5
    assert it.plc.pumps[0].fault is Fault.NONE


def test_of_two_pumps_that_are_alike_in_all_only_the_one_in_trouble_suffers():
    it = station(level_m=3.0, mode=Mode.MANUAL)
    it.plc.limits = replace(it.plc.limits, stagger_s=0.0, watchdog_s=1e9)
    begin(it, "blocked_pump", 1)
    for pump in (0, 1):
        it.plc.command(pump, Order.START, 1)
    run(it, 40)
    assert it.pumps[1].flow_m3h == pytest.approx(0.4 * it.pumps[0].flow_m3h)


def test_a_clogged_rack_shows_only_while_water_flows():
    it = running(station(level_m=3.0))
    clean = it.rack_m
    begin(it, "clogged_rack")
    run(it, 40)
    assert it.rack_m > 0.25 > clean
    it.plc.command(0, 2, it.plc.pumps[0].number + 1)
    run(it, 90)
    assert it.rack_m < 0.02


def test_mains_loss_stops_everything_and_the_plc_lives_on():
    it = running(station(level_m=3.0))
    heartbeat = it.plc.heartbeat
    begin(it, "mains_loss")
    run(it, 40)
    assert (it.power_kw, it.flow_m3h, it.volts) == (0.0, 0.0, (0.0, 0.0, 0.0))
    assert it.on_battery
    assert it.plc.heartbeat > heartbeat
    assert it.plc.pumps[0].state is State.STOPPED


@pytest.mark.parametrize("trouble", ["frozen_level", "stuck_float"])
def test_a_stuck_level_does_not_move_whatever_the_water_does(trouble):
    it = running(station(level_m=3.0))
    begin(it, trouble)
    it.step(1.0)
    shown, level = it.instruments.level.shown, it.level_m
    run(it, 120)
    assert it.instruments.level.shown == shown
    assert it.level_m < level - 0.05
    assert (shown > 3.8) == (trouble == "stuck_float")
    end(it, trouble)
    run(it, 10)
    assert it.instruments.level.shown == pytest.approx(it.level_m, abs=0.02)


def test_a_chattering_level_jumps_to_both_sides():
    it = station()
    begin(it, "chattering_level")
    seen = []
    for _ in range(10):
        it.step(1.0)
        seen.append(it.instruments.level.shown - it.level_m)
    assert min(seen) < -0.2 < 0.2 < max(seen)
    assert all(a * b < 0 for a, b in pairwise(seen))


def test_sensor_nan_gives_no_number_and_a_broken_wire_the_bottom():
    it = station()
    begin(it, "sensor_nan")
    it.step(1.0)
    assert isnan(it.instruments.level.shown)
    assert isnan(it.instruments.flow.shown)
    end(it, "sensor_nan")
    begin(it, "broken_wire")
    it.step(1.0)
    assert it.instruments.level.shown == 0.0


def test_flooding_brings_more_than_the_pumps_can_lift_and_wets_the_room():
    it = station()
    begin(it, "flooding")
    it.step(1.0)
    assert it.flooded
    before = it.inflow_m3h
    end(it, "flooding")
    it.step(1.0)
    assert it.inflow_m3h == pytest.approx(before / 4, rel=0.01)
    assert not it.flooded


def test_a_leaking_flap_lets_water_back_and_turns_the_pump_backwards():
    it = station(catchment=Catchment(0.0), level_m=1.5)
    begin(it, "leaking_flap", 1)
    run(it, 30)
    assert it.pumps[1].speed < 0
    assert it.level_m > 1.5
    assert it.book.leaked_back_m3 > 0


def test_a_sump_that_is_full_runs_over_and_the_balance_knows():
    it = station(catchment=Catchment(20000.0))
    run(it, 900)
    assert it.level_m == pytest.approx(4.8)
    assert it.book.spilt_m3 > 100
