"""The language of conditions: text -> tree. It knows no points and no units, only how things are written.

    either   = both {("or" | "||") both}             sum    = product {("+" | "-") product}
    both     = denied {("and" | "&&") denied}        product = signed {("*" | "/") signed}
    denied   = ("not" | "!") denied | claim          signed = "-" signed | NUMBER [unit] | NAME | call | "(" either ")"
    claim    = sum [order sum [order sum] | "is" ["not"] label | ["not"] "in" "[" item {"," item} "]"]
    call     = FUNCTION "(" (either | "text") {"," either} ")"

FUNCTIONS is the whole list of what can be called. No attributes, no subscripts, no power, nothing that loops: an
expression is as long as its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rules.errors import BadRule, did_you_mean, points_at

MAX_LENGTH = 500  # letters of an expression
MAX_DIGITS = 15  # of a number: more than these a float cannot keep
MAX_DEPTH = 12  # brackets, nots and minus signs inside one another
KEYWORDS = frozenset({"and", "or", "not", "is", "in"})
ORDERS = frozenset({"<", "<=", ">", ">=", "==", "!="})
FUNCTIONS = {  # how each is written, for messages
    "mean": "mean(inlet.level, 10 min)",
    "min": "min(inlet.level, 10 min)",
    "max": "max(inlet.level, 10 min)",
    "change": "change(inlet.level, 30 min)",
    "rate": "rate(inlet.level, 30 min)",
    "count": "count(pump1.running is on, 1 h)",
    "time": "time(pump1.running is on, 24 h)",
    "during": 'during("Mon-Fri 22:00-07:30")',
    "any": "any(pump*.running is on)",
    "all": "all(pump*.running is on)",
    "at_least": "at_least(2, pump*.running is on)",
    "sum": "sum(pump*.current)",
    "highest": "highest(pump*.winding)",
    "lowest": "lowest(pump*.winding)",
}
_WORDS_FOR = {"&&": "and", "||": "or", "!": "not"}

# What people write elsewhere, and what it is here.
_INSTEAD = {
    "=": '"==", or "is" for on, off and labels',
    "=>": '">="',
    "=<": '"<="',
    "<>": '"!="',
    "≥": '">="',
    "≤": '"<="',
    "≠": '"!="',
    "&": '"and"',
    "|": '"or"',
    "×": '"*"',
    "÷": '"/"',
    "**": '"a * a": there is no power',
    "^": '"a * a": there is no power',
}
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?)(?:\s*(?P<unit>(?:[^\W\d_]|[°%％℃])[\w°]*(?:/[^\W\d_]\w*)?))?
      | (?P<name>[^\W\d]\w*(?:\*(?=\.[^\W\d]))?(?:\.\w+)*)
      | "(?P<label>[^"\\{}]{1,60})"
      | (?P<sign>&&|\|\||<=|>=|==(?!=)|!=(?!=)|<(?!>)|>|!(?!=)|\*(?!\*)|[-+/()\[\],])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """One word or sign: kind is "number", "name", "label", a keyword, a sign, or "end"."""

    kind: str
    text: str
    at: int
    unit: str = ""
    unit_at: int = 0


# ---- the tree -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """`0.80 MPa`."""

    at: int
    value: float
    text: str
    unit: str
    unit_at: int


@dataclass(frozen=True, slots=True)
class Name:
    """`pump1.current`, `each.current`, `pump*.current`: points, before anybody has looked whether there are any."""

    at: int
    key: str


@dataclass(frozen=True, slots=True)
class Label:
    """`on`, `fault`, `"locked out"`, after is and in []."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """`mean(inlet.level, 10 min)`; `text` is the whole of it, without blanks."""

    at: int
    name: str
    args: tuple[Node | Label, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Minus:
    at: int
    of: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    at: int
    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Order:
    """`a < b` or `a < b < c`."""

    at: int
    signs: tuple[str, ...]
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Among:
    """`x is on`, `x is not fault`, `x in [fault, "locked out"]`; `word` is "is" or "in"."""

    at: int
    word: str
    of: Node
    negated: bool
    items: tuple[Label | Number, ...]


@dataclass(frozen=True, slots=True)
class Not:
    at: int
    of: Node


@dataclass(frozen=True, slots=True)
class Both:
    """`a and b and c`."""

    at: int
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`a or b or c`."""

    at: int
    of: tuple[Node, ...]


Node = Number | Name | Call | Minus | Arithmetic | Order | Among | Not | Both | Either


