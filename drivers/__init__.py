"""Sockets, and the translation between a device's messages and the hub's nouns."""

from drivers.modbus.driver import SPEC as MODBUS
from hub.contract import DriverSpec

# What the house can talk to.
DRIVERS: dict[str, DriverSpec] = {"modbus": MODBUS}
