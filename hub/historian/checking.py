"""Is every file of a store what was written? All of it is read; nothing is changed. Beside a hub that runs, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from hub.historian.base import HistoryUnavailable, Series
from hub.historian.files import UNFINISHED, Opened, Unreadable, column
from hub.historian.journal import JournalSeen, Rollup, Segment
from hub.historian.segments import GROUPS_AT_ONCE


class Checked(Struct):
    """What was found. `faults`: sentences, each with the file and what to do."""

    files: int = 0
    readings: int = 0
    steps: int = 0
    bytes: int = 0
    waiting: int = 0  # readings in the journal
    series: int = 0
    faults: list[str] = []
    notes: list[str] = []


def check(folder: Path) -> Checked:
    """Raises HistoryUnavailable when there is no store, or its list cannot be read."""
    found = Checked()
    segments, rollups, numbers = _listed(folder, found)
    listed: list[Segment | Rollup] = [*segments, *rollups]
    for it in listed:
        path = folder / "segments" / it.file
        try:
            faults = list(_of_a_file(path, it, numbers))
        except FileNotFoundError:
            again, rollups_again, _ = _listed(folder, Checked())
            if it.file not in _names(again, rollups_again):
                continue  # merged or forgotten since we began
            faults = ["is missing"]
        except (OSError, *Unreadable) as failure:
            faults = [f"cannot be read: {failure}"]
        found.faults += [f"{path} › {it} › restore this file from a backup" for it in faults]
        found.files += 1
        found.bytes += it.bytes
        found.readings += it.points if isinstance(it, Segment) else 0
        found.steps += it.rows if isinstance(it, Rollup) else 0
    return found


def _listed(folder: Path, found: Checked) -> tuple[list[Segment], list[Rollup], set[int]]:
    path = folder / "history.sqlite3"
    if not path.exists():
        raise HistoryUnavailable(f"{path} › is not there › name the folder of a site that has run")
    with JournalSeen.at_once(path) as journal:
        numbers = {it.id for it in journal.entries() if isinstance(it, Series)}
        for one in journal.replay():
            if isinstance(one, str):
                found.faults.append(one)
                continue
            found.waiting += len(one[1])
            if unknown := set(np.unique(one[1].series).tolist()) - numbers:
                found.faults.append(_nameless(f"{path} › batch {one[0]}", unknown))
        found.faults += [f"{path} › {it} › restore it from a backup" for it in journal.complaints()]
        segments, rollups = journal.segments(), journal.rollups()
    found.series = len(numbers)
    known = _names(segments, rollups)
    for it in sorted((folder / "segments").glob("*")):
        if it.name not in known:
            what = "was never finished" if it.name.endswith(UNFINISHED) else "is in no list"
            found.notes.append(f"{it} › {what} › the hub takes it away when it starts")
    return segments, rollups, numbers


def _names(segments: Sequence[Segment], rollups: Sequence[Rollup]) -> set[str]:
    return {it.file for it in segments} | {it.file for it in rollups}


def _nameless(where: str, numbers: set[int]) -> str:
    some = ", ".join(map(str, sorted(numbers)[:5]))
    return f"{where} › {len(numbers)} series have no name ({some}) › restore it from a backup"


def _of_a_file(path: Path, it: Segment | Rollup, numbers: set[int]) -> Iterator[str]:
    """Every row group is read, so that each page's checksum is compared."""
    opened = Opened(path)
    rows, last = 0, (-(1 << 40), 0)
    t0, t1 = 1 << 62, -(1 << 62)
    groups: Sequence[int] = range(len(opened.first))
    for at in range(0, len(groups), GROUPS_AT_ONCE):
        table = opened.file.read_row_groups(list(groups[at : at + GROUPS_AT_ONCE]), use_threads=False)
        series, at_us = column(table, "sid").astype(np.int64), column(table, "ts")
        rows += len(series)
        t0, t1 = min(t0, int(at_us.min())), max(t1, int(at_us.max()))
        rising = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (at_us[1:] > at_us[:-1]))
        if not rising.all() or (int(series[0]), int(at_us[0])) <= last:
            yield "is not sorted by series and time"
        last = int(series[-1]), int(at_us[-1])
        if unknown := set(np.unique(series).tolist()) - numbers:
            yield f"has {len(unknown)} series without a name"
    expected = it.points if isinstance(it, Segment) else it.rows
    if rows != expected:
        yield f"has {rows} rows, and {expected} were written"
    if (t0, t1) != (it.t0_us, it.t1_us):
        yield "has other times than were written"
