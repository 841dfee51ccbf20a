"""How the ledger is read: a few threads, each with a connection that cannot write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.exc import DBAPIError

from hub.ledger.database import READERS
from hub.ledger.trouble import unavailable

T = TypeVar("T")
Row = dict[str, Any]


class Reader:
    """Raises LedgerUnavailable when the database cannot be read."""

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._threads = ThreadPoolExecutor(READERS, "ledger-reader")

    async def run(self, read: Callable[[Connection], T]) -> T:
        """What `read` returns, run in a thread on one state of the database."""

        def run() -> T:
            try:
                with self._engine.connect() as connection:
                    return read(connection)
            except DBAPIError as error:
                self._engine.dispose()  # the next read starts from a fresh connection
                raise unavailable(self._place, "cannot be read", error) from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def rows(self, query: Select[Any]) -> list[Row]:
        return await self.run(lambda connection: [dict(row._mapping) for row in connection.execute(query)])

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()
