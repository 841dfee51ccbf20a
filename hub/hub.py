"""class Hub: the one door in (`take`) and the order in which things happen behind it.

A reading goes: quality, historian queue, latest, rules, ledger, dispatch, watchers. Nothing here waits: what is slow
(disk, browsers, devices) hangs on bounded queues at the end of the line.
"""

from __future__ import annotations

import heapq
import secrets
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import inf, nan
from typing import Any, Protocol

from msgspec import Struct

from hub.alarms import AlarmBook
from hub.annunciator import Annunciator
from hub.clock import Clock
from hub.contract import Finding, Hold, Judgement, Watcher
from hub.hand import NUMBERS, Hand, woken
from hub.model import (
    Alarm,
    AlarmChange,
    Area,
    CommandRecord,
    Device,
    Kind,
    Nameplate,
    Point,
    Position,
    Quality,
    Reading,
    Value,
    Words,
)
from hub.outbox import Chronicle, Outbox
from hub.quality import from_wrong_clock, judge, silence, when
from hub.slot import Heard, Slot
from hub.supervise import guarded

MAX_PUZZLES = 500  # the newest things that could not be read, kept for the console
MAX_PUZZLE_BYTES = 512  # of each
CLOCK_SET_S = 2.0  # our own clock was set when it moves so much more, or less, than time has passed
WATCHER = "somebody who looks on"  # and must not stop what he looks at
RULE_GONE = "规则已删除或改名 · its rule is gone"
DEVICE_GONE = "设备已移除 · the device is gone"
LOOK_AGAIN_S = 1.0  # a device's silence is looked at so often at most
GOOD = Quality.GOOD
LATITUDE, LONGITUDE, ALTITUDE = ".latitude", ".longitude", ".altitude"  # behind a position's key: its series
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class History(Protocol):
    """Where the hub leaves what was measured (hub/historian): plain calls that never wait."""

    def number(self, device: str, point: str, kind: Kind, unit: str, area: str = "") -> int: ...
    def code(self, series: int, text: str) -> int: ...
    def thin(self, series: int, deadband: float | None, heartbeat_s: float) -> None: ...
    def offer(self, at_us: int, series: Iterable[int], values: list[Any], qualities: Iterable[int]) -> None: ...


class Puzzle(Struct, frozen=True):
    """Bytes that could not be read: from where, when, and why not."""

    address: str
    at: datetime
    raw: bytes
    why: Words


class Member:
    """A device as the hub holds it: nameplate, and a slot for each point."""

    __slots__ = ("awaited", "check_at", "device", "hands", "newest", "plate", "slots")

    def __init__(self, device: Device, plate: Nameplate, slots: dict[str, Slot], newest: datetime) -> None:
        self.device = device
        self.plate = plate
        self.slots = slots
        self.hands: dict[str, Hand] = {}  # by their first point
        self.newest = newest  # the newest `at` taken of it; of each point, what is older goes to history only
        self.awaited = False  # a command waits for a proof reading of this device
        self.check_at = inf  # monotonic: when its silence is to be looked at next


