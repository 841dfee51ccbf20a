"""fieldhub audit: whether the ledger was touched; signed exports of it. The ledger is only read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.audit import Known, read_tip, show_tip, verify
from hub.contract import BadConfig
from hub.ledger.inspection import Inspection, inspecting
from hub.ledger.trouble import LedgerUnavailable


def audit(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    try:
        with inspecting(_url(args)) as ledger:
            return _DO[args.what](args, ledger)
    except LedgerUnavailable as error:
        raise BadConfig(str(error)) from None


def _url(args: argparse.Namespace) -> str:
    file: Path = args.dir / "data" / "ledger.sqlite"
    return args.url or f"sqlite:///{file}"


def _tip(args: argparse.Namespace, ledger: Inspection) -> int:
    print(show_tip(ledger.tip()))
    return 0


def _verify(args: argparse.Namespace, ledger: Inspection) -> int:
    known: list[Known] = [read_tip(args.tip)] if args.tip else []
    found = verify(ledger, known)
    for line in found.faults:
        print(line)
    for line in found.notes:
        print(f"note: {line}", file=sys.stderr)
    if not found.faults:
        print(f"whole: {found.entries} entries")
    return 1 if found.faults else 0


_DO = {"tip": _tip, "verify": _verify}
