"""What somebody may see and touch, by their grants: the one place where areas are asked about.

    sight = Sight(hub)
    view = sight.view(caller.grants)        # everything that shows devices is cut to a view
    view.sees("ps-1"), view.members, view.areas
    sight.allows(grants, Right.COMMAND, device)

Equal grants have one view, so that five hundred viewers of one town cost what one costs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from hub.hub import Hub, Member
from hub.model import Area, Device
from hub.rights import BY_FAMILY, EVERYWHERE, FAMILIES, ROLES, Family, Grant, Right, areas_of

MOST_VIEWS = 512  # kept; each city, town and village of a county has its own, and then there are mixtures


class View:
    """The devices that one may see. The same object as long as devices and areas are the same."""

    def __init__(
        self, key: frozenset[str] | None, codes: frozenset[str], members: Mapping[str, Member], areas: tuple[Area, ...]
    ) -> None:
        self.key = key  # the granted areas; None: everything
        self.codes = codes  # every area in which one sees devices
        self.members = members
        self.areas = areas  # those, and what lies above them, so that they stand in a tree

    @property
    def whole(self) -> bool:
        """Whether nothing is hidden: also devices that have no area, and those that are no longer there."""
        return self.key is None

    def sees(self, device: str) -> bool:
        return self.key is None or device in self.members


class Sight:
    """Views and verdicts over one house's devices."""

    def __init__(self, hub: Hub, families: Mapping[str, Family] = FAMILIES) -> None:
        self._hub = hub
        self._members: Mapping[str, Member] = hub.members
        self._areas: Mapping[str, Area] = hub.areas
        self._families = families
        self._views: OrderedDict[frozenset[str] | None, View] = OrderedDict()
        self._made_at = (-1, -1)

    def view(self, grants: Iterable[Grant]) -> View:
        """What the holder of these may look at."""
        now = self._hub.changes, len(self._areas)
        if now != self._made_at:
            self._views.clear()
            self._made_at = now
        key = areas_of(grants, Right.LOOK)
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = self._make(key)
            if len(self._views) > MOST_VIEWS:
                self._views.popitem(last=False)
        return view

    def allows(self, grants: Iterable[Grant], right: Right, device: Device) -> bool:
        """Whether one of the grants gives the right over this device: by its area and, for some rights, its family."""
        family = self.family(device)
        for it in grants:
            role = ROLES.get(it.role)
            if role is None or right not in role.rights or (right in BY_FAMILY and family not in role.families):
                continue
            if it.area == EVERYWHERE or self.lies_in(device.area, (it.area,)):
                return True
        return False

    def family(self, device: Device) -> Family:
        """What the device is there for."""
        return self._families.get(device.kind, Family.OTHER)

    def lies_in(self, area: str, codes: Collection[str]) -> bool:
        """Whether an area is one of these or lies below one."""
        return lies_in(self._areas, area, codes)

    def below(self, area: str) -> frozenset[str]:
        """The codes of an area and of all areas below it; nothing when there is no such area."""
        return frozenset(code for code in self._areas if self.lies_in(code, (area,)))

    def gives_less(self, it: Grant, held: Iterable[Grant]) -> bool:
        """Whether a grant gives nothing that these do not give: what a token may be made of."""
        role = ROLES.get(it.role)
        for one in held:
            mine = ROLES.get(one.role)
            if role is None or mine is None or not (role.rights <= mine.rights and role.families <= mine.families):
                continue
            if one.area == EVERYWHERE or self.lies_in(it.area, (one.area,)):
                return True
        return False

    def _make(self, key: frozenset[str] | None) -> View:
        if key is None:
            return View(None, frozenset(self._areas), self._members, tuple(self._areas.values()))
        codes = frozenset(code for code in self._areas if self.lies_in(code, key))
        members = {id: it for id, it in self._members.items() if it.device.area in codes}
        shown = codes | {above for code in key for above in self._above(code)}
        return View(key, codes, members, tuple(it for code, it in self._areas.items() if code in shown))

    def _above(self, code: str) -> Iterable[str]:
        for _ in range(len(self._areas)):
            here = self._areas.get(code)
            if here is None or not here.parent:
                return
            code = here.parent
            yield code


def lies_in(areas: Mapping[str, Area], area: str, codes: Collection[str]) -> bool:
    """Whether, in the tree of these, an area is one of `codes` or lies below one."""
    for _ in range(len(areas) + 1):  # a ring ends
        if not area or area in codes:
            break
        above = areas.get(area)
        area = above.parent if above else ""
    return bool(area) and area in codes
