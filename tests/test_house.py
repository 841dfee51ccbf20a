"""The house itself: who may import whom, how long a thing may be, and whether every driver is whole.

The tables on top are the law of docs and design in a form that runs. To change a rule, change its table
and say why in the commit. Every finding names file:line, and what to do instead.
"""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent

# Which of our rooms a room may open. tests and bench may open all, and so may the front door.
MAY_OPEN: dict[str, set[str]] = {
    "protocols": set(),
    "hub": set(),
    "rules": {"hub"},
    "drivers": {"hub", "protocols"},
    "dashboards": {"hub", "rules"},
    "simulators": {"protocols"},
}
FRONT_DOOR = "hub/__main__.py"
WORKSHOPS = ("tests", "bench")

# Where each outside package may be imported. `*` crosses folders. What is not here may be imported nowhere.
BELONGS_TO: dict[str, tuple[str, ...]] = {
    "alembic": ("hub/ledger/*",),
    "apprise": ("hub/notices/sending.py",),
    "argon2": ("hub/passwords.py",),
    "authlib": ("dashboards/oidc_provider.py",),
    "cryptography": ("hub/certificate.py", "hub/seal.py", "hub/vault.py"),
    "fastapi": ("dashboards/*", FRONT_DOOR),
    "httpx2": ("dashboards/oidc_provider.py",),
    "influxdb_client": ("hub/historian/influx.py",),
    "joserfc": ("dashboards/oidc_provider.py",),
    "msgspec": ("hub/*", "rules/*", "drivers/*", "dashboards/*", "simulators/*"),
    "numpy": ("hub/historian/*",),
    "opentelemetry": ("hub/traces.py",),
    "packaging": ("hub/errands/doctor.py",),
    "prometheus_client": ("dashboards/*", FRONT_DOOR),
    "pyarrow": ("hub/historian/*",),
    "pydantic": ("dashboards/*", "hub/config*", "hub/notices/file.py", "drivers/*/options*"),
    "pydantic_core": ("hub/config*",),
    "pymodbus": ("drivers/modbus/link.py",),
    "pyotp": ("hub/second_factor.py",),
    "segno": ("hub/second_factor.py",),
    "serial": ("drivers/modbus/*", "simulators/*"),
    "sqlalchemy": ("hub/ledger/*",),
    "starlette": ("dashboards/*", FRONT_DOOR),
    "urllib3": ("hub/historian/backend.py",),
    "uvicorn": ("dashboards/*", FRONT_DOOR),
    "uvloop": (FRONT_DOOR,),
    "zstandard": ("hub/historian/*", "dashboards/packed.py"),
    "zxcvbn": ("hub/passwords.py",),
}
# Of Python's own: these too have one place,
BELONGS_TO["sqlite3"] = ("hub/historian/*", "hub/ledger/copy.py")
# and protocols knows no clock, no socket and no machine.
UNKNOWN_TO_PROTOCOLS = {"asyncio", "logging", "os", "selectors", "socket", "ssl", "subprocess", "threading", "time"}

# What tells the time. Everybody else is told it: by an argument, or by a hub.clock.Clock.
CLOCK = "hub/clock.py"
TELLS_THE_TIME = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.time",
    "time.time_ns",
}

# Who may catch what it does not know.
CATCHES_ALL = "hub/supervise.py"

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
WRITTEN_BY_HAND = (".py", ".js", ".css", ".html", ".sh")

# Files that come from elsewhere, byte for byte; dashboards/vendor.lock.json vouches for them.
VENDORED = ("dashboards/web/vendor/*", "tests/dashboards/axe.min.js")
# Where a machine or a registry would show through.
OF_ONE_MACHINE = re.compile(
    r"(?<![\w.~:/-])/(?:work|root|farm|home/[a-z]\w*|Users/\w+)/\w"
    r"|(?<![\w.~:/-])/tmp/[a-z]"
    r"|registry\.npmjs\.org|registry\.npmmirror|pypi\.org|pythonhosted\.org|(?:deb|security)\.debian\.org"
    r"|\s--(?:extra-)?index-url\b|\s--find-links\b"
)


