"""Grants as requests write them and answers tell them: {"role": "viewer", "area": "341203100000"}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dashboards.problems import Problem
from hub.mistakes import near
from hub.model import Area
from hub.rights import ROLES, Grant

MOST_GRANTS = 40  # of one person


class Given(BaseModel):
    """A role in an area and all below it; without `area`: in the whole house."""

    model_config = ConfigDict(extra="forbid")

    role: str = Field(max_length=40)
    area: str = Field("", max_length=12)

    @field_validator("role")
    @classmethod
    def _is_known(cls, role: str) -> str:
        if role not in ROLES:
            raise ValueError(f'"{role}" is not a role. Write one of: {", ".join(ROLES)}')
        return role


def grants(given: Sequence[Given], areas: Mapping[str, Area], place: str = "body.grants") -> tuple[Grant, ...]:
    """As the house keeps them, each once. Raises Problem: every area that is not there or not for this role."""
    mistakes = []
    for number, it in enumerate(given):
        if it.area and ROLES[it.role].whole:
            what = f"{it.role} is for the whole house: leave area out"
        elif it.area and it.area not in areas:
            what = f'there is no area "{it.area}".{near(it.area, areas)}'
        else:
            continue
        mistakes.append({"where": f"{place}.{number}.area", "what": what, "rule": "area"})
    if mistakes:
        raise Problem("invalid", {"count": len(mistakes)}, mistakes=mistakes)
    return tuple(dict.fromkeys(Grant(it.role, it.area) for it in given))


def told(grants: Iterable[Grant]) -> list[dict[str, Any]]:
    """For answers: with what each gives, so that a page need not know the roles."""
    return [
        {
            "role": it.role,
            "area": it.area,
            "rights": sorted(ROLES[it.role].rights) if it.role in ROLES else [],
            "families": sorted(ROLES[it.role].families) if it.role in ROLES else [],
        }
        for it in grants
    ]
