"""Who dialled in and is no device of the house: kept for somebody to adopt, bounded, and nothing is taken from them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

MOST_PENDING = 500  # kept; the one that was heard least lately is forgotten first
MOST_OF_ONE = 50  # of them from one network address: nobody pushes everybody else out
MOST_BYTES = 64  # kept of what it said last


class Stranger(Struct, frozen=True):
    """`address` is what the device's address would be: "modbus+dtu:860123456789012/1"."""

    address: str
    peer: str  # where it came from on the network
    first: datetime
    last: datetime
    times: int = 1
    raw: bytes = b""


class Pending:
    """Those who wait."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Stranger] = OrderedDict()
        self.forgotten = 0

    def heard(self, address: str, peer: str, raw: bytes, now: datetime) -> None:
        """It has dialled in, perhaps again."""
        it = self._known.pop(address, None)
        if it is None:
            self._make_room(peer)
            it = Stranger(address, peer, now, now, 0)
        self._known[address] = replace(it, peer=peer, last=now, times=it.times + 1, raw=raw[:MOST_BYTES])

    def gone(self, address: str) -> None:
        """It is a device now."""
        self._known.pop(address, None)

    def all(self) -> list[Stranger]:
        """The latest first."""
        return list(reversed(self._known.values()))

    def _make_room(self, peer: str) -> None:
        mine = [address for address, it in self._known.items() if it.peer == peer]
        if len(mine) >= MOST_OF_ONE:
            del self._known[mine[0]]
            self.forgotten += 1
        elif len(self._known) >= MOST_PENDING:
            self._known.popitem(last=False)
            self.forgotten += 1
