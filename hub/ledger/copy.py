"""A copy of a ledger in SQLite while the hub writes it, as it is at one moment."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from hub.ledger.trouble import LedgerUnavailable


def copy_ledger(source: Path, target: Path) -> int:
    """Into `target`, which is replaced as a whole; its size in bytes. Raises LedgerUnavailable."""
    if not source.is_file():
        raise LedgerUnavailable(f"{source} › is not there. Name the folder of a site that has run")
    unfinished = target.with_name(target.name + ".part")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as ledger,
            contextlib.closing(sqlite3.connect(unfinished)) as copy,
        ):
            ledger.backup(copy)
            if (said := copy.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise LedgerUnavailable(f"{source} › is damaged: {said}. Restore it from an earlier backup")
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        for rest in ("-wal", "-shm"):  # of a copy that was started as a site
            target.with_name(target.name + rest).unlink(missing_ok=True)
        unfinished.rename(target)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as failure:
        raise LedgerUnavailable(
            f"{target} › cannot be written: {failure}. Free space there, or choose another"
        ) from None
