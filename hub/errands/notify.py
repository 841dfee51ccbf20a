"""fieldhub notify: who would be told of an alarm, and does the channel work; asked before the alarm comes."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial

from hub.clock import SystemClock
from hub.config import Site
from hub.contract import BadConfig
from hub.export import local_time
from hub.house import open_ledger
from hub.ledger.people import Person
from hub.mistakes import near
from hub.model import Alarm, AlarmState, Device, Severity
from hub.notices.message import trial
from hub.notices.plan import Plan, Step, Target, holders_of
from hub.notices.sending import Sending
from hub.sight import lies_in
from hub.words import house_words


def notify(args: argparse.Namespace, site: Site, plan: Plan) -> int:
    """Raises BadConfig."""
    if not plan.routes and not plan.channels:
        raise BadConfig(f"{args.dir}/notify.toml › is not there: nobody is told of anything. See docs/notices.md")
    return _who(args, site, plan) if args.what == "who" else _test(args, plan)


def _who(args: argparse.Namespace, site: Site, plan: Plan) -> int:
    devices = {it.id: it for it in site.devices}
    device = devices.get(args.name)
    if device is None:
        raise BadConfig(f'notify who › there is no device "{args.name}".{near(args.name, devices)}')
    at = local_time("--at", args.at, plan.zone) if args.at else SystemClock().now()
    severity = Severity[args.severity.upper()]
    people = asyncio.run(_people(site))
    alarm = Alarm("", device.id, args.rule, severity, AlarmState.UNACKNOWLEDGED, at, at, {}, {}, {})
    routes = plan.routes_of(alarm, device, _lies_in(site))
    print(f"{device.name} ({device.id}) › {args.severity} › {at.astimezone(plan.zone):%Y-%m-%d %H:%M %Z}")
    for route in routes:
        print(f'route "{route.name}"')
        for step in route.steps:
            _print_step(step, severity, device, site, plan, people, at)
    if not routes:
        print("no route: nobody is told")
    return 0 if routes else 1


def _print_step(
    step: Step, severity: Severity, device: Device, site: Site, plan: Plan, people: list[Person], at: datetime
) -> None:
    then = at + timedelta(seconds=step.after_s)
    gone = {it.name for it in people if it.disabled}
    meant = plan.meant(step, then, lambda role: holders_of(role, device, people, _lies_in(site)), gone)
    said = [_said(it, severity, plan, then) for it in meant.targets]
    said += [f"{it}: CANNOT BE REACHED, no channel" for it in meant.unreachable]
    print(f"  after {step.after_s / 60:g} min: {'; '.join(said) or 'NOBODY is on duty or has the role'}")


def _said(it: Target, severity: Severity, plan: Plan, at: datetime) -> str:
    until = plan.quiet_until(it, severity, at)
    quiet = f" (quiet until {until.astimezone(plan.zone):%H:%M})" if until else ""
    return f"{it.person or 'the group'} by {it.channel}{quiet}"


def _test(args: argparse.Namespace, plan: Plan) -> int:
    if args.name in plan.contacts:
        found = [plan.target(channel, args.name) for channel in plan.contacts[args.name].by]
    elif args.name in plan.channels and not plan.channels[args.name].addressed:
        found = [Target(args.name)]
    else:
        names = [*plan.contacts, *(it.name for it in plan.channels.values() if not it.addressed)]
        raise BadConfig(f'notify test › there is no contact and no group "{args.name}".{near(args.name, names)}')
    return asyncio.run(_send_to([it for it in found if it is not None], plan))


async def _send_to(targets: list[Target], plan: Plan) -> int:
    sending, words, failed = Sending(), house_words(), 0
    for it in targets:
        text = trial(plan.language, SystemClock().now(), plan.zone, words)
        why = await sending.send(plan.channels[it.channel], it.to, text)
        print(f"{it.person or 'the group'} by {it.channel}: {f'NOT SENT: {why}' if why else 'sent'}")
        failed += bool(why)
    sending.close()
    return 1 if failed else 0


async def _people(site: Site) -> list[Person]:
    ledger = await open_ledger(site, SystemClock())
    try:
        return await ledger.people.persons()
    finally:
        await ledger.close()


def _lies_in(site: Site) -> Callable[[str, Collection[str]], bool]:
    return partial(lies_in, {it.code: it for it in site.areas})
