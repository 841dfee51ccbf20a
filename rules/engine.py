"""One rule on one device (or part): normal, pending, raised, returning. Pure: told the time, it reads slots.

Unknown (None) never raises and never clears. It does not end a hold that has begun, and cannot complete one.

A hold is measured in the times of the readings. When nothing more is read, it is over when as much time has passed
in the house since the reading that began it came in: a device whose clock is wrong holds just as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from hub.contract import Ask, Finding
from hub.model import AlarmEvent, Device, Quality
from hub.slot import Slot
from rules.condition import Condition, resolve
from rules.function import Judge
from rules.rule import Rule
from rules.say import fill

AT_ONCE = timedelta(0)


class Phase(StrEnum):
    """Where an instance stands. RETURNING: raised, and what ends it is met but not yet for long enough."""

    NORMAL = "normal"
    PENDING = "pending"
    RAISED = "raised"
    RETURNING = "returning"


class Instance:
    """A rule bound to the slots of a device. Raises BadRule when they are not what the rule needs."""

    __slots__ = (
        "began",
        "device",
        "due",
        "part",
        "phase",
        "queued",
        "restless",
        "rule",
        "since",
        "slots",
        "until",
        "when",
    )

    def __init__(self, rule: Rule, device: Device, part: str, slots: Mapping[str, Slot]) -> None:
        self.rule = rule
        self.device = device
        self.part = part
        self.slots = slots
        self.when = self._bind(rule.when)
        self.until = None if rule.until is None else self._bind(rule.until)
        self.phase = Phase.NORMAL
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

    def reads(self) -> Iterator[Slot]:
        """The slots that its conditions look at."""
        keys = dict.fromkeys(key for condition in self.rule.conditions for key in condition.reads(self.part))
        return (self.slots[key] for key in keys)

    # ---- what happens ---------------------------------------------------------------------------------------------

    def step(self, at: datetime) -> AlarmEvent | None:
        """There are new readings of the time `at`, or, in a silence that was noticed, it is `at` in the house."""
        if self.raised:
            ended = self.ended()
            if ended is True and self.phase is Phase.RAISED:
                self.phase, self.began = Phase.RETURNING, at
            if ended is True and self._held(at, self.rule.until_hold):
                return self._return()
            if ended is False:
                self._stay(Phase.RAISED)
            return None
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
        if self.began is not None and all(slot.at == slot.received_at for slot in self.reads()):
            self.began += by

    def ended(self) -> bool | None:
        """Whether what ends the alarm is met. It never ends while its condition is met."""
        if self.until is None:
            met = self.when()
            return None if met is None else not met
        ended = self.until()
        return False if ended is True and self.when() is True else ended

    def blind(self) -> list[Slot]:
        """The slots for want of which it cannot judge now; empty when it can."""
        if (self.ended() if self.raised else self.when()) is not None:
            return []
        return [slot for slot in self.reads() if slot.trusted is None]

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
            say=fill(rule.say, self.slots, self.device.name, self.part),
            do=fill(rule.do, self.slots, self.device.name, self.part),
            facts={
                key: slot.value if slot.quality is Quality.GOOD else None
                for key in dict.fromkeys(resolve(name, self.part) for name in rule.names)
                for slot in (self.slots[key],)
            },
            asks=tuple(Ask(action) for action in rule.asks(self.part)) if raised else (),
        )

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _raise(self) -> AlarmEvent:
        self.since = self.began
        self._stay(Phase.RAISED)
        return AlarmEvent.RAISED

    def _return(self) -> AlarmEvent:
        self._stay(Phase.NORMAL)
        return AlarmEvent.RETURNED

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
        heard = [slot.received_at or at for slot in self.reads() if slot.at == at]
        if over and heard:
            return True
        if self.due is None:
            self.due = max(heard, default=at) + hold - (at - self.began)
        return False

    def _bind(self, condition: Condition) -> Judge:
        points = {key: slot.point for key in condition.reads(self.part) if (slot := self.slots.get(key)) is not None}
        checked = condition.on(points, self.part, self.device.id)
        return checked.bind([self.slots[key] for key in condition.reads(self.part)])
