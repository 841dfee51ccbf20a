"""Getting in: what must be done first, the second factor, one's sessions, and the very first administrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from msgspec.structs import replace

from dashboards import entrance
from dashboards.caller import Must, Rules
from hub.config import SecurityTable
from hub.ledger.people import Person
from tests.dashboards.county import County, county

V1 = "/api/v1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def second(browser: httpx.AsyncClient, password: str) -> tuple[str, list[str]]:
    """Set up a second factor: its secret and the recovery codes."""
    begun = (await browser.post(f"{V1}/session/second", json={"password": password})).json()
    code = pyotp.TOTP(begun["secret"]).now()
    answer = await browser.post(f"{V1}/session/second/confirm", json={"code": code})
    assert answer.status_code == 200, answer.text
    return begun["secret"], answer.json()["recovery_codes"]


# ---- second factor ------------------------------------------------------------------------------------------------


async def test_the_second_factor_is_asked_for_once_it_is_confirmed(here: County):
    password = await here.person("viewer")
    async with here.browser("viewer") as browser, here.client() as other:
        wrong = await browser.post(f"{V1}/session/second", json={"password": "not mine at all"})
        assert said(wrong) == (422, "wrong_old_password")
        begun = (await browser.post(f"{V1}/session/second", json={"password": password})).json()
        assert begun["address"].startswith("otpauth://totp/FieldHub:viewer?secret=")
        assert begun["picture"].startswith("<svg")
        assert "<script" not in begun["picture"]
        body: dict[str, Any] = {"name": "viewer", "password": password}
        assert (await other.post(f"{V1}/session", json=body)).status_code == 200, "it is not confirmed yet"
        assert said(await browser.post(f"{V1}/session/second/confirm", json={"code": "000000"})) == (
            422,
            "wrong_new_code",
        )
        secret, codes = await second(browser, password)
        assert len(codes) == len(set(codes)) == 10
        assert said(await other.post(f"{V1}/session", json=body)) == (401, "code_needed")
        assert said(await other.post(f"{V1}/session", json={**body, "code": "123"})) == (401, "wrong_code")
        code = pyotp.TOTP(secret).now()
        told = await other.post(f"{V1}/session", json={**body, "code": code})
        assert told.status_code == 200
        assert said(await other.post(f"{V1}/session", json={**body, "code": code})) == (401, "wrong_code"), "used"
    person = await here.house.ledger.people.person("viewer")
    assert person is not None
    assert secret not in person.second, "the ledger's file alone makes no codes"
    assert not set(codes) & set(person.recovery)
    written = repr(await here.house.ledger.entries(limit=100))
    assert secret not in written
    assert codes[0] not in written


async def test_a_recovery_code_opens_once_and_is_noted(here: County):
    password = await here.person("viewer")
    async with here.browser("viewer") as browser, here.client() as other:
        _, codes = await second(browser, password)
        body = {"name": "viewer", "password": password, "code": codes[3].upper().replace("-", " ")}
        assert (await other.post(f"{V1}/session", json=body)).status_code == 200
        assert said(await other.post(f"{V1}/session", json=body)) == (401, "wrong_code")
        assert (await browser.get(f"{V1}/session/second")).json() == {"on": True, "recovery_left": 9, "wanted": False}
    assert "recovery_code_used" in [it["did"] for it in await here.notes()]


async def test_guessing_codes_with_the_right_password_is_slowed_down(here: County):
    """Trying the password alone in between wins no free tries."""
    password = await here.person("viewer")
    async with here.browser("viewer") as browser:
        await second(browser, password)
    here.app.state.desk.entrance.throttle.end("viewer", "127.0.0.1", True)
    body = {"name": "viewer", "password": password}
    codes = []
    async with here.client() as guesser:
        for guess in range(5):
            codes.append((await guesser.post(f"{V1}/session", json=body)).json()["code"])
            codes.append((await guesser.post(f"{V1}/session", json={**body, "code": f"{guess:06}"})).json()["code"])
    assert codes[:6] == ["code_needed", "wrong_code"] * 3
    assert set(codes[6:]) == {"slow_down"}


async def test_the_second_factor_is_ended_by_its_owner_or_by_who_permits(here: County):
    password = await here.person("viewer")
    async with here.browser("viewer") as browser, here.browser("security_admin") as permits, here.client() as other:
        await second(browser, password)
        assert said(await browser.post(f"{V1}/session/second/end", json={"password": "no"})) == (
            422,
            "wrong_old_password",
        )
        assert (await browser.post(f"{V1}/session/second/end", json={"password": password})).status_code == 204
        await second(browser, password)
        assert (await permits.delete(f"{V1}/people/viewer/second")).status_code == 204
        body = {"name": "viewer", "password": password}
        assert (await other.post(f"{V1}/session", json=body)).status_code == 200


async def test_a_site_can_want_a_second_factor_of_some_roles(tmp_path: Path):
    async with county(tmp_path, 1, security=SecurityTable(second_factor=["releaser", "system_admin"])) as here:
        password = await here.person("releaser")
        async with here.browser("releaser") as browser, here.browser("viewer") as viewer:
            told = (await browser.get(f"{V1}/session")).json()
            assert (told["must"], told["rights"]) == (["second"], ["self"])
            answer = await browser.get(f"{V1}/snapshot")
            assert said(answer) == (403, "do_first")
            assert answer.json()["must"] == ["second"]
            await second(browser, password)
            assert (await browser.get(f"{V1}/session")).json()["must"] == []
            assert (await browser.get(f"{V1}/snapshot")).status_code == 200
            ended = await browser.post(f"{V1}/session/second/end", json={"password": password})
            assert said(ended) == (409, "second_is_wanted")
            assert (await viewer.get(f"{V1}/session")).json()["must"] == []


async def test_a_token_cannot_change_the_account_it_belongs_to(here: County):
    password = await here.person("water_operator")
    async with here.browser("water_operator") as browser:
        token = (await browser.post(f"{V1}/tokens", json={"title": "t"})).json()["token"]
    async with here.client(Authorization=f"Bearer {token}") as program:
        for path, body in (
            ("session/password", {"old": password, "new": "another four words"}),
            ("session/second", {"password": password}),
            ("session/second/confirm", {"code": "123456"}),
            ("session/second/end", {"password": password}),
            ("tokens", {"title": "a child"}),
        ):
            assert said(await program.post(f"{V1}/{path}", json=body)) == (403, "session_only"), path


# ---- passwords that must be changed -------------------------------------------------------------------------------


async def test_an_old_password_must_be_changed_before_anything_else(tmp_path: Path):
    async with county(tmp_path, 1, security=SecurityTable(password_days=90)) as here:
        password = await here.person("viewer")
        person = await here.house.ledger.people.person("viewer")
        assert person is not None
        old = here.house.clock.now() - timedelta(days=91)
        await here.house.ledger.people.set_password("viewer", person.password, old)
        async with here.browser("viewer") as browser:
            assert (await browser.get(f"{V1}/session")).json()["must"] == ["password"]
            same = await browser.post(f"{V1}/session/password", json={"old": password, "new": password})
            assert same.json()["mistakes"][0]["what"] == "新密码与旧密码相同，请换一个"
            new = {"old": password, "new": "another four words"}
            assert (await browser.post(f"{V1}/session/password", json=new)).status_code == 204
            assert (await browser.get(f"{V1}/snapshot")).status_code == 200


def test_the_age_of_a_password_is_judged_when_one_signs_in():
    rules = Rules.of(SecurityTable(password_days=90))
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    wang = Person("wang.min", "王敏", "hash", (), noon, password_set=noon - timedelta(days=89, hours=23))
    assert rules.musts(wang, "password", noon) == ()
    assert rules.musts(wang, "password", noon + timedelta(hours=2)) == (Must.PASSWORD,)
    assert rules.musts(replace(wang, password_set=None), "password", noon) == (Must.PASSWORD,)
    assert rules.musts(replace(wang, must_change=True), "openid", noon) == ()


async def test_the_site_says_how_long_a_password_is(tmp_path: Path):
    async with county(tmp_path, 1, security=SecurityTable(password_length=16)) as here:
        password = await here.person("viewer")
        async with here.browser("viewer") as browser:
            body = {"old": password, "new": "m7#kQ-vz2Lp"}
            answer = await browser.post(f"{V1}/session/password", json=body, headers={"Accept-Language": "zh-CN"})
            assert answer.json()["mistakes"][0]["what"] == "密码有 11 个字符，请至少输入 16 个"


# ---- sessions -----------------------------------------------------------------------------------------------------


async def test_one_sees_ones_sessions_and_ends_the_desk_that_was_left_open(here: County):
    async with here.browser("viewer") as desk, here.browser("viewer") as home:
        mine = (await home.get(f"{V1}/sessions")).json()["sessions"]
        assert [it["this"] for it in mine] in ([True, False], [False, True])
        (left,) = [it["id"] for it in mine if not it["this"]]
        assert left not in (desk.cookies["fieldhub"], desk.headers["X-CSRF-Token"])
        assert (await home.delete(f"{V1}/sessions/{left}")).status_code == 204
        assert said(await desk.get(f"{V1}/session")) == (401, "session_over")
        assert said(await home.delete(f"{V1}/sessions/{left}")) == (404, "unknown_session")
    async with here.browser("viewer") as one, here.browser("water_operator") as other:
        theirs = (await one.get(f"{V1}/sessions")).json()["sessions"][0]["id"]
        assert said(await other.delete(f"{V1}/sessions/{theirs}")) == (404, "unknown_session")


# ---- the first administrator --------------------------------------------------------------------------------------

FIRST = {"name": "wang.min", "full_name": "王敏", "password": "three lamps at night"}


async def test_the_first_administrator_is_made_with_the_code_and_it_works_once(here: County):
    code = await here.app.state.desk.entrance.setup_code()
    async with here.client() as client:
        assert said(await client.post(f"{V1}/setup", json={**FIRST, "code": "wrong"})) == (403, "wrong_setup_code")
        weak = await client.post(f"{V1}/setup", json={**FIRST, "code": code, "password": "short"})
        assert (weak.status_code, weak.json()["mistakes"][0]["where"]) == (422, "body.password")
        good = {**FIRST, "code": code.upper().replace("-", " ")}
        assert (await client.post(f"{V1}/setup", json=good)).status_code == 204
        again = await client.post(f"{V1}/setup", json={**good, "name": "mallory"})
        assert said(again) == (403, "wrong_setup_code")
        told = (await client.post(f"{V1}/session", json={k: FIRST[k] for k in ("name", "password")})).json()
    assert [it["role"] for it in told["grants"]] == ["system_admin", "security_admin"]
    assert await here.app.state.desk.entrance.setup_code() == "", "there is one now"
    (note,) = [it for it in await here.notes("person") if it["did"] == "added"]
    assert (note["way"], note["address"]) == ("setup code", "127.0.0.1")
    assert code not in repr(await here.house.ledger.entries(limit=100))


async def test_a_code_that_was_shown_is_worth_nothing_once_there_is_an_administrator(here: County):
    """One was made at the server's own console (`fieldhub user`) since; the code may still stand in a log."""
    code = await here.app.state.desk.entrance.setup_code()
    await here.person("security_admin")
    async with here.client() as client:
        assert said(await client.post(f"{V1}/setup", json={**FIRST, "code": code})) == (403, "wrong_setup_code")
    assert await here.house.ledger.people.person(FIRST["name"]) is None


async def test_without_a_code_nobody_becomes_the_first(here: County):
    """Nobody has started the hub at a console: there is no code, and an empty one does not fit."""
    async with here.client() as client:
        for code in ("", "-", " ", "k7mwp"):
            answer = await client.post(f"{V1}/setup", json={**FIRST, "code": code})
            assert answer.status_code in (403, 422, 429)
    assert await here.house.ledger.people.persons() == []


async def test_guessing_the_code_is_slowed_down(here: County):
    await here.app.state.desk.entrance.setup_code()
    async with here.client() as client:
        answers = [await client.post(f"{V1}/setup", json={**FIRST, "code": f"guess-{n}"}) for n in range(5)]
    assert [it.status_code for it in answers] == [403, 403, 403, 429, 429]


async def test_what_is_begun_is_bounded(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(entrance, "MAX_BEGUN", 2)
    password = await here.person("viewer")
    for _ in range(4):
        async with here.browser("viewer") as browser:
            await browser.post(f"{V1}/session/second", json={"password": password})
    assert len(here.app.state.desk.entrance._begun) == 2
