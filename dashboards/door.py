"""The server's door: HTTPS, who may hold how many connections, and how long one may take to say what it wants.

    server = door.server(app, site.hub.http, site.folder)

A connection that says nothing, says it drop by drop (slow-loris), sends headers without an end, or does not take its
answer is closed; one address cannot hold all connections. What is asked for is app.py's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.config import HttpTable

GRACEFUL_S = 2  # open event streams are given so long when the house closes
RELOAD_S = 60.0  # a renewed certificate is taken within

log = logging.getLogger("fieldhub.door")


class Limits(Struct, frozen=True):
    """Of one door."""

    head_s: float = 15.0  # from the connection, or from a request's first byte, to the end of its headers
    body_s: float = 30.0  # from there to the end of its body
    stuck_s: float = 60.0  # an answer of which nothing is taken for so long is not worth keeping
    head_bytes: int = 32 * 1024
    headers: int = 100
    pipelined: int = 16  # requests that one connection sends before the first is answered
    connections: int = 4_000
    from_one: int = 2_000  # of them from one address: five hundred desks behind one router, twice over
    silent_from_one: int = 200  # of those, that have not asked for anything yet


class Porch:
    """Who stands at the door now."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.all = 0
        self.by_address: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        self.refused = 0  # connections that were turned away
        self.closed = 0  # connections that were too slow

    def has_room_for(self, address: str) -> bool:
        limits = self.limits
        return (
            self.all < limits.connections
            and self.by_address[address] < limits.from_one
            and self.silent[address] < limits.silent_from_one
        )


class Door(HttpToolsProtocol):
    """One connection."""

    def __init__(self, porch: Porch, **given: Any) -> None:
        super().__init__(**given)
        self._porch = porch
        self._limits = porch.limits
        self._address = ""
        self._inside = self._is_silent = False
        self._timer: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    # ---- coming and going -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        porch = self._porch
        if not porch.has_room_for(self._address):
            porch.refused += 1
            transport.abort()
            return
        self._inside = self._is_silent = True
        porch.all += 1
        porch.by_address[self._address] += 1
        porch.silent[self._address] += 1
        self._within(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        self._cancel_stuck()
        if self._inside:
            self._inside = False
            self._porch.all -= 1
            _one_less(self._porch.by_address, self._address)
            self._speaks()
        super().connection_lost(exc)

    def _speaks(self) -> None:
        if self._is_silent:
            self._is_silent = False
            _one_less(self._porch.silent, self._address)

    # ---- asking ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            # Only a part of this may be headers; what is over by more than one read is headers without an end.
            if self._head_bytes > self._limits.head_bytes + len(data):
                return self._turn_away(b"431 Request Header Fields Too Large")
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if len(self.pipeline) >= self._limits.pipelined:
            self._turn_away(b"429 Too Many Requests")
        self._in_head, self._head_bytes = True, 0
        self._within(self._limits.head_s)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.head_bytes:
            self._turn_away(b"414 URI Too Long")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self._limits.headers or len(value) > self._limits.head_bytes:
            self._turn_away(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        if self.transport.is_closing():  # turned away meanwhile
            return
        self._in_head = False
        self._speaks()
        self._within(self._limits.body_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._within(None)
        self._in_head, self._head_bytes = True, 0
        if self.cycle is not None:
            super().on_message_complete()

    # ---- too slow, too much ---------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self._limits.stuck_s, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stuck()

    def _cancel_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _within(self, seconds: float | None) -> None:
        """Close the connection unless the next step comes within `seconds`; None: there is no hurry."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        self._porch.closed += 1
        self.transport.abort()

    def _turn_away(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self._porch.refused += 1
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()


def _one_less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


class Server(uvicorn.Server):
    """uvicorn's, without its signal handlers (the front door has its own); its certificate can be renewed."""

    def __init__(self, config: uvicorn.Config, porch: Porch, files: tuple[Path, Path] | None) -> None:
        super().__init__(config)
        self.porch = porch
        self._files = files
        self._taken = _stamp(files)

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()

    async def keep_certificate(self) -> None:
        """Take a renewed certificate while the server runs: connections that come from then on get it."""
        while True:
            await asyncio.sleep(RELOAD_S)
            self.take_certificate()

    def take_certificate(self) -> bool:
        """Whether there was a new one. One that cannot be read is left for the next look, and said."""
        now = _stamp(self._files)
        if self._files is None or now == self._taken or self.config.ssl is None:
            return False
        try:
            self.config.ssl.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.error("the renewed certificate %s cannot be used: %s. The old one stays", self._files[0], error)
            return False
        self._taken = now
        log.info("the certificate %s was renewed", self._files[0])
        return True


def _stamp(files: tuple[Path, Path] | None) -> tuple[int, ...]:
    try:
        return tuple(it.stat().st_mtime_ns for it in files or ())
    except OSError:
        return ()


def server(app: Any, http: HttpTable, folder: Path, limits: Limits | None = None, **more: Any) -> Server:
    """The server of the console and the API; `more` goes to uvicorn."""
    porch = Porch(limits or Limits())
    files = (folder / http.cert, folder / http.key) if http.cert else None
    given: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,
        "lifespan": "on",
        "ws": "none",
        "timeout_graceful_shutdown": GRACEFUL_S,
        "server_header": False,
        "date_header": True,
        "proxy_headers": bool(http.proxies),
        "forwarded_allow_ips": list(http.proxies),
    }
    if files is not None:
        given["ssl_context_factory"] = lambda *_: _context(files)
    config = uvicorn.Config(app, http=partial(Door, porch), **(given | more))  # type: ignore[arg-type]
    return Server(config, porch, files)


def _context(files: tuple[Path, Path]) -> ssl.SSLContext:
    """TLS 1.2 and newer; of 1.2 only suites with forward secrecy and authenticated encryption."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.load_cert_chain(*files)
    return context
