"""A store is read while another process owns it: no lock, and what is seen is one moment of it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hub.clock import ManualClock
from hub.historian.base import DAY_US, Batch, HistoryUnavailable
from hub.historian.engine import EmbeddedHistorian
from hub.historian.onlooker import Onlooker
from hub.model import Kind

DAY = 20_000 * DAY_US
EVER = (-(1 << 60), 1 << 60)


def number(store: EmbeddedHistorian, device: str) -> int:
    return store.catalogue.number(device, "inlet.level", Kind.NUMBER, "m")


def rows(series: int, *at_us: int) -> Batch:
    return Batch.of([series] * len(at_us), at_us, [float(it - DAY) for it in at_us], [2] * len(at_us))


async def times(it: Onlooker, series: int) -> list[int]:
    return [at - DAY for at in (await it.range([series], *EVER))[series].at_us.tolist()]


async def test_what_is_written_and_what_is_sealed_are_seen_beside_the_owner(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path, ManualClock())
    mine, other = number(store, "ps-1"), number(store, "ps-2")
    await store.write(rows(mine, DAY, DAY + 1))
    await store.seal()
    await store.write(rows(mine, DAY + 2))
    await store.write(rows(other, DAY + 9))
    it = Onlooker(tmp_path, "ps-1")
    assert [series.id for series in it.catalogue.of("ps-1")] == [mine]
    assert await times(it, mine) == [0, 1, 2]
    await store.close()
    assert await times(Onlooker(tmp_path, "ps-1"), mine) == [0, 1, 2], "and after its end"


async def test_every_look_is_whole_while_a_writer_writes_and_seals(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path, ManualClock(), seal_points=40)
    mine = number(store, "ps-1")
    acknowledged = 0
    await store.write(rows(mine, DAY))

    async def write() -> None:
        nonlocal acknowledged
        for at in range(1, 300):
            await store.write(rows(mine, DAY + at))
            acknowledged = at

    writing = asyncio.create_task(write())
    looks = 0
    while not writing.done():
        before = acknowledged
        seen = await times(await asyncio.to_thread(Onlooker, tmp_path, "ps-1"), mine)
        assert seen == list(range(len(seen))), "nothing is missing in the middle, nothing is there twice"
        assert len(seen) > before, "what was acknowledged is seen"
        looks += 1
        await asyncio.sleep(0)
    await writing
    assert looks > 3
    assert store.health.segments > 3, "it was sealed meanwhile"
    await store.close()


async def test_a_file_that_is_forgotten_between_looking_and_reading_is_no_mistake(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path, ManualClock())
    mine = number(store, "ps-1")
    await store.write(rows(mine, DAY))
    await store.seal()
    await store.write(rows(mine, DAY + DAY_US))
    it = Onlooker(tmp_path, "ps-1")
    await store.drop_before(DAY + DAY_US)
    assert await times(it, mine) == [DAY_US]
    await store.close()


async def test_a_file_that_is_lost_is_said(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path, ManualClock())
    mine = number(store, "ps-1")
    await store.write(rows(mine, DAY))
    await store.seal()
    await store.close()
    (file,) = (tmp_path / "segments").glob("*.parquet")
    file.unlink()
    with pytest.raises(HistoryUnavailable, match="this file is missing › restore it from a backup and try again"):
        await times(Onlooker(tmp_path, "ps-1"), mine)


async def test_a_batch_that_is_damaged_is_told_and_left_to_its_owner(tmp_path: Path):
    store = await EmbeddedHistorian.open(tmp_path, ManualClock())
    mine = number(store, "ps-1")
    await store.write(rows(mine, DAY))
    await store.write(rows(mine, DAY + 1))
    await store.close()
    with sqlite3.connect(tmp_path / "history.sqlite3") as db:
        db.execute("UPDATE journal SET sum = 1 WHERE id = 1")
    it = Onlooker(tmp_path, "ps-1")
    assert await times(it, mine) == [1]
    assert [line.split(" › ")[1] for line in it.damage] == ["batch 1 is damaged (its checksum does not fit)"]
    with sqlite3.connect(tmp_path / "history.sqlite3") as db:
        assert db.execute("SELECT count(*) FROM journal").fetchone() == (2,)


def test_where_nothing_was_ever_written_nothing_is_made(tmp_path: Path):
    assert Onlooker(tmp_path / "history", "ps-1").catalogue.of("ps-1") == []
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_a_later_format_is_not_guessed_at(tmp_path: Path):
    with sqlite3.connect(tmp_path / "history.sqlite3") as db:
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
        db.execute("INSERT INTO meta VALUES ('format', 7)")
    with pytest.raises(HistoryUnavailable, match="is written in format 7, this program reads format 2"):
        Onlooker(tmp_path, "ps-1")
