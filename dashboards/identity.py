"""The secret by which a device's terminal proves who it is: made, told once, changed with an overlap, ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards.caller import where_from
from dashboards.desk import caller, desk, device, need
from dashboards.devices import DeviceId
from dashboards.packed import json
from dashboards.problems import Problem
from dashboards.shape import encode
from hub.identity import LONGEST_OVERLAP_DAYS
from hub.rights import Right


class Renewal(BaseModel):
    """For how many days what counted until now counts too; 0: it ends at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_days": 7}]})

    overlap_days: int = Field(7, ge=0, le=LONGEST_OVERLAP_DAYS)


class Ending(BaseModel):
    """Which secrets count no longer: the old ones, or all, and the terminal's name is enough again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"what": "old"}]})

    what: Literal["old", "all"]


async def secrets(request: Request, device_id: DeviceId) -> Response:
    """Whose word is taken for this device: its terminal, the devices behind it, and its secrets that count now.

    `speaker` is "" when the house connects to the device, and nothing dials in that could pretend.
    """
    speaker, ids = _speaker(request, device_id)
    return json(encode(_told(request, speaker, ids)))


async def renew(request: Request, device_id: DeviceId, it: Renewal) -> Response:
    """A new secret, told in this answer only: `text` is what the terminal says when it dials in."""
    speaker, ids = _dialling(request, device_id)
    identity, by = desk(request).house.identity, caller(request).name
    secret = await identity.renew(speaker, timedelta(days=it.overlap_days), by, where_from(request.scope))
    text = f"{speaker.partition(':')[2]}:{secret}"
    return json(encode({"text": text, **_told(request, speaker, ids)}), 201)


async def end(request: Request, device_id: DeviceId, it: Ending) -> Response:
    """End secrets that count now. Who is connected by one of them is hung up on within seconds."""
    speaker, ids = _dialling(request, device_id)
    identity = desk(request).house.identity
    over = identity.end_old if it.what == "old" else identity.end_all
    await over(speaker, caller(request).name, where_from(request.scope))
    return json(encode(_told(request, speaker, ids)))


def _dialling(request: Request, device_id: str) -> tuple[str, list[str]]:
    speaker, ids = _speaker(request, device_id)
    if not speaker:
        raise Problem("dials_nowhere", {"name": device_id})
    return speaker, ids


def _speaker(request: Request, device_id: str) -> tuple[str, list[str]]:
    """Who speaks for it, and the devices that it speaks for: all of them must be the caller's. Raises Problem."""
    it = device(request, device_id)
    need(request, Right.COMMISSION, it)
    speaker, others = desk(request).house.speaker(it)
    for other in others:
        need(request, Right.COMMISSION, other)
    return speaker, [other.id for other in others]


def _told(request: Request, speaker: str, ids: list[str]) -> dict[str, object]:
    keys = desk(request).house.identity.standing(speaker) if speaker else []
    return {"speaker": speaker, "devices": ids, "secrets": [structs.asdict(it) for it in keys]}
