"""TOTP against the vectors of RFC 6238, recovery codes, and the vault that keeps their secrets."""

from __future__ import annotations

import os
import random
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub import second_factor
from hub.contract import BadConfig
from hub.vault import Vault

SECRET = b32encode(b"12345678901234567890").decode()  # RFC 6238, appendix B (SHA-1), the last six of its eight digits


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_the_standard(seconds: int, code: str):
    now = datetime.fromtimestamp(seconds, UTC)
    assert second_factor.step_of(SECRET, code, now, 0) == seconds // 30
    assert second_factor.step_of(SECRET, f"{code[:3]} {code[3:]}", now, 0) == seconds // 30


def test_a_clock_may_be_off_by_one_step_and_not_by_two():
    code, at = "081804", datetime.fromtimestamp(1111111109, UTC)
    fits = [second_factor.step_of(SECRET, code, at + timedelta(seconds=30 * n), 0) is not None for n in range(-3, 4)]
    assert fits == [False, False, True, True, True, False, False]


def test_a_used_step_and_those_before_it_fit_no_more():
    at = datetime.fromtimestamp(1111111109, UTC)
    step = 1111111109 // 30
    assert second_factor.step_of(SECRET, "081804", at, step - 1) == step
    assert second_factor.step_of(SECRET, "081804", at, step) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34 5", "-81804", "08180４"])
def test_what_is_no_code_does_not_fit(code: str):
    assert second_factor.step_of(SECRET, code, datetime.fromtimestamp(1111111109, UTC), 0) is None


def test_recovery_codes_can_be_written_as_people_write_them():
    codes = second_factor.recovery_codes(random.Random(4).choice)
    assert len(set(codes)) == 10
    assert all(len(it) == 14 for it in codes)
    assert not set("".join(codes)) & set("01iloO")
    kept = second_factor.recovery_hash(codes[0])
    for written in (codes[0].upper(), codes[0].replace("-", ""), f" {codes[0]} "):
        assert second_factor.recovery_hash(written) == kept
    assert codes[0] not in kept


def test_the_picture_is_a_drawing_and_nothing_else():
    picture = second_factor.picture(second_factor.address(SECRET, "wang.min", "示范县 & <b>水务局</b>"))
    assert picture.startswith("<svg ")
    assert "<b>" not in picture
    assert "style=" not in picture
    assert "示范县" not in picture


# ---- the vault ----------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_with_the_same_key_only(tmp_path: Path):
    vault, other = Vault.open(tmp_path / "keys" / "vault.key"), Vault.open(tmp_path / "other.key")
    sealed = vault.seal(SECRET)
    assert SECRET not in sealed
    assert Vault.open(tmp_path / "keys" / "vault.key").unseal(sealed) == SECRET
    assert other.unseal(sealed) is None
    assert vault.unseal(sealed[:-4] + "AAAA") is None
    assert vault.unseal("no seal at all") is None


def test_the_key_is_for_its_owner_only_and_it_says_how_to_mend_that(tmp_path: Path):
    file = tmp_path / "keys" / "vault.key"
    Vault.open(file)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o644)
    with pytest.raises(BadConfig, match=rf"can be read by others \(mode 0644\)\. Run: chmod 600 {file}"):
        Vault.open(file)


def test_a_key_that_is_none_is_said(tmp_path: Path):
    file = tmp_path / "vault.key"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write("garbage")
    with pytest.raises(BadConfig, match=r"is not a key\. Bring it back from the backup"):
        Vault.open(file)
