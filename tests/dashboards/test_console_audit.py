"""The auditor's page in a real browser: finds, shows before and after, exports, and runs nothing that is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.dashboards.conftest import Desk, Site
from tests.dashboards.test_console_pages import PHONE, WIDTHS, violations

pytestmark = pytest.mark.browser

STATION = "ps-liuhu-2"
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


@pytest.fixture(scope="module", autouse=True)
def deeds(demo_site: Site) -> None:
    """What people did before the auditor came."""
    admin = demo_site.person("admin")
    made = admin.post("/people", {"name": "li.na", "full_name": "Li Na", "password": "three lamps at night"})
    assert made.status_code == 201, made.text
    admin.close()
    security = demo_site.person("security")
    given = security.put("/people/li.na/grants", {"grants": [{"role": "viewer"}, {"role": "auditor"}]})
    assert given.status_code == 200, given.text
    security.close()
    engineer = demo_site.person()
    asked = engineer.command(STATION, "pump1.stop", "audit-1", because=HOSTILE)
    assert asked.status_code == 202, asked.text
    engineer.close()
    wrong = {"name": HOSTILE[:60], "password": "wrong"}
    httpx.post(f"{demo_site.url}/api/v1/session", json=wrong, headers={"User-Agent": HOSTILE})


def opened(desk: Desk, query: str = "", **how: object) -> Page:
    page = desk(f"/audit{query}", user="auditor", **how)
    page.get_by_test_id("audit-list").wait_for()
    return page


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_an_entry_can_be_read_by_everybody_in_both_languages(desk: Desk, language: str):
    page = opened(desk, "?kind=login", language=language)
    page.get_by_test_id("audit-row").first.click()
    page.get_by_test_id("audit-body").wait_for()
    assert not violations(page)
    text = page.locator("main").inner_text()
    assert not re.search(r"\baudit\.[a-z_]+|undefined|NaN|\[object", text), text
    if language == "en":
        assert not re.findall(r"[一-鿿]+", page.locator("aside").inner_text())


def test_entries_are_found_by_kind_and_person_and_the_address_is_the_filter(desk: Desk):
    page = opened(desk, "")
    page.get_by_label("类别").select_option("command")
    rows = page.get_by_test_id("audit-row")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("engineer")
    expect(rows.first).to_contain_text("pump1.stop")
    expect(rows.first).to_contain_text("柳湖二站")
    expect(rows.first).to_contain_text("127.0.0.1")
    assert "kind=command" in page.url
    page.get_by_label("类别").select_option("person")
    page.get_by_label("何人").fill("li.na")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(2)
    page.reload()
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("新增")
    page.get_by_label("何人").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("[data-state=empty]").first).to_contain_text("没有这样的记录")


def test_days_are_the_countys(desk: Desk):
    """The PC says New York; the county is eight hours ahead of UTC."""
    page = desk("/audit?from=2026-03-01&to=2026-03-02", user="auditor")
    href = page.get_by_test_id("lines").get_attribute("href") or ""
    assert "from=2026-02-28T16%3A00%3A00.000Z" in href
    assert "to=2026-03-02T16%3A00%3A00.000Z" in href


def test_keys_move_from_entry_to_entry(desk: Desk):
    page = opened(desk, "?kind=login")
    seqs = [row.get_attribute("data-seq") for row in page.get_by_test_id("audit-row").all()]
    for key, at in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0)):
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(rf"id={seqs[at]}$"))
        expect(page.locator("[aria-selected=true]")).to_have_attribute("data-seq", seqs[at] or "")


def test_before_and_after_stand_side_by_side(desk: Desk):
    page = opened(desk, "?kind=person&person=security")
    expect(page.get_by_test_id("audit-row").first).to_contain_text("设置权限 · li.na · grants")
    page.get_by_test_id("audit-row").first.click()
    table = page.get_by_test_id("audit-changed")
    expect(table.locator("thead th")).to_have_text(["字段", "改前", "改后"])
    expect(table.locator("tbody td")).to_have_text(["grants", "[]", '["viewer","auditor"]'])
    facts = page.get_by_test_id("audit-facts")
    expect(facts).to_contain_text("127.0.0.1")
    expect(facts).to_contain_text(re.compile(r"会话[0-9a-f]{12}"))


@pytest.mark.parametrize("query", ["?kind=command", "?kind=login", ""])
def test_nothing_that_is_written_is_run(desk: Desk, query: str):
    """A breach of the policy, a script error or a request to another host fails the test too (conftest.watch)."""
    page = opened(desk, query)
    rows = page.get_by_test_id("audit-row")
    for n in range(min(rows.count(), 6)):
        rows.nth(n).click()
        page.get_by_test_id("audit-body").wait_for()
    assert page.locator("main img, main script").count() == 0
    assert page.title() != "run"
    if query == "?kind=command":
        expect(page.get_by_test_id("audit-body")).to_contain_text("<img src=x onerror=")


def test_what_is_shown_is_exported_as_json_lines(desk: Desk, tmp_path: Path):
    page = opened(desk, "?kind=command")
    with page.expect_download() as download:
        page.get_by_test_id("lines").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    (row,) = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert file.name == "audit.jsonl"
    assert (row["kind"], row["by"], json.loads(row["body"])["because"]) == ("command", "engineer", HOSTILE)


def test_the_newest_hash_is_there_to_be_noted(desk: Desk):
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", opened(desk).get_by_test_id("tip").inner_text())


def test_the_page_is_for_those_with_the_right(desk: Desk):
    page = desk("/", user="water")
    expect(page.locator(".nav a[href='/me']")).to_be_visible()
    expect(page.locator(".nav a[href='/audit']")).to_have_count(0)
    page.goto(page.url.rstrip("/") + "/audit")
    expect(page.locator("[data-state=denied]")).to_be_visible()
    expect(desk("/", user="auditor").locator(".nav a[href='/audit']")).to_have_count(1)


@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[3]])
def test_it_fits_every_screen_with_an_entry_open(desk: Desk, width: int):
    page = opened(desk, "?kind=login", size={"width": 1440, "height": 900})
    page.get_by_test_id("audit-row").first.click()
    page.set_viewport_size({"width": width, "height": 800})
    page.get_by_test_id("audit-body").wait_for()
    page.wait_for_timeout(120)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("(it => it.scrollWidth - it.clientWidth)(document.querySelector('main'))") <= 0


def test_night_and_phone_can_be_used_by_everybody(desk: Desk):
    assert not violations(opened(desk, "?kind=login", theme="night"))
    assert not violations(opened(desk, "?kind=login", size=PHONE))
