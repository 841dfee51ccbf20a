"""Signing in at an OpenID provider: a real one on loopback, and one that lies."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from msgspec.structs import replace

from dashboards import oidc_provider
from dashboards.oidc import BACK, Outside
from dashboards.oidc_provider import Provider
from hub.clock import SystemClock
from hub.config import OpenIdTable
from hub.contract import BadConfig
from hub.secrets import Secret
from tests.dashboards.county import County, county

V1 = "/api/v1"


@pytest.fixture
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def here(tmp_path: Path, issuer: str) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        await it.person("water_operator")
        person = await it.house.ledger.people.person("water_operator")
        assert person is not None
        await it.house.ledger.people.change(replace(person, subject="4711"))
        (tmp_path / "secret").write_text("the secret of this client\n")
        (tmp_path / "secret").chmod(0o600)
        table = OpenIdTable(
            issuer=issuer, client_id="fieldhub", client_secret="file:secret", address=it.url, title={"en": "Staff"}
        )
        it.app.state.desk.provider = Provider(table, Secret("file:secret", tmp_path, {}), tmp_path, it.house.clock)
        yield it


async def at_the_provider(browser: httpx.AsyncClient, who: str, action: str = "") -> str:
    """Follow the link, say there who one is; where the provider sends the browser then."""
    went = await browser.get(f"{V1}/openid")
    assert went.status_code == 303
    async with httpx.AsyncClient() as out:
        said = await out.post(went.headers["location"], data={"sub": who} | ({"action": action} if action else {}))
    return str(said.headers["location"])


async def test_who_is_known_there_and_here_gets_a_session_like_any_other(here: County):
    async with here.client() as browser:
        site = (await browser.get(f"{V1}/site")).json()
        assert site["openid"]["en"] == "Staff"
        went = await browser.get(f"{V1}/openid")
        asked = parse_qs(urlsplit(went.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [here.url.rstrip("/") + BACK]
        assert len(asked["nonce"][0]) >= 32
        came = await browser.get(await at_the_provider(browser, "4711"))
        assert (came.status_code, came.headers["location"]) == (303, "/")
        cookie = next(it for it in came.headers.get_list("set-cookie") if it.startswith("fieldhub="))
        assert "HttpOnly; SameSite=Strict" in cookie
        told = (await browser.get(f"{V1}/session")).json()
        assert (told["name"], told["must"]) == ("water_operator", [])
        assert (await browser.get(f"{V1}/sessions")).json()["sessions"][0]["way"] == "openid"
    assert [(it["did"], it["by"], it["way"]) for it in await here.notes()] == [
        ("signed_in", "water_operator", "openid")
    ]


async def _outside(browser: httpx.AsyncClient, address: str) -> str:
    came = await browser.get(address)
    assert came.status_code == 303
    assert (await browser.get(f"{V1}/session")).status_code == 401
    return came.headers["location"].removeprefix("/?openid=")


async def test_who_is_not_known_here_stays_outside_and_nobody_is_made_up(here: County):
    async with here.client() as browser:
        assert await _outside(browser, await at_the_provider(browser, "a stranger")) == "unknown"
    assert [it.name for it in await here.house.ledger.people.persons()] == ["water_operator"]
    (note,) = await here.notes()
    assert (note["did"], note["why"], note["subject"]) == ("refused", "openid", "a stranger")


async def test_who_is_disabled_here_stays_outside(here: County):
    person = await here.house.ledger.people.person("water_operator")
    assert person is not None
    await here.house.ledger.people.change(replace(person, disabled=True))
    async with here.client() as browser:
        assert await _outside(browser, await at_the_provider(browser, "4711")) == "unknown"


async def test_who_is_refused_there_is_told_so(here: County):
    async with here.client() as browser:
        assert await _outside(browser, await at_the_provider(browser, "4711", "deny")) == "late"
        state = parse_qs(urlsplit((await browser.get(f"{V1}/openid")).headers["location"]).query)["state"][0]
        assert await _outside(browser, f"{BACK}?state={state}&error=access_denied") == "refused"


async def test_a_way_back_is_good_once_and_in_the_browser_that_went_only(here: County):
    async with here.client() as browser, here.client() as another:
        back = await at_the_provider(browser, "4711")
        assert await _outside(another, back) == "late", "its address was handed to somebody else"
        assert (await browser.get(back)).headers["location"] == "/"
    async with here.client() as again:
        again.cookies.set("fieldhub-openid", parse_qs(urlsplit(back).query)["state"][0])
        assert await _outside(again, back) == "late"


async def test_one_account_there_is_one_person_here(here: County):
    async with here.browser("system_admin") as adds:
        body = {"name": "li.na", "full_name": "李娜", "password": "three lamps at night", "subject": "4711"}
        answer = await adds.post(f"{V1}/people", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "subject_is_taken")
        await adds.post(f"{V1}/people", json={**body, "subject": ""})
        answer = await adds.patch(f"{V1}/people/li.na", json={"subject": "4711"})
        assert answer.json()["code"] == "subject_is_taken"


async def test_a_house_without_a_provider_says_so(tmp_path: Path):
    async with county(tmp_path, 1) as here, here.client() as browser:
        assert "openid" not in (await browser.get(f"{V1}/site")).json()
        assert (await browser.get(f"{V1}/openid")).json()["code"] == "no_openid"


async def test_a_provider_that_is_away_lets_nobody_in_and_stops_nothing(here: County, tmp_path: Path):
    gone = OpenIdTable(issuer="http://127.0.0.1:9", client_id="fieldhub", address=here.url)
    here.app.state.desk.provider = Provider(gone, None, tmp_path, here.house.clock)
    async with here.client() as browser:
        answer = await browser.get(f"{V1}/openid")
        assert answer.headers["location"] == "/?openid=failed"
    async with here.browser("viewer"):
        pass


# ---- one that lies ------------------------------------------------------------------------------------------------

KEY, OTHER = (RSAKey.generate_key(2048, {"kid": kid}, private=True) for kid in ("ours", "theirs"))
Lie = Callable[[dict[str, Any]], str]


class Liar:
    """A provider on loopback whose id token is what a test makes of it."""

    def __init__(self, lie: Lie) -> None:
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("/keys"):
                    return self._say(KeySet([KEY]).as_dict(private=False))
                base = liar.issuer
                self._say({"issuer": base} | {it: f"{base}/{it}" for it in ("authorization_endpoint", "token_endpoint")}
                          | {"jwks_uri": f"{base}/keys"})  # fmt: skip

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                now = int(SystemClock().now().timestamp())
                claims = {"iss": liar.issuer, "aud": "fieldhub", "sub": "4711", "iat": now, "exp": now + 60}
                token = lie(claims | {"nonce": liar.nonce})
                self._say({"access_token": "x", "token_type": "Bearer", "id_token": token})

            def _say(self, it: dict[str, Any]) -> None:
                body = json.dumps(it).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.nonce = ""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Liar:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def signed(claims: dict[str, Any], key: Any = KEY, alg: str = "RS256") -> str:
    return jwt.encode({"alg": alg, "kid": key.kid if key is not OTHER else "ours"}, claims, key, algorithms=[alg])


def unsigned(claims: dict[str, Any]) -> str:
    _, body, _ = signed(claims).split(".")
    return f"eyJhbGciOiJub25lIn0.{body}."


def with_our_public_key(claims: dict[str, Any]) -> str:
    """The public key, which everybody has, taken as a shared secret."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(KEY.as_pem(private=False)), algorithms=["HS256"])


