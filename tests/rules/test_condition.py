"""What a condition answers: units, points against points, labels, and what is not known."""

import math

import pytest

from hub.model import Position, Quality
from rules.condition import Condition
from tests.rules.field import NOON, PLATE, ask, put, slots

ANSWERS = [
    # units are converted to the point's once, to the digit that was written
    ("outlet.pressure > 0.80 MPa", {"outlet.pressure": 0.81}, True),
    ("outlet.pressure > 0.80 MPa", {"outlet.pressure": 0.80}, False),
    ("outlet.pressure >= 800 kPa", {"outlet.pressure": 0.8}, True),
    ("outlet.pressure == 0.7 bar", {"outlet.pressure": 0.07}, True),
    ("inlet.level > 320 cm", {"inlet.level": 3.2}, False),
    ("station.flow > 1 m³/s", {"station.flow": 3601.0}, True),
    ("pump1.winding > 300 K", {"pump1.winding": 26.84}, False),
    ("pump1.winding > 300 K", {"pump1.winding": 26.86}, True),
    ("pump1.winding > -5 °C", {"pump1.winding": -4.0}, True),
    # a point against a point, each in its own unit
    ("inlet.level > setting.high_high_level + 0.05 m", {"inlet.level": 4.06, "setting.high_high_level": 4.0}, True),
    ("inlet.level > setting.high_high_level + 0.05 m", {"inlet.level": 4.04, "setting.high_high_level": 4.0}, False),
    ("inlet.level > setting.margin", {"inlet.level": 0.06, "setting.margin": 50.0}, True),
    ("inlet.level + setting.margin > 1 m", {"inlet.level": 0.96, "setting.margin": 50.0}, True),
    ("pump1.winding > pump2.bearing", {"pump1.winding": 21.0, "pump2.bearing": 293.15}, True),
    # differences and shares
    ("pump1.winding - pump2.winding > 20 K", {"pump1.winding": 81.0, "pump2.winding": 60.0}, True),
    ("pump1.winding > pump2.winding + 20 K", {"pump1.winding": 79.0, "pump2.winding": 60.0}, False),
    ("pump1.winding - 20 °C > 10 K", {"pump1.winding": 31.0}, True),
    ("20 K + pump1.winding > 50 °C", {"pump1.winding": 31.0}, True),
    ("(pump1.winding - pump2.winding) * 2 > 30 K", {"pump1.winding": 80.0, "pump2.winding": 64.0}, True),
    ("(pump1.winding - pump2.winding) / 10 K > 1", {"pump1.winding": 80.0, "pump2.winding": 64.0}, True),
    ("pump1.current > 110 % * pump2.current", {"pump1.current": 56.0, "pump2.current": 50.0}, True),
    ("pump1.current / pump2.current > 110 %", {"pump1.current": 54.0, "pump2.current": 50.0}, False),
    ("mains.power_factor < 90 %", {"mains.power_factor": 0.89}, True),
    ("rack.valve < 90 %", {"rack.valve": 89.0}, True),
    ("station.flow / 2 > 100 m3/h", {"station.flow": 201.0}, True),
    ("inlet.level < 10 m / 4", {"inlet.level": 2.4}, True),
    ("-inlet.level > 1 m", {"inlet.level": -1.1}, True),
    ("1 + 2 * station.fault_code - 3 == 4", {"station.fault_code": 3}, True),
    # from to
    ("3 m < inlet.level < 400 cm", {"inlet.level": 3.5}, True),
    ("3 m < inlet.level < 4 m", {"inlet.level": 4.0}, False),
    ("4 m >= inlet.level > 3 m", {"inlet.level": 4.0}, True),
    ("not 3 m < inlet.level < 4 m", {"inlet.level": 3.0}, True),
    # on, off, labels, lists
    ("pump1.running is on", {"pump1.running": True}, True),
    ("pump1.running is not on", {"pump1.running": True}, False),
    ("pump1.running is off", {"pump1.running": False}, True),
    ("pump1.running", {"pump1.running": True}, True),
    ("pump1.running is on", {"pump1.running": 1}, True),
    ("pump1.state is fault", {"pump1.state": "fault"}, True),
    ("pump1.state is not fault", {"pump1.state": "running"}, True),
    ('pump1.state is "locked out"', {"pump1.state": "locked out"}, True),
    ('pump1.state in [fault, "locked out"]', {"pump1.state": "locked out"}, True),
    ('pump1.state not in [fault, "locked out"]', {"pump1.state": "running"}, True),
    ("station.fault_code in [3, 7]", {"station.fault_code": 7.0}, True),
    ("station.name is 东门", {"station.name": "东门"}, True),
    # and, or, not; and how others spell them
    ("pump1.running is on and not pump2.running is on", {"pump1.running": True, "pump2.running": False}, True),
    ("pump1.running && !pump2.running", {"pump1.running": True, "pump2.running": True}, False),
    ("pump1.running || pump2.running", {"pump1.running": False, "pump2.running": True}, True),
    ("pump1.running or pump2.running and station.mode is auto", {"pump1.running": True, "pump2.running": ...}, True),
    # what is missing, when it is asked for
    ("inlet.level is missing", {"inlet.level": ...}, True),
    ("inlet.level is missing", {"inlet.level": None}, True),
    ("inlet.level is missing", {"inlet.level": math.nan}, True),
    ("inlet.level is missing", {"inlet.level": 0.0}, False),
    ("inlet.level is not missing", {"inlet.level": 0.0}, True),
    ("station.place is missing", {"station.place": Position(31.0, 118.0)}, False),
    ("station.place is missing", {}, True),
]


