"""Rules played against what was recorded say what the hub said then, and what other rules would have said."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.modbus import profile
from hub.__main__ import main
from hub.clock import ManualClock
from hub.historian.base import to_datetime, to_us
from hub.historian.collector import Collector
from hub.historian.engine import EmbeddedHistorian
from hub.hub import Hub
from hub.model import Alarm, Device, Kind, Nameplate, Point, Quality, Reading, Severity
from hub.self_watch import ALWAYS
from hub.self_watch import device as hub_device
from hub.self_watch import plate as hub_plate
from rules.book import Book
from rules.load import load, shipped_files
from rules.rehearsal import apart, nights, play
from rules.replay import Change, Occurrence, Player, compare
from tests.rules.field import DEVICE, NOON, PLATE, at, rule
from tests.rules.test_in_the_hub import Notebook

GOOD, BAD = Quality.GOOD, Quality.BAD
HIGH = rule("inlet.level > 3.20 m", hold="30 s", until="inlet.level < 3.05 m", name="high", then=["pump1.stop"])


def player(*rules) -> Player:
    return Player(rules, DEVICE, PLATE, UTC)


def levels(it: Player, *told: tuple[float, float | None]) -> Player:
    for seconds, value in told:
        it.take(at(seconds), [("inlet.level", value, BAD if value is None else GOOD)])
    return it


# ---- one set of rules -----------------------------------------------------------------------------------------------


def test_a_hold_ends_by_time_though_nothing_new_was_read():
    (it,) = levels(player(HIGH), (0, 3.0), (10, 3.5), (100, 3.0)).occurrences(NOON)
    assert (it.raised_at, it.returned_at, it.asks) == (at(40), at(100), ("pump1.stop",))


def test_what_is_unknown_raises_nothing_and_ends_nothing():
    it = levels(player(HIGH), (0, 3.5), (10, None), (299, None))
    assert it.occurrences(NOON) == []
    assert levels(it, (300, 3.5)).occurrences(NOON)[0].raised_at == at(300)
    it = levels(player(HIGH), (0, 3.5), (60, None), (300, 3.0))
    assert it.occurrences(NOON)[0].returned_at == at(300)


def test_what_comes_back_within_the_chatter_window_is_the_same_alarm():
    quick = rule("inlet.level > 3.20 m", name="quick")
    found = levels(player(quick), (0, 3.0), (10, 3.5), (20, 3.0), (70, 3.5), (80, 3.0), (150, 3.5)).occurrences(NOON)
    assert [(it.raised_at, it.count) for it in found] == [(at(10), 2), (at(150), 1)]
    assert found[1].returned_at is None


def test_what_stood_before_is_told_and_what_was_over_is_not():
    it = levels(player(HIGH), (0, 3.5), (60, 3.0), (200, 3.5))
    it.pass_(at(300))
    assert [one.raised_at for one in it.occurrences(at(50))] == [at(30), at(230)]
    assert [one.raised_at for one in it.occurrences(at(100))] == [at(230)]


def test_nothing_is_judged_without_a_hub_and_a_hold_goes_on_after_it():
    it = levels(player(HIGH), (0, 3.0), (10, 3.5))
    it.sleep(at(20), at(1000))
    it.pass_(at(1019))
    assert it.occurrences(NOON) == []
    it.pass_(at(1021))
    assert [one.raised_at for one in it.occurrences(NOON)] == [at(1020)]


# ---- two ------------------------------------------------------------------------------------------------------------


def alarm(begin: float, end: float | None, severity: Severity = Severity.HIGH, name: str = "high") -> Occurrence:
    return Occurrence("ps-1", name, severity, at(begin), None if end is None else at(end), {}, ())


@pytest.mark.parametrize(
    ("now", "new", "changes"),
    [
        ([alarm(0, 60)], [alarm(0, 60)], "same"),
        ([alarm(0, 60)], [alarm(0.5, 60.5)], "same"),
        ([alarm(0, 60)], [alarm(30, 60)], "moved"),
        ([alarm(0, 60)], [alarm(0, 90)], "moved"),
        ([alarm(0, None)], [alarm(0, 90)], "moved"),
        ([alarm(0, None)], [alarm(0, None)], "same"),
        ([alarm(0, 60)], [alarm(0, 60, Severity.LOW)], "moved"),
        ([alarm(0, 60)], [], "lost"),
        ([], [alarm(0, 60)], "gained"),
        ([alarm(0, 60)], [alarm(61, 90)], "lost gained"),
        ([alarm(0, 60)], [alarm(0, 60, name="other")], "lost gained"),
        ([alarm(0, 600)], [alarm(0, 60), alarm(200, 300)], "moved gained"),
        ([alarm(0, 60), alarm(200, 300)], [alarm(0, 600)], "moved lost"),
        ([alarm(0, 60), alarm(200, 300)], [alarm(210, 300)], "lost moved"),
        ([alarm(100, None)], [alarm(0, 50)], "gained lost"),
    ],
)
def test_what_the_new_rules_make_of_an_alarm(now, new, changes):
    found = compare(now, new, at(1000))
    assert " ".join(it.change.value for it in found) == changes
    assert sum(it.now is not None for it in found) == len(now)
    assert sum(it.new is not None for it in found) == len(new)
    assert {it.change for it in compare(new, new, at(1000))} <= {Change.SAME}


# ---- against the hub itself -----------------------------------------------------------------------------------------


class Live:
    """A hub on a history, that reads one station; every alarm that it raises is noted."""

    def __init__(self, store: EmbeddedHistorian, clock: ManualClock, device: Device, plate: Nameplate, rules) -> None:
        self.clock, self.device, self.plate = clock, device, plate
        self.collector = Collector(store, clock)
        self.number, self.code = store.catalogue.number, store.catalogue.code
        self.offer, self.thin = self.collector.offer, self.collector.thinner.set
        self.hub = Hub(clock, self, Notebook(), Book(rules, lambda _: plate, UTC))
        self.hub.adopt(device, plate)
        self.begun: dict[str, datetime] = {}
        self.rung: dict[str, Alarm] = {}
        self.hub.on_alarm = self.heard

    def heard(self, it: Alarm) -> None:
        self.begun.setdefault(it.id, it.raised_at)
        self.rung[it.id] = it

    async def poll(self, values: dict[str, object]) -> None:
        now = self.clock.now()
        self.hub.take([Reading(self.device.id, key, value, now, now) for key, value in values.items()])
        for _ in range(5):
            await self.clock.advance(1)
            self.hub.tick()

    async def silence(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.clock.advance(1)
            self.hub.tick()


def something(point: Point, chance: random.Random, before: object) -> object:
    """A value that such a point could have; mostly the one before."""
    if chance.random() < 0.7 and before is not None:
        return before
    if point.kind is Kind.NUMBER:
        low, high = max(-5.0, point.low or -5.0), min(90.0, 90.0 if point.high is None else point.high)
        return None if chance.random() < 0.05 else round(chance.uniform(low, high), 2)
    if point.kind is Kind.BOOL:
        return chance.random() < 0.3
    return chance.choice(list(point.labels.values())) if point.labels else "text"


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_finds_the_alarms_that_the_hub_raised(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    plate = profile.load().plate("ps-2026", {"pumps": 2}).nameplate
    device = Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://10.0.4.7:502/1", profile="ps-2026")
    rules = list(load([], [(device, plate)], shipped_files()))
    clock = ManualClock()
    start = clock.now()
    store = await EmbeddedHistorian.open(tmp_path, clock)
    live = Live(store, clock, device, plate, rules)
    values: dict[str, object] = {}
    for n in range(240):
        values = {key: something(it, chance, values.get(key)) for key, it in plate.points.items()}
        await live.poll(values)
        if n in (100, 101):
            await live.silence(chance.randrange(30, 300))
    await live.collector.flush()
    end = clock.now()
    done = await play([rules], [(device, plate)], lambda _: (store, store.catalogue), UTC, start, end)
    await store.close()
    assert done.readings > 1000
    rung = sorted((it.rule, live.begun[it.id], it.returned_at or end, it.count) for it in live.rung.values())
    found = sorted((it.rule, it.raised_at, it.returned_at or end, it.count) for it in done.now)
    assert [(it[0], it[3]) for it in found] == [(it[0], it[3]) for it in rung]
    assert len(rung) > 20
    second = timedelta(seconds=1)  # the hub looks once in a second at what becomes so by time alone
    assert [
        (a, b) for a, b in zip(found, rung, strict=True) if abs(a[1] - b[1]) > second or abs(a[2] - b[2]) > second
    ] == []
    assert any(it.suppressed for it in done.now) == any(it.rule == "link down" for it in done.now)


async def test_when_there_was_no_hub_is_told_by_its_own_silence(tmp_path: Path):
    clock = ManualClock()
    store = await EmbeddedHistorian.open(tmp_path, clock)
    it = Live(store, clock, hub_device(), hub_plate(False, False), [])
    for minute in range(40):
        if minute not in (10, 11, 12, 30):
            for _ in range(6):
                now = clock.now()
                it.hub.take([Reading("hub", ALWAYS, True, now, now)])
                await clock.advance(10)
        else:
            await clock.advance(60)
    await it.collector.flush()
    start = to_datetime(to_us(clock.now()) - 40 * 60_000_000)
    found = await nights(lambda _: (store, store.catalogue), start, clock.now())
    await store.close()
    assert [((a - start).total_seconds(), (b - start).total_seconds()) for a, b in found] == [(590, 780), (1790, 1860)]


# ---- at the server's console ----------------------------------------------------------------------------------------


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """A station whose sump was high for ten minutes, on the second of June at noon."""
    assert main(["init", str(tmp_path / "site")]) == 0
    folder = tmp_path / "site"
    (folder / "devices" / "pumps.toml").write_text(
        '[[device]]\nid = "ps-1"\nname = "东门泵站"\nkind = "pump_station"\n'
        'address = "modbus+tcp://127.0.0.1:5021/1"\nprofile = "ps-2026"\nsettings = { pumps = 2 }\n',
        "utf-8",
    )
    (folder / "rules" / "ours.toml").write_text(RULE.format(name="our sump", limit=3.0, more=""), "utf-8")
    start = datetime(2026, 6, 2, 3, 58, 20, tzinfo=UTC)
    clock = ManualClock(start)
    store = await EmbeddedHistorian.open(folder / "data" / "history", clock)
    plate = profile.load().plate("ps-2026", {"pumps": 2}).nameplate
    it = Live(store, clock, Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://127.0.0.1:5021/1"), plate, [])
    for n in range(700, 900):
        level = 3.5 if 720 <= n < 840 else 2.0
        await it.poll({"inlet.level": level})
    await it.collector.flush()
    await store.close()
    return folder


RULE = """
[[rule]]
name = "{name}"
kind = "pump_station"
when = "inlet.level > {limit} m"
hold = "60 s"
severity = "high"
say = {{ zh-CN = "水位 {{inlet.level}}", en = "level {{inlet.level}}" }}
do = {{ zh-CN = "看泵", en = "look at the pumps" }}
{more}
"""
TIME = ["--from", "2026-06-02T11:00", "--to", "2026-06-02T14:00"]


def test_the_rules_as_they_are_against_what_was_recorded(site: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert main(["replay", str(site), "--rule", "our sump", *TIME]) == 0
    said = capsys.readouterr().out
    assert "1 devices" in said
    assert "Nothing was sent." in said
    assert "  2026-06-02 12:01:00 … 9.0 min  high    东门泵站 › our sump: 水位 3.500 m" in said


def test_new_rules_beside_them(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    new = tmp_path / "new"
    new.mkdir()
    rules = RULE.format(name="our sump", limit=4.0, more="") + RULE.format(
        name="lower", limit=3.2, more='then = ["pump1.start"]'
    )
    (new / "rules.toml").write_text(rules, "utf-8")
    capsys.readouterr()
    only = ["--rule", "our sump", "--rule", "lower"]
    assert main(["replay", str(site), "--rules", str(new), *TIME, "--json", "--device", "ps-1", *only]) == 0
    told = json.loads(capsys.readouterr().out)
    ours = told["differences"]
    assert [(it["change"], (it["now"] or it["new"])["rule"]) for it in ours] == [
        ("lost", "our sump"),
        ("gained", "lower"),
    ]
    assert ours[1]["new"]["asks"] == ["pump1.start"]
    assert main(["replay", str(site), "--rules", str(new), *TIME]) == 0
    said = capsys.readouterr().out
    assert "- 2026-06-02 12:01:00 … 9.0 min  high    东门泵站 › our sump: 水位 3.500 m" in said
    assert "+ 2026-06-02 12:01:00 … 9.0 min  high    东门泵站 › lower: 水位 3.500 m (would ask for pump1.start)" in said


def test_what_cannot_be_played_is_said(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.toml").write_text(
        RULE.format(name="x", limit=3.0, more="").replace("inlet.level >", "inlet.levle >"), "utf-8"
    )
    capsys.readouterr()
    for args, what in (
        (["--rule", "sump hihg"], '--rule › there is no rule "sump hihg". Did you mean "sump high"?'),
        (["--device", "ps-2"], '--device › there is no "ps-2". Did you mean "ps-1"?'),
        (["--from", "yesterday"], '--from yesterday › is not a date or time. Write "2026-11-01" or "2026-11-01T08:00"'),
        (["--rules", str(tmp_path / "none")], "is not a folder"),
        (["--rules", str(tmp_path / "bad")], 'Did you mean "inlet.level"?'),
    ):
        assert main(["replay", str(site), *args]) == 2
        assert what in capsys.readouterr().err


def test_what_is_the_same_in_both_sets_is_judged_once():
    one, same = rule("inlet.level > 3 m", name="a"), rule("inlet.level > 3 m", name="a")
    other, more = rule("inlet.level > 4 m", name="a"), rule("inlet.level > 3 m", name="b")
    assert apart([[one, more]]) == [[], [one, more]]
    assert apart([[one, more], [same]]) == [[one], [more], []]
    assert apart([[one], [other, more]]) == [[], [one], [other, more]]


def test_what_a_rule_speaks_of_is_read_too():
    it = player(rule("inlet.level > 3 m", say={"zh-CN": "{station.flow}", "en": "{station.flow}"}))
    assert it.reads == {"inlet.level", "station.flow"}
    it.take(at(0), [("inlet.level", 3.5, GOOD), ("station.flow", 120.0, GOOD), ("pump1.running", True, GOOD)])
    assert it.occurrences(NOON)[0].say["en"] == "120.00 m3/h"
