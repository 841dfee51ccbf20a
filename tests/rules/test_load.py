"""Rule files: every mistake of every file at once, each with its place and its remedy."""

from datetime import timedelta

import pytest
from msgspec import structs

from hub.model import Area, Device, Nameplate, Point, Severity
from rules.errors import BadRule
from rules.load import duration, kinds, load, load_rules, shipped_files, unwatched
from rules.rule import Rule
from tests.rules.field import DEVICE, PLATE, rule

GOOD = """
[[rule]]
name     = "sump high"
kind     = "pump_station"
when     = "inlet.level > 3.20 m"
hold     = "60 s"
severity = "high"
say      = { zh-CN = "水位 {inlet.level}", en = "level {inlet.level:.1f}" }
do       = { zh-CN = "看一看", en = "look" }
"""
PLACE = 'rules/site.toml › rule "sump high" › '


def folder(tmp_path, **files):
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in files.items():
        (rules / f"{name}.toml").write_text(text, "utf-8")
    return rules


def mistakes(tmp_path, text, fleet=((DEVICE, PLATE),)):
    file = folder(tmp_path, site=text) / "site.toml"
    with pytest.raises(BadRule) as caught:
        load([file], fleet)
    return list(caught.value.mistakes)


def test_a_rule_is_read_whole(tmp_path):
    text = GOOD + 'until = "inlet.level < 3 m"\nuntil_hold = "2 min"\nthen = ["pump1.stop"]\nprofile = ["ps-2026"]\n'
    (rule,) = load([folder(tmp_path, site=text) / "site.toml"], [(DEVICE, PLATE)]).rules
    assert (rule.name, rule.kind, rule.severity, rule.then) == (
        "sump high",
        "pump_station",
        Severity.HIGH,
        ("pump1.stop",),
    )
    assert (rule.hold, rule.until_hold) == (timedelta(minutes=1), timedelta(minutes=2))
    assert rule.until is not None
    assert rule.until.text == "inlet.level < 3 m"


