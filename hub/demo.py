"""The county in a box: a demo site folder, the simulators beside it, and the desk where their faults are switched."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hub.contract import BadConfig
from hub.house import House
from hub.rights import Grant, write_grant

# Log-ins of the demo, which listens on loopback only. Nothing else in the house has a default password.
USERS = (
    ("water", "water-demo-2026", (Grant("water_operator"),), "王敏（水务值班）"),
    ("town", "town-demo-2026", (Grant("water_operator", "340299101000"),), "周敏（东圩镇值班）"),
    ("engineer", "engineer-demo-2026", (Grant("field_engineer"),), "李强（现场工程师）"),
    ("viewer", "viewer-demo-2026", (Grant("viewer"),), "访客"),
    ("admin", "admin-demo-2026", (Grant("system_admin"),), "系统管理员"),
    ("security", "security-demo-2026", (Grant("security_admin"),), "安全管理员"),
    ("auditor", "auditor-demo-2026", (Grant("auditor"),), "审计员"),
)
START_S = 20.0  # the simulators must be ready by then
STOP_S = 5.0
ANSWER_S = 5.0  # of the fault desk

HUB_TOML = """\
# Made by `fieldhub demo`, anew at each start.
[site]
name     = {{ zh-CN = "示范县水务局", en = "Demo County Water Bureau" }}
zone     = "Asia/Shanghai"
language = "zh-CN"

[http]
host = "127.0.0.1"
port = {port}

[drivers.modbus]
dtu_host = "127.0.0.1"
dtu_port = {dtu_port}
"""


class FaultDesk:
    """Talks to the simulators' control port: one line of JSON each way."""

    def __init__(self, port: int) -> None:
        self._port = port

    @classmethod
    def of(cls, folder: Path) -> FaultDesk:
        """The desk of the demo that runs in `folder`. Raises BadConfig when none does."""
        try:
            return cls(int(json.loads((folder / "demo.json").read_text("utf-8"))["control_port"]))
        except (OSError, ValueError, KeyError):
            raise BadConfig(f"{folder} › no demo runs here. Start one with: fieldhub demo --dir {folder}") from None

    async def faults(self) -> list[dict[str, Any]]:
        """[{station, fault, on, title: {zh-CN, en}}], every fault that every station can have."""
        answer = await self._ask({"do": "list"})
        return list(answer["faults"])

    async def set(
        self, station: str, fault: str, on: bool, for_s: float | None = None, pump: int | None = None
    ) -> None:
        """Raises LookupError for a station, fault or pump that is not there."""
        order = {"do": "set", "station": station, "fault": fault, "on": on, "for_s": for_s, "pump": pump}
        answer = await self._ask(order)
        if not answer.get("ok"):
            raise LookupError(answer.get("error", "the simulators refused"))

    async def lines(self) -> list[str]:
        """For the shell: each station with its address, its faults, and which are on."""
        answer = await self._ask({"do": "list"})
        stations = [f"{s['id']:18} {s['address']}" for s in answer["stations"]]
        on = {(f["station"], f["fault"]) for f in answer["faults"] if f["on"]}
        titles = {f["fault"]: f["title"] for f in answer["faults"]}
        faults = [f"{name:28} {title['zh-CN']} · {title['en']}" for name, title in titles.items()]
        active = [f"{station}: {fault}" for station, fault in sorted(on)] or ["none"]
        return ["stations", *stations, "", "faults", *faults, "", "on now", *active]

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
                try:
                    writer.write(json.dumps(question).encode() + b"\n")
                    answer: dict[str, Any] = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError):
            raise BadConfig("the simulators do not answer. Is the demo still running?") from None
        return answer


class Demo:
    """A running set of simulators and the site folder that points at them."""

    def __init__(self, folder: Path, port: int, calm: bool = False) -> None:
        """`calm`: nothing happens but what is switched at the fault desk."""
        self._folder = folder
        self._port = port
        self._options = ("--calm",) if calm else ()
        self._simulators: subprocess.Popen[str] | None = None
        self.desk: FaultDesk

    def __enter__(self) -> Self:
        """Start the simulators and write the site folder. Raises BadConfig when they do not come up."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "devices").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "simulators.county", "--serve", *self._options]
        # Its stdin is a pipe that ends with us, however we end; a session of its own keeps Ctrl-C from it, so that the
        # hub closes first and does not see its devices vanish.
        self._simulators = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._simulators.stdout is not None
        hello = self._simulators.stdout.readline()
        try:
            ready = json.loads(hello)
        except ValueError:
            self.__exit__(None, None, None)
            raise BadConfig("the simulators did not start; see their message above") from None
        self.desk = FaultDesk(ready["control_port"])
        (self._folder / "hub.toml").write_text(HUB_TOML.format(port=self._port, dtu_port=ready["dtu_port"]), "utf-8")
        (self._folder / "devices" / "county.toml").write_text(ready["devices_toml"], "utf-8")
        facts = {"url": self.url, "control_port": ready["control_port"], "users": {u[0]: u[1] for u in USERS}}
        (self._folder / "demo.json").write_text(json.dumps(facts), "utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._folder / "demo.json").unlink(missing_ok=True)
        if self._simulators is None:
            return
        self._simulators.terminate()
        try:
            self._simulators.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._simulators.kill()
            self._simulators.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def hello(self, house: House) -> Sequence[str]:
        """What the person who started the demo wants to know."""
        users = [
            f"  {name:10} {password:22} {', '.join(map(write_grant, grants))}" for name, password, grants, _ in USERS
        ]
        stations = sum(it.kind == "pump_station" for it in house.devices.values())
        return (
            "",
            f"FieldHub demo: {stations} stations · {len(house.areas)} areas",
            f"console   {self.url}",
            "log-in    password               role",
            *users,
            "Ctrl-C stops everything.  Faults: `fieldhub fault list`, or the page 故障演练 (Faults) as engineer.",
        )
