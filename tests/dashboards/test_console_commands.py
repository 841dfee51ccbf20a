"""Commands, alarms and broken links, as somebody at a desk lives them: the console, the real hub, its simulators."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboards.conftest import Desk, Site, sign_in, watch
from tests.journeys.running import County, RunningHub, eventually, fieldhub, free_port, write_site

pytestmark = pytest.mark.browser

COUNTY = timezone(timedelta(hours=8))

# Each test has a station of its own, so that none stands in another's way.
OBEYS, LIES, BARRED, SILENT, BLIND, LOUD, SPEED, TRAPPED = (
    "ps-dongwei-1",
    "ps-chengnan-1",
    "ps-beimen-1",
    "ps-xinhe-1",
    "ps-chengdong-1",
    "ps-liuhu-1",
    "ps-shiqiao-1",
    "ps-liuhu-2",
)


def open_dialog(page: Page, button: str) -> str:
    """Press a pump's button once it may be pressed; the name that must be typed."""
    expect(page.get_by_test_id(button)).to_be_enabled(timeout=90_000)
    page.get_by_test_id(button).click()
    page.get_by_test_id("name").wait_for()
    return page.locator("h1").inner_text()


def idle_pump(page: Page) -> str:
    """A pump of the station on the screen that stands and may be started: "pump2"."""

    def look() -> str | None:
        for number in range(1, 9):
            button = page.get_by_test_id(f"pump{number}-start")
            if button.count() and button.is_enabled():
                return f"pump{number}"
        page.wait_for_timeout(500)
        return None

    found = eventually(look, 90)
    assert found
    return found


# ---- commands -----------------------------------------------------------------------------------------------------


def test_a_command_needs_the_stations_name_and_ends_with_a_reading(desk: Desk, demo_site: Site):
    page = desk(f"/station/{OBEYS}")
    pump = idle_pump(page)
    name = open_dialog(page, f"{pump}-start")
    give = page.get_by_test_id("give")
    expect(page.get_by_test_id("will")).to_contain_text("停止 → 运行")
    expect(give).to_be_disabled()
    page.get_by_test_id("name").fill(name[:-1])
    expect(give).to_be_disabled()
    page.get_by_test_id("name").fill(name)
    give.dblclick()  # a double click is one command
    outcome = page.get_by_test_id("outcome")
    expect(page.get_by_test_id("steps")).to_have_attribute("data-stage", re.compile("sent|acknowledged|confirmed"))
    expect(outcome).to_have_attribute("data-stage", "confirmed", timeout=60_000)
    expect(outcome).to_contain_text("回读证实")
    expect(page.locator(".steps .done")).to_have_count(3)
    page.get_by_test_id("done").click()
    expect(page.get_by_test_id("confirm")).to_have_count(0)
    expect(page.get_by_test_id(pump)).to_contain_text("运行")
    expect(page.locator(".history li[data-stage=confirmed]")).to_have_count(1)
    engineer = demo_site.person()
    assert len(engineer.get("/commands", device=OBEYS)["commands"]) == 1
    engineer.close()


@pytest.mark.slow
def test_a_pump_that_lies_is_not_called_started(desk: Desk, demo_site: Site):
    demo_site.fault(LIES, "done_but_does_not_start", for_s=200)
    page = desk(f"/station/{LIES}", language="en")
    pump = idle_pump(page)
    name = open_dialog(page, f"{pump}-start")
    page.get_by_test_id("name").fill(name)
    page.get_by_test_id("give").click()
    outcome = page.get_by_test_id("outcome")
    expect(outcome).to_contain_text("The device accepts; waiting", timeout=20_000)
    expect(outcome).to_have_attribute("data-stage", "expired", timeout=100_000)
    expect(outcome).to_contain_text("Not proven")
    expect(page.locator(".steps .missed")).to_have_count(1)
    expect(page.get_by_test_id(pump)).not_to_contain_text("running")


