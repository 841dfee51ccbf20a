"""A small honest house for the core's tests: time moves when told, the ledger is the real one on a real disk, and the
driver carries out what it is told on a pump station that behaves, or misbehaves, as the test says.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from hub.clock import ManualClock
from hub.contract import Ask, Finding, Hold, Intake, Sent
from hub.dispatch import Dispatch
from hub.guard import Guard, Request
from hub.hub import Hub
from hub.ledger import Ledger, LedgerUnavailable
from hub.model import (
    Action,
    Alarm,
    AlarmEvent,
    Command,
    CommandRecord,
    Device,
    Hazard,
    Interlock,
    Kind,
    LinkState,
    Nameplate,
    Point,
    Proof,
    Quality,
    Reading,
    Receipt,
    Severity,
    Stage,
    Test,
    Words,
)
from hub.rights import Grant
from hub.sight import Sight
from hub.slot import Slot

NOON = ManualClock().now()
PATIENCE_S = 10.0  # real seconds until a test that waits for a disk gives up

LEVEL = Point("sump.level", unit="m", low=0.0, high=5.0)
STATE = Point("pump1.state", Kind.ENUM, labels={0: "stopped", 1: "running"})
RUNNING = Point("pump1.running", Kind.BOOL, interval_s=5.0)
SPEED = Point("pump1.speed", unit="%", low=0.0, high=100.0)
LINK = Point("link", Kind.ENUM, interval_s=30.0, labels={0: "up", 1: "degraded", 2: "down"})
TITLE = {"zh-CN": "水位足够", "en": "level is high enough"}

START = Action(
    "pump1.start",
    proof=Proof("pump1.running", True, within_s=20.0),
    hazard=Hazard.PUMP,
    interlocks=(
        Interlock("sump.level", Test.AT_LEAST, 0.5, title=TITLE),
        Interlock(count=4, per_s=3600.0, title={"zh-CN": "启动次数", "en": "starts an hour"}),
    ),
    target="pump1",
)
STOP = Action("pump1.stop", proof=Proof("pump1.running", False, within_s=20.0), hazard=Hazard.PUMP, safety=True)
SET_SPEED = Action(
    "pump1.set_speed",
    args=(),
    proof=Proof("pump1.speed", "$speed", within_s=20.0, tolerance=0.5),
)
SPEAK = Action("say", hazard=Hazard.NONE)  # nothing that can be read proves it
PLATE = Nameplate(
    {point.key: point for point in (LEVEL, STATE, RUNNING, SPEED, LINK)},
    {action.key: action for action in (START, STOP, SPEAK)},
)
STATION = Device("ps-1", "东门泵站", "pump_station", "pumps:ps-1")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def reading(point: str, value: Any, seconds: float = 0.0, came: float | None = None, **more: Any) -> Reading:
    """A reading of STATION measured `seconds` after noon, received then or at `came`."""
    return Reading(STATION.id, point, value, at(seconds), at(seconds if came is None else came), **more)


# ---- what stands around the hub -----------------------------------------------------------------------------------


class Diary:
    """A history that can be read by a test: (point, seconds after noon, value, quality)."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, Any, Quality]] = []
        self._names: list[str] = []
        self._texts: list[str] = []

    def number(self, device: str, point: str, kind: Kind, unit: str, area: str = "") -> int:
        self._names.append(point)
        return len(self._names) - 1

    def code(self, series: int, text: str) -> int:
        self._texts.append(text)
        return len(self._texts)

    def thin(self, series: int, deadband: float | None, heartbeat_s: float) -> None:
        """This diary keeps everything."""

    def offer(self, at_us: int, series: list[int], values: list[Any], qualities: list[int]) -> None:
        assert len(series) == len(values) == len(qualities)
        seconds = at_us / 1e6 - NOON.timestamp()
        for number, value, quality in zip(series, values, qualities, strict=True):
            self.rows.append((self._names[number], round(seconds, 6), float(value), Quality(quality)))

    def of(self, point: str) -> list[tuple[float, Any, Quality]]:
        return [row[1:] for row in self.rows if row[0] == point]


