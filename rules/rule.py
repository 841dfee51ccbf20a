"""A rule as its author wrote it: which devices it is about, what must be so, and what follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase

from hub.model import Area, Device, Nameplate, Point, Severity, Title
from rules.condition import EACH, Checked, Condition, resolve, spread
from rules.errors import BadRule, did_you_mean
from rules.function import Compare, Const, Read
from rules.say import Template


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`. On a device it becomes one instance, or one for each part that `each` matches."""

    name: str
    kind: str
    when: Condition
    severity: Severity
    say: Mapping[str, Template]
    do: Mapping[str, Template]
    hold: timedelta
    until: Condition | None
    until_hold: timedelta
    unless: Condition | None  # while it is so the alarm is suppressed: something else explains it
    unless_say: Title  # and what
    profile: tuple[str, ...]
    device: tuple[str, ...]
    area: tuple[str, ...]
    each: str
    then: tuple[str, ...]
    story: str
    place: str  # 'rules/pumps.toml › rule "pump over-pressure"'
    within: frozenset[str] = frozenset()  # the codes of `area` and of all that lies in them

    def selects(self, device: Device) -> bool:
        return (
            device.kind == self.kind
            and (not self.profile or device.profile in self.profile)
            and (not self.device or device.id in self.device)
            and (not self.area or device.area in self.within)
        )

    def placed(self, areas: Iterable[Area]) -> Rule:
        """With the areas that it names looked up. Raises BadRule for one that is not there, or is there twice."""
        known = list(areas)
        inside: dict[str, list[str]] = {}
        for it in known:
            inside.setdefault(it.parent, []).append(it.code)
        found: set[str] = set()
        mistakes: list[str] = []
        for name in self.area:
            named = [it.code for it in known if name in (it.code, it.name)]
            if len(named) == 1:
                found.update(_with_all_inside(named[0], inside))
            elif named:
                mistakes.append(
                    f'area: "{name}" is the name of {len(named)} areas. Write a code: {", ".join(named[:5])}'
                )
            else:
                names = [word for it in known for word in (it.name, it.code)]
                mistakes.append(f'area: "{name}" is not an area.{did_you_mean(name, names, "Areas")}')
        if mistakes:
            raise BadRule(*mistakes)
        return replace(self, within=frozenset(found))

    def parts(self, points: Mapping[str, Point]) -> list[str]:
        """The parts of a device that this rule is about: pump1, pump2, … or the device itself, which is ""."""
        if not self.each:
            return [""]
        parts = dict.fromkeys(key.partition(".")[0] for key in points if "." in key)
        return [part for part in parts if fnmatchcase(part, self.each)]

    def id(self, part: str) -> str:
        """The name of its alarm."""
        return f"{self.name} / {part}" if part else self.name

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those that it cannot do without."""
        return (self.when,) if self.until is None else (self.when, self.until)

    def explanation(self, points: Mapping[str, Point], part: str) -> Condition | None:
        """What suppresses it, where a device has the points for that: without them the alarm rings."""
        if self.unless is None or not all(key in points for key in self.unless.reads(points, part)):
            return None
        return self.unless

    def judged(self, points: Mapping[str, Point], part: str) -> tuple[Condition, ...]:
        """All conditions that are looked at on a device with these points."""
        explanation = self.explanation(points, part)
        return self.conditions if explanation is None else (*self.conditions, explanation)

    @property
    def names(self) -> tuple[str, ...]:
        """Every point that it reads or speaks of, as written."""
        said = (name for template in (*self.say.values(), *self.do.values()) for name in template.names)
        return tuple(dict.fromkeys((*(name for c in self.conditions for name in c.names), *said)))

    def lacks(self, points: Mapping[str, Point], part: str) -> list[str]:
        """The names that stand for no point of this nameplate."""
        return [name for name in self.names if spread(resolve(name, part), points)[0] not in points]

    def is_about(self, points: Mapping[str, Point], part: str) -> bool:
        """Whether the part is such a part at all: "pumps.total" makes no pump of "pumps"."""
        mine = [name for name in self.names if name.startswith(EACH)]
        return not part or not mine or any(resolve(name, part) in points for name in mine)

    def asks(self, part: str) -> tuple[str, ...]:
        """The actions that it asks for when it raises."""
        return tuple(resolve(action, part) for action in self.then)

    def check(self, plate: Nameplate, part: str, called: str) -> None:
        """Whether it can be on this nameplate. Raises BadRule with all mistakes; `called` names the plate in them."""
        mistakes: list[str] = []
        checked: list[Checked] = []
        for condition in self.judged(plate.points, part):
            try:
                checked.append(condition.on(plate.points, part, called))
            except BadRule as bad:
                mistakes += bad.mistakes
        if self.until is not None and not mistakes:
            both = zip(checked[:2], (self.when, self.until), strict=True)
            limits = [_limit(it, condition.reads(plate.points, part)) for it, condition in both]
            if overlap := _overlap(*limits):
                mistakes.append(f'until "{self.until.text}": {overlap}')
        if not self.when.names:
            mistakes.append(f'when "{self.when.text}": names no point. What is an alarm only by the clock is none')
        for field, templates in (("say", self.say), ("do", self.do)):
            for template in templates.values():
                mistakes += (f"{field} › {mistake}" for mistake in template.check(plate.points, part, called))
        for action in self.asks(part):
            mistakes += _action(plate, action, called)
        if mistakes:
            raise BadRule(*dict.fromkeys(mistakes))

    def strange_units(self) -> list[str]:
        """The units in its conditions that are not on the list, without a nameplate to hold them against."""
        every = (*self.conditions, *([] if self.unless is None else [self.unless]))
        return [f"{self.place} › {mistake}" for condition in every for mistake in condition.strange_units()]


def _with_all_inside(code: str, inside: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    todo = [code]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += inside.get(one, ())
    return found


def _action(plate: Nameplate, key: str, called: str) -> list[str]:
    action = plate.actions.get(key)
    if action is None:
        hint = did_you_mean(key, plate.actions, "Actions")
        return [f'then › "{key}" is not an action of {called}.{hint}']
    if action.args:
        wants = ", ".join(arg.key for arg in action.args)
        return [f'then › "{key}" wants to be told {wants}; a rule can ask only for actions without arguments']
    return []


Limit = tuple[str, str, float]  # what, above or below, how much


def _overlap(above: Limit | None, below: Limit | None) -> str:
    """`x > 3.2` until `x < 3.5`: the limits contradict each other between 3.2 and 3.5."""
    if above is None or below is None or above[0] != below[0]:
        return ""
    (_, sign, limit), (_, back, ends) = above, below
    if sign[0] == ">" and back[0] == "<" and ends > limit:
        return f"ends the alarm while it is still met. Write a limit that is not above {limit:g}"
    if sign[0] == "<" and back[0] == ">" and ends < limit:
        return f"ends the alarm while it is still met. Write a limit that is not below {limit:g}"
    return ""


def _limit(checked: Checked, keys: Sequence[str]) -> Limit | None:
    """When it is one: of a point, or of a window."""
    match checked.truth:
        case Compare((sign,), (Read(index), Const(value))):
            return [*keys, *(it.text for it in checked.beside)][index], sign, value
    return None
