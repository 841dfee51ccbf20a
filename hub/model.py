"""The nouns of the house: what a device is, what it tells, what it can be told, and what came of it.

All times are aware datetimes in UTC. Everything here is immutable and free of protocols, clocks and storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from msgspec import Struct, field

Title = Mapping[str, str]  # a text in both languages: {"zh-CN": "启动 1# 泵", "en": "Start pump 1"}


class Words(Struct, frozen=True):
    """A sentence for people: its key in a words.toml, and the values to put in (see hub/words.py)."""

    key: str
    args: Mapping[str, Any] = field(default_factory=dict)


# ---- what is measured ---------------------------------------------------------------------------------------------


class Quality(IntEnum):
    """How far a value can be believed. Rules treat everything but GOOD as unknown."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 2


class Position(Struct, frozen=True, gc=False):
    """A place on earth, WGS-84, degrees; metres above the sea where that is known."""

    latitude: float
    longitude: float
    altitude: float | None = None


Value = float | int | bool | str | Position | None


class Reading(Struct, frozen=True, gc=False):
    """One value of one point: `at` is the device's word for when, `received_at` is ours.

    `value` is in the point's unit; an enum's value is its label; None says that there is no value, and `why` says why.
    """

    device: str
    point: str
    value: Value
    at: datetime
    received_at: datetime
    quality: Quality = Quality.GOOD
    why: Words | None = None


class Kind(StrEnum):
    """What a point's values are."""

    NUMBER = "number"
    BOOL = "bool"
    ENUM = "enum"
    TEXT = "text"
    POSITION = "position"


class Point(Struct, frozen=True):
    """One thing a device can tell. Its unit never changes; a value outside low..high cannot be true (BAD)."""

    key: str  # "outlet.pressure"
    kind: Kind = Kind.NUMBER
    unit: str = ""  # a symbol of hub/units.py, "" for none
    low: float | None = None
    high: float | None = None
    interval_s: float = 10.0  # expected between readings; silence of STALE_INTERVALS of them makes it stale
    digits: int = 2  # decimals on screen
    labels: Mapping[int, str] = field(default_factory=dict)  # enum: code on the wire -> label
    label_titles: Mapping[str, Title] = field(default_factory=dict)  # enum: label -> its name on the screen
    stuck_after_s: float | None = None  # a live sensor that does not move for so long is UNCERTAIN
    deadband: float | None = None  # history keeps what differs by more than this from what it kept; None: everything
    heartbeat_s: float = 600.0  # and one reading so often all the same, so that silence shows
    title: Title = field(default_factory=dict)


# ---- what can be told ---------------------------------------------------------------------------------------------


class Hazard(StrEnum):
    """What a command may harm. Anything but NONE needs a confirmation, and rules may ask for it only where armed."""

    NONE = "none"
    PUMP = "pump"
    VEHICLE = "vehicle"
    SPEAKER = "speaker"


class Arg(Struct, frozen=True):
    """One argument of an action: a number in `unit` within low..high, or one of `choices`."""

    key: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    title: Title = field(default_factory=dict)


class Proof(Struct, frozen=True):
    """The reading that shows that a command happened: `point` becomes `becomes` within `within_s` of sending.

    `becomes` "$speed" stands for the argument `speed`; `tolerance` is in the point's unit.
    """

    point: str
    becomes: float | bool | str
    within_s: float
    tolerance: float = 0.0


class Test(StrEnum):
    """How an interlock compares. All of them are unknown, and so refuse, when a reading is not GOOD."""

    IS = "is"
    IS_NOT = "is_not"
    ABOVE = "above"
    BELOW = "below"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


class Interlock(Struct, frozen=True):
    """A condition that must hold for an action to be sent: `point` `test` `limit`, or a limit of starts.

    `limit` "@setting.low_low_level" stands for the present value of another point of the device.
    `count` and `per_s`: at most `count` commands of this action were sent in the last `per_s` seconds.
    """

    point: str = ""
    test: Test = Test.IS
    limit: float | bool | str = True
    count: int = 0
    per_s: float = 0.0
    title: Title = field(default_factory=dict)  # what is wrong when it does not hold, in words


class Action(Struct, frozen=True):
    """One thing a device can be told."""

    key: str  # "pump1.start"
    args: tuple[Arg, ...] = ()
    proof: Proof | None = None
    hazard: Hazard = Hazard.NONE
    interlocks: tuple[Interlock, ...] = ()
    safety: bool = False  # a stop: goes ahead of, and cancels, whatever else is under way on the device
    target: str = ""  # the part of the device it moves: "pump1"
    valid_s: float = 60.0  # how long a command of this kind may take in all: its deadline
    title: Title = field(default_factory=dict)


class Nameplate(Struct, frozen=True):
    """铭牌: all that a device can tell and all that it can be told."""

    points: Mapping[str, Point] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)


LINK = "link"  # the point that every driver gives every device: its labels are LinkState's values
OUTAGE = "link.outage"  # beside it: whether its link is down within an outage of its area (hub/outage.py tells it)
FOR_EVER_S = 1e9  # of a point that is told when it changes, and is never stale


