"""Signing in and out, who one is, one's own password, second factor and sessions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import auth, given
from dashboards.caller import Caller, where_from
from dashboards.desk import caller, desk
from dashboards.entrance import session_number
from dashboards.packed import json, ready
from dashboards.problems import Problem, weak_password
from dashboards.shape import encode
from hub import passwords, second_factor
from hub.ledger.people import Session
from hub.ledger.trouble import AlreadyWritten

NAME_FORM = r"^[a-z0-9][a-z0-9._-]{0,63}$"
LONGEST_CODE = 40


class SignIn(BaseModel):
    """Name and password, and the code of the second factor where there is one (or a recovery code)."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "wang.min", "password": "…"}]})

    name: str = Field(min_length=1, max_length=auth.LONGEST_NAME)
    password: str = Field(min_length=1, max_length=passwords.LONGEST)
    code: str = Field("", max_length=LONGEST_CODE)


class FirstAdmin(BaseModel):
    """The one-time code from the server's console, and who the first administrator is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"code": "k7mwp-…", "name": "wang.min", "full_name": "王敏", "password": "…"}],
        },
    )

    code: str = Field(min_length=1, max_length=LONGEST_CODE)
    name: str = Field(pattern=NAME_FORM)
    full_name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=passwords.LONGEST)
    language: str = Field("zh-CN", pattern="^(zh-CN|en)$")


class NewPassword(BaseModel):
    """The old one once more, so that an open desk is not enough to take an account over."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"old": "…", "new": "…"}]})

    old: str = Field(min_length=1, max_length=passwords.LONGEST)
    new: str = Field(min_length=1, max_length=passwords.LONGEST)


class Password(BaseModel):
    """One's own password once more."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"password": "…"}]})

    password: str = Field(min_length=1, max_length=passwords.LONGEST)


class Code(BaseModel):
    """What the authenticator app shows now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "123456"}]})

    code: str = Field(min_length=1, max_length=LONGEST_CODE)


# ---- in and out ---------------------------------------------------------------------------------------------------


async def sign_in(request: Request, it: SignIn) -> Response:
    """Sign in: sets the session's cookie and tells the CSRF token that every change must send as X-CSRF-Token.

    401 `code_needed`: the password is right, and the code of the second factor is asked for: send all three.
    `must`: what is to be done before anything else is allowed: "password" (choose a new one), "second" (set one up).
    """
    from_this_site(request)
    secret, who = await desk(request).entrance.sign_in(it.name, it.password, it.code, request.scope)
    return signed_in(request, secret, who)


async def set_up(request: Request, it: FirstAdmin) -> Response:
    """Make the first administrator, with the one-time code that `fieldhub run` prints while there is none."""
    from_this_site(request)
    entrance = desk(request).entrance
    try:
        await entrance.set_up(it.code, it.name, it.full_name, it.password, it.language, request.scope)
    except passwords.WeakPassword as weak:
        raise weak_password(request, weak, "body.password") from None
    except AlreadyWritten:
        raise Problem("name_is_taken", {"name": it.name}) from None
    return ready(b"", [], 204)


async def who_am_i(request: Request) -> Response:
    """Who is signed in, what they may do and where, and until when."""
    return json(encode(told(caller(request))))


async def sign_out(request: Request) -> Response:
    """End this session. Its open streams end too."""
    who = caller(request)
    if who.session is not None:
        await desk(request).entrance.sign_out(who, request.scope)
    return ready(b"", [cookie(request, "", 0)], 204)


# ---- one's password and second factor -----------------------------------------------------------------------------


async def set_password(request: Request, it: NewPassword) -> Response:
    """A new password of one's own; every other session ends."""
    who, at, house = by_hand(request), desk(request), desk(request).house
    if not await at.entrance.password_is(who, it.old, request.scope):
        raise Problem("wrong_old_password")  # 422: the session is as good as it was
    assert who.session is not None
    try:
        if it.new == it.old:
            raise passwords.WeakPassword("weak.same")
        await passwords.set_password(
            house.ledger,
            who.name,
            it.new,
            who.name,
            who.session.id,
            house.clock,
            shortest=at.gate.rules.password_length,
            where=where_from(request.scope),
        )
    except passwords.WeakPassword as weak:
        raise weak_password(request, weak, "body.new") from None
    at.gate.forget(who.name)
    return ready(b"", [], 204)


