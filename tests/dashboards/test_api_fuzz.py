"""Every route is asked nonsense, made from its own OpenAPI description: it may refuse, it may not break."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboards.app import WAYS, Way
from hub.rights import ROLES
from tests.dashboards.county import County, county
from tests.dashboards.test_api_table import BOTH, DemoDesk

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.sampled_from(
    (
        "",
        "\0",
        "'; DROP TABLE entry; --",
        "../../etc/passwd",
        "ps-chengdong-1",
        "pump1.start",
        "城东一号泵站",
        "\u202e",
        "1e999",
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def bodies(document: dict[str, Any], route: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Bodies that are nearly right: the fields that the route knows, with anything in them."""
    if "requestBody" not in route:
        return st.none()
    name = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    fields = {key: like(it) for key, it in schema["properties"].items()}
    return st.fixed_dictionaries({}, optional=fields) | st.fixed_dictionaries(fields) | JSON


def like(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly of the kind that the schema says."""
    match schema.get("type"):
        case "string":
            return TEXT | JSON
        case "integer" | "number":
            return st.integers(-5, 10**12) | st.floats(allow_nan=False, allow_infinity=False) | JSON
        case "array":
            return st.lists(TEXT, max_size=4) | JSON
        case "object":
            return st.dictionaries(TEXT, st.integers() | TEXT | st.booleans(), max_size=4) | JSON
        case _:
            return JSON


def queries(route: dict[str, Any]) -> st.SearchStrategy[dict[str, str]]:
    names = [it["name"] for it in route.get("parameters", ()) if it["in"] == "query"]
    values = (
        TEXT | st.integers().map(str) | st.sampled_from(("2026-11-25T00:00:00Z", "1795572087123", "raw", "60", "csv"))
    )
    return st.dictionaries(st.sampled_from([*names, "language", "nonsense"]), values, max_size=6)


def paths(path: str) -> st.SearchStrategy[str]:
    known = st.sampled_from(("ps-chengdong-1", "ps-00000", "viewer", "nothing"))
    names = known | TEXT.filter(lambda it: it not in ("", ".", ".."))
    parts = [
        names.map(lambda it: quote(it, safe="")) if part.startswith("{") else st.just(part) for part in path.split("/")
    ]
    return st.tuples(*parts).map("/".join)


async def ask(browser: httpx.AsyncClient, way: Way, path: str, query: dict[str, str], body: Any) -> None:
    json = {} if way.method == "GET" else {"json": body}
    async with browser.stream(way.method, path, params=query, **json) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return
        await answer.aread()
    assert answer.status_code < 500, (way.method, path, query, body, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (path, answer.text)
        assert answer.json()["status"] == answer.status_code


LEFT_OUT = {"DELETE /api/v1/session", "POST /api/v1/session/password"}  # they would end the session that asks


@pytest.mark.slow
def test_no_route_breaks_on_nonsense(tmp_path: Path):
    """A new person in each role asks each route; whatever they may do, they do."""
    with asyncio.Runner() as runner:
        opened = county(tmp_path, 2, demo=DemoDesk())
        here: County = runner.run(opened.__aenter__())
        signed_in = {role: here.browser(role) for role in ("field_engineer", BOTH)}
        browsers = {role: runner.run(it.__aenter__()) for role, it in signed_in.items()}
        document = runner.run(browsers[BOTH].get("/api/v1/openapi.json")).json()
        try:
            for way in WAYS:
                if f"{way.method} {way.path}" in LEFT_OUT:
                    continue
                role = "field_engineer" if way.right in ROLES["field_engineer"].rights else BOTH
                route = document["paths"].get(way.path, {}).get(way.method.lower(), {})
                search(runner, browsers[role], way, document, route)
        finally:
            for it in signed_in.values():
                runner.run(it.__aexit__(None, None, None))
            runner.run(opened.__aexit__(None, None, None))


def search(
    runner: asyncio.Runner, browser: httpx.AsyncClient, way: Way, document: dict[str, Any], route: dict[str, Any]
) -> None:
    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(paths(way.path), queries(route), bodies(document, route))
    def one(path: str, query: dict[str, str], body: Any) -> None:
        runner.run(ask(browser, way, path, query, body))

    one()


@pytest.mark.slow
async def test_headers_of_any_kind_break_nothing(tmp_path: Path):
    chance = random.Random(7)
    names = ["cookie", "authorization", "x-csrf-token", "accept-language", "accept-encoding", "if-none-match"]
    names += ["last-event-id", "idempotency-key", "content-type", "x-forwarded-proto", "sec-fetch-site", "host"]
    async with county(tmp_path, 1) as here, here.browser("viewer") as browser:
        for _ in range(400):
            value = bytes(chance.choice(b"\t !\"';,=/abcABC019\x80\xff") for _ in range(chance.randrange(40))).strip()
            path = chance.choice(["/", "/api/v1/session", "/api/v1/roster", "/api/v1/devices", "/api/v1/nothing"])
            answer = await browser.get(path, headers={chance.choice(names).encode(): value})
            assert answer.status_code < 500, (path, value, answer.text)
