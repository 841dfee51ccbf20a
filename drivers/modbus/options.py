"""What a site may set for the Modbus driver: the [drivers.modbus] table of hub.toml."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drivers.modbus import profile
from protocols.modbus.dtu import LONGEST_HEARTBEAT, Greeting, How


class Strict(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Registration(Strict):
    """How a DTU says who it is."""

    how: Literal["text", "hex", "imei", "regex"]
    pattern: str = ""

    @model_validator(mode="after")
    def _can_be_one(self) -> Self:
        self.greeting()
        return self

    def greeting(self) -> Greeting:
        return Greeting(How(self.how), self.pattern)


class Options(Strict):
    """[drivers.modbus]"""

    dtu_host: str = "127.0.0.1"
    dtu_port: int | None = Field(default=None, ge=0, le=65535)  # 4G DTUs dial in here; without it no port is opened
    dtu_from: tuple[str, ...] = ()  # networks from which DTUs may dial in, like "10.20.0.0/16"; none: from everywhere
    dtu_registrations: tuple[Registration, ...] = ()  # besides the ids of the devices' own addresses
    dtu_heartbeats: tuple[str, ...] = ()  # texts; "hex:FE01" for bytes
    dtu_registers_each_packet: bool = False
    dtu_heartbeat_s: float = Field(default=60.0, gt=0, le=3600)  # silence of three of these ends a connection
    dtu_settle_ms: int = Field(default=500, ge=0, le=60_000)
    dtu_timeout_ms: int = Field(default=3000, ge=100, le=60_000)
    dtu_waiting_s: float = Field(default=60.0, gt=0, le=600)  # who says nothing that we know is let go then
    tcp_timeout_ms: int = Field(default=1000, ge=10, le=60_000)
    serial_timeout_ms: int = Field(default=1000, ge=10, le=60_000)
    connect_timeout_ms: int = Field(default=3000, ge=100, le=60_000)
    tls_ca_file: Path | None = None  # who signs our devices; without it the machine's own list
    tls_certificate_file: Path | None = None  # who we are, with its key in the same file or in tls_key_file
    tls_key_file: Path | None = None
    tls_check_names: bool = True
    profiles_dir: Path | None = None  # a site's own makes and models; set by the house to <site>/profiles

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """Also reads the profiles: from now on they are the house's. Raises BadConfig with the mistakes in them."""
        options = super().model_validate(obj, **how)
        profile.use(profile.load(options.profiles_dir))
        return options

    @field_validator("dtu_from")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for it in networks:
            try:
                ip_network(it)
            except ValueError:
                raise ValueError(f'has "{it}", which is no network. Write some like "10.20.0.0/16"') from None
        return networks

    def lets_in(self, host: str) -> bool:
        """Whether somebody from this address may dial in."""
        if not self.dtu_from:
            return True
        try:
            address = ip_address(host)
        except ValueError:  # it has hung up already
            return False
        plain = getattr(address, "ipv4_mapped", None) or address
        return any(plain in ip_network(it) for it in self.dtu_from)

    @model_validator(mode="after")
    def _heartbeats_can_be_read(self) -> Self:
        for text in self.heartbeats():
            if not 0 < len(text) <= LONGEST_HEARTBEAT:
                raise ValueError(f"a heartbeat has 1 to {LONGEST_HEARTBEAT} bytes")
        return self

    def heartbeats(self) -> tuple[bytes, ...]:
        """Raises ValueError for what is no hex."""
        return tuple(
            bytes.fromhex(text.removeprefix("hex:")) if text.startswith("hex:") else text.encode()
            for text in self.dtu_heartbeats
        )
