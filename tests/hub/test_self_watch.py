"""The hub as its own device: a full disk, a slow one, a server that is away are readings, and ring by shipped rules."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hub import outage, self_watch
from hub.adoption import OfAFile
from hub.clock import ManualClock
from hub.config import HubFile, Site
from hub.historian.backend import Away
from hub.historian.base import HistoryUnavailable
from hub.historian.journal import Journal
from hub.historian.victoria import Victoria
from hub.house import House
from hub.model import Area, Nameplate, Reading
from hub.rights import Family
from hub.self_watch import ID, SelfWatch, Watched
from rules.book import Book
from rules.load import load, shipped_files
from tests.hub.kit import NOON, PLATE, STATION

GB = 10**9


def watched(**it: Any) -> Watched:
    usual: dict[str, Any] = {
        "history_error": "",
        "backlog": 0,
        "dropped": 0,
        "slowest_write_s": 0.0,
        "merge_error": "",
        "ledger_ok": True,
        "ledger_backlog": 0,
    }
    return Watched(**usual | it)


class Told:
    """Takes what the hub says of itself."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def take(self, readings: list[Reading]) -> None:
        assert {it.device for it in readings} == {ID}
        self.values = {it.point: it.value for it in readings}


async def test_every_point_of_the_nameplate_is_told(tmp_path: Path):
    told = Told()
    for server in (None, ""):
        it = SelfWatch(
            ManualClock(),
            tmp_path,
            lambda s=server: watched(server_error=s),
            told.take,
            lambda path: (50 * GB, 200 * GB),
        )
        await it.once()
        assert set(told.values) == set(self_watch.plate(server is not None, has_channels=False).points)
    assert (told.values["disk.free"], told.values["disk.free_share"]) == (50.0, 25.0)


async def test_a_disk_that_cannot_be_asked_has_no_value(tmp_path: Path):
    told = Told()

    def gone(path: Path) -> tuple[int, int]:
        raise OSError("gone")

    await SelfWatch(ManualClock(), tmp_path, watched, told.take, gone).once()
    assert told.values["disk.free"] is None
    assert self_watch.disk(tmp_path)[1] > 0


async def test_what_was_lost_is_news_for_ten_minutes(tmp_path: Path):
    clock, told, state = ManualClock(), Told(), {"dropped": 5}
    it = SelfWatch(clock, tmp_path, lambda: watched(**state), told.take)
    it._dropped = 5
    await it.once()
    assert told.values["history.dropping"] is False
    state["dropped"] = 6
    await it.once()
    assert told.values["history.dropping"] is True
    await clock.advance(self_watch.DROPPING_S)
    await it.once()
    assert told.values["history.dropping"] is False


# ---- a whole house ------------------------------------------------------------------------------------------------


def alarms(house: House) -> list[str]:
    return sorted(it.rule for it in house.alarms() if it.device == ID and it.returned_at is None)


async def later(house: House, seconds: float) -> None:
    """The hub's own jobs do what they do in that time."""
    clock = house.clock
    assert isinstance(clock, ManualClock)
    assert house.self_watch is not None
    for _ in range(int(seconds // self_watch.EVERY_S)):
        await clock.advance(self_watch.EVERY_S)
        with contextlib.suppress(HistoryUnavailable):
            await house.collector.flush()
        await house.self_watch.once()
        house.hub.tick()


async def opened(folder: Path, hub: HubFile) -> House:
    site = Site(folder, hub, {}, devices=(STATION,), plates={STATION.id: PLATE})
    plates: dict[str, Nameplate] = dict(site.plates)
    book = Book(load((), (), shipped_files()), lambda device: plates[device.id])
    return await House.open(site, ManualClock(NOON), book, {}, plates=plates, itself=True)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    it = await opened(tmp_path, HubFile())
    yield it
    await it.close()


async def test_a_full_disk_rings_once_ingest_goes_on_and_nothing_is_lost(house: House, monkeypatch: pytest.MonkeyPatch):
    await later(house, 60)
    assert alarms(house) == []
    with monkeypatch.context() as full:

        def refused(*_: Any) -> Any:
            raise HistoryUnavailable("history.sqlite3 › cannot be written: database or disk is full › free space")

        full.setattr(Journal, "append", refused)
        await later(house, 60)
        assert alarms(house) == ["history cannot be written"]
        assert house.collector.backlog > 0
        assert house.hub.members[ID].slots["history.ok"].value is False
    await later(house, 60)
    assert alarms(house) == []
    await house.collector.flush()
    assert house.collector.backlog == 0
    (number,) = house.numbers(ID, ["history.ok"]).values()
    kept = (await house.historian.range([number], 0, 1 << 60))[number]
    assert set(kept.value.tolist()) == {0.0, 1.0}, "also what was said while it was full"


async def test_the_hub_itself_is_never_retired_or_replaced(house: House):
    with pytest.raises(OfAFile):
        await house.retire_device(ID, "li.na", {})
    with pytest.raises(OfAFile):
        await house.put_device(STATION, ID, "li.na", {})
    assert ID in house.devices
    area = outage.device(Family.WATER, Area("340299000000", "澄川县"))
    house.plates[area.id] = outage.plate()
    house.hub.adopt(area, house.plates[area.id])
    with pytest.raises(OfAFile):
        await house.retire_device(area.id, "li.na", {})


async def test_a_disk_that_runs_full_says_so_before(house: House):
    free = {"now": (100 * GB, 400 * GB)}
    assert house.self_watch is not None
    house.self_watch._free = lambda path: free["now"]
    await later(house, 30)
    assert alarms(house) == []
    free["now"] = (10 * GB, 400 * GB)
    await later(house, 120)
    assert alarms(house) == ["disk nearly full"]


async def test_a_server_that_is_away_rings_and_readings_wait_on_our_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: Any) -> None:
        raise Away("http://127.0.0.1:1 › does not answer › start it")

    monkeypatch.setattr(Victoria, "write", away)
    table: Mapping[str, Any] = {"history": {"server": {"kind": "victoriametrics", "url": "http://127.0.0.1:1"}}}
    house = await opened(tmp_path, HubFile.model_validate(table))
    for _ in range(20):
        await later(house, 10)
        with contextlib.suppress(HistoryUnavailable):
            await house.historian.flush()  # type: ignore[attr-defined]
    assert alarms(house) == ["time-series server is away"]
    assert house.hub.members[ID].slots["server.waiting"].value > 0
    monkeypatch.setattr(Victoria, "write", lambda *_: None)
    await house.historian.flush()  # type: ignore[attr-defined]
    await later(house, 60)
    assert alarms(house) == []
    await house.close()