@dataclass(frozen=True)
class Source:
    path: str
    text: str

    @property
    def room(self) -> str:
        return self.path.split("/")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """(line, full dotted name) of all that is imported; `from a import b` gives a.b."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                home = self._home(node)
                found += [(node.lineno, f"{home}.{alias.name}") for alias in node.names]
        return found

    @cached_property
    def known_as(self) -> dict[str, str]:
        """What a name of this file stands for: {"dt": "datetime"} after `import datetime as dt`."""
        names = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {a.asname or top(a.name): a.name if a.asname else top(a.name) for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {a.asname or a.name: f"{self._home(node)}.{a.name}" for a in node.names}
        return names

    def _home(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        folders = self.path.split("/")[:-1]
        above = folders[: len(folders) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def full_name(self, node: ast.expr) -> str:
        """The dotted name that an expression stands for, or "" when it is not a plain name."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.insert(0, node.attr)
            node = node.value
        return ".".join([self.known_as.get(node.id, node.id), *tail]) if isinstance(node, ast.Name) else ""


def top(name: str) -> str:
    return name.split(".")[0]


def who_opens_what(it: Source) -> Iterator[str]:
    for line, name in it.imports:
        room = top(name)
        if name.startswith("hub.__main__"):
            yield f"{it.path}:{line}: nobody imports {FRONT_DOOR}. Move what you need out of it."
        elif room in WORKSHOPS:
            yield f"{it.path}:{line}: {it.room} imports {name}. What a room needs does not live in {room}: move it."
        elif room in MAY_OPEN and room != it.room and room not in MAY_OPEN[it.room] and it.path != FRONT_DOOR:
            may = " and ".join(sorted(MAY_OPEN[it.room])) or "no other room"
            yield (
                f"{it.path}:{line}: {it.room} imports {name}, and {it.room} may import {may}. "
                f"Take it as an argument, or let {FRONT_DOOR} bring the two together."
            )


def outside_packages(it: Source) -> Iterator[str]:
    for line, name in it.imports:
        package = top(name)
        places = BELONGS_TO.get(package)
        if it.room == "protocols" and package in UNKNOWN_TO_PROTOCOLS:
            yield f"{it.path}:{line}: protocols imports {package}; it knows no clock, log or socket. Do it in drivers."
        elif places and not any(fnmatch(it.path, place) for place in places):
            yield f"{it.path}:{line}: {package} belongs to {' and '.join(places)}. Ask that file for what you need."
        elif not places and package not in {*MAY_OPEN, *WORKSHOPS, *sys.stdlib_module_names}:
            yield (
                f"{it.path}:{line}: {package} is on no list. Do without it, or add it to pyproject.toml and give it "
                "a place in BELONGS_TO (tests/test_house.py)."
            )


def clocks(it: Source) -> Iterator[str]:
    if it.path == CLOCK:
        return
    for node in ast.walk(it.tree):
        if isinstance(node, ast.Attribute | ast.Name) and (name := it.full_name(node)) in TELLS_THE_TIME:
            yield f"{it.path}:{node.lineno}: {name} stands only in {CLOCK}. Take the time as an argument, or a Clock."


def catches_all(it: Source) -> Iterator[str]:
    if it.path == CATCHES_ALL:
        return
    for node in ast.walk(it.tree):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler):
            caught = [*node.type.elts] if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and it.full_name(node.func) == "contextlib.suppress":
            caught = [*node.args]
        for error in caught:
            name = it.full_name(error) if error else "everything"
            if name in ("everything", "Exception", "BaseException"):
                yield (
                    f"{it.path}:{node.lineno}: catches {name}, and only {CATCHES_ALL} may. "
                    "Name the errors that you expect; what else comes is our bug and should be loud."
                )


