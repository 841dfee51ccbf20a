"""What was set for a moment and has not been taken back yet: a line writes it before anything else. Knows no clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from drivers.modbus.member import Member
from hub.model import LinkState

MOST_OWED = 32  # on one line; with so many open, nothing more is set for a moment
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Owed:
    """One reset: not before `since`, then again and again until the device has taken it."""

    def __init__(self, member: Member, write: Callable[[Any], Awaitable[None]]) -> None:
        self.member = member
        self.write = write  # with a line's Exchange
        self.since = 0.0
        self.due = 0.0
        self.tries = 0
        self._was_down = False

    def begin(self, since: float) -> None:
        self.since = self.due = since

    def afresh(self) -> None:
        """There is a new connection."""
        self.due = self.since
        self.tries = 0

    def put_off(self, now: float) -> None:
        """It could not be written now."""
        self.due = now + min(FIRST_PAUSE_S * 2**self.tries, LONGEST_PAUSE_S)
        self.tries = min(self.tries + 1, 10)
        self._was_down = self.member.breaker.state is LinkState.DOWN

    def is_due(self, now: float) -> bool:
        """Also at once when the device answers again."""
        return now >= self.due or (self._was_down and self.member.breaker.state is not LinkState.DOWN)


class Debts:
    """All that one line owes."""

    def __init__(self) -> None:
        self.open: list[Owed] = []

    def __bool__(self) -> bool:
        return bool(self.open)

    def __contains__(self, owed: Owed) -> bool:
        return owed in self.open

    @property
    def full(self) -> bool:
        return len(self.open) >= MOST_OWED

    def add(self, owed: Owed) -> None:
        if owed not in self.open:
            self.open.append(owed)

    def settle(self, owed: Owed) -> None:
        if owed in self.open:
            self.open.remove(owed)

    def afresh(self) -> None:
        for owed in self.open:
            owed.afresh()

    def due(self, now: float) -> Owed | None:
        return next((owed for owed in self.open if owed.is_due(now)), None)

    def due_in(self, now: float) -> float | None:
        """How long none of them will be due by time alone; None: there is none."""
        return max(0.0, min(owed.due for owed in self.open) - now) if self.open else None
