"""The live stream: what changed, told once to everybody who watches. GET /api/v1/stream, text/event-stream.

    id: 3f9a2c10.812
    data: {"now":1764036087123,"s:ps-01":{…},"a:9f3a":{…}}

Frames have a number. What changes twice before a frame goes out is told once, with its newest value; a viewer who is
slow holds one value per key and nothing else. While nobody watches, a change costs one entry in a dict.

| key        | value                                                       |
|------------|-------------------------------------------------------------|
| `s:DEVICE` | its latest values (shape.state)                             |
| `f:DEVICE` | the newest time it gave, in ms: heard again, nothing changed |
| `a:ID`     | the alarm, whole; state "normal" says that it is over       |
| `c:ID`     | the command, whole, with its receipts                       |
| `roster`   | devices came, went or changed: fetch /api/v1/roster         |

Other events: `hello` (the first, without resume), `reset` (take a new snapshot), `hb`, `bye` (sign in again).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dashboards import shape
from hub.clock import Clock
from hub.hub import EPOCH, Hub, Member
from hub.model import Alarm, CommandRecord
from hub.slot import Slot
from hub.words import Catalogue

if TYPE_CHECKING:
    from dashboards.caller import Caller
    from hub.sight import View

RING_FRAMES = 600  # kept for those who come back: ten minutes of one a second
URGENT_GAP_S = 0.25  # between frames when an alarm or a command is to be told: four a second
CALM_GAP_S = 1.0  # between frames with nothing but readings
HEARTBEAT_S = 5.0  # a viewer hears something at least so often
FRESH_S = 5.0  # every device is looked at so often for readings that changed nothing
FRESH_PARTS = 5  # in so many parts, so that no look is long
DEVICES_A_FRAME = 2_000  # changed devices in one frame at most: the rest follows in the next
STATES_A_TURN = 200  # states made before others have a turn: some 2 ms
MAX_VIEWERS = 1_000
MAX_BEHIND = 5_000  # keys that a slow viewer may be behind with; then a new snapshot is cheaper
MAX_UNTOLD = 2_000  # alarms and commands that changed while nobody watched; then the ring is of no use any more
STUCK_S = 60.0  # a viewer whose connection takes nothing for so long is let go
RETRY_MS = 1_500  # a browser waits so long before it comes back


class TooManyViewers(Exception):
    """MAX_VIEWERS watch already."""


class Part(NamedTuple):
    """One thing that changed: `"key":value` as JSON, and of which device it tells ("": of none)."""

    device: str
    text: bytes


class Frame:
    """What changed, by key. Cut and encoded once for each view, however many watch with it."""

    __slots__ = ("_cuts", "_encode", "number", "parts")

    def __init__(self, number: int, parts: dict[str, Part], encode: Callable[[Mapping[str, Part]], bytes]) -> None:
        self.number = number
        self.parts = parts
        self._encode = encode
        self._cuts: dict[int, tuple[View, dict[str, Part], bytes]] = {}

    def cut(self, view: View) -> tuple[dict[str, Part], bytes]:
        """What somebody with this view is told of it, and that as a chunk of the stream (b"" when it is nothing)."""
        made = self._cuts.get(id(view))
        if made is None or made[0] is not view:
            parts = self.parts if view.whole else seen_by(view, self.parts)
            made = self._cuts[id(view)] = view, parts, self._encode(parts) if parts else b""
        return made[1], made[2]

    def old(self) -> None:
        """It has been told: who comes back later is told it together with others."""
        self._cuts.clear()


def seen_by(view: View, parts: Mapping[str, Part]) -> dict[str, Part]:
    """Those that tell of no device, or of one that may be seen."""
    return {key: it for key, it in parts.items() if not it.device or view.sees(it.device)}


class Viewer:
    """One open stream: the next frame, or, for one that is slow, the newest value of each key."""

    __slots__ = ("_behind", "_bus", "_event", "_frame", "_over", "_wake", "sending_since", "task", "ticket")

    def __init__(self, bus: Bus, ticket: Caller) -> None:
        self.ticket = ticket  # who watches; it may end while the stream is open
        self.task: asyncio.Task[None] | None = None  # that feeds its connection
        self.sending_since: float | None = None  # loop time at which its connection was given the last chunk
        self._bus = bus
        self._frame: tuple[dict[str, Part], bytes] | None = None
        self._behind: dict[str, Part] | None = None
        self._event = b""  # hello, reset, hb, or a catch-up: goes before the frames
        self._over = False
        self._wake: asyncio.Future[None] | None = None

    def offer(self, frame: Frame) -> None:
        parts, text = frame.cut(self.ticket.view)
        if not parts:
            return
        if self._frame is None and self._behind is None:
            self._frame = parts, text
        else:
            if self._behind is None:
                assert self._frame is not None
                self._behind, self._frame = dict(self._frame[0]), None
            self._behind.update(parts)
            if len(self._behind) > MAX_BEHIND:
                self._behind = None
                self._event = self._bus.reset()
        self._stir()

    def tell(self, event: bytes) -> None:
        """An event of its own, before any frame that waits. Heartbeats do not pile up."""
        if self.idle:
            self._event = event
            self._stir()

    def bye(self, why: bytes = b"session_over") -> None:
        """Say good-bye and end."""
        self._frame = self._behind = None
        self._event = b'event: bye\ndata: {"why":"%s"}\n\n' % why
        self._over = True
        self._stir()

    def leave(self) -> None:
        """End without a word: the other side has gone."""
        self._event, self._over = b"", True
        self._frame = self._behind = None
        self._stir()

    @property
    def over(self) -> bool:
        return self._over

    @property
    def idle(self) -> bool:
        return not (self._event or self._frame or self._behind)

    @property
    def keys_behind(self) -> int:
        return len(self._behind or ())

    async def next(self) -> bytes | None:
        """The next chunk of the stream; None when it is over."""
        while self.idle:
            if self._over:
                return None
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        if self._event:
            chunk, self._event = self._event, b""
        elif self._frame is not None:
            chunk, self._frame = self._frame[1], None
        else:
            assert self._behind is not None
            chunk, self._behind = self._bus.encode(self._behind), None
        return chunk

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class _State:
    """A device's latest values as JSON. The time before them changes with every reading, the rest only now and then."""

    __slots__ = ("newest", "tail", "text")

    def __init__(self, values: bytes) -> None:
        self.tail = values[1:]
        self.newest: datetime | None = None
        self.text = b""


