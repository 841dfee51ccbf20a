"""The door under abuse: slow, endless, huge and mad senders, ten thousand guesses; and HTTPS for foreign clients."""

from __future__ import annotations

import asyncio
import resource
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from dashboards import auth, door, throttle
from dashboards.app import MAX_BODY_BYTES
from hub import certificate
from hub.clock import SystemClock
from hub.config import HttpTable
from tests.dashboards.county import County, county, serving

V1 = "/api/v1"
NAMES = ["localhost", "127.0.0.1"]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[County]:
    async with county(tmp_path, 1) as it:
        yield it


async def raw(url: str, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """What comes back for these bytes, until the other side closes."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


# ---- slow ---------------------------------------------------------------------------------------------------------


async def test_who_never_says_what_they_want_is_shown_out_and_others_are_served(here: County):
    """Three hundred connections that send a header's letters now and then (slow-loris)."""
    limits = door.Limits(head_s=1.0, silent_from_one=100)
    async with serving(here.app, limits=limits) as url:
        at = urlsplit(url)
        silent = [await asyncio.open_connection(at.hostname, at.port) for _ in range(300)]
        for _, writer in silent:
            writer.write(b"GET / HTTP/1.1\r\nX-a: ")
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            over = await asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
        assert all(it == b"" or isinstance(it, ConnectionError) for it in over)
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
        for _, writer in silent:
            writer.close()


async def test_while_an_address_is_full_of_silent_ones_those_that_ask_go_on(here: County):
    async with (
        serving(here.app, limits=door.Limits(silent_from_one=20)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        await client.get("/healthz")
        at = urlsplit(url)
        silent = [await asyncio.open_connection(at.hostname, at.port) for _ in range(40)]
        await asyncio.sleep(0.1)
        assert (await client.get("/healthz")).status_code == 200, "its connection is kept"
        for _, writer in silent:
            writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(here: County):
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    async with serving(here.app, limits=door.Limits(body_s=0.3)) as url:
        assert await raw(url, head, b'{"name": ') == b""


async def test_an_answer_that_nobody_takes_is_not_kept(here: County):
    async with serving(here.app, limits=door.Limits(stuck_s=0.3)) as url:
        at = urlsplit(url)
        reader, writer = await asyncio.open_connection(at.hostname, at.port, limit=1024)
        index = (await httpx.AsyncClient(base_url=url).get("/")).text
        big = "/assets/" + index.partition("/assets/")[2].partition('"')[0]
        for _ in range(400):
            writer.write(f"GET {big} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await asyncio.sleep(1.0)
        assert reader.at_eof() or writer.is_closing() or len(await _rest(reader)) < 400 * 1000
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""


async def test_a_stranger_cannot_hold_all_connections(here: County):
    async with serving(here.app, limits=door.Limits(from_one=5, connections=8)) as url:
        at = urlsplit(url)
        held = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            held.append(writer)
        assert await raw(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        held.pop().close()
        await asyncio.sleep(0.05)
        assert b"200 OK" in await raw(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for writer in held:
            writer.close()


# ---- huge and mad -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b" 431 "),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b" 431 "),
        (b"GET / HTTP/1.1\r\nCookie: fieldhub=" + b"y" * 70_000 + b"\r\n\r\n", b" 431 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 41"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, b" 400 "),
        (b"GET / HTTP/9.9\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b" 400 "),
        (b"\x00" * 5000, b" 400 "),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b" 200 "),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n", b" 200 "),
    ],
)
async def test_what_no_browser_sends_is_turned_away_and_the_next_one_served(here: County, sent: bytes, says: bytes):
    async with serving(here.app, limits=door.Limits(head_s=2.0)) as url:
        assert says in (await raw(url, sent)).partition(b"\r\n")[0]
        assert b" 200 " in await raw(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


async def test_pipelined_garbage_is_answered_once_and_shut_out(here: County):
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(here.app, limits=door.Limits(head_s=1.0)) as url:
        answer = await raw(url, asked * 3 + b"\x00\xffgarbage\r\n\r\n" * 100)
        assert answer.count(b"HTTP/1.1 200") <= 3
        assert b" 200 " in await raw(url, asked.replace(b"x\r\n", b"x\r\nConnection: close\r\n"))


async def test_a_hundred_megabytes_are_refused_without_being_kept(here: County):
    """With a length they are refused at once; in pieces, as soon as they are too many."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    piece = b"x" * 65536
    async with serving(here.app, limits=door.Limits(body_s=3.0)) as url:
        said = await raw(url, head + b"Content-Length: 104857600\r\n\r\n")
        assert b" 413 " in said.partition(b"\r\n")[0]
        assert b"too_large" in said
        chunks = [b"10000\r\n" + piece + b"\r\n"] * 1600
        answer = await raw(url, head + b"Transfer-Encoding: chunked\r\n\r\n", *chunks)
        assert answer == b"" or b" 413 " in answer.partition(b"\r\n")[0]
        async with httpx.AsyncClient(base_url=url) as client:
            edge = await client.post(f"{V1}/session", content=b"x" * (MAX_BODY_BYTES + 1))
            assert edge.status_code == 413
            assert (await client.post(f"{V1}/session", content=b"x" * MAX_BODY_BYTES)).status_code == 422
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 64 * 1024, "nothing of it was kept"


# ---- guesses ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_ten_thousand_guesses_open_nothing_and_the_duty_room_signs_in_meanwhile(
    here: County, monkeypatch: pytest.MonkeyPatch
):
    """From two addresses at once, through a proxy that is believed; the duty room comes from a third."""
    monkeypatch.setattr(throttle, "SUSPECT_DELAY_S", 0.02)  # 2 s in earnest: the test would last two minutes
    await here.person("viewer")
    outcomes: Counter[bytes] = Counter()
    guessing = asyncio.gather(*(guesses(here.url, line, outcomes) for line in range(20)))
    signed_in = 0
    while not guessing.done():
        async with here.browser("water_operator") as duty:
            assert (await duty.get(f"{V1}/snapshot")).status_code == 200
            signed_in += 1
        await asyncio.sleep(0.3)
    await guessing
    assert set(outcomes) <= {b"401", b"429"}
    assert outcomes.total() == 10_000
    assert outcomes[b"429"] > outcomes[b"401"], "most were not even looked at"
    assert signed_in >= 2
    monkeypatch.setattr(auth, "NOTE_AGAIN_S", 0.0)
    await here.app.state.desk.gate.tell_unnoted()
    written = [it for it in await here.house.ledger.entries("login", 1_000) if it.says["did"] == "refused"]
    assert len(written) < 600, "the ledger is not flooded"
    assert sum(it.says.get("unnoted", 0) for it in written) > 1_000, "and says how many more there were"


async def guesses(url: str, line: int, outcomes: Counter[bytes]) -> None:
    """Five hundred on one connection: half at one name, half at ever new ones."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    for number in range(500):
        name = "viewer" if number % 2 else f"person{line}.{number}"
        body = f'{{"name": "{name}", "password": "guess {number}"}}'
        writer.write(
            f"POST {V1}/session HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.{line % 2}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        outcomes[head[9:12]] += 1
    writer.close()


async def test_a_strangers_word_about_where_they_come_from_is_not_believed(here: County):
    async with serving(here.app, HttpTable()) as url, httpx.AsyncClient(base_url=url) as client:
        for number in range(6):
            body = {"name": "viewer", "password": "wrong wrong"}
            lie = {"X-Forwarded-For": f"10.9.9.{number}", "X-Forwarded-Proto": "https"}
            answer = await client.post(f"{V1}/session", json=body, headers=lie)
        assert answer.status_code == 429
    assert {it["address"] for it in await here.notes()} == {"127.0.0.1"}


# ---- HTTPS --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tmp_path: Path) -> HttpTable:
    certificate.make(tmp_path / "tls", NAMES, 30, SystemClock().now())
    return HttpTable(cert="tls/cert.pem", key="tls/key.pem")


async def _run(*command: str | Path, stdin: bytes = b"") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate(stdin)
    return int(process.returncode or 0), out.decode("utf-8", "replace")


async def test_curl_believes_the_sites_authority_and_gets_a_cookie_that_needs_tls(
    here: County, tls: HttpTable, tmp_path: Path
):
    password = await here.person("viewer")
    async with serving(here.app, tls, tmp_path) as url:
        body = f'{{"name": "viewer", "password": "{password}"}}'
        sent = ("-H", "Content-Type: application/json", "-d", body)
        status, said = await _run("curl", "-si", "--cacert", tmp_path / "tls" / "ca.pem", *sent, f"{url}{V1}/session")
        assert status == 0, said
        assert "strict-transport-security: max-age=31536000" in said
        assert "set-cookie: __Host-fieldhub=" in said
        assert "; Secure" in said
        status, said = await _run("curl", "-s", f"{url}/healthz")
        assert status == 60, "who does not know the authority does not believe the certificate"


async def test_openssl_finds_the_chain_whole_and_old_versions_refused(here: County, tls: HttpTable, tmp_path: Path):
    async with serving(here.app, tls, tmp_path) as url:
        at = f"127.0.0.1:{urlsplit(url).port}"
        ca = ("-CAfile", tmp_path / "tls" / "ca.pem", "-verify_return_error", "-verify_ip", "127.0.0.1")
        for version in ("-tls1_2", "-tls1_3"):
            status, said = await _run("openssl", "s_client", "-connect", at, *ca, version, stdin=b"Q\n")
            assert (status, "Verify return code: 0 (ok)" in said) == (0, True), said
        status, said = await _run("openssl", "s_client", "-connect", at, "-tls1_1", stdin=b"Q\n")
        assert status != 0, said
        status, said = await _run("openssl", "s_client", "-connect", at, "-tls1_2", "-cipher", "AES128-SHA256",
                                  stdin=b"Q\n")  # fmt: skip
        assert status != 0, "no forward secrecy"


async def test_plain_words_to_the_tls_door_get_nothing_and_harm_nothing(here: County, tls: HttpTable, tmp_path: Path):
    async with serving(here.app, tls, tmp_path) as url:
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000, b"\x00" * 100):
            assert b"HTTP" not in await raw(url, sent)
        trust = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
        async with httpx.AsyncClient(base_url=url, verify=trust) as client:
            assert (await client.get("/healthz")).status_code == 200


async def test_a_renewed_certificate_is_taken_without_a_restart(here: County, tls: HttpTable, tmp_path: Path):
    now = SystemClock().now()
    server = door.server(here.app, tls, tmp_path)
    server.config.load()
    assert not server.take_certificate()
    first = certificate.ends(tmp_path / "tls" / "cert.pem")
    certificate.make(tmp_path / "tls", NAMES, 60, now)
    assert certificate.ends(tmp_path / "tls" / "cert.pem") - first > timedelta(days=29)
    assert server.take_certificate()
    assert not server.take_certificate()
    (tmp_path / "tls" / "cert.pem").write_text("half a certifi")
    assert not server.take_certificate(), "the old one stays"