async def second(request: Request) -> Response:
    """Whether one has a second factor, how many recovery codes are left, and whether the site wants one."""
    who = caller(request)
    return json(
        encode(
            {
                "on": bool(who.person.second),
                "recovery_left": len(who.person.recovery),
                "wanted": any(it.role in desk(request).gate.rules.second_for for it in who.person.grants),
            }
        )
    )


async def begin_second(request: Request, it: Password) -> Response:
    """A new secret for an authenticator app, as text, address and QR code. It counts once a code of it is sent back."""
    who, at = by_hand(request), desk(request)
    secret = await at.entrance.begin_second(who, it.password, request.scope)
    name = at.house.site.hub.site.name
    title = name if isinstance(name, str) else name.get("en") or next(iter(name.values()), "FieldHub")
    address = second_factor.address(secret, who.name, title)
    return json(encode({"secret": secret, "address": address, "picture": second_factor.picture(address)}))


async def confirm_second(request: Request, it: Code) -> Response:
    """The app shows the right code: it is asked for from the next sign-in on. The recovery codes are told this once."""
    codes = await desk(request).entrance.confirm_second(by_hand(request), it.code, request.scope)
    return json(encode({"recovery_codes": codes}))


async def end_second(request: Request, it: Password) -> Response:
    """Ask for no code any more. 409 where the site wants one of this person."""
    await desk(request).entrance.end_second(by_hand(request), it.password, request.scope)
    return ready(b"", [], 204)


# ---- one's sessions -----------------------------------------------------------------------------------------------


async def sessions(request: Request) -> Response:
    """One's own open sessions, newest first: from where, with what, and when last seen."""
    who = caller(request)
    found = await desk(request).house.ledger.people.sessions(who.name)
    return json(encode({"sessions": open_sessions(request, found, who)}))


async def end_session(request: Request, session_id: Annotated[str, Path(max_length=64)]) -> Response:
    """End one of one's own sessions, at once: a desk that was left open."""
    who, at = by_hand(request), desk(request)
    for it in await at.house.ledger.people.sessions(who.name):
        if session_number(it) == session_id:
            note = at.gate.login_note("session_ended", who.name, request.scope, session=session_id)
            await at.house.ledger.people.close_session(it.id, note)
            at.gate.end_session(it.id)
            return ready(b"", [], 204)
    raise Problem("unknown_session", {"name": session_id})


def open_sessions(request: Request, found: list[Session], who: Caller) -> list[dict[str, Any]]:
    """Those that are not over, as answers tell them."""
    now, idle = desk(request).house.clock.now(), desk(request).gate.rules.idle
    return [
        {
            "id": session_number(it),
            "this": who.session is not None and it.id == who.session.id,
            "created": it.created,
            "seen": it.seen,
            "expires": it.expires,
            "address": it.address,
            "agent": it.agent,
            "way": it.way,
        }
        for it in found
        if it.expires > now and now - it.seen <= idle
    ]


# ---- how ----------------------------------------------------------------------------------------------------------


def by_hand(request: Request) -> Caller:
    """Who asks, where a token is not enough: a stolen one shall not take the account. Raises Problem."""
    who = caller(request)
    if who.session is None:
        raise Problem("session_only")
    return who


def from_this_site(request: Request) -> None:
    """Signing in needs no CSRF token, and must not be possible from somebody else's page. Raises Problem."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("csrf")


def signed_in(request: Request, secret: str, who: Caller) -> Response:
    age_s = int(desk(request).gate.rules.longest.total_seconds())
    return json(encode(told(who)), headers=[cookie(request, secret, age_s)])


def told(who: Caller) -> dict[str, Any]:
    return {
        "name": who.name,
        "full_name": who.person.full_name,
        "language": who.person.language,
        "grants": given.told(who.grants),
        "rights": sorted(who.rights),
        "must": [it.value for it in who.must],
        "csrf": who.session.csrf if who.session else None,
        "expires": who.expires,
        "idle_s": int(who.idle.total_seconds()) if who.session else None,
    }


def cookie(request: Request, secret: str, age_s: int) -> tuple[bytes, bytes]:
    secure = request.url.scheme == "https"
    name = f"__Host-{auth.COOKIE}" if secure else auth.COOKIE
    text = f"{name}={secret}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return b"set-cookie", text.encode()