SAID = [
    (("hold     =", "hodl     ="), '"hodl" is not a field of a rule. Did you mean "hold"?'),
    (('"60 s"', "60"), 'hold: 60 is not a time. Write for example "30 s" or "2 min"'),
    (('"60 s"', '"60"'), 'hold: "60" is not a time. Write for example "30 s" or "2 min"'),
    (('"60 s"', '"-60 s"'), 'hold: "-60 s" is not a time. Write for example "30 s" or "2 min"'),
    (('"60 s"', '"60 m"'), 'hold: "m" is not a unit of time. Write one of: s, min, h'),
    (('"60 s"', '"25 h"'), 'hold: "25 h" is longer than 24 h. Write at most "24 h"'),
    (
        ('"high"', '"critical"'),
        'severity: "critical" is not a severity. Did you mean "urgent"? Severities: urgent, high, medium, low',
    ),
    (
        ('"high"', '"hihg"'),
        'severity: "hihg" is not a severity. Did you mean "high"? Severities: urgent, high, medium, low',
    ),
    (('"high"', "2"), "severity: 2 is not a severity. Severities: urgent, high, medium, low"),
    (
        ('do       = { zh-CN = "看一看", en = "look" }', ""),
        'do: is missing: whoever gets an alarm of severity "high" must be told what to do. '
        'Write do = { zh-CN = "…", en = "…" }',
    ),
    (('do       = { zh-CN = "看一看", ', "do = { "), 'do: has no text in zh-CN. Write { zh-CN = "…", en = "…" }'),
    (('en = "look" }', 'en = "look", de = "schau" }'), 'do: "de" is not a language of the house: zh-CN, en'),
    (('{ zh-CN = "看一看", en = "look" }', '"look"'), 'do: "look" is in one language. Write { zh-CN = "…", en = "…" }'),
    (('kind     = "pump_station"', ""), 'kind: is missing. Write kind = "pump_station"'),
    (('when     = "inlet.level > 3.20 m"', ""), 'when: is missing. Write when = "inlet.level > 3.20 m"'),
    (
        ('when     = "inlet.level > 3.20 m"', "when = 3"),
        'when: 3 is not a condition. Write it in quotes: "inlet.level > 3.20 m"',
    ),
    (
        ("3.20 m", "3.20 Mm"),
        'in "inlet.level > 3.20 Mm" (letter 20): "Mm" is not a unit. Did you mean "mm"?',
    ),
    (
        ("{inlet.level:.1f}", "{inlet.level:.1}"),
        'say: in "level {inlet.level:.1}": "level {inlet.level:.1}" has a bracket that opens or closes nothing: '
        'a placeholder is "{inlet.level}" or, with two decimals, "{inlet.level:.2f}"',
    ),
    (
        ("{inlet.level:.1f}", "{inlet.levle}"),
        'say › in "level {inlet.levle}": "inlet.levle" is not a point of ps-2026. Did you mean "inlet.level"?',
    ),
    (
        ("{inlet.level:.1f}", "{pump1.running:.1f}"),
        'say › in "level {pump1.running:.1f}": "pump1.running" is not a number. Write "{pump1.running}"',
    ),
    (("{inlet.level:.1f}", "{n}"), 'say › in "level {n}": "{n}" is of a part. Say of which parts: each = "pump*"'),
    (
        ("kind     =", 'then     = ["pump1.stpo"]\nkind     ='),
        'then › "pump1.stpo" is not an action of ps-2026. Did you mean "pump1.stop"?',
    ),
    (
        ("kind     =", 'then     = ["pump1.set_speed"]\nkind     ='),
        'then › "pump1.set_speed" wants to be told speed; a rule can ask only for actions without arguments',
    ),
    (
        ("kind     =", 'then     = "pump1.stop"\nkind     ='),
        'then: "pump1.stop" is not a list of texts. Write ["…", "…"]',
    ),
    (("pump_station", "pump_staton"), 'kind: "pump_staton" is the kind of no device. Did you mean "pump_station"?'),
    (
        ("kind     =", 'profile  = ["ps2026"]\nkind     ='),
        'profile: "ps2026" is the profile of no device. Did you mean "ps-2026"?',
    ),
    (("kind     =", 'device   = ["ps-7"]\nkind     ='), 'device: "ps-7" is not a device. Did you mean "ps-1"?'),
    (("kind     =", 'each     = "pmp*"\nkind     ='), 'each: "pmp*" matches no part. Did you mean "pump2"?'),
    (
        ("kind     =", 'each     = "pump *"\nkind     ='),
        'each: "pump *" names no parts. Write the part of a point before its dot: "pump*"',
    ),
    (
        ("kind     =", 'until    = "inlet.level < 3.5 m"\nkind     ='),
        'until "inlet.level < 3.5 m": ends the alarm while it is still met. Write a limit that is not above 3.2',
    ),
]


@pytest.mark.parametrize(("change", "said"), SAID, ids=[said[:60] for _, said in SAID])
def test_a_mistake_is_said_with_its_place_and_its_remedy(tmp_path, change, said):
    assert change[0] in GOOD
    text = GOOD.replace(*change)
    place = PLACE if 'name     = "sump high"' in text else "rules/site.toml › rule 1 › "
    assert mistakes(tmp_path, text) == [place + said]


def test_a_rule_without_a_name_is_called_by_its_number(tmp_path):
    text = GOOD + GOOD.replace('name     = "sump high"', "")
    assert mistakes(tmp_path, text) == ['rules/site.toml › rule 2 › name: is missing. Write name = "sump high"']


def test_a_name_must_fit_on_a_screen_and_into_a_list(tmp_path):
    assert mistakes(tmp_path, GOOD.replace('"sump high"', '"a / b"')) == [
        'rules/site.toml › rule "a / b" › name: "a / b" cannot be a name. Write at most 80 letters, '
        "without quotes and ' / '"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[rule]\n",
            "rules/site.toml › line 1 › [[rule] is not TOML: Expected ']]' at the end of an array declaration. "
            "Write [name] on a line of its own, or [[name]] for one of several",
        ),
        ("[rule]\nname = 'x'\n", 'rules/site.toml › "rule" › write each rule as [[rule]], with two brackets'),
        (
            "[[rules]]\nname = 'x'\n",
            'rules/site.toml › "rules" › a rule file has only [[rule]] tables. Did you mean "rule"?',
        ),
        (
            GOOD + GOOD,
            'rules/site.toml › rule "sump high": this name is taken by rules/site.toml › rule "sump high". '
            "Alarms go by it: write another",
        ),
    ],
)
def test_a_file_that_is_no_rule_file_says_so(tmp_path, text, said):
    assert mistakes(tmp_path, text) == [said]


