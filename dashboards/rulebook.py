"""The rules of the house: what each says, what it is for, the story that proves it; and how they stand on a device."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashboards import shape
from dashboards.desk import desk, device, standing
from dashboards.packed import json
from dashboards.shape import encode
from hub.guard import PART
from rules import book
from rules.rule import Rule
from rules.story import cells

_PHASES = {"returning": "raised"}  # that what ends it must hold for a while is a detail


async def rules(request: Request) -> Response:
    """Every rule: what it looks for, what it says and asks for, and the story that proves it.

    `story` is a table, its head first, that `fieldhub check` plays. `standing`: its alarms that stand now, of devices
    that one may see.
    """
    stand = Counter(it.rule.partition(PART)[0] for it in standing(request))
    return json(encode({"rules": [_rule(it, stand[it.name]) for it in _book(request).rules]}))


async def of_device(request: Request, device_id: str) -> Response:
    """How every rule stands on a device: `state` is normal, pending, raised or unknown.

    `wants`: the points for want of which it cannot be judged now. What is raised and `suppressed` is explained by
    something else.
    """
    device(request, device_id)
    house = desk(request).house
    told = [
        {
            "rule": it.rule,
            "state": _state(it),
            "suppressed": it.suppressed,
            "wants": [
                {"point": key, "quality": quality.name.lower(), "why": shape.sentence(house.words, why)}
                for key, quality, why in it.wants
            ],
        }
        for it in _book(request).judged(device_id)
    ]
    return json(encode({"device": device_id, "rules": told}))


def _book(request: Request) -> book.Book:
    """Where the house is judged by something else, there are no rules to be shown."""
    judgement = desk(request).house.judgement
    return (
        judgement
        if isinstance(judgement, book.Book)
        else book.Book((), lambda device: desk(request).house.plate(device.id))
    )


def _state(it: book.Judged) -> str:
    if it.phase == "normal" and it.wants:
        return "unknown"
    return _PHASES.get(it.phase.value, it.phase.value)


def _rule(it: Rule, standing: int) -> dict[str, Any]:
    return {
        "name": it.name,
        "kind": it.kind,
        "where": [*it.profile, *it.device, *it.area],
        "each": it.each,
        "severity": it.severity,
        "when": it.when.text,
        "hold_s": it.hold.total_seconds(),
        "until": it.until.text if it.until else "",
        "until_hold_s": it.until_hold.total_seconds(),
        "unless": it.unless.text if it.unless else "",
        "unless_say": shape.title(it.unless_say),
        "say": shape.title({language: template.text for language, template in it.say.items()}),
        "do": shape.title({language: template.text for language, template in it.do.items()}),
        "then": list(it.then),
        "story": [cells(line) for line in it.story.strip().splitlines() if line.strip()],
        "place": it.place.partition(" › ")[0],
        "standing": standing,
    }
