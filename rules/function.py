"""A checked condition -> one Python function that answers True, False or None (cannot be judged).

The text that is compiled here is written here: numbers, variables with a number, and the few words below. Nothing of
the author's text gets into it; labels come in as values. A value that is not GOOD, not there, not of its kind or not
finite is None, and None follows Kleene's logic: `None and False` is False, `None or True` is True.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hub.model import Kind, Quality
from hub.slot import Slot

LARGEST = 1e30  # a measured number beyond this is no measurement
LARGEST_RESULT = 1e300  # a calculated one beyond this is unknown: nothing overflows, nothing becomes NaN
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


Term = Const | Read | Linear | Calc
Truth = Compare | Flag | Match | Missing | Nay | Every | Some


def function(truth: Truth, kinds: Sequence[Kind]) -> Callable[[Sequence[Slot]], Judge]:
    """What makes the function of a tree for any slots of these kinds, in this order."""
    text = _Text(kinds)
    result = text.truth(truth)
    maker, labels = _compiled(text.source(result)), tuple(text.labels)
    return lambda slots: maker(labels, slots)


# ---- the text -----------------------------------------------------------------------------------------------------

_READS = {
    Kind.NUMBER: f"isinstance({{v}}, NUMBERS) and -{LARGEST!r} < {{v}} < {LARGEST!r}",
    Kind.ENUM: "isinstance({v}, str)",
    Kind.TEXT: "isinstance({v}, str)",
    Kind.POSITION: "{v} is not None",
}


class _Text:
    """One line for each step, each with a name of its own: flat, however deep the tree is."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.labels: list[frozenset[str]] = []
        self._kinds = kinds
        self._lines: list[str] = []
        for i, kind in enumerate(kinds):
            self._lines.append(f"v{i} = s{i}.value if s{i}.quality is GOOD else None")
            if kind is Kind.BOOL:  # 1 and 0 are on and off too
                self._lines.append(f"v{i} = True if v{i} == 1 else False if v{i} == 0 else None")
            else:
                self._lines.append(f"if not ({_READS[kind].format(v=f'v{i}')}): v{i} = None")

    def source(self, result: str) -> str:
        slots = [f"    s{i} = slots[{i}]" for i in range(len(self._kinds))]
        labels = [f"    w{i} = labels[{i}]" for i in range(len(self.labels))]
        body = [f"        {line}" for line in self._lines]
        head = ["def make(labels, slots):", *slots, *labels, "    def judge():"]
        return "\n".join([*head, *body, f"        return {result}", "    return judge", ""])

    def truth(self, node: Truth) -> str:
        match node:
            case Flag(index):
                return f"v{index}"
            case Missing(index):
                return self._step(f"v{index} is None")
            case Match(index, labels):
                self.labels.append(labels)
                return self._step(f"None if v{index} is None else v{index} in w{len(self.labels) - 1}")
            case Compare(signs, of):
                return self._compare(signs, [self.term(term) for term in of])
            case Nay(of):
                name = self.truth(of)
                return self._step(f"None if {name} is None else not {name}")
            case Every(of):
                return self._join(of, "False", "True")
            case Some(of):
                return self._join(of, "True", "False")

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


@lru_cache(MAX_COMPILED)
def _compiled(source: str) -> Callable[[tuple[frozenset[str], ...], Sequence[Slot]], Judge]:
    words: dict[str, Any] = {
        "__builtins__": {},
        "isinstance": isinstance,
        "str": str,
        "GOOD": Quality.GOOD,
        "NUMBERS": (float, int),
    }
    exec(compile(source, "<condition>", "exec"), words)
    made: Callable[[tuple[frozenset[str], ...], Sequence[Slot]], Judge] = words["make"]
    return made
