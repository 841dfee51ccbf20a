"""How good the alarms are, over some days (hub/alarm_kpis.py), cut to what one may see."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, seen_devices, standing
from dashboards.packed import json
from dashboards.shape import encode
from hub import alarm_kpis

MOST_DAYS = 92
MOST_OPERATORS = 50


class Asked(BaseModel):
    """Over how many days until now, and for how many operators at once."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(7, ge=1, le=MOST_DAYS)
    operators: int = Field(1, ge=1, le=MOST_OPERATORS)


async def kpis(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    """Alarms for each operator and ten minutes, floods, bad actors, answers, and what has stood for too long.

    An occurrence is one alarm, however often it came back within it. `cut`: there were more changes than are looked at,
    and the oldest were left out. Goals are ISA-18.2's: one alarm for an operator in ten minutes, more than ten of them
    in less than a hundredth of the periods.
    """
    house = desk(request).house
    end = house.clock.now()
    start = end - timedelta(days=asked.days)
    changes, cut = await house.ledger.alarms_between(start, end, seen_devices(request))
    found = await asyncio.to_thread(alarm_kpis.kpis, changes, standing(request), start, end, asked.operators)
    told = shape.plain(found) | {
        "cut": cut,
        "days": [{"from": at, "alarms": count} for at, count in found.days],
        "good": alarm_kpis.GOOD_RATE,
        "most": alarm_kpis.MOST_RATE,
        "flood": alarm_kpis.FLOOD,
    }
    return json(encode(told))
