"""A calendar as a condition sees it: `during("Mon-Fri 22:00-07:30")` is looked at like a point, never unknown."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from hub.calendar import DAY, Calendar


class Season:
    """`trusted` is what the calendar answers at the time that was last looked at."""

    __slots__ = ("_edge", "_zone", "calendar", "trusted")

    def __init__(self, calendar: Calendar, zone: tzinfo) -> None:
        self.calendar = calendar
        self.trusted: bool | None = None
        self._zone = zone
        self._edge = (datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))  # from, until: known between

    def look(self, at: datetime) -> None:
        if not self._edge[0] <= at < self._edge[1]:
            self.trusted = self.calendar.holds(at, self._zone)
            self._edge = at, self.calendar.next_edge(at, self._zone) or at + DAY

    def next_look(self) -> datetime:
        return self._edge[1]