def too_long(it: Source) -> Iterator[str]:
    lines = it.text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{it.path}:{lines}: a file of {lines} lines; {LONGEST_FILE} is the most. Part it by noun."
    if not it.path.endswith(".py"):
        return
    for node in ast.walk(it.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield (
                    f"{it.path}:{node.lineno}: {node.name} has {length} lines; {LONGEST_FUNCTION} is the most. "
                    "Ifs in the caller, work in the callee."
                )


def of_one_machine(it: Source) -> Iterator[str]:
    for number, line in enumerate(it.text.splitlines(), 1):
        if found := OF_ONE_MACHINE.search(line):
            place = found[0].strip()
            yield f"{it.path}:{number}: {place!r} holds on one machine only. Say it relative, or let it be set."


def test_each_room_opens_only_the_rooms_below_it():
    nothing_found(who_opens_what, code())


def test_each_outside_package_stays_in_its_place():
    nothing_found(outside_packages, code())


def test_one_file_tells_the_time():
    nothing_found(clocks, code())


def test_one_file_catches_what_it_does_not_know():
    nothing_found(catches_all, code())


def test_files_and_functions_fit_the_eye():
    nothing_found(too_long, [it for it in kept() if it.path.endswith(WRITTEN_BY_HAND)])


def test_no_machine_and_no_registry_shows_through():
    nothing_found(of_one_machine, kept())


def test_every_driver_is_whole():
    drivers = sorted(getattr(importlib.import_module("drivers"), "DRIVERS", {}))
    missing = [
        f"drivers/__init__.py lists {name!r}, and {what} is missing: {why}"
        for name in drivers
        for what, why in parts_of_a_driver(name).items()
        if not any((HOUSE / one).exists() for one in what.split(" or "))
    ]
    unlisted = [
        f"drivers/{folder.name}/ is not in DRIVERS (drivers/__init__.py): list it, or it is not there"
        for folder in (HOUSE / "drivers").iterdir()
        if (folder / "driver.py").exists() and folder.name not in drivers
    ]
    say(missing + unlisted)


def parts_of_a_driver(name: str) -> dict[str, str]:
    return {
        f"protocols/{name}/__init__.py": "its bytes, both directions and both ends",
        f"drivers/{name}/driver.py": "its sockets",
        f"drivers/{name}/sample.toml": "what a site writes to use it",
        f"drivers/{name}/README.md": "what it tells, what it can be told, and its limits",
        f"simulators/{name}.py or simulators/{name}/__init__.py": "its make-believe device",
        f"tests/protocols/golden/{name}.toml": "its bytes as seen on a wire",
        f"tests/drivers/test_{name}.py": "the driver against its simulator",
    }


README_ORDER = ("Try it", "Configure", "What it tells and what it can be told", "Known limits", "Tested with")


def test_the_readme_of_a_driver_has_its_order_and_its_sample():
    wrong = []
    for readme in sorted((HOUSE / "drivers").glob("*/README.md")):
        text = readme.read_text("utf-8")
        path = readme.relative_to(HOUSE)
        heads = [head for head in re.findall(r"^## (.+)$", text, re.M) if head in README_ORDER]
        if heads != list(README_ORDER):
            wrong.append(f"{path}: has the sections {heads}; write these, in this order: {list(README_ORDER)}")
        sample = readme.with_name("sample.toml")
        if sample.exists() and sample.read_text("utf-8").strip() not in re.sub("^    ", "", text, flags=re.M):
            wrong.append(f"{path}: does not show {sample.name} as it is. Copy it in under Configure.")
    say(wrong)


# The checks are themselves checked: each must see what it is there to see, and nothing else.
SEES: list[tuple[Callable[[Source], Iterator[str]], str, str, str]] = [
    (who_opens_what, "hub/hub.py", "import drivers.modbus", "hub/hub.py:1: hub imports drivers.modbus"),
    (who_opens_what, "hub/ledger/a.py", "from ...rules import book", "hub/ledger/a.py:1: hub imports rules.book"),
    (who_opens_what, "rules/engine.py", "from hub import model", ""),
    (who_opens_what, "rules/engine.py", "from hub import __main__", "rules/engine.py:1: nobody imports"),
    (who_opens_what, "drivers/modbus/a.py", "from .driver import Driver", ""),
    (who_opens_what, "hub/__main__.py", "import drivers, dashboards, simulators", ""),
    (who_opens_what, "hub/__main__.py", "from tests import stories", "hub/__main__.py:1: hub imports tests.stories"),
    (outside_packages, "drivers/modbus/link.py", "from pymodbus.client import X", ""),
    (outside_packages, "drivers/modbus/driver.py", "import pymodbus", "driver.py:1: pymodbus belongs to drivers/"),
    (outside_packages, "hub/ledger/versions/one.py", "from alembic import op", ""),
    (outside_packages, "hub/hub.py", "import sqlite3", "hub/hub.py:1: sqlite3 belongs to hub/historian/*"),
    (outside_packages, "hub/hub.py", "import requests", "hub/hub.py:1: requests is on no list"),
    (outside_packages, "protocols/modbus/pdu.py", "import time", "pdu.py:1: protocols imports time"),
    (clocks, "hub/hub.py", "from datetime import datetime as d\nd.now()", "hub/hub.py:2: datetime.datetime.now"),
    (clocks, "hub/hub.py", "import datetime as d\nx = d.datetime.utcnow", "hub/hub.py:2: datetime.datetime.utcnow"),
    (clocks, "hub/hub.py", "from time import monotonic\nmonotonic()", "hub/hub.py:2: time.monotonic"),
    (clocks, "hub/clock.py", "import time\ntime.time()", ""),
    (clocks, "simulators/a.py", "import asyncio\nasyncio.get_running_loop().time()", ""),
    (catches_all, "hub/hub.py", "try: pass\nexcept Exception: pass", "hub/hub.py:2: catches Exception"),
    (catches_all, "hub/hub.py", "try: pass\nexcept: pass", "hub/hub.py:2: catches everything"),
    (catches_all, "hub/hub.py", "try: pass\nexcept (OSError, BaseException): pass", "catches BaseException"),
    (catches_all, "hub/hub.py", "import contextlib as c\nwith c.suppress(Exception): 1", "catches Exception"),
    (catches_all, "hub/supervise.py", "try: pass\nexcept Exception: pass", ""),
    (too_long, "hub/hub.py", "def f():\n" + " pass\n" * 60, "hub/hub.py:1: f has 61 lines; 60 is the most"),
    (too_long, "hub/hub.py", "#\n" * 501, "hub/hub.py:501: a file of 501 lines; 500 is the most"),
    (of_one_machine, "docs/a.md", "see /" + "home/li/notes", "docs/a.md:1: "),
    (of_one_machine, "docs/a.md", "https://example.org/home/li/x and /var/lib/fieldhub/data", ""),
]


@pytest.mark.parametrize(("check", "path", "text", "finding"), SEES)
def test_the_house_sees_what_it_must_and_nothing_else(check, path, text, finding):
    found = list(check(Source(path, text)))
    assert len(found) == bool(finding), found
    assert all(finding in one for one in found)


def nothing_found(check: Callable[[Source], Iterator[str]], sources: list[Source]) -> None:
    say([finding for it in sources for finding in check(it)])


def say(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n" + "\n".join(findings), pytrace=False)


def code() -> list[Source]:
    """The Python of the rooms; tests and bench may import and measure what they like."""
    return [it for it in kept() if it.room in MAY_OPEN and it.path.endswith(".py")]


def kept() -> list[Source]:
    """All text that the project keeps: what git knows, or would know after the next `git add`."""
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(ask, cwd=HOUSE, capture_output=True, check=True).stdout.decode()
    sources = []
    for path in sorted(filter(None, listed.split("\0"))):
        if (HOUSE / path).is_file() and not any(fnmatch(path, one) for one in VENDORED):
            raw = (HOUSE / path).read_bytes()
            if b"\0" not in raw:
                sources.append(Source(path, raw.decode("utf-8", "replace")))
    return sources
