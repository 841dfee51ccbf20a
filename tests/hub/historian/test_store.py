"""The embedded store by example: what is written is told again, from memory, from files, and after a restart."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hub.clock import ManualClock
from hub.historian import head, reader, segments
from hub.historian.base import DAY_US, AskedTooMuch, Batch, Columns, HistoryUnavailable, Sample
from hub.historian.engine import SEAL_AGAIN_S, EmbeddedHistorian
from hub.model import Kind, Quality

S = 1_000_000
DAY = 20_000 * DAY_US
GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
EVER = (-(1 << 60), 1 << 60)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedHistorian]:
    it = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    yield it
    await it.close()


def rows(*them: tuple[int, int, float]) -> Batch:
    return Batch.of([it[0] for it in them], [it[1] for it in them], [it[2] for it in them], [GOOD] * len(them))


def values(columns: Columns) -> list[tuple[int, float]]:
    return list(zip(columns.at_us.tolist(), columns.value.tolist(), strict=True))


async def reopened(store: EmbeddedHistorian, folder: Path) -> EmbeddedHistorian:
    await store.close()
    return await EmbeddedHistorian.open(folder / "history", ManualClock())


async def test_what_is_written_is_told_by_series_sorted_by_time(store: EmbeddedHistorian):
    await store.write(rows((64, DAY + 2, 2.0), (65, DAY, 9.0), (64, DAY + 1, 1.0)))
    told = await store.range([64, 65, 66], DAY, DAY + 2)
    assert values(told[64]) == [(DAY + 1, 1.0)]
    assert values(told[65]) == [(DAY, 9.0)]
    assert values(told[66]) == []


@pytest.mark.parametrize("sealed", [(), (0,), (1,), (0, 1)])
async def test_of_two_readings_at_one_time_the_last_written_stays(store: EmbeddedHistorian, sealed: tuple[int, ...]):
    for number, value in enumerate((1.0, 2.0)):
        await store.write(rows((64, DAY, value - 0.5), (64, DAY, value)))
        if number in sealed:
            await store.seal()
    assert values((await store.range([64], *EVER))[64]) == [(DAY, 2.0)]
    assert await store.last_before([64], DAY + 1) == {64: Sample(DAY, 2.0, GOOD)}
    assert (await store.buckets([64], DAY, DAY + S, S))[64].count.tolist() == [1]


async def test_a_gap_is_told_with_its_quality_and_counts_as_no_value(store: EmbeddedHistorian):
    it = Batch.of([64] * 4, [DAY, DAY + 1, DAY + 2, DAY + 3], [math.nan, 4.0, 100.0, 6.0], [BAD, UNCERTAIN, BAD, GOOD])
    await store.write(it)
    await store.seal()
    told = (await store.range([64], *EVER))[64]
    assert math.isnan(told.value[0])
    assert told.quality.tolist() == [BAD, UNCERTAIN, BAD, GOOD]
    folded = (await store.buckets([64], DAY, DAY + 1, S))[64]
    assert (folded.count.tolist(), folded.gaps.tolist()) == ([2], [2])
    assert (folded.min[0], folded.max[0], folded.mean[0], folded.last[0]) == (4.0, 6.0, 5.0, 6.0)


async def test_a_step_without_a_usable_value_is_told_as_a_gap(store: EmbeddedHistorian):
    await store.write(Batch.of([64, 64], [DAY, DAY + 5 * S], [1.0, 2.0], [BAD, GOOD]))
    folded = (await store.buckets([64], DAY, DAY + 10 * S, S))[64]
    assert folded.start_us.tolist() == [DAY, DAY + 5 * S]
    assert (folded.count.tolist(), folded.gaps.tolist()) == ([0, 1], [1, 0])
    assert np.isnan([folded.min[0], folded.max[0], folded.mean[0], folded.last[0]]).all()


async def test_steps_are_aligned_to_1970_and_always_whole(store: EmbeddedHistorian):
    await store.write(rows(*((64, DAY + i * S, float(i)) for i in range(120))))
    folded = (await store.buckets([64], DAY + 59 * S, DAY + 61 * S, 60 * S))[64]
    assert folded.start_us.tolist() == [DAY, DAY + 60 * S]
    assert folded.count.tolist() == [60, 60]
    assert folded.mean.tolist() == [29.5, 89.5]
    before_1970 = (await store.buckets([64], -S, 0, 60 * S))[64]
    assert len(before_1970) == 0


async def test_buckets_of_many_readings_are_made_by_halves(store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch):
    await store.write(rows(*((it, DAY + i * S, float(i)) for i in range(300) for it in (64, 65))))
    await store.seal()
    asked = ([64, 65], DAY, DAY + 300 * S, 60 * S)
    whole = await store.buckets(*asked)
    monkeypatch.setattr(reader, "MOST_POINTS", 60)  # one step of one series fits
    by_halves = await store.buckets(*asked)
    for it in (64, 65):
        for column in ("start_us", "count", "min", "max", "mean", "last"):
            assert getattr(by_halves[it], column).tolist() == getattr(whole[it], column).tolist()
    monkeypatch.setattr(reader, "MOST_POINTS", 59)
    with pytest.raises(AskedTooMuch):
        await store.buckets(*asked)


async def test_too_large_a_question_is_refused_with_what_to_ask_instead(
    store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(AskedTooMuch) as too_much:
        await store.buckets([64, 65], DAY, DAY + 30 * DAY_US, S)
    assert str(too_much.value) == (
        "history › 5184000 steps asked for, at most 200000 are told › "
        "use a step of at least 26 s, a shorter time, or fewer series"
    )
    assert await store.buckets([64, 65], DAY, DAY + 30 * DAY_US, 26 * S)
    monkeypatch.setattr(reader, "MOST_POINTS", 2)
    await store.write(rows((64, DAY, 1.0), (64, DAY + 1, 1.0), (64, DAY + 2, 1.0)))
    with pytest.raises(AskedTooMuch) as too_many:
        await store.range([64], *EVER)
    assert str(too_many.value) == "history › more than 2 readings › ask for a shorter time, fewer series, or a step"


async def test_late_readings_get_a_file_of_their_old_day_and_are_told_in_place(
    store: EmbeddedHistorian, tmp_path: Path
):
    await store.write(rows((64, DAY, 1.0), (64, DAY + 20, 3.0)))
    await store.seal()
    await store.write(rows((64, DAY + 10, 2.0), (64, DAY + 3 * DAY_US, 4.0)))
    await store.seal()
    names = sorted(it.name for it in (tmp_path / "history" / "segments").iterdir())
    assert names == [
        "2024-10-04.l0.00000001.parquet",
        "2024-10-04.l0.00000002.parquet",
        "2024-10-07.l0.00000003.parquet",
    ]
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == [1.0, 2.0, 3.0, 4.0]


async def test_a_device_without_a_clock_does_not_make_a_thousand_files(store: EmbeddedHistorian, tmp_path: Path):
    await store.write(rows(*((64, day * DAY_US, float(day)) for day in range(1_000))))
    await store.seal()
    assert (store.health.segments, store.health.segment_points) == (64, 1_000)
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == [float(it) for it in range(1_000)]


async def test_a_period_begins_with_its_first_and_ends_before_its_last_moment(store: EmbeddedHistorian):
    await store.write(rows((64, DAY, 1.0), (64, DAY + 10, 2.0)))
    for _ in range(2):  # in the head, then in a file
        assert values((await store.range([64], DAY + 10, DAY + 11))[64]) == [(DAY + 10, 2.0)]
        assert values((await store.range([64], DAY - 5, DAY))[64]) == []
        assert values((await store.range([64], DAY, DAY + 10))[64]) == [(DAY, 1.0)]
        assert values((await store.range([64], DAY + 10, DAY))[64]) == []
        await store.seal()


async def test_what_is_written_during_a_seal_is_not_lost_with_it(
    store: EmbeddedHistorian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun, go_on, real = threading.Event(), threading.Event(), segments.write

    def slow(*work: Any) -> Any:
        begun.set()
        go_on.wait(5)
        return real(*work)

    monkeypatch.setattr(segments, "write", slow)
    await store.write(rows((64, DAY, 1.0)))
    seal = asyncio.create_task(store.seal())
    await asyncio.to_thread(begun.wait, 5)
    for at in range(1, 200):  # enough to be joined into larger parts
        await store.write(rows((64, DAY + at, 1.0)))
    told = len((await store.range([64], *EVER))[64])
    assert store._sealing is not None
    go_on.set()
    await asyncio.wrap_future(store._sealing)
    assert (told, store.health.head_points, store.health.segment_points) == (200, 199, 1)
    assert len((await store.range([64], *EVER))[64]) == 200
    await seal
    store = await reopened(store, tmp_path)
    assert len((await store.range([64], *EVER))[64]) == 200
    await store.close()


async def test_the_last_reading_before_a_time_is_found_in_head_and_files(store: EmbeddedHistorian):
    await store.write(rows((64, DAY, 1.0), (65, DAY, 5.0)))
    await store.seal()
    await store.write(rows((64, DAY + DAY_US, 2.0)))
    assert await store.last_before([64, 65, 66], DAY + 2 * DAY_US) == {
        64: Sample(DAY + DAY_US, 2.0, GOOD),
        65: Sample(DAY, 5.0, GOOD),
        66: None,
    }
    assert await store.last_before([64], DAY + DAY_US) == {64: Sample(DAY, 1.0, GOOD)}
    assert await store.last_before([64], DAY) == {64: None}


async def test_the_later_written_of_two_files_is_right_about_the_last_reading(store: EmbeddedHistorian):
    await store.write(rows((64, DAY, 1.0), (65, DAY + 100, 0.0)))  # this file ends later than the next one
    await store.seal()
    await store.write(rows((64, DAY, 2.0)))
    await store.seal()
    assert await store.last_before([64], DAY + 200) == {64: Sample(DAY, 2.0, GOOD)}


async def test_after_a_restart_all_is_told_again(store: EmbeddedHistorian, tmp_path: Path):
    number = store.catalogue.number("pump-1", "outlet.pressure", Kind.NUMBER, "MPa", "3301")
    mode = store.catalogue.number("pump-1", "mode", Kind.ENUM, "", "3301")
    code = store.catalogue.code(mode, "自动")
    await store.write(rows((number, DAY, 0.5), (mode, DAY, code)))
    await store.seal()
    await store.write(rows((number, DAY + 1, 0.6)))
    store = await reopened(store, tmp_path)
    found = store.catalogue.find("pump-1", "outlet.pressure")
    assert found is not None
    assert (found.id, found.kind, found.unit, found.area) == (number, Kind.NUMBER, "MPa", "3301")
    assert store.catalogue.number("pump-1", "outlet.pressure", Kind.NUMBER, "MPa") == number
    assert store.catalogue.text(mode, (await store.range([mode], *EVER))[mode].value[0]) == "自动"
    assert values((await store.range([number], *EVER))[number]) == [(DAY, 0.5), (DAY + 1, 0.6)]
    assert store.health.damage == ()
    await store.close()


async def test_what_is_dropped_is_not_told_again(store: EmbeddedHistorian, tmp_path: Path):
    for day in range(3):
        await store.write(rows((64, DAY + day * DAY_US, day), (64, DAY + day * DAY_US + 10, day + 0.5)))
    await store.seal()
    assert await store.drop_before(DAY + DAY_US + 5) == 2
    assert store.health.segments == 2
    left = [1.5, 2.0, 2.5]
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == left
    await store.write(rows((64, DAY, 7.0)))  # late, and too old to be wanted
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == left
    assert await store.last_before([64], DAY + DAY_US + 5) == {64: None}
    await store.seal()
    assert store.health.segments == 2
    store = await reopened(store, tmp_path)
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == left
    assert len(list((tmp_path / "history" / "segments").iterdir())) == 2
    await store.close()


async def test_plain_pyarrow_reads_the_files(store: EmbeddedHistorian, tmp_path: Path):
    count = 40_000
    at = DAY + np.arange(count) * S
    await store.write(Batch.of(np.full(count, 65), at, np.sin(at), np.full(count, GOOD)))
    await store.write(Batch.of(np.full(count, 64), at[::-1], np.cos(at), np.full(count, UNCERTAIN)))
    await store.seal()
    path = next((tmp_path / "history" / "segments").iterdir())
    table = pq.read_table(path)
    assert [(it.name, str(it.type)) for it in table.schema] == [
        ("sid", "int32"),
        ("ts", "timestamp[us, tz=UTC]"),
        ("v", "double"),
        ("q", "uint8"),
    ]
    assert table["sid"].to_pylist() == [64] * count + [65] * count
    assert table["ts"].cast("int64").to_pylist() == at.tolist() * 2
    assert table["v"].to_pylist() == np.cos(at)[::-1].tolist() + np.sin(at).tolist()
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert group.num_rows == 16_384
    assert [group.column(it).is_stats_set for it in range(4)] == [True, True, False, False]
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings
    assert "DELTA_BINARY_PACKED" in group.column(1).encodings
    assert group.column(2).compression == "ZSTD"
    assert set(group.column(2).encodings) <= {"PLAIN", "RLE"}


async def test_a_full_head_waits_for_the_seal(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock(), seal_points=10)
    for batch in range(50):
        await store.write(rows(*((64, DAY + batch * 5 + i, 1.0) for i in range(5))))
        assert store.health.head_points < 2 * 10 + 5
    assert store.health.segments >= 10
    assert len((await store.range([64], *EVER))[64]) == 250
    await store.close()


async def test_an_old_head_is_sealed(tmp_path: Path):
    clock = ManualClock()
    store = await EmbeddedHistorian.open(tmp_path / "history", clock, seal_after_s=60)
    await store.write(rows((64, DAY, 1.0)))
    await clock.advance(59)
    await store.write(rows((64, DAY + 1, 1.0)))
    assert store.health.segments == 0
    await clock.advance(1)
    await store.write(rows((64, DAY + 2, 1.0)))
    await store.close()  # waits for the seal
    assert len(list((tmp_path / "history" / "segments").iterdir())) == 1


async def test_when_files_cannot_be_written_readings_are_kept_and_the_reason_is_told(tmp_path: Path):
    clock = ManualClock()
    store = await EmbeddedHistorian.open(tmp_path / "history", clock, seal_points=10)
    folder = tmp_path / "history" / "segments"
    folder.rename(tmp_path / "away")
    for at in range(20):
        await store.write(rows((64, DAY + at, 1.0)))
    with pytest.raises(HistoryUnavailable, match="cannot be written"):
        await store.write(rows((64, DAY + 20, 1.0)))
    assert "segments/2024-10-04.l0.00000001.parquet › cannot be written" in store.health.seal_error
    written = store.health.head_points
    assert written == 20
    assert len((await store.range([64], *EVER))[64]) == written
    (tmp_path / "away").rename(folder)
    with pytest.raises(HistoryUnavailable):
        await store.write(rows((64, DAY + 100, 1.0)))  # not asked again and again
    await clock.advance(SEAL_AGAIN_S)
    await store.write(rows((64, DAY + 100, 1.0)))
    assert store.health.seal_error == ""
    assert len((await store.range([64], *EVER))[64]) == written + 1
    await store.close()


async def test_small_parts_of_the_head_are_joined(store: EmbeddedHistorian):
    for at in range(200):
        await store.write(rows((64, DAY + at, float(at))))
    assert len(store._view.parts) < head.JOIN + 3
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == [float(it) for it in range(200)]


async def test_a_question_survives_that_its_file_is_dropped(store: EmbeddedHistorian, monkeypatch: pytest.MonkeyPatch):
    await store.write(rows((64, DAY, 1.0), (64, DAY + DAY_US, 2.0)))
    await store.seal()
    old = store._view
    await store.drop_before(DAY + DAY_US)
    new, real = store._view, reader.read
    asked = []

    def dropped_meanwhile(view: reader.View, *rest: Any) -> Any:
        store._view = new
        asked.append(view)
        return real(view, *rest)

    monkeypatch.setattr(reader, "read", dropped_meanwhile)
    store._view = old
    assert values((await store.range([64], *EVER))[64]) == [(DAY + DAY_US, 2.0)]
    assert asked == [old, new]


# ---- when things are broken ---------------------------------------------------------------------------------------


async def test_a_second_process_is_told_who_has_the_folder(store: EmbeddedHistorian, tmp_path: Path):
    with pytest.raises(HistoryUnavailable) as locked:
        await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert str(locked.value) == (
        f"{tmp_path}/history/lock › another process (pid {os.getpid()}) has this history open › "
        "stop it, or give this hub another folder"
    )


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryUnavailable) as unusable:
        await EmbeddedHistorian.open(tmp_path / "file", ManualClock())
    assert str(unusable.value) == (
        f"{tmp_path}/file › cannot be used: Not a directory › check who owns it, or give the hub another folder"
    )


async def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "history.sqlite3").write_text("not a database " * 1000)
    with pytest.raises(HistoryUnavailable) as unreadable:
        await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert str(unreadable.value).startswith(f"{tmp_path}/history/history.sqlite3 › cannot be opened: file is not a")
    (tmp_path / "history" / "history.sqlite3").unlink()
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())  # the lock was given back
    await store.close()


async def test_a_newer_format_is_not_touched(store: EmbeddedHistorian, tmp_path: Path):
    await store.close()
    change(tmp_path, "UPDATE meta SET value = 3 WHERE key = 'format'")
    with pytest.raises(HistoryUnavailable) as newer:
        await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert str(newer.value) == (
        f"{tmp_path}/history/history.sqlite3 › is written in format 3, this program reads format 2 › "
        "start the version of FieldHub that wrote it, or give the hub another folder"
    )


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET b = substr(b, 1, length(b) - 5) WHERE id = 3",
        "UPDATE journal SET b = zeroblob(length(b)) WHERE id = 3",
        "UPDATE journal SET n = n + 1 WHERE id = 3",
        "UPDATE journal SET b = 'text' WHERE id = 3",
        "UPDATE journal SET b = (SELECT b FROM journal WHERE id = 1) WHERE id = 3",
    ],
)
async def test_a_damaged_tail_is_refused_and_not_the_database(store: EmbeddedHistorian, tmp_path: Path, damage: str):
    for at in range(3):
        await store.write(rows((64, DAY + at, float(at)), (65, DAY + at, float(at))))
    await store.close()
    change(tmp_path, damage)
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == [0.0, 1.0]
    (told,) = store.health.damage
    assert told.startswith(f"{tmp_path}/history/history.sqlite3 › batch 3 is damaged (")
    await store.write(rows((64, DAY + 3, 3.0)))
    await store.seal()
    store = await reopened(store, tmp_path)
    assert [v for _, v in values((await store.range([64], *EVER))[64])] == [0.0, 1.0, 3.0]
    assert store.health.damage == ()
    await store.close()


async def test_a_database_whose_pages_are_torn_still_tells_the_other_batches(store: EmbeddedHistorian, tmp_path: Path):
    noise = np.random.default_rng(1).normal(size=20_000)
    for at in range(3):
        await store.write(Batch.of(np.full(20_000, 64 + at), DAY + np.arange(20_000), noise, np.full(20_000, GOOD)))
    await store.close()
    path = tmp_path / "history" / "history.sqlite3"
    raw = bytearray(path.read_bytes())
    raw[-3 * 16384 : -2 * 16384] = bytes(16384)
    path.write_bytes(raw)
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert len(store.health.damage) == 1
    told = await store.range([64, 65, 66], *EVER)
    assert sorted(len(it) for it in told.values()) == [0, 20_000, 20_000]
    await store.close()


async def test_a_damaged_or_missing_file_is_named(store: EmbeddedHistorian, tmp_path: Path):
    await store.write(rows(*((64, DAY + at, float(at)) for at in range(1_000))))
    await store.seal()
    await store.close()
    path = next((tmp_path / "history" / "segments").iterdir())
    whole = path.read_bytes()
    torn = bytearray(whole)
    torn[len(torn) // 4] ^= 0xFF
    path.write_bytes(torn)
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    with pytest.raises(HistoryUnavailable) as damaged:
        await store.range([64], *EVER)
    assert str(damaged.value).startswith(f"{path} › cannot be read: ")
    await store.close()
    path.unlink()
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert store.health.damage == (
        f"{path} › this file with 1000 readings is missing › restore it from a backup and start again",
    )
    await store.close()
    path.write_bytes(whole)


async def test_files_that_nobody_knows_are_removed_at_opening(store: EmbeddedHistorian, tmp_path: Path):
    await store.close()
    folder = tmp_path / "history" / "segments"
    for name in ("2024-10-04.l0.00000009.parquet", "2024-10-04.l0.00000010.parquet.part", "readme.txt"):
        (folder / name).write_text("")
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    assert [it.name for it in folder.iterdir()] == ["readme.txt"]
    await store.close()


async def test_a_full_disk_is_told_and_the_batch_can_be_sent_again(store: EmbeddedHistorian):
    number = store.catalogue.number("pump-1", "flow", Kind.NUMBER, "m3/h")
    await store.write(rows((640, DAY, 1.0)))
    await store._in(store._commits, store._journal._db.execute, "PRAGMA max_page_count = 1")
    noise = np.random.default_rng(1).normal(size=20_000)
    big = Batch.of(np.full(20_000, number), DAY + np.arange(20_000), noise, np.full(20_000, GOOD))
    store.catalogue.number("pump-1", "pressure", Kind.NUMBER, "MPa")
    with pytest.raises(HistoryUnavailable, match=r"cannot be written: database or disk is full › free space"):
        await store.write(big)
    assert len((await store.range([number], *EVER))[number]) == 0
    await store._in(store._commits, store._journal._db.execute, "PRAGMA max_page_count = 1000000")
    await store.write(big)
    assert len((await store.range([number], *EVER))[number]) == 20_000
    assert store.catalogue.unsaved() == []


async def test_a_closed_history_says_so(store: EmbeddedHistorian):
    await store.close()
    with pytest.raises(HistoryUnavailable, match="is closed"):
        await store.write(rows((64, DAY, 1.0)))
    await store.close()


def change(tmp_path: Path, statement: str) -> None:
    with sqlite3.connect(tmp_path / "history" / "history.sqlite3") as db:
        db.execute(statement)
    db.close()
