"""The tables of hub.toml: what may stand in them, what stands there without a word, and what to write instead."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hub.config_words import NOT_SAID_BACK
from hub.rights import ROLES, Family

_HOST = '"127.0.0.1" for this machine only, or "0.0.0.0" for the whole network'
# What to write into a field, where pydantic knows only that something cannot be.
HUB_WRITE = {
    "name": '"示范县水务局", or one for each language: { zh-CN = "…", en = "…" }',
    "plain": "true or false",
    "form": '"text" or "json"',
    "level": '"debug", "info", "warning" or "error"',
    "port": "a whole number from 1 to 65535, like 8420",
    "host": _HOST,
    "password_length": "a whole number from 8 to 64, like 10",
    "password_days": "days from 1 to 3650, or 0 for never",
    "idle_minutes": "whole minutes from 5 to 1440, like 60",
    "session_hours": "whole hours from 1 to 168, like 12",
    "separate_powers": "true or false",
    "readings_days": "whole days, like 90, or 0 for ever",
    "minutes_days": "whole days, like 400, or 0 for ever",
    "hours_days": "whole days, like 3650, or 0 for ever",
    "families": 'what kinds are there for: sluice = "water" (water, fleet, broadcast, camera, other)',
}


class Strict(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteTable(Strict):
    """[site]: how the house is called, and the time that people see."""

    name: dict[str, str] | str = "FieldHub"
    zone: str = "Asia/Shanghai"
    language: str = "zh-CN"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError('is not a time zone. Write one like "Asia/Shanghai" or "UTC"') from None
        return zone

    @field_validator("language")
    @classmethod
    def _known_language(cls, language: str) -> str:
        if language not in ("zh-CN", "en"):
            raise ValueError('is not a language. Write "zh-CN" or "en"')
        return language


class HttpTable(Strict):
    """[http]: where the console and the API listen."""

    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=1, le=65535)
    cert: str = ""  # a file of the site folder, PEM; with it the console speaks HTTPS
    key: str = ""  # its private key
    plain: bool = False  # others may reach it without TLS: a proxy that speaks it stands in front
    proxies: list[str] = []  # addresses whose X-Forwarded-For and -Proto are believed

    @field_validator("proxies")
    @classmethod
    def _are_addresses(cls, proxies: list[str]) -> list[str]:
        for it in proxies:
            try:
                ip_network(it)
            except ValueError:
                raise ValueError(f'has "{it}", which is no address. Write some like "127.0.0.1"') from None
        return proxies

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @field_validator("host")
    @classmethod
    def _can_be_a_host(cls, host: str) -> str:
        if re.fullmatch(r"[0-9.]+", host) or ":" in host:
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(f"is not an address. Write {_HOST}") from None
        return host


def _is_named(it: str) -> str:
    """A secret's place. What stands there instead may be the secret: it is not said back."""
    if it and not re.fullmatch(r"(env|file):\S+", it):
        say = 'is not where a secret is. Write "env:NAME" or "file:PATH", and put the secret there'
        raise PydanticCustomError(NOT_SAID_BACK, say)
    return it


Named = Annotated[str, AfterValidator(_is_named)]


class LogTable(Strict):
    """[log]: what is written to standard error, for journald or a collector."""

    form: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"
    traces: str = ""  # where an OpenTelemetry collector listens (OTLP over HTTP); "": no traces

    @field_validator("traces")
    @classmethod
    def _is_a_collector(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url):
            say = 'is not where a collector listens. Write an address like "http://127.0.0.1:4318"'
            raise PydanticCustomError(NOT_SAID_BACK, say)  # it may hold a password
        return url


