"""fieldhub audit: whether the ledger was touched."""

from __future__ import annotations

import argparse
import asyncio

from hub.audit import faults, read_tip, tip
from hub.clock import SystemClock
from hub.contract import BadConfig
from hub.ledger import Ledger, LedgerUnavailable


def audit(args: argparse.Namespace) -> int:
    """Raises BadConfig."""
    known = read_tip(args.tip) if args.tip else None
    file = args.dir / "data" / "ledger.sqlite"  # never made here: an empty ledger would be a whole one
    if not file.is_file():
        raise BadConfig(f"{file} › is not there. Name the folder of a site that has run")

    async def look() -> int:
        ledger = await Ledger.open(f"sqlite:///{file}", SystemClock())
        try:
            if args.what == "tip":
                print(await tip(ledger))
                return 0
            wrong = await faults(ledger, known)
            for line in wrong:
                print(line)
            if not wrong:
                print(f"whole: {(await ledger.tip())[0]} entries")
            return 1 if wrong else 0
        finally:
            await ledger.close()

    try:
        return asyncio.run(look())
    except LedgerUnavailable as error:
        raise BadConfig(str(error)) from None
