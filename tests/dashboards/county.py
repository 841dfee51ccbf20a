"""A small county behind the real hub and the real API on a loopback port; only the field is make-believe."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher

from dashboards import door
from dashboards.app import Console, create_app
from hub import passwords
from hub.clock import Clock, SystemClock
from hub.config import HttpTable, HubFile, SecurityTable, Site, Strict
from hub.contract import Driver, DriverSpec, Finding, Hold, Intake
from hub.house import House
from hub.model import (
    LINK,
    Action,
    Alarm,
    AlarmEvent,
    Area,
    Arg,
    Command,
    Device,
    Hazard,
    Interlock,
    Kind,
    Nameplate,
    Point,
    Position,
    Proof,
    Quality,
    Reading,
    Receipt,
    Severity,
    Stage,
    Test,
    Words,
)
from hub.notices.plan import Plan
from hub.passwords import add_person
from hub.rights import read_grant
from hub.slot import Slot

COUNTY = (
    Area("341200000000", "示范市"),
    Area("341203100000", "城东镇", "341200000000"),
    Area("341203100201", "东门村", "341203100000"),
    Area("341204100000", "城西镇", "341200000000"),
)
PLATE = Nameplate(
    points={
        it.key: it
        for it in (
            Point(LINK, Kind.ENUM, labels={0: "down", 1: "up"}, interval_s=3600.0),
            Point(
                "inlet.level",
                unit="m",
                low=0.0,
                high=8.0,
                interval_s=3600.0,
                title={"zh-CN": "前池水位", "en": "Level"},
            ),
            Point("pump1.running", Kind.BOOL, interval_s=3600.0),
            Point("mode", Kind.TEXT, interval_s=3600.0),
            Point("place", Kind.POSITION, interval_s=3600.0),
        )
    },
    actions={
        it.key: it
        for it in (
            Action(
                "pump1.start",
                proof=Proof("pump1.running", True, 5.0),
                hazard=Hazard.PUMP,
                interlocks=(
                    Interlock("inlet.level", Test.ABOVE, 1.0, title={"zh-CN": "水位过低", "en": "level too low"}),
                ),
                target="pump1",
                valid_s=10.0,
                title={"zh-CN": "启动 1 号泵", "en": "Start pump 1"},
            ),
            Action("pump1.stop", proof=Proof("pump1.running", False, 5.0), safety=True, target="pump1", valid_s=10.0),
            Action("speed.set", args=(Arg("speed", "Hz", 30.0, 50.0), Arg("how", choices=("slow", "fast")))),
        )
    },
)


CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Field:
    """The far end of every device: does as it is told, or not at all."""

    def __init__(self) -> None:
        self.heard: list[Command] = []
        self.obeys = True
        self.silent = False
        self.house: House | None = None

    async def run(self, intake: Intake) -> None:
        await asyncio.Event().wait()

    async def carry_out(self, device: Device, command: Command, sent: Any) -> Receipt:
        self.heard.append(command)
        sent(Words("command.no_driver"))
        if self.silent:
            await asyncio.Event().wait()
        now = SystemClock().now()
        if self.obeys and self.house is not None:
            await asyncio.sleep(0.01)
            running = command.action == "pump1.start"
            tell(self.house, device.id, {"pump1.running": running})
        return Receipt(command.id, Stage.ACKNOWLEDGED, now)


class Verdicts:
    """Rules that find what a test puts here, with the next reading."""

    def __init__(self) -> None:
        self.next: list[Finding] = []

    def bind(self, device: Device, slots: Mapping[str, Slot]) -> Mapping[str, tuple[Any, ...]]:
        return {"inlet.level": ("level",)} if "inlet.level" in slots else {}

    def unbind(self, device: str) -> None: ...

    def restore(self, standing: Iterable[Alarm], holds: Iterable[Hold] = ()) -> None: ...

    def holds(self) -> list[Hold]:
        return []

    def orphans(self) -> list[tuple[str, str]]:
        return []

    def wants(self) -> Mapping[str, Mapping[str, float]]:
        return {}

    def remember(self, device: str, course: Sequence[Any]) -> None: ...

    def clock_moved(self, by: timedelta) -> None: ...

    def restless(self, device: str) -> Mapping[Any, None]:
        return {"level": None} if self.next else {}

    def step(self, tokens: Iterable[Any], at: datetime) -> Sequence[Finding]:
        found, self.next = self.next, []
        return found

    def tick(self, now: datetime) -> Sequence[Finding]:
        return ()


class County:
    """The house, its API's address, and a browser for each role."""

    def __init__(self, house: House, app: Console, field: Field, verdicts: Verdicts, url: str) -> None:
        self.house = house
        self.app = app
        self.field = field
        self.verdicts = verdicts
        self.url = url
        self.passwords: dict[str, str] = {}

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10.0)

    async def person(self, role: str) -> str:
        """Somebody with this role (their name is the role's), or several: "viewer@341203100000+dispatcher"."""
        if role not in self.passwords:
            self.passwords[role] = secrets.token_hex(8)
            held = [read_grant(it) for it in role.split("+")]
            name = role.replace("@", ".").replace("+", ".")
            await add_person(self.house.ledger, name, role.title(), self.passwords[role], held, "zh-CN")
        return self.passwords[role]

    @contextlib.asynccontextmanager
    async def browser(self, role: str = "water_operator") -> AsyncIterator[httpx.AsyncClient]:
        """A signed-in browser: cookie, and the CSRF header set."""
        password = await self.person(role)
        async with self.client() as client:
            name = role.replace("@", ".").replace("+", ".")
            answer = await client.post("/api/v1/session", json={"name": name, "password": password})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
            yield client

    def tell(self, device: str, values: Mapping[str, Any], **how: Any) -> None:
        tell(self.house, device, values, **how)

    def raise_alarm(self, device: str, rule: str = "level high", severity: int = 3) -> Alarm:
        """An alarm of this rule stands from now on."""
        self._find(device, rule, severity, AlarmEvent.RAISED)
        alarm = self.house.hub.book.of(device, rule)
        assert alarm is not None
        return alarm

    def return_alarm(self, device: str, rule: str = "level high", severity: int = 3) -> None:
        self._find(device, rule, severity, AlarmEvent.RETURNED)

    def _find(self, device: str, rule: str, severity: int, event: AlarmEvent) -> None:
        now = self.house.clock.now()
        say = {"zh-CN": "水位过高", "en": "level high"}
        self.verdicts.next.append(
            Finding(rule, device, event, now, now, Severity(severity), say, {"zh-CN": "查看", "en": "look"})
        )
        self.tell(device, {"inlet.level": 3.3})

    async def notes(self, kind: str = "login") -> list[dict[str, Any]]:
        """What the ledger says of log-ins, oldest first."""
        return [
            {"subject": it.subject, "by": it.by, **it.says} for it in reversed(await self.house.ledger.entries(kind))
        ]


