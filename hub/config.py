"""Reads the site folder, checks everything, reports every mistake at once.

    hub.toml            [site] [http] [log] [ledger] [history] [security] [openid] [drivers.NAME] [families] [armed]
    devices/*.toml      [[area]] and [[device]]
    profiles/*.toml     makes and models of this site (read by the drivers)
    rules/*.toml        rules of this site (read by rules/load.py)
    notify.toml         who is told of alarms (read by hub/notices/file.py)
    data/               what the hub writes

A mistake is one line: file › place › what is wrong. What to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from pydantic import Field, ValidationError, field_validator

from hub import certificate, self_watch
from hub.clock import SystemClock
from hub.config_tables import HUB_WRITE, HttpTable, HubFile, OpenIdTable, SecurityTable, Strict
from hub.config_words import explain
from hub.contract import BadConfig, DriverSpec
from hub.mistakes import Mistakes, near, read_toml
from hub.model import Area, Device, Nameplate

ID_FORM = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_AREA_WRITE = {
    "code": 'the 12 digits of the administrative division: code = "340299100000"',
    "name": 'a name of 1 to 100 letters: name = "城关镇"',
    "parent": 'the code of the area above it: parent = "340299000000"',
}
_DEVICE_WRITE = {
    "id": 'small letters, digits, ".", "_" and "-", 64 at most: id = "ps-east-gate"',
    "name": 'a name of 1 to 100 letters: name = "东门泵站"',
    "kind": 'what it is: kind = "pump_station"',
    "address": 'how it is reached: address = "modbus+tcp://192.168.1.10:502/1"',
    "profile": 'the name of its register table: profile = "ps-2026"',
    "area": 'the code of an area: area = "340299100000"',
    "settings": "what its profile wants to know: settings = { pumps = 3 }",
}


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
    settings: dict[str, Any] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _is_not_ours(cls, id: str) -> str:
        if id == self_watch.ID:
            raise ValueError("is the hub's own name: it is a device itself. Write another id")
        return id


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


__all__ = [
    "HttpTable",
    "HubFile",
    "OpenIdTable",
    "SecurityTable",
    "Site",
    "Strict",
    "check_device",
    "hub_file",
    "read_site",
]

It = TypeVar("It", Area, Device)


class _Row(Struct, Generic[It]):
    """An area or a device as far as it can be read: the `wrong` fields are left empty, so that the rest is checked."""

    it: It
    place: str
    name: str  # 'device "ps-1"'
    wrong: frozenset[str]
    said: Mistakes


def read_site(
    folder: Path,
    drivers: Mapping[str, DriverSpec],
    kinds: Collection[str] | None = None,
    now: datetime | None = None,
) -> Site:
    """The site in `folder`. Raises BadConfig with every mistake of every file. `now`: certificates must be valid then.

    `kinds`: the device kinds that rules are for; a device must be of one of those, or of one that a profile names.
    Without them kinds are not looked at.
    """
    if not folder.is_dir():
        raise BadConfig(f"{folder} › is not a folder. Make a site with: fieldhub init {folder}")
    mistakes = Mistakes()
    hub = _hub_file(folder, mistakes)
    _check_http(hub.http, folder, now or SystemClock().now(), mistakes)
    options = _options(hub, folder, drivers, mistakes)
    areas, devices = _rows(folder, mistakes)
    _check_areas(areas)
    known_kinds = None if kinds is None else {*kinds, *(kind for spec in drivers.values() for kind in spec.kinds())}
    plates = _check_devices(devices, {row.it.code for row in areas}, drivers, known_kinds)
    _check_together(devices, drivers, options)
    mistakes.extend(what for row in areas for what in row.said)
    mistakes.extend(what for row in devices for what in row.said)
    known = {row.it.id for row in devices}
    for rule, where in hub.armed.items():
        for device in where:
            if device not in known:
                mistakes.add("hub.toml", "armed", f'"{rule}"', f'there is no device "{device}".{near(device, known)}')
    if mistakes:
        raise BadConfig(*mistakes)
    return Site(
        folder,
        hub,
        options,
        tuple(row.it for row in areas),
        tuple(row.it for row in devices),
        plates,
        {row.it.code: row.place for row in areas} | {row.it.id: row.place for row in devices},
    )


def hub_file(folder: Path) -> HubFile:
    """hub.toml as far as it can be read: for an errand that shall not fail by a mistake it has nothing to do with."""
    return _hub_file(folder, Mistakes())


def _hub_file(folder: Path, mistakes: Mistakes) -> HubFile:
    """hub.toml; of one with mistakes the tables that have none, so that what refers to them is checked all the same."""
    try:
        tables = read_toml(folder / "hub.toml", "hub.toml")
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
        return HubFile()
    try:
        return HubFile.model_validate(tables)
    except ValidationError as error:
        mistakes.extend(explain(error, "hub.toml", write=HUB_WRITE))
        wrong = {item["loc"][0] for item in error.errors()}
        return HubFile.model_validate({key: table for key, table in tables.items() if key not in wrong})


def _check_http(http: HttpTable, folder: Path, now: datetime, mistakes: Mistakes) -> None:
    """Passwords go over no network in the clear, unless somebody has said that TLS is spoken in front."""
    if bool(http.cert) != bool(http.key):
        mistakes.add("hub.toml", "http", "has one of cert and key. Write both, as `fieldhub cert` says them")
    elif http.cert:
        for what in certificate.check(folder / http.cert, folder / http.key, now):
            mistakes.add("hub.toml", "http", "cert", what)
    elif not http.loopback and not http.plain:
        mistakes.add(
            "hub.toml",
            "http",
            f'host "{http.host}" would send passwords over the network in the clear. Make a certificate '
            f"(fieldhub cert {folder} --name …), or write plain = true where a proxy in front speaks TLS",
        )


def _options(hub: HubFile, folder: Path, drivers: Mapping[str, DriverSpec], mistakes: Mistakes) -> Mapping[str, Any]:
    for name in hub.drivers:
        if name not in drivers:
            mistakes.add("hub.toml", f"drivers.{name}", f"there is no such driver.{near(name, drivers)}")
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


# ---- areas and devices --------------------------------------------------------------------------------------------


def _rows(folder: Path, mistakes: Mistakes) -> tuple[list[_Row[Area]], list[_Row[Device]]]:
    """Every row, also those with mistakes; `mistakes` gets those of whole files."""
    areas: list[_Row[Area]] = []
    devices: list[_Row[Device]] = []
    for file in sorted((folder / "devices").glob("*.toml")):
        place = f"devices/{file.name}"
        try:
            tables = read_toml(file, place)
        except BadConfig as bad:
            mistakes.extend(bad.mistakes)
            continue
        for key in sorted(tables.keys() - {"area", "device"}):
            mistakes.add(place, key, "is not known here. Write [[area]] or [[device]]")
        for number, row in enumerate(_rows_of(tables, "area", place, mistakes), 1):
            areas.append(_row(Area, AreaRow, row, place, _row_name("area", row, "code", number), _AREA_WRITE))
        for number, row in enumerate(_rows_of(tables, "device", place, mistakes), 1):
            devices.append(_row(Device, DeviceRow, row, place, _row_name("device", row, "id", number), _DEVICE_WRITE))
    return areas, devices


def _rows_of(tables: Mapping[str, Any], key: str, place: str, mistakes: Mistakes) -> list[Any]:
    rows = tables.get(key, [])
    if isinstance(rows, list):
        return rows
    mistakes.add(place, key, f"is not a list of tables. Write [[{key}]] above each")
    return []


def _row(noun: type[It], model: type[Strict], row: Any, place: str, name: str, write: Mapping[str, str]) -> _Row[It]:
    try:
        return _Row(noun(**model.model_validate(row).model_dump()), place, name, frozenset(), Mistakes())
    except ValidationError as error:
        said = Mistakes(explain(error, place, name, write=write))
        tops = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    fields = noun.__struct_fields__
    wrong = frozenset(tops & set(fields) if isinstance(row, dict) else fields)
    # A mapping for settings and "" for the rest is what each field is when it is left out.
    made: dict[str, Any] = {key: {} if key == "settings" else "" for key in fields}
    made |= {key: row[key] for key in fields if key not in wrong and key in row}
    return _Row(noun(**made), place, name, wrong, said)


def _row_name(what: str, row: Any, key: str, number: int) -> str:
    name = row.get(key) if isinstance(row, dict) else None
    return f'{what} "{name}"' if isinstance(name, str) else f"{what} number {number}"


def _check_areas(areas: list[_Row[Area]]) -> None:
    seen: dict[str, str] = {}
    for row in areas:
        if "code" in row.wrong:
            continue
        if row.it.code in seen:
            row.said.add(row.place, row.name, f"this code is used twice (also in {seen[row.it.code]})")
        seen[row.it.code] = row.place
    parents = {row.it.code: row.it.parent for row in areas}
    for row in areas:
        if row.it.parent and row.it.parent not in parents:
            what = f'there is no area "{row.it.parent}".{near(row.it.parent, parents)}'
            row.said.add(row.place, row.name, "parent", what)
            continue
        above, steps = row.it.parent, 0
        while above and steps <= len(parents):
            above, steps = parents.get(above, ""), steps + 1
        if steps > len(parents):
            row.said.add(row.place, row.name, "parent", "the areas form a ring. One of them must have no parent")


def _check_devices(
    rows: list[_Row[Device]], areas: set[str], drivers: Mapping[str, DriverSpec], kinds: set[str] | None
) -> dict[str, Nameplate]:
    """What can be checked of each row, whatever else is wrong with it; the nameplates of those that have one."""
    ids: dict[str, str] = {}
    addresses: dict[str, str] = {}
    plates: dict[str, Nameplate] = {}
    for row in rows:
        it, place, name = row.it, row.place, row.name
        if it.id and it.id in ids:
            row.said.add(place, name, f"this id is used twice (also in {ids[it.id]}). Every device needs its own")
        ids[it.id] = place
        if it.address and it.address in addresses:
            row.said.add(place, name, "address", f'"{it.address}" is also the address of "{addresses[it.address]}"')
        addresses[it.address] = it.id or name
        if it.area and it.area not in areas:
            row.said.add(place, name, "area", f'there is no area "{it.area}".{near(it.area, areas)}')
        if kinds and it.kind and it.kind not in kinds:
            row.said.add(place, name, "kind", _no_kind(it.kind, kinds))
        for what in _with_driver(row, drivers, plates):
            row.said.add(place, name, what)
    return plates


def _no_kind(kind: str, kinds: set[str]) -> str:
    hint = near(kind, kinds)
    hint = hint if hint.startswith(" Did") else ""
    return f'there is no "{kind}".{hint} Kinds: {", ".join(sorted(kinds))}, or one that a profile or a rule names'


def _with_driver(row: _Row[Device], drivers: Mapping[str, DriverSpec], plates: dict[str, Nameplate]) -> Iterator[str]:
    """Each of address and profile is checked also when the other is wrong."""
    spec = drivers.get(row.it.driver)
    if spec is None and "address" not in row.wrong:
        like = [like for it in drivers.values() for like in (it.addresses or (f"{it.name}:…",))]
        yield f'address › no driver for "{row.it.address}". Write it like: {" or ".join(like)}'
    if spec is None and len(drivers) == 1:
        (spec,) = drivers.values()  # whose else should the profile be?
    if spec is None:
        return
    if "address" not in row.wrong and row.it.driver in drivers:
        yield from _mistakes_of(lambda: spec.check(row.it))
    if not row.wrong & {"profile", "settings"}:
        yield from _mistakes_of(lambda: plates.update({row.it.id: spec.nameplate(row.it)}))


def _mistakes_of(check: Callable[[], None]) -> Iterable[str]:
    try:
        check()
    except BadConfig as bad:
        return bad.mistakes
    return ()


def _check_together(rows: list[_Row[Device]], drivers: Mapping[str, DriverSpec], options: Mapping[str, Any]) -> None:
    """What no device shows alone: two that want the same line otherwise, a port that the options do not open."""
    for name, spec in drivers.items():
        if name not in options:
            continue
        mine = {id(row.it): row for row in rows if row.it.driver == name}
        for device, what in spec.together([row.it for row in mine.values()], options[name]):
            row = mine[id(device)]
            row.said.add(row.place, row.name, what)


def check_device(
    row: Mapping[str, Any],
    others: Sequence[Device],
    areas: Collection[str],
    drivers: Mapping[str, DriverSpec],
    options: Mapping[str, Any],
) -> tuple[Device, Nameplate]:
    """One device that comes while the house runs, checked as a row of a file. Raises BadConfig with every mistake.

    `others`: the devices that are there, each known to be right by itself.
    """
    new = _row(Device, DeviceRow, dict(row), "registry", _row_name("device", row, "id", 1), _DEVICE_WRITE)
    plates = _check_devices([new], set(areas), drivers, None)
    for it in others:
        if it.id == new.it.id:
            new.said.add(new.place, new.name, "id", "this id is used already. Every device needs its own")
        if new.it.address and it.address == new.it.address:
            new.said.add(new.place, new.name, "address", f'"{it.address}" is also the address of "{it.id}"')
    if not new.said:
        like = [_Row(it, "", "", frozenset(), Mistakes()) for it in others if it.driver == new.it.driver]
        _check_together([*like, new], drivers, options)
        for row_of_another in like:
            new.said.extend(f"{new.place} › {new.name} › {what.lstrip(' ›')}" for what in row_of_another.said)
    if new.said:
        raise BadConfig(*new.said)
    return new.it, plates[new.it.id]
