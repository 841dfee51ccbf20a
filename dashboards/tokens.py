"""Keys for programs: with a scope (grants, at most one's own), an end, and a text that is told once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import auth, given
from dashboards.desk import caller, desk
from dashboards.given import MOST_GRANTS, Given
from dashboards.packed import json, ready
from dashboards.problems import Problem
from dashboards.session import by_hand
from dashboards.shape import encode
from hub.ledger.people import Token
from hub.rights import write_grant


class NewToken(BaseModel):
    """What the token is for, for how long, and what it may: one's own grants, or lesser ones."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "daily report", "days": 90, "grants": [{"role": "viewer"}]}]},
    )

    title: str = Field(min_length=1, max_length=100)
    days: int = Field(auth.TOKEN_LIFE.days, ge=1, le=auth.TOKEN_LIFE.days)
    grants: list[Given] = Field(default_factory=list, max_length=MOST_GRANTS)


async def tokens(request: Request) -> Response:
    """One's own tokens, newest first; never their secrets."""
    mine = await desk(request).house.ledger.people.tokens(caller(request).name)
    return json(encode({"tokens": [_token(it) for it in mine]}))


async def make_token(request: Request, it: NewToken) -> Response:
    """A new token for a program; its text is told this once. Send it as `Authorization: Bearer`.

    Without `grants` it may what its maker may; whatever its maker loses, it loses too.
    """
    who, at = by_hand(request), desk(request)
    grants = given.grants(it.grants, at.house.areas) or who.grants
    mistakes = [
        {
            "where": f"body.grants.{number}",
            "what": f"{write_grant(one)} is more than you have: {', '.join(map(write_grant, who.grants))}",
            "rule": "grants",
        }
        for number, one in enumerate(grants)
        if not at.house.sight.gives_less(one, who.grants)
    ]
    if len(await at.house.ledger.people.tokens(who.name)) >= auth.MAX_TOKENS:
        mistakes.append({"where": "tokens", "what": f"you have {auth.MAX_TOKENS}. End one first", "rule": "count"})
    if mistakes:
        raise Problem("invalid", {"count": len(mistakes)}, mistakes=mistakes)
    text, token = await at.gate.make_token(who, it.title, grants, it.days, request.scope)
    return json(encode({"token": text, **_token(token)}), 201)


async def end_token(request: Request, token_id: Annotated[str, Path(max_length=64)]) -> Response:
    """End one of one's own tokens, at once."""
    who, it = caller(request), desk(request)
    mine = await it.house.ledger.people.tokens(who.name)
    if token_id not in {one.id for one in mine}:
        raise Problem("unknown_token", {"name": token_id})
    try:
        await it.gate.end_token(who, token_id, request.scope)
    except LookupError:  # somebody was quicker
        raise Problem("unknown_token", {"name": token_id}) from None
    return ready(b"", [], 204)


def _token(it: Token) -> dict[str, Any]:
    return {
        "id": it.id,
        "title": it.name,
        "grants": given.told(it.grants),
        "created": it.created,
        "expires": it.expires,
        "last_used": it.last_used,
    }
