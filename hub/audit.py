"""Whether the ledger is what was written: every entry names the hash of the one before it, and somebody looks.

A chain that was cut off at its end is whole: print the tip into a report that lies elsewhere, and compare with it.
"""

from __future__ import annotations

import re

from hub.contract import BadConfig
from hub.ledger import Ledger

TIP = re.compile(r"(\d{1,18}):([0-9a-f]{64}|)")  # no hash: of a ledger that was empty


def read_tip(text: str) -> tuple[int, str]:
    """(number, hash) of an entry, as `audit DIR tip` printed it. Raises BadConfig."""
    found = TIP.fullmatch(text.strip())
    if found is None:
        raise BadConfig(
            f"--tip {text[:80]} › is not a tip. Write what `fieldhub audit DIR tip` printed, like 812:9f3a…"
        )
    return int(found[1]), found[2]


async def tip(ledger: Ledger) -> str:
    """The last entry, to be kept where nobody who can write the ledger can write."""
    number, hash = await ledger.tip()
    return f"{number}:{hash}"


async def faults(ledger: Ledger, known: tuple[int, str] | None = None) -> list[str]:
    """What is wrong with the chain, in words; nothing when it is whole. `known`: an entry as it once was."""
    broken = await ledger.verify()
    if broken is not None:
        return [f"entry {broken} › is missing or was changed; whoever did it could write the ledger's file"]
    if known is None or known[0] == 0:
        return []
    number, hash = known
    last, _ = await ledger.tip()
    if number > last:
        return [
            f"entry {last + 1} › and all after it are gone: the ledger ends at {last}, the tip is of entry {number}"
        ]
    (entry,) = await ledger.entries(limit=1, before=number + 1)
    if entry.hash != hash:
        return [f"entry {number} › is not the one of the tip: the ledger was written anew, from some entry before it"]
    return []
