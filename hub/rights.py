"""Who may do what: rights, and the roles that hold them. The one table that the API and the guard ask."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Right(StrEnum):
    """One thing a person may do. Every route and every command names the one it needs."""

    OPEN = "open"  # no log-in needed: health, log-in itself
    LOOK = "look"  # see devices, values, alarms, commands
    ACKNOWLEDGE = "acknowledge"
    COMMAND = "command"  # ask a device for something
    COMMISSION = "commission"  # see raw bytes and puzzles, drive the simulators
    TOKENS = "tokens"  # make and end one's own API tokens
    PEOPLE = "people"  # users and their roles


ROLES: dict[str, frozenset[Right]] = {
    "viewer": frozenset({Right.LOOK}),
    "water_operator": frozenset({Right.LOOK, Right.ACKNOWLEDGE, Right.COMMAND, Right.TOKENS}),
    "field_engineer": frozenset({Right.LOOK, Right.ACKNOWLEDGE, Right.COMMAND, Right.COMMISSION, Right.TOKENS}),
    "admin": frozenset({Right.LOOK, Right.PEOPLE, Right.TOKENS}),  # users and settings, no device commands
}


def may(roles: Iterable[str], right: Right) -> bool:
    """Whether one of these roles holds the right. A role that is not known holds none."""
    return right is Right.OPEN or any(right in ROLES.get(role, ()) for role in roles)
