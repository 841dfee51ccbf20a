"""The shipped rules in the real hub: what staff see when things go wrong at a station."""

import asyncio
import math
from datetime import timedelta

import pytest

from hub.clock import ManualClock
from hub.contract import Judgement
from hub.hub import Hub
from hub.model import LINK, AlarmChange, AlarmState, LinkState, Quality, Reading
from rules.book import Book
from rules.load import load, shipped_files
from tests.rules.field import station

DEVICE, PLATE = station(2)
RULES = load(shipped_files())
CALM = {
    "inlet.level": 2.5,
    "setting.low_low_level": 1.0,
    "setting.stop_level": 1.5,
    "setting.start_level": 3.0,
    "setting.high_high_level": 4.0,
    "station.mains_ok": True,
    LINK: LinkState.UP.value,
}


class NoHistory:
    def number(self, *_args, **_kwargs):
        return 0

    def code(self, *_):
        return 0

    def thin(self, *_):
        pass

    def offer(self, *_):
        pass


class Notebook:
    """A ledger that is always written at once."""

    healthy = True

    def __init__(self):
        self.entries = []

    def append(self, *entries):
        self.entries += entries
        written = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written


class Station:
    """A hub with one station, a minute of which goes by in a moment."""

    def __init__(self, ledger=None, clock=None, rules=RULES, holds=()):
        self.clock = clock or ManualClock()
        self.ledger = ledger or Notebook()
        self.judgement: Judgement = Book(rules, lambda device: PLATE)
        self.hub = Hub(self.clock, NoHistory(), self.ledger, self.judgement)
        self.asked = []
        self.hub.on_ask = self.asked.append
        self.hub.adopt(DEVICE, PLATE)
        changes = [entry for entry in self.ledger.entries if isinstance(entry, AlarmChange)]
        self.hub.restore(changes, holds)

    def take(self, values, behind_s=0.0):
        now = self.clock.now()
        at = now - timedelta(seconds=behind_s)
        if "inlet.level" in values:  # what reads the level reads the heartbeat too, and it counts
            values = values | {"plc.heartbeat": int(at.timestamp()) % 65536}
        self.hub.take(
            [
                Reading(DEVICE.id, key, None, at, now, Quality.BAD)
                if value is ...
                else Reading(DEVICE.id, key, value, at, now)
                for key, value in values.items()
            ]
        )

    async def run(self, seconds, values=None, every=5):
        """So many seconds, with these readings every `every` of them; nothing at all without them."""
        for second in range(seconds):
            if values and second % every == 0:
                self.take(values)
            await self.clock.advance(1)
            self.hub.tick()

    def standing(self):
        return {alarm.rule: alarm.state for alarm in self.hub.book.standing()}

    def told(self):
        return [(entry.rule, entry.event) for entry in self.ledger.entries if isinstance(entry, AlarmChange)]


async def test_a_level_that_flaps_around_its_limit_for_ten_minutes_is_one_alarm():
    it = Station()
    for second in range(600):
        await it.run(1, {**CALM, "inlet.level": 3.95 if second % 90 < 20 else 4.05})
    assert [told for told in it.told() if told[0] == "sump high-high"] == [("sump high-high", "raised")]


async def test_an_hour_of_bad_data_rings_for_the_blindness_and_for_nothing_else():
    for nothing in (..., None, math.nan):
        it = Station()
        await it.run(60, CALM)
        assert it.told() == []
        await it.run(600, {**CALM, "inlet.level": nothing})
        assert it.told() == [("sump level lost", "raised")]
        blind = {blind.rule for blind in it.judgement.unknown(DEVICE.id)}
        assert {"sump high-high", "sump high", "sump low-low"} <= blind


async def test_a_station_that_falls_silent_neither_raises_nor_clears_what_stood():
    it = Station()
    await it.run(120, {**CALM, "inlet.level": 4.2})
    assert it.standing() == {"sump high-high": AlarmState.UNACKNOWLEDGED, "sump high": AlarmState.UNACKNOWLEDGED}
    before = len(it.told())
    await it.run(60)
    it.take({LINK: LinkState.DOWN.value})
    await it.run(1200, {LINK: LinkState.DOWN.value}, every=20)
    assert it.told()[before:] == [("link down", "raised")]
    await it.run(300, CALM)
    assert it.standing() == dict.fromkeys(("sump high-high", "sump high", "link down"), AlarmState.RETURNED)


async def test_the_past_rings_no_alarms():
    it = Station()
    await it.run(10, CALM)
    for minutes in range(60, 0, -1):
        it.take({"inlet.level": 4.5}, behind_s=60.0 * minutes)
    await it.run(120, CALM)
    assert it.told() == []


