"""notify.toml: who is told of an alarm, how, and who after whom. Read and checked, every mistake at once.

    [channel.sms]                     # an address of Apprise; where it has {to}, there goes the number
    url = "env:FIELDHUB_SMS"
    [[contact]]
    person = "li.na"
    by     = { sms = "13800001234" }
    quiet  = "22:00-06:30"
    [[shift]]
    name   = "days"
    times  = ["08:00-20:00"]
    people = ["li.na"]
    [[route]]
    name     = "pump stations"
    severity = ["urgent", "high"]
    steps    = [{ after = "0 s", tell = ["shift:days"] }, { after = "5 min", tell = ["role:water_operator"] }]

A site without the file tells nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import Field, ValidationError, field_validator

from hub import calendar, units
from hub.calendar import Calendar
from hub.config_tables import Named, Strict
from hub.config_words import explain
from hub.contract import BadConfig
from hub.mistakes import Mistakes, near, read_toml
from hub.model import Severity
from hub.notices.plan import Away, Channel, Contact, Plan, Route, Shift, Step, Whom
from hub.rights import ROLES
from hub.secrets import Secret

NAME = "notify.toml"
PLACE = "{to}"  # in a channel's address: whom it is for
LONGEST_AFTER_S = 24 * 3600.0
MOST = 1_000  # rows of one kind
MOST_STEPS = 10  # of a route
MOST_NAMED = 100  # whom one step, shift or route may name
_PERSON = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_WORD = r"^[^\x00-\x1f:]{1,60}$"
_TELL = re.compile(r"(person|shift|role|channel):(.+)")
_NO = re.compile(r"[\x00-\x20]")
_WRITE = {
    "url": '"env:NAME" or "file:PATH", and the channel\'s address there',
    "person": 'a log-in name: person = "li.na"',
    "people": 'log-in names: people = ["li.na", "wang.min"]',
    "teams": 'who takes turns: teams = [["li.na"], ["wang.min", "zhao.li"]]',
    "by": 'of a contact, how they are reached: { sms = "13800001234" }; of a step, on which channels: ["sms"]',
    "times": 'when: times = ["Mon-Fri 08:00-20:00"]',
    "quiet": 'when only what is urgent comes: quiet = "22:00-06:30"',
    "turn_days": "whole days from 1 to 366, like 7",
    "since": "a date without quotes: since = 2026-11-02",
    "from": "a date without quotes: from = 2026-12-24",
    "to": "a date without quotes: to = 2027-01-02",
    "severity": 'some of "urgent", "high", "medium", "low"',
    "after": 'a time after the alarm: after = "5 min"',
    "tell": 'whom: tell = ["shift:days", "person:li.na", "role:water_operator", "channel:duty-group"]',
    "steps": 'who after whom: steps = [{ after = "0 s", tell = ["shift:days"] }]',
    "language": '"zh-CN" or "en"',
    "link": '"https://hub.county.example", where a telephone reaches the console',
    "name": "a name of 1 to 60 letters without a colon",
    "tell_end": "true or false",
}

T = TypeVar("T")


class ChannelTable(Strict):
    """[channel.NAME]"""

    url: Named = Field(min_length=1)


class ContactRow(Strict):
    """[[contact]]"""

    person: str = Field(pattern=_PERSON)
    by: dict[str, str] = Field(min_length=1, max_length=MOST_NAMED)
    quiet: str = ""
    language: Literal["zh-CN", "en", ""] = ""

    @field_validator("by")
    @classmethod
    def _fits_an_address(cls, by: dict[str, str]) -> dict[str, str]:
        for channel, to in by.items():
            if not to or len(to) > 200 or _NO.search(to):
                raise ValueError(f'has "{channel}" with nothing that could be a number or an address')
        return by


class ShiftRow(Strict):
    """[[shift]]"""

    name: str = Field(pattern=_WORD)
    times: list[str] = Field(default=[], max_length=MOST_NAMED)
    people: list[str] = Field(default=[], max_length=MOST_NAMED)
    teams: list[list[str]] = Field(default=[], max_length=MOST_NAMED)
    turn_days: int = Field(default=1, ge=1, le=366)
    since: date = date(2000, 1, 3)


class AwayRow(Strict):
    """[[away]]"""

    person: str = Field(pattern=_PERSON)
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    instead: str = ""


class StepRow(Strict):
    """One of a route's steps."""

    after: str
    tell: list[str] = Field(min_length=1, max_length=MOST_NAMED)
    by: list[str] = Field(default=[], max_length=MOST_NAMED)


class RouteRow(Strict):
    """[[route]]"""

    name: str = Field(pattern=_WORD)
    severity: list[Literal["urgent", "high", "medium", "low"]] = Field(default=[], max_length=len(Severity))
    areas: list[str] = Field(default=[], max_length=MOST)
    kinds: list[str] = Field(default=[], max_length=MOST)
    rules: list[str] = Field(default=[], max_length=MOST)
    steps: list[StepRow] = Field(min_length=1, max_length=MOST_STEPS)
    tell_end: bool = True


