"""The store's folder belongs to one process; and threads that work for it give way to those that people wait for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hub.historian.base import HistoryUnavailable
from hub.historian.journal import keep_names


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
