"""The nouns say what they are, cannot be changed, and come through the ledger as they were."""

from datetime import UTC, datetime

import msgspec
import pytest

from hub.model import FINAL, Command, CommandRecord, Device, Point, Position, Quality, Reading, Receipt, Stage, Words

from .kit import NOON, PLATE, START


@pytest.mark.parametrize(
    ("address", "driver"),
    [
        ("modbus+tcp://10.0.4.7:502/1", "modbus"),
        ("modbus+rtu:///dev/ttyS0?baud=9600#3", "modbus"),
        ("jt808:13912345678", "jt808"),
        ("mqtt:speaker/7", "mqtt"),
        ("gb28181:34020000001320000001", "gb28181"),
    ],
)
def test_an_address_names_its_driver(address: str, driver: str):
    assert Device("a", "a", "k", address).driver == driver


def test_the_better_quality_is_the_greater():
    assert Quality.BAD < Quality.UNCERTAIN < Quality.GOOD


def test_what_is_final_and_what_is_on_its_way():
    assert set(Stage) - FINAL == {Stage.SENT, Stage.ACKNOWLEDGED}


def test_a_record_says_how_far_its_command_got():
    command = Command("c", "d", "a", {}, "wang.min", "irrigation", NOON, NOON)
    assert (CommandRecord(command).stage, CommandRecord(command).final) == (None, False)
    sent = Receipt("c", Stage.SENT, NOON)
    assert (CommandRecord(command, (sent,)).stage, CommandRecord(command, (sent,)).final) == (Stage.SENT, False)
    done = Receipt("c", Stage.ACKNOWLEDGED, NOON, last=True)
    assert CommandRecord(command, (sent, done)).final


def test_nouns_cannot_be_changed():
    reading = Reading("d", "p", 1.0, NOON, NOON)
    with pytest.raises(AttributeError):
        reading.value = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "noun",
    [
        PLATE,
        START,
        Point("a", labels={0: "x"}, label_titles={"x": {"en": "X", "zh-CN": "叉"}}),
        Receipt("c", Stage.SENT, datetime(2026, 6, 1, 4, 0, 0, 123456, tzinfo=UTC), Words("a.b", {"n": 1, "t": "文"})),
        Reading("d", "p", Position(30.25, 120.1), NOON, NOON, Quality.UNCERTAIN, Words("w")),
    ],
)
def test_nouns_come_through_json_as_they_were(noun: msgspec.Struct):
    assert msgspec.json.decode(msgspec.json.encode(noun), type=type(noun)) == noun


def test_two_words_do_not_share_their_values():
    assert Words("a").args is not Words("b").args
