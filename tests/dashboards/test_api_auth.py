"""Who asks: passwords, sessions, CSRF, tokens, pauses; and that the ledger knows of every log-in and refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from dashboards import auth, throttle
from dashboards.throttle import Throttle
from hub import passwords
from hub.clock import ManualClock
from hub.passwords import WeakPassword, add_person, hash_password, set_password
from hub.rights import Grant
from hub.words import house_words
from tests.dashboards.county import County, county

V1 = "/api/v1"
EARNEST = passwords._hasher


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


async def test_signing_in_gives_a_cookie_that_scripts_cannot_read_and_other_sites_cannot_use(here: County):
    password = await here.person("viewer")
    async with here.client() as client:
        answer = await client.post(f"{V1}/session", json={"name": "viewer", "password": password})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("fieldhub=")
        for part in ("Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"):
            assert part in cookie
        assert "Secure" not in cookie  # plain http on a county's LAN
        told = answer.json()
        assert (told["name"], told["rights"], told["must"]) == ("viewer", ["look", "self"], [])
        assert told["grants"] == [{"role": "viewer", "area": "", "rights": ["look", "self"], "families": []}]
        assert password not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        who = await client.get(f"{V1}/session")
        assert who.json()["csrf"] == told["csrf"]


async def test_behind_tls_the_cookie_is_secure_and_bound_to_the_host(here: County):
    password = await here.person("viewer")
    async with here.client(**{"X-Forwarded-Proto": "https"}) as client:  # uvicorn trusts a proxy on the same machine
        answer = await client.post(f"{V1}/session", json={"name": "viewer", "password": password})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-fieldhub=")
        assert cookie.endswith("; Secure")
        secret = cookie.partition(";")[0]
        assert (await client.get(f"{V1}/session", headers={"Cookie": secret})).status_code == 200


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike_and_noted(here: County):
    await here.person("viewer")
    async with here.client() as client:
        wrong = await client.post(f"{V1}/session", json={"name": "viewer", "password": "not this one"})
        unknown = await client.post(f"{V1}/session", json={"name": "nobody", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert "set-cookie" not in wrong.headers
    notes = await here.notes()
    assert [(it["did"], it["subject"], it["by"], it["why"]) for it in notes] == [
        ("refused", "viewer", "", "password"),
        ("refused", "nobody", "", "password"),
    ]
    assert notes[0]["address"] == "127.0.0.1"


async def test_the_ledger_knows_who_signed_in_and_out_and_holds_no_secret(here: County):
    async with here.browser("viewer") as browser:
        await browser.delete(f"{V1}/session")
        secret = browser.headers["X-CSRF-Token"]
    assert [(it["did"], it["by"]) for it in await here.notes()] == [("signed_in", "viewer"), ("signed_out", "viewer")]
    written = repr(await here.house.ledger.entries(limit=100))
    assert secret not in written
    assert here.passwords["viewer"] not in written


async def test_after_signing_out_the_cookie_opens_nothing(here: County):
    async with here.browser("viewer") as browser:
        secret = browser.cookies["fieldhub"]
        answer = await browser.delete(f"{V1}/session")
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        again = await browser.get(f"{V1}/session", headers={"Cookie": f"fieldhub={secret}"})
        assert (again.status_code, again.json()["code"]) == (401, "session_over")


@pytest.mark.parametrize("cookie", ["", "x", "ÿ", "a" * 3000, "fieldhub=", "; ;=;"])
async def test_an_invented_cookie_opens_nothing(here: County, cookie: str):
    async with here.client() as client:
        answer = await client.get(f"{V1}/session", headers={"Cookie": f"fieldhub={cookie}".encode("latin-1")})
        assert answer.status_code == 401


async def test_a_page_of_another_site_cannot_sign_a_browser_in(here: County):
    password = await here.person("viewer")
    body = {"name": "viewer", "password": password}
    async with here.client(**{"Sec-Fetch-Site": "cross-site"}) as client:
        answer = await client.post(f"{V1}/session", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    async with here.client() as client:  # and a plain form cannot send JSON
        answer = await client.post(
            f"{V1}/session", content=b'{"name": "viewer"}', headers={"Content-Type": "text/plain"}
        )
        assert answer.status_code == 422


# ---- pauses -------------------------------------------------------------------------------------------------------


async def test_guessing_makes_growing_pauses_for_the_guesser(here: County):
    password = await here.person("viewer")
    async with here.client() as client:
        for _ in range(throttle.FREE_TRIES):
            answer = await client.post(f"{V1}/session", json={"name": "viewer", "password": "wrong wrong"})
            assert answer.status_code == 401
        held = await client.post(f"{V1}/session", json={"name": "viewer", "password": password})
        assert (held.status_code, held.json()["code"]) == (429, "slow_down")
        assert 1 <= int(held.headers["retry-after"]) <= 2
        other = await client.post(f"{V1}/session", json={"name": "auditor", "password": await here.person("auditor")})
        assert other.status_code == 200, "a colleague behind the same address gets in"
        await asyncio.sleep(throttle.FIRST_PAUSE_S + 0.05)
        answer = await client.post(f"{V1}/session", json={"name": "viewer", "password": password})
        assert answer.status_code == 200
    assert [it["why"] for it in await here.notes() if it["did"] == "refused"] == ["password"] * 3 + ["too_fast"]


async def test_a_burst_of_guesses_gains_nothing(here: County):
    await here.person("viewer")
    async with here.client() as client:
        body = {"name": "viewer", "password": "wrong wrong"}
        answers = await asyncio.gather(*(client.post(f"{V1}/session", json=body) for _ in range(20)))
    tried = [it.status_code for it in answers].count(401)
    assert tried <= throttle.AT_ONCE + 1, "tries under way count as mistakes until they succeed"


def test_pauses_double_up_to_a_limit_and_are_forgotten():
    clock = ManualClock()
    it = Throttle(clock)
    waits = []
    for _ in range(14):
        it.begin("wang.min", "10.0.0.1")
        it.end("wang.min", "10.0.0.1", succeeded=False)
        waits.append(it.wait_s("wang.min", "10.0.0.1"))
    assert waits[:6] == [0, 0, 1, 2, 4, 8]
    assert waits[-1] == throttle.LONGEST_PAUSE_S
    assert it.wait_s("wang.min", "10.0.0.2") == 0, "the same person elsewhere is not locked out"
    clock._go_to(throttle.FORGOTTEN_AFTER_S + 1)
    it.begin("wang.min", "10.0.0.1")
    it.end("wang.min", "10.0.0.1", succeeded=False)
    assert it.wait_s("wang.min", "10.0.0.1") == 0


def test_an_address_that_tries_many_names_is_answered_slowly():
    it = Throttle(ManualClock())
    delays = []
    for number in range(throttle.SUSPECT_AFTER + 1):
        delays.append(it.begin(f"person{number}", "10.0.0.1"))
        it.end(f"person{number}", "10.0.0.1", succeeded=False)
    assert delays == [0.0] * throttle.SUSPECT_AFTER + [throttle.SUSPECT_DELAY_S]
    assert it.begin("person1", "10.0.0.2") == 0.0


def test_what_the_throttle_remembers_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 100)
    it = Throttle(ManualClock())
    for number in range(1000):
        it.begin(f"person{number}", f"10.0.{number // 250}.{number % 250}")
    assert len(it._pairs) == len(it._addresses) == 100


# ---- how long -----------------------------------------------------------------------------------------------------


async def test_a_session_ends_when_it_is_idle_and_after_a_shift(here: County):
    async with here.browser("viewer") as browser:
        caller = next(iter(here.app.state.desk.gate._known.values()))
        now = caller.seen
        idle, longest = timedelta(minutes=60), timedelta(hours=12)  # [security] as it stands without a word
        assert not caller.out_of_time(now + idle)
        assert caller.out_of_time(now + idle + timedelta(seconds=1))
        caller.seen = now + longest
        assert caller.out_of_time(now + longest)
        caller.seen = now - idle - timedelta(seconds=1)
        answer = await browser.get(f"{V1}/session")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_over")


async def test_a_session_outlives_a_restart_of_the_house(tmp_path: Path):
    async with county(tmp_path, 1) as before, before.browser("viewer") as browser:
        cookies, csrf = dict(browser.cookies), browser.headers["X-CSRF-Token"]
    async with county(tmp_path, 1) as after, after.client() as client:
        client.cookies.update(cookies)
        assert (await client.get(f"{V1}/session")).json()["csrf"] == csrf


# ---- passwords and people -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "has 5 characters. Write at least 10"),
        ("x" * 201, "has 201 characters. Write at most 200"),
        ("aaaaaaaaaabb", "among those that are guessed first"),
        ("Password2026", "among those that are guessed first"),
        ("1qaz2wsx3edc", "among those that are guessed first"),
        ("fieldhub2026", "among those that are guessed first"),
        ("wang.min.wm", "hardly more than the name"),
        ("Wang.Min2026", "hardly more than the name"),
    ],
)
def test_weak_passwords_are_refused_with_what_to_write(password: str, says: str):
    with pytest.raises(WeakPassword, match=says) as weak:
        hash_password("wang.min", password)
    assert "密码" in house_words().say(weak.value.words, "zh-CN")


@pytest.mark.parametrize("password", ["correct horse battery", "泵站夜班三盏灯亮着吗", "m7#kQ-vz2Lp"])
def test_a_password_needs_no_certain_signs_but_must_be_hard_to_guess(password: str):
    assert hash_password("wang.min", password).startswith("$argon2id$")


async def test_a_new_password_needs_the_old_one_and_ends_every_other_session(here: County):
    async with here.browser("viewer") as one, here.browser("viewer") as other:
        old = here.passwords["viewer"]
        wrong = await one.post(f"{V1}/session/password", json={"old": "not the one", "new": "another good one"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_old_password")  # 401: sign in again
        weak = await one.post(f"{V1}/session/password", json={"old": old, "new": "short"})
        assert weak.json()["mistakes"][0]["where"] == "body.new"
        good = await one.post(f"{V1}/session/password", json={"old": old, "new": "another good one"})
        assert good.status_code == 204
        assert (await one.get(f"{V1}/session")).status_code == 200
        assert (await other.get(f"{V1}/session")).status_code == 401
        again = await other.post(f"{V1}/session", json={"name": "viewer", "password": "another good one"})
        assert again.status_code == 200


async def test_who_is_disabled_is_out_at_once_and_their_tokens_too(here: County):
    async with here.browser("water_operator") as browser, here.browser("system_admin") as admin:
        token = (await browser.post(f"{V1}/tokens", json={"title": "t"})).json()["token"]
        async with here.client(Authorization=f"Bearer {token}") as program:
            assert (await program.get(f"{V1}/session")).status_code == 200
            answer = await admin.patch(f"{V1}/people/water_operator", json={"disabled": True})
            assert answer.json()["disabled"] is True
            assert (await browser.get(f"{V1}/session")).status_code == 401
            assert (await program.get(f"{V1}/session")).status_code == 401
        body = {"name": "water_operator", "password": here.passwords["water_operator"]}
        assert (await browser.post(f"{V1}/session", json=body)).status_code == 401


async def test_another_process_that_ends_a_session_is_felt_soon(here: County, monkeypatch: pytest.MonkeyPatch):
    """`fieldhub user DIR password NAME` writes beside a running hub."""
    monkeypatch.setattr(auth, "RECHECK_S", 0.0)
    async with here.browser("viewer") as browser:
        await set_password(here.house.ledger, "viewer", "set at the shell")
        assert (await browser.get(f"{V1}/session")).status_code == 401


async def test_mistakes_about_people_are_all_told(here: County):
    async with here.browser("system_admin") as admin:
        body = {
            "name": "Wang Min",
            "full_name": "",
            "password": "tiny-secret" * 20,
            "grants": [{"role": "boss"}],
            "nick": "w",
        }
        answer = await admin.post(f"{V1}/people", json=body)
        assert answer.status_code == 422
        assert {it["where"] for it in answer.json()["mistakes"]} == {
            "body.name",
            "body.full_name",
            "body.password",
            "body.grants.0.role",
            "body.nick",
        }
        assert "tiny-secr" not in answer.text, "what may be a password is not said back"
        taken = {"name": "system_admin", "full_name": "A", "password": "long enough 1"}
        answer = await admin.post(f"{V1}/people", json=taken)
        assert (answer.status_code, answer.json()["code"]) == (409, "name_is_taken")


async def test_a_hash_under_older_parameters_is_renewed_at_the_next_sign_in(
    here: County, monkeypatch: pytest.MonkeyPatch
):
    people = here.house.ledger.people
    await here.person("viewer")
    before = await people.person("viewer")
    assert before is not None
    assert "$argon2id$v=19$m=8," in before.password
    monkeypatch.setattr(passwords, "_hasher", EARNEST)
    async with here.browser("viewer"):
        after = await people.person("viewer")
    assert after is not None
    assert f"$argon2id$v=19$m={46 * 1024},t=1,p=1$" in after.password
    async with here.browser("viewer"):
        assert await people.person("viewer") == after


# ---- tokens -------------------------------------------------------------------------------------------------------


async def test_a_token_is_told_once_and_works_without_cookie_and_csrf(here: County):
    async with here.browser("water_operator") as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "daily report", "days": 3})).json()
        listed = await browser.get(f"{V1}/tokens")
        assert made["token"] not in listed.text
        assert listed.json()["tokens"][0]["title"] == "daily report"
    assert made["token"].partition("_")[2].partition("_")[2] not in repr(await here.house.ledger.people.tokens())
    async with here.client(Authorization=f"Bearer {made['token']}") as program:
        who = (await program.get(f"{V1}/session")).json()
        assert (who["name"], who["csrf"]) == ("water_operator", None)
        answer = await program.post(f"{V1}/commands/prepare", json={"device": "ps-chengdong-1", "action": "pump1.stop"})
        assert answer.status_code == 200


async def test_a_token_can_have_less_than_its_maker_and_never_more(here: County):
    async with here.browser("water_operator") as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "wall", "grants": [{"role": "viewer"}]})).json()
        more = [{"role": "system_admin"}, {"role": "field_engineer", "area": "341203100000"}]
        answer = await browser.post(f"{V1}/tokens", json={"title": "boss", "grants": more})
        assert answer.status_code == 422
        assert [it["what"].split(" is ")[0] for it in answer.json()["mistakes"]] == [
            "system_admin",
            "field_engineer@341203100000",
        ]
    async with here.client(Authorization=f"Bearer {made['token']}") as program:
        assert (await program.get(f"{V1}/devices")).status_code == 200
        answer = await program.post(f"{V1}/commands/prepare", json={"device": "ps-chengdong-1", "action": "pump1.stop"})
        assert answer.status_code == 403


async def test_an_ended_token_opens_nothing_at_once(here: County):
    async with here.browser("water_operator") as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "t"})).json()
        async with here.client(Authorization=f"Bearer {made['token']}") as program:
            assert (await program.get(f"{V1}/session")).status_code == 200
            assert (await browser.delete(f"{V1}/tokens/{made['id']}")).status_code == 204
            answer = await program.get(f"{V1}/session")
            assert (answer.status_code, answer.json()["code"]) == (401, "bad_token")
        assert (await browser.delete(f"{V1}/tokens/{made['id']}")).status_code == 404


async def test_somebody_elses_token_cannot_be_ended(here: County):
    async with here.browser("water_operator") as one, here.browser("system_admin") as other:
        made = (await one.post(f"{V1}/tokens", json={"title": "t"})).json()
        assert (await other.delete(f"{V1}/tokens/{made['id']}")).status_code == 404


@pytest.mark.parametrize("token", ["x", "fh_", "fh_abc_def", "fh_' or 1=1_x", "ÿ" * 50, "a" * 5000])
async def test_an_invented_token_opens_nothing_and_is_noted(here: County, token: str):
    async with here.client() as client:
        for _ in range(3):
            answer = await client.get(f"{V1}/session", headers={"Authorization": f"Bearer {token}".encode("latin-1")})
            assert answer.status_code == 401
    await asyncio.sleep(0.1)
    assert len(await here.notes()) <= 1, "the same refusal is noted once a minute"


async def test_a_token_with_the_wrong_secret_opens_nothing(here: County):
    async with here.browser("water_operator") as browser:
        made = (await browser.post(f"{V1}/tokens", json={"title": "t"})).json()
        wrong = made["token"][:-4] + "AAAA"
        answer = await here.client().get(f"{V1}/session", headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_one_person_has_a_bounded_number_of_tokens(here: County, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(auth, "MAX_TOKENS", 2)
    async with here.browser("water_operator") as browser:
        codes = [(await browser.post(f"{V1}/tokens", json={"title": "t"})).status_code for _ in range(3)]
    assert codes == [201, 201, 422]


async def test_there_are_no_default_passwords(here: County):
    assert await here.house.ledger.people.persons() == []
    await add_person(here.house.ledger, "wang.min", "王敏", "a good password", [Grant("viewer")], "zh-CN")
    async with here.client() as client:
        for name in ("admin", "root", "wang.min"):
            answer = await client.post(f"{V1}/session", json={"name": name, "password": name})
            assert answer.status_code == 401
