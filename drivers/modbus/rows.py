"""The nouns of a profile: what stands in the registers of a make and model, and what may be written there.

A `Profile` is what a file says; a `Plate` is a profile made out for one device: its settings put in, its repeated parts
written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from hub.model import Nameplate, Title

REGISTER_FUNCTIONS = (3, 4)
BIT_FUNCTIONS = (1, 2)


class LineRules(Struct, frozen=True):
    """What a device asks of its line. None: what suits the kind of line (driver.py)."""

    gap_ms: int | None = None  # silence between two frames
    max_gap: int | None = None  # unwanted registers that are read along rather than asked around
    max_count: int = 100  # registers a request; 16 times so many bits
    timeout_ms: int | None = None
    merge: bool = True  # false: one request for each register that is wanted


class Row(Struct, frozen=True):
    """One point of a profile: where it stands and how it is read."""

    key: str
    at: int
    fn: int
    type: str
    order: str
    registers: int  # for bits: 1
    every_s: float
    title: Title
    length: int = 0
    encoding: str = "ascii"
    scale: float = 1.0
    offset: float = 0.0
    times: tuple[str, ...] = ()  # settings that the value is multiplied with (CT, PT)
    bit: int | None = None
    bits: tuple[int, int] | None = None  # first and last
    when_in: frozenset[int] | None = None
    labels: str = ""  # the name of a label set: the value is one of them
    flags: str = ""  # the name of a label set by bit: the value is the list of those that are set
    no_value: tuple[float, ...] = ()
    wrap: int = 0  # a counter starts again at so much
    unit: str = ""
    low: float | None = None
    high: float | None = None
    digits: int | None = None
    stuck_after_s: float | None = None
    deadband: float | None = None
    heartbeat_s: float = 600.0
    access: str = "r"

    @property
    def end(self) -> int:
        return self.at + self.registers


class Label(Struct, frozen=True):
    code: int
    label: str
    title: Title


class WriteRow(Struct, frozen=True):
    """One value to write: fixed, or an argument of the action."""

    at: int
    fn: int  # 5, 6, 15, 16; 22 for a bit (read-modify-write where the device does not know 22)
    type: str
    order: str
    value: float | bool | None = None
    arg: str = ""
    scale: float = 1.0
    offset: float = 0.0
    bit: int | None = None
    pulse_ms: int = 0  # afterwards 0 is written


class Handshake(Struct, frozen=True):
    """A command with a number of its own: the PLC takes each number once, and says what came of it.

    Written in one request: command at `at` … number at `number_at`. What is read at `result_at` is the answer once
    `number_at` shows our number, and not sooner than `settle_s` after it was written (a PLC needs a cycle).
    """

    at: int
    value: int
    number_at: int
    result_at: int
    accepted: tuple[int, ...]
    refused: tuple[int, ...]
    within_s: float = 5.0
    settle_s: float = 0.2
    reasons: str = ""  # the point that says why not


class ActionRow(Struct, frozen=True):
    """One action of a profile: what goes over the wire, and the rest for the nameplate."""

    key: str
    writes: tuple[WriteRow, ...]
    handshake: Handshake | None
    plate: Mapping[str, Any]  # the fields of hub.model.Action
    refresh: tuple[str, ...] = ()  # points to read again soon (the proof's)


class Setting(Struct, frozen=True):
    """What a device's own entry may say about its make."""

    default: float
    low: float
    high: float
    whole: bool
    title: Title


class Watchdog(Struct, frozen=True):
    """A register that the hub counts up, so that the device sees that somebody watches."""

    at: int
    every_s: float
    fn: int = 6


class Repeat(Struct, frozen=True):
    """Rows of n = 1: the n-th stand `step` further on (or the step that a row itself says)."""

    count: str  # a setting
    points: tuple[tuple[Row, int], ...]
    actions: tuple[tuple[ActionRow, int], ...]


class Profile(Struct, frozen=True):
    """A make and model, as read from its file."""

    name: str
    file: str
    title: Title
    kind: str  # of the devices that it is for: "pump_station"; "" when it does not say
    source: str
    verified: str
    line: LineRules
    labels: Mapping[str, tuple[Label, ...]]
    settings: Mapping[str, Setting]
    points: tuple[Row, ...]
    actions: tuple[ActionRow, ...]
    repeats: tuple[Repeat, ...]
    watchdog: Watchdog | None = None


class Plate(Struct, frozen=True):
    """A profile made out for one device."""

    profile: Profile
    rows: tuple[Row, ...]
    actions: Mapping[str, ActionRow]
    settings: Mapping[str, float]
    line: LineRules
    nameplate: Nameplate = field(default_factory=Nameplate)
