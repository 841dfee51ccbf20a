"""Who is told, when, and what if nobody answers: a route's steps, bundles, quiet hours, tries, and a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.contract import Finding
from hub.model import Alarm, AlarmEvent, AlarmState, Area, Device, Severity
from hub.rights import Grant
from tests.hub.kit import PLATE, STATION, House
from tests.hub.notices.scene import CHANNELS, ROUTE, TOWN, Scene, add_person, plan_of

LI, WANG, GROUP = ("sms", "13800000001"), ("sms", "13800000002"), ("group", "")
ZHAO = ("sms", "13800000003")


async def test_the_first_is_told_in_seconds_and_the_next_when_nobody_acknowledges(scene):
    it = scene()
    alarm = it.rings()
    assert await it.after(5) == [LI]
    assert await it.after(290) == []
    assert await it.after(10) == [WANG]
    assert await it.after(600) == [GROUP]
    assert await it.after(3600) == []
    assert await it.log(alarm) == [
        ("li.na", "calls", "sent"),
        ("wang.min", "unanswered", "sent"),
        ("group", "unanswered", "sent"),
    ]
    title, body = it.told[0][2:]
    assert title == "【紧急】东门泵站：前池水位 3.40 m"
    assert body == "12:00:00【紧急】东门泵站：前池水位 3.40 m\n处置：增开 1 台"
    assert "已 5 分钟无人确认。" in it.told[1][3]


async def test_who_acknowledges_ends_it_and_those_who_were_told_hear_of_it(scene):
    it = scene()
    alarm = it.rings()
    await it.after(301 + 5)
    await it.house.hub.alarms.acknowledge(alarm.id, "wang.min")
    assert await it.after(900) == [LI, WANG]
    assert it.told[-1][3] == "12:05:06 wang.min 已确认：东门泵站：前池水位 3.40 m"


async def test_what_is_over_for_a_minute_is_told_as_over(scene):
    it = scene()
    it.rings()
    await it.after(30)
    it.ends()
    assert await it.after(55) == []
    assert await it.after(30) == [LI]
    assert it.told[-1][2] == "已恢复或已有人处理：东门泵站：前池水位 3.40 m"
    assert await it.after(900) == [], "and nobody is called any more"


async def test_values_that_hop_at_a_limit_are_one_message(scene):
    it = scene()
    alarm = it.rings()
    for _ in range(7):
        await it.after(20)
        it.ends()
        await it.after(20)
        assert it.rings().id == alarm.id
    assert await it.log(alarm) == [("li.na", "calls", "sent")]
    it.ends()
    assert await it.after(30) == []
    it.rings()
    assert await it.after(5) == [WANG], "nobody has answered for five minutes"


async def test_what_had_been_acknowledged_and_calls_again_begins_anew(scene):
    it = scene()
    alarm = it.rings()
    await it.after(5)
    await it.house.hub.alarms.acknowledge(alarm.id, "li.na")
    await it.house.hub.alarms.shelve(alarm.id, it.clock.now() + (it.clock.now() - alarm.raised_at) * 120, "li.na", "x")
    await it.after(100)
    it.told.clear()
    await it.after(560)  # it comes back after ten minutes by itself
    assert it.house.hub.book.occurrence(alarm.id).state is AlarmState.UNACKNOWLEDGED
    assert [pair[:2] for pair in it.told] == [LI]


async def test_what_is_shelved_or_suppressed_calls_nobody(scene):
    it = scene()
    alarm = it.rings()
    it.house.hub.alarms.found(_suppressed(it, alarm))
    assert await it.after(1800) == []
    it.house.hub.alarms.found(_suppressed(it, alarm, False))
    assert await it.after(5) == [LI]


def _suppressed(it: Scene, alarm: Alarm, off: bool = True) -> Finding:
    event = AlarmEvent.SUPPRESSED if off else AlarmEvent.UNSUPPRESSED
    return Finding(alarm.rule, alarm.device, event, it.clock.now(), alarm.since, alarm.severity, {"en": "x"}, {})


async def test_a_burst_is_one_message_and_what_follows_within_the_minute_another(scene):
    it = scene()
    for n in range(5):
        it.rings(f"rule {n}", Severity.MEDIUM)
        await it.after(1)
    assert await it.after(30) == [LI]
    assert it.told[-1][2].startswith("5 条告警")
    assert it.told[-1][3].count("【一般】") == 5
    for n in range(5, 20):
        it.rings(f"rule {n}", Severity.MEDIUM)
    assert await it.after(20) == []
    assert await it.after(40) == [LI]
    assert it.told[-1][3].count("【一般】") == 10
    assert "另有 5 条，详见平台" in it.told[-1][3]


async def test_what_is_urgent_does_not_wait_for_the_bundle(scene):
    it = scene()
    it.rings("a", Severity.LOW)
    assert await it.after(15) == [LI]
    it.rings("b", Severity.URGENT)
    assert await it.after(5) == [LI]


async def test_quiet_hours_hold_what_can_wait_and_never_what_is_urgent(scene):
    it = scene('[[route]]\nname = "all"\nsteps = [{ after = "0 s", tell = ["person:zhao.li"] }]')
    it.clock.jump(10 * 3600)  # 22:00
    kept, seen = it.rings("kept", Severity.HIGH), it.rings("seen", Severity.MEDIUM)
    assert await it.after(60) == []
    it.rings("red", Severity.URGENT)
    assert await it.after(5) == [ZHAO]
    assert "red" not in it.told[0][2]
    await it.house.hub.alarms.acknowledge(seen.id, "li.na")
    it.clock.jump(9 * 3600 - 120)  # 06:59
    assert await it.after(30) == []
    assert await it.after(60) == [ZHAO]
    assert it.told[-1][2].startswith("【重要】"), "what was seen in the night needs no one in the morning"
    assert [outcome for _, _, outcome in await it.log(kept)] == ["quiet", "sent"]


async def test_a_channel_that_fails_is_tried_again_and_the_next_is_called_at_once(scene):
    it = scene()
    it.broken["sms"] = "connection refused"
    alarm = it.rings()
    assert await it.after(10) == [GROUP], "nobody could be reached by SMS: the group is told after seconds, not minutes"
    assert it.notifier.postbox.failing == 1
    del it.broken["sms"]
    assert sorted(await it.after(60)) == [LI, WANG]
    assert it.notifier.postbox.failing == 0
    assert {(who, outcome) for who, _, outcome in await it.log(alarm)} == {
        ("li.na", "sent"),
        ("wang.min", "sent"),
        ("group", "sent"),
    }


@pytest.mark.parametrize("hours", [-8, 8])
async def test_a_clock_that_is_set_puts_off_no_step_and_brings_none_forward(scene, hours: int):
    it = scene()
    it.rings()
    await it.after(60)
    it.clock.jump(hours * 3_600)
    assert await it.after(230) == []
    assert await it.after(20) == [WANG]


async def test_a_gateway_that_hangs_holds_up_no_other_channel(scene):
    names = [f"person{n}" for n in range(30)]
    contacts = "".join(f'[[contact]]\nperson = "{it}"\nby = {{ sms = "1380{n}" }}\n' for n, it in enumerate(names))
    it = scene(
        f"""
