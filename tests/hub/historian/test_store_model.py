"""The embedded store against a dict: duplicates, late readings, seals, drops, kills and restarts at random moments."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from hub.clock import ManualClock
from hub.historian import compaction, files, segments
from hub.historian.base import DAY_US, Batch, Sample
from hub.historian.compaction import DAY_LEVEL
from hub.historian.engine import EmbeddedHistorian
from hub.model import Quality

T = TypeVar("T")

SERIES = [64, 65, 128, 4096]
START = 20_000 * DAY_US
HOUR = 3_600_000_000

# Few different times, on both sides of midnights, so that duplicates and neighbours are common.
times = st.builds(lambda day, hour: START + day * DAY_US + hour * HOUR, st.integers(0, 2), st.integers(0, 23))
numbers = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.sampled_from([0.0, 1.0, -0.0, 1e300, 5e-324]))
readings = st.lists(
    st.tuples(st.sampled_from(SERIES), times, numbers, st.sampled_from([int(it) for it in Quality])),
    min_size=1,
    max_size=40,
)
periods = st.tuples(times, times).map(sorted)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.copies = 0
        self.truth: dict[int, dict[int, tuple[float, int]]] = {it: {} for it in SERIES}
        self.floor = -1
        self.open(self.folder / "0")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def open(self, folder: Path) -> None:
        self.now_in = folder
        self.store = self.run(EmbeddedHistorian.open(folder, ManualClock(), seal_points=60))
        self.store.catalogue.states = lambda: SERIES[:2]  # type: ignore[method-assign]  # of these there are runs

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(them=readings)
    def write(self, them: list[tuple[int, int, float, int]]) -> None:
        self.run(self.store.write(Batch.of(*zip(*them, strict=True))))
        for series, at, value, quality in them:
            if at >= self.floor:
                self.truth[series][at] = (value, quality)

    @rule()
    def seal(self) -> None:
        self.run(self.store.seal())

    @rule(night=st.booleans())
    def merge(self, night: bool) -> None:
        """All days are over: the clock is years later. At night late readings are taken into their days."""
        if night:
            self.store._late_taken_on = -1
        self.run(self.store.compact())
        days = [it.day for it in self.store._view.segments if it.level == DAY_LEVEL or night]
        assert len(days) == len(set(days)), "one file a day is left"

    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.open(self.now_in)

    @rule()
    def power_cut(self) -> None:
        """A copy of the folder at this moment, also in the middle of a seal, is what a kill would leave behind."""
        self.copies += 1
        copy = self.folder / str(self.copies)
        # In the commit thread, so that SQLite's files are of one moment.
        self.run(self.store._in(self.store._commits, copy_files, self.now_in, copy))
        self.run(self.store.close())
        self.open(copy)

    @precondition(lambda self: self.floor < START + DAY_US)
    @rule(at=times)
    def drop(self, at: int) -> None:
        self.run(self.store.drop_before(at))
        self.floor = max(self.floor, at)
        for rows in self.truth.values():
            for it in [it for it in rows if it < self.floor]:
                del rows[it]

    @rule(period=periods)
    def ask_for_a_period(self, period: list[int]) -> None:
        self.check(*period)

    @invariant()
    def all_is_told(self) -> None:
        self.check(START, START + 10 * DAY_US)

    def check(self, start: int, end: int) -> None:
        told = self.run(self.store.range(SERIES, start, end))
        for series in SERIES:
            truth = sorted((at, *row) for at, row in self.truth[series].items() if start <= at < end)
            assert told[series].at_us.tolist() == [it[0] for it in truth]
            np.testing.assert_array_equal(told[series].value, np.array([it[1] for it in truth]))
            assert told[series].quality.tolist() == [it[2] for it in truth]

    @rule(at=times)
    def ask_for_the_last(self, at: int) -> None:
        told = self.run(self.store.last_before(SERIES, at))
        for series in SERIES:
            before = [it for it in self.truth[series] if it < at]
            if not before:
                assert told[series] is None
                continue
            value, quality = self.truth[series][max(before)]
            it = told[series]
            assert it is not None
            assert repr(it) == repr(Sample(max(before), value, quality))  # NaN is equal to NaN in writing

    @rule(period=periods, minutes=st.sampled_from([7, 15, 60, 300, 1440, 2160]))
    def ask_for_buckets(self, period: list[int], minutes: int) -> None:
        step = minutes * HOUR // 60
        start, end = period[0] // step * step, -(-period[1] // step) * step
        told = self.run(self.store.buckets(SERIES, *period, step))
        for series in SERIES:
            steps: dict[int, list[tuple[float, int]]] = {}
            for at in sorted(it for it in self.truth[series] if start <= it < end):
                steps.setdefault(at // step * step, []).append(self.truth[series][at])
            it = told[series]
            assert it.start_us.tolist() == list(steps)
            for row, readings_ in enumerate(steps.values()):
                good = [value for value, quality in readings_ if quality != Quality.BAD and value == value]
                assert (it.count[row], it.gaps[row]) == (len(good), len(readings_) - len(good))
                if good:
                    assert (it.min[row], it.max[row], it.last[row]) == (min(good), max(good), good[-1])
                    assert it.min[row] <= it.mean[row] <= it.max[row]
                    np.testing.assert_allclose(it.mean[row], sum(good) / len(good), rtol=1e-9, atol=1e-6)
                else:
                    assert np.isnan([it.min[row], it.max[row], it.last[row], it.mean[row]]).all()

    @rule(period=periods)
    def ask_for_spells(self, period: list[int]) -> None:
        told = self.run(self.store.spells(SERIES, *period))
        for series in SERIES:
            it = told[series]
            columns = (it.start_us.tolist(), it.end_us.tolist(), it.value.tolist(), it.entered.tolist())
            assert list(zip(*columns, strict=True)) == plain_spells(self.truth[series], *period)


def plain_spells(rows: Mapping[int, tuple[float, int]], start: int, end: int) -> list[tuple[int, int, float, bool]]:
    """Reading by reading: each holds until the next, and an hour at most; what says the same goes on."""
    told: list[tuple[int, int, float, bool]] = []
    before = (0, math.nan)  # until when it is known, and what
    times = sorted(rows)
    for at, next_ in zip(times, [*times[1:], 1 << 62][: len(times)], strict=True):
        value = math.nan if rows[at][1] == Quality.BAD else rows[at][0]
        until = min(next_, at + HOUR)
        new = before[0] != at or before[1] != value
        if value == value and max(at, start) < min(until, end):
            if new or not told:
                known = before[0] == at and before[1] == before[1] and new
                told.append((max(at, start), min(until, end), value, known and at >= start))
            else:
                told[-1] = (told[-1][0], min(until, end), *told[-1][2:])
        before = (until, value)
    return told


def copy_files(source: Path, target: Path) -> None:
    (target / "segments").mkdir(parents=True)
    for path in source.rglob("*"):
        with suppress(FileNotFoundError):  # a seal has just given it its name
            if path.is_file():
                shutil.copy(path, target / path.relative_to(source))


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestStore = StoreMachine.TestCase


def test_small_row_groups_change_no_answer(monkeypatch: Any) -> None:
    """The same again with row groups of five readings, read two at a time."""
    monkeypatch.setattr(files, "ROW_GROUP", 5)
    monkeypatch.setattr(segments, "GROUPS_AT_ONCE", 2)
    monkeypatch.setattr(compaction, "SLICE_POINTS", 12)
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=20, stateful_step_count=25))
