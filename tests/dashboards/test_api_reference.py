"""GET /api/v1/docs: every route on one page, without scripts or other hosts, in two languages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from dashboards.app import WAYS
from dashboards.examples import ANSWERS
from tests.dashboards.county import County, county

DOCS = "/api/v1/docs"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


async def test_the_page_has_every_route_with_right_parameters_and_example(here: County):
    async with here.client() as client:
        text = unescape((await client.get(DOCS)).text)
    for way in WAYS:
        assert (f"<code>{way.method} {way.path}</code>" in text) == way.shown, way.path
    series = text.partition("/series</code>")[2].partition("</details>")[0]
    for part in ("look", "<code>from</code>", "<code>agg</code>", "15s", '"start_ms"', "404"):
        assert part in series, part
    assert text.count("<pre>curl ") == len(ANSWERS)


async def test_the_page_runs_nothing_and_loads_only_what_the_house_has(here: County):
    async with here.client() as client:
        answer = await client.get(DOCS)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "script-src" not in policy
        assert not re.search(
            r"<script|style=|\son\w+=|https?://", re.sub("<pre>.*?</pre>", "", answer.text, flags=re.S)
        )
        files = re.findall(r'<link rel="[^"]*" (?:type="[^"]*" )?href="([^"]*)"', answer.text)
        assert len(files) == 3
        for path in files:
            assert (await client.get(path)).status_code == 200, path


async def test_the_page_speaks_the_language_that_is_asked_for(here: County):
    async with here.client() as client:
        for asked, known, word in (
            ("en-GB,en", "en", "no log-in needed"),
            ("zh", "zh-CN", "无需登录"),
            ("fr", "zh-CN", "角色"),
        ):
            answer = await client.get(DOCS, headers={"Accept-Language": asked})
            assert answer.headers["content-language"] == known
            assert f'<html lang="{known}">' in answer.text
            assert word in answer.text
            assert "accept-language" in answer.headers["vary"]
        again = await client.get(DOCS, headers={"Accept-Language": "fr", "If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
