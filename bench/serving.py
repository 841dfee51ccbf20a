"""What the HTTP benches share: the county in a process of its own, its CPU time, and a client that costs little."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_S = 120.0


class Server:
    """One server in its own process."""

    def __init__(self, process: subprocess.Popen[str], hello: dict[str, Any]) -> None:
        self.pid = process.pid
        self.port = int(hello["port"])
        self.cookie = str(hello.get("cookie", ""))
        self.token = str(hello.get("csrf", ""))

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far, to the nanosecond."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that has just ended
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def server(what: str, *args: str) -> Iterator[Server]:
    """`python -m bench.serving WHAT ARGS` until the block ends."""
    command = [sys.executable, "-m", "bench.serving", what, *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(process, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Asker(asyncio.Protocol):
    """Asks the same again and again on one connection; knows where an answer ends by its content-length."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._left = 0
        self._buffer = b""
        self.answer = b""
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    async def ask(self, times: int) -> None:
        self._left = times
        self.done = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        await self.done

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            self._buffer = buffer
            return
        at = buffer.find(b"content-length: ")
        length = int(buffer[at + 16 : buffer.index(b"\r\n", at)])
        if len(buffer) < head + 4 + length:
            self._buffer = buffer
            return
        self._buffer, self.answer = b"", buffer
        self._left -= 1
        if self._left > 0:
            self._transport.write(self._request)
        elif self.done is not None:
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(error or ConnectionResetError("the server closed"))


async def asker(it: Server, path: str, *headers: str, method: str = "GET", body: str = "") -> Asker:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: fieldhub={it.cookie}", *headers]
    if method != "GET":
        lines += [f"X-CSRF-Token: {it.token}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    request = "\r\n".join([*lines, "", body]).encode()
    _, protocol = await asyncio.get_running_loop().create_connection(lambda: Asker(request), "127.0.0.1", it.port)
    return protocol


# ---- the servers --------------------------------------------------------------------------------------------------


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The least that an ASGI server can be asked to do: a small answer, and an endless stream."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        while True:
            await TICKS.wait()
            await send({"type": "http.response.body", "body": FRAME, "more_body": True})
    body = SMALL
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Ticks:
    """Wakes everybody who waits, once a second."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)


TICKS = Ticks()
SMALL = json.dumps({"name": "water_operator", "roles": ["water_operator"], "pad": "x" * 240}).encode()
FRAME = b"id: 1.1\ndata: " + b"x" * 2000 + b"\n\n"


async def serve_bare() -> None:
    from tests.dashboards.county import serving

    ticking = asyncio.create_task(TICKS.run())
    async with serving(bare) as url:
        print(json.dumps({"port": int(url.rpartition(":")[2])}), flush=True)
        await asyncio.sleep(3600)
    ticking.cancel()


async def serve_county(count: int, changes_a_second: int) -> None:
    """A county of `count` devices, of which so many tell something new every second."""
    from tests.dashboards.county import county

    with tempfile.TemporaryDirectory() as folder:
        async with county(Path(folder), count) as it:
            async with it.browser() as browser:
                hello = {"cookie": browser.cookies["fieldhub"], "csrf": browser.headers["X-CSRF-Token"]}
            print(json.dumps({"port": int(it.url.rpartition(":")[2]), **hello}), flush=True)
            ids = list(it.house.hub.members)
            turn = 0
            while True:
                await asyncio.sleep(1.0)
                for step in range(changes_a_second):
                    level = 2.0 + ((turn + step) % 97) / 100
                    it.tell(ids[(turn + step) % len(ids)], {"inlet.level": level, "pump1.running": level > 2.5})
                turn += changes_a_second


def main() -> None:
    import uvloop

    if len(sys.argv) == 1:
        print("measures nothing by itself: it serves bench.http and bench.stream")
        return
    what, *args = sys.argv[1:]
    work = serve_bare() if what == "bare" else serve_county(int(args[0]), int(args[1]))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(work)


if __name__ == "__main__":
    main()
