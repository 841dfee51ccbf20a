"""Rule files: TOML -> rules, with every mistake of every file at once.

    [[rule]]
    name     = "pump over-pressure"
    kind     = "pump_station"
    when     = "outlet.pressure > 0.80 MPa and pump1.running is on"
    …

The whole language, with an example of each mistake, is in rules/README.md.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from hub import units
from hub.contract import BadConfig
from hub.mistakes import read_toml
from hub.model import Area, Device, Nameplate, Severity, Title
from hub.words import LANGUAGES
from rules.condition import Condition
from rules.errors import BadRule, did_you_mean
from rules.fit import Fit, against
from rules.rule import Rule
from rules.say import Template

MAX_HOLD = timedelta(days=1)  # what takes longer is for the timetable, not for an alarm
MAX_NAME = 80  # letters
SHIPPED = Path(__file__).resolve().parent / "shipped"  # the usual rules, one file a device kind

_HOUR = timedelta(hours=1)

Fleet = Sequence[tuple[Device, Nameplate]]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a house: in order, with what their authors should know, and a device that each can be played on."""

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...] = ()
    fits: Mapping[str, Fit] = field(default_factory=dict)  # name of a rule -> where it can be judged

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)


def load_rules(folder: Path, fleet: Fleet = (), areas: Sequence[Area] = ()) -> Rules:
    """The rules of a site beside the shipped ones; one with the name of a shipped rule replaces it.

    Raises BadRule with every mistake of every file.
    """
    return load(sorted(folder.glob("*.toml")), fleet, shipped_files(), areas)


def kinds(folder: Path) -> set[str]:
    """The device kinds that the rules of a site and the shipped ones are for, also rules that cannot be read whole."""
    found: set[str] = set()
    for file in (*folder.glob("*.toml"), *shipped_files()):
        with contextlib.suppress(BadConfig):  # `load` says it
            tables = read_toml(file, file.name).get("rule")
            rows = [row for row in tables if isinstance(row, dict)] if isinstance(tables, list) else []
            found |= {row["kind"] for row in rows if isinstance(row.get("kind"), str)}
    return found


def unwatched(rules: Rules, fleet: Fleet) -> list[Device]:
    """The devices on which no rule can be judged: whatever happens to them, no alarm rings."""
    return [device for device, plate in fleet if not any(_watches(rule, device, plate) for rule in rules)]


def _watches(rule: Rule, device: Device, plate: Nameplate) -> bool:
    return rule.selects(device) and any(
        rule.is_about(plate.points, part) and not rule.lacks(plate.points, part) for part in rule.parts(plate.points)
    )


def shipped_files() -> list[Path]:
    return sorted(SHIPPED.glob("*.toml"))


def load(files: Iterable[Path], fleet: Fleet = (), shipped: Iterable[Path] = (), areas: Sequence[Area] = ()) -> Rules:
    """All rules of these files, held against the nameplates of a fleet if there is one. Raises BadRule.

    What a shipped rule lacks on a fleet is a warning: it may be about devices that this house does not have.
    """
    mistakes: list[str] = []
    own = [rule for file in files for rule in _file(file, mistakes)]
    if areas or fleet:  # of a site that could be read
        own = [_placed(rule, areas, mistakes) for rule in own]
    seen: dict[str, str] = {}
    for rule in own:
        if rule.name in seen:
            mistakes.append(f"{rule.place}: this name is taken by {seen[rule.name]}. Alarms go by it: write another")
        seen.setdefault(rule.name, rule.place)
    ours = [rule for file in shipped for rule in _file(file, mistakes) if rule.name not in seen]
    warnings = [f"{rule.place}: has no story: nobody has seen it work" for rule in (*own, *ours) if not rule.story]
    fits: dict[str, Fit] = {}
    kinds = {device.kind for device, _ in fleet}
    for rule in (*own, *ours):
        if not kinds or (rule.name not in seen and rule.kind not in kinds):
            continue
        found = against(rule, fleet)
        if rule.name in seen:
            mistakes += found.mistakes
        elif found.mistakes:
            warnings.append(f"{found.mistakes[0]}. The rule is judged nowhere")
        warnings += found.warnings
        if found.fit is not None:
            fits[rule.name] = found.fit
    for rule in (*own, *ours):
        if rule.name not in fits:  # at least its units can be looked at
            mistakes += (one for one in rule.strange_units() if one not in mistakes)
    if mistakes:
        raise BadRule(*mistakes)
    return Rules((*own, *ours), tuple(warnings), fits)


