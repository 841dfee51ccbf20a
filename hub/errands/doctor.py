"""fieldhub doctor: finds out how this machine and a site folder are, and says what to mend (hub/doctor.py judges)."""

from __future__ import annotations

import argparse
import asyncio
import errno
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from hub import certificate
from hub.clock import SystemClock
from hub.config import Site
from hub.demo import USERS
from hub.doctor import Facts, File, Port, State, examine
from hub.house import ledger_url
from hub.ledger.database import newest_revision
from hub.ledger.glance import glance
from hub.ledger.trouble import LedgerUnavailable
from hub.passwords import Hashing
from hub.rights import Grant, Right, rights_of

Doors = Iterable[tuple[str, str, int]]  # place in hub.toml, host, port

ASK_S = 5.0  # a program that is asked must answer within
SECRETS = ("data/ledger.sqlite", "data/keys/*", "data/tls/*key.pem", "data/seal*")


def doctor(args: argparse.Namespace, site: Site, doors: Doors) -> int:
    """Raises BadConfig."""
    found = list(examine(asyncio.run(_facts(site, doors)), str(args.dir)))
    for it in found:
        print(it.line)
    wrong = sum(it.state is State.WRONG for it in found)
    print(f"{len(found)} checks, {wrong} wrong." if wrong else f"{len(found)} checks, nothing wrong.")
    return 1 if wrong else 0


async def _facts(site: Site, doors: Doors) -> Facts:
    folder, http = site.folder, site.hub.http
    files = tuple(folder / it for it in (http.cert, http.key)) if http.cert else ()
    now = SystemClock().now()
    wrong = certificate.check(files[0], files[1], now) if files else []
    ledger = _Ledger(ledger_url(site.hub, folder), None if site.hub.ledger.url else folder / "data" / "ledger.sqlite")
    return Facts(
        now=now,
        python=sys.version_info[:2],
        missing=list(_missing()),
        ports=[Port(place, host, port, _taken_by(host, port)) for place, host, port in doors],
        clock_synchronised=_synchronised(),
        newest_entry=ledger.newest,
        free_bytes=shutil.disk_usage(_there(site.data)).free,
        free_inodes=os.statvfs(_there(site.data)).f_favail if os.statvfs(_there(site.data)).f_files else None,
        file_system=_file_system(_there(site.data)),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        root=os.geteuid() == 0,
        files=list(_secret_files(folder)),
        devices={path: os.access(path, os.R_OK | os.W_OK) for path in _serial_ports(site)},
        revision=ledger.revision,
        revision_wanted=newest_revision(),
        ledger_error=ledger.error,
        can_log_in=ledger.can_log_in,
        can_permit=ledger.can_permit,
        demo_passwords=await ledger.demo_passwords(),
        certificate=wrong,
        certificate_ends=certificate.ends(files[0]) if files and not wrong else None,
    )


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(it for it in (folder, *folder.resolve().parents) if it.exists())


def _missing() -> Iterator[str]:
    for text in requires("fieldhub") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            has = version(needed.name)
        except PackageNotFoundError:
            yield str(needed)
            continue
        if needed.specifier and not needed.specifier.contains(has, prereleases=True):
            yield f"{needed} (there is {has})"


def _taken_by(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as it:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            it.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return f"cannot be used: {error.strerror}"
        else:
            return ""
    return "fieldhub" if _is_hub(host, port) else "is used by another program"


def _is_hub(host: str, port: int) -> bool:
    """Whether what listens there is us: another process of this command, by its own words in /proc."""
    for line in _said("ss", "-Hltnp", f"sport = :{port}").splitlines():
        for pid in re.findall(r"pid=(\d+)", line):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"fieldhub" in words:
                return True
    return False


def _synchronised() -> bool | None:
    said = _said("timedatectl", "show", "-p", "NTPSynchronized", "--value").strip()
    return {"yes": True, "no": False}.get(said)


def _said(*command: str) -> str:
    """What a program of the system says; "" when it is not there or does not answer."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _file_system(folder: Path) -> str:
    """The kind of the file system that holds it, by the longest mount point above it."""
    best, kind = "", ""
    try:
        mounts = Path("/proc/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    here = str(folder.resolve())
    for line in mounts:
        fields = line.split()
        point = fields[1].replace("\\040", " ") if len(fields) > 2 else ""
        if (here == point or here.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _secret_files(folder: Path) -> Iterator[File]:
    """Those that others could read: a file in a folder that is shut to them is shut too."""
    data = folder / "data"
    if data.exists() and not data.stat().st_mode & 0o007:
        yield File(str(data), data.stat().st_mode)
        return
    for pattern in SECRETS:
        for it in sorted(folder.glob(pattern)):
            stat = it.stat()
            yield File(str(it), stat.st_mode, stat.st_uid == (folder / "data").stat().st_uid)


def _serial_ports(site: Site) -> list[str]:
    found = (re.match(r"modbus\+rtu://(/[^?#]+)", it.address) for it in site.devices)
    return sorted({it[1] for it in found if it})


class _Ledger:
    """What the ledger says, read without writing to it and without migrating it."""

    def __init__(self, url: str, file: Path | None) -> None:
        self.revision = self.error = ""
        self.newest: datetime | None = None
        self._people: list[dict[str, Any]] = []
        if file is not None and not file.exists():
            return
        try:
            found = glance(url)
        except LedgerUnavailable as error:
            self.error = str(error)
            return
        self.revision, self.newest, self._people = found.revision, found.newest, found.people

    @property
    def can_log_in(self) -> list[str]:
        return [it["name"] for it in self._people if not it["disabled"]]

    @property
    def can_permit(self) -> list[str]:
        return [it["name"] for it in self._people if not it["disabled"] and Right.PERMISSIONS in _rights(it)]

    async def demo_passwords(self) -> Sequence[str]:
        """Who may log in with a password that the demo tells everybody."""
        hashing = Hashing()
        known = {name: password for name, password, _, _ in USERS}
        return [
            it["name"]
            for it in self._people
            if not it["disabled"] and it["name"] in known and (await hashing.same(it["password"], known[it["name"]]))[0]
        ]


def _rights(row: dict[str, Any]) -> frozenset[Right]:
    if "grants" not in row:  # as before v002
        return frozenset(Right) if "admin" in json.loads(row["roles"]) else frozenset()
    return rights_of(Grant(it["role"], it["area"]) for it in json.loads(row["grants"] or "[]"))