def test_a_file_in_another_encoding_says_so(tmp_path):
    file = folder(tmp_path) / "site.toml"
    file.write_bytes("# 泵站".encode("gbk"))
    with pytest.raises(BadRule) as caught:
        load([file])
    assert caught.value.mistakes == ("rules/site.toml › line 1 is not UTF-8. Save the file as UTF-8",)


def test_all_mistakes_of_all_files_are_said_at_once(tmp_path):
    one = GOOD.replace('"60 s"', "60").replace("3.20 m", "3.20 MPa").replace('"high"', '"critical"')
    two = GOOD.replace("sump high", "another").replace("inlet.level >", "inlet.levl >").replace("hold ", "hodl ")
    rules = folder(tmp_path, one=one, two=two)
    with pytest.raises(BadRule) as caught:
        load(sorted(rules.glob("*.toml")), [(DEVICE, PLATE)])
    assert [line.split(" › ", 2)[0] for line in caught.value.mistakes].count("rules/one.toml") == 3
    assert [line.split(" › ", 2)[0] for line in caught.value.mistakes].count("rules/two.toml") == 2


def test_without_devices_at_least_the_units_are_looked_at(tmp_path):
    text = GOOD.replace("3.20 m", "3.20 Mm").replace("inlet.level >", "what.ever >")
    assert mistakes(tmp_path, text, fleet=()) == [
        PLACE + 'in "what.ever > 3.20 Mm" (letter 18): "Mm" is not a unit. Did you mean "mm"?'
    ]


# ---- what is only a warning ---------------------------------------------------------------------------------------


def warnings(tmp_path, text, fleet):
    return list(load([folder(tmp_path, site=text) / "site.toml"], fleet).warnings)


NO_STORY = 'rules/site.toml › rule "sump high": has no story: nobody has seen it work'


def test_a_rule_that_matches_no_device_is_a_warning(tmp_path):
    text = GOOD.replace("kind     =", 'profile  = ["ec-lift"]\ndevice   = ["ps-1"]\nkind     =')
    other = Device("ps-2", "西门", "pump_station", "modbus+tcp://x", profile="ec-lift")
    assert warnings(tmp_path, text, [(DEVICE, PLATE), (other, PLATE)]) == [
        NO_STORY,
        'rules/site.toml › rule "sump high": matches 0 devices',
    ]


def test_a_point_that_some_devices_lack_is_a_warning_and_the_rule_is_judged_on_the_others(tmp_path):
    bare = Nameplate({"outlet.level": Point("outlet.level", unit="m")})
    others = [(Device(f"ps-{n}", "", "pump_station", "modbus+tcp://x", profile="ec-lift"), bare) for n in range(2, 7)]
    text = GOOD.replace("kind     =", 'profile  = ["ps-2026", "ec-lift"]\nkind     =')
    assert warnings(tmp_path, text, [(DEVICE, PLATE), *others]) == [
        NO_STORY,
        'rules/site.toml › rule "sump high": is not judged on ps-2, ps-3, ps-4 and 2 more: no point "inlet.level"',
    ]


def test_a_part_that_lacks_a_point_is_a_warning(tmp_path):
    points = {key: Point(key, unit="A") for key in ("pump1.current", "pump1.speed", "pump2.current", "inlet.level")}
    text = GOOD.replace("inlet.level > 3.20 m", "each.current > 3 A and each.speed > 1 A")
    text = text.replace("kind ", 'each = "pump*"\nkind ')
    assert warnings(tmp_path, text, [(DEVICE, Nameplate(points))]) == [
        NO_STORY,
        'rules/site.toml › rule "sump high": is not judged on ps-1 pump2: no point "each.speed"',
    ]


def test_a_part_that_is_no_such_part_is_passed_over_in_silence(tmp_path):
    points = {key: Point(key, unit="A") for key in ("pump1.current", "pumps.total", "pumphouse.light")}
    text = GOOD.replace("inlet.level > 3.20 m", "each.current > 3 A").replace("kind ", 'each = "pump*"\nkind ')
    text = text.replace("inlet.level", "each.current")
    assert warnings(tmp_path, text, [(DEVICE, Nameplate(points))]) == [NO_STORY]


# ---- a site's rules and the shipped ones --------------------------------------------------------------------------


