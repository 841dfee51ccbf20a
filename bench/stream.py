"""What the live stream costs: 500 viewers, one frame of about 2 kB a second, beside a bare ASGI stream of that size.

Promised: ≤ 3 % of a core for the viewers; what hearing the readings costs is measured without viewers and taken off.
Then what readers that read nothing do to memory.
"""

from __future__ import annotations

import asyncio
import sys
import time

from bench.serving import Server, server

VIEWERS = 500
SECONDS = 15
CHANGES = 18  # devices a second: about 2 kB
SLOW_READERS = 100
BUSY_CHANGES = 2_000  # devices a second, for the slow readers
SHARE = 3.0  # % of a core
GROWTH_MB = 120.0  # for the slow readers, all together


class Reader(asyncio.Protocol):
    """An open stream; counts its bytes and frames."""

    def __init__(self, request: bytes, slow: bool = False) -> None:
        self._request = request
        self._slow = slow
        self.bytes = self.frames = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self._request)
        if self._slow:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        self.frames += data.count(b"\nid: ") + data.startswith(b"id: ")


async def watch(it: Server, path: str, count: int, slow: bool = False) -> list[Reader]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: fieldhub={it.cookie}\r\n\r\n".encode()
    readers = [Reader(request, slow) for _ in range(count)]
    loop = asyncio.get_running_loop()
    for reader in readers:
        await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", it.port)  # type: ignore[misc]
    await asyncio.sleep(2.0)
    return readers


async def cost(it: Server, readers: list[Reader]) -> tuple[float, float, float]:
    """(% of a core, frames a second and viewer, kB a frame) over SECONDS."""
    for reader in readers:
        reader.bytes = reader.frames = 0
    cpu, began = it.cpu_s(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    took = time.perf_counter() - began
    share = (it.cpu_s() - cpu) / took * 100
    frames = sum(reader.frames for reader in readers)
    if not frames:
        return share, 0.0, 0.0
    return share, frames / len(readers) / took, sum(reader.bytes for reader in readers) / frames / 1e3


def close(readers: list[Reader]) -> None:
    for reader in readers:
        reader.transport.close()


async def run() -> bool:
    with server("bare") as bare, server("county", "600", str(CHANGES)) as ours:
        print(f"{'':34} {'% core':>7} {'frames/s':>9} {'kB':>6}")
        idle, _, _ = await cost(ours, [])
        print(f"{'ours, nobody watches':34} {idle:7.2f}")
        both = []
        for name, it, path in (("bare ASGI stream", bare, "/stream"), ("ours", ours, "/api/v1/stream")):
            readers = await watch(it, path, VIEWERS)
            share, rate, size = await cost(it, readers)
            print(f"{f'{name}, {VIEWERS} viewers':34} {share:7.2f} {rate:9.2f} {size:6.2f}")
            close(readers)
            both.append(share)
        rss = ours.rss_mb()
        print(f"{'memory':34} {rss:7.0f} MB")
    with server("county", "4000", str(BUSY_CHANGES)) as ours:
        before = ours.rss_mb()
        readers = await watch(ours, "/api/v1/stream", SLOW_READERS, slow=True)
        await asyncio.sleep(SECONDS * 2)
        growth = ours.rss_mb() - before
        close(readers)
    print(f"{f'{SLOW_READERS} read nothing':34} {growth:+7.0f} MB in {SECONDS * 2} s, {BUSY_CHANGES} changes/s")
    ours_share = both[1] - idle
    good = ours_share <= SHARE and growth <= GROWTH_MB
    verdict = "kept" if good else "NOT KEPT"
    print(f"\npromised: ≤ {SHARE} % for the viewers ({ours_share:.2f}), ≤ {GROWTH_MB:.0f} MB: {verdict}")
    return good


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run()) else 1)
