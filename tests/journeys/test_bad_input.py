"""What an author can get wrong: said with file, place, mistake and remedy, exit code 2, and nothing half-started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.journeys.running import County, fieldhub, free_port, write_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    assert fieldhub("init", str(folder)).returncode == 0
    return folder


DEVICE = """
[[device]]
id       = "{id}"
name     = "东门泵站"
kind     = "pump_station"
profile  = "{profile}"
area     = "340299100000"
address  = "{address}"
settings = {{ pumps = 2 }}
"""


def write_device(
    site: Path, id: str = "ps-1", address: str = "modbus+tcp://127.0.0.1:1502/1", profile: str = "ps-2026"
) -> None:
    with (site / "devices" / "pumps.toml").open("a", encoding="utf-8") as file:
        file.write(DEVICE.format(id=id, address=address, profile=profile))


def refused(*args: str) -> list[str]:
    """The lines that the command says when it refuses, with exit code 2."""
    done = fieldhub(*args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def test_a_new_site_has_no_mistakes(site: Path) -> None:
    done = fieldhub("check", str(site))
    assert done.returncode == 0, done.stderr
    assert "No mistakes." in done.stdout


def test_a_site_is_never_made_over_another(site: Path) -> None:
    assert refused("init", str(site)) == [f"{site} › is not empty. Choose a new folder, or empty this one"]


def test_a_device_id_used_twice(site: Path) -> None:
    write_device(site)
    write_device(site, address="modbus+tcp://127.0.0.1:1503/1")
    assert refused("check", str(site))[0] == (
        'devices/pumps.toml › device "ps-1" › this id is used twice (also in devices/pumps.toml). '
        "Every device needs its own"
    )


def test_all_mistakes_of_all_files_come_at_once(site: Path) -> None:
    write_device(site, address="modbus+tcp://127.0.0.1:99999/1")
    write_device(site, id="ps-2", profile="ps-2062")
    (site / "hub.toml").write_text('[site]\nzone = "Asia/Wuhu"\n[http]\nprot = 8420\n', "utf-8")
    (site / "rules" / "mine.toml").write_text('[[rule]]\nname = "x"\nwhen = "inlet.level > 3 Mpa"\n', "utf-8")
    said = refused("check", str(site))
    for part in (
        'hub.toml › site.zone › is not a time zone. Write one like "Asia/Shanghai" or "UTC"',
        "hub.toml › http.prot › is not known here",
        "99999",
        "ps-2062",
        "rules/mine.toml",
    ):
        assert any(part in line for line in said), (part, said)


def test_bad_toml_is_said_with_its_line(site: Path) -> None:
    (site / "hub.toml").write_text("[site\nname = 1\n", "utf-8")
    assert "hub.toml › is not TOML" in refused("run", str(site))[0]
    assert "line 1" in refused("run", str(site))[0]


def test_an_unknown_unit_in_a_rule_gets_a_suggestion(site: Path) -> None:
    write_device(site)
    rule = '[[rule]]\nname = "over-pressure"\nkind = "pump_station"\nwhen = "outlet.pressure > 0.80 Mpa"\n'
    rule += 'severity = "low"\nsay = { zh-CN = "压力高", en = "Pressure high" }\n'
    (site / "rules" / "pumps.toml").write_text(rule, "utf-8")
    said = refused("check", str(site))[0]
    assert said.startswith('rules/pumps.toml › rule "over-pressure" › ')
    assert '"Mpa" is not a unit. Did you mean "MPa"?' in said


def test_overlapping_registers_in_a_profile(site: Path) -> None:
    profile = """
driver   = "modbus"
profile  = "mine"
source   = "a cabinet drawing"
verified = "no"

[points]
"inlet.level"  = { at = 10, type = "f32", unit = "m", zh = "前池水位", en = "Inlet level" }
"outlet.level" = { at = 11, type = "f32", unit = "m", zh = "外河水位", en = "Outlet level" }
"""
    (site / "profiles" / "mine.toml").write_text(profile, "utf-8")
    write_device(site, profile="mine")
    said = refused("check", str(site))
    assert any("profiles/mine.toml" in line and "overlap" in line.lower() for line in said), said


def test_a_port_in_use(site: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused("run", str(site), "--port", str(port))
        assert said[0].startswith(f"hub.toml › http › 127.0.0.1:{port} cannot be used: Address already in use")
        assert not (site / "data").exists(), "nothing half-started"
        (site / "hub.toml").write_text(f"[http]\nport = {free_port()}\n[drivers.modbus]\ndtu_port = {port}\n", "utf-8")
        assert refused("run", str(site))[0].startswith(f"hub.toml › drivers.modbus › 127.0.0.1:{port} cannot be used")


def test_a_data_folder_that_cannot_be_used(site: Path) -> None:
    (site / "data").write_text("a file, where a folder must be", "utf-8")
    (site / "hub.toml").write_text(f"[http]\nport = {free_port()}\n", "utf-8")
    said = refused("run", str(site))
    assert str(site / "data") in said[0]
    assert "›" in said[0]


def test_two_hubs_never_share_a_data_folder(tmp_path: Path) -> None:
    from tests.journeys.running import RunningHub

    county = County("--calm")
    try:
        port = free_port()
        write_site(tmp_path / "site", county, port)
        hub = RunningHub(tmp_path / "site", port)
        hub.wait_until_up()
        text = (tmp_path / "site" / "hub.toml").read_text("utf-8")
        (tmp_path / "site" / "hub.toml").write_text(text.replace(f"dtu_port = {county.facts['dtu_port']}", ""), "utf-8")
        said = refused("run", str(tmp_path / "site"), "--port", str(free_port()))
        assert "history" in said[0]
        assert hub.stop() == 0
    finally:
        county.close()


def test_a_role_that_is_not_there(site: Path) -> None:
    said = refused("user", str(site), "add", "wang", "--role", "boss", "--password-file", "-")
    assert said == ["--role boss › write one or more of: viewer, water_operator, field_engineer, admin"]


def test_bytes_that_are_not_hex() -> None:
    assert "is not hex" in refused("decode", "modbus", "01 0G")[0]


def test_export_of_a_device_that_is_not_there(site: Path) -> None:
    said = refused("export", str(site), "readings", "--device", "ps-404")
    assert said[0].startswith('device "ps-404" › no history is kept')
