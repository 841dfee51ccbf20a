"""From findings to alarms, and what people say of them: acknowledge, remark, shelve, unshelve (ISA-18.2).

What rules find does not wait for the disk: it is shown at once and written as soon as it can be. What a person says is
on the disk first and shown then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec.structs import replace

from hub.alarms import AlarmBook
from hub.clock import Clock
from hub.contract import Finding
from hub.model import Alarm, AlarmChange, AlarmEvent, AlarmState, Origin
from hub.outbox import Outbox

MAX_SHELVED_S = 24 * 3600  # from now on; whoever needs longer says so again, and why


class NotLive(LookupError):
    """The alarm occurrence is over, superseded, or never was."""


class Annunciator:
    """The alarms that stand, and every way to change them. `tell` is called with each one that has changed."""

    def __init__(
        self,
        clock: Clock,
        outbox: Outbox,
        ids: Callable[[], str],
        tell: Callable[[Alarm], None],
        ask: Callable[[Finding], None],
    ) -> None:
        self.book = AlarmBook()
        self._clock = clock
        self._outbox = outbox
        self._ids = ids
        self._tell = tell
        self._ask = ask

    def restore(self, changes: Iterable[AlarmChange]) -> None:
        """After a start: the alarms that stand, and are shelved, by the ledger."""
        self.book = AlarmBook(changes)

    # ---- what rules find, and what time brings --------------------------------------------------------------------

    def found(self, finding: Finding) -> None:
        """A rule's condition is met, or what ends it is. What stands already, or has gone already, is no news."""
        raised = finding.event is AlarmEvent.RAISED
        standing = self.book.of(finding.device, finding.rule)
        if finding.event in (AlarmEvent.SUPPRESSED, AlarmEvent.UNSUPPRESSED):
            self._suppress(standing, finding)
            return
        if raised == self.book.active(finding.device, finding.rule):
            return
        if raised:
            alarm = self.book.same_occurrence(finding.device, finding.rule, finding.at) or self._ids()
        else:
            assert standing is not None
            alarm = standing.id
            finding = replace(finding, say=standing.say)  # its values now would contradict the sentence
        self._change(
            AlarmChange(
                alarm=alarm,
                event=finding.event,
                device=finding.device,
                rule=finding.rule,
                at=finding.at,
                since=finding.since,
                severity=finding.severity,
                say=finding.say,
                do=finding.do,
                facts=finding.facts,
                chatters=finding.chatters,
            )
        )
        if raised and finding.asks:
            self._ask(finding)

    def _suppress(self, alarm: Alarm | None, finding: Finding) -> None:
        """Something else explains what stands, or does not any more: then it calls again."""
        off = finding.event is AlarmEvent.SUPPRESSED
        if alarm is None or off == (alarm.suppressed is not None):
            return
        after = self._change(replace(_entry(alarm, finding.event, finding.at), say=finding.say))
        if after is not None and not off:
            self._call_again(after)

    def end(self, alarm: Alarm, note: str) -> None:
        """What raised this alarm is no more: it has returned, and waits to be acknowledged if it was not."""
        if alarm.returned_at is None:
            it = _entry(alarm, AlarmEvent.RETURNED, self._clock.now())
            self._change(replace(it, say=alarm.say, note=note))

    def tick(self, now: datetime) -> None:
        """End the shelvings whose time is over."""
        for alarm in self.book.shelved_until(now):
            self._change(_entry(alarm, AlarmEvent.UNSHELVED, now))
            self._call_again(alarm)

    # ---- what people say ------------------------------------------------------------------------------------------

    async def acknowledge(self, alarm: str, by: str, note: str = "", origin: Origin | None = None) -> Alarm:
        """Somebody has seen this occurrence. Who was first stays the one who did.

        Raises NotLive, LedgerUnavailable.
        """
        live = self._live(alarm)
        if live.state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL):
            return live
        it = _entry(live, AlarmEvent.ACKNOWLEDGED, self._clock.now())
        change = replace(it, by=by, note=note, origin=origin)
        await self._outbox.now(change)
        now = self.book.occurrence(alarm)
        if now is not None and now.count != live.count:
            return now  # it came back while this was written: what was acknowledged was the time before
        return self._apply(change) or live

    async def remark(self, alarm: str, by: str, note: str, origin: Origin | None = None) -> Alarm:
        """Write into an alarm's life what the next shift must know. It changes nothing else.

        Raises NotLive, ValueError, LedgerUnavailable.
        """
        if not note.strip():
            raise ValueError("note is empty: there is nothing to remember")
        it = _entry(self._live(alarm), AlarmEvent.REMARKED, self._clock.now())
        change = replace(it, by=by, note=note, origin=origin)
        await self._outbox.now(change)
        after = self._apply(change)
        if after is None:
            raise NotLive(alarm)  # it was over before this was written
        return after

    async def shelve(self, alarm: str, until: datetime, by: str, note: str, origin: Origin | None = None) -> Alarm:
        """Until then this rule on this device, not only this occurrence, is judged and written, and calls nobody.

        It returns by itself. `until` lies in the future, MAX_SHELVED_S ahead at most; `note` says why. Raises NotLive,
        ValueError, LedgerUnavailable.
        """
        now = self._clock.now()
        if not 0 < (until - now).total_seconds() <= MAX_SHELVED_S:
            raise ValueError(f"until {until.isoformat()} is not within {MAX_SHELVED_S} s from {now.isoformat()}")
        if not note.strip():
            raise ValueError("note is empty: whoever finds the alarm shelved must learn why")
        it = _entry(self._live(alarm), AlarmEvent.SHELVED, now)
        change = replace(it, by=by, note=note, origin=origin, until=until)
        await self._outbox.now(change)
        after = self._apply(change)
        if after is None:  # it was over before this was written, and its next occurrence is to call people
            self._outbox.put(replace(it, event=AlarmEvent.UNSHELVED))
            raise NotLive(alarm)
        return after

    async def unshelve(self, alarm: str, by: str, note: str = "", origin: Origin | None = None) -> Alarm:
        """Before its time: it calls people again if its condition is still met. Raises NotLive, LedgerUnavailable."""
        live = self._live(alarm)
        if live.shelved is None:
            return live
        it = _entry(live, AlarmEvent.UNSHELVED, self._clock.now())
        change = replace(it, by=by, note=note, origin=origin)
        await self._outbox.now(change)
        after = self._apply(change)
        if after is None:
            raise NotLive(alarm)  # its time was over while this was written
        return self._call_again(after)

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _live(self, alarm: str) -> Alarm:
        live = self.book.occurrence(alarm)
        if live is None:
            raise NotLive(alarm)
        return live

    def _change(self, change: AlarmChange) -> Alarm | None:
        self._outbox.put(change)
        return self._apply(change)

    def _call_again(self, alarm: Alarm) -> Alarm:
        """A shelving is over. What stands is raised anew, though somebody had seen it: it is back on the list."""
        now = self.book.of(alarm.device, alarm.rule)
        if now is None or now.state is not AlarmState.ACKNOWLEDGED:
            return now or replace(alarm, shelved=None)
        again = _entry(now, AlarmEvent.RAISED, self._clock.now())
        return self._change(replace(again, say=now.say, do=now.do, facts=now.facts)) or now

    def _apply(self, change: AlarmChange) -> Alarm | None:
        before = self.book.of(change.device, change.rule)
        alarm = self.book.apply(change)
        if alarm is not None:
            if before is not None and before.id != alarm.id:
                self._tell(replace(before, state=AlarmState.NORMAL, shelved=None))  # another occurrence has its place
            self._tell(alarm)
        return alarm


def _entry(alarm: Alarm, event: AlarmEvent, at: datetime) -> AlarmChange:
    return AlarmChange(alarm.id, event, alarm.device, alarm.rule, at, alarm.since, alarm.severity)
