"""fieldhub: the front door. The only file that may open every room; nobody imports it.

Exit codes: 0 done, 1 something failed while running, 2 what was asked for or written in a file cannot be.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hub import traces
from hub.clock import SystemClock
from hub.command_line import parser
from hub.contract import BadConfig
from hub.logs import configure

if TYPE_CHECKING:
    from hub.config import Site
    from hub.house import House
    from hub.notices.plan import Plan
    from rules.load import Rules

WRONG = 2  # exit code: a mistake of the author, said in words


class Refused(Exception):
    """What was asked for cannot be done; the text says what to do instead."""


# ---- the words after `fieldhub` -----------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit code."""
    args = parser(_COMMANDS).parse_args(argv)
    try:
        result: int = args.do(args)
        sys.stdout.flush()
        return result
    except BadConfig as bad:
        for line in bad.mistakes:
            print(line, file=sys.stderr)
        if args.do in (_check, _run, _demo):
            count = len(bad.mistakes)
            started = "" if args.do is _check else " Nothing was started."
            print(f"{count} mistake{'s' if count > 1 else ''}.{started}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:  # whoever reads us (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
        return 0
    except Refused as refused:
        print(refused, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130


# ---- init, check --------------------------------------------------------------------------------------------------


def _init(args: argparse.Namespace) -> int:
    try:
        if args.dir.exists() and (not args.dir.is_dir() or any(args.dir.iterdir())):
            raise Refused(f"{args.dir} › is not empty. Choose a new folder, or empty this one")
        shutil.copytree(Path(__file__).resolve().parent / "sample_site", args.dir, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise Refused(f"{args.dir} › cannot be made: {why}. Choose a folder that you may write") from None
    print(f"{args.dir} is a site now. Next: put your devices into {args.dir}/devices/pumps.toml, then")
    print(f"  fieldhub check {args.dir}")
    print(f"  fieldhub user {args.dir} add YOUR.NAME --role water_operator")
    print(f"  fieldhub run {args.dir}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from hub.notices.file import unheard

    site, rules, played = _read(args.dir)
    print(f"{args.dir}: {len(site.areas)} areas, {len(site.devices)} devices, {len(rules)} rules. No mistakes.")
    told = (*unheard(_plan(site, rules)), *rules.warnings)
    for note in (_stories(rules, played, bool(site.devices)), *_unwatched(site, rules), *told):
        print(f"note: {note}")
    return 0


def _read(folder: Path) -> tuple[Site, Rules, int]:
    """Everything of a site that can be wrong before it runs, and how many stories were played. Raises BadConfig."""
    from drivers import DRIVERS
    from hub import outage, self_watch
    from hub.config import read_site
    from hub.model import Area
    from rules.load import kinds, load_rules
    from rules.story import play_all

    mistakes: list[str] = []
    site = None
    try:
        ours = {self_watch.KIND, *outage.KINDS.values()}  # of no device in a file
        site = read_site(folder, DRIVERS, kinds(folder / "rules") - ours)
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
    fleet = [(device, site.plates[device.id]) for device in site.devices] if site else []
    if fleet:
        fleet.append((self_watch.device(), self_watch.plate(has_server=True, has_channels=True)))
        fleet += ((outage.device(family, Area("", "")), outage.plate()) for family in outage.KINDS)
    try:
        rules = load_rules(folder / "rules", fleet, site.areas if site else ())
        played = play_all(rules)
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
    else:
        mistakes += _unknown_rules(site, rules) if site else []
        try:
            _plan(site, rules) if site else None
        except BadConfig as bad:
            mistakes.extend(bad.mistakes)
    if site is None or mistakes:
        raise BadConfig(*mistakes)
    return site, rules, played


def _plan(site: Site, rules: Rules, environment: Mapping[str, str] | None = None) -> Plan:
    """Who is told of alarms: notify.toml. `environment`: the channels' addresses too. Raises BadConfig."""
    from hub import outage, self_watch
    from hub.notices.file import Known, read_plan

    kinds = {self_watch.KIND, *outage.KINDS.values()}
    kinds |= {device.kind for device in site.devices} | {rule.kind for rule in rules if rule.kind}
    known = Known(
        site.hub.site.zone,
        site.hub.site.language,
        frozenset(area.code for area in site.areas),
        frozenset(kinds),
        frozenset(rule.name for rule in rules),
    )
    return read_plan(site.folder, known, environment)


def _stories(rules: Rules, played: int, any_devices: bool) -> str:
    told = sum(1 for rule in rules if rule.story)
    if played == told:
        return f"the stories of all {told} rules were played, and are true"
    why = (
        "no device here has what the others look at" if any_devices else "they are played on devices, and none is here"
    )
    return f"{played} of {told} rules' stories were played{' and are true' if played else ''}: {why}"


def _unwatched(site: Site, rules: Rules) -> list[str]:
    from rules.load import unwatched

    alike: dict[tuple[str, str, str], list[str]] = {}
    for it in unwatched(rules, [(device, site.plates[device.id]) for device in site.devices]):
        alike.setdefault((site.files[it.id], it.kind, it.profile), []).append(it.id)
    return [
        f'{file} › device "{ids[0]}"{f" and {len(ids) - 1} more" if len(ids) > 1 else ""} › '
        f'no rule watches this device: no alarm will ever ring (kind "{kind}", profile "{profile}")'
        for (file, kind, profile), ids in alike.items()
    ]


def _unknown_rules(site: Site, rules: Rules) -> list[str]:
    names = [rule.name for rule in rules]
    return [
        f'hub.toml › armed › there is no rule "{name}". Rules that ask for something: '
        f"{', '.join(sorted(rule.name for rule in rules if rule.then)) or 'none'}"
        for name in site.hub.armed
        if name not in names
    ]


# ---- run ----------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    configure()
    os.umask(0o077)  # what the hub writes is nobody else's
    site, rules, _ = _read(args.dir)
    configure(site.hub.log.form, site.hub.log.level)
    http = site.hub.http
    listener = _listen(http.host, args.port or http.port, "--port" if args.port else "hub.toml › http")
    for name, host, port in _ports(site):
        _listen(host, port, f"hub.toml › drivers.{name}").close()
    for note in _unwatched(site, rules):
        logging.getLogger("fieldhub").warning(note)
    _trace(site)
    return _loop(_serve(site, rules, listener))


def _trace(site: Site) -> None:
    """Begin to send traces, where the site wants them. Raises Refused."""
    if site.hub.log.traces:
        try:
            traces.begin(site.hub.log.traces, socket.gethostname())
        except traces.NotInstalled as missing:
            say = f"hub.toml › log › traces › needs packages that are not here ({missing}). Install fieldhub[otel]"
            raise Refused(f"{say}, or take the line out") from None


def _ports(site: Site) -> list[tuple[str, str, int]]:
    from drivers import DRIVERS

    return [(n, host, port) for n, spec in DRIVERS.items() for host, port in spec.listens(site.options[n])]


def _listen(host: str, port: int, place: str) -> socket.socket:
    """A bound socket. Raises Refused when the port is taken or may not be used, or the host is none of ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Of protocol TCP by name: else asyncio's own loop leaves Nagle on, and an answer on a kept connection takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            remedy = 'Write an address of this machine as host: "127.0.0.1", or "0.0.0.0" for all that it has'
        else:
            remedy = "Choose another port, or stop what uses it"
        raise Refused(f"{place} › {host}:{port} cannot be used: {error.strerror}. {remedy}") from None
    return listener


def _loop(work: Any) -> int:
    """Run on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return int(asyncio.run(work))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return int(runner.run(work))


async def _serve(site: Site, rules: Rules, listener: socket.socket, demo: Any = None) -> int:
    """The house and its console until a signal comes."""
    from drivers import DRIVERS
    from hub.house import House
    from hub.notify_systemd import Systemd

    house = await _open(House, site, rules, DRIVERS, demo is not None)
    try:
        if demo is not None:
            await _demo_users(house)
        server, app = _web(house, demo)
        house.start()
        # What is there now stays: a collection need not look through it again while devices wait (551 ms with 20,000).
        gc.collect()
        gc.freeze()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        renewing = asyncio.ensure_future(server.keep_certificate())
        systemd = Systemd()
        alive = asyncio.ensure_future(systemd.keep(house.clock, lambda: house.running))
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        scheme = "https" if site.hub.http.cert else "http"
        hello = demo.hello(house) if demo is not None else await _hello(app, f"{scheme}://{_where(listener)}/")
        for line in hello:
            print(line, flush=True)
        systemd.tell("READY=1")
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        app.state.desk.bus.close()  # open streams end at once
        systemd.tell("STOPPING=1")
        renewing.cancel()
        alive.cancel()
        server.should_exit = True
        await serving
        return 0 if stop.is_set() else 1
    finally:
        await house.close()
        traces.close()


async def _hello(app: Any, address: str) -> list[str]:
    """What the person at the server's console is told; while there is no administrator also the one-time code."""
    code = await app.state.desk.entrance.setup_code()
    lines = [f"console: {address}"]
    if code:
        lines += [
            "There is no administrator yet. Whoever opens this page and writes this code becomes the first:",
            f"  {address}setup    code: {code}",
        ]
    return lines


async def _open(kind: type[House], site: Site, rules: Rules, drivers: Any, demo: bool) -> House:
    from hub.historian.base import HistoryUnavailable
    from hub.ledger.trouble import LedgerUnavailable
    from rules.book import Book

    try:
        plates = dict(site.plates)  # those of devices that are adopted come in here
        book = Book(rules, lambda device: plates[device.id], ZoneInfo(site.hub.site.zone))
        plan = _plan(site, rules, os.environ)
        return await kind.open(site, SystemClock(), book, drivers, demo=demo, plates=plates, itself=True, plan=plan)
    except (LedgerUnavailable, HistoryUnavailable) as error:
        raise Refused(str(error)) from None


def _web(house: House, demo: Any) -> tuple[Any, Any]:
    from dashboards import door
    from dashboards.app import create_app

    app = create_app(house, demo=demo)
    return door.server(app, house.site.hub.http, house.site.folder), app


# ---- demo ---------------------------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    from hub.demo import Demo

    os.umask(0o077)
    listener = _listen("127.0.0.1", args.port, "--port")
    with Demo(args.dir, args.port, args.calm) as demo:
        site, rules, _ = _read(args.dir)
        return _loop(_serve(site, rules, listener, demo))


async def _demo_users(house: House) -> None:
    """The demo's log-ins, once. They are known to everybody: the demo listens on loopback only."""
    from hub.demo import USERS
    from hub.passwords import add_person

    there = {person.name for person in await house.ledger.people.persons()}
    for name, password, grants, full_name in USERS:
        if name not in there:
            await add_person(house.ledger, name, full_name, password, grants, "zh-CN", by="demo")


def _fault(args: argparse.Namespace) -> int:
    from hub.demo import FaultDesk

    desk = FaultDesk.of(args.dir)
    if args.what == "list":
        for line in asyncio.run(desk.lines()):
            print(line)
        return 0
    if not args.station or not args.fault:
        raise Refused(f"fault {args.what} › name a station and a fault. `fieldhub fault list` shows both")
    try:
        asyncio.run(desk.set(args.station, args.fault, args.what == "set", args.for_s, args.pump))
    except LookupError as error:
        raise Refused(f"fault {args.what} › {error}") from None
    print(f"{args.station}: {args.fault} {'on' if args.what == 'set' else 'off'}")
    return 0


# ---- errands ------------------------------------------------------------------------------------------------------


def _user(args: argparse.Namespace) -> int:
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.errands.user import user

    return user(args, lambda: read_site(args.dir, DRIVERS))


def _doctor(args: argparse.Namespace) -> int:
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.errands.doctor import doctor

    site = read_site(args.dir, DRIVERS)
    doors = [("hub.toml › http", site.hub.http.host, site.hub.http.port)]
    return doctor(args, site, [*doors, *((f"hub.toml › drivers.{n}", host, port) for n, host, port in _ports(site))])


def _notify(args: argparse.Namespace) -> int:
    from hub.errands.notify import notify

    site, rules, _ = _read(args.dir)
    return notify(args, site, _plan(site, rules, os.environ if args.what == "test" else None))


def _replay(args: argparse.Namespace) -> int:
    from rules.rehearsal import replay

    site, rules, _ = _read(args.dir)
    return replay(args, site, rules)


def _unit(args: argparse.Namespace) -> int:
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.errands.unit import unit

    return unit(args, any(it.address.startswith("modbus+rtu:") for it in read_site(args.dir, DRIVERS).devices))


def _cert(args: argparse.Namespace) -> int:
    from hub.errands.cert import cert

    return cert(args)


def _history(args: argparse.Namespace) -> int:
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.errands.history import history

    args.site = lambda: read_site(args.dir, DRIVERS)
    return history(args)


def _backup(args: argparse.Namespace) -> int:
    from hub.errands.backup import backup

    return backup(args)


def _audit(args: argparse.Namespace) -> int:
    from hub.errands.audit import audit

    return audit(args)


# ---- decode, export -----------------------------------------------------------------------------------------------


def _decode(args: argparse.Namespace) -> int:
    from protocols.modbus.explain import explain

    text = args.hex if args.hex is not None else sys.stdin.read()
    try:
        raw = bytes.fromhex("".join(text.replace("0x", " ").replace(":", " ").replace(",", " ").split()))
    except ValueError as error:
        raise Refused(f"{text[:40]!r} › is not hex: {error}. Write bytes like 01 03 00 00 00 0A C5 CD") from None
    if not raw:
        raise Refused("there are no bytes to decode. Write them in hex, like 01 03 00 00 00 0A C5 CD")
    whole, lines = explain(raw, args.framing)
    for line in lines:
        print(line)
    return 0 if whole else 1


def _export(args: argparse.Namespace) -> int:
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.export import export

    site = read_site(args.dir, DRIVERS)
    if args.what == "readings" and not args.device:
        raise Refused("readings › --device is missing. `fieldhub export DIR devices` lists the devices")
    count = asyncio.run(export(site, SystemClock(), args))
    print(f"{count} rows", file=sys.stderr)
    return 0


def _where(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_COMMANDS = {
    "init": _init,
    "check": _check,
    "run": _run,
    "demo": _demo,
    "user": _user,
    "decode": _decode,
    "export": _export,
    "audit": _audit,
    "history": _history,
    "backup": _backup,
    "cert": _cert,
    "doctor": _doctor,
    "notify": _notify,
    "replay": _replay,
    "unit": _unit,
    "fault": _fault,
}

if __name__ == "__main__":
    sys.exit(main())
