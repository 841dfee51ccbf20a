"""4G terminals that dial in: a door where each says who it is, a waiting room for strangers, a seat for each we know.

A registration is a name: give its DTU a secret too (hub/identity.py), and let DTUs come in through a private APN or a
VPN, and from the networks of `dtu_from`, only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

from drivers.modbus.link import Framing, Link, adopt
from drivers.modbus.options import Options
from hub.clock import Clock
from hub.contract import Intake
from hub.model import Words
from protocols.modbus.dtu import Door, Greeting, How, Registration

SPEAKER = "modbus+dtu:"
BACKLOG = 2048
MOST_ARRIVING = 2000  # connections that have not said yet who they are
MOST_WAITING = 200  # strangers that are kept, so that somebody may adopt them
STRANGER_EVERY_S = 1.0  # from one network address
TURNED_AWAY_EVERY_S = 60.0  # told of one terminal, or of one address: it dials again every second
REGISTERS_WITHIN_S = 30.0
QUIET_S = 0.3  # nothing more came for so long: that was the whole registration
FLAPS_AN_HOUR = 5
HEARTBEATS_MISSED = 3


class NotThere(OSError):
    """The DTU has not dialled in."""


class Seat:
    """The place of one DTU: how its line comes to a connection."""

    def __init__(self, id: str, options: Options, clock: Clock) -> None:
        self.id = id
        self.knock: Callable[[], None] = lambda: None  # told when a connection is offered
        self._options = options
        self._clock = clock
        self._offered: tuple[asyncio.Transport, bytes] | None = None
        self._link: Link | None = None
        self._came: deque[float] = deque(maxlen=FLAPS_AN_HOUR + 1)
        self.host = ""  # where the last connection came from
        self.secret = ""  # that it said

    async def open(self) -> Link:
        if self._offered is None:
            raise NotThere(f"DTU {self.id} has not dialled in")
        (transport, raw), self._offered = self._offered, None
        texts = self._options.heartbeats()
        if self._options.dtu_registers_each_packet:
            texts = (*texts, raw)
        if transport.is_closing():
            raise NotThere(f"DTU {self.id} has hung up")
        self._link = adopt(transport, Framing.RTU, texts)
        return self._link

    def why(self, error: Exception) -> Words:
        return Words("modbus.dtu_not_there", {"id": self.id})

    def take(self, transport: asyncio.Transport, said: Registration) -> bool:
        """It has dialled in. The new connection wins; whether it has done so too often."""
        self.hang_up()
        self.secret = said.secret
        self._offered = (transport, said.raw)
        self.knock()
        now = self._clock.monotonic()
        self._came.append(now)
        return len(self._came) > FLAPS_AN_HOUR and now - self._came[0] < 3600

    @property
    def is_taken(self) -> bool:
        """Whether a connection is here and, for all that we know, lives."""
        offered = self._offered is not None and not self._offered[0].is_closing()
        return offered or (self._link is not None and not self._link.closed)

    def hang_up(self) -> None:
        if self._offered is not None:
            self._offered[0].abort()
            self._offered = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def look(self, loop_time: float) -> None:
        """A connection on which nothing comes any more is dead, whatever TCP says."""
        silent_s = HEARTBEATS_MISSED * self._options.dtu_heartbeat_s
        if self._link is not None and not self._link.closed and loop_time - self._link.heard_at > silent_s:
            self.hang_up()


class Listener:
    """The port where DTUs dial in."""

    def __init__(self, options: Options, clock: Clock, intake: Intake) -> None:
        self.seats: dict[str, Seat] = {}
        self.options = options
        self._clock = clock
        self._intake = intake
        self._greetings: list[Greeting] = []
        self._arriving: set[_Arrival] = set()
        self._strangers: dict[_Arrival, Registration | None] = {}
        self._told: dict[str, float] = {}  # what was told when, so that nothing is told all the time
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Raises OSError when the port is not to be had."""
        loop = asyncio.get_running_loop()
        options = self.options
        self._server = await loop.create_server(
            lambda: _Arrival(self), options.dtu_host, options.dtu_port, backlog=BACKLOG, reuse_address=True
        )

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def waiting(self) -> int:
        return len(self._strangers)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for arrival in (*self._arriving, *self._strangers):
            arrival.leave()
        for seat in self.seats.values():
            seat.hang_up()

    def seat(self, id: str) -> Seat:
        """A place for the DTU that calls itself so. Call `expect` when all are there."""
        return self.seats.setdefault(id, Seat(id, self.options, self._clock))

    def expect(self, ids: Iterable[str]) -> None:
        """These have a place. Strangers of these names come in from the waiting room; others are hung up on."""
        known = set(ids)
        for id in self.seats.keys() - known:
            self.seats.pop(id).hang_up()
        self._greetings = [Greeting(How.TEXT, id) for id in sorted(known)]
        self._greetings += [row.greeting() for row in self.options.dtu_registrations]
        self._greetings.append(Greeting(How.IMEI))
        for stranger, said in list(self._strangers.items()):
            if said is not None and said.id in self.seats:
                del self._strangers[stranger]
                self.says(stranger, said, said.raw)

    async def watch(self) -> None:
        """Let go of those who are silent."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(5.0, self.options.dtu_heartbeat_s / 2))
            now = loop.time()
            for seat in self.seats.values():
                seat.look(now)
                if seat.is_taken and not self._intake.may_speak(SPEAKER + seat.id, seat.secret):
                    seat.hang_up()  # its secret counts no longer
            for arrival in [a for a in self._arriving if now - a.since > REGISTERS_WITHIN_S]:
                arrival.over()
            for stranger in [s for s in self._strangers if now - s.since > self.options.dtu_waiting_s]:
                stranger.leave()

    # ---- what arrivals tell ---------------------------------------------------------------------------------------

    def arrives(self, arrival: _Arrival) -> Door | None:
        """Somebody is at the door; None when there are too many, or not from here."""
        if len(self._arriving) >= MOST_ARRIVING:
            return None
        if not self.options.lets_in(arrival.host):
            self._turned_away(f"{SPEAKER}?{arrival.host}", b"", Words("modbus.not_from_there", {"peer": arrival.host}))
            return None
        self._arriving.add(arrival)
        return Door(self._greetings)

    def says(self, arrival: _Arrival, said: Registration | None, held: bytes) -> None:
        """It has said who it is, or something that nobody understands."""
        self._arriving.discard(arrival)
        shown = said.shown if said is not None else held
        who = f"{SPEAKER}{said.id}/1" if said is not None else f"{SPEAKER}?{arrival.host}"
        if said is not None and said.id in self.seats:
            if self._intake.may_speak(SPEAKER + said.id, said.secret):
                return self._seat(arrival, said)
            key = "modbus.wrong_secret" if said.secret else "modbus.no_secret"
            self._turned_away(who, shown, Words(key, {"peer": arrival.host}))
            return arrival.leave()
        if len(self._strangers) >= MOST_WAITING or self._lately(arrival.host, STRANGER_EVERY_S):
            return arrival.leave()
        self._strangers[arrival] = said
        self._intake.puzzled_by(who, shown, Words("modbus.unknown_dtu", {"peer": arrival.host}))
        if said is not None:
            self._intake.stranger(who, arrival.host, shown)

    def _turned_away(self, who: str, shown: bytes, words: Words) -> None:
        if not self._lately(f"{who} {words.key}", TURNED_AWAY_EVERY_S):
            self._intake.puzzled_by(who, shown, words)

    def _lately(self, what: str, every_s: float) -> bool:
        """Whether this was told so short a time ago; if not, it is told now."""
        now = self._clock.monotonic()
        last = self._told.get(what)
        if last is not None and now - last < every_s:
            return True
        if len(self._told) >= 10 * MOST_WAITING:
            self._told.clear()
        self._told[what] = now
        return False

    def left(self, arrival: _Arrival) -> None:
        self._arriving.discard(arrival)
        self._strangers.pop(arrival, None)

    def _seat(self, arrival: _Arrival, said: Registration) -> None:
        arrival.seated = True
        assert arrival.transport is not None
        seat = self.seats[said.id]
        if seat.is_taken and seat.host != arrival.host:  # a new way through the network, or somebody who pretends
            both = {"before": seat.host, "now": arrival.host}
            self._intake.puzzled_by(f"{SPEAKER}{said.id}/1", said.shown, Words("modbus.claimed_twice", both))
        seat.host = arrival.host
        often = seat.take(arrival.transport, said)
        if often and not self._lately(f"{said.id} flaps", 3600.0):
            self._intake.puzzled_by(
                f"{SPEAKER}{said.id}/1", said.shown, Words("modbus.flapping", {"times": FLAPS_AN_HOUR})
            )


class _Arrival(asyncio.Protocol):
    """A connection until we know who it is."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._door: Door | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.since = self._loop.time()
        self.seated = False
        self.host = ""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transports are not its subclasses
        self.host = str((transport.get_extra_info("peername") or ("?",))[0])
        self._door = self._listener.arrives(self)
        if self._door is None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._door is None or self.seated:
            return
        if self._timer is not None:
            self._timer.cancel()
        said = self._door.feed(data)
        if said is not None:
            return self._say(said)
        self._timer = self._loop.call_later(QUIET_S, self.over)

    def over(self) -> None:
        """Nothing more comes: what is there is all of it."""
        if self._door is not None:
            self._say(self._door.idle())

    def _say(self, said: Registration | None) -> None:
        door, self._door = self._door, None
        assert door is not None
        self._listener.says(self, said, door.held)

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._door = None
        self._listener.left(self)

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abort()
