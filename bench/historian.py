"""The historian against VictoriaMetrics (Debian's): the same readings, in one run, beside the limits of disk and zstd.

    python -m bench.historian                  one minute at each rate, 30 days of 2,500 series: about 12 minutes in all
    python -m bench.historian --minutes 10     what is promised: ten minutes at each rate, seals and merges included

Promised: three times VictoriaMetrics' readings for each second of CPU; one series of an hour in its time at most, 24
hours by the minute in half of it, 50 series of 24 hours in 0.3 of it, a village of 200 devices over 30 days in its
time; and at most 0.9 of its bytes for live readings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zstandard

from bench.store import Turn, late_ms, plain
from hub.clock import ManualClock, SystemClock
from hub.historian.backend import Access
from hub.historian.base import DAY_US, Batch, to_datetime
from hub.historian.catalogue import BLOCK
from hub.historian.engine import EmbeddedHistorian
from hub.historian.lines import lines
from hub.historian.victoria import Victoria
from hub.model import Kind
from tests.hub.historian.servers import victoria

DEVICES, METRICS = 250, 10
LIVE_DAYS, LIVE_S, OLD_S = 2, 10, 30  # the last two days are read every 10 s, those before every 30 s
TODAY = 20_000 * DAY_US
HOUR, MINUTE = 3_600_000_000, 60_000_000
RATES = (20_000, 100_000)
ASKED = 20  # times, of each question
KILLS, WRITES_S = 3, 20  # a child writes so long before it is killed
LOADED = 100_000  # readings a second, while questions are asked
GOALS = {"ingest": 3.0, "1 series, 1 h": 1.0, "1 series, 24 h by the minute": 0.5,
         "50 series, 24 h by the minute": 0.3, "village of 200, 30 d by the hour": 1.0, "bytes": 0.9}  # fmt: skip


def numbers() -> list[int]:
    return [(1 + device) * BLOCK + metric for device in range(DEVICES) for metric in range(METRICS)]


def day_of(day: int, every_s: int, random: np.random.Generator) -> Iterator[tuple[int, Any, Any]]:
    """Each series of a day: number, times, values. Places, speed, volts, shares, counters, switches, a noisy float."""
    count = 86_400 // every_s
    for device in range(DEVICES):
        at = day * DAY_US + np.arange(count) * every_s * 1_000_000 + random.integers(0, 1000, count) * 1000
        walk = np.cumsum(random.normal(0, 1e-4, (count, 2)), axis=0) + np.array([32.9, 115.8])
        columns = (
            walk[:, 0].round(6),
            walk[:, 1].round(6),
            random.integers(0, 80, count).astype(float),
            random.normal(24, 0.2, count).round(2),
            random.integers(0, 101, count).astype(float),
            np.cumsum(random.integers(0, 3, count)).astype(float),
            (np.arange(count) // 300 % 2).astype(float),
            random.integers(-110, -50, count).astype(float),
            random.normal(0, 1, count),
            random.normal(2, 0.05, count).round(3),
        )
        for metric, value in enumerate(columns):
            yield (1 + device) * BLOCK + metric, at, value


# ---- ingest -------------------------------------------------------------------------------------------------------


def live(rate: int, seconds: int) -> Iterator[Batch]:
    """A second of `rate` readings each; devices report in any order."""
    random = np.random.default_rng(1)
    ids = np.arange(rate, dtype=np.int32) + BLOCK
    values = [random.normal(24, 0.2, rate).round(2) for _ in range(20)]
    orders = [random.permutation(rate) for _ in range(20)]
    quality = np.full(rate, 2, np.uint8)
    for second in range(seconds):
        at = np.repeat(TODAY + second * 1_000_000 + random.integers(0, 1000, rate // 10) * 1000, 10)
        order = orders[second % 20]
        yield Batch(ids[order], at[order], values[second % 20], quality)


async def paced(folder: Path, rate: int, minutes: float) -> None:
    """At this rate, seals and merges included."""
    store = await EmbeddedHistorian.open(folder, SystemClock(), seal_points=min(6_000_000, rate * 30))
    lag: list[float] = []
    beside = asyncio.create_task(late_ms(lag))
    merging = asyncio.create_task(merge(store))
    turn, rss = Turn(), []
    cpu = time.process_time()
    await asyncio.sleep(5)
    idle = (time.process_time() - cpu) / 5  # a second: the measuring itself
    cpu, began = time.process_time(), time.perf_counter()
    for second, batch in enumerate(live(rate, int(minutes * 60))):
        before = time.perf_counter()
        await store.write(batch)
        turn.commits_ms.append((time.perf_counter() - before) * 1e3)
        turn.points += len(batch)
        if second % 30 == 29:
            rss.append(now_mb())
        await asyncio.sleep(max(0.0, began + second + 1 - time.perf_counter()))
    passed = time.perf_counter() - began
    used = time.process_time() - cpu - idle * passed
    for task in (beside, merging):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    p50, p99 = np.percentile(turn.commits_ms, [50, 99])
    late = np.percentile(lag, 99)
    files = store.health.segments
    await store.close()
    memory = ", ".join(f"{rss[len(rss) * n // 4 - 1]:.0f}" for n in range(1, 5)) if len(rss) > 3 else "not looked at"
    print(
        f"{rate:,} a second for {minutes:g} min: commit p50 {p50:.1f} p99 {p99:.1f} max {max(turn.commits_ms):.1f} ms;"
    )
    print(f"    {used / turn.points * 1e6:.3f} CPU-µs a reading, {used / passed * 100:.1f} % of a core;", end=" ")
    print(f"the loop is late by {late:.1f} ms (p99); {files} files; memory by quarters {memory} MB")


async def reopened(folder: Path) -> float:
    """A child that writes 100,000 a second, seals and merges is killed; the longest time to open what is left, ms."""
    took = []
    for n in range(KILLS):
        place = folder / f"killed-{n}"
        with child("--write", str(place), ready="writing") as writer:
            await asyncio.sleep(WRITES_S)
            writer.kill()
            writer.wait()
        before = time.perf_counter()
        store = await EmbeddedHistorian.open(place, SystemClock())
        took.append((time.perf_counter() - before) * 1e3)
        await store.close()
        shutil.rmtree(place)
    print(
        f"opened after a kill -9 amid {LOADED:,} a second: {', '.join(f'{it:.0f}' for it in took)} ms (promised 1,000)"
    )
    return max(took)


@contextlib.contextmanager
def child(*args: str, ready: str) -> Iterator[subprocess.Popen[str]]:
    """This script in a process of its own, until the end of the block; it has said `ready`."""
    command = [sys.executable, "-m", "bench.historian", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as it:
        try:
            said = it.stdout.readline() if it.stdout else ""
            assert said.strip() == ready, "the child did not start"
            yield it
        finally:
            it.kill()


async def write(folder: Path) -> None:
    store = await EmbeddedHistorian.open(folder, SystemClock(), seal_points=LOADED * 5)
    merging = asyncio.create_task(merge(store))
    print("writing", flush=True)
    await flood(store.write)
    merging.cancel()


def feed(url: str) -> None:
    """A server is given as much as ours is, by a process of its own."""
    server, began = Victoria(Access(url)), time.perf_counter()
    print("feeding", flush=True)
    for second, it in enumerate(live(LOADED, 100_000)):
        server.write(lines(it, lambda number: None, "load"))
        time.sleep(max(0.0, began + second + 1 - time.perf_counter()))


async def merge(store: EmbeddedHistorian) -> None:
    while True:
        await asyncio.sleep(10)
        await store.compact()


def now_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def limits(folder: Path) -> None:
    raw, framed = Turn(), Turn()
    packer = zstandard.ZstdCompressor(level=1)
    for turn, pack in ((raw, plain), (framed, lambda it: packer.compress(plain(it)))):
        with (folder / "limit").open("wb", buffering=0) as file:

            async def write(it: Batch, file: Any = file, pack: Any = pack) -> None:
                file.write(pack(it))
                os.fdatasync(file.fileno())

            await turn.take(live(100_000, 30), write)
    (folder / "limit").unlink()
    print(f"{'limits: M readings a CPU-second':42} raw {1 / raw.cpu_us:.1f}, zstd-1 {1 / framed.cpu_us:.1f}")


async def ingest(folder: Path, server: Victoria, pid: int) -> tuple[float, float]:
    """As fast as they go, a minute of 100,000 points: ours acknowledged and sealed, theirs parsed.

    The ratios of readings a CPU-second, and of bytes a reading.
    """
    count = 60
    store = await EmbeddedHistorian.open(folder / "flood", SystemClock())
    for number in range(100_000):
        store.catalogue.number(f"d{number // METRICS}", f"m{number % METRICS}", Kind.NUMBER, "")
    batches = list(live(100_000, count))
    cpu, began = time.process_time(), time.perf_counter()
    for batch in batches:
        await store.write(batch)
    await store.seal()
    size = store.health.segment_bytes / (count * 1e5)
    ours = count * 1e5 / (time.process_time() - cpu), count * 1e5 / (time.perf_counter() - began)
    names = store.catalogue
    texts = [lines(Batch(it.series, it.at_us, it.value, it.quality), names.series, "flood") for it in batches]
    before, began = cpu_of(pid), time.perf_counter()
    empty = size_of(folder / "victoria")
    for text in texts:
        await asyncio.to_thread(server.write, text)
    await asyncio.to_thread(server.settle)
    theirs = len(texts) * 1e5 / (cpu_of(pid) - before), len(texts) * 1e5 / (time.perf_counter() - began)
    await store.close()
    shutil.rmtree(folder / "flood")
    for name, (each_cpu, each_s) in (
        ("ours, sealed and fsynced", ours),
        ("VictoriaMetrics, its process alone", theirs),
    ):
        print(f"{name:42} {each_s / 1e6:6.2f} M a second, {each_cpu / 1e6:6.2f} M a CPU-second")
    await asyncio.to_thread(server._http.ask, "/internal/force_merge", {}, 300)
    await asyncio.sleep(10)
    its = (size_of(folder / "victoria") - empty) / (len(texts) * 1e5)
    print(f"{'bytes a live reading, 100,000 points':42} ours {size:.2f}, VictoriaMetrics with its index {its:.2f}")
    return ours[0] / theirs[0], size / its


# ---- 30 days ------------------------------------------------------------------------------------------------------


async def load(store: EmbeddedHistorian, server: Victoria, days: int) -> tuple[int, int]:
    """The same readings into both; how many, and how many of them are of live days."""
    random, total, recent = np.random.default_rng(2), 0, 0
    for device in range(DEVICES):
        for metric in range(METRICS):
            kind = Kind.BOOL if metric == 6 else Kind.NUMBER
            assert store.catalogue.number(f"d{device}", f"m{metric}", kind, "") == (1 + device) * BLOCK + metric
    for back in range(days, 0, -1):
        day, every_s = TODAY // DAY_US - back, LIVE_S if back <= LIVE_DAYS else OLD_S
        rows = list(day_of(day, every_s, random))
        size = len(rows[0][1])
        batch = Batch(
            np.repeat(np.array([it[0] for it in rows], np.int32), size),
            np.concatenate([it[1] for it in rows]),
            np.concatenate([it[2] for it in rows]),
            np.full(len(rows) * size, 2, np.uint8),
        )
        await store.write(batch)
        await store.seal()
        await asyncio.to_thread(send, server, rows)
        total += len(batch)
        recent += len(batch) if back <= LIVE_DAYS else 0
    await store.compact()
    return total, recent


def send(server: Victoria, rows: list[tuple[int, Any, Any]]) -> None:
    """By its own bulk way in: a line a series."""
    for at in range(0, len(rows), 100):
        told = [
            {
                "metric": {"__name__": "fieldhub_v", "series": str(number)},
                "values": values.tolist(),
                "timestamps": (times // 1000).tolist(),
            }
            for number, times, values in rows[at : at + 100]
        ]
        server._http.post("/api/v1/import", b"\n".join(msgspec.json.encode(it) for it in told), 60)


def metrics_ql(server: Victoria, series: list[int], start: int, end: int, step: int) -> int:
    """What a dashboard would ask: mean, least and most, in one question. Decoded to rows."""
    these = f'fieldhub_v{{series=~"{"|".join(map(str, series))}"}}'
    folds = '"avg_over_time","min_over_time","max_over_time"'
    asked = {"query": f"aggr_over_time(({folds}), {these}[{step // 1000}ms])", "start": (start + step) / 1e6 - 0.001,
             "end": end / 1e6 - 0.001, "step": f"{step // 1000}ms", "nocache": "1"}  # fmt: skip
    return sum(len(it.values) for it in server._query("/api/v1/query_range", asked))


async def questions(
    store: EmbeddedHistorian, server: Victoria, days: int, forget: Path | None = None
) -> dict[str, tuple[float, float]]:
    """What each question took of ours and of theirs, ms (median). `forget`: files that the machine is to have forgotten
    before each of them.
    """
    random = np.random.default_rng(3)
    village = [(1 + device) * BLOCK for device in range(200)]

    def some(count: int) -> list[int]:
        return [int(it) for it in random.choice(numbers(), count, replace=False)]

    def device() -> list[int]:
        first = int(random.integers(1, DEVICES + 1)) * BLOCK
        return [first, first + 1, first + 2]

    async def both(series: list[int], start: int, end: int, step: int) -> tuple[float, float]:
        ours = await spent(lambda: store.buckets(series, start, end, step))
        return ours, await spent(lambda: asyncio.to_thread(metrics_ql, server, series, start, end, step))

    async def raw(series: list[int], start: int, end: int) -> tuple[float, float]:
        ours = await spent(lambda: store.range(series, start, end))
        return ours, await spent(lambda: asyncio.to_thread(server.range, series, start, end))

    asked: dict[str, Callable[[], Awaitable[tuple[float, float]]]] = {
        "1 series, 1 h": lambda: raw(some(1), TODAY - HOUR, TODAY),
        "1 series, 24 h by the minute": lambda: both(some(1), TODAY - DAY_US, TODAY, MINUTE),
        "1 series, 30 d by the hour": lambda: both(some(1), TODAY - days * DAY_US, TODAY, HOUR),
        "50 series, 24 h by the minute": lambda: both(some(50), TODAY - DAY_US, TODAY, MINUTE),
        "track of a day": lambda: raw(device(), TODAY - DAY_US, TODAY),
        "village of 200, 24 h by the hour": lambda: both(village, TODAY - DAY_US, TODAY, HOUR),
        "village of 200, 30 d by the hour": lambda: both(village, TODAY - days * DAY_US, TODAY, HOUR),
    }
    found = {}
    for name, ask in asked.items():
        await ask()
        rows = []
        for _ in range(ASKED if "village" not in name else 5):
            if forget is not None:
                drop(forget)
            rows.append(await ask())
        found[name] = (float(np.median([it[0] for it in rows])), float(np.median([it[1] for it in rows])))
    return found


async def spent(work: Callable[[], Awaitable[Any]]) -> float:
    before = time.perf_counter()
    await work()
    return (time.perf_counter() - before) * 1e3


def drop(folder: Path) -> None:
    """The machine's memory of these files (not what the processes themselves keep)."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as it:
                os.posix_fadvise(it.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def size_of(folder: Path) -> int:
    return sum(it.stat().st_size for it in folder.rglob("*") if it.is_file())


def table(title: str, found: dict[str, tuple[float, float]]) -> None:
    print(f"\n{title:42} {'ours ms':>9} {'VM ms':>9} {'ratio':>7} {'goal':>6}")
    for name, (ours, theirs) in found.items():
        goal = f"{GOALS[name]:.1f}" if name in GOALS else ""
        print(f"{name:42} {ours:9.2f} {theirs:9.2f} {ours / theirs:7.2f} {goal:>6}")


async def run(minutes: float, days: int) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="fieldhub-bench-") as name,
        victoria(Path(name) / "victoria", "-memory.allowedPercent=60") as url,
    ):
        folder, server = Path(name), Victoria(Access(url))
        pid = server_pid()
        await limits(folder)
        ratio, bytes_ratio = await ingest(folder, server, pid)
        shutil.rmtree(folder / "flood", ignore_errors=True)
        for rate in RATES:
            await paced(folder / f"paced-{rate}", rate, minutes)
            shutil.rmtree(folder / f"paced-{rate}")
        reopen_ms = await reopened(folder)
        before = size_of(folder / "victoria")
        store = await EmbeddedHistorian.open(folder / "ours", ManualClock(to_datetime(TODAY + 2 * HOUR)))
        began = time.perf_counter()
        total, _ = await load(store, server, days)
        await asyncio.to_thread(server.settle)
        await asyncio.to_thread(server._http.ask, "/internal/force_merge", {}, 300)
        await asyncio.sleep(20)
        health, theirs = store.health, size_of(folder / "victoria") - before
        took = time.perf_counter() - began
        print(f"\n{total / 1e6:.0f} M readings of {days} days loaded into both in {took:.0f} s;")
        each, rolled = health.segment_bytes / total, health.rollup_bytes / total
        print(f"    ours {each:.2f} bytes a reading, its roll-ups {rolled:.2f};")
        print(f"    VictoriaMetrics {theirs / total:.2f}")
        idle = await questions(store, server, days)
        table("asked of both, nothing else to do", idle)
        table("files forgotten before each question", await questions(store, server, days, folder))
        with child("--feed", url, ready="feeding"):
            theirs_loaded = await questions(store, server, days)
        writing = asyncio.create_task(flood(store.write))
        ours_loaded = await questions(store, server, days)
        writing.cancel()
        beside = {name: (ours_loaded[name][0], theirs_loaded[name][1]) for name in idle}
        table(f"asked while it takes {LOADED:,} a second", beside)
        await store.close()
    kept = {"ingest": ratio >= GOALS["ingest"], "bytes": bytes_ratio <= GOALS["bytes"]}
    kept |= {"reopened within a second": reopen_ms <= 1000}
    kept |= {name: idle[name][0] <= goal * idle[name][1] for name, goal in GOALS.items() if name in idle}
    print(f"\ningest for CPU: {ratio:.1f} x VictoriaMetrics (goal {GOALS['ingest']:.0f}); "
          f"bytes of live readings: {bytes_ratio:.2f} of its (goal {GOALS['bytes']})")  # fmt: skip
    print("; ".join(f"{name}: {'kept' if it else 'NOT KEPT'}" for name, it in kept.items()))
    return all(kept.values())


def server_pid() -> int:
    return next(int(it.name) for it in Path("/proc").iterdir() if it.name.isdigit() and _is(it, "victoria-metrics"))


def _is(process: Path, name: str) -> bool:
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_bytes().startswith(name.encode())
    return False


async def flood(write: Callable[[Batch], Awaitable[Any]]) -> None:
    began = time.perf_counter()
    for second, batch in enumerate(live(LOADED, 100_000)):
        await write(batch)
        await asyncio.sleep(max(0.0, began + second + 1 - time.perf_counter()))


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--minutes", type=float, default=1.0)
    asked.add_argument("--days", type=int, default=30)
    asked.add_argument("--write", type=Path, help="only write into this folder, until killed")
    asked.add_argument("--feed", metavar="URL", help="only write to this server, until killed")
    args = asked.parse_args()
    if args.write:
        asyncio.run(write(args.write))
    elif args.feed:
        feed(args.feed)
    else:
        sys.exit(not asyncio.run(run(args.minutes, args.days)))
