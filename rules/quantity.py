"""Numbers with units in a condition: what may be added, compared and divided, and in which unit it is done.

Differences of temperatures are their own thing: 80 °C − 60 °C is 20 K, and 20 K more than 60 °C is 80 °C.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from hub import units
from hub.model import Point
from rules.function import Calc, Const, Extreme, Linear, Read, Term
from rules.grammar import Call, Number

TEMPERATURE = "temperature"
_DIGITS = 12  # of a limit after its conversion: 0.7 bar is 0.07 MPa, not 0.06999999999999999
_A_TIME = {"length": ("m", "m/h"), "volume": ("m3", "m3/h"), "energy": ("kWh", "kW")}  # what it is in an hour
_DO = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


class Wrong(ValueError):
    """What cannot be in an expression, where (a letter of its text; -1: where it was found), and what to write."""

    def __init__(self, what: str, at: int = -1) -> None:
        super().__init__(what)
        self.at = at


@dataclass(frozen=True, slots=True)
class Quantity:
    """A term with its unit. `literal`: written down, not measured. `span`: a difference of temperatures, in K."""

    term: Term
    unit: str
    at: int  # where it stands, and its unit
    unit_at: int
    text: str  # as it is written, for messages
    literal: bool = False
    span: bool = False
    point: Point | None = None  # when it is a point and nothing else

    @property
    def dimension(self) -> str:
        return "difference of temperature" if self.span else units.parse(self.unit).dimension

    @property
    def says(self) -> str:
        return f'"{self.text}" is in {self.unit}' if self.unit else f'"{self.text}" has no unit'


def literal(number: Number) -> Quantity:
    """`0.80 MPa`. Raises Wrong for a unit that is not on the list."""
    try:
        unit = units.parse(number.unit).symbol
    except units.BadUnit as bad:
        raise Wrong(str(bad), number.unit_at) from None
    text = f"{number.text} {number.unit}".rstrip()
    return Quantity(Const(number.value), unit, number.at, number.unit_at, text, literal=True)


def of_point(at: int, key: str, index: int, point: Point) -> Quantity:
    return Quantity(Read(index), units.parse(point.unit).symbol, at, at, key, point=point)


def seconds(number: Number) -> float:
    """`10 min` in seconds. Raises Wrong when it is no time."""
    try:
        return units.convert(number.value, number.unit, "s")
    except units.BadUnit:
        raise Wrong(f'"{number.text} {number.unit}" is not a time. Write s, min, h or d', number.unit_at) from None


def folded(node: Call, index: int, of: Quantity | None, span_s: float) -> Quantity:
    """A window in slot `index` over a quantity, or (None) over something that is or is not so."""
    term = Read(index)
    if of is None:
        return Quantity(term, "" if node.name == "count" else "s", node.at, node.at, node.text)
    if node.name == "rate":
        known = _A_TIME.get(of.dimension)
        if known is None:
            raise Wrong(f'"rate" is of a length, a volume or an energy. Write "change{node.text[4:]}"', node.at)
        factor = units.factor(of.unit, known[0])[0] * 3600 / span_s
        return Quantity(Linear(term, factor), known[1], node.at, node.at, node.text)
    if node.name == "change" and of.dimension == TEMPERATURE:
        return Quantity(term, "K", node.at, node.at, node.text, span=True)
    point = of.point if node.name in ("mean", "min", "max") else None
    return Quantity(term, of.unit, node.at, node.at, node.text, span=of.span, point=point)


def together(node: Call, of: Sequence[Quantity]) -> Quantity:
    """The sum, the highest or the lowest of several that are written alike. Raises Wrong for temperatures' sum."""
    same = [quantity if quantity.unit == of[0].unit else _convert(quantity, of[0].unit) for quantity in of]
    first = replace(same[0], at=node.at, text=node.text, point=None)
    if node.name != "sum":
        word = "max" if node.name == "highest" else "min"
        return replace(first, term=Extreme(word, tuple(it.term for it in same)))
    if of[0].dimension == TEMPERATURE:
        raise Wrong(f'temperatures are not added up. Write for example "highest{node.text[3:]}"', node.at)
    return replace(first, term=reduce(lambda left, right: Calc("+", left, right), (it.term for it in same)))


def negative(at: int, it: Quantity) -> Quantity:
    if isinstance(it.term, Const):
        return replace(it, term=Const(-it.term.value), at=at, text=f"-{it.text}")
    return replace(_factor(it), term=Linear(it.term, -1.0), at=at, text=f"-{it.text}", point=None)


def calculate(at: int, sign: str, left: Quantity, right: Quantity) -> Quantity:
    """`left sign right`. Raises Wrong, with what to write instead."""
    if sign in "+-":
        left, right, unit, span = _sum(sign, left, right)
    else:
        left, right, unit, span = _product(sign, left, right)
    both = left.literal and right.literal
    if sign == "/" and isinstance(right.term, Const) and right.term.value == 0:
        raise Wrong("divides by zero", right.at)
    term: Term = Calc(sign, left.term, right.term)
    if isinstance(left.term, Const) and isinstance(right.term, Const):
        term = Const(_round(_DO[sign](left.term.value, right.term.value)))
    return Quantity(term, unit, left.at, at, f"{left.text} {sign} {right.text}", literal=both, span=span)


