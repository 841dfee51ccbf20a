"""Commands: prepare -> confirm -> follow. What becomes of one is told by its receipts, not by an HTTP status alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import caller, desk, device, need, seen_devices, view
from dashboards.origin import origin
from dashboards.packed import json
from dashboards.problems import Problem, unknown
from dashboards.shape import encode
from hub.guard import Check
from hub.guard import Request as Ask
from hub.model import CommandRecord, Stage
from hub.rights import Right

PAGE = 50
MAX_PAGE = 500
MAX_ARGS = 20

Value = float | int | bool | str
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=100, description="the same key is the same command")]
CommandId = Annotated[str, Path(max_length=64)]


class Wish(BaseModel):
    """A device, what it is to do, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"device": "ps-chengdong-1", "action": "pump1.start", "args": {}}]},
    )

    device: str = Field(min_length=1, max_length=100)
    action: str = Field(min_length=1, max_length=100)
    args: dict[str, Value] = Field(default_factory=dict, max_length=MAX_ARGS)


class Order(Wish):
    """A wish, why, and, where `prepare` asks for it, the word that confirms it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "device": "ps-chengdong-1",
                    "action": "pump1.start",
                    "args": {},
                    "because": "level is rising",
                    "confirm": "城东一号泵站",
                }
            ]
        },
    )

    because: str = Field("", max_length=500)
    confirm: str = Field("", max_length=200)


class Page(BaseModel):
    """Whose commands, and from where on."""

    model_config = ConfigDict(extra="forbid")

    device: str = ""
    before: int | None = Field(None, ge=0)
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)


async def prepare(request: Request, it: Wish) -> Response:
    """What the command would do, and whether it may go now. Nothing is sent.

    `confirm` is what a person must type ("" when the action harms nobody), `checks` are the interlocks, each judged now
    (`holds` null: cannot be judged), `refusal` is why it would be refused.
    """
    ask = _ask(request, it)
    words = desk(request).house.words
    prepared = await desk(request).house.prepare(ask)
    told = {
        "device": shape.device(prepared.device),
        "action": shape.action(prepared.action),
        "args": prepared.args,
        "confirm": prepared.confirm,
        "checks": [_check(request, check) for check in prepared.checks],
        "refusal": shape.sentence(words, prepared.refusal),
    }
    return json(encode(told))


async def give(request: Request, it: Order, key: Key = "") -> Response:
    """Give a command. 202: it is written down and on its way; follow it at Location or on the stream (`c:ID`).

    It is done only when its stage is `confirmed`: a reading has shown it. 409 with `command` when the house refused it;
    409 when the confirmation does not match (nothing is written then). With an Idempotency-Key, asking again is safe.
    """
    ask = _ask(request, it, because=it.because.strip(), key=key)
    house = desk(request).house
    prepared = await house.prepare(ask)
    if prepared.confirm and it.confirm.strip() != prepared.confirm:
        raise Problem("wrong_confirmation", {"wanted": prepared.confirm})
    record = await house.request(ask)
    command = record.command
    if (command.device, command.action, dict(command.args)) != (ask.device, ask.action, dict(prepared.args)):
        raise Problem("key_is_taken", {"command": command.id})
    told = shape.command(house.words, record)
    if record.stage is Stage.REFUSED:
        raise Problem("command_refused", {"because": record.receipts[-1].words}, command=told)
    return json(encode(told), 202, [(b"location", f"/api/v1/commands/{command.id}".encode())])


async def cancel(request: Request, command_id: CommandId) -> Response:
    """Stop waiting for a command. What has left the house cannot be called back; the receipt says which it was."""
    house = desk(request).house
    before = await _known(request, command_id)
    need(request, Right.COMMAND, device(request, before.command.device))
    after = None if before.final else await house.cancel(command_id, caller(request).name, origin(request))
    if after is None:
        stage = (await _known(request, command_id)).stage
        raise Problem("not_under_way", {"stage": stage.value if stage else ""})
    return json(encode(shape.command(house.words, after)))


async def command(request: Request, command_id: CommandId) -> Response:
    """One command with all its receipts."""
    record = await _known(request, command_id)
    return json(encode(shape.command(desk(request).house.words, record)))


async def commands(request: Request, page: Annotated[Page, Query()]) -> Response:
    """Commands of one device or all, newest first. `next` is what to give as `before` for the next page."""
    house = desk(request).house
    if page.device:
        device(request, page.device)
    seen = seen_devices(request)
    found = await house.ledger.commands(page.device or None, page.limit + 1, page.before, seen)
    told = [
        {"number": number, **shape.command(house.words, CommandRecord(it, tuple(receipts)))}
        for number, (it, receipts) in found[: page.limit]
    ]
    more = len(found) > page.limit
    return json(encode({"commands": told, "next": told[-1]["number"] if more else None}))


def _ask(request: Request, it: Wish, **more: Any) -> Ask:
    known = device(request, it.device)
    actions = desk(request).house.plate(known.id).actions
    if it.action not in actions:
        raise unknown("unknown_action", it.action, actions, device=known.id)
    who = caller(request)
    because, key = more.get("because", ""), more.get("key", "")
    return Ask(it.device, it.action, it.args, who.name, because, key, who.grants, origin=origin(request))


async def _known(request: Request, command_id: str) -> CommandRecord:
    record = await desk(request).house.command(command_id)
    if record is None or not view(request).sees(record.command.device):
        raise Problem("unknown_command", {"name": command_id})
    return record


def _check(request: Request, it: Check) -> dict[str, Any]:
    words = desk(request).house.words
    return {"title": shape.title(it.title), "holds": it.holds, "why": shape.sentence(words, it.why)}
