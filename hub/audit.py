"""Whether the ledger is what was written: every entry names the hash of the one before it, and somebody looks.

A chain that was cut off at its end is whole: print the tip into a report that lies elsewhere, and compare with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from hub.audit_tables import TABLES, Fold
from hub.clock_watch import KIND as CLOCK
from hub.contract import BadConfig
from hub.ledger.entries import ALARM, RECEIPT, START, Entry
from hub.ledger.inspection import Fault, Inspection

TIP = re.compile(r"(\d{1,18}):([0-9a-f]{64}|)")  # no hash: of a ledger that was empty
MAX_TOLD = 100  # faults, and notes, that one verification names; the rest are counted
BACK = timedelta(seconds=2)  # two entries may be so far out of order before it is told

Known = tuple[int, str]  # number and hash of an entry, as it once was


class Finding(Struct):
    """What a verification found: `faults` are wrong, `notes` are worth knowing."""

    entries: int = 0  # that are what was written
    tip: Known = (0, START)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_tip(text: str) -> Known:
    """(number, hash) of an entry, as `audit DIR tip` printed it. Raises BadConfig."""
    found = TIP.fullmatch(text.strip())
    if found is None:
        raise BadConfig(
            f"--tip {text[:80]} › is not a tip. Write what `fieldhub audit DIR tip` printed, like 812:9f3a…"
        )
    return int(found[1]), found[2]


def show_tip(tip: Known) -> str:
    """To be kept where nobody who can write the ledger can write."""
    number, hash = tip
    return f"{number}:{hash}"


def verify(ledger: Inspection, known: Iterable[Known] = ()) -> Finding:
    """All that is wrong, and what is worth knowing. `known`: entries as they once were."""
    told, fold = Finding(tip=ledger.tip()), Fold()
    waiting = {number: hash for number, hash in known if number}
    faults, chain, notes, times = ledger.weak_points(), _Some(), _Some(), _Times()
    for it in ledger.walk():
        if isinstance(it, Fault):
            chain.add(str(it))
            continue
        told.entries += 1
        fold.take(it)
        notes.extend(times.look(it))
        if waiting.pop(it.seq, it.hash) != it.hash:
            chain.add(
                f"entry {it.seq} › is not the one of the tip: the ledger was written anew, from some entry before"
            )
    for number in sorted(waiting):
        if number > told.tip[0]:
            chain.add(
                f"entry {told.tip[0] + 1} › and all after it are gone: the ledger ends at {told.tip[0]}, "
                f"the tip is of entry {number}"
            )
    tables = _Some(fold.differences({name: ledger.rows(name) for name in TABLES}))
    told.faults += [*faults, *chain.told(), *tables.told()]
    told.notes += notes.told()
    return told


class _Some:
    """The first MAX_TOLD lines, and how many more there are."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._lines: list[str] = []
        self._more = 0
        self.extend(lines)

    def add(self, line: str) -> None:
        if len(self._lines) < MAX_TOLD:
            self._lines.append(line)
        else:
            self._more += 1

    def extend(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.add(line)

    def told(self) -> Sequence[str]:
        return [*self._lines, *([f"and {self._more} more"] if self._more else [])]


class _Times:
    """Where the clock was set. The order of entries is that of their numbers; a time is what the clock said."""

    def __init__(self) -> None:
        self._last: Entry | None = None

    def look(self, it: Entry) -> Iterator[str]:
        if it.kind in (ALARM, RECEIPT):
            return  # these may have waited for the disk, and an alarm has the time of its reading
        before, self._last = self._last, it
        if it.kind == CLOCK:
            said = it.says
            yield f"entry {it.seq} › the clock was {said.get('did')}, by {said.get('by_s')} s, to {_show(it.at)}"
        elif before is not None and before.at - it.at > BACK and before.kind != CLOCK:
            back_s = (before.at - it.at).total_seconds()
            yield f"entry {it.seq} › is {back_s:.0f} s earlier than entry {before.seq}: the clock was set back"


def _show(at: datetime) -> str:
    return at.isoformat(" ", "seconds")
