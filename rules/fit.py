"""A rule against the devices there are: its mistakes, what its author should know, and where it can be judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hub.model import Device, Nameplate
from rules.errors import BadRule, did_you_mean
from rules.rule import Rule

SHOWN = 3  # devices that a warning names


class Fit(NamedTuple):
    """A device, and the part of it, that a rule can be judged on."""

    device: Device
    plate: Nameplate
    part: str


class Found(NamedTuple):
    mistakes: list[str]
    warnings: list[str]
    fit: Fit | None


def against(rule: Rule, fleet: Sequence[tuple[Device, Nameplate]]) -> Found:
    """What is to be said of a rule on this fleet.

    A point that no selected device has is a mistake. One that some have and others lack is a warning: the rule is
    judged where it can be.
    """
    wrong = _selection(rule, fleet)
    if wrong:
        return Found([f"{rule.place} › {mistake}" for mistake in wrong], [], None)
    chosen = [(device, plate) for device, plate in fleet if rule.selects(device)]
    if not chosen:
        return Found([], [f"{rule.place}: matches 0 devices"], None)
    mistakes: dict[str, None] = {}
    lacking: dict[str, list[str]] = {}
    never: list[list[str]] = []
    fit: Fit | None = None
    for (device, plate), alike in _alike(chosen):
        for part in rule.parts(plate.points):
            if not rule.is_about(plate.points, part):
                continue
            try:
                rule.check(plate, part, device.profile or device.id)
                fit = fit or Fit(device, plate, part)
            except BadRule as bad:
                lacks = ", ".join(rule.lacks(plate.points, part))
                if lacks:
                    never.append(bad.within(rule.place))
                    lacking.setdefault(lacks, []).extend(f"{one} {part}".strip() for one in alike)
                else:
                    mistakes |= dict.fromkeys(bad.within(rule.place))
    if fit is None and not mistakes:
        return Found(min(never, key=len) if never else _no_part(rule, chosen), [], None)
    return Found(list(mistakes), [_warning(rule, what, where) for what, where in lacking.items()], fit)


def _alike(chosen: Sequence[tuple[Device, Nameplate]]) -> list[tuple[tuple[Device, Nameplate], list[str]]]:
    """One device of each make and setting, with the ids of all that have the same nameplate."""
    groups: dict[str, tuple[tuple[Device, Nameplate], list[str]]] = {}
    for device, plate in chosen:
        same = f"{device.profile} {sorted(device.settings.items())}" if device.profile else f"/{device.id}"
        groups.setdefault(same, ((device, plate), []))[1].append(device.id)
    return list(groups.values())


def _warning(rule: Rule, what: str, where: list[str]) -> str:
    shown = ", ".join(where[:SHOWN]) + (f" and {len(where) - SHOWN} more" if len(where) > SHOWN else "")
    return f'{rule.place}: is not judged on {shown}: no point "{what}"'


def _no_part(rule: Rule, chosen: Sequence[tuple[Device, Nameplate]]) -> list[str]:
    parts = dict.fromkeys(key.partition(".")[0] for _, plate in chosen for key in plate.points if "." in key)
    return [f'{rule.place} › each: "{rule.each}" matches no part.{did_you_mean(rule.each, parts, "Parts")}']


def _selection(rule: Rule, fleet: Sequence[tuple[Device, Nameplate]]) -> list[str]:
    kinds = dict.fromkeys(device.kind for device, _ in fleet)
    if rule.kind not in kinds:
        return [f'kind: "{rule.kind}" is the kind of no device.{did_you_mean(rule.kind, kinds, "Kinds")}']
    profiles = dict.fromkeys(device.profile for device, _ in fleet if device.profile)
    ids = dict.fromkeys(device.id for device, _ in fleet)
    return [
        *(
            f'profile: "{one}" is the profile of no device.{did_you_mean(one, profiles, "Profiles")}'
            for one in rule.profile
            if one not in profiles
        ),
        *(
            f'device: "{one}" is not a device.{did_you_mean(one, ids, "Devices")}'
            for one in rule.device
            if one not in ids
        ),
    ]
