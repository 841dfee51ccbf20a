"""Promise: killed in mid-work, the hub is back in under 3 s. Beside a bare process that imports the same packages.

python -m bench.restart [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.journeys.running import County, RunningHub, free_port, write_site

PROMISED_S = 3.0
IMPORTS = "import uvloop, fastapi, uvicorn, sqlalchemy, alembic, pyarrow.parquet, numpy, pymodbus.client, argon2"
WORK_S = 2.0  # the hub works so long before it is killed


def main(rounds: int = 10) -> None:
    county = County()
    hub_s, bare_s = [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            site, port = Path(folder) / "site", free_port()
            write_site(site, county, port)
            for number in range(rounds + 1):
                begin = time.monotonic()
                hub = RunningHub(site, port)
                hub.wait_until_up()
                if number:  # the first start makes the databases
                    hub_s.append(time.monotonic() - begin)
                time.sleep(WORK_S)
                hub.kill()
                begin = time.monotonic()
                subprocess.run([sys.executable, "-c", IMPORTS], check=True)
                bare_s.append(time.monotonic() - begin)
    finally:
        county.close()
    print(f"{'after kill -9, until /healthz answers':40} {'median s':>9} {'worst s':>9} {'ratio':>6}")
    bare = statistics.median(bare_s)
    for name, seconds in (("the imports alone", bare_s), ("the hub, 12 stations", hub_s)):
        median = statistics.median(seconds)
        print(f"{name:40} {median:9.2f} {max(seconds):9.2f} {median / bare:6.1f}")
    print(f"promised: under {PROMISED_S:.0f} s: {'kept' if max(hub_s) < PROMISED_S else 'BROKEN'}")


if __name__ == "__main__":
    main(*(int(it) for it in sys.argv[1:]))
