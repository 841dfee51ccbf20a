"""The seams of the house: what a driver offers and is offered, and what the judgement (rules) offers the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from hub.clock import Clock
from hub.model import (
    Alarm,
    AlarmEvent,
    Command,
    CommandRecord,
    Device,
    Nameplate,
    Quality,
    Reading,
    Receipt,
    Severity,
    Title,
    Value,
    Words,
)

if TYPE_CHECKING:
    from hub.slot import Slot

Sent = Callable[[Words], None]  # to be called at the moment when a command's bytes have left the house


# ---- drivers ------------------------------------------------------------------------------------------------------


class Roster(Protocol):
    """A driver's devices, now; `changed` returns when they are no longer what `devices` said at the last look."""

    @property
    def devices(self) -> Sequence[Device]: ...
    async def changed(self) -> None: ...


class Intake(Protocol):
    """All that a driver may ask of the house."""

    def take(self, readings: Sequence[Reading]) -> None:
        """Hand over one instant of one device (a whole poll, a whole frame). Returns when it has been taken in."""
        ...

    def mine(self, driver: str) -> Roster: ...

    def who_is(self, address: str) -> Device | None:
        """For those who dial in."""
        ...

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        """What could not be read; shown on the console, never thrown away silently."""
        ...

    def may_speak(self, speaker: str, secret: str) -> bool:
        """Whether who says this name ("modbus+dtu:860123456789012", without a unit) and secret is believed now.

        Ask when somebody connects, and again from time to time: a secret may have ended. "": none was said.
        """
        ...

    def stranger(self, address: str, peer: str, raw: bytes) -> None:
        """Somebody dialled in who is no device: `address` is what its device's would be, `peer` where it came from.

        It is kept for somebody to adopt. Answer it nothing, and take nothing from it.
        """
        ...


class Driver(Protocol):
    """A long-lived coroutine that serves all devices of one protocol, and the way back down to them."""

    async def run(self, intake: Intake) -> None:
        """Serve all devices until cancelled; raise to be restarted."""
        ...

    async def carry_out(self, device: Device, command: Command, sent: Sent) -> Receipt:
        """What the device said, not what we hope: UNDELIVERED, REJECTED, ACKNOWLEDGED or EXPIRED.

        Calls `sent` once the bytes are out. May be called while `run` is running; returns by the command's deadline.
        """
        ...


class DriverSpec(Struct, frozen=True):
    """How the house makes a driver. `open` checks everything and never touches the network.

    `nameplate(device)` is the device's plate by its profile; raises BadConfig when profile or settings are wrong.
    `check(device)` raises BadConfig when the address cannot be used. `listens(options)`: where it will listen (host,
    port), so that a port in use is said before anything is started. `together(devices, options)`: the mistakes that no
    device shows alone. `kinds()`: the device kinds that its profiles are for. `addresses`: examples, one of each form.
    """

    name: str
    options: type[Any]  # a pydantic model: the [drivers.NAME] table of hub.toml, units in names
    open: Callable[[Any, Clock], Driver]
    nameplate: Callable[[Device], Nameplate]
    check: Callable[[Device], None]
    listens: Callable[[Any], Sequence[tuple[str, int]]] = lambda options: ()
    together: Callable[[Sequence[Device], Any], Iterable[tuple[Device, str]]] = lambda devices, options: ()
    kinds: Callable[[], Iterable[str]] = lambda: ()
    addresses: tuple[str, ...] = ()
    # Who says on the wire that it is this device: several devices may have one terminal. "": it is we who connect.
    speaker: Callable[[str], str] = lambda address: ""


class BadConfig(ValueError):
    """The author of a file wrote something that cannot be. `mistakes` has one line each: place › what › remedy."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


# ---- judgement ----------------------------------------------------------------------------------------------------


class Ask(Struct, frozen=True):
    """A rule asks for a command; the guard decides."""

    action: str
    args: Mapping[str, Any] = {}


class Finding(Struct, frozen=True):
    """What a rule found: an alarm to raise or return, or to suppress or not any more, and commands to ask for.

    `since` is the time of the reading that first met the condition.
    """

    rule: str
    device: str
    event: AlarmEvent  # RAISED, RETURNED, SUPPRESSED (`say` is by what) or UNSUPPRESSED
    at: datetime
    since: datetime
    severity: Severity
    say: Title
    do: Title
    facts: Mapping[str, Any] = {}
    asks: tuple[Ask, ...] = ()
    chatters: bool = False  # it came and went several times within a short time


class Hold(Struct, frozen=True):
    """A hold that is running, to be kept over a restart: `phase` is "pending" or "returning"."""

    device: str
    rule: str
    phase: str
    began: datetime


class Judgement(Protocol):
    """The rules, as the hub sees them (made by rules/book.py)."""

    def bind(self, device: Device, slots: Mapping[str, Slot]) -> Mapping[str, tuple[Any, ...]]:
        """Make this device's rules; for each point the tokens to wake when it has a new reading."""
        ...

    def unbind(self, device: str) -> None: ...

    def restore(self, standing: Iterable[Alarm], holds: Iterable[Hold] = ()) -> None:
        """After a restart: these alarms stand, so their rules start raised and do not announce them again."""
        ...

    def holds(self) -> list[Hold]:
        """The holds that are running now, for `restore`."""
        ...

    def orphans(self) -> list[tuple[str, str]]:
        """(device, rule) of restored alarms that no rule will ever end."""
        ...

    def wants(self) -> Mapping[str, Mapping[str, float]]:
        """Of devices whose rules look back further than they have been bound: point -> seconds looked back."""
        ...

    def remember(self, device: str, course: Sequence[tuple[datetime, Mapping[str, tuple[Value, Quality]]]]) -> None:
        """What was read of a device before it was bound, in the order of time."""
        ...

    def clock_moved(self, by: timedelta) -> None:
        """The house's clock was set: what is timed by it is timed by the new one."""
        ...

    def restless(self, device: str) -> Mapping[Any, None]:
        """Tokens of this device that its next readings must wake even when they repeat what is known."""
        ...

    def step(self, tokens: Iterable[Any], at: datetime) -> Sequence[Finding]:
        """Judge the woken rules at the time of the readings that woke them."""
        ...

    def tick(self, now: datetime) -> Sequence[Finding]:
        """Judge what becomes true by time alone (a hold that is over)."""
        ...


# ---- people's side ------------------------------------------------------------------------------------------------


class Watcher(Protocol):
    """Who wants to see what happens: the event stream. Each call must be quick and must not raise."""

    def readings(self, device: str, slots: Sequence[Slot]) -> None:
        """These points of this device changed (value, quality or reason)."""
        ...

    def alarm(self, alarm: Alarm) -> None: ...
    def command(self, record: CommandRecord) -> None: ...

    def devices(self) -> None:
        """Devices came, went or changed: what is shown must be taken anew."""
        ...
