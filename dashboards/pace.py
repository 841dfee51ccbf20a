"""How fast one may ask: a bucket of requests for each who is signed in, and one for each address of strangers.

Who is signed in is never counted with strangers: a noisy one behind the same router slows down nobody but itself. The
numbers leave room for a console's pages, for five hundred that come back at once, and for programs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from msgspec import Struct

from hub.clock import Clock

CALLER_A_SECOND = 200.0  # requests of one session or token, for as long as it likes
CALLER_AT_ONCE = 2_000.0  # and so many in one go
STRANGER_A_SECOND = 50.0  # of an address from which somebody asks who is not signed in, or not known yet
STRANGER_AT_ONCE = 2_000.0  # five hundred browsers behind one router that load the log-in page again
MAX_REMEMBERED = 20_000  # buckets; the one that was used least lately is forgotten first


class _Bucket(Struct):
    left: float
    at: float


class Pace:
    """Buckets by key: a caller's digest, or an address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Any, _Bucket] = OrderedDict()

    def caller_waits_s(self, digest: bytes) -> float:
        """How long this caller must not ask; 0: it may, and has asked."""
        return self._take(digest, CALLER_A_SECOND, CALLER_AT_ONCE)

    def stranger_waits_s(self, address: str) -> float:
        return self._take(address, STRANGER_A_SECOND, STRANGER_AT_ONCE)

    def _take(self, key: Any, a_second: float, at_once: float) -> float:
        now = self._clock.monotonic()
        it = self._buckets.get(key)
        if it is None:
            if len(self._buckets) >= MAX_REMEMBERED:
                self._buckets.popitem(last=False)
            it = self._buckets[key] = _Bucket(at_once, now)
        else:
            self._buckets.move_to_end(key)
            it.left = min(at_once, it.left + (now - it.at) * a_second)
            it.at = now
        if it.left < 1.0:
            return (1.0 - it.left) / a_second
        it.left -= 1.0
        return 0.0
