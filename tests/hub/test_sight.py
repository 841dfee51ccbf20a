"""What a grant shows and allows: areas in a tree, families of devices, and views that are shared."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clock import ManualClock
from hub.hub import Hub
from hub.model import LINK, Area, Device, Kind, Nameplate, Point
from hub.rights import FAMILIES, ROLES, Family, Grant, Right, areas_of, read_grant, rights_of, write_grant
from hub.sight import Sight
from tests.hub.kit import Diary, Limit, Nowhere

COUNTY, TOWN, VILLAGE, OTHER = "340299000000", "340299101000", "340299101201", "340299102000"
TREE = (Area(COUNTY, "县"), Area(TOWN, "镇", COUNTY), Area(VILLAGE, "村", TOWN), Area(OTHER, "别镇", COUNTY))
PLATE = Nameplate({LINK: Point(LINK, Kind.ENUM, labels={0: "down", 1: "up"})})


def device(id: str, area: str, kind: str = "pump_station") -> Device:
    return Device(id, id, kind, f"modbus+tcp://{id}:502/1", area=area)


def empty() -> Hub:
    it = Hub(ManualClock(), Diary(), Nowhere(), Limit())
    it.areas.update({area.code: area for area in TREE})
    return it


@pytest.fixture
def hub() -> Hub:
    it = empty()
    for one in (device("town", TOWN), device("village", VILLAGE), device("other", OTHER), device("nowhere", "")):
        it.adopt(one, PLATE)
    return it


def seen(hub: Hub, *grants: Grant) -> set[str]:
    return {"town", "village", "other", "nowhere"} & set(Sight(hub).view(grants).members)


def test_a_view_has_an_area_and_all_below_it(hub: Hub):
    assert seen(hub, Grant("viewer", TOWN)) == {"town", "village"}
    assert seen(hub, Grant("viewer", VILLAGE)) == {"village"}
    assert seen(hub, Grant("viewer", COUNTY)) == {"town", "village", "other"}
    assert seen(hub, Grant("viewer", VILLAGE), Grant("water_operator", OTHER)) == {"village", "other"}
    assert seen(hub, Grant("no such role")) == seen(hub) == set()


def test_only_who_sees_everything_sees_what_lies_in_no_area_or_has_gone(hub: Hub):
    assert seen(hub, Grant("viewer", VILLAGE), Grant("viewer")) == {"town", "village", "other", "nowhere"}
    sight = Sight(hub)
    whole, county = sight.view([Grant("viewer")]), sight.view([Grant("viewer", COUNTY)])
    assert (whole.sees("retired long ago"), county.sees("retired long ago")) == (True, False)
    assert (whole.whole, county.whole) == (True, False)


def test_equal_grants_share_a_view_until_somebody_comes_or_goes(hub: Hub):
    sight = Sight(hub)
    one = sight.view([Grant("viewer", TOWN)])
    assert sight.view([Grant("water_operator", TOWN), Grant("viewer", TOWN)]) is one
    hub.adopt(device("new", VILLAGE), PLATE)
    after = sight.view([Grant("viewer", TOWN)])
    assert after is not one
    assert after.sees("new")
    hub.retire("new")
    assert not sight.view([Grant("viewer", TOWN)]).sees("new")


@pytest.mark.parametrize(
    ("role", "kind", "may"),
    [
        ("water_operator", "pump_station", True),
        ("water_operator", "truck", False),
        ("water_operator", "speaker", False),
        ("water_operator", "something new", False),
        ("dispatcher", "truck", True),
        ("dispatcher", "pump_station", False),
        ("field_engineer", "something new", True),
        ("broadcaster", "speaker", False),
        ("viewer", "pump_station", False),
        ("system_admin", "pump_station", False),
    ],
)
def test_who_commands_what_kind(hub: Hub, role: str, kind: str, may: bool):
    assert Sight(hub).allows([Grant(role)], Right.COMMAND, device("x", TOWN, kind)) is may


def test_a_site_says_what_its_own_kinds_are_for(hub: Hub):
    sight = Sight(hub, {**FAMILIES, "sluice": Family.WATER})
    assert sight.allows([Grant("water_operator", TOWN)], Right.COMMAND, device("x", VILLAGE, "sluice"))
    assert not sight.allows([Grant("water_operator", TOWN)], Right.COMMAND, device("x", OTHER, "sluice"))


def test_rights_of_several_grants_do_not_mix_their_areas(hub: Hub):
    """Looking everywhere and commanding in the village is not commanding everywhere."""
    grants = [Grant("viewer"), Grant("water_operator", VILLAGE)]
    sight = Sight(hub)
    allowed = [it for it in ("town", "village", "other") if sight.allows(grants, Right.COMMAND, _member(hub, it))]
    assert allowed == ["village"]
    assert areas_of(grants, Right.LOOK) is None
    assert areas_of(grants, Right.COMMAND) == {VILLAGE}


def _member(hub: Hub, id: str) -> Device:
    return hub.members[id].device


def test_areas_in_a_ring_end_and_give_nothing_more(hub: Hub):
    hub.areas.update({"a": Area("a", "a", "b"), "b": Area("b", "b", "a")})
    sight = Sight(hub)
    assert sight.lies_in("a", ("b",))
    assert not sight.lies_in("a", (TOWN,))
    assert sight.below("a") == {"a", "b"}
    assert sight.view([Grant("viewer", "a")]).codes == {"a", "b"}


_areas = st.sampled_from(["", COUNTY, TOWN, VILLAGE, OTHER])
_grants = st.builds(Grant, st.sampled_from(list(ROLES)), _areas)


@given(st.lists(_grants, max_size=4), _grants)
def test_what_gives_less_allows_nothing_that_was_not_allowed(held: list[Grant], one: Grant):
    sight = Sight(empty())
    if not sight.gives_less(one, held):
        return
    for right in Right:
        for kind in ("pump_station", "truck", "speaker", "camera", "other"):
            for area in ("", TOWN, VILLAGE, OTHER):
                it = device("x", area, kind)
                assert not sight.allows([one], right, it) or sight.allows(held, right, it)


def _all(roles: Iterable[str]) -> frozenset[Right]:
    return rights_of(Grant(role) for role in roles)


def test_the_three_powers_are_separate_and_command_nothing():
    powers = [name for name, it in ROLES.items() if it.power]
    assert powers == ["system_admin", "security_admin", "auditor"]
    doing = {Right.COMMAND, Right.ACKNOWLEDGE, Right.DRAFT, Right.REVIEW, Right.RELEASE, Right.COMMISSION}
    assert not _all(powers) & doing
    assert Right.PERMISSIONS not in _all(["system_admin", "auditor"])
    assert Right.PEOPLE not in _all(["security_admin", "auditor"])
    assert _all(["auditor"]) == {Right.SELF, Right.LOOK, Right.PUZZLES, Right.ROLL, Right.AUDIT}, "changes nothing"


def test_who_drafts_neither_reviews_nor_releases():
    broadcast = {Right.DRAFT, Right.REVIEW, Right.RELEASE}
    held = [ROLES[it].rights & broadcast for it in ("broadcaster", "reviewer", "releaser")]
    assert held == [{Right.DRAFT}, {Right.REVIEW}, {Right.RELEASE}]


@pytest.mark.parametrize("text", ["viewer", "water_operator@340299101000"])
def test_a_grant_is_written_as_it_is_read(text: str):
    assert write_grant(read_grant(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("boss", '"boss" is not a role. Write one of: viewer, grid_worker'),
        ("auditor@340299101000", '"auditor" is for the whole house. Write it without "@340299101000"'),
    ],
)
def test_what_is_no_grant_says_what_to_write(text: str, says: str):
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        read_grant(text)
