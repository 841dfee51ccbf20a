"""What every page and route finds on its desk: the house, who asks, the stream, and where to put answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from dashboards.live import Bus
from dashboards.problems import Problem, unknown
from hub.model import Alarm, Device
from hub.rights import Right

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboards.auth import Gate
    from dashboards.caller import Caller
    from dashboards.devices import Roster, Snapshot
    from dashboards.entrance import Entrance
    from dashboards.metrics import Metrics
    from dashboards.oidc_provider import Provider
    from dashboards.packed import Packed
    from dashboards.pages import Pages
    from hub.house import House
    from hub.sight import View


class Faults(Protocol):
    """Where the faults of the simulated devices are switched (hub.demo.FaultDesk)."""

    async def faults(self) -> Sequence[Mapping[str, Any]]: ...

    async def set(self, station: str, fault: str, on: bool, for_s: float | None = None) -> None:
        """Raises LookupError for a station or fault that is not there."""
        ...


class Demo(Protocol):
    """The simulated devices that the house runs on (hub.demo.Demo)."""

    @property
    def desk(self) -> Faults: ...


class Desk:
    """One for each app; request.app.state.desk."""

    house: House
    bus: Bus
    gate: Gate
    entrance: Entrance
    provider: Provider | None
    roster: Roster
    snapshot: Snapshot
    metrics: Metrics
    pages: Pages
    demo: Demo | None
    sentences: dict[str, Packed]
    document: Packed | None
    references: dict[str, Packed]


def desk(request: Request) -> Desk:
    it: Desk = request.scope["app"].state.desk
    return it


def caller(request: Request) -> Caller:
    """Who asks; the gate has let them in."""
    it: Caller = request.scope["caller"]
    return it


def view(request: Request) -> View:
    """What the caller may see. Everything that shows devices is cut to it."""
    return caller(request).view


def device(request: Request, device_id: str) -> Device:
    """Raises Problem: no such device, with the names that look like it. One that may not be seen is not there."""
    members = view(request).members
    member = members.get(device_id)
    if member is None:
        raise unknown("unknown_device", device_id, members)
    return member.device


def seen_devices(request: Request) -> Collection[str] | None:
    """The devices of which the caller may see entries of the ledger; None: of all, also of those that have gone."""
    seen = view(request)
    return None if seen.whole else seen.members.keys()


def standing(request: Request) -> list[Alarm]:
    """The alarms that stand, of devices that the caller may see."""
    seen = view(request)
    return [it for it in desk(request).house.alarms() if seen.sees(it.device)]


def occurrence(request: Request, alarm: str) -> Alarm | None:
    """An alarm that stands, of a device that the caller may see."""
    found = desk(request).house.hub.book.occurrence(alarm)
    return found if found is not None and view(request).sees(found.device) else None


def need(request: Request, right: Right, over: Device | None = None) -> None:
    """For what only some of those who may come here may do, or only with some devices. Raises Problem."""
    who = caller(request)
    if not (who.may(right) if over is None else who.may_with(right, over)):
        raise Problem("no_right", {"who": who.name, "right": right.value})
