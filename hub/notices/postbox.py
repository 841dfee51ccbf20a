"""Messages on their way: bundled for each receiver, held through quiet hours, tried again, and what became of them.

The first alarm of a burst goes out after a few seconds, what comes in the next minute follows together. What is urgent
waits for nothing but the message before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from math import inf

from msgspec import Struct, field

from hub.clock import Clock
from hub.model import Severity
from hub.notices.message import About, Item, Text
from hub.notices.plan import Channel, Plan, Target

GATHER_S, GATHER_URGENT_S = 10.0, 2.0  # so long after the first of a bundle others may join
GAP_S, GAP_URGENT_S = 60.0, 10.0  # between two messages to the same receiver
PAUSES_S = (5.0, 30.0, 120.0)  # before each further try
AT_ONCE = 4  # messages that one channel is given at the same time: another is not held up by one that hangs
MOST_WAITING = 500  # alarms for one receiver; then the oldest of the least severe goes, and is written down
STATES_KEPT = 2_000  # receivers that were told something

Send = Callable[[Channel, str, Text], Awaitable[str]]  # "": the channel took it; else why not


class Outcome(StrEnum):
    """What became of telling somebody."""

    SENT = "sent"  # the channel took it: whether a person read it nobody knows
    FAILED = "failed"  # after every try
    QUIET = "quiet"  # their quiet time: they will be told when it is over, if it still calls
    DROPPED = "dropped"  # too much waited for this receiver
    NOBODY = "nobody"  # the step meant no one who can be reached


class Box(Struct):
    """What waits for one receiver."""

    target: Target
    waiting: list[tuple[float, Item]] = field(default_factory=list)  # since when, monotonic
    sent: float = -inf  # monotonic
    busy: bool = False
    quiet: set[str] = field(default_factory=set)  # alarms that wait for the morning, and of which that is written


class State(Struct):
    """How a channel is doing."""

    sent: int = 0
    failed: int = 0
    sent_at: datetime | None = None
    why: str = ""  # it did not take the last message


class Postbox:
    """`write` a message for a receiver; `calls`: whether an alarm still does; `done` is told of each outcome; `trouble`
    of a receiver whom a first try did not reach.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        send: Send,
        write: Callable[[Target, list[Item]], Text],
        calls: Callable[[str], bool],
        done: Callable[[Target, Item, Outcome, int, str], None],
        trouble: Callable[[Target, list[Item]], None],
    ) -> None:
        self._plan, self._clock, self._send, self._write = plan, clock, send, write
        self._calls, self._done, self._trouble = calls, done, trouble
        self._boxes: dict[Target, Box] = {}
        self._flying: set[asyncio.Task[None]] = set()
        self._turns = {name: asyncio.Semaphore(AT_ONCE) for name in plan.channels}
        self.channels: dict[str, State] = {name: State() for name in plan.channels}

    @property
    def waiting(self) -> int:
        return sum(len(box.waiting) for box in self._boxes.values()) + len(self._flying)

    @property
    def failing(self) -> int:
        """Channels that did not take the last message."""
        return sum(bool(it.why) for it in self.channels.values())

    def put(self, target: Target, item: Item) -> None:
        """To be told when its time has come."""
        box = self._boxes.get(target)
        if box is None:
            self._forget()
            box = self._boxes[target] = Box(target)
        if item.about is About.ENDED:
            before = [it for _, it in box.waiting if it.alarm.id == item.alarm.id]
            box.waiting = [(at, it) for at, it in box.waiting if it.alarm.id != item.alarm.id]
            box.quiet.discard(item.alarm.id)
            if before:
                return  # they were not told that it called: nor need they be that it is over
        box.waiting.append((self._clock.monotonic(), item))
        if len(box.waiting) > MOST_WAITING:
            least = max(it.alarm.severity for _, it in box.waiting)
            n = next(n for n, (_, it) in enumerate(box.waiting) if it.alarm.severity == least)
            _, gone = box.waiting.pop(n)
            self._done(target, gone, Outcome.DROPPED, 0, f"{MOST_WAITING} alarms wait for this receiver")
        if box.busy and self.channels[target.channel].why:  # it waits behind one that could not be delivered
            self._trouble(target, [item])

    def look(self) -> None:
        """Send what is due. Called again and again."""
        for box in self._boxes.values():
            if box.waiting and not box.busy:
                self._look_into(box)

    def _look_into(self, box: Box) -> None:
        now_s, now = self._clock.monotonic(), self._clock.now()
        ready: list[tuple[float, Item]] = []
        kept: list[tuple[float, Item]] = []
        for at, it in box.waiting:
            if it.about is About.ENDED or self._calls(it.alarm.id):
                (kept if self._is_quiet(box, it, now) else ready).append((at, it))
        box.waiting = kept + ready
        if not ready:
            return
        urgent = any(it.alarm.severity is Severity.URGENT and it.about is not About.ENDED for _, it in ready)
        gather_s, gap_s = (GATHER_URGENT_S, GAP_URGENT_S) if urgent else (GATHER_S, GAP_S)
        if now_s - min(at for at, _ in ready) < gather_s or now_s - box.sent < gap_s:
            return
        items = [it for _, it in ready]
        box.waiting = kept
        box.quiet -= {it.alarm.id for it in items}
        box.busy = True
        task = asyncio.get_running_loop().create_task(self._deliver(box, items), name=f"notice by {box.target.channel}")
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    def _is_quiet(self, box: Box, it: Item, now: datetime) -> bool:
        until = self._plan.quiet_until(box.target, it.alarm.severity, now)
        if until is None:
            return False
        if it.alarm.id not in box.quiet:
            box.quiet.add(it.alarm.id)
            self._done(box.target, it, Outcome.QUIET, 0, until.isoformat())
        return True

    async def _deliver(self, box: Box, items: list[Item]) -> None:
        target, why, tries = box.target, "", 0
        channel, state = self._plan.channels[target.channel], self.channels[target.channel]
        try:
            for pause_s in (0.0, *PAUSES_S):
                if pause_s:
                    await self._clock.sleep(pause_s)
                tries += 1
                async with self._turns[target.channel]:
                    why = await self._send(channel, target.to, self._write(target, items))
                state.why = why
                if not why:
                    break
                if tries == 1:
                    self._trouble(target, items)
        finally:
            box.busy, box.sent = False, self._clock.monotonic()
        if why:
            state.failed += 1
        else:
            state.sent, state.sent_at = state.sent + 1, self._clock.now()
        for it in items:
            self._done(target, it, Outcome.FAILED if why else Outcome.SENT, tries, why)

    async def close(self) -> None:
        """What is on its way is called off: after the next start it is told anew."""
        for task in list(self._flying):
            task.cancel()
        if self._flying:
            await asyncio.wait(self._flying)

    def _forget(self) -> None:
        """Receivers for whom nothing waits, when there are many."""
        if len(self._boxes) >= STATES_KEPT:
            self._boxes = {target: box for target, box in self._boxes.items() if box.waiting or box.busy}
