"""Batches on disk until a server has them: written with fsync, sent in order, bounded; over the bound the oldest go.

In the journal of the store's folder (journal.py), so that numbers and names are where they always are, whichever
back-end is in use: a site that changes over to a server keeps its numbers, and what was not sealed is sent.

A server may forget what it said it has, when it is killed (VictoriaMetrics syncs no disk). So what is sent stays for a
while, and is sent again when the server was away or we were: sent twice is stored once.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from hub.historian import head
from hub.historian.base import Batch
from hub.historian.catalogue import Entry
from hub.historian.journal import BadBlob, Journal

SPOOL_BYTES = 4_000_000_000  # a day of 20,000 readings a second, at 2.3 bytes each
KEEP_SENT_S = 60.0
SEND_POINTS = 50_000  # of one request: 5 MB of lines

log = logging.getLogger(__name__)


class Parcel(Struct, frozen=True, eq=False):
    """Batches that are sent together; `id` is that of the last one."""

    id: int
    batch: Batch
    count: int  # how many batches


class Spool:
    """Used by one thread. Raises HistoryUnavailable."""

    def __init__(self, journal: Journal, most_bytes: int = SPOOL_BYTES) -> None:
        self._journal = journal
        self._most_bytes = most_bytes
        self._waiting = deque(journal.waiting())
        self._sent: deque[tuple[float, tuple[int, int, int]]] = deque()  # when, and what; still on disk
        self.points = sum(points for _, points, _ in self._waiting)
        self.bytes = sum(size for _, _, size in self._waiting)
        self.dropped = journal.dropped
        self.damage: list[str] = []

    def put(self, batch: Batch, entries: Sequence[Entry]) -> None:
        """Durable on return. The oldest are lost, and counted, where there would be too many."""
        id, size = self._journal.append(batch, entries)
        self._waiting.append((id, len(batch), size))
        self.points += len(batch)
        self.bytes += size
        lost = 0
        while self.bytes > self._most_bytes and len(self._waiting) > 1:
            upto, points, size = self._waiting.popleft()
            self.points -= points
            self.bytes -= size
            lost += points
        if lost:
            self._sent.clear()
            self._journal.forget(upto, lost)
            self.dropped += lost

    def next(self, points: int = SEND_POINTS) -> Parcel | None:
        """The oldest batches, so many readings of them or one batch."""
        batches: list[Batch] = []
        upto = 0
        for id, count, _ in list(self._waiting):
            if batches and sum(map(len, batches)) + count > points:
                break
            try:
                batches.append(self._journal.read(id))
                upto = id
            except (BadBlob, sqlite3.DatabaseError) as failure:
                if batches:
                    break  # these first
                self.put_aside(id, str(failure))
        return Parcel(upto, head.concatenate(batches), len(batches)) if batches else None

    def sent(self, upto: int, now_s: float) -> None:
        """The server says it has the batches up to `upto`."""
        while self._waiting and self._waiting[0][0] <= upto:
            self._sent.append((now_s, self._waiting[0]))
            self._drop(self._waiting[0][0])
        gone = 0
        while self._sent and now_s - self._sent[0][0] >= KEEP_SENT_S:
            gone = self._sent.popleft()[1][0]
        if gone:
            self._journal.forget(gone)

    def again(self) -> None:
        """The server was away: what it had last is to be sent once more."""
        for _, it in reversed(self._sent):
            self._waiting.appendleft(it)
            self.points += it[1]
            self.bytes += it[2]
        self._sent.clear()

    def put_aside(self, id: int, why: str) -> None:
        """A batch that cannot be read, or that the server will never take."""
        self._journal.put_aside(id, why)
        self.damage.append(f"{self._journal.path} › batch {id} was not sent ({why}) › see the table 'damaged'")
        log.error("history: %s", self.damage[-1])
        self._drop(id)

    def _drop(self, upto: int) -> None:
        while self._waiting and self._waiting[0][0] <= upto:
            _, points, size = self._waiting.popleft()
            self.points -= points
            self.bytes -= size

    @property
    def is_empty(self) -> bool:
        return not self._waiting
