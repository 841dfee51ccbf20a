"""class House: the hub with everything around it, opened from a site folder: what the console and the API see.

Order of opening: ledger, history, devices and their rules, standing alarms, interrupted commands, and only then the
drivers. Order of closing: the other way round.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from hub import self_watch
from hub.adoption import Adoption
from hub.clock import Clock
from hub.clock_watch import ClockWatch
from hub.config import HubFile, Site
from hub.contract import Driver, DriverSpec, Judgement, Watcher
from hub.dispatch import Dispatch
from hub.guard import Check, Guard, Request
from hub.historian import questions
from hub.historian.base import NOTHING, Buckets, Columns, HistoryUnavailable, Retention
from hub.historian.collector import Collector
from hub.historian.health import RemoteHealth
from hub.historian.opening import Store, open_store
from hub.historian.rollup import HOUR_US, MINUTE_US, RUNS
from hub.holds import HoldsFile
from hub.hub import ALTITUDE, LATITUDE, LONGITUDE, Hub, Puzzle
from hub.identity import Identity
from hub.ledger.keys import SpeakerKey
from hub.ledger.ledger import Ledger
from hub.ledger.trouble import LedgerUnavailable
from hub.model import Action, Alarm, Area, CommandRecord, Device, Nameplate, Origin, Reading, Words
from hub.notices.notifier import Notifier
from hub.notices.plan import Plan
from hub.notices.sending import Sending
from hub.outage import Outages
from hub.pending import Pending
from hub.recall import Recall
from hub.registry import follow
from hub.rights import FAMILIES
from hub.secrets import Secret
from hub.self_watch import SelfWatch, Watched
from hub.sight import Sight
from hub.slot import Slot
from hub.supervise import Supervisor
from hub.vault import Vault
from hub.words import Catalogue, house_words

log = logging.getLogger("fieldhub.house")
TICK_S = 1.0
MAX_BACKLOG_READY = 500_000  # readings waiting for the disk above which the house is not "ready"


class Prepared(Struct, frozen=True):
    """What a command would do and whether it may go, for the confirmation dialog."""

    device: Device
    action: Action
    args: Mapping[str, Any]
    confirm: str  # the word to type; "" when the action harms nobody
    checks: tuple[Check, ...]
    refusal: Words | None  # why it would be refused now


class Roster:
    """A driver's devices, now."""

    def __init__(self, hub: Hub, driver: str) -> None:
        self._hub = hub
        self._driver = driver
        self.change = asyncio.Event()

    @property
    def devices(self) -> Sequence[Device]:
        self.change.clear()
        return [m.device for m in self._hub.members.values() if m.device.driver == self._driver]

    async def changed(self) -> None:
        await self.change.wait()


class Reception:
    """The intake that drivers are given (hub.contract.Intake)."""

    def __init__(self, hub: Hub, identity: Identity) -> None:
        self._hub = hub
        self.may_speak: Callable[[str, str], bool] = identity.may_speak
        self.pending = Pending()
        self.rosters: dict[str, Roster] = {}
        self.take: Callable[[Sequence[Reading]], None] = hub.take  # the hot path: no call in between

    def mine(self, driver: str) -> Roster:
        return self.rosters.setdefault(driver, Roster(self._hub, driver))

    def who_is(self, address: str) -> Device | None:
        return self._hub.who_is(address)

    def puzzled_by(self, address: str, raw: bytes, why: Words) -> None:
        self._hub.puzzled_by(address, raw, why)

    def stranger(self, address: str, peer: str, raw: bytes) -> None:
        self.pending.heard(address, peer, raw, self._hub.clock.now())

    def changed(self) -> None:
        """Devices came, went or changed: drivers look at their rosters."""
        for roster in self.rosters.values():
            roster.change.set()