[[route]]
name = "all"
rules = ["sump high"]
steps = [
    {{ after = "0 s", tell = {[f"person:{name}" for name in names]} }},
    {{ after = "5 min", tell = ["person:li.na"], by = ["mail"] }},
]
[[route]]
name = "group"
severity = ["low"]
steps = [{{ after = "0 s", tell = ["channel:group"] }}]
""",
        CHANNELS + contacts,
    )
    it.hanging.add("sms")
    it.rings()
    await it.after(30)
    it.rings("another", Severity.LOW)
    assert await it.after(15) == [GROUP]
    assert await it.after(180) == [("mail", "li.na@county.example")], "all thirty have failed once"


async def test_an_alarm_behind_one_that_cannot_be_delivered_calls_the_next_at_once_too(scene):
    it = scene('[[route]]\nname = "all"\nsteps = [{ after = "0 s", tell = ["person:wang.min"] },'
               ' { after = "30 min", tell = ["channel:group"] }]')  # fmt: skip
    it.broken["sms"] = "no credit"
    it.rings("first")
    assert await it.after(8) == [GROUP]
    it.rings("second")
    assert await it.after(15) == [GROUP], "its own SMS would be tried in minutes"


async def test_what_cannot_be_delivered_is_given_up_and_said(scene):
    it = scene('[[route]]\nname = "all"\nsteps = [{ after = "0 s", tell = ["person:wang.min"] }]')
    it.broken["sms"] = "401 Unauthorized"
    alarm = it.rings()
    await it.after(300)
    await it.log(alarm)
    (entry,) = await it.house.ledger.about("notice", [alarm.id])
    assert (entry.says["outcome"], entry.says["tries"], entry.says["why"]) == ("failed", 4, "401 Unauthorized")
    assert it.notifier.postbox.failing == 1


async def test_a_role_is_told_by_area_and_a_shift_by_the_time(scene):
    it = scene(
        """
