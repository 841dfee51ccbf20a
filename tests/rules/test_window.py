"""What a window says of a course of values: against a slow look at every second of it."""

from math import inf, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.window import MAX_PIECES, MIN_KNOWN, Fold, Window

SPAN = 60


def slowly(fold, course, at, span=SPAN):
    """`course`: the value at each second, None where it is unknown. The seconds of the window, looked at one by one."""
    seconds = range(at - span, at)
    values = [course.get(second) for second in seconds]
    known = [it for it in values if it is not None]
    now = course.get(at)
    if fold is Fold.CHANGE:
        then = course.get(at - span)
        return None if now is None or then is None else now - then
    if len(known) < span * MIN_KNOWN:
        return None
    shown = [it for it in (*values, now) if it is not None]
    match fold:
        case Fold.MEAN:
            return sum(known) / len(known)
        case Fold.MIN:
            return min(shown)
        case Fold.MAX:
            return max(shown)
        case Fold.TIME:
            return sum(known)
    return began(course, at, span)


def began(course, at, span):
    """How often it became 1 that was 0 when last known, in the window and now."""
    count, last = 0, None
    for second in sorted(course):
        value = course[second]
        if second <= at and value is not None:
            count += second > at - span and value == 1 and last == 0
            last = value
    return count


VALUES = {
    fold: st.sampled_from([None, 0.0, 1.0]) if fold in (Fold.COUNT, Fold.TIME) else st.none() | st.integers(-9, 9)
    for fold in Fold
}


@pytest.mark.parametrize("fold", list(Fold))
@given(data=st.data())
@settings(max_examples=150)
def test_a_window_says_what_a_slow_look_at_every_second_says(fold, data):
    steps = data.draw(st.lists(st.tuples(st.integers(1, 40), VALUES[fold]), min_size=1, max_size=30))
    value, second, course = None, 0, {}
    window = Window(fold, SPAN, lambda: value)
    for length, value in steps:
        window.look(second)
        for _ in range(length):
            course[second] = value
            second += 1
        window.look(second - 1)
        expected = slowly(fold, course, second - 1)
        if expected is None:
            assert window.trusted is None
        else:
            assert isclose(window.trusted, expected, abs_tol=1e-9), (fold, course)


@given(st.lists(st.tuples(st.integers(1, 40), VALUES[Fold.COUNT]), min_size=2, max_size=30), st.integers(0, 600))
@settings(max_examples=150)
def test_what_was_told_afterwards_is_as_if_it_had_been_there(steps, cut):
    """A restart: what the history knows comes in when the window has seen newer things already."""
    for fold in Fold:
        now = [None]
        whole, late = (Window(fold, SPAN, lambda now=now: now[0]) for _ in range(2))
        past, second = [], 0
        for length, value in steps:
            now[0] = value
            whole.look(second)
            if second < cut:
                past.append((float(second), value))
            else:
                late.look(second)
            second += length
        if second <= cut:
            continue
        late.look(second - 1)
        whole.look(second - 1)
        late.before(past)
        late.look(second)
        whole.look(second)
        assert late.trusted == whole.trusted or isclose(late.trusted, whole.trusted, abs_tol=1e-9), fold


def test_it_says_when_to_look_again():
    value = 0.0
    window = Window(Fold.CHANGE, 600, lambda: value)
    window.look(0)
    assert (window.trusted, window.next_look(0)) == (None, 600)  # it is not known for long enough, and will be
    window.look(600)
    assert (window.trusted, window.next_look(600)) == (0, None)  # nothing will change by itself
    value = 1.0
    window.look(700)
    assert (window.trusted, window.next_look(700)) == (1, 1300)  # then what was before has left
    window.look(1300)
    assert (window.trusted, window.next_look(1300)) == (0, None)


def test_a_mean_is_looked_at_while_it_moves():
    value = 0.0
    window = Window(Fold.MEAN, 600, lambda: value)
    window.look(0)
    window.look(600)
    value = 6.0
    window.look(601)
    assert window.next_look(601) == 607
    window.look(901)
    assert window.trusted == 3.0
    window.look(1201)
    assert (window.trusted, window.next_look(1201)) == (6.0, None)


@pytest.mark.parametrize("fold", [Fold.MEAN, Fold.MIN, Fold.MAX, Fold.CHANGE])
def test_a_fast_point_in_a_long_window_costs_a_bounded_number_of_pieces(fold):
    value, span = 0.0, 86_400
    window = Window(fold, span, lambda: value)
    most = 0
    for second in range(0, 2 * span, 5):
        value = second / 1000
        window.look(second)
        most = max(most, len(window._pieces))
    assert most <= MAX_PIECES + 1
    last, step = 2 * span - 5, span / 120 / 1000  # a joined piece is no longer than a 120th of the window
    expected = {
        Fold.MEAN: (last - span / 2) / 1000,
        Fold.MIN: (last - span) / 1000,
        Fold.MAX: last / 1000,
        Fold.CHANGE: span / 1000,
    }
    assert window.trusted == pytest.approx(expected[fold], abs=step + 0.01)


def test_a_clock_that_is_set_back_forgets_and_one_that_trembles_does_not():
    value = 1.0
    window = Window(Fold.MAX, 600, lambda: value)
    for second in range(0, 1200, 100):
        window.look(second)
    value = 2.0
    window.look(1090)  # ten seconds before the newest
    assert window.trusted == 2.0
    value = 3.0
    window.look(500)
    assert window.trusted is None
    window.look(1100)
    assert window.trusted == 3.0


def test_a_value_beyond_this_world_is_no_value():
    value = 9e29
    window = Window(Fold.CHANGE, 10, lambda: value)
    window.look(0)
    value = -9e29
    window.look(10)
    assert window.trusted is None
    value = inf
    window.look(20)
    assert window.trusted is None


@pytest.mark.parametrize("fold", list(Fold))
@given(st.floats(1.7e9, 1.9e9), st.lists(st.floats(0.0, 700.0), min_size=1, max_size=20))
def test_the_next_look_is_always_later(fold, start, steps):
    """A look that asked for another one at the same moment would hold up everything else for ever."""
    value = [0.0]
    window = Window(fold, 600, lambda: value[0])
    at = start
    for n, step in enumerate(steps):
        value[0] = float(n % 3 == 0)
        at += step
        window.look(at)
        after = window.next_look(at)
        assert after is None or after >= at + 0.0009
        for known in (0.9, 1.0):  # where it is just about to be known
            edge = window._pieces[0].start + 600 * known
            if edge >= window._pieces[-1].start:
                assert (window.next_look(edge) or edge + 1) >= edge + 0.0009
