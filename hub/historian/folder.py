"""The store's folder: whose it is, what is in it, and threads that give way to those that people wait for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from hub.historian.base import HistoryUnavailable
from hub.historian.files import UNFINISHED
from hub.historian.journal import Journal, Rollup, Segment, keep_names


def known_files(
    folder: Path, journal: Journal, damage: list[str]
) -> tuple[tuple[Segment, ...], Mapping[tuple[int, int], Rollup]]:
    """The files of the catalogue, what is missing said in `damage`; one that is in no list was never finished: it goes.

    Raises HistoryUnavailable.
    """
    known: dict[str, Segment | Rollup] = {it.file: it for it in journal.segments()}
    known |= {it.file: it for it in journal.rollups()}
    try:
        for path in folder.iterdir():
            if path.name not in known and path.name.endswith((".parquet", UNFINISHED)):
                path.unlink()
    except OSError as failure:
        raise HistoryUnavailable(f"{folder} › cannot be tidied up: {failure.strerror} › check who owns it") from failure
    for name in [it for it in known if not (folder / it).exists()]:
        lost = known.pop(name)
        what = f"{lost.points} readings" if isinstance(lost, Segment) else f"{lost.rows} steps"
        damage.append(f"{folder / name} › this file with {what} is missing › restore it from a backup and start again")
    there = known.values()
    return (
        tuple(it for it in there if isinstance(it, Segment)),
        {(it.tier, it.day): it for it in there if isinstance(it, Rollup)},
    )


def own(folder: Path) -> IO[str]:
    """Make the folder and lock it for this process, until the file that is returned is closed."""
    path = folder / "lock"
    try:
        (folder / "segments").mkdir(parents=True, exist_ok=True)
        keep_names(folder)
        keep_names(folder.parent)
        lock = path.open("a+", encoding="ascii")
    except OSError as failure:
        raise HistoryUnavailable(
            f"{folder} › cannot be used: {failure.strerror} › check who owns it, or give the hub another folder"
        ) from failure
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        lock.seek(0)
        owner = lock.read(20).strip() or "unknown"
        lock.close()
        raise HistoryUnavailable(
            f"{path} › another process (pid {owner}) has this history open › stop it, or give this hub another folder"
        ) from failure
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def be_nice(nice: int) -> Callable[[], None]:
    def lower() -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)

    return lower
