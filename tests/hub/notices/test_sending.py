"""Messages through Apprise to servers that listen: HTTP and mail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hub.notices.message import Text
from hub.notices.plan import Channel
from hub.notices.sending import Sending

TEXT = Text("【紧急】东门泵站：前池水位 3.40 m", "12:00 前池水位 3.40 m\n处置：增开 1 台")


@pytest_asyncio.fixture
async def sending() -> AsyncIterator[Sending]:
    it = Sending()
    yield it
    it.close()


class Gateway:
    """Takes HTTP posts, and answers them with a status."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __aenter__(self) -> Gateway:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(it.split(":")[1]) for it in head.splitlines() if it.lower().startswith("content-length"))
        self.asked.append((head.split()[1], json.loads(await reader.readexactly(length))))
        writer.write(f"HTTP/1.1 {self.status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def test_a_gateway_gets_the_text_and_the_number(sending: Sending):
    async with Gateway() as gateway:
        channel = Channel("sms", "env:SMS", f"json://127.0.0.1:{gateway.port}/send/{{to}}", True)
        assert await sending.send(channel, "+86 138/1", TEXT) == ""
    ((path, said),) = gateway.asked
    assert path == "/send/+86%20138%2F1"
    assert (said["title"], said["message"]) == (TEXT.title, TEXT.body)


async def test_why_a_gateway_took_nothing_is_said_without_its_secrets(sending: Sending):
    async with Gateway(401) as gateway:
        url = f"json://hub:geheim99@127.0.0.1:{gateway.port}/token77/{{to}}"
        why = await sending.send(Channel("sms", "env:SMS", url, True), "13800000001", TEXT)
    assert "401" in why or "Unauthorized" in why
    assert not [it for it in ("geheim99", "token77", "13800000001") if it in why]


async def test_nobody_there_and_an_address_that_nobody_knows(sending: Sending):
    async with Gateway() as gateway:
        port = gateway.port
    assert await sending.send(Channel("a", "", f"json://127.0.0.1:{port}/"), "", TEXT) != ""
    assert "does not understand" in await sending.send(Channel("a", "", "nosuchthing://x/"), "", TEXT)


async def test_mail_arrives(sending: Sending):
    got: list[str] = []

    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        in_data = False
        while line := await reader.readline():
            got.append(line.decode().rstrip())
            if in_data:
                in_data = line != b".\r\n"
                if not in_data:
                    writer.write(b"250 taken\r\n")
            elif line.upper().startswith(b"DATA"):
                in_data = True
                writer.write(b"354 go on\r\n")
            elif line.upper().startswith(b"QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(smtp, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"mailto://127.0.0.1:{port}?from=hub@county.example&to={{to}}&mode=insecure"
    why = await sending.send(Channel("mail", "", url, True), "li.na@county.example", TEXT)
    server.close()
    assert why == ""
    assert any("rcpt to:<li.na@county.example>" in it.lower() for it in got), got
    assert any(it.startswith("Subject: ") for it in got)


@pytest.mark.parametrize("length", [10, 100_000])
async def test_any_text_is_sent(sending: Sending, length: int):
    async with Gateway() as gateway:
        channel = Channel("sms", "", f"json://127.0.0.1:{gateway.port}/")
        assert await sending.send(channel, "", Text("水" * 20, "位" * length)) == ""
    assert gateway.asked
