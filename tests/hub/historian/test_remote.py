"""A server that is away, slow, killed or broken: ingest goes on, nothing is lost up to a bound, the rest is counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hub.clock import ManualClock, SystemClock
from hub.historian import backend, remote, spool
from hub.historian.backend import Access, Away, Refused
from hub.historian.base import DAY_US, Batch, Buckets, Columns, HistoryUnavailable, Sample
from hub.historian.catalogue import Catalogue
from hub.historian.engine import EmbeddedHistorian
from hub.historian.lines import lines
from hub.historian.opening import Mirrored
from hub.historian.remote import RemoteHistorian
from hub.historian.victoria import Victoria
from hub.model import Kind
from tests.hub.historian import servers

DAY = 20_000 * DAY_US
S = 1_000_000
LEVEL = 64  # the number of the first point of the first device


class Server:
    """Takes lines, or does not. Its only answer is what it was sent."""

    url = "http://the.server"
    resolution_us = 1

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.trouble: Exception | None = None
        self.poison = ""
        self.slow = threading.Event()
        self.slow.set()

    def write(self, lines: bytes) -> None:
        self.slow.wait(10)
        if self.trouble is not None:
            raise self.trouble
        if self.poison and self.poison in lines.decode():
            raise Refused("400")
        self.lines += lines.decode().splitlines()

    @property
    def values(self) -> list[int]:
        return [round(float(it.split(" v=")[1].split(",")[0])) for it in self.lines]

    def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        raise Away("away")

    def buckets(self, series: Sequence[int], first: int, last: int, step_us: int) -> dict[int, Buckets]:
        raise Away("away")

    def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample]:
        raise Away("away")

    def drop_before(self, at_us: int) -> bool:
        return False

    def settle(self) -> None:
        pass

    def close(self) -> None:
        pass


def batch(number: int, points: int = 10) -> Batch:
    at = DAY + number * S + np.arange(points) * 1000
    return Batch.of(np.full(points, LEVEL), at, np.full(points, number), np.full(points, 2))


async def opened(folder: Path, server: Server, **more: int) -> RemoteHistorian:
    it = await RemoteHistorian.open(folder, ManualClock(), server, **more)
    it.catalogue.number("ps-1", "level", Kind.NUMBER, "m")
    return it


async def until(it: Callable[[], bool]) -> None:
    for _ in range(1000):
        if it():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def store(tmp_path: Path, server: Server) -> AsyncIterator[RemoteHistorian]:
    it = await opened(tmp_path, server)
    yield it
    server.slow.set()
    await it.close()


async def test_what_is_written_while_it_is_away_is_sent_in_order_later(store: RemoteHistorian, server: Server):
    server.trouble = Away("http://the.server › does not answer: refused › start it")
    for number in range(5):
        await store.write(batch(number))
    with pytest.raises(HistoryUnavailable):
        await store.flush()
    assert (store.health.waiting_points, store.health.sent) == (50, 0)
    assert "does not answer" in store.health.send_error
    server.trouble = None
    await store.flush()
    assert server.values == [it for it in range(5) for _ in range(10)]
    assert (store.health.waiting_points, store.health.send_error) == (0, "")


async def test_a_question_that_it_does_not_answer_fails_by_name(store: RemoteHistorian):
    with pytest.raises(HistoryUnavailable):
        await store.range([LEVEL], DAY, DAY + S)


async def test_a_slow_server_holds_up_nobody(store: RemoteHistorian, server: Server):
    server.slow.clear()
    await store.write(batch(0))
    sending = asyncio.create_task(store.flush())
    for number in range(1, 20):
        await store.write(batch(number))
    assert store.health.waiting_points == 200
    server.slow.set()
    await sending
    assert sorted(set(server.values)) == list(range(20))


async def test_after_a_restart_what_was_not_sent_is_sent_with_its_names(tmp_path: Path, server: Server):
    store = await opened(tmp_path, server)
    await store.write(batch(7))
    await store.close()
    again = await RemoteHistorian.open(tmp_path, ManualClock(), server)
    assert again.health.waiting_points == 10
    await again.flush()
    assert server.lines[0] == f"fieldhub,device=ps-1,kind=number,point=level,series=64,unit=m v=7,q=2 {DAY + 7 * S}"
    await again.close()


async def test_over_its_bound_the_oldest_are_dropped_and_counted_for_good(tmp_path: Path, server: Server):
    server.trouble = Away("away")
    store = await opened(tmp_path, server)
    for number in range(50):
        await store.write(batch(number))
    size = store.health.waiting_bytes
    await store.close()
    store = await RemoteHistorian.open(tmp_path, ManualClock(), server, spool_bytes=size)
    assert store.health.dropped == 0
    for number in range(50, 60):
        await store.write(batch(number))
    assert store.health.waiting_bytes <= size
    lost = store.health.dropped
    assert 80 <= lost <= 120
    await store.close()
    store = await RemoteHistorian.open(tmp_path, ManualClock(), server, spool_bytes=size)
    assert store.health.dropped == lost
    server.trouble = None
    await store.flush()
    assert server.values == [it for it in range(lost // 10, 60) for _ in range(10)]
    await store.close()


async def test_what_it_will_never_take_is_put_aside_and_the_rest_goes_on(store: RemoteHistorian, server: Server):
    server.poison = "v=3,"
    for number in range(6):
        await store.write(batch(number))
    await store.flush()
    assert sorted(set(server.values)) == [0, 1, 2, 4, 5]
    (said,) = store.health.damage
    assert "was not sent (400)" in said
    assert store.health.waiting_points == 0


async def test_what_it_had_last_is_sent_again_when_it_was_away(store: RemoteHistorian, server: Server):
    """It may have been killed, and have forgotten what it said it has."""
    await store.write(batch(0))
    await store.flush()
    server.trouble = Away("away")
    await store.write(batch(1))
    with pytest.raises(Away):
        await store.flush()
    server.trouble, server.lines = None, []
    await store.flush()
    assert sorted(set(server.values)) == [0, 1]


async def test_what_was_sent_long_ago_is_on_our_disk_no_more(tmp_path: Path, server: Server):
    store = await opened(tmp_path, server)
    await store.write(batch(0))
    await store.flush()
    assert isinstance(store._clock, ManualClock)
    await store._clock.advance(spool.KEEP_SENT_S)
    await store.write(batch(1))
    await store.flush()
    await store.close()
    server.lines = []
    store = await RemoteHistorian.open(tmp_path, ManualClock(), server)
    await store.flush()
    assert set(server.values) == {1}
    await store.close()


async def test_it_is_asked_again_after_growing_pauses(store: RemoteHistorian, server: Server):
    assert isinstance(store._clock, ManualClock)
    server.trouble = Away("away")
    running = asyncio.create_task(store.run())
    await store.write(batch(0))
    await until(lambda: bool(store.health.send_error))
    server.trouble = None
    await store._clock.advance(remote.FIRST_PAUSE_S)
    await until(lambda: not store.health.waiting_points)
    assert set(server.values) == {0}
    running.cancel()


async def test_a_mirror_that_cannot_be_written_does_not_stop_the_store(tmp_path: Path, server: Server):
    store = await EmbeddedHistorian.open(tmp_path / "history", ManualClock())
    mirror = await RemoteHistorian.open(tmp_path / "mirror", ManualClock(), server, names=store.catalogue)
    both = Mirrored(store, mirror, ManualClock())
    number = both.catalogue.number("ps-1", "level", Kind.NUMBER, "m")
    await both.write(batch(1))
    await mirror.flush()
    assert server.lines[0].startswith("fieldhub,device=ps-1,")
    await mirror.close()
    await both.write(batch(2))
    assert (await both.range([number], DAY, DAY + DAY_US))[number].value.tolist() == [1.0] * 10 + [2.0] * 10
    assert both.health.mirror_missed == 10
    await store.close()


async def test_nothing_is_lost_when_victoria_metrics_is_killed(tmp_path: Path):
    """kill -9 between batches, and again; what the hub acknowledged is all there in the end."""
    folder, sent = tmp_path / "victoria", 0
    store: RemoteHistorian | None = None
    for _ in range(3):
        with servers.victoria(folder) as url:
            access = Access(url)
            if store is not None:
                await store.close()
            store = await RemoteHistorian.open(tmp_path / "spool", SystemClock(), Victoria(access))
            running = asyncio.create_task(store.run())
            for number in range(sent, sent + 40):
                await store.write(batch(number))
                await asyncio.sleep(0.01)
            sent += 40
            running.cancel()
        # killed
    with servers.victoria(folder) as url:
        assert store is not None
        await store.close()
        store = await RemoteHistorian.open(tmp_path / "spool", SystemClock(), Victoria(Access(url)))
        await store.settle()
        told = (await store.range([LEVEL], DAY, DAY + DAY_US))[LEVEL]
        assert len(told) == sent * 10
        await store.close()


@pytest.mark.parametrize(
    ("status", "what"),
    [(401, Away), (404, Away), (429, Away), (500, Away), (503, Away), (400, Refused), (422, Refused)],
)
def test_only_what_is_wrong_with_the_lines_is_refused(status: int, what: type[Exception]):
    assert type(backend.unfit("http://the.server", status, "why")) is what


def test_names_are_the_catalogue_s():
    names = Catalogue()
    number = names.number("泵站 1", "a,b=c", Kind.BOOL, "")
    it = lines(Batch.of([number], [DAY], [1.0], [2]), names.series, "fieldhub").decode()
    assert it == f"fieldhub,device=泵站\\ 1,kind=bool,point=a\\,b\\=c,series=64 v=1,q=2 {DAY}"