def parse(text: str) -> Node:
    """The tree of an expression. Raises BadRule that points at the first letter that cannot be read."""
    if len(text) > MAX_LENGTH:
        what = f"{len(text)} letters are too many. Write at most {MAX_LENGTH}, or part it into two rules"
        raise BadRule(points_at(text[: MAX_LENGTH + 1], MAX_LENGTH, what), at=MAX_LENGTH)
    if not text.strip():
        raise BadRule('"" is empty. Write a condition, for example "inlet.level > 3.20 m"', at=0)
    return _Parser(text).whole()


def names(tree: Node) -> tuple[str, ...]:
    """The points that an expression names, each once, in the order in which they are written."""
    return tuple(dict.fromkeys(node.key for node in _walk(tree) if isinstance(node, Name)))


def numbers(tree: Node) -> list[Number]:
    """The numbers that are written in it, but for those in []: they have no units."""
    return [node for node in _walk(tree) if isinstance(node, Number)]


def times(tree: Node) -> list[Label]:
    """The texts of `during("…")`."""
    calls = (node for node in _walk(tree) if isinstance(node, Call) and node.name == "during")
    return [arg for call in calls for arg in call.args if isinstance(arg, Label)]


def _walk(tree: Node) -> Iterator[Node]:
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        match node:
            case Minus() | Not() | Among():
                todo.append(node.of)
            case Arithmetic():
                todo += (node.right, node.left)
            case Order() | Both() | Either():
                todo += reversed(node.of)
            case Call():
                todo += (arg for arg in reversed(node.args) if not isinstance(arg, Label))


# ---- text -> tokens -----------------------------------------------------------------------------------------------


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadRule(points_at(text, at, _cannot_stand(text, at)), at=at)
        kind, end = str(match.lastgroup), match.end()
        if kind in ("number", "unit"):
            unit, unit_at = match["unit"] or "", match.start("unit")
            if len(match["number"]) > MAX_DIGITS:
                raise BadRule(points_at(text, at, f"a number has at most {MAX_DIGITS} digits"), at=at)
            if unit.lower() in KEYWORDS:  # "4 and …": the number has no unit
                unit, end = "", match.end("number")
            found.append(Token("number", match["number"], at, unit, unit_at if unit else at))
        elif kind == "name":
            word = match["name"]
            found.append(Token(word if word in KEYWORDS else "name", word, at))
        elif kind == "label":
            found.append(Token("label", match["label"], at))
        elif kind == "sign":
            sign = _WORDS_FOR.get(match["sign"], match["sign"])
            found.append(Token(sign, match["sign"], at))
        at = end
    found.append(Token("end", "", len(text)))
    return found


def _cannot_stand(text: str, at: int) -> str:
    for sign in (text[at : at + 2], text[at]):
        if sign in _INSTEAD:
            return f'"{sign}" is not a sign here. Write {_INSTEAD[sign]}'
    letter = text[at]
    narrow = unicodedata.normalize("NFKC", letter)
    if narrow != letter and len(narrow) == 1:
        return f'"{letter}" is full-width. Did you mean "{narrow}"?'
    if letter == '"':
        return "a label ends where it began, with a quotation mark, has 1 to 60 letters and no { } or backslash"
    if letter == ".":
        return '"." cannot begin a number or a name. Write "0.5", "pump1.current"'
    if not letter.isprintable():
        return f"the letter U+{ord(letter):04X} cannot be seen and cannot stand here. Delete it"
    return f'"{letter}" cannot stand here'


# ---- tokens -> tree -----------------------------------------------------------------------------------------------


