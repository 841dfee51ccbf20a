"""class Hub: the one door in (`take`) and the order in which things happen behind it.

A reading goes: quality, historian queue, latest, rules, ledger, dispatch, watchers. Nothing here waits: what is slow
(disk, browsers, devices) hangs on bounded queues at the end of the line.
"""

from __future__ import annotations

import heapq
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any, Protocol

from msgspec import Struct

from hub.alarms import AlarmBook
from hub.clock import Clock
from hub.contract import Finding, Judgement, Watcher
from hub.model import (
    Alarm,
    AlarmChange,
    AlarmEvent,
    Area,
    CommandRecord,
    Device,
    Kind,
    Nameplate,
    Quality,
    Reading,
    Value,
    Words,
)
from hub.quality import clock_ahead, judge, silence
from hub.slot import Slot

MAX_PUZZLES = 500  # the newest things that could not be read, kept for the console
MAX_PUZZLE_BYTES = 512  # of each
GOOD = Quality.GOOD
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class History(Protocol):
    """Where the hub leaves what was measured (hub/historian): plain calls that never wait."""

    def number(self, device: str, point: str, kind: Kind, unit: str, area: str = "") -> int: ...
    def code(self, series: int, text: str) -> int: ...
    def offer(self, at_us: int, series: list[int], values: list[Any], qualities: list[int]) -> None: ...


class Chronicle(Protocol):
    """Where the hub writes down what happened (hub/ledger): in order, durable when the future is done."""

    def append(self, *entries: Any) -> Any: ...


class NotLive(LookupError):
    """The alarm occurrence is over, superseded, or never was."""


class Puzzle(Struct, frozen=True):
    """Bytes that could not be read: from where, when, and why not."""

    address: str
    at: datetime
    raw: bytes
    why: Words


class Member:
    """A device as the hub holds it: nameplate, and a slot for each point."""

    __slots__ = ("awaited", "check_at", "device", "newest", "plate", "slots")

    def __init__(self, device: Device, plate: Nameplate, slots: dict[str, Slot], newest: datetime) -> None:
        self.device = device
        self.plate = plate
        self.slots = slots
        self.newest = newest  # the newest `at` taken of it: what is older goes to history only
        self.awaited = False  # a command waits for a proof reading of this device
        self.check_at = inf  # monotonic: when its silence is to be looked at next


