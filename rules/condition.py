"""What a condition means on a nameplate: points are found, kinds checked, units converted, once, at load.

A Condition is a text that can be read. On a nameplate it becomes Checked: a tree without names and units, and what
makes its function for the slots of a device, and for the windows and calendars that stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from hub import calendar
from hub.model import Kind, Point
from rules import grammar
from rules.errors import BadRule, did_you_mean, points_at
from rules.function import (
    AtLeast,
    Compare,
    Const,
    Every,
    Flag,
    Judge,
    Match,
    Missing,
    Nay,
    Read,
    Seen,
    Some,
    Truth,
    amount,
    function,
)
from rules.quantity import Quantity, Wrong, calculate, folded, literal, negative, of_point, same_unit, seconds, together
from rules.window import MAX_WINDOW_S, Fold, Measure

EACH = "each."
STAR = "*."  # `pump*.running`: of every part whose name begins so
MAX_PARTS = 64  # that one name may stand for: more are refused
MISSING = "missing"
WINDOWS = ("mean", "min", "max", "change", "rate", "count", "time")
_SAYS = {
    Kind.NUMBER: "a number",
    Kind.BOOL: "on or off",
    Kind.ENUM: "a label",
    Kind.TEXT: "a text",
    Kind.POSITION: "a place",
}
_MEANT = {"true": "on", "yes": "on", "false": "off", "no": "off", "1": "on", "0": "off"}

Points = Mapping[str, Point]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Timed:
    """A window that a condition looks at: `measure` makes what says the value now, of the condition's slots."""

    text: str  # "mean(inlet.level,10min)"
    fold: Fold
    span_s: float
    names: tuple[str, ...]  # the points in it, as written
    measure: Callable[[Sequence[Seen]], Measure]


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition on a nameplate. `bind` wants the slots of the points that it reads, in their order, and after them
    what stands for each of `beside`.
    """

    truth: Truth
    bind: Callable[[Sequence[Seen]], Judge]
    beside: tuple[Timed | calendar.Calendar, ...] = ()


class Condition:
    """A condition as it is written. Raises BadRule when it cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = grammar.parse(text)
        self.names = grammar.names(self.tree)
        self._starred = any(STAR in name for name in self.names)
        self._checked: dict[object, Checked] = {}

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    @classmethod
    def read(cls, value: object) -> Condition:
        """A condition as it stands in a file. Raises BadRule."""
        if not isinstance(value, str):
            raise BadRule(f'{value} is not a condition. Write it in quotes: "inlet.level > 3.20 m"')
        return cls(value)

    def strange_units(self) -> list[str]:
        """The mistakes that need no nameplate: units that are not on the list, times that cannot be read."""
        found: list[str] = []
        for number in grammar.numbers(self.tree):
            try:
                literal(number)
            except Wrong as wrong:
                found.append(points_at(self.text, wrong.at, str(wrong)))
        for told in grammar.times(self.tree):
            try:
                calendar.read(told.text)
            except calendar.BadTimes as bad:
                found.append(points_at(self.text, told.at, str(bad)))
        return found

    def reads(self, points: Iterable[str], part: str = "") -> tuple[str, ...]:
        """Which of these points it reads, in its own order; `each.current` is the part's: pump2.current. A name that
        stands for none of them is told as it is.
        """
        if not self._starred:
            return tuple(dict.fromkeys(resolve(name, part) for name in self.names))
        known = list(points)
        return tuple(dict.fromkeys(key for name in self.names for key in spread(resolve(name, part), known)))

    def on(self, points: Points, part: str = "", plate: str = "this device") -> Checked:
        """What it means on a nameplate. Raises BadRule with all mistakes; `plate` names the plate in them."""
        keys = self.reads(points, part)
        alike = len(keys) if len(keys) == len(self.names) else keys
        look = (alike, *(_looks(points.get(key)) for key in keys))
        checked = self._checked.get(look)
        if checked is None:
            check = _Check(self, points, part, plate)
            truth = check.whole()
            beside = tuple(check.beside)
            made = function(truth, len(keys) + len(beside))
            checked = self._checked[look] = Checked(truth, made, beside)
        return checked


def resolve(name: str, part: str) -> str:
    """The point that a name stands for."""
    return f"{part}.{name.removeprefix(EACH)}" if part and name.startswith(EACH) else name