def test_waiting_can_be_stopped_and_is_said_not_to_call_anything_back(desk: Desk, demo_site: Site):
    demo_site.fault(TRAPPED, "done_but_does_not_start", for_s=100)
    page = desk(f"/station/{TRAPPED}", language="en")
    pump = idle_pump(page)
    name = open_dialog(page, f"{pump}-start")
    expect(page.get_by_test_id("name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("steps")).to_have_attribute(
        "data-stage", re.compile("sent|acknowledged"), timeout=20_000
    )
    # It counts to the time in which it must be shown, not to the command's longer deadline.
    engineer = demo_site.person()
    start = next(it for it in engineer.get(f"/devices/{TRAPPED}/nameplate")["actions"] if it["key"] == f"{pump}.start")
    engineer.close()
    assert start["proof"]["within_s"] < start["valid_s"]
    left = page.get_by_test_id("left")
    expect(left).to_have_text(re.compile(r"^\d+ s left$"))
    assert int(left.inner_text().split()[0]) <= start["proof"]["within_s"]
    # The form is gone; the keyboard is still in the dialog.
    assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("stop-waiting")).to_be_focused()
    page.keyboard.press("Enter")
    outcome = page.get_by_test_id("outcome")
    expect(outcome).to_have_attribute("data-stage", "cancelled")
    expect(outcome).to_contain_text("it had been sent")
    expect(page.get_by_test_id("done")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("confirm")).to_have_count(0)


def test_what_an_interlock_forbids_cannot_be_given_and_says_why(desk: Desk, demo_site: Site):
    page = desk(f"/station/{BARRED}")
    pump = idle_pump(page)
    name = open_dialog(page, f"{pump}-start")
    page.get_by_test_id("name").fill(name)
    expect(page.get_by_test_id("give")).to_be_enabled()
    demo_site.fault(BARRED, "emergency_stop", for_s=60)
    expect(page.get_by_test_id("refusal")).to_contain_text("急停", timeout=20_000)
    expect(page.get_by_test_id("give")).to_be_disabled()
    expect(page.locator(".checks .fails").first).to_contain_text("急停")


def test_a_setting_has_a_range_and_a_proof(desk: Desk):
    page = desk(f"/station/{SPEED}", language="en")
    page.get_by_role("button", name="Change… Start level").click()
    dialog = page.get_by_test_id("confirm")
    expect(dialog.get_by_test_id("name")).to_have_count(0)  # first the value
    dialog.get_by_test_id("arg-level").fill("999")
    expect(dialog.get_by_test_id("name")).to_have_count(0)
    dialog.get_by_test_id("arg-level").fill("10.25")
    expect(dialog.get_by_test_id("will")).to_contain_text("→ 10.250 m")
    dialog.get_by_test_id("name").fill(page.locator("h1").inner_text())
    dialog.get_by_test_id("give").click()
    expect(page.get_by_test_id("outcome")).to_have_attribute("data-stage", "confirmed", timeout=60_000)


def test_the_dialog_keeps_the_focus_and_gives_it_back(desk: Desk):
    page = desk(f"/station/{SPEED}")
    button = page.get_by_test_id("pump1-speed")
    button.click()
    dialog = page.get_by_test_id("confirm")
    expect(dialog.get_by_test_id("arg-speed")).to_be_focused()
    for key in ["Tab"] * 8 + ["Shift+Tab"] * 8:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null"), key
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


def test_a_lost_answer_may_be_asked_for_again_and_stays_one_command(desk: Desk, demo_site: Site):
    page = desk("/station/ps-dawan-1")
    page.expected.append("ERR_")
    pump = idle_pump(page)
    page.get_by_test_id("name").fill(open_dialog(page, f"{pump}-start"))

    lost = []

    def lose_the_answer(route: object) -> None:
        if not lost:  # it reaches the hub, and the answer never comes
            lost.append(route.fetch().status)  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route("**/api/v1/commands", lose_the_answer)
    page.get_by_test_id("give").click()
    expect(page.get_by_test_id("confirm").locator("[role=alert]")).to_contain_text("同一编号只执行一次")
    assert lost == [202]
    # By now the pump starts, so that a second start would be refused; the same one is not.
    expect(page.get_by_test_id(pump)).to_contain_text(re.compile("启动中|运行"), timeout=60_000)
    page.wait_for_timeout(6_000)  # longer than the dialog waits before it asks the station anew
    page.get_by_test_id("give").click()
    expect(page.get_by_test_id("steps")).to_be_visible()
    engineer = demo_site.person()
    assert len(engineer.get("/commands", device="ps-dawan-1")["commands"]) == 1
    engineer.close()


