"""The site folder: every mistake at once, each with its file, its place, what is wrong and what to write instead."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from hub.config import read_site
from hub.contract import BadConfig, DriverSpec
from hub.mistakes import MAX_FILE_BYTES, read_toml
from hub.model import Device, Nameplate


class Options(BaseModel):
    """[drivers.pumps]"""

    model_config = ConfigDict(extra="forbid")
    timeout_s: float = Field(default=1.0, gt=0)


def check(device: Device) -> None:
    if device.address.endswith("!"):
        raise BadConfig("address › ends with !. Take it out")


def plate(device: Device) -> Nameplate:
    if device.profile == "no such":
        raise BadConfig("profile › is not there", "settings › are wrong too")
    return Nameplate()


DRIVERS = {"pumps": DriverSpec("pumps", Options, lambda options, clock: None, plate, check)}  # type: ignore[arg-type,return-value]
GOOD = {
    "hub.toml": '[site]\nname = "东门"\n[drivers.pumps]\ntimeout_s = 2.5\n[armed]\n"sump high" = ["ps-1"]\n',
    "devices/a.toml": (
        '[[area]]\ncode = "330100000000"\nname = "杭州"\n'
        '[[area]]\ncode = "330102000000"\nname = "上城"\nparent = "330100000000"\n'
        '[[device]]\nid = "ps-1"\nname = "东门泵站"\nkind = "pump_station"\n'
        'address = "pumps:1"\narea = "330102000000"\n'
    ),
}
DEVICE = '[[device]]\nid = "{id}"\nname = "n"\nkind = "pump_station"\naddress = "{address}"\n'
AREA = '[[area]]\ncode = "{code}"\nname = "n"\nparent = "{parent}"\n'


def site(folder: Path, **files: str | bytes) -> Path:
    """A site in `folder`: the good one, with other files in its place ("hub" is hub.toml, others go to devices/)."""
    texts: dict[str, str | bytes] = dict(GOOD)
    for name, text in files.items():
        texts["hub.toml" if name == "hub" else f"devices/{name}.toml"] = text
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        read_site(folder, DRIVERS)
    return list(caught.value.mistakes)


def device(id: str = "ps-2", address: str = "pumps:2", more: str = "") -> str:
    return DEVICE.format(id=id, address=address) + more


def area(code: str, parent: str = "") -> str:
    return AREA.format(code=code, parent=parent)


def test_a_site_without_mistakes_is_read_whole(tmp_path: Path):
    it = read_site(site(tmp_path), DRIVERS)
    assert ([device.id for device in it.devices], [area.name for area in it.areas]) == (["ps-1"], ["杭州", "上城"])
    assert (it.options["pumps"].timeout_s, it.hub.armed, it.plates) == (
        2.5,
        {"sump high": ["ps-1"]},
        {"ps-1": Nameplate()},
    )
    assert it.data == tmp_path / "data"


def test_a_folder_that_is_not_there_says_how_to_make_one(tmp_path: Path):
    missing = tmp_path / "nowhere"
    assert mistakes(missing) == [f"{missing} › is not a folder. Make a site with: fieldhub init {missing}"]


HUB = [
    (
        "[site]\nname = 3",
        'hub.toml › site.name › cannot stand here. Write "示范县水务局", or one for each language: ',
        '{ zh-CN = "…", en = "…" }',
    ),
    ("[site]\nname = { en = 3 }", "hub.toml › site.name › cannot stand here.", ""),
    (
        "[history]\nreadings_days = 90\nminutes_days = 30",
        "hub.toml › history › minutes_days is 30, and readings_days 90. Keep the coarser steps longer",
        "",
    ),
    ("[history]\nhours_days = 30", "hub.toml › history › hours_days is 30, and minutes_days for ever.", ""),
    ("[history]\nreadings_days = -1", "hub.toml › history.readings_days › -1 is too small. Write whole days", ""),
    (
        '[log]\ntraces = "127.0.0.1:4318"',
        "hub.toml › log.traces › is not where a collector listens.",
        "Write an address like",
    ),
    (
        '[log]\ntraces = "http://me:word@host"',
        "hub.toml › log.traces › is not where a collector listens. Write an address like",
        "4318",
    ),
    ('[site]\nzone = "Asia/Shanghia"', "hub.toml › site.zone › is not a time zone. Write one like", "'Asia/Shanghia'"),
    ('[site]\nlanguage = "de"', 'hub.toml › site.language › is not a language. Write "zh-CN" or "en"', "'de'"),
    ("[http]\nport = 0", "hub.toml › http.port › 0 is too small. Write a whole number from 1 to 65535, like 8420", ""),
    (
        '[http]\nport = "x"',
        'hub.toml › http.port › "x" is not a whole number. Write a whole number from 1 to 65535, like 8420',
        "",
    ),
    (
        '[http]\nhost = "127.0.0.999"',
        "hub.toml › http.host › is not an address. Write",
        '"127.0.0.1" for this machine only, or "0.0.0.0" for the whole network',
    ),
    ("[htpp]\nport = 80", "hub.toml › htpp › is not known here. Take it out, or check its spelling", ""),
    ("[http]\nprt = 80", "hub.toml › http.prt › is not known here. Take it out, or check its spelling", ""),
    ("[drivers.pump]", 'hub.toml › drivers.pump › there is no such driver. Did you mean "pumps"?', ""),
    (
        "[drivers.pumps]\ntimeout_s = 0",
        "hub.toml › drivers.pumps › timeout_s › 0 is too small. Write a number greater than 0",
        "",
    ),
    ("[drivers.pumps]\ntimeout = 1", "hub.toml › drivers.pumps › timeout › is not known here.", ""),
    (
        '[armed]\n"sump high" = ["ps-9"]',
        'hub.toml › armed › "sump high" › there is no device "ps-9".',
        'Did you mean "ps-1"',
    ),
    (
        "[site]\nname = [",
        "hub.toml › the end of the file › is not TOML: Invalid value. Look for a quote or a bracket",
        "",
    ),
    (
        '[site]\nname = "a"\nzone = ?',
        "hub.toml › line 3 › zone = ? is not TOML: Invalid value. Write texts in quotes",
        "",
    ),
    (
        "[site]\nname = “东门”",
        "hub.toml › line 2 › name = “东门” is not TOML: Invalid value. ",
        'Signs of a Chinese keyboard are no part of TOML. Write " for “, " for ”',
    ),
    ('[site]\nname ＝ "东门"', "hub.toml › line 2 › ", "Write = for ＝"),
    ('[http]\nhost = "127.0.0.1"， port = 8420', "hub.toml › line 2 › ", "Write , for ，"),
    (
        '[site]\nname = "东门\nzone = "UTC"',
        'hub.toml › line 2 › name = "东门 is not TOML: ',
        'A quote is not closed. Write one " before the text and one after it',
    ),
    ('[site]\nname = 东门"', "hub.toml › line 2 › ", "A quote is not closed."),
    ("[site\nname = 1", "hub.toml › line 1 › [site is not TOML: ", "Write [name] on a line of its own"),
    ('[site]\nname = "a"\nname = "b"\n', "hub.toml › line 3 › ", "A key may stand only once in its table"),
    ("[site]\n[http]\n[site]", "hub.toml › line 3 › ", "This table stands twice"),
    ('[site]\nname "a"', "hub.toml › line 2 › ", "Write: key = value"),
    ("[http]\nport = 8420 host", "hub.toml › line 2 › ", "Write one key = value on a line"),
    ("a = " + "[" * 5000, "hub.toml › is nested too deeply. Write it flat", ""),
]


@pytest.mark.parametrize(("text", "start", "within"), HUB)
def test_a_mistake_in_hub_toml_is_said_with_its_place(tmp_path: Path, text: str, start: str, within: str):
    found = mistakes(site(tmp_path, hub=text))
    assert found[0].startswith(start), found
    assert within in found[0]


DEVICES = [
    (device(address="tractors:1"),
     'device "ps-2" › address › no driver for "tractors:1". Write it like: pumps:…'),
    (device(id="ps-1"), 'device "ps-1" › this id is used twice (also in devices/a.toml). Every device needs its own'),
    (device(address="pumps:1"), 'device "ps-2" › address › "pumps:1" is also the address of "ps-1"'),
    (device(more='area = "330102000001"\n'),
     'device "ps-2" › area › there is no area "330102000001". Did you mean "330102000000"?'),
    (device(address="pumps:!"), 'device "ps-2" › address › ends with !. Take it out'),
    (device(more='colour = "red"\n'), 'device "ps-2" › colour › is not known here. Take it out, or check its spelling'),
    (device(id="PS 2"),
     'device "PS 2" › id › "PS 2" cannot stand here. Write small letters, digits, ".", "_" and "-", 64 at most: '
     'id = "ps-east-gate"'),
    ('[[device]]\nname = "n"\nkind = "k"\naddress = "pumps:2"\n',
     'device number 1 › id › is missing. Write small letters, digits, ".", "_" and "-", 64 at most: id = "ps-'),
    (device().replace('"n"', '""'),
     'device "ps-2" › name › "" is too short. Write a name of 1 to 100 letters: name = "东门泵站"'),
    (device().replace('name = "n"\n', ""),
     'device "ps-2" › name › is missing. Write a name of 1 to 100 letters: name = "东门泵站"'),
    (device(more="settings = 3\n"),
     'device "ps-2" › settings › 3 is not a table. Write what its profile wants to know: settings = { pumps = 3 }'),
    (device(more="area = 3\n"),
     'device "ps-2" › area › 3 is not a text. Write the code of an area: area = "340299100000"'),
    ('[[devcie]]\nid = "a"\n', "devcie › is not known here. Write [[area]] or [[device]]"),
    ('[device]\nid = "a"\n', "device › is not a list of tables. Write [[device]] above each"),
    ("area = 5\n", "area › is not a list of tables. Write [[area]] above each"),
    ("device = [5]\n", "device number 1 › 5 is not a table. Write it as a table of its own: [name] or [[name]]"),
    (area("3301"),
     'area "3301" › code › "3301" cannot stand here. Write the 12 digits of the administrative division: '
     'code = "340299100000"'),
    (area("330100000000"), 'area "330100000000" › this code is used twice (also in devices/a.toml)'),
    (area("330199000000", "330198000000"), 'area "330199000000" › parent › there is no area "330198000000"'),
    (area("330199000000", "330199000000"),
     'area "330199000000" › parent › the areas form a ring. One of them must have no parent'),
    ("x = 'a", "the end of the file › is not TOML: Expected \"'\". Look for a quote or a bracket"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), DEVICES)
def test_a_mistake_in_a_device_file_is_said_with_its_place(tmp_path: Path, text: str, wanted: str):
    (found,) = mistakes(site(tmp_path, b=text))
    assert found.startswith(f"devices/b.toml › {wanted}"), found


def test_a_ring_of_areas_is_found_and_a_long_branch_is_none(tmp_path: Path):
    codes = [f"{number:012d}" for number in range(200)]
    branch = "".join(area(code, parent) for code, parent in zip(codes, ["", *codes], strict=False))
    assert len(read_site(site(tmp_path, b=branch), DRIVERS).areas) == 202
    ring = "".join(area(code, parent) for code, parent in zip(codes, [codes[-1], *codes], strict=False))
    assert all("the areas form a ring" in line for line in mistakes(site(tmp_path, b=ring)))


def test_a_file_that_is_not_utf8_says_in_which_line(tmp_path: Path):
    text = (GOOD["devices/a.toml"]).encode("gb18030")
    found = mistakes(site(tmp_path, a=text))
    assert found[0] == "devices/a.toml › line 3 is not UTF-8. Save the file as UTF-8"


def test_the_mark_that_windows_writes_is_no_mistake(tmp_path: Path):
    assert len(read_site(site(tmp_path, a=b"\xef\xbb\xbf" + GOOD["devices/a.toml"].encode()), DRIVERS).devices) == 1


def test_a_file_that_cannot_be_read_or_is_too_large_is_said(tmp_path: Path):
    with pytest.raises(BadConfig, match=r"it › cannot be read: No such file or directory\. Check that it exists"):
        read_toml(tmp_path / "missing.toml", "it")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(BadConfig, match="it › cannot be read: Is a directory"):
        read_toml(tmp_path / "folder.toml", "it")
    with (tmp_path / "big.toml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(
        BadConfig, match=rf"it › is {MAX_FILE_BYTES + 1} bytes; a file may have {MAX_FILE_BYTES}\. Split it"
    ):
        read_toml(tmp_path / "big.toml", "it")


def test_every_mistake_of_every_file_is_said_at_once(tmp_path: Path):
    hub = '[site]\nzone = "Mars"\n[http]\nport = "x"\n[drivers.pump]\n[drivers.pumps]\ntimeout = 1\n'
    hub += '[armed]\n"r" = ["ps-7"]\n'
    b = device(more='profile = "no such"\n') + device(id="Ö") + area("1")
    found = mistakes(site(tmp_path, hub=hub, b=b, c="x = \n"))
    starts = [
        "hub.toml › site.zone",
        "hub.toml › http.port",
        "hub.toml › drivers.pump ›",
        "hub.toml › drivers.pumps › timeout",
        "devices/c.toml › line 1 › x = is not TOML",
        'devices/b.toml › area "1" › code',
        'devices/b.toml › device "ps-2" › profile › is not there',
        'devices/b.toml › device "ps-2" › settings › are wrong too',
        'devices/b.toml › device "Ö" › id',
        'devices/b.toml › device "Ö" › address › "pumps:2" is also the address of "ps-2"',
        'hub.toml › armed › "r" › there is no device "ps-7"',
    ]
    assert len(found) == len(starts), found
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start), line


def test_a_sites_own_profiles_are_given_to_the_drivers_that_read_some(tmp_path: Path):
    class WithProfiles(Options):
        profiles_dir: Path | None = None

    spec: Any = DriverSpec("pumps", WithProfiles, lambda options, clock: None, plate, check)  # type: ignore[arg-type,return-value]
    assert read_site(site(tmp_path), {"pumps": spec}).options["pumps"].profiles_dir is None
    (tmp_path / "profiles").mkdir()
    assert read_site(site(tmp_path), {"pumps": spec}).options["pumps"].profiles_dir == tmp_path / "profiles"


def test_a_row_with_a_mistake_is_checked_for_all_others_too(tmp_path: Path):
    row = '[[device]]\nid = "ps-1"\nname = ""\nkind = 5\naddress = "pumps:!"\nprofile = "no such"\n'
    row += 'area = "330102000001"\ncolour = "red"\n'
    found = mistakes(site(tmp_path, b=row))
    starts = [
        'name › "" is too short',
        "kind › 5 is not a text",
        "colour › is not known here",
        "this id is used twice (also in devices/a.toml)",
        'area › there is no area "330102000001"',
        "address › ends with !",
        "profile › is not there",
        "settings › are wrong too",
    ]
    assert len(found) == len(starts), found
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(f'devices/b.toml › device "ps-1" › {start}'), line


def test_a_profile_is_looked_up_also_when_the_address_names_no_driver(tmp_path: Path):
    found = mistakes(site(tmp_path, b=device(address="10.0.4.7:502", more='profile = "no such"\n')))
    assert [line.split(" › ")[2] for line in found] == ["address", "profile", "settings"]


def test_an_area_with_a_mistake_is_still_an_area(tmp_path: Path):
    b = '[[area]]\ncode = "330103000000"\nname = ""\n' + device(more='area = "330103000000"\n')
    (found,) = mistakes(site(tmp_path, b=b))
    assert found.startswith('devices/b.toml › area "330103000000" › name › "" is too short')


def test_a_kind_that_no_rule_and_no_profile_knows_is_a_mistake(tmp_path: Path):
    spec = replace(DRIVERS["pumps"], kinds=lambda: ["drive"])
    folder = site(tmp_path, b=device().replace("pump_station", "pump_staton"))
    with pytest.raises(BadConfig) as caught:
        read_site(folder, {"pumps": spec}, {"pump_station"})
    assert list(caught.value.mistakes) == [
        'devices/b.toml › device "ps-2" › kind › there is no "pump_staton". Did you mean "pump_station"? '
        "Kinds: drive, pump_station, or one that a profile or a rule names"
    ]
    site(tmp_path, b=device().replace("pump_station", "drive"))
    assert len(read_site(folder, {"pumps": spec}, {"pump_station"}).devices) == 2


def test_what_no_device_shows_alone_is_said_where_the_device_stands(tmp_path: Path):
    spec = replace(DRIVERS["pumps"], together=lambda devices, options: [(devices[1], f"is one too many for {options}")])
    with pytest.raises(BadConfig, match=r'devices/b\.toml › device "ps-2" › is one too many for timeout_s=2\.5'):
        read_site(site(tmp_path, b=device()), {"pumps": spec})