def _placed(rule: Rule, areas: Sequence[Area], mistakes: list[str]) -> Rule:
    try:
        return rule.placed(areas)
    except BadRule as bad:
        mistakes += bad.within(rule.place)
        return rule


# ---- one file -----------------------------------------------------------------------------------------------------


def _file(file: Path, mistakes: list[str]) -> list[Rule]:
    """The rules of a file that can be read; what is wrong with the others is added to `mistakes`."""
    place = f"{file.parent.name}/{file.name}"
    try:
        content = read_toml(file, place)
    except BadConfig as bad:
        mistakes += bad.mistakes
        return []
    for key in content:
        if key != "rule":
            hint = did_you_mean(key, ("rule",))
            mistakes.append(f'{place} › "{key}" › a rule file has only [[rule]] tables.{hint}')
    tables = content.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.append(f'{place} › "rule" › write each rule as [[rule]], with two brackets')
        return []
    rules: list[Rule] = []
    for number, table in enumerate(tables, 1):
        rule, wrong = _read(table, place, number)
        mistakes += wrong
        if rule is not None:
            rules.append(rule)
    return rules


def read(table: Mapping[str, Any], file: str = "rules", number: int = 1) -> Rule:
    """One rule. Raises BadRule with all its mistakes, each with its place."""
    rule, mistakes = _read(table, file, number)
    if rule is None or mistakes:
        raise BadRule(*mistakes)
    return rule


def _read(table: Mapping[str, Any], file: str, number: int) -> tuple[Rule | None, list[str]]:
    """The rule as far as it can be read, so that the rest of it can still be held against a nameplate."""
    name = table.get("name")
    place = f'{file} › rule "{name}"' if isinstance(name, str) else f"{file} › rule {number}"
    mistakes = [
        f'{place} › "{key}" is not a field of a rule.{did_you_mean(key, _FIELDS, "Fields")}'
        for key in table
        if key not in _FIELDS
    ]
    made: dict[str, Any] = {}
    for key, (reader, otherwise) in _FIELDS.items():
        made[key] = otherwise
        if key in table:
            try:
                made[key] = reader(table[key])
            except BadRule as bad:
                told = bad.within(place) if bad.at is not None else [f"{place} › {key}: {m}" for m in bad.mistakes]
                mistakes += told
        elif key in _EXAMPLES:
            mistakes.append(f"{place} › {key}: is missing. Write {_EXAMPLES[key]}")
    if made["severity"] in (Severity.URGENT, Severity.HIGH) and "do" not in table:
        why = f'whoever gets an alarm of severity "{table["severity"]}" must be told what to do'
        mistakes.append(f'{place} › do: is missing: {why}. Write do = {{ zh-CN = "…", en = "…" }}')
    if made["unless"] is not None and "unless_say" not in table:
        why = "who finds it suppressed must be told what explains it"
        mistakes.append(f'{place} › unless_say: is missing: {why}. Write unless_say = {{ zh-CN = "…", en = "…" }}')
    whole = made["name"] and made["kind"] and made["when"]
    return (Rule(**made, place=place) if whole else None), mistakes


# ---- the fields: each reader takes what stands in the file, or raises BadRule -------------------------------------


