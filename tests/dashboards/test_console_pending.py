"""Adopting a device in a real browser: mistakes beside their fields, then live without a restart."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

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


def test_who_dialled_in_is_adopted_given_a_secret_replaced_and_retired(desk: Desk):
    page = desk("/pending", user="engineer")
    page.expected += ["422", "409", "/devices/ps-xiaoyang-2/"]
    row = page.get_by_role("row").filter(has_text="modbus+dtu:861234050000033/1")
    expect(row).to_contain_text("38 36 31 32 33 34")
    row.get_by_role("button", name="接入").click()
    form = page.get_by_test_id("adopt")
    given = {"id": "ps-xiaoyang-2", "name": "小杨二站", "profile": "ps-2026", "settings": '{"pumps": 2}'}
    for name, text in given.items():
        form.locator(f"[name={name}]").fill(text)
    form.locator("select[name=area]").select_option("340299103203")
    form.get_by_role("button", name="接入").click()
    expect(form).to_have_count(0)
    expect(row).to_have_count(0)
    page.get_by_role("link", name="总览").click()
    page.get_by_role("link", name="小杨二站").first.click()
    expect(page.locator(".mimic-panel")).not_to_have_class("hatched", timeout=20_000)  # it is polled

    part = page.get_by_test_id("equipment")
    expect(part).to_contain_text("在本页面登记")
    secret = page.get_by_test_id("secret-part")
    secret.get_by_role("button", name="生成新密钥").click()
    text = page.get_by_test_id("secret-text").input_value()
    assert text.startswith("861234050000033:")
    assert len(text) == 36
    expect(secret.locator("li")).to_have_count(2)
    expect(secret).to_contain_text("仅报名称也接受")
    assert not violations(page)
    page.reload()
    expect(secret.locator("li")).to_have_count(2)
    expect(page.get_by_test_id("secret-text")).to_have_count(0)
    expect(secret.get_by_role("button", name="立即停用旧密钥")).to_be_disabled()  # it would cut the terminal off
    secret.locator("[name=overlap_days]").fill("0")
    secret.get_by_role("button", name="生成新密钥").click()
    expect(secret.locator("li")).to_have_count(1)
    page.get_by_test_id("dead").wait_for(timeout=20_000)  # the simulated terminal does not know it
    secret.get_by_role("button", name="不再使用密钥").click()
    expect(secret.locator("li")).to_have_count(0)

    replace_and_retire(page)


def replace_and_retire(page: Page) -> None:
    part = page.get_by_test_id("equipment")
    part.get_by_role("button", name="更换").click()
    form = page.get_by_test_id("replace")
    assert not violations(page)
    form.locator("[name=name]").fill("小杨提水二站")
    form.locator("[name=profile]").fill("ps-2025")
    form.get_by_role("button", name="更换").click()
    expect(form.locator("#profile-wrong")).to_contain_text("ps-2026")
    form.locator("[name=profile]").fill("ps-2026")
    form.get_by_role("button", name="更换").click()
    expect(page.locator("h1")).to_have_text("小杨提水二站")

    part.get_by_role("button", name="退役").click()
    form = page.get_by_test_id("retire")
    assert not violations(page)
    form.locator("[name=confirm]").fill("小杨二站")
    form.get_by_role("button", name="退役").click()
    expect(form.locator("#confirm-wrong")).to_contain_text("小杨提水二站")
    form.locator("[name=confirm]").fill("小杨提水二站")
    form.locator("[name=because]").fill("测试")
    form.get_by_role("button", name="退役").click()
    expect(page.locator("h1")).to_have_text("水务总览", timeout=10_000)
    expect(page.get_by_text("小杨提水二站")).to_have_count(0)


def test_a_device_of_a_file_says_where_it_is_changed(desk: Desk):
    page = desk("/station/ps-chengdong-1", user="engineer")
    part = page.get_by_test_id("equipment")
    expect(part).to_contain_text("devices/county.toml")
    expect(part.get_by_role("button")).to_have_count(0)
    expect(page.get_by_test_id("secret-part")).to_have_count(0)  # we connect to it
    page = desk("/station/ps-chengdong-1", user="water")
    page.locator(".mimic-panel").wait_for()
    expect(page.get_by_test_id("equipment")).to_have_count(0)


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
