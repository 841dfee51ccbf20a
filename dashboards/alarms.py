"""Alarms: those that stand, their life, acknowledging, remarking on and shelving them. Each names one occurrence."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import caller, desk, device, need, occurrence, seen_devices, standing, view
from dashboards.notices import notice
from dashboards.origin import origin
from dashboards.packed import json
from dashboards.problems import Problem
from dashboards.shape import encode
from hub.annunciator import MAX_SHELVED_S, NotLive
from hub.model import Alarm, AlarmState, Severity
from hub.notices.notifier import KIND
from hub.rights import Right

PAGE = 100
MAX_PAGE = 1_000
MAX_AT_ONCE = 100  # alarms acknowledged by one request
ONE_BY_ONE = (Severity.URGENT, Severity.HIGH)  # each of these is looked at by somebody
_UNSEEN = (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED)

AlarmId = Annotated[str, Path(max_length=64)]


class Among(StrEnum):
    """Whether those that call nobody, because they are shelved, or suppressed, are among them."""

    NO = "no"
    ALSO = "also"
    ONLY = "only"


class Which(BaseModel):
    """Of the standing alarms."""

    model_config = ConfigDict(extra="forbid")

    severity: int | None = Field(None, ge=1, le=4)
    state: AlarmState | None = None
    device: str = ""
    area: str = ""
    shelved: Among = Among.NO
    suppressed: Among = Among.NO


class Page(BaseModel):
    """Whose changes, and from where on."""

    model_config = ConfigDict(extra="forbid")

    device: str = ""
    before: int | None = Field(None, ge=0)
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)


class Seen(BaseModel):
    """A remark for those who come after."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "pump 2 is being cleaned"}]})

    note: str = Field("", max_length=500)


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Remark(BaseModel):
    """What the next shift must know."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "the electrician comes at 7"}]})

    note: Words


class Aside(BaseModel):
    """For how long an alarm calls nobody, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"minutes": 60, "note": "the float switch is being changed"}]}
    )

    minutes: int = Field(ge=1, le=MAX_SHELVED_S // 60)
    note: Words


class AllSeen(Seen):
    """The occurrences that were on the screen."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": ["9f3a51c0"], "note": ""}]})

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=MAX_AT_ONCE)


async def alarms(request: Request, which: Annotated[Which, Query()]) -> Response:
    """The alarms that stand: unacknowledged first, then by severity, then the newest. `counts`: all, by severity.

    Those that are shelved, or suppressed because another one explains them, call nobody and are not counted;
    `shelved=also` (`suppressed=also`) lists them as well, `only` nothing else. One that is shelved may be over: its
    `state` is `normal`.
    """
    it, seen = desk(request), view(request)
    stand = standing(request)
    codes = it.house.sight.below(which.area) if which.area else None
    members = seen.members
    found = [
        alarm
        for alarm in stand
        if _wanted(alarm, which)
        and (which.severity is None or alarm.severity == which.severity)
        and (which.state is None or alarm.state is which.state)
        and (not which.device or alarm.device == which.device)
        and (codes is None or (alarm.device in members and members[alarm.device].device.area in codes))
    ]
    counts = [sum(alarm.severity == one and alarm.calls for alarm in stand) for one in Severity]
    told = [shape.alarm(alarm) for alarm in sorted(found, key=_order)]
    return json(encode({"alarms": told, "counts": counts}))


async def alarm(request: Request, alarm_id: AlarmId) -> Response:
    """One occurrence: how it stands (null when it is over), its life, and who was told of it, oldest first."""
    ledger = desk(request).house.ledger
    changes = await ledger.alarm_changes(alarm_id)
    if not changes or not view(request).sees(changes[0].device):
        raise Problem("unknown_alarm", {"name": alarm_id})
    live = occurrence(request, alarm_id)
    told = [notice(it) for it in await ledger.about(KIND, [alarm_id])]
    life = [shape.alarm_change(it) for it in changes]
    return json(encode({"alarm": shape.alarm(live) if live else None, "changes": life, "notices": told}))


async def history(request: Request, page: Annotated[Page, Query()]) -> Response:
    """Every change of every alarm, newest first. `next` is what to give as `before` for the next page."""
    if page.device:
        device(request, page.device)
    ledger, seen = desk(request).house.ledger, seen_devices(request)
    found = await ledger.alarm_history(page.device or None, page.limit + 1, page.before, seen)
    told = [{"number": number, **shape.alarm_change(it)} for number, it in found[: page.limit]]
    more = len(found) > page.limit
    return json(encode({"changes": told, "next": told[-1]["number"] if more else None}))


async def acknowledge(request: Request, alarm_id: AlarmId, it: Seen) -> Response:
    """Somebody has seen this occurrence. 409 when it is over or has been raised anew: nothing is acknowledged then."""
    _mine(request, alarm_id)
    after = await desk(request).house.acknowledge(alarm_id, caller(request).name, it.note.strip(), origin(request))
    return json(encode(shape.alarm(after)))


async def remark(request: Request, alarm_id: AlarmId, it: Remark) -> Response:
    """Write something into an alarm's life. It changes nothing else. 409 when the occurrence is over."""
    _mine(request, alarm_id)
    after = await desk(request).house.remark(alarm_id, caller(request).name, it.note, origin(request))
    return json(encode(shape.alarm(after)))


async def shelve(request: Request, alarm_id: AlarmId, it: Aside) -> Response:
    """Put the alarm aside: it calls nobody for so many minutes, a day at most, and returns by itself.

    This holds for its rule on its device: also when it is over and comes again. Shelving it again sets a new end.
    409 when the occurrence is over.
    """
    _mine(request, alarm_id)
    house = desk(request).house
    until = house.clock.now() + timedelta(minutes=it.minutes)
    after = await house.shelve(alarm_id, until, caller(request).name, it.note, origin(request))
    return json(encode(shape.alarm(after)))


async def unshelve(request: Request, alarm_id: AlarmId, it: Seen) -> Response:
    """End a shelving before its time. What still stands is unacknowledged then, though somebody had seen it."""
    _mine(request, alarm_id)
    after = await desk(request).house.unshelve(alarm_id, caller(request).name, it.note.strip(), origin(request))
    return json(encode(shape.alarm(after)))


async def acknowledge_all(request: Request, it: AllSeen) -> Response:
    """Acknowledge many at once, of severity 3 and 4 only: urgent and high ones are each looked at.

    `acknowledged` are done; `not_live` were over already; `one_by_one` are too severe and were left as they are; of
    `not_yours` somebody else is in charge.
    """
    house, who = desk(request).house, caller(request)
    told: dict[str, list[Any]] = {"acknowledged": [], "not_live": [], "one_by_one": [], "not_yours": []}
    for id in dict.fromkeys(it.ids):
        live = occurrence(request, id)
        if live is None:
            told["not_live"].append(id)
            continue
        if not who.may_with(Right.ACKNOWLEDGE, device(request, live.device)):
            told["not_yours"].append(id)
            continue
        if live.severity in ONE_BY_ONE:
            told["one_by_one"].append(id)
            continue
        try:
            after = await house.acknowledge(id, who.name, it.note.strip(), origin(request))
        except NotLive:
            told["not_live"].append(id)
        else:
            told["acknowledged"].append(shape.alarm(after))
    return json(encode(told))


def _mine(request: Request, alarm_id: str) -> None:
    """That this occurrence stands, and the caller may answer for it. Raises NotLive, Problem."""
    live = occurrence(request, alarm_id)
    if live is None:
        raise NotLive(alarm_id)
    need(request, Right.ACKNOWLEDGE, device(request, live.device))


def _wanted(it: Alarm, which: Which) -> bool:
    """By whether it is put aside. `only` the shelved ones are all of them, suppressed or not; and vice versa."""
    asked = ((which.shelved, it.shelved is not None), (which.suppressed, it.suppressed is not None))
    if any(among is Among.ONLY for among, _ in asked):
        return all(aside for among, aside in asked if among is Among.ONLY)
    return all(among is Among.ALSO or not aside for among, aside in asked)


def _order(it: Alarm) -> tuple[bool, int, float]:
    return it.state not in _UNSEEN, it.severity, -it.raised_at.timestamp()
