"""Secrets are named, found, and shown nowhere."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from hub.contract import BadConfig
from hub.secrets import Secret

WORD = "s3cr3t-Wort-密"


def refusal(name: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(BadConfig) as bad:
        Secret(name, folder, environment or {}, "hub.toml › ledger › url")
    said = "".join(traceback.format_exception(bad.value))
    assert WORD not in said
    return str(bad.value)


def test_a_secret_is_in_the_environment_or_alone_in_a_file(tmp_path: Path):
    assert Secret("env:WORD", tmp_path, {"WORD": f" {WORD}\n"}).reveal() == WORD
    (tmp_path / "word").write_text(WORD + "\n", "utf-8")
    (tmp_path / "word").chmod(0o640)
    assert Secret("file:word", tmp_path, {}).reveal() == WORD
    assert Secret(f"file:{tmp_path / 'word'}", Path("elsewhere"), {}).reveal() == WORD


def test_a_secret_does_not_show_itself(tmp_path: Path):
    it = Secret("env:WORD", tmp_path, {"WORD": WORD})
    assert repr(it) == str(it) == f"{it}" == "Secret('env:WORD')"
    assert WORD not in repr([it]) + repr({"secret": it}) + f"{it!r:>40}"
    with pytest.raises(TypeError):
        vars(it)


def test_a_secret_that_is_written_where_its_name_belongs_is_not_said_back(tmp_path: Path):
    for wrong in (WORD, f"postgresql://hub:{WORD}@db/hub", f"http:{WORD}", "env:", ""):
        assert refusal(wrong, tmp_path) == (
            'hub.toml › ledger › url › is not where a secret is. Write "env:NAME" or "file:PATH", '
            "and put the secret there"
        )


def test_a_secret_that_is_not_there_is_missed_by_name(tmp_path: Path):
    said = refusal("env:WORD", tmp_path, {"OTHER": WORD, "WORD": "  "})
    assert said.startswith("hub.toml › ledger › url › the environment has no WORD. Set it where the hub is started")
    assert "No such file" in refusal("file:word", tmp_path)
    (tmp_path / "word").write_text("\n")
    (tmp_path / "word").chmod(0o600)
    assert "is empty" in refusal("file:word", tmp_path)
    (tmp_path / "word").write_bytes(b"\xff\xfe")
    assert "is not text" in refusal("file:word", tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o606, 0o601, 0o662])
def test_a_file_that_others_may_touch_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int):
    file = tmp_path / "word"
    file.write_text(WORD, "utf-8")
    file.chmod(mode)
    said = refusal("file:word", tmp_path)
    assert said.endswith(f"can be read by others (mode {mode:04o}). Run: chmod 600 {file}")
    file.chmod(0o600)
    assert Secret("file:word", tmp_path, {}).reveal() == WORD
