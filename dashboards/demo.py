"""The demo's desk: the faults of the simulated devices. Not there in a house with real ones."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards.desk import Faults, desk
from dashboards.packed import json
from dashboards.problems import Problem
from dashboards.shape import encode, plain
from hub.contract import BadConfig

LONGEST_S = 86_400.0


class Fault(BaseModel):
    """A fault of a simulated station, on or off, for how long."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"station": "ps-chengdong-1", "fault": "done_but_does_not_start", "on": True, "for_s": 120}]
        },
    )

    station: str = Field(min_length=1, max_length=100)
    fault: str = Field(min_length=1, max_length=100)
    on: bool = True
    for_s: float | None = Field(None, gt=0, le=LONGEST_S)


async def faults(request: Request) -> Response:
    """Every fault that every simulated station can have, and which are on."""
    try:
        return json(encode({"faults": plain(await _faults(request).faults())}))
    except BadConfig as gone:
        raise Problem("not_ready", {"why": str(gone)}) from None


async def set_fault(request: Request, it: Fault) -> Response:
    """Switch a fault on or off; `for_s` seconds, or until it is switched off."""
    there = _faults(request)
    try:
        await there.set(it.station, it.fault, it.on, it.for_s)
        return json(encode({"faults": plain(await there.faults())}))
    except LookupError as error:
        raise Problem("unknown_fault", {"name": f"{it.station} {it.fault}", "why": str(error)}) from None
    except BadConfig as gone:
        raise Problem("not_ready", {"why": str(gone)}) from None


def _faults(request: Request) -> Faults:
    demo = desk(request).demo
    if demo is None:
        raise Problem("no_demo")
    return demo.desk
