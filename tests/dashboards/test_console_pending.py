"""Adopting a device in a real browser: mistakes beside their fields, then live without a restart."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboards.conftest import Desk, Site
from tests.dashboards.test_console_pages import PHONE, violations

pytestmark = pytest.mark.browser


def test_a_device_is_adopted_with_its_mistakes_said_beside_their_fields(desk: Desk, demo_site: Site):
    page = desk("/pending", user="engineer")
    page.expected += ["422", "/devices/ps-nine/"]  # a curve may be asked for just when it goes
    expect(page.locator("h1")).to_have_text("待接入设备")
    page.get_by_role("button", name="添加其他设备").click()
    form = page.get_by_test_id("adopt")
    assert not violations(page)
    for name, text in {"address": "modbus+tcp://127.0.0.1:9/1", "id": "PS 9", "name": "新站 <b>九</b>"}.items():
        form.locator(f"[name={name}]").fill(text)
    form.locator("[name=profile]").fill("ps-2025")
    form.locator("[name=settings]").fill("pumps = 2")
    form.get_by_role("button", name="接入").click()
    expect(form.locator("#settings-wrong")).to_contain_text("不是 JSON 对象")
    form.locator("[name=settings]").fill('{"pumps": 2}')
    form.get_by_role("button", name="接入").click()
    expect(form.locator("#id-wrong")).to_contain_text("small letters")
    expect(form.locator("[role=alert]").filter(has_text="ps-2026").first).to_be_visible()
    form.locator("[name=id]").fill("ps-nine")
    form.locator("[name=profile]").fill("ps-2026")
    form.locator("select[name=area]").select_option("340299101000")
    form.get_by_role("button", name="接入").click()
    expect(form).to_have_count(0)
    engineer = demo_site.person()
    try:
        page.get_by_role("link", name="总览").click()
        page.get_by_text("新站 <b>九</b>").first.wait_for(timeout=10_000)
    finally:
        gone = engineer.post("/devices/ps-nine/retire", {"confirm": "新站 <b>九</b>", "because": "a test"})
        engineer.close()
        assert gone.status_code == 204, gone.text
    expect(page.get_by_text("新站 <b>九</b>")).to_have_count(0, timeout=10_000)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_page_can_be_used_by_everybody_and_fits_every_screen(desk: Desk, language: str):
    page = desk("/pending", user="engineer", language=language)
    page.locator("h1").wait_for()
    assert not violations(page)
    for size in (PHONE, {"width": 768, "height": 900}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


def test_it_is_for_those_who_commission(desk: Desk):
    page = desk("/pending", user="water")
    expect(page.locator("[data-state=denied]")).to_be_visible()
    expect(page.locator(".nav a[href='/pending']")).to_have_count(0)
