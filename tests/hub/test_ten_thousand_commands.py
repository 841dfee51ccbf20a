"""Ten thousand commands to five hundred stations that fail in every way: each ends in one true stage, and none is
called confirmed while the pump is not as it was asked to be.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from hub.clock import ManualClock
from hub.contract import Sent
from hub.dispatch import Dispatch
from hub.guard import Guard, Request
from hub.hub import Hub
from hub.ledger import Ledger, Note
from hub.model import (
    FINAL,
    Action,
    Command,
    CommandRecord,
    Device,
    Hazard,
    LinkState,
    Nameplate,
    Proof,
    Quality,
    Reading,
    Receipt,
    Stage,
    Words,
)
from hub.rights import Grant
from hub.sight import Sight
from tests.hub.kit import LEVEL, LINK, RUNNING, STATE, Limit, Nowhere

STATIONS, ROUNDS = 500, 20
ROUND_S = 36  # longer than any command may take
START = Action(
    "pump1.start", proof=Proof("pump1.running", True, within_s=15.0), hazard=Hazard.PUMP, target="pump1", valid_s=30.0
)
STOP = Action(
    "pump1.stop", proof=Proof("pump1.running", False, within_s=15.0), hazard=Hazard.PUMP, safety=True, valid_s=30.0
)
PLATE = Nameplate({it.key: it for it in (LEVEL, STATE, RUNNING, LINK)}, {it.key: it for it in (START, STOP)})
GRANTS = (Grant("water_operator"),)


class Fault(Enum):
    """How one command fails, if it does."""

    NONE = "none"
    SLOW = "the pump takes its time"
    LIES = "says done, does nothing"
    ANSWER_LOST = "does it, the answer is lost"
    TIME_OUT = "nothing happens, no answer"
    REFUSES = "the device says no"
    UNREACHABLE = "cannot be reached"
    EXCEPTION = "the driver fails before sending"
    EXCEPTION_AFTER = "the driver fails after sending"
    LATE_REPLY = "answers when nobody waits any more"
    WRONG_READBACK = "does it, and reads as the opposite"
    BAD_READBACK = "does it, and the reading is bad"
    OLD_READINGS = "does nothing; what was buffered before comes afterwards"
    LINK_LOSS = "does it, and is heard of no more"
    SWAPPED = "another device takes its place in between"
    DUPLICATE = "asked three times with one key"
    RESTART = "the hub is killed in between"


class World:
    """One station as it is; `reads` is what its readings say of it."""

    def __init__(self) -> None:
        self.running = False
        self.fault = Fault.NONE
        self.was = False  # before the command
        self.due: tuple[int, bool] | None = None  # in so many seconds it will be so
        self.arrived: Counter[str] = Counter()

    def second(self) -> None:
        if self.due is not None:
            left, running = self.due
            self.due = (left - 1, running) if left > 1 else None
            self.running = running if left <= 1 else self.running


class Plant:
    """The driver of all stations."""

    def __init__(self, clock: ManualClock, chance: random.Random, worlds: dict[str, World]) -> None:
        self.clock, self.chance, self.worlds = clock, chance, worlds

    async def run(self, intake: Any) -> None:
        await asyncio.Event().wait()  # who polls is the test

    async def carry_out(self, device: Device, command: Command, sent: Sent) -> Receipt:
        world, fault = self.worlds[device.id], self.worlds[device.id].fault
        await self.clock.sleep(10.0 if fault is Fault.OLD_READINGS else self.chance.choice([0.0, 0.5, 1.5]))
        if fault is Fault.UNREACHABLE:
            return self._said(command, Stage.UNDELIVERED)
        if fault is Fault.EXCEPTION:
            raise ConnectionResetError("before")
        world.arrived[command.id] += 1
        wanted = command.action == "pump1.start"
        if fault in (Fault.SLOW, Fault.RESTART):
            world.due = self.chance.randrange(1, 9), wanted
        elif fault not in (Fault.LIES, Fault.TIME_OUT, Fault.REFUSES, Fault.OLD_READINGS):
            world.running = wanted
        sent(Words("command.sent"))
        if fault is Fault.EXCEPTION_AFTER:
            raise ConnectionResetError("after")
        if fault in (Fault.ANSWER_LOST, Fault.TIME_OUT):
            await self.clock.sleep(5.0)
            return self._said(command, Stage.EXPIRED)
        if fault is Fault.LATE_REPLY:
            await self.clock.sleep(33.0)
        return self._said(command, Stage.REJECTED if fault is Fault.REFUSES else Stage.ACKNOWLEDGED)

    def poll(self, device: str, second: int) -> Iterator[list[Reading]]:
        """What is read of a station now; nothing when it is not heard."""
        world, now = self.worlds[device], self.clock.now()
        if world.fault is Fault.LINK_LOSS and second > 2:
            return
        shown, quality = world.running, Quality.GOOD
        if world.fault is Fault.WRONG_READBACK and world.arrived:
            shown = world.was
        if world.fault is Fault.BAD_READBACK and second > 2:
            quality = Quality.BAD
        if world.fault is Fault.OLD_READINGS and 0 < second < 25:
            if second == 14:  # newer than what is known, and from before the command was sent
                before = now - timedelta(seconds=13.5)
                yield [Reading(device, "pump1.running", not world.running, before, now)]
            return
        values = {"sump.level": 1.0, "pump1.state": "running" if shown else "stopped", "link": LinkState.UP.value}
        yield [
            *(Reading(device, key, value, now, now) for key, value in values.items()),
            Reading(device, "pump1.running", shown, now, now, quality),
        ]

    def _said(self, command: Command, stage: Stage) -> Receipt:
        return Receipt(command.id, stage, self.clock.now(), Words(f"plant.{stage}"))


class NoHistory(Nowhere):
    """Readings are not what is looked at here."""

    def number(self, *of: Any) -> int:
        return 0

    def code(self, series: int, text: str) -> int:
        return 0

    def thin(self, *of: Any) -> None: ...

    def offer(self, *of: Any) -> None: ...


class Run:
    """A hub from its start to its end. `wrong` is what was called confirmed and was not so."""

    def __init__(self, ledger: Ledger, plant: Plant, devices: list[Device], wrong: list[str]) -> None:
        self.ledger, self.plant, self.wrong = ledger, plant, wrong
        self.hub = Hub(plant.clock, NoHistory(), ledger, Limit())
        guard = Guard(plant.clock, self.hub.members, ledger, Sight(self.hub), {})
        self.dispatch = Dispatch(self.hub, ledger, {"pumps": plant}, guard)
        for device in devices:
            self.hub.adopt(device, PLATE)
        self.hub.watch(self)

    def command(self, record: CommandRecord) -> None:
        """A watcher: of each command, each receipt."""
        it = record.command
        world = self.plant.worlds[it.device]
        if record.stage is Stage.CONFIRMED and world.running is not (it.action == "pump1.start"):
            self.wrong.append(f"{it.action} at {it.device}, {world.fault.value}: confirmed; running: {world.running}")

    def readings(self, *of: Any) -> None: ...
    def alarm(self, *of: Any) -> None: ...
    def devices(self) -> None: ...

    async def ask(self, device: str, action: str, key: str) -> CommandRecord:
        return await self.dispatch.request(Request(device, action, {}, "wang.min", "a trial", key, GRANTS))

    async def end(self) -> None:
        for task in list(self.dispatch._tasks):
            task.cancel()
        await asyncio.gather(*self.dispatch._tasks, return_exceptions=True)
        await self.ledger.close()


def device(n: int, address: int = 0) -> Device:
    return Device(f"ps-{n}", f"泵站 {n}", "pump_station", f"pumps:ps-{n}/{address}")


@pytest.mark.slow
async def test_each_of_ten_thousand_commands_ends_in_one_true_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    chance = random.Random(20261129)
    clock, url = ManualClock(), f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    worlds = {f"ps-{n}": World() for n in range(STATIONS)}
    plant, wrong = Plant(clock, chance, worlds), list[str]()
    devices = [device(n) for n in range(STATIONS)]
    run = Run(await Ledger.open(url, clock), plant, devices, wrong)
    asked: dict[str, tuple[Fault, str, str]] = {}  # command -> how it failed, device, action
    for number in range(ROUNDS):
        faults = [it for it in Fault if it is not Fault.RESTART] * 8
        restarts = number % 10 == 9
        for world in worlds.values():
            world.was, world.due = world.running, None
            world.fault = chance.choice([*faults, *[Fault.RESTART] * 60] if restarts else faults)
            world.arrived.clear()
        poll(run, plant, 0)
        await clock.advance(1)
        asked |= await ask_all(run, worlds, number, chance)
        killed_at = chance.randrange(2, 20) if restarts else 0
        for second in range(1, ROUND_S):
            await clock.advance(1)
            for n, (id, world) in enumerate(worlds.items()):
                world.second()
                if world.fault is Fault.SWAPPED and second == 1 + n % 20:
                    await swap(run, n, id, number)
            poll(run, plant, second)
            run.hub.tick()
            if second == killed_at:
                await settled(run)
                await run.end()
                run = Run(await Ledger.open(url, clock), plant, devices, wrong)
                await run.dispatch.recover()
                for id in worlds:
                    if chance.random() < 0.1:  # somebody presses the button again, not knowing
                        again = await run.ask(id, last_action(asked, id), f"{number}/{id}")
                        assert again.command.id in asked
            await settled(run)
        assert not run.dispatch.under_way(), "every command has ended by its deadline"
        judge_round(worlds)
    table = await judge(run.ledger, asked)
    await run.end()
    with capsys.disabled():
        show(table)
    assert wrong == []
    assert len(asked) == STATIONS * ROUNDS


async def ask_all(
    run: Run, worlds: dict[str, World], number: int, chance: random.Random
) -> dict[str, tuple[Fault, str, str]]:
    wishes = [(id, chance.choice(["pump1.start", "pump1.stop"]), f"{number}/{id}") for id in worlds]
    more = [wish for wish in wishes if worlds[wish[0]].fault is Fault.DUPLICATE] * 2
    records = await asyncio.gather(*(run.ask(*wish) for wish in [*wishes, *more]))
    assert len({it.command.id for it in records}) == len(wishes), "one key is one command"
    return {it.command.id: (worlds[it.command.device].fault, it.command.device, it.command.action) for it in records}


def last_action(asked: dict[str, tuple[Fault, str, str]], device: str) -> str:
    return next(action for _, id, action in reversed(asked.values()) if id == device)


def poll(run: Run, plant: Plant, second: int) -> None:
    for n, id in enumerate(plant.worlds):
        if (second + n) % 5 == 0 or second in (0, 14):
            for readings in plant.poll(id, second):
                run.hub.take(readings)


async def swap(run: Run, n: int, id: str, number: int) -> None:
    """As the house does it when a device is replaced: what is under way is called off."""
    run.hub.adopt(device(n, number), PLATE)
    for record in run.dispatch.under_way():
        if record.command.device == id and not record.final:
            await run.dispatch.cancel(record.command.id, "li.na")


async def settled(run: Run) -> None:
    """Until the ledger has what was put into it: this comes after it."""
    if run.ledger.backlog:
        await run.hub.outbox.now(Note("test", run.plant.clock.now()))


def judge_round(worlds: dict[str, World]) -> None:
    for id, world in worlds.items():
        assert all(times == 1 for times in world.arrived.values()), f"{id} got a command twice: {world.arrived}"
        assert len(world.arrived) <= 1


async def judge(ledger: Ledger, asked: dict[str, tuple[Fault, str, str]]) -> dict[Fault, Counter[Stage]]:
    """By the ledger: every command has one last word, and it fits what happened to it."""
    table: dict[Fault, Counter[Stage]] = defaultdict(Counter)
    lives, before = dict[str, list[Receipt]](), None
    while page := await ledger.commands(limit=1_000, before=before):
        lives |= {command.id: receipts for _, (command, receipts) in page}
        before = page[-1][0]
    assert set(lives) == set(asked)
    for id, receipts in lives.items():
        fault = asked[id][0]
        assert [it.last for it in receipts] == [False] * (len(receipts) - 1) + [True], (fault, receipts)
        stages = [it.stage for it in receipts]
        assert stages.count(Stage.SENT) <= 1
        assert stages[-1] in FINAL
        if stages[-1] in (Stage.REFUSED, Stage.UNDELIVERED):
            assert Stage.SENT not in stages, "what was sent is not called undelivered"
        table[fault][stages[-1]] += 1
    allowed = {
        Fault.REFUSES: {Stage.REJECTED},
        Fault.UNREACHABLE: {Stage.UNDELIVERED},
        Fault.EXCEPTION: {Stage.UNDELIVERED},
        Fault.SWAPPED: {Stage.CANCELLED, Stage.CONFIRMED},
    }
    for fault, stages_of in table.items():
        expected = allowed.get(fault, {Stage.CONFIRMED, Stage.EXPIRED, Stage.UNDELIVERED, Stage.REFUSED})
        assert set(stages_of) <= expected, (fault, stages_of)
    return table


def show(table: dict[Fault, Counter[Stage]]) -> None:
    stages = sorted({stage for counts in table.values() for stage in counts}, key=list(Stage).index)
    wide = max(len(it.value) for it in Fault)
    print("\n" + "what went wrong".ljust(wide) + "".join(it.value.rjust(13) for it in stages))
    for fault in Fault:
        print(fault.value.ljust(wide) + "".join(f"{table[fault][it]:13,}" for it in stages))
    print("all".ljust(wide) + "".join(f"{sum(counts[it] for counts in table.values()):13,}" for it in stages))
