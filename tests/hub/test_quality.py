"""How far a reading is believed: what cannot be true, what the device doubts, what does not move."""

from math import inf, nan
from typing import Any

import pytest

from hub.model import Kind, Nameplate, Point, Position, Quality, Words
from hub.slot import Slot

from .kit import STATION, reading, small_hub

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
KINDS = Nameplate(
    {
        "number": Point("number", unit="m", low=0.0, high=5.0),
        "free": Point("free"),
        "half": Point("half", low=0.0),
        "bool": Point("bool", Kind.BOOL),
        "enum": Point("enum", Kind.ENUM, labels={0: "stopped", 1: "running"}),
        "text": Point("text", Kind.TEXT),
        "place": Point("place", Kind.POSITION),
        "level": Point("level", stuck_after_s=1800.0, interval_s=60.0),
    }
)


def taken(point: str, value: Any, **more: Any) -> Slot:
    hub, _, _ = small_hub(NoRules(), KINDS)
    hub.take([reading(point, value, **more)])
    return hub.members[STATION.id].slots[point]


class NoRules:
    def bind(self, device: Any, slots: Any) -> dict[str, Any]:
        return {}

    def unbind(self, device: str) -> None: ...
    def restless(self, device: str) -> dict[str, None]:
        return {}

    def tick(self, now: Any) -> list[Any]:
        return []


@pytest.mark.parametrize("value", [0.0, 5.0, 2, 0])
def test_a_number_in_its_range_is_good(value: float):
    slot = taken("number", value)
    assert (slot.value, slot.quality, slot.why) == (value, GOOD, None)


@pytest.mark.parametrize("value", [-0.001, 5.001, 10**30])
def test_a_number_outside_its_range_is_shown_and_not_believed(value: float):
    slot = taken("number", value)
    wanted = Words("quality.out_of_range", {"value": value, "low": 0.0, "high": 5.0, "unit": "m"})
    assert (slot.value, slot.quality, slot.why) == (value, BAD, wanted)


def test_a_range_with_one_end_says_so_in_a_sentence_for_people():
    assert taken("half", -1.0).why == Words(
        "quality.out_of_range", {"value": -1.0, "low": 0.0, "high": "∞", "unit": ""}
    )


@pytest.mark.parametrize("point", ["number", "free"])
@pytest.mark.parametrize("value", [None, nan, inf, -inf, 10**400])
def test_nan_infinity_and_nothing_are_no_value(point: str, value: Any):
    slot = taken(point, value)
    assert (slot.value, slot.quality, slot.why) == (None, BAD, Words("quality.no_value"))


@pytest.mark.parametrize(
    ("point", "value", "shown"),
    [
        ("number", "3.2", "3.2"),
        ("bool", 2, "2"),
        ("bool", "on", "on"),
        ("text", 7, "7"),
        ("place", 7, "7"),
        pytest.param("text", 10**5000, "…", id="5001 digits"),
        ("number", "x" * 99, "x" * 40),
    ],
)
def test_what_is_not_of_the_points_kind_is_no_value(point: str, value: Any, shown: str):
    slot = taken(point, value)
    assert (slot.value, slot.quality) == (None, BAD)
    assert slot.why == Words("quality.wrong_kind", {"value": shown, "kind": KINDS.points[point].kind.value})


@pytest.mark.parametrize(("value", "truth"), [(1, True), (0, False), (True, True), (1.0, True)])
def test_a_bool_is_true_or_false_also_when_the_wire_says_one_or_nought(value: Any, truth: bool):
    assert taken("bool", value).value is truth


def test_a_code_that_the_profile_does_not_know_is_no_label_and_uncertain():
    slot = taken("enum", 7)
    assert (slot.value, slot.quality, slot.why) == (None, UNCERTAIN, Words("quality.unknown_code", {"code": "7"}))


def test_history_keeps_an_enum_by_its_code_and_a_text_by_a_code_of_its_own():
    hub, diary, _ = small_hub(NoRules(), KINDS)
    for second, (state, text) in enumerate([("stopped", "a"), ("running", "b"), ("running", "b")]):
        hub.take([reading("enum", state, second), reading("text", text, second)])
    assert [value for _, value, _ in diary.of("enum")] == [0, 1, 1]
    assert [value for _, value, _ in diary.of("text")] == [1, 2, 2]


