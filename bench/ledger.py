"""Promise: entries of the ledger are kept for ever, and a county year of them fits any disk and is verified in minutes.

python -m bench.ledger [ENTRIES_OF_A_KIND]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.audit import verify
from hub.clock import ManualClock
from hub.ledger import Ledger, Note
from hub.ledger.entries import Noun
from hub.ledger.inspection import inspecting
from hub.model import AlarmChange, AlarmEvent, Command, Origin, Receipt, Severity, Stage, Words

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin("10.20.30.40", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/109.0", "3f9a2c10d2e4")
SAY = {
    "zh-CN": "前池水位 7.100 m，超过高高水位 6.700 m，持续 30 s",
    "en": "Forebay level 7.100 m is above the high-high level 6.700 m for 30 s",
}
DO = {
    "zh-CN": "① 看机组是否已按水位投入；② 派人到站检查拦污栅；③ 通知片区负责人。",
    "en": "1 See whether the pumps have started; 2 send somebody to the screen; 3 tell the area's leader.",
}
# A day of a county with 200 pump stations in a wet month; from there on it is a multiplication.
A_DAY = {"alarm": 600, "command": 300, "receipt": 900, "login": 150}


def alarm(n: int) -> Noun:
    it = list(AlarmEvent)[n % 3]
    by = "wang.min" if it is AlarmEvent.ACKNOWLEDGED else ""
    at = BEGAN + timedelta(seconds=n)
    facts = {"inlet.level": 7.1, "outlet.level": 3.2}
    return AlarmChange(
        f"{n // 3:016x}", it, f"ps-{n % 200:03}", "forebay high", at, at, Severity.HIGH, by, "", SAY, DO, facts
    )


def command(n: int) -> Noun:
    at = BEGAN + timedelta(seconds=n)
    later, key = at + timedelta(minutes=1), f"{n:032x}"
    return Command(f"c{n:015x}", f"ps-{n % 200:03}", "pump1.start", {}, "wang.min", "水位上涨", at, later, key, ORIGIN)


def receipt(n: int) -> Noun:
    words = Words("command.proven", {"point": {"zh-CN": "1 号泵运行", "en": "Pump 1 running"}, "value": True})
    return Receipt(f"c{n // 3:015x}", list(Stage)[2 + n % 3], BEGAN + timedelta(seconds=n), words)


def login(n: int) -> Noun:
    body = {"did": "signed_in", "address": ORIGIN.address, "agent": ORIGIN.agent}
    return Note("login", BEGAN + timedelta(seconds=n), "wang.min", "wang.min", body=body)


KINDS: dict[str, Callable[[int], Noun]] = {"alarm": alarm, "command": command, "receipt": receipt, "login": login}


async def fill(folder: Path, kind: str, count: int) -> tuple[float, float]:
    """(bytes of one entry with its indexes, seconds to verify all)."""
    file = folder / f"{kind}.sqlite"
    ledger = await Ledger.open(f"sqlite:///{file}", ManualClock())
    empty = file.stat().st_size
    for start in range(0, count, 2_000):
        await ledger.append(*(KINDS[kind](n) for n in range(start, start + 2_000)))
    await ledger.close()
    begin = time.monotonic()
    with inspecting(f"sqlite:///{file}") as inspected:
        assert verify(inspected).faults == []
    return (file.stat().st_size - empty) / count, time.monotonic() - begin


def main(count: int = 40_000) -> None:
    print(f"{'kind':10} {'bytes each':>10} {'a day':>8} {'MB a year':>10} {'verify /s':>10}")
    year_mb, year_s = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            each, verify_s = asyncio.run(fill(Path(folder), kind, count))
            mb = each * A_DAY[kind] * 365 / 1e6
            year_mb += mb
            year_s += verify_s / count * A_DAY[kind] * 365
            print(f"{kind:10} {each:10.0f} {A_DAY[kind]:8} {mb:10.1f} {count / verify_s:10,.0f}")
    entries = sum(A_DAY.values()) * 365
    print(f"a county year: {entries:,} entries, {year_mb:.0f} MB, verified in {year_s:.0f} s")


if __name__ == "__main__":
    main(*(int(it) for it in sys.argv[1:]))
