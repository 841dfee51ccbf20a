"""Devices that come, change and go by hand: who waits to be adopted, adopting, replacing, taking out of service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.caller import where_from
from dashboards.desk import caller, desk, device, need
from dashboards.devices import DeviceId
from dashboards.packed import json, ready
from dashboards.problems import Problem
from dashboards.shape import encode
from hub import self_watch
from hub.adoption import OfAFile
from hub.contract import BadConfig
from hub.model import Device
from hub.rights import Right

FIELDS = ("id", "name", "kind", "address", "profile", "area", "settings")
_NEW: dict[str, Any] = {
    "id": "ps-xinhe-2",
    "name": "新河二号泵站",
    "kind": "pump_station",
    "address": "modbus+dtu:860123456789012/1",
    "profile": "ps-2026",
    "area": "341203100000",
    "settings": {"pumps": 2},
}


class NewDevice(BaseModel):
    """A device as a row of devices/*.toml has it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_NEW]})

    id: str = Field(max_length=64)
    name: str = Field(max_length=100)
    kind: str = Field(max_length=40)
    address: str = Field(max_length=200)
    profile: str = Field("", max_length=100)
    area: str = Field("", max_length=12)
    settings: dict[str, Any] = Field(default_factory=dict, max_length=50)


class OtherDevice(BaseModel):
    """What is to be different: a new controller has another address or profile. The id, and all history, stay."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"address": "modbus+tcp://192.168.1.11:502/1"}]}
    )

    name: str | None = Field(None, max_length=100)
    kind: str | None = Field(None, max_length=40)
    address: str | None = Field(None, max_length=200)
    profile: str | None = Field(None, max_length=100)
    area: str | None = Field(None, max_length=12)
    settings: dict[str, Any] | None = Field(None, max_length=50)


class Farewell(BaseModel):
    """The device's name, written once more, and why it goes."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"confirm": "城东一号泵站", "because": "taken down"}]}
    )

    confirm: str = Field("", max_length=200)
    because: str = Field("", max_length=500)


Try = Annotated[bool, Query(description="only say what it would be, and what is wrong")]


async def pending(request: Request) -> Response:
    """Who dialled in and is no device of the house, the latest first. Nothing is taken from them."""
    told = [
        {
            "address": it.address,
            "peer": it.peer,
            "first": it.first,
            "last": it.last,
            "times": it.times,
            "raw": it.raw.hex(" "),
        }
        for it in desk(request).house.reception.pending.all()
    ]
    return json(encode({"pending": told}))


async def check(request: Request, it: NewDevice) -> Response:
    """What adopting this would make, and what is wrong with it; nothing is changed. 422 names every mistake."""
    made = _checked(request, it.model_dump(), "")
    need(request, Right.COMMISSION, made)
    return json(encode(shape.device(made)))


async def adopt(request: Request, it: NewDevice) -> Response:
    """Take a device in; it is polled, watched by the rules and shown at once. 422 names every mistake."""
    made = _checked(request, it.model_dump(), "")
    need(request, Right.COMMISSION, made)
    await _put(request, made, "")
    return json(encode(shape.device(made)), 201)


async def row(request: Request, device_id: DeviceId) -> Response:
    """A device as a row of devices/*.toml has it, for who commissions; `file` is the one it stands in, "": by hand."""
    it = device(request, device_id)
    need(request, Right.COMMISSION, it)
    file = "hub.toml" if it.driver == self_watch.DRIVER else desk(request).house.site.files.get(it.id, "")
    return json(encode({name: getattr(it, name) for name in FIELDS} | {"file": file}))


async def replace(request: Request, device_id: DeviceId, it: OtherDevice, dry_run: Try = False) -> Response:
    """Another controller, name or place for a device: its id, history, alarms and ledger stay.

    409 `of_a_file` when it stands in a file of the site: it is changed there.
    """
    before = device(request, device_id)
    need(request, Right.COMMISSION, before)
    row = {name: getattr(before, name) for name in FIELDS} | it.model_dump(exclude_none=True)
    made = _checked(request, row, before.id)
    need(request, Right.COMMISSION, made)
    if not dry_run:
        await _put(request, made, before.id)
    return json(encode(shape.device(made)))


async def retire(request: Request, device_id: DeviceId, it: Farewell) -> Response:
    """Take a device out of service: no polls, alarms or commands any more; its history stays.

    `confirm` is its name. An id that was retired comes back only as itself, with its own history.
    """
    gone = device(request, device_id)
    need(request, Right.COMMISSION, gone)
    if it.confirm.strip() != gone.name:
        raise Problem("wrong_confirmation", {"wanted": gone.name})
    house, who = desk(request).house, caller(request)
    try:
        await house.retire_device(gone.id, who.name, where_from(request.scope) | {"because": it.because.strip()})
    except OfAFile as of:
        raise Problem("of_a_file", {"name": gone.id, "file": of.file}) from None
    return ready(b"", [], 204)


def _checked(request: Request, row: Mapping[str, Any], instead_of: str) -> Device:
    try:
        return desk(request).house.adoption.check(row, instead_of)[0]
    except BadConfig as bad:
        raise _mistaken(bad) from None


def _mistaken(bad: BadConfig) -> Problem:
    mistakes = [{"where": _where(line), "what": line, "rule": "device"} for line in bad.mistakes]
    return Problem("invalid", {"count": len(mistakes)}, mistakes=mistakes)


def _where(line: str) -> str:
    """The field that a mistake is about: its line names it after the device."""
    parts = line.split(" › ")
    return next((f"body.{it}" for it in parts[2:3] if it.partition(".")[0] in FIELDS), "body")


async def _put(request: Request, made: Device, instead_of: str) -> None:
    who = caller(request)
    try:
        await desk(request).house.put_device(made, instead_of, who.name, where_from(request.scope))
    except BadConfig as bad:
        raise _mistaken(bad) from None
    except OfAFile as of:
        raise Problem("of_a_file", {"name": made.id, "file": of.file}) from None
