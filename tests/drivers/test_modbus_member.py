"""A device without a wire: what its answers, refusals and silences come to, in a time that the test makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from drivers.modbus import profile
from drivers.modbus.agenda import Agenda
from drivers.modbus.link import NoAnswer
from drivers.modbus.member import HELD_LEAST_S, RETESTS_S, Member, Poll
from drivers.modbus.plan import Breaker, Merging
from hub.model import LinkState, Quality, Reading, Words
from tests.drivers.modbus_site import PROFILES, Intake, device

NOON = datetime(2026, 11, 25, 4, tzinfo=UTC)
TIMEOUT_S = 0.05
GIVES = None  # an answer; a number is an exception's code
SILENT = -1


class Bench:
    """One device, and the line's part of the work. `says` tells what comes of a question for these addresses."""

    def __init__(self, says: Callable[[int, int], int | None]) -> None:
        self.says = says
        self.now = 0.0
        self.asked: list[tuple[float, int]] = []
        one = device("d", "modbus+tcp://h:502/1")
        self.intake = Intake([one])
        self.agenda = Agenda()
        self.member = Member(one, profile.load(PROFILES).plate("words", {}), 1, Merging(5), Breaker())
        self.member.start(self.agenda, self.intake, self.now)

    @property
    def at(self) -> datetime:
        return NOON + timedelta(seconds=self.now)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            job = self.agenda.next(self.now)
            if job is None:
                due_in = self.agenda.due_in(self.now)
                self.now = min(end, self.now + (seconds if due_in is None else max(due_in, 0.001)))
                continue
            assert isinstance(job, Poll)
            self._ask(job)

    def _ask(self, poll: Poll) -> None:
        self.asked.append((self.now, poll.ask.at))
        count = int.from_bytes(poll.ask.raw[3:5], "big")
        said = self.says(poll.ask.at, count)
        self.now += TIMEOUT_S if said == SILENT else 0.005
        if said == SILENT:
            self.member.silent(poll, NoAnswer("no answer"), self.at, self.now)
        elif said is None:
            self.member.answered(poll, bytes(2 * count), self.at, self.now)
        else:
            self.member.refused(poll, said, self.at, self.now)

    def told(self, point: str) -> list[Reading]:
        return [reading for reading in self.intake.taken if reading.point == point]

    def is_now(self, point: str) -> Quality:
        return self.intake.latest["d", point].quality


def only(first: int, last: int, what: int) -> Callable[[int, int], int | None]:
    """These registers say this; all others give their values."""
    return lambda at, count: what if at <= last and at + count > first else GIVES


@pytest.mark.parametrize("block", [0, 50, 100])
def test_a_block_that_is_silent_while_others_answer_is_its_own_trouble(block: int):
    bench = Bench(only(0, 0, GIVES))
    bench.run(1.0)
    bench.says = only(block, block + 20, SILENT)
    bench.run(30.0)
    assert {reading.value for reading in bench.told("link")} == {LinkState.UP, LinkState.DEGRADED}
    for other in {0, 50, 100} - {block}:
        assert len([r for r in bench.told(f"word.w{other}") if r.quality is Quality.GOOD]) > 250
    tries = [at for at, first in bench.asked if first == block and at > 1.0]
    assert 5 < len(tries) < 15
    assert bench.is_now(f"word.w{block}") is Quality.BAD
    assert bench.intake.value("d", "link") == LinkState.DEGRADED
    bench.says = only(0, 0, GIVES)
    bench.run(60.0)
    assert bench.is_now(f"word.w{block}") is Quality.GOOD
    assert bench.intake.value("d", "link") == LinkState.UP


@pytest.mark.parametrize("block", [0, 50, 100])
def test_a_unit_that_was_down_comes_back_though_one_of_its_blocks_does_not(block: int):
    bench = Bench(only(0, 0, GIVES))
    bench.run(1.0)
    bench.says = only(0, 400, SILENT)
    bench.run(20.0)
    assert bench.intake.value("d", "link") == LinkState.DOWN
    assert {first for _, first in bench.asked[-3:]} == {0, 50, 100}
    bench.says = only(block, block + 20, SILENT)
    bench.run(60.0)
    assert bench.intake.value("d", "link") == LinkState.DEGRADED
    for other in {0, 50, 100} - {block}:
        assert bench.is_now(f"word.w{other}") is Quality.GOOD
    assert bench.is_now(f"word.w{block}") is Quality.BAD


def test_a_unit_whose_blocks_all_fall_silent_is_down_after_two_of_them():
    bench = Bench(only(0, 0, GIVES))
    bench.run(1.0)
    bench.asked.clear()
    bench.says = only(0, 400, SILENT)
    while bench.intake.value("d", "link") != LinkState.DOWN:
        bench.run(0.01)
    assert len(bench.asked) == 3
    assert len({first for _, first in bench.asked}) == 2


def test_a_device_that_has_none_of_the_registers_is_probed_all_the_same():
    bench = Bench(only(0, 400, 2))
    bench.run(5.0)
    assert bench.member.polls == []
    bench.says = only(0, 400, SILENT)
    bench.run(100.0)
    assert bench.intake.value("d", "link") == LinkState.DOWN
    bench.says = only(0, 0, GIVES)
    bench.run(130.0)
    assert all(bench.is_now(f"word.w{at}") is Quality.GOOD for at in (0, 55, 111))
    assert bench.member.missing == []


def test_registers_that_are_not_there_are_asked_for_ever_more_rarely():
    bench = Bench(only(5, 5, 2))
    bench.run(1.0)
    for poll in bench.member.polls:
        poll.every_s = 100.0
    bench.run(sum(RETESTS_S) + 4000.0)
    times = [at for at, first in bench.asked if first == 5]
    pauses = [b - a for a, b in pairwise(times) if b - a > 5.0]
    assert pauses == pytest.approx([*RETESTS_S, RETESTS_S[-1]], abs=1.0)


def test_registers_that_were_not_there_are_asked_for_when_the_line_is_back():
    bench = Bench(only(50, 59, 2))  # a PLC that is being loaded
    bench.run(300.0)
    assert bench.is_now("word.w55") is Quality.BAD
    bench.member.cut(Words("modbus.line_down"), bench.at, bench.now)
    bench.says = only(0, 0, GIVES)
    bench.run(5.0)
    bench.member.reach(bench.now)
    bench.run(2.0)
    assert bench.is_now("word.w55") is Quality.GOOD


def test_what_was_not_read_is_no_measurement_and_not_in_doubt_for_ever():
    bench = Bench(only(0, 0, GIVES))
    bench.run(1.0)
    begun = bench.at
    bench.says = only(100, 120, SILENT)
    bench.run(20.0)
    since = [reading for reading in bench.told("word.w105") if reading.at > begun]
    assert {reading.value for reading in since} == {None}
    doubts = [reading for reading in since if reading.quality is Quality.UNCERTAIN]
    assert doubts
    assert {reading.why.key for reading in doubts if reading.why} == {"modbus.jitter"}
    assert doubts[-1].at - begun < timedelta(seconds=HELD_LEAST_S + 0.1)
    assert (since[-1].quality, since[-1].why) == (Quality.BAD, Words("modbus.no_answer"))
