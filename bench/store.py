"""What keeping a reading costs, from the hub's hand to the disk, beside the limits of the disk and of zstd.

Promised: the queue takes a reading in ≤ 120 ns (calls of 20); a batch is durable for ≤ 0.5 CPU-µs a reading, sealing
included; while 100,000 readings a second are written, sealed and asked for, the event loop is late by ≤ 20 ms (p99).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import zstandard

from hub.clock import SystemClock
from hub.historian.base import Batch
from hub.historian.collector import BATCH_POINTS, Collector
from hub.historian.engine import EmbeddedHistorian

DEVICES, METRICS, BLOCK = 10_000, 10, 64
START = 20_000 * 86_400_000_000
POINTS = 6_000_000  # a turn of each: one seal
ROUNDS = 3
PACED_S = 20
QUEUE_NS, DURABLE_US, LAG_MS = 120.0, 0.5, 20.0


def readings(seconds: int) -> list[Batch]:
    """A second of 10,000 devices each: places, speed, volts, shares, counters, switches and a noisy float."""
    random = np.random.default_rng(1)
    series = (np.arange(DEVICES)[:, None] * BLOCK + BLOCK + np.arange(METRICS)).astype(np.int32)
    place = random.uniform([25, 110], [26, 111], (DEVICES, 2))
    counter = random.integers(0, 10**6, DEVICES)
    batches = []
    for second in range(seconds):
        place += random.normal(0, 1e-4, place.shape)
        counter += random.integers(0, 3, DEVICES)
        value = np.column_stack(
            [
                place.round(5),
                random.integers(0, 80, DEVICES),
                random.normal(24, 0.2, DEVICES).round(2),
                random.integers(0, 101, DEVICES),
                counter,
                random.integers(0, 2, DEVICES),
                random.integers(-110, -50, DEVICES),
                random.normal(0, 1, DEVICES),
                random.normal(2, 0.05, DEVICES).round(3),
            ]
        )
        at = START + second * 1_000_000 + random.integers(0, 1000, DEVICES) * 1000
        order = random.permutation(DEVICES)  # devices report in any order
        batches.append(
            Batch.of(
                series[order].ravel(),
                np.repeat(at[order], METRICS),
                value[order].ravel(),
                np.full(DEVICES * METRICS, 2, np.uint8),
            )
        )
    return batches


def split(batches: list[Batch], size: int) -> Iterator[Batch]:
    for it in batches:
        for at in range(0, len(it), size):
            part = slice(at, at + size)
            yield Batch(it.series[part], it.at_us[part], it.value[part], it.quality[part])


# ---- the queue ----------------------------------------------------------------------------------------------------


class Nowhere:
    async def write(self, batch: Batch) -> None:
        pass


async def queue_ns() -> tuple[float, float]:
    """ns a reading: to hand over, and to make batches of it."""
    calls = [
        (START + i, list(range(64 + i % 1000 * 64, 84 + i % 1000 * 64)), [i * 0.37 + j for j in range(20)], [2] * 20)
        for i in range(4_000)
    ]
    handed, made = [], []
    for _ in range(15):
        it = Collector(Nowhere(), SystemClock())  # type: ignore[arg-type]
        offer = it.offer
        before = time.perf_counter_ns()
        for call in calls:
            offer(*call)
        handed.append((time.perf_counter_ns() - before) / len(calls) / 20)
        before = time.perf_counter_ns()
        await it.flush()
        made.append((time.perf_counter_ns() - before) / len(calls) / 20)
    return statistics.median(handed), statistics.median(made)


# ---- durable ------------------------------------------------------------------------------------------------------


class Turn:
    """What a turn of one way to be durable has cost."""

    def __init__(self) -> None:
        self.commits_ms: list[float] = []
        self.seconds = self.cpu = 0.0
        self.points = 0

    async def take(self, batches: Iterator[Batch], write: Callable[[Batch], Awaitable[None]]) -> None:
        cpu, began = time.process_time(), time.perf_counter()
        for it in batches:
            before = time.perf_counter()
            await write(it)
            self.commits_ms.append((time.perf_counter() - before) * 1e3)
            self.points += len(it)
        self.seconds += time.perf_counter() - began
        self.cpu += time.process_time() - cpu

    @property
    def cpu_us(self) -> float:
        return self.cpu / self.points * 1e6

    def row(self, name: str, floor: Turn) -> str:
        p50, p99 = np.percentile(self.commits_ms, [50, 99])
        return (
            f"{name:30} {self.points / self.seconds / 1e6:9.2f} {self.cpu_us:9.3f} {p50:8.1f} {p99:8.1f} "
            f"{max(self.commits_ms):8.1f} {self.cpu_us / floor.cpu_us:8.1f}"
        )


def plain(batch: Batch) -> bytes:
    return b"".join(it.tobytes() for it in (batch.series, batch.at_us, batch.value, batch.quality))


async def durable(folder: Path, batches: list[Batch], size: int) -> Turn:
    """Raw file, zstd frames and the store, turn by turn. Returns the store's."""
    raw, framed, stored, sealed = Turn(), Turn(), Turn(), Turn()
    packer = zstandard.ZstdCompressor(level=1)
    for round_ in range(ROUNDS):
        for turn, pack in ((raw, plain), (framed, lambda it: packer.compress(plain(it)))):
            with (folder / "limit").open("wb", buffering=0) as file:

                async def write(it: Batch, file=file, pack=pack) -> None:  # type: ignore[no-untyped-def]
                    file.write(pack(it))
                    os.fdatasync(file.fileno())

                await turn.take(split(batches, size), write)
        store = await EmbeddedHistorian.open(folder / f"{size}-{round_}", SystemClock())
        cpu, began = time.process_time(), time.perf_counter()
        await stored.take(split(batches, size), store.write)
        await store.seal()
        sealed.seconds += time.perf_counter() - began
        sealed.cpu += time.process_time() - cpu
        health = store.health
        await store.close()
    sealed.points, sealed.commits_ms = stored.points, stored.commits_ms
    columns = ("M/s", "CPU µs", "p50 ms", "p99", "max", "ratio")
    print(f"{f'batches of {size:,}':30} {columns[0]:>9} {columns[1]:>9}", *(f"{it:>8}" for it in columns[2:]))
    print(raw.row("raw file + fdatasync", framed))
    print(framed.row("zstd-1 frame + fdatasync", framed))
    print(stored.row("store: acknowledged", framed))
    print(sealed.row("store: and all of it sealed", framed))
    print(f"{'':30} sealed: {health.segment_bytes / health.segment_points:.2f} bytes a reading")
    return sealed


