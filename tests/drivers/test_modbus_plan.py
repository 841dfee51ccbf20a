"""What is read together, what a refusal teaches, who goes first, and how long a pause lasts: all without a wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.modbus.agenda import LOWLY_TURN, Agenda
from drivers.modbus.plan import Backoff, Block, Breaker, Class, Limits, Merging, Search, block_of, blocks
from drivers.modbus.rows import Row
from hub.model import LinkState


def row(at: int, registers: int = 1, fn: int = 3, every_s: float = 5.0) -> Row:
    type = {1: "u16", 2: "f32", 4: "f64"}[registers]
    return Row(f"r{at}", at, fn, type if fn > 2 else "bool", "", registers, every_s, {})


def spans(plan: list[Block]) -> list[tuple[int, int, int]]:
    return [(block.fn, block.at, block.count) for block in plan]


def test_rows_are_joined_over_small_gaps_and_parted_at_large_ones():
    rows = [row(0), row(3, 2), row(30), row(31)]
    assert spans(blocks(rows, Merging(max_gap=5))) == [(3, 0, 5), (3, 30, 2)]
    assert spans(blocks(rows, Merging(max_gap=40))) == [(3, 0, 32)]
    assert spans(blocks(rows, Merging(merge=False))) == [(3, 0, 1), (3, 3, 2), (3, 30, 1), (3, 31, 1)]


def test_functions_and_periods_are_not_mixed_and_no_value_is_cut():
    rows = [row(0), row(1, fn=4), row(2, every_s=60.0), row(3, 4)]
    assert spans(blocks(rows, Merging())) == [(3, 0, 7), (3, 2, 1), (4, 1, 1)]
    assert spans(blocks([row(0, 4), row(4, 4), row(8, 4)], Merging(max_count=10))) == [(3, 0, 8), (3, 8, 4)]


def test_sixteen_bits_count_as_one_register():
    rows = [row(at, fn=1) for at in (0, 100, 1000)]
    assert spans(blocks(rows, Merging(max_gap=10, max_count=20))) == [(1, 0, 101), (1, 1000, 1)]


def test_the_same_register_in_two_meanings_is_read_once():
    assert spans(blocks([row(5), row(5), row(5)], Merging(merge=False))) == [(3, 5, 1)]


@given(st.sets(st.integers(0, 300), min_size=1), st.integers(0, 20), st.integers(1, 125))
def test_every_row_is_read_by_exactly_one_block_within_the_limits(places: set[int], gap: int, most: int):
    plan = blocks([row(at) for at in places], Merging(gap, most))
    assert sorted(r.at for block in plan for r in block.rows) == sorted(places)
    assert all(block.count <= most for block in plan)
    assert all(b.at - (a.at + a.count) > gap or b.at + b.count - a.at > most for a, b in pairwise(plan))


# ---- search -------------------------------------------------------------------------------------------------------


def search(rows: list[Row], has: Callable[[int, int], bool], good: int = 0) -> Search:
    limits = Limits(100)
    limits.good = good
    found = Search(block_of(rows), limits, Merging())
    while (part := found.question) is not None:
        assert found.asked < 200
        found.answer(has(part.at, part.count))
    return found


def hole(first: int, last: int) -> Callable[[int, int], bool]:
    return lambda at, count: at > last or at + count <= first


def test_ten_holes_in_a_hundred_registers_are_found_within_forty_questions():
    found = search([row(at) for at in range(100)], hole(10, 19))
    assert sorted(r.at for r in found.missing) == list(range(10, 20))
    assert spans(found.kept) == [(3, 0, 10), (3, 20, 80)]
    assert found.asked <= 40
    assert found.limit is None


def test_a_device_that_answers_sixteen_registers_at_most_loses_no_row():
    found = search([row(at) for at in range(100)], lambda at, count: count <= 16, good=100)
    assert found.missing == []
    assert found.limit is not None
    assert 8 <= found.limit <= 16
    assert found.asked <= 40
    assert all(block.count <= 16 for block in found.kept)


def test_holes_and_the_short_limit_together_are_found_within_two_searches():
    has = lambda at, count: count <= 16 and hole(10, 19)(at, count)  # noqa: E731
    first = search([row(at) for at in range(100)], has)
    assert sorted(r.at for r in first.missing) == list(range(10, 20))
    again = [search(list(block.rows), has) for block in first.kept if not has(block.at, block.count)]
    assert all(one.missing == [] and one.limit for one in again)


def test_a_gap_that_cannot_be_read_parts_the_block_there_and_blames_no_row():
    rows = [row(at) for at in (*range(0, 10), *range(20, 30))]
    found = search(rows, hole(10, 19))
    assert (found.missing, found.limit, found.asked) == ([], None, 2)
    assert spans(found.kept) == [(3, 0, 10), (3, 20, 10)]


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60)), st.integers(0, 100))
def test_a_search_ends_with_every_row_either_kept_or_rightly_missing(places: set[int], holes: set[int], good: int):
    rows = [row(at) for at in sorted(places)]
    has = lambda at, count: not holes & set(range(at, at + count))  # noqa: E731
    whole = block_of(rows)
    assume(not has(whole.at, whole.count))  # or there would be no search
    found = search(rows, has, good)
    assert {r.at for r in found.missing} == places & holes
    assert sorted([r.at for b in found.kept for r in b.rows] + [r.at for r in found.missing]) == sorted(places)


# ---- breaker and backoff ------------------------------------------------------------------------------------------


def test_three_misses_in_a_row_make_a_unit_down_and_its_probes_grow_rare():
    breaker = Breaker(longest_pause_s=4.0)
    states = []
    for _ in range(3):
        breaker.missed(10.0)
        states.append(breaker.state)
    assert states == [LinkState.DEGRADED, LinkState.DEGRADED, LinkState.DOWN]
    pauses = [breaker.probe_at - 10.0]
    for _ in range(5):
        breaker.missed(10.0)
        pauses.append(breaker.probe_at - 10.0)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert breaker.answered() is True


def test_a_unit_that_misses_now_and_then_stays_degraded_until_it_has_answered_five_times():
    breaker = Breaker()
    assert breaker.answered() is False
    assert breaker.state is LinkState.UP
    breaker.missed(0.0)
    states = []
    for _ in range(6):
        assert breaker.answered() is False
        states.append(breaker.state)
    assert states == [LinkState.DEGRADED] * 4 + [LinkState.UP] * 2


def test_pauses_double_up_to_a_minute_and_are_spread_by_a_fifth():
    backoff = Backoff(Random(7))
    pauses = [backoff.pause() for _ in range(9)]
    for pause, middle in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.8 * middle <= pause <= 1.2 * middle
    assert len({round(Backoff(Random(seed)).pause(), 6) for seed in range(200)}) == 200
    backoff.reset()
    assert backoff.pause() <= 1.2


# ---- agenda -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Task:
    unit: int
    turn: Class = Class.FAST
    due: float = 0.0
    every_s: float = 1.0


def drained(agenda: Agenda, now: float = 0.0, most: int = 100) -> list[Task]:
    found = []
    while len(found) < most and (job := agenda.next(now)) is not None:
        found.append(job)
    return found


def test_lower_classes_wait_for_higher_ones():
    agenda = Agenda()
    for turn in reversed(Class):
        agenda.put(Task(1, turn))
    assert [job.turn for job in drained(agenda)] == list(Class)


def test_units_take_turns_within_a_class():
    agenda = Agenda()
    for unit in (1, 1, 1, 2, 3, 3):
        agenda.put(Task(unit))
    assert [job.unit for job in drained(agenda)] == [1, 2, 3, 1, 3, 1]


def test_whoever_was_served_goes_behind_those_who_have_become_due_meanwhile():
    agenda = Agenda()
    for _ in range(2):
        agenda.put(Task(2))
    assert agenda.next(0.0).unit == 2
    agenda.later(Task(1, due=0.5))
    assert [agenda.next(1.0).unit, agenda.next(1.0).unit] == [1, 2]


def test_a_late_poll_is_not_made_up_for_but_counted():
    agenda, job = Agenda(), Task(1, due=0.0, every_s=1.0)
    agenda.again(job, now=0.2)
    assert (job.due, agenda.overruns) == (1.0, 0)
    agenda.next(1.0)
    agenda.again(job, now=4.5)
    assert (job.due, agenda.overruns) == (5.0, 3)
    assert agenda.due_in(4.5) == pytest.approx(0.5)


def test_a_held_unit_is_passed_over_but_not_its_commands():
    agenda = Agenda()
    agenda.put(Task(1))
    agenda.put(Task(2))
    agenda.hold(1, until=5.0)
    assert [job.unit for job in drained(agenda, 1.0)] == [2]
    assert agenda.due_in(1.0) == 4.0
    agenda.put(Task(1, Class.SAFETY))
    assert [job.turn for job in drained(agenda, 1.0)] == [Class.SAFETY]
    assert [job.turn for job in drained(agenda, 5.0)] == [Class.FAST]


def test_a_probe_gets_its_turn_on_a_line_that_is_never_idle():
    agenda = Agenda()
    agenda.put(Task(9, Class.PROBE))
    order = []
    for _ in range(2 * LOWLY_TURN):
        agenda.put(Task(1))
        order.append(agenda.next(0.0).turn)
    assert order.count(Class.PROBE) == 1
    assert order.index(Class.PROBE) == LOWLY_TURN


def test_a_bus_with_more_to_do_than_it_can_leaves_nobody_out():
    agenda, now = Agenda(), 0.0
    kinds = {Class.FAST: (2.0,), Class.NORMAL: (5.0, 30.0), Class.SLOW: (60.0, 3600.0)}
    jobs = [Task(unit, turn, 0.0, every_s) for unit in range(20) for turn, some in kinds.items() for every_s in some]
    done: dict[Task, list[float]] = {job: [] for job in jobs}
    for job in jobs:
        agenda.later(job)
    while now < 300.0:
        if (job := agenda.next(now)) is None:
            now += 0.01
            continue
        now += 0.106  # a question at 9600 baud (modbus.md §3): 20 slaves have 1.6 times what the line can
        done[job].append(now)
        agenda.again(job, now)
    for job, times in done.items():
        longest = max(b - a for a, b in pairwise([0.0, *times]))
        assert longest < 2 * job.every_s + 5.0, (job.turn, job.every_s)
        assert min(map(len, done.values())) > 0
    assert agenda.overruns > 0


def test_a_poll_that_may_wait_for_an_hour_does_not_hide_one_that_may_not():
    agenda = Agenda()
    agenda.put(Task(1, Class.SLOW, 0.0, 3600.0))
    agenda.put(Task(1, Class.SLOW, 0.0, 60.0))
    order = []
    for now in range(0, 130, 2):
        agenda.put(Task(2, Class.FAST, float(now), 2.0))
        order.append(agenda.next(float(now)).every_s)
    assert order.index(60.0) <= 33
    assert order.count(2.0) >= 62


def test_a_line_rests_until_the_unit_that_it_waits_for_may_be_asked():
    agenda = Agenda()
    agenda.hold(1, until=10.0)
    agenda.hold(2, until=13.0)
    agenda.put(Task(2))
    assert agenda.next(11.0) is None
    assert agenda.due_in(11.0) == 2.0


def test_dropped_jobs_and_the_rest_of_a_cycle_are_gone():
    agenda = Agenda()
    jobs = [Task(unit) for unit in (1, 1, 2, 2)]
    for job in (*jobs, awaited := Task(1, Class.READ_BACK)):
        agenda.put(job)
    agenda.later(later := Task(3, due=9.0))
    agenda.drop([jobs[0], later])
    assert agenda.take_back([later, jobs[1]]) == [jobs[1]]
    assert drained(agenda, 10.0) == [awaited, *jobs[2:]]
    assert agenda.due_in(10.0) is None


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(list(Class)), st.floats(0, 5)), max_size=40))
def test_every_job_is_done_once_and_none_is_lost(jobs: list[tuple[int, Class, float]]):
    agenda, tasks = Agenda(), [Task(unit, turn, due) for unit, turn, due in jobs]
    for k, task in enumerate(tasks):
        (agenda.put if k % 2 else agenda.later)(task)
    done = [job for now in (0.0, 1.0, 2.5, 5.0) for job in drained(agenda, now)]
    assert sorted(map(id, done)) == sorted(map(id, tasks))
