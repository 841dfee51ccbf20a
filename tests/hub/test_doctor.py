"""fieldhub doctor: each thing that can be wrong is named, with the line that mends it; the unit and the log."""

from __future__ import annotations

import asyncio
import configparser
import io
import json
import logging
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub import logs
from hub.__main__ import main
from hub.clock import ManualClock
from hub.doctor import Facts, File, Port, State, examine
from hub.errands.unit import unit_text
from hub.notify_systemd import Systemd

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
FINE = Facts(
    now=NOW,
    python=(3, 11),
    ports=(Port("hub.toml › http", "127.0.0.1", 8420),),
    clock_synchronised=True,
    newest_entry=NOW,
    free_bytes=100 * 1024**3,
    free_inodes=10**6,
    file_system="ext4",
    open_files=65_536,
    files=(File("site/data", 0o40700),),
    revision="004",
    revision_wanted="004",
    can_log_in=("wang.min",),
    can_permit=("wang.min",),
    certificate_ends=NOW + timedelta(days=300),
)


def test_a_machine_that_is_fine_gets_no_advice():
    found = list(examine(FINE, "site"))
    assert {it.state for it in found} == {State.OK}
    assert not any(it.mend for it in found)
    assert len(found) >= 10


@pytest.mark.parametrize(
    ("wrong", "state", "says", "mend"),
    [
        ({"python": (3, 10)}, "wrong", "Python 3.10 is too old", "3.11 or newer"),
        ({"missing": ["msgspec>=0.20 (there is 0.18)"]}, "wrong", "msgspec>=0.20", "--require-hashes"),
        ({"clock_synchronised": False}, "wrong", "not synchronised", "apt install chrony"),
        ({"clock_synchronised": None}, "note", "cannot be told", "chronyc"),
        (
            {"newest_entry": NOW + timedelta(hours=1)},
            "wrong",
            "the ledger's last entry is of 2026-11-27 09:00",
            "set-ntp",
        ),
        ({"free_bytes": 10**9}, "wrong", "0.9 GB are free", "Make room"),
        ({"free_bytes": 5 * 1024**3}, "note", "5.0 GB are free", "larger disk"),
        ({"free_inodes": 12}, "wrong", "12 more files only", "du --inodes"),
        ({"file_system": "tmpfs"}, "note", "lies on tmpfs", "volume"),
        ({"file_system": "nfs4"}, "wrong", "lies on nfs4", "local disk"),
        ({"open_files": 1024}, "wrong", "1024 files", "LimitNOFILE=65536"),
        ({"root": True}, "note", "this is root", "fieldhub unit"),
        ({"devices": {"/dev/ttyUSB0": False}}, "wrong", "/dev/ttyUSB0 cannot be opened", "usermod -aG dialout"),
        ({"files": [File("k", 0o100644)]}, "wrong", "k can be read by others (mode 0644)", "chmod o-rwx k"),
        ({"files": [File("k", 0o100600, False)]}, "wrong", "k belongs to somebody else", "chown"),
        ({"revision": ""}, "note", "there is no ledger yet", ""),
        ({"revision": "001"}, "note", "the next start brings it to 004", "cp site/data/ledger.sqlite*"),
        ({"revision": "005"}, "wrong", "this program knows 004", "bring back the copy"),
        ({"ledger_error": "file is not a database"}, "wrong", "file is not a database", "backup"),
        ({"can_permit": ()}, "note", "nobody may give permissions", "security_admin"),
        ({"demo_passwords": ("water",)}, "wrong", "everybody knows the password of water", "user site password"),
        ({"ports": [Port("p", "h", 5, "is used by another program")]}, "wrong", "h:5 is used", "ss -ltnp"),
        ({"certificate": ["key.pem can be read by others"]}, "wrong", "key.pem", ""),
        ({"certificate_ends": NOW + timedelta(days=9)}, "note", "ends in 9 days", "cert site --renew"),
    ],
)
def test_what_is_wrong_is_named_with_the_line_that_mends_it(wrong: dict[str, Any], state: str, says: str, mend: str):
    (it,) = (one for one in examine(replace(FINE, **wrong), "site") if one.state is not State.OK)
    assert (it.state.value, says in it.what, mend in it.mend) == (state, True, True), it


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "site")]) == 0
    return tmp_path / "site"