# ---- all at once --------------------------------------------------------------------------------------------------


async def late_ms(found: list[float]) -> None:
    """How late the loop is, every 5 ms."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        found.append((time.perf_counter() - before - 0.005) * 1e3)


async def asked_ms(store: EmbeddedHistorian, found: dict[str, list[float]]) -> None:
    """A page's questions, one after the other."""
    random = np.random.default_rng(2)
    end = START + 3600 * 1_000_000
    while True:
        device = BLOCK + int(random.integers(DEVICES)) * BLOCK
        points = range(device, device + METRICS)
        for name, ask in (
            ("1 series, raw", lambda at=device: store.range([at], START, end)),
            ("10 series, steps of 10 s", lambda them=points: store.buckets(them, START, end, 10_000_000)),
            ("10 series, last value", lambda them=points: store.last_before(them, end)),
        ):
            before = time.perf_counter()
            await ask()
            found.setdefault(name, []).append((time.perf_counter() - before) * 1e3)
            await asyncio.sleep(0.02)


async def paced(folder: Path, batches: list[Batch]) -> float:
    """100,000 readings a second with a seal of 6 million in the middle, and somebody asks all the time."""
    store = await EmbeddedHistorian.open(folder / "paced", SystemClock())
    ready = len(batches) - PACED_S // 2
    for it in batches[:ready]:
        await store.write(it)
    lag: list[float] = []
    asked: dict[str, list[float]] = {}
    beside = [asyncio.create_task(late_ms(lag)), asyncio.create_task(asked_ms(store, asked))]
    turn, cpu, began = Turn(), time.process_time(), time.perf_counter()
    for second in range(PACED_S):
        await turn.take(iter([batches[(ready + second) % len(batches)]]), store.write)
        await asyncio.sleep(max(0.0, began + second + 1 - time.perf_counter()))
    share = (time.process_time() - cpu) / (time.perf_counter() - began)
    for task in beside:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert store.health.segments
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    await store.close()
    print(
        f"100,000 readings a second for {PACED_S} s, a seal of 6 million, and questions: {share * 100:.0f} % of a core"
    )
    print(f"the most memory this bench had, its own readings included: {rss_mb:.0f} MB")
    for name, times in {"commit": turn.commits_ms, "the loop is late": lag, **asked}.items():
        p50, p99 = np.percentile(times, [50, 99])
        print(f"{name:30} p50 {p50:7.1f} ms   p99 {p99:7.1f}   max {max(times):7.1f}   ({len(times)})")
    return float(np.percentile(lag, 99))


async def run() -> bool:
    handed, made = await queue_ns()
    print(f"queue, calls of 20: {handed:.0f} ns a reading to hand over, {made:.1f} ns to make the batch\n")
    batches = readings(POINTS // BATCH_POINTS)
    with tempfile.TemporaryDirectory(prefix="fieldhub-bench-") as name:
        sealed = []
        for size in (20_000, 100_000):
            sealed.append(await durable(Path(name), batches, size))
            print()
        lag = await paced(Path(name), batches)
    return handed + made <= QUEUE_NS and all(it.cpu_us <= DURABLE_US for it in sealed) and lag <= LAG_MS


if __name__ == "__main__":
    good = asyncio.run(run())
    print(f"\npromised: {QUEUE_NS:.0f} ns, {DURABLE_US} CPU µs, {LAG_MS:.0f} ms: {'kept' if good else 'NOT KEPT'}")
    sys.exit(not good)
