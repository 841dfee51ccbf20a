"""kill -9 at any moment: nothing that was said to be on the disk is lost, and nothing is there by half."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.clock import ManualClock
from hub.ledger import Ledger
from hub.ledger.entries import Entry

HOUSE = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
async def test_nothing_acknowledged_is_lost(url: str, kills: int):
    acknowledged: dict[int, str] = {}
    for n in range(kills):
        acknowledged |= await asyncio.to_thread(_killed_while_writing, url, f"house-{n}", random.uniform(0, 0.5))
        ledger = await Ledger.open(url, ManualClock())
        await ledger.standing_alarm_changes()
        assert await ledger.open_commands() == []  # each came with its receipt
        assert await ledger.verify() is None
        entries = await _all(ledger)
        await ledger.close()
        assert {number: entries[number].subject for number in acknowledged} == acknowledged
    assert len(acknowledged) > 10 * kills


@pytest.mark.slow
async def test_killed_while_it_is_made_it_is_made_anew(url: str):
    for _ in range(10):
        house = _start(url, "first")
        await asyncio.sleep(random.uniform(0.2, 1.0))
        house.kill()
        house.communicate()
    ledger = await Ledger.open(url, ManualClock())
    assert await ledger.verify() is None
    await ledger.close()


def _start(url: str, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hub.ledger.doomed", url, name], cwd=HOUSE, stdout=subprocess.PIPE, text=True
    )


def _killed_while_writing(url: str, name: str, after_s: float) -> dict[int, str]:
    """Start a house, kill it some time after its first word; number -> what, for all that it said is on the disk."""
    house = _start(url, name)
    assert house.stdout is not None
    first = house.stdout.readline()
    time.sleep(after_s)
    house.kill()
    said, _ = house.communicate()
    lines = (first + said).split("\n")[:-1]  # what follows the last end of line was cut off
    return {int(number): what for number, what in (line.split() for line in lines)}


async def _all(ledger: Ledger) -> dict[int, Entry]:
    found: dict[int, Entry] = {}
    while page := await ledger.entries(limit=1000, before=min(found, default=None)):
        found |= {it.seq: it for it in page}
    return found
