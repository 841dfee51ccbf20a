"""Times that come again: "05-15..09-30 Mon-Fri 22:00-07:30". Text -> Calendar; it is told the time.

Up to three parts, in this order, each of which may be left out: days of the year (MM-DD..MM-DD), days of the week
(Mon-Fri, Sat,Sun), hours (HH:MM-HH:MM). A part that ends before it begins goes over midnight, or over New Year; what
goes over midnight belongs to the day on which it began. All in the time zone of the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from hub.mistakes import near

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MIDNIGHT = time(0)
LOOK_AHEAD_DAYS = 400  # when the next edge is further away, nobody waits for it
DAY = timedelta(days=1)
_YEAR = re.compile(r"(\d\d)-(\d\d)\.\.(\d\d)-(\d\d)$")
_HOURS = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)$")
_LEAP = 2000  # every day of the year is in it
EXAMPLE = '"05-15..09-30", "Mon-Fri 08:00-18:00", "22:00-07:30"'


class BadTimes(ValueError):
    """What was written says no times; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """`days`: of the week, 0 is Monday. `year`: (month, day) from and to, both in it. `hours`: from, and until."""

    text: str
    year: tuple[tuple[int, int], tuple[int, int]] | None = None
    days: frozenset[int] = frozenset(range(7))
    hours: tuple[time, time] | None = None

    def holds(self, at: datetime, zone: tzinfo) -> bool:
        """Whether it is one of its times."""
        return self.day(at, zone) is not None

    def day(self, at: datetime, zone: tzinfo) -> date | None:
        """The day on which the time began that it is now; None: it is none of its times."""
        local = at.astimezone(zone)
        today, now = local.date(), local.time()
        if self.hours is None:
            return today if self._on(today) else None
        start, end = self.hours
        if now >= start and (now < end or end <= start) and self._on(today):
            return today
        return today - DAY if end < start and now < end and self._on(today - DAY) else None

    def next_edge(self, at: datetime, zone: tzinfo) -> datetime | None:
        """When the answer will next be another one; None: not within LOOK_AHEAD_DAYS."""
        now = self.holds(at, zone)
        return next((it for it in self._edges(at, zone) if it > at and self.holds(it, zone) is not now), None)

    def _edges(self, at: datetime, zone: tzinfo) -> Iterator[datetime]:
        times = sorted({MIDNIGHT, *(self.hours or ())})
        first = at.astimezone(zone).date()
        for n in range(LOOK_AHEAD_DAYS):
            for it in times:
                yield datetime.combine(first + DAY * n, it, zone).astimezone(UTC)

    def _on(self, day: date) -> bool:
        if day.weekday() not in self.days:
            return False
        if self.year is None:
            return True
        start, end = self.year
        now = (day.month, day.day)
        return start <= now <= end if start <= end else now >= start or now <= end


def read(text: str) -> Calendar:
    """Raises BadTimes."""
    year, days, hours = None, None, None
    for part in text.split():
        if hours is None and (match := _HOURS.match(part)):
            hours = _hour(match[1], match[2], part), _hour(match[3], match[4], part)
            if hours[0] == hours[1]:
                raise BadTimes(f'"{part}" begins when it ends. Leave it out for the whole day')
        elif days is None and hours is None and part[:1].isalpha():
            days = _days(part)
        elif year is None and days is None and hours is None and (match := _YEAR.match(part)):
            year = _date(match[1], match[2], part), _date(match[3], match[4], part)
        else:
            raise BadTimes(f'"{part}" is no time here. Write days of the year, days, hours: {EXAMPLE}')
    if (year, days, hours) == (None, None, None):
        raise BadTimes(f'"{text}" says no time. Write for example {EXAMPLE}')
    return Calendar(" ".join(text.split()), year, frozenset(range(7)) if days is None else days, hours)


def _hour(hour: str, minute: str, part: str) -> time:
    if (hour, minute) == ("24", "00"):
        return MIDNIGHT
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise BadTimes(f'"{part}" is no time of a day. Write for example "22:00-07:30"') from None


def _date(month: str, day: str, part: str) -> tuple[int, int]:
    try:
        it = date(_LEAP, int(month), int(day))
    except ValueError:
        raise BadTimes(f'"{part}" has a day that no year has. Write month and day: "05-15..09-30"') from None
    return it.month, it.day


def _days(part: str) -> frozenset[int]:
    found: set[int] = set()
    for piece in part.split(","):
        first, dash, last = piece.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                hint = near(name, DAYS)
                hint = hint if hint.startswith(" Did") else f" Days: {', '.join(DAYS)}."
                raise BadTimes(f'"{name}" is not a day.{hint} Write for example "Mon-Fri"')
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {(start + n) % 7 for n in range((end - start) % 7 + 1)}
    return frozenset(found)