async def brought(tmp_path: Path, lie: Lie) -> str:
    with Liar(lie) as liar:
        table = OpenIdTable(issuer=liar.issuer, client_id="fieldhub", address="https://hub.county.example")
        provider = Provider(table, None, tmp_path, SystemClock())
        url, state = await provider.begin("10.0.0.1")
        liar.nonce = parse_qs(urlsplit(url).query)["nonce"][0]
        return await provider.subject(state, "a code")


async def test_an_honest_token_is_believed(tmp_path: Path):
    assert await brought(tmp_path, signed) == "4711"


@pytest.mark.parametrize(
    "lie",
    [
        unsigned,
        with_our_public_key,
        lambda it: signed(it, OTHER),
        lambda it: signed(it | {"iss": "https://elsewhere.example"}),
        lambda it: signed(it | {"aud": "another program"}),
        lambda it: signed(it | {"aud": ["another program", "fieldhub"], "azp": "another program"}),
        lambda it: signed(it | {"exp": it["exp"] - 600}),
        lambda it: signed(it | {"iat": it["iat"] + 600}),
        lambda it: signed(it | {"nonce": "of another flow"}),
        lambda it: signed({k: v for k, v in it.items() if k != "nonce"}),
        lambda it: signed({k: v for k, v in it.items() if k != "exp"}),
        lambda it: signed(it | {"sub": 4711}),
        lambda it: signed(it | {"sub": ""}),
        lambda it: "no token",
        lambda it: "",
    ],
)
async def test_a_token_that_is_not_for_us_and_for_now_is_not_believed(tmp_path: Path, lie: Lie):
    with pytest.raises(Outside):
        await brought(tmp_path, lie)


