"""[ledger] url of hub.toml: the address of the ledger, with the password in it, stands in the environment only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.journeys.running import FIELDHUB


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    assert _do("init", str(folder)).returncode == 0
    with (folder / "hub.toml").open("a", encoding="utf-8") as file:
        file.write('\n[ledger]\nurl = "env:FIELDHUB_LEDGER_URL"\n')
    return folder


def _do(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FIELDHUB, *args], input="a-long-passw0rd-for-wang\n", capture_output=True, text=True, timeout=60,
        env=os.environ | environment,
    )  # fmt: skip


def test_every_command_finds_the_ledger_where_the_environment_says(site: Path, tmp_path: Path):
    there = {"FIELDHUB_LEDGER_URL": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}
    assert _do("check", str(site), **there).returncode == 0
    added = _do("user", str(site), "add", "wang.min", "--role", "viewer", "--password-file", "-", **there)
    assert added.returncode == 0, added.stderr
    assert (tmp_path / "elsewhere.sqlite").is_file()
    assert not (site / "data" / "ledger.sqlite").exists()
    assert "wang.min" in _do("user", str(site), "list", **there).stdout
    assert "whole:" in _do("audit", str(site), "verify", **there).stdout


def test_without_it_nothing_is_started_and_no_other_ledger_made(site: Path):
    done = _do("run", str(site), FIELDHUB_LEDGER_URL="")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "hub.toml › ledger › url › the environment has no FIELDHUB_LEDGER_URL. Set it where the hub is started: in the "
        "unit's EnvironmentFile",
        "1 mistake. Nothing was started.",
    ]
    assert not (site / "data" / "ledger.sqlite").exists()


def test_no_message_says_the_password(site: Path):
    secret = "sw0rdf1sh"
    for url in (f"postgresql+psycopg://hub:{secret}@127.0.0.1:9/hub", f"nosuch://hub:{secret}@db/hub", f"{secret}@@"):
        done = _do("user", str(site), "list", FIELDHUB_LEDGER_URL=url)
        assert done.returncode != 0
        assert done.stderr.strip()
        assert secret not in done.stderr + done.stdout, done.stderr
    file = site / "hub.toml"
    text = file.read_text("utf-8").replace("env:FIELDHUB_LEDGER_URL", f"postgresql://hub:{secret}@db/hub")
    file.write_text(text, "utf-8")
    for command in ("check", "run"):
        done = _do(command, str(site))
        assert done.returncode == 2
        assert secret not in done.stderr + done.stdout, done.stderr
