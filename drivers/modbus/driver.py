"""The Modbus driver: devices of the roster on their lines, and commands down to them.

run        one supervised task for each physical line (line.py): one that fails is started again, and the others go on;
           and the port where DTUs dial in (dtu.py)
carry_out  one command (commands.py)
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from random import Random

from drivers.modbus import profile
from drivers.modbus.address import EXAMPLES, Place, parse
from drivers.modbus.commands import Carrier, Watchdog
from drivers.modbus.dtu import SPEAKER, Listener
from drivers.modbus.line import Line, Opener, Timing
from drivers.modbus.link import Link, open_serial, open_tcp
from drivers.modbus.member import Member
from drivers.modbus.options import Options
from drivers.modbus.plan import Breaker, Merging
from drivers.modbus.rows import LineRules
from drivers.modbus.together import together
from hub.clock import Clock
from hub.contract import BadConfig, DriverSpec, Intake, Sent
from hub.model import Command, Device, Nameplate, Receipt, Stage, Words
from hub.supervise import Supervisor, guarded

# What suits the kind of line, where neither profile nor settings say otherwise (modbus.md §3): gap between two frames,
# registers that are read along rather than asked around, and the longest pause between probes of a dead unit.
GAP_MS = {"tcp": 0, "tls": 0, "rtutcp": 50, "rtu": 30, "ascii": 30, "dtu": 50}
MAX_GAP = {"tcp": 100, "tls": 100, "rtutcp": 60, "rtu": 20, "ascii": 20, "dtu": 60}
PROBE_S = {"dtu": 600.0}
PROBE_DEFAULT_S = 60.0


class ModbusDriver:
    """All Modbus devices of a house."""

    def __init__(self, options: Options, clock: Clock, random: Random | None = None) -> None:
        self.listener: Listener | None = None
        self.lines: dict[str, Line] = {}
        self._options = options
        self._clock = clock
        self._random = random or Random()
        self._shelf = profile.load(options.profiles_dir)
        self._tls = _tls(options)
        self._places: dict[str, Place] = {}  # by the line's key
        self._seats: dict[str, tuple[Device, Line, Member]] = {}
        self._keeper = Supervisor(clock)  # of lines by key, and of watchdogs by device

    async def run(self, intake: Intake) -> None:
        """Serve the roster until cancelled. Raises OSError when DTUs cannot be listened for."""
        self.lines, self._places, self._seats = {}, {}, {}
        roster = intake.mine("modbus")
        try:
            if self._options.dtu_port is not None:
                self.listener = Listener(self._options, self._clock, intake)
                await self.listener.open()
                self._keeper.keep("modbus waiting room", self.listener.watch)
            while True:
                self._fit(roster.devices, intake)
                await roster.changed()
        finally:
            self._seats = {}  # nothing more is taken down to them
            await self._keeper.close()
            if self.listener is not None:
                self.listener.close()
                self.listener = None
            self.lines = {}

    async def carry_out(self, device: Device, command: Command, sent: Sent) -> Receipt:
        """What the device said: UNDELIVERED, REJECTED, ACKNOWLEDGED, or EXPIRED when it was sent and nothing came."""
        found = self._seats.get(device.id)
        action = found[2].plate.actions.get(command.action) if found else None
        if found is None or action is None:
            words = Words("modbus.no_action" if found else "modbus.not_polled", {"action": command.action})
            return Receipt(command.id, Stage.UNDELIVERED, self._clock.now(), words)
        _, line, member = found
        return await Carrier(line, member, action, command, sent, self._clock).carry_out()

    # ---- the roster -----------------------------------------------------------------------------------------------

    def _fit(self, devices: Sequence[Device], intake: Intake) -> None:
        """Let go of who has left or changed, and take in who is new."""
        wanted = {device.id: device for device in devices}
        for id, (device, line, _) in list(self._seats.items()):
            if wanted.get(id) != device:
                line.leave(id)
                del self._seats[id]
                self._keeper.let_go(_watchdog(id))
        for device in devices:
            if device.id not in self._seats:
                self._try(device, intake)
        for key, line in list(self.lines.items()):
            if not line.members:
                del self.lines[key], self._places[key]
                self._keeper.let_go(_line(key))
        if self.listener is not None:
            self.listener.expect(place.dtu for place in self._places.values() if place.dtu)

    def _try(self, device: Device, intake: Intake) -> None:
        """Take it in, or say why not; the others come in all the same."""

        def take_in() -> None:
            try:
                self._take_in(device, intake)
            except BadConfig as bad:
                intake.puzzled_by(device.address, b"", Words("modbus.bad_config", {"why": "; ".join(bad.mistakes)}))

        if error := guarded(f"modbus: taking in {device.id}", take_in):
            for line in self.lines.values():
                line.leave(device.id)
            why = Words("modbus.device_failed", {"error": error})
            guarded("modbus: saying so", intake.puzzled_by, device.address, b"", why)

    def _take_in(self, device: Device, intake: Intake) -> None:
        place, unit = parse(device.address)
        plate = self._shelf.plate(device.profile, device.settings)
        line = self._line(place)
        rules = plate.line
        gap = MAX_GAP[place.kind] if rules.max_gap is None else rules.max_gap
        merging = Merging(gap, rules.max_count, rules.merge)
        member = Member(device, plate, unit, merging, Breaker(PROBE_S.get(place.kind, PROBE_DEFAULT_S)))
        line.timing = self._timing(place, rules, line.timing if line.members else None)
        line.join(member, intake)
        self._seats[device.id] = (device, line, member)
        if plate.profile.watchdog is not None:

            def refused(code: int) -> None:
                intake.puzzled_by(device.address, b"", Words("modbus.watchdog_refused", {"code": code}))

            self._keeper.keep(_watchdog(device.id), Watchdog(line, member, refused).feed)

    def _line(self, place: Place) -> Line:
        line = self.lines.get(place.key)
        if line is not None:
            if self._places[place.key] != place:
                raise BadConfig(f"{place.key} is also the line of another device, which sets it otherwise")
            return line
        line = Line(place.key, self._opener(place), Timing(), self._clock, self._random)
        if place.dtu and self.listener is not None:
            self.listener.seat(place.dtu).knock = line.knock
        self.lines[place.key], self._places[place.key] = line, place
        self._keeper.keep(_line(place.key), line.run, line.failed)
        return line

    def _opener(self, place: Place) -> Opener:
        if place.dtu:
            if self.listener is None:
                raise BadConfig("address › is a DTU's, and no port is open for them. Set dtu_port in [drivers.modbus]")
            return self.listener.seat(place.dtu)
        if place.serial is not None:
            return _SerialOpener(place)
        return _TcpOpener(place, self._options, self._tls if place.kind == "tls" else None)

    def _timing(self, place: Place, rules: LineRules, others: Timing | None) -> Timing:
        """The slowest device on a line sets its pace."""
        options = self._options
        usual = {"dtu": options.dtu_timeout_ms, "rtu": options.serial_timeout_ms, "ascii": options.serial_timeout_ms}
        timeout_ms = rules.timeout_ms if rules.timeout_ms is not None else usual.get(place.kind, options.tcp_timeout_ms)
        if place.dtu:
            timeout_ms = max(timeout_ms, options.dtu_timeout_ms)
        gap_ms = GAP_MS[place.kind] if rules.gap_ms is None else rules.gap_ms
        return Timing(
            timeout_s=max(timeout_ms / 1000, others.timeout_s if others else 0.0),
            gap_s=max(gap_ms / 1000, others.gap_s if others else 0.0),
            settle_s=options.dtu_settle_ms / 1000 if place.dtu else 0.0,
            reopens=not place.dtu,
        )


def _line(key: str) -> str:
    return f"modbus line {key}"


def _watchdog(device: str) -> str:
    return f"modbus watchdog of {device}"


class _TcpOpener:
    def __init__(self, place: Place, options: Options, tls: ssl.SSLContext | None) -> None:
        self._place = place
        self._timeout_s = options.connect_timeout_ms / 1000
        self._tls = tls

    async def open(self) -> Link:
        place = self._place
        return await open_tcp(place.host, place.port, place.framing, self._timeout_s, self._tls)

    def why(self, error: Exception) -> Words:
        what = "no answer" if isinstance(error, TimeoutError) else error.args[-1] if error.args else str(error)
        return Words("modbus.cannot_connect", {"host": self._place.host, "port": self._place.port, "why": str(what)})


class _SerialOpener:
    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> Link:
        assert self._place.serial is not None
        return await open_serial(self._place.serial, self._place.framing)

    def why(self, error: Exception) -> Words:
        assert self._place.serial is not None
        return Words("modbus.cannot_open", {"device": self._place.serial.device, "why": str(error)})


def _tls(options: Options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.tls_ca_file)
    context.check_hostname = options.tls_check_names
    if options.tls_certificate_file is not None:
        context.load_cert_chain(options.tls_certificate_file, options.tls_key_file)
    return context


def open_driver(options: Options, clock: Clock) -> ModbusDriver:
    """Raises BadConfig; never touches the network."""
    try:
        return ModbusDriver(options, clock)
    except (OSError, ssl.SSLError) as error:
        raise BadConfig(f"hub.toml › drivers.modbus › tls: {error}. Check the certificate files") from None


def nameplate(device: Device) -> Nameplate:
    return profile.shelf().plate(device.profile, device.settings).nameplate


def check(device: Device) -> None:
    parse(device.address)


def listens(options: Options) -> list[tuple[str, int]]:
    """Where DTUs dial in, when they may."""
    return [(options.dtu_host, options.dtu_port)] if options.dtu_port else []


def kinds() -> set[str]:
    """The device kinds that the house's profiles are for."""
    return {it.kind for it in profile.shelf().profiles.values() if it.kind}


def speaker(address: str) -> str:
    """Who dials in for this device: a DTU, for all units behind it."""
    place, _ = parse(address)
    return SPEAKER + place.dtu if place.dtu else ""


SPEC = DriverSpec("modbus", Options, open_driver, nameplate, check, listens, together, kinds, EXAMPLES, speaker)
