"""Every answer that is not what was asked for: RFC 9457, in the asker's language, always with what to do instead."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.live import MAX_VIEWERS, TooManyViewers
from dashboards.shape import encode
from hub.annunciator import NotLive
from hub.guard import BadArgs
from hub.historian.base import AskedTooMuch, HistoryUnavailable
from hub.ledger.trouble import LedgerUnavailable
from hub.logs import request_id
from hub.model import Words
from hub.passwords import WeakPassword
from hub.words import LANGUAGES, Catalogue

MEDIA_TYPE = "application/problem+json"
MAX_MISTAKES = 50  # of one request that are listed
MAX_NEAR = 5  # names that look like the one that is not known
MAX_ECHO = 100  # letters of what somebody wrote that are said back

SAYS = Catalogue.read([Path(__file__).with_name("words.toml")])

STATUS = {
    "sign_in_first": 401,
    "wrong_name_or_password": 401,
    "code_needed": 401,
    "wrong_code": 401,
    "session_over": 401,
    "bad_token": 401,
    "wrong_setup_code": 403,
    "no_right": 403,
    "not_whole": 403,
    "do_first": 403,
    "session_only": 403,
    "not_to_oneself": 403,
    "power_is_apart": 403,
    "csrf": 403,
    "not_found": 404,
    "unknown_device": 404,
    "unknown_point": 404,
    "unknown_action": 404,
    "unknown_command": 404,
    "unknown_alarm": 404,
    "unknown_receiver": 404,
    "unknown_person": 404,
    "unknown_token": 404,
    "unknown_session": 404,
    "unknown_fault": 404,
    "no_demo": 404,
    "no_openid": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "alarm_not_live": 409,
    "not_under_way": 409,
    "wrong_confirmation": 409,
    "key_is_taken": 409,
    "command_refused": 409,
    "name_is_taken": 409,
    "subject_is_taken": 409,
    "last_admin": 409,
    "of_a_file": 409,
    "dials_nowhere": 409,
    "powers_are_apart": 409,
    "second_not_begun": 409,
    "second_is_wanted": 409,
    "too_large": 413,
    "invalid": 422,
    "bad_args": 422,
    "wrong_old_password": 422,
    "wrong_new_code": 422,
    "asked_too_much": 422,
    "slow_down": 429,
    "broken": 500,
    "ledger_unavailable": 503,
    "history_unavailable": 503,
    "too_many_viewers": 503,
    "not_ready": 503,
    "refused": 400,
}

log = logging.getLogger("fieldhub.api")


class Problem(Exception):
    """Ends a request. `code` is a key of STATUS and, in words.toml, of problem.CODE.title and .detail.

    `args` go into the sentence; `more` is added to the answer as it is (near names, all mistakes).
    """

    def __init__(
        self,
        code: str,
        args: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = STATUS[code]
        self.values = {name: _echo(it) for name, it in (args or {}).items()}
        self.headers = dict(headers or {})
        self.more = more


def answer(request: Request, problem: Problem) -> Response:
    """The problem as a response, in the language that the request asks for."""
    tongue = language(request)
    house = request.scope["app"].state.desk.house
    values = {key: house.words.say(it, tongue) if isinstance(it, Words) else it for key, it in problem.values.items()}
    body = {
        "type": f"urn:fieldhub:problem:{problem.code}",
        "title": SAYS.say(Words(f"problem.{problem.code}.title"), tongue),
        "status": problem.status,
        "detail": SAYS.say(Words(f"problem.{problem.code}.detail", values), tongue),
        "instance": request.scope["path"],
        "code": problem.code,
        "args": problem.values,
        **problem.more,
    }
    headers = {"Content-Language": tongue, "Cache-Control": "no-store", **problem.headers}
    return Response(encode(body), problem.status, headers, MEDIA_TYPE)


def language(request: Request) -> str:
    """What the asker reads: ?language=, else the first of Accept-Language that we speak, else the site's own."""
    wanted = request.query_params.get("language") or request.headers.get("accept-language", "")
    for tag in wanted.split(","):
        for known in LANGUAGES:
            if tag.split(";")[0].strip().lower().split("-")[0] == known.split("-")[0]:
                return known
    return str(request.scope["app"].state.desk.house.site.hub.site.language)


