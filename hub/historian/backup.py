"""A copy of a store while the hub writes it: one moment of it, whole. A second copy into the same folder takes only
what is new, for sealed files are never changed.

The list first, then the files that it names, then the list under its name: whatever happens in between, the copy that
was there before still holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from msgspec import Struct

from hub.historian.base import HistoryUnavailable
from hub.historian.journal import JournalSeen, Rollup, Segment, keep_names

TRIES = 5  # a file may be merged away while it is copied; then the list is taken anew


class Copied(Struct, frozen=True):
    files: int  # all that the copy has
    new: int  # of them copied now
    bytes: int


def back_up(source: Path, target: Path) -> Copied:
    """Copy the store in `source` to `target`, a new folder or one that was made by this. Raises HistoryUnavailable."""
    path = source / "history.sqlite3"
    if not path.exists():
        raise HistoryUnavailable(f"{path} › is not there › name the folder of a site that has run")
    try:
        (target / "segments").mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(TRIES):
            with contextlib.suppress(FileNotFoundError):
                return _copy(path, source / "segments", target)
    except OSError as failure:
        raise HistoryUnavailable(
            f"{target} › cannot be written: {failure.strerror or failure} › free space there, or choose another folder"
        ) from failure
    raise HistoryUnavailable(f"{source} › a file that is listed is missing › run: fieldhub history SITE check")


def _copy(path: Path, segments: Path, target: Path) -> Copied:
    """Raises FileNotFoundError when a file was merged away meanwhile."""
    unfinished = target / "history.sqlite3.part"
    unfinished.unlink(missing_ok=True)
    with JournalSeen.at_once(path) as journal:
        journal.copy_to(unfinished)
    with JournalSeen.at_once(unfinished) as copy:
        listed: list[Segment | Rollup] = [*copy.segments(), *copy.rollups()]
    new = 0
    for it in listed:
        there = target / "segments" / it.file
        if there.exists() and there.stat().st_size == it.bytes:
            continue
        _copy_file(segments / it.file, there)
        new += 1
    keep_names(target / "segments")
    for rest in ("-wal", "-shm"):  # of a copy that was started as a site, and of looking into this one
        (target / f"history.sqlite3{rest}").unlink(missing_ok=True)
        (target / f"{unfinished.name}{rest}").unlink(missing_ok=True)
    unfinished.rename(target / "history.sqlite3")
    keep_names(target)
    known = {it.file for it in listed}
    for old in (target / "segments").iterdir():
        if old.name not in known:
            old.unlink()
    return Copied(len(listed), new, sum(it.bytes for it in listed) + (target / "history.sqlite3").stat().st_size)


def _copy_file(source: Path, target: Path) -> None:
    unfinished = target.with_name(target.name + ".part")
    shutil.copyfile(source, unfinished)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(target)
