"""The points that a device gives at once, poll after poll: what is to be known of them is known beforehand.

Nearly every poll is calm: the same points, all GOOD before and now, none outside its range. Then only what has moved is
looked at (`Hand.calmly`). Everything else goes through the hub's judgement, reading by reading, and leaves the hand
settled for the next time (`Hand.settle`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import inf
from typing import Any

from hub.model import Kind, Quality, Reading, Value
from hub.slot import Heard, Slot

GOOD = Quality.GOOD
NUMBERS = frozenset({float, int})
Tokens = tuple[Any, ...]  # rules, as hub/contract.py Judgement knows them


class Hand:
    """`slots` in the order of the readings, and what is done with all of them at once."""

    __slots__ = ("_codes", "_distinct", "_heard", "_stuck_at", "_values", "_woken", "good",
                 "places", "points", "series", "slots")  # fmt: skip

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        self.points = [slot.point.key for slot in slots]
        self.series = array("i", [slot.series for slot in slots])
        self.good = array("B", [GOOD] * len(slots))
        self.places = tuple(n for n, slot in enumerate(slots) if slot.beside)
        self._distinct = len(set(self.points)) == len(slots)
        self._heard = Heard()  # shared by these slots, and no others, as long as it is calm
        self._stuck_at = -inf  # before it none of them can be stuck
        self._values: list[Value] = []  # of the slots, as long as `_heard` is calm
        self._codes: tuple[tuple[int, Any], ...] = ()  # what history keeps of those that are no numbers, by place
        self._woken: tuple[list[Slot], Tokens] = ([], ())  # the last that changed, and what wakes on them

    def values(self, readings: Sequence[Reading]) -> list[Value] | None:
        """The values of readings that are all GOOD and of one instant; None when they are not, or of other points."""
        device, at = readings[0].device, readings[0].at
        values = [
            it.value for it in readings if it.why is None and it.quality is GOOD and it.at is at and it.device == device
        ]
        if len(values) != len(self.slots) or [it.point for it in readings] != self.points:
            return None
        return values

    def calmly(self, values: list[Value], now: float) -> tuple[list[Slot], bool]:
        """Take on values that are GOOD and newest; `now` is monotonic seconds.

        The slots that changed, and whether that was all. When it was not, the readings are to be taken one by one.
        """
        changed: list[Slot] = []
        if not self._heard.calm or now >= self._stuck_at:
            return changed, False
        for value, before, slot in zip(values, self._values, self.slots, strict=True):
            if value is not before and value != before:
                if value.__class__ not in NUMBERS or not slot.valid_low <= value <= slot.valid_high:  # type: ignore[operator]
                    self._heard.calm = False
                    return changed, False
                slot.value = slot.trusted = value
                if slot.stuck_at != inf:
                    slot.stuck_at = now + slot.stuck_after_s
                changed.append(slot)
        self._values = values
        return changed, True

    def heard(self, moment: tuple[Any, Any, float]) -> None:
        """All of them were read in this moment."""
        self._heard.moment = moment

    def stored(self, values: list[Value]) -> list[Any]:
        """What history keeps of values that were taken calmly."""
        if not self._codes:
            return values
        stored: list[Any] = values.copy()
        for place, code in self._codes:
            stored[place] = code
        return stored

    def settle(self, heard: Heard) -> None:
        """They were taken one by one, and `heard` is what those that are newest share: is the next time a calm one?"""
        if self._distinct and all(slot.calm and slot.heard_in is heard for slot in self.slots):
            self._values = [slot.value for slot in self.slots]
            self._codes = tuple(
                (place, slot.stored)
                for place, slot in enumerate(self.slots)
                if slot.point.kind not in (Kind.NUMBER, Kind.BOOL)
            )
            self._stuck_at = min(slot.stuck_at for slot in self.slots)
            self._heard = heard
            heard.calm = True

    def woken(self, changed: list[Slot]) -> Tokens:
        """The rules that read any of these. The same points move most of the time."""
        before, tokens = self._woken
        if before != changed:
            tokens = woken(changed)
            self._woken = changed, tokens
        return tokens


def woken(changed: Sequence[Slot]) -> Tokens:
    """The rules that read any of these, once each."""
    return tuple({token: None for slot in changed for token in slot.wakes})
