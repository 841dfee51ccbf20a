"""Growing pauses for who fails to sign in. A stranger's tries slow down that stranger, never somebody else.

Counted for each (name, address): who guesses a password from one machine does not lock out its owner at another. An
address from which many names fail is answered slowly, so that colleagues behind the same router still get in.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Any

from msgspec import Struct

from hub.clock import Clock

FREE_TRIES = 3  # mistakes that cost nothing
FIRST_PAUSE_S = 1.0  # after one more; twice as long after each further one
LONGEST_PAUSE_S = 300.0
FORGOTTEN_AFTER_S = 1_800.0  # without another mistake
MAX_REMEMBERED = 10_000  # pairs, and as many addresses; the oldest with few mistakes are forgotten first
LOOKED_AT = 200  # of the oldest, for one with few mistakes
SUSPECT_AFTER = 20  # mistakes from one address, whatever the names
SUSPECT_DELAY_S = 2.0  # every answer to such an address waits so long
AT_ONCE = 4  # tries of one address that are looked at at the same time


class _Tally(Struct):
    mistakes: int = 0
    last: float = 0.0
    now: int = 0  # tries under way


class Throttle:
    """All sign-ins of the house. A try counts as a mistake until it has succeeded, so a burst gains nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pairs: OrderedDict[tuple[str, str], _Tally] = OrderedDict()
        self._addresses: OrderedDict[str, _Tally] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long this name must not be tried from this address; 0: now."""
        here = self._addresses.get(address)
        if here is not None and here.now >= AT_ONCE:
            return FIRST_PAUSE_S
        it = self._pairs.get((name, address))
        if it is None or it.mistakes < FREE_TRIES:
            return 0.0
        pause = min(FIRST_PAUSE_S * 2.0 ** min(it.mistakes - FREE_TRIES, 60), LONGEST_PAUSE_S)
        return max(0.0, it.last + pause - self._clock.monotonic())

    def begin(self, name: str, address: str) -> float:
        """A try begins; how long its answer is to be held back."""
        here = _tally(self._addresses, address, self._clock.monotonic())
        delay = SUSPECT_DELAY_S if here.mistakes >= SUSPECT_AFTER else 0.0
        here.mistakes += 1
        here.now += 1
        _tally(self._pairs, (name, address), self._clock.monotonic()).mistakes += 1
        return delay

    def end(self, name: str, address: str, succeeded: bool) -> None:
        """The try is over."""
        here = self._addresses.get(address)
        if here is not None:
            here.now = max(0, here.now - 1)
        if succeeded:
            self._pairs.pop((name, address), None)
            if here is not None:
                here.mistakes = max(0, here.mistakes - 1)

    def excuse(self, name: str, address: str) -> None:
        """The try is over, and was neither a mistake nor a success: what was counted before it stays."""
        for it in (self._pairs.get((name, address)), self._addresses.get(address)):
            if it is not None:
                it.mistakes = max(0, it.mistakes - 1)
        here = self._addresses.get(address)
        if here is not None:
            here.now = max(0, here.now - 1)


def _tally(tallies: OrderedDict[Any, _Tally], key: Any, now: float) -> _Tally:
    it = tallies.get(key)
    if it is None or (now - it.last > FORGOTTEN_AFTER_S and not it.now):
        if it is None and len(tallies) >= MAX_REMEMBERED:
            _forget_one(tallies)
        it = tallies[key] = _Tally()
    tallies.move_to_end(key)
    it.last = now
    return it


def _forget_one(tallies: OrderedDict[Any, _Tally]) -> None:
    """The oldest with few mistakes: who floods the memory with new names wins no free tries at an old one."""
    for key in islice(tallies, LOOKED_AT):
        if tallies[key].mistakes < FREE_TRIES and not tallies[key].now:
            del tallies[key]
            return
    tallies.popitem(last=False)
