"""Every mistake in a condition is said in words, at its letter, with what to write instead."""

import pytest

from rules.condition import Condition
from rules.errors import BadRule
from tests.rules.field import MOST_CALLS, PLATE, calls_of_python

SAID = [
    # units
    (
        "outlet.pressure > 0.80 Mpa",
        'in "outlet.pressure > 0.80 Mpa" (letter 24): "Mpa" is not a unit. Did you mean "MPa"?',
    ),
    (
        "outlet.pressure > 3 m",
        'in "outlet.pressure > 3 m" (letter 21): "m" measures length, "MPa" measures pressure. '
        "Write one of: MPa, Pa, bar, kPa",
    ),
    (
        "outlet.pressure > 0.8",
        'in "outlet.pressure > 0.8" (letter 19): "0.8" has no unit, and "outlet.pressure" is in MPa. Write "0.8 MPa"',
    ),
    (
        "station.fault_code > 3 m",
        'in "station.fault_code > 3 m" (letter 22): "3 m" is in m, and "station.fault_code" has no unit. Write "3"',
    ),
    (
        "inlet.level > outlet.pressure",
        'in "inlet.level > outlet.pressure" (letter 15): "inlet.level" is in m, and "outlet.pressure" is in MPa: '
        "they do not measure the same thing",
    ),
    (
        "pump1.current + mains.voltage > 3 A",
        'in "pump1.current + mains.voltage > 3 A" (letter 17): "pump1.current" is in A, and "mains.voltage" is in V: '
        "they do not measure the same thing",
    ),
    (
        "pump1.current * mains.voltage > 3",
        'in "pump1.current * mains.voltage > 3" (letter 15): "pump1.current" is in A and "mains.voltage" is in V: '
        "A times V has no unit here. One of them must be a plain number",
    ),
    (
        "pump1.winding + pump2.winding > 3 °C",
        'in "pump1.winding + pump2.winding > 3 °C" (letter 15): "pump1.winding" is in °C and "pump2.winding" is in °C: '
        'they cannot be added. A difference of temperatures is written in K: "winding + 20 K"',
    ),
    (
        "pump1.winding - pump2.winding > 20 °C",
        'in "pump1.winding - pump2.winding > 20 °C" (letter 33): "20 °C" is in °C, and "pump1.winding - pump2.winding" '
        "is in K: a difference of temperatures is written in K",
    ),
    (
        "pump1.winding * 2 > 100 °C",
        'in "pump1.winding * 2 > 100 °C" (letter 1): "pump1.winding" is in °C: a temperature cannot be multiplied, '
        "divided or negated, a difference can",
    ),
    ("pump1.current / 0 > 3 A", 'in "pump1.current / 0 > 3 A" (letter 17): divides by zero'),
    (
        "inlet.level > 500 m",
        'in "inlet.level > 500 m" (letter 15): "500 m" is outside what "inlet.level" can be: from -20 to 200 m',
    ),
    ("3 m < 4 m", 'in "3 m < 4 m" (letter 5): two numbers that are written down are compared. Name a point'),
    # points
    (
        "outlet.presure > 1 bar",
        'in "outlet.presure > 1 bar" (letter 1): "outlet.presure" is not a point of ps-2026. '
        'Did you mean "outlet.pressure"?',
    ),
    (
        "qqq is on",
        'in "qqq is on" (letter 1): "qqq" is not a point of ps-2026. Points: inlet.level, outlet.pressure, '
        "setting.high_high_level, setting.margin, station.flow, station.fault_code, station.mode, station.name, "
        "station.place, rack.valve, mains.voltage, mains.power_factor, …",
    ),
    (
        "each.current > 3 A",
        'in "each.current > 3 A" (letter 1): "each.current" is of a part. Say of which parts: each = "pump*"',
    ),
    # kinds
    (
        "pump1.running is true",
        'in "pump1.running is true" (letter 18): "pump1.running" is on or off, never "true". Did you mean "on"?',
    ),
    (
        "pump1.running == on",
        'in "pump1.running == on" (letter 1): "pump1.running" is on or off, not a number. Write "pump1.running is on"',
    ),
    (
        "pump1.running in [on]",
        'in "pump1.running in [on]" (letter 15): "pump1.running" is on or off. Write "pump1.running is on"',
    ),
    (
        "pump1.state is faulty",
        'in "pump1.state is faulty" (letter 16): "faulty" is not a label of "pump1.state". Did you mean "fault"?',
    ),
    (
        "pump1.state is on",
        'in "pump1.state is on" (letter 16): "on" is not a label of "pump1.state". '
        "Labels: stopped, running, fault, locked out",
    ),
    (
        "pump1.state is 4",
        'in "pump1.state is 4" (letter 16): "4" is not a label of "pump1.state". Did you mean "fault"?',
    ),
    (
        "pump1.state > 3",
        'in "pump1.state > 3" (letter 1): "pump1.state" is a label, not a number. Write "pump1.state is stopped"',
    ),
    (
        "inlet.level",
        'in "inlet.level" (letter 1): "inlet.level" is a number, not yes or no. Write "inlet.level > 3 m"',
    ),
    (
        "inlet.level is 3 m",
        'in "inlet.level is 3 m" (letter 13): "inlet.level" is a number. '
        'Write "inlet.level == 3 m", or "1 m < inlet.level < 3 m"',
    ),
    (
        "inlet.level in [3 m, 4 m]",
        'in "inlet.level in [3 m, 4 m]" (letter 13): "inlet.level" is a number. '
        'Write "inlet.level == 3 m", or "1 m < inlet.level < 3 m"',
    ),
    (
        "station.fault_code in [three]",
        'in "station.fault_code in [three]" (letter 24): "station.fault_code" is a number without a unit. '
        'Write for example "station.fault_code in [1, 2]"',
    ),
    (
        "station.place is home",
        'in "station.place is home" (letter 15): "station.place" is a place: here it can only be missing. '
        'Write "station.place is missing"',
    ),
    ("3 is on", 'in "3 is on" (letter 1): only a point can stand before "is"'),
    ("2", 'in "2" (letter 1): this is a number, not yes or no. Compare it with another'),
    (
        "(pump1.current > 3 A) + 1 > 2",
        'in "(pump1.current > 3 A) + 1 > 2" (letter 16): this is yes or no: nothing can be calculated or compared '
        "with it",
    ),
    # how it is written
    ("", '"" is empty. Write a condition, for example "inlet.level > 3.20 m"'),
    ("inlet.level >", 'in "inlet.level >" (letter 14): it ends where a point, a number or a bracket should follow'),
    ("inlet.level => 3 m", 'in "inlet.level => 3 m" (letter 13): "=>" is not a sign here. Write ">="'),
    (
        "inlet.level = 3 m",
        'in "inlet.level = 3 m" (letter 13): "=" is not a sign here. Write "==", or "is" for on, off and labels',
    ),
    ("inlet.level ＞ 3 m", 'in "inlet.level ＞ 3 m" (letter 13): "＞" is full-width. Did you mean ">"?'),
    ("inlet.level ≥ 3 m", 'in "inlet.level ≥ 3 m" (letter 13): "≥" is not a sign here. Write ">="'),
    (
        "inlet.level > 3 m AND pump1.running",
        'in "inlet.level > 3 m AND pump1.running" (letter 19): "AND" stands where and, or, or the end should be. '
        'Did you mean "and"?',
    ),
    (
        "1 m < inlet.level > 3 m",
        'in "1 m < inlet.level > 3 m" (letter 19): ">" cannot follow here. Write "a < b < c", or join two with "and"',
    ),
    (
        "inlet.level > .5 m",
        'in "inlet.level > .5 m" (letter 15): "." cannot begin a number or a name. Write "0.5", "pump1.current"',
    ),
    ("(inlet.level > 3 m", 'in "(inlet.level > 3 m" (letter 19): it ends where ")" should follow'),
    (
        "pump1.state in fault",
        'in "pump1.state in fault" (letter 16): "fault" stands where "[", for example "in [fault, locked_out]" '
        "should be.",
    ),
    (
        "inlet.level > 1234567890123456 m",
        'in "inlet.level > 1234567890123456 m" (letter 15): a number has at most 15 digits',
    ),
    (
        "inlet.level > 3 m\u200b",
        'in "inlet.level > 3 m\u200b" (letter 18): the letter U+200B cannot be seen and cannot stand here. Delete it',
    ),
]


