"""A station's own controller: whatever the hub does or fails to do, it keeps the interlocks of water.md §3."""

from dataclasses import replace
from itertools import pairwise

import pytest

from simulators.worlds.faults import begin, end, reset_on_site
from simulators.worlds.inflow import Catchment
from simulators.worlds.motor import INVERTER, Motor
from simulators.worlds.plc import Bar, Fault, Mode, Order, Result, State
from tests.simulators.stations import PUMP, run, running, station


def order(it, what: Order, pump: int = 0) -> Result:
    """A command with a new number."""
    return it.plc.command(pump, what, it.plc.pumps[pump].number + 1)


def manual(it):
    """In remote manual, with a hub that never dies."""
    it.plc.limits = replace(it.plc.limits, watchdog_s=1e9)
    it.plc.choose_mode(Mode.MANUAL)
    return it


class TestInAuto:
    def test_a_pump_starts_at_the_start_level_and_stops_at_the_stop_level(self):
        it = station(level_m=2.0, catchment=Catchment(700.0))
        assert run(it, 1200, lambda: it.plc.pumps[0].turning)
        assert it.level_m == pytest.approx(2.2, abs=0.05)
        assert run(it, 3600, lambda: not it.plc.pumps[0].turning)
        assert it.level_m == pytest.approx(1.0, abs=0.05)

    def test_more_water_brings_more_pumps_one_after_the_other(self):
        it = station(pumps=3, level_m=2.0, catchment=Catchment(6000.0))
        assert run(it, 900, lambda: it.plc.pumps[1].turning)
        assert it.level_m == pytest.approx(it.plc.start_level_m(1), abs=0.1)
        assert it.plc.pumps[0].turning
        assert not it.plc.pumps[2].turning

    def test_two_pumps_never_start_within_the_stagger(self):
        it = station(pumps=3, level_m=4.5, catchment=Catchment(3000.0))
        run(it, 120)
        begun = sorted(pump.started_at_s[0] for pump in it.plc.pumps)
        assert [b - a >= 15.0 for a, b in pairwise(begun)] == [True, True]

    def test_a_pump_runs_its_shortest_time_even_when_the_level_is_low(self):
        it = running(station(level_m=1.0, catchment=Catchment(0.0)))
        it.plc.choose_mode(Mode.AUTO)
        run(it, 60)
        assert it.plc.pumps[0].turning
        assert run(it, 180, lambda: not it.plc.pumps[0].turning)

    def test_the_next_in_duty_takes_over_from_one_that_fails(self):
        it = station(level_m=2.6, catchment=Catchment(1000.0))
        assert run(it, 60, lambda: it.plc.pumps[0].state is State.RUNNING)
        begin(it, "pump_trip", 0)
        assert run(it, 60, lambda: it.plc.pumps[1].state is State.RUNNING)
        assert it.plc.pumps[0].fault is Fault.MOTOR_PROTECTOR

    def test_duty_digits_say_who_leads(self):
        it = station(pumps=3)
        it.plc.settings.duty_digits = 312
        assert it.plc.duty() == [2, 0, 1]
        it.plc.settings.duty_digits = 2  # what is not named comes after
        assert it.plc.duty() == [1, 0, 2]

    def test_the_lead_changes_after_its_hours(self):
        it = station()
        it.plc.settings.rotation_h = 10
        it.plc.pumps[0].run_s, it.plc.pumps[1].run_s = 10.1 * 3600, 9.9 * 3600
        assert it.plc.duty() == [1, 0]
        it.plc.pumps[1].run_s = 10.2 * 3600
        assert it.plc.duty() == [0, 1]

    def test_a_pump_that_the_hub_has_stopped_stays_off_for_a_while(self):
        it = station(pumps=1, level_m=2.4)
        it.plc.limits = replace(it.plc.limits, hold_s=300.0)
        assert run(it, 30, lambda: it.plc.pumps[0].state is State.RUNNING)
        order(it, Order.STOP)
        assert not run(it, 250, lambda: it.plc.pumps[0].turning)
        assert run(it, 120, lambda: it.plc.pumps[0].turning)

    def test_without_a_level_everything_stops_after_half_a_minute(self):
        it = station(level_m=2.6)
        assert run(it, 60, lambda: it.plc.pumps[0].state is State.RUNNING)
        begin(it, "sensor_nan")
        run(it, 20)
        assert it.plc.pumps[0].turning
        assert run(it, 15, lambda: not it.plc.pumps[0].turning)
        assert it.plc.bars(0) & Bar.LEVEL_INVALID

    def test_after_a_power_cut_it_starts_again_staggered_and_not_at_once(self):
        it = station(level_m=4.0, catchment=Catchment(3000.0))
        run(it, 60)
        assert all(pump.turning for pump in it.plc.pumps)
        begin(it, "mains_loss")
        run(it, 120)
        end(it, "mains_loss")
        it.step(1.0)
        assert it.plc.bars(0) & Bar.MAINS
        wait_s = it.plc.start_allowed_in_s(0)
        assert 0 < wait_s <= 60
        assert run(it, 200, lambda: all(pump.turning for pump in it.plc.pumps))
        first, second = (pump.started_at_s[-1] for pump in it.plc.pumps)
        assert abs(first - second) >= 15


