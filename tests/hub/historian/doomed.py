"""A process that writes numbered batches, says which are acknowledged, and is killed.

    python -m tests.hub.historian.doomed FOLDER FIRST_NUMBER [MOMENT]

Without a moment the parent kills it; with one it kills itself there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hub.clock import SystemClock
from hub.historian import compaction, files
from hub.historian.base import DAY_US, Batch
from hub.historian.engine import EmbeddedHistorian
from hub.historian.journal import Journal
from hub.model import Kind

POINTS = 400
LATE = 20  # of them a day late
MERGE_EVERY = 12
SEAL_POINTS = 2_000  # a seal every five batches: kills land inside them
START = 20_000 * DAY_US
SERIES = range(64, 64 + POINTS)
OLD = 63  # has a reading of long ago in each batch, which is purged
PURGE_EVERY = 8

MOMENTS = (
    "a batch is in the transaction",
    "a file is written",
    "a file has its name",
    "the second file has its name",
    "segments are in the swap's transaction",
    "journal rows are out of it",
    "the swap is done",
    "a merged file has its name",
    "old segments are out of the exchange's transaction",
    "the exchange is done",
    "segments are out of the purge's transaction",
    "the purge is done, its files are still there",
)


def batch(number: int) -> Batch:
    """Each has its number as value, so that every reading tells where it came from."""
    at = np.full(POINTS, START + number * 1_000_000)
    at[:LATE] -= DAY_US
    return Batch.of(SERIES, at, np.full(POINTS, number), np.full(POINTS, 2))


def old_day(number: int) -> int:
    """A day for each purge, so that it has files to take away."""
    return START - 4000 * DAY_US + number // PURGE_EVERY * DAY_US


def old(number: int) -> Batch:
    return Batch.of([OLD], [old_day(number) + number % PURGE_EVERY], [number], [2])


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, calls: int = 1) -> None:
    """Die when `owner.name` has been called so often."""
    real: Callable[..., Any] = getattr(owner, name)
    left = [calls]

    def doomed(*args: Any) -> Any:
        result = real(*args)
        left[0] -= 1
        if not left[0]:
            die()
        return result

    setattr(owner, name, doomed)


async def arrange(store: EmbeddedHistorian, moment: str) -> None:
    seen: list[str] = []

    def statement(text: str) -> None:
        """Called by SQLite before it begins a statement."""
        seen.append(text.split(" VALUES")[0].split(" WHERE")[0])
        last = seen[-2:]
        if (
            (moment == MOMENTS[0] and last == ["INSERT INTO journal", "COMMIT"] and len(seen) > 40)
            or (moment == MOMENTS[4] and last == ["INSERT INTO segment", "DELETE FROM journal"])
            or (moment == MOMENTS[8] and last == ["DELETE FROM segment", "INSERT INTO segment"])
            or (moment == MOMENTS[10] and last[0] == "DELETE FROM segment" and last[-1].startswith("UPDATE meta"))
            or (moment == MOMENTS[5] and last == ["DELETE FROM journal", "COMMIT"])
        ):
            die()

    await store._in(store._commits, store._journal._db.set_trace_callback, statement)
    if moment == MOMENTS[1]:
        after(files.Writing, "_close")
    elif moment == MOMENTS[2]:
        after(files, "keep_names")
    elif moment == MOMENTS[3]:
        after(files, "keep_names", 2)
    elif moment == MOMENTS[6]:
        after(Journal, "swap")
    elif moment == MOMENTS[7]:
        after(compaction, "merge")
    elif moment == MOMENTS[9]:
        after(Journal, "exchange")
    elif moment == MOMENTS[11]:
        after(Journal, "drop")


async def main(folder: Path, number: int, moment: str = "") -> None:
    store = await EmbeddedHistorian.open(folder, SystemClock(), seal_points=SEAL_POINTS)
    if moment:
        await arrange(store, moment)
    print("open", flush=True)
    while True:
        # A new series with every batch: its number must never be on disk before its name is.
        store.catalogue.number("doomed", f"p{number}", Kind.NUMBER, "m")
        await store.write(batch(number))
        await store.write(old(number))
        print(number, flush=True)
        number += 1
        if not number % MERGE_EVERY:
            await store.compact()
        if not number % PURGE_EVERY:
            await store.seal()
            await store.drop_before(old_day(number))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
