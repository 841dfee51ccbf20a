"""What the tests of rules stand on: a nameplate, slots to write to, and a rule in as few words as it takes."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

from drivers.modbus import profile
from hub.contract import Finding
from hub.model import Action, Arg, Device, Kind, Nameplate, Point, Quality
from hub.slot import Heard, Slot
from rules.book import Book
from rules.condition import Condition
from rules.load import read
from rules.rule import Rule

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
DEVICE = Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://10.0.4.7:502/1", profile="ps-2026")

_POINTS = (
    Point("inlet.level", unit="m", low=-20, high=200, digits=2),
    Point("outlet.pressure", unit="MPa", low=-0.1, high=10, digits=2),
    Point("setting.high_high_level", unit="m"),
    Point("setting.margin", unit="mm"),
    Point("station.flow", unit="m3/h"),
    Point("station.fault_code"),
    Point("station.mode", Kind.ENUM, labels={0: "local", 1: "auto"}),
    Point("station.name", Kind.TEXT),
    Point("station.place", Kind.POSITION),
    Point("rack.valve", unit="%", low=0, high=100),
    Point("mains.voltage", unit="V"),
    Point("mains.power_factor"),
    *(
        point
        for n in (1, 2)
        for point in (
            Point(f"pump{n}.running", Kind.BOOL),
            Point(f"pump{n}.state", Kind.ENUM, labels={0: "stopped", 2: "running", 4: "fault", 5: "locked out"}),
            Point(f"pump{n}.current", unit="A", digits=1),
            Point(f"pump{n}.winding", unit="°C", digits=0),
            Point(f"pump{n}.bearing", unit="K"),
        )
    ),
)
_ACTIONS = (
    Action("pump1.stop", safety=True),
    Action("pump2.stop", safety=True),
    Action("pump1.set_speed", args=(Arg("speed", unit="Hz"),)),
)
PLATE = Nameplate({point.key: point for point in _POINTS}, {action.key: action for action in _ACTIONS})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def station(pumps: int = 3) -> tuple[Device, Nameplate]:
    """A station with the shipped table PS-2026."""
    device = Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://10.0.4.7:502/1", "ps-2026", "", {"pumps": pumps})
    return device, profile.load().plate("ps-2026", {"pumps": pumps}).nameplate


def slots(plate: Nameplate = PLATE) -> dict[str, Slot]:
    return {key: Slot(DEVICE.id, point, number) for number, (key, point) in enumerate(plate.points.items())}


def put(where: Mapping[str, Slot], values: Mapping[str, Any], when: datetime = NOON) -> None:
    """These values, GOOD; ... is a BAD reading."""
    for key, value in values.items():
        where[key].put(None if value is ... else value, Quality.BAD if value is ... else Quality.GOOD, when)


def ask(text: str, values: Mapping[str, Any]) -> bool | None:
    """What a condition answers on these values; points that are not named have no data yet."""
    where = slots()
    put(where, values)
    condition = Condition(text)
    return condition.on(PLATE.points).bind([where[key] for key in condition.reads(PLATE.points)])()


def rule(when: str, **fields: Any) -> Rule:
    """A rule with what it must have."""
    must = {"name": "r", "kind": "pump_station", "severity": "medium", "say": {"zh-CN": "水位", "en": "level"}}
    return read({**must, "when": when, **fields}, "rules/test.toml")


class Scene:
    """A book with one device; `take` gives readings, `tick` lets time pass. Each returns what became of it."""

    def __init__(self, *rules: Rule, plate: Nameplate = PLATE) -> None:
        self.book = Book(rules, lambda device: plate)
        self.slots = slots(plate)
        self.wakes = self.book.bind(DEVICE, self.slots)
        self.found: list[Finding] = []

    def take(self, seconds: float, received: float | None = None, **values: Any) -> list[str]:
        """Readings of a moment; `inlet__level` is the point inlet.level. `received`: when the house got them."""
        readings = {key.replace("__", "."): value for key, value in values.items()}
        put(self.slots, readings, at(seconds))
        for key in readings:
            self.slots[key].hear(Heard((at(seconds), at(seconds if received is None else received), 0.0)))
        woken = dict.fromkeys(it for key in readings for it in self.wakes.get(key, ()))
        return self._told(self.book.step(woken, at(seconds)))

    def tick(self, seconds: float) -> list[str]:
        return self._told(self.book.tick(at(seconds)))

    def _told(self, found: Iterable[Finding]) -> list[str]:
        found = list(found)
        self.found += found
        return [f"{it.rule} {it.event}" for it in found]


MOST_CALLS = 20_000  # that reading a condition of 600 letters may take: a clock would measure the machine


@contextlib.contextmanager
def calls_of_python() -> Iterator[list[int]]:
    """How many functions were called in between."""
    calls = [0]

    def count(frame: FrameType, event: str, arg: object) -> None:
        calls[0] += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)
