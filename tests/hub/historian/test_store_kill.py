"""kill -9 at any moment: what was acknowledged is there, no batch is there in part, and the next start is quick."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.historian.engine import EmbeddedHistorian
from tests.hub.historian.doomed import MOMENTS, POINTS, SERIES, batch

KILLS = int(os.environ.get("FIELDHUB_TEST_KILLS", "20"))  # each moment once; 100 and more at a desk
EVER = (-(1 << 60), 1 << 60)


def lives_and_dies(folder: Path, first: int, moment: str) -> list[int]:
    """The numbers that were acknowledged before the end."""
    command = [sys.executable, "-m", "tests.hub.historian.doomed", str(folder), str(first)]
    with subprocess.Popen([*command, *filter(None, [moment])], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        if not moment:
            time.sleep(random.uniform(0.0, 0.3))
            process.kill()
        told = process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -9
    return [int(it) for it in told if it.endswith("\n")]


async def audit(folder: Path, acknowledged: set[int], sent: int) -> int:
    """Count every batch again. Returns the number that the next process begins with."""
    store = await EmbeddedHistorian.open(folder, ManualClock())
    assert store.health.damage == ()
    told = await store.range(SERIES, *EVER)
    numbers = np.concatenate([it.value for it in told.values()]).astype(int)
    counts = np.bincount(numbers, minlength=sent)
    assert set(counts.tolist()) <= {0, POINTS}
    present = {int(it) for it in np.flatnonzero(counts)}
    assert acknowledged <= present
    # A batch whose acknowledgement the kill cut off may be there, as a whole.
    assert len(present - acknowledged) <= 1
    assert all(store.catalogue.find("doomed", f"p{it}") for it in present)
    if present:
        newest = max(present)
        await store.write(batch(newest))  # sent again: nothing changes
        told = await store.range(SERIES, *EVER)
        assert sum(len(it) for it in told.values()) == len(numbers)
    acknowledged |= present
    await store.close()
    known = {it.file for it in (*store._view.segments, *store._view.rollups.values())}
    assert {it.name for it in (folder / "segments").iterdir()} == known
    return max(present, default=-1) + 1


async def kill_again_and_again(folder: Path, moments: list[str]) -> int:
    acknowledged: set[int] = set()
    number = 0
    for moment in moments:
        acknowledged |= set(lives_and_dies(folder, number, moment))
        number = await audit(folder, acknowledged, number)
    return len(acknowledged)


async def test_nothing_acknowledged_is_lost(tmp_path: Path):
    moments = ["", MOMENTS[2], "", MOMENTS[5], MOMENTS[11], ""]
    assert await kill_again_and_again(tmp_path / "history", moments) > 0


@pytest.mark.slow
async def test_nothing_acknowledged_is_lost_in_any_moment(tmp_path: Path):
    moments = [*MOMENTS, *[""] * 8]
    moments = [moments[n % len(moments)] for n in range(KILLS)]
    random.shuffle(moments)
    counts = [await kill_again_and_again(tmp_path / str(at), moments[at : at + 7]) for at in range(0, len(moments), 7)]
    assert sum(counts) > KILLS
