"""Commands that cannot lie: guard -> ledger -> send -> receipts -> proof by a reading, with a deadline.

One command at a time per device. A safety command (a stop) cancels what is under way and goes first; anything else is
refused while another is under way, so nothing ever waits and goes out later. Nothing is ever sent twice: after a
restart, what was under way is only watched for its proof until its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct, field

from hub.contract import Driver, Finding
from hub.guard import Guard, Request
from hub.hub import Hub, Member
from hub.model import FINAL, Action, Command, CommandRecord, Proof, Quality, Receipt, Stage, Words
from hub.supervise import attempt


class CommandLedger(Protocol):
    """What dispatch needs of hub/ledger."""

    def append(self, *entries: Any) -> Any: ...
    async def command_by_key(self, by: str, key: str) -> tuple[Command, list[Receipt]] | None: ...
    async def open_commands(self) -> list[tuple[Command, list[Receipt]]]: ...


class Errand(Struct):
    """A command under way."""

    command: Command
    action: Action
    receipts: list[Receipt] = field(default_factory=list)
    sent_at: datetime | None = None
    proven: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    written: list[Any] = field(default_factory=list)

    @property
    def record(self) -> CommandRecord:
        return CommandRecord(self.command, tuple(self.receipts))

    @property
    def final(self) -> bool:
        return bool(self.receipts) and self.receipts[-1].last


class Dispatch:
    """Every command of the house, from the request to its last receipt."""

    def __init__(self, hub: Hub, ledger: CommandLedger, drivers: Mapping[str, Driver], guard: Guard) -> None:
        self._hub = hub
        self._ledger = ledger
        self._drivers = drivers
        self._guard = guard
        self._open: dict[str, list[Errand]] = {}  # device -> what is under way; more than one only while stopping
        self._asked: dict[tuple[str, str], asyncio.Future[CommandRecord]] = {}  # being judged and written down now
        self._tasks: set[asyncio.Task[Any]] = set()
        hub.on_ask = self._asked_by_rule
        hub.on_proof = self._look

    # ---- asking ---------------------------------------------------------------------------------------------------

    async def request(self, ask: Request) -> CommandRecord:
        """Judge the request, write it down, start carrying it out; the record as it is then.

        The same (asked_by, key) again is the same command. Raises LookupError for an unknown device or action,
        BadArgs for arguments that the action does not take, LedgerUnavailable when it cannot be written down: then
        nothing is sent.
        """
        if not ask.key:
            return await self._request(ask)
        name = (ask.asked_by, ask.key)
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = asyncio.ensure_future(self._once(ask))
            asked.add_done_callback(lambda _: self._asked.pop(name))
        return await asyncio.shield(asked)

    async def _once(self, ask: Request) -> CommandRecord:
        for errand in (errand for errands in self._open.values() for errand in errands):
            if (errand.command.asked_by, errand.command.key) == (ask.asked_by, ask.key):
                return errand.record
        found = await self._ledger.command_by_key(ask.asked_by, ask.key)
        return await self._request(ask) if found is None else CommandRecord(found[0], tuple(found[1]))

    async def _request(self, ask: Request) -> CommandRecord:
        member, action, args = self._guard.known(ask)
        now = self._hub.clock.now()
        deadline = now + timedelta(seconds=action.valid_s)
        command = Command(
            self._hub.ids(), ask.device, ask.action, args, ask.asked_by, ask.because, now, deadline, ask.key
        )
        errand = Errand(command, action)
        refusal = await self._guard.judge(member, action, args, ask) or self._make_way(member, errand)
        if refusal is not None:
            errand.receipts.append(Receipt(command.id, Stage.REFUSED, now, refusal, last=True))
            await self._ledger.append(command, *errand.receipts)
            self._hub.tell(errand.record)
            return errand.record
        self._open.setdefault(ask.device, []).append(errand)
        try:
            await self._ledger.append(command)
        except BaseException:
            self._close(errand)
            raise
        self._hub.tell(errand.record)
        self._start(errand, self._carry_out(errand))
        return errand.record

    async def cancel(self, command: str, by: str) -> CommandRecord | None:
        """Stop waiting for a command; what has left the house cannot be called back. None: it is not under way."""
        for errands in self._open.values():
            for errand in errands:
                if errand.command.id == command and not errand.final:
                    self._cancel(errand, Words("command.cancelled_by", {"by": by}))
                    await self._durable(errand)
                    return errand.record
        return None

    def under_way(self) -> list[CommandRecord]:
        return [errand.record for errands in self._open.values() for errand in errands]

    async def recover(self) -> int:
        """After a start: what was under way is watched for its proof, or its end is said. Nothing is sent again."""
        interrupted = await self._ledger.open_commands()
        for command, receipts in interrupted:
            errand = Errand(command, Action(command.action), list(receipts))
            member = self._hub.members.get(command.device)
            action = member.plate.actions.get(command.action) if member else None
            sent = next((r for r in receipts if r.stage is Stage.SENT), None)
            if action is None or sent is None or action.proof is None:
                self._receipt(errand, Stage.EXPIRED, Words("command.hub_stopped"))
                continue
            errand.action, errand.sent_at = action, sent.at
            self._open.setdefault(command.device, []).append(errand)
            self._start(errand, self._prove(errand, action.proof))
        return len(interrupted)

    async def close(self) -> None:
        """Stop waiting without saying anything: what is under way is recovered at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- the way down and back ------------------------------------------------------------------------------------

    async def _carry_out(self, errand: Errand) -> None:
        command = errand.command
        member = self._hub.members.get(command.device)
        driver = self._drivers.get(member.device.driver) if member else None
        if member is None or driver is None:
            return self._receipt(errand, Stage.UNDELIVERED, Words("command.no_driver"))

        def sent(words: Words) -> None:
            errand.sent_at = self._hub.clock.now()
            self._receipt(errand, Stage.SENT, words)
            member.awaited = True

        left_s = (command.deadline - self._hub.clock.now()).total_seconds()
        reply = await attempt(driver.carry_out(member.device, command, sent), left_s, self._hub.clock)
        if isinstance(reply, Receipt):
            stage, words = reply.stage, reply.words
        elif errand.sent_at is None:
            stage, words = Stage.UNDELIVERED, reply
        else:
            stage, words = Stage.EXPIRED, reply
        if errand.final:
            return
        proof = errand.action.proof
        if stage is Stage.ACKNOWLEDGED:
            self._receipt(errand, stage, words, last=proof is None)
        if proof is not None and errand.sent_at is not None and stage in (Stage.ACKNOWLEDGED, Stage.EXPIRED):
            await self._prove(errand, proof, words if stage is Stage.EXPIRED else None)
        elif stage is not Stage.ACKNOWLEDGED:
            self._receipt(errand, stage, words)

    async def _prove(self, errand: Errand, proof: Proof, unanswered: Words | None = None) -> None:
        """Wait until a reading shows it, or say that none did."""
        hub, command = self._hub, errand.command
        member = hub.members.get(command.device)
        assert errand.sent_at is not None
        until = min(errand.sent_at + timedelta(seconds=proof.within_s), command.deadline)
        left_s = (until - hub.clock.now()).total_seconds()
        if member is not None and left_s > 0:
            member.awaited = True
            if not errand.proven.is_set():
                await attempt(errand.proven.wait(), left_s, hub.clock)
        if errand.final:
            return
        if errand.proven.is_set():
            slot = member.slots[proof.point] if member else None
            value = slot.value if slot else None
            self._receipt(errand, Stage.CONFIRMED, Words("command.proven", {"point": proof.point, "value": value}))
        else:
            self._receipt(errand, Stage.EXPIRED, self._not_proven(member, proof, unanswered))

    def _not_proven(self, member: Member | None, proof: Proof, unanswered: Words | None) -> Words:
        slot = member.slots.get(proof.point) if member else None
        args: dict[str, Any] = {"point": proof.point, "wanted": proof.becomes, "within_s": proof.within_s}
        if slot is None or slot.quality is not Quality.GOOD:
            return Words("command.not_proven_no_reading", args)
        return Words("command.unanswered" if unanswered else "command.not_proven", args | {"value": slot.value})

    def _look(self, member: Member) -> None:
        """A device with an awaited proof has new readings."""
        waiting = False
        for errand in self._open.get(member.device.id, ()):
            proof = errand.action.proof
            if errand.final or proof is None or errand.sent_at is None:
                continue
            waiting = True
            slot = member.slots.get(proof.point)
            if slot is None or slot.quality is not Quality.GOOD or slot.received_at is None:
                continue
            if slot.received_at >= errand.sent_at and shows(slot.value, proof, errand.command.args):
                errand.proven.set()
        member.awaited = waiting

    # ---- receipts -------------------------------------------------------------------------------------------------

    def _receipt(self, errand: Errand, stage: Stage, words: Words | None, last: bool = False) -> None:
        over = stage in FINAL or last
        receipt = Receipt(errand.command.id, stage, self._hub.clock.now(), words, last=over)
        errand.receipts.append(receipt)
        errand.written.append(self._ledger.append(receipt))
        if over:
            self._close(errand)
        self._hub.tell(errand.record)

    async def _durable(self, errand: Errand) -> None:
        for written in errand.written:
            await written

    def _make_way(self, member: Member, errand: Errand) -> Words | None:
        """One command at a time: a safety command cancels the others, anything else is refused meanwhile."""
        busy = [e for e in self._open.get(member.device.id, ()) if not e.final]
        if not busy:
            return None
        if not errand.action.safety:
            other = busy[0].command
            return Words("refused.busy", {"action": busy[0].action.title or other.action, "by": other.asked_by})
        for other_errand in busy:
            if not other_errand.action.safety or other_errand.action.key == errand.action.key:
                words = Words("command.stopped_by", {"by": errand.command.asked_by})
                self._cancel(other_errand, words)
        return None

    def _cancel(self, errand: Errand, words: Words) -> None:
        if errand.sent_at is not None:
            words = Words(words.key + "_after_sending", words.args)
        self._receipt(errand, Stage.CANCELLED, words)
        if errand.task is not None:
            errand.task.cancel()

    def _close(self, errand: Errand) -> None:
        errands = self._open.get(errand.command.device, [])
        if errand in errands:
            errands.remove(errand)
        if not errands:
            self._open.pop(errand.command.device, None)

    # ---- the rest -------------------------------------------------------------------------------------------------

    def _asked_by_rule(self, finding: Finding) -> None:
        for number, ask in enumerate(finding.asks):
            occurrence = self._hub.book.of(finding.device, finding.rule)
            key = f"{occurrence.id if occurrence else finding.at.isoformat()}/{number}"
            say = finding.say.get("zh-CN") or finding.say.get("en") or finding.rule
            request = Request(finding.device, ask.action, ask.args, f"rule:{finding.rule}", say, key, rule=finding.rule)
            task = asyncio.get_running_loop().create_task(self._by_rule(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _by_rule(self, request: Request) -> None:
        await self.request(request)

    def _start(self, errand: Errand, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        errand.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def shows(value: Any, proof: Proof, args: Mapping[str, Any]) -> bool:
    """Whether a reading's value is the proof; "$speed" in the proof is the argument `speed`."""
    wanted: Any = proof.becomes
    if isinstance(wanted, str) and wanted.startswith("$"):
        wanted = args.get(wanted[1:])
    if isinstance(wanted, bool | str) or wanted is None:
        return bool(value == wanted) and isinstance(value, type(wanted))
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value - wanted) <= proof.tolerance
