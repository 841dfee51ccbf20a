"""What an author can get wrong: said with file, place, mistake and remedy, exit code 2, and nothing half-started."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.journeys.running import FIELDHUB, County, eventually, fieldhub, free_port, write_site


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

METER = """
[[device]]
id      = "{id}"
name    = "电表"
kind    = "meter"
profile = "chint-dtsu666"
address = "modbus+tcp://127.0.0.1:502/1"
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
    assert " rules' stories were played: they are played on devices, and none is here" in done.stdout


def test_a_site_with_a_device_says_that_the_stories_are_true_and_what_nobody_watches(site: Path) -> None:
    write_device(site)
    meter = METER.format(id="m-1") + METER.format(id="m-2").replace("502/1", "502/2")
    (site / "devices" / "meters.toml").write_text(meter, "utf-8")
    done = fieldhub("check", str(site))
    assert done.returncode == 0, done.stderr
    assert re.search(r"note: the stories of all \d+ rules were played, and are true", done.stdout), done.stdout
    assert (
        'note: devices/meters.toml › device "m-1" and 1 more › no rule watches this device: no alarm will ever ring '
        '(kind "meter", profile "chint-dtsu666")'
    ) in done.stdout


def test_a_kind_that_is_not_there_never_switches_off_the_alarms_of_a_station(site: Path) -> None:
    write_device(site)
    file = site / "devices" / "pumps.toml"
    file.write_text(file.read_text("utf-8").replace('kind     = "pump_station"', 'kind     = "pump_staton"'), "utf-8")
    said = refused("check", str(site))
    assert said == [
        'devices/pumps.toml › device "ps-1" › kind › there is no "pump_staton". Did you mean "pump_station"? '
        "Kinds: drive, flow_meter, meter, pump_station, or one that a profile or a rule names",
        "1 mistake.",
    ]
    assert refused("run", str(site))[-1] == "1 mistake. Nothing was started."


def test_a_dtu_without_a_port_to_dial_into_does_not_stay_silent_for_ever(site: Path) -> None:
    write_device(site, address="modbus+dtu:860123456789012/1")
    assert refused("check", str(site))[0] == (
        'devices/pumps.toml › device "ps-1" › address "modbus+dtu:860123456789012/1" › is a DTU\'s, and no port is '
        "open for them. Set dtu_port in [drivers.modbus] of hub.toml, like dtu_port = 5020"
    )


def test_twelve_mistakes_in_one_file_are_said_at_once(site: Path) -> None:
    write_device(site, id="PS 1", address="modbus+tcp:192.168.1.10:70000/1", profile="ps-2062")
    write_device(site, id="ps-2", address="modbus+rtu:///dev/ttyUSB0?baud=9601#3")
    write_device(site, id="ps-2", address="192.168.1.10:502")
    file = site / "devices" / "pumps.toml"
    text = file.read_text("utf-8").replace("[[device]]", '[[device]]\ncolour = "red"')
    file.write_text(text.replace("settings = { pumps = 2 }", "settings = { pumps = 30, pump = 2 }"), "utf-8")
    said = refused("check", str(site))
    for part in (
        '"PS 1" cannot stand here. Write small letters',
        "has no // after modbus+tcp:.",
        'port "70000" is no port. Write a number from 1 to 65535.',
        'there is no Modbus profile "ps-2062"',
        'baud is "9601". Write one of: 1200,',
        "settings › pumps is 30. Write a whole number from",
        'settings › "pump" is not known here. Did you mean "pumps"?',
        'device "ps-2" › this id is used twice',
        'no driver for "192.168.1.10:502". Write it like: modbus+tcp://10.0.4.7:502/1 or ',
        "colour › is not known here",
    ):
        assert any(part in line for line in said), (part, said)


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
    assert refused("run", str(site))[0].startswith("hub.toml › line 1 › [site is not TOML: ")


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
        assert said[0].startswith(f"--port › 127.0.0.1:{port} cannot be used: Address already in use")
        assert not (site / "data").exists(), "nothing half-started"
        (site / "hub.toml").write_text(f"[http]\nport = {free_port()}\n[drivers.modbus]\ndtu_port = {port}\n", "utf-8")
        assert refused("run", str(site))[0].startswith(f"hub.toml › drivers.modbus › 127.0.0.1:{port} cannot be used")


