"""Exports of the ledger under the site's seal: checked where there is no site, and no byte of them can be another."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import zipfile
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.__main__ import main
from hub.audit_export import LINES, SEAL, check, export, sign
from hub.clock import ManualClock
from hub.contract import BadConfig
from hub.ledger import Ledger, Note
from hub.ledger.inspection import inspecting
from hub.seal import KEY_FILE, Seal, opened
from tests.hub.ledger.samples import at, change
from tests.hub.test_audit import by_hand, url

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """Ten entries, a minute each; the sixth has a time of an hour before."""
    folder = tmp_path / "county"
    (folder / "data").mkdir(parents=True)
    (folder / "hub.toml").write_text('[site]\nname = "示范县"\nzone = "UTC"\n')
    ledger = await Ledger.open(url(folder), ManualClock())
    for n in range(10):
        await ledger.append(change(f"a{n}", seconds=-3600 if n == 5 else 60 * n))
    await ledger.close()
    return folder


def exported(site: Path, name: str = "audit.jsonl", start: int = 0, end: int = 600) -> Path:
    output = site.parent / name
    words = ["--from", at(start).isoformat(), "--to", at(end).isoformat(), "-o", str(output)]
    assert main(["audit", str(site), "export", *words]) == 0
    return output


def public(site: Path) -> str:
    return Seal(site / "data").public


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.zip"])
def test_an_export_is_checked_without_the_site(site: Path, name: str, capsys: pytest.CaptureFixture[str]):
    file = exported(site, name)
    key = public(site)
    os.rename(site, site.with_name("gone"))
    capsys.readouterr()
    assert main(["audit", str(file), "check-export", "--public-key", key]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("as it was sealed: audit of '示范县', 10 entries (1 to 10), ")
    assert said.err == ""
    assert not list(site.parent.glob("*.part"))


def test_without_a_public_key_it_says_what_that_proves(site: Path, capsys: pytest.CaptureFixture[str]):
    file = exported(site)
    assert main(["audit", str(file), "check-export"]) == 0
    assert f"note: by {public(site)}. Compare it with what" in capsys.readouterr().err


def test_lines_hold_entries_whole(site: Path):
    rows = [json.loads(line) for line in exported(site).read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, 11))
    assert (rows[0]["at"], rows[0]["kind"], rows[0]["device"]) == (
        "2026-06-01T04:00:00.000000+00:00",
        "alarm",
        "pump-7",
    )
    assert json.loads(rows[3]["body"])["alarm"] == "a3"
    assert rows[3]["prev"] == rows[2]["hash"]


def test_a_span_is_from_its_first_entry_to_its_last_whatever_the_clock_said_between(site: Path):
    file = exported(site, start=120, end=481)
    manifest, _, wrong = check(file, public(site))
    assert [json.loads(line)["seq"] for line in file.read_text().splitlines()] == [3, 4, 5, 6, 7, 8, 9]
    assert (manifest["count"], manifest["first"]["seq"], manifest["last"]["seq"], wrong) == (7, 3, 9, [])


def test_a_span_without_entries_is_sealed_as_such(site: Path):
    manifest, _, wrong = check(exported(site, start=9000, end=9600), public(site))
    assert (manifest["count"], manifest["first"], manifest["last"], wrong) == (0, None, None, [])


@given(st.integers(0, 10**6), st.integers(0, 7), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bit_of_file_or_seal_that_is_another_is_found(site: Path, place: int, bit: int, of_seal: bool):
    file = site.parent / "audit.jsonl"
    if not file.exists():
        exported(site)
    touched = file.with_name(file.name + ".seal") if of_seal else file
    whole = touched.read_bytes()
    place %= len(whole)
    other = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
    touched.write_bytes(other)
    try:
        if of_seal and _same_json(whole, other):
            return  # a space that became a tab says nothing else
        with pytest.raises(BadConfig):
            check(file, public(site))
    finally:
        touched.write_bytes(whole)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except (msgspec.DecodeError, UnicodeError):
        return False


def test_another_seal_is_not_this_sites(site: Path):
    file = exported(site)
    key = public(site)
    forger = site.parent / "forger"
    forger.mkdir()
    manifest, _ = opened(file.with_name(file.name + ".seal").read_bytes())
    file.with_name(file.name + ".seal").write_bytes(Seal(forger).sign(manifest))
    assert check(file)[2] == [], "by itself it is as good as any"
    with pytest.raises(BadConfig, match="was sealed with another key"):
        check(file, key)


def test_a_site_that_signs_what_never_was_breaks_the_chain(site: Path):
    """Whoever has the key can sign anything: but each line must still have its hash, and name the one before."""
    file = exported(site)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], lines[2].replace(b"sump", b"pump"), *lines[4:]]))
    manifest, _ = opened(file.with_name(file.name + ".seal").read_bytes())
    sign(file, Seal(site / "data"), "示范县", "audit", {"count": 10, "last": manifest["last"]})
    assert check(file, public(site))[2] == [
        "entry 3 › was changed: its hash does not fit",
        "entry 4 › is missing, or more",
        f"the manifest speaks of 10 entries up to {manifest['last']}; here are 9",
    ]


def test_a_ledger_that_was_touched_is_exported_with_what_is_wrong_with_it(
    site: Path, capsys: pytest.CaptureFixture[str]
):
    by_hand(site, "UPDATE entry SET body = '{}' WHERE seq = 4", "DELETE FROM entry WHERE seq = 7")
    output = site.parent / "audit.zip"
    assert main(["audit", str(site), "export", "-o", str(output)]) == 1
    assert "entry 4 › was changed" in capsys.readouterr().err
    manifest, _, wrong = check(output, public(site))
    assert manifest["faults"] == ["entry 4 › was changed: its hash does not fit", "entry 7 › is missing"]
    assert wrong[:2] == manifest["faults"]


def test_a_ledger_that_was_written_anew_does_not_have_an_earlier_exports_entries(
    site: Path, capsys: pytest.CaptureFixture[str]
):
    file = exported(site)
    assert main(["audit", str(site), "verify", "--against", str(file)]) == 0
    by_hand(site, "DELETE FROM entry WHERE seq > 8")
    assert main(["audit", str(site), "verify"]) == 0
    assert main(["audit", str(site), "verify", "--against", str(file)]) == 1
    assert "entry 9 › and all after it are gone" in capsys.readouterr().out


async def test_a_running_hub_is_exported(site: Path):
    ledger = await Ledger.open(url(site), ManualClock())
    await ledger.append(Note("login", at(599)))
    assert check(exported(site), public(site))[0]["count"] == 11
    await ledger.close()


# ---- the key ------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_for_the_hubs_user_alone(site: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["audit", str(site), "key"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("ed25519:")
    assert stat.S_IMODE((site / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert main(["audit", str(site), "key"]) == 0
    assert capsys.readouterr().out == first


def test_a_key_that_others_may_read_is_not_used(site: Path, capsys: pytest.CaptureFixture[str]):
    file = site / "data" / KEY_FILE
    public(site)
    file.chmod(0o640)
    assert main(["audit", str(site), "key"]) == 2
    assert f"others may read it, and could seal in this site's name. chmod 600 {file}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_said_and_left_alone(site: Path, content: bytes, capsys: pytest.CaptureFixture[str]):
    file = site / "data" / KEY_FILE
    file.write_bytes(content)
    file.chmod(0o600)
    assert main(["audit", str(site), "key"]) == 2
    assert "is no Ed25519 key. Bring it back from a backup" in capsys.readouterr().err
    assert file.read_bytes() == content


# ---- what cannot be -----------------------------------------------------------------------------------------------


def test_what_is_no_export_is_said(site: Path, capsys: pytest.CaptureFixture[str]):
    file = exported(site)
    (site.parent / "empty.zip").write_bytes(b"PK\x05\x06" + b"\0" * 18)
    (site.parent / "x.jsonl").write_text("{}")
    (site.parent / "x.jsonl.seal").write_text("{}")
    with zipfile.ZipFile(site.parent / "other.zip", "w") as it:
        it.writestr(LINES, b"{}")
        it.writestr(SEAL, b"\xff")
    capsys.readouterr()
    for name, said in (
        ("empty.zip", "is no export of an audit"),
        ("x.jsonl", "is no seal of a FieldHub"),
        ("other.zip", "is no seal of a FieldHub"),
        ("nothing.jsonl", "cannot be read: No such file or directory. Name an export"),
    ):
        assert main(["audit", str(site.parent / name), "check-export"]) == 2
        assert said in capsys.readouterr().err
    assert main(["audit", str(file), "check-export", "--public-key", "ed25519:abc"]) == 2
    assert "ed25519:abc is no public key. Write what `fieldhub audit DIR key` printed" in capsys.readouterr().err


def test_a_kind_of_file_that_is_not_known_is_said(site: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["audit", str(site), "export", "-o", "audit.pdf"]) == 2
    assert (
        "-o audit.pdf › is of no kind that is known. Write a name that ends in .zip or .jsonl"
        in capsys.readouterr().err
    )


def test_a_folder_that_cannot_be_written_is_said(site: Path):
    with (
        inspecting(url(site)) as ledger,
        pytest.raises(BadConfig, match="cannot be written: No such file or directory"),
    ):
        export(
            ledger, site / "no" / "audit.zip", at(0), at(0) + timedelta(days=1), Seal(site / "data"), "county", at(0)
        )


async def test_the_recipe_of_the_docs_gives_every_hash(site: Path):
    """docs/audit.md › in Python: also for letters that JSON must escape."""
    hostile = "".join(map(chr, [*range(1, 160), 0x2028, 0xFEFF, 0x1F600])) + '"\\/</script>'
    ledger = await Ledger.open(url(site), ManualClock())
    await ledger.append(Note("login", at(599), hostile, hostile, hostile, {"did": hostile, "n": 1.5e-7}))
    await ledger.close()
    recipe = re.search(r"```python\n(.*?)```", (DOCS / "audit.md").read_text("utf-8"), re.DOTALL)
    assert recipe is not None
    lines = exported(site).read_text("utf-8").split("\n")[:-1]
    assert len(lines) == 11
    for line in lines:
        exec(recipe[1], {"json": json, "hashlib": hashlib, "line": line})
    with pytest.raises(AssertionError):
        exec(recipe[1], {"json": json, "hashlib": hashlib, "line": lines[3].replace("sump", "pump")})