def duration(value: Any, most: timedelta = MAX_HOLD) -> timedelta:
    """ "30 s" -> 30 seconds. Raises BadRule."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([^\W\d]+)", value) if isinstance(value, str) else None
    if match is None:
        raise BadRule(f'{_shown(value)} is not a time. Write for example "30 s" or "2 min"')
    try:
        seconds = units.convert(float(match[1]), match[2], "s")
    except units.BadUnit:
        raise BadRule(f'"{match[2]}" is not a unit of time. Write one of: s, min, h') from None
    if seconds > most.total_seconds():
        raise BadRule(f'"{value}" is longer than {most / _HOUR:g} h. Write at most "{most / _HOUR:g} h"')
    return timedelta(seconds=seconds)


def _name(value: Any) -> str:
    text = _text(value)
    if len(text) > MAX_NAME or " / " in text or '"' in text or not text.isprintable():
        raise BadRule(f"{_shown(value)} cannot be a name. Write at most {MAX_NAME} letters, without quotes and ' / '")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadRule(f'{_shown(value)} is not a text. Write it in quotes: "…"')
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise BadRule(f'{_shown(value)} is not a list of texts. Write ["…", "…"]')
    return tuple(value)


def _each(value: Any) -> str:
    text = _text(value)
    if re.fullmatch(r"[\w*?\[\]-]+", text) is None:
        raise BadRule(f'{_shown(value)} names no parts. Write the part of a point before its dot: "pump*"')
    return text


def _severity(value: Any) -> Severity:
    known = [severity.name.lower() for severity in Severity]
    if value not in known:
        meant = _MEANT.get(str(value).lower())
        hint = f' Did you mean "{meant}"?' if meant else did_you_mean(str(value), known)
        raise BadRule(f"{_shown(value)} is not a severity.{hint} Severities: {', '.join(known)}")
    return Severity[str(value).upper()]


def _title(value: Any) -> Title:
    if not isinstance(value, dict):
        raise BadRule(f'{_shown(value)} is in one language. Write {{ zh-CN = "…", en = "…" }}')
    mistakes = [
        f'"{key}" is not a language of the house: {", ".join(LANGUAGES)}' for key in value if key not in LANGUAGES
    ]
    for language in LANGUAGES:
        if not isinstance(value.get(language), str) or not value[language].strip():
            mistakes.append(f'has no text in {language}. Write {{ zh-CN = "…", en = "…" }}')
    if mistakes:
        raise BadRule(*mistakes)
    return dict(value)


def _say(value: Any) -> dict[str, Template]:
    made: dict[str, Template] = {}
    mistakes: list[str] = []
    for language, text in _title(value).items():
        try:
            made[language] = Template.parse(text)
        except BadRule as bad:
            mistakes += bad.mistakes
    if mistakes:
        raise BadRule(*mistakes)
    return made


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


_MEANT = {
    "critical": "urgent",
    "emergency": "urgent",
    "major": "high",
    "warning": "medium",
    "minor": "low",
    "info": "low",
}
# Of each field: what reads it, and what it is when it is not there. Those with an example must be there.
_FIELDS: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "name": (_name, ""),
    "kind": (_text, ""),
    "profile": (_texts, ()),
    "device": (_texts, ()),
    "area": (_texts, ()),
    "each": (_each, ""),
    "when": (Condition.read, None),
    "hold": (duration, timedelta(0)),
    "until": (Condition.read, None),
    "until_hold": (duration, timedelta(0)),
    "unless": (Condition.read, None),
    "unless_say": (_title, {}),
    "severity": (_severity, Severity.MEDIUM),
    "say": (_say, {}),
    "do": (_say, {}),
    "then": (_texts, ()),
    "story": (_text, ""),
}
_EXAMPLES = {
    "name": 'name = "sump high"',
    "kind": 'kind = "pump_station"',
    "when": 'when = "inlet.level > 3.20 m"',
    "severity": 'severity = "high"',
    "say": 'say = { zh-CN = "前池水位 {inlet.level}", en = "sump level {inlet.level}" }',
}