[[shift]]
name = "duty"
times = ["08:00-20:00"]
people = ["li.na"]
[[shift]]
name = "nights"
times = ["20:00-08:00"]
teams = [["wang.min"], ["zhao.li"]]
since = 2026-06-01
[[route]]
name = "all"
steps = [
    { after = "0 s", tell = ["shift:duty", "shift:nights"], by = ["sms"] },
    { after = "2 min", tell = ["role:water_operator"] },
]
"""
    )
    it.house.hub.areas.update({TOWN: Area(TOWN, "城关镇")})
    it.house.hub.adopt(Device("ps-2", "西门泵站", "pump_station", "pumps:ps-2", "", TOWN), PLATE)
    await add_person(it.house.ledger, "wang.min", Grant("water_operator", TOWN))
    await add_person(it.house.ledger, "zhao.li", Grant("water_operator"), disabled=True)
    await add_person(it.house.ledger, "nobody", Grant("water_operator"))
    await it.after(31)
    alarm = it.rings(device="ps-2")
    assert await it.after(5) == [LI]
    assert await it.after(120) == [WANG]
    assert it.told[-1][2] == "[URGENT] 西门泵站: sump level 3.40 m", "in the language of their log-in"
    assert ("nobody", "unanswered", "nobody") in await it.log(alarm)
    it.clock.jump(12 * 3600)
    it.rings("another", device="ps-2")
    assert (await it.after(15))[:1] == [WANG], "the first night is the first team's"
    it.clock.jump(24 * 3600)
    it.rings("a third", device="ps-2")
    assert ZHAO not in (await it.after(15)), "who may not log in any more is not called"


async def test_when_nobody_is_meant_the_next_step_is_due_at_once_and_it_is_written(scene):
    it = scene(
        """
[[route]]
name = "all"
steps = [
    { after = "0 s", tell = ["role:dispatcher"] },
    { after = "30 min", tell = ["person:li.na"], by = ["sms"] },
]
"""
    )
    alarm = it.rings()
    assert await it.after(5) == [LI]
    assert (await it.log(alarm))[0] == ("", "calls", "nobody")


async def test_who_is_away_is_not_called_and_who_stands_in_is(scene):
    it = scene(ROUTE + '[[away]]\nperson = "li.na"\nfrom = 2026-06-01\nto = 2026-06-01\ninstead = "wang.min"\n')
    it.rings()
    assert await it.after(5) == [WANG]
    it.clock.jump(24 * 3600)
    it.rings("tomorrow")
    assert LI in await it.after(5)


async def test_a_route_takes_what_it_is_for(scene):
    it = scene(
        """
[[route]]
name = "towns"
severity = ["urgent", "high"]
areas = ["340299000000"]
steps = [{ after = "0 s", tell = ["person:li.na"], by = ["sms"] }]
[[route]]
name = "one rule"
rules = ["sump high"]
steps = [{ after = "0 s", tell = ["person:wang.min"] }]
"""
    )
    it.rings(severity=Severity.MEDIUM)
    assert await it.after(15) == [WANG]
    it.rings("sump high / pump2", severity=Severity.MEDIUM)
    assert await it.after(70) == [WANG], "a rule of each pump is one rule"
    it.rings("other")
    assert await it.after(70) == [], "the station lies in no area"


async def test_after_a_restart_nobody_is_told_twice_and_the_next_step_comes_in_its_time(tmp_path: Path):
    house = await House.open(tmp_path)
    plan = plan_of(tmp_path, CHANNELS + ROUTE)
    it = Scene(house, plan)
    alarm = it.rings()
    await it.after(100)
    assert [pair[:2] for pair in it.told] == [LI]
    await it.close()
    house = await house.die(tmp_path)
    house.hub.restore(await house.ledger.standing_alarm_changes())
    again = Scene(house, plan)
    assert await again.after(150) == []
    assert await again.after(60) == [WANG]
    await house.hub.alarms.acknowledge(alarm.id, "wang.min")
    assert await again.after(70) == [LI, WANG], "also who was told before it"
    await again.close()
    await house.close()


async def test_what_was_raised_while_nobody_could_be_told_is_told_after_the_start(tmp_path: Path):
    house = await House.open(tmp_path)
    plan = plan_of(tmp_path, CHANNELS + ROUTE)
    it = Scene(house, plan)
    it.broken["sms"] = "no network"
    it.rings()
    await it.after(8)
    await it.close()
    house = await house.die(tmp_path)
    house.hub.restore(await house.ledger.standing_alarm_changes())
    again = Scene(house, plan)
    assert LI in await again.after(5)
    await again.close()
    await house.close()


async def test_two_thousand_alarms_hold_nothing_up_and_every_one_is_accounted_for(scene):
    it = scene()
    for n in range(2_000):
        it.rings(f"rule {n}", Severity.LOW)
    await it.after(20)
    assert len(it.told) == 1
    outcomes: dict[str, int] = {}
    await it.log(it.rings("last", Severity.LOW))
    for entry in await it.house.ledger.entries("notice", 1_000) + await it.house.ledger.entries(
        "notice", 1_000, before=(await it.house.ledger.entries("notice", 1_000))[-1].seq
    ):
        outcomes[entry.says["outcome"]] = outcomes.get(entry.says["outcome"], 0) + 1
    assert outcomes == {"dropped": 1_500, "sent": 500}


@pytest.mark.parametrize("severity", list(Severity))
async def test_a_device_that_leaves_is_told_of_no_more(scene, severity):
    it = scene()
    it.rings(severity=severity)
    it.house.hub.retire(STATION.id)
    assert await it.after(1200) == []