class House:
    """One running FieldHub."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        ledger: Ledger,
        historian: Store,
        judgement: Judgement,
        drivers: Mapping[str, DriverSpec],
        demo: bool = False,
        plates: dict[str, Nameplate] | None = None,
        keys: Iterable[SpeakerKey] = (),
        plan: Plan | None = None,
    ) -> None:
        self.site = site
        self.vault = Vault.open(site.data / "keys" / "vault.key")
        self.clock = clock
        self.ledger = ledger
        self.historian = historian
        self.judgement = judgement
        self.demo = demo
        self.words: Catalogue = house_words()
        self.collector = Collector(historian, clock)
        self.hub = Hub(clock, _HubHistory(historian, self.collector), ledger, judgement)
        self.clock_watch = ClockWatch(clock, self.hub.outbox.put)
        self.hub.on_clock = self.clock_watch.moved
        self.recall = Recall(self.hub, judgement, historian, historian.catalogue, clock)
        self.holds = HoldsFile(site.data / "holds.json", judgement, clock)
        self.drivers: dict[str, Driver] = {n: spec.open(site.options[n], clock) for n, spec in drivers.items()}
        self.sight = Sight(self.hub, {**FAMILIES, **site.hub.families})
        self.guard = Guard(clock, self.hub.members, ledger, self.sight, site.hub.armed)
        self.dispatch = Dispatch(self.hub, ledger, self.drivers, self.guard)
        self.supervisor = Supervisor(clock)
        self.identity = Identity(ledger.keys, clock, keys)
        self.reception = Reception(self.hub, self.identity)
        self.plates = plates if plates is not None else dict(site.plates)
        self.adoption = Adoption(self.hub, ledger.places, site, drivers, self.plates, self.reception.pending)
        self.outages = Outages(self.hub, clock, self.sight.family, self.plates)
        self.sending = Sending()
        plan = plan or Plan(ZoneInfo(site.hub.site.zone), site.hub.site.language)
        self.notifier = Notifier(
            plan, self, self.sight, ledger, self.hub.outbox.put, clock, self.words, self.sending.send
        )
        self.self_watch: SelfWatch | None = None
        self.started_at = clock.now()
        self._speakers = {driver: spec.speaker for driver, spec in drivers.items()}
        self._names = {driver: spec.name for driver, spec in drivers.items()}

    # ---- opening and closing --------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        site: Site,
        clock: Clock,
        judgement: Judgement,
        drivers: Mapping[str, DriverSpec],
        ledger_url: str = "",
        demo: bool = False,
        plates: dict[str, Nameplate] | None = None,
        itself: bool = False,
        plan: Plan | None = None,
    ) -> House:
        """Everything but the drivers is up then. `itself`: the hub is one of its own devices. `plan`: who is told.

        Raises LedgerUnavailable, HistoryUnavailable, BadConfig.
        """
        async with AsyncExitStack() as opened:
            ledger = await open_ledger(site, clock, ledger_url)
            opened.push_async_callback(ledger.close)
            historian = await open_store(site.data / "history", site.folder, clock, site.hub.history)
            opened.push_async_callback(historian.close)
            keys = await ledger.keys.load()
            house = cls(site, clock, ledger, historian, judgement, drivers, demo, plates, keys, plan)
            house.clock_watch.started(next(iter(await ledger.entries(limit=1)), None))
            registered = await follow(site, ledger.places, clock.now())
            if registered.retired:
                log.info("retired, because no file has them any more: %s", ", ".join(registered.retired))
            for area in site.areas:
                house.hub.areas[area.code] = area
            changes = await ledger.standing_alarm_changes()
            for device in sorted(site.devices, key=lambda it: (it.area, it.id)):
                house.hub.adopt(device, site.plates[device.id])
            if itself:
                house.watch_itself()
            house.adoption.at_start(registered.by_hand)
            house.outages.gather()
            house.hub.restore(changes, house.holds.read())
            house.outages.resume()
            await house.dispatch.recover()
            opened.pop_all()
        return house

    def watch_itself(self) -> None:
        """The hub comes in as a device, by whose readings the rules see that a disk is full or a server away."""
        it, plate = (
            self_watch.device(),
            self_watch.plate(self.site.hub.history.has_server, bool(self.notifier.plan.channels)),
        )
        self.plates[it.id] = plate
        self.hub.adopt(it, plate)
        self.self_watch = SelfWatch(self.clock, self.site.data, self._watched, self.hub.take)

    def _watched(self) -> Watched:
        store = self.historian.health
        server = getattr(store, "mirror", store if isinstance(store, RemoteHealth) else None)
        return Watched(
            history_error=self.collector.last_error or getattr(store, "seal_error", ""),
            backlog=self.collector.backlog,
            dropped=self.collector.dropped + (server.dropped if server else 0),
            slowest_write_s=self.collector.slowest_s(),
            merge_error=getattr(store, "merge_error", ""),
            ledger_ok=self.ledger.healthy,
            ledger_backlog=self.ledger.backlog,
            server_error=server.send_error if server else None,
            server_waiting=server.waiting_points if server else 0,
            channels_failing=self.notifier.postbox.failing if self.notifier.plan.channels else None,
        )

    def start(self) -> None:
        """Start the drivers and the house's own jobs."""
        self.supervisor.keep("historian", self.collector.run)
        self.supervisor.keep("history keeper", lambda: self.historian.run(self._retention()))
        if self.self_watch is not None:
            self.supervisor.keep("self-watch", self.self_watch.run)
        self.supervisor.keep("tick", self._tick)
        self.supervisor.keep("holds", self.holds.run)
        self.supervisor.keep("recall", self.recall.run)
        self.supervisor.keep("outages", self.outages.run)
        if self.notifier.plan.routes:
            self.hub.on_alarm = self.notifier.heard
            self.supervisor.keep("notices", self.notifier.run)
        for name, driver in self.drivers.items():
            self.supervisor.keep(f"driver {name}", self._runner(driver))

    def _retention(self) -> Retention:
        kept = self.site.hub.history
        tiers = {MINUTE_US: kept.minutes_days, HOUR_US: kept.hours_days, RUNS: kept.hours_days}

        def sooner() -> list[tuple[int, list[int]]]:
            of = self.historian.catalogue.of
            found = {profile: list[int]() for profile in kept.profiles}
            for device in self.devices.values() if found else ():
                if device.profile in found:
                    found[device.profile] += [it.id for it in of(device.id)]
            return [(kept.profiles[profile], numbers) for profile, numbers in found.items()]

        return Retention(kept.readings_days, tiers, kept.most_mb * 1_000_000, sooner)

    async def close(self) -> None:
        """Stop in the opposite order. What the history's disk does not take now is lost, and said in the log."""
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self.ledger.close)
            closing.push_async_callback(self.historian.close)
            await self.supervisor.close()
            await self.notifier.close()
            self.sending.close()
            await self.dispatch.close()
            try:
                await self.holds.write()
            except OSError as error:
                log.error("the holds that run could not be kept: %s", error)
            if kept := self.hub.outbox.flush():
                log.error("%d alarm changes and receipts could not be written to the ledger", kept)
            try:
                await self.collector.flush()
            except HistoryUnavailable as error:
                log.error("%d readings could not be kept: %s", self.collector.backlog, error)

    def _runner(self, driver: Driver) -> Callable[[], Any]:
        return lambda: driver.run(self.reception)

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            self.hub.tick()

    # ---- what is there --------------------------------------------------------------------------------------------

    @property
    def devices(self) -> Mapping[str, Device]:
        return {device: member.device for device, member in self.hub.members.items()}

    @property
    def areas(self) -> Mapping[str, Area]:
        return self.hub.areas

    def device(self, device: str) -> Device | None:
        member = self.hub.members.get(device)
        return member.device if member else None

    def plate(self, device: str) -> Nameplate:
        return self.hub.members[device].plate

    def speaker(self, device: Device) -> tuple[str, list[Device]]:
        """Who says on the wire that it is this device, and all devices that it speaks for. ("", []): we connect."""
        of = self._speakers.get(device.driver)
        name = of(device.address) if of else ""
        if of is None or not name:
            return "", []
        return name, [it for it in self.devices.values() if it.driver == device.driver and of(it.address) == name]

    def slots(self, device: str) -> Mapping[str, Slot]:
        return self.hub.members[device].slots

    def alarms(self) -> list[Alarm]:
        return self.hub.book.standing()

    def puzzles(self) -> list[Puzzle]:
        return list(self.hub.puzzles)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        return self.hub.watch(watcher)

    @property
    def running(self) -> bool:
        """Whether the house goes on at all: what a watchdog wants to know.

        A driver that is down or a disk that is full is no reason to kill it: alarms and commands go on.
        """
        tick = self.supervisor.health.get("tick")
        return tick is not None and tick.running

    def ready(self) -> tuple[bool, str]:
        """Whether work can be done now, and why not."""
        if not self.ledger.healthy:
            return False, "the ledger cannot be written; no command is accepted until it can"
        if self.collector.backlog > MAX_BACKLOG_READY:
            return False, f"{self.collector.backlog} readings wait for the disk"
        return True, "ready"

    def system(self) -> dict[str, Any]:
        """How the house is doing, for the system page and for metrics."""
        trouble = self.ledger.last_error
        return {
            "version": version("fieldhub"),
            "started_at": self.started_at,
            "devices": len(self.hub.members),
            "jobs": [
                {"name": h.name, "running": h.running, "restarts": h.restarts, "error": h.error}
                for h in self.supervisor.health.values()
            ],
            "historian": {
                "backlog": self.collector.backlog,
                "dropped": self.collector.dropped,
                "left_out": self.collector.thinner.left_out,
                "last_error": self.collector.last_error,
                "store": structs.asdict(self.historian.health),
            },
            "ledger": {
                "healthy": self.ledger.healthy,
                "backlog": self.ledger.backlog,
                "kept": self.hub.outbox.kept,
                "lost": self.hub.outbox.lost,
                "last_error": str(trouble) if trouble else "",
            },
            "clock": {"settings": [structs.asdict(it) for it in reversed(self.clock_watch.settings)]},
            "counts": dict(self.hub.counts),
        }

    # ---- what can be asked ----------------------------------------------------------------------------------------

    async def acknowledge(self, alarm: str, by: str, note: str = "", origin: Origin | None = None) -> Alarm:
        """Raises NotLive, LedgerUnavailable."""
        return await self.hub.alarms.acknowledge(alarm, by, note, origin)

    async def remark(self, alarm: str, by: str, note: str, origin: Origin | None = None) -> Alarm:
        """Raises NotLive, ValueError, LedgerUnavailable."""
        return await self.hub.alarms.remark(alarm, by, note, origin)

    async def shelve(self, alarm: str, until: datetime, by: str, note: str, origin: Origin | None = None) -> Alarm:
        """Raises NotLive, ValueError, LedgerUnavailable."""
        return await self.hub.alarms.shelve(alarm, until, by, note, origin)

    async def unshelve(self, alarm: str, by: str, note: str = "", origin: Origin | None = None) -> Alarm:
        """Raises NotLive, LedgerUnavailable."""
        return await self.hub.alarms.unshelve(alarm, by, note, origin)

    async def prepare(self, ask: Request) -> Prepared:
        """What the request would do. Raises LookupError, BadArgs."""
        member, action, args = self.guard.known(ask)
        checks = await self.guard.checks(member, action)
        refusal = await self.guard.judge(member, action, args, ask)
        confirm = "" if action.hazard == "none" else member.device.name
        return Prepared(member.device, action, args, confirm, tuple(checks), refusal)

    async def request(self, ask: Request) -> CommandRecord:
        """Raises LookupError, BadArgs, LedgerUnavailable."""
        return await self.dispatch.request(ask)

    async def put_device(self, device: Device, instead_of: str, by: str, where: Mapping[str, Any]) -> None:
        """Let a device come, or (`instead_of` its id) be another than it was.

        Raises OfAFile, BadConfig, LedgerUnavailable: then nothing has changed.
        """
        await self.adoption.put(device, instead_of, by, where)
        self.reception.changed()
        await self._cancel_all(device.id, by)

    async def retire_device(self, device: str, by: str, where: Mapping[str, Any]) -> None:
        """Let a device go; its history stays. Raises OfAFile, LookupError, LedgerUnavailable."""
        await self.adoption.retire(device, by, where)
        self.reception.changed()
        await self._cancel_all(device, by)

    async def _cancel_all(self, device: str, by: str) -> None:
        for record in self.dispatch.under_way():
            if record.command.device == device and not record.final:
                await self.dispatch.cancel(record.command.id, by)

    async def cancel(self, command: str, by: str, origin: Origin | None = None) -> CommandRecord | None:
        return await self.dispatch.cancel(command, by, origin)

    async def command(self, command: str) -> CommandRecord | None:
        for record in self.dispatch.under_way():
            if record.command.id == command:
                return record
        found = await self.ledger.command(command)
        return None if found is None else CommandRecord(found[0], tuple(found[1]))

    def numbers(self, device: str, points: Iterable[str]) -> dict[str, int]:
        """The historian's numbers of these points; one that was never stored has none."""
        found = ((it, self.historian.catalogue.find(device, it)) for it in points)
        return {point: series.id for point, series in found if series is not None}

    async def track(self, device: str, point: str, start_us: int, end_us: int) -> questions.Track:
        """Latitude, longitude and altitude (NaN: not told) of a position in [start, end)."""
        parts = [self.numbers(device, [point + part]).get(point + part) for part in (LATITUDE, LONGITUDE, ALTITUDE)]
        found = await self.historian.range([it for it in parts if it is not None], start_us, end_us)
        return questions.align([NOTHING if it is None else found[it] for it in parts])

    async def series(
        self, device: str, points: Sequence[str], start_us: int, end_us: int, step_us: int | None
    ) -> dict[str, Columns | Buckets]:
        """Readings of a device's points in [start, end), raw or in buckets; a point never stored has none."""
        numbers = self.numbers(device, points)
        found: Mapping[int, Columns | Buckets]
        if step_us is None:
            found = await self.historian.range(list(numbers.values()), start_us, end_us)
        else:
            found = await self.historian.buckets(list(numbers.values()), start_us, end_us, step_us)
        return {point: found[number] for point, number in numbers.items()}


class _HubHistory:
    """The catalogue and the queue of the historian, as the hub needs them."""

    def __init__(self, historian: Store, collector: Collector) -> None:
        self.number = historian.catalogue.number
        self.code = historian.catalogue.code
        self.offer = collector.offer
        self.thin = collector.thinner.set


def ledger_url(hub: HubFile, folder: Path) -> str:
    """Where the ledger is: [ledger] url of hub.toml, or a file in data/. Raises BadConfig when it is not to be had."""
    if hub.ledger.url:
        return Secret(hub.ledger.url, folder, os.environ, "hub.toml › ledger › url").reveal()
    return f"sqlite:///{folder / 'data' / 'ledger.sqlite'}"


async def open_ledger(site: Site, clock: Clock, url: str = "") -> Ledger:
    """The site's ledger, its folder made if need be (rights 0700). Raises LedgerUnavailable, BadConfig."""
    try:
        site.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LedgerUnavailable(f"{site.data} › cannot be made: {error.strerror}. Check the folder's rights") from None
    return await Ledger.open(url or ledger_url(site.hub, site.folder), clock)
