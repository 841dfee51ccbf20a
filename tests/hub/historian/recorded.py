"""An InfluxDB 2 that answers as a real one did: every exchange of the tests, recorded once and told again.

    FIELDHUB_TEST_INFLUX_URL=http://127.0.0.1:8086 FIELDHUB_TEST_INFLUX_TOKEN=… FIELDHUB_TEST_INFLUX_ORG=county \
    FIELDHUB_TEST_INFLUX_BUCKET=history python -m pytest tests/hub/historian/test_contract.py

asks the server that is named, and with FIELDHUB_TEST_INFLUX_RECORD=1 writes down what was said. A request is compared
by its digest: what we send today must be, byte for byte, what the real server was sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

RECORDS = Path(__file__).with_name("influx.json")
PLACE = {"org": "county", "bucket": "history", "token": "of-the-tests"}
SHOWN = 300  # characters of a request that a reader of the file sees
PASSED_ON = ("content-type", "content-encoding")


def real() -> dict[str, str] | None:
    """url, token, org and bucket of the InfluxDB 2 that is named."""
    url = os.environ.get("FIELDHUB_TEST_INFLUX_URL")
    if not url:
        return None
    return {"url": url} | {it: os.environ[f"FIELDHUB_TEST_INFLUX_{it.upper()}"] for it in PLACE}


class _Tape:
    """The exchanges of one test, in order."""

    def __init__(self, test: str) -> None:
        self.test = test
        self.server = real()
        self.recording = self.server is not None and bool(os.environ.get("FIELDHUB_TEST_INFLUX_RECORD"))
        known = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
        self.exchanges: list[dict[str, Any]] = [] if self.server else known.get(test, [])
        self.at = 0

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        request = {"path": path, "sha256": hashlib.sha256(body).hexdigest(), "shown": body.decode()[:SHOWN]}
        if self.server is None:
            return self._told(request)
        sent = {k: v for k, v in headers.items() if k.lower() in (*PASSED_ON, "accept")}
        sent["authorization"] = f"Token {self.server['token']}"
        path = path.replace("org=county", f"org={self.server['org']}")
        path = path.replace("bucket=history", f"bucket={self.server['bucket']}")
        real_ = httpx.post(self.server["url"] + path, content=body, headers=sent, timeout=30)
        self.exchanges.append({"request": request, "status": real_.status_code, "body": real_.text})
        return real_.status_code, real_.content

    def _told(self, request: dict[str, str]) -> tuple[int, bytes]:
        known = self.exchanges[self.at] if self.at < len(self.exchanges) else None
        self.at += 1
        if known is None or known["request"] != request:
            said = f"not what was recorded: {request} instead of {known and known['request']}; record again"
            return 599, said.encode()
        return known["status"], known["body"].encode()

    def keep(self) -> None:
        if self.recording:
            known = json.loads(RECORDS.read_text(encoding="utf-8")) if RECORDS.exists() else {}
            known[self.test] = self.exchanges
            text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
            RECORDS.write_text(text + "\n", encoding="utf-8")
        elif self.server is None:
            assert self.at == len(self.exchanges), f"{len(self.exchanges) - self.at} recorded requests were not sent"


@contextlib.contextmanager
def influx(test: str) -> Iterator[dict[str, str]]:
    """Where it listens and what lets one in, for one test."""
    tape = _Tape(test)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, told = tape.answer(self.path, dict(self.headers), body)
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield {"url": f"http://127.0.0.1:{server.server_port}", **PLACE}
        finally:
            server.shutdown()
            thread.join()
    tape.keep()
