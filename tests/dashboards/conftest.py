"""A real Chromium at a real demo: the system's browser, no downloads, no plugin. CHROME names another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.journeys.running import Person, demo

CHROME = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DESK = {"width": 1440, "height": 900}

# Nothing here is about speed: on a busy machine a page may take longer than Playwright's five seconds.
expect.set_options(timeout=20_000)


class Site:
    """A running house with simulated stations: where it is, who may sign in, and a way to break things."""

    def __init__(self, url: str, users: dict[str, str]) -> None:
        self.url = url.rstrip("/")
        self.users = users

    def person(self, name: str = "engineer") -> Person:
        return Person(self.url, name, self.users[name])

    def fault(self, station: str, fault: str, on: bool = True, for_s: float | None = None) -> None:
        engineer = self.person()
        answer = engineer.post("/demo/faults", {"station": station, "fault": fault, "on": on, "for_s": for_s})
        engineer.close()
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # Calm: a station whose link the demo's story pulls cannot show what a test wants to see.
    with demo(tmp_path_factory.mktemp("console") / "site", "--calm") as facts:
        yield Site(facts["url"], facts["users"])


# Of a module, not of the session: while Playwright is open, no test with an event loop of its own can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        it = playwright.chromium.launch(executable_path=CHROME, headless=True, args=FLAGS)
        yield it
        it.close()


Desk = Callable[..., Page]


@pytest.fixture
def desk(browser: Browser, demo_site: Site) -> Iterator[Desk]:
    """Opens pages as somebody: desk("/alarms", user="water", language="en", size={…}, theme="night").

    A test fails on any script error, console error, breach of the policy or request to another host; what it expects
    it adds to `page.expected`.
    """
    contexts: list[BrowserContext] = []
    bad: list[str] = []

    def open_page(path: str = "/", user: str = "water", **how: Any) -> Page:
        context = browser.new_context(
            viewport=how.get("size", DESK),
            timezone_id="America/New_York",
            locale="zh-CN",
            has_touch=how.get("touch", False),
        )
        contexts.append(context)
        language, theme = how.get("language", "zh-CN"), how.get("theme", "day")
        context.add_init_script(
            f"localStorage.getItem('language') || localStorage.setItem('language', '\"{language}\"');"
            f"localStorage.getItem('theme') || localStorage.setItem('theme', '\"{theme}\"');"
        )
        page = context.new_page()
        watch(page, demo_site.url, bad)
        if user:
            sign_in(page, demo_site, user)
        page.goto(demo_site.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not bad, bad[:5]


def sign_in(page: Page, site: Site, user: str) -> None:
    page.goto(site.url + "/")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(site.users[user])
    page.keyboard.press("Enter")
    page.get_by_test_id("lamp").wait_for()


def watch(page: Page, url: str, bad: list[str]) -> None:
    """Note what must not happen; `page.expected` holds what this test means to happen."""
    page.expected = []  # type: ignore[attr-defined]

    def noted(message: ConsoleMessage) -> None:
        where = str(message.location.get("url", ""))
        expected = page.expected  # type: ignore[attr-defined]
        if message.type == "error" and not any(part in where or part in message.text for part in expected):
            bad.append(f"console: {message.text} {where}")

    def asked(request: Request) -> None:
        if not request.url.startswith((url, "data:", "blob:")):
            bad.append(f"request to another host: {request.url}")

    page.on("pageerror", lambda error: bad.append(f"script: {error} {error.stack}"))
    page.on("console", noted)
    page.on("request", asked)