def same_unit(of: Sequence[Quantity]) -> list[Quantity]:
    """All of them in the unit of the first that is measured. Raises Wrong."""
    lead = next(quantity for quantity in of if not quantity.literal)
    return [quantity if quantity is lead else _into(quantity, lead) for quantity in of]


# ---- sums ---------------------------------------------------------------------------------------------------------


def _sum(sign: str, left: Quantity, right: Quantity) -> tuple[Quantity, Quantity, str, bool]:
    if TEMPERATURE in (left.dimension, right.dimension):
        return _temperatures(sign, left, right)
    if left.literal and not right.literal:
        left = _into(left, right)
    else:
        right = _into(right, left)
    return left, right, left.unit, left.span


def _temperatures(sign: str, left: Quantity, right: Quantity) -> tuple[Quantity, Quantity, str, bool]:
    """One of them is a temperature; a number in K beside it is a difference."""
    if right.literal and right.unit == "K":
        right = replace(right, span=True)
    elif left.literal and left.unit == "K" and sign == "+":
        left = replace(left, span=True)
    if left.span or right.span:
        warm = right if left.span else left
        if warm.dimension == TEMPERATURE and not (sign == "-" and left.span):
            return left, right, warm.unit, False
        if warm.span:
            return left, right, "K", True
    elif sign == "-" and left.dimension == right.dimension == TEMPERATURE:
        if left.literal:
            return _into(left, right), right, "K", True
        return left, _into(right, left), "K", True
    raise Wrong(
        f"{left.says} and {right.says}: they cannot be {'added' if sign == '+' else 'subtracted'}. "
        'A difference of temperatures is written in K: "winding + 20 K"'
    )


# ---- products -----------------------------------------------------------------------------------------------------


def _product(sign: str, left: Quantity, right: Quantity) -> tuple[Quantity, Quantity, str, bool]:
    left, right = _factor(left), _factor(right)
    if sign == "/" and left.unit and left.dimension == right.dimension:
        return left, _convert(right, left.unit), "", False
    if sign == "*":
        left = _plain_share(left)
    right = _plain_share(right)
    if not right.unit:
        return left, right, left.unit, left.span
    if not left.unit and sign == "*":
        return left, right, right.unit, right.span
    verb = "times" if sign == "*" else "divided by"
    raise Wrong(
        f"{left.says} and {right.says}: {left.unit or 'a number'} {verb} {right.unit} has no unit here. "
        "One of them must be a plain number"
    )


def _plain_share(it: Quantity) -> Quantity:
    """`90 %` beside a multiplication is 0.9."""
    if it.literal and it.unit == "%" and isinstance(it.term, Const):
        return replace(it, term=Const(_round(it.term.value / 100)), unit="")
    return it


def _factor(it: Quantity) -> Quantity:
    """What can be multiplied, divided and negated: everything but a temperature."""
    if it.literal and it.unit == "K":
        return replace(it, span=True)
    if it.dimension == TEMPERATURE:
        raise Wrong(f"{it.says}: a temperature cannot be multiplied, divided or negated, a difference can", it.at)
    return it


# ---- units --------------------------------------------------------------------------------------------------------


def _into(it: Quantity, lead: Quantity) -> Quantity:
    """`it` in the unit of `lead`. Raises Wrong when it does not measure the same thing."""
    if it.literal and it.unit == "%" and not lead.unit:
        return _plain_share(it)
    if lead.span and it.literal and it.unit == "K":
        return replace(it, span=True)
    if it.dimension == lead.dimension:
        return _convert(it, lead.unit)
    if it.literal and not it.unit:
        raise Wrong(f'{it.says}, and {lead.says}. Write "{it.text} {lead.unit}"', it.at)
    if it.literal and not lead.unit:
        raise Wrong(f'{it.says}, and {lead.says}. Write "{it.text.removesuffix(it.unit).rstrip()}"', it.at)
    if lead.span or it.span:
        raise Wrong(f"{it.says}, and {lead.says}: a difference of temperatures is written in K", it.at)
    if it.literal:
        try:
            units.factor(it.unit, lead.unit)
        except units.BadUnit as bad:
            raise Wrong(str(bad), it.unit_at) from None
    raise Wrong(f"{lead.says}, and {it.says}: they do not measure the same thing", it.at)


def _convert(it: Quantity, unit: str) -> Quantity:
    if it.unit == unit:
        return it
    if isinstance(it.term, Const):
        return replace(it, term=Const(_round(units.convert(it.term.value, it.unit, unit))), unit=unit)
    factor, offset = units.factor(it.unit, unit)
    return replace(it, term=Linear(it.term, factor, _round(offset)), unit=unit, point=None)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
