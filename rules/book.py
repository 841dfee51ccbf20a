"""class Book: all rules of the house on all its devices, as the hub wants them (hub.contract.Judgement)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from msgspec import Struct

from hub.contract import Finding, Hold
from hub.model import Alarm, AlarmState, Device, Nameplate, Quality, Value
from hub.slot import Slot
from rules.condition import resolve, spread
from rules.engine import Instance, Phase, Want
from rules.errors import BadRule
from rules.rule import Rule

NORMAL = Phase.NORMAL
SITE_ZONE = ZoneInfo("Asia/Shanghai")  # of a site that says no other


Past = tuple[datetime, Mapping[str, tuple[Value, Quality]]]


class Blind(Struct, frozen=True):
    """A rule that cannot be judged now, and for want of which points: (point, quality, why)."""

    rule: str
    wants: tuple[Want, ...]


class Judged(Struct, frozen=True):
    """How a rule stands on a device; `wants`: for want of which points it cannot be judged now."""

    rule: str
    phase: Phase
    suppressed: bool
    wants: tuple[Want, ...]


class Book:
    """Which instances wake on which point, which wait for a time, and which cannot see."""

    def __init__(
        self, rules: Iterable[Rule], plate_of: Callable[[Device], Nameplate], zone: tzinfo = SITE_ZONE
    ) -> None:
        self.rules = tuple(rules)
        self._zone = zone  # calendars are read in it
        self.left_out: dict[str, tuple[str, ...]] = {}  # device -> why a rule that selects it is not judged on it
        self._plate_of = plate_of
        self._instances: dict[str, list[Instance]] = {}
        self._kept: dict[tuple[str, str], _Kept] = {}  # of instances that are not bound (yet, or any more)
        self._restless: dict[str, dict[Instance, None]] = {}  # device -> those not judged yet, or in a hold
        self._wants: dict[str, dict[str, float]] = {}  # device -> what its windows want to remember
        self._timers: list[tuple[datetime, int, Instance]] = []
        self._count = 0

    # ---- who is judged --------------------------------------------------------------------------------------------

    def bind(self, device: Device, slots: Mapping[str, Slot]) -> Mapping[str, tuple[Instance, ...]]:
        """Make this device's instances; for each point those that wake when it has a new reading.

        A rule that cannot be on this device is left out, and `left_out` says why: the others go on.
        """
        plate = Nameplate({key: slot.point for key, slot in slots.items()}, self._plate_of(device).actions)
        called = device.profile or device.id
        mistakes: list[str] = []
        instances: list[Instance] = []
        for rule in self.rules:
            if not rule.selects(device):
                continue
            for part in rule.parts(plate.points):
                if not rule.is_about(plate.points, part):
                    continue
                try:
                    rule.check(plate, part, called)
                except BadRule as bad:
                    mistakes += bad.within(rule.place)
                    continue
                instances.append(self._resume(Instance(rule, device, part, slots, plate.points, self._zone)))
        self._instances[device.id] = instances
        self._restless[device.id] = dict.fromkeys(instances)
        spans: dict[str, float] = {}
        for it in (it for it in instances if it.timed):
            spans |= {key: max(span_s, spans.get(key, 0.0)) for key, span_s in it.wants().items()}
        if spans:
            self._wants[device.id] = spans
        self.left_out[device.id] = tuple(mistakes)
        wakes: dict[str, list[Instance]] = {}
        for it in instances:
            for slot in it.reads:
                wakes.setdefault(slot.point.key, []).append(it)
        return {key: tuple(woken) for key, woken in wakes.items()}

    def unbind(self, device: str) -> None:
        """Let a device's instances go; where they stand is kept in case it comes back."""
        self.left_out.pop(device, None)
        self._restless.pop(device, None)
        self._wants.pop(device, None)
        for it in self._instances.pop(device, ()):
            if it.phase is not Phase.NORMAL:
                self._kept[device, it.id] = _Kept(it.phase, it.since, it.began, it.suppressed)
            it.due = it.queued = None

    def restore(self, standing: Iterable[Alarm], holds: Iterable[Hold] = ()) -> None:
        """After a restart: these alarms stand, so their rules start raised and do not announce them again."""
        for alarm in standing:
            if alarm.state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED):
                suppressed = alarm.suppressed is not None
                self._kept[alarm.device, alarm.rule] = _Kept(Phase.RAISED, alarm.since, None, suppressed)
        for hold in holds:
            place = (hold.device, hold.rule)
            kept = self._kept.get(place)
            if (kept is None) == (hold.phase == Phase.PENDING):
                since, suppressed = (kept.since, kept.suppressed) if kept else (None, False)
                self._kept[place] = _Kept(Phase(hold.phase), since, hold.began, suppressed)
        for instances in self._instances.values():
            for it in instances:
                self._resume(it)
                self._restless[it.device.id][it] = None
                it.restless = True

    def wants(self) -> Mapping[str, Mapping[str, float]]:
        """Of devices whose windows know nothing of the time before they were bound: point -> seconds looked back."""
        return dict(self._wants)

    def remember(self, device: str, course: Sequence[Past]) -> None:
        """What was read of a device before it was bound: (time, point -> (value, quality)), in the order of time."""
        self._wants.pop(device, None)
        for it in (it for it in self._instances.get(device, ()) if it.timed):
            keys = it.wants().keys()
            if keys:
                it.remember((at, told) for at, told in course if not keys.isdisjoint(told))
                self._restless[device][it] = None
                it.restless = True

    def holds(self) -> list[Hold]:
        """The holds that are running now, for `restore` after a restart."""
        every = (it for instances in self._restless.values() for it in instances)
        return [Hold(it.device.id, it.id, it.phase, it.began) for it in every if it.began is not None]

    def points(self, device: str) -> frozenset[str]:
        """The points of this device that its rules judge, or speak of."""
        here = self._instances.get(device, ())
        said = (key for it in here for name in it.rule.names for key in spread(resolve(name, it.part), it.slots))
        return frozenset(slot.point.key for it in here for slot in it.reads).union(said)

    def orphans(self) -> list[tuple[str, str]]:
        """(device, rule) of standing alarms that no rule of a bound device will ever end: the rule is gone."""
        return [place for place, kept in self._kept.items() if place[0] in self._instances and kept.phase != "pending"]

    def unknown(self, device: str) -> list[Blind]:
        """The rules that cannot be judged on this device now, and why."""
        return [Blind(it.rule, it.wants) for it in self.judged(device) if it.wants]

    def judged(self, device: str) -> list[Judged]:
        """How every rule stands on this device."""
        return [Judged(it.id, it.phase, it.suppressed, tuple(it.blind())) for it in self._instances.get(device, ())]

    # ---- judging --------------------------------------------------------------------------------------------------

    def step(self, tokens: Iterable[Instance], at: datetime) -> Sequence[Finding]:
        """Judge the woken rules at the time of the readings that woke them."""
        found: list[Finding] = []
        for it in tokens:
            if it.timed:
                it.look(at)
                self._set_timer(it, it.again)
            if it.phase is NORMAL and it.when() is not True:  # the usual case by far
                if it.restless:
                    self._rest(it)
                continue
            event = it.step(at)
            if it.began is not None:
                self._restless[it.device.id][it] = None
                it.restless = True
            elif it.restless:
                self._rest(it)
            if event is not None:
                found.append(it.finding(event, at))
            elif it.due is not None:
                self._set_timer(it, it.due)
        return found

    def restless(self, device: str) -> Mapping[Instance, None]:
        """Those that the next readings must wake even when they repeat what was known: a hold is measured in the times
        of readings, and who was not judged yet does not know what was known.
        """
        return self._restless.get(device, {})

    def tick(self, now: datetime) -> Sequence[Finding]:
        """Judge what becomes true by time alone: holds that are over."""
        found: list[Finding] = []
        while self._timers and self._timers[0][0] <= now:
            due, _, it = heapq.heappop(self._timers)
            if it.queued != due:
                continue  # another timer was set since, or the device is gone
            it.queued = None
            if it.again is not None and it.again <= now:
                found += self.step((it,), now)
            if it.due is not None and it.due <= now:
                if it.timed:
                    it.look(now)
                if (event := it.expire()) is not None:
                    found.append(it.finding(event, now))
            self._set_timer(it, it.due)
            self._set_timer(it, it.again)
        return found

    def clock_moved(self, by: timedelta) -> None:
        """The house's clock was set by so much: holds go on, as long as they would have without."""
        self._timers.clear()
        for it in [it for instances in self._instances.values() for it in instances]:
            it.queued = None
            it.clock_moved(by)
            self._set_timer(it, it.due)
            self._set_timer(it, it.again)

    def slept(self, by: timedelta) -> None:
        """Nobody looked for so long, because there was no hub (rules/replay.py)."""
        self._timers.clear()
        for it in [it for instances in self._instances.values() for it in instances]:
            it.queued = None
            it.slept(by)
            self._set_timer(it, it.due)
            self._set_timer(it, it.again)

    def next_due(self) -> datetime | None:
        """When `tick` could next find something."""
        return self._timers[0][0] if self._timers else None

    def _rest(self, it: Instance) -> None:
        it.restless = False
        self._restless[it.device.id].pop(it, None)

    def _set_timer(self, it: Instance, due: datetime | None) -> None:
        """One timer an instance: a hold that began anew is looked at when the old timer rings."""
        if due is not None and (it.queued is None or due < it.queued):
            self._count += 1
            it.queued = due
            heapq.heappush(self._timers, (due, self._count, it))

    def _resume(self, it: Instance) -> Instance:
        kept = self._kept.pop((it.device.id, it.id), None)
        if kept is not None:
            it.phase, it.since, it.began, it.suppressed = kept.phase, kept.since, kept.began, kept.suppressed
        return it


class _Kept(Struct, frozen=True):
    """Where an instance stood."""

    phase: Phase
    since: datetime | None
    began: datetime | None
    suppressed: bool
