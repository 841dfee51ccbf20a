"""The console's files: one page for every address, assets for ever, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashboards import pages
from dashboards.pages import Pages
from tests.dashboards.county import County, county

INDEX = """<!doctype html><html><head><script type="importmap">{"imports": {"a": "{{assets}}/vendor/a.js"}}</script>
<link rel="stylesheet" href="{{assets}}/css/a.css"></head>
<body><script type="module" src="{{assets}}/app/main.js"></script></body></html>"""


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    for name, text in {
        "index.html": INDEX,
        "app/main.js": "import 'a'\n" + "// filler\n" * 500,
        "vendor/a.js": "export {}",
        "css/a.css": "body { margin: 0 }",
        "i18n/en.json": "{}",
        "app/README.md": "not for browsers",
        ".secret.js": "no",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
async def here(tmp_path: Path, web: Path) -> AsyncIterator[County]:
    async with county(tmp_path / "site", 1) as it:
        it.app.state.desk.pages = Pages(web)
        yield it


async def test_every_page_address_gets_the_one_page(here: County):
    async with here.client() as client:
        for path in ("/", "/alarms", "/station/ps-chengdong-1", "/point/ps-chengdong-1/inlet.level", "/城东"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
        tag = {"If-None-Match": answer.headers["etag"]}
        assert (await client.get("/alarms", headers=tag)).status_code == 304


async def test_the_page_names_its_files_by_a_version_that_is_their_sum(here: County, web: Path):
    async with here.client() as client:
        page = (await client.get("/")).text
        assert "{{assets}}" not in page
        for path in re.findall(r"/assets/[^\"]+", page):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    before = Pages(web).version
    (web / "css/a.css").write_text("body { margin: 1px }")
    assert Pages(web).version != before


async def test_only_what_browsers_need_is_served(here: County):
    base = here.app.state.desk.pages.assets
    async with here.client() as client:
        for path in (
            "/app/README.md",
            "/.secret.js",
            "/../app.py",
            "/%2e%2e/app.py",
            "/index.html",
            "/app/",
            "/nothing.js",
        ):
            answer = await client.get(base + path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/assets/000000000000/css/a.css")).status_code == 404


async def test_the_policy_lets_only_our_own_scripts_run(here: County):
    async with here.client() as client:
        answer = await client.get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    script = re.search(r'<script type="importmap">(.*?)</script>', answer.text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)


async def test_the_worker_may_reach_the_stream_and_other_files_nothing(here: County):
    base = here.app.state.desk.pages.assets
    async with here.client() as client:
        script = await client.get(f"{base}/app/main.js")
        style = await client.get(f"{base}/css/a.css")
    assert "connect-src 'self'" in script.headers["content-security-policy"]
    assert "connect-src" not in style.headers["content-security-policy"]


async def test_files_are_packed_when_that_is_worth_it(here: County):
    base = here.app.state.desk.pages.assets
    async with here.client() as client:
        large = await client.get(f"{base}/app/main.js", headers={"Accept-Encoding": "gzip"})
        small = await client.get(f"{base}/css/a.css", headers={"Accept-Encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip"
    assert large.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "content-encoding" not in small.headers


def test_a_console_that_grew_too_large_is_refused_at_the_start(web: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pages, "MAX_FILES_BYTES", 1000)
    with pytest.raises(ValueError, match="1000 is the most"):
        Pages(web)


def test_a_house_without_a_console_still_has_an_api(tmp_path: Path):
    assert Pages(tmp_path).index is None


def test_the_console_that_ships_is_small_enough():
    assert Pages().version
