"""The shelf of profiles: the shipped ones, and a site's own, which may replace them by name.

shelf = profile.load(site / "profiles")
plate = shelf.plate("ps-2026", {"pumps": 3})
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.modbus.plate import make_out
from drivers.modbus.profile_file import read_profile
from drivers.modbus.rows import Plate, Profile
from hub.contract import BadConfig

SHIPPED = Path(__file__).parent / "profiles"


class Shelf:
    """All profiles of a house."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self.profiles = dict(profiles)

    def plate(self, name: str, settings: Mapping[str, Any]) -> Plate:
        """The profile `name` with these settings. Raises BadConfig."""
        profile = self.profiles.get(name)
        if profile is None:
            known = ", ".join(sorted(self.profiles))
            what = f'there is no Modbus profile "{name}"' if name else "is missing"
            raise BadConfig(f"profile › {what}. Write one of: {known}")
        return make_out(profile, settings)


def load(site_profiles: Path | None = None) -> Shelf:
    """The shipped profiles, and a site's own, which win by name. Raises BadConfig with every mistake of every file."""
    mistakes: list[str] = []
    profiles: dict[str, Profile] = {}
    for folder in (SHIPPED, site_profiles):
        for file in sorted(folder.glob("*.toml")) if folder else ():
            try:
                profile = read_profile(file)
            except BadConfig as bad:
                mistakes.extend(bad.mistakes)
                continue
            if profile is not None:
                profiles[file.stem] = profile
    if mistakes:
        raise BadConfig(*mistakes)
    return Shelf(profiles)


_house: list[Shelf] = []


def use(shelf: Shelf) -> None:
    """From now on this is the house's shelf: what a device's plate and address are checked against.

    There is one site to a process; DriverSpec.nameplate is given a device and nothing else, so it must know.
    """
    _house[:] = [shelf]


def shelf() -> Shelf:
    """The house's shelf; the shipped profiles when nobody has said otherwise."""
    if not _house:
        _house.append(load())
    return _house[0]
