"""What can go wrong in a station's world, by name. A trouble begins and ends; in between the physics do the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulators.worlds.plc import Fault, Mode
from simulators.worlds.sensor import Ail

if TYPE_CHECKING:
    from simulators.worlds.pump_station import Station


@dataclass
class Troubles:
    """What the physics look at. Sets hold pumps, 0 = first."""

    no_mains: bool = False
    phase_lost: bool = False
    room_floods: bool = False
    volts_factor: float = 1.0
    inflow_factor: float = 1.0
    rack_factor: float = 1.0
    river_rise_m: float = 0.0
    does_not_turn: set[int] = field(default_factory=set)
    dry: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    flap_leaks: set[int] = field(default_factory=set)
    seal_leaks: set[int] = field(default_factory=set)
    bearing_worn: set[int] = field(default_factory=set)
    winding_hot: set[int] = field(default_factory=set)

    def through(self, pump: int) -> float:
        """The share of a pump's water that gets through it."""
        return 0.0 if pump in self.dry else 0.4 if pump in self.blocked else 1.0

    def current_factor(self, pump: int) -> float:
        return (0.78 if pump in self.blocked else 1.0) * (1.55 if self.phase_lost else 1.0)

    def winding_k(self, pump: int) -> float:
        return 95.0 if pump in self.winding_hot else 0.0

    def bearing_k(self, pump: int) -> float:
        return 55.0 if pump in self.bearing_worn else 0.0

    def vibration_mm_s(self, pump: int) -> float:
        return (5.5 if pump in self.bearing_worn else 0.0) + (3.0 if pump in self.blocked else 0.0)