# ---- alarms -------------------------------------------------------------------------------------------------------


def test_an_alarm_comes_by_itself_and_is_acknowledged_with_the_keyboard(desk: Desk, demo_site: Site):
    page = desk("/alarms")
    demo_site.fault(LOUD, "pump_trip", for_s=200)
    row = page.get_by_test_id("alarm-row").filter(has_text="柳湖一站").first
    row.wait_for(timeout=60_000)
    page.get_by_test_id("alarm-list").focus()
    for _ in range(page.get_by_test_id("alarm-row").count()):
        page.keyboard.press("ArrowDown")
        if page.locator("tr[aria-selected=true]").filter(has_text="柳湖一站").count():
            break
    expect(page.locator("aside .advice")).not_to_be_empty()
    assert "id=" in page.url
    id = re.search(r"id=(\w+)", page.url)[1]  # type: ignore[index]
    page.keyboard.press("Space")
    row = page.locator(f"[data-testid=alarm-row][data-id='{id}']")
    expect(row).to_have_class(re.compile("acknowledged"))
    expect(page.locator("aside .history")).to_contain_text("water 确认")
    page.reload()
    expect(page.locator("aside .history")).to_contain_text("water 确认")
    expect(page.get_by_test_id("ack")).to_be_disabled()
    page.get_by_role("button", name="历史").click()
    past = page.get_by_test_id("past-row").filter(has_text="柳湖一站")
    expect(past.first).to_be_visible()
    expect(past.filter(has_text="water 确认").first).to_be_visible()
    is_shelved_and_comes_back(page, id)


def is_shelved_and_comes_back(page: Page, id: str) -> None:
    page.goto(page.url.split("?")[0] + f"?id={id}")
    row = page.locator(f"[data-testid=alarm-row][data-id='{id}']")
    page.get_by_test_id("shelve").click()
    expect(page.get_by_test_id("shelf-give")).to_be_disabled()  # a reason is needed
    page.get_by_test_id("shelf-why").fill("更换浮球开关")
    page.get_by_label("搁置多久").select_option("240")
    page.get_by_test_id("shelf-give").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name=re.compile("^已搁置 1$")).click()
    row.click()
    shelved = page.get_by_test_id("shelved")
    expect(shelved).to_contain_text(re.compile("water 搁置至 .*:.*更换浮球开关", re.DOTALL))
    expect(page.locator("aside .history")).to_contain_text("water 搁置至")
    page.reload()  # it is the hub that knows it
    expect(shelved).to_contain_text("更换浮球开关")
    expect(row).to_contain_text("恢复提醒")
    page.get_by_role("link", name="打开泵站").click()  # on its station nobody overlooks it
    here = page.get_by_test_id("shelved-here")
    expect(here).to_contain_text("更换浮球开关")
    here.click()
    page.get_by_test_id("shelve").click()  # for longer: it stays where it is
    page.get_by_test_id("shelf-why").fill("备件明天到")
    page.get_by_test_id("shelf-give").click()
    expect(shelved).to_contain_text("备件明天到")
    expect(row).to_have_attribute("aria-selected", "true")
    page.get_by_test_id("unshelve").click()
    expect(row).to_have_count(0)
    expect(page.locator(".alarm-list [data-state=empty]")).to_have_text("没有搁置的告警")
    page.goto(page.url.split("?")[0] + f"?id={id}")
    expect(page.locator("aside .history")).to_contain_text("搁置结束 water")
    expect(page.get_by_test_id("ack")).to_be_enabled()  # what still stands is to be seen again
    page.get_by_test_id("remark-note").fill("电工 7 点到")
    page.keyboard.press("Enter")
    expect(page.locator("aside .history")).to_contain_text("water 备注: 电工 7 点到")
    expect(page.get_by_test_id("remark-note")).to_have_value("")