class Limit:
    """One rule: the sump is high above 3 m, until it is below 2.5 m. Unknown neither raises nor returns."""

    RULE = "sump high"

    def __init__(self, *asks: Ask) -> None:
        self.asks = asks
        self.raised: set[str] = set()
        self.judged: list[tuple[str, Any, Any]] = []  # device, level, state: what it saw when it was woken
        self._slots: dict[str, Mapping[str, Slot]] = {}

    def bind(self, device: Device, slots: Mapping[str, Slot]) -> Mapping[str, tuple[str, ...]]:
        self._slots[device.id] = slots
        return {key: (device.id,) for key in ("sump.level", "pump1.state") if key in slots}

    def unbind(self, device: str) -> None:
        self._slots.pop(device, None)

    def restore(self, standing: Iterable[Alarm], holds: Iterable[Hold] = ()) -> None:
        self.raised |= {alarm.device for alarm in standing}

    def holds(self) -> list[Hold]:
        return []

    def orphans(self) -> list[tuple[str, str]]:
        return []

    def wants(self) -> Mapping[str, Mapping[str, float]]:
        return {}

    def remember(self, device: str, course: Sequence[Any]) -> None: ...

    def clock_moved(self, by: timedelta) -> None:
        pass

    def restless(self, device: str) -> Mapping[str, None]:
        return {}

    def step(self, tokens: Iterable[str], at: datetime) -> list[Finding]:
        return [it for device in tokens if (it := self._judge(device, at)) is not None]

    def tick(self, now: datetime) -> list[Finding]:
        return []

    def _judge(self, device: str, at: datetime) -> Finding | None:
        slots = self._slots[device]
        level, state = slots["sump.level"], slots.get("pump1.state")
        self.judged.append((device, level.value, state.value if state else None))
        if level.quality is not Quality.GOOD or not isinstance(level.value, float | int):
            return None
        if level.value > 3 and device not in self.raised:
            self.raised.add(device)
            return self._found(device, AlarmEvent.RAISED, at, level)
        if level.value < 2.5 and device in self.raised:
            self.raised.remove(device)
            return self._found(device, AlarmEvent.RETURNED, at, level)
        return None

    def _found(self, device: str, event: AlarmEvent, at: datetime, level: Slot) -> Finding:
        say = {"zh-CN": "集水池水位过高", "en": "sump level high"}
        asks = self.asks if event is AlarmEvent.RAISED else ()
        return Finding(self.RULE, device, event, at, at, Severity.HIGH, say, say, {"sump.level": level.value}, asks)


