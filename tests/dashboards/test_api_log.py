"""One id follows a request: into the answer, the log, and what the request set going; and no secret stands there."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub import logs
from tests.dashboards.county import County, county, final

V1 = "/api/v1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure("json", "debug", out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_every_answer_names_its_request_and_a_good_name_from_outside_is_kept(here: County):
    async with here.client() as client:
        one, two = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(2)]
        assert one != two
        given = await client.get(f"{V1}/site", headers={"X-Request-Id": "proxy-4711.a"})
        assert given.headers["x-request-id"] == "proxy-4711.a"
        for bad in ("short", "has space in it", "x" * 65, 'evil"}', "<script>xx"):
            answer = await client.get("/healthz", headers={"X-Request-Id": bad})
            assert answer.headers["x-request-id"] != bad


async def test_our_own_mistake_is_found_in_the_log_by_the_id_in_the_answer(
    here: County, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: Any) -> Any:
        raise RuntimeError("inside")

    async with here.browser("viewer") as browser:
        monkeypatch.setattr(here.house, "alarms", broken)
        answer = await browser.get(f"{V1}/alarms")
    number = answer.headers["x-request-id"]
    assert answer.json()["args"]["number"] == number
    (line,) = [it for it in map(json.loads, log.getvalue().splitlines()) if it.get("error") == "RuntimeError"]
    assert line["request"] == number


async def test_a_commands_lines_have_its_id_and_that_of_the_request_that_asked(
    here: County, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    async def loud(device: Any, command: Any, sent: Any) -> Any:
        logging.getLogger("fieldhub.driver").info("sending")
        return await obeys(device, command, sent)

    obeys = here.field.carry_out
    monkeypatch.setattr(here.field, "carry_out", loud)
    async with here.browser("water_operator") as browser:
        answer = await browser.post(f"{V1}/commands", json={"device": "ps-chengdong-1", "action": "pump1.stop"})
        await final(browser, answer.json()["id"])
    (line,) = [it for it in map(json.loads, log.getvalue().splitlines()) if it["message"] == "sending"]
    assert (line["command"], line["request"]) == (answer.json()["id"], answer.headers["x-request-id"])


async def test_no_secret_stands_in_the_log_whatever_is_said_at_debug(here: County, log: io.StringIO):
    password = await here.person("water_operator")
    secrets = [password, "another four words here", "guess guess guess"]
    async with here.browser("water_operator") as browser:
        secrets += [browser.cookies["fieldhub"], browser.headers["X-CSRF-Token"]]
        await browser.post(f"{V1}/session", json={"name": "water_operator", "password": secrets[2]})
        token = (await browser.post(f"{V1}/tokens", json={"title": "t"})).json()["token"]
        second = (await browser.post(f"{V1}/session/second", json={"password": password})).json()["secret"]
        new = {"old": password, "new": secrets[1]}
        assert (await browser.post(f"{V1}/session/password", json=new)).status_code == 204
        async with here.client(Authorization=f"Bearer {token}") as program:
            await program.get(f"{V1}/devices")
        await browser.post(f"{V1}/setup", json={"code": "a-code-code", "name": "x", "full_name": "X", "password": "p"})
    written = log.getvalue()
    for it in (*secrets, token, token.rpartition("_")[2], second, "a-code-code"):
        assert it not in written