class TestACommand:
    def test_is_accepted_and_done_once_a_reading_would_show_it(self):
        it = manual(station())
        assert order(it, Order.START) is Result.ACCEPTED
        assert it.plc.pumps[0].state is State.STARTING
        assert run(it, 30, lambda: it.plc.pumps[0].result is Result.DONE)
        assert it.plc.pumps[0].state is State.RUNNING
        assert order(it, Order.STOP) is Result.ACCEPTED
        assert run(it, 30, lambda: it.plc.pumps[0].result is Result.DONE)
        assert it.plc.pumps[0].state is State.STOPPED

    def test_with_the_same_number_again_changes_nothing(self):
        it = manual(station())
        assert it.plc.command(0, Order.START, 4711) is Result.ACCEPTED
        run(it, 30)
        assert it.plc.command(0, Order.STOP, 4711) is Result.DONE  # the old one's result
        assert it.plc.pumps[0].state is State.RUNNING
        assert it.plc.pumps[0].starts == 1

    def test_for_what_is_so_already_is_done_at_once(self):
        it = running(station())
        assert order(it, Order.START) is Result.DONE
        assert it.plc.pumps[0].starts == 1
        assert order(it, Order.STOP, 1) is Result.DONE

    def test_that_the_plc_does_not_know_is_refused(self):
        assert manual(station()).plc.command(0, 9, 1) is Result.REFUSED

    def test_whose_pump_does_not_come_up_to_speed_ends_refused_with_a_fault(self):
        it = manual(station())
        begin(it, "does_not_turn")
        assert order(it, Order.START) is Result.ACCEPTED
        assert run(it, 40, lambda: it.plc.pumps[0].fault is Fault.DID_NOT_START)
        assert it.plc.pumps[0].result is Result.REFUSED

    def test_says_done_and_does_not_start_where_the_plc_pretends(self):
        it = manual(station())
        begin(it, "done_but_does_not_start")
        assert order(it, Order.START) is Result.DONE
        run(it, 60)
        assert it.plc.pumps[0].state is State.STOPPED
        assert it.flow_m3h == 0

    def test_what_pretends_to_start_stands_still_whoever_starts_it(self):
        it = station()
        begin(it, "done_but_does_not_start", 0)
        begin(it, "done_but_does_not_start", 1)
        it.level_m = it.plc.settings.high_high_mm / 1000
        run(it, 60)
        assert it.plc.mode is Mode.AUTO
        assert [pump.state for pump in it.plc.pumps] == [State.STOPPED] * 2

    def test_speed_is_kept_within_what_the_inverter_can_do(self):
        it = station((replace(PUMP, motor=Motor(55.0, starter=INVERTER)), PUMP))
        for asked, got in ((4200, 4200), (100, 2000), (9000, 5000)):
            it.plc.set_speed(0, asked)
            assert it.plc.pumps[0].speed_chz == got
        it.plc.set_speed(1, 4200)  # a soft starter steers no speed
        assert it.plc.pumps[1].speed_chz == 5000


