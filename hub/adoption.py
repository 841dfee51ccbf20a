"""Devices that come, change and go while the house runs: checked as a file's rows are, written down, then live.

What came from a file is changed in that file. History and ledger of a device stay whatever happens to it: a new
controller in the cabinet has the id of the old one, and an id that was retired comes back with its own history only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from hub import self_watch
from hub.config import Site, check_device
from hub.contract import BadConfig, DriverSpec
from hub.hub import Hub
from hub.ledger.entries import Note
from hub.ledger.places import Placed, Places, Put, Retire
from hub.model import Area, Device, Nameplate
from hub.pending import Pending
from hub.registry import notes

log = logging.getLogger("fieldhub.adoption")


class OfAFile(Exception):
    """This device stands in a file of the site: `file` says in which."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file


class Adoption:
    """The registry's hand-made rows, and what is live of them."""

    def __init__(
        self,
        hub: Hub,
        places: Places,
        site: Site,
        drivers: Mapping[str, DriverSpec],
        plates: dict[str, Nameplate],
        pending: Pending,
    ) -> None:
        self._hub = hub
        self._places = places
        self._site = site
        self._drivers = drivers
        self._plates = plates  # of every device: the rules' book looks here
        self._pending = pending
        self._one_by_one = asyncio.Lock()

    def check(self, row: Mapping[str, Any], instead_of: str = "") -> tuple[Device, Nameplate]:
        """The device that the row describes. Raises BadConfig: every mistake, as `fieldhub check` says it.

        `instead_of`: the id of the device whose place it takes.
        """
        others = [it.device for it in self._hub.members.values() if it.device.id != instead_of]
        return check_device(row, others, self._hub.areas, self._drivers, self._site.options)

    async def put(self, device: Device, instead_of: str, by: str, where: Mapping[str, Any]) -> None:
        """Write it down, then let it live. Raises OfAFile, BadConfig, LedgerUnavailable: then nothing has changed.

        Checked once more when its turn has come: somebody else may have adopted or retired meanwhile.
        """
        async with self._one_by_one:
            for id in {device.id, instead_of or device.id}:
                self._by_hand(id)
            if instead_of and instead_of not in self._hub.members:
                raise BadConfig(f'registry › device "{instead_of}" › is no longer there. Adopt it anew')
            device, plate = self.check(structs.asdict(device), instead_of)
            await self._write(Put(device), by, where)
            self._plates[device.id] = plate
            self._hub.adopt(device, plate)
            self._pending.gone(device.address)

    async def retire(self, device: str, by: str, where: Mapping[str, Any]) -> None:
        """Take it out of service. Raises OfAFile, LookupError, LedgerUnavailable."""
        async with self._one_by_one:
            self._by_hand(device)
            await self._write(Retire(Device, device), by, where)
            self._hub.retire(device)
            self._plates.pop(device, None)

    def at_start(self, by_hand: Sequence[Area | Device]) -> None:
        """Those that were made by hand live again; one that cannot any more is said, and its history stays."""
        for it in by_hand:
            if not isinstance(it, Device):
                continue
            try:
                device, plate = self.check(structs.asdict(it))
            except BadConfig as bad:
                log.error("%s was adopted by hand and cannot live now: %s", it.id, "; ".join(bad.mistakes))
                continue
            self._plates[device.id] = plate
            self._hub.adopt(device, plate)

    def _by_hand(self, device: str) -> None:
        member = self._hub.members.get(device)
        if member is not None and member.device.driver == self_watch.DRIVER:  # the house itself, or one of its areas
            raise OfAFile("hub.toml")
        if file := self._site.files.get(device):
            raise OfAFile(file)

    async def _write(self, change: Put | Retire, by: str, where: Mapping[str, Any]) -> None:
        areas, devices = await self._places.load()
        if isinstance(change, Put):
            _comes_back_as_itself(change.it, devices)
        now = self._hub.clock.now()
        each = notes([change], [*areas, *devices], now, by, where)
        await self._places.apply([change], Note("registry", now, by, body={"entries": len(each), **where}), *each)


def _comes_back_as_itself(it: Area | Device, there: Sequence[Placed]) -> None:
    """An id has one history: once retired, it is the same thing's under its old name or address. Raises BadConfig."""
    for row in there:
        old = row.it
        if not isinstance(it, Device) or not isinstance(old, Device) or old.id != it.id or row.retired_at is None:
            continue
        if old.kind != it.kind or (old.name != it.name and old.address != it.address):
            was = f'was the {old.kind} "{old.name}" at {old.address} until {row.retired_at:%Y-%m-%d}'
            raise BadConfig(f'registry › device "{it.id}" › id › {was}, and its history stays. Choose another id')
