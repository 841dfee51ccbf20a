"""Who may sign in, and with which roles: the administrator's page. Nobody is deleted: their name is in the ledger."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request
from starlette.responses import Response

from dashboards import auth
from dashboards.desk import caller, desk
from dashboards.packed import json
from dashboards.problems import Problem, unknown
from dashboards.shape import encode
from hub import passwords
from hub.ledger.entries import Note
from hub.ledger.people import Person
from hub.ledger.trouble import AlreadyWritten
from hub.rights import ROLES, Right

NAME_FORM = r"^[a-z0-9][a-z0-9._-]{0,63}$"


def _known_roles(roles: list[str] | None) -> list[str] | None:
    for role in roles or ():
        if role not in ROLES:
            raise ValueError(f'"{role}" is not a role. Write some of: {", ".join(ROLES)}')
    return roles


class NewPerson(BaseModel):
    """Somebody who may sign in from now on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "wang.min",
                    "full_name": "王敏",
                    "password": "…",
                    "roles": ["water_operator"],
                    "language": "zh-CN",
                }
            ]
        },
    )

    name: str = Field(pattern=NAME_FORM)
    full_name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)
    roles: list[str] = Field(min_length=1, max_length=len(ROLES))
    language: str = Field("zh-CN", pattern="^(zh-CN|en)$")

    known_roles = field_validator("roles")(_known_roles)


class Change(BaseModel):
    """What is to be different; the rest stays. A new password or `disabled` ends this person's sessions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"roles": ["viewer"]}]})

    full_name: str | None = Field(None, min_length=1, max_length=100)
    roles: list[str] | None = Field(None, min_length=1, max_length=len(ROLES))
    language: str | None = Field(None, pattern="^(zh-CN|en)$")
    disabled: bool | None = None
    password: str | None = Field(None, min_length=passwords.SHORTEST, max_length=passwords.LONGEST)

    known_roles = field_validator("roles")(_known_roles)


async def people(request: Request) -> Response:
    """Everybody who may sign in, and those who may no more."""
    return json(encode({"people": [_person(it) for it in await desk(request).house.ledger.people.persons()]}))


async def add(request: Request, it: NewPerson) -> Response:
    """Let somebody sign in."""
    house, by = desk(request).house, caller(request).name
    try:
        await passwords.add_person(
            house.ledger, it.name, it.full_name, it.password, it.roles, it.language, by, house.clock
        )
    except AlreadyWritten:
        raise Problem("name_is_taken", {"name": it.name}) from None
    except passwords.WeakPassword as weak:
        raise _weak(weak) from None
    made = await house.ledger.people.person(it.name)
    assert made is not None
    return json(encode(_person(made)), 201)


async def change(request: Request, name: Annotated[str, Path(max_length=64)], it: Change) -> Response:
    """Change somebody's name, roles, language or password, or whether they may sign in.

    The last administrator cannot be made anything else: there would be nobody left to undo it.
    """
    house, gate, by = desk(request).house, desk(request).gate, caller(request).name
    everybody = {one.name: one for one in await house.ledger.people.persons()}
    if name not in everybody:
        raise unknown("unknown_person", name, everybody)
    wanted: dict[str, Any] = it.model_dump(exclude_none=True, exclude={"password"})
    if "roles" in wanted:
        wanted["roles"] = tuple(wanted["roles"])
    after = everybody[name] = replace(everybody[name], **wanted)
    if not any(Right.PEOPLE in auth.rights_of(one.roles) and not one.disabled for one in everybody.values()):
        raise Problem("last_admin", {"name": name})
    try:
        if it.password is not None:
            await passwords.set_password(house.ledger, name, it.password, by, clock=house.clock)
    except passwords.WeakPassword as weak:
        raise _weak(weak) from None
    if wanted:
        note = Note("person", house.clock.now(), by, name, body={"did": "changed", **wanted})
        fresh = await house.ledger.people.person(name)
        assert fresh is not None
        after = replace(fresh, **wanted)
        await house.ledger.people.change(after, note)
    gate.forget(name)
    return json(encode(_person(after)))


def _weak(weak: passwords.WeakPassword) -> Problem:
    return Problem("invalid", {"count": 1}, mistakes=[{"where": "body.password", "what": str(weak), "rule": "weak"}])


def _person(it: Person) -> dict[str, Any]:
    return {
        "name": it.name,
        "full_name": it.full_name,
        "roles": it.roles,
        "language": it.language,
        "disabled": it.disabled,
        "created": it.created,
    }
