"""Signing in at an OpenID provider (authorization code with PKCE): the county's own list of staff says who it is.

What somebody may here is said here: the provider's word is a name only, found in Person.subject. A session begins as
with a password, and nobody is made up: who is not known or may not log in stays outside.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from dashboards.caller import address_of, plain
from dashboards.desk import desk
from dashboards.packed import ready
from dashboards.problems import Problem
from dashboards.session import cookie

if TYPE_CHECKING:
    from dashboards.oidc_provider import Provider

BACK = "/api/v1/openid/back"
STATE_COOKIE = "fieldhub-openid"
FLOW_S = 600.0  # one may take so long at the provider

log = logging.getLogger("fieldhub.openid")


class Outside(Exception):
    """Somebody could not be let in; `why` is told to them: "unknown", "failed", "refused", "late"."""

    def __init__(self, why: str, words: str) -> None:
        super().__init__(words)
        self.why = why


# ---- routes -------------------------------------------------------------------------------------------------------


async def begin(request: Request) -> Response:
    """Go to the OpenID provider, to sign in there. Opened by a link, not by a script."""
    try:
        url, state = await _provider(request).begin(address_of(request.scope))
    except Outside as outside:
        return _stay(request, outside)
    return _go(url, _state(request, state, int(FLOW_S)))


async def back(request: Request) -> Response:
    """The provider sends the browser here, with a code that is good once. What is wrong is told on the log-in page."""
    asked, at = request.query_params, desk(request)
    state = asked.get("state", "")
    try:
        if not state or not secrets.compare_digest(
            state.encode(), request.cookies.get(STATE_COOKIE, "").encode("utf-8", "replace")
        ):
            raise Outside("late", "the browser that comes back is not the one that went")
        if "error" in asked:
            raise Outside("refused", f"the provider says {asked['error'][:100]!r}")
        subject = await _provider(request).subject(state, asked.get("code", ""))
        person = await at.house.ledger.people.person_of(subject)
        if person is None or person.disabled:
            await at.gate.note_refusal("openid", "", request.scope, subject=plain(subject))
            raise Outside("unknown", f"nobody here is {subject!r} there")
        secret, _ = await at.entrance.open(person, "openid", request.scope)
    except Outside as outside:
        return _stay(request, outside)
    age_s = int(at.gate.rules.longest.total_seconds())
    return _go("/", cookie(request, secret, age_s), _state(request, "", 0))


def _provider(request: Request) -> Provider:
    provider = desk(request).provider
    if provider is None:
        raise Problem("no_openid")
    return provider


def _stay(request: Request, outside: Outside) -> Response:
    log.warning("nobody was let in: %s", outside)
    return _go(f"/?{urlencode({'openid': outside.why})}", _state(request, "", 0))


def _go(where: str, *cookies: tuple[bytes, bytes]) -> Response:
    return ready(b"", [(b"location", where.encode("latin-1")), (b"cache-control", b"no-store"), *cookies], 303)


def _state(request: Request, state: str, age_s: int) -> tuple[bytes, bytes]:
    """Lax: it must come along when the provider sends the browser back."""
    secure = "; Secure" if request.url.scheme == "https" else ""
    text = f"{STATE_COOKIE}={state}; Path={BACK}; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", text.encode("latin-1")
