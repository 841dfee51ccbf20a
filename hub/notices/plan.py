"""Who is told: the nouns of notify.toml, and whom a word like "shift:days" means at a time and for a device. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hub.calendar import Calendar
from hub.guard import PART
from hub.model import Alarm, Device, Severity

if TYPE_CHECKING:
    from hub.ledger.people import Person

MOST_TURNS = 32  # a stand-in may be away too, and so may theirs: a ring ends


class Whom(StrEnum):
    """What a step may name, before its colon."""

    PERSON = "person"
    SHIFT = "shift"
    ROLE = "role"
    CHANNEL = "channel"  # a group: nobody in it is named


class Channel(Struct, frozen=True):
    """A way out of the house. `addressed`: its address has a place for whom it is for (a number, a mail address)."""

    name: str
    secret: str  # where its address is: "env:NAME", "file:PATH"
    url: str = field(default="")  # the address itself; "" where only the file is looked at
    addressed: bool = False

    def __repr__(self) -> str:  # the address is a secret
        return f"Channel({self.name!r}, {self.secret!r})"


class Contact(Struct, frozen=True):
    """How a person is reached. In their quiet times only what is urgent comes at once; the rest when they are over."""

    person: str
    by: Mapping[str, str]  # channel -> number or address on it
    quiet: Calendar | None = None
    language: str = ""  # "": that of their log-in


class Shift(Struct, frozen=True):
    """Who is on duty when. Several `teams` take turns, each for `turn_days`, the first one from `since` on."""

    name: str
    times: tuple[Calendar, ...]  # none: always
    teams: tuple[tuple[str, ...], ...]
    turn_days: int = 1
    since: date = date(2000, 1, 3)  # a Monday

    def on_duty(self, at: datetime, zone: tzinfo) -> tuple[str, ...]:
        days = [it.day(at, zone) for it in self.times] if self.times else [at.astimezone(zone).date()]
        day = next((it for it in days if it is not None), None)
        if day is None:
            return ()
        return self.teams[(day - self.since).days // self.turn_days % len(self.teams)]


class Away(Struct, frozen=True):
    """Somebody is not to be called from one day to another, both in it; `instead` is, or nobody."""

    person: str
    first: date
    last: date
    instead: str = ""


class Step(Struct, frozen=True):
    """When nobody has acknowledged so long after the alarm began to call, these are told, on these channels."""

    after_s: float
    tell: tuple[tuple[Whom, str], ...]
    by: tuple[str, ...] = ()  # none: every channel that the person has


class Route(Struct, frozen=True):
    """Of which alarms somebody is told, and who after whom. An empty choice leaves all."""

    name: str
    steps: tuple[Step, ...]
    severities: frozenset[Severity] = frozenset(Severity)
    areas: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    tell_end: bool = True  # whoever was told is told too that it was acknowledged, or is over


class Target(Struct, frozen=True):
    """One receiver on one channel. `person` is "" for a group."""

    channel: str
    person: str = ""
    to: str = ""


class Meant(Struct, frozen=True):
    """Whom a step means now: who is told, and who cannot be, because no channel reaches them."""

    targets: tuple[Target, ...]
    unreachable: tuple[str, ...] = ()


class Plan(Struct, frozen=True):
    """All of notify.toml."""

    zone: tzinfo
    language: str  # of a group, and where nobody says another
    channels: Mapping[str, Channel] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    away: tuple[Away, ...] = ()
    routes: tuple[Route, ...] = ()
    link: str = ""  # of the console, as a telephone reaches it

    def routes_of(self, alarm: Alarm, device: Device, lies_in: Callable[[str, Collection[str]], bool]) -> list[Route]:
        """Those by which somebody is told of this alarm."""
        part = alarm.rule.partition(PART)[0]
        return [
            it
            for it in self.routes
            if alarm.severity in it.severities
            and (not it.kinds or device.kind in it.kinds)
            and (not it.rules or part in it.rules)
            and (not it.areas or lies_in(device.area, it.areas))
        ]

    def on_duty(self, shift: str, at: datetime) -> list[str]:
        """Who has this shift now, those that stand in for somebody among them."""
        found = self.shifts[shift].on_duty(at, self.zone)
        return list(dict.fromkeys(name for it in found if (name := self._instead(it, at))))

    def meant(self, step: Step, at: datetime, holders: Callable[[str], Iterable[str]], gone: Collection[str]) -> Meant:
        """Whom the step means at this time. `holders` of a role over the device; `gone` may not log in any more."""
        targets: dict[Target, None] = {}
        names: dict[str, None] = {}
        for whom, name in step.tell:
            match whom:
                case Whom.CHANNEL:
                    targets[Target(name)] = None
                case Whom.SHIFT:
                    names |= dict.fromkeys(self.on_duty(name, at))
                case Whom.ROLE:
                    names |= dict.fromkeys(it for one in holders(name) if (it := self._instead(one, at)))
                case Whom.PERSON:
                    names |= {it: None for it in (self._instead(name, at),) if it}
        unreachable = []
        for name in names:
            contact = self.contacts.get(name)
            ways = [] if contact is None or name in gone else [it for it in step.by or contact.by if it in contact.by]
            if contact is None or not ways:
                unreachable.append(name)
                continue
            targets |= {Target(way, name, contact.by[way]): None for way in ways}
        return Meant(tuple(targets), tuple(unreachable))

    def target(self, channel: str, person: str) -> Target | None:
        """A receiver as an entry of the ledger names it; None: they are not there any more."""
        if not person:
            return Target(channel) if channel in self.channels else None
        contact = self.contacts.get(person)
        return None if contact is None or channel not in contact.by else Target(channel, person, contact.by[channel])

    def quiet_until(self, target: Target, severity: Severity, at: datetime) -> datetime | None:
        """When the receiver's quiet time is over; None: they are told at once. What is urgent waits for no morning."""
        contact = self.contacts.get(target.person)
        if severity is Severity.URGENT or contact is None or contact.quiet is None:
            return None
        return contact.quiet.next_edge(at, self.zone) if contact.quiet.holds(at, self.zone) else None

    def _instead(self, person: str, at: datetime) -> str:
        """Who is called for this person: they themselves, or who stands in for them; "": nobody."""
        today = at.astimezone(self.zone).date()
        for _ in range(MOST_TURNS):
            gone = next((it for it in self.away if it.person == person and it.first <= today <= it.last), None)
            if gone is None:
                return person
            person = gone.instead
        return ""


def holders_of(
    role: str, device: Device, people: Sequence[Person], lies_in: Callable[[str, Collection[str]], bool]
) -> list[str]:
    """Everybody who has this role over the device, and may log in."""
    return [
        it.name
        for it in people
        if not it.disabled
        and any(g.role == role and (not g.area or lies_in(device.area, (g.area,))) for g in it.grants)
    ]