async def test_a_stranger_cannot_push_others_out_of_the_flows(tmp_path: Path, issuer: str):
    table = OpenIdTable(issuer=issuer, client_id="fieldhub", address="https://hub.county.example")
    provider = Provider(table, None, tmp_path, SystemClock())
    _, mine = await provider.begin("10.0.0.1")
    for _ in range(oidc_provider.FLOWS_OF_ONE * 2):
        await provider.begin("10.0.0.66")
    assert mine in provider._flows
    assert len(provider._flows) == oidc_provider.FLOWS_OF_ONE + 1


def test_an_address_that_is_not_safe_is_refused_with_what_to_write():
    host = "id.county.example"
    for bad in (f"http://{host}", "https://", f"ftp://{host}", f"https://{host}/?a=b", f"http://localhost.{host}"):
        with pytest.raises(ValueError, match="Write one that begins with"):
            OpenIdTable(issuer=bad, client_id="x", address="https://hub.county.example")


# ---- secrets ------------------------------------------------------------------------------------------------------


def test_a_secret_is_found_in_the_environment_or_a_file_and_shows_itself_nowhere(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text("hunter2 hunter2\n")
    file.chmod(0o600)
    for secret in (Secret("file:secret", tmp_path, {}), Secret("env:S", tmp_path, {"S": " hunter2 hunter2 "})):
        assert secret.reveal() == "hunter2 hunter2"
        assert "hunter2" not in repr(secret) + str(secret) + f"{secret}"


@pytest.mark.parametrize(
    ("name", "mode", "text", "says"),
    [
        ("file:secret", 0o644, "hunter2", r"can be read by others \(mode 0644\)\. Run: chmod 600"),
        ("file:secret", 0o600, " \n", "is empty"),
        ("file:nowhere", 0o600, "hunter2", "cannot be read: No such file"),
        ("env:NOBODY", 0o600, "", r"the environment has no NOBODY\. Set it where the hub is started"),
        ("hunter2", 0o600, "", r'is not where a secret is\. Write "env:NAME" or "file:PATH"'),
        ("env:", 0o600, "", "is not where a secret is"),
    ],
)
def test_a_secret_that_is_not_right_is_said_without_saying_it(
    tmp_path: Path, name: str, mode: int, text: str, says: str
):
    (tmp_path / "secret").write_text(text)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(BadConfig, match=says) as bad:
        Secret(name, tmp_path, {"OTHER": "x"})
    assert "hunter2" not in str(bad.value)