def tell(
    house: House, device: str, values: Mapping[str, Any], age_s: float = 0.0, quality: Quality = Quality.GOOD
) -> None:
    """A device says something."""
    now = house.clock.now()
    at = now - timedelta(seconds=age_s)
    house.hub.take([Reading(device, point, value, at, now, quality) for point, value in values.items()])


async def becomes(true: Callable[[], bool]) -> None:
    """Wait until it is."""
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true within 5 s")


async def final(browser: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """The command when no more receipts will come."""
    async with asyncio.timeout(10):
        while True:
            record: dict[str, Any] = (await browser.get(f"/api/v1/commands/{id}")).json()
            if record["final"]:
                return record
            await asyncio.sleep(0.02)


def devices(count: int) -> list[Device]:
    """ps-chengdong-1, and `count` more."""
    codes = [it.code for it in COUNTY[1:]]
    first = Device("ps-chengdong-1", "城东一号泵站", "pump_station", "field:0", "test", codes[0])
    more = [
        Device(f"ps-{n:05d}", f"泵站 {n}", "pump_station", f"field:{n + 1}", "test", codes[n % len(codes)])
        for n in range(count)
    ]
    return [first, *more]


def driver_spec(field: Field) -> DriverSpec:
    class Options(Strict):
        pass

    def open_it(options: Any, clock: Clock) -> Driver:
        return field

    given: dict[str, Any] = {
        "name": "field",
        "options": Options,
        "open": open_it,
        "nameplate": lambda device: PLATE,
        "check": lambda device: None,
        "speaker": lambda address: "" if "out" in address else address.partition("/")[0],
    }
    return DriverSpec(**given)


def site(folder: Path, count: int, security: SecurityTable | None = None) -> Site:
    there = tuple(devices(count))
    return Site(
        folder,
        HubFile(security=security or SecurityTable()),
        {"field": driver_spec(Field()).options()},
        COUNTY,
        there,
        {it.id: PLATE for it in there},
    )


@contextlib.asynccontextmanager
async def county(
    folder: Path,
    count: int = 5,
    demo: Any = None,
    loaded: bool = True,
    security: SecurityTable | None = None,
    plan: Plan | None = None,
) -> AsyncIterator[County]:
    """A county with `count` pump stations whose API answers on loopback."""
    passwords._hasher = CHEAP  # passwords are hashed in earnest in test_api_auth.py
    field, verdicts = Field(), Verdicts()
    house = await House.open(
        site(folder, count, security),
        SystemClock(),
        verdicts,
        {"field": driver_spec(field)},
        demo=bool(demo),
        plan=plan,
    )
    field.house = house
    if loaded:
        for device in list(house.hub.members):
            place = Position(32.9, 115.8, 31.5)
            tell(
                house, device, {LINK: "up", "inlet.level": 2.48, "pump1.running": False, "mode": "远程", "place": place}
            )
    app = create_app(house, demo)
    try:
        house.start()
        async with serving(app) as url:
            yield County(house, app, field, verdicts, url)
    finally:
        await house.close()


@contextlib.asynccontextmanager
async def serving(
    app: Any, http: HttpTable | None = None, folder: Path | None = None, limits: door.Limits | None = None
) -> AsyncIterator[str]:
    """The application on a free port of loopback, by a real server in this event loop."""
    # Of protocol TCP by name: else asyncio does not know it for one, leaves Nagle on, and each answer takes 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        http = http or HttpTable(proxies=["127.0.0.1"])
        more = {"log_level": "critical", "timeout_graceful_shutdown": 1}
        server, leave = door.server(app, http, folder or Path(), limits, **more), asyncio.Event()
        server.main_loop = leave.wait  # type: ignore[assignment]  # not a look each tenth of a second
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
            if task.done():
                await task
        try:
            yield f"{'https' if http.cert else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            leave.set()
            await task
