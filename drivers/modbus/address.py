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
from urllib.parse import SplitResult, parse_qsl, urlsplit

from msgspec import Struct

from drivers.modbus.link import Framing, SerialPort
from drivers.modbus.sheet import near
from hub.contract import BadConfig

MOST_UNIT = 247
PORTS = {"tcp": 502, "tls": 802, "rtutcp": 4001}
BAUDS = (1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200)
EXAMPLE = {
    "tcp": "modbus+tcp://10.0.4.7:502/1",
    "tls": "modbus+tls://10.0.4.7:802/1",
    "rtutcp": "modbus+rtutcp://10.0.4.7:4001/3",
    "rtu": "modbus+rtu:///dev/ttyS0?baud=9600#3",
    "ascii": "modbus+ascii:///dev/ttyS0?baud=9600#3",
    "dtu": "modbus+dtu:860123456789012/1",
}
EXAMPLES = tuple(EXAMPLE.values())
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
    """The line and the unit of an address. Raises BadConfig with every mistake in it, and what to write."""
    scheme, _, rest = address.partition(":")
    kind = scheme.removeprefix("modbus+")
    if not scheme.startswith("modbus+") or kind not in EXAMPLE:
        what = f'"{scheme}" is no kind of Modbus line.{near(kind, EXAMPLE)}'
        raise BadConfig(f'address "{address}" › {what} Write it like: {" or ".join(EXAMPLES)}')
    wrong: list[str] = []
    try:
        found = _read(kind, rest, wrong)
    except ValueError:  # of urlsplit: a bracket that is not closed
        wrong.append("cannot be read.")
    if wrong:
        wrong[-1] += f" Write it like: {EXAMPLE[kind]}"
        raise BadConfig(*(f'address "{address}" › {what}' for what in wrong))
    return found


def _read(kind: str, rest: str, wrong: list[str]) -> tuple[Place, int]:
    """What can be read of an address; what is wrong with it goes to `wrong`."""
    if kind == "dtu":
        return _dtu(rest, wrong)
    return _serial(rest, kind, wrong) if kind in ("rtu", "ascii") else _network(rest, kind, wrong)


def _network(rest: str, kind: str, wrong: list[str]) -> tuple[Place, int]:
    if not rest.startswith("//"):
        wrong.append(f"has no // after modbus+{kind}:.")
        rest = "//" + rest.lstrip("/")
    url = urlsplit(rest)
    host, port = _host(url, wrong), _port(url, kind, wrong)
    if url.query or url.fragment or url.username:
        wrong.append("has more than host, port and unit.")
    unit = _unit(url.path.removeprefix("/"), kind, wrong)
    return Place(kind, f"{kind}://{host}:{port}", host, port), unit


def _host(url: SplitResult, wrong: list[str]) -> str:
    host = url.hostname or ""
    if not host:
        wrong.append("has no host.")
    elif why := _no_host(host):
        wrong.append(f'"{host}" {why}')
    return host


def _port(url: SplitResult, kind: str, wrong: list[str]) -> int:
    try:
        port = PORTS[kind] if url.port is None else url.port
    except ValueError:
        port = 0
    if not port:
        text = url.netloc.rpartition(":")[2]
        wrong.append(f'port "{text}" is no port. Write a number from 1 to 65535.')
    return port


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


def _serial(rest: str, kind: str, wrong: list[str]) -> tuple[Place, int]:
    url = urlsplit(rest)
    if url.netloc or not url.path.startswith("/"):
        wrong.append("has no device.")
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    for key in options:
        if key not in _SERIAL_KEYS:
            wrong.append(f'"{key}" is not known here.{near(key, _SERIAL_KEYS)} Known: {", ".join(_SERIAL_KEYS)}.')
    port = SerialPort(
        device=url.path,
        baud=_one_of(options, "baud", [str(baud) for baud in BAUDS], "9600", wrong),
        parity=str(options.get("parity", "N")),
        stop=_one_of(options, "stop", ["1", "2"], "1", wrong),
        bits=_one_of(options, "bits", ["7", "8"], "8", wrong),
        echoes=_one_of(options, "echo", ["0", "1"], "0", wrong) == 1,
        rs485=_one_of(options, "rs485", ["0", "1"], "0", wrong) == 1,
    )
    if port.parity not in ("N", "E", "O"):
        wrong.append(f'parity is "{port.parity}". Write N, E or O.')
    return Place(kind, f"serial:{port.device}", serial=port), _unit(url.fragment, kind, wrong)


def _dtu(rest: str, wrong: list[str]) -> tuple[Place, int]:
    id, _, unit = rest.rpartition("/")
    if not re.fullmatch(r"[\x21-\x2e\x30-\x7e]{1,64}", id):
        wrong.append("has no registration id (1 to 64 letters, digits or signs, no space).")
    return Place("dtu", f"dtu:{id}", dtu=id), _unit(unit, "dtu", wrong)


def _unit(text: str, kind: str, wrong: list[str]) -> int:
    lowest, most = (0, 255) if kind in ("tcp", "tls") else (1, MOST_UNIT)
    if re.fullmatch(r"[0-9]{1,3}", text) and lowest <= int(text) <= most:
        return int(text)
    wrong.append(f'"{text}" is no unit (a number from {lowest} to {most}).')
    return lowest


def _one_of(options: dict[str, str], key: str, choices: list[str], default: str, wrong: list[str]) -> int:
    value = options.get(key, default)
    if value in choices:
        return int(value)
    wrong.append(f'{key} is "{value}". Write one of: {", ".join(choices)}.')
    return int(default)