class Hub:
    """The state of the house in memory, and every way to change it."""

    def __init__(self, clock: Clock, history: History, ledger: Chronicle, judgement: Judgement) -> None:
        self.clock = clock
        self.members: dict[str, Member] = {}
        self.areas: dict[str, Area] = {}
        self.changes = 0  # of who is here: devices that came, went or are described otherwise
        self.puzzles: deque[Puzzle] = deque(maxlen=MAX_PUZZLES)
        self.counts = {"readings": 0, "late": 0, "unknown_point": 0, "unknown_device": 0, "puzzles": 0}
        self.on_ask: Callable[[Finding], None] = lambda finding: None  # set by dispatch: a rule asks for a command
        self.on_proof: Callable[[Member], None] = lambda member: None  # set by dispatch: look for awaited proofs
        self.on_clock: Callable[[datetime, datetime], None] = lambda was, now: None  # set by house: our clock was set
        self.on_alarm: Callable[[Alarm], None] = lambda alarm: None  # set by house: people are to be told
        self.ids: Callable[[], str] = lambda: secrets.token_hex(8)
        self._history = history
        self.outbox = Outbox(ledger)
        self.alarms = Annunciator(
            clock, self.outbox, lambda: self.ids(), self._tell_alarm, lambda finding: self.on_ask(finding)
        )
        self._judgement = judgement
        self._watchers: list[Watcher] = []
        self._by_address: dict[str, Device] = {}
        self._clock_seen = clock.now(), clock.monotonic()
        self._silences: list[tuple[float, str]] = []  # heap of (monotonic time to look, device)

    @property
    def book(self) -> AlarmBook:
        """The alarms that stand."""
        return self.alarms.book

    # ---- who is in the house --------------------------------------------------------------------------------------

    def adopt(self, device: Device, plate: Nameplate) -> None:
        """Take a device in, or take its new description; what is known of points that stay is kept."""
        before = self.members.get(device.id)
        kept = before.slots if before else {}
        if before:
            self._forget_address(before.device)
            self._judgement.unbind(device.id)
        slots: dict[str, Slot] = {}
        for key, point in plate.points.items():
            same = kept.get(key)
            if same is not None and same.point == point:
                slots[key] = same
            else:
                slots[key] = self._slot(device, point)
            slots[key].wakes = {}
        member = Member(device, plate, slots, before.newest if before else EPOCH)
        member.awaited = before is not None and before.awaited
        for key, tokens in self._judgement.bind(device, slots).items():
            slots[key].wakes = dict.fromkeys(tokens)
        self.members[device.id] = member
        self.changes += 1
        self._by_address[device.address] = device
        self._watch_silence(member)
        for watcher in self._watchers:
            guarded(WATCHER, watcher.devices)

    def _slot(self, device: Device, point: Point) -> Slot:
        """An empty slot. History keeps a position as three series of the same stamps."""

        def number(part: str, kind: Kind, unit: str) -> int:
            series = self._history.number(device.id, point.key + part, kind, unit, device.area)
            self._history.thin(series, point.deadband, point.heartbeat_s)
            return series

        if point.kind is not Kind.POSITION:
            return Slot(device.id, point, number("", point.kind, point.unit))
        slot = Slot(device.id, point, number(LATITUDE, Kind.NUMBER, "deg"))
        slot.beside = number(LONGITUDE, Kind.NUMBER, "deg"), number(ALTITUDE, Kind.NUMBER, "m")
        return slot

    def retire(self, device: str) -> None:
        """Let a device go: its history and ledger stay, its rules and latest values end."""
        member = self.members.pop(device, None)
        if member is None:
            return
        self.changes += 1
        self._forget_address(member.device)
        self._judgement.unbind(device)
        for alarm in self.book.standing():
            if alarm.device == device:
                self.alarms.end(alarm, DEVICE_GONE)
        for watcher in self._watchers:
            guarded(WATCHER, watcher.devices)

    def _forget_address(self, device: Device) -> None:
        known = self._by_address.get(device.address)
        if known is not None and known.id == device.id:  # two devices may be swapping theirs
            del self._by_address[device.address]

    def who_is(self, address: str) -> Device | None:
        return self._by_address.get(address)

    def restore(self, changes: Iterable[AlarmChange], holds: Iterable[Hold] = ()) -> None:
        """After a start, when all devices are adopted: the alarms that stand by the ledger, and the holds that ran.

        Their rules do not announce them again. What no rule can ever end is over now.
        """
        self.alarms.restore(changes)
        self._judgement.restore((a for a in self.book.standing() if a.returned_at is None), holds)
        orphans = set(self._judgement.orphans())
        for alarm in self.book.standing():
            if alarm.device not in self.members:
                self.alarms.end(alarm, DEVICE_GONE)
            elif (alarm.device, alarm.rule) in orphans:
                self.alarms.end(alarm, RULE_GONE)

    # ---- the door in ----------------------------------------------------------------------------------------------

    def take(self, readings: Sequence[Reading]) -> None:
        """Take in one instant of one device. Returns when it is judged, queued and known; never waits, never raises
        on what a device sent. Readings of several instants or devices are taken one group after the other.
        """
        if not readings:
            return
        self.counts["readings"] += len(readings)
        member = self.members.get(readings[0].device)
        hand = None if member is None else member.hands.get(readings[0].point)
        values = None if hand is None else hand.values(readings)
        if values is not None:
            self._take_hand(member, hand, readings, values)  # type: ignore[arg-type]
            return
        for _, group in groupby(readings, key=lambda it: (it.device, it.at)):
            self._take(list(group))

    def _take_hand(self, member: Member, hand: Hand, readings: Sequence[Reading], values: list[Value]) -> None:
        """Take a hand of GOOD readings: good before and good now is by far the usual case, and taken at once; what is
        not usual goes on to be weighed.
        """
        at, received_at = readings[0].at, readings[0].received_at
        changed: list[Slot] = []
        if at >= member.newest and (at is received_at or when(at, received_at) == (at, None, None)):
            now = self.clock.monotonic()
            changed, calm = hand.calmly(values, now)
            if calm:
                hand.heard((at, received_at, now))
                member.newest = at
                stored = hand.stored(values)
                self._history.offer((at - EPOCH) // MICROSECOND, hand.series, stored, hand.good)
                if hand.places:
                    self._offer_places(at, hand, readings, stored, hand.good)
                self._after(member, at, changed, hand.woken(changed) if changed else ())
                return
        self._take_one_by_one(member, hand, readings, changed)

    def _take(self, readings: list[Reading]) -> None:
        """Take readings that share their device and instant."""
        first = readings[0]
        member = self.members.get(first.device)
        if member is None:
            self.counts["unknown_device"] += len(readings)
            return
        points = [it.point for it in readings]
        hand = member.hands.get(first.point)
        if hand is None or hand.points != points:
            readings = [it for it in readings if it.point in member.slots]
            self.counts["unknown_point"] += len(points) - len(readings)
            if not readings:
                return
            hand = member.hands[first.point] = Hand([member.slots[it.point] for it in readings])
        self._take_one_by_one(member, hand, readings, [])

    def _take_one_by_one(self, member: Member, hand: Hand, readings: Sequence[Reading], changed: list[Slot]) -> None:
        """Weigh each reading of a hand; `changed` were taken on already."""
        received_at = readings[0].received_at
        at, ahead, aged = when(readings[0].at, received_at)
        newest = at >= member.newest or from_wrong_clock(member.newest, received_at)
        if newest:
            member.newest = at
        calm = True if newest and ahead is None and aged is None else None
        now = self.clock.monotonic()
        heard = Heard((at, received_at, now))
        values: list[Any] = []
        doubts: dict[int, Quality] = {}  # place in the hand -> its quality, when it is not GOOD
        for reading, slot in zip(readings, hand.slots, strict=True):
            value = reading.value
            usual = slot.calm is calm and reading.why is None and reading.quality is GOOD and now < slot.stuck_at
            if usual and value == slot.value:
                values.append(value if slot.plain else slot.stored)
            elif usual and value.__class__ in NUMBERS and slot.valid_low <= value <= slot.valid_high:  # type: ignore[operator]
                slot.value = slot.trusted = value
                if slot.stuck_at != inf:
                    slot.stuck_at = now + slot.stuck_after_s
                values.append(value)
                changed.append(slot)
            else:
                late = not newest and slot.at is not None and at < slot.at
                stored, quality, news = self._weigh(slot, reading, now, ahead, aged, late)
                doubts[len(values)] = quality
                values.append(stored)
                if news:
                    changed.append(slot)
                if late:
                    self.counts["late"] += 1
                    continue
            slot.hear(heard)
        hand.settle(heard)
        qualities = array("B", [doubts.get(n, GOOD) for n in range(len(values))]) if doubts else hand.good
        self._history.offer((at - EPOCH) // MICROSECOND, hand.series, values, qualities)
        if hand.places:
            self._offer_places(at, hand, readings, values, qualities)
        if doubts and any(slot.heard + slot.stale_after_s < member.check_at for slot in changed):
            self._watch_silence(member)  # a point was not waited for, and now it is
        self._after(member, at, changed, woken(changed))

    def _offer_places(
        self, at: datetime, hand: Hand, readings: Sequence[Reading], stored: list[Any], qualities: Sequence[int]
    ) -> None:
        """Of positions, longitude and altitude. (The latitude is stored with the other values.)"""
        at_us = (at - EPOCH) // MICROSECOND
        for n in hand.places:
            it = readings[n].value
            values = [nan, nan]
            if isinstance(it, Position) and stored[n] == stored[n]:
                values = [it.longitude, nan if it.altitude is None else it.altitude]
            self._history.offer(at_us, hand.slots[n].beside, values, [qualities[n]] * 2)

    def _weigh(
        self, slot: Slot, reading: Reading, heard: float, ahead: Words | None, aged: Words | None, late: bool
    ) -> tuple[Any, Quality, bool]:
        """What history keeps of an unusual reading: the value's number and its quality; and whether that is news."""
        value, quality, why = judge(slot, reading, heard)
        if ahead is not None and quality is GOOD:
            quality, why = Quality.UNCERTAIN, ahead
        stored = value if slot.plain and value is not None else self._stored(slot, value)
        if late:
            return stored, quality, False
        if aged is not None and quality is GOOD:
            return stored, quality, slot.change(value, stored, Quality.UNCERTAIN, aged, heard)
        return stored, quality, slot.change(value, stored, quality, why, heard)

    def _after(self, member: Member, at: datetime, changed: list[Slot], tokens: Iterable[Any]) -> None:
        """Rules, ledger, dispatch, watchers: what follows from new readings. What repeats what is known can change no
        judgement, so it wakes nobody but those who wait for time to pass.
        """
        if at >= member.newest and (restless := self._judgement.restless(member.device.id)):
            tokens = {**dict.fromkeys(tokens), **restless}  # not by a late hand: its time has been judged already
            self._look_at_clock(self.clock.now(), self.clock.monotonic())
        if tokens:
            for finding in self._judgement.step(tokens, at):
                self.alarms.found(finding)
        if member.awaited:
            self.on_proof(member)
        if changed:
            for watcher in self._watchers:
                guarded(WATCHER, watcher.readings, member.device.id, changed)

    def _stored(self, slot: Slot, value: Value) -> Any:
        """The number that the historian keeps for a value: an enum's code, a text's code, NaN for no value."""
        if value is None:
            return nan
        if slot.plain or slot.point.kind is Kind.BOOL:
            return value
        if slot.point.kind is Kind.ENUM:
            return slot.codes.get(value, nan)  # type: ignore[arg-type]
        if slot.beside:
            return value.latitude if isinstance(value, Position) else nan
        return self._history.code(slot.series, str(value))

    # ---- time by itself -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second: what becomes true because nothing came (silence), or because time passed (holds)."""
        monotonic, now = self.clock.monotonic(), self.clock.now()
        while self._silences and self._silences[0][0] <= monotonic:
            _, device = heapq.heappop(self._silences)
            member = self.members.get(device)
            if member is not None and member.check_at <= monotonic:
                member.check_at = inf
                self._look_for_silence(member, monotonic, now)
        self._look_at_clock(now, monotonic)
        for finding in self._judgement.tick(now):
            self.alarms.found(finding)
        self.alarms.tick(now)
        self.outbox.flush()

    def _look_at_clock(self, now: datetime, monotonic: float) -> None:
        """Whether our own clock has been set since we looked: holds must become neither longer nor shorter by it."""
        before, then = self._clock_seen
        self._clock_seen = now, monotonic
        moved_s = (now - before).total_seconds() - (monotonic - then)
        if abs(moved_s) > CLOCK_SET_S:
            self._judgement.clock_moved(timedelta(seconds=moved_s))
            self.on_clock(now - timedelta(seconds=moved_s), now)

    def _look_for_silence(self, member: Member, monotonic: float, now: datetime) -> None:
        changed: list[Slot] = []
        for slot in member.slots.values():
            verdict = silence(slot, monotonic - slot.heard)
            if verdict is None:
                continue
            slot.change(slot.value, slot.stored, *verdict, inf)
            changed.append(slot)
        if changed:
            at_us = (now - EPOCH) // MICROSECOND
            self._history.offer(at_us, [s.series for s in changed], [nan] * len(changed), [s.quality for s in changed])
            self._after(member, now, changed, woken(changed))
        self._watch_silence(member)

    def _watch_silence(self, member: Member) -> None:
        """Look at this device again when its first point could have become stale (or worse)."""
        monotonic, due = self.clock.monotonic(), inf
        for slot in member.slots.values():
            if slot.quality is not Quality.BAD:
                step = slot.stale_after_s if slot.quality is GOOD else slot.point.interval_s
                due = min(due, max(slot.heard + step, monotonic + LOOK_AGAIN_S))
        if due < inf and due != member.check_at:
            heapq.heappush(self._silences, (due, member.device.id))
        member.check_at = due

    # ---- watchers and puzzles -------------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` of every change from now on; call what is returned to end it."""
        self._watchers = [*self._watchers, watcher]

        def unwatch() -> None:
            self._watchers = [it for it in self._watchers if it is not watcher]

        return unwatch

    def _tell_alarm(self, alarm: Alarm) -> None:
        for watcher in self._watchers:
            guarded(WATCHER, watcher.alarm, alarm)
        self.on_alarm(alarm)

    def tell(self, record: CommandRecord) -> None:
        """A command has a new receipt."""
        for watcher in self._watchers:
            guarded(WATCHER, watcher.command, record)

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        self.counts["puzzles"] += 1
        self.puzzles.append(Puzzle(address, self.clock.now(), raw[:MAX_PUZZLE_BYTES], why))
