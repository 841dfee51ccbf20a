"""Which step of which route is due for which alarm. Pure: it is told of alarms and of the time.

An alarm calls while it is unacknowledged, and neither shelved nor suppressed. Its steps count from the moment it began
to. Values that hop at a limit are one occurrence, and one step is taken once for it, however often it comes back;
when somebody had acknowledged it and it calls again, the steps begin anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count

from msgspec import Struct, field

from hub.alarms import CHATTER_WINDOW_S
from hub.model import Alarm, AlarmState
from hub.notices.plan import Route, Step, Target

MOST_OPEN = 20_000  # alarms that are watched at once; more than a county can have standing


class Due(Struct, frozen=True):
    """A step whose time has come. `number` counts from 0."""

    alarm: Alarm
    route: Route
    number: int

    @property
    def step(self) -> Step:
        return self.route.steps[self.number]


class Ended(Struct, frozen=True):
    """Nobody need come any more: it was acknowledged, or is over. `told`: those who had been told by a route."""

    alarm: Alarm
    told: tuple[Target, ...]


class _Course(Struct):
    """How far one alarm has come on one route; when its next step is due."""

    route: Route
    next: int = 0
    at: datetime | None = None
    told: dict[Target, None] = field(default_factory=dict)


class _Open(Struct):
    """An alarm that has called, as long as it stands."""

    alarm: Alarm
    courses: dict[str, _Course]
    since: datetime  # when it began to call
    calling: bool = True


def calls(alarm: Alarm) -> bool:
    """Whether somebody is to come because of it."""
    return alarm.calls and alarm.state is AlarmState.UNACKNOWLEDGED


class Escalation:
    """`routes_of` an alarm: those by which people are told of it."""

    def __init__(self, routes_of: Callable[[Alarm], Iterable[Route]]) -> None:
        self._routes_of = routes_of
        self._open: dict[str, _Open] = {}
        self._leaving: dict[str, datetime] = {}  # returned; until then they may come back as what they were
        self._heap: list[tuple[datetime, int, str, str, int]] = []
        self._number = count()

    def heard(self, alarm: Alarm, now: datetime) -> Ended | None:
        """An alarm has changed. What there is to say at once to those who had been told; None: nothing."""
        it = self._open.get(alarm.id)
        if it is None:
            self._first_heard(alarm, now)
            return None
        was, it.alarm = it.alarm, alarm
        if calls(alarm):
            self._leaving.pop(alarm.id, None)
            if was.state is AlarmState.ACKNOWLEDGED:  # somebody had seen it, and it calls again
                self._begin(_Open(alarm, {name: _Course(c.route) for name, c in it.courses.items()}, now))
            elif not it.calling:
                it.calling = True  # its steps still count from when it first called: nobody has answered since
                self._schedule(it)
            return None
        it.calling = False
        if alarm.state is AlarmState.RETURNED:
            self._leaving.setdefault(alarm.id, now + timedelta(seconds=CHATTER_WINDOW_S))
            return None
        ended = self._end(it) if alarm.calls else None
        if alarm.state is AlarmState.NORMAL:
            del self._open[alarm.id]
            self._leaving.pop(alarm.id, None)
        return ended

    def _first_heard(self, alarm: Alarm, now: datetime) -> None:
        if calls(alarm) and len(self._open) < MOST_OPEN:
            courses = {route.name: _Course(route) for route in self._routes_of(alarm)}
            if courses:
                self._begin(_Open(alarm, courses, now))

    def restore(
        self,
        alarms: Iterable[Alarm],
        steps: Mapping[str, Mapping[str, Collection[int]]],
        told: Mapping[str, Sequence[Target]],
        now: datetime,
    ) -> list[Due]:
        """After a start: what stands; by the ledger alarm -> route -> steps that something became of, and who was told.

        Gives the steps that were passed and of which nothing became: they were on their way when the hub stopped.
        """
        lost = []
        for alarm in alarms:
            taken = steps.get(alarm.id, {})
            if not calls(alarm) and not taken:
                continue
            receivers = dict.fromkeys(told.get(alarm.id, ()))
            courses = {}
            for route in self._routes_of(alarm):
                done = taken.get(route.name, ())
                courses[route.name] = _Course(route, max(done, default=-1) + 1, told=dict(receivers))
                lost += [Due(alarm, route, n) for n in range(max(done, default=0)) if n not in done and calls(alarm)]
            if courses:
                self._begin(_Open(alarm, courses, min(alarm.raised_at, now), calls(alarm)))
            if alarm.state is AlarmState.RETURNED:
                self._leaving[alarm.id] = now
        return lost

    def due(self, now: datetime) -> list[Due]:
        """The steps whose time has come since it was last asked; each once."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, _, alarm, route, number = heapq.heappop(self._heap)
            it = self._open.get(alarm)
            course = it.courses.get(route) if it is not None and it.calling else None
            if it is None or course is None or course.next != number or course.at != at:
                continue  # acknowledged meanwhile, over, taken already, or put off
            course.next = number + 1
            self._push(it, course)
            found.append(Due(it.alarm, course.route, number))
        return found

    def over(self, now: datetime) -> list[Ended]:
        """What has been over for so long that it will not come back as what it was."""
        found = []
        for alarm in [alarm for alarm, at in self._leaving.items() if at <= now]:
            del self._leaving[alarm]
            if (it := self._open.get(alarm)) is not None and (ended := self._end(it)) is not None:
                found.append(ended)
        return found

    def told(self, due: Due, targets: Iterable[Target]) -> None:
        """These are told because of that step: they will hear when it is over."""
        it = self._open.get(due.alarm.id)
        course = it.courses.get(due.route.name) if it else None
        if course is not None:
            course.told |= dict.fromkeys(targets)

    def hurry(self, alarm: str, route: str, now: datetime) -> bool:
        """Nobody of the step before could be reached: the next one is due now. False: there is none, or no need."""
        it = self._open.get(alarm)
        course = it.courses.get(route) if it is not None and it.calling else None
        if course is None or course.next >= len(course.route.steps):
            return False
        self._put(alarm, course, now)
        return True

    def calling(self, alarm: str) -> Alarm | None:
        """The alarm as it stands, when it still calls."""
        it = self._open.get(alarm)
        return it.alarm if it is not None and it.calling else None

    # ---- steps ------------------------------------------------------------------------------------------------------

    def _begin(self, it: _Open) -> None:
        self._open[it.alarm.id] = it
        if it.calling:
            self._schedule(it)

    def _schedule(self, it: _Open) -> None:
        for course in it.courses.values():
            self._push(it, course)

    def _push(self, it: _Open, course: _Course) -> None:
        if course.next < len(course.route.steps):
            self._put(it.alarm.id, course, it.since + timedelta(seconds=course.route.steps[course.next].after_s))

    def _put(self, alarm: str, course: _Course, at: datetime) -> None:
        course.at = at
        heapq.heappush(self._heap, (at, next(self._number), alarm, course.route.name, course.next))

    @staticmethod
    def _end(it: _Open) -> Ended | None:
        """Each who was told hears it once."""
        told: dict[Target, None] = {}
        for course in it.courses.values():
            if course.route.tell_end:
                told |= course.told
            course.told = {}
        return Ended(it.alarm, tuple(told)) if told else None
