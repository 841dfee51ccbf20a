"""Reads the site folder, checks everything, reports every mistake at once.

    hub.toml            [site] [http] [drivers.NAME] [armed]
    devices/*.toml      [[area]] and [[device]]
    profiles/*.toml     makes and models of this site (read by the drivers)
    rules/*.toml        rules of this site (read by rules/load.py)
    data/               what the hub writes

A mistake is one line: file › place › what is wrong. What to write instead.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hub.contract import BadConfig, DriverSpec
from hub.model import Area, Device, Nameplate

MAX_FILE_BYTES = 16 * 1024 * 1024  # of one TOML file of a site
ID_FORM = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Strict(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteTable(Strict):
    """[site]: how the house is called, and the time that people see."""

    name: dict[str, str] | str = "FieldHub"
    zone: str = "Asia/Shanghai"
    language: str = "zh-CN"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError('is not a time zone. Write one like "Asia/Shanghai" or "UTC"') from None
        return zone

    @field_validator("language")
    @classmethod
    def _known_language(cls, language: str) -> str:
        if language not in ("zh-CN", "en"):
            raise ValueError('is not a language. Write "zh-CN" or "en"')
        return language


class HttpTable(Strict):
    """[http]: where the console and the API listen."""

    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=1, le=65535)


class HubFile(Strict):
    """hub.toml."""

    site: SiteTable = SiteTable()
    http: HttpTable = HttpTable()
    drivers: dict[str, dict[str, Any]] = {}
    armed: dict[str, list[str]] = {}  # rule -> the devices where it may ask for a hazardous command


class AreaRow(Strict):
    """[[area]]"""

    code: str = Field(pattern=r"^[0-9]{12}$")
    name: str = Field(min_length=1, max_length=100)
    parent: str = ""


class DeviceRow(Strict):
    """[[device]]"""

    id: str = Field(pattern=ID_FORM)
    name: str = Field(min_length=1, max_length=100)
    kind: str = Field(min_length=1, max_length=40)
    address: str = Field(min_length=1, max_length=200)
    profile: str = ""
    area: str = ""
    settings: dict[str, Any] = {}


class Site(Struct, frozen=True):
    """A site folder that has been read and found whole."""

    folder: Path
    hub: HubFile
    options: Mapping[str, Any]  # driver -> its checked options
    areas: tuple[Area, ...] = ()
    devices: tuple[Device, ...] = ()
    plates: Mapping[str, Nameplate] = field(default_factory=dict)  # by device id
    files: Mapping[str, str] = field(default_factory=dict)  # area code or device id -> the file that has it

    @property
    def data(self) -> Path:
        return self.folder / "data"


class _Mistakes(list[str]):
    def add(self, *parts: str) -> None:
        self.append(" › ".join(parts))


def read_site(folder: Path, drivers: Mapping[str, DriverSpec]) -> Site:
    """The site in `folder`. Raises BadConfig with every mistake of every file."""
    if not folder.is_dir():
        raise BadConfig(f"{folder} › is not a folder. Make a site with: fieldhub init {folder}")
    mistakes = _Mistakes()
    hub = _hub_file(folder, mistakes)
    options = _options(hub, folder, drivers, mistakes)
    areas, devices = _rows(folder, mistakes)
    _check_areas(areas, mistakes)
    known_areas = {area.code for area, _ in areas}
    plates = _check_devices(devices, known_areas, drivers, mistakes)
    known = {device.id for device, _ in devices}
    for rule, where in hub.armed.items():
        for device in where:
            if device not in known:
                near = _near(device, known)
                mistakes.add("hub.toml", "armed", f'"{rule}"', f'there is no device "{device}".{near}')
    if mistakes:
        raise BadConfig(*mistakes)
    return Site(
        folder,
        hub,
        options,
        tuple(area for area, _ in areas),
        tuple(device for device, _ in devices),
        plates,
        {area.code: place for area, place in areas} | {device.id: place for device, place in devices},
    )


def read_toml(file: Path, place: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises BadConfig: line and column of what cannot be read."""
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise BadConfig(f"{place} › is {len(raw)} bytes; a file may have {MAX_FILE_BYTES}. Split it")
        return tomllib.loads(raw.decode("utf-8-sig"))  # Windows' editor begins its files with a mark
    except OSError as error:
        raise BadConfig(f"{place} › cannot be read: {error.strerror}. Check that it exists and its rights") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadConfig(f"{place} › line {line} is not UTF-8. Save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{place} › is not TOML: {error}") from None
    except RecursionError:
        raise BadConfig(f"{place} › is nested too deeply. Write it flat") from None


def _hub_file(folder: Path, mistakes: _Mistakes) -> HubFile:
    """hub.toml; of one with mistakes the tables that have none, so that what refers to them is checked all the same."""
    try:
        tables = read_toml(folder / "hub.toml", "hub.toml")
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
        return HubFile()
    try:
        return HubFile.model_validate(tables)
    except ValidationError as error:
        mistakes.extend(explain(error, "hub.toml"))
        wrong = {item["loc"][0] for item in error.errors()}
        return HubFile.model_validate({key: table for key, table in tables.items() if key not in wrong})


