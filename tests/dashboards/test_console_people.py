"""People in a real browser: added, permitted, sent to choose a password, and seeing what is theirs."""

from __future__ import annotations

import pyotp
import pytest
from playwright.sync_api import Page, expect

from hub.clock import SystemClock
from tests.dashboards.conftest import Desk, Site
from tests.dashboards.test_console_pages import PHONE, violations

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>'\""


def sign_in(page: Page, name: str, password: str) -> None:
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()


def test_the_life_of_a_person_from_the_first_password_to_the_second_factor(desk: Desk):
    admin = desk("/people", user="admin")
    admin.expected += ["422"]
    admin.get_by_test_id("add-person").click()
    dialog = admin.get_by_test_id("new-person")
    dialog.locator("[name=name]").fill("zhao.li")
    dialog.locator("[name=full_name]").fill(f"李娜 {HOSTILE}")
    dialog.locator("[name=password]").fill("short")
    dialog.get_by_role("button", name="添加", exact=True).click()
    expect(dialog.locator("#password-wrong")).to_have_text("密码有 5 个字符，请至少输入 10 个")
    dialog.locator("[name=password]").fill("three lamps at night")
    dialog.get_by_role("button", name="添加", exact=True).click()
    expect(admin.get_by_test_id("person").locator("h2")).to_have_text(f"李娜 {HOSTILE}")
    expect(admin.get_by_test_id("save-grants")).to_have_count(0)  # what they may says somebody else

    security = desk("/people?name=zhao.li", user="security")
    security.locator("select[name=role]").select_option("water_operator")
    security.locator("select[name=area]").select_option("340299101000")
    security.locator(".row.end button").click()
    security.get_by_test_id("save-grants").click()
    expect(security.get_by_test_id("person-zhao.li")).to_contain_text("水务值班 (东圩镇)")
    expect(security.get_by_test_id("add-person")).to_have_count(0)

    page = desk("/", user="")
    sign_in(page, "zhao.li", "three lamps at night")
    page.get_by_test_id("must-password").wait_for()
    assert not violations(page)
    page.locator("[name=old]").fill("three lamps at night")
    page.locator("[name=fresh]").fill("another four words here")
    page.get_by_role("button", name="修改").click()
    page.get_by_test_id("lamp").wait_for()
    expect(page.locator("h1 + .muted")).to_have_text("3 座泵站")
    expect(page.get_by_role("link", name="人员")).to_have_count(0)

    secret = second_factor(page, "another four words here")
    again = desk("/", user="")
    again.expected += ["401"]
    sign_in(again, "zhao.li", "another four words here")
    expect(again.locator("[name=code]")).to_be_focused()
    assert not violations(again)
    again.locator("[name=code]").fill("000000")
    again.keyboard.press("Enter")
    expect(again.locator("[role=alert]")).to_contain_text("验证码不正确")
    again.locator("[name=code]").fill(pyotp.TOTP(secret).at(next_step()))
    again.keyboard.press("Enter")
    again.get_by_test_id("lamp").wait_for()

    security.locator("select[name=role]").select_option("viewer")
    security.locator("select[name=area]").select_option("340299102000")
    security.locator(".row.end button").click()
    security.get_by_test_id("save-grants").click()
    expect(page.get_by_role("region", name="账号")).to_contain_text("只读")  # who is signed in stays so
    page.get_by_role("link", name="总览").click()
    expect(page.locator("h1 + .muted")).to_have_text("6 座泵站")


def next_step() -> int:
    """A moment of the step after this one: codes may be that early, and this one's may have been used."""
    return int(SystemClock().now().timestamp()) + 30