def spread(name: str, points: Iterable[str]) -> tuple[str, ...]:
    """The points that a name stands for: `pump*.running` for pump1.running, pump2.running, …; any other for itself."""
    if STAR not in name:
        return (name,)
    head, _, tail = name.partition(STAR)
    return tuple(key for key in points if key.startswith(head) and key.partition(".")[2] == tail) or (name,)


def _looks(point: Point | None) -> object:
    """All of a point that a condition can depend on."""
    return point and (point.kind, point.unit, point.low, point.high, tuple(point.labels.items()))


_WRONG = Every(())  # stands in the tree where a mistake was noted; such a tree is never used


class _Check:
    """Walks the tree once; notes every mistake and goes on, so that the author sees all of them."""

    def __init__(self, condition: Condition, points: Points, part: str, plate: str) -> None:
        self._text = condition.text
        self._tree = condition.tree
        self._index = {key: index for index, key in enumerate(condition.reads(points, part))}
        self._points = points
        self._part = part
        self._plate = plate
        self._mistakes: dict[str, int] = {}
        self._inside = False  # a window
        self._star = ""  # the part that `pump*` stands for, while one of several is looked at
        self.beside: list[Timed | calendar.Calendar] = []

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
                return Flag(self._place(node))
            case grammar.Call(name="during"):
                return Flag(self._beside(self._calendar(node)))
            case grammar.Call() if node.name in ("any", "all", "at_least"):
                return self._several(node)
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
        index = self._place(node.of)
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
                return of_point(at, self._starred(key), self._place(node), point)
            case grammar.Call() if node.name in ("sum", "highest", "lowest"):
                return self._total(node)
            case grammar.Call() if node.name in WINDOWS:
                return self._window(node)
            case grammar.Minus(at, of):
                return negative(at, self._quantity(of))
            case grammar.Arithmetic(at, sign, left, right):
                try:
                    return calculate(at, sign, self._quantity(left), self._quantity(right))
                except Wrong as wrong:
                    raise Wrong(str(wrong), at if wrong.at < 0 else wrong.at) from None
        raise Wrong("this is yes or no: nothing can be calculated or compared with it", node.at)

    # ---- of several parts -----------------------------------------------------------------------------------------

    def _several(self, node: grammar.Call) -> Truth:
        """`any(pump*.running is on)`, `at_least(2, …)`."""
        *counts, what = node.args
        if isinstance(what, grammar.Label) or len(counts) != (node.name == "at_least"):
            raise Wrong(f'"{node.name}" is not written so. Write for example "{grammar.FUNCTIONS[node.name]}"', node.at)
        truths = self._each_part(node, what, self._truth)
        if node.name != "at_least":
            return Some(tuple(truths)) if node.name == "any" else Every(tuple(truths))
        count = counts[0]
        if not isinstance(count, grammar.Number) or count.unit or count.value != int(count.value) or count.value < 1:
            raise Wrong('how many is a whole number that is written down: "at_least(2, …)"', count.at)
        if count.value > len(truths):
            raise Wrong(f"there are only {len(truths)} of them: that is never so", count.at)
        return AtLeast(int(count.value), tuple(truths))

    def _total(self, node: grammar.Call) -> Quantity:
        """`sum(pump*.current)`, `highest(…)`, `lowest(…)`."""
        what = node.args[0]
        if isinstance(what, grammar.Label) or len(node.args) != 1:
            raise Wrong(f'"{node.name}" wants one thing. Write for example "{grammar.FUNCTIONS[node.name]}"', node.at)
        return together(node, self._each_part(node, what, self._quantity))

    def _each_part(self, node: grammar.Call, what: grammar.Node, look: Callable[[grammar.Node], Found]) -> list[Found]:
        """What `look` makes of it, with `pump*` standing for one part after the other. Raises Wrong."""
        parts, found = self._parts(node, what), list[Found]()
        try:
            for part in parts:
                self._star = part
                found.append(look(what))
        finally:
            self._star = ""
        return found

    def _parts(self, node: grammar.Call, what: grammar.Node) -> list[str]:
        """The parts of the device that the one `pump*` inside stands for. Raises Wrong when there is none, or two."""
        if self._star:
            raise Wrong(f'"{node.name}" stands inside another one: join them with "and" or "or"', node.at)
        starred = [name for name in grammar.names(what) if STAR in name]
        heads = dict.fromkeys(name.partition(STAR)[0] for name in starred)
        if len(heads) != 1:
            example = grammar.FUNCTIONS[node.name]
            raise Wrong(f'inside "{node.name}" stands one kind of parts. Write for example "{example}"', node.at)
        head = next(iter(heads))
        parts = [{key.partition(".")[0] for key in spread(name, self._points) if STAR not in key} for name in starred]
        both = set.intersection(*parts)
        found = [part for part in dict.fromkeys(key.partition(".")[0] for key in self._points) if part in both]
        if not found:
            known = dict.fromkeys(key.partition(".")[0].rstrip("0123456789") + "*" for key in self._points)
            hint = did_you_mean(f"{head}*", known)
            raise Wrong(f'no part of {self._plate} has "{starred[0]}".{hint}', node.at)
        if len(found) > MAX_PARTS:
            raise Wrong(f'"{head}*" stands for {len(found)} parts, more than {MAX_PARTS}. Name fewer', node.at)
        return found

    def _starred(self, key: str) -> str:
        return key.replace("*", self._star.removeprefix(key.partition("*")[0]), 1) if self._star else key

    def _place(self, name: grammar.Name) -> int:
        """The slot of a point."""
        return self._index[resolve(self._starred(name.key), self._part)]

    # ---- what was, and when ---------------------------------------------------------------------------------------

    def _window(self, node: grammar.Call) -> Quantity:
        """`mean(inlet.level, 10 min)`: what is looked at, and for how long."""
        example = f'Write for example "{grammar.FUNCTIONS[node.name]}"'
        if self._inside:
            raise Wrong(f'"{node.name}" stands inside another window: a window looks at what is read', node.at)
        what, span = node.args[0], node.args[-1]
        if len(node.args) != 2 or isinstance(what, grammar.Label):
            raise Wrong(f'"{node.name}" wants two things: what, and for how long. {example}', node.at)
        if not isinstance(span, grammar.Number):
            raise Wrong(f"for how long is written down: a number and s, min, h or d. {example}", span.at)
        span_s = seconds(span)
        if not 0 < span_s <= MAX_WINDOW_S:
            raise Wrong(f'"{span.text} {span.unit}" cannot be looked at: more than 0 s and at most 7 d', span.at)
        count = len(self._index)
        self._inside = True
        try:
            if node.name in (Fold.COUNT, Fold.TIME):
                truth, of = self._truth(what), None
                if self._mistakes:  # there is nothing that could be measured
                    return folded(node, 0, None, span_s)
                measure: Callable[[Sequence[Seen]], Measure] = function(truth, count)
            else:
                of = self._quantity(what)
                if of.literal:
                    raise Wrong(f'"{of.text}" is written down: it never changes. Name a point. {example}', what.at)
                measure = amount(of.term, count)
        finally:
            self._inside = False
        fold = Fold.CHANGE if node.name == "rate" else Fold(node.name)
        names = grammar.names(what)
        text = f"{node.text.removeprefix(node.name)} {fold} {self._star}".rstrip()
        index = self._beside(Timed(text, fold, span_s, tuple(map(self._starred, names)), measure))
        return folded(node, index, of, span_s)

    def _calendar(self, node: grammar.Call) -> calendar.Calendar:
        if self._inside:
            raise Wrong('a window looks at what is read, not at the clock. Write "… and during(…)" beside it', node.at)
        told = node.args[0]
        if len(node.args) != 1 or not isinstance(told, grammar.Label):
            raise Wrong(f'"during" wants one text. Write for example {grammar.FUNCTIONS["during"]}', node.at)
        try:
            return calendar.read(told.text)
        except calendar.BadTimes as bad:
            raise Wrong(str(bad), told.at) from None

    def _beside(self, it: Timed | calendar.Calendar) -> int:
        """Where the slot that stands for it is."""
        for n, known in enumerate(self.beside):
            if type(known) is type(it) and known.text == it.text:
                return len(self._index) + n
        self.beside.append(it)
        return len(self._index) + len(self.beside) - 1

    def _known(self, name: grammar.Name) -> Kind | None:
        point = self._points.get(resolve(self._starred(name.key), self._part))
        return None if point is None else point.kind

    def _point(self, name: grammar.Name) -> Point:
        key = resolve(self._starred(name.key), self._part)
        point = self._points.get(key)
        if point is not None:
            return point
        if STAR in key:
            raise Wrong(f'"{name.key}" is of several parts. Write for example "any({name.key} is on)"', name.at)
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