@pytest.mark.parametrize(("text", "said"), SAID)
def test_a_mistake_is_said_with_its_remedy(text, said):
    with pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points, plate="ps-2026")
    assert caught.value.mistakes == (said,)


def test_all_mistakes_of_a_condition_are_said_at_once():
    text = "outlet.presure > 1 bar and inlet.levl > 3 m or inlet.level > 3 and pump1.state is faul"
    with pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points)
    assert len(caught.value.mistakes) == 4
    assert caught.value.at == 0


HOSTILE = [
    "__import__('os').system('x')",
    '__import__("os")',
    "inlet.level.__class__.__mro__",
    "().__class__",
    "[x for x in [1]]",
    "(lambda: 1)()",
    "lambda: 1",
    "9**9**9",
    "inlet.level ** 9 > 3 m",
    '"x" * 1000000000',
    "inlet.level[0] > 3 m",
    'f"{inlet.level}"',
    "pump1.running if pump2.running else pump1.running",
    "max(inlet.level, 3 m) > 3 m",
    "inlet.level := 3",
    "inlet.level; import os",
    "inlet.level > 3 m # and more",
    "inlet.level > 3 m\\\n",
    "(" * 300 + "inlet.level > 3 m" + ")" * 300,
    "(" * 100_000,
    "-" * 100_000 + "1",
    "not " * 120 + "pump1.running",
    "!" * 400 + "pump1.running",
    "-" * 400 + "inlet.level > 3 m",
    " + ".join(["inlet.level"] * 500) + " > 3 m",
    "inlet.level > 1e999 m",
    "inlet.level > " + "9" * 400 + " m",
    "inlet.level > 0x10 m",
    "a" * 10_000_000,
    '"' * 400,
    "\x00",
    "inlet.level > 3 m\x00",
    "\ud800",
    "pump1.state is fault' or True or '",
    'pump1.state is "{0}"',
    "True",
    "None is missing",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_what_is_hostile_is_refused_at_once_and_at_its_letter(text):
    with calls_of_python() as calls, pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points)
    assert calls[0] < MOST_CALLS
    assert caught.value.at is not None
    assert all("(letter " in line and len(line) < 400 for line in caught.value.mistakes)


@pytest.mark.parametrize(
    "text",
    [
        " + ".join(["inlet.level"] * 35) + " > 3 m",
        " or ".join(["!(a)".replace("a", "pump1.running")] * 20),
        "(" * 11 + "pump1.running" + ")" * 11,
        "not " * 12 + "pump1.running",
    ],
)
def test_what_is_long_but_within_bounds_is_taken(text):
    assert Condition(text).on(PLATE.points) is not None
