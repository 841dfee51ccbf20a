"""After a restart rules that look back know what was before it, and that in between nothing was known."""

import pytest

from hub.clock import ManualClock
from hub.historian.base import AskedTooMuch, HistoryUnavailable, to_us
from hub.historian.collector import Collector
from hub.historian.engine import EmbeddedHistorian
from hub.hub import Hub
from hub.model import Device, Kind, Nameplate, Point, Reading
from hub.recall import Recall
from rules.book import Book
from tests.rules.field import rule
from tests.rules.test_in_the_hub import Notebook

DEVICE = Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://10.0.4.7:502/1")
PLATE = Nameplate(
    {
        point.key: point
        for point in (
            Point("inlet.level", unit="m", interval_s=5),
            Point("pump1.running", Kind.BOOL, interval_s=5),
            Point("pump1.state", Kind.ENUM, labels={0: "stopped", 4: "fault"}, interval_s=5),
            Point("gate.text", Kind.TEXT, interval_s=5),
        )
    },
    {},
)
RULES = (
    rule("change(inlet.level, 10 min) > 0.30 m", name="rising"),
    rule("count(pump1.running is on, 1 h) > 2", name="starts"),
    rule("time(pump1.state is fault, 1 h) > 20 min", name="faulty"),
    rule("count(gate.text is open, 1 h) >= 1", name="opened"),
)


class OneRun:
    """Everything of a hub that one run has, on a history that outlives it."""

    def __init__(self, store: EmbeddedHistorian, clock: ManualClock) -> None:
        self.clock = clock
        self.book = Book(RULES, lambda device: PLATE)
        self.collector = Collector(store, clock)
        self.number, self.code = store.catalogue.number, store.catalogue.code
        self.offer, self.thin = self.collector.offer, self.collector.thinner.set
        self.hub = Hub(clock, self, Notebook(), self.book)
        self.recall = Recall(self.hub, self.book, store, store.catalogue, clock)
        self.hub.adopt(DEVICE, PLATE)

    def poll(self, **values) -> None:
        now = self.clock.now()
        self.hub.take([Reading(DEVICE.id, k.replace("__", "."), v, now, now) for k, v in values.items()])

    async def run(self, seconds: int, **values) -> None:
        for _ in range(0, seconds, 5):
            self.poll(**values)
            await self.clock.advance(5)
            self.hub.tick()

    def standing(self) -> set[str]:
        return {alarm.rule for alarm in self.hub.book.standing()}

    def blind(self) -> set[str]:
        return {it.rule for it in self.book.unknown(DEVICE.id)}


CALM = {"inlet__level": 2.0, "pump1__running": False, "pump1__state": "stopped", "gate__text": "shut"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def hour(first: OneRun) -> None:
    """A quiet time, two starts, a fault of a quarter of an hour, and a gate that was opened."""
    await first.run(2400, **CALM)
    await first.run(600, **CALM | {"pump1__running": True})
    await first.run(60, **CALM | {"gate__text": "open"})
    await first.run(900, **CALM | {"pump1__running": True, "pump1__state": "fault"})
    await first.run(300, **CALM)


async def test_what_was_before_a_restart_is_known_after_it(tmp_path, clock):
    store = await EmbeddedHistorian.open(tmp_path, clock)
    first = OneRun(store, clock)
    await hour(first)
    assert first.standing() == {"opened"}
    await first.collector.flush()
    await store.close()

    await clock.advance(60)
    store = await EmbeddedHistorian.open(tmp_path, clock)
    again = OneRun(store, clock)
    again.poll(**CALM)
    assert again.blind() == {"rising", "starts", "faulty", "opened"}
    await again.recall.look()
    assert again.book.wants() == {}
    await again.run(5, **CALM)
    assert again.standing() == {"opened"}
    await again.run(10, **CALM | {"pump1__running": True})
    assert "starts" in again.standing()
    await again.run(400, **CALM | {"pump1__state": "fault"})
    assert "faulty" in again.standing()
    await store.close()


async def test_the_time_without_a_hub_is_not_known(tmp_path, clock):
    store = await EmbeddedHistorian.open(tmp_path, clock)
    first = OneRun(store, clock)
    await hour(first)
    await first.collector.flush()
    await clock.advance(1200)
    again = OneRun(store, clock)
    again.poll(**CALM)
    await again.recall.look()
    again.poll(**CALM)
    assert again.blind() == {"rising", "starts", "faulty", "opened"}  # 20 minutes of the hour are missing
    await again.run(600, **CALM)
    assert again.blind() == {"starts", "faulty", "opened"}
    await store.close()


async def test_a_device_that_is_described_anew_is_told_its_past_again(tmp_path, clock):
    store = await EmbeddedHistorian.open(tmp_path, clock)
    first = OneRun(store, clock)
    await first.recall.look()
    await hour(first)
    await first.collector.flush()
    first.hub.adopt(Device(DEVICE.id, "another name", DEVICE.kind, DEVICE.address), PLATE)
    first.poll(**CALM)
    assert "starts" in first.blind()
    await first.recall.look()
    first.poll(**CALM)
    assert first.blind() == set()
    await store.close()


async def test_while_the_history_cannot_be_read_the_rules_wait_and_what_is_too_much_is_let_be(tmp_path, clock, caplog):
    store = await EmbeddedHistorian.open(tmp_path, clock)
    it = OneRun(store, clock)

    class Trouble:
        error: Exception = HistoryUnavailable("history › is away")

        async def range(self, *_):
            raise self.error

    trouble = Trouble()
    recall = Recall(it.hub, it.book, trouble, store.catalogue, clock)
    await recall.look()
    await recall.look()
    assert set(it.book.wants()) == {DEVICE.id}
    assert caplog.text.count("history › is away") == 1
    trouble.error = AskedTooMuch("ask for less")
    await recall.look()
    assert it.book.wants() == {}
    await store.close()


async def test_a_thinned_point_stands_until_its_heartbeat(tmp_path, clock):
    """A value that does not move is stored once in its heartbeat: in between it is known."""
    store = await EmbeddedHistorian.open(tmp_path, clock)
    plate = Nameplate({"inlet.level": Point("inlet.level", unit="m", interval_s=5, deadband=0.01, heartbeat_s=600)}, {})
    book = Book([rule("mean(inlet.level, 1 h) > 1 m", name="mean")], lambda device: plate)
    collector = Collector(store, clock)
    it = OneRun(store, clock)
    it.book, it.collector, it.offer, it.thin = book, collector, collector.offer, collector.thinner.set
    it.hub = Hub(clock, it, Notebook(), book)
    it.hub.adopt(DEVICE, plate)
    for _ in range(8):
        await it.run(500, inlet__level=2.0)
        await collector.flush()
    number = store.catalogue.find(DEVICE.id, "inlet.level").id
    kept = (await store.range([number], 0, to_us(clock.now())))[number]
    assert len(kept) == 7
    it.hub.adopt(Device(DEVICE.id, "another name", DEVICE.kind, DEVICE.address), plate)
    it.poll(inlet__level=2.0)
    assert [blind.rule for blind in book.unknown(DEVICE.id)] == ["mean"]
    await Recall(it.hub, book, store, store.catalogue, clock).look()
    it.poll(inlet__level=2.0)
    assert book.unknown(DEVICE.id) == []
    assert [alarm.rule for alarm in it.hub.book.standing()] == ["mean"]
    await store.close()
