"""The house about itself: is it up, is it ready, how is it doing, what could it not read, what can it say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from dashboards import live, metrics, problems, shape
from dashboards.desk import caller, desk, view
from dashboards.packed import Packed, json, ready
from dashboards.problems import Problem
from dashboards.shape import encode
from hub.demo import USERS
from hub.rights import write_grant

_OK = encode({"ok": True})


async def healthz(request: Request) -> Response:
    """The process answers. It says nothing about devices."""
    return json(_OK)


async def readyz(request: Request) -> Response:
    """Work can be done: the ledger can be written, history keeps up. 503 with the reason when not."""
    fit, why = desk(request).house.ready()
    if not fit:
        raise Problem("not_ready", {"why": why}, headers={"Retry-After": "10"})
    return json(_OK)


async def prometheus(request: Request) -> Response:
    """Numbers for Prometheus (text format). Give it a viewer's token."""
    text = desk(request).metrics.text()
    return ready(text, [(b"content-type", metrics.MEDIA_TYPE), (b"cache-control", b"no-store")])


async def site(request: Request) -> Response:
    """How the house is called, its zone and language: what the log-in page needs. A demo tells its log-ins too.

    `signed_in`: whether this request comes from somebody who is; who that is tells GET /api/v1/session.
    """
    house = desk(request).house
    it = house.site.hub.site
    told: dict[str, Any] = {
        "name": shape.title(it.name),
        "zone": it.zone,
        "language": it.language,
        "demo": house.demo,
        "version": house.system()["version"],
        "now": shape.ms(house.clock.now()),
        "signed_in": await desk(request).gate.is_signed_in(request.scope),
    }
    provider = desk(request).provider
    if provider is not None:
        told["openid"] = shape.title(provider.title)
    if house.demo:
        told["users"] = [
            {"name": name, "password": password, "grants": [write_grant(it) for it in grants], "full_name": full_name}
            for name, password, grants, full_name in USERS
        ]
    return json(encode(told))


async def words(request: Request, language: Annotated[Literal["zh-CN", "en"], Query()] = "zh-CN") -> Response:
    """Every sentence the house can say, as templates: {name} and {name:.1f} are filled in with a sentence's args."""
    it = desk(request)
    packed = it.sentences.get(language)
    if packed is None:
        templates = it.house.words.templates(language) | problems.SAYS.templates(language)
        packed = it.sentences[language] = Packed(encode({"language": language, "words": templates}))
    return await packed.answer(request)


async def system(request: Request) -> Response:
    """How the house is doing: drivers and other jobs, backlogs, counts, streams."""
    it = desk(request)
    fit, why = it.house.ready()
    told = shape.plain(it.house.system()) | {
        "ready": {"ok": fit, "why": why},
        "stream": {
            "viewers": len(it.bus.viewers),
            "most": live.MAX_VIEWERS,
            "frame": it.bus.number,
            "frames_merged": it.bus.frames_merged,
        },
        "you": caller(request).name,
    }
    return json(encode(told))


async def puzzles(request: Request) -> Response:
    """What could not be read, newest first: from where, the bytes in hex, and why not.

    Of devices that one may see; of senders that are no device only who sees the whole house is told.
    """
    house, seen = desk(request).house, view(request)
    told = [
        {"address": it.address, "at": it.at, "raw": it.raw.hex(" "), "why": shape.sentence(house.words, it.why)}
        for it in reversed(house.puzzles())
        if seen.whole or ((device := house.hub.who_is(it.address)) is not None and seen.sees(device.id))
    ]
    return json(encode({"puzzles": told}))


async def stream(request: Request) -> Response:
    """The live stream (text/event-stream): every change of values, alarms and commands. See docs/api.md.

    Resume with the header Last-Event-ID, or ?last_id= where headers cannot be set.
    """
    it = desk(request)
    if "head" in request.scope:
        return ready(b"", [(b"content-type", b"text/event-stream; charset=utf-8")])
    last_id = request.headers.get("last-event-id") or request.query_params.get("last_id", "")
    viewer = it.bus.admit(caller(request), last_id)
    return live.EventStream(it.bus, viewer)
