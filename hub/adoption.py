"""Devices that come, change and go while the house runs: checked as a file's rows are, written down, then live.

What came from a file is changed in that file. History and ledger of a device stay whatever happens to it: a new
controller in the cabinet has the id of the old one, and an id that was retired comes back with its own history only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hub.config import Site, check_device
from hub.contract import BadConfig, DriverSpec
from hub.hub import Hub
from hub.ledger.entries import Note
from hub.ledger.places import Change, Placed, Places, Put, Retire
from hub.model import Area, Device, Nameplate
from hub.pending import Pending
from hub.registry import FILE, notes

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

    def check(self, row: Mapping[str, Any], instead_of: str = "") -> tuple[Device, Nameplate]:
        """The device that the row describes. Raises BadConfig: every mistake, as `fieldhub check` says it.

        `instead_of`: the id of the device whose place it takes.
        """
        others = [it.device for it in self._hub.members.values() if it.device.id != instead_of]
        return check_device(row, others, self._hub.areas, self._drivers, self._site.options)

    def file_of(self, device: str) -> str:
        """The file that it stands in; "" when it was made by hand."""
        return self._site.files.get(device, "")

    async def put(self, device: Device, plate: Nameplate, by: str, where: Mapping[str, Any]) -> None:
        """Write it down, then let it live. Raises OfAFile, BadConfig, LedgerUnavailable: then nothing has changed."""
        self._by_hand(device.id)
        await self._write([Put(device)], by, where)
        self._plates[device.id] = plate
        self._hub.adopt(device, plate)
        self._pending.gone(device.address)

    async def retire(self, device: str, by: str, where: Mapping[str, Any]) -> None:
        """Take it out of service. Raises OfAFile, LookupError, LedgerUnavailable."""
        self._by_hand(device)
        await self._write([Retire(Device, device)], by, where)
        self._hub.retire(device)
        self._plates.pop(device, None)

    async def at_start(self, rows: Sequence[Placed]) -> None:
        """Those that were made by hand live again; one that cannot any more is said, and its history stays."""
        for row in rows:
            it = row.it
            if row.retired_at is not None or row.source.startswith(FILE) or not isinstance(it, Device):
                continue
            fields = {name: getattr(it, name) for name in it.__struct_fields__}
            try:
                device, plate = self.check(fields)
            except BadConfig as bad:
                log.error("%s was adopted by hand and cannot live now: %s", it.id, "; ".join(bad.mistakes))
                continue
            self._plates[device.id] = plate
            self._hub.adopt(device, plate)

    def _by_hand(self, device: str) -> None:
        if file := self.file_of(device):
            raise OfAFile(file)

    async def _write(self, changes: list[Change], by: str, where: Mapping[str, Any]) -> None:
        areas, devices = await self._places.load()
        for change in changes:
            if isinstance(change, Put):
                _comes_back_as_itself(change.it, devices)
        now = self._hub.clock.now()
        each = notes(changes, [*areas, *devices], now, by, where)
        # The summary names what each entry tells, as the start of the house does.
        body = {"entries": len(each), **where}
        await self._places.apply(changes, Note("registry", now, by, body=body), *each)


def _comes_back_as_itself(it: Area | Device, there: Sequence[Placed]) -> None:
    """An id has one history: it is not given to another kind of thing. Raises BadConfig."""
    for row in there:
        old = row.it
        if not isinstance(it, Device) or not isinstance(old, Device) or row.retired_at is None:
            continue
        if old.id == it.id and old.kind != it.kind:
            what = f'was a "{old.kind}" until {row.retired_at:%Y-%m-%d}, and its history stays. Choose another id'
            raise BadConfig(f'registry › device "{it.id}" › id › {what}')
