"""What a condition means on a nameplate: points are found, kinds checked, units converted, once, at load.

A Condition is a text that can be read. On a nameplate it becomes Checked: a tree without names and units, and what
makes its function for the slots of a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hub.model import Kind, Point
from hub.slot import Slot
from rules import grammar
from rules.errors import BadRule, did_you_mean, points_at
from rules.function import Compare, Const, Every, Flag, Judge, Match, Missing, Nay, Read, Some, Truth, function
from rules.quantity import Quantity, Wrong, calculate, literal, negative, of_point, same_unit

EACH = "each."
MISSING = "missing"
_SAYS = {
    Kind.NUMBER: "a number",
    Kind.BOOL: "on or off",
    Kind.ENUM: "a label",
    Kind.TEXT: "a text",
    Kind.POSITION: "a place",
}
_MEANT = {"true": "on", "yes": "on", "false": "off", "no": "off", "1": "on", "0": "off"}

Points = Mapping[str, Point]


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition on a nameplate: `keys` are the points it reads, in the order in which `bind` wants their slots."""

    truth: Truth
    bind: Callable[[Sequence[Slot]], Judge]


class Condition:
    """A condition as it is written. Raises BadRule when it cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = grammar.parse(text)
        self.names = grammar.names(self.tree)
        self._checked: dict[object, Checked] = {}

    @classmethod
    def read(cls, value: object) -> Condition:
        """A condition as it stands in a file. Raises BadRule."""
        if not isinstance(value, str):
            raise BadRule(f'{value} is not a condition. Write it in quotes: "inlet.level > 3.20 m"')
        return cls(value)

    def strange_units(self) -> list[str]:
        """The mistakes that need no nameplate: units that are not on the list."""
        found: list[str] = []
        for number in grammar.numbers(self.tree):
            try:
                literal(number)
            except Wrong as wrong:
                found.append(points_at(self.text, wrong.at, str(wrong)))
        return found

    def reads(self, part: str = "") -> tuple[str, ...]:
        """The points it reads; `each.current` is the part's: pump2.current."""
        return tuple(resolve(name, part) for name in self.names)

    def on(self, points: Points, part: str = "", plate: str = "this device") -> Checked:
        """What it means on a nameplate. Raises BadRule with all mistakes; `plate` names the plate in them."""
        look = tuple(_looks(points.get(key)) for key in self.reads(part))
        checked = self._checked.get(look)
        if checked is None:
            truth = _Check(self, points, part, plate).whole()
            kinds = [points[key].kind for key in self.reads(part)]
            checked = self._checked[look] = Checked(truth, function(truth, kinds))
        return checked


def resolve(name: str, part: str) -> str:
    """The point that a name stands for."""
    return f"{part}.{name.removeprefix(EACH)}" if part and name.startswith(EACH) else name


def _looks(point: Point | None) -> object:
    """All of a point that a condition can depend on."""
    return point and (point.kind, point.unit, point.low, point.high, tuple(point.labels.items()))


_WRONG = Every(())  # stands in the tree where a mistake was noted; such a tree is never used


