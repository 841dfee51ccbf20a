"""Certificates: made by the site's own authority, and everything that can be wrong with one said with its remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers import DRIVERS
from hub.__main__ import main
from hub.certificate import NotFit, check, ends, make, names_of
from hub.config import read_site
from hub.contract import BadConfig

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_is_for_the_names_it_was_made_for_and_its_keys_are_for_their_owner(tmp_path: Path):
    made, key, authority = make(tmp_path, ["hub.county.example", "10.0.4.2", "::1"], 30, NOW)
    assert check(made, key, NOW) == []
    assert names_of(made) == ["hub.county.example", "10.0.4.2", "::1"]
    assert ends(made) == NOW + timedelta(days=30)
    assert {it.stat().st_mode & 0o777 for it in (key, tmp_path / "ca-key.pem")} == {0o600}
    assert authority.read_bytes() in made.read_bytes()


def test_the_authority_is_made_once_so_that_desks_need_not_be_told_again(tmp_path: Path):
    authority = make(tmp_path, ["a.example"], 30, NOW)[2].read_bytes()
    assert make(tmp_path, ["b.example"], 30, NOW)[2].read_bytes() == authority


@pytest.mark.parametrize(
    ("when", "says"),
    [
        (NOW + timedelta(days=31), r"ended at 2026-12-26\. Run: fieldhub cert DIR --renew"),
        (NOW - timedelta(days=2), r"begins at 2026-11-26\. Is this machine's clock right\?"),
    ],
)
def test_a_certificate_out_of_its_time_is_said(tmp_path: Path, when: datetime, says: str):
    made, key, _ = make(tmp_path, ["a.example"], 30, NOW)
    (what,) = check(made, key, when)
    assert re.search(says, what)


def test_a_key_that_is_anothers_or_open_to_all_is_said(tmp_path: Path):
    made, key, _ = make(tmp_path / "one", ["a.example"], 30, NOW)
    _, other, _ = make(tmp_path / "two", ["a.example"], 30, NOW)
    assert f"{other} is not the key of {made}" in check(made, other, NOW)[0]
    key.chmod(0o644)
    assert f"can be read by others (mode 0644). Run: chmod 600 {key}" in check(made, key, NOW)[0]
    key.write_text("no key")
    assert "are not a certificate and its key in PEM" in check(made, key, NOW)[0]
    assert "cannot be read: No such file" in check(tmp_path / "none.pem", key, NOW)[0]


@pytest.mark.parametrize("name", ["a b", "-", "", "ex ample.com", "a..b", "泵站.example", "x" * 300])
def test_what_is_no_name_is_refused_with_what_to_write(tmp_path: Path, name: str):
    with pytest.raises(NotFit, match=r"Write one like hub\.county\.example or 10\.0\.4\.2"):
        make(tmp_path, [name], 30, NOW)


# ---- fieldhub cert, fieldhub check ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "site")]) == 0
    return tmp_path / "site"


def test_the_command_makes_what_hub_toml_then_names(site: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["cert", str(site), "--name", "hub.county.example", "--name", "10.0.4.2"]) == 0
    said = capsys.readouterr().out
    assert 'cert = "data/tls/cert.pem"' in said
    text = (site / "hub.toml").read_text("utf-8")
    tls = 'host = "0.0.0.0"\ncert = "data/tls/cert.pem"\nkey = "data/tls/key.pem"\n'
    (site / "hub.toml").write_text(text.replace('host = "127.0.0.1"', tls, 1), "utf-8")
    assert main(["check", str(site)]) == 0
    assert main(["cert", str(site)]) == 2
    assert "is there already. Add --renew" in capsys.readouterr().err
    assert main(["cert", str(site), "--renew", "--days", "9"]) == 0
    assert names_of(site / "data" / "tls" / "cert.pem") == ["hub.county.example", "10.0.4.2"]
    (site / "data" / "tls" / "key.pem").chmod(0o644)
    assert main(["check", str(site)]) == 2
    assert "can be read by others" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('host = "0.0.0.0"', r"would send passwords over the network in the clear\. Make a certificate"),
        ('cert = "data/tls/cert.pem"', r"has one of cert and key\. Write both"),
        ('proxies = ["proxy"]', r'has "proxy", which is no address\. Write some like "127\.0\.0\.1"'),
    ],
)
def test_a_door_that_would_be_open_is_refused_at_the_check(site: Path, table: str, says: str):
    text = (site / "hub.toml").read_text("utf-8")
    (site / "hub.toml").write_text(text.replace('host = "127.0.0.1"', table, 1), "utf-8")
    with pytest.raises(BadConfig, match=says):
        read_site(site, DRIVERS)


def test_behind_a_proxy_that_speaks_tls_plain_is_said_with_a_word(site: Path):
    text = (site / "hub.toml").read_text("utf-8")
    plain = 'host = "0.0.0.0"\nplain = true\nproxies = ["10.0.4.1"]'
    (site / "hub.toml").write_text(text.replace('host = "127.0.0.1"', plain, 1), "utf-8")
    assert read_site(site, DRIVERS).hub.http.plain
