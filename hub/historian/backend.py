"""What a time-series server must be able to do for us, and how it is reached; influx.py and victoria.py do it.

Everything here blocks, and is called from the remote store's threads. A server that does not answer, or not as it
should, is Away; one that will never take these lines is Refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import urllib3
from msgspec import Struct

from hub.historian.base import Buckets, Columns, HistoryUnavailable, Sample

WRITE_S, QUERY_S = 10.0, 30.0  # how long an answer may take
CONNECTIONS = 6
AT_ONCE = 500  # series of one question
NO_RETRIES = urllib3.Retry(0, redirect=False)  # the spool tries again
MOST_SAID = 300  # characters of what a server says
unanswered = (urllib3.exceptions.HTTPError, OSError)


class Away(HistoryUnavailable):
    """The server does not answer, is too busy, or does not let us in: to be tried again."""


class Refused(HistoryUnavailable):
    """The server will not take these lines, however often they are sent."""


class Backend(Protocol):
    """One server. Raises Away and Refused; µs in and out, also where a server keeps milliseconds."""

    url: str
    resolution_us: int  # two readings of a series nearer to each other than this are one

    def write(self, lines: bytes) -> None:
        """Keep these lines (hub/historian/lines.py). Sent again they change nothing."""
        ...

    def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        """Of the series that have any. Raises AskedTooMuch."""
        ...

    def buckets(self, series: Sequence[int], first: int, last: int, step_us: int) -> dict[int, Buckets]:
        """Steps number `first` up to, not including, `last`."""
        ...

    def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample]: ...

    def drop_before(self, at_us: int) -> bool:
        """Whether it does that; where not, only its own retention frees its disk."""
        ...

    def settle(self) -> None:
        """What was written can be asked for on return. For tests and moves; servers do it by themselves."""
        ...

    def close(self) -> None: ...


class Access(Struct, frozen=True):
    """Where a server is, and by what right we use it."""

    url: str
    token: str = ""
    org: str = ""
    bucket: str = ""
    measurement: str = "fieldhub"


class Http:
    """Requests to one server."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(CONNECTIONS, block=True, headers=dict(headers), retries=NO_RETRIES)

    def ask(self, path: str, fields: Mapping[str, Any] | Sequence[tuple[str, Any]], wait_s: float = QUERY_S) -> bytes:
        return self._send(path, wait_s, fields=fields, encode_multipart=False)

    def post(self, path: str, body: bytes, wait_s: float = WRITE_S) -> bytes:
        return self._send(path, wait_s, body=body)

    def _send(self, path: str, wait_s: float, **what: Any) -> bytes:
        try:
            answer = self._pool.request("POST", self.url + path, timeout=wait_s, **what)
        except unanswered as failure:
            raise away(self.url, failure) from failure
        body: bytes = answer.data
        if answer.status >= 300:
            raise unfit(self.url, answer.status, body.decode(errors="replace"))
        return body

    def close(self) -> None:
        self._pool.clear()


def away(url: str, failure: object) -> Away:
    return Away(f"{url} › does not answer: {str(failure)[:MOST_SAID]} › start it, or mend the network")


def unfit(url: str, status: int, said: str) -> Away | Refused:
    """What a status that is no success means."""
    said = " ".join(said.split())[:MOST_SAID]
    if status in (401, 403):
        return Away(f"{url} › does not let us in ({status}: {said}) › check the token, and what it may")
    if status == 404:
        return Away(f"{url} › does not know what we ask for (404: {said}) › check [history]: url, org, bucket")
    if status in (400, 413, 422):
        return Refused(f"{url} › refuses ({status}: {said}) › see the server's log")
    return Away(f"{url} › is not ready ({status}: {said}) › see the server's log")


def groups(series: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(series), AT_ONCE):
        yield series[at : at + AT_ONCE]