@pytest.mark.parametrize(("text", "values", "answer"), ANSWERS)
def test_a_condition_answers(text, values, answer):
    assert ask(text, values) is answer


@pytest.mark.parametrize("value", [..., None, math.nan, math.inf, -math.inf, 10**400, "3.5", Position(1.0, 2.0)])
@pytest.mark.parametrize(
    "text", ["inlet.level > 3 m", "inlet.level < 3 m", "not inlet.level > 3 m", "inlet.level == 3 m"]
)
def test_what_is_no_measurement_is_neither_above_nor_below(text, value):
    assert ask(text, {"inlet.level": value}) is None


@pytest.mark.parametrize("value", [2, "on", math.nan, None, ..., Position(1.0, 2.0)])
def test_what_is_neither_on_nor_off_is_unknown(value):
    assert ask("pump1.running is on", {"pump1.running": value}) is None
    assert ask("pump1.running is off", {"pump1.running": value}) is None


@pytest.mark.parametrize("value", [4, True, None, ...])
def test_a_code_is_not_a_label(value):
    assert ask("pump1.state is fault", {"pump1.state": value}) is None


def test_an_uncertain_value_is_unknown_though_it_is_shown():
    where = slots()
    put(where, {"inlet.level": 9.0})
    judge = Condition("inlet.level > 3 m").on(PLATE.points).bind([where["inlet.level"]])
    assert judge() is True
    where["inlet.level"].put(9.0, Quality.UNCERTAIN, NOON)
    assert judge() is None
    assert where["inlet.level"].value == 9.0


YES, NO, UNKNOWN = {"pump1.running": True}, {"pump1.running": False}, {}


@pytest.mark.parametrize(
    ("a", "b", "both", "either"),
    [
        (True, True, True, True),
        (True, False, False, True),
        (True, ..., None, True),
        (False, False, False, False),
        (False, ..., False, None),
        (..., ..., None, None),
    ],
)
def test_unknown_follows_kleene(a, b, both, either):
    for one, other in ((a, b), (b, a)):
        values = {"pump1.running": one, "pump2.running": other}
        assert ask("pump1.running and pump2.running", values) is both
        assert ask("pump1.running or pump2.running", values) is either
        assert ask("not (pump1.running and pump2.running)", values) is (None if both is None else not both)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pump1.current / pump2.current > 1", {"pump1.current": 1.0, "pump2.current": 0.0}),
        ("pump1.current / pump2.current > 1", {"pump1.current": 1e29, "pump2.current": 5e-324}),
        ("pump1.current / pump2.current < 1", {"pump1.current": -1e29, "pump2.current": 5e-324}),
        ("pump1.current / (pump2.current - pump2.current) > 1", {"pump1.current": 1.0, "pump2.current": 5.0}),
        (" * ".join(["station.fault_code"] * 20) + " > 1", {"station.fault_code": 9e29}),
        (" * ".join(["station.fault_code"] * 20) + " > 1", {"station.fault_code": 9 * 10**29}),
    ],
)
def test_what_cannot_be_calculated_is_unknown(text, values):
    assert ask(text, values) is None


def test_each_reads_the_points_of_its_part():
    condition = Condition("each.current > 5 A and inlet.level < 3 m")
    assert condition.reads(PLATE.points, "pump2") == ("pump2.current", "inlet.level")
    where = slots()
    put(where, {"pump1.current": 1.0, "pump2.current": 6.0, "inlet.level": 2.0})
    checked = condition.on(PLATE.points, "pump2")
    assert checked.bind([where[key] for key in condition.reads(PLATE.points, "pump2")])() is True
    assert condition.on(PLATE.points, "pump1") is checked  # the same shape is checked and compiled once
    assert checked.bind([where[key] for key in condition.reads(PLATE.points, "pump1")])() is False


def test_the_value_is_read_at_each_question():
    where = slots()
    judge = Condition("inlet.level > 3 m").on(PLATE.points).bind([where["inlet.level"]])
    answers = []
    for value in (..., 2.0, 4.0, None):
        put(where, {"inlet.level": value})
        answers.append(judge())
    assert answers == [None, False, True, None]
