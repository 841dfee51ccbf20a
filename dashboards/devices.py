"""Devices: the roster (who is there, rarely changes), the snapshot (how they are), lists and single ones."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import caller, desk, view
from dashboards.desk import device as known_device
from dashboards.live import Bus
from dashboards.packed import Packed, json
from dashboards.problems import unknown
from dashboards.shape import encode
from hub.hub import Hub, Member
from hub.model import LINK, Nameplate, Quality
from hub.rights import Right
from hub.sight import MOST_VIEWS, Sight, View

PAGE = 100  # devices of a list, when nobody says how many
MAX_PAGE = 1_000
SNAPSHOT_S = 1.0  # a snapshot is given again for so long while things change,
STILL_S = 5.0  # and for so long while nothing does
MOST_SNAPSHOTS = 64  # kept, of so many views

DeviceId = Annotated[str, Path(max_length=100, description="the device's id")]


class Wanted(BaseModel):
    """Which devices, and from where on."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field("", description="pump_station")
    area: str = Field("", description="the code of an area; all areas below it count too")
    driver: str = Field("", description="the driver that talks to it: modbus")
    link: Literal["up", "degraded", "down", "unknown"] | None = Field(
        None, description="whether it answers; unknown: its link is not good, or it was never heard"
    )
    q: str = Field("", description="a part of its name or id")
    after: str = Field("", description="the `next` of the page before")
    limit: int = Field(PAGE, description=f"devices a page, {MAX_PAGE} at most")

    def fits(self, member: Member, codes: frozenset[str] | None) -> bool:
        it, part = member.device, self.q.casefold()
        if (self.kind and it.kind != self.kind) or (self.driver and it.driver != self.driver):
            return False
        if codes is not None and it.area not in codes:
            return False
        if self.link is not None and _link(member) != self.link:
            return False
        return not part or part in it.id or part in it.name.casefold()


