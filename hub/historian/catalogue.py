"""Which number a point of a device has, and which code a text.

Numbers and codes are given at once, in memory, and written down by the store in the transaction of the next batch: no
number is on disk before it is known there what it stands for.

Neighbours in number are neighbours on disk, so the points of a device lie together in a block, and the devices of an
area in a run of blocks: the page of one station and the report of one village read a few row groups, not hundreds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from hub.historian.base import Series
from hub.model import Kind

BLOCK = 64  # numbers kept for one device; a device with more points gets a further block
RUN = 64  # blocks kept together for one area; an area with more devices gets a further run
MOST_TEXTS = 1_000  # different texts that one series may have; a status has a few, free text belongs elsewhere
LONGEST_TEXT = 256  # characters
STATES = (Kind.BOOL, Kind.ENUM, Kind.TEXT)
OTHER = 0  # the code of a text that is over one of these limits
OTHER_TEXT = "…"


class TextCode(Struct, frozen=True):
    """In `series`, the value `code` stands for `text`."""

    series: int
    code: int
    text: str


Entry = Series | TextCode


class Catalogue:
    """Used on the event loop; only `unsaved` and `saved` are called from the store's commit thread."""

    def __init__(self) -> None:
        self._by_id: dict[int, Series] = {}
        self._by_device: dict[str, dict[str, list[Series]]] = {}  # device -> point -> series, the newest last
        self._room: dict[str, tuple[int, int]] = {}  # device -> (next free number, end of its block)
        self._free_in_run: list[int] = []  # run -> its next free block
        self._run_of: dict[str, int] = {}  # area -> the run its devices get blocks of
        self._codes: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._texts: dict[tuple[int, float], str] = {}
        self._unsaved: list[Entry] = []
        self.refused_texts = 0  # how often a text was over a limit

    # ---- series ---------------------------------------------------------------------------------------------------

    def number(self, device: str, point: str, kind: Kind, unit: str, area: str = "") -> int:
        """The number of this point. A new kind or unit is a new series: values in MPa and in bar are never mixed."""
        for known in self._by_device.get(device, {}).get(point, ()):
            if known.kind == kind and known.unit == unit:
                return known.id
        it = Series(self._free_number(device, area), device, point, kind, unit, area)
        self._note(it)
        self._unsaved.append(it)
        return it.id

    def series(self, number: int) -> Series | None:
        return self._by_id.get(number)

    def of(self, device: str) -> Sequence[Series]:
        """All series of a device, also those of a point's former units."""
        return [it for series in self._by_device.get(device, {}).values() for it in series]

    def all(self) -> list[Series]:
        """Every series, in the order of their numbers."""
        return sorted(self._by_id.values(), key=lambda it: it.id)

    def states(self) -> list[int]:
        """The numbers of all series that are no numbers: bool, enum, text. May be asked by any thread."""
        return [it.id for it in list(self._by_id.values()) if it.kind in STATES]

    def find(self, device: str, point: str) -> Series | None:
        """The series that a point has now."""
        series = self._by_device.get(device, {}).get(point)
        return series[-1] if series else None

    def _free_number(self, device: str, area: str) -> int:
        number, end = self._room.get(device, (0, 0))
        return number if number < end else self._free_block(area) * BLOCK

    def _free_block(self, area: str) -> int:
        run = self._run_of.get(area)
        if run is not None and self._free_in_run[run] < (run + 1) * RUN:
            return self._free_in_run[run]
        return self._first_block(len(self._free_in_run))

    @staticmethod
    def _first_block(run: int) -> int:
        return run * RUN or 1  # block 0 is given to nobody: a forgotten number, 0, must not be somebody's

    def _note(self, it: Series) -> None:
        block, run = it.id // BLOCK, it.id // (BLOCK * RUN)
        self._by_id[it.id] = it
        self._by_device.setdefault(it.device, {}).setdefault(it.point, []).append(it)
        self._room[it.device] = (it.id + 1, (block + 1) * BLOCK)
        while run >= len(self._free_in_run):
            self._free_in_run.append(self._first_block(len(self._free_in_run)))
        if block >= self._free_in_run[run]:  # the first number of its block, so the block was taken for its area
            self._free_in_run[run] = block + 1
            self._run_of[it.area] = run

    # ---- texts ----------------------------------------------------------------------------------------------------

    def code(self, series: int, text: str) -> int:
        """The value that stands for a text in this series; OTHER when it has too many texts or this is too long."""
        codes = self._codes[series]
        code = codes.get(text)
        if code is not None:
            return code
        if len(codes) >= MOST_TEXTS or len(text) > LONGEST_TEXT:
            self.refused_texts += 1
            return OTHER
        it = TextCode(series, len(codes) + 1, text)
        self._note_text(it)
        self._unsaved.append(it)
        return it.code

    def text(self, series: int, code: float) -> str | None:
        """What a value of this series says; None when it is not one of its codes."""
        return OTHER_TEXT if code == OTHER else self._texts.get((series, code))

    def _note_text(self, it: TextCode) -> None:
        self._codes[it.series][it.text] = it.code
        self._texts[it.series, it.code] = it.text

    # ---- for the store --------------------------------------------------------------------------------------------

    def load(self, entries: Iterable[Entry]) -> None:
        """What was written down before; series in the order of their numbers."""
        for it in entries:
            if isinstance(it, Series):
                self._note(it)
            else:
                self._note_text(it)

    def unsaved(self) -> list[Entry]:
        """What is not written down yet. The list is appended to by the loop meanwhile, so this is a copy."""
        return self._unsaved.copy()

    def saved(self, count: int) -> None:
        """The first `count` of what `unsaved` told are on disk."""
        del self._unsaved[:count]
