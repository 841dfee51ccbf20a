"""Every page of the console in a real browser: opens, can be read by everybody, fits every screen, says every state."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboards.conftest import Desk, Site

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")
STATION = "ps-liuhu-2"
PAGES = {
    "/": "h1",
    f"/station/{STATION}?span=15m&points=1": "[data-testid=trend][data-ready=true] canvas",
    "/alarms": "h1",
    "/alarms?state=history": "[data-testid=alarm-history]",
    "/alarms/kpis": "[data-testid=kpis]",
    f"/point/{STATION}/inlet.level?span=15m": "[data-testid=trend][data-ready=true] canvas",
    f"/point/{STATION}/station.mode": "[data-testid=trend][data-ready=true] canvas",
    f"/rules?rule=sump+high-high&device={STATION}": "[data-testid=stands]",
    "/notices": "[data-testid=notices], [data-state=empty]",
    "/system": "h1",
    "/station/hub": "h1",  # the hub is a device too: its page is the system's
    "/audit": "h1",
    "/demo": "h1",
    "/me": "h1",
    "/nothing/here": "[data-state=empty]",
}
OPENED_BY = {"/audit": "auditor"}  # the others by the engineer
WIDTHS = (360, 390, 768, 1366, 1920)
PHONE = {"width": 390, "height": 844}
MOST_KB = 160  # of the first page, as it is before any compression


def open_and_wait(desk: Desk, path: str, **how: object) -> Page:
    page = desk(path, user=how.pop("user", OPENED_BY.get(path, "engineer")), **how)
    page.locator(PAGES[path]).first.wait_for()
    return page


def show_alarms(page: Page, *alarms: dict[str, object]) -> None:
    """Load the page again, with these alarms standing and no others."""
    some = {
        "device": STATION,
        "rule": "a-rule",
        "state": "unacknowledged",
        "returned_at": None,
        "acknowledged_at": None,
        "acknowledged_by": "",
        "count": 1,
        "do": {"zh-CN": "去看看", "en": "Go and see"},
        "facts": {},
    }

    def answer(route: Route) -> None:
        told = route.fetch().json()
        later = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()  # than all that may really stand
        told["alarms"] = [
            {**some, "id": f"fake{n}", "raised_at": later, "since": later, **it} for n, it in enumerate(alarms)
        ]
        route.fulfill(json=told)

    page.unroute("**/api/v1/snapshot")
    page.route("**/api/v1/snapshot", answer)
    page.reload()


def violations(page: Page) -> dict[str, object]:
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    return {it["id"]: [node["html"][:140] for node in it["nodes"]][:3] for it in found["violations"]}


# ---- opens, in both languages, for everybody ----------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_and_can_be_used_by_everybody(desk: Desk, path: str, language: str):
    page = open_and_wait(desk, path, language=language)
    assert page.locator("html").get_attribute("lang") == language
    assert not violations(page)
    text = page.locator("body").inner_text()
    assert not re.search(r"\b[a-z]+\.[a-z_]+\.[a-z_]+\b|undefined|NaN|\[object", text), text
    if language == "en":  # names, and what people wrote in other tests, are data; everything else is English
        chinese = re.findall(r"[一-鿿]+", text)
        known = re.compile(r"站|镇|县|社区|村|局|李强|现场工程师|中文|浮球|备件|电工|点到")
        assert [it for it in chinese if not known.search(it)] == []


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_signing_in_can_be_used_by_everybody(desk: Desk, language: str):
    page = desk("/", user="", language=language)
    page.locator("input[name=password]").wait_for()
    assert not violations(page)


@pytest.mark.parametrize("path", ["/", f"/station/{STATION}?span=15m&points=1", "/alarms"])
def test_night_and_phone_can_be_used_by_everybody(desk: Desk, path: str):
    assert not violations(open_and_wait(desk, path, theme="night"))
    assert not violations(open_and_wait(desk, path, theme="night", size=PHONE))


# ---- fits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_no_page_scrolls_sideways_on_any_screen(desk: Desk, language: str):
    page = desk("/", user="engineer", language=language)
    for path, shown in PAGES.items():
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
        page.locator(shown).first.wait_for()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            fits = page.evaluate(
                "[document.documentElement.scrollWidth - innerWidth,"
                " document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth]"
            )
            assert max(fits) <= 0, (path, width, fits)


@pytest.mark.parametrize("path", ["/", f"/station/{STATION}?span=15m&points=1", "/alarms", "/demo", "/me"])
def test_a_finger_finds_everything_on_a_phone(desk: Desk, path: str):
    page = open_and_wait(desk, path, size=PHONE, touch=True)
    small = page.evaluate(
        """[...document.querySelectorAll('.button, .segments button, .nav a, .strip a, input, select, .alarm-item')]
           .map((it) => [it.outerHTML.slice(0, 90), it.getBoundingClientRect()])
           .filter(([_, box]) => box.width && (box.height < 43.5 || box.width < 40))
           .filter(([text]) => !text.includes('only-reader'))
           .map(([text, box]) => `${text} ${box.width}×${box.height}`)"""
    )
    assert not small
    expect(page.locator(".nav")).to_be_visible()
    assert page.locator(".nav").bounding_box()["y"] > PHONE["height"] - 90  # the bar is at the thumb


# ---- says what it shows -------------------------------------------------------------------------------------------


def test_times_are_the_countys_and_not_the_pcs(desk: Desk):
    page = desk("/")  # the PC says New York
    now = datetime.now(UTC) + timedelta(hours=8)
    expected = {(now + timedelta(seconds=s)).strftime("%Y-%m-%d %H:%M") for s in (-5, 0, 5)}
    assert page.get_by_test_id("clock").inner_text()[:16] in expected


def test_every_station_has_a_card_with_a_level_its_limits_and_its_pumps(desk: Desk):
    page = desk("/")
    cards = page.locator(".card")
    expect(cards).to_have_count(12)
    card = page.get_by_test_id(f"station-{STATION}")
    expect(card.locator(".value.big")).to_contain_text(re.compile(r"\d\.\d{3}m"))
    expect(card.locator(".band .limit")).to_have_count(4)
    expect(card.locator(".pump")).to_have_count(3)
    expect(page.get_by_test_id("kpi-pumps").locator(".value")).to_contain_text(re.compile(r"\d+/ 32"))
    card.click()
    expect(page).to_have_url(re.compile(f"/station/{STATION}$"))
    expect(page.locator("h1")).to_have_text("柳湖二站")


def test_a_point_says_why_it_is_believed(desk: Desk):
    page = desk(f"/point/{STATION}/inlet.level")
    expect(page.get_by_test_id("quality")).to_contain_text("可靠")
    now = datetime.now(UTC) + timedelta(hours=8)
    expect(page.locator("dl.facts dd").first).to_contain_text(now.strftime("%Y-%m-%d %H"))
    csv = page.locator("a[download]").get_attribute("href")
    body = page.evaluate("(url) => fetch(url).then((it) => it.text())", csv)
    assert "," in body


def test_values_move_by_themselves(desk: Desk):
    page = desk(f"/point/{STATION}/plc.heartbeat")
    value = page.locator(".point-value .value")
    first = value.inner_text()
    expect(value).not_to_have_text(first, timeout=15_000)


def test_a_curve_shows_readings_and_limits(desk: Desk):
    page = desk(f"/station/{STATION}?span=15m")
    trend = page.locator("[data-point='inlet.level']")
    expect(trend).to_have_attribute("data-ready", "true")
    expect(trend).to_have_attribute("aria-label", re.compile(r"前池水位：最低 \d+\.\d+，最高"))
    trend.locator(".u-over").hover()
    expect(page.locator(".u-legend .u-value").first).to_be_attached()


# ---- the URL is the view ------------------------------------------------------------------------------------------


def test_a_filter_stands_in_the_address_and_an_address_is_a_filter(desk: Desk):
    page = desk("/?town=340299102000")
    expect(page.locator(".card")).to_have_count(3)
    page.locator("input[type=search]").fill("二站")
    expect(page.locator(".card")).to_have_count(1)
    assert "town=340299102000" in page.url
    assert "q=" in page.url
    page.reload()
    expect(page.locator(".card")).to_have_count(1)
    page.locator("input[type=search]").fill("没有这样的站")
    nothing = page.locator(".overview > div [data-state=empty]")  # beside it, "no alarms" may stand
    expect(nothing).to_contain_text("没有符合条件的泵站")


def test_slash_goes_to_the_search(desk: Desk):
    page = desk("/")
    page.locator(".card").first.wait_for()
    page.keyboard.press("/")
    expect(page.locator("input[type=search]")).to_be_focused()


def test_back_goes_back_and_the_language_changes_in_place(desk: Desk):
    page = desk("/")
    page.get_by_test_id(f"station-{STATION}").click()
    page.evaluate("window.mark = 1")
    page.get_by_test_id("language").click()
    expect(page.locator(".page-head")).to_contain_text("Overview")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Water overview")
    assert page.evaluate("window.mark") == 1
    page.reload()
    expect(page.locator("h1")).to_have_text("Water overview")


def test_day_and_night(desk: Desk):
    page = desk("/")
    page.get_by_test_id("theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "night")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "night")


# ---- the six states -----------------------------------------------------------------------------------------------

ASKED = {
    f"/station/{STATION}": "**/commands?device=*",
    f"/point/{STATION}/inlet.level": "**/latest?*",
    "/system": "**/api/v1/system",
    "/demo": "**/api/v1/demo/faults",
}


@pytest.mark.parametrize("path", ASKED)
def test_a_page_says_that_it_is_loading_that_it_failed_and_tries_again(desk: Desk, path: str):
    page = desk("/", user="engineer")
    page.expected.append("500")
    problem = {"title": "Our mistake", "detail": "It is in the log as 4711.", "code": "broken"}
    held: list[Route] = []
    do = "hold"

    def answer(route: Route) -> None:
        if do == "hold":
            held.append(route)
        elif do == "fail":
            route.fulfill(status=500, body=json.dumps(problem))
        else:
            route.continue_()

    page.route(ASKED[path], answer)
    page.goto(page.url.rstrip("/") + path)
    expect(page.locator("main [data-state=loading]").first).to_be_visible()
    do = "fail"
    for route in held:
        route.fulfill(status=500, body=json.dumps(problem))
    failed = page.locator("main [data-state=error]").first
    expect(failed).to_contain_text("4711")
    do = "let go"
    failed.get_by_role("button").click()
    expect(page.locator("main [data-state=error]")).to_have_count(0)


def test_without_a_network_the_page_says_so_and_heals(desk: Desk):
    page = desk("/", user="engineer")
    page.locator(".card").first.wait_for()
    page.expected.append("ERR_")
    page.route("**/api/v1/system", lambda route: route.abort())
    page.goto(page.url.rstrip("/") + "/system")
    expect(page.locator("main [data-state=error]")).to_contain_text("连不上服务器")
    page.unroute("**/api/v1/system")
    expect(page.locator("main h1")).to_have_text("系统", timeout=10_000)


def test_a_house_without_devices_says_what_to_do_next(desk: Desk):
    page = desk("/", user="", language="en")
    empty = {
        "version": "0",
        "areas": [],
        "devices": {k: [] for k in ("id", "name", "kind", "area", "profile", "plate")},
    }
    page.route("**/api/v1/roster", lambda route: route.fulfill(json=empty | {"plates": []}))
    page.locator("input[name=username]").fill("water")
    page.locator("input[name=password]").fill("water-demo-2026")
    page.keyboard.press("Enter")
    expect(page.locator("[data-state=empty]").first).to_contain_text("devices/*.toml")


def test_who_may_not_is_told_so_beside_the_button(desk: Desk):
    page = desk(f"/station/{STATION}", user="viewer")
    expect(page.locator("main")).to_contain_text("您的账号不能控制设备")
    expect(page.get_by_test_id("pump1-start")).to_have_count(0)
    page.goto(page.url.replace(f"station/{STATION}", "system"))
    expect(page.locator("[data-state=denied]")).to_contain_text("没有权限")
    page.goto(page.url.replace("system", "demo"))
    expect(page.locator("[data-state=denied]")).to_contain_text("engineer")


def test_an_order_is_no_quantity_and_no_pipe_strikes_a_limits_name_through(desk: Desk):
    page = desk("/station/ps-beimen-1?span=15m")
    order = page.locator(".settings li").filter(has_text="开机顺序")
    expect(order.locator(".value")).to_have_text(re.compile(r"^\d{4}$"))  # 1234, not 1,234
    last = page.locator(".mimic > *").last
    expect(last).to_have_text(re.compile("低低|停泵|开泵|高高"))  # drawn after every pipe
    assert last.evaluate("(it) => getComputedStyle(it).paintOrder").startswith("stroke")


# ---- alarms ---------------------------------------------------------------------------------------------------------

OVER = {"severity": 1, "state": "returned", "say": {"zh-CN": "那是过去", "en": "That was once"}}
STANDS = {"severity": 3, "say": {"zh-CN": "这是现在", "en": "This is now"}}


def test_the_bar_prefers_what_stands_and_says_of_what_is_over_that_it_is(desk: Desk):
    page = desk("/", language="en")
    show_alarms(page, OVER, STANDS)
    newest = page.get_by_test_id("newest")
    expect(newest).to_contain_text("This is now")
    expect(newest).not_to_contain_text("Over")
    page.emulate_media(media="print")  # the shift's sheet lists what stands
    printed = page.get_by_test_id("printed-alarms")
    expect(printed).to_be_visible()
    expect(printed.locator("tr")).to_have_count(2)
    expect(printed).to_contain_text("柳湖二站")
    page.emulate_media(media="screen")
    show_alarms(page, OVER)
    expect(newest).to_contain_text("Over, not acknowledged")
    page.set_viewport_size(PHONE)
    item = page.locator(".needs .alarm-item")
    expect(item).to_contain_text("Over, not acknowledged")
    assert item.locator(".grow").bounding_box()["width"] > 200


def test_arrows_move_in_the_alarms_without_a_click_and_an_empty_list_says_what_is_empty(desk: Desk):
    page = desk("/alarms")
    page.expected.append("/alarms/fake")  # their life is not known to the hub
    show_alarms(page, OVER, STANDS)
    page.get_by_test_id("alarm-row").first.wait_for()
    for id in ("fake0", "fake1"):
        page.keyboard.press("ArrowDown")
        expect(page.locator("tr[aria-selected=true]")).to_have_attribute("data-id", id)
    expect(page.get_by_test_id("alarm-list")).to_be_focused()
    show_alarms(page)
    empty = page.locator(".alarm-list [data-state=empty]")
    expect(empty).to_have_text("没有告警")
    page.get_by_role("button", name="未确认", exact=True).click()
    expect(empty).to_have_text("没有未确认的告警")


def test_the_history_goes_back_page_by_page(desk: Desk):
    page = desk("/alarms", language="en")
    some = {"alarm": "a", "device": STATION, "rule": "r", "since": "2026-01-01T00:00:00Z", "severity": 2, "facts": {}}
    life = [
        (3, "acknowledged", "water", "seen by us"),
        (2, "returned", "", ""),
        (1, "raised", "", ""),
    ]
    changes = [
        {
            **some,
            "number": n,
            "event": event,
            "by": by,
            "note": note,
            "at": f"2026-01-01T00:0{n}:00Z",
            "say": {"en": "x"},
        }
        for n, event, by, note in life
    ]

    def answer(route: Route) -> None:
        earlier = "before=2" in route.request.url
        route.fulfill(json={"changes": changes[2:], "next": None} if earlier else {"changes": changes[:2], "next": 2})

    page.route("**/api/v1/alarms/history?*", answer)
    page.get_by_role("button", name="History").click()
    rows = page.get_by_test_id("past-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("acknowledged by water: seen by us")
    page.get_by_test_id("earlier").click()
    expect(rows).to_have_count(3)
    expect(rows.last).to_contain_text("raised")
    expect(page.get_by_test_id("earlier")).to_have_count(0)


def test_a_station_that_is_not_there(desk: Desk):
    page = desk("/station/ps-nowhere")
    expect(page.locator("[data-state=empty]")).to_contain_text("ps-nowhere")
    page.get_by_role("link", name="回总览").click()
    expect(page.locator("h1")).to_have_text("水务总览")


# ---- signing in and out -------------------------------------------------------------------------------------------


def test_a_wrong_password_says_so_and_nothing_more(desk: Desk):
    page = desk("/", user="")
    page.expected.append("401")
    page.locator("input[name=username]").fill("water")
    page.locator("input[name=password]").fill("not the right one")
    page.keyboard.press("Enter")
    expect(page.locator("[role=alert]")).to_contain_text("用户名或密码不正确")


def test_a_wrong_old_password_is_said_beside_its_field_and_nobody_is_thrown_out(desk: Desk):
    page = desk("/me")
    page.expected.append("422")
    page.locator("input[name=old]").fill("not the right one")
    page.locator("input[name=fresh]").fill("a good new one")
    page.keyboard.press("Enter")
    expect(page.locator("label", has=page.locator("input[name=old]"))).to_contain_text("您的密码不正确")
    expect(page.locator("input[name=old]")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_test_id("lamp")).to_be_visible()


def test_signing_out_takes_everything_from_the_screen_in_every_tab(desk: Desk):
    page = desk("/me")
    page.expected.append("401")  # to what was being asked at that moment
    other = page.context.new_page()
    other.goto(page.url.replace("/me", "/"))
    other.locator(".card").first.wait_for()
    page.get_by_test_id("sign-out").click()
    expect(page.locator("input[name=password]")).to_be_visible()
    expect(other.locator("input[name=password]")).to_be_visible(timeout=10_000)
    expect(other.locator(".card")).to_have_count(0)


def test_the_demos_log_ins_are_one_click(desk: Desk):
    page = desk("/", user="")
    page.get_by_test_id("demo-viewer").click()
    page.get_by_test_id("lamp").wait_for()


# ---- budgets ------------------------------------------------------------------------------------------------------


def test_the_first_page_is_small(desk: Desk, demo_site: Site):
    page = desk("/", user="")
    sizes: dict[str, int] = {}

    def weigh(response: object) -> None:
        url = response.url  # type: ignore[attr-defined]
        if "/api/" not in url:
            sizes[url] = len(response.body())  # type: ignore[attr-defined]

    page.locator("input[name=username]").fill("water")
    page.locator("input[name=password]").fill(demo_site.users["water"])
    page.keyboard.press("Enter")
    page.locator(".card").first.wait_for()
    page.on("response", weigh)
    page.reload()
    page.locator(".card").first.wait_for()
    page.wait_for_timeout(1000)
    kilobytes = sum(sizes.values()) / 1024
    assert kilobytes <= MOST_KB, (kilobytes, sorted(sizes.items(), key=lambda it: -it[1])[:12])


FROZEN_MS = 1_000  # 50 to 100 on an idle machine; beside two other browsers on two cores a task waits for its turn


def test_nothing_holds_up_the_screen_for_long(desk: Desk):
    page = desk("/")
    page.locator(".card").first.wait_for()
    page.evaluate(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(it) => window.longest = Math.max(window.longest, it.duration))).observe({entryTypes: ['longtask']})"
    )
    page.wait_for_timeout(10_000)
    assert page.evaluate("window.longest") <= FROZEN_MS


def test_print_leaves_the_content(desk: Desk):
    page = desk("/")
    page.locator(".card").first.wait_for()
    page.emulate_media(media="print")
    expect(page.locator(".nav")).to_be_hidden()
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".only-print").first).to_contain_text("王敏")