def test_a_port_or_a_host_that_cannot_be(site: Path) -> None:
    for command in (("run", str(site)), ("demo", "--dir", str(site / "demo"))):
        said = refused(*command, "--port", "99999")[-1]
        assert said.endswith("argument --port: 99999 is not a port. Write a number from 1 to 65535, like 8420")
    (site / "hub.toml").write_text('[http]\nhost = "192.0.2.1"\nplain = true\n', "utf-8")  # of nobody: RFC 5737
    assert refused("run", str(site)) == [
        "hub.toml › http › 192.0.2.1:8420 cannot be used: Cannot assign requested address. "
        'Write an address of this machine as host: "127.0.0.1", or "0.0.0.0" for all that it has'
    ]


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
        (tmp_path / "site" / "hub.toml").write_text(
            text.replace(str(county.facts["dtu_port"]), str(free_port())), "utf-8"
        )
        said = refused("run", str(tmp_path / "site"), "--port", str(free_port()))
        assert "history" in said[0]
        order = ("export", str(tmp_path / "site"), "readings", "--device", "ps-xinhe-1", "--point", "inlet.level")
        assert eventually(lambda: fieldhub(*order).stdout.count("inlet.level") > 2), "beside the hub that runs"
        assert hub.stop() == 0
    finally:
        county.close()


def test_a_role_that_is_not_there(site: Path) -> None:
    said = refused("user", str(site), "add", "wang", "--role", "boss", "--password-file", "-")
    assert len(said) == 1
    assert said[0].startswith('--role boss › "boss" is not a role. Write one of: viewer, grid_worker, water_operator')


def test_bytes_that_are_not_hex() -> None:
    assert "is not hex" in refused("decode", "modbus", "01 0G")[0]
    assert refused("decode", "modbus", "") == [
        "there are no bytes to decode. Write them in hex, like 01 03 00 00 00 0A C5 CD"
    ]


def test_export_of_a_device_that_is_not_there(site: Path) -> None:
    said = refused("export", str(site), "readings", "--device", "ps-404")
    assert said == ['--device › there is no "ps-404".']


def test_a_site_is_not_made_where_nobody_may_write() -> None:
    assert refused("init", "/proc/x") == [
        "/proc/x › cannot be made: No such file or directory. Choose a folder that you may write"
    ]


def test_a_password_is_asked_for_only_when_there_is_a_user_and_somebody_to_ask(site: Path) -> None:
    add = ("user", str(site), "add", "wang.min", "--role", "viewer")
    assert refused(*add) == ["there is nobody to ask for the password. Write --password-file FILE, or - for stdin"]
    assert refused("user", str(site), "password", "wang.mni") == ["wang.mni › there is no such user. Users: none"]
    assert fieldhub(*add, "--password-file", "-", stdin="a-long-passphrase-7\n").returncode == 0
    assert refused(*add) == [f"wang.min › is a user already. `fieldhub user {site} password wang.min`"]


def test_a_fault_desk_that_is_not_there_and_a_time_that_cannot_be(site: Path) -> None:
    assert refused("fault", "list", "--dir", str(site)) == [
        f"{site} › no demo runs here. Start one with: fieldhub demo --dir {site}"
    ]
    said = refused("fault", "set", "ps-chengdong-1", "link_loss", "--for", "-5")[-1]
    assert said.endswith("argument --for: -5 is not a time. Write a number of seconds above 0, like 120")


@pytest.mark.parametrize("command", [("export", "{site}", "devices"), ("decode", "modbus", "018302C0F1")])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(site: Path, command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does in the end
    args = [part.format(site=site) for part in command]
    done = subprocess.run([*FIELDHUB, *args], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if not line.endswith(" rows")] == []
