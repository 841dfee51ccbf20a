"""Numbers and codes: given at once, neighbours where it pays, never given twice."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.historian import catalogue as limits
from hub.historian.base import Series
from hub.historian.catalogue import BLOCK, OTHER, OTHER_TEXT, RUN, Catalogue
from hub.model import Kind


def number(it: Catalogue, device: str, point: str = "flow", area: str = "", unit: str = "m3/h") -> int:
    return it.number(device, point, Kind.NUMBER, unit, area)


def test_a_point_keeps_its_number():
    it = Catalogue()
    first = number(it, "a")
    assert number(it, "a") == first
    assert len(it.unsaved()) == 1
    assert it.series(first) == Series(first, "a", "flow", Kind.NUMBER, "m3/h", "")
    assert it.series(first + 1) is None


def test_no_point_is_number_0():
    assert number(Catalogue(), "a") == BLOCK


def test_the_points_of_a_device_are_neighbours_and_devices_have_room_to_grow():
    it = Catalogue()
    first = [number(it, "a", f"p{i}") for i in range(3)]
    second = number(it, "b")
    later = number(it, "a", "p3")
    assert first == [BLOCK, BLOCK + 1, BLOCK + 2]
    assert later == BLOCK + 3
    assert second == 2 * BLOCK


def test_a_device_with_many_points_gets_a_further_block():
    it = Catalogue()
    points = [number(it, "a", f"p{i}") for i in range(BLOCK + 1)]
    other = number(it, "b")
    assert points[-1] == 2 * BLOCK
    assert other == 3 * BLOCK


def test_the_devices_of_an_area_are_neighbours_also_when_they_come_in_turns():
    it = Catalogue()
    east = [number(it, f"east-{i}", area="E") // BLOCK for i in range(0)]
    west = []
    for i in range(RUN + 1):
        east.append(number(it, f"east-{i}", area="E") // BLOCK)
        west.append(number(it, f"west-{i}", area="W") // BLOCK)
    assert east[: RUN - 1] == list(range(1, RUN))  # the first run lacks block 0
    assert west[:RUN] == list(range(RUN, 2 * RUN))
    assert east[RUN - 1 :] == [2 * RUN, 2 * RUN + 1]
    assert west[RUN] == 3 * RUN


def test_a_device_that_moves_to_another_area_does_not_take_that_area_along():
    it = Catalogue()
    number(it, "a", "p0", area="E")
    number(it, "a", "p1", area="W")
    first_of_w = number(it, "b", area="W")
    next_of_e = number(it, "c", area="E")
    assert next_of_e == 2 * BLOCK
    assert first_of_w == RUN * BLOCK


def test_another_unit_is_another_series_and_the_newest_is_the_points():
    it = Catalogue()
    old = number(it, "a", unit="bar")
    new = number(it, "a", unit="MPa")
    assert old != new
    assert number(it, "a", unit="bar") == old
    assert [s.id for s in it.of("a")] == [old, new]
    found = it.find("a", "flow")
    assert found is not None
    assert found.id == new
    assert it.find("a", "level") is None
    assert it.find("b", "flow") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 90), st.sampled_from("EW")), max_size=300))
def test_no_number_is_given_twice_also_after_restarts(asked: list[tuple[int, int, str]]):
    it, given_ = Catalogue(), {}
    saved: list[limits.Entry] = []
    for count, (device, point, area) in enumerate(asked):
        key = (str(device), str(point))
        got = number(it, *key, area=area)
        assert given_.setdefault(key, got) == got
        if count % 7 == 0:
            saved += it.unsaved()
            it = Catalogue()
            it.load(sorted(saved, key=lambda s: s.id if isinstance(s, Series) else 0))
    assert len(set(given_.values())) == len(given_)
    assert len({(n // BLOCK, device) for (device, _), n in given_.items()}) == len(
        {n // BLOCK for n in given_.values()}
    )


def test_texts_have_codes_of_their_series():
    it = Catalogue()
    assert it.code(64, "auto") == 1
    assert it.code(64, "manual") == 2
    assert it.code(64, "auto") == 1
    assert it.code(65, "manual") == 1
    assert it.text(64, 2.0) == "manual"
    assert it.text(64, 3.0) is None
    assert it.text(64, 1.5) is None
    assert it.text(64, math.nan) is None


def test_too_many_and_too_long_texts_share_one_code(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_TEXTS", 2)
    it = Catalogue()
    assert [it.code(64, text) for text in ("a", "b", "c", "a")] == [1, 2, OTHER, 1]
    assert it.code(65, "x" * 257) == OTHER
    assert it.text(64, float(OTHER)) == OTHER_TEXT
    assert it.refused_texts == 2
    assert len(it.unsaved()) == 2


def test_what_comes_while_a_batch_is_saved_is_saved_with_the_next():
    it = Catalogue()
    number(it, "a")
    saving = it.unsaved()
    number(it, "b")
    it.saved(len(saving))
    assert [s.device for s in it.unsaved() if isinstance(s, Series)] == ["b"]