class TestAStartIsRefused:
    def barred(self, it, bar: Bar, pump: int = 0) -> None:
        it.step(1.0)
        assert it.plc.bars(pump) & bar
        assert order(it, Order.START, pump) is Result.REFUSED
        assert not it.plc.pumps[pump].turning

    def test_in_local_mode_and_so_is_every_other_command(self):
        it = running(station())
        begin(it, "local_mode")
        self.barred(it, Bar.LOCAL, 1)
        assert order(it, Order.STOP, 0) is Result.REFUSED
        assert not it.plc.choose_mode(Mode.AUTO)
        assert it.plc.pumps[1].state is State.LOCAL

    def test_while_the_red_button_is_pressed_and_what_ran_stops(self):
        it = running(station())
        begin(it, "emergency_stop")
        self.barred(it, Bar.EMERGENCY_STOP, 1)
        assert not it.plc.pumps[0].turning

    def test_without_mains(self):
        it = manual(station())
        begin(it, "mains_loss")
        self.barred(it, Bar.MAINS)

    def test_below_low_low_and_what_ran_stops(self):
        it = running(station(level_m=1.2, catchment=Catchment(0.0)))
        assert run(it, 900, lambda: not it.plc.pumps[0].turning)
        assert it.level_m == pytest.approx(0.5, abs=0.05)
        self.barred(it, Bar.LEVEL_LOW, 1)

    def test_after_too_many_starts_in_an_hour(self):
        it = manual(station(level_m=4.0, mode=Mode.MANUAL))
        it.plc.limits = replace(it.plc.limits, starts_per_hour=2, rest_s=5.0)
        for _ in range(2):
            assert order(it, Order.START) is Result.ACCEPTED
            run(it, 30)
            order(it, Order.STOP)
            run(it, 40)
        self.barred(it, Bar.STARTS_PER_HOUR)
        assert it.plc.start_allowed_in_s(0) == pytest.approx(3600 - 141, abs=5)
        run(it, 3600)
        assert order(it, Order.START) is Result.ACCEPTED

    def test_before_it_has_rested(self):
        it = running(station())
        order(it, Order.STOP)
        run(it, 30)
        self.barred(it, Bar.REST)
        left_s = it.plc.start_allowed_in_s(0)
        assert 0 < left_s <= 60
        run(it, left_s + 1)
        assert order(it, Order.START) is Result.ACCEPTED

    def test_while_another_is_starting(self):
        it = manual(station())
        order(it, Order.START, 0)
        self.barred(it, Bar.STAGGER, 1)
        run(it, 15)
        assert order(it, Order.START, 1) is Result.ACCEPTED

    def test_until_a_fault_is_reset(self):
        it = manual(station())
        begin(it, "pump_trip")
        run(it, 90)
        self.barred(it, Bar.FAULT)
        assert order(it, Order.RESET) is Result.DONE
        assert order(it, Order.START) is Result.ACCEPTED

    def test_after_three_faults_until_somebody_comes(self):
        it = manual(station())
        for _ in range(3):
            begin(it, "pump_trip")
            order(it, Order.RESET)
        assert it.plc.pumps[0].state is State.LOCKED_OUT
        assert order(it, Order.RESET) is Result.REFUSED
        self.barred(it, Bar.LOCKED_OUT)
        reset_on_site(it)
        run(it, 70)
        assert order(it, Order.START) is Result.ACCEPTED

    @pytest.mark.parametrize("trouble", ["pump_refuses", "maintenance_tag"])
    def test_when_it_is_locked_or_tagged(self, trouble):
        it = manual(station())
        begin(it, trouble)
        self.barred(it, Bar.LOCKED_OUT)
        end(it, trouble)
        assert order(it, Order.START) is Result.ACCEPTED

    def test_when_the_river_is_too_high(self):
        it = manual(station())
        it.plc.limits = replace(it.plc.limits, outer_limit_m=9.0)
        begin(it, "river_high")
        run(it, 10)
        self.barred(it, Bar.OUTER_LEVEL)


class TestTheWatchdog:
    def test_without_a_hub_for_a_minute_the_level_is_the_plc_s_own(self):
        it = station(level_m=3.0, mode=Mode.MANUAL)
        it.plc.choose_mode(Mode.MANUAL)
        run(it, 55)
        assert it.plc.mode is Mode.MANUAL
        assert not it.plc.pumps[0].turning
        run(it, 10)
        assert it.plc.mode is Mode.AUTO
        assert run(it, 5, lambda: it.plc.pumps[0].turning)

    def test_a_hub_that_lives_keeps_manual(self):
        it = station(level_m=3.0, mode=Mode.MANUAL)
        it.plc.choose_mode(Mode.MANUAL)
        for n in range(20):
            it.plc.feed_watchdog(n)
            run(it, 10)
        assert it.plc.mode is Mode.MANUAL
        assert not any(pump.turning for pump in it.plc.pumps)


def test_a_plc_that_has_halted_changes_nothing_and_obeys_nothing():
    it = manual(station())
    begin(it, "plc_halt")
    beat = it.plc.heartbeat
    run(it, 30)
    assert it.plc.heartbeat == beat
    assert order(it, Order.START) is Result.NONE
    end(it, "plc_halt")
    run(it, 3)
    assert it.plc.heartbeat > beat
