"""class Notifier: people are told of alarms. It hears of them last, works beside all else, and holds up nothing.

What became of each message stands in the ledger (kind "notice") under its alarm; by that a start knows who was told.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from hub.clock import Clock
from hub.ledger.entries import Entry, Note
from hub.ledger.people import Person
from hub.ledger.trouble import LedgerUnavailable
from hub.model import Alarm, Device, Origin
from hub.notices.escalation import Due, Ended, Escalation, calls
from hub.notices.message import About, Item, Text, trial, write
from hub.notices.plan import Plan, Route, Target, holders_of
from hub.notices.postbox import Outcome, Postbox, Send
from hub.sight import Sight
from hub.words import Catalogue

KIND = "notice"  # of an entry in the ledger
EVERY_S = 1.0
PEOPLE_EVERY_S = 30.0  # who has which role is read again so often
MOST_HEARD = 100_000  # changes of alarms that were not looked at yet; then the oldest are left out

log = logging.getLogger("fieldhub.notices")


class Unknown(LookupError):
    """There is no such contact or channel."""


class Ledger(Protocol):
    """What the notifier reads."""

    @property
    def people(self) -> _People: ...
    async def about(self, kind: str, subjects: Iterable[str]) -> list[Entry]: ...


class _People(Protocol):
    async def persons(self) -> list[Person]: ...


class House(Protocol):
    """What it knows of devices and alarms."""

    def device(self, device: str) -> Device | None: ...
    def alarms(self) -> list[Alarm]: ...


class _Reach(Struct):
    """Whom a step was to reach, and whether that has failed for everybody so far."""

    missing: set[Target]
    hurried: bool = False


class Notifier:
    def __init__(
        self,
        plan: Plan,
        house: House,
        sight: Sight,
        ledger: Ledger,
        put: Callable[[Note], object],
        clock: Clock,
        words: Catalogue,
        send: Send,
    ) -> None:
        self.plan = plan
        self.people: list[Person] = []
        self.unheard = 0  # changes of alarms that nobody was told of, because too many waited
        self._house, self._sight, self._ledger, self._put = house, sight, ledger, put
        self._clock, self._words, self._send = clock, words, send
        self._heard: deque[Alarm] = deque(maxlen=MOST_HEARD)
        self._escalation = Escalation(self._routes_of)
        self._reach: dict[tuple[str, str, int], _Reach] = {}
        self._read_at = float("-inf")
        self._began = clock.now(), clock.monotonic()
        self.postbox = Postbox(plan, clock, send, self._write, self._calls, self._done, self._trouble)

    def heard(self, alarm: Alarm) -> None:
        """An alarm has changed. Quick, and never fails."""
        if len(self._heard) == MOST_HEARD:
            self.unheard += 1
        self._heard.append(alarm)

    async def run(self) -> None:
        """Tell people, for ever."""
        await self._resume()
        while True:
            await self._read_people()
            self.look()
            await self._clock.sleep(EVERY_S)

    def look(self) -> None:
        """What is due now."""
        steady = self._steady()
        if self.unheard:
            log.error("nobody was told of %d changes of alarms: too many came at once", self.unheard)
            self.unheard = 0
        while self._heard:
            self._end(self._escalation.heard(self._heard.popleft(), steady))
        for ended in self._escalation.over(steady):
            self._end(ended)
        for due in self._escalation.due(steady):
            self._tell(due)
        self.postbox.look()

    def now(self) -> datetime:
        return self._clock.now()

    async def try_out(self, channel: str, person: str, by: str, origin: Origin | None = None) -> str:
        """Send a message that says that it is a trial: "" or why it was not taken. It is written. Raises Unknown."""
        target = self.plan.target(channel, person)
        if target is None or (self.plan.channels[channel].addressed and not person):
            raise Unknown(person or channel)
        text = trial(self._language(target), self._clock.now(), self.plan.zone, self._words)
        why = await self._send(self.plan.channels[channel], target.to, text)
        self.postbox.channels[channel].why = why
        outcome = Outcome.FAILED if why else Outcome.SENT
        body = {"about": About.TRIAL.value, "outcome": outcome.value, "person": person, "channel": channel, "why": why}
        self._put(Note(KIND, self._clock.now(), by, person or channel, "", {**body, "origin": origin}))
        return why

    async def close(self) -> None:
        await self.postbox.close()

    # ---- steps ------------------------------------------------------------------------------------------------------

    def _routes_of(self, alarm: Alarm) -> list[Route]:
        device = self._house.device(alarm.device)
        return [] if device is None else self.plan.routes_of(alarm, device, self._sight.lies_in)

    def _steady(self) -> datetime:
        """A time that passes as it should: that the wall clock is set puts off no step, and brings none forward."""
        began, monotonic = self._began
        return began + timedelta(seconds=self._clock.monotonic() - monotonic)

    def _tell(self, due: Due) -> None:
        alarm = due.alarm
        device = self._house.device(alarm.device)
        if device is None:
            return
        meant = self.plan.meant(
            due.step,
            self._clock.now(),
            lambda role: holders_of(role, device, self.people, self._sight.lies_in),
            {it.name for it in self.people if it.disabled},
        )
        about = About.UNANSWERED if due.number and due.step.after_s else About.CALLS
        item = Item(about, alarm, device.name, due.route.name, due.number)
        for name in meant.unreachable:
            self._done(Target("", name), item, Outcome.NOBODY, 0, "no channel reaches them")
        if not meant.targets:
            if not meant.unreachable:
                self._done(Target(""), item, Outcome.NOBODY, 0, "nobody is on duty or has the role")
            self._escalation.hurry(alarm.id, due.route.name, self._steady())
            return
        self._escalation.told(due, meant.targets)
        self._reach[alarm.id, due.route.name, due.number] = _Reach(set(meant.targets))
        for target in meant.targets:
            self.postbox.put(target, item)

    def _end(self, ended: Ended | None) -> None:
        if ended is None:
            return
        device = self._house.device(ended.alarm.device)
        for target in ended.told:
            name = device.name if device else ended.alarm.device
            self.postbox.put(target, Item(About.ENDED, ended.alarm, name))

    def _calls(self, alarm: str) -> bool:
        return self._escalation.calling(alarm) is not None

    def _trouble(self, target: Target, items: list[Item]) -> None:
        """A first try failed: when nobody of a step was reached, the next does not wait for its time."""
        for it in items:
            key = it.alarm.id, it.route, it.step
            reach = self._reach.get(key)
            if reach is None:
                continue
            reach.missing.discard(target)
            if not reach.missing and not reach.hurried:
                reach.hurried = self._escalation.hurry(it.alarm.id, it.route, self._steady())

    def _done(self, target: Target, it: Item, outcome: Outcome, tries: int, why: str) -> None:
        if outcome is Outcome.SENT:
            self._reach.pop((it.alarm.id, it.route, it.step), None)  # somebody was reached
        elif outcome is Outcome.FAILED:
            log.warning("%s was not told of an alarm by %s: %s", target.person or "the group", target.channel, why)
        body: dict[str, Any] = {
            "about": it.about.value,
            "outcome": outcome.value,
            "rule": it.alarm.rule,
            "say": it.alarm.say,
            "route": it.route,
            "step": it.step,
            "person": target.person,
            "channel": target.channel,
        }
        if tries > 1:
            body["tries"] = tries
        if why:
            body["why"] = why
        self._put(Note(KIND, self._clock.now(), "", it.alarm.id, it.alarm.device, body))

    def _write(self, target: Target, items: list[Item]) -> Text:
        return write(items, self._language(target), self.plan.zone, self._clock.now(), self._words, self.plan.link)

    def _language(self, target: Target) -> str:
        contact = self.plan.contacts.get(target.person)
        if contact is not None and contact.language:
            return contact.language
        of_person = next((it.language for it in self.people if it.name == target.person), "")
        return of_person or self.plan.language

    async def _read_people(self) -> None:
        if self._clock.monotonic() - self._read_at < PEOPLE_EVERY_S:
            return
        self._read_at = self._clock.monotonic()
        try:
            self.people = await self._ledger.people.persons()
        except LedgerUnavailable as error:
            log.warning("who has which role is as it was read last: %s", error)
        stale = [key for key in self._reach if not self._calls(key[0])]
        for key in stale:
            del self._reach[key]

    async def _resume(self) -> None:
        """After a start: who was told of what stands, by the ledger. Raises LedgerUnavailable: it is tried again."""
        standing = [it for it in self._house.alarms() if calls(it) or it.acknowledged_at is not None or it.returned_at]
        told: dict[str, list[Target]] = {}
        steps: dict[str, dict[str, set[int]]] = {}
        for entry in await self._ledger.about(KIND, [it.id for it in standing]):
            says = entry.says
            target = self.plan.target(says["channel"], says["person"]) if says["channel"] else None
            there = told.setdefault(entry.subject, [])
            if says["about"] == About.ENDED:
                there[:] = [it for it in there if it != target]  # they know
                continue
            if says["outcome"] == Outcome.QUIET:
                continue  # it is put off: the step comes again
            steps.setdefault(entry.subject, {}).setdefault(says["route"], set()).add(says["step"])
            if target is not None and says["outcome"] == Outcome.SENT:
                there.append(target)
        self._heard.clear()  # what was heard until now is part of what stands
        await self._read_people()
        self._began = self._clock.now(), self._clock.monotonic()
        for due in self._escalation.restore(self._house.alarms(), steps, told, self._steady()):
            self._tell(due)
