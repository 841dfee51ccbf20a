"""Rules against what was recorded: which alarms there would have been, and what another set of rules makes of it. Pure.

A Player is told what was read of one device, in the order of time, and judges it as the hub does: the same Book, the
same timers, moved by the times of what was read. Nothing is sent to anybody: what a rule would ask for is only listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from hub.alarms import CHATTER_WINDOW_S
from hub.contract import Finding
from hub.model import AlarmEvent, Device, Nameplate, Quality, Severity, Title
from hub.past import Told
from hub.slot import Heard, Slot
from rules.book import Book
from rules.engine import Instance
from rules.rule import Rule

Sleep = tuple[datetime, datetime]  # from, to: a time without a hub

GOOD = Quality.GOOD
MOST_TOGETHER = 2_000  # sets of points of which it is remembered whom they wake
SAME_S = 1.0  # an alarm that begins and ends within this is no other one


class Occurrence(Struct, frozen=True):
    """One alarm as it would have been. `returned_at` None: it still stood at the end."""

    device: str
    rule: str  # its alarm's name: with the part, "pump dry running / pump2"
    severity: Severity
    raised_at: datetime
    returned_at: datetime | None
    say: Title
    asks: tuple[str, ...] = ()  # actions
    count: int = 1  # how often it came back within it
    suppressed: bool = False  # something else explained it, for a time at least
    chatters: bool = False


class Player:
    """Some rules on one device."""

    def __init__(self, rules: Iterable[Rule], device: Device, plate: Nameplate, zone: tzinfo) -> None:
        self._device = device.id
        every = {key: Slot(device.id, point, 0) for key, point in plate.points.items()}
        self._book = Book(rules, lambda _: plate, zone)
        self._wakes = self._book.bind(device, every)
        self._slots = {key: every[key] for key in self._book.points(device.id)}
        self._together: dict[tuple[str, ...], dict[Instance, None]] = {}
        self._found: list[Occurrence] = []
        self._open: dict[str, int] = {}  # rule -> place of its last occurrence
        self._explained: set[str] = set()  # rules whose alarm is suppressed now
        self.looks_back_s = max(self._book.wants().get(device.id, {}).values(), default=0.0)
        self.left_out = self._book.left_out[device.id]

    @property
    def reads(self) -> frozenset[str]:
        """The points that its rules look at, or speak of."""
        return frozenset(self._slots)

    def take(self, at: datetime, values: Told) -> None:
        """What was read at a time that is not before the last one."""
        self.pass_(at)
        heard, book, slots = Heard((at, at, 0.0)), self._book, self._slots
        keys = []
        for key, value, quality in values:
            slot = slots.get(key)
            if slot is None:
                continue  # another set of rules looks at it
            if quality is GOOD and slot.quality is GOOD and value is not None:  # by far the usual case
                slot.value = slot.trusted = value
            else:
                slot.change(value, value, quality, None, 0.0)
            slot.heard_in = heard
            keys.append(key)
        woken = self._woken_by(tuple(keys))
        if woken:
            restless = book.restless(self._device)
            self._note(book.step({**woken, **restless} if restless else woken, at))
        self.pass_(at)

    def _woken_by(self, keys: tuple[str, ...]) -> dict[Instance, None]:
        """Those that wake when these are read together: they are read together again and again."""
        woken = self._together.get(keys)
        if woken is None:
            woken = {it: None for key in keys for it in self._wakes.get(key, ())}
            if len(self._together) < MOST_TOGETHER:
                self._together[keys] = woken
        return woken

    def pass_(self, until: datetime) -> None:
        """Time passes: what becomes so until then by time alone becomes so when it does."""
        while (due := self._book.next_due()) is not None and due <= until:
            self._note(self._book.tick(due))

    def sleep(self, begin: datetime, end: datetime) -> None:
        """There was no hub from `begin` to `end`: nothing was judged, and no hold went on."""
        self.pass_(begin)
        self._book.slept(end - begin)

    def occurrences(self, since: datetime) -> list[Occurrence]:
        """Those that stood at `since`, or came after it, in the order of time."""
        return [it for it in self._found if it.returned_at is None or it.returned_at > since]

    def _note(self, found: Sequence[Finding]) -> None:
        for it in found:
            n = self._open.get(it.rule)
            if it.event is AlarmEvent.RAISED:
                before = None if n is None else self._found[n]
                if n is not None and before is not None and _the_same(before, it.at):
                    chatters = before.chatters or it.chatters
                    self._found[n] = replace(before, returned_at=None, count=before.count + 1, chatters=chatters)
                    continue
                self._open[it.rule] = len(self._found)
                asks = tuple(ask.action for ask in it.asks)
                new = Occurrence(it.device, it.rule, it.severity, it.at, None, it.say, asks, chatters=it.chatters)
                self._found.append(new)
            elif n is not None and it.event is AlarmEvent.RETURNED:
                self._found[n] = replace(self._found[n], returned_at=it.at)
                if it.rule in self._explained:  # over without a word: when it comes back, it is a new one
                    self._explained.discard(it.rule)
                    del self._open[it.rule]
            elif n is not None and it.event is AlarmEvent.SUPPRESSED:
                self._explained.add(it.rule)
                self._found[n] = replace(self._found[n], suppressed=True)
            elif it.event is AlarmEvent.UNSUPPRESSED:
                self._explained.discard(it.rule)


def _the_same(before: Occurrence, at: datetime) -> bool:
    """An alarm that comes back within the chatter window is the same occurrence (hub/alarms.py)."""
    return before.returned_at is not None and (at - before.returned_at).total_seconds() < CHATTER_WINDOW_S


# ---- two sets of rules ----------------------------------------------------------------------------------------------


class Change(StrEnum):
    """What the new rules make of an alarm."""

    GAINED = "gained"
    LOST = "lost"
    MOVED = "moved"  # at another time, or of another severity
    SAME = "same"


class Difference(Struct, frozen=True):
    """An alarm by the rules as they are, and by the new ones; None: there is none by those."""

    change: Change
    now: Occurrence | None
    new: Occurrence | None

    @property
    def raised_at(self) -> datetime:
        it = self.new or self.now
        assert it is not None
        return it.raised_at if self.now is None else min(it.raised_at, self.now.raised_at)


def compare(now: Iterable[Occurrence], new: Iterable[Occurrence], end: datetime) -> list[Difference]:
    """Alarms of the same rule on the same device that stand at the same time are one alarm. In the order of time.

    `end`: until when was looked; what stood then had no end yet.
    """
    places: dict[tuple[str, str], tuple[list[Occurrence], list[Occurrence]]] = {}
    for side, some in enumerate((now, new)):
        for it in some:
            places.setdefault((it.device, it.rule), ([], []))[side].append(it)
    found: list[Difference] = []
    for before, after in places.values():
        found += _beside(sorted(before, key=_raised), sorted(after, key=_raised), end)
    return sorted(found, key=lambda it: it.raised_at)


def _raised(it: Occurrence) -> datetime:
    return it.raised_at


def _beside(now: list[Occurrence], new: list[Occurrence], end: datetime) -> list[Difference]:
    found: list[Difference] = []
    i = j = 0
    while i < len(now) and j < len(new):
        a, b = now[i], new[j]
        if a.raised_at <= (b.returned_at or end) and b.raised_at <= (a.returned_at or end):
            found.append(Difference(Change.SAME if _alike(a, b) else Change.MOVED, a, b))
            i, j = i + 1, j + 1
        elif a.raised_at < b.raised_at:
            found.append(Difference(Change.LOST, a, None))
            i += 1
        else:
            found.append(Difference(Change.GAINED, None, b))
            j += 1
    found += [Difference(Change.LOST, it, None) for it in now[i:]]
    found += [Difference(Change.GAINED, None, it) for it in new[j:]]
    return found


def _alike(a: Occurrence, b: Occurrence) -> bool:
    return (
        a.severity is b.severity
        and _near(a.raised_at, b.raised_at)
        and (_near(a.returned_at, b.returned_at) if a.returned_at and b.returned_at else a.returned_at is b.returned_at)
    )


def _near(a: datetime, b: datetime) -> bool:
    return abs((a - b).total_seconds()) <= SAME_S