class LinkState(StrEnum):
    """Whether a device answers."""

    UP = "up"
    DEGRADED = "degraded"  # it answers, but not always or not everything
    DOWN = "down"


class Area(Struct, frozen=True):
    """A node of the city / town / village tree. `code` is the 12-digit administrative code."""

    code: str
    name: str
    parent: str = ""


class Device(Struct, frozen=True):
    """One piece of field hardware. `address` is a URL whose scheme names the driver."""

    id: str
    name: str
    kind: str  # "pump_station"
    address: str
    profile: str = ""
    area: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # for the profile: number of pumps, CT ratio, …

    @property
    def driver(self) -> str:
        """ "modbus+tcp://10.0.4.7:502/1" -> "modbus"."""
        return self.address.partition(":")[0].partition("+")[0]


# ---- what came of it ----------------------------------------------------------------------------------------------


class Stage(StrEnum):
    """How far a command got. UNDELIVERED: it did not happen. EXPIRED: we do not know. CONFIRMED: a reading shows it."""

    REFUSED = "refused"
    UNDELIVERED = "undelivered"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


FINAL = frozenset(Stage) - {Stage.SENT, Stage.ACKNOWLEDGED}


class Origin(Struct, frozen=True, omit_defaults=True):
    """Where from somebody asks; what is not known is left out."""

    address: str = ""  # of the other side, on the network
    agent: str = ""  # what the browser or program calls itself
    session: str = ""  # the first letters of the session's id, which is a hash already
    token: str = ""  # the id of an API token
    program: str = ""  # "fieldhub user": somebody at the server's own console


class Command(Struct, frozen=True):
    """Somebody asks a device for something, for a reason, until a deadline."""

    id: str
    device: str
    action: str
    args: Mapping[str, Any]
    asked_by: str  # "wang.min", "rule:sump high"
    because: str
    asked_at: datetime
    deadline: datetime
    key: str = ""  # the asker's idempotency key: the same key again is the same command
    origin: Origin | None = None  # None: a rule, or it was written before origins were


class Receipt(Struct, frozen=True):
    """One step in a command's life, and why it took it. `last`: nothing more will follow (dispatch sets it)."""

    command: str
    stage: Stage
    at: datetime
    words: Words | None = None
    last: bool = False
    by: str = ""  # who called it off, where somebody did
    origin: Origin | None = None  # and where from


class CommandRecord(Struct, frozen=True):
    """A command with the receipts it has so far, oldest first."""

    command: Command
    receipts: tuple[Receipt, ...] = ()

    @property
    def stage(self) -> Stage | None:
        """How far it got; None: accepted, nothing has left the house yet."""
        return self.receipts[-1].stage if self.receipts else None

    @property
    def final(self) -> bool:
        return bool(self.receipts) and self.receipts[-1].last


class Severity(IntEnum):
    """Alarm priorities, 1 first: 紧急, 重要, 一般, 提示."""

    URGENT = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


class AlarmEvent(StrEnum):
    """What can happen to an alarm (ISA-18.2)."""

    RAISED = "raised"
    RETURNED = "returned"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    REMARKED = "remarked"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"


class AlarmState(StrEnum):
    """ISA-18.2: condition active or not, acknowledged or not."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"  # came and went; nobody has acknowledged it yet


class AlarmChange(Struct, frozen=True):
    """One entry of an alarm's life. `alarm` names the occurrence: a late acknowledgement cannot hit a newer one."""

    alarm: str
    event: AlarmEvent
    device: str
    rule: str
    at: datetime  # when the house decided
    since: datetime  # the reading that first met the condition
    severity: Severity = Severity.MEDIUM
    by: str = ""
    note: str = ""
    say: Title = field(default_factory=dict)
    do: Title = field(default_factory=dict)  # what staff must do
    facts: Mapping[str, Any] = field(default_factory=dict)  # point -> value at that moment
    origin: Origin | None = None  # of what a person said: where from; None before origins were written
    until: datetime | None = None  # of a shelving: when it ends by itself
    chatters: bool = False  # of a raise: it came and went several times within a short time


class Shelving(Struct, frozen=True):
    """Somebody has put a rule on a device aside, for a time and for a reason: it calls nobody."""

    until: datetime
    by: str
    note: str
    at: datetime


class Suppression(Struct, frozen=True):
    """By design of its rule an alarm calls nobody now: something else explains it, and `say` is what."""

    at: datetime
    say: Title


class Alarm(Struct, frozen=True):
    """A fold of its changes (hub/alarms.py)."""

    id: str
    device: str
    rule: str
    severity: Severity
    state: AlarmState
    since: datetime
    raised_at: datetime
    say: Title
    do: Title
    facts: Mapping[str, Any]
    returned_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    count: int = 1  # how often it came back within one occurrence
    remarks: int = 0  # what people wrote into its life
    chatters: bool = False
    shelved: Shelving | None = None  # its state goes on underneath, and may be NORMAL
    suppressed: Suppression | None = None  # its state goes on underneath

    @property
    def calls(self) -> bool:
        """Whether it is on the list of those who answer for it."""
        return self.shelved is None and self.suppressed is None
