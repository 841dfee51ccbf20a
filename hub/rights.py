"""Who may do what, and where: rights, the roles that hold them, and grants (a role in an area).

Everything that asks "may they?" asks here: the gate before a route, the guard before a command, the views that every
list, stream and export is cut to (hub/sight.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct


class Right(StrEnum):
    """One thing a person may do. Every route and every command names the one it needs."""

    OPEN = "open"  # no log-in needed: health, log-in itself
    SELF = "self"  # signed in: one's own session, password, second factor
    LOOK = "look"  # see devices, values, alarms, commands
    ACKNOWLEDGE = "acknowledge"
    COMMAND = "command"  # ask a device for something
    PUZZLES = "puzzles"  # see raw bytes, what could not be read, and devices' addresses
    COMMISSION = "commission"  # add, replace and retire devices, drive the simulators
    TOKENS = "tokens"  # make and end one's own API tokens
    PEOPLE = "people"  # add people, set first passwords, let nobody in any more
    PERMISSIONS = "permissions"  # who has which role, and where; end anybody's session
    SETTINGS = "settings"  # how the house is set up
    ROLL = "roll"  # read who there is and what they may: for those who add, permit and audit
    AUDIT = "audit"  # read the ledger, entry by entry
    DRAFT = "draft"  # write a broadcast
    REVIEW = "review"  # judge a broadcast that somebody else wrote
    RELEASE = "release"  # send a reviewed broadcast to the speakers


class Family(StrEnum):
    """What a device is there for. A role that commands and acknowledges does so in some of these."""

    WATER = "water"
    FLEET = "fleet"
    BROADCAST = "broadcast"
    CAMERA = "camera"
    OTHER = "other"


# Device kind -> what it is there for. A site adds its own in hub.toml › [families]; what stands nowhere is OTHER.
FAMILIES: Mapping[str, Family] = {
    "pump_station": Family.WATER,
    "pump": Family.WATER,
    "drive": Family.WATER,
    "flow_meter": Family.WATER,
    "gate": Family.WATER,
    "water_area": Family.WATER,  # an area of them (hub/outage.py)
    "truck": Family.FLEET,
    "speaker": Family.BROADCAST,
    "camera": Family.CAMERA,
    "recorder": Family.CAMERA,
}
BY_FAMILY = frozenset({Right.ACKNOWLEDGE, Right.COMMAND})  # rights that a role has for some families only
EVERYWHERE = ""  # the area of a grant for the whole house


class Role(Struct, frozen=True):
    """A set of rights under one name. `power`: one of the three separated powers of classified protection (等保)."""

    rights: frozenset[Right]
    families: frozenset[Family] = frozenset()
    power: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is given for the whole house only: people, permissions and the ledger are not of one town."""
        return self.power


def _role(*rights: Right, of: Collection[Family] = (), power: bool = False) -> Role:
    return Role(frozenset({Right.SELF, *rights}), frozenset(of), power)


_ALL = tuple(Family)
ROLES: dict[str, Role] = {
    "viewer": _role(Right.LOOK),
    "grid_worker": _role(Right.LOOK),
    "water_operator": _role(Right.LOOK, Right.ACKNOWLEDGE, Right.COMMAND, Right.TOKENS, of=[Family.WATER]),
    "dispatcher": _role(Right.LOOK, Right.ACKNOWLEDGE, Right.COMMAND, Right.TOKENS, of=[Family.FLEET]),
    "broadcaster": _role(Right.LOOK, Right.ACKNOWLEDGE, Right.DRAFT, of=[Family.BROADCAST]),
    "reviewer": _role(Right.LOOK, Right.REVIEW),
    "releaser": _role(Right.LOOK, Right.RELEASE),
    "field_engineer": _role(
        Right.LOOK, Right.ACKNOWLEDGE, Right.COMMAND, Right.PUZZLES, Right.COMMISSION, Right.TOKENS, of=_ALL
    ),
    "system_admin": _role(Right.LOOK, Right.PEOPLE, Right.ROLL, Right.SETTINGS, Right.TOKENS, power=True),
    "security_admin": _role(Right.LOOK, Right.PERMISSIONS, Right.ROLL, power=True),
    "auditor": _role(Right.LOOK, Right.PUZZLES, Right.ROLL, Right.AUDIT, power=True),
}


class Grant(Struct, frozen=True):
    """A role in an area and all below it; EVERYWHERE: in the whole house."""

    role: str
    area: str = EVERYWHERE


def rights_of(grants: Iterable[Grant]) -> frozenset[Right]:
    """What these allow somewhere. A role that is not known allows nothing."""
    return frozenset().union(*(ROLES[it.role].rights for it in grants if it.role in ROLES))


def areas_of(grants: Iterable[Grant], right: Right) -> frozenset[str] | None:
    """The areas in which these give the right; None: everywhere."""
    found = frozenset(it.area for it in grants if it.role in ROLES and right in ROLES[it.role].rights)
    return None if EVERYWHERE in found else found


def read_grant(text: str) -> Grant:
    """ "water_operator" or "water_operator@340299100000". Raises ValueError: what to write instead."""
    role, _, area = text.partition("@")
    if role not in ROLES:
        raise ValueError(f'"{role}" is not a role. Write one of: {", ".join(ROLES)}')
    if area and ROLES[role].whole:
        raise ValueError(f'"{role}" is for the whole house. Write it without "@{area}"')
    return Grant(role, area)


def write_grant(it: Grant) -> str:
    """As `read_grant` reads it."""
    return f"{it.role}@{it.area}" if it.area else it.role