class Desk:
    """Somebody who watches everything."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, list[str]]] = []
        self.alarms: list[Alarm] = []
        self.commands: list[CommandRecord] = []
        self.rosters = 0

    def readings(self, device: str, slots: Sequence[Slot]) -> None:
        self.changes.append((device, [slot.point.key for slot in slots]))

    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    def command(self, record: CommandRecord) -> None:
        self.commands.append(record)

    def devices(self) -> None:
        self.rosters += 1


def small_hub(judgement: Any = None, plate: Nameplate = PLATE, ledger: Any = None) -> tuple[Hub, Diary, ManualClock]:
    """A hub with one pump station and nothing that needs a disk; alarms go to `ledger` or are kept nowhere."""
    clock, diary = ManualClock(), Diary()
    hub = Hub(clock, diary, ledger or Nowhere(), judgement or Limit())
    hub.adopt(STATION, plate)
    return hub, diary, clock


class Nowhere:
    """A ledger for tests that ask nothing of it: what is appended is kept in a list."""

    healthy = True

    def __init__(self) -> None:
        self.nouns: list[Any] = []

    def append(self, *nouns: Any) -> "Done":
        self.nouns += nouns
        return Done()


class Done:
    """Something to await that has already happened."""

    def __await__(self) -> Any:
        yield from ()
        return 1

    def add_done_callback(self, call: Callable[[Any], Any]) -> None:
        pass

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return True


# ---- a pump station and its driver --------------------------------------------------------------------------------


class Manner(Enum):
    """How the pump station (or the way to it) behaves."""

    OBEYS = "sends, the pump does it, the device says done"
    ONLY_SAYS_SO = "says done, and the pump does nothing"
    DOES_NOT_ANSWER = "sends, the pump does it, the answer is lost"
    IS_DEAF = "sends, nothing happens, no answer"
    REFUSES = "sends, the device says no"
    IS_AWAY = "cannot be reached: nothing is sent"
    IS_SLOW_TO_REACH = "connecting takes for ever"
    BREAKS_BEFORE = "the driver fails before anything is sent"
    BREAKS_AFTER = "the driver fails after sending"
    IS_CUT_OFF = "the driver's own task is cancelled under it after sending"


class PumpDriver:
    """Carries commands to pump stations in memory. What a device did, its next poll tells."""

    def __init__(self, clock: ManualClock) -> None:
        self.manner = Manner.OBEYS
        self.answers_after_s = 0.0
        self.heard: list[Command] = []  # what arrived at the device, in order
        self.running = False
        self._clock = clock

    async def run(self, intake: Intake) -> None:
        while True:
            for device in intake.mine("pumps").devices:
                intake.take(self.poll(device.id))
            await self._clock.sleep(5.0)

    def poll(self, device: str = STATION.id, level: Any = 1.0) -> list[Reading]:
        now = self._clock.now()
        state = "running" if self.running else "stopped"
        values = {"sump.level": level, "pump1.state": state, "pump1.running": self.running, "link": LinkState.UP.value}
        return [Reading(device, key, value, now, now) for key, value in values.items()]

    async def carry_out(self, device: Device, command: Command, sent: Sent) -> Receipt:
        manner = self.manner
        if manner is Manner.BREAKS_BEFORE:
            raise ConnectionResetError("before")
        if manner is Manner.IS_AWAY:
            return self._receipt(command, Stage.UNDELIVERED)
        if manner is Manner.IS_SLOW_TO_REACH:
            await self._clock.sleep(1e9)
        self.heard.append(command)
        if manner in (Manner.OBEYS, Manner.DOES_NOT_ANSWER):
            self.running = command.action == "pump1.start"
        sent(Words("command.proven"))
        if manner is Manner.BREAKS_AFTER:
            raise ConnectionResetError("after")
        if manner is Manner.IS_CUT_OFF:
            inner = asyncio.ensure_future(asyncio.sleep(0))
            inner.cancel()
            await inner
        if manner in (Manner.DOES_NOT_ANSWER, Manner.IS_DEAF):
            await self._clock.sleep(5.0)
            return self._receipt(command, Stage.EXPIRED)
        await self._clock.sleep(self.answers_after_s)
        return self._receipt(command, Stage.REJECTED if manner is Manner.REFUSES else Stage.ACKNOWLEDGED)

    def _receipt(self, command: Command, stage: Stage) -> Receipt:
        return Receipt(command.id, stage, self._clock.now(), Words(f"pumps.{stage}"))


# ---- the ledger's pen, and the house ------------------------------------------------------------------------------


class Pen:
    """The real ledger, with a hand on the pen: it can be held, and the disk can be full."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.full = False
        self.reading = 0  # questions that wait for the disk
        self._held: list[tuple[tuple[Any, ...], asyncio.Future[int]]] | None = None

    @property
    def healthy(self) -> bool:
        return self.ledger.healthy and not self.full

    def append(self, *nouns: Any) -> asyncio.Future[int]:
        if self.full:
            refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            refused.set_exception(LedgerUnavailable("the disk is full"))
            return refused
        if self._held is None:
            return self.ledger.append(*nouns)
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._held.append((nouns, written))
        return written

    def hold(self) -> None:
        self._held = []

    def let_go(self) -> None:
        held, self._held = self._held or [], None
        for nouns, written in held:
            self.ledger.append(*nouns).add_done_callback(partial(_hand_on, written))

    async def command_by_key(self, by: str, key: str) -> Any:
        return await self._read(self.ledger.command_by_key(by, key))

    async def open_commands(self) -> Any:
        return await self._read(self.ledger.open_commands())

    async def count_sent(self, device: str, action: str, since: datetime) -> int:
        return int(await self._read(self.ledger.count_sent(device, action, since)))

    async def _read(self, reading: Any) -> Any:
        self.reading += 1
        try:
            return await reading
        finally:
            self.reading -= 1


