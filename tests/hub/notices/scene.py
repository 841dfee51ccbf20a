"""A house whose people are told of alarms: everything real but the channels, which write down what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from hub.contract import Finding
from hub.ledger import Ledger, Note
from hub.ledger.entries import Entry
from hub.ledger.people import Person
from hub.model import Alarm, AlarmEvent, Device, Severity
from hub.notices.file import NAME, Known, read_plan
from hub.notices.message import Text
from hub.notices.notifier import Notifier
from hub.notices.plan import Channel
from hub.rights import Grant
from hub.sight import Sight
from hub.words import house_words
from tests.hub.kit import NOON, STATION, House

T = TypeVar("T")
TOWN, COUNTY = "340299100000", "340299000000"
KNOWN = Known(
    "Asia/Shanghai", "zh-CN", frozenset({TOWN, COUNTY}), frozenset({"pump_station"}), frozenset({"sump high"})
)
CHANNELS = """
[channel.sms]
url = "env:SMS"
[channel.mail]
url = "env:MAIL"
[channel.group]
url = "env:GROUP"
[[contact]]
person = "li.na"
by = { sms = "13800000001", mail = "li.na@county.example" }
[[contact]]
person = "wang.min"
by = { sms = "13800000002" }
[[contact]]
person = "zhao.li"
by = { sms = "13800000003" }
quiet = "21:00-07:00"
"""
ROUTE = """
[[route]]
name = "pumps"
steps = [
    { after = "0 s", tell = ["person:li.na"], by = ["sms"] },
    { after = "5 min", tell = ["person:wang.min"] },
    { after = "15 min", tell = ["channel:group"] },
]
"""
PLACES = {
    "SMS": "sms://key/{to}",
    "MAIL": "mailtos://hub:secret1@mail.county.example?to={to}",
    "GROUP": "wecombot://secret22",
}


def plan_of(folder: Path, text: str) -> Any:
    (folder / NAME).write_text(text, "utf-8")
    return read_plan(folder, KNOWN, PLACES)


class Reads:
    """The ledger as the notifier reads it; time must not pass meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._idle = asyncio.Condition()
        self._under_way = 0
        self.people = self

    async def about(self, kind: str, subjects: Iterable[str]) -> list[Entry]:
        return await self._do(self._ledger.about(kind, subjects))

    async def persons(self) -> list[Person]:
        return await self._do(self._ledger.people.persons())

    async def _do(self, read: Coroutine[Any, Any, T]) -> T:
        self._under_way += 1
        try:
            return await read
        finally:
            self._under_way -= 1
            async with self._idle:
                self._idle.notify_all()

    async def done(self) -> None:
        await asyncio.sleep(0)
        async with self._idle:
            await self._idle.wait_for(lambda: not self._under_way)


class Scene:
    """`told` is [(channel, receiver, title, body)] in order; `broken` channels take nothing, and say why; `hanging`
    ones only after a long time.
    """

    def __init__(self, house: House, plan: Any) -> None:
        self.house, self.clock = house, house.clock
        self.told: list[tuple[str, str, str, str]] = []
        self.broken: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.sight = Sight(house.hub)
        self.reads = Reads(house.ledger)
        it = house.hub
        self.notifier = Notifier(
            plan, self, self.sight, self.reads, it.outbox.put, self.clock, house_words(), self.send
        )
        it.on_alarm = self.notifier.heard
        self._running = asyncio.get_running_loop().create_task(self.notifier.run())

    def device(self, device: str) -> Device | None:
        member = self.house.hub.members.get(device)
        return member.device if member else None

    def alarms(self) -> list[Alarm]:
        return self.house.hub.book.standing()

    async def send(self, channel: Channel, to: str, text: Text) -> str:
        if channel.name in self.hanging:
            await self.clock.sleep(20)
            return "no answer within 20 s"
        if channel.name in self.broken:
            return self.broken[channel.name]
        self.told.append((channel.name, to, text.title, text.body))
        return ""

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        await self.notifier.close()

    def rings(self, rule: str = "sump high", severity: Severity = Severity.URGENT, **more: Any) -> Alarm:
        now = self.clock.now()
        say = {"zh-CN": "前池水位 3.40 m", "en": "sump level 3.40 m"}
        do = {"zh-CN": "增开 1 台", "en": "start one more"}
        found = Finding(rule, more.get("device", STATION.id), AlarmEvent.RAISED, now, now, severity, say, do)
        self.house.hub.alarms.found(found)
        alarm = self.house.hub.book.of(found.device, rule)
        assert alarm is not None
        return alarm

    def ends(self, rule: str = "sump high") -> None:
        now = self.clock.now()
        self.house.hub.alarms.found(Finding(rule, STATION.id, AlarmEvent.RETURNED, now, now, Severity.URGENT, {}, {}))

    async def after(self, seconds: float) -> list[tuple[str, str]]:
        """(channel, receiver) of what was told since the last look, after so many seconds."""
        before = len(self.told)
        for _ in range(3):  # what it reads first
            await self.reads.done()
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            await self.reads.done()
            self.house.hub.tick()
        await self.house.quiet()
        return [(channel, to) for channel, to, _, _ in self.told[before:]]

    async def log(self, alarm: Alarm) -> list[tuple[str, str, str]]:
        """(person or channel, about, outcome) of what the ledger has of this alarm."""
        await self.house.hub.outbox.now(Note("test", self.clock.now(), "test"))
        entries = await self.house.ledger.about("notice", [alarm.id])
        return [(it.says["person"] or it.says["channel"], it.says["about"], it.says["outcome"]) for it in entries]


async def add_person(ledger: Ledger, name: str, *grants: Grant, disabled: bool = False, language: str = "en") -> None:
    await ledger.people.add(Person(name, name, "", tuple(grants), NOON, language))
    if disabled:
        person = await ledger.people.person(name)
        assert person is not None
        await ledger.people.change(replace(person, disabled=True))
