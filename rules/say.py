"""What a rule says (`say`, and what to do, `do`): sentences with values in them, in every language of the house.

`{inlet.level}` is the value with its unit, `{inlet.level:.1f}` the bare number; `{device}` is the device's name,
`{part}` the part that an `each` rule is about ("pump2") and `{n}` its number ("2"). A value that cannot be believed
is said as "—", never as 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub.model import Kind, Point, Quality, Title
from hub.slot import Slot
from rules.condition import resolve
from rules.errors import BadRule, did_you_mean

OWN = ("device", "part", "n")  # placeholders that are not points
NOTHING = "—"
_YES_NO = {True: {"zh-CN": "是", "en": "yes"}, False: {"zh-CN": "否", "en": "no"}}
_NUMBER = re.compile(r"\d*$")
_HOLE = re.compile(r"\{(?P<name>[^\W\d]\w*(?:\.\w+)*)(?::\.(?P<digits>[0-6])f)?\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One sentence in one language. `holes` are (text before, name, digits)."""

    text: str
    holes: tuple[tuple[str, str, int | None], ...]
    tail: str

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises BadRule for a bracket that is not a placeholder."""
        holes: list[tuple[str, str, int | None]] = []
        end = 0
        for hole in _HOLE.finditer(text):
            digits = None if hole["digits"] is None else int(hole["digits"])
            holes.append((text[end : hole.start()], hole["name"], digits))
            end = hole.end()
        made = cls(text, tuple(holes), text[end:])
        for piece in (*(before for before, _, _ in holes), made.tail):
            if "{" in piece or "}" in piece:
                what = 'a placeholder is "{inlet.level}" or, with two decimals, "{inlet.level:.2f}"'
                raise BadRule(f'in "{text}": "{piece.strip()}" has a bracket that opens or closes nothing: {what}')
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """The points it speaks of."""
        return tuple(dict.fromkeys(name for _, name, _ in self.holes if name not in OWN))

    def check(self, points: Mapping[str, Point], part: str, plate: str) -> list[str]:
        """Its mistakes on a nameplate."""
        wrong = []
        for _, name, digits in self.holes:
            point = points.get(resolve(name, part))
            if name in OWN:
                if name != "device" and not part:
                    wrong.append(f'in "{self.text}": "{{{name}}}" is of a part. Say of which parts: each = "pump*"')
            elif point is None:
                hint = did_you_mean(name, [*points, *OWN], "Points")
                wrong.append(f'in "{self.text}": "{name}" is not a point of {plate}.{hint}')
            elif digits is not None and point.kind is not Kind.NUMBER:
                wrong.append(f'in "{self.text}": "{name}" is not a number. Write "{{{name}}}"')
        return wrong

    def fill(self, slots: Mapping[str, Slot], device: str, part: str, language: str) -> str:
        own = {"device": device, "part": part, "n": _NUMBER.findall(part)[0] or part}
        said = [
            before + (own[name] if name in OWN else _value(slots.get(resolve(name, part)), digits, language))
            for before, name, digits in self.holes
        ]
        return "".join(said) + self.tail


def fill(say: Mapping[str, Template], slots: Mapping[str, Slot], device: str, part: str) -> Title:
    return {language: template.fill(slots, device, part, language) for language, template in say.items()}


def _value(slot: Slot | None, digits: int | None, language: str) -> str:
    if slot is None or slot.quality is not Quality.GOOD or slot.value is None:
        return NOTHING
    value, point = slot.value, slot.point
    if point.kind is Kind.BOOL:
        return _title(point, "on" if value else "off", _YES_NO[bool(value)][language], language)
    if point.kind is Kind.NUMBER and isinstance(value, float | int):
        unit = f" {point.unit}" if point.unit and digits is None else ""
        return f"{value:.{point.digits if digits is None else digits}f}{unit}"
    return _title(point, str(value), str(value), language)


def _title(point: Point, label: str, otherwise: str, language: str) -> str:
    return point.label_titles.get(label, {}).get(language, otherwise)
