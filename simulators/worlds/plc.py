"""A pump station's own controller: level control, interlocks, and commands that carry a number. Pure.

It is what water.md §3 asks of a PLC: whatever the hub does or fails to do, the pumps stay safe. Modes: local (somebody
stands at the cabinet), remote manual (the hub decides, and must show that it lives), remote auto (the PLC decides).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from math import isnan
from random import Random


class Mode(IntEnum):
    LOCAL = 0
    MANUAL = 1
    AUTO = 2


class State(IntEnum):
    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    FAULT = 4
    LOCKED_OUT = 5
    LOCAL = 6


class Fault(IntEnum):
    NONE = 0
    OVERLOAD = 1
    DRY_RUN = 2
    PHASE_LOSS = 3
    UNDERVOLTAGE = 4
    WINDING_HOT = 5
    BEARING_HOT = 6
    SEAL_LEAK = 7
    DID_NOT_START = 8
    MOTOR_PROTECTOR = 9


class Bar(IntFlag):
    """Why a pump may not start."""

    LOCAL = 1 << 0
    EMERGENCY_STOP = 1 << 1
    MAINS = 1 << 2
    LEVEL_LOW = 1 << 3
    STARTS_PER_HOUR = 1 << 4
    REST = 1 << 5
    FAULT = 1 << 6
    LOCKED_OUT = 1 << 7
    STAGGER = 1 << 8
    PLC = 1 << 9
    OUTER_LEVEL = 1 << 10
    LEVEL_INVALID = 1 << 11


class Order(IntEnum):
    START = 1
    STOP = 2
    RESET = 3


class Result(IntEnum):
    NONE = 0
    ACCEPTED = 1
    REFUSED = 2
    DONE = 3


@dataclass
class Settings:
    """What the hub may set. Levels in mm above the station's datum."""

    start_mm: int
    stop_mm: int
    low_low_mm: int
    high_high_mm: int
    duty_digits: int = 0  # 213: pump 2 leads; 0: in their order
    rotation_h: int = 0  # the lead changes after so many hours of running; 0: never


@dataclass(frozen=True)
class Limits:
    """What the PLC keeps to, set by whoever commissioned it."""

    starts_per_hour: int = 10
    rest_s: float = 60.0
    stagger_s: float = 15.0
    shortest_run_s: float = 180.0
    watchdog_s: float = 60.0
    hold_s: float = 600.0  # how long a pump stays off in auto when the hub has stopped it
    faults_to_lock_out: int = 3
    outer_limit_m: float = 1e9
    winding_trip_c: float = 145.0
    bearing_trip_c: float = 95.0


@dataclass(slots=True)
class Felt:
    """What the PLC's instruments say of one pump."""

    speed: float = 0.0  # 1 = nominal
    amperes: float = 0.0
    winding_c: float = 20.0
    bearing_c: float = 20.0
    leaks: bool = False


@dataclass(slots=True)
class Seen:
    """What the PLC's instruments say of the station."""

    level_m: float = 0.0
    outer_m: float = 0.0
    flow_m3h: float = 0.0
    volts: tuple[float, float, float] = (380.0, 380.0, 380.0)
    pumps: Sequence[Felt] = ()


@dataclass(frozen=True)
class Plate:
    """What the PLC was told of a pump when it was commissioned."""

    amperes: float
    flow_m3h: float
    ramp_s: float
    spin_down_s: float
    steers_speed: bool


@dataclass
class Pump:
    """The PLC's book on one pump."""

    plate: Plate
    state: State = State.STOPPED
    fault: Fault = Fault.NONE
    run: bool = False  # the contactor
    speed_chz: int = 5000
    order: int = 0
    number: int = 0
    result: Result = Result.NONE
    local: bool = False  # its own selector on the cabinet
    tagged: bool = False  # 挂牌: somebody works on it
    held_until_s: float = -1.0  # in auto: stopped by the hub, and left alone until then
    since_s: float = 0.0  # in this state
    stopped_at_s: float = -1e9
    run_s: float = 0.0
    starts: int = 0
    started_at_s: list[float] = field(default_factory=list)  # within the last hour
    faulted_at_s: list[float] = field(default_factory=list)
    suspect_s: dict[Fault, float] = field(default_factory=dict)

    @property
    def turning(self) -> bool:
        return self.state in (State.STARTING, State.RUNNING)


