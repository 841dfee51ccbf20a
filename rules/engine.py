"""One rule on one device (or part): normal, pending, raised, returning. Pure: told the time, it reads slots.

Unknown (None) never raises and never clears. It does not end a hold that has begun, and cannot complete one.

A hold is measured in the times of the readings. When nothing more is read, it is over when as much time has passed
in the house since the reading that began it came in: a device whose clock is wrong holds just as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from math import inf, nan
from typing import NamedTuple

from hub.contract import Ask, Finding
from hub.model import AlarmEvent, Device, Point, Quality, Value, Words
from hub.slot import Slot
from rules.condition import Condition, Timed, resolve, spread
from rules.function import Judge, Seen
from rules.rule import Rule
from rules.say import fill
from rules.season import Season
from rules.window import Window

AT_ONCE = timedelta(0)
CHATTERS_AFTER, CHATTERS_WITHIN = 3, timedelta(seconds=60)  # so many raises in so short a time
CALM = timedelta(seconds=60)  # it then stays raised until it has been over for so long, twice as long each time
MOST_CALM = timedelta(minutes=10)  # at most; and after so long without a raise it begins anew
Want = tuple[str, Quality, Words | None]  # a point, how it is, and why


class Phase(StrEnum):
    """Where an instance stands. RETURNING: raised, and what ends it is met but not yet for long enough."""

    NORMAL = "normal"
    PENDING = "pending"
    RAISED = "raised"
    RETURNING = "returning"


class _Measured(NamedTuple):
    """A window: the points whose slots `timed.measure` wants, and those that it looks at."""

    timed: Timed
    inputs: tuple[str, ...]
    keys: tuple[str, ...]


_NO_WINDOWS: dict[str, Window | Season] = {}  # of most: there are tens of thousands of them
_NOTHING_MEASURED: dict[str, _Measured] = {}


class Instance:
    """A rule bound to the slots of a device. Raises BadRule when they are not what the rule needs."""

    __slots__ = ("_again_s", "_beside", "_measured", "again", "began", "calm", "device", "due", "part", "phase",
                 "queued", "rang", "reads", "restless", "rule", "since", "slots", "suppressed", "timed", "unless",
                 "until", "when")  # fmt: skip

    def __init__(
        self,
        rule: Rule,
        device: Device,
        part: str,
        slots: Mapping[str, Slot],
        points: Mapping[str, Point],
        zone: tzinfo = UTC,
    ) -> None:
        self.rule = rule
        self.device = device
        self.part = part
        self.slots = slots
        self._beside: dict[str, Window | Season] = {}  # what its conditions look at besides slots
        self._measured: dict[str, _Measured] = {}  # of the windows
        self.when = self._bind(rule.when, points, zone)
        self.until = None if rule.until is None else self._bind(rule.until, points, zone)
        explanation = rule.explanation(points, part)
        self.unless = None if explanation is None else self._bind(explanation, points, zone)
        if not self._beside:
            self._beside, self._measured = _NO_WINDOWS, _NOTHING_MEASURED
        self.timed = bool(self._beside)  # it must be told the time before it is asked (`look`)
        self.again: datetime | None = None  # when to look again though nothing is read
        self._again_s = inf  # the same
        keys = dict.fromkeys(key for condition in rule.judged(points, part) for key in condition.reads(points, part))
        self.reads = tuple(slots[key] for key in keys)  # the slots that its conditions look at
        self.phase = Phase.NORMAL
        self.suppressed = False  # as it was told when it was last looked at
        self.rang: tuple[datetime, ...] = ()  # when it was raised lately
        self.calm = AT_ONCE  # how long it must be over: longer than the rule says while it chatters
        self.since: datetime | None = None  # the reading that first met the condition, while it is raised
        self.began: datetime | None = None  # the reading that began the hold that is running
        self.due: datetime | None = None  # when that hold is over in the house's time
        self.restless = True  # not judged yet, or in a hold (rules/book.py)
        self.queued: datetime | None = None  # the timer that is set for it (rules/book.py)

    @property
    def id(self) -> str:
        return self.rule.id(self.part)

    @property
    def raised(self) -> bool:
        return self.phase in (Phase.RAISED, Phase.RETURNING)

    # ---- what happens ---------------------------------------------------------------------------------------------

    def look(self, at: datetime) -> None:
        """It is `at`: what its windows and calendars say now, and when that changes by itself."""
        at_s = at.timestamp()
        again_s = inf
        for it in self._beside.values():
            if isinstance(it, Window):
                it.look(at_s)
                again_s = min(again_s, it.next_look(at_s) or inf)
            else:
                it.look(at)
                again_s = min(again_s, it.next_look().timestamp())
        if again_s != self._again_s:
            self._again_s = again_s
            self.again = None if again_s == inf else datetime.fromtimestamp(again_s, UTC)

    def wants(self) -> dict[str, float]:
        """The points that its windows look at, and for how many seconds back."""
        spans: dict[str, float] = {}
        for it in self._measured.values():
            spans |= {key: max(it.timed.span_s, spans.get(key, 0.0)) for key in it.keys}
        return spans

    def remember(self, course: Iterable[tuple[datetime, Mapping[str, tuple[Value, Quality]]]]) -> None:
        """What was read before it was bound, in order of time: the windows know it then."""
        past = {key: Slot(self.device.id, slot.point, 0) for key, slot in self.slots.items()}
        then = [(self._beside[text], it.timed.measure(_of(past, it.inputs))) for text, it in self._measured.items()]
        known: list[list[tuple[float, float | None]]] = [[] for _ in then]
        for at, values in course:
            for key, (value, quality) in values.items():
                if key in past:
                    past[key].put(value, quality, at)
            for (_, measure), told in zip(then, known, strict=True):
                value_then = measure()
                told.append((at.timestamp(), None if value_then is None else float(value_then)))
        for (window, _), told in zip(then, known, strict=True):
            if isinstance(window, Window):
                window.before(told)

    def step(self, at: datetime) -> AlarmEvent | None:
        """There are new readings of the time `at`, or, in a silence that was noticed, it is `at` in the house."""
        if self.raised:
            ended = self.ended()
            if ended is True and self.phase is Phase.RAISED:
                self.phase, self.began = Phase.RETURNING, at
            if ended is True and self._held(at, max(self.rule.until_hold, self.calm)):
                return self._return()
            if ended is False:
                self._stay(Phase.RAISED)
            return self._suppress()
        met = self.when()
        if met is True and self.phase is Phase.NORMAL:
            self.phase, self.began = Phase.PENDING, at
        if met is True and self._held(at, self.rule.hold):
            return self._raise()
        if met is False:
            self._stay(Phase.NORMAL)
        return None

    def expire(self) -> AlarmEvent | None:
        """The hold is over by the house's clock. What is unknown now waits for the next reading."""
        self.due = None
        if self.phase is Phase.PENDING and self.when() is True:
            return self._raise()
        if self.phase is Phase.RETURNING and self.ended() is True:
            return self._return()
        return None

    def clock_moved(self, by: timedelta) -> None:
        """The house's clock was set; that of a device with a clock of its own was not."""
        if self.due is not None:
            self.due += by
        if self.began is not None and all(slot.at == slot.received_at for slot in self.reads):
            self.began += by
        for text, it in self._measured.items():
            window = self._beside[text]
            if isinstance(window, Window) and all(self.slots[key].at == self.slots[key].received_at for key in it.keys):
                window.shift(by.total_seconds())
        if self.again is not None:
            self.again = min(self.again, self.again + by)
            self._again_s = nan

    def slept(self, by: timedelta) -> None:
        """Nobody looked for so long: a hold that had begun goes on where it was."""
        if self.due is not None:
            self.due += by
        if self.began is not None:
            self.began += by

    def ended(self) -> bool | None:
        """Whether what ends the alarm is met. It never ends while its condition is met."""
        if self.until is None:
            met = self.when()
            return None if met is None else not met
        ended = self.until()
        return False if ended is True and self.when() is True else ended

    def blind(self) -> list[Want]:
        """For want of what it cannot judge now; empty when it can."""
        if (self.ended() if self.raised else self.when()) is not None:
            return []
        wants = [(slot.point.key, slot.quality, slot.why) for slot in self.reads if slot.trusted is None]
        known = {key for key, _, _ in wants}
        for text, it in self._measured.items():
            if self._beside[text].trusted is None and not known.intersection(it.keys):
                short = Words("rule.known_too_short", {"s": it.timed.span_s})
                wants += ((key, Quality.UNCERTAIN, short) for key in it.keys if key not in known)
                known.update(it.keys)
        return wants

    def finding(self, event: AlarmEvent, at: datetime) -> Finding:
        raised = event is AlarmEvent.RAISED
        rule = self.rule
        return Finding(
            rule=self.id,
            device=self.device.id,
            event=event,
            at=at,
            since=self.since or at,
            severity=rule.severity,
            say=rule.unless_say
            if event is AlarmEvent.SUPPRESSED
            else fill(rule.say, self.slots, self.device.name, self.part),
            chatters=raised and self.calm > AT_ONCE,
            do=fill(rule.do, self.slots, self.device.name, self.part),
            facts={
                key: slot.value if slot.quality is Quality.GOOD else None
                for name in rule.names
                for key in spread(resolve(name, self.part), self.slots)
                for slot in (self.slots[key],)
            },
            asks=tuple(Ask(action) for action in rule.asks(self.part)) if raised else (),
        )

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _raise(self) -> AlarmEvent | None:
        """While something else explains it, it is not raised: it waits, and is raised when that is over."""
        if self.unless is not None and self.unless() is True:
            return None
        self.suppressed = False
        self.since = self.began
        assert self.began is not None
        self._ring(self.began)
        self._stay(Phase.RAISED)
        return AlarmEvent.RAISED

    def _ring(self, at: datetime) -> None:
        """Whether it chatters: a value that hops at its limit is one alarm, and not a new one each time."""
        lately = tuple(it for it in self.rang if timedelta(0) <= at - it <= MOST_CALM + self.calm)
        if not lately:
            self.calm = AT_ONCE
        self.rang = (*lately, at)[-CHATTERS_AFTER:]
        if len(self.rang) == CHATTERS_AFTER and at - self.rang[0] <= CHATTERS_WITHIN:
            self.calm = CALM
        elif self.calm > AT_ONCE:
            self.calm = min(2 * self.calm, MOST_CALM)

    def _return(self) -> AlarmEvent:
        self._stay(Phase.NORMAL)
        self.suppressed = False
        return AlarmEvent.RETURNED

    def _suppress(self) -> AlarmEvent | None:
        """Whether what explains it has come or gone. Unknown changes nothing."""
        now = False if self.unless is None else self.unless()
        if now is None or now is self.suppressed:
            return None
        self.suppressed = now
        return AlarmEvent.SUPPRESSED if now else AlarmEvent.UNSUPPRESSED

    def _stay(self, phase: Phase) -> None:
        self.phase = phase
        self.began = self.due = None

    def _held(self, at: datetime, hold: timedelta) -> bool:
        """Whether the hold is over at this reading; if not, when it will be."""
        if hold == AT_ONCE:
            return True
        assert self.began is not None
        if at < self.began:
            self.began, self.due = at, None  # the device's clock was set back: nobody knows how long it was
        over = at - self.began >= hold
        if self.due is not None and not over:
            return False
        heard = [slot.received_at or at for slot in self.reads if slot.at == at]
        if over and heard:
            return True
        if self.due is None:
            self.due = max(heard, default=at) + hold - (at - self.began)
        return False

    def _bind(self, condition: Condition, points: Mapping[str, Point], zone: tzinfo) -> Judge:
        keys = condition.reads(points, self.part)
        checked = condition.on(points, self.part, self.device.id)
        slots = _of(self.slots, keys)
        for it in checked.beside:
            if it.text in self._beside:
                continue  # `when` and `until` look at the same one
            if isinstance(it, Timed):
                self._beside[it.text] = Window(it.fold, it.span_s, it.measure(slots))
                self._measured[it.text] = _Measured(it, keys, self._keys(it.names))
            else:
                self._beside[it.text] = Season(it, zone)
        return checked.bind([*slots, *(self._beside[it.text] for it in checked.beside)])

    def _keys(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(key for name in names for key in spread(resolve(name, self.part), self.slots))


def _of(slots: Mapping[str, Slot], keys: Iterable[str]) -> list[Seen]:
    return [slots[key] for key in keys]
