"""Signing in and out, who one is, one's own password and tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import auth
from dashboards.auth import Caller
from dashboards.desk import caller, desk
from dashboards.packed import json, ready
from dashboards.problems import Problem
from dashboards.shape import encode
from hub import passwords
from hub.ledger.people import Token
from hub.rights import ROLES


class SignIn(BaseModel):
    """Name and password, as `fieldhub user DIR add` set them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "wang.min", "password": "…"}]})

    name: str = Field(min_length=1, max_length=auth.LONGEST_NAME)
    password: str = Field(min_length=1, max_length=passwords.LONGEST)


class NewPassword(BaseModel):
    """The old one once more, so that an open desk is not enough to take an account over."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"old": "…", "new": "…"}]})

    old: str = Field(min_length=1, max_length=passwords.LONGEST)
    new: str = Field(min_length=1, max_length=passwords.LONGEST)


class NewToken(BaseModel):
    """What the token is for, for how long, and with which roles: one's own, or lesser ones."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"title": "daily report", "days": 90, "roles": ["viewer"]}]}
    )

    title: str = Field(min_length=1, max_length=100)
    days: int = Field(auth.TOKEN_LIFE.days, ge=1, le=auth.TOKEN_LIFE.days)
    roles: list[str] = Field(default_factory=list, max_length=len(ROLES))


async def sign_in(request: Request, it: SignIn) -> Response:
    """Sign in: sets the session's cookie and tells the CSRF token that every change must send as X-CSRF-Token."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("csrf")
    secret, who = await desk(request).gate.sign_in(it.name, it.password, request.scope)
    return json(encode(_told(who)), headers=[_cookie(request, secret, int(auth.LONGEST.total_seconds()))])


async def who_am_i(request: Request) -> Response:
    """Who is signed in, what they may do, and until when."""
    return json(encode(_told(caller(request))))


async def sign_out(request: Request) -> Response:
    """End this session. Its open streams end too."""
    who = caller(request)
    if who.session is not None:
        await desk(request).gate.sign_out(who, request.scope)
    return ready(b"", [_cookie(request, "", 0)], 204)


async def set_password(request: Request, it: NewPassword) -> Response:
    """A new password of one's own; every other session ends."""
    who, gate, house = caller(request), desk(request).gate, desk(request).house
    if not await gate.password_is(who, it.old, request.scope):
        raise Problem("wrong_old_password")  # 422: the session is as good as it was
    keep = who.session.id if who.session else ""
    try:
        await passwords.set_password(house.ledger, who.name, it.new, who.name, keep, house.clock)
    except passwords.WeakPassword as weak:
        raise Problem(
            "invalid", {"count": 1}, mistakes=[{"where": "body.new", "what": str(weak), "rule": "weak"}]
        ) from None
    gate.forget(who.name, but_session=keep)
    return ready(b"", [], 204)


async def tokens(request: Request) -> Response:
    """One's own tokens, newest first; never their secrets."""
    mine = await desk(request).house.ledger.people.tokens(caller(request).name)
    return json(encode({"tokens": [_token(it) for it in mine]}))


async def make_token(request: Request, it: NewToken) -> Response:
    """A new token for a program; its text is told this once. Send it as `Authorization: Bearer`."""
    who, gate = caller(request), desk(request).gate
    roles = it.roles or list(who.person.roles)
    may_have = [role for role in ROLES if auth.rights_of([role]) <= auth.rights_of(who.roles)]
    mistakes = [
        {
            "where": "body.roles",
            "what": f'"{role}" is more than you have. Write some of: {", ".join(may_have)}',
            "rule": "roles",
        }
        for role in roles
        if role not in may_have
    ]
    if len(await desk(request).house.ledger.people.tokens(who.name)) >= auth.MAX_TOKENS:
        mistakes.append({"where": "tokens", "what": f"you have {auth.MAX_TOKENS}. End one first", "rule": "count"})
    if mistakes:
        raise Problem("invalid", {"count": len(mistakes)}, mistakes=mistakes)
    text, token = await gate.make_token(who, it.title, roles, it.days)
    return json(encode({"token": text, **_token(token)}), 201)


async def end_token(request: Request, token_id: Annotated[str, Path(max_length=64)]) -> Response:
    """End one of one's own tokens, at once."""
    who, it = caller(request), desk(request)
    mine = await it.house.ledger.people.tokens(who.name)
    if token_id not in {one.id for one in mine}:
        raise Problem("unknown_token", {"name": token_id})
    try:
        await it.gate.end_token(who, token_id)
    except LookupError:  # somebody was quicker
        raise Problem("unknown_token", {"name": token_id}) from None
    return ready(b"", [], 204)


def _told(who: Caller) -> dict[str, Any]:
    return {
        "name": who.name,
        "full_name": who.person.full_name,
        "language": who.person.language,
        "roles": who.roles,
        "rights": sorted(who.rights),
        "csrf": who.session.csrf if who.session else None,
        "expires": who.expires,
        "idle_s": int(auth.IDLE.total_seconds()) if who.session else None,
    }


def _token(it: Token) -> dict[str, Any]:
    return {
        "id": it.id,
        "title": it.name,
        "roles": it.roles,
        "created": it.created,
        "expires": it.expires,
        "last_used": it.last_used,
    }


def _cookie(request: Request, secret: str, age_s: int) -> tuple[bytes, bytes]:
    secure = request.url.scheme == "https"
    name = f"__Host-{auth.COOKIE}" if secure else auth.COOKIE
    text = f"{name}={secret}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return b"set-cookie", text.encode()
