"""Who may sign in, and what they may do where. Nobody is deleted: their name is in the ledger.

Two powers, so that one alone cannot make somebody up and let them do everything: who adds people (system
administrator) does not say what they may, and who says it (security administrator) does not add them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import given
from dashboards.caller import where_from
from dashboards.desk import caller, desk, need
from dashboards.given import MOST_GRANTS, Given
from dashboards.packed import json, ready
from dashboards.problems import Problem, unknown, weak_password
from dashboards.session import NAME_FORM, open_sessions
from dashboards.shape import encode
from hub import passwords
from hub.ledger.entries import Note, changed
from hub.ledger.people import Person
from hub.ledger.trouble import AlreadyWritten
from hub.rights import ROLES, Grant, Right, rights_of, write_grant

Name = Annotated[str, Path(max_length=64)]


class NewPerson(BaseModel):
    """Somebody who may sign in from now on, with a password that they must change at once."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "wang.min", "full_name": "王敏", "password": "…", "language": "zh-CN"}],
        },
    )

    name: str = Field(pattern=NAME_FORM)
    full_name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=passwords.LONGEST)
    language: str = Field("zh-CN", pattern="^(zh-CN|en)$")
    subject: str = Field("", max_length=200, description="who they are at the OpenID provider")
    grants: list[Given] = Field(
        default_factory=list, max_length=MOST_GRANTS, description="for those who may give permissions too"
    )


class Change(BaseModel):
    """What is to be different; the rest stays. A new password or `disabled` ends this person's sessions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"disabled": True}]})

    full_name: str | None = Field(None, min_length=1, max_length=100)
    language: str | None = Field(None, pattern="^(zh-CN|en)$")
    disabled: bool | None = None
    subject: str | None = Field(None, max_length=200)
    password: str | None = Field(None, min_length=1, max_length=passwords.LONGEST)


class NewGrants(BaseModel):
    """All that this person may from now on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"grants": [{"role": "water_operator", "area": "341203100000"}]}]},
    )

    grants: list[Given] = Field(max_length=MOST_GRANTS)


# ---- who there is -------------------------------------------------------------------------------------------------


async def people(request: Request) -> Response:
    """Everybody who may sign in, and those who may no more."""
    return json(encode({"people": [_person(it) for it in await desk(request).house.ledger.people.persons()]}))


async def add(request: Request, it: NewPerson) -> Response:
    """Let somebody sign in. What they may is said by who gives permissions: PUT /api/v1/people/{name}/grants."""
    at, by = desk(request), caller(request).name
    grants = given.grants(it.grants, at.house.areas)
    if grants:
        need(request, Right.PERMISSIONS)
        _apart(request, grants)
    house = at.house
    await _subject_is_free(request, it.subject, it.name)
    try:
        await passwords.add_person(
            house.ledger,
            it.name,
            it.full_name,
            it.password,
            grants,
            it.language,
            by,
            house.clock,
            must_change=True,
            shortest=at.gate.rules.password_length,
            subject=it.subject,
            where=where_from(request.scope),
        )
    except AlreadyWritten:
        raise Problem("name_is_taken", {"name": it.name}) from None
    except passwords.WeakPassword as weak:
        raise weak_password(request, weak, "body.password") from None
    made = await house.ledger.people.person(it.name)
    assert made is not None
    return json(encode(_person(made)), 201)


async def change(request: Request, name: Name, it: Change) -> Response:
    """Change somebody's name, language or password, or whether they may sign in.

    Somebody with one of the three powers keeps their password and their log-in here: that is done at the server's own
    console (`fieldhub user`), or one could become the other. The last who adds people cannot be shut out.
    """
    house, at, by = desk(request).house, desk(request), caller(request).name
    everybody = await _everybody(request, name)
    before = everybody[name]
    if _power(before) and name != by and (it.password is not None or it.disabled is not None or it.subject is not None):
        raise Problem("power_is_apart", {"name": name})
    wanted: dict[str, Any] = it.model_dump(exclude_none=True, exclude={"password"})
    await _subject_is_free(request, it.subject or "", name)
    after = replace(before, **wanted)
    _somebody_left(everybody, after)
    if it.password is not None:
        try:
            await passwords.set_password(
                house.ledger,
                name,
                it.password,
                by,
                clock=house.clock,
                must_change=True,
                shortest=at.gate.rules.password_length,
                where=where_from(request.scope),
            )
        except passwords.WeakPassword as weak:
            raise weak_password(request, weak, "body.password") from None
    if wanted:
        await _write(request, before, after, "changed")
    at.gate.forget(name)
    return json(encode(_person(after)))


# ---- what they may ------------------------------------------------------------------------------------------------


