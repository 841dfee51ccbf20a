"""The order of jobs on one line, in which nothing ever piles up. Pure.

Commands first, then what is read back. Of the polls that wait, that class (fast, normal, slow) in which one will
first have waited a whole period of its own: a line with more to do than it can gets all of it done less often, instead
of some of it never. Probes last. Within a class the units take turns.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from typing import Protocol

from drivers.modbus.plan import Class

LOWLY_TURN = 16  # so many polls may go before a probe that waits, so that a full line still probes
EARLY_S = 0.001  # a poll that is due in a millisecond is due


class Job(Protocol):
    """Something that one unit is to be asked: from when on, and how long it may wait then (until it comes again)."""

    unit: int
    turn: Class
    due: float
    every_s: float


class Agenda:
    """Everything that a line has to do, now and later."""

    def __init__(self) -> None:
        self._later: list[tuple[float, int, Job]] = []
        self._ready: list[_Ring] = [_Ring() for _ in Class]
        self._held: dict[int, float] = {}  # unit -> not before
        self._count = 0
        self._passed_over = 0
        self.overruns = 0
        self._lined_up = False  # there may be somebody in the rings
        self._served: tuple[_Ring, int] | None = None  # has more to do, and is not in line again yet

    def put(self, job: Job) -> None:
        """To be done as soon as its turn comes."""
        self._lined_up = True
        self._ready[job.turn].put(job)

    def later(self, job: Job) -> None:
        """To be done when it is due."""
        self._count += 1
        heapq.heappush(self._later, (job.due, self._count, job))

    def again(self, job: Job, now: float) -> None:
        """A recurring job has had its turn: its next one. Turns that it missed are dropped and counted."""
        job.due += job.every_s
        if job.due < now:
            missed = int((now - job.due) / job.every_s) + 1
            self.overruns += missed
            job.due += missed * job.every_s
        self.later(job)

    def hold(self, unit: int, until: float) -> None:
        """Nothing but commands for this unit before then: a late answer of its must not meet another question."""
        self._held[unit] = until

    def next(self, now: float) -> Job | None:
        """Whose turn it is; None when nothing is due."""
        later = self._later
        soon = now + EARLY_S
        if not self._lined_up and not self._held and later and later[0][0] <= soon:
            job = heapq.heappop(later)[2]
            if not later or later[0][0] > soon:
                return job  # the only one: no line to stand in
            self._ready[job.turn].put(job)
            self._lined_up = True
        while later and later[0][0] <= soon:
            job = heapq.heappop(later)[2]
            self._ready[job.turn].put(job)
            self._lined_up = True
        self._back_in_line()
        for turn in _COMMANDS:
            if self._ready[turn].turns:
                return self._take(turn, _NOBODY, now)
        held = self._held
        if held:
            for unit in [unit for unit, until in held.items() if until <= now]:
                del held[unit]
        for turn in self._order():
            if self._ready[turn].turns:
                found = self._take(turn, held, now)
                if found is not None:
                    self._count_passed(turn)
                    return found
        self._lined_up = any(ring.turns for ring in self._ready)
        return None

    def _order(self) -> Iterable[Class]:
        polls = [turn for turn in _POLLS if self._ready[turn].turns]
        probes_first = self._passed_over >= LOWLY_TURN
        if len(polls) < 2 and not probes_first:
            return _POLITE
        polls.sort(key=lambda turn: self._ready[turn].urgent())
        return (*_READS, Class.PROBE, *polls) if probes_first else (*_READS, *polls, Class.PROBE)

    def _count_passed(self, turn: Class) -> None:
        if turn is Class.PROBE:
            self._passed_over = 0
        elif self._ready[Class.PROBE].turns:
            self._passed_over += 1

    def _take(self, turn: Class, held: dict[int, float], now: float) -> Job | None:
        found = self._ready[turn].take(held, now)
        if found is not None:
            self._served = (self._ready[turn], found.unit)
        return found

    def _back_in_line(self) -> None:
        """A unit that was served goes behind all that have become due meanwhile."""
        if self._served is not None:
            self._served[0].line_up(self._served[1])
            self._served = None

    def due_in(self, now: float) -> float | None:
        """How long nothing will be due; None: nothing is planned."""
        self._back_in_line()
        times = [self._later[0][0]] if self._later else []
        if self._held:
            waiting = {unit for ring in self._ready for unit in ring.turns}
            times += [until for unit, until in self._held.items() if unit in waiting]
        return max(0.0, min(times) - now) if times else None

    def drop(self, jobs: Iterable[Job]) -> None:
        """These jobs are not to be done any more."""
        self._back_in_line()
        gone = set(map(id, jobs))
        self._later = [entry for entry in self._later if id(entry[2]) not in gone]
        heapq.heapify(self._later)
        for ring in self._ready:
            ring.drop(gone)

    def take_back(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of these that wait for their turn: the rest of a unit's cycle, to be skipped. What somebody waits for
        (a command's read-back, a watchdog's write) is not among them, and stays in line.
        """
        self._back_in_line()
        lined_up = {id(job) for ring in self._ready for job in ring.jobs()}
        found = [job for job in jobs if id(job) in lined_up]
        gone = set(map(id, found))
        for ring in self._ready:
            ring.drop(gone)
        return found

    def waiting(self, turns: Iterable[Class]) -> list[Job]:
        """Take out all jobs of these classes (the line is down, and they are not to wait)."""
        self._back_in_line()
        return [job for turn in turns for job in self._ready[turn].take_all()]


