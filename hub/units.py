"""A closed list of units: parse() suggests, convert() refuses."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A symbol, what it measures, and how to get to the dimension's base unit: base = value * factor + offset."""

    symbol: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0


class BadUnit(ValueError):
    """A unit that is not on the list, or two that do not measure the same thing. The text says what to write."""


_LIST = (
    ("pressure", (("Pa", 1), ("kPa", 1e3), ("MPa", 1e6), ("bar", 1e5))),
    ("length", (("m", 1), ("cm", 0.01), ("mm", 0.001), ("km", 1e3))),
    ("speed", (("m/s", 1), ("km/h", 1 / 3.6), ("mm/s", 0.001))),
    ("level rate", (("m/h", 1), ("mm/h", 0.001), ("cm/h", 0.01), ("m/min", 60))),
    ("flow", (("m3/s", 1), ("m3/h", 1 / 3600), ("L/s", 0.001), ("L/min", 0.001 / 60))),
    ("volume", (("m3", 1), ("L", 0.001))),
    ("area", (("m2", 1),)),
    ("current", (("A", 1), ("mA", 0.001))),
    ("voltage", (("V", 1), ("mV", 0.001), ("kV", 1e3))),
    ("power", (("W", 1), ("kW", 1e3), ("MW", 1e6))),
    ("reactive power", (("var", 1), ("kvar", 1e3))),
    ("apparent power", (("VA", 1), ("kVA", 1e3))),
    ("energy", (("Wh", 1), ("kWh", 1e3), ("MWh", 1e6))),
    ("reactive energy", (("varh", 1), ("kvarh", 1e3))),
    ("energy per volume", (("kWh/m3", 1), ("Wh/m3", 0.001))),
    ("frequency", (("Hz", 1), ("kHz", 1e3))),
    ("rotation", (("rpm", 1),)),
    ("time", (("s", 1), ("ms", 0.001), ("min", 60), ("h", 3600), ("d", 86400))),
    ("share", (("%", 1),)),
    ("data", (("GB", 1), ("MB", 0.001))),
    ("angle", (("deg", 1),)),
    ("signal", (("dBm", 1),)),
    ("force", (("N", 1), ("kN", 1e3))),
    ("torque", (("Nm", 1),)),
    ("volume level", (("dB", 1),)),
)
UNITS: dict[str, Unit] = {
    symbol: Unit(symbol, dimension, factor) for dimension, units in _LIST for symbol, factor in units
} | {
    "": Unit("", "number"),
    "°C": Unit("°C", "temperature"),
    "K": Unit("K", "temperature", 1.0, -273.15),
}
_ALIASES = {"m³/h": "m3/h", "m³/s": "m3/s", "m³": "m3", "m²": "m2", "degC": "°C", "℃": "°C", "l/s": "L/s", "％": "%"}


def parse(symbol: str) -> Unit:
    """The unit written `symbol`. Raises BadUnit with a suggestion; symbols are case-sensitive (mW is not MW)."""
    unit = UNITS.get(_ALIASES.get(symbol, symbol))
    if unit is None:
        raise BadUnit(f'"{symbol}" is not a unit.{_suggest(symbol)}')
    return unit


def factor(source: str, target: str) -> tuple[float, float]:
    """(a, b) so that `target value = a * source value + b`. Raises BadUnit when they do not measure the same thing."""
    here, there = parse(source), parse(target)
    if here.dimension != there.dimension:
        same = ", ".join(sorted(u.symbol for u in UNITS.values() if u.dimension == there.dimension)) or "no unit"
        raise BadUnit(
            f'"{source}" measures {here.dimension}, "{target}" measures {there.dimension}. Write one of: {same}'
        )
    return here.factor / there.factor, (here.offset - there.offset) / there.factor


def convert(value: float, source: str, target: str) -> float:
    """`value` in another unit of the same dimension. Raises BadUnit otherwise."""
    if source == target:
        return value
    a, b = factor(source, target)
    return value * a + b


def _suggest(symbol: str) -> str:
    for known in UNITS:
        if known and known.lower() == symbol.lower():
            return f' Did you mean "{known}"?'
    near = difflib.get_close_matches(symbol, [u for u in UNITS if u], n=1, cutoff=0.5)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f"{hint} Units: {', '.join(u for u in UNITS if u)}"