def doctor(site: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return main(["doctor", str(site)]), capsys.readouterr().out


def free_port(site: Path) -> socket.socket:
    """A listener, and hub.toml names its port."""
    it = socket.socket()
    it.bind(("127.0.0.1", 0))
    text = (site / "hub.toml").read_text("utf-8")
    (site / "hub.toml").write_text(text.replace("port = 8420", f"port = {it.getsockname()[1]}"), "utf-8")
    return it


def test_a_new_site_has_nothing_wrong(site: Path, capsys: pytest.CaptureFixture[str]):
    free_port(site).close()
    code, said = doctor(site, capsys)
    assert (code, "nothing wrong" in said) == (0, True), said
    assert "there is no ledger yet" in said
    assert not (site / "data").exists(), "it only looks"


def test_things_that_were_broken_one_by_one_are_named(site: Path, capsys: pytest.CaptureFixture[str]):
    listener = free_port(site)
    listener.listen()
    (site / "pw").write_text("water-demo-2026\n")
    add = ["user", str(site), "add", "water", "--role", "security_admin", "--password-file", str(site / "pw")]
    assert main(add) == 0
    (site / "data").chmod(0o755)
    (site / "data" / "ledger.sqlite").chmod(0o644)
    code, said = doctor(site, capsys)
    listener.close()
    assert code == 1
    for what in ("is used by another program", "everybody knows the password of water", "ledger.sqlite can be read by"):
        assert what in said, said
    (site / "data" / "ledger.sqlite").write_bytes(b"no database at all, of some length" * 100)
    code, said = doctor(site, capsys)
    assert (code, "ledger.sqlite › file is not a database" in said) == (1, True), said


def test_what_the_hub_makes_is_nobody_elses(site: Path):
    (site / "pw").write_text("three lamps at night\n")
    before = os.umask(0o022)
    try:
        assert main(["user", str(site), "add", "wang", "--role", "viewer", "--password-file", str(site / "pw")]) == 0
    finally:
        os.umask(before)
    for it in (site / "data").rglob("*"):
        assert not it.stat().st_mode & 0o077, it


# ---- the unit -------------------------------------------------------------------------------------------------------


def test_the_unit_is_one_that_systemd_takes_and_finds_shut(tmp_path: Path):
    text = unit_text(Path("/srv/county"), Path(sys.executable), "fieldhub", serial=False)
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read_string(text)
    assert read["Service"]["Type"] == "notify"
    file = tmp_path / "fieldhub.service"
    file.write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [
        it for it in verified.stderr.splitlines() if "fieldhub.service" in it and "WorkingDirectory" not in it
    ]
    assert not complaints, verified.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", file],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout[-2000:]


def test_a_site_with_serial_lines_may_open_them_and_no_other_device():
    with_lines = unit_text(Path("/srv/county"), Path("/opt/fieldhub/bin/fieldhub"), "fieldhub", serial=True)
    assert "DeviceAllow=char-ttyUSB rw" in with_lines
    assert "PrivateDevices" not in with_lines
    assert "ProtectHome=yes" in with_lines
    assert "ProtectHome=read-only" in unit_text(Path("/srv/x"), Path("/home") / "li" / "fieldhub", "li", serial=False)


# ---- the service manager --------------------------------------------------------------------------------------------


async def test_the_service_manager_hears_that_the_hub_lives_as_long_as_it_does(tmp_path: Path):
    clock, alive = ManualClock(), [True]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        it = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"})
        it.tell("READY=1")
        keeping = asyncio.create_task(it.keep(clock, lambda: alive[0]))
        await clock.advance(65)
        alive[0] = False
        await clock.advance(120)
        keeping.cancel()
        heard = []
        while True:
            try:
                heard.append(manager.recv(100))
            except BlockingIOError:
                break
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_without_a_service_manager_nothing_is_said_and_nothing_fails(tmp_path: Path):
    Systemd({}).tell("READY=1")
    assert Systemd({}).every_s == 0
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")
    assert Systemd({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}).every_s == 0, "meant for another process"


# ---- the log --------------------------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Any:
    it = logging.getLogger()
    handlers, level = it.handlers[:], it.level
    yield it
    it.handlers[:] = handlers
    it.setLevel(level)


def test_a_line_of_json_has_what_a_collector_wants_and_cannot_be_broken(root: logging.Logger):
    out = io.StringIO()
    logs.configure("json", "info", out)
    logs.request_id.set("req-12345678")
    logs.command_id.set("c0ffee")
    logging.getLogger("fieldhub.x").warning("a name: %s", 'evil"}\n{"level":"fine')
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("fieldhub.x").exception("it failed")
    logging.getLogger("fieldhub.x").debug("not shown")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first["time"].endswith("Z")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert (first["level"], first["logger"], first["request"], first["command"]) == (
        "warning",
        "fieldhub.x",
        "req-12345678",
        "c0ffee",
    )
    assert first["message"] == 'a name: evil"}\n{"level":"fine'
    assert second["error"] == "ValueError"
    assert "test_doctor.py" in second["trace"]


def test_a_line_for_people_stays_one_line(root: logging.Logger):
    out = io.StringIO()
    logs.configure("text", "info", out)
    logging.getLogger("fieldhub.x").warning("a name: %s", "evil\n2026 ERROR forged")
    logging.getLogger("fieldhub.x").warning("long %s", "y" * 20_000)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "evil\\n2026 ERROR forged" in lines[0]
    assert len(lines[1]) < 9_000
