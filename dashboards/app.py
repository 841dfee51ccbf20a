"""create_app(house): every route of the house in one table, with the right that it needs.

A request passes, in this order: the security headers, the gate (who asks, and may they), the checks of what was sent,
the route. Routes that browsers ask for all the time (`hot`) take the same way without the framework's detours.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from dashboards import (
    across,
    alarm_kpis,
    alarms,
    audit,
    auth,
    commands,
    demo,
    devices,
    examples,
    history,
    identity,
    notices,
    oidc,
    pages,
    people,
    problems,
    reference,
    registry,
    rulebook,
    series,
    session,
    system,
    tokens,
)
from dashboards.auth import Gate
from dashboards.caller import Rules
from dashboards.desk import Demo, Desk
from dashboards.entrance import Entrance
from dashboards.live import Bus
from dashboards.metrics import Metrics
from hub import traces
from hub.house import House
from hub.ledger.trouble import LedgerUnavailable
from hub.logs import ID_FORM, request_id
from hub.rights import Right
from hub.secrets import Secret

if TYPE_CHECKING:
    from dashboards.oidc_provider import Provider

MAX_BODY_BYTES = 64 * 1024  # of a request (its number stands in words.toml too: problem.too_large)
API = "/api/v1"
FORGET_S = 3_600.0  # expired sessions and tokens are taken off the disk so often


class Cut(StrEnum):
    """How the areas of who asks bear on a route. Each has one; tests/dashboards/test_api_areas.py tries them all."""

    NONE = "none"  # it tells and does nothing of devices: health, words, one's own account
    VIEW = "view"  # it shows what the asker's view has, and acts on what their right covers (desk.py)
    WHOLE = "whole"  # it is about the whole house: the right must be held for all of it


class Way(Struct, frozen=True):
    """One route. `hot`: asked for all the time; its path has no or one variable, at the end, and it takes no query."""

    method: str
    path: str
    right: Right
    cut: Cut
    do: Callable[..., Coroutine[Any, Any, Response]]
    hot: bool = False
    shown: bool = True  # in the OpenAPI document


WAYS = (
    Way("GET", f"{API}/session", Right.SELF, Cut.NONE, session.who_am_i, hot=True),
    Way("POST", f"{API}/session", Right.OPEN, Cut.NONE, session.sign_in),
    Way("DELETE", f"{API}/session", Right.SELF, Cut.NONE, session.sign_out),
    Way("POST", f"{API}/session/password", Right.SELF, Cut.NONE, session.set_password),
    Way("GET", f"{API}/session/second", Right.SELF, Cut.NONE, session.second),
    Way("POST", f"{API}/session/second", Right.SELF, Cut.NONE, session.begin_second),
    Way("POST", f"{API}/session/second/confirm", Right.SELF, Cut.NONE, session.confirm_second),
    Way("POST", f"{API}/session/second/end", Right.SELF, Cut.NONE, session.end_second),
    Way("GET", f"{API}/sessions", Right.SELF, Cut.NONE, session.sessions),
    Way("DELETE", f"{API}/sessions/{{session_id}}", Right.SELF, Cut.NONE, session.end_session),
    Way("GET", f"{API}/openid", Right.OPEN, Cut.NONE, oidc.begin, shown=False),
    Way("GET", oidc.BACK, Right.OPEN, Cut.NONE, oidc.back, shown=False),
    Way("POST", f"{API}/setup", Right.OPEN, Cut.NONE, session.set_up),
    Way("GET", f"{API}/tokens", Right.TOKENS, Cut.NONE, tokens.tokens),
    Way("POST", f"{API}/tokens", Right.TOKENS, Cut.NONE, tokens.make_token),
    Way("DELETE", f"{API}/tokens/{{token_id}}", Right.TOKENS, Cut.NONE, tokens.end_token),
    Way("GET", f"{API}/people", Right.ROLL, Cut.WHOLE, people.people),
    Way("POST", f"{API}/people", Right.PEOPLE, Cut.WHOLE, people.add),
    Way("PATCH", f"{API}/people/{{name}}", Right.PEOPLE, Cut.WHOLE, people.change),
    Way("PUT", f"{API}/people/{{name}}/grants", Right.PERMISSIONS, Cut.WHOLE, people.set_grants),
    Way("DELETE", f"{API}/people/{{name}}/second", Right.PERMISSIONS, Cut.WHOLE, people.end_second),
    Way("GET", f"{API}/people/{{name}}/sessions", Right.ROLL, Cut.WHOLE, people.sessions),
    Way("DELETE", f"{API}/people/{{name}}/sessions", Right.PERMISSIONS, Cut.WHOLE, people.end_sessions),
    Way("GET", f"{API}/roles", Right.SELF, Cut.NONE, people.roles),
    Way("GET", f"{API}/stream", Right.LOOK, Cut.VIEW, system.stream),
    Way("GET", f"{API}/snapshot", Right.LOOK, Cut.VIEW, devices.snapshot, hot=True),
    Way("GET", f"{API}/roster", Right.LOOK, Cut.VIEW, devices.roster, hot=True),
    Way("GET", f"{API}/areas", Right.LOOK, Cut.VIEW, devices.areas),
    Way("GET", f"{API}/devices", Right.LOOK, Cut.VIEW, devices.devices),
    Way("GET", f"{API}/devices/{{device_id}}", Right.LOOK, Cut.VIEW, devices.device, hot=True),
    Way("GET", f"{API}/pending", Right.COMMISSION, Cut.WHOLE, registry.pending),
    Way("POST", f"{API}/devices", Right.COMMISSION, Cut.VIEW, registry.adopt),
    Way("POST", f"{API}/devices/check", Right.COMMISSION, Cut.VIEW, registry.check),
    Way("GET", f"{API}/devices/{{device_id}}/row", Right.COMMISSION, Cut.VIEW, registry.row),
    Way("PATCH", f"{API}/devices/{{device_id}}", Right.COMMISSION, Cut.VIEW, registry.replace),
    Way("GET", f"{API}/devices/{{device_id}}/secret", Right.COMMISSION, Cut.VIEW, identity.secrets),
    Way("POST", f"{API}/devices/{{device_id}}/secret", Right.COMMISSION, Cut.VIEW, identity.renew),
    Way("POST", f"{API}/devices/{{device_id}}/secret/end", Right.COMMISSION, Cut.VIEW, identity.end),
    Way("POST", f"{API}/devices/{{device_id}}/retire", Right.COMMISSION, Cut.VIEW, registry.retire),
    Way("GET", f"{API}/devices/{{device_id}}/nameplate", Right.LOOK, Cut.VIEW, devices.nameplate),
    Way("GET", f"{API}/devices/{{device_id}}/latest", Right.LOOK, Cut.VIEW, devices.latest),
    Way("GET", f"{API}/devices/{{device_id}}/series", Right.LOOK, Cut.VIEW, series.series),
    Way("GET", f"{API}/devices/{{device_id}}/states", Right.LOOK, Cut.VIEW, history.states),
    Way("GET", f"{API}/devices/{{device_id}}/gaps", Right.LOOK, Cut.VIEW, history.gaps),
    Way("GET", f"{API}/devices/{{device_id}}/track", Right.LOOK, Cut.VIEW, history.track),
    Way("GET", f"{API}/devices/{{device_id}}/counts", Right.LOOK, Cut.VIEW, history.counts),
    Way("GET", f"{API}/series", Right.LOOK, Cut.VIEW, across.series),
    Way("GET", f"{API}/values", Right.LOOK, Cut.VIEW, across.values),
    Way("POST", f"{API}/commands/prepare", Right.COMMAND, Cut.VIEW, commands.prepare),
    Way("POST", f"{API}/commands", Right.COMMAND, Cut.VIEW, commands.give),
    Way("GET", f"{API}/commands", Right.LOOK, Cut.VIEW, commands.commands),
    Way("GET", f"{API}/commands/{{command_id}}", Right.LOOK, Cut.VIEW, commands.command),
    Way("POST", f"{API}/commands/{{command_id}}/cancel", Right.COMMAND, Cut.VIEW, commands.cancel),
    Way("GET", f"{API}/alarms", Right.LOOK, Cut.VIEW, alarms.alarms),
    Way("POST", f"{API}/alarms/acknowledge", Right.ACKNOWLEDGE, Cut.VIEW, alarms.acknowledge_all),
    Way("GET", f"{API}/alarms/history", Right.LOOK, Cut.VIEW, alarms.history),
    Way("GET", f"{API}/alarms/kpis", Right.LOOK, Cut.VIEW, alarm_kpis.kpis),
    Way("GET", f"{API}/alarms/{{alarm_id}}", Right.LOOK, Cut.VIEW, alarms.alarm),
    Way("POST", f"{API}/alarms/{{alarm_id}}/acknowledge", Right.ACKNOWLEDGE, Cut.VIEW, alarms.acknowledge),
    Way("POST", f"{API}/alarms/{{alarm_id}}/remark", Right.ACKNOWLEDGE, Cut.VIEW, alarms.remark),
    Way("POST", f"{API}/alarms/{{alarm_id}}/shelve", Right.ACKNOWLEDGE, Cut.VIEW, alarms.shelve),
    Way("POST", f"{API}/alarms/{{alarm_id}}/unshelve", Right.ACKNOWLEDGE, Cut.VIEW, alarms.unshelve),
    Way("GET", f"{API}/rules", Right.LOOK, Cut.VIEW, rulebook.rules),
    Way("GET", f"{API}/devices/{{device_id}}/rules", Right.LOOK, Cut.VIEW, rulebook.of_device),
    Way("GET", f"{API}/notices", Right.LOOK, Cut.VIEW, notices.notices),
    Way("POST", f"{API}/notices/try", Right.COMMISSION, Cut.WHOLE, notices.try_out),
    Way("GET", f"{API}/audit", Right.AUDIT, Cut.WHOLE, audit.audit),
    Way("GET", f"{API}/audit/tip", Right.AUDIT, Cut.WHOLE, audit.tip),
    Way("GET", f"{API}/audit/lines", Right.AUDIT, Cut.WHOLE, audit.lines),
    Way("GET", f"{API}/puzzles", Right.PUZZLES, Cut.VIEW, system.puzzles),
    Way("GET", f"{API}/demo/faults", Right.PUZZLES, Cut.WHOLE, demo.faults),
    Way("POST", f"{API}/demo/faults", Right.COMMISSION, Cut.WHOLE, demo.set_fault),
    Way("GET", f"{API}/site", Right.OPEN, Cut.NONE, system.site),
    Way("GET", f"{API}/words", Right.OPEN, Cut.NONE, system.words),
    Way("GET", f"{API}/system", Right.LOOK, Cut.NONE, system.system),
    Way("GET", f"{API}/openapi.json", Right.OPEN, Cut.NONE, examples.document, shown=False),
    Way("GET", f"{API}/docs", Right.OPEN, Cut.NONE, reference.reference, shown=False),
    Way("GET", "/metrics", Right.LOOK, Cut.WHOLE, system.prometheus),
    Way("GET", "/healthz", Right.OPEN, Cut.NONE, system.healthz, hot=True),
    Way("GET", "/readyz", Right.OPEN, Cut.NONE, system.readyz),
    Way("GET", "/assets/{version}/{file:path}", Right.OPEN, Cut.NONE, pages.asset, shown=False),
    Way("GET", "/{path:path}", Right.OPEN, Cut.NONE, pages.page, shown=False),
)


def create_app(house: House, demo: Demo | None = None) -> Console:
    """The house's API and console as an ASGI application. `demo`: where the simulators' faults are switched."""
    it = Desk()
    it.house, it.demo = house, demo
    it.sentences, it.document, it.references = {}, None, {}
    it.bus = Bus(house.hub, house.words)
    it.gate = Gate(house.ledger, house.clock, house.sight, Rules.of(house.site.hub.security))
    it.entrance = Entrance(it.gate, house.ledger, house.clock, house.vault)
    it.provider = _provider(house)
    it.roster = devices.Roster(house.sight)
    it.snapshot = devices.Snapshot(house.hub, it.bus, it.roster)
    it.bus.on_devices = it.roster.forget
    it.metrics = Metrics(house, it.bus)
    it.pages = pages.Pages()
    return Console(it)


def _provider(house: House) -> Provider | None:
    """Raises BadConfig when its secret is not where hub.toml says."""
    it, folder = house.site.hub.openid, house.site.folder
    if it is None:
        return None
    from dashboards.oidc_provider import Provider  # 130 ms of a start, where there is none for nothing

    secret = (
        Secret(it.client_secret, folder, os.environ, "hub.toml › openid › client_secret") if it.client_secret else None
    )
    return Provider(it, secret, folder, house.clock)


class Console(FastAPI):
    """The framework's application, with our gate in front."""

    def __init__(self, it: Desk) -> None:
        super().__init__(
            title="FieldHub",
            version=it.house.system()["version"],
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=_lifespan,
        )
        self.state.desk = it
        handlers = problems.handlers()
        for error, handler in handlers.items():
            self.add_exception_handler(error, handler)
        self.add_exception_handler(Exception, problems.from_bug)
        self.router.route_class = Lane
        for way in WAYS:
            self.router.add_api_route(
                way.path,
                way.do,
                methods=[way.method],
                include_in_schema=way.shown,
                response_class=Response,
                response_model=None,
                **(examples.of(way.method, way.path, way.right, way.do) if way.shown else {}),
                openapi_extra={"x-right": way.right.value, "x-areas": way.cut.value},
            )
        self._hot = {way.path: way for way in WAYS if way.hot}
        self._direct = ExceptionMiddleware(self._take, handlers)
        self._outer = ServerErrorMiddleware(self._choose, problems.from_bug)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await super().__call__(scope, receive, send)
        number = _number(scope)
        request_id.set(number)  # each request is a task of its own
        if scope["method"] == "HEAD":  # as GET; the server leaves the body out
            scope = {**scope, "method": "GET", "head": True}
        scope["app"] = self
        with traces.span(scope["method"], {"fieldhub.request.id": number}, scope["headers"]) as span:
            await self._counted(scope, receive, send, number, span)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, number: str, span: traces.Span) -> None:
        began, status = time.perf_counter(), 500

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message.get("headers", ()), *pages.SECURITY]
                headers.append((b"x-request-id", number.encode()))
                if scope["scheme"] == "https":
                    headers.append(pages.HSTS)
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append(pages.NO_PAGE)
            await send(message)

        try:
            await self._outer(scope, receive, dressed)
        finally:
            way = scope.get("way", "none")
            self.state.desk.metrics.count(way, status, time.perf_counter() - began)
            span.named(f"{scope['method']} {way}")
            span.tell({"http.request.method": scope["method"], "http.route": way, "http.response.status_code": status})
            if status >= 500:
                span.fails(str(status))

    async def _choose(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and not scope["query_string"]:
            path = scope["path"]
            way, variable = self._hot.get(path), ""
            if way is None and path.startswith(_DEVICE) and "/" not in path[len(_DEVICE) :]:
                way, variable = self._hot[_DEVICE + "{device_id}"], path[len(_DEVICE) :]
            if way is not None and (variable or "{" not in way.path):
                scope["hot"] = way, variable
                return await self._direct(scope, receive, send)
        await super().__call__(scope, _bounded(scope, receive), send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A hot route: through the gate and there."""
        way, variable = scope["hot"]
        scope["way"] = way.path
        request = Request(scope, receive, send)
        scope["caller"] = await self.state.desk.gate.admit(scope, way.right, way.cut is Cut.WHOLE)
        response = await (way.do(request, variable) if variable else way.do(request))
        await response(scope, receive, send)


_DEVICE = f"{API}/devices/"


class Lane(APIRoute):
    """A route behind the gate: who asks is settled before anything that was sent is looked at."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        extra = self.openapi_extra or {}
        right, whole = Right(extra["x-right"]), extra["x-areas"] == Cut.WHOLE
        path = self.path

        async def admitted(request: Request) -> Response:
            scope = request.scope
            scope["way"] = path
            scope["caller"] = await scope["app"].state.desk.gate.admit(scope, right, whole)
            return await handle(request)

        return admitted


def _number(scope: Scope) -> str:
    """The request's id: as somebody in front has given it (X-Request-Id), or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and ID_FORM.fullmatch(given := value.decode("latin-1")):
            return str(given)
    return secrets.token_hex(8)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """The request, as long as its body is not longer than MAX_BODY_BYTES; what says that it is longer is not read."""
    taken = 0
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BODY_BYTES:
            taken = MAX_BODY_BYTES + 1

    async def at_most() -> Message:
        nonlocal taken
        if taken > MAX_BODY_BYTES:
            raise HTTPException(413)
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise HTTPException(413)
        return message

    return at_most


@asynccontextmanager
async def _lifespan(app: Console) -> AsyncIterator[None]:
    it: Desk = app.state.desk
    jobs = [asyncio.create_task(_recheck(it)), asyncio.create_task(_forget(it)), asyncio.create_task(_tell(it))]
    try:
        yield
    finally:
        it.bus.close()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def _recheck(it: Desk) -> None:
    """Another process (fieldhub user) may end a session; open streams shall feel it."""
    await _again(it, auth.RECHECK_S, lambda: it.gate.recheck(viewer.ticket for viewer in it.bus.viewers))


async def _tell(it: Desk) -> None:
    """What was refused too often to be noted each time."""
    await _again(it, auth.NOTE_AGAIN_S, it.gate.tell_unnoted)


async def _forget(it: Desk) -> None:
    await _again(it, FORGET_S, lambda: it.house.ledger.people.drop_expired(it.house.clock.now()))


async def _again(it: Desk, every_s: float, job: Callable[[], Awaitable[Any]]) -> None:
    while True:
        await asyncio.sleep(every_s)
        with suppress(LedgerUnavailable):  # the next time, then
            await job()
