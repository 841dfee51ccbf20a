"""What answers cost: small ones beside a bare ASGI server, and the states of 20,000 devices.

Promised: a small GET costs at most 2.5 times what the bare server's does (ratio ≥ 0.4), in the same run, turn by turn;
a GET of 20,000 states, compressed, 120 devices a second changing meanwhile, ≤ 15 ms of CPU.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

from bench.serving import Server, asker, server

ROUNDS = 5
ASKED = 4_000  # small answers a round, over
CONNECTIONS = 8
DEVICES = 20_000
CHANGES = 120  # devices a second: 5,000 values
SNAPSHOTS = 15
RATIO, SNAPSHOT_MS = 0.4, 15.0


async def small(it: Server, path: str) -> float:
    """CPU µs for one answer."""
    askers = [await asker(it, path) for _ in range(CONNECTIONS)]
    before = it.cpu_s()
    await asyncio.gather(*(one.ask(ASKED // CONNECTIONS) for one in askers))
    return (it.cpu_s() - before) / ASKED * 1e6


async def snapshots(it: Server, accept: str) -> tuple[list[float], int]:
    """CPU ms of each snapshot, and its size. Between two of them a second passes, as it does for a browser that
    comes back; the server's own work in that second (readings, historian) is not counted."""
    one = await asker(it, "/api/v1/snapshot", f"Accept-Encoding: {accept}")
    times = []
    for _ in range(SNAPSHOTS):
        await asyncio.sleep(1.05)
        before = it.cpu_s()
        await one.ask(1)
        times.append((it.cpu_s() - before) * 1e3)
    assert b" 200 " in one.answer[:20], one.answer[:200]
    return times, len(one.answer)


async def run() -> bool:
    good = True
    with server("bare") as bare, server("county", "50", "0") as ours:
        paths = ("/api/v1/session", "/api/v1/devices/ps-00001", "/healthz")
        costs: dict[str, list[float]] = {path: [] for path in ("bare", *paths)}
        for round_ in range(ROUNDS + 1):
            for path in costs:
                cost = await small(bare, "/") if path == "bare" else await small(ours, path)
                if round_:  # the first warms up
                    costs[path].append(cost)
        floor = statistics.median(costs["bare"])
        print(f"{'small GET':28} {'CPU µs':>8} {'ratio':>7}")
        for path, found in costs.items():
            cost = statistics.median(found)
            print(f"{path:28} {cost:8.1f} {floor / cost:7.2f}")
        ratio = floor / statistics.median(costs["/api/v1/session"])
        good &= ratio >= RATIO
    print(f"\n{f'{DEVICES:,} states':28} {'p50 ms':>8} {'worst':>7} {'kB':>7}")
    with server("county", str(DEVICES), str(CHANGES)) as ours:
        for accept in ("identity", "gzip", "zstd"):
            times, size = await snapshots(ours, accept)
            p50 = statistics.median(times)
            print(f"{accept:28} {p50:8.1f} {max(times):7.1f} {size / 1e3:7.0f}")
            good &= p50 <= SNAPSHOT_MS
        print(f"{'memory':28} {ours.rss_mb():8.0f} MB")
    print(f"\npromised: ratio ≥ {RATIO} (session), snapshot ≤ {SNAPSHOT_MS:.0f} ms: {'kept' if good else 'NOT KEPT'}")
    return good


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run()) else 1)