class Roster:
    """Who is in the house, in columns; the plates once, for all devices that have the same. One for each view."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._made: dict[frozenset[str] | None, _Roster] = {}

    def forget(self) -> None:
        """Devices came, went or changed."""
        self._made.clear()

    def of(self, view: View) -> _Roster:
        it = self._made.get(view.key)
        if it is None or it.view is not view:
            if len(self._made) >= MOST_VIEWS:
                self._made.clear()
            it = self._made[view.key] = _Roster(view, self._sight)
        return it


class _Roster:
    """The roster that somebody sees. `version` is the same as long as it is, also after a restart."""

    def __init__(self, view: View, sight: Sight) -> None:
        self.view = view
        self.ids = sorted(view.members)
        plates = _Plates()
        there = [view.members[id] for id in self.ids]
        body = encode(
            {
                "areas": [shape.area(it) for it in view.areas],
                "devices": {
                    "id": self.ids,
                    "name": [it.device.name for it in there],
                    "kind": [it.device.kind for it in there],
                    "family": [sight.family(it.device) for it in there],
                    "area": [it.device.area for it in there],
                    "profile": [it.device.profile for it in there],
                    "plate": [plates.number(it.plate) for it in there],
                },
                "plates": [shape.nameplate(it) for it in plates.known],
            }
        )
        self.version = sha256(body).hexdigest()[:16]
        told = b'{"version":"%s",%s' % (self.version.encode(), body[1:])
        self.packed = Packed(told, cache=b"private, no-cache", tag=self.version)


class _Plates:
    """Numbers for nameplates; equal ones have one number."""

    def __init__(self) -> None:
        self.known: list[Nameplate] = []
        self._by_object: dict[int, int] = {}
        self._by_keys: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}

    def number(self, plate: Nameplate) -> int:
        number = self._by_object.get(id(plate))
        if number is None:
            number = self._by_object[id(plate)] = self._equal(plate)
        return number

    def _equal(self, plate: Nameplate) -> int:
        alike = self._by_keys.setdefault((tuple(plate.points), tuple(plate.actions)), [])
        for number in alike:
            if self.known[number] == plate:
                return number
        alike.append(len(self.known))
        self.known.append(plate)
        return alike[-1]


class Snapshot:
    """How every device is now, the standing alarms and the commands under way: where a viewer starts from."""

    def __init__(self, hub: Hub, bus: Bus, roster: Roster) -> None:
        self._hub = hub
        self._bus = bus
        self._roster = roster
        self._made: dict[frozenset[str] | None, _Made] = {}
        self._making = asyncio.Lock()
        self._serial = 0

    async def packed(self, view: View) -> Packed:
        """Made anew after a frame, an alarm or a command, and else after a while.

        With readings it may be a second old, but never older than the last frame: the stream tells what came after it.
        """
        made = self._current(view)
        if made is None:
            async with self._making:  # a thousand who come back at once wait for one
                made = self._current(view)
                if made is None:
                    await self._bus.warm()
                    made = self._make(view)
        return made.packed

    def _current(self, view: View) -> _Made | None:
        made = self._made.get(view.key)
        if made is None or made.view is not view:
            return None
        old_s = asyncio.get_running_loop().time() - made.at
        if old_s >= (SNAPSHOT_S if self._bus.untold else STILL_S):
            return None
        return made if (made.number, made.happenings) == (self._bus.number, self._bus.happenings) else None

    def _make(self, view: View) -> _Made:
        bus = self._bus
        head = {
            "epoch": bus.epoch,
            "number": bus.number,
            "now": shape.ms(self._hub.clock.now()),
            "roster": self._roster.of(view).version,
            "alarms": [shape.alarm(it) for it in self._hub.book.standing() if view.sees(it.device)],
            "commands": [shape.command(bus.words, it) for it in bus.under_way.values() if view.sees(it.command.device)],
        }
        self._serial += 1
        body = b'%s,"states":{%s}}' % (encode(head)[:-1], b",".join(bus.states(view.members)))
        packed = Packed(body, cache=b"no-store", tag=f"{bus.epoch}.{bus.number}.{self._serial}")
        if len(self._made) >= MOST_SNAPSHOTS:
            del self._made[next(iter(self._made))]
        now = asyncio.get_running_loop().time()
        made = self._made[view.key] = _Made(view, packed, bus.number, bus.happenings, now)
        return made


class _Made(Struct, frozen=True):
    """A snapshot, and what it was made of."""

    view: View
    packed: Packed
    number: int  # of the last frame then
    happenings: int
    at: float  # loop time


# ---- routes -------------------------------------------------------------------------------------------------------


async def roster(request: Request) -> Response:
    """Who is there: areas, devices in columns, and their nameplates.

    Changes rarely: keep it, and ask with If-None-Match. `plate` is a device's number in `plates`.
    """
    return await desk(request).roster.of(view(request)).packed.answer(request)


async def snapshot(request: Request) -> Response:
    """How everything is: latest values of every device, standing alarms, commands under way.

    For a live page: open /api/v1/stream first, then take this, then drop frames whose number is not above `number`.
    `states` has for each device what the stream's `s:DEVICE` has. When `roster` is not the version that you have,
    fetch the roster first: values stand in the order of its points.
    """
    packed = await desk(request).snapshot.packed(view(request))
    return await packed.answer(request)


async def devices(request: Request, wanted: Annotated[Wanted, Query()]) -> Response:
    """Devices by id, page by page, filtered by kind, area (and all below it), driver, link or a part of their name.

    `next` is what to give as `after` for the next page; null on the last.
    """
    it, seen = desk(request), view(request)
    members, ids = seen.members, it.roster.of(seen).ids
    codes = it.house.sight.below(wanted.area) if wanted.area else None
    limit = max(1, min(wanted.limit, MAX_PAGE))
    found: list[dict[str, Any]] = []
    for id in ids[_first_after(ids, wanted.after) :]:
        if wanted.fits(members[id], codes):
            found.append(shape.device(members[id].device))
            if len(found) > limit:
                break
    more = len(found) > limit
    return json(encode({"devices": found[:limit], "next": found[limit - 1]["id"] if more else None}))


async def device(request: Request, device_id: DeviceId) -> Response:
    """One device with its latest readings, whole: device time, our time, quality, and why when it is not good."""
    it = known_device(request, device_id)
    told = shape.device(it)
    if caller(request).may_with(Right.PUZZLES, it):
        told["address"] = it.address
    told["readings"] = _readings(request, it.id)
    return json(encode(told))


async def latest(
    request: Request,
    device_id: DeviceId,
    points: Annotated[str, Query(max_length=2_000, description="keys with commas between; all when left out")] = "",
) -> Response:
    """The latest readings of a device, or of some of its points: the `readings` of GET /api/v1/devices/{device_id}."""
    it = known_device(request, device_id)
    return json(encode({"device": it.id, "readings": _readings(request, it.id, points)}))


async def nameplate(request: Request, device_id: DeviceId) -> Response:
    """All that a device can tell (points) and all that it can be told (actions)."""
    it = known_device(request, device_id)
    return json(encode({"device": it.id, **shape.nameplate(desk(request).house.plate(it.id))}))


async def areas(request: Request) -> Response:
    """The tree of city, towns and villages: those that one may see, and what lies above them."""
    return json(encode({"areas": [shape.area(it) for it in view(request).areas]}))


def keys(device_id: str, plate: Nameplate, text: str) -> list[str]:
    """Points of a device, as a question names them: with commas between. Raises Problem: one is not there."""
    found = list(dict.fromkeys(part for part in text.split(",") if part))
    for key in found:
        if key not in plate.points:
            raise unknown("unknown_point", key, plate.points, device=device_id)
    return found


def _readings(request: Request, device_id: str, points: str = "") -> list[dict[str, Any]]:
    house = desk(request).house
    slots = house.slots(device_id)
    wanted = keys(device_id, house.plate(device_id), points) or slots
    return [shape.reading(house.words, slots[key]) for key in wanted]


def _link(member: Member) -> str:
    slot = member.slots.get(LINK)
    return str(slot.value) if slot is not None and slot.quality is Quality.GOOD else "unknown"


def _first_after(ids: list[str], after: str) -> int:
    return bisect_right(ids, after) if after else 0
