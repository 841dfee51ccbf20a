"""Hands a message to its channel through Apprise, in a thread of its own: the only file that knows it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from hub.notices.file import PLACE
from hub.notices.message import Text
from hub.notices.plan import Channel

TIMEOUT_S = 20.0  # of one try
THREADS = 32  # messages on their way: so many channels' worth may hang (hub/notices/postbox.py) and others go on
SHOWN = 200  # letters of why a channel did not take a message
SHORTEST_SECRET = 6  # letters of an address that, found in a reason, are not shown


class Sending:
    """`send` a message. Apprise is loaded with the first one: most houses start without it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "notices")

    async def send(self, channel: Channel, to: str, text: Text) -> str:
        """ "" when the channel took it; else why not, without what is secret in its address."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _send, channel, to, text)

    def close(self) -> None:
        """What hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _send(channel: Channel, to: str, text: Text) -> str:
    from apprise import Apprise, AppriseAsset, NotifyFormat

    asset = AppriseAsset(app_id="FieldHub", app_desc="FieldHub", app_url="", async_mode=False)
    it = Apprise(asset=asset)
    if not it.add(channel.url.replace(PLACE, quote(to, safe=""))):
        return "Apprise does not understand the address: see its documentation for how this channel's is written"
    result = it.notify(body=text.body, title=text.title, body_format=NotifyFormat.TEXT, timeout=TIMEOUT_S)
    if result:
        return ""
    said = [entry.message for entry in result.logs()]
    return _without_secrets(" ".join((said or [result.status.name.lower()])[-2:]), channel.url, to)[:SHOWN]


def _without_secrets(why: str, url: str, to: str) -> str:
    """A reason goes into the ledger and onto the screen; parts of the address do not."""
    _, _, rest = url.partition("://")
    for mark in "/?&=:@":
        rest = rest.replace(mark, " ")
    for part in sorted({*rest.split(), to}, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            why = why.replace(part, "***")
    return why