class ServerTable(Strict):
    """[history.server] or [history.mirror]: a time-series server."""

    kind: Literal["victoriametrics", "influxdb"]
    url: str  # http://127.0.0.1:8428
    token: Named = ""
    org: str = Field(default="", max_length=100)  # InfluxDB's
    bucket: str = Field(default="", max_length=100)
    measurement: str = Field(default="fieldhub", pattern=r"^[a-z][a-z0-9_]{0,40}$")  # each hub its own, on one server

    @field_validator("url")
    @classmethod
    def _is_a_server(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#@\s]*)?", url):
            say = 'is not where a server listens. Write an address like "http://127.0.0.1:8428", and the token apart'
            raise PydanticCustomError(NOT_SAID_BACK, say)  # it may hold a password
        return url

    @model_validator(mode="after")
    def _influx_needs_a_bucket(self) -> Self:
        missing = [it for it in ("token", "org", "bucket") if not getattr(self, it)]
        if self.kind == "influxdb" and missing:
            raise ValueError(f"{missing[0]} is missing. InfluxDB needs token, org and bucket")
        return self


class HistoryTable(Strict):
    """[history]: for how many days what is kept; 0: for ever. A day's roll-ups are made when it is over."""

    server: ServerTable | None = None  # instead of the embedded store
    mirror: ServerTable | None = None  # beside it
    spool_mb: int = Field(default=4_000, ge=10, le=1_000_000)  # what waits for the server at most
    readings_days: int = Field(default=0, ge=0, le=36_500)
    minutes_days: int = Field(default=0, ge=0, le=36_500)  # steps of a minute
    hours_days: int = Field(default=0, ge=0, le=36_500)  # steps of an hour
    most_mb: int = Field(default=0, ge=0, le=100_000_000)  # the files of history; over it the oldest readings go

    profiles: dict[str, Annotated[int, Field(ge=1, le=36_500)]] = {}  # readings_days of these, where they go sooner

    @model_validator(mode="after")
    def _only_sooner(self) -> Self:
        for profile, days in self.profiles.items():
            if self.readings_days and days >= self.readings_days:
                raise ValueError(
                    f"profiles › {profile} is {days}, and readings_days {self.readings_days}. A profile's readings can "
                    "only go sooner than the others'"
                )
        return self

    @property
    def has_server(self) -> bool:
        return self.server is not None or self.mirror is not None

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if self.server is not None and self.mirror is not None:
            raise ValueError("server and mirror are both given. A mirror is beside the embedded store; leave one out")
        return self

    @model_validator(mode="after")
    def _the_coarser_the_longer(self) -> Self:
        for finer, coarser in (("readings_days", "minutes_days"), ("minutes_days", "hours_days")):
            one, other = getattr(self, finer), getattr(self, coarser)
            if other and not 0 < one <= other:
                raise ValueError(
                    f"{coarser} is {other}, and {finer} {one or 'for ever'}. Keep the coarser steps longer"
                )
        return self


class LedgerTable(Strict):
    """[ledger]: where what happened is kept."""

    url: Named = ""  # where a URL like postgresql+psycopg://… is; "": data/ledger.sqlite


class SecurityTable(Strict):
    """[security]: how people prove who they are."""

    password_length: int = Field(default=10, ge=8, le=64)  # letters at least
    password_days: int = Field(default=0, ge=0, le=3_650)  # a password must be changed after so long; 0: never
    second_factor: list[str] = []  # roles that must have one
    separate_powers: bool = False  # nobody may hold two of the three powers, or one of them and command devices
    idle_minutes: int = Field(default=60, ge=5, le=1_440)  # a session ends after so long without a request
    session_hours: int = Field(default=12, ge=1, le=168)  # and after so long in any case

    @field_validator("second_factor")
    @classmethod
    def _known_roles(cls, roles: list[str]) -> list[str]:
        for role in roles:
            if role not in ROLES:
                raise ValueError(f'has "{role}", which is no role. Write some of: {", ".join(ROLES)}')
        return roles


class OpenIdTable(Strict):
    """[openid]: the OpenID provider where people may sign in."""

    issuer: str  # "https://id.county.example/realms/staff", as the provider writes it
    client_id: str = Field(min_length=1)
    client_secret: Named = ""  # "env:NAME" or "file:PATH"; none for a public client
    address: str  # of this console as browsers see it: "https://hub.county.example"
    claim: str = "sub"  # which of the provider's words is a person's `subject`
    title: dict[str, str] | str = "OpenID"  # on the log-in page
    ca: str = ""  # a file with the provider's certificate authority, where it is not a public one

    @field_validator("issuer", "address")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        if not re.fullmatch(r"https://[^/?#\s]+[^?#\s]*|http://(127\.0\.0\.1|localhost)(:\d+)?(/[^?#\s]*)?", url):
            raise ValueError('is not a safe address. Write one that begins with "https://"')
        return url


class HubFile(Strict):
    """hub.toml."""

    site: SiteTable = SiteTable()
    http: HttpTable = HttpTable()
    log: LogTable = LogTable()
    ledger: LedgerTable = LedgerTable()
    history: HistoryTable = HistoryTable()
    security: SecurityTable = SecurityTable()
    openid: OpenIdTable | None = None
    drivers: dict[str, dict[str, Any]] = {}
    families: dict[str, Family] = {}  # device kind -> what it is there for, besides those of hub/rights.py
    armed: dict[str, list[str]] = {}  # rule -> the devices where it may ask for a hazardous command
