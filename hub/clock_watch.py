"""Whether the house's clock was set: an entry says from when to when, so that nobody reads a wrong order into times.

The order of entries is that of their numbers. A time is what the clock said.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from hub.clock import Clock
from hub.ledger.entries import Entry, Note

KIND = "clock"
SET_BACK = timedelta(seconds=2)  # a clock that goes back by more has been set; time servers steer by less
SET_AHEAD = timedelta(minutes=1)  # and one that leaps so far: set, or the machine slept
KEPT = 20  # of the newest settings, for the system page

log = logging.getLogger("fieldhub.clock")


class Setting(Struct, frozen=True):
    """The clock was set: when it ought to have said `was`, it said `now`."""

    did: str  # "set back" or "set ahead"
    was: datetime
    now: datetime
    by_s: float
    found: str  # "running" or "start"


class ClockWatch:
    """Tells the ledger when the clock was set. `put` takes a note and never waits (hub/outbox.py)."""

    def __init__(self, clock: Clock, put: Callable[[Note], Any]) -> None:
        self._clock = clock
        self._put = put
        self.settings: deque[Setting] = deque(maxlen=KEPT)

    def started(self, last: Entry | None) -> None:
        """At a start: the ledger's last entry cannot lie in the future."""
        now = self._clock.now()
        if last is not None and last.at - now > SET_BACK:
            self._noted(last.at, now, "start")

    def moved(self, was: datetime, now: datetime) -> None:
        """While running: by the time that has passed it ought to be `was`, and the clock says `now`."""
        if was - now > SET_BACK or now - was > SET_AHEAD:
            self._noted(was, now, "running")

    def _noted(self, was: datetime, now: datetime, found: str) -> None:
        by_s = round(abs((now - was).total_seconds()), 3)
        it = Setting("set back" if now < was else "set ahead", was, now, by_s, found)
        self.settings.append(it)
        log.warning("the clock was %s by %.0f s: from %s to %s", it.did, by_s, was.isoformat(), now.isoformat())
        body = {"did": it.did, "was": was, "now": now, "by_s": by_s, "found": found}
        self._put(Note(KIND, now, "hub", body=body))