class _Check:
    """Walks the tree once; notes every mistake and goes on, so that the author sees all of them."""

    def __init__(self, condition: Condition, points: Points, part: str, plate: str) -> None:
        self._text = condition.text
        self._tree = condition.tree
        self._index = {name: index for index, name in enumerate(condition.names)}
        self._points = points
        self._part = part
        self._plate = plate
        self._mistakes: dict[str, int] = {}

    def whole(self) -> Truth:
        truth = self._truth(self._tree)
        if self._mistakes:
            raise BadRule(*self._mistakes, at=next(iter(self._mistakes.values())))
        return truth

    def _note(self, wrong: Wrong, at: int) -> None:
        at = at if wrong.at < 0 else wrong.at
        self._mistakes.setdefault(points_at(self._text, at, str(wrong)), at)

    # ---- yes or no ------------------------------------------------------------------------------------------------

    def _truth(self, node: grammar.Node) -> Truth:
        match node:
            case grammar.Both(_, of):
                return Every(tuple(self._truth(part) for part in of))
            case grammar.Either(_, of):
                return Some(tuple(self._truth(part) for part in of))
            case grammar.Not(_, of_one):
                return Nay(self._truth(of_one))
        try:
            return self._claim(node)
        except Wrong as wrong:
            self._note(wrong, node.at)
            return _WRONG

    def _claim(self, node: grammar.Node) -> Truth:
        match node:
            case grammar.Order():
                return self._order(node)
            case grammar.Among():
                return self._among(node)
            case grammar.Name(_, key):
                point = self._point(node)
                if point.kind is not Kind.BOOL:
                    raise Wrong(f'"{key}" is {_SAYS[point.kind]}, not yes or no. Write {_example(key, point)}')
                return Flag(self._index[key])
        raise Wrong("this is a number, not yes or no. Compare it with another")

    def _order(self, node: grammar.Order) -> Truth:
        of: list[Quantity] = []
        for part in node.of:
            if isinstance(part, grammar.Name) and self._known(part) not in (None, Kind.NUMBER):
                self._quantity(part)  # raises: what stands on the other side is then meant as a label
        for part in node.of:
            try:
                of.append(self._quantity(part))
            except Wrong as wrong:
                self._note(wrong, part.at)
        if len(of) < len(node.of):
            return _WRONG
        if all(quantity.literal for quantity in of):
            raise Wrong("two numbers that are written down are compared. Name a point")
        same = same_unit(of)
        for left, right in pairwise(same):
            self._possible(left, right)
            self._possible(right, left)
        return Compare(node.signs, tuple(quantity.term for quantity in same))

    def _possible(self, measured: Quantity, limit: Quantity) -> None:
        """A limit that the point cannot reach is a mistake: the rule would never do anything."""
        point = measured.point
        if point is None or not isinstance(limit.term, Const):
            return
        low, high = point.low, point.high
        value = limit.term.value
        if (low is not None and value < low) or (high is not None and value > high):
            ends = (f"from {low:g}" if low is not None else "", f"to {high:g}" if high is not None else "", point.unit)
            can_be = " ".join(end for end in ends if end)
            raise Wrong(f'"{limit.text}" is outside what "{measured.text}" can be: {can_be}', limit.at)

    def _among(self, node: grammar.Among) -> Truth:
        if not isinstance(node.of, grammar.Name):
            raise Wrong(f'only a point can stand before "{node.word}"', node.of.at)
        key, first = node.of.key, node.items[0]
        point = self._point(node.of)
        index = self._index[key]
        if node.word == "is" and first.text == MISSING and MISSING not in point.labels.values():
            truth: Truth = Missing(index)
        elif point.kind is Kind.NUMBER:
            truth = _numbers(node, key, index, point)
        elif point.kind is Kind.BOOL:
            truth = _switch(node, key, index)
        elif point.kind is Kind.POSITION:
            raise Wrong(f'"{key}" is a place: here it can only be missing. Write "{key} is missing"')
        else:
            truth = self._labels(node, key, index, point)
        return Nay(truth) if node.negated else truth

    def _labels(self, node: grammar.Among, key: str, index: int, point: Point) -> Truth:
        known = tuple(point.labels.values())
        for item in node.items:
            if isinstance(item, grammar.Label) and (point.kind is Kind.TEXT or item.text in known):
                continue
            meant = point.labels.get(int(item.value)) if isinstance(item, grammar.Number) else None
            hint = f' Did you mean "{meant}"?' if meant else did_you_mean(item.text, known, "Labels")
            self._note(Wrong(f'"{item.text}" is not a label of "{key}".{hint}', item.at), item.at)
        return Match(index, frozenset(item.text for item in node.items))

    # ---- how much -------------------------------------------------------------------------------------------------

    def _quantity(self, node: grammar.Node) -> Quantity:
        match node:
            case grammar.Number():
                return literal(node)
            case grammar.Name(at, key):
                point = self._point(node)
                if point.kind is not Kind.NUMBER:
                    example = _example(key, point)
                    raise Wrong(f'"{key}" is {_SAYS[point.kind]}, not a number. Write {example}', at)
                return of_point(at, key, self._index[key], point)
            case grammar.Minus(at, of):
                return negative(at, self._quantity(of))
            case grammar.Arithmetic(at, sign, left, right):
                try:
                    return calculate(at, sign, self._quantity(left), self._quantity(right))
                except Wrong as wrong:
                    raise Wrong(str(wrong), at if wrong.at < 0 else wrong.at) from None
        raise Wrong("this is yes or no: nothing can be calculated or compared with it", node.at)

    def _known(self, name: grammar.Name) -> Kind | None:
        point = self._points.get(resolve(name.key, self._part))
        return None if point is None else point.kind

    def _point(self, name: grammar.Name) -> Point:
        key = resolve(name.key, self._part)
        point = self._points.get(key)
        if point is not None:
            return point
        if name.key.startswith(EACH) and not self._part:
            raise Wrong(f'"{name.key}" is of a part. Say of which parts: each = "pump*"', name.at)
        known, shown = list(self._points), name.key
        if key != name.key:
            own = f"{self._part}."
            known = [EACH + one.removeprefix(own) for one in known if one.startswith(own)]
            shown = f"{name.key} ({key})"
        hint = did_you_mean(name.key, known, "Points")
        raise Wrong(f'"{shown}" is not a point of {self._plate}.{hint}', name.at)


def _switch(node: grammar.Among, key: str, index: int) -> Truth:
    first = node.items[0]
    if node.word == "in":
        raise Wrong(f'"{key}" is on or off. Write "{key} is on"')
    if first.text not in ("on", "off"):
        meant = _MEANT.get(first.text.lower())
        hint = f' Did you mean "{meant}"?' if meant else did_you_mean(first.text, ("on", "off"))
        raise Wrong(f'"{key}" is on or off, never "{first.text}".{hint}', first.at)
    return Flag(index) if first.text == "on" else Nay(Flag(index))


def _numbers(node: grammar.Among, key: str, index: int, point: Point) -> Truth:
    plain = [item for item in node.items if isinstance(item, grammar.Number) and not item.unit]
    if node.word == "is" or point.unit:
        unit = f" {point.unit}" if point.unit else ""
        raise Wrong(f'"{key}" is a number. Write "{key} == 3{unit}", or "1{unit} < {key} < 3{unit}"')
    if len(plain) < len(node.items):
        raise Wrong(f'"{key}" is a number without a unit. Write for example "{key} in [1, 2]"', node.items[0].at)
    return Some(tuple(Compare(("==",), (Read(index), Const(item.value))) for item in plain))


def _example(key: str, point: Point) -> str:
    if point.kind is Kind.NUMBER:
        return f'"{key} > 3{" " if point.unit else ""}{point.unit}"'
    if point.kind is Kind.ENUM:
        return f'"{key} is {next(iter(point.labels.values()), "fault")}"'
    return f'"{key} is {"on" if point.kind is Kind.BOOL else MISSING}"'
