"""FieldHub as its users start it: processes, real sockets, real files. Nothing in here knows the inside of the hub."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

FIELDHUB = (sys.executable, "-m", "hub")
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


def eventually(look: Callable[[], T], within_s: float = 30.0, every_s: float = 0.1) -> T:
    """The first true answer of `look`; it may raise httpx errors meanwhile. Fails after `within_s`."""
    end = time.monotonic() + within_s
    last: Any = None
    while time.monotonic() < end:
        try:
            last = look()
            if last:
                return last
        except httpx.HTTPError as error:
            last = error
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s} s; last: {last!r}")


class County:
    """The simulated county in its own process, with its control desk."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "simulators.county", "--serve", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.facts: dict[str, Any] = json.loads(self._process.stdout.readline())

    def ask(self, **question: Any) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self.facts["control_port"]), 5) as line:
            line.sendall(json.dumps(question).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
        assert answer["ok"], answer
        return answer

    def truth(self, station: str) -> dict[str, Any]:
        return self.ask(do="get", station=station)

    def fault(self, station: str, fault: str, on: bool = True) -> None:
        self.ask(do="set", station=station, fault=fault, on=on)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()


def write_site(folder: Path, county: County, port: int) -> None:
    """A site folder for `fieldhub run` whose devices are the county's."""
    (folder / "devices").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "hub.toml").write_text(
        f"[http]\nport = {port}\n[drivers.modbus]\ndtu_port = {county.facts['dtu_port']}\n", "utf-8"
    )
    (folder / "devices" / "county.toml").write_text(county.facts["devices_toml"], "utf-8")


def fieldhub(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """One fieldhub command, to its end."""
    return subprocess.run([*FIELDHUB, *args], input=stdin, capture_output=True, text=True, timeout=60)


class RunningHub:
    """`fieldhub run FOLDER` as a process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "hub.log").open("ab")
        self.process = subprocess.Popen([*FIELDHUB, "run", str(folder)], stdout=self._log, stderr=self._log)

    def wait_until_up(self, within_s: float = 30.0) -> float:
        """How long it took from now until /healthz answered."""
        begin = time.monotonic()

        def up() -> bool:
            assert self.process.poll() is None, (self.folder / "hub.log").read_text("utf-8")[-3000:]
            return httpx.get(f"{self.url}/healthz").status_code == 200

        eventually(up, within_s, 0.02)
        return time.monotonic() - begin

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._log.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(15)
        self._log.close()
        return code


class Person:
    """Somebody at a desk: signed in with a name and a password."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=10)
        answer = self._http.post("/session", json={"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        self._http.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def get(self, path: str, **query: Any) -> Any:
        answer = self._http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self._http.post(path, json=body, headers=headers)

    def put(self, path: str, body: Any) -> httpx.Response:
        return self._http.put(path, json=body)

    def command(self, device: str, action: str, key: str, because: str = "a test", **args: Any) -> httpx.Response:
        name = self.get(f"/devices/{device}")["name"]
        body = {"device": device, "action": action, "args": args, "because": because, "confirm": name}
        return self.post("/commands", body, **{"Idempotency-Key": key})

    def value(self, device: str, point: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.get(f"/devices/{device}")["readings"]
        return next(it for it in found if it["point"] == point)

    def close(self) -> None:
        self._http.close()


@contextlib.contextmanager
def demo(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """`fieldhub demo` as a process; what demo.json says: url, control_port, users."""
    log = (folder.parent / f"{folder.name}.log").open("ab")
    command = [*FIELDHUB, "demo", "--port", str(free_port()), "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        facts = eventually(lambda: _demo_is_up(folder, process), 60)
        yield facts
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        log.close()
    assert code == 0, f"the demo ended with {code}"


def _demo_is_up(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    assert process.poll() is None, "the demo ended by itself"
    try:
        facts: dict[str, Any] = json.loads((folder / "demo.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return facts if httpx.get(facts["url"] + "healthz").status_code == 200 else None
