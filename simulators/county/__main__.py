"""python -m simulators.county [--hub-dtu-port N] [--base-port N] [--control-port N] [--calm] [--serve | …]

Runs the demo county until SIGTERM or SIGINT. With --serve the first line of stdout is one JSON object that says where
everything is (for a program that started this one), stdout has nothing else, and the end of stdin ends the county.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys

from simulators.county.control import ControlDesk
from simulators.county.county import County, devices_toml


def main() -> int:
    options = _options()
    if options.print_devices:
        if not options.base_port:
            print("--print-devices needs --base-port: ports that are chosen freely are not known yet", file=sys.stderr)
            return 2
        print(devices_toml(County(base_port=options.base_port).ports), end="")
        return 0
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    dtu_port = options.hub_dtu_port
    if options.serve and not dtu_port:
        dtu_port = _free_port()
    hub = (options.hub_host, dtu_port) if dtu_port else None
    county = County(options.seed, options.base_port, hub, calm=options.calm)
    desk = ControlDesk(county, options.control_port)
    try:
        await county.up()
        await desk.up()
    except OSError as taken:
        await county.down()
        print(f"the county cannot listen: {taken}. Choose another --base-port or --control-port", file=sys.stderr)
        return 1
    _hello(county, desk, dtu_port, options.serve)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.serve:
        with contextlib.suppress(PermissionError):  # a file cannot be watched: then nobody is there to go away
            loop.add_reader(sys.stdin.fileno(), stop.set)  # nobody writes there: it wakes when who started us is gone
    running = asyncio.create_task(county.run())
    stopped = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    running.cancel()
    await desk.down()
    await county.down()
    if running in ended:
        running.result()  # it does not end by itself: say why
    return 0


def _hello(county: County, desk: ControlDesk, dtu_port: int, serve: bool) -> None:
    if serve:
        facts = {"control_port": desk.port, "dtu_port": dtu_port, "devices_toml": devices_toml(county.ports)}
        print(json.dumps(facts, ensure_ascii=False), flush=True)
        return
    for site in county.sites:
        print(f"{site.id:18} {county.address(site.id):40} {site.name}")
    print(f"DTUs dial to port {dtu_port}" if dtu_port else "DTUs stay at home: no --hub-dtu-port")
    print(f"control port {desk.port}", flush=True)


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.county", description="Twelve make-believe stations.")
    parser.add_argument("--hub-host", default="127.0.0.1", help="where the hub's listener for DTUs is")
    parser.add_argument("--hub-dtu-port", type=int, default=0, help="its port; 0: DTUs stay at home")
    parser.add_argument("--base-port", type=int, default=0, help="first of the ports; 0: any that are free")
    parser.add_argument("--control-port", type=int, default=0, help="of the fault desk; 0: any that is free")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--calm", action="store_true", help="no story: faults come only from the desk")
    parser.add_argument("--print-devices", action="store_true", help="print [[area]] and [[device]], and end")
    parser.add_argument("--serve", action="store_true", help="say where everything is in one line of JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