def unknown(code: str, name: str, known: Iterable[str], **args: Any) -> Problem:
    """There is no such thing; these look like it."""
    near = difflib.get_close_matches(name[:MAX_ECHO], list(known), n=MAX_NEAR, cutoff=0.5)
    return Problem(code, {"name": name, **args}, near=near)


def weak_password(request: Request, weak: WeakPassword, where: str) -> Problem:
    """What is wrong with a password, in the asker's language."""
    what = request.scope["app"].state.desk.house.words.say(weak.words, language(request))
    return Problem("invalid", {"count": 1}, mistakes=[{"where": where, "what": what, "rule": "weak"}])


async def from_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


async def from_house(request: Request, error: Exception) -> Response:
    """What the hub refuses: its errors, in our words."""
    match error:
        case NotLive():
            return answer(request, Problem("alarm_not_live"))
        case BadArgs():
            mistakes = [{"where": "body.args", "what": it, "rule": "args"} for it in error.mistakes]
            return answer(request, Problem("bad_args", {"mistakes": str(error)}, mistakes=mistakes))
        case AskedTooMuch():
            return answer(request, Problem("asked_too_much", {"what": str(error)}))
        case HistoryUnavailable():
            return answer(request, Problem("history_unavailable", headers={"Retry-After": "10"}))
        case TooManyViewers():
            return answer(request, Problem("too_many_viewers", {"count": MAX_VIEWERS}, headers={"Retry-After": "30"}))
        case _:
            log.warning("%s %s: %s", request.method, request.scope["path"], error)
            return answer(request, Problem("ledger_unavailable", headers={"Retry-After": "10"}))


async def from_http(request: Request, error: Exception) -> Response:
    """What the framework says by itself: no such path, no such method, a body that is too large."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    args = {"path": request.scope["path"], "method": request.method}
    status = error.status_code
    if status == 405:
        allow = _methods(request)
        if allow:
            return answer(request, Problem("method_not_allowed", {**args, "allow": allow}, headers={"Allow": allow}))
        status = 404
    code = {404: "not_found", 413: "too_large"}.get(status, "refused")
    return answer(request, Problem(code, args, headers=headers))


def _methods(request: Request) -> str:
    """What this address takes. The console's pages, which match everything, do not count below /api."""
    path = request.scope["path"]
    found: set[str] = set()
    for route in request.scope["app"].router.routes:
        if route.path_regex.match(path) and not (path.startswith("/api/") and route.path == "/{path:path}"):
            found |= route.methods
    return ", ".join(sorted(found))


async def from_validation(request: Request, error: Exception) -> Response:
    """Every mistake of the request at once. What was written is not said back: it may be a password."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    mistakes = [
        {
            "where": ".".join(str(step) for step in it["loc"]),
            "what": it["msg"].removeprefix("Value error, "),
            "rule": it["type"],
        }
        for it in found[:MAX_MISTAKES]
    ]
    return answer(request, Problem("invalid", {"count": len(found)}, mistakes=mistakes))


async def from_bug(request: Request, error: Exception) -> Response:
    """Our own fault: the request's id, which stands in the log too, and nothing about the inside."""
    number = request_id.get()
    if "bug" in request.scope:  # two layers of the framework bring it here
        return answer(request, Problem("broken", {"number": number}))
    request.scope["bug"] = number
    log.error("problem %s at %s %s", number, request.method, request.scope["path"], exc_info=error)
    return answer(request, Problem("broken", {"number": number}))


def handlers() -> dict[Any, Any]:
    """Which of our answers belongs to which error."""
    of_the_house = (NotLive, BadArgs, AskedTooMuch, HistoryUnavailable, LedgerUnavailable, TooManyViewers)
    return {
        Problem: from_problem,
        HTTPException: from_http,
        RequestValidationError: from_validation,
        **dict.fromkeys(of_the_house, from_house),
    }


def _echo(it: Any) -> Any:
    return it[:MAX_ECHO] if isinstance(it, str) else it
