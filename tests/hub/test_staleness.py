"""Silence is never "all right": what is not heard of is first doubted, then not believed, and history has a gap."""

from math import isnan
from typing import Any

from hub.model import Kind, Nameplate, Point, Quality, Words

from .kit import PLATE, STATION, Desk, Limit, at, reading, small_hub

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


async def seconds(hub: Any, clock: Any, count: int) -> None:
    for _ in range(count):
        await clock.advance(1)
        hub.tick()


async def test_a_silent_point_is_uncertain_after_three_intervals_and_bad_after_nine():
    hub, diary, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]  # every 10 s
    hub.take([reading("sump.level", 1.0)])
    await seconds(hub, clock, 30)
    assert slot.quality is GOOD
    await seconds(hub, clock, 1)
    assert (slot.value, slot.quality) == (1.0, UNCERTAIN)
    assert slot.why == Words("quality.stale", {"age_s": 31, "every_s": 10})
    await seconds(hub, clock, 59)
    assert slot.quality is UNCERTAIN
    await seconds(hub, clock, 2)
    assert (slot.value, slot.quality, slot.last_good, slot.last_good_at) == (1.0, BAD, 1.0, at(0))
    assert slot.why is not None
    assert slot.why.key == "quality.stale"
    gap = [(second, quality) for second, value, quality in diary.of("sump.level") if isnan(value)]
    assert gap == [(31, UNCERTAIN), (91, BAD)]


async def test_a_slow_point_is_waited_for_in_its_own_time():
    slow = Point("rain", interval_s=3600.0)
    hub, _, clock = small_hub(plate=Nameplate({**PLATE.points, "rain": slow}))
    slot = hub.members[STATION.id].slots["rain"]
    hub.take([reading("rain", 1.0)])
    await seconds(hub, clock, 10_800)
    assert slot.quality is GOOD
    await seconds(hub, clock, 1)
    assert slot.quality is UNCERTAIN


async def test_a_reading_ends_the_silence_also_one_of_the_same_value():
    hub, _, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0)])
    await seconds(hub, clock, 200)
    assert slot.quality is BAD
    hub.take([reading("sump.level", 1.0, 200)])
    assert (slot.quality, slot.why) == (GOOD, None)
    await seconds(hub, clock, 31)
    assert slot.quality is UNCERTAIN


async def test_a_quick_point_that_comes_back_is_waited_for_though_a_slow_one_is_quiet():
    plate = Nameplate({**PLATE.points, "rain": Point("rain", interval_s=3600.0)})
    hub, _, clock = small_hub(plate=plate)
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0), reading("rain", 0.0)])
    await seconds(hub, clock, 200)
    assert slot.quality is BAD
    hub.take([reading("sump.level", 1.1, 200)])
    await seconds(hub, clock, 31)
    assert slot.quality is UNCERTAIN


async def test_a_point_first_heard_long_after_the_others_is_waited_for_too():
    plate = Nameplate({"rain": Point("rain", interval_s=3600.0), "level": Point("level", interval_s=1.0)})
    hub, _, clock = small_hub(NoRules(), plate)
    slot = hub.members[STATION.id].slots["level"]
    hub.take([reading("rain", 0.0)])
    await seconds(hub, clock, 100)
    hub.take([reading("level", 1.0, 100)])
    await seconds(hub, clock, 4)
    assert slot.quality is UNCERTAIN


class NoRules(Limit):
    def bind(self, device: Any, slots: Any) -> Any:
        return {}


async def test_a_device_that_is_described_anew_and_then_silent_does_not_stay_green():
    hub, _, clock = small_hub()
    hub.take([reading("sump.level", 1.0)])
    await seconds(hub, clock, 5)
    hub.adopt(STATION, PLATE)
    await seconds(hub, clock, 26)
    assert hub.members[STATION.id].slots["sump.level"].quality is UNCERTAIN


async def test_a_doubtful_value_that_falls_silent_says_that_it_is_silent():
    hub, _, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0, quality=UNCERTAIN, why=Words("modbus.busy"))])
    await seconds(hub, clock, 31)
    assert slot.quality is UNCERTAIN
    assert slot.why is not None
    assert slot.why.key == "quality.stale"


async def test_what_was_never_heard_says_so_and_not_that_it_is_silent():
    hub, diary, clock = small_hub()
    await seconds(hub, clock, 100)
    slot = hub.members[STATION.id].slots["sump.level"]
    assert (slot.quality, slot.why, diary.rows) == (BAD, Words("quality.no_data_yet"), [])


async def test_a_reason_that_the_driver_gave_is_not_covered_up_by_silence():
    hub, _, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", None, quality=BAD, why=Words("modbus.no_answer"))])
    await seconds(hub, clock, 300)
    assert slot.why == Words("modbus.no_answer")


async def test_silence_wakes_the_rules_tells_the_watchers_and_neither_raises_nor_clears():
    rule, desk = Limit(), Desk()
    hub, _, clock = small_hub(rule)
    hub.watch(desk)
    hub.take([reading("sump.level", 4.0)])
    await seconds(hub, clock, 200)
    assert len(rule.judged) == 3
    assert [points for _, points in desk.changes] == [["sump.level"]] * 3
    assert [alarm.state for alarm in hub.book.standing()] == ["unacknowledged"]


async def test_a_step_of_the_wall_clock_is_no_silence():
    hub, _, clock = small_hub()
    slot = hub.members[STATION.id].slots["sump.level"]
    hub.take([reading("sump.level", 1.0)])
    clock.jump(86_400)
    await seconds(hub, clock, 20)
    assert slot.quality is GOOD
    clock.jump(-172_800)
    await seconds(hub, clock, 11)
    assert slot.quality is UNCERTAIN


async def test_a_bool_is_stale_by_its_own_interval():
    hub, _, clock = small_hub(plate=Nameplate({**PLATE.points, "run": Point("run", Kind.BOOL, interval_s=2.0)}))
    hub.take([reading("run", True)])
    await seconds(hub, clock, 7)
    assert hub.members[STATION.id].slots["run"].quality is UNCERTAIN


async def test_looking_for_silence_keeps_no_more_than_it_needs():
    hub, _, clock = small_hub()
    for second in range(2_000):
        hub.take([reading("sump.level", None if second % 2 else 1.0, second)])
        await clock.advance(1)
        hub.tick()
    assert len(hub._silences) < 100