class NotifyFile(Strict):
    """The whole file."""

    link: str = Field(default="", max_length=200, pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$")
    language: Literal["zh-CN", "en", ""] = ""
    channel: dict[str, ChannelTable] = Field(default={}, max_length=MOST_NAMED)
    contact: list[ContactRow] = Field(default=[], max_length=MOST)
    shift: list[ShiftRow] = Field(default=[], max_length=MOST)
    away: list[AwayRow] = Field(default=[], max_length=MOST)
    route: list[RouteRow] = Field(default=[], max_length=MOST)


class Known(Struct, frozen=True):
    """What of the site a route may name."""

    zone: str
    language: str
    areas: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()


def read_plan(folder: Path, known: Known, environment: Mapping[str, str] | None = None) -> Plan:
    """The site's notify.toml. `environment`: with it the channels' addresses are looked up too, as a running hub needs.

    Raises BadConfig with every mistake.
    """
    if not (folder / NAME).exists():
        return Plan(ZoneInfo(known.zone), known.language)
    tables = read_toml(folder / NAME, NAME)
    try:
        it = NotifyFile.model_validate(tables)
    except ValidationError as error:
        raise BadConfig(*explain(error, NAME, write=_WRITE)) from None
    said = Mistakes()
    channels = {name: _channel(name, row, folder, environment, said) for name, row in it.channel.items()}
    contacts = dict(_contacts(it.contact, channels, said))
    shifts = {row.name: _shift(row, said) for row in it.shift}
    _once("shift", [row.name for row in it.shift], said)
    _once("route", [row.name for row in it.route], said)
    _once("contact", [row.person for row in it.contact], said)
    away = tuple(_away(row, contacts, said) for row in it.away)
    routes = tuple(_route(row, channels, contacts, shifts, known, said) for row in it.route)
    _people_have_contacts(shifts.values(), contacts, said)
    if said:
        raise BadConfig(*said)
    language = it.language or known.language
    return Plan(ZoneInfo(known.zone), language, channels, contacts, shifts, away, routes, it.link.rstrip("/"))


def unheard(plan: Plan) -> list[str]:
    """What may be meant so, and is worth a second look: notes of `fieldhub check`."""
    notes = []
    if plan.routes and not any(Severity.URGENT in it.severities and not _narrow(it) for it in plan.routes):
        notes.append(f"{NAME} › no route takes every urgent alarm: some will call nobody")
    used = {name for it in plan.routes for step in it.steps for name in step.by}
    used |= {name for it in plan.routes for step in it.steps for whom, name in step.tell if whom is Whom.CHANNEL}
    used |= {name for it in plan.contacts.values() for name in it.by}
    notes += [f'{NAME} › channel "{name}" › nobody is told by it' for name in plan.channels if name not in used]
    return notes


def _narrow(it: Route) -> bool:
    return bool(it.areas or it.kinds or it.rules)


# ---- rows -----------------------------------------------------------------------------------------------------------


def _channel(
    name: str, row: ChannelTable, folder: Path, environment: Mapping[str, str] | None, said: Mistakes
) -> Channel:
    if not re.fullmatch(_WORD, name):
        said.add(NAME, f'channel "{name}"', f"cannot be a name. Write {_WRITE['name']}")
    if environment is None:
        return Channel(name, row.url, "", True)
    try:
        url = Secret(row.url, folder, environment, f'{NAME} › channel "{name}" › url').reveal()
    except BadConfig as bad:
        said.extend(bad.mistakes)
        return Channel(name, row.url)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
        what = 'the secret there is no address of Apprise. Write one like "wecombot://KEY" or "mailtos://…?to={to}"'
        said.add(NAME, f'channel "{name}"', "url", what)
    return Channel(name, row.url, url, PLACE in url)


def _contacts(
    rows: Iterable[ContactRow], channels: Mapping[str, Channel], said: Mistakes
) -> Iterator[tuple[str, Contact]]:
    for row in rows:
        place = f'contact "{row.person}"'
        for name in row.by:
            if name not in channels:
                said.add(NAME, place, "by", f'there is no channel "{name}".{near(name, channels)}')
            elif not channels[name].addressed and channels[name].url:
                what = f'"{name}" has no {PLACE} in its address: it is a group. Tell it with "channel:{name}"'
                said.add(NAME, place, "by", what)
        quiet = None
        if row.quiet:
            quiet = _times(row.quiet, place, "quiet", said)
        yield row.person, Contact(row.person, row.by, quiet, row.language)


def _times(text: str, place: str, key: str, said: Mistakes) -> Calendar | None:
    try:
        return calendar.read(text)
    except calendar.BadTimes as bad:
        said.add(NAME, place, key, str(bad))
        return None


def _shift(row: ShiftRow, said: Mistakes) -> Shift:
    place = f'shift "{row.name}"'
    times = [_times(text, place, "times", said) for text in row.times]
    if bool(row.people) == bool(row.teams):
        what = "has both people and teams" if row.people else "has nobody"
        said.add(NAME, place, f"{what}. Write people = […], or teams = [[…], […]] that take turns")
    for n, team in enumerate(row.teams, 1):
        if not team:
            said.add(NAME, place, "teams", f"number {n} is empty. Write log-in names, or take it out")
    if len(row.teams) > 1 and "since" not in row.model_fields_set:
        said.add(NAME, place, "since is missing. Write the day on which the first team begins: since = 2026-11-02")
    teams = tuple(tuple(team) for team in (row.teams or [row.people]))
    return Shift(row.name, tuple(it for it in times if it is not None), teams, row.turn_days, row.since)


def _away(row: AwayRow, contacts: Collection[str], said: Mistakes) -> Away:
    place = f'away "{row.person}"'
    if row.last < row.first:
        said.add(NAME, place, f"to {row.last} lies before from {row.first}. Write the last day as to")
    for name in (row.person, row.instead):
        if name and name not in contacts:
            said.add(NAME, place, f'there is no contact "{name}".{near(name, contacts)}')
    return Away(row.person, row.first, row.last, row.instead)


def _route(
    row: RouteRow,
    channels: Mapping[str, Channel],
    contacts: Collection[str],
    shifts: Collection[str],
    known: Known,
    said: Mistakes,
) -> Route:
    place = f'route "{row.name}"'
    for key, names, known_names in (
        ("areas", row.areas, known.areas),
        ("kinds", row.kinds, known.kinds),
        ("rules", row.rules, known.rules),
    ):
        for name in names:
            if name not in known_names:
                said.add(NAME, place, key, f'there is no {key[:-1]} "{name}".{near(name, known_names)}')
    there: dict[Whom, Collection[str]] = {
        Whom.PERSON: contacts,
        Whom.SHIFT: shifts,
        Whom.ROLE: ROLES,
        Whom.CHANNEL: channels,
    }
    steps = [_step(step, f"step {n}", place, there, channels, said) for n, step in enumerate(row.steps, 1)]
    if any(after.after_s <= before.after_s for before, after in pairwise(steps)):
        said.add(NAME, place, "steps", "do not come one after the other. Write them in the order of their times")
    severities = frozenset(Severity[it.upper()] for it in row.severity) or frozenset(Severity)
    choice = (frozenset(row.areas), frozenset(row.kinds), frozenset(row.rules))
    return Route(row.name, tuple(steps), severities, *choice, row.tell_end)


def _step(
    row: StepRow,
    number: str,
    route: str,
    names: Mapping[Whom, Collection[str]],
    channels: Mapping[str, Channel],
    said: Mistakes,
) -> Step:
    found = []
    for text in row.tell:
        match = _TELL.fullmatch(text)
        if match is None:
            said.add(NAME, route, number, f'"{text}" names nobody. Write {_WRITE["tell"]}')
            continue
        whom, name = Whom(match[1]), match[2]
        if name not in names[whom]:
            said.add(NAME, route, number, f'there is no {whom.value} "{name}".{near(name, names[whom])}')
        elif whom is Whom.CHANNEL and channels[name].addressed and channels[name].url:
            what = f'channel "{name}" has {PLACE} in its address: tell people by it, with person:, shift: or role:'
            said.add(NAME, route, number, what)
        found.append((whom, name))
    for name in row.by:
        if name not in channels:
            said.add(NAME, route, number, f'by › there is no channel "{name}".{near(name, channels)}')
    after_s = _or_say(lambda: _seconds(row.after), 0.0, f"{NAME} › {route} › {number} › after", said)
    return Step(after_s, tuple(found), tuple(row.by))


def _seconds(text: str) -> float:
    """ "5 min" -> 300. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*(s|min|h)", text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a time. Write for example "0 s", "5 min" or "1 h"')
    seconds = units.convert(float(match[1]), match[2], "s")
    if seconds > LONGEST_AFTER_S:
        raise ValueError(f'"{text}" is too long. Write at most "{LONGEST_AFTER_S / 3600:g} h"')
    return seconds


def _or_say(make: Callable[[], T], otherwise: T, place: str, said: Mistakes) -> T:
    try:
        return make()
    except ValueError as error:
        said.add(place, str(error))
        return otherwise


def _once(what: str, names: list[str], said: Mistakes) -> None:
    for name in dict.fromkeys(it for it in names if names.count(it) > 1):
        said.add(NAME, f'{what} "{name}"', "stands twice. Each needs its own name")


def _people_have_contacts(shifts: Iterable[Shift], contacts: Collection[str], said: Mistakes) -> None:
    """Who has a duty must be reachable: found out now, not in the night."""
    for shift in shifts:
        for name in dict.fromkeys(it for team in shift.teams for it in team):
            if name not in contacts:
                what = f'nobody can reach "{name}": there is no [[contact]] of theirs.{near(name, contacts)}'
                said.add(NAME, f'shift "{shift.name}"', what)