@pytest.mark.parametrize("place", [Position(91, 0), Position(0, 181), Position(nan, 0), Position(0, inf)])
def test_a_place_that_is_not_on_earth_is_no_value(place: Position):
    slot = taken("place", place)
    assert (slot.value, slot.quality) == (None, BAD)


def test_the_drivers_doubt_and_its_reason_are_kept():
    why = Words("modbus.busy")
    slot = taken("number", 1.0, quality=UNCERTAIN, why=why)
    assert (slot.value, slot.quality, slot.why) == (1.0, UNCERTAIN, why)
    assert taken("number", 1.0, quality=BAD).why == Words("quality.device_says_so")
    assert taken("number", None, quality=BAD, why=why).why == why


def test_what_cannot_be_true_is_bad_however_mildly_the_driver_doubts_it():
    assert taken("number", 9.0, quality=UNCERTAIN, why=Words("modbus.busy")).quality is BAD
    slot = taken("number", nan, quality=UNCERTAIN, why=Words("modbus.busy"))
    assert (slot.value, slot.quality) == (None, BAD)


def test_the_last_good_value_is_kept_while_it_is_not_good():
    hub, _, _ = small_hub(NoRules(), KINDS)
    slot = hub.members[STATION.id].slots["number"]
    assert (slot.last_good, slot.last_good_at) == (None, None)
    hub.take([first := reading("number", 2.0)])
    for second, value in ((1, 9.0), (2, None), (3, 8.0)):
        hub.take([reading("number", value, second)])
        assert (slot.last_good, slot.last_good_at) == (2.0, first.at)
    hub.take([again := reading("number", 3.0, 4)])
    assert (slot.last_good, slot.last_good_at) == (3.0, again.at)


# ---- stuck --------------------------------------------------------------------------------------------------------


async def test_a_sensor_that_does_not_move_is_believed_less_until_it_moves():
    hub, _, clock = small_hub(NoRules(), KINDS)
    slot = hub.members[STATION.id].slots["level"]
    for minute in range(33):
        hub.take([reading("level", 2.0, 60 * minute)])
        assert (slot.quality is UNCERTAIN) == (minute >= 30), minute
        await clock.advance(60)
    assert slot.why == Words("quality.stuck", {"minutes": 32})
    hub.take([reading("level", 2.1, 60 * 33)])
    assert (slot.quality, slot.why) == (GOOD, None)


async def test_a_sensor_that_is_not_read_now_and_then_looks_stuck_all_the_same():
    hub, _, clock = small_hub(NoRules(), KINDS)
    slot = hub.members[STATION.id].slots["level"]
    for minute in range(32):
        more = {"quality": UNCERTAIN, "why": Words("modbus.busy")} if minute % 2 else {}
        hub.take([reading("level", None if minute % 2 else 2.0, 60 * minute, **more)])
        assert slot.newest_value == 2.0
        await clock.advance(60)
    hub.take([reading("level", 2.0, 60 * 32)])
    assert slot.why == Words("quality.stuck", {"minutes": 32})


async def test_a_late_reading_does_not_make_a_sensor_look_stuck_or_alive():
    hub, _, clock = small_hub(NoRules(), KINDS)
    slot = hub.members[STATION.id].slots["level"]
    for minute in range(20):
        hub.take([reading("level", 2.0 if minute else 1.0, 60 * minute)])
        hub.take([reading("level", 7.0, -3600 + minute, came=60 * minute)])
        await clock.advance(60)
    assert slot.quality is GOOD
    for minute in range(20, 32):
        hub.take([reading("level", 2.0, 60 * minute)])
        hub.take([reading("level", 7.0, -3600 + minute, came=60 * minute)])
        await clock.advance(60)
    assert (slot.quality, slot.why) == (UNCERTAIN, Words("quality.stuck", {"minutes": 30}))


async def test_after_a_silence_a_sensor_has_its_time_again_before_it_looks_stuck():
    hub, _, clock = small_hub(NoRules(), KINDS)
    slot = hub.members[STATION.id].slots["level"]
    hub.take([reading("level", 2.0, 0)])
    for _ in range(3600):
        await clock.advance(1)
        hub.tick()
    assert slot.quality is BAD
    hub.take([reading("level", 2.0, 3600)])
    assert (slot.quality, slot.why) == (GOOD, None)
    await clock.advance(1801)
    hub.take([reading("level", 2.0, 5401)])
    assert slot.quality is UNCERTAIN
