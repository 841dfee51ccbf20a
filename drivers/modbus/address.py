"""Device addresses: one URL each, whose scheme names the kind of line.

modbus+tcp://10.0.4.7:502/1                    Modbus TCP, unit 1
modbus+tls://10.0.4.7:802/1                    Modbus TCP in TLS
modbus+rtutcp://10.0.4.7:4001/3                RTU over TCP (a transparent converter)
modbus+rtu:///dev/ttyS0?baud=9600&parity=E#3   RTU on a serial line, unit 3
modbus+ascii:///dev/ttyS0?baud=9600#3          ASCII on a serial line
modbus+dtu:860123456789012/1                   RTU behind a 4G DTU that dials in
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from drivers.modbus.link import Framing, SerialPort
from drivers.modbus.sheet import near
from hub.contract import BadConfig

MOST_UNIT = 247
PORTS = {"tcp": 502, "tls": 802, "rtutcp": 4001}
BAUDS = (1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200)
_EXAMPLES = {
    "tcp": "modbus+tcp://10.0.4.7:502/1",
    "tls": "modbus+tls://10.0.4.7:802/1",
    "rtutcp": "modbus+rtutcp://10.0.4.7:4001/3",
    "rtu": "modbus+rtu:///dev/ttyS0?baud=9600#3",
    "ascii": "modbus+ascii:///dev/ttyS0?baud=9600#3",
    "dtu": "modbus+dtu:860123456789012/1",
}
LONGEST_HOST = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_SERIAL_KEYS = ("baud", "parity", "stop", "bits", "echo", "rs485")


class Place(Struct, frozen=True):
    """The line that a device hangs on; devices with the same `key` share it."""

    kind: str  # tcp, tls, rtutcp, rtu, ascii, dtu
    key: str
    host: str = ""
    port: int = 0
    serial: SerialPort | None = None
    dtu: str = ""

    @property
    def framing(self) -> Framing:
        return {"tcp": Framing.MBAP, "tls": Framing.MBAP, "ascii": Framing.ASCII}.get(self.kind, Framing.RTU)


def parse(address: str) -> tuple[Place, int]:
    """The line and the unit of an address. Raises BadConfig that says what to write."""
    scheme, _, rest = address.partition(":")
    kind = scheme.removeprefix("modbus+")
    if not scheme.startswith("modbus+") or kind not in _EXAMPLES:
        hint = near(kind, _EXAMPLES)
        raise _bad(address, f'"{scheme}" is no kind of Modbus line.{hint}', *_EXAMPLES.values())
    if kind == "dtu":
        return _dtu(address, rest)
    return _serial(address, kind) if kind in ("rtu", "ascii") else _network(address, kind)


def _network(address: str, kind: str) -> tuple[Place, int]:
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise _bad(address, "host or port cannot be read.", _EXAMPLES[kind]) from None
    if not host:
        raise _bad(address, "has no host.", _EXAMPLES[kind])
    if why := _no_host(host):
        raise _bad(address, f'"{host}" {why}', _EXAMPLES[kind])
    if url.query or url.fragment or url.username:
        raise _bad(address, "has more than host, port and unit.", _EXAMPLES[kind])
    port = PORTS[kind] if port is None else port
    return Place(kind, f"{kind}://{host}:{port}", host, port), _unit(address, url.path.removeprefix("/"), kind)


def _no_host(host: str) -> str:
    """Why this can be no host, and what to write; "" when it can."""
    if ":" in host:  # in brackets, or urlsplit would have taken it for a port
        return "" if _is_ip(host) else "is no IPv6 address. Write one like [fd00::7]."
    if re.fullmatch(r"[0-9.]+", host):
        return "" if _is_ip(host) else "is no IPv4 address. Write four numbers from 0 to 255 with dots between them."
    if len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")):
        return "is no host name. Write parts of 1 to 63 letters, digits or hyphens with dots between them."
    return ""


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _serial(address: str, kind: str) -> tuple[Place, int]:
    try:
        url = urlsplit(address)
    except ValueError:
        raise _bad(address, "cannot be read.", _EXAMPLES[kind]) from None
    if url.netloc or not url.path.startswith("/"):
        raise _bad(address, "has no device.", _EXAMPLES[kind])
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    for key in options:
        if key not in _SERIAL_KEYS:
            raise _bad(
                address, f'"{key}" is not known here.{near(key, _SERIAL_KEYS)} Known: {", ".join(_SERIAL_KEYS)}.'
            )
    port = SerialPort(
        device=url.path,
        baud=_one_of(address, options, "baud", [str(baud) for baud in BAUDS], "9600"),
        parity=str(options.get("parity", "N")),
        stop=_one_of(address, options, "stop", ["1", "2"], "1"),
        bits=_one_of(address, options, "bits", ["7", "8"], "8"),
        echoes=_one_of(address, options, "echo", ["0", "1"], "0") == 1,
        rs485=_one_of(address, options, "rs485", ["0", "1"], "0") == 1,
    )
    if port.parity not in ("N", "E", "O"):
        raise _bad(address, f'parity is "{port.parity}". Write N, E or O.')
    return Place(kind, f"serial:{port.device}", serial=port), _unit(address, url.fragment, kind)


def _dtu(address: str, rest: str) -> tuple[Place, int]:
    id, _, unit = rest.rpartition("/")
    if not re.fullmatch(r"[\x21-\x2e\x30-\x7e]{1,64}", id):
        raise _bad(address, "has no registration id (1 to 64 letters, digits or signs, no space).", _EXAMPLES["dtu"])
    return Place("dtu", f"dtu:{id}", dtu=id), _unit(address, unit, "dtu")


def _unit(address: str, text: str, kind: str) -> int:
    lowest = 0 if kind in ("tcp", "tls") else 1
    if not re.fullmatch(r"[0-9]{1,3}", text) or not lowest <= int(text) <= (255 if lowest == 0 else MOST_UNIT):
        most = 255 if lowest == 0 else MOST_UNIT
        raise _bad(address, f'"{text}" is no unit (a number from {lowest} to {most}).', _EXAMPLES[kind])
    return int(text)


def _one_of(address: str, options: dict[str, str], key: str, choices: list[str], default: str) -> int:
    value = options.get(key, default)
    if value not in choices:
        raise _bad(address, f'{key} is "{value}". Write one of: {", ".join(choices)}.')
    return int(value)


def _bad(address: str, what: str, *examples: str) -> BadConfig:
    like = f" Write it like: {' or '.join(examples)}" if examples else ""
    return BadConfig(f'address "{address}" › {what}{like}')
