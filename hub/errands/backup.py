"""fieldhub backup: a whole site, while its hub runs, as a folder that a hub can be started on."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec

from hub.clock import SystemClock
from hub.config import hub_file
from hub.contract import BadConfig
from hub.historian.backup import Copied, back_up
from hub.historian.base import HistoryUnavailable
from hub.ledger.copy import copy_ledger
from hub.ledger.trouble import LedgerUnavailable

MARK = "backup.json"  # in a folder that this has made
APART = (
    "history",
    "mirror",
    "ledger.sqlite",
    "ledger.sqlite-wal",
    "ledger.sqlite-shm",
)  # of data/: not copied as it is


class Mark(msgspec.Struct):
    """What the backup is of."""

    version: str
    made_at: str
    site: str
    history_files: int = 0
    history_bytes: int = 0
    ledger_bytes: int = 0
    whole: bool = False  # False while it is being made: then do not restore from it


def backup(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    site, target = args.dir, args.target
    hub = hub_file(site)
    if not (site / "data").is_dir():
        raise BadConfig(f"{site / 'data'} › is not there. Name the folder of a site that has run")
    _check_target(site, target)
    mark = Mark(version("fieldhub"), SystemClock().now().isoformat(timespec="seconds"), str(hub.site.name))
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        (target / "data").mkdir(exist_ok=True, mode=0o700)
        target.chmod(0o700)  # keys and secrets are in it
        _write_mark(target, mark)
        for file in _files_of(site):
            _copy(site / file, target / file)
        _take_away(site, target)
        if not hub.ledger.url:
            mark.ledger_bytes = copy_ledger(site / "data" / "ledger.sqlite", target / "data" / "ledger.sqlite")
        copied = _history(site, target)
    except OSError as failure:
        raise BadConfig(f"{target} › cannot be written: {failure.strerror}. Free space there") from None
    except (HistoryUnavailable, LedgerUnavailable) as failure:
        raise BadConfig(str(failure)) from None
    mark.history_files, mark.history_bytes, mark.whole = copied.files, copied.bytes, True
    _write_mark(target, mark)
    size = (mark.ledger_bytes + copied.bytes) / 1e6
    print(f"{target}: whole, {size:,.1f} MB; {copied.files} files of history, {copied.new} of them new")
    print(f"To go back to it: stop the hub, then cp -a {target} NEW-SITE, and: fieldhub run NEW-SITE")
    if hub.ledger.url:
        print(
            "note: the ledger is in another database ([ledger] url): back that one up too, with its own tool (pg_dump)"
        )
    if hub.history.server is not None:
        print("note: the readings are on a server ([history.server]): back that one up too, with its own tool")
    return 0


def _check_target(site: Path, target: Path) -> None:
    """Raises BadConfig: nothing of anybody's is ever written over."""
    inside = target.resolve()
    if inside == site.resolve() or site.resolve() in inside.parents:
        raise BadConfig(f"{target} › is inside the site. Choose a folder outside, best on another disk")
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and not (target / MARK).is_file())):
        raise BadConfig(
            f"{target} › is not empty, and no earlier backup. Choose a new folder, or that of the last backup"
        )
    if (target / MARK).is_file():
        try:
            msgspec.json.decode((target / MARK).read_bytes(), type=Mark)
        except msgspec.DecodeError:
            raise BadConfig(f"{target / MARK} › is not what a backup writes. Choose another folder") from None


def _files_of(site: Path) -> Iterator[Path]:
    """What people have written, and what the hub keeps beside history and ledger: keys, certificates, holds."""
    for path in sorted(site.rglob("*")):
        it = path.relative_to(site)
        if it.parts[0] == "data" and len(it.parts) > 1 and it.parts[1] in APART:
            continue
        if path.is_file() and path.name != MARK:
            yield it


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = target.with_name(target.name + ".part")
    shutil.copy2(source, unfinished)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(target)


def _take_away(site: Path, target: Path) -> None:
    """What the site does not have any more: a device's file that was deleted must not come back."""
    for it in list(_files_of(target)):
        if not (site / it).exists():
            (target / it).unlink()


def _history(site: Path, target: Path) -> Copied:
    history = site / "data" / "history"
    return back_up(history, target / "data" / "history") if (history / "history.sqlite3").exists() else Copied(0, 0, 0)


def _write_mark(target: Path, mark: Mark) -> None:
    (target / MARK).write_bytes(msgspec.json.format(msgspec.json.encode(mark)) + b"\n")