def test_an_alarm_is_on_the_card_on_the_bar_and_on_its_station(desk: Desk, demo_site: Site):
    page = desk("/", language="en")
    demo_site.fault("ps-qianjin-1", "flooding", for_s=90)
    card = page.get_by_test_id("station-ps-qianjin-1")
    expect(card.locator(".level").first).to_be_visible(timeout=60_000)
    expect(page.locator(".needs .alarm-item").filter(has_text="前进泵站").first).to_be_visible()
    expect(page.locator(".strip .unseen").first).to_be_visible()
    card.click()
    expect(page.locator(".alarm-item").first).to_contain_text("What to do")


# ---- what is old or lost ------------------------------------------------------------------------------------------


def test_a_sensor_that_fails_is_a_dash_with_its_last_good_value(desk: Desk, demo_site: Site):
    page = desk("/")
    card = page.get_by_test_id(f"station-{BLIND}")
    expect(card.locator(".value.big")).to_contain_text(re.compile(r"\d\.\d{3}"), timeout=30_000)  # good once
    demo_site.fault(BLIND, "sensor_nan", for_s=90)
    expect(card).to_have_class(re.compile("hatched"), timeout=40_000)
    expect(card.locator(".value.big")).to_contain_text("—")
    expect(card.locator(".last-good")).to_contain_text(re.compile(r"最近可靠值 \d+\.\d{3} m"))
    expect(card.locator(".card-why")).not_to_be_empty()
    page.goto(page.url.rstrip("/") + f"/point/{BLIND}/inlet.level")
    expect(page.get_by_test_id("quality")).to_contain_text("不可用")
    expect(page.get_by_test_id("why")).not_to_be_empty()


@pytest.mark.slow
def test_a_station_that_falls_silent_is_hatched_and_cannot_be_commanded(desk: Desk, demo_site: Site):
    page = desk("/")
    demo_site.fault(SILENT, "link_loss", for_s=300)
    card = page.get_by_test_id(f"station-{SILENT}")
    expect(card).to_contain_text("通信中断", timeout=150_000)
    expect(card).to_have_class(re.compile("hatched"))
    card.click()
    dead = page.get_by_test_id("dead")
    expect(dead).to_contain_text(re.compile("本站没有数据：(设备无应答|无法连接|通信线路)"))
    for button in ("pump1-start", "pump1-stop", "station.go_manual", "station.go_auto", "pump1-speed"):
        it = page.get_by_test_id(button)
        assert not it.count() or it.is_disabled(), button
    changes = page.locator(".settings button")
    assert changes.count()
    assert all(it.is_disabled() for it in changes.all())
    for panel in ("机组", "运行设定"):
        expect(page.get_by_label(panel, exact=True).locator("header")).to_contain_text("没有数据，暂不能下发命令")
    expect(page.get_by_test_id("pump1")).to_have_class(re.compile("hatched"))
    expect(page.locator(".mimic .water")).to_have_count(0)
    # Its driver goes on trying, and what it says of its link is new each time; the station is as old as its values.
    engineer = demo_site.person()
    level = engineer.value(SILENT, "inlet.level")
    since = datetime.fromisoformat(level["last_good_at"])

    def tried_again() -> bool:
        tried: datetime = datetime.fromisoformat(engineer.value(SILENT, "link")["at"])
        return tried - since > timedelta(seconds=8)

    eventually(tried_again, 40, 0.5)
    engineer.close()
    expect(page.locator(".page-head .age")).to_have_text(re.compile(r"^\d+ 秒前$|^\d+ 分钟前$"))
    shown = (page.locator(".page-head .age").get_attribute("title") or "")[-8:]
    near = {f"{since.astimezone(COUNTY) + timedelta(seconds=s):%H:%M:%S}" for s in range(-1, 6)}
    assert shown in near, (shown, since)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, RunningHub]]:
    """A hub of our own, that may be stopped, killed and started again; its simulators go on."""
    folder: Path = tmp_path_factory.mktemp("frozen") / "site"
    folder.mkdir()
    county, port = County(), free_port()
    write_site(folder, county, port)
    password = folder.parent / "password"
    password.write_text("water-test-2026")
    made = fieldhub("user", str(folder), "add", "water", "--role", "water_operator", "--password-file", str(password))
    assert made.returncode == 0, made.stderr
    hub = RunningHub(folder, port)
    hub.wait_until_up()
    yield Site(hub.url, {"water": "water-test-2026"}), hub
    hub.stop()
    county.close()


