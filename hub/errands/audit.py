"""fieldhub audit: whether the ledger was touched, and exports of it under the site's seal. The ledger is only read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from hub import audit_export
from hub.audit import Known, read_tip, show_tip, verify
from hub.clock import SystemClock
from hub.config import hub_file
from hub.contract import BadConfig
from hub.export import Period
from hub.house import ledger_url
from hub.ledger.inspection import Inspection, inspecting
from hub.ledger.trouble import LedgerUnavailable
from hub.seal import Seal

ALL = "1970-01-01"  # before any entry


def audit(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    if args.what == "check-export":
        return _check_export(args.dir, args.public_key)
    if args.what == "key":
        print(Seal(_data(args.dir)).public)
        return 0
    try:
        with inspecting(args.url or ledger_url(hub_file(args.dir), args.dir)) as ledger:
            return _DO[args.what](args, ledger)
    except LedgerUnavailable as error:
        raise BadConfig(str(error)) from None


def _data(folder: Path) -> Path:
    data = folder / "data"
    if not data.is_dir():
        raise BadConfig(f"{data} › is not there. Name the folder of a site that has run")
    return data


def _tip(args: argparse.Namespace, ledger: Inspection) -> int:
    print(show_tip(ledger.tip()))
    return 0


def _verify(args: argparse.Namespace, ledger: Inspection) -> int:
    known: list[Known] = [read_tip(args.tip)] if args.tip else []
    if args.against:
        manifest, _, _ = audit_export.check(args.against, Seal(_data(args.dir)).public)
        known += [(it["seq"], it["hash"]) for it in (manifest.get("first"), manifest.get("last")) if it]
    found = verify(ledger, known)
    for line in found.faults:
        print(line)
    for line in found.notes:
        print(f"note: {line}", file=sys.stderr)
    if not found.faults:
        print(f"whole: {found.entries} entries")
    return 1 if found.faults else 0


def _export(args: argparse.Namespace, ledger: Inspection) -> int:
    site, now = hub_file(args.dir).site, SystemClock().now()
    period = Period(args.start or ALL, args.end, site.zone, now)
    name = site.name if isinstance(site.name, str) else next(iter(site.name.values()), "")
    seal = Seal(_data(args.dir))
    told = audit_export.export(ledger, args.output, period.start, period.end, seal, name, now)
    for line in told.faults:
        print(line, file=sys.stderr)
    print(f"{args.output}: {told.count} entries{_span(told.first, told.last)}, sealed with {seal.public}")
    return 1 if told.faults else 0


def _check_export(file: Path, public: str) -> int:
    manifest, key, faults = audit_export.check(file, public)
    for line in faults:
        print(line)
    if faults:
        return 1
    count = manifest.get("count")
    rows = "" if count is None else f", {count} entries{_span(manifest.get('first'), manifest.get('last'))}"
    print(f"as it was sealed: {manifest.get('what')} of {manifest.get('site')!r}{rows}, {manifest.get('made_at')}")
    if not public:
        print(
            f"note: by {key}. Compare it with what `fieldhub audit DIR key` prints at the site, or give it as "
            "--public-key: whoever changed the file could have sealed it with a key of their own",
            file=sys.stderr,
        )
    return 0


def _span(first: Any, last: Any) -> str:
    return f" ({first['seq']} to {last['seq']})" if first and last else ""


_DO = {"tip": _tip, "verify": _verify, "export": _export}
