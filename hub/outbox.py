"""What has happened and is on its way to the ledger: in order, and kept while the disk is away.

An alarm does not wait for the disk to be shown, nor a receipt: but both are to be there after the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

from hub.ledger.trouble import LedgerUnavailable

KEPT_LIMIT = 10_000  # entries that wait for a disk that is away; then the oldest go, and are counted
HANDED_OVER = 500  # of these in one transaction, when it is back

log = logging.getLogger("fieldhub.outbox")


class Chronicle(Protocol):
    """Where the house writes down what happened (hub/ledger): in order, durable when the future is done."""

    @property
    def healthy(self) -> bool: ...
    def append(self, *entries: Any) -> asyncio.Future[int]: ...


class Outbox:
    """`put` never waits and never fails; who must know that it is on the disk awaits what it gives."""

    def __init__(self, ledger: Chronicle) -> None:
        self._ledger = ledger
        self._flying: deque[tuple[tuple[Any, ...], asyncio.Future[int]]] = deque()
        self._kept: deque[Any] = deque()
        self.lost = 0

    @property
    def kept(self) -> int:
        """Entries that could not be written yet."""
        return len(self._kept)

    def put(self, *entries: Any) -> asyncio.Future[int]:
        """Done when these are on the disk, or with LedgerUnavailable when they are kept until they can be."""
        if not self.flush() and self._ledger.healthy:
            return self._write(entries)
        self._keep(entries)
        refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        refused.set_exception(LedgerUnavailable(f"{self.kept} entries wait for the ledger's disk"))
        refused.exception()  # nobody needs to await it
        return refused

    async def now(self, *entries: Any) -> int:
        """Write these, or raise LedgerUnavailable: nothing of them is kept for later."""
        if self.flush():
            raise LedgerUnavailable(f"{self.kept} entries wait for the ledger's disk, and come first")
        return await self._ledger.append(*entries)

    def flush(self) -> int:
        """Hand over what is kept, if it can be written now; how much still cannot."""
        self._land()
        if self._ledger.healthy:
            self._hand_over()
        return self.kept

    def _hand_over(self) -> None:
        while self._kept:
            self._write(tuple(self._kept.popleft() for _ in range(min(HANDED_OVER, len(self._kept)))))

    def _write(self, entries: tuple[Any, ...]) -> asyncio.Future[int]:
        written = self._ledger.append(*entries)
        self._flying.append((entries, written))
        written.add_done_callback(lambda _: self._land())
        return written

    def _land(self) -> None:
        """What has failed is kept, before anything newer: the ledger answers in the order in which it is asked."""
        while self._flying and self._flying[0][1].done():
            entries, written = self._flying.popleft()
            error = None if written.cancelled() else written.exception()
            if isinstance(error, LedgerUnavailable):
                self._keep(entries)
            elif error is not None:
                log.error("this cannot be written down: %r", entries, exc_info=error)

    def _keep(self, entries: tuple[Any, ...]) -> None:
        self._kept.extend(entries)
        while len(self._kept) > KEPT_LIMIT:
            self._kept.popleft()
            self.lost += 1