def test_a_site_has_the_shipped_rules_and_its_own_replace_them_by_name(tmp_path):
    names = [rule.name for rule in load_rules(folder(tmp_path))]
    assert names == [rule.name for rule in load(shipped_files())]
    assert "sump high" in names
    (tmp_path / "rules" / "site.toml").write_text(GOOD, "utf-8")
    rules = load_rules(tmp_path / "rules")
    (high,) = [rule for rule in rules if rule.name == "sump high"]
    assert high.place == 'rules/site.toml › rule "sump high"'
    assert len(rules) == len(names)


def test_a_shipped_rule_about_devices_that_a_house_does_not_have_is_no_mistake(tmp_path):
    truck = Device("truck-1", "", "truck", "jt808:1")
    rules = load_rules(folder(tmp_path), [(truck, Nameplate({"speed": Point("speed", unit="km/h")}))])
    assert rules.fits == {}
    assert len(rules) == len(load(shipped_files()))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0 s", 0), ("30 s", 30), ("1.5 min", 90), ("2min", 120), ("24 h", 86400), ("500 ms", 0.5)]
)
def test_a_time_has_its_unit(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


def test_the_kinds_that_rules_are_for_are_those_of_the_site_and_the_shipped_ones(tmp_path):
    rules = folder(
        tmp_path,
        one=GOOD.replace("pump_station", "truck"),
        two="x =",
        three=GOOD.replace("pump_station", "well").replace('"60 s"', "60"),
    )
    assert kinds(rules) == {"truck", "well", "pump_station", "hub", "water_area"}


def test_a_device_that_no_rule_can_watch_is_told():
    meter = Device("m-1", "电表", "meter", "modbus+tcp://10.0.0.1/1")
    bare = Device("ps-9", "n", "pump_station", "modbus+tcp://10.0.0.2/1")
    fleet = [(DEVICE, PLATE), (meter, PLATE), (bare, Nameplate())]
    assert [device.id for device in unwatched(load(shipped_files()), fleet)] == ["m-1", "ps-9"]


# ---- areas --------------------------------------------------------------------------------------------------------

AREAS = (
    Area("341204000000", "颍泉区"),
    Area("341204100000", "东乡镇", "341204000000"),
    Area("341204100201", "李庄", "341204100000"),
    Area("341204101000", "西乡镇", "341204000000"),
    Area("341204101201", "李庄", "341204101000"),
)


def placed(*names: str) -> Rule:
    return rule("inlet.level > 3 m", area=list(names)).placed(AREAS)


def test_a_rule_can_be_for_an_area_and_all_that_lies_in_it():
    device = structs.replace(DEVICE, area="341204100201")
    assert placed("颍泉区").selects(device)
    assert placed("东乡镇").selects(device)
    assert placed("341204100201").selects(device)
    assert not placed("西乡镇").selects(device)
    assert placed("西乡镇", "东乡镇").selects(device)
    assert not placed("颍泉区").selects(DEVICE)  # it lies nowhere


def test_an_area_that_is_not_there_or_is_there_twice_is_said():
    with pytest.raises(BadRule) as caught:
        placed("东乡", "李庄")
    assert caught.value.mistakes == (
        'area: "东乡" is not an area. Did you mean "东乡镇"?',
        'area: "李庄" is the name of 2 areas. Write a code: 341204100201, 341204101201',
    )


def test_the_areas_of_a_site_are_looked_up_when_its_rules_are_loaded(tmp_path):
    text = '[[rule]]\nname = "r"\nkind = "pump_station"\narea = ["东乡镇"]\nwhen = "inlet.level > 3 m"\n'
    text += 'severity = "low"\nsay = { zh-CN = "水位", en = "level" }\n'
    (tmp_path / "a.toml").write_text(text, "utf-8")
    here = structs.replace(DEVICE, area="341204100201")
    there = structs.replace(DEVICE, id="ps-2", area="341204101201")
    loaded = load([tmp_path / "a.toml"], [(there, PLATE), (here, PLATE)], (), AREAS)
    assert loaded.fits["r"].device == here
    (tmp_path / "a.toml").write_text(text.replace("东乡镇", "东乡县"), "utf-8")
    with pytest.raises(BadRule, match='rule "r" › area: "东乡县" is not an area'):
        load([tmp_path / "a.toml"], [(here, PLATE)], (), AREAS)
    (tmp_path / "a.toml").write_text(text, "utf-8")
    with pytest.raises(BadRule, match='rule "r" › area: "东乡镇" is not an area'):
        load([tmp_path / "a.toml"], [(here, PLATE)])  # a site without areas
