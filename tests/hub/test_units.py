"""A closed list of units: what is not on it is refused with a suggestion, and unlike things are never converted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.units import UNITS, BadUnit, convert, factor, parse

SYMBOLS = st.sampled_from(sorted(UNITS))


@pytest.mark.parametrize(
    ("value", "source", "target", "wanted"),
    [
        (0.8, "MPa", "kPa", 800),
        (1, "bar", "kPa", 100),
        (36, "km/h", "m/s", 10),
        (3600, "m3/h", "m3/s", 1),
        (3.6, "m3/h", "L/s", 1),
        (1, "m/h", "mm/h", 1000),
        (25, "°C", "K", 298.15),
        (0, "K", "°C", -273.15),
        (1.5, "h", "min", 90),
        (3, "kWh", "Wh", 3000),
        (7, "", "", 7),
        (5, "m³/h", "m3/h", 5),
        (5, "℃", "°C", 5),
    ],
)
def test_what_measures_the_same_is_converted(value: float, source: str, target: str, wanted: float):
    assert convert(value, source, target) == pytest.approx(wanted)


@given(SYMBOLS, SYMBOLS, st.floats(-1e6, 1e6))
def test_there_and_back_is_the_same_and_unlike_things_are_refused(source: str, target: str, value: float):
    if UNITS[source].dimension == UNITS[target].dimension:
        assert convert(convert(value, source, target), target, source) == pytest.approx(value, abs=1e-6)
        a, b = factor(source, target)
        assert a * value + b == pytest.approx(convert(value, source, target), abs=1e-6)
    else:
        with pytest.raises(BadUnit, match="Write one of"):
            convert(value, source, target)


def test_a_wrong_unit_is_refused_with_what_to_write():
    with pytest.raises(BadUnit) as caught:
        parse("Mpa")
    assert str(caught.value).startswith('"Mpa" is not a unit. Did you mean "MPa"?')
    with pytest.raises(BadUnit) as caught:
        convert(1, "MPa", "km/h")
    assert str(caught.value) == '"MPa" measures pressure, "km/h" measures speed. Write one of: km/h, m/s, mm/s'
    with pytest.raises(BadUnit, match=r'"km/h" measures speed, "" measures number. Write one of: no unit'):
        convert(1, "km/h", "")


def test_milli_and_mega_are_not_the_same_letter():
    with pytest.raises(BadUnit):
        parse("mW")
    assert parse("MW").factor == 1e6


@pytest.mark.parametrize(
    ("symbol", "says"),
    [("mpa", 'Did you mean "MPa"'), ("m3/H", 'Did you mean "m3/h"'), ("xyzzy", "Units: Pa, kPa, MPa, bar")],
)
def test_every_refusal_says_what_to_write(symbol: str, says: str):
    with pytest.raises(BadUnit, match=says):
        parse(symbol)
