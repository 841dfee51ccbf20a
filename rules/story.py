"""Plays the story of a rule: a table of readings, and what must be so after each.

    time   outlet.pressure   pump1.running   is
    0 s    0.50              on              normal
    10 s   0.85              -               pending
    40 s   0.85              -               raised: pump1.stop

Values are in the units of the nameplate. "-" is nothing new, "bad" a reading that cannot be believed, "none" one
without a value. What becomes so by time alone between two lines does, as in the house. `is` is normal, pending,
raised (with the actions that were asked for since the line before), suppressed, or unknown: normal, and it cannot be
judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hub.contract import Finding
from hub.model import AlarmEvent, Kind, Point, Quality, Value
from hub.slot import Slot
from rules.book import Book
from rules.condition import resolve, spread
from rules.engine import Instance, Phase
from rules.errors import BadRule, did_you_mean
from rules.fit import Fit
from rules.load import Rules, duration
from rules.rule import Rule

MAX_LINES = 200  # of a story
LONGEST = timedelta(days=30)
START = datetime(2026, 1, 1, tzinfo=UTC)  # midnight on the site, a Thursday
_BEGINS = re.compile(r"time from (\d{4}-\d\d-\d\d \d\d:\d\d)$")
_ON_OFF = {"on": True, "off": False}


def play_all(rules: Rules) -> int:
    """Play the story of every rule that a device of the house can show; how many those were. Raises BadRule."""
    played = 0
    mistakes: list[str] = []
    for rule in rules:
        fit = rules.fits.get(rule.name)
        if rule.story and fit is not None:
            mistakes += play(rule, fit)
            played += 1
    if mistakes:
        raise BadRule(*mistakes)
    return played


def play(rule: Rule, fit: Fit) -> list[str]:
    """The lines in which something else happened than the story says; empty when it is true."""
    place = f"{rule.place} › story"
    lines = [line.strip() for line in rule.story.strip().splitlines() if line.strip()]
    try:
        if len(lines) < 2 or len(lines) > MAX_LINES:
            raise BadRule(f'has {len(lines)} lines. Write a head "time  inlet.level  is" and up to {MAX_LINES} lines')
        head = _head(rule, lines[0], fit)
        stage = _Stage(rule, fit, _begins(cells(lines[0])[0]))
        return [f"{place} › {wrong}" for line in lines[1:] if (wrong := stage.line(head, line))]
    except BadRule as bad:
        return bad.within(place)


def cells(line: str) -> list[str]:
    """The cells of a line: they are parted by two blanks or more, or by a tab."""
    return re.split(r"\s{2,}|\t", line.strip())


def _head(rule: Rule, line: str, fit: Fit) -> list[str]:
    head = cells(line)
    if len(head) < 3 or not (head[0] == "time" or _BEGINS.match(head[0])) or head[-1] != "is":
        raise BadRule(f'at "{line}": the first line is "time", then points, then "is", two blanks apart')
    points = fit.plate.points
    looks_at = dict.fromkeys(
        key for c in rule.judged(points, fit.part) for name in c.names for key in spread(name, points)
    )
    mistakes = []
    for name in head[1:-1]:
        if name not in looks_at:
            hint = did_you_mean(name, looks_at, "It looks at")
            mistakes.append(f'at "{line}": the rule does not look at "{name}".{hint}')
    for name in looks_at:
        if name not in head:
            mistakes.append(f'at "{line}": the rule looks at "{name}" too. Give it a column')
    if mistakes:
        raise BadRule(*mistakes)
    return [resolve(name, fit.part) for name in head]


def _begins(cell: str) -> datetime:
    """When the story begins. Raises BadRule."""
    told = _BEGINS.match(cell)
    if told is None:
        return START
    try:
        return datetime.strptime(told[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise BadRule(f'at "{cell}": there is no such day or time') from None


class _Stage:
    """One instance of the rule on slots of its own, with a clock that the lines move."""

    def __init__(self, rule: Rule, fit: Fit, start: datetime) -> None:
        self._start = start
        self._slots = {key: Slot(fit.device.id, point, 0) for key, point in fit.plate.points.items()}
        self._book = Book([rule], lambda device: fit.plate, UTC)
        self._wakes = self._book.bind(fit.device, self._slots)
        self._it = next(it for its in self._wakes.values() for it in its if it.part == fit.part)
        self._now: datetime | None = None

    def line(self, head: Sequence[str], line: str) -> str:
        """What is wrong with a line; nothing when it is true. Raises BadRule when it cannot be read."""
        row = cells(line)
        shown = "  ".join(row[:-1])
        if len(row) != len(head):
            raise BadRule(f'at "{line}": has {len(row)} cells, the first line has {len(head)}. Part them by two blanks')
        at = self._time(row[0], line)
        readings = {key: cell for key, cell in zip(head[1:-1], row[1:-1], strict=True) if cell != "-"}
        values = {key: _value(self._slots[key].point, cell, line) for key, cell in readings.items()}
        asked = self._until(at)
        asked += self._take(values, at)
        happened = self._state(asked)
        expected = re.sub(r"\s+", " ", row[-1])
        if expected == happened:
            return ""
        known = ("normal", "pending", "raised", "suppressed", "unknown")
        if expected.partition(":")[0] not in known:
            raise BadRule(f'at "{shown}": "{expected}" is not a state.{did_you_mean(expected, known, "States")}')
        return f'at "{shown}": expected "{expected}", happened "{happened}"'

    def _time(self, cell: str, line: str) -> datetime:
        try:
            at = self._start + duration(cell, LONGEST)
        except BadRule as bad:
            raise BadRule(f'at "{line}": {bad}') from None
        if self._now is not None and at <= self._now:
            raise BadRule(f'at "{line}": is not later than the line before')
        self._now = at
        return at

    def _until(self, at: datetime) -> list[Finding]:
        """What becomes so by time alone before `at`, when it becomes so."""
        found: list[Finding] = []
        while (due := self._book.next_due()) is not None and due < at:
            found += self._book.tick(due)
        return found

    def _take(self, values: Mapping[str, tuple[Value, Quality]], at: datetime) -> list[Finding]:
        woken: dict[Instance, None] = {}
        for key, (value, quality) in values.items():
            self._slots[key].put(value, quality, at)
            woken.update(dict.fromkeys(self._wakes[key]))
        if self._it.timed:
            woken[self._it] = None  # in the house it is looked at often enough
        return [*self._book.step(woken, at), *self._book.tick(at)]

    def _state(self, found: Iterable[Finding]) -> str:
        asks = [
            ask.action for it in found if it.rule == self._it.id and it.event is AlarmEvent.RAISED for ask in it.asks
        ]
        if self._it.raised and self._it.suppressed:
            return "suppressed"
        if self._it.raised:
            own = f"{self._it.part}."
            named = ["each." + ask.removeprefix(own) if self._it.part and ask.startswith(own) else ask for ask in asks]
            return f"raised: {', '.join(named)}" if named else "raised"
        if self._it.phase is Phase.PENDING:
            return "pending"
        return "unknown" if self._it.when() is None else "normal"


def _value(point: Point, cell: str, line: str) -> tuple[Value, Quality]:
    if point.kind is Kind.ENUM and cell in point.labels.values():
        return cell, Quality.GOOD  # before "none" and "bad": they may be labels
    if cell == "bad":
        return None, Quality.BAD
    if cell == "none":
        return None, Quality.GOOD
    if point.kind is Kind.BOOL and cell in _ON_OFF:
        return _ON_OFF[cell], Quality.GOOD
    if point.kind is Kind.NUMBER:
        try:
            return float(cell), Quality.GOOD
        except ValueError:
            unit = f" in {point.unit}, without the unit" if point.unit else ""
            raise BadRule(f'at "{line}": "{cell}" is not a number. Write one{unit}, or -, bad, none') from None
    if point.kind is Kind.TEXT:
        return cell, Quality.GOOD
    known = list(_ON_OFF) if point.kind is Kind.BOOL else list(point.labels.values())
    raise BadRule(f'at "{line}": "{cell}" is no value of "{point.key}".{did_you_mean(cell, known, "Values")}')
