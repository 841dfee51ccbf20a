"""Units of other makes as data: named values in registers that move slowly, and what a few writes do to them.

The files lie in `images/`. `at` is the wire address (0-based), `raw` what the wire carries, `expect` what a hub must
make of it, at the start, in `unit`; the name of a value is the point that a profile would give it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import pi, sin
from pathlib import Path
from typing import Any

from protocols.modbus.pdu import Why
from simulators.modbus.unit import Refused, registers

IMAGES = Path(__file__).parent / "images"


@dataclass
class Value:
    """One value. It swings by `wobble` within `period_s` and grows by `rate` a second; at the start it is `raw`.

    A raw of 0 stays: what stands still neither swings nor counts.
    """

    name: str
    at: int
    kind: str
    raw: float
    expect: float | bool
    order: str = "ABCD"
    unit: str = ""
    fn: int = 3
    wobble: float = 0.0
    period_s: float = 60.0
    rate: float = 0.0

    def words(self, now_s: float) -> tuple[int, ...]:
        moved = self.raw
        if moved:
            moved += self.wobble * sin(2 * pi * now_s / self.period_s) + self.rate * now_s
        return registers(self.kind, moved if self.kind[0] == "f" else round(moved), self.order)


@dataclass(frozen=True)
class React:
    """What a write of `word` (under `mask`; None: any) at `at` does, if the values of `only_if` are so.

    `set` gives values a raw, or that of another value, by name; `copy` gives them the word itself.
    """

    at: int
    word: int | None = None
    mask: int = 0xFFFF
    set: Mapping[str, float | str] = field(default_factory=dict)
    only_if: Mapping[str, float] = field(default_factory=dict)
    copy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """One make, as read from its file."""

    make: str
    model: str
    title: Mapping[str, str]
    source: str
    unit: int
    blocks: tuple[tuple[int, int], ...]  # first and last register that can be read; in between unused ones are 0
    functions: tuple[int, ...]
    most: int
    values: tuple[Value, ...]
    reacts: tuple[React, ...]


def read_image(name: str) -> Image:
    """images/`name`.toml. Raises FileNotFoundError, and ValueError where a value lies outside its block."""
    table: dict[str, Any] = tomllib.loads((IMAGES / f"{name}.toml").read_text("utf-8"))
    image = Image(
        make=table["make"],
        model=table["model"],
        title=table["title"],
        source=table["source"],
        unit=table.get("unit", 1),
        blocks=tuple((first, last) for first, last in table["blocks"]),
        functions=tuple(table.get("functions", (3,))),
        most=table.get("most", 125),
        values=tuple(Value(**value) for value in table["value"]),
        reacts=tuple(React(**{**react, "copy": tuple(react.get("copy", ()))}) for react in table.get("react", ())),
    )
    for value in image.values:
        last = value.at + len(value.words(0.0)) - 1
        if not any(begin <= value.at and last <= end for begin, end in image.blocks):
            raise ValueError(f"images/{name}.toml › {value.name}: {value.at}..{last} lies in no block")
    return image


def images() -> list[str]:
    """All makes, by file name."""
    return sorted(file.stem for file in IMAGES.glob("*.toml"))


class StaticMemory:
    """The registers of such a unit. `now` tells the time in seconds; it stands still when there is none."""

    def __init__(self, image: Image, now: Callable[[], float] = lambda: 0.0) -> None:
        self.image = image
        self._now = now
        self.values = {value.name: Value(**vars(value)) for value in image.values}
        self._written: dict[int, int] = {}
        self.spans: Mapping[int, int] = {
            value.at: length for value in image.values if (length := len(value.words(0.0))) > 1
        }

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        if function not in self.image.functions:
            raise Refused(Why.ILLEGAL_FUNCTION)
        if count > self.image.most:
            raise Refused(Why.ILLEGAL_VALUE)
        if not any(first <= address and address + count - 1 <= last for first, last in self.image.blocks):
            raise Refused(Why.ILLEGAL_ADDRESS)
        memory = dict(self._written)
        now = self._now()
        for value in self.values.values():
            if value.fn == function or len(self.image.functions) == 1:
                memory |= dict(enumerate(value.words(now), value.at))
        return [memory.get(at, 0) for at in range(address, address + count)]

    def write(self, address: int, words: Sequence[int]) -> None:
        known = {react.at for react in self.image.reacts}
        if not all(at in known for at in range(address, address + len(words))):
            raise Refused(Why.ILLEGAL_ADDRESS)
        for at, word in enumerate(words, address):
            for react in self.image.reacts:
                if react.at == at and (react.word is None or word & react.mask == react.word):
                    self._react(react, word)
            self._written[at] = word

    def _react(self, react: React, word: int) -> None:
        if any(self.values[name].raw != raw for name, raw in react.only_if.items()):
            return
        for name, raw in react.set.items():
            self.values[name].raw = self.values[raw].raw if isinstance(raw, str) else raw
        for name in react.copy:
            self.values[name].raw = word
