"""fieldhub: the front door. The only file that may open every room; nobody imports it.

Exit codes: 0 done, 1 something failed while running, 2 what was asked for or written in a file cannot be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import getpass
import logging
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.clock import SystemClock
from hub.contract import BadConfig

if TYPE_CHECKING:
    from hub.config import Site
    from hub.house import House
    from rules.load import Rules

WRONG = 2  # exit code: a mistake of the author, said in words
GRACEFUL_S = 2  # open event streams are given so long when the house closes


class Refused(Exception):
    """What was asked for cannot be done; the text says what to do instead."""


# ---- the words after `fieldhub` -----------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit code."""
    args = _parser().parse_args(argv)
    try:
        result: int = args.do(args)
        return result
    except BadConfig as bad:
        for line in bad.mistakes:
            print(line, file=sys.stderr)
        count = len(bad.mistakes)
        print(f"{count} mistake{'s' if count > 1 else ''}. Nothing was started.", file=sys.stderr)
        return WRONG
    except Refused as refused:
        print(refused, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fieldhub", description="The hub of a county's field hardware.")
    parser.add_argument("--version", action="version", version=f"fieldhub {version('fieldhub')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Any, what: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(do=do)
        return sub

    sub = command("init", _init, "Make a new site folder.", "fieldhub init my-county")
    sub.add_argument("dir", type=Path)
    sub = command("check", _check, "Check a site folder: every mistake at once, every rule's story played.",
                  "fieldhub check my-county")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub = command("run", _run, "Run the hub of a site.", "fieldhub run my-county")
    sub.add_argument("dir", type=Path)
    sub.add_argument("--port", type=int, help="instead of [http] port of hub.toml")
    sub = command("demo", _demo, "Run a simulated county: hub, simulators and console on loopback.",
                  "fieldhub demo --port 8431")  # fmt: skip
    sub.add_argument("--port", type=int, default=8420)
    sub.add_argument("--dir", type=Path, default=Path("demo-site"), help="the demo's site folder (default: demo-site)")
    sub.add_argument("--calm", action="store_true", help="no faults but those you switch")
    sub = command("user", _user, "Add a user, set a password, list users.",
                  "fieldhub user my-county add wang.min --role water_operator")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("what", choices=["add", "password", "list"])
    sub.add_argument("name", nargs="?", default="")
    sub.add_argument("--role", action="append", default=[], help="viewer, water_operator, field_engineer or admin")
    sub.add_argument("--full-name", default="")
    sub.add_argument("--password-file", type=Path, help="instead of asking; - reads one line from standard input")
    sub = command("decode", _decode, "Read bytes of a protocol and say what they mean.",
                  'fieldhub decode modbus "01 03 02 01 F4 B8 53"')  # fmt: skip
    sub.add_argument("protocol", choices=["modbus"])
    sub.add_argument("hex", nargs="?", help="the bytes in hex; standard input when left out")
    sub.add_argument("--framing", choices=["auto", "tcp", "rtu"], default="auto")
    sub = command("export", _export, "Write devices, readings, alarms or commands of a site as CSV.",
                  "fieldhub export my-county readings --device ps-1 --point inlet.level "
                  "--from 2026-11-01 -o level.csv")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("what", choices=["devices", "readings", "alarms", "commands"])
    sub.add_argument("--device", default="")
    sub.add_argument("--point", action="append", default=[])
    sub.add_argument("--from", dest="start", default="", help="date or time in the site's zone, 2026-11-01T08:00")
    sub.add_argument("--to", dest="end", default="")
    sub.add_argument("-o", "--output", type=Path, help="a file; standard output when left out")
    sub = command("fault", _fault, "List or switch the faults of a running demo's simulators.",
                  "fieldhub fault set ps-chengdong done_but_does_not_start --for 120")  # fmt: skip
    sub.add_argument("what", choices=["list", "set", "clear"])
    sub.add_argument("station", nargs="?", default="")
    sub.add_argument("fault", nargs="?", default="")
    sub.add_argument("--for", dest="for_s", type=float, default=None, help="seconds; until cleared when left out")
    sub.add_argument("--dir", type=Path, default=Path("demo-site"), help="the demo's site folder")
    return parser


# ---- init, check --------------------------------------------------------------------------------------------------


def _init(args: argparse.Namespace) -> int:
    if args.dir.exists() and (not args.dir.is_dir() or any(args.dir.iterdir())):
        raise Refused(f"{args.dir} › is not empty. Choose a new folder, or empty this one")
    shutil.copytree(Path(__file__).resolve().parent / "sample_site", args.dir, dirs_exist_ok=True)
    print(f"{args.dir} is a site now. Next: put your devices into {args.dir}/devices/pumps.toml, then")
    print(f"  fieldhub check {args.dir}")
    print(f"  fieldhub user {args.dir} add YOUR.NAME --role water_operator")
    print(f"  fieldhub run {args.dir}")
    return 0


def _check(args: argparse.Namespace) -> int:
    site, rules, stories = _read(args.dir)
    print(f"{args.dir}: {len(site.areas)} areas, {len(site.devices)} devices, {len(rules)} rules, "
          f"{stories} stories played. No mistakes.")  # fmt: skip
    for warning in rules.warnings:
        print(f"note: {warning}")
    return 0


def _read(folder: Path) -> tuple[Site, Rules, int]:
    """Everything of a site that can be wrong before it runs. Raises BadConfig with all of it."""
    from drivers import DRIVERS
    from hub.config import read_site
    from rules.load import load_rules
    from rules.story import play_all

    mistakes: list[str] = []
    site = None
    try:
        site = read_site(folder, DRIVERS)
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
    fleet = [(device, site.plates[device.id]) for device in site.devices] if site else []
    try:
        rules = load_rules(folder / "rules", fleet)
        stories = play_all(rules)
    except BadConfig as bad:
        mistakes.extend(bad.mistakes)
    else:
        mistakes += _unknown_rules(site, rules) if site else []
    if site is None or mistakes:
        raise BadConfig(*mistakes)
    return site, rules, stories


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
    _log_to_stderr()
    site, rules, _ = _read(args.dir)
    http = site.hub.http
    listener = _listen(http.host, args.port or http.port)
    for name, host, port in _ports(site):
        _listen(host, port, f"hub.toml › drivers.{name}").close()
    return _loop(_serve(site, rules, listener))


def _ports(site: Site) -> list[tuple[str, str, int]]:
    from drivers import DRIVERS

    return [(n, host, port) for n, spec in DRIVERS.items() for host, port in spec.listens(site.options[n])]


def _listen(host: str, port: int, place: str = "hub.toml › http") -> socket.socket:
    """A bound socket. Raises Refused when the port is taken or may not be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Of protocol TCP by name: else asyncio's own loop leaves Nagle on, and an answer on a kept connection takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise Refused(
            f"{place} › {host}:{port} cannot be used: {why}. Choose another port, or stop what uses it"
        ) from None
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
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        for line in demo.hello(house) if demo is not None else (f"console: http://{_where(listener)}/",):
            print(line, flush=True)
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        app.state.desk.bus.close()  # open streams end at once
        server.should_exit = True
        await serving
        return 0 if stop.is_set() else 1
    finally:
        await house.close()


async def _open(kind: type[House], site: Site, rules: Rules, drivers: Any, demo: bool) -> House:
    from hub.historian.base import HistoryUnavailable
    from hub.ledger.trouble import LedgerUnavailable
    from rules.book import Book

    try:
        book = Book(rules, lambda device: site.plates[device.id])
        return await kind.open(site, SystemClock(), book, drivers, demo=demo)
    except (LedgerUnavailable, HistoryUnavailable) as error:
        raise Refused(str(error)) from None


def _web(house: House, demo: Any) -> tuple[Any, Any]:
    import uvicorn

    from dashboards.app import create_app

    class Server(uvicorn.Server):
        def install_signal_handlers(self) -> None:  # ours are in _serve
            pass

        def capture_signals(self) -> Any:
            return contextlib.nullcontext()

    app = create_app(house, demo=demo)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_S,
        server_header=False,
        date_header=True,
    )
    return Server(config), app


# ---- demo ---------------------------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    from hub.demo import Demo

    listener = _listen("127.0.0.1", args.port, "--port")
    with Demo(args.dir, args.port, args.calm) as demo:
        site, rules, _ = _read(args.dir)
        return _loop(_serve(site, rules, listener, demo))


async def _demo_users(house: House) -> None:
    """The demo's log-ins, once. They are known to everybody: the demo listens on loopback only."""
    from dashboards.auth import add_person
    from hub.demo import USERS

    there = {person.name for person in await house.ledger.people.persons()}
    for name, password, roles, full_name in USERS:
        if name not in there:
            await add_person(house.ledger, name, full_name, password, roles, "zh-CN", by="demo")


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
        asyncio.run(desk.set(args.station, args.fault, args.what == "set", args.for_s))
    except LookupError as error:
        raise Refused(f"fault {args.what} › {error}") from None
    print(f"{args.station}: {args.fault} {'on' if args.what == 'set' else 'off'}")
    return 0


# ---- users --------------------------------------------------------------------------------------------------------


def _user(args: argparse.Namespace) -> int:
    from hub.rights import ROLES

    if args.what != "list" and not args.name:
        raise Refused(f"user {args.what} › name the user: fieldhub user {args.dir} {args.what} wang.min")
    unknown = [role for role in args.role if role not in ROLES]
    if unknown or (args.what == "add" and not args.role):
        raise Refused(f"--role {', '.join(unknown) or 'is missing'} › write one or more of: {', '.join(ROLES)}")
    password = _password(args) if args.what != "list" else ""
    return asyncio.run(_user_in(args, password))


def _password(args: argparse.Namespace) -> str:
    if args.password_file is None:
        first = getpass.getpass("password: ")
        if first != getpass.getpass("once more: "):
            raise Refused("the two passwords differ. Nothing was changed")
        return first
    if str(args.password_file) == "-":
        return sys.stdin.readline().rstrip("\n")
    try:
        return str(args.password_file.read_text("utf-8").splitlines()[0])
    except (OSError, IndexError) as error:
        raise Refused(f"{args.password_file} › cannot be read: {error}. Its first line must be the password") from None


async def _user_in(args: argparse.Namespace, password: str) -> int:
    from dashboards.auth import WeakPassword, add_person, set_password
    from drivers import DRIVERS
    from hub.config import read_site
    from hub.house import open_ledger
    from hub.ledger.trouble import AlreadyWritten

    site = read_site(args.dir, DRIVERS)
    ledger = await open_ledger(site, SystemClock())
    try:
        if args.what == "list":
            for person in await ledger.people.persons():
                print(f"{person.name:24} {', '.join(person.roles):32} {person.full_name}")
        elif args.what == "add":
            await add_person(
                ledger, args.name, args.full_name or args.name, password, args.role, site.hub.site.language
            )
            print(f"{args.name} may log in now ({', '.join(args.role)}).")
        else:
            await set_password(ledger, args.name, password)
            print(f"{args.name} has a new password; open sessions have ended.")
    except AlreadyWritten:
        raise Refused(f"{args.name} › is a user already. `fieldhub user {args.dir} password {args.name}`") from None
    except (WeakPassword, LookupError) as error:
        raise Refused(f"{args.name} › {error}") from None
    finally:
        await ledger.close()
    return 0


# ---- decode, export -----------------------------------------------------------------------------------------------


def _decode(args: argparse.Namespace) -> int:
    from protocols.modbus.explain import explain

    text = args.hex if args.hex is not None else sys.stdin.read()
    try:
        raw = bytes.fromhex("".join(text.replace("0x", " ").replace(":", " ").replace(",", " ").split()))
    except ValueError as error:
        raise Refused(f"{text[:40]!r} › is not hex: {error}. Write bytes like 01 03 00 00 00 0A C5 CD") from None
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


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
