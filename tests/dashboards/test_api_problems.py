"""Whatever goes wrong is answered in one form (RFC 9457), in the asker's language, and tells nothing of the inside."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboards.app import MAX_BODY_BYTES
from tests.dashboards.county import County, county

V1 = "/api/v1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    it: dict[str, Any] = answer.json()
    assert (it["status"], it["code"], it["type"]) == (status, code, f"urn:fieldhub:problem:{code}")
    assert it["title"]
    assert it["detail"]
    assert it["instance"] == answer.url.path
    return it


async def test_nothing_there(here: County):
    async with here.client() as client:
        for path in (
            "/api/v1/nothing",
            "/api/v2/devices",
            "/api/",
            "/assets/x/y.js",
            "/favicon.ico",
            "/a/b.json",
            "/app.js",
        ):
            problem(await client.get(path), 404, "not_found")
        problem(await client.post("/api/v1/nothing", json={}), 404, "not_found")


async def test_the_wrong_method_is_told_the_right_ones(here: County):
    async with here.client() as client:
        answer = await client.put(f"{V1}/session", json={})
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "DELETE, GET, POST"
        answer = await client.post("/healthz")
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET"
        problem(await client.request("OPTIONS", f"{V1}/devices"), 405, "method_not_allowed")


async def test_head_is_get_without_a_body(here: County):
    async with here.client() as client:
        get, head = await client.get("/healthz"), await client.head("/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"name": "\\ud800", "password": "x"}', b"[" * 5000]
)
async def test_what_is_not_the_json_that_was_asked_for(here: County, body: bytes):
    async with here.client() as client:
        answer = await client.post(f"{V1}/session", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 401, 422)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_request_that_is_too_large_is_refused_unread(here: County):
    async with here.client() as client:
        answer = await client.post(f"{V1}/session", json={"name": "x", "password": "y" * MAX_BODY_BYTES})
        problem(answer, 413, "too_large")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b" " * 1024

        answer = await client.post(f"{V1}/session", content=endless(), headers={"Content-Type": "application/json"})
        problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("en", "en"),
        ("en-US,en;q=0.9", "en"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("fr, en;q=0.5", "en"),
        ("", "zh-CN"),
        ("*", "zh-CN"),
        ("xx-!;;,,", "zh-CN"),
    ],
)
async def test_problems_are_said_in_the_askers_language(here: County, accept: str, language: str):
    async with here.client(**{"Accept-Language": accept}) as client:
        answer = await client.get(f"{V1}/nothing")
        assert answer.headers["content-language"] == language
        assert ("There is nothing" in answer.json()["detail"]) == (language == "en")
        answer = await client.get(f"{V1}/nothing?language=en")
        assert answer.headers["content-language"] == "en"


async def test_our_own_mistake_has_a_number_that_stands_in_the_log_and_nothing_else(
    here: County, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: Any) -> list[Any]:
        raise RuntimeError("the secret inside")

    async with here.browser("viewer") as browser:
        monkeypatch.setattr(here.house, "alarms", broken)
        monkeypatch.setattr(here.app.state.desk.roster, "of", broken)
        for path in ("alarms", "roster"):  # the second one is a hot route
            answer = await browser.get(f"{V1}/{path}", headers={"Accept-Language": "en"})
            it = problem(answer, 500, "broken")
            number = it["args"]["number"]
            assert number in it["detail"]
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
            assert f"problem {number}" in caplog.text
        assert (await browser.get(f"{V1}/devices/ps-chengdong-1")).status_code == 200, "the rest goes on"


async def test_every_answer_is_guarded(here: County):
    async with here.client() as client:
        for path in ("/healthz", "/api/v1/site", "/api/v1/nothing", "/api/v1/session", "/api/v1/openapi.json"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert "access-control-allow-origin" not in headers


async def test_when_the_house_is_not_ready_it_says_why(here: County, monkeypatch: pytest.MonkeyPatch):
    async with here.client(**{"Accept-Language": "en"}) as client:
        assert (await client.get("/readyz")).status_code == 200
        monkeypatch.setattr(here.house, "ready", lambda: (False, "500001 readings wait for the disk"))
        answer = await client.get("/readyz")
        assert problem(answer, 503, "not_ready")["detail"] == "500001 readings wait for the disk"
        assert (await client.get("/healthz")).status_code == 200


async def test_a_house_with_real_devices_has_no_demo(here: County):
    async with here.browser("field_engineer") as browser:
        problem(await browser.get(f"{V1}/demo/faults"), 404, "no_demo")
        assert "users" not in (await browser.get(f"{V1}/site")).json()


async def test_metrics_are_for_those_who_may_look_and_name_routes_not_what_was_typed(here: County):
    async with here.client() as client:
        problem(await client.get("/metrics"), 401, "sign_in_first")
    here.raise_alarm("ps-chengdong-1", severity=2)
    async with here.browser("viewer") as browser:
        for number in range(20):
            await browser.get(f"{V1}/devices/typed-{number}")
            await browser.get(f"/typed/{number}")
        answer = await browser.get("/metrics")
    lines = answer.text.splitlines()
    assert 'fieldhub_http_requests_total{route="/api/v1/devices/{device_id}",status="404"} 20.0' in lines
    assert 'fieldhub_alarms_standing{severity="2"} 1.0' in lines
    assert "fieldhub_devices 2.0" in lines
    assert 'fieldhub_job_running{job="driver field"} 1.0' in lines
    assert "typed" not in answer.text


async def test_bytes_that_are_no_http_do_not_disturb_the_others(here: County):
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100):
        with socket.create_connection(("127.0.0.1", int(here.url.rpartition(":")[2]))) as stranger:
            stranger.sendall(raw)
            await asyncio.sleep(0.02)
    async with here.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_words_hold_every_sentence_that_can_be_said(here: County):
    async with here.client() as client:
        for language in ("zh-CN", "en"):
            answer = await client.get(f"{V1}/words?language={language}")
            words = answer.json()["words"]
            assert set(here.house.words.templates(language)) < set(words)
            assert words["problem.broken.title"]
            tag = {"If-None-Match": answer.headers["etag"]}
            assert (await client.get(f"{V1}/words?language={language}", headers=tag)).status_code == 304
        problem(await client.get(f"{V1}/words?language=fr"), 422, "invalid")


def test_the_limit_of_a_request_is_said_as_it_is():
    from dashboards.problems import SAYS
    from hub.model import Words

    assert f"{MAX_BODY_BYTES // 1024} KiB" in SAYS.say(Words("problem.too_large.detail"), "en")
    assert f"{MAX_BODY_BYTES // 1024} KiB" in SAYS.say(Words("problem.too_large.detail"), "zh-CN")
    json.dumps(SAYS.templates("en"))