@pytest.mark.slow
def test_a_hub_that_freezes_is_said_to_be_late_then_lost_and_heals(browser: Browser, frozen: tuple[Site, RunningHub]):
    site, hub = frozen
    page = at(browser, site)
    page.goto(f"{site.url}/station/{SPEED}")
    lamp, start = page.get_by_test_id("lamp"), page.get_by_test_id("pump1-speed")
    expect(start).to_be_enabled(timeout=60_000)
    page.evaluate("window.mark = 1")
    os.kill(hub.process.pid, signal.SIGSTOP)
    try:
        expect(lamp).to_have_attribute("data-state", "lag", timeout=12_000)
        expect(start).to_be_disabled()
        expect(page.locator("main")).to_contain_text("暂不能下发命令")
        expect(lamp).to_have_attribute("data-state", "off", timeout=15_000)
        expect(page.get_by_test_id("notice")).to_contain_text(re.compile(r"显示的是 \d+ 秒前的数据"))
        hatched = page.locator(".faceplate").first.evaluate("(it) => getComputedStyle(it).backgroundImage")
        assert "repeating-linear-gradient" in hatched
    finally:
        os.kill(hub.process.pid, signal.SIGCONT)
    expect(lamp).to_have_attribute("data-state", "live", timeout=15_000)
    expect(start).to_be_enabled()
    assert page.evaluate("window.mark") == 1
    page.context.close()


@pytest.mark.slow
def test_a_hub_that_starts_again_is_noticed_and_nobody_has_to_reload(browser: Browser, frozen: tuple[Site, RunningHub]):
    site, hub = frozen
    page = at(browser, site)
    page.locator(".card").first.wait_for()
    page.evaluate("window.mark = 1")
    hub.kill()
    lamp = page.get_by_test_id("lamp")
    expect(lamp).to_have_attribute("data-state", re.compile("lag|off"), timeout=12_000)
    again = RunningHub(hub.folder, int(site.url.rpartition(":")[2]))
    hub.process, hub._log = again.process, again._log
    again.wait_until_up()
    expect(lamp).to_have_attribute("data-state", "live", timeout=20_000)
    clock = page.locator(".card .age").first
    expect(clock).to_have_text("刚刚", timeout=20_000)
    assert page.evaluate("window.mark") == 1
    page.context.close()


@pytest.mark.slow
def test_eight_tabs_have_one_stream(browser: Browser, demo_site: Site):
    page = at(browser, demo_site)
    tabs = [page, *(page.context.new_page() for _ in range(7))]
    for tab in tabs[1:]:
        tab.goto(demo_site.url + "/")
    for tab in tabs:
        expect(tab.get_by_test_id("lamp")).to_have_attribute("data-state", "live", timeout=10_000)
    engineer = demo_site.person()
    assert engineer.get("/system")["stream"]["viewers"] == 1
    engineer.close()
    page.context.close()


def at(browser: Browser, site: Site) -> Page:
    """A signed-in page that may see errors: its server is meant to fail."""
    page = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900}).new_page()
    watch(page, site.url, [])
    sign_in(page, site, "water")
    return page
