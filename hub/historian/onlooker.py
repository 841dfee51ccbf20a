"""Looks at a store that another process may be writing, sealing and forgetting at this moment. Takes no lock.

What is seen is the store at one instant: one SQLite transaction tells the numbers, the batches that are not sealed, and
the files of those that are. Files are made before they are listed and never changed, so only forgetting can take one
away while it is read; then the store is looked at anew, and without the file the answer is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub.historian import head, reader
from hub.historian.base import DAY_US, I32, Batch, Columns, HistoryUnavailable
from hub.historian.catalogue import Catalogue
from hub.historian.journal import NO_FLOOR, JournalSeen
from hub.historian.reader import View
from hub.historian.segments import Shelf


class Onlooker:
    """The history of one device (None: of all), as it was at the last look. Raises HistoryUnavailable."""

    def __init__(self, folder: Path, device: str | None) -> None:
        self._folder = folder
        self._device = device
        self._shelf = Shelf(folder / "segments")
        self.damage: list[str] = []  # what was found broken, a sentence each
        self.catalogue = Catalogue()
        self._view = View((), (), NO_FLOOR, NO_FLOOR)
        self._look()

    def _look(self) -> None:
        path = self._folder / "history.sqlite3"
        if not path.exists():
            return  # nothing was ever written
        self.catalogue, self.damage = Catalogue(), []
        parts: head.Parts = ()
        with JournalSeen.at_once(path) as journal:
            self.catalogue.load(journal.entries())
            mine = None if self._device is None else self.catalogue.of(self._device)
            wanted = None if mine is None else np.array([it.id for it in mine], np.int32)
            for it in journal.replay():
                if isinstance(it, str):
                    self.damage.append(it)
                elif len(batch := it[1] if wanted is None else _of(wanted, it[1])):
                    parts = head.append(parts, head.Part.of(it[0], batch))
            self._view = View(tuple(journal.segments()), parts, journal.floor_us, journal.readings_floor_us)

    @property
    def days(self) -> Sequence[int]:
        """Days since 1970 UTC of which there may be readings, in order."""
        view = self._view
        spans = {(it.t0_us // DAY_US, it.t1_us // DAY_US) for it in view.segments}
        spans |= {(it.t0_us // DAY_US, it.t1_us // DAY_US) for it in view.parts}
        return sorted({day for a, b in spans for day in range(max(a, view.readings_floor_us // DAY_US), b + 1)})

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        """See hub.historian.base.Historian."""
        while True:
            view = self._view
            try:
                return reader.read(view, self._shelf, series, start_us, end_us)
            except FileNotFoundError as gone:
                self._look()
                if any(str(gone.filename) == str(self._shelf.folder / it.file) for it in self._view.segments):
                    raise HistoryUnavailable(
                        f"{gone.filename} › this file is missing › restore it from a backup and try again"
                    ) from gone


def _of(wanted: I32, batch: Batch) -> Batch:
    """The readings of these series."""
    mine = np.isin(batch.series, wanted)
    return Batch(batch.series[mine], batch.at_us[mine], batch.value[mine], batch.quality[mine])