class Bus:
    """Hears every change of the house (hub.contract.Watcher) and tells it to the viewers, in frames."""

    def __init__(self, hub: Hub, words: Catalogue) -> None:
        self.epoch = secrets.token_hex(4)  # another one after a restart: then everybody takes a new snapshot
        self.number = 0  # of the last frame
        self.viewers: set[Viewer] = set()
        self.under_way: dict[str, CommandRecord] = {}  # commands that have more receipts to come
        self.happenings = 0  # alarms, commands and devices that changed so far
        self.frames_merged = 0
        self.on_devices: Callable[[], None] = lambda: None  # set by the roster: devices came, went or changed
        self._hub = hub
        self.words = words
        self._clock: Clock = hub.clock
        self._states: dict[str, _State] = {}
        self._ring: deque[Frame] = deque(maxlen=RING_FRAMES)
        self._changed: dict[str, None] = {}  # devices whose readings are to be told
        self._untold: dict[str, Alarm | CommandRecord] = {}  # by key
        self._roster_changed = False
        self._told_at: dict[str, datetime] = {}  # device -> the newest time that viewers know
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when it rings: a handle of uvloop does not always know
        self._pulse: asyncio.TimerHandle | None = None
        self._last_frame = self._last_word = 0.0  # loop time
        self._part = 0
        self._closed = False
        self._unwatch = hub.watch(self)

    # ---- what the hub calls: quick, and never an error ------------------------------------------------------------

    def readings(self, device: str, slots: Sequence[Slot]) -> None:
        self._states.pop(device, None)
        self._changed[device] = None
        if self.viewers and self._timer is None:
            self._set_timer(CALM_GAP_S)

    def alarm(self, alarm: Alarm) -> None:
        self._tell("a:" + alarm.id, alarm)

    def command(self, record: CommandRecord) -> None:
        if record.final:
            self.under_way.pop(record.command.id, None)
        else:
            self.under_way[record.command.id] = record
        self._tell("c:" + record.command.id, record)

    def devices(self) -> None:
        self._states.clear()
        self.happenings += 1
        self.on_devices()
        self._roster_changed = True
        if self.viewers:
            self._set_timer(URGENT_GAP_S)

    def _tell(self, key: str, it: Alarm | CommandRecord) -> None:
        self.happenings += 1
        self._untold[key] = it
        if self.viewers:
            self._set_timer(URGENT_GAP_S)
        elif len(self._untold) > MAX_UNTOLD:
            self._untold.clear()
            self._ring.clear()
            self.number += 1

    # ---- what the pages call --------------------------------------------------------------------------------------

    def states(self, members: Mapping[str, Member]) -> list[bytes]:
        """`"DEVICE":{…}` for these devices. Made anew only where something has been heard."""
        known = self._states
        told: list[bytes] = []
        for device, member in members.items():
            state = known.get(device)
            if state is None or state.newest is not member.newest:
                state = self._state(device, member)
            told.append(state.text)
        return told

    async def warm(self) -> None:
        """Make anew what has changed, a few at a time: with many thousands the house must not stand still meanwhile."""
        if len(self._hub.members) - len(self._states) <= STATES_A_TURN:
            return
        missing = [device for device in self._hub.members if device not in self._states]
        for number, device in enumerate(missing, 1):
            member = self._hub.members.get(device)
            if member is not None:
                self._state(device, member)
            if number % STATES_A_TURN == 0:
                await asyncio.sleep(0)

    def _state(self, device: str, member: Member) -> _State:
        state = self._states.get(device)
        if state is None:
            state = self._states[device] = _State(shape.state(member.slots.values()))
        if state.newest is not member.newest:
            state.newest = member.newest
            at = b"null" if member.newest is EPOCH else b"%d" % shape.ms(member.newest)
            state.text = b'%s:{"at_ms":%s,%s' % (shape.encode(device), at, state.tail)
        return state

    @property
    def untold(self) -> bool:
        """Whether something has changed since the last frame."""
        return bool(self._changed or self._untold or self._roster_changed)

    def admit(self, ticket: Caller, last_id: str = "") -> Viewer:
        """A new viewer, who is told what it missed since `last_id`. Raises TooManyViewers."""
        if len(self.viewers) >= MAX_VIEWERS or self._closed:
            raise TooManyViewers
        if self.untold:
            self._flush()  # before it is one of them: what it missed comes from the ring
        if not self.viewers:
            self._told_at = {device: member.newest for device, member in self._hub.members.items()}
        viewer = Viewer(self, ticket)
        viewer.tell(b"retry: %d\n\n" % RETRY_MS + self._missed(last_id, ticket.view))
        self.viewers.add(viewer)
        if self.untold:
            self._set_timer(URGENT_GAP_S)
        if self._pulse is None:
            loop = asyncio.get_running_loop()
            self._last_word = loop.time()
            self._pulse = loop.call_later(FRESH_S / FRESH_PARTS, self._beat)
        return viewer

    def dismiss(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        viewer.leave()
        if not self.viewers:
            self._stop_timers()

    def close(self) -> None:
        """End every stream; browsers come back when the house is open again."""
        self._closed = True
        self._unwatch()
        self._stop_timers()
        for viewer in list(self.viewers):
            viewer.leave()

    def encode(self, parts: Mapping[str, Part]) -> bytes:
        """A chunk of the stream with these parts, that brings its reader to the last frame."""
        head = b"id: %s.%d\ndata: " % (self.epoch.encode(), self.number)
        now = shape.ms(self._clock.now())
        return b'%s{"now":%d,%s}\n\n' % (head, now, b",".join([it.text for it in parts.values()]))

    def reset(self) -> bytes:
        """Tells a reader to take a new snapshot."""
        return b"event: reset\n" + self.hello()

    def hello(self) -> bytes:
        told = {"epoch": self.epoch, "number": self.number, "now": shape.ms(self._clock.now())}
        return b"id: %s.%d\ndata: %s\n\n" % (self.epoch.encode(), self.number, shape.encode(told))

    # ---- frames ---------------------------------------------------------------------------------------------------

    def _missed(self, last_id: str, view: View) -> bytes:
        if not last_id:
            return b"event: hello\n" + self.hello()
        epoch, _, text = last_id.partition(".")
        if epoch != self.epoch or not text.isdecimal() or len(text) > 18:
            return self.reset()
        number = int(text)
        if number == self.number:
            return b"event: hello\n" + self.hello()
        if not self._ring or not self._ring[0].number - 1 <= number < self.number:
            return self.reset()
        missed: dict[str, Part] = {}
        for frame in islice(self._ring, number - self._ring[0].number + 1, None):
            missed.update(frame.parts if view.whole else seen_by(view, frame.parts))
        return self.encode(missed) if missed else b"event: hello\n" + self.hello()

    def _set_timer(self, gap_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = max(self._last_frame + gap_s, loop.time())
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_at(due, self._flush)

    def _flush(self) -> None:
        """Make a frame of what has changed, and offer it to everybody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts = self._take_parts()
        if parts:
            self._issue(parts)
        if self._changed and self.viewers:
            self._set_timer(URGENT_GAP_S)

    def _take_parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        if self._roster_changed:
            self._roster_changed = False
            parts["roster"] = Part("", b'"roster":%d' % (self.number + 1))
        for key, it in self._untold.items():
            told = shape.alarm(it) if isinstance(it, Alarm) else shape.command(self.words, it)
            device = it.device if isinstance(it, Alarm) else it.command.device
            parts[key] = Part(device, b"%s:%s" % (shape.encode(key), shape.encode(told)))
        self._untold.clear()
        for device in list(islice(self._changed, DEVICES_A_FRAME)):
            del self._changed[device]
            member = self._hub.members.get(device)
            if member is not None:
                parts["s:" + device] = Part(device, b'"s:' + self._state(device, member).text[1:])
                self._told_at[device] = member.newest
        return parts

    def _issue(self, parts: dict[str, Part]) -> None:
        self.number += 1
        frame = Frame(self.number, parts, self.encode)
        self._ring.append(frame)
        self._last_frame = self._last_word = asyncio.get_running_loop().time()
        for viewer in self.viewers:
            if not viewer.idle:
                self.frames_merged += 1
            viewer.offer(frame)
        frame.old()

    # ---- once a second, while somebody watches --------------------------------------------------------------------

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._pulse = loop.call_later(FRESH_S / FRESH_PARTS, self._beat)
        fresh = self._fresh()
        if fresh:
            self._issue(fresh)
        for viewer in list(self.viewers):
            if viewer.ticket.over:
                viewer.bye()
            elif viewer.task is not None and viewer.sending_since and now - viewer.sending_since > STUCK_S:
                viewer.leave()
                viewer.task.cancel()
        if now - self._last_word >= HEARTBEAT_S:
            self._last_word = now
            heartbeat = b'event: hb\ndata: {"now":%d}\n\n' % shape.ms(self._clock.now())
            for viewer in self.viewers:
                viewer.tell(heartbeat)

    def _fresh(self) -> dict[str, Part]:
        """Devices of this part that were heard again with nothing new: how fresh they are is to be told too."""
        members = self._hub.members
        step = -(-len(members) // FRESH_PARTS)
        start = self._part * step
        self._part = (self._part + 1) % FRESH_PARTS
        parts: dict[str, Part] = {}
        for device, member in islice(members.items(), start, start + step):
            at = member.newest
            if at is not self._told_at.get(device, EPOCH) and device not in self._changed:
                self._told_at[device] = at
                parts["f:" + device] = Part(device, b"%s:%d" % (shape.encode("f:" + device), shape.ms(at)))
        return parts

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._pulse):
            if timer is not None:
                timer.cancel()
        self._timer = self._pulse = None


class EventStream(Response):
    """A viewer's stream on an HTTP connection."""

    def __init__(self, bus: Bus, viewer: Viewer) -> None:
        self._bus = bus
        self._viewer = viewer
        self.background = None
        self.status_code = 200
        self.raw_headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        viewer, time = self._viewer, asyncio.get_running_loop().time
        gone = asyncio.create_task(self._until_gone(receive))
        viewer.task = asyncio.current_task()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (chunk := await viewer.next()) is not None:
                viewer.sending_since = time()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                viewer.sending_since = None
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            if not viewer.over:  # somebody else's: the server stops
                raise
        finally:
            gone.cancel()
            self._bus.dismiss(viewer)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._viewer.leave()
