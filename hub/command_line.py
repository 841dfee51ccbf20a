"""The words after `fieldhub`: each command with what it takes, and an example."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

SERVER_DAYS = 397  # browsers take no certificate that lives longer (hub/certificate.py)

Command = Callable[[str, str, str], argparse.ArgumentParser]  # name, what it does, example


def parser(do: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """`do`: what each command does."""
    top = argparse.ArgumentParser(
        prog="fieldhub",
        description="The hub of a county's field hardware.",
        epilog="fieldhub COMMAND --help shows what a command takes, with an example.",
    )
    top.add_argument("--version", action="version", version=f"fieldhub {version('fieldhub')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, what: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(do=do[name])
        return sub

    _to_run(command)
    _to_care(command)
    _to_ask(command)
    return top


def _to_run(command: Command) -> None:
    sub = command("init", "Make a new site folder.", "fieldhub init my-county")
    sub.add_argument("dir", type=Path)
    sub = command("check", "Check a site folder: every mistake at once, every rule's story played.",
                  "fieldhub check my-county")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub = command("run", "Run the hub of a site.", "fieldhub run my-county")
    sub.add_argument("dir", type=Path)
    sub.add_argument("--port", type=_port, help="instead of [http] port of hub.toml")
    sub = command("demo", "Run a simulated county: hub, simulators and console on loopback.",
                  "fieldhub demo --port 8431")  # fmt: skip
    sub.add_argument("--port", type=_port, default=8420)
    sub.add_argument("--dir", type=Path, default=Path("demo-site"), help="the demo's site folder (default: demo-site)")
    sub.add_argument("--calm", action="store_true", help="no faults but those you switch")


def _to_ask(command: Command) -> None:
    sub = command("user", "Add a user, set a password or what they may, let somebody in no more, list users.",
                  "fieldhub user my-county add wang.min --role water_operator@340299100000")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("what", choices=["add", "password", "grants", "disable", "enable", "second", "list"],
                     help="grants: all that they may from now on; second: take away the second factor")  # fmt: skip
    sub.add_argument("name", nargs="?", default="")
    sub.add_argument("--role", action="append", default=[],
                     help="ROLE, or ROLE@AREA for an area and all below it; may be given several times")  # fmt: skip
    sub.add_argument("--full-name", default="")
    sub.add_argument("--password-file", type=Path, help="instead of asking; - reads one line from standard input")
    sub = command("decode", "Read bytes of a protocol and say what they mean.",
                  'fieldhub decode modbus "01 03 02 01 F4 B8 53"')  # fmt: skip
    sub.add_argument("protocol", choices=["modbus"])
    sub.add_argument("hex", nargs="?", help="the bytes in hex; standard input when left out")
    sub.add_argument("--framing", choices=["auto", "tcp", "rtu"], default="auto")
    sub = command("export", "Write devices, readings, alarms or commands of a site as CSV, while it runs too.",
                  "fieldhub export my-county readings --device ps-1 --point inlet.level "
                  "--from 2026-11-01 -o level.csv")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("what", choices=["devices", "readings", "alarms", "commands"])
    sub.add_argument("--device", default="", help="of readings it must be given")
    sub.add_argument("--point", action="append", default=[], help="may be given several times; all when left out")
    sub.add_argument("--from", dest="start", default="", help="date or time in the site's zone, 2026-11-01T08:00")
    sub.add_argument("--to", dest="end", default="")
    sub.add_argument("-o", "--output", type=Path, help="a file; standard output when left out")
    sub.add_argument("--sign", action="store_true", help="put the site's seal beside the file: FILE.seal")
    sub = command("replay", "Play rules against what was recorded: which alarms there would be. Nothing is sent.",
                  "fieldhub replay my-county --rules new-rules --from 2026-11-01 --to 2026-12-01")  # fmt: skip
    sub.add_argument("dir", type=Path, help="the site's folder, also while the hub runs")
    sub.add_argument("--rules", type=Path, help="a folder of rules, to compare with the site's own")
    sub.add_argument("--device", action="append", default=[], help="may be given several times; all when left out")
    sub.add_argument("--rule", action="append", default=[], help="only rules of these names")
    sub.add_argument("--from", dest="start", default="", help="date or time in the site's zone; a day before --to")
    sub.add_argument("--to", dest="end", default="", help="until now when left out")
    sub.add_argument("--all", action="store_true", help="list every alarm, not the first 200")
    sub.add_argument("--json", action="store_true", help="for programs")
    sub = command("audit", "Show that nobody changed a site's ledger; export entries under its seal.",
                  "fieldhub audit my-county export --from 2026-11-01 --to 2026-12-01 -o november.zip")  # fmt: skip
    sub.add_argument("dir", type=Path, help="the site's folder, also while the hub runs; of check-export the export")
    sub.add_argument(
        "what",
        choices=["verify", "tip", "export", "key", "check-export"],
        help="tip: number and hash of the last entry, to be kept elsewhere; key: whose seal it is",
    )
    sub.add_argument("--tip", default="", help="what `tip` printed earlier: a cut-off end shows by it")
    sub.add_argument("--against", type=Path, help="verify: an earlier export; its entries must still be there")
    sub.add_argument("--from", dest="start", default="", help="export: date or time in the site's zone")
    sub.add_argument("--to", dest="end", default="", help="export: until now when left out")
    sub.add_argument("-o", "--output", type=Path, default=Path("audit.zip"), help="export: a .zip or .jsonl file")
    sub.add_argument("--public-key", default="", help="check-export: what `key` printed at the site, from its paper")
    sub.add_argument("--url", default="", help="of a ledger in PostgreSQL; its password in PGPASSWORD, not here")
    sub = command("fault", "List or switch the faults of a running demo's simulators.",
                  "fieldhub fault set ps-chengdong-1 done_but_does_not_start --for 120")  # fmt: skip
    sub.add_argument("what", choices=["list", "set", "clear"])
    sub.add_argument("station", nargs="?", default="")
    sub.add_argument("fault", nargs="?", default="")
    sub.add_argument("--for", dest="for_s", type=_seconds, help="seconds; until cleared when left out")
    sub.add_argument("--pump", type=int, help="of a fault of one pump: which, from 1")
    sub.add_argument("--dir", type=Path, default=Path("demo-site"), help="the demo's site folder")


def _to_care(command: Command) -> None:
    sub = command("cert", "Make a certificate for HTTPS, by an authority of the site's own.",
                  "fieldhub cert my-county --name hub.county.example --name 10.0.4.2")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("--name", action="append", default=[], help="host name or address by which browsers reach the hub")
    sub.add_argument("--days", type=_days, default=SERVER_DAYS, help=f"how long it is good; {SERVER_DAYS} at most")
    sub.add_argument("--renew", action="store_true", help="make a new one by the same authority")
    sub = command("history", "Check what is stored, merge it, take readings out and in, copy them to a server.",
                  "fieldhub history my-county export --from 2026-11-01 -o november.parquet")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument(
        "what",
        choices=["check", "compact", "export", "import", "copy"],
        help="compact, import: the hub must be stopped; copy: to the server of hub.toml, [history.mirror]",
    )
    sub.add_argument("file", type=Path, nargs="?", help="import: a .parquet or .csv file as export writes it")
    sub.add_argument("--device", action="append", default=[], help="export, copy: may be given several times")
    sub.add_argument("--from", dest="start", default="", help="export, copy: date or time in the site's zone")
    sub.add_argument("--to", dest="end", default="", help="export, copy: until now when left out")
    sub.add_argument("-o", "--output", type=Path, help="export: a .parquet or .csv file")
    sub.add_argument("--dry-run", action="store_true", help="import: only look at the file")
    sub.add_argument("--new-devices", action="store_true", help="import: also of devices that the site does not have")
    sub = command("backup", "Copy a whole site, while its hub runs, into a folder that a hub can be started on.",
                  "fieldhub backup my-county /mnt/usb/my-county")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("target", type=Path, help="a new folder, or that of an earlier backup: then only what is new")
    sub = command("doctor", "Look at this machine and a site: what is wrong, and the line that mends it.",
                  "fieldhub doctor my-county")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub = command("notify", "Show who would be told of an alarm, and try the channels.",
                  "fieldhub notify my-county who ps-east-gate --severity urgent --at 2026-12-01T03:00")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("what", choices=["who", "test"], help="test: send a message that says it is a trial")
    sub.add_argument("name", help="who: a device; test: a contact, or the channel of a group")
    sub.add_argument("--severity", choices=["urgent", "high", "medium", "low"], default="urgent")
    sub.add_argument("--rule", default="", help="who: the alarm of this rule, where a route is for some rules only")
    sub.add_argument("--at", default="", help="who: date or time in the site's zone; now when left out")
    sub = command("unit", "Print a systemd unit for a site, with everything shut that a hub does not need.",
                  "fieldhub unit my-county --user fieldhub")  # fmt: skip
    sub.add_argument("dir", type=Path)
    sub.add_argument("--user", default="fieldhub", help="who the hub runs as (default: fieldhub)")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port. Write a number from 1 to 65535, like 8420")
    return int(text)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= SERVER_DAYS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days. Write one from 1 to {SERVER_DAYS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        it = float(text)
    except ValueError:
        it = math.nan
    if not 0 < it < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a time. Write a number of seconds above 0, like 120")
    return it
