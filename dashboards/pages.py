"""Serves the console: dashboards/web. index.html for every page address, the files under an address that never changes.

In index.html `{{assets}}` stands for that address, /assets/VERSION, where VERSION is a sum of all files: an upgrade is
one reload. Everything is read once, at the start; no request touches the disk.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dashboards.desk import desk
from dashboards.packed import Packed
from dashboards.problems import Problem

WEB = Path(__file__).resolve().parent / "web"
FOREVER = b"public, max-age=31536000, immutable"
MAX_FILES_BYTES = 8 * 1024 * 1024  # all files of the console together: they are kept in memory

TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".woff2": b"font/woff2",
    ".webmanifest": b"application/manifest+json",
    ".geojson": b"application/geo+json",
}

# For every answer.
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
# Over HTTPS: browsers that came once come no other way for a year.
HSTS = (b"strict-transport-security", b"max-age=31536000")
# What is no page runs nothing.
NO_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# A worker obeys the policy of its own file, not the page's: web/app/worker.js holds the live stream.
WORKER = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'",
)
_PAGE = (
    "default-src 'none'; script-src 'self'{hashes}; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)


class Pages:
    """The console's files, in memory."""

    def __init__(self, web: Path = WEB) -> None:
        files = {
            path.relative_to(web).as_posix(): path.read_bytes()
            for path in sorted(web.rglob("*"))
            if path.is_file() and path.suffix in TYPES and not any(p.startswith(".") for p in path.parts[-2:])
        }
        size = sum(map(len, files.values()))
        if size > MAX_FILES_BYTES:
            raise ValueError(f"{web} › holds {size} bytes; {MAX_FILES_BYTES} is the most. Take something out")
        self.version = sha256(
            b"".join(name.encode() + sha256(body).digest() for name, body in files.items())
        ).hexdigest()[:12]
        self.assets = f"/assets/{self.version}"
        self.index = self._index(files.pop("index.html", b"").decode("utf-8"))
        self._files = {
            f"{self.assets}/{name}": Packed(
                _small(name, body), TYPES[Path(name).suffix], FOREVER, (WORKER if name.endswith(".js") else NO_PAGE,)
            )
            for name, body in files.items()
        }

    def file(self, path: str) -> Packed | None:
        return self._files.get(path)

    def _index(self, text: str) -> Packed | None:
        if not text:
            return None
        text = text.replace("{{assets}}", self.assets)
        policy = _PAGE.format(hashes="".join(f" '{_hash(script)}'" for script in _INLINE_SCRIPT.findall(text)))
        headers = ((b"content-security-policy", policy.encode()),)
        return Packed(text.encode(), TYPES[".html"], b"no-cache", headers)


async def asset(request: Request) -> Response:
    """A file of the console, kept by browsers for ever: its address changes with its content."""
    found = desk(request).pages.file(request.scope["path"])
    if found is None:
        raise Problem("not_found", {"path": request.scope["path"]})
    return await found.answer(request)


async def page(request: Request) -> Response:
    """The console, for every address that is one of its pages; it looks at the address itself."""
    path = request.scope["path"]
    index = desk(request).pages.index
    is_file = Path(path).suffix in TYPES  # /point/ps-1/inlet.level is a page
    if index is None or is_file or path.startswith(("/api/", "/assets/")):
        raise Problem("not_found", {"path": path})
    return await index.answer(request)


def _small(name: str, body: bytes) -> bytes:
    """A file as it is sent: the spaces of texts are for people who edit them."""
    return msgspec.json.encode(msgspec.json.decode(body)) if name.startswith("i18n/") else body


def _hash(script: str) -> str:
    return "sha256-" + b64encode(sha256(script.encode()).digest()).decode()