async def set_grants(request: Request, name: Name, it: NewGrants) -> Response:
    """What somebody may from now on, and where. Felt at once, also by open pages and tokens.

    Nobody gives themselves anything: of one's own one can only take away. The last who gives permissions stays.
    """
    at, by = desk(request), caller(request).name
    everybody = await _everybody(request, name)
    before = everybody[name]
    grants = given.grants(it.grants, at.house.areas)
    if name == by and not set(grants) <= set(before.grants):
        raise Problem("not_to_oneself")
    _apart(request, grants)
    after = replace(before, grants=grants)
    _somebody_left(everybody, after)
    await _write(request, before, after, "grants set")
    at.gate.forget(name)
    return json(encode(_person(after)))


async def end_second(request: Request, name: Name) -> Response:
    """Somebody has lost their phone and their recovery codes: their second factor is taken away."""
    await _everybody(request, name)
    if name == caller(request).name:
        raise Problem("not_to_oneself")
    await desk(request).entrance.take_second(name, caller(request).name, request.scope)
    return ready(b"", [], 204)


async def sessions(request: Request, name: Name) -> Response:
    """Somebody's open sessions, newest first."""
    await _everybody(request, name)
    found = await desk(request).house.ledger.people.sessions(name)
    return json(encode({"sessions": open_sessions(request, found, caller(request))}))


async def end_sessions(request: Request, name: Name) -> Response:
    """End all of somebody's sessions, at once."""
    await _everybody(request, name)
    house, by = desk(request).house, caller(request).name
    body = {"did": "sessions ended", **where_from(request.scope)}
    await house.ledger.people.close_sessions(name, Note("person", house.clock.now(), by, name, body=body))
    desk(request).gate.forget(name)
    return ready(b"", [], 204)


async def roles(request: Request) -> Response:
    """Every role with its rights, and the kinds of devices that it commands: what a grant can be made of."""
    told = {
        name: {"rights": sorted(it.rights), "families": sorted(it.families), "whole": it.whole, "power": it.power}
        for name, it in ROLES.items()
    }
    return json(encode({"roles": told, "separate_powers": desk(request).house.site.hub.security.separate_powers}))


# ---- how ----------------------------------------------------------------------------------------------------------


async def _everybody(request: Request, name: str) -> dict[str, Person]:
    """By name; `name` is one of them. Raises Problem."""
    found = {one.name: one for one in await desk(request).house.ledger.people.persons()}
    if name not in found:
        raise unknown("unknown_person", name, found)
    return found


async def _subject_is_free(request: Request, subject: str, name: str) -> None:
    """Raises Problem when somebody else is this at the OpenID provider."""
    found = await desk(request).house.ledger.people.person_of(subject)
    if found is not None and found.name != name:
        raise Problem("subject_is_taken", {"subject": subject, "name": found.name})


async def _write(request: Request, before: Person, after: Person, did: str) -> None:
    house = desk(request).house
    was, now = (
        {
            "full_name": it.full_name,
            "language": it.language,
            "grants": [write_grant(one) for one in it.grants],
            "disabled": it.disabled,
            "subject": it.subject,
        }
        for it in (before, after)
    )
    body = {"did": did, "changed": changed(was, now), **where_from(request.scope)}
    note = Note("person", house.clock.now(), caller(request).name, before.name, body=body)
    await house.ledger.people.change(after, note)


def _power(it: Person) -> bool:
    return any(ROLES[one.role].power for one in it.grants if one.role in ROLES)


def _apart(request: Request, grants: tuple[Grant, ...]) -> None:
    """Raises Problem when the site keeps the powers apart, and these join two, or one with commands."""
    if not desk(request).house.site.hub.security.separate_powers:
        return
    powers = sorted({it.role for it in grants if ROLES[it.role].power})
    if len(powers) > 1 or (powers and Right.COMMAND in rights_of(grants)):
        raise Problem("powers_are_apart", {"roles": ", ".join(sorted({it.role for it in grants}))})


def _somebody_left(everybody: Mapping[str, Person], after: Person) -> None:
    """Raises Problem when nobody could undo it: it would be the last who adds people, or who gives permissions."""
    before = everybody[after.name]
    others = [it for it in everybody.values() if it.name != after.name]
    for right in (Right.PEOPLE, Right.PERMISSIONS):
        if _has(before, right) and not any(_has(it, right) for it in (*others, after)):
            raise Problem("last_admin", {"right": right.value})


def _has(it: Person, right: Right) -> bool:
    return right in rights_of(it.grants) and not it.disabled


def _person(it: Person) -> dict[str, Any]:
    return {
        "name": it.name,
        "full_name": it.full_name,
        "grants": given.told(it.grants),
        "language": it.language,
        "disabled": it.disabled,
        "created": it.created,
        "password_set": it.password_set,
        "must_change": it.must_change,
        "second": bool(it.second),
        "subject": it.subject,
    }
