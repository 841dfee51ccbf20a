"""Traces reach a collector that speaks OTLP over HTTP; with one that is away the house is the same."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hub import logs, traces
from tests.dashboards.county import County, county, final

V1 = "/api/v1"
START = {"device": "ps-chengdong-1", "action": "pump1.start", "confirm": "城东一号泵站", "because": "渠道缺水"}


class Collector:
    """Takes what is exported, as the OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.about: dict[str, str] = {}
        spans, about = self.spans, self.about

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    about.update({it.key: it.value.string_value for it in resource.resource.attributes})
                    spans.extend(span for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                logging.getLogger("collector").debug(format, *args)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def named(self, name: str) -> Any:
        (span,) = [it for it in self.spans if it.name == name]
        return span


@pytest.fixture
def collector() -> Iterator[Collector]:
    it = Collector()
    traces.begin(it.url, "test")
    yield it
    traces.close()
    it.server.shutdown()
    it.server.server_close()


@pytest.fixture
async def here(collector: Collector, tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 3) as it:
        yield it


async def test_a_command_is_one_trace_from_the_browser_to_its_last_receipt(here: County, collector: Collector):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with here.browser() as browser:
        given = (await browser.post(f"{V1}/commands", json=START, headers={"traceparent": parent})).json()
        await final(browser, given["id"])
        assert (await browser.get(f"{V1}/devices/nowhere")).status_code == 404
    await asyncio.to_thread(traces.close)

    asked, done = collector.named(f"POST {V1}/commands"), collector.named("command pump1.start")
    assert asked.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736", "whoever asked has a trace of their own"
    assert asked.parent_span_id.hex() == "00f067aa0ba902b7"
    assert (done.trace_id, done.parent_span_id) == (asked.trace_id, asked.span_id)
    assert [it.name for it in done.events] == ["sent", "acknowledged", "confirmed"]
    facts = {it.key: it.value for it in done.attributes}
    assert facts["fieldhub.command.id"].string_value == given["id"]
    assert facts["fieldhub.device.id"].string_value == "ps-chengdong-1"
    assert collector.about["service.name"] == "fieldhub"
    assert any(it.name == "ledger commit" for it in collector.spans)
    missed = collector.named(f"GET {V1}/devices/{{device_id}}")
    assert {it.key: it.value.int_value for it in missed.attributes}["http.response.status_code"] == 404
    told = b"".join(it.SerializeToString() for it in collector.spans)
    assert "渠道缺水".encode() not in told, "what people write stays in the ledger"


async def test_what_a_device_does_not_prove_is_an_error_of_the_trace(here: County, collector: Collector):
    here.field.obeys = False
    async with here.browser() as browser:
        given = (await browser.post(f"{V1}/commands", json=START)).json()
        await final(browser, given["id"])
    await asyncio.to_thread(traces.close)
    assert collector.named("command pump1.start").status.message == "expired"


def test_a_line_of_the_log_names_its_trace(collector: Collector):
    out = io.StringIO()
    record = logging.makeLogRecord({"name": "fieldhub", "levelname": "INFO", "msg": "hello"})
    with traces.span("reading"):
        out.write(logs.JsonForm().format(record))
    traces.close()
    assert json.loads(out.getvalue())["trace_id"] == collector.named("reading").trace_id.hex()


async def test_a_collector_that_is_away_changes_nothing(tmp_path: Path):
    traces.begin("http://127.0.0.1:9", "test")
    try:
        async with county(tmp_path, 3) as here, here.browser() as browser:
            given = (await browser.post(f"{V1}/commands", json=START)).json()
            assert (await final(browser, given["id"]))["stage"] == "confirmed"
    finally:
        traces.close()
    assert traces.start("after") is traces.NOTHING


def test_packages_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch):
    for name in [it for it in sys.modules if it.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(traces.NotInstalled, match="opentelemetry"):
        traces.begin("http://127.0.0.1:4318", "test")
