"""Who was told of alarms and what became of it, who is on duty now, how the channels do, and a trial of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import caller, desk, device, seen_devices
from dashboards.origin import origin
from dashboards.packed import json
from dashboards.problems import Problem
from dashboards.shape import encode
from hub.ledger.entries import Entry
from hub.notices.notifier import KIND, Notifier, Unknown

PAGE = 100
MAX_PAGE = 1_000


class Page(BaseModel):
    """Whose, and from where on."""

    model_config = ConfigDict(extra="forbid")

    device: str = ""
    before: int | None = Field(None, ge=0, le=2**62)
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)


class Trial(BaseModel):
    """Which channel, and of one for people whom on it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"channel": "sms", "person": "li.na"}]})

    channel: str = Field(min_length=1, max_length=60)
    person: str = Field("", max_length=64)


async def notices(request: Request, page: Annotated[Page, Query()]) -> Response:
    """What became of telling people of alarms, newest first, and how things stand: channels, routes, who is on duty.

    `outcome`: sent (the channel took it), failed (after every try), quiet (put off by somebody's quiet time), nobody
    (the step meant no one who can be reached), dropped (too much waited). `step` counts from 0; `about` is calls,
    unanswered, ended or trial. `failing`: why a channel did not take the last message, "" when it did.
    """
    if page.device:
        device(request, page.device)
    house, seen = desk(request).house, seen_devices(request)
    found = await house.ledger.entries(KIND, page.limit + 1, page.before, page.device or None, seen)
    told = [{"number": it.seq, **notice(it)} for it in found[: page.limit]]
    more = len(found) > page.limit
    return json(encode({**_now(house.notifier), "notices": told, "next": told[-1]["number"] if more else None}))


async def try_out(request: Request, it: Trial) -> Response:
    """Send a message that says that it is a trial. `failing`: why the channel did not take it; "" when it did."""
    house = desk(request).house
    try:
        why = await house.notifier.try_out(it.channel, it.person, caller(request).name, origin(request))
    except Unknown as unknown:
        raise Problem("unknown_receiver", {"name": str(unknown)}) from None
    return json(encode({"channel": it.channel, "person": it.person, "failing": why}))


def notice(it: Entry) -> dict[str, Any]:
    """One outcome, as its entry has it."""
    says = it.says
    return {
        "at": it.at,
        "alarm": it.subject,
        "device": it.device,
        **{key: says.get(key, "") for key in ("about", "outcome", "rule", "route", "person", "channel", "why")},
        "say": shape.title(says.get("say", {})),
        "step": says.get("step", 0),
        "tries": says.get("tries", 1),
        "by": it.by,
    }


def _now(it: Notifier) -> dict[str, Any]:
    plan, now = it.plan, it.now()
    people: dict[str, list[str]] = {name: [] for name in plan.channels}
    for contact in plan.contacts.values():
        for channel in contact.by:
            people[channel].append(contact.person)
    return {
        "channels": [
            {
                "name": name,
                "people": sorted(people[name]),
                "sent": state.sent,
                "failed": state.failed,
                "sent_at": state.sent_at,
                "failing": state.why,
            }
            for name, state in it.postbox.channels.items()
        ],
        "duty": [{"shift": name, "people": plan.on_duty(name, now)} for name in plan.shifts],
        "routes": [
            {"name": route.name, "steps": [{"after_s": step.after_s, "tell": _whom(step.tell)} for step in route.steps]}
            for route in plan.routes
        ],
        "waiting": it.postbox.waiting,
    }


def _whom(tell: Any) -> list[str]:
    return [f"{whom.value}:{name}" for whom, name in tell]
