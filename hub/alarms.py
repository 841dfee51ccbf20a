"""The alarms that stand now: a fold of the ledger's entries (ISA-18.2, design in docs/alarms.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from hub.model import Alarm, AlarmChange, AlarmEvent, AlarmState, Shelving, Suppression

CHATTER_WINDOW_S = 60.0  # raised again so soon after it returned: the same occurrence, counted once more

_ACTIVE = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)


class AlarmBook:
    """Standing alarms by (device, rule): one live alarm for each by construction.

    What is shelved stays here when it is over, until its shelving is: the next occurrence is shelved as well.
    """

    def __init__(self, changes: Iterable[AlarmChange] = ()) -> None:
        self._live: dict[tuple[str, str], Alarm] = {}
        self._by_id: dict[str, tuple[str, str]] = {}
        for change in changes:
            self.apply(change)

    def standing(self) -> list[Alarm]:
        return list(self._live.values())

    def of(self, device: str, rule: str) -> Alarm | None:
        return self._live.get((device, rule))

    def occurrence(self, alarm: str) -> Alarm | None:
        """The live alarm with this occurrence id; None when it is over, superseded or never was."""
        place = self._by_id.get(alarm)
        return None if place is None else self._live[place]

    def active(self, device: str, rule: str) -> bool:
        alarm = self._live.get((device, rule))
        return alarm is not None and alarm.state in _ACTIVE

    def same_occurrence(self, device: str, rule: str, at: datetime) -> str | None:
        """The occurrence that a new raise belongs to, when the alarm came back within the chatter window."""
        alarm = self._live.get((device, rule))
        if alarm is None or alarm.returned_at is None:
            return None
        return alarm.id if (at - alarm.returned_at).total_seconds() < CHATTER_WINDOW_S else None

    def shelved_until(self, now: datetime) -> list[Alarm]:
        """Those whose shelving is over at `now`."""
        return [it for it in self._live.values() if it.shelved is not None and it.shelved.until <= now]

    def apply(self, change: AlarmChange) -> Alarm | None:
        """The alarm after `change`; None when the change does not concern a live occurrence (it is history)."""
        place = (change.device, change.rule)
        before = self._live.get(place)
        if change.event is AlarmEvent.RAISED:
            after = _raised(before, change)
            if before is not None and before.id != after.id:
                del self._by_id[before.id]
        elif before is None:
            return None
        elif change.event in (AlarmEvent.SHELVED, AlarmEvent.UNSHELVED):  # of the rule, whichever occurrence it is
            after = replace(before, shelved=_shelving(change))
        elif before.id != change.alarm:
            return None
        elif change.event is AlarmEvent.RETURNED:
            after = before if before.returned_at else _returned(before, change)
        elif change.event is AlarmEvent.SUPPRESSED:
            after = before if before.returned_at else replace(before, suppressed=Suppression(change.at, change.say))
        elif change.event is AlarmEvent.UNSUPPRESSED:
            after = replace(before, suppressed=None)
        elif change.event is AlarmEvent.REMARKED:
            after = replace(before, remarks=before.remarks + 1)
        else:
            after = _acknowledged(before, change)
        if after.state is AlarmState.NORMAL and after.shelved is None:
            self._live.pop(place, None)
            self._by_id.pop(after.id, None)
        else:
            self._live[place] = after
            self._by_id[after.id] = place
        return after


def _raised(before: Alarm | None, change: AlarmChange) -> Alarm:
    again = before is not None and before.id == change.alarm
    return Alarm(
        id=change.alarm,
        device=change.device,
        rule=change.rule,
        severity=change.severity,
        state=AlarmState.UNACKNOWLEDGED,
        since=change.since,
        raised_at=change.at,
        say=change.say,
        do=change.do,
        facts=change.facts,
        count=before.count + 1 if again and before is not None else 1,
        remarks=before.remarks if again and before is not None else 0,
        chatters=change.chatters or (again and before is not None and before.chatters),
        shelved=None if before is None else before.shelved,
        suppressed=before.suppressed if again and before is not None else None,
    )


def _shelving(change: AlarmChange) -> Shelving | None:
    if change.event is AlarmEvent.UNSHELVED or change.until is None:
        return None
    return Shelving(change.until, change.by, change.note, change.at)


def _returned(before: Alarm, change: AlarmChange) -> Alarm:
    """What is over while something else explains it need not be acknowledged: that is what people are called for."""
    seen = before.state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL) or before.suppressed is not None
    state = AlarmState.NORMAL if seen else AlarmState.RETURNED
    return replace(before, state=state, returned_at=change.at, suppressed=None)


def _acknowledged(before: Alarm, change: AlarmChange) -> Alarm:
    if before.state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL):
        return before  # who was first stays the one who did
    over = before.state is AlarmState.RETURNED
    state = AlarmState.NORMAL if over else AlarmState.ACKNOWLEDGED
    return replace(before, state=state, acknowledged_at=change.at, acknowledged_by=change.by)
