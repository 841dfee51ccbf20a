"""What of the devices of a house is wrong only together, or with the options of hub.toml. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.modbus.address import Place, parse
from drivers.modbus.options import Options
from hub.contract import BadConfig
from hub.model import Device


def together(devices: Sequence[Device], options: Options) -> Iterator[tuple[Device, str]]:
    """(device, what is wrong with it). An address that cannot be read is left to `check`."""
    lines: dict[str, tuple[Place, str]] = {}
    for device in devices:
        try:
            place, _ = parse(device.address)
        except BadConfig:
            continue
        if place.dtu and options.dtu_port is None:
            yield (
                device,
                (
                    f'address "{device.address}" › is a DTU\'s, and no port is open for them. '
                    "Set dtu_port in [drivers.modbus] of hub.toml, like dtu_port = 5020"
                ),
            )
        there, other = lines.setdefault(place.key, (place, device.id))
        if there != place:
            yield (
                device,
                (
                    f'address "{device.address}" › sets its line otherwise than "{other}" on the same line does. '
                    "Write what follows the ? alike for both"
                ),
            )
