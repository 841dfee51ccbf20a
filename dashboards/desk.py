"""What every page and route finds on its desk: the house, who asks, the stream, and where to put answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request

from dashboards.live import Bus
from dashboards.problems import Problem, unknown
from hub.model import Device
from hub.rights import Right

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboards.auth import Caller, Gate
    from dashboards.devices import Roster, Snapshot
    from dashboards.metrics import Metrics
    from dashboards.packed import Packed
    from dashboards.pages import Pages
    from hub.house import House


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


def device(request: Request, device_id: str) -> Device:
    """Raises Problem: no such device, with the names that look like it."""
    member = desk(request).house.hub.members.get(device_id)
    if member is None:
        raise unknown("unknown_device", device_id, desk(request).house.hub.members)
    return member.device


def need(request: Request, right: Right) -> None:
    """For what only some of those who may come here may see. Raises Problem."""
    if not caller(request).may(right):
        raise Problem("no_right", {"who": caller(request).name, "right": right.value})
