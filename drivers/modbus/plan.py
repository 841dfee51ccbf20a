"""What a line asks next, and what it learns from failures: pure objects that are told the time.

Blocks: which registers are read together. Search: which of them a device does not have. Breaker: whether a unit
answers. Backoff: how long to wait before trying again. The order of jobs is agenda.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import pairwise
from random import Random

from msgspec import Struct

from drivers.modbus.rows import BIT_FUNCTIONS, Row
from hub.model import LinkState

BITS_TO_A_WORD = 16  # limits are written in registers; of bits, so many times more fit into a reply


class Class(IntEnum):
    """Who goes first (modbus.md §3). A running request is never broken off."""

    SAFETY = 0
    COMMAND = 1
    READ_BACK = 2
    ON_DEMAND = 3
    FAST = 4
    NORMAL = 5
    SLOW = 6
    PROBE = 7


FAST_S = 2.0
NORMAL_S = 30.0


class Block(Struct, frozen=True):
    """Registers (or bits) that one request reads."""

    fn: int
    at: int
    count: int
    rows: tuple[Row, ...]
    every_s: float

    @property
    def whose_turn(self) -> Class:
        if self.every_s <= FAST_S:
            return Class.FAST
        return Class.NORMAL if self.every_s <= NORMAL_S else Class.SLOW

    @property
    def bytes(self) -> int:
        return (self.count + 7) // 8 if self.fn in BIT_FUNCTIONS else 2 * self.count


class Merging(Struct, frozen=True):
    """How far rows are read together."""

    max_gap: int = 100
    max_count: int = 100
    merge: bool = True


def blocks(rows: Iterable[Row], how: Merging) -> list[Block]:
    """The requests that read these rows: joined while the gap and the length allow; no value is cut in two."""
    found: list[Block] = []
    by_place = sorted(rows, key=lambda row: (row.fn, row.every_s, row.at, row.registers))
    group: list[Row] = []
    for row in by_place:
        if group and not _joins(group, row, how):
            found.append(block_of(group))
            group = []
        group.append(row)
    return [*found, block_of(group)] if group else found


def block_of(rows: Sequence[Row]) -> Block:
    at = min(row.at for row in rows)
    return Block(rows[0].fn, at, max(row.end for row in rows) - at, tuple(rows), min(row.every_s for row in rows))


def _joins(group: Sequence[Row], row: Row, how: Merging) -> bool:
    first, end = group[0], max(one.end for one in group)
    if (row.fn, row.every_s) != (first.fn, first.every_s):
        return False
    if row.at < end:
        return True  # the same register in another meaning
    times = BITS_TO_A_WORD if row.fn in BIT_FUNCTIONS else 1
    return how.merge and row.at - end <= how.max_gap * times and row.end - first.at <= how.max_count * times


# ---- registers that are not there ---------------------------------------------------------------------------------


class Limits:
    """What a device has shown of itself: the longest request that it answered, and the longest that it will."""

    def __init__(self, max_count: int) -> None:
        self.max_count = max_count
        self.good = 0

    def answered(self, count: int) -> None:
        if count > self.good:
            self.good = count


class Search:
    """Finds the rows that a device does not have, after it has refused a block: parts at the gaps, then halves.

    `question` is the next part to read; tell the answer with `answer`. When `question` is None: `kept` are the blocks
    to read from now on, `missing` the rows that are not there, `limit` the longest request if that was the cause.
    """

    def __init__(self, block: Block, limits: Limits, merging: Merging) -> None:
        self._block = block
        self._limits = limits
        self._merging = merging
        self._open: list[_Part] = []
        self._good: list[tuple[Row, ...]] = []
        self._split_at_gap = False
        self._longest_good = 0
        self.asked = 0
        self.missing: list[Row] = []
        self.limit: int | None = None
        self._refused(_Part(block.rows, None))
        self._skip_known()

    @property
    def question(self) -> Block | None:
        return block_of(self._open[-1].rows) if self._open else None

    @property
    def kept(self) -> list[Block]:
        """Neighbours joined again, as far as nothing bad lies between them."""
        found: list[list[Row]] = []
        most = self._most
        for rows in sorted(self._good, key=lambda rows: rows[0].at):
            last = found[-1] if found else None
            end = max(row.end for row in last) if last else 0
            if last and rows[0].at <= end and max(row.end for row in rows) - last[0].at <= most:
                last.extend(rows)
            else:
                found.append(list(rows))
        return [block_of(rows) for rows in found]

    def answer(self, good: bool) -> None:
        """The device answered (or refused) the present question."""
        part = self._open.pop()
        self.asked += 1
        if good:
            self._good.append(part.rows)
            count = block_of(part.rows).count
            self._limits.answered(count)
            self._longest_good = max(self._longest_good, count)
            if part.parent is not None:
                part.parent.good += 1
        else:
            self._refused(part)
        self._skip_known()
        if not self._open and not self.missing and not self._split_at_gap:
            self.limit = self._limits.good = self._longest_good

    @property
    def _most(self) -> int:
        times = BITS_TO_A_WORD if self._block.fn in BIT_FUNCTIONS else 1
        cause_known = self.missing or self._split_at_gap
        return self._merging.max_count * times if cause_known else max(self._longest_good, 1)

    def _refused(self, part: _Part) -> None:
        children = _parts(part.rows)
        if len(children) == 1:
            self.missing.extend(part.rows)
            return
        whole = block_of(part.rows)
        gap = any(b[0].at > max(r.end for r in a) for a, b in pairwise(children))
        self._split_at_gap = self._split_at_gap or gap
        parent = _Parent(len(children), whole.count <= self._limits.good and not gap)
        self._open += [_Part(rows, parent) for rows in reversed(children)]

    def _skip_known(self) -> None:
        """When a refused part was short enough and all but its last half are good, that half need not be asked, but
        taken apart. A single place is always asked: it will be out of sight for an hour.
        """
        while self._open:
            part = self._open[-1]
            if part.parent is None or not part.parent.blames_the_last or len({row.at for row in part.rows}) == 1:
                return
            self._open.pop()
            self._refused(part)


class _Parent:
    """A refused part: how many of its children are good, and whether one of them must be bad."""

    def __init__(self, children: int, one_is_bad: bool) -> None:
        self._children = children
        self._one_is_bad = one_is_bad
        self.good = 0

    @property
    def blames_the_last(self) -> bool:
        return self._one_is_bad and self.good == self._children - 1


class _Part(Struct):
    rows: tuple[Row, ...]
    parent: _Parent | None


def _parts(rows: tuple[Row, ...]) -> list[tuple[Row, ...]]:
    """Runs without a gap; of one run, its halves; of one place, itself."""
    runs: list[list[Row]] = []
    end = -1
    for row in rows:
        if runs and row.at <= end:
            runs[-1].append(row)
        else:
            runs.append([row])
        end = max(end, row.end)
    if len(runs) > 1:
        return [tuple(run) for run in runs]
    places = sorted({row.at for row in rows})
    if len(places) == 1:
        return [rows]
    half = len(places) // 2
    middle = places[half + 1 if len(places) % 2 == 0 and half > 1 else half]  # not two alike: see line.py, _doubtful
    return [tuple(row for row in rows if row.at < middle), tuple(row for row in rows if row.at >= middle)]


# ---- who answers --------------------------------------------------------------------------------------------------


class Breaker:
    """Whether a unit answers. Three misses in a row (a retry, and the next cycle's) and it is down; then it is only
    probed, after pauses that double."""

    MISSES_TO_DOWN = 3
    CALM = 5  # so many answers in a row after a miss, and it is up again
    FIRST_PAUSE_S = 0.5

    def __init__(self, longest_pause_s: float = 60.0) -> None:
        self._longest_s = longest_pause_s
        self._pause_s = self.FIRST_PAUSE_S
        self._calm = self.CALM
        self.misses = 0
        self.flawed = False  # a block of the unit's is silent while others answer: it is not up, and not down
        self.probe_at = 0.0
        self.state = LinkState.UP

    def answered(self) -> bool:
        """An answer came; whether the unit was down before it."""
        if not self.misses and self._calm >= self.CALM:
            return False
        was_down = self.state is LinkState.DOWN
        self._calm = 1 if self.misses else self._calm + 1
        if self.flawed:
            self._calm = min(self._calm, self.CALM - 1)
        self.misses = 0
        self._pause_s = self.FIRST_PAUSE_S
        self.state = LinkState.UP if self._calm >= self.CALM else LinkState.DEGRADED
        return was_down

    def missed(self, now: float) -> None:
        """No answer came, or none that can be believed."""
        self.misses += 1
        self._calm = 0
        if self.misses < self.MISSES_TO_DOWN and self.state is not LinkState.DOWN:
            self.state = LinkState.DEGRADED
            return
        self.state = LinkState.DOWN
        self.probe_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._longest_s)

    def flaw(self) -> None:
        """A block is silent by itself: that is no miss of the unit's."""
        self.flawed = True
        self._calm = min(self._calm, self.CALM - 1)
        if self.state is LinkState.UP:
            self.state = LinkState.DEGRADED

    def cut(self, now: float) -> None:
        """The line is down, and so is everybody on it; the first probe is due when it is back."""
        self.misses = max(self.misses, self.MISSES_TO_DOWN)
        self._calm = 0
        self.state = LinkState.DOWN
        self._pause_s = self.FIRST_PAUSE_S
        self.probe_at = now


class Backoff:
    """Pauses before trying again: doubling, and spread, so that 200 stations do not come back at one moment."""

    SPREAD = 0.2

    def __init__(self, random: Random, first_s: float = 1.0, longest_s: float = 60.0) -> None:
        self._random = random
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def pause(self) -> float:
        pause_s = self._next_s * self._random.uniform(1 - self.SPREAD, 1 + self.SPREAD)
        self._next_s = min(2 * self._next_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        self._next_s = self._first_s