@dataclass
class Plc:
    """The controller. `scan` is called with what the instruments say; `run` and `speed_chz` of its pumps come out."""

    settings: Settings
    limits: Limits
    pumps: list[Pump]
    random: Random
    mode: Mode = Mode.AUTO
    emergency_stop: bool = False
    halted: bool = False
    now_s: float = 0.0
    heartbeat: int = 0
    watchdog: int = 0
    refuses: set[int] = field(default_factory=set)  # of these pumps (0 = first) every start is refused
    pretends: set[int] = field(default_factory=set)  # of these it says "done" and does nothing
    _seen: Seen = field(default_factory=Seen)
    _fed_s: float = 0.0
    _wanted: int = 0
    _last_start_s: float = -1e9
    _blind_s: float = 0.0
    _mains_wait_until_s: float = -1.0

    # ---- what the hub may do

    def feed_watchdog(self, word: int) -> None:
        self.watchdog = word
        self._fed_s = self.now_s

    def choose_mode(self, mode: int) -> bool:
        """The hub may choose between manual and auto; the selector on the cabinet goes before it."""
        if self.mode is Mode.LOCAL or mode not in (Mode.MANUAL, Mode.AUTO):
            return False
        self.mode = Mode(mode)
        self._fed_s = self.now_s
        for pump in self.pumps:
            pump.held_until_s = -1.0
        return True

    def set_speed(self, index: int, chz: int) -> None:
        pump = self.pumps[index]
        pump.speed_chz = min(max(chz, 2000), 5000) if pump.plate.steers_speed else 5000

    def command(self, index: int, order: int, number: int) -> Result:
        """A command is carried out when its number is new; the same number again changes nothing."""
        pump = self.pumps[index]
        if number == pump.number or self.halted:
            return pump.result
        pump.number, pump.order = number, order
        pump.result = self._obey(index, pump, order)
        return pump.result

    def _obey(self, index: int, pump: Pump, order: int) -> Result:
        if self.mode is Mode.LOCAL or pump.local:
            return Result.REFUSED
        match order:
            case Order.START if pump.turning or index in self.pretends:
                return Result.DONE
            case Order.START:
                if self.bars(index):
                    return Result.REFUSED
                pump.held_until_s = -1.0
                self._start(pump)
                return Result.ACCEPTED
            case Order.STOP:
                if self.mode is Mode.AUTO:
                    pump.held_until_s = self.now_s + self.limits.hold_s
                if not pump.turning:
                    return Result.DONE
                self._stop(pump)
                return Result.ACCEPTED
            case Order.RESET:
                pump.held_until_s = -1.0
                return Result.DONE if self._reset(pump) else Result.REFUSED
        return Result.REFUSED

    # ---- what somebody at the cabinet may do

    def reset_on_site(self, index: int) -> None:
        """Also unlocks a pump that faulted too often."""
        pump = self.pumps[index]
        pump.faulted_at_s.clear()
        if pump.state is State.LOCKED_OUT:
            self._enter(pump, State.FAULT)
        self._reset(pump)

    def trip(self, index: int, fault: Fault) -> None:
        """Something of the pump's own switched it off (a motor protector)."""
        self._fail(self.pumps[index], fault)

    # ---- what it says

    def bars(self, index: int) -> Bar:
        """All that keeps this pump from being started now."""
        pump, seen, now = self.pumps[index], self._seen, self.now_s
        bars = Bar(0)
        if self.mode is Mode.LOCAL or pump.local:
            bars |= Bar.LOCAL
        if self.emergency_stop:
            bars |= Bar.EMERGENCY_STOP
        if not self.mains_ok or now < self._mains_wait_until_s:
            bars |= Bar.MAINS
        if isnan(seen.level_m):
            bars |= Bar.LEVEL_INVALID
        elif seen.level_m * 1000 <= self.settings.low_low_mm:
            bars |= Bar.LEVEL_LOW
        if self._hour_left_s(pump) > 0:
            bars |= Bar.STARTS_PER_HOUR
        if pump.state is State.STOPPING or now - pump.stopped_at_s < self.limits.rest_s:
            bars |= Bar.REST
        if pump.state is State.FAULT:
            bars |= Bar.FAULT
        if pump.state is State.LOCKED_OUT or pump.tagged or index in self.refuses:
            bars |= Bar.LOCKED_OUT
        if now - self._last_start_s < self.limits.stagger_s:
            bars |= Bar.STAGGER
        if self.halted:
            bars |= Bar.PLC
        if seen.outer_m > self.limits.outer_limit_m:
            bars |= Bar.OUTER_LEVEL
        return bars

    def start_allowed_in_s(self, index: int) -> float:
        """Only what time will heal: rest, starts per hour, stagger, the wait after a power cut."""
        pump, now = self.pumps[index], self.now_s
        rest = pump.stopped_at_s + self.limits.rest_s - now
        if pump.state is State.STOPPING:
            rest = self.limits.rest_s + pump.plate.spin_down_s
        stagger = self._last_start_s + self.limits.stagger_s - now
        return max(0.0, rest, self._hour_left_s(pump), stagger, self._mains_wait_until_s - now)

    @property
    def mains_ok(self) -> bool:
        return min(self._seen.volts) > 0.75 * 380

    def duty(self) -> list[int]:
        """Pumps in the order in which they are started: as set, and whoever has run a rotation more goes behind."""
        digits = [int(digit) - 1 for digit in str(self.settings.duty_digits)]
        order = [i for i in dict.fromkeys(digits) if 0 <= i < len(self.pumps)]
        order += [i for i in range(len(self.pumps)) if i not in order]
        if turn_s := self.settings.rotation_h * 3600:
            order.sort(key=lambda i: self.pumps[i].run_s // turn_s)
        return order

    def start_level_m(self, place: int) -> float:
        """The level at which the pump at this place of the duty order starts: between start and high-high."""
        s = self.settings
        return (s.start_mm + (s.high_high_mm - s.start_mm) * place / max(len(self.pumps), 1)) / 1000

    # ---- its cycle

    def scan(self, seen: Seen, dt: float) -> None:
        if self.halted:
            return
        self.now_s += dt
        self.heartbeat = int(self.now_s) & 0xFFFF
        had_mains = self.mains_ok
        self._seen = seen
        if self.mains_ok and not had_mains:
            self._mains_wait_until_s = self.now_s + self.random.uniform(0, 60)
        for pump, felt in zip(self.pumps, seen.pumps, strict=True):
            pump.since_s += dt
            self._follow(pump, felt, dt)
            self._protect(pump, felt, dt)
        if self.mode is Mode.MANUAL and self.now_s - self._fed_s > self.limits.watchdog_s:
            self.choose_mode(Mode.AUTO)  # the hub is gone: the level is ours
        if self.mode is Mode.AUTO:
            self._control(dt)

    def _follow(self, pump: Pump, felt: Felt, dt: float) -> None:
        """What the pump's feedback says."""
        if pump.run:
            pump.run_s += dt
        goal = pump.speed_chz / 5000
        if pump.state is State.STARTING and felt.speed >= 0.95 * goal:
            self._enter(pump, State.RUNNING)
            if pump.order == Order.START and pump.result is Result.ACCEPTED:
                pump.result = Result.DONE
        elif pump.state is State.STARTING and pump.since_s > pump.plate.ramp_s + 15:
            self._fail(pump, Fault.DID_NOT_START)
        elif pump.state is State.STOPPING and felt.speed < 0.03:
            self._enter(pump, State.STOPPED)
            pump.stopped_at_s = self.now_s
            if pump.order == Order.STOP and pump.result is Result.ACCEPTED:
                pump.result = Result.DONE
        elif pump.state in (State.STOPPED, State.LOCAL):
            pump.state = State.LOCAL if self.mode is Mode.LOCAL or pump.local else State.STOPPED

    def _protect(self, pump: Pump, felt: Felt, dt: float) -> None:
        if not pump.turning:
            pump.suspect_s.clear()
            return
        level = self._seen.level_m
        if self.emergency_stop or max(self._seen.volts) < 50 or level * 1000 <= self.settings.low_low_mm:
            return self._stop(pump)
        complaints = self._complaints(pump, felt)
        pump.suspect_s = {fault: pump.suspect_s.get(fault, 0.0) + dt for fault, _ in complaints}
        for fault, longest_s in complaints:
            if pump.suspect_s[fault] > longest_s:
                return self._fail(pump, fault)

    def _complaints(self, pump: Pump, felt: Felt) -> list[tuple[Fault, float]]:
        """What is wrong with a pump that turns, and for how long it may be so."""
        plate, volts = pump.plate, self._seen.volts
        found: list[tuple[Fault, float]] = []
        if felt.leaks:
            found.append((Fault.SEAL_LEAK, 5.0))
        if felt.winding_c > self.limits.winding_trip_c:
            found.append((Fault.WINDING_HOT, 3.0))
        if felt.bearing_c > self.limits.bearing_trip_c:
            found.append((Fault.BEARING_HOT, 3.0))
        if min(volts) < 0.75 * max(volts):
            found.append((Fault.PHASE_LOSS, 3.0))
        elif min(volts) < 0.85 * 380:
            found.append((Fault.UNDERVOLTAGE, 5.0))
        if pump.state is State.RUNNING:
            load = 0.5 * felt.speed**3 if plate.steers_speed else 0.5  # half the plate is 60 % of normal
            if felt.amperes < load * plate.amperes:
                found.append((Fault.DRY_RUN, 10.0))
            elif pump.since_s > 30 and self._seen.flow_m3h < 0.2 * plate.flow_m3h * felt.speed:
                found.append((Fault.DRY_RUN, 5.0))
            if felt.amperes > 1.15 * plate.amperes:
                found.append((Fault.OVERLOAD, 20.0))
        return found

    def _control(self, dt: float) -> None:
        """The level decides: staggered start levels, one stop level."""
        level, stop_m = self._seen.level_m, self.settings.stop_mm / 1000
        self._blind_s = self._blind_s + dt if isnan(level) else 0.0
        if level <= stop_m or self._blind_s > 30:
            self._wanted = 0
            for pump in self.pumps:
                if pump.turning and (pump.since_s > self.limits.shortest_run_s or self._blind_s > 30):
                    self._stop(pump)
            return
        duty = self.duty()
        asked = sum(level >= self.start_level_m(place) for place in range(len(duty)))
        self._wanted = max(self._wanted, asked)
        able = [i for i in duty if self._able(i)]
        missing = self._wanted - sum(self.pumps[i].turning for i in duty)
        for i in able:
            if missing <= 0:
                break
            if not self.pumps[i].turning and not self.bars(i):
                self._start(self.pumps[i])
                missing -= 1

    def _able(self, index: int) -> bool:
        pump = self.pumps[index]
        if pump.state in (State.FAULT, State.LOCKED_OUT, State.LOCAL) or pump.tagged or index in self.pretends:
            return False
        return self.now_s >= pump.held_until_s

    # ---- changes of state

    def _enter(self, pump: Pump, state: State) -> None:
        pump.state, pump.since_s = state, 0.0

    def _start(self, pump: Pump) -> None:
        pump.run = True
        pump.starts += 1
        pump.started_at_s.append(self.now_s)
        self._last_start_s = self.now_s
        self._enter(pump, State.STARTING)

    def _stop(self, pump: Pump) -> None:
        if pump.order == Order.START and pump.result is Result.ACCEPTED:
            pump.result = Result.REFUSED
        pump.run = False
        self._enter(pump, State.STOPPING)

    def _fail(self, pump: Pump, fault: Fault) -> None:
        if pump.state in (State.FAULT, State.LOCKED_OUT):
            return
        if pump.turning:
            self._stop(pump)
        pump.fault = fault
        pump.stopped_at_s = self.now_s
        pump.suspect_s.clear()
        pump.faulted_at_s = [at for at in pump.faulted_at_s if self.now_s - at < 3600] + [self.now_s]
        often = len(pump.faulted_at_s) >= self.limits.faults_to_lock_out
        self._enter(pump, State.LOCKED_OUT if often else State.FAULT)

    def _reset(self, pump: Pump) -> bool:
        if pump.state is State.LOCKED_OUT:
            return False
        if pump.state is State.FAULT:
            pump.fault = Fault.NONE
            self._enter(pump, State.STOPPED)
        return True

    def _hour_left_s(self, pump: Pump) -> float:
        pump.started_at_s = [at for at in pump.started_at_s if self.now_s - at < 3600]
        if len(pump.started_at_s) < self.limits.starts_per_hour:
            return 0.0
        return pump.started_at_s[-self.limits.starts_per_hour] + 3600 - self.now_s
