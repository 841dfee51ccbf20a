"""The same questions to every back-end, and the same answers: the embedded store, VictoriaMetrics, InfluxDB 2.

VictoriaMetrics is Debian's and runs here. InfluxDB 2 answers as a real one (2.7.11) did when this was recorded, or is
asked itself: recorded.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from hub.clock import ManualClock
from hub.historian import questions
from hub.historian.backend import Access
from hub.historian.base import DAY_US, AskedTooMuch, Batch, Columns, Sample
from hub.historian.engine import EmbeddedHistorian
from hub.historian.influx import Influx
from hub.historian.remote import RemoteHistorian
from hub.historian.spells import held
from hub.historian.victoria import Victoria
from hub.model import Kind, Quality
from tests.hub.historian import recorded, servers

S = 1_000_000
MINUTE, HOUR = 60 * S, 3600 * S
DAY = 20_000 * DAY_US
GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NAN = math.nan
Any_ = EmbeddedHistorian | RemoteHistorian


@pytest.fixture(scope="module")
def victoria_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.victoria(tmp_path_factory.mktemp("victoria") / "data") as url:
        yield url


@pytest.fixture(params=["embedded", "victoria", "influx"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any_]:
    """Each test has a measurement of its own, so that servers need not be emptied."""
    it: Any_
    server = contextlib.ExitStack()
    measurement = "test_" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    if recorded.real() is not None:
        measurement += f"_{time.time_ns()}" if not os.environ.get("FIELDHUB_TEST_INFLUX_RECORD") else ""
    if request.param == "embedded":
        it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    elif request.param == "victoria":
        access = Access(request.getfixturevalue("victoria_url"), measurement=measurement)
        it = await RemoteHistorian.open(tmp_path / "history", ManualClock(), Victoria(access), measurement)
    else:
        access = Access(**server.enter_context(recorded.influx(request.node.name)), measurement=measurement)
        it = await RemoteHistorian.open(tmp_path / "history", ManualClock(), Influx(access), measurement)
    for device in ("ps-1", "ps, =2"):
        for point, kind in (("level", Kind.NUMBER), ("running", Kind.BOOL), ("mode", Kind.TEXT)):
            it.catalogue.number(device, point, kind, "m" if kind is Kind.NUMBER else "")
    yield it
    await it.close()
    server.close()


LEVEL, RUNNING, MODE, OTHER = 64, 65, 66, 128


async def put(store: Any_, *rows: tuple[int, int, float, int]) -> None:
    await store.write(Batch.of(*zip(*rows, strict=True)))
    await settle(store)


async def settle(store: Any_) -> None:
    if isinstance(store, RemoteHistorian):
        await store.settle()


def rows(columns: Columns) -> list[tuple[int, float, int]]:
    return list(zip(columns.at_us.tolist(), columns.value.tolist(), columns.quality.tolist(), strict=True))


async def test_readings_come_back_with_their_time_value_and_quality(store: Any_):
    await put(
        store,
        (LEVEL, DAY, 2.48, GOOD),
        (LEVEL, DAY + 1000, -1e-9, UNCERTAIN),
        (LEVEL, DAY + 2000, 99.5, BAD),
        (LEVEL, DAY + 3000, NAN, BAD),
        (LEVEL, DAY + 4000, NAN, GOOD),
        (OTHER, DAY + 1000, 1e300, GOOD),
        (RUNNING, DAY, 1.0, GOOD),
    )
    told = await store.range([LEVEL, OTHER, MODE], DAY, DAY + 4000)
    assert rows(told[LEVEL])[:3] == [
        (DAY, 2.48, GOOD),
        (DAY + 1000, -1e-9, UNCERTAIN),
        (DAY + 2000, 99.5, BAD),
    ]
    assert rows(told[LEVEL])[3][::2] == (DAY + 3000, BAD)
    assert math.isnan(told[LEVEL].value[3])
    assert len(told[LEVEL]) == 4, "the end is not included"
    assert rows(told[OTHER]) == [(DAY + 1000, 1e300, GOOD)]
    assert len(told[MODE]) == 0
    assert len((await store.range([LEVEL], DAY + 1, DAY + 1000))[LEVEL]) == 0
    assert await store.range([], DAY, DAY + S) == {}


async def test_what_is_sent_twice_is_stored_once(store: Any_):
    batch = [(LEVEL, DAY + n * S, n / 8, GOOD) for n in range(100)]
    for _ in range(3):
        await put(store, *batch)
    assert rows((await store.range([LEVEL], DAY, DAY + HOUR))[LEVEL]) == [row[1:] for row in batch]
    assert (await store.buckets([LEVEL], DAY, DAY + HOUR, MINUTE))[LEVEL].count.tolist() == [60, 40]


async def test_steps_are_whole_and_count_only_what_is_believed(store: Any_):
    await put(
        store,
        (LEVEL, DAY, 1.0, GOOD),
        (LEVEL, DAY + MINUTE - 1000, 3.0, UNCERTAIN),
        (LEVEL, DAY + MINUTE, 100.0, BAD),
        (LEVEL, DAY + 3 * MINUTE, 7.0, GOOD),
        (LEVEL, DAY + 3 * MINUTE + 1000, NAN, GOOD),
        (LEVEL, DAY + 4 * MINUTE - 1000, 5.0, GOOD),
        (LEVEL, DAY + 4 * MINUTE, 9.0, GOOD),
    )
    told = (await store.buckets([LEVEL, OTHER], DAY + 30 * S, DAY + 3 * MINUTE + 1000, MINUTE))[LEVEL]
    assert told.start_us.tolist() == [DAY, DAY + MINUTE, DAY + 3 * MINUTE]
    assert told.count.tolist() == [2, 0, 2]
    assert told.gaps.tolist() == [0, 1, 1]
    for name, expected in (("min", [1, NAN, 5]), ("max", [3, NAN, 7]), ("mean", [2, NAN, 6]), ("last", [3, NAN, 5])):
        np.testing.assert_array_equal(getattr(told, name), expected, name)


@pytest.mark.parametrize("step", [250_000, S, 7 * S, MINUTE, HOUR, DAY_US])
async def test_steps_of_any_length_say_what_the_readings_say(store: Any_, step: int):
    random = np.random.default_rng(step)
    count = 300
    at = DAY + np.unique(random.integers(0, min(300 * step, 2 * DAY_US) // 1000, count)) * 1000
    value = random.normal(0, 1, len(at)).round(3)
    quality = random.choice([GOOD, UNCERTAIN, BAD], len(at), p=[0.8, 0.1, 0.1]).astype(np.uint8)
    value[random.random(len(at)) < 0.05] = NAN
    await store.write(Batch.of(np.full(len(at), LEVEL), at, value, quality))
    await settle(store)
    told = (await store.buckets([LEVEL], DAY, DAY + 2 * DAY_US if step > S else DAY + 300 * step, step))[LEVEL]
    plain: dict[int, list[float]] = {}
    gaps: dict[int, int] = {}
    for t, v, q in zip(at.tolist(), value.tolist(), quality.tolist(), strict=True):
        begin = t // step * step
        plain.setdefault(begin, [])
        if q != BAD and v == v:
            plain[begin].append(v)
        else:
            gaps[begin] = gaps.get(begin, 0) + 1
    assert told.start_us.tolist() == sorted(plain)
    assert told.count.tolist() == [len(plain[it]) for it in sorted(plain)]
    assert told.gaps.tolist() == [gaps.get(it, 0) for it in sorted(plain)]
    for name, fold in (("min", min), ("max", max), ("last", lambda it: it[-1]), ("mean", np.mean)):
        expected = [fold(plain[it]) if plain[it] else NAN for it in sorted(plain)]
        np.testing.assert_allclose(getattr(told, name), expected, rtol=1e-9, atol=1e-12, err_msg=name)


async def test_the_last_reading_before_a_time_however_long_ago(store: Any_):
    await put(
        store,
        (LEVEL, DAY - 400 * DAY_US, 1.0, GOOD),
        (RUNNING, DAY, 0.0, GOOD),
        (RUNNING, DAY + S, 1.0, BAD),
        (MODE, DAY + 2 * S, NAN, UNCERTAIN),
    )
    asked = [LEVEL, RUNNING, MODE, OTHER]
    told = await store.last_before(asked, DAY + 3 * S)
    assert told[LEVEL] == Sample(DAY - 400 * DAY_US, 1.0, GOOD)
    assert told[RUNNING] == Sample(DAY + S, 1.0, BAD)
    assert repr(told[MODE]) == repr(Sample(DAY + 2 * S, NAN, UNCERTAIN))
    assert told[OTHER] is None
    before = await store.last_before(asked, DAY + S)
    assert before[RUNNING] == Sample(DAY, 0.0, GOOD)
    assert before[MODE] is None


async def test_how_long_a_pump_ran(store: Any_):
    await put(
        store,
        (RUNNING, DAY - 5 * MINUTE, 1.0, GOOD),
        *((RUNNING, DAY + n * MINUTE, float(n // 10 % 2), GOOD) for n in range(60)),
    )
    told = (await store.spells([RUNNING, OTHER], DAY, DAY + HOUR))[RUNNING]
    (ran,) = [it for it in held(told, [DAY, DAY + HOUR]) if it.value == 1.0]
    assert (ran.held_us, ran.entered) == (30 * MINUTE, 3)


async def test_days_gaps_and_tracks(store: Any_):
    minutes = [*range(0, 30), *range(90, 200)]
    await put(
        store,
        *((LEVEL, DAY + n * MINUTE, n / 1000, GOOD) for n in minutes),
        *((OTHER, DAY + n * MINUTE, n / 500, UNCERTAIN) for n in minutes if n % 2),
    )
    edges = [DAY, DAY + 2 * HOUR, DAY + 4 * HOUR]
    counts = await questions.counts(store, [LEVEL], edges)
    assert [(it.start_us, it.count, it.gaps) for it in counts[LEVEL]] == [(edges[0], 60, 0), (edges[1], 80, 0)]
    gaps = (await questions.gaps(store, [LEVEL], edges[0], edges[-1], 10 * MINUTE))[LEVEL]
    assert gaps == [
        questions.Gap(DAY + 30 * MINUTE, DAY + 90 * MINUTE),
        questions.Gap(DAY + 200 * MINUTE, edges[-1]),
    ]
    pieces = await store.range([LEVEL, OTHER], *edges[::2])
    track = questions.align([pieces[LEVEL], pieces[OTHER]])
    assert len(track) == len([it for it in minutes if it % 2])
    np.testing.assert_allclose(track.values[1], track.values[0] * 2)
    assert set(track.quality.tolist()) == {UNCERTAIN}


async def test_what_is_dropped_is_not_told(store: Any_):
    await put(store, *((LEVEL, DAY + n * MINUTE, float(n), GOOD) for n in range(120)))
    await store.drop_before(DAY + 90 * MINUTE)
    assert (await store.range([LEVEL], DAY, DAY + 2 * HOUR))[LEVEL].value.tolist() == [float(n) for n in range(90, 120)]
    folded = (await store.buckets([LEVEL], DAY, DAY + 2 * HOUR, HOUR))[LEVEL]
    assert (folded.start_us.tolist(), folded.count.tolist()) == ([DAY + HOUR], [30])
    assert (await store.last_before([LEVEL], DAY + 90 * MINUTE))[LEVEL] is None
    assert (await store.spells([LEVEL], DAY, DAY + 2 * HOUR))[LEVEL].start_us[0] == DAY + 90 * MINUTE


async def test_a_question_without_an_end_is_refused(store: Any_):
    with pytest.raises(AskedTooMuch):
        await store.buckets([LEVEL], DAY, DAY + 30 * DAY_US, S)
    with pytest.raises(AskedTooMuch):
        await store.buckets([LEVEL], DAY, DAY + S, 0)
