"""fieldhub history: check what is stored, merge it now, take readings out and in, copy them to a server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from hub import units
from hub.clock import SystemClock
from hub.config import hub_file
from hub.contract import BadConfig
from hub.export import Period
from hub.historian import checking, exchange
from hub.historian.base import DAY_US, HistoryUnavailable, Series, to_datetime, to_us
from hub.historian.engine import EmbeddedHistorian
from hub.historian.journal import NO_FLOOR, JournalSeen
from hub.historian.lines import lines
from hub.historian.onlooker import Onlooker
from hub.historian.opening import connect, open_store

ALL = "1970-01-01"
SHOWN = 20  # faults of a check
SEND_POINTS = 50_000  # of one request


def history(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    folder = args.dir / "data" / "history"
    if not args.dir.is_dir():
        raise BadConfig(f"{args.dir} › is not a folder. Make a site with: fieldhub init {args.dir}")
    try:
        return _DO[args.what](args, folder)
    except exchange.BadRows as bad:
        raise BadConfig(*bad.mistakes) from None
    except HistoryUnavailable as failure:
        raise BadConfig(str(failure)) from None


def _check(args: argparse.Namespace, folder: Path) -> int:
    it = checking.check(folder)
    for line in it.faults[:SHOWN]:
        print(line)
    if len(it.faults) > SHOWN:
        print(f"and {len(it.faults) - SHOWN} more")
    for line in it.notes:
        print(f"note: {line}", file=sys.stderr)
    size = f", {it.bytes / it.readings:.2f} bytes a reading with its roll-ups" if it.readings else ""
    told = f"{it.series} series, {it.files} files, {it.readings} readings{size}, {it.waiting} not sealed yet"
    print(f"{'damaged' if it.faults else 'whole'}: {told}")
    return 1 if it.faults else 0


def _compact(args: argparse.Namespace, folder: Path) -> int:
    """Seal and merge all that can be. The hub must be stopped: one process owns a store."""

    async def work() -> tuple[int, int, int]:
        store = await EmbeddedHistorian.open(folder, SystemClock())
        try:
            before = store.health.segments
            await store.seal()
            await store.compact()
            return before, store.health.segments, store.health.segment_bytes
        finally:
            await store.close()

    _must_be_embedded(args)
    before, after, size = asyncio.run(work())
    print(f"{before} files before, {after} now, {size / 1e6:,.1f} MB")
    return 0


def _export(args: argparse.Namespace, folder: Path) -> int:
    _must_be_embedded(args)
    if args.output is None or args.output.suffix not in (".parquet", ".csv"):
        raise BadConfig("-o › the file is missing, or neither .parquet nor .csv. Write -o november.parquet")
    period = _period(args)
    seen, series = _seen(args, folder)

    with exchange.Writer(args.output, seen.catalogue) as out:
        for found in exchange.pieces(series, seen.days, period, _reader(seen)):
            out.add(found)
    print(f"{args.output}: {out.rows} readings of {len(series)} points")
    return 0


def _import(args: argparse.Namespace, folder: Path) -> int:
    """All of the file or nothing: it is read once to check, and once to keep. The hub must be stopped."""
    if args.file is None or not args.file.is_file():
        raise BadConfig(f"{args.file or 'FILE'} › is not there. Write: fieldhub history {args.dir} import FILE")
    now_us = to_us(SystemClock().now())
    floor_us = _floor(folder)
    rows, points = 0, set[tuple[str, str, str, str]]()
    for some in exchange.read_rows(args.file, units.parse, floor_us, now_us):
        rows += len(some.at_us)
        points.update(some.names)
    new = _new_devices(args, points)
    print(
        f"{args.file}: {rows} readings of {len(points)} points of {len({it[0] for it in points})} devices, no mistakes"
    )
    if new and not args.new_devices:
        first = ", ".join(sorted(new)[:5])
        raise BadConfig(
            f"{args.file} › {len(new)} devices are not of this site ({first}). "
            "Add --new-devices to keep their readings all the same, or change the ids"
        )
    if args.dry_run:
        print("Nothing was kept: --dry-run")
        return 0

    async def keep() -> int:
        store = await open_store(folder, args.dir, SystemClock(), hub_file(args.dir).history)
        try:
            for some in exchange.read_rows(args.file, units.parse, floor_us, now_us):
                await store.write(some.batch(store.catalogue))
            if isinstance(store, EmbeddedHistorian):
                await store.seal()
        finally:
            await store.close()
        return rows

    print(f"{asyncio.run(keep())} readings kept. What was there at the same times is what the file says now.")
    return 0


def _copy(args: argparse.Namespace, folder: Path) -> int:
    """What the embedded store has, to the server of hub.toml: the mirror's past. Beside a hub that runs, too."""
    it = hub_file(args.dir).history
    table, where = (it.mirror, "mirror") if it.mirror is not None else (it.server, "server")
    if table is None:
        raise BadConfig("hub.toml › history › names neither mirror nor server. Write [history.mirror] with its url")
    backend = connect(table, args.dir, f"hub.toml › history › {where}")
    period, points = _period(args), 0
    seen, series = _seen(args, folder)
    for day in seen.days:
        before = points
        for found in exchange.pieces(series, [day], period, _reader(seen)):
            for batch in exchange.batches(found, SEND_POINTS):
                backend.write(lines(batch, seen.catalogue.series, table.measurement))
                points += len(batch)
        print(f"{to_datetime(day * DAY_US):%Y-%m-%d}: {points - before} readings", file=sys.stderr)
    backend.settle()
    print(f"{table.url}: {points} readings of {len(series)} points. Sent again they change nothing")
    return 0


# ---- what they share ----------------------------------------------------------------------------------------------


def _must_be_embedded(args: argparse.Namespace) -> None:
    if hub_file(args.dir).history.server is not None:
        raise BadConfig("hub.toml › history › the readings are on a server. Use the server's own tools")


def _period(args: argparse.Namespace) -> tuple[int, int]:
    now = SystemClock().now()
    it = Period(args.start or ALL, args.end, hub_file(args.dir).site.zone, now)
    return to_us(it.start), to_us(it.end)


def _seen(args: argparse.Namespace, folder: Path) -> tuple[Onlooker, list[Series]]:
    """The store as it is now, and the points that are asked for."""
    seen = Onlooker(folder, None)
    for line in seen.damage:
        print(line, file=sys.stderr)
    series = seen.catalogue.all()
    known = {it.device for it in series}
    if unknown := [it for it in args.device if it not in known]:
        raise BadConfig(
            f'--device › there is nothing of "{unknown[0]}". `fieldhub export DIR devices` lists the devices'
        )
    return seen, [it for it in series if not args.device or it.device in args.device]


def _reader(seen: Onlooker) -> exchange.Read:
    return lambda numbers, start_us, end_us: asyncio.run(seen.range(numbers, start_us, end_us))


def _floor(folder: Path) -> int:
    """What is older is not kept."""
    path = folder / "history.sqlite3"
    if not path.exists():
        return NO_FLOOR
    with JournalSeen.at_once(path) as journal:
        return journal.readings_floor_us


def _new_devices(args: argparse.Namespace, points: set[tuple[str, str, str, str]]) -> set[str]:
    known = {it.device for it in Onlooker(args.dir / "data" / "history", "").catalogue.all()}
    return {it[0] for it in points} - known - {it.id for it in args.site().devices}


_DO: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "check": _check,
    "compact": _compact,
    "export": _export,
    "import": _import,
    "copy": _copy,
}
