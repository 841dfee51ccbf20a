"""The shipped rules: each is proven by its story, can be understood, and asks for nothing but a stop."""

import re

import pytest

from hub import outage, self_watch
from hub.model import Area, Nameplate, Severity
from rules.fit import against
from rules.load import load, load_rules, shipped_files
from rules.story import cells, play, play_all
from tests.rules.field import Scene, station

TOWN = Area("341204100000", "东乡镇")
FLEET = [
    station(),
    (self_watch.device(), self_watch.plate(has_server=True, has_channels=True)),
    *((outage.device(family, TOWN), outage.plate()) for family in outage.KINDS),
]
RULES = load(shipped_files(), FLEET)
PARAMS = [pytest.param(rule, id=rule.name) for rule in RULES]


def test_every_shipped_rule_can_be_judged_on_the_shipped_table_without_a_warning():
    assert RULES.warnings == ()
    assert set(RULES.fits) == {rule.name for rule in RULES}
    assert play_all(RULES) == len(RULES) >= 25


@pytest.mark.parametrize("rule", PARAMS)
def test_its_story_is_true(rule):
    assert play(rule, RULES.fits[rule.name]) == []


@pytest.mark.parametrize("rule", PARAMS)
def test_its_story_teaches_what_bad_data_do_and_how_it_ends(rule):
    rows = [cells(line) for line in rule.story.strip().splitlines()[1:]]
    states = [row[-1].partition(":")[0] for row in rows]
    raised = [row for row in rows if row[-1] == "raised"]
    assert "raised" in states
    assert states[-1] in ("normal", "unknown")
    assert "normal" in states
    missing = any("is missing" in condition.text for condition in rule.conditions)
    assert missing or any("bad" in row or "none" in row for row in raised), (
        "no line where a dead sensor does not clear it"
    )
    if rule.hold:
        assert "pending" in states


@pytest.mark.parametrize("rule", PARAMS)
def test_it_says_in_both_languages_what_is_wrong_and_what_to_do(rule):
    assert set(rule.say) == set(rule.do) == {"zh-CN", "en"}
    assert re.search("[一-鿿]", rule.say["zh-CN"].text)
    assert not re.search("[一-鿿]", rule.say["en"].text + rule.do["en"].text)
    assert rule.say["zh-CN"].names == tuple(dict.fromkeys(rule.say["zh-CN"].names))
    assert set(rule.say["zh-CN"].names) == set(rule.say["en"].names)
    if rule.severity <= Severity.HIGH:
        assert len(rule.do["zh-CN"].text) > 30


def test_severities_leave_room_for_what_is_urgent():
    count = {severity: sum(rule.severity is severity for rule in RULES) for severity in Severity}
    assert count[Severity.URGENT] <= len(RULES) * 0.15


def test_all_that_a_shipped_rule_asks_for_is_a_stop_and_the_guard_has_the_last_word():
    _, plate = station()
    for rule in RULES:
        for part in rule.parts(plate.points):
            for key in rule.asks(part):
                assert plate.actions[key].safety
                assert plate.actions[key].hazard != "none"  # so it is disarmed until hub.toml arms it


def test_a_station_of_any_size_gets_a_rule_for_each_of_its_pumps():
    for pumps in (1, 8):
        device, plate = station(pumps)
        assert load((), [(device, plate)], shipped_files()).warnings == ()
        scene = Scene(*RULES, plate=plate)
        per_pump = [it.id for it in scene.wakes["pump1.running"] if it.part]
        assert "pump dry running / pump1" in per_pump
        assert sum(rule.each == "pump*" for rule in RULES) * pumps == sum(
            bool(it.part) for it in {it for its in scene.wakes.values() for it in its}
        )


def test_where_there_is_no_table_ps_2026_a_shipped_rule_is_a_warning_and_no_mistake(tmp_path):
    device, plate = station(2)
    bare = Nameplate({key: plate.points[key] for key in ("link", "link.rtt", "pump1.running", "pump1.current")})
    rules = load_rules(tmp_path, [(device, bare)])
    of_the_link = {"link down", "link unstable", "nothing heard of the station"}
    assert of_the_link | {"pump running without current"} == set(rules.fits)
    assert len(rules.warnings) == sum(it.kind == "pump_station" for it in rules) - len(rules.fits)
    for rule in rules:
        assert against(rule, [(device, bare)]).fit is None or rule.name in rules.fits
