"""A house that writes into its ledger until it is killed. It tells on stdout what it was told is on the disk.

python -m tests.hub.ledger.doomed URL NAME        prints lines: number, what
"""

import asyncio
import random
import sys
from itertools import count

from hub.clock import SystemClock
from hub.ledger import Ledger
from hub.model import Stage
from tests.hub.ledger.samples import change, command, receipt


async def write_until_killed(url: str, name: str) -> None:
    ledger = await Ledger.open(url, SystemClock())
    numbers = count()
    await asyncio.gather(*(asker(ledger, name, numbers) for _ in range(8)))


async def asker(ledger: Ledger, name: str, numbers: "count[int]") -> None:
    for n in numbers:
        what = f"{name}-{n}"
        if n % 3:
            number = await ledger.append(change(what, device=what))
        else:  # both or none
            number = await ledger.append(command(what, key=what), receipt(what, Stage.REFUSED))
        print(number, what, flush=True)
        await asyncio.sleep(random.uniform(0, 0.002))


if __name__ == "__main__":
    asyncio.run(write_until_killed(sys.argv[1], sys.argv[2]))
