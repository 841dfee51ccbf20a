"""A time-series server for the tests: Debian's VictoriaMetrics, started here."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

STARTS_WITHIN_S = 30.0


@contextlib.contextmanager
def victoria(folder: Path, *more: str) -> Iterator[str]:
    """Its address. `more`: options. Its retention is what a county would have, and what the tests' times need."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        "victoria-metrics",
        f"-storageDataPath={folder}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-loggerLevel=ERROR",
        *(more or ("-memory.allowedBytes=256MB",)),
    ]
    with (folder.parent / "victoria.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as it:
        try:
            until = time.monotonic() + STARTS_WITHIN_S
            while not _answers(f"{url}/health"):
                assert it.poll() is None, (folder.parent / "victoria.log").read_text()
                assert time.monotonic() < until, "VictoriaMetrics does not answer"
                time.sleep(0.05)
            yield url
        finally:
            it.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.TransportError:
        return False