def _options(hub: HubFile, folder: Path, drivers: Mapping[str, DriverSpec], mistakes: _Mistakes) -> Mapping[str, Any]:
    for name in hub.drivers:
        if name not in drivers:
            mistakes.add("hub.toml", f"drivers.{name}", f"there is no such driver.{_near(name, drivers)}")
    options: dict[str, Any] = {}
    for name, spec in drivers.items():
        table = dict(hub.drivers.get(name, {}))
        if "profiles_dir" in spec.options.model_fields and (folder / "profiles").is_dir():
            table.setdefault("profiles_dir", folder / "profiles")
        try:
            options[name] = spec.options.model_validate(table)
        except ValidationError as error:
            mistakes.extend(explain(error, "hub.toml", f"drivers.{name}"))
        except BadConfig as bad:
            mistakes.extend(bad.mistakes)
    return options


def _rows(folder: Path, mistakes: _Mistakes) -> tuple[list[tuple[Area, str]], list[tuple[Device, str]]]:
    areas: list[tuple[Area, str]] = []
    devices: list[tuple[Device, str]] = []
    for file in sorted((folder / "devices").glob("*.toml")):
        place = f"devices/{file.name}"
        try:
            tables = read_toml(file, place)
        except BadConfig as bad:
            mistakes.extend(bad.mistakes)
            continue
        for key in tables.keys() - {"area", "device"}:
            mistakes.add(place, key, "is not known here. Write [[area]] or [[device]]")
        for number, row in enumerate(_rows_of(tables, "area", place, mistakes), 1):
            try:
                areas.append((Area(**AreaRow.model_validate(row).model_dump()), place))
            except ValidationError as error:
                mistakes.extend(explain(error, place, _row_name("area", row, "code", number)))
        for number, row in enumerate(_rows_of(tables, "device", place, mistakes), 1):
            try:
                devices.append((Device(**DeviceRow.model_validate(row).model_dump()), place))
            except ValidationError as error:
                mistakes.extend(explain(error, place, _row_name("device", row, "id", number)))
    return areas, devices


def _rows_of(tables: Mapping[str, Any], key: str, place: str, mistakes: _Mistakes) -> list[Any]:
    rows = tables.get(key, [])
    if isinstance(rows, list):
        return rows
    mistakes.add(place, key, f"is not a list of tables. Write [[{key}]] above each")
    return []


def _check_areas(areas: list[tuple[Area, str]], mistakes: _Mistakes) -> None:
    seen: dict[str, str] = {}
    for area, place in areas:
        if area.code in seen:
            mistakes.add(place, f'area "{area.code}"', f"this code is used twice (also in {seen[area.code]})")
        seen[area.code] = place
    parents = {area.code: area.parent for area, _ in areas}
    for area, place in areas:
        if area.parent and area.parent not in parents:
            mistakes.add(place, f'area "{area.code}"', "parent", f'there is no area "{area.parent}"')
            continue
        above, steps = area.parent, 0
        while above and steps <= len(parents):
            above, steps = parents.get(above, ""), steps + 1
        if steps > len(parents):
            mistakes.add(
                place, f'area "{area.code}"', "parent", "the areas form a ring. One of them must have no parent"
            )


def _check_devices(
    devices: list[tuple[Device, str]],
    areas: set[str],
    drivers: Mapping[str, DriverSpec],
    mistakes: _Mistakes,
) -> dict[str, Nameplate]:
    ids: dict[str, str] = {}
    addresses: dict[str, str] = {}
    plates: dict[str, Nameplate] = {}
    for device, place in devices:
        name = f'device "{device.id}"'
        if device.id in ids:
            mistakes.add(place, name, f"this id is used twice (also in {ids[device.id]}). Every device needs its own")
        ids[device.id] = place
        if device.address in addresses:
            other = addresses[device.address]
            mistakes.add(place, name, "address", f'"{device.address}" is also the address of "{other}"')
        addresses[device.address] = device.id
        if device.area and device.area not in areas:
            mistakes.add(place, name, "area", f'there is no area "{device.area}".{_near(device.area, areas)}')
        spec = drivers.get(device.driver)
        if spec is None:
            known = ", ".join(drivers)
            mistakes.add(
                place, name, "address", f'no driver for "{device.address}". It must start with one of: {known}'
            )
            continue
        try:
            spec.check(device)
            plates[device.id] = spec.nameplate(device)
        except BadConfig as bad:
            mistakes.extend(f"{place} › {name} › {line}" for line in bad.mistakes)
    return plates


def explain(error: ValidationError, *place: str) -> list[str]:
    """One line for each mistake that pydantic found."""
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = "is not known here. Take it out, or check its spelling"
        elif item["type"] == "missing":
            what = "is missing"
        else:
            what = f"{what} (written: {_short(item['input'])})"
        lines.append(" › ".join((*place, *([where] if where else []), what)))
    return lines


def _row_name(what: str, row: Any, key: str, number: int) -> str:
    name = row.get(key) if isinstance(row, dict) else None
    return f'{what} "{name}"' if isinstance(name, str) else f"{what} number {number}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _near(name: str, known: Any) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f' Did you mean "{near[0]}"?'
    return f" Known: {', '.join(sorted(names)[:20])}" if names and re.match(r"^.{0,400}$", ", ".join(names)) else ""
