"""Tells systemd that the hub is ready, lives, and stops (sd_notify(3)): a few letters to a socket that it names."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping

from hub.clock import Clock

log = logging.getLogger("fieldhub.systemd")


class Systemd:
    """What the service manager wants to hear. Without one (`environment` names no socket) every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.every_s = int(watchdog_us) / 2e6 if watchdog_us.isdecimal() and mine else 0.0

    def tell(self, what: str) -> None:
        """READY=1, WATCHDOG=1, STOPPING=1, STATUS=…"""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
                it.sendto(what.encode(), address)
        except OSError as error:
            log.warning("the service manager could not be told %s: %s", what, error)

    async def keep(self, clock: Clock, lives: Callable[[], bool]) -> None:
        """Say twice in each time that it lives, as long as it does: a hub that hangs is started anew."""
        while self.every_s:
            if lives():
                self.tell("WATCHDOG=1")
            await clock.sleep(self.every_s)
