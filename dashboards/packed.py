"""Answers that are made once and given to many: with a name (ETag) and, for who takes it, compressed."""

from __future__ import annotations

import asyncio
import zlib
from hashlib import sha256

import zstandard
from starlette.requests import Request
from starlette.responses import Response

COMPRESS_FROM_BYTES = 1_000
THREAD_FROM_BYTES = 100_000  # larger ones are compressed beside the event loop
GZIP_LEVEL = 1
ZSTD_LEVEL = 1
JSON = b"application/json"

Headers = tuple[tuple[bytes, bytes], ...]


class Packed:
    """Bytes to be served, and their compressed forms, each made when it is first asked for."""

    def __init__(
        self, body: bytes, media_type: bytes = JSON, cache: bytes = b"no-cache", headers: Headers = (), tag: str = ""
    ) -> None:
        self.body = body
        self.tag = f'"{tag or sha256(body).hexdigest()[:20]}"'
        self._headers = [
            (b"content-type", media_type),
            (b"cache-control", cache),
            (b"vary", b"accept-encoding"),
            (b"etag", self.tag.encode()),
            *headers,
        ]
        self._forms: dict[str, asyncio.Future[bytes] | bytes] = {}

    async def answer(self, request: Request) -> Response:
        """The whole, or 304 for who has it already."""
        asked = request.headers
        if self.tag in asked.get("if-none-match", ""):
            return ready(b"", self._headers[1:], 304)
        form = _form(asked.get("accept-encoding", "")) if len(self.body) >= COMPRESS_FROM_BYTES else ""
        if not form:
            return ready(self.body, self._headers)
        return ready(await self._packed(form), [*self._headers, (b"content-encoding", form.encode())])

    async def _packed(self, form: str) -> bytes:
        known = self._forms.get(form)
        if known is None:
            if len(self.body) < THREAD_FROM_BYTES:
                known = self._forms[form] = _pack(form, self.body)
            else:
                known = self._forms[form] = asyncio.ensure_future(asyncio.to_thread(_pack, form, self.body))
        if isinstance(known, bytes):
            return known
        packed = await asyncio.shield(known)
        self._forms[form] = packed
        return packed


def ready(body: bytes, headers: list[tuple[bytes, bytes]], status: int = 200) -> Response:
    """A response from what is bytes already."""
    it = Response.__new__(Response)
    it.status_code = status
    it.background = None
    it.body = body
    it.raw_headers = headers if status == 304 else [*headers, (b"content-length", b"%d" % len(body))]
    return it


def json(body: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    """JSON of this moment: nobody keeps it."""
    return ready(body, [(b"content-type", JSON), (b"cache-control", b"no-store"), *(headers or ())], status)


def _form(accepted: str) -> str:
    """zstd or gzip, when it is accepted (RFC 9110: q=0 is a no)."""
    wanted = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        wanted[name.strip()] = "".join(weight.split()) not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((form for form in ("zstd", "gzip") if wanted.get(form)), "")


def _pack(form: str, body: bytes) -> bytes:
    if form == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()