async def test_a_pump_that_runs_dry_asks_for_its_stop_once():
    it = Station()
    await it.run(120, {**CALM, "inlet.level": 0.9, "pump2.running": True, "pump2.current": 30.0})
    (finding,) = [finding for finding in it.asked if finding.rule.startswith("pump dry running")]
    assert finding.rule == "pump dry running / pump2"
    assert [ask.action for ask in finding.asks] == ["pump2.stop"]
    assert finding.say["zh-CN"] == "2# 泵在低低水位以下运行：水位 0.900 m，电流 30.0 A"


async def test_after_a_restart_nothing_is_announced_twice_and_everything_still_ends():
    for acknowledge in (False, True):
        before = Station()
        await before.run(120, {**CALM, "inlet.level": 4.2})
        if acknowledge:
            for alarm in before.hub.book.standing():
                await before.hub.alarms.acknowledge(alarm.id, "wang.min")
        after = Station(before.ledger)
        assert after.standing() == before.standing()
        count = len(after.told())
        await after.run(120, {**CALM, "inlet.level": 4.2})
        assert len(after.told()) == count
        await after.run(120, CALM)
        assert [event for _, event in after.told()[count:]] == ["returned", "returned"]


async def test_a_restart_in_the_middle_of_a_hold_comes_to_the_same():
    before = Station()
    begun = before.clock.now()
    await before.run(20, {**CALM, "inlet.level": 4.2})
    assert before.told() == []
    after = Station(before.ledger, before.clock, holds=before.judgement.holds())
    await after.run(11, {**CALM, "inlet.level": 4.2}, every=1)
    assert after.told() == [("sump high-high", "raised")]
    (alarm,) = after.hub.book.standing()
    assert alarm.since == begun


async def test_a_hub_that_starts_again_and_again_raises_what_holds_all_the_while():
    it = Station()
    for _ in range(3):
        await it.run(12, {**CALM, "inlet.level": 4.2})
        it = Station(it.ledger, it.clock, holds=it.judgement.holds())
    assert it.told() == [("sump high-high", "raised")]


@pytest.mark.parametrize("set_by_s", [-7200, 7200])
async def test_a_clock_that_is_set_makes_no_hold_longer_or_shorter(set_by_s):
    for silent in (False, True):  # the hold is ended by a reading, or by time alone
        it = Station()
        await it.run(20, {**CALM, "inlet.level": 4.2}, every=1)
        it.clock.jump(set_by_s)
        readings = None if silent else {**CALM, "inlet.level": 4.2}
        await it.run(9, readings, every=1)
        assert it.told() == []
        await it.run(3, readings, every=1)
        assert it.told() == [("sump high-high", "raised")], silent


async def test_an_alarm_whose_rule_is_gone_has_returned_and_says_why():
    before = Station()
    await before.run(120, {**CALM, "inlet.level": 4.2})
    after = Station(before.ledger, before.clock, [rule for rule in RULES if rule.name != "sump high-high"])
    assert after.standing() == {"sump high-high": AlarmState.RETURNED, "sump high": AlarmState.UNACKNOWLEDGED}
    assert after.ledger.entries[-1].note == "规则已删除或改名 · its rule is gone"
    after.hub.retire(DEVICE.id)
    assert set(after.standing().values()) == {AlarmState.RETURNED}
    assert after.ledger.entries[-1].note == "设备已移除 · the device is gone"


async def test_a_driver_that_says_nothing_at_all_is_an_alarm():
    it = Station()
    await it.run(60, CALM)
    await it.run(600)
    assert it.told() == [("PLC stands still", "raised"), ("nothing heard of the station", "raised")]
    await it.run(60, CALM)
    assert ("nothing heard of the station", "returned") in it.told()


async def test_what_to_do_names_the_pump():
    it = Station()
    await it.run(60, {**CALM, "inlet.level": 0.5, "pump2.running": True, "pump2.current": 40.0})
    (alarm,) = [alarm for alarm in it.hub.book.standing() if alarm.rule == "pump dry running / pump2"]
    assert "立即停 2# 泵" in alarm.do["zh-CN"]
    assert "{" not in "".join(alarm.do.values())


async def test_what_has_returned_keeps_the_sentence_with_which_it_was_raised():
    it = Station()
    await it.run(60, {**CALM, "inlet.level": 4.2})
    await it.run(120, CALM)
    said = {entry.say["zh-CN"] for entry in it.ledger.entries if entry.rule == "sump high-high"}
    assert (len(said), "4.200 m" in said.pop()) == (1, True)
