"""Store on change: what is left out says nothing that what is kept does not say, to within the deadband."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clock import ManualClock
from hub.historian import thinning
from hub.historian.base import Batch, HistoryUnavailable
from hub.historian.collector import Collector
from hub.historian.thinning import Thinner

S = 1_000_000
NAN = math.nan
Row = tuple[int, int, float, int]


def thinned(it: Thinner, *rows: Row) -> list[Row]:
    out = it.thin(Batch.of(*zip(*rows, strict=True)))
    return sorted(zip(out.series.tolist(), out.at_us.tolist(), out.value.tolist(), out.quality.tolist(), strict=True))


def one(deadband: float | None, heartbeat_s: float = 600.0) -> Thinner:
    it = Thinner()
    it.set(64, deadband, heartbeat_s)
    return it


def test_a_state_is_kept_when_it_changes_with_what_stood_before():
    rows = [(64, n * S, float(n >= 5), 2) for n in range(10)]
    assert thinned(one(0.0), *rows) == [(64, 0, 0.0, 2), (64, 4 * S, 0.0, 2), (64, 5 * S, 1.0, 2)]


def test_a_value_is_kept_when_it_has_moved_by_more_than_the_deadband_from_what_was_kept():
    drift = [(64, n * S, n * 0.04, 2) for n in range(7)]
    told = thinned(one(0.1), *drift)
    assert [at // S for _, at, _, _ in told] == [0, 2, 3, 5, 6]


def test_one_is_kept_each_heartbeat_so_that_silence_shows():
    rows = [(64, n * S, 1.0, 2) for n in range(0, 1201, 5)]
    assert [at // S for _, at, _, _ in thinned(one(0.0), *rows)] == [0, 600, 1200]


def test_quality_and_having_no_value_are_changes():
    rows = [(64, 0, 1.0, 2), (64, S, 1.0, 0), (64, 2 * S, 1.0, 0), (64, 3 * S, NAN, 0), (64, 4 * S, 1.0, 2)]
    told = thinned(one(5.0), *rows)
    assert [at // S for _, at, _, _ in told] == [0, 1, 2, 3, 4]


def test_what_a_device_had_in_its_memory_is_all_kept():
    it = one(0.0)
    thinned(it, (64, 1000 * S, 1.0, 2))
    old = [(64, n * S, 1.0, 2) for n in range(10)]
    assert thinned(it, *old) == old
    assert thinned(it, (64, 1001 * S, 1.0, 2)) == []


def test_other_points_are_kept_whole_and_a_point_can_be_changed():
    it = one(0.0)
    rows = [(64, 0, 1.0, 2), (65, 0, 1.0, 2), (64, S, 1.0, 2), (65, S, 1.0, 2), (9999, S, 1.0, 2)]
    assert len(thinned(it, *rows)) == 4
    it.set(64, None, 600.0)
    assert len(thinned(it, (64, 2 * S, 1.0, 2), (64, 3 * S, 1.0, 2))) == 2


def plain(rows: list[Row], deadband: float, heartbeat_us: int) -> list[Row]:
    """One series, reading by reading."""
    kept: list[Row] = []
    last: Row | None = None
    passed: Row | None = None
    for row in rows:
        if last is None:
            keep = moved = True
        else:
            none = row[2] != row[2]
            moved = none != (last[2] != last[2]) or abs(row[2] - last[2]) > deadband or row[3] != last[3]
            keep = moved or row[1] <= last[1] or row[1] - last[1] >= heartbeat_us
        if not keep:
            passed = row
            continue
        late = last is not None and row[1] <= last[1]
        if moved and not late and last is not None and passed is not None and last[1] < passed[1] < row[1]:
            kept.append((*passed[:3], last[3]))
        kept.append(row)
        if not late:
            last, passed = row, None
    return kept


ROWS = st.lists(
    st.tuples(
        st.sampled_from([64, 65]),
        st.integers(0, 40).map(lambda it: it * S),
        st.sampled_from([0.0, 0.04, 0.1, 0.2, 1.0, NAN]),
        st.sampled_from([0, 1, 2]),
    ),
    min_size=1,
    max_size=60,
)


@given(rows=ROWS, cut=st.integers(0, 60), deadband=st.sampled_from([0.0, 0.1]))
def test_as_a_walk_reading_by_reading_would(rows: list[Row], cut: int, deadband: float):
    it = Thinner()
    for series in (64, 65):
        it.set(series, deadband, 10.0)
    told: list[Row] = []
    for part in (rows[:cut], rows[cut:]):
        if part:
            told += thinned(it, *part)
    expected = [row for series in (64, 65) for row in plain([r for r in rows if r[0] == series], deadband, 10 * S)]
    assert sorted(map(repr, told)) == sorted(map(repr, expected))
    assert it.left_out == len(rows) - len(told)


def test_a_flood_of_one_series_is_kept_rather_than_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(thinning, "MOST_RANKS", 10)
    assert len(thinned(one(0.0), *((64, n * S, 1.0, 2) for n in range(100)))) == 91


class Away:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.away = True

    async def write(self, batch: Batch) -> None:
        if self.away:
            raise HistoryUnavailable("away")
        self.batches.append(batch)


async def test_a_batch_that_could_not_be_written_is_not_thinned_twice():
    store: Any = Away()
    it = Collector(store, ManualClock())
    it.thinner.set(1, 0.0, 600.0)
    for n in range(5):
        it.offer(n * S, [1, 2], [1.0, 1.0], [2, 2])
    with pytest.raises(HistoryUnavailable):
        await it.flush()
    assert it.backlog == 6
    store.away = False
    await it.flush()
    assert np.bincount(store.batches[0].series).tolist() == [0, 1, 5]
    assert it.backlog == 0