def _hand_on(written: asyncio.Future[int], done: asyncio.Future[int]) -> None:
    if not written.done():
        written.set_result(done.result())


class House:
    """Hub, dispatch, guard, one driver, one station; on a ledger in a folder that outlives it."""

    def __init__(self, ledger: Ledger, clock: ManualClock, *asks: Ask, armed: Sequence[str] = ()) -> None:
        self.clock = clock
        self.pen = Pen(ledger)
        self.ledger = ledger
        self.diary = Diary()
        self.rule = Limit(*asks)
        self.desk = Desk()
        self.driver = PumpDriver(clock)
        self.hub = Hub(clock, self.diary, self.pen, self.rule)
        self.guard = Guard(clock, self.hub.members, self.pen, Sight(self.hub), {Limit.RULE: armed})
        self.dispatch = Dispatch(self.hub, self.pen, {"pumps": self.driver}, self.guard)
        self.hub.adopt(STATION, PLATE)
        self.hub.watch(self.desk)

    @classmethod
    async def open(
        cls, folder: Path, *asks: Ask, clock: ManualClock | None = None, armed: Sequence[str] = ()
    ) -> "House":
        clock = clock or ManualClock()
        return cls(await Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}", clock), clock, *asks, armed=armed)

    async def close(self) -> None:
        """Everything ends, as at `fieldhub` stopping."""
        await self.dispatch.close()
        await self.ledger.close()

    async def die(self, folder: Path) -> "House":
        """kill -9: what was not written is lost, and nobody says good-bye. A new house opens the same folder."""
        for task in self.dispatch._tasks:
            task.cancel()
        await self.quiet()
        await self.ledger.close()
        return await House.open(folder, clock=self.clock)

    def poll(self, level: Any = 1.0) -> None:
        self.hub.take(self.driver.poll(level=level))

    async def ask(self, action: str = "pump1.start", key: str = "", **more: Any) -> CommandRecord:
        return await self.dispatch.request(request(action, key, **more))

    async def pass_(self, seconds: float) -> None:
        """Let time pass: polls every second, ticks, and the disk keeps up."""
        await self.quiet()
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            self.poll()
            self.hub.tick()
            await self.quiet()

    async def quiet(self) -> None:
        """Until nothing moves any more without time passing: the disk has written, the tasks wait."""
        calm = 0
        async with asyncio.timeout(PATIENCE_S):
            while calm < 3:
                for _ in range(10):
                    await asyncio.sleep(0)
                calm = 0 if self.ledger.backlog or self.pen.reading else calm + 1
                await asyncio.sleep(0.0005)

    async def life(self, record: CommandRecord) -> list[Stage]:
        """The stages of a command, by the ledger."""
        await self.quiet()
        found = await self.ledger.command(record.command.id)
        assert found is not None
        return [receipt.stage for receipt in found[1]]

    async def words(self, record: CommandRecord) -> Words:
        """The words of its last receipt, by the ledger."""
        await self.quiet()
        found = await self.ledger.command(record.command.id)
        assert found is not None
        assert found[1][-1].words is not None
        return found[1][-1].words


def request(action: str = "pump1.start", key: str = "", **more: Any) -> Request:
    given: dict[str, Any] = {"device": STATION.id, "args": {}, "asked_by": "wang.min", "because": "irrigation"}
    return Request(action=action, key=key, **(given | {"grants": (Grant("water_operator"),)} | more))
