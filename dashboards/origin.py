"""Where from a request comes, for the entries that it causes."""

from __future__ import annotations

from starlette.requests import Request

from dashboards.caller import where_from
from hub.model import Origin


def origin(request: Request) -> Origin:
    """Of a request that the gate has let in."""
    return Origin(**where_from(request.scope))
