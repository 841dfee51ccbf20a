"""The county in a box: `python -m simulators.county`."""

from simulators.county.county import County, devices_toml

__all__ = ["County", "devices_toml"]