Change = Callable[["Station", int], None]


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble. `what` is what staff would see."""

    name: str
    title: dict[str, str]
    what: str
    begin: Change
    end: Change
    of_pump: bool = False


def begin(station: Station, name: str, pump: int = 0) -> None:
    """Let a trouble begin. Raises KeyError when there is none of this name, IndexError when there is no such pump."""
    trouble = TROUBLES[name]
    if trouble.of_pump and not 0 <= pump < len(station.pumps):
        raise IndexError(f"there is no pump {pump + 1}")
    trouble.begin(station, pump)


def end(station: Station, name: str, pump: int = 0) -> None:
    """Let it end. What the PLC has locked stays so until somebody resets it."""
    TROUBLES[name].end(station, pump)


def reset_on_site(station: Station) -> None:
    """Somebody drives there and resets what has tripped."""
    for index, pump in enumerate(station.plc.pumps):
        if pump.fault is not Fault.NONE:
            station.plc.reset_on_site(index)


# ---- the list -----------------------------------------------------------------------------------------------------


def _level(ail: Ail, at_high_high: bool = False) -> tuple[Change, Change]:
    def begins(station: Station, pump: int) -> None:
        sensor = station.instruments.level
        sensor.ail = ail
        if at_high_high:
            sensor.shown = station.plc.settings.high_high_mm / 1000 + 0.05

    def ends(station: Station, pump: int) -> None:
        station.instruments.level.ail = Ail.NOTHING

    return begins, ends


def _all_nan(ail: Ail) -> Change:
    def change(station: Station, pump: int) -> None:
        see = station.instruments
        for sensor in (see.level, see.flow, see.pressure):
            sensor.ail = ail

    return change


def _set(field_name: str, value: object, normal: object) -> tuple[Change, Change]:
    def begins(station: Station, pump: int) -> None:
        setattr(station.troubles, field_name, value)

    def ends(station: Station, pump: int) -> None:
        setattr(station.troubles, field_name, normal)

    return begins, ends


def _pump(field_name: str) -> tuple[Change, Change]:
    def begins(station: Station, pump: int) -> None:
        getattr(station.troubles, field_name).add(pump)

    def ends(station: Station, pump: int) -> None:
        getattr(station.troubles, field_name).discard(pump)

    return begins, ends


def _trips(station: Station, pump: int) -> None:
    station.plc.trip(pump, Fault.MOTOR_PROTECTOR)


def _nothing(station: Station, pump: int) -> None:
    """A trip ends when somebody resets it."""


def _plc(change: Callable[[Station, int, bool], None]) -> tuple[Change, Change]:
    return lambda station, pump: change(station, pump, True), lambda station, pump: change(station, pump, False)


def _refuses(station: Station, pump: int, on: bool) -> None:
    (station.plc.refuses.add if on else station.plc.refuses.discard)(pump)


def _pretends(station: Station, pump: int, on: bool) -> None:
    (station.plc.pretends.add if on else station.plc.pretends.discard)(pump)


def _tagged(station: Station, pump: int, on: bool) -> None:
    station.plc.pumps[pump].tagged = on


def _halts(station: Station, pump: int, on: bool) -> None:
    station.plc.halted = on


def _emergency(station: Station, pump: int, on: bool) -> None:
    station.plc.emergency_stop = on


def _local(station: Station, pump: int, on: bool) -> None:
    station.plc.mode = Mode.LOCAL if on else station.parameters.mode


def _floods(station: Station, pump: int, on: bool) -> None:
    station.troubles.room_floods = on
    station.troubles.inflow_factor = 4.0 if on else 1.0


_List = tuple[str, str, str, str, tuple[Change, Change]]

_OF_STATION: tuple[_List, ...] = (
    (
        "stuck_float",
        "液位计卡在高位",
        "Level stuck high",
        "the level stands at its high-high limit and moves no more; the PLC pumps until it runs dry",
        _level(Ail.STUCK, at_high_high=True),
    ),
    ("frozen_level", "液位计读数冻结", "Level frozen", "the level stays at its last value", _level(Ail.STUCK)),
    (
        "chattering_level",
        "液位跳动",
        "Level chatters",
        "the level jumps up and down by 0.25 m every second",
        _level(Ail.CHATTER),
    ),
    ("level_spikes", "液位尖峰", "Level has spikes", "one level in twenty is 0.25 m too high", _level(Ail.SPIKES)),
    (
        "broken_wire",
        "液位计断线",
        "Level wire broken",
        "4-20 mA below 3.6 mA: the level reads 0",
        _level(Ail.BROKEN_WIRE),
    ),
    (
        "sensor_nan",
        "仪表无有效值",
        "Instruments give no number",
        "level, flow and pressure are NaN",
        (_all_nan(Ail.NAN), _all_nan(Ail.NOTHING)),
    ),
    (
        "clogged_rack",
        "拦污栅堵塞",
        "Trash rack clogged",
        "the difference over the rack grows when pumps run",
        _set("rack_factor", 9.0, 1.0),
    ),
    (
        "mains_loss",
        "市电中断",
        "Mains lost",
        "voltages are 0, pumps run down, the PLC lives on its battery",
        _set("no_mains", True, False),
    ),
    (
        "phase_loss",
        "缺相",
        "Phase lost",
        "two of three voltages halve; pumps that run trip within seconds",
        _set("phase_lost", True, False),
    ),
    ("overvoltage", "过电压", "Overvoltage", "12 % above nominal", _set("volts_factor", 1.12, 1.0)),
    ("undervoltage", "欠电压", "Undervoltage", "20 % too low; pumps that run trip", _set("volts_factor", 0.8, 1.0)),
    (
        "flooding",
        "泵房进水",
        "Pump room floods",
        "inflow is four times as much, and water stands in the pump room",
        _plc(_floods),
    ),
    ("river_high", "外河高水位", "River high", "the outer level is 1.5 m higher", _set("river_rise_m", 1.5, 0.0)),
    ("plc_halt", "PLC 停机", "PLC halted", "the heartbeat stands still; so does every value", _plc(_halts)),
    ("emergency_stop", "急停", "Emergency stop", "somebody has pressed the red button", _plc(_emergency)),
    (
        "local_mode",
        "就地控制",
        "Local control",
        "somebody stands at the cabinet: remote commands are refused",
        _plc(_local),
    ),
)

_OF_PUMP: tuple[_List, ...] = (
    ("pump_trip", "电机保护跳闸", "Pump tripped", "the motor protector has switched the pump off (fault 9)",
     (_trips, _nothing)),
    ("pump_refuses", "拒绝启动", "Pump refuses", "the PLC refuses each start: locked out", _plc(_refuses)),
    ("done_but_does_not_start", "回复完成但未启动", "Says done, does not start",
     "the PLC answers a start with 'done', and the pump stands still", _plc(_pretends)),
    ("does_not_turn", "接触器未吸合", "Does not turn", "accepted, but it never comes up to speed (fault 8)",
     _pump("does_not_turn")),
    ("dry_run", "水泵干抽", "Dry run", "no water reaches the pump: flow 0, current low; the PLC stops it (fault 2)",
     _pump("dry")),
    ("blocked_pump", "水泵堵塞", "Pump blocked", "flow -60 %, current -30 %, it shakes; no protection sees it",
     _pump("blocked")),
    ("leaking_flap", "拍门漏水", "Flap leaks", "water runs back through the stopped pump and turns it backwards",
     _pump("flap_leaks")),
    ("seal_leak", "机械密封泄漏", "Seal leaks", "the leak probe is wet; the pump trips (fault 7)", _pump("seal_leaks")),
    ("bearing_wear", "轴承磨损", "Bearing worn", "it shakes, and the bearing grows hot", _pump("bearing_worn")),
    ("winding_hot", "绕组过热", "Winding hot", "cooling fails: the winding warms up until it trips (fault 5)",
     _pump("winding_hot")),
    ("maintenance_tag", "检修挂牌", "Maintenance tag", "somebody works on this pump: it may not start", _plc(_tagged)),
)  # fmt: skip

TROUBLES: dict[str, Trouble] = {
    name: Trouble(name, {"zh-CN": zh, "en": en}, what, begins, ends, of_pump)
    for of_pump, many in ((False, _OF_STATION), (True, _OF_PUMP))
    for name, zh, en, what, (begins, ends) in many
}

# Troubles in how the PLC obeys: whoever tries one out means the pump that is started next, whichever that is.
OF_OBEYING = frozenset({"pump_refuses", "done_but_does_not_start", "does_not_turn"})