class _Parser:
    """One method for each line of the grammar above."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        tree = self._either()
        if self._peek.kind != "end":
            raise self._unexpected("and, or, or the end")
        return tree

    def _either(self) -> Node:
        at = self._peek.at
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(at, tuple(parts))

    def _both(self) -> Node:
        at = self._peek.at
        parts = [self._denied()]
        while self._take("and"):
            parts.append(self._denied())
        return parts[0] if len(parts) == 1 else Both(at, tuple(parts))

    def _denied(self) -> Node:
        token = self._take("not")
        if token is None:
            return self._claim()
        self._deeper(token)
        node = Not(token.at, self._denied())
        self._depth -= 1
        return node

    def _claim(self) -> Node:
        left = self._sum()
        token = self._peek
        if token.kind in ORDERS:
            return self._order(left)
        if token.kind == "is":
            self._next += 1
            negated = self._take("not") is not None
            return Among(token.at, "is", left, negated, (self._item("on, off or a label"),))
        negated = token.kind == "not" and self._tokens[self._next + 1].kind == "in"
        if token.kind == "in" or negated:
            self._next += 2 if negated else 1
            return Among(token.at, "in", left, negated, self._items())
        return left

    def _order(self, left: Node) -> Node:
        at = self._peek.at
        signs: list[str] = []
        of = [left]
        while self._peek.kind in ORDERS:
            sign = self._peek
            if len(signs) == 2 or (signs and not _same_way(signs[0], sign.kind)):
                raise self._wrong(sign, f'"{sign.text}" cannot follow here. Write "a < b < c", or join two with "and"')
            self._next += 1
            signs.append(sign.kind)
            of.append(self._sum())
        return Order(at, tuple(signs), tuple(of))

    def _items(self) -> tuple[Label | Number, ...]:
        self._expect("[", '"[", for example "in [fault, locked_out]"')
        items = [self._item("a label or a number")]
        while self._take(","):
            items.append(self._item("a label or a number"))
        self._expect("]", '"," or "]"')
        return tuple(items)

    def _item(self, wanted: str) -> Label | Number:
        token = self._peek
        if token.kind in ("name", "label"):
            self._next += 1
            return Label(token.at, token.text)
        if token.kind == "number":
            return self._number()
        raise self._unexpected(wanted)

    def _sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/"), self._signed)

    def _chain(self, signs: tuple[str, str], part: Callable[[], Node]) -> Node:
        left = part()
        while self._peek.kind in signs:
            token = self._peek
            self._next += 1
            left = Arithmetic(token.at, token.kind, left, part())
        return left

    def _signed(self) -> Node:
        token = self._peek
        if token.kind == "-":
            self._next += 1
            self._deeper(token)
            node: Node = Minus(token.at, self._signed())
            self._depth -= 1
            return node
        if token.kind == "(":
            self._next += 1
            self._deeper(token)
            node = self._either()
            self._expect(")", '")"')
            self._depth -= 1
            return node
        if token.kind == "number":
            return self._number()
        if token.kind == "name":
            self._next += 1
            if self._peek.kind == "[":
                raise self._wrong(self._peek, f'"{token.text}" cannot be indexed. Write "{token.text} in [a, b]"')
            return self._call(token) if self._peek.kind == "(" else Name(token.at, token.text)
        raise self._unexpected("a point, a number or a bracket")

    def _call(self, name: Token) -> Call:
        if name.text not in FUNCTIONS:
            hint = did_you_mean(name.text, FUNCTIONS, "Functions")
            raise self._wrong(name, f'"{name.text}" is not a function.{hint}')
        self._deeper(self._peek)
        self._next += 1
        args = [self._argument()]
        while self._take(","):
            args.append(self._argument())
        self._expect(")", '"," or ")"')
        self._depth -= 1
        whole = self._text[name.at : self._tokens[self._next - 1].at + 1]
        return Call(name.at, name.text, tuple(args), "".join(whole.split()))

    def _argument(self) -> Node | Label:
        token = self._peek
        if token.kind != "label":
            return self._either()
        self._next += 1
        return Label(token.at, token.text)

    # ---- steps ----------------------------------------------------------------------------------------------------

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _number(self) -> Number:
        token = self._peek
        self._next += 1
        return Number(token.at, float(token.text), token.text, token.unit, token.unit_at)

    def _take(self, kind: str) -> Token | None:
        token = self._peek
        if token.kind != kind:
            return None
        self._next += 1
        return token

    def _expect(self, kind: str, wanted: str) -> None:
        if self._take(kind) is None:
            raise self._unexpected(wanted)

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(token, f"more than {MAX_DEPTH} levels inside one another. Part it into two rules")

    def _unexpected(self, wanted: str) -> BadRule:
        token = self._peek
        if token.kind == "end":
            return self._wrong(token, f"it ends where {wanted} should follow")
        hint = did_you_mean(token.text, KEYWORDS) if token.kind == "name" else ""
        return self._wrong(token, f'"{token.text}" stands where {wanted} should be.{hint}')

    def _wrong(self, token: Token, what: str) -> BadRule:
        return BadRule(points_at(self._text, token.at, what), at=token.at)


def _same_way(first: str, then: str) -> bool:
    return first[0] == then[0] and first[0] in "<>"
