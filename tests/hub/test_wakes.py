"""Rules are woken by what changes; by what repeats itself only while they wait for time to pass. With the real book."""

from typing import Any

from hub.hub import Hub
from hub.model import Nameplate, Quality
from rules.book import Book
from rules.load import read

from .kit import LEVEL, NOON, STATION, Diary, Nowhere, at, reading, small_hub

RULE = {
    "name": "sump high",
    "kind": "pump_station",
    "when": "sump.level > 3 m",
    "hold": "30 s",
    "until": "sump.level < 2.5 m",
    "severity": "high",
    "say": {"zh-CN": "水位高", "en": "level high"},
    "do": {"zh-CN": "检查", "en": "check"},
}
PLATE = Nameplate({LEVEL.key: LEVEL})


class Watched(Book):
    """The real book, which notes at what times it judges."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.judged: list[float] = []

    def step(self, tokens: Any, at: Any) -> Any:
        self.judged.append((at - NOON).total_seconds())
        return super().step(tokens, at)


def hub_with_book() -> tuple[Hub, Watched]:
    book = Watched([read(RULE)], lambda device: PLATE)
    clock = small_hub()[2]
    hub = Hub(clock, Diary(), Nowhere(), book)
    hub.adopt(STATION, PLATE)
    return hub, book


def test_what_repeats_itself_wakes_nobody_who_has_judged_it():
    hub, book = hub_with_book()
    for second in range(0, 100, 10):
        hub.take([reading("sump.level", 1.0, second)])
    assert book.judged == [0]
    hub.take([reading("sump.level", 1.1, 100)])
    assert book.judged == [0, 100]


def test_a_hold_is_over_at_the_very_reading_though_its_value_never_moves():
    hub, book = hub_with_book()
    for second in (0, 10, 20, 29, 30, 40, 50):
        hub.take([reading("sump.level", 4.0, second)])
        assert bool(hub.book.standing()) == (second >= 30), second
    (alarm,) = hub.book.standing()
    assert (alarm.raised_at, alarm.since) == (at(30), at(0))
    assert book.judged == [0, 10, 20, 29, 30]  # and once it stands, what repeats itself is no news


def test_a_reading_that_stops_being_good_and_comes_back_the_same_is_judged_both_times():
    hub, book = hub_with_book()
    hub.take([reading("sump.level", 1.0, 0)])
    hub.take([reading("sump.level", None, 10, quality=Quality.BAD)])
    hub.take([reading("sump.level", 1.0, 20)])
    assert book.judged == [0, 10, 20]


def test_a_late_hand_wakes_nobody_not_even_who_waits_for_time_to_pass():
    hub, book = hub_with_book()
    hub.take([reading("sump.level", 4.0, 100)])
    hub.take([reading("sump.level", 4.0, 40, came=101), reading("sump.level", 4.0, 60, came=101)])
    assert book.judged == [100]
    hub.take([reading("sump.level", 4.0, 120)])
    assert hub.book.standing() == []
    hub.take([reading("sump.level", 4.0, 130)])
    assert [alarm.since for alarm in hub.book.standing()] == [at(100)]


def test_a_device_described_anew_is_judged_anew():
    hub, book = hub_with_book()
    hub.take([reading("sump.level", 4.0, 0)])
    hub.adopt(STATION, PLATE)
    hub.take([reading("sump.level", 4.0, 10)])
    assert book.judged == [0, 10]
    hub.take([reading("sump.level", 4.0, 30)])
    assert [alarm.since for alarm in hub.book.standing()] == [at(0)]
