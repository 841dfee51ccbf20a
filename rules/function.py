"""A checked condition -> one Python function that answers True, False or None (cannot be judged).

The text that is compiled here is written here: numbers, variables with a number, and the few words below. Nothing of
the author's text gets into it; labels come in as values. A value that is not GOOD, not there, not of its kind or not
finite is None, and None follows Kleene's logic: `None and False` is False, `None or True` is True.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from typing import Any, Protocol

from hub.slot import LARGEST

LARGEST_RESULT = 1e300  # a calculated one beyond this is unknown: nothing overflows, nothing becomes NaN
DEEPEST = 50  # a tree that is nested deeper is written flat only
MAX_COMPILED = 4096  # different functions kept; equal ones are compiled once

Judge = Callable[[], bool | None]


# ---- the checked tree ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    value: float


@dataclass(frozen=True, slots=True)
class Read:
    """The value of slot `index`."""

    index: int


@dataclass(frozen=True, slots=True)
class Linear:
    """of * factor + offset: a change of unit, or of sign."""

    of: Term
    factor: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Calc:
    sign: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Extreme:
    """The highest or the lowest of several; `word` is "max" or "min"."""

    word: str
    of: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """of[0] signs[0] of[1] signs[1] of[2]"""

    signs: tuple[str, ...]
    of: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """Slot `index` is on."""

    index: int


@dataclass(frozen=True, slots=True)
class Match:
    """Slot `index` is one of these labels."""

    index: int
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Missing:
    """Slot `index` has no value that could be believed. Never unknown itself."""

    index: int


@dataclass(frozen=True, slots=True)
class Nay:
    of: Truth


@dataclass(frozen=True, slots=True)
class Every:
    of: tuple[Truth, ...]


@dataclass(frozen=True, slots=True)
class Some:
    of: tuple[Truth, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """So many of them are so."""

    count: int
    of: tuple[Truth, ...]


Term = Const | Read | Linear | Calc | Extreme
Truth = Compare | Flag | Match | Missing | Nay | Every | Some | AtLeast


class Seen(Protocol):
    """What a function looks at: a slot, or what stands for one (rules/window.py, rules/calendar.py)."""

    @property
    def trusted(self) -> Any: ...


def function(truth: Truth, count: int) -> Callable[[Sequence[Seen]], Judge]:
    """What makes the function of a tree for any `count` slots, in its order."""
    text = _Text(count)
    text.when_all_is_known(truth)
    judge = text.function(text.truth(truth))
    return lambda slots: partial(judge, *slots)  # one function for all that read alike: it stays in the cache


def amount(term: Term, count: int) -> Callable[[Sequence[Seen]], Callable[[], float | None]]:
    """The same for how much it is; None when that cannot be said."""
    text = _Text(count)
    measure: Callable[..., Any] = text.function(text.term(term))
    return lambda slots: partial(measure, *slots)


# ---- the text -----------------------------------------------------------------------------------------------------


class _Text:
    """One line for each step, each with a name of its own: flat, however deep the tree is."""

    def __init__(self, slots: int) -> None:
        self._labels: list[frozenset[str]] = []
        self._slots = slots
        self._lines = [f"v{i} = s{i}.trusted" for i in range(slots)]

    def function(self, result: str) -> Callable[..., bool | None]:
        labels = ", ".join(f"w{i}" for i in range(len(self._labels)))
        slots = ", ".join(f"s{i}" for i in range(self._slots))
        body = [f"        {line}" for line in self._lines]
        head = [f"def make({labels}):", f"    def judge({slots}):"]
        source = "\n".join([*head, *body, f"        return {result}", "    return judge", ""])
        return _compiled(source)(*self._labels)

    def when_all_is_known(self, node: Truth) -> None:
        """The usual case by far, first: every value is there, and `and` and `or` are Python's own."""
        if _bounded(node):
            names = [f"v{i}" for i in range(self._slots)]
            self._lines.append(f"if not ({_unknown(names)}): return {self._plain(node)}")

    def _plain(self, node: Truth | Term) -> str:
        match node:
            case Flag(index) | Read(index):
                return f"v{index}"
            case Missing():
                return "False"
            case Match(index, labels):
                return f"(v{index} in {self._word(labels)})"
            case Compare(signs, of):
                first, *rest = map(self._plain, of)
                return f"({first}{''.join(f' {sign} {term}' for sign, term in zip(signs, rest, strict=True))})"
            case Nay(of):
                return f"(not {self._plain(of)})"
            case Every(of):
                return f"({' and '.join(map(self._plain, of))})"
            case Some(of):
                return f"({' or '.join(map(self._plain, of))})"
            case AtLeast(count, of):
                return f"({' + '.join(map(self._plain, of))} >= {count!r})"
            case Extreme(word, of):
                return f"{word}({', '.join(map(self._plain, of))})"
            case Const(value):
                return repr(value)
            case Linear(of, factor, offset):
                return f"({self._plain(of)} * {factor!r}{f' + {offset!r}' if offset else ''})"
            case Calc(sign, left, right):
                return f"({self._plain(left)} {sign} {self._plain(right)})"

    def truth(self, node: Truth) -> str:
        """The name of what a tree answers."""
        match node:
            case Flag(index):
                return f"v{index}"
            case Missing(index):
                return self._step(f"v{index} is None")
            case Match(index, labels):
                return self._step(f"None if v{index} is None else v{index} in {self._word(labels)}")
            case Compare(signs, of):
                return self._compare(signs, [self.term(term) for term in of])
            case Nay(of):
                name = self.truth(of)
                return self._step(f"None if {name} is None else not {name}")
            case Every(of):
                return self._join(of, "False", "True")
            case Some(of):
                return self._join(of, "True", "False")
            case AtLeast(count, of):
                names = [self.truth(part) for part in of]
                so = self._step(" + ".join(f"({name} is True)" for name in names))
                open_ = self._step(" + ".join(f"({name} is None)" for name in names))
                return self._step(f"True if {so} >= {count!r} else None if {so} + {open_} >= {count!r} else False")

    def term(self, node: Term) -> str:
        match node:
            case Const(value):
                return repr(value)
            case Read(index):
                return f"v{index}"
            case Linear(of, factor, offset):
                name = self.term(of)
                plus = f" + {offset!r}" if offset else ""
                return self._number([name], f"{name} * {factor!r}{plus}")
            case Calc(sign, left, right):
                here, there = self.term(left), self.term(right)
                condition = f" or {there} == 0" if sign == "/" else ""
                return self._number([here, there], f"{here} {sign} {there}", condition)
            case Extreme(word, of):
                parts = [self.term(part) for part in of]
                return self._number(parts, f"{word}({', '.join(parts)})")

    def _word(self, labels: frozenset[str]) -> str:
        if labels not in self._labels:
            self._labels.append(labels)
        return f"w{self._labels.index(labels)}"

    def _compare(self, signs: tuple[str, ...], names: list[str]) -> str:
        claim = names[0] + "".join(f" {sign} {name}" for sign, name in zip(signs, names[1:], strict=True))
        return self._step(f"None if {_unknown(names)} else {claim}")

    def _join(self, of: tuple[Truth, ...], decides: str, otherwise: str) -> str:
        names = [self.truth(part) for part in of]
        decided = " or ".join(f"{name} is {decides}" for name in names)
        return self._step(f"{decides} if {decided} else None if {_unknown(names)} else {otherwise}")

    def _number(self, parts: list[str], claim: str, condition: str = "") -> str:
        name = self._step(f"None if {_unknown(parts)}{condition} else {claim}")
        self._lines.append(
            f"if {name} is not None and not -{LARGEST_RESULT!r} < {name} < {LARGEST_RESULT!r}: {name} = None"
        )
        return name

    def _step(self, value: str) -> str:
        name = f"t{len(self._lines)}"
        self._lines.append(f"{name} = {value}")
        return name


