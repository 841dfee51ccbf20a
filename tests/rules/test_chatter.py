"""A value that hops at its limit: one alarm, a mark, and peace until it has been calm for a while."""

from hub.clock import ManualClock
from hub.model import AlarmEvent
from rules.engine import CALM, MOST_CALM
from tests.rules.field import Scene, rule
from tests.rules.test_in_the_hub import CALM as FINE
from tests.rules.test_in_the_hub import DEVICE, Station

HIGH = "inlet.level > 3.20 m"


def hop(scene: Scene, start: int, seconds: int) -> list[str]:
    """Over the limit and under it, each second; over it in the first."""
    told = []
    for second in range(start, start + seconds):
        told += scene.take(second, inlet__level=3.19 if (second - start) % 2 else 3.21)
        told += scene.tick(second + 0.5)
    return told


def test_an_hour_at_the_limit_is_three_raises_and_one_end():
    scene = Scene(rule(HIGH))
    assert hop(scene, 0, 3600) == ["r raised", "r returned"] * 2 + ["r raised"]
    assert [it.chatters for it in scene.found if it.event is AlarmEvent.RAISED] == [False, False, True]
    assert scene.take(3600, inlet__level=3.0) == []
    over = next(second for second in range(3600, 4000) if scene.tick(second))
    assert over == 3599 + CALM.total_seconds()  # the last hop down


def test_each_time_it_comes_back_it_must_be_calm_for_twice_as_long():
    scene = Scene(rule(HIGH))
    hop(scene, 0, 20)
    at, lasted = 20, []
    for _ in range(6):
        scene.take(at, inlet__level=3.0)
        over = next(second for second in range(at, at + 2000) if scene.tick(second))
        lasted.append(over - at + 1)
        at = over + 10
        assert scene.take(at, inlet__level=3.3) == ["r raised"]
        assert scene.found[-1].chatters
        at += 1
    calm_s, most_s = CALM.total_seconds(), MOST_CALM.total_seconds()
    assert lasted[1:] == [2 * calm_s + 1, 4 * calm_s + 1, 8 * calm_s + 1, most_s + 1, most_s + 1]


def test_what_comes_back_after_a_long_calm_is_an_ordinary_alarm():
    scene = Scene(rule(HIGH))
    hop(scene, 0, 20)
    scene.take(21, inlet__level=3.0)
    scene.tick(100)
    assert scene.take(2000, inlet__level=3.3) == ["r raised"]
    assert not scene.found[-1].chatters
    assert scene.take(2001, inlet__level=3.0) == ["r returned"]


def test_twice_in_a_minute_or_three_times_in_two_is_no_chatter():
    scene = Scene(rule(HIGH))
    for at in (0, 40, 80, 120):
        assert scene.take(at, inlet__level=3.3) == ["r raised"]
        assert not scene.found[-1].chatters
        assert scene.take(at + 5, inlet__level=3.0) == ["r returned"]


def test_bad_data_neither_end_the_calm_nor_break_it():
    scene = Scene(rule(HIGH))
    hop(scene, 0, 20)
    scene.take(20, inlet__level=...)
    assert scene.tick(600) == []  # nobody knows that it is over
    assert scene.take(601, inlet__level=3.0) == ["r returned"]


async def test_on_the_operators_list_it_is_one_alarm_with_a_mark_and_stays_acknowledged():
    it = Station(clock=ManualClock(), rules=(rule(HIGH),))
    for n in range(10):
        it.take({**FINE, "inlet.level": 3.19 if n % 2 else 3.21})
        await it.clock.advance(1)
        it.hub.tick()
    (alarm,) = it.hub.book.standing()
    assert (alarm.count, alarm.chatters) == (3, True)
    written = len(it.ledger.entries)
    await it.hub.alarms.acknowledge(alarm.id, "li.na")
    for n in range(3600):
        it.take({**FINE, "inlet.level": 3.19 if n % 2 else 3.21})
        await it.clock.advance(1)
        it.hub.tick()
    (after,) = it.hub.book.standing()
    assert (after.id, after.device, after.state) == (alarm.id, DEVICE.id, "acknowledged")
    assert len(it.ledger.entries) == written + 1
