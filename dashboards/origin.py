"""Where from a request comes, for the entries that it causes."""

from __future__ import annotations

from starlette.requests import Request

from dashboards.caller import address_of, agent_of
from dashboards.desk import caller
from hub.model import Origin

SESSION_LETTERS = 12  # of a session's id: enough to tell sessions apart, and the id is a hash already


def origin(request: Request) -> Origin:
    """Of a request that the gate has let in."""
    who = caller(request)
    return Origin(
        address=address_of(request.scope),
        agent=agent_of(request.scope),
        session=who.session.id[:SESSION_LETTERS] if who.session else "",
        token=who.token.id if who.token else "",
    )