def _unknown(names: list[str]) -> str:
    """Any of them is None; numbers written down never are."""
    return " or ".join(f"{name} is None" for name in dict.fromkeys(names) if name[0] in "vt") or "False"


def _bounded(node: Truth | Term, depth: int = 0) -> bool:
    """Whether no step of it can divide by zero or overflow, whatever is measured, nor is nested too deep to write."""
    match node:
        case Compare(_, of):
            return all(_size(term, depth) < LARGEST_RESULT for term in of)
        case Every(of) | Some(of) | AtLeast(of=of):
            return depth < DEEPEST and all(_bounded(part, depth + 1) for part in of)
        case Nay(of):
            return depth < DEEPEST and _bounded(of, depth + 1)
        case _:
            return True


def _size(term: Term, depth: int) -> float:
    """The largest that it can be; infinity when nobody can say."""
    if depth >= DEEPEST:
        return inf
    match term:
        case Const(value):
            return abs(value)
        case Read():
            return LARGEST
        case Linear(of, factor, offset):
            return _size(of, depth + 1) * abs(factor) + abs(offset)
        case Calc("/"):
            return inf
        case Extreme(_, of_all):
            return max(_size(one, depth + 1) for one in of_all)
        case Calc(sign, left, right):
            here, there = _size(left, depth + 1), _size(right, depth + 1)
            return here * there if sign == "*" else here + there


@lru_cache(MAX_COMPILED)
def _compiled(source: str) -> Callable[..., Callable[..., bool | None]]:
    words: dict[str, Any] = {"__builtins__": {}, "max": max, "min": min}
    # The source is written by this file from a condition that was parsed: none of it is somebody's text.
    exec(compile(source, "<condition>", "exec"), words)  # nosec B102
    made: Callable[..., Callable[..., bool | None]] = words["make"]
    return made