class Hub:
    """The state of the house in memory, and every way to change it."""

    def __init__(self, clock: Clock, history: History, ledger: Chronicle, judgement: Judgement) -> None:
        self.clock = clock
        self.members: dict[str, Member] = {}
        self.areas: dict[str, Area] = {}
        self.book = AlarmBook()
        self.puzzles: deque[Puzzle] = deque(maxlen=MAX_PUZZLES)
        self.counts = {"readings": 0, "late": 0, "unknown_point": 0, "unknown_device": 0, "puzzles": 0}
        self.on_ask: Callable[[Finding], None] = lambda finding: None  # set by dispatch: a rule asks for a command
        self.on_proof: Callable[[Member], None] = lambda member: None  # set by dispatch: look for awaited proofs
        self.ids: Callable[[], str] = lambda: secrets.token_hex(8)
        self._history = history
        self._ledger = ledger
        self._judgement = judgement
        self._watchers: list[Watcher] = []
        self._by_address: dict[str, Device] = {}
        self._silences: list[tuple[float, str]] = []  # heap of (monotonic time to look, device)

    # ---- who is in the house --------------------------------------------------------------------------------------

    def adopt(self, device: Device, plate: Nameplate) -> None:
        """Take a device in, or take its new description; what is known of points that stay is kept."""
        old = self.members.get(device.id)
        kept = old.slots if old else {}
        if old:
            self._by_address.pop(old.device.address, None)
            self._judgement.unbind(device.id)
        slots: dict[str, Slot] = {}
        for key, point in plate.points.items():
            same = kept.get(key)
            if same is not None and same.point == point:
                slots[key] = same
            else:
                slots[key] = Slot(
                    device.id, point, self._history.number(device.id, key, point.kind, point.unit, device.area)
                )
        newest = old.newest if old else EPOCH
        member = Member(device, plate, slots, newest)
        for key, slot in slots.items():
            slot.wakes = {}
            slot.point = plate.points[key]
        for key, tokens in self._judgement.bind(device, slots).items():
            slots[key].wakes = dict.fromkeys(tokens)
        self.members[device.id] = member
        self._by_address[device.address] = device
        for watcher in self._watchers:
            watcher.devices()

    def retire(self, device: str) -> None:
        """Let a device go: its history and ledger stay, its rules and latest values end."""
        member = self.members.pop(device, None)
        if member is None:
            return
        self._by_address.pop(member.device.address, None)
        self._judgement.unbind(device)
        for watcher in self._watchers:
            watcher.devices()

    def who_is(self, address: str) -> Device | None:
        return self._by_address.get(address)

    def restore(self, changes: Iterable[AlarmChange]) -> None:
        """After a start: the alarms that stand by the ledger. Their rules do not announce them again."""
        self.book = AlarmBook(changes)
        self._judgement.restore(a for a in self.book.standing() if a.returned_at is None)

    # ---- the door in ----------------------------------------------------------------------------------------------

    def take(self, readings: Sequence[Reading]) -> None:
        """Take in one instant of one device. Returns when it is judged, queued and known; never waits, never raises
        on what a device sent. Readings of several instants or devices are taken one group after the other.
        """
        taken = 0
        while taken < len(readings):
            taken += self._take(readings[taken:] if taken else readings)
        self.counts["readings"] += taken

    def _take(self, readings: Sequence[Reading]) -> int:
        """Take the readings that share the first one's device and instant; how many those were."""
        device, stamp = readings[0].device, readings[0].at
        member = self.members.get(device)
        if member is None:
            self.counts["unknown_device"] += 1
            return 1
        not_ours = clock_ahead(stamp, readings[0].received_at)
        at = stamp if not_ours is None else readings[0].received_at
        newest = at >= member.newest
        if newest:
            member.newest = at
        heard = self.clock.monotonic()
        slots = member.slots
        series: list[int] = []
        values: list[Any] = []
        qualities: list[int] = []
        changed: list[Slot] = []
        tokens: dict[Any, None] = {}
        count = 0
        for reading in readings:
            if reading.at is not stamp or reading.device is not device:
                break  # another object may be equal: then it is simply the next group
            count += 1
            slot = slots.get(reading.point)
            if slot is None:
                self.counts["unknown_point"] += 1
                continue
            value, quality, why = reading.value, reading.quality, reading.why
            if quality is GOOD and slot.plain and value is not None and slot.low <= value <= slot.high:  # type: ignore[operator]
                stored: Any = value
            else:
                value, quality, why = judge(slot, reading)
                stored = self._stored(slot, value)
            if not_ours is not None and quality is GOOD:
                quality, why = Quality.UNCERTAIN, not_ours
            series.append(slot.series)
            values.append(stored)
            qualities.append(quality)
            if not newest and slot.at is not None and at < slot.at:
                self.counts["late"] += 1
                continue
            if value != slot.value or quality is not slot.quality:
                slot.change(value, quality)
                changed.append(slot)
            slot.why = why
            slot.at = at
            slot.received_at = reading.received_at
            slot.heard = heard
            if slot.wakes:
                tokens.update(slot.wakes)
        self._history.offer((at - EPOCH) // MICROSECOND, series, values, qualities)
        self._after(member, at, changed, tokens)
        if member.check_at == inf:
            self._watch_silence(member)
        return count

    def _after(self, member: Member, at: datetime, changed: list[Slot], tokens: Mapping[Any, None]) -> None:
        """Rules, ledger, dispatch, watchers: what follows from new readings."""
        if tokens:
            for finding in self._judgement.step(tokens, at):
                self._found(finding)
        if member.awaited:
            self.on_proof(member)
        if changed:
            for watcher in self._watchers:
                watcher.readings(member.device.id, changed)

    def _stored(self, slot: Slot, value: Value) -> Any:
        """The number that the historian keeps for a value: an enum's code, a text's code, NaN for no value."""
        if value is None:
            return nan
        if slot.point.kind in (Kind.NUMBER, Kind.BOOL):
            return value
        if slot.point.kind is Kind.ENUM:
            return slot.codes.get(value, nan)  # type: ignore[arg-type]
        return self._history.code(slot.series, str(value))

    # ---- time by itself -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second: what becomes true because nothing came (silence), or because time passed (holds)."""
        monotonic, now = self.clock.monotonic(), self.clock.now()
        while self._silences and self._silences[0][0] <= monotonic:
            _, device = heapq.heappop(self._silences)
            member = self.members.get(device)
            if member is not None and member.check_at <= monotonic:
                self._look_for_silence(member, monotonic, now)
        for finding in self._judgement.tick(now):
            self._found(finding)

    def _look_for_silence(self, member: Member, monotonic: float, now: datetime) -> None:
        changed: list[Slot] = []
        tokens: dict[Any, None] = {}
        for slot in member.slots.values():
            verdict = silence(slot, monotonic - slot.heard)
            if verdict is None:
                continue
            slot.change(slot.value, verdict[0])
            slot.why = verdict[1]
            changed.append(slot)
            tokens.update(slot.wakes)
        if changed:
            at_us = (now - EPOCH) // MICROSECOND
            self._history.offer(at_us, [s.series for s in changed], [nan] * len(changed), [s.quality for s in changed])
            self._after(member, now, changed, tokens)
        self._watch_silence(member)

    def _watch_silence(self, member: Member) -> None:
        """Look at this device again when its first point could have become stale (or worse)."""
        monotonic = self.clock.monotonic()
        member.check_at = inf
        for slot in member.slots.values():
            if slot.quality is not Quality.BAD:
                step = slot.stale_after_s if slot.quality is GOOD else slot.point.interval_s
                member.check_at = min(member.check_at, max(slot.heard + step, monotonic + 1.0))
        if member.check_at < inf:
            heapq.heappush(self._silences, (member.check_at, member.device.id))

    # ---- alarms ---------------------------------------------------------------------------------------------------

    def _found(self, finding: Finding) -> None:
        active = self.book.active(finding.device, finding.rule)
        if (finding.event is AlarmEvent.RAISED) == active:
            return  # it stands already, or has already gone
        standing = self.book.of(finding.device, finding.rule)
        raised = finding.event is AlarmEvent.RAISED
        if raised:
            alarm = self.book.same_occurrence(finding.device, finding.rule, finding.at) or self.ids()
        else:
            assert standing is not None
            alarm = standing.id
        self._change_alarm(
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
            )
        )
        if raised and finding.asks:
            self.on_ask(finding)

    def _change_alarm(self, change: AlarmChange) -> tuple[Alarm | None, Any]:
        written = self._ledger.append(change)
        alarm = self.book.apply(change)
        if alarm is not None:
            for watcher in self._watchers:
                watcher.alarm(alarm)
        return alarm, written

    async def acknowledge(self, alarm: str, by: str, note: str = "") -> Alarm:
        """Somebody has seen this occurrence. Durable when it returns. Raises NotLive, LedgerUnavailable."""
        live = self.book.occurrence(alarm)
        if live is None:
            raise NotLive(alarm)
        now = self.clock.now()
        change = AlarmChange(
            alarm=alarm,
            event=AlarmEvent.ACKNOWLEDGED,
            device=live.device,
            rule=live.rule,
            at=now,
            since=live.since,
            severity=live.severity,
            by=by,
            note=note,
        )
        after, written = self._change_alarm(change)
        await written
        return after or live

    # ---- watchers and puzzles -------------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` of every change from now on; call what is returned to end it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def tell(self, record: CommandRecord) -> None:
        """A command has a new receipt."""
        for watcher in self._watchers:
            watcher.command(record)

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        self.counts["puzzles"] += 1
        self.puzzles.append(Puzzle(address, self.clock.now(), raw[:MAX_PUZZLE_BYTES], why))