_COMMANDS = (Class.SAFETY, Class.COMMAND)
_READS = (Class.READ_BACK, Class.ON_DEMAND)
_POLLS = (Class.FAST, Class.NORMAL, Class.SLOW)
_POLITE = (*_READS, *_POLLS, Class.PROBE)
_NOBODY: dict[int, float] = {}


class _Ring:
    """Jobs of one class: the units take turns, each with its own queue."""

    __slots__ = ("_queues", "_urgent", "turns")

    def __init__(self) -> None:
        self._queues: dict[int, deque[Job]] = {}
        self._urgent: float | None = inf  # None: to be found out
        self.turns: deque[int] = deque()

    def urgent(self) -> float:
        """When the first of these jobs will have waited for as long as it may. Not only of the unit whose turn it is:
        one that may wait for an hour must not hide one that may not."""
        if self._urgent is None:
            self._urgent = min((job.due + job.every_s for job in self.jobs()), default=inf)
        return self._urgent

    def put(self, job: Job) -> None:
        if self._urgent is not None:
            self._urgent = min(self._urgent, job.due + job.every_s)
        queue = self._queues.get(job.unit)
        if queue is None:
            self._queues[job.unit] = deque((job,))
            self.turns.append(job.unit)
        else:
            queue.append(job)

    def take(self, held: dict[int, float], now: float) -> Job | None:
        turns = self.turns
        for _ in range(len(turns)):
            unit = turns.popleft()
            if held and held.get(unit, now) > now:
                turns.append(unit)
                continue
            queue = self._queues[unit]
            job = queue.popleft()
            if self._urgent is not None and job.due + job.every_s <= self._urgent:
                self._urgent = None
            if not queue:
                del self._queues[unit]
            return job
        return None

    def line_up(self, unit: int) -> None:
        if unit in self._queues and unit not in self.turns:
            self.turns.append(unit)

    def jobs(self) -> Iterator[Job]:
        return chain.from_iterable(self._queues.values())

    def take_all(self) -> list[Job]:
        found = [job for unit in self.turns for job in self._queues[unit]]
        self._queues.clear()
        self.turns.clear()
        self._urgent = inf
        return found

    def drop(self, gone: set[int]) -> None:
        self._urgent = None
        for unit in list(self._queues):
            left = deque(job for job in self._queues[unit] if id(job) not in gone)
            if left:
                self._queues[unit] = left
            else:
                del self._queues[unit]
        self.turns = deque(one for one in self.turns if one in self._queues)