def second_factor(page: Page, password: str) -> str:
    page.get_by_role("link", name="我的").click()
    panel = page.get_by_role("region", name="第二因素")
    panel.get_by_role("button", name="设置", exact=True).click()
    panel.locator("[name=password]").fill(password)
    panel.get_by_role("button", name="显示二维码").click()
    secret = page.get_by_test_id("secret").inner_text()
    assert panel.locator("img").evaluate("it => it.complete && it.naturalWidth > 100")
    assert not violations(page)
    panel.locator("[name=code]").fill(pyotp.TOTP(secret).now())
    panel.get_by_role("button", name="启用").click()
    codes = page.get_by_test_id("recovery-codes").input_value().split()
    assert len(codes) == 10
    panel.get_by_role("button", name="已妥善保存").click()
    expect(panel).to_contain_text("剩余恢复码：10 个")
    return secret


def test_a_session_left_open_elsewhere_is_ended_from_here(desk: Desk):
    left = desk("/", user="viewer")
    left.expected += ["401"]
    here = desk("/me", user="viewer")
    sessions = here.get_by_role("region", name="已登录的会话").first
    sessions.get_by_role("button", name="结束").first.wait_for()
    buttons = sessions.get_by_role("button", name="结束")
    while (count := buttons.count()) > 0:
        buttons.first.click()
        expect(buttons).to_have_count(count - 1)
    left.locator("input[name=password]").wait_for(timeout=10_000)
    expect(here.locator("h1")).to_have_text("访客")


def test_a_key_for_a_program_is_shown_once_and_may_look_only(desk: Desk, demo_site: Site):
    page = desk("/me", user="town")
    page.locator("[name=title]").fill("日报")
    page.get_by_role("button", name="新建").click()
    token = page.get_by_test_id("token").input_value()
    assert token.startswith("fh_")
    told = page.request.get(
        demo_site.url + "/api/v1/session", headers={"Authorization": f"Bearer {token}", "Cookie": ""}
    ).json()
    assert [(it["role"], it["area"]) for it in told["grants"]] == [("viewer", "340299101000")]
    assert not violations(page)
    page.reload()
    table = page.get_by_role("region", name="程序令牌").first
    table.get_by_text("日报").wait_for()
    expect(page.get_by_test_id("token")).to_have_count(0)
    table.get_by_role("button", name="停用").click()
    expect(page.get_by_text("日报")).to_have_count(0)


@pytest.mark.parametrize(("user", "language"), [("admin", "en"), ("security", "zh-CN"), ("auditor", "zh-CN")])
def test_the_list_of_people_can_be_used_by_everybody(desk: Desk, user: str, language: str):
    page = desk("/people?name=water", user=user, language=language)
    page.get_by_test_id("person").wait_for()
    page.get_by_role("region").first.wait_for()
    assert not violations(page)
    for size in (PHONE, {"width": 768, "height": 900}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size
    if user == "auditor":
        for it in ("save-grants", "add-person", "disable"):
            expect(page.get_by_test_id(it)).to_have_count(0)


def test_who_has_no_right_to_the_list_is_told_so(desk: Desk):
    page = desk("/people", user="water")
    expect(page.locator("[data-state=denied]")).to_contain_text("需要查看人员名单的权限")


def test_what_cannot_be_done_is_said_in_place(desk: Desk):
    page = desk("/people?name=security", user="security")
    page.expected += ["403"]
    page.locator("select[name=role]").select_option("field_engineer")
    page.locator(".row.end button").click()
    page.get_by_test_id("save-grants").click()
    expect(page.get_by_test_id("person").locator("[role=alert]").filter(has_text="不能")).to_contain_text(
        "不能给自己增加权限"
    )


def test_the_first_administrator_says_the_code_of_the_console(desk: Desk):
    page = desk("/setup", user="")
    page.expected += ["403"]
    for name, text in {"code": "wrong", "name": "wang.min", "full_name": "王敏"}.items():
        page.locator(f"[name={name}]").fill(text)
    page.locator("[name=password]").fill("three lamps at night")
    page.locator("[name=again]").fill("three lamps at nigth")
    page.locator("button[type=submit]").click()
    expect(page.locator("#again-wrong")).to_have_text("两次输入的密码不一致。")
    page.locator("[name=again]").fill("three lamps at night")
    page.locator("button[type=submit]").click()
    expect(page.locator("#code-wrong")).to_contain_text("设置码与服务器控制台显示的不符")
    assert not violations(page)
