"""Many devices of an area that fall silent at once have one cause: it is told once, and not by each of them.

An area with enough devices of a family (hub/rights.py) is a device too, "water:341204100000": how many links it has,
how many are down, and whether that is an outage. A device that is down within an outage has its point `outage` on, so
that rules can say `unless = "outage is on"` (rules/shipped). Told is the smallest area in which most of it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from math import inf

from hub import self_watch
from hub.clock import Clock
from hub.hub import Hub
from hub.model import LINK, OUTAGE, Area, Device, Kind, LinkState, Nameplate, Point, Reading
from hub.rights import Family
from hub.slot import Slot

EVERY_S = 2.0
SAID_EVERY_S = 30.0  # also when nothing changes
AT_ONCE_S = 120.0  # what went down within this time went down together
MIN_DOWN = 5  # that went down together
MIN_SHARE = 0.20  # of the area's links, that are down
OVER_SHARE = 0.10  # an outage is over when fewer are
MOST_OF_IT = 0.90  # when so much of it lies in a part of the area, it is that part's
KINDS = {Family.WATER: "water_area"}  # families whose devices are fixed to a place: the kind of their areas
DOWN = LinkState.DOWN.value
OF_AREA = "outage"  # the point of an area that says so


def _point(key: str, zh: str, en: str, kind: Kind = Kind.NUMBER, unit: str = "", digits: int = 0) -> Point:
    return Point(key, kind, unit, interval_s=SAID_EVERY_S, digits=digits, title={"zh-CN": zh, "en": en})


_POINTS = (
    _point(OF_AREA, "大面积通信中断", "Outage", Kind.BOOL),
    _point("links", "设备数", "Devices with a link"),
    _point("links.down", "中断的设备数", "Devices whose link is down"),
    _point("links.down_share", "中断比例", "Share whose link is down", unit="%"),
)


def plate() -> Nameplate:
    return Nameplate({it.key: it for it in _POINTS})


def device(family: Family, area: Area) -> Device:
    return Device(
        f"{family.value}:{area.code}",
        area.name,
        KINDS[family],
        f"{self_watch.DRIVER}:{family.value}/{area.code}",
        "",
        area.code,
    )


@dataclass(slots=True)
class _Link:
    """Of one device."""

    id: str
    slot: Slot
    told: Slot | None  # its point OUTAGE
    groups: list[_Group] = field(default_factory=list)  # the areas that it lies in
    down: bool = False
    seen: bool = False
    went_down: float = -inf  # monotonic seconds


@dataclass(slots=True)
class _Group:
    """The links of a family in an area and all that lies in it."""

    device: Device
    family: Family
    above: tuple[str, ...]  # the codes of the areas that it lies in
    links: list[_Link] = field(default_factory=list)
    outage: bool = False
    down: int = 0
    said_at: float = -inf
    said: tuple[int, int, bool] = (0, 0, False)


class Outages:
    """Looks at all links every EVERY_S. What it finds are readings like any others."""

    def __init__(
        self, hub: Hub, clock: Clock, family: Callable[[Device], Family], plates: MutableMapping[str, Nameplate]
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._family = family
        self._plates = plates
        self._links: dict[str, _Link] = {}
        self._groups: dict[str, _Group] = {}
        self._seen_changes = -1
        self._resumed_s = -inf

    async def run(self) -> None:
        while True:
            self.look()
            await self._clock.sleep(EVERY_S)

    def gather(self) -> None:
        """Which areas there are: they come in as devices, and go when too few are left in them."""
        before, groups = self._groups, self._sorted_out()
        for id in before.keys() - groups.keys():
            self._hub.retire(id)
            self._plates.pop(id, None)
        for id, group in groups.items():
            known = before.get(id)
            if known is not None:
                group.outage = known.outage
            if known is None or known.device != group.device:
                self._plates[id] = plate()
                self._hub.adopt(group.device, self._plates[id])
        self._groups = groups
        self._seen_changes = self._hub.changes

    def resume(self) -> None:
        """After a start: what stood as an outage is one, for AT_ONCE_S in any case: links are not known at once."""
        self._resumed_s = self._clock.monotonic()
        for alarm in self._hub.book.standing():
            group = self._groups.get(alarm.device)
            if group is not None and alarm.returned_at is None:
                group.outage = True

    def look(self) -> None:
        if self._hub.changes != self._seen_changes:
            self.gather()
        now_s = self._clock.monotonic()
        for link in self._links.values():
            down = link.slot.trusted == DOWN
            if down and not link.down and link.seen:  # what was down before we looked did not go down now
                link.went_down = now_s
            link.down = down
            link.seen = link.seen or link.slot.trusted is not None
        self._judge(now_s)
        self._tell(now_s)

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _sorted_out(self) -> dict[str, _Group]:
        areas = self._hub.areas
        links: dict[str, _Link] = {}
        groups: dict[str, _Group] = {}
        for id, member in self._hub.members.items():
            slot, family = member.slots.get(LINK), self._family(member.device)
            if slot is None or family not in KINDS:
                continue
            known = self._links.get(id)
            link = links[id] = _Link(id, slot, member.slots.get(OUTAGE))
            if known is not None:
                link.down, link.seen, link.went_down = known.down, known.seen, known.went_down
            chain = _chain(member.device.area, areas)
            for n, code in enumerate(chain):
                it = device(family, areas[code])
                group = groups.setdefault(it.id, _Group(it, family, chain[n + 1 :]))
                group.links.append(link)
        kept = {id: group for id, group in groups.items() if len(group.links) >= MIN_DOWN}
        for group in kept.values():
            for link in group.links:
                link.groups.append(group)
        self._links = links
        return kept

    def _judge(self, now_s: float) -> None:
        """Which groups are an outage: one that begins is told of the smallest area that holds most of it."""
        begin: list[_Group] = []
        for group in self._groups.values():
            group.down = sum(link.down for link in group.links)
            share = group.down / len(group.links)
            if group.outage:
                group.outage = share >= OVER_SHARE or now_s - self._resumed_s < AT_ONCE_S
            elif share >= MIN_SHARE and group.down >= MIN_DOWN:
                together = sum(link.down and now_s - link.went_down <= AT_ONCE_S for link in group.links)
                if together >= MIN_DOWN:
                    begin.append(group)
        known = [*begin, *(it for it in self._groups.values() if it.outage)]
        for group in begin:
            group.outage = not any(_is_in(it, group) and it.down >= MOST_OF_IT * group.down for it in known)
        for group in self._groups.values():  # what spread: the larger area says it for all in it
            if group.outage and any(_is_in(group, other) and other.outage for other in self._groups.values()):
                group.outage = False

    def _tell(self, now_s: float) -> None:
        now = self._clock.now()
        for link in self._links.values():
            explained = link.down and any(group.outage for group in link.groups)
            if link.told is not None and link.seen and link.told.value is not explained:
                self._hub.take([Reading(link.id, OUTAGE, explained, now, now)])
        for group in self._groups.values():
            said = (len(group.links), group.down, group.outage)
            if said != group.said or now_s - group.said_at >= SAID_EVERY_S:
                group.said, group.said_at = said, now_s
                values: Mapping[str, float | bool] = {
                    OF_AREA: group.outage,
                    "links": said[0],
                    "links.down": said[1],
                    "links.down_share": 100 * said[1] / said[0],
                }
                self._hub.take([Reading(group.device.id, key, it, now, now) for key, it in values.items()])


def _chain(area: str, areas: Mapping[str, Area]) -> tuple[str, ...]:
    """The area and those that it lies in, the smallest first; a ring ends."""
    chain: list[str] = []
    while area in areas and area not in chain:
        chain.append(area)
        area = areas[area].parent
    return tuple(chain)


def _is_in(inner: _Group, outer: _Group) -> bool:
    return inner.family is outer.family and outer.device.area in inner.above
