"""What rules that look back must know of the time before they were bound: read from the history, after a start.

A rule over the last hour would be blind for an hour after every restart, and after every change of a device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime

from hub.clock import Clock
from hub.contract import Judgement
from hub.historian.base import AskedTooMuch, Historian, HistoryUnavailable, to_datetime, to_us
from hub.historian.course import course
from hub.hub import Hub
from hub.model import Quality, Value
from hub.past import Catalogue, patience_s, value_of

EVERY_S = 2.0
AT_ONCE, SHORT_S = 20, 6 * 3600  # so many devices in one question; of those that look back further, one
MOST_READINGS = 5_000  # of a point, that are told; of more of them, every second or third …

log = logging.getLogger("fieldhub.recall")


class Recall:
    """Looks for devices whose rules lack the past, and tells them."""

    def __init__(
        self, hub: Hub, judgement: Judgement, historian: Historian, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._hub = hub
        self._judgement = judgement
        self._historian = historian
        self._catalogue = catalogue
        self._clock = clock
        self._away = False  # the history, and the log has it

    async def run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(EVERY_S)

    async def look(self) -> None:
        """Tell every device that lacks it its past. While the history cannot be read, they go on lacking it."""
        wanted = self._judgement.wants()
        here = {device: spans for device, spans in wanted.items() if device in self._hub.members}
        short = [device for device, spans in here.items() if max(spans.values()) <= SHORT_S]
        questions = [short[first : first + AT_ONCE] for first in range(0, len(short), AT_ONCE)]
        questions += [[device] for device in here if device not in short]
        for some in questions:
            try:
                await self._tell({device: here[device] for device in some})
            except HistoryUnavailable as error:
                if not self._away:
                    log.warning("rules that look back know nothing of the time before the start yet: %s", error)
                self._away = True
                return
            except AskedTooMuch as error:
                log.warning("rules that look back on %s begin anew: %s", ", ".join(some), error)
                for device in some:
                    self._judgement.remember(device, ())
            self._away = False
            await asyncio.sleep(0)  # devices are waiting

    async def _tell(self, wanted: Mapping[str, Mapping[str, float]]) -> None:
        now_us = to_us(self._clock.now())
        longest_us = int(max((span for spans in wanted.values() for span in spans.values()), default=0) * 1e6)
        numbers = {
            (device, point): series.id
            for device, spans in wanted.items()
            for point in spans
            if (series := self._catalogue.find(device, point)) is not None
        }
        found = await self._historian.range(list(numbers.values()), now_us - longest_us, now_us)
        before = await self._historian.last_before(list(numbers.values()), now_us - longest_us)
        for device, spans in wanted.items():
            member = self._hub.members.get(device)
            if member is None:
                continue  # it left while this was read
            told: dict[datetime, dict[str, tuple[Value, Quality]]] = {}
            for key in spans:
                number, slot = numbers.get((device, key)), member.slots.get(key)
                if number is None or slot is None:
                    continue
                patience_us = int(patience_s(slot.point) * 1e6)
                for at_us, value, quality in course(found[number], before[number], patience_us, MOST_READINGS):
                    it = value_of(self._catalogue, slot.point, number, value), quality
                    told.setdefault(to_datetime(at_us), {})[key] = it
            self._judgement.remember(device, sorted(told.items()))
