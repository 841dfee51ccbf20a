"""Commands that cannot lie: guard -> ledger -> send -> receipts -> proof by a reading, with a deadline.

One command at a time per device. A safety command (a stop) cancels what is under way and goes first; anything else is
refused while another is under way, so nothing ever waits and goes out later. Nothing is ever sent twice: after a
restart, what was under way is only watched for its proof until its deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any, Protocol, TypeVar

from msgspec import Struct, field

from hub import traces
from hub.contract import Driver, Finding
from hub.guard import Guard, Request
from hub.hub import Hub, Member
from hub.logs import command_id
from hub.model import FINAL, Action, Command, CommandRecord, Origin, Proof, Quality, Receipt, Stage, Words
from hub.quality import MAX_AHEAD_S
from hub.slot import Slot
from hub.supervise import attempt
from hub.words import named, shown

# What a driver may say of a command, and what is made of anything else: only a reading confirms.
SAID = {
    Stage.UNDELIVERED: Stage.UNDELIVERED,
    Stage.REJECTED: Stage.REJECTED,
    Stage.ACKNOWLEDGED: Stage.ACKNOWLEDGED,
    Stage.CONFIRMED: Stage.ACKNOWLEDGED,
}
LEAST_BEHIND_S = 1.0  # times of whole seconds look so much older
UNDONE = {Stage.UNDELIVERED, Stage.REJECTED, Stage.EXPIRED}  # ends that a trace shows as an error

T = TypeVar("T")
log = logging.getLogger(__name__)


class CommandLedger(Protocol):
    """What dispatch needs of hub/ledger."""

    def append(self, *entries: Any) -> Any: ...
    async def command_by_key(self, by: str, key: str) -> tuple[Command, list[Receipt]] | None: ...
    async def open_commands(self) -> list[tuple[Command, list[Receipt]]]: ...


class Errand(Struct):
    """A command under way. Times without a zone are monotonic: a step of the wall clock shortens no deadline."""

    command: Command
    action: Action
    over_at: float  # its deadline
    receipts: list[Receipt] = field(default_factory=list)
    recorded: bool = False  # the command itself has been given to the ledger: its receipts may follow
    sent_at: datetime | None = None
    sent: float = inf
    behind_s: float = LEAST_BEHIND_S  # so much older than it is may a reading of the device look
    proof_by: float = inf
    proven: asyncio.Event = field(default_factory=asyncio.Event)
    proven_by: Words | None = None
    task: asyncio.Task[None] | None = None
    written: list[Any] = field(default_factory=list)
    span: traces.Span = traces.NOTHING

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
        self._last_written: dict[str, asyncio.Future[Any]] = {}  # device -> its newest receipt on the way to the disk
        self._closed = False
        hub.on_ask = self._asked_by_rule
        hub.on_proof = self._look

    # ---- asking ---------------------------------------------------------------------------------------------------

    async def request(self, ask: Request) -> CommandRecord:
        """Judge the request, write it down, start carrying it out; the record as it is then.

        The same (asked_by, key) again is the same command. Raises LookupError for an unknown device or action,
        BadArgs for arguments that the action does not take, LedgerUnavailable when it cannot be written down: then
        nothing is sent.
        """
        # In a task of its own: an asker who hangs up does not leave a command half asked for.
        if not ask.key:
            return await asyncio.shield(self._spawn(self._request(ask)))
        name = (ask.asked_by, ask.key)
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = self._spawn(self._once(ask))
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
        clock = self._hub.clock
        now = clock.now()
        command = Command(
            id=self._hub.ids(),
            device=ask.device,
            action=ask.action,
            args=args,
            asked_by=ask.asked_by,
            because=ask.because,
            asked_at=now,
            deadline=now + timedelta(seconds=action.valid_s),
            key=ask.key,
            origin=ask.origin,
        )
        errand = Errand(command, action, clock.monotonic() + action.valid_s, span=_span(command))
        self._hub.outbox.flush()  # what was sent while the disk was away counts as sent
        going = False
        try:
            refusal = self._closing() or self._guard.allows(member, action, ask) or self._busy(errand)
            if refusal is None:
                # From here on it is under way: what comes now sees it, and a stop cancels it, whatever is awaited.
                self._open.setdefault(ask.device, []).append(errand)
                refusal = await self._locked(member, action)
            if refusal is not None and not errand.final:
                self._receipt(errand, Stage.REFUSED, refusal)
            errand.recorded = True
            await self._ledger.append(command, *errand.receipts)
            going = not errand.final
            if going and action.safety:
                self._make_way(errand)
        finally:
            if not going:
                self._close(errand)
        self._hub.tell(errand.record)
        if going:
            errand.task = self._spawn(self._carry_out(errand))
        return errand.record

    async def _locked(self, member: Member, action: Action) -> Words | None:
        """Which interlock is in the way. What was sent before is counted only once it is on the disk."""
        before = self._last_written.get(member.device.id)
        if before is not None and any(lock.count for lock in action.interlocks):
            await asyncio.wait([before])
        return await self._guard.holds(member, action)

    def _closing(self) -> Words | None:
        return Words("refused.stopping") if self._closed else None

    async def cancel(self, command: str, by: str, origin: Origin | None = None) -> CommandRecord | None:
        """Stop waiting for a command; what has left the house cannot be called back. None: it is not under way."""
        for errands in self._open.values():
            for errand in errands:
                if errand.command.id == command and not errand.final:
                    self._cancel(errand, Words("command.cancelled_by", {"by": by}), by, origin)
                    await self._durable(errand)
                    return errand.record
        return None

    def under_way(self) -> list[CommandRecord]:
        return [errand.record for errands in self._open.values() for errand in errands]

    async def recover(self) -> int:
        """After a start: what was under way is watched for its proof until its deadline, or its end is said.

        Nothing is sent again. Gives the number of commands that were under way.
        """
        clock = self._hub.clock
        now, monotonic = clock.now(), clock.monotonic()
        interrupted = [life for life in await self._ledger.open_commands() if not (life[1] and life[1][-1].last)]
        for command, receipts in interrupted:
            over_at = monotonic + (command.deadline - now).total_seconds()
            errand = Errand(
                command, Action(command.action), over_at, list(receipts), recorded=True, span=_span(command)
            )
            member = self._hub.members.get(command.device)
            action = member.plate.actions.get(command.action) if member else None
            sent = next((r for r in receipts if r.stage is Stage.SENT), None)
            if action is None or sent is None or action.proof is None or over_at <= monotonic:
                self._receipt(errand, Stage.EXPIRED, Words("command.hub_stopped"))
                continue
            errand.action, errand.sent_at, errand.proof_by = action, sent.at, over_at
            errand.sent = monotonic - (now - sent.at).total_seconds()
            self._open.setdefault(command.device, []).append(errand)
            answered = any(r.stage is Stage.ACKNOWLEDGED for r in receipts)
            errand.task = self._spawn(self._prove(errand, action.proof, answered))
        return len(interrupted)

    async def close(self) -> None:
        """Stop waiting without saying anything: what is under way is recovered at the next start."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- the way down and back ------------------------------------------------------------------------------------

    async def _carry_out(self, errand: Errand) -> None:
        command_id.set(errand.command.id)  # of this task, for the log
        command, clock = errand.command, self._hub.clock
        member = self._hub.members.get(command.device)
        driver = self._drivers.get(member.device.driver) if member else None
        if member is None or driver is None:
            return self._receipt(errand, Stage.UNDELIVERED, Words("command.no_driver"))
        left_s = errand.over_at - clock.monotonic()
        if left_s <= 0:
            return self._receipt(errand, Stage.UNDELIVERED, Words("command.time_is_over"))
        refusal = self._guard.still(member, errand.action)
        if refusal is not None:
            return self._receipt(errand, Stage.REFUSED, refusal)
        reply: Any = await attempt(
            driver.carry_out(member.device, command, lambda words: self._sent(errand, words)), left_s, clock
        )
        if errand.final:
            return
        stage, words = self._said(errand, reply)
        proof = errand.action.proof
        if stage is Stage.ACKNOWLEDGED:
            self._receipt(errand, stage, words, last=proof is None)
        elif stage is not Stage.EXPIRED or proof is None:
            self._receipt(errand, stage, words)
        if proof is not None and not errand.final:
            await self._prove(errand, proof, stage is Stage.ACKNOWLEDGED, words if stage is Stage.EXPIRED else None)

    def _sent(self, errand: Errand, words: Words) -> None:
        """The command's bytes have left the house."""
        if errand.sent_at is not None:
            return
        errand.sent_at, errand.sent = self._hub.clock.now(), self._hub.clock.monotonic()
        called_off = errand.final  # while the driver was at it
        self._receipt(errand, Stage.SENT, words)
        if called_off:
            return self._receipt(errand, Stage.EXPIRED, Words("command.sent_late"))
        if errand.action.proof is not None:
            errand.proof_by = min(errand.sent + errand.action.proof.within_s, errand.over_at)
            errand.behind_s = self._behind_s(errand.command.device, errand.action.proof)
            self._await_proof(errand)

    def _behind_s(self, device: str, proof: Proof) -> float:
        """How far the device's clock is behind ours, by its last reading; of one that was not heard it is not known."""
        member = self._hub.members.get(device)
        slot = member.slots.get(proof.point) if member else None
        if slot is None or slot.at is None or slot.received_at is None:
            return LEAST_BEHIND_S
        age_s = (slot.received_at - slot.at).total_seconds()
        return LEAST_BEHIND_S + min(max(age_s, 0.0), MAX_AHEAD_S)

    def _said(self, errand: Errand, reply: Any) -> tuple[Stage, Words | None]:
        """What the driver's reply comes to. What has left the house cannot be undelivered, and the other way round."""
        if isinstance(reply, Receipt):
            stage, words = SAID.get(reply.stage, Stage.EXPIRED), reply.words
            if stage is not Stage.UNDELIVERED:
                self._sent(errand, Words("command.sent"))  # if the driver has not said so
        else:
            stage = Stage.UNDELIVERED
            words = reply if isinstance(reply, Words) else Words("command.driver_failed", {"error": "no receipt"})
        if stage is Stage.UNDELIVERED and errand.sent_at is not None:
            stage = Stage.EXPIRED
        return stage, words

    async def _prove(self, errand: Errand, proof: Proof, answered: bool, doubt: Words | None = None) -> None:
        """Wait until a reading shows it, or say that none did. `doubt`: what the driver said in place of an answer."""
        command_id.set(errand.command.id)
        clock = self._hub.clock
        left_s = errand.proof_by - clock.monotonic()
        self._await_proof(errand)
        if left_s > 0 and not errand.proven.is_set():
            await attempt(errand.proven.wait(), left_s, clock)
        if errand.final:
            return
        if errand.proven.is_set():
            self._receipt(errand, Stage.CONFIRMED, errand.proven_by)
        else:
            self._receipt(errand, Stage.EXPIRED, self._not_proven(errand, proof, answered, doubt))

    def _not_proven(self, errand: Errand, proof: Proof, answered: bool, doubt: Words | None) -> Words:
        member = self._hub.members.get(errand.command.device)
        slot = member.slots.get(proof.point) if member else None
        within_s = round(self._hub.clock.monotonic() - errand.sent, 1)
        if slot is None:
            return Words("command.not_proven_no_reading", {"point": proof.point, "within_s": within_s})
        args: dict[str, Any] = {"point": named(slot.point), "within_s": within_s}
        if not _measured_since(slot, errand):
            return Words("command.not_proven_no_reading", args)
        args["value"] = shown(slot.point, slot.value)
        args["wanted"] = shown(slot.point, wanted_by(proof, errand.command.args))
        if doubt is not None:
            return Words("command.doubtful", args | {"said": doubt})
        return Words("command.not_proven" if answered else "command.unanswered", args)

    def _await_proof(self, errand: Errand) -> None:
        member = self._hub.members.get(errand.command.device)
        if member is not None:
            member.awaited = True

    def _look(self, member: Member) -> None:
        """A device with an awaited proof has new readings."""
        waiting = False
        for errand in self._open.get(member.device.id, ()):
            proof = errand.action.proof
            if errand.final or proof is None or errand.sent_at is None or errand.proven.is_set():
                continue
            waiting = True
            slot = member.slots.get(proof.point)
            if slot is not None and _measured_since(slot, errand) and shows(slot.value, proof, errand.command.args):
                value = shown(slot.point, slot.value)
                errand.proven_by = Words("command.proven", {"point": named(slot.point), "value": value})
                errand.proven.set()
        member.awaited = waiting

    # ---- receipts -------------------------------------------------------------------------------------------------

    def _receipt(
        self,
        errand: Errand,
        stage: Stage,
        words: Words | None,
        last: bool = False,
        by: str = "",
        origin: Origin | None = None,
    ) -> None:
        over = stage in FINAL or last
        receipt = Receipt(errand.command.id, stage, self._hub.clock.now(), words, over, by, origin)
        errand.receipts.append(receipt)
        errand.span.note(stage.value)
        if errand.recorded:  # else it goes to the ledger together with its command
            written = self._hub.outbox.put(receipt)
            errand.written.append(written)
            self._last_written[errand.command.device] = written
            self._hub.tell(errand.record)
        if over:
            self._close(errand)

    async def _durable(self, errand: Errand) -> None:
        for written in errand.written:
            await written

    def _busy(self, errand: Errand) -> Words | None:
        """One command at a time: while another is under way, anything but a safety command is refused."""
        others = self._others(errand)
        if errand.action.safety or not others:
            return None
        other = others[0].command
        return Words("refused.busy", {"action": others[0].action.title or other.action, "by": other.asked_by})

    def _make_way(self, errand: Errand) -> None:
        """A safety command that is written down calls off what is under way, and the same safety command before it."""
        for other in self._others(errand):
            if not other.action.safety or other.action.key == errand.action.key:
                stop = errand.command
                self._cancel(other, Words("command.stopped_by", {"by": stop.asked_by}), stop.asked_by, stop.origin)

    def _others(self, errand: Errand) -> list[Errand]:
        return [it for it in self._open.get(errand.command.device, ()) if it is not errand and not it.final]

    def _cancel(self, errand: Errand, words: Words, by: str, origin: Origin | None) -> None:
        if errand.sent_at is not None:
            words = Words(words.key + "_after_sending", words.args)
        self._receipt(errand, Stage.CANCELLED, words, by=by, origin=origin)
        if errand.task is not None:
            errand.task.cancel()

    def _close(self, errand: Errand) -> None:
        if not errand.final or errand.receipts[-1].stage in UNDONE:
            errand.span.fails(errand.receipts[-1].stage.value if errand.receipts else "not written down")
        errand.span.end()
        errands = self._open.get(errand.command.device, [])
        if errand in errands:
            errands.remove(errand)
        if not errands:
            self._open.pop(errand.command.device, None)

    # ---- the rest -------------------------------------------------------------------------------------------------

    def _asked_by_rule(self, finding: Finding) -> None:
        occurrence = self._hub.book.of(finding.device, finding.rule)
        alarm = occurrence.id if occurrence else finding.at.isoformat()
        say = finding.say.get("zh-CN") or finding.say.get("en") or finding.rule
        member = self._hub.members.get(finding.device)
        for number, ask in enumerate(finding.asks):
            key = f"{alarm}/{number}"
            action = member.plate.actions.get(ask.action) if member else None
            if action is not None and action.safety and occurrence is not None and occurrence.count > 1:
                key += f"/{occurrence.count}"  # an alarm that comes back stops the pump again, and starts nothing twice
            request = Request(finding.device, ask.action, ask.args, f"rule:{finding.rule}", say, key, rule=finding.rule)
            self._spawn(self.request(request)).add_done_callback(_log_if_lost)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _span(command: Command) -> traces.Span:
    facts = {"fieldhub.command.id": command.id, "fieldhub.device.id": command.device}
    return traces.start(f"command {command.action}", facts)


def _log_if_lost(task: asyncio.Task[CommandRecord]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a rule asked for a command that could not even be written down: nothing was sent", exc_info=error)


def _measured_since(slot: Slot, errand: Errand) -> bool:
    """Whether the slot's value is good and was measured after the command was sent, as far as clocks can be believed.

    A terminal that has buffered readings delivers them after the command, and they show nothing of it. One whose clock
    is behind ours tells new ones as if they were old: it is believed as far as its last one before the command was.
    """
    if slot.quality is not Quality.GOOD or slot.at is None or slot.received_at is None or slot.heard < errand.sent:
        return False
    age_s = (slot.received_at - slot.at).total_seconds()
    return slot.heard - age_s >= errand.sent - errand.behind_s


def wanted_by(proof: Proof, args: Mapping[str, Any]) -> Any:
    """What the point becomes; "$speed" in the proof is the argument `speed`."""
    wanted: Any = proof.becomes
    return args.get(wanted[1:]) if isinstance(wanted, str) and wanted.startswith("$") else wanted


def shows(value: Any, proof: Proof, args: Mapping[str, Any]) -> bool:
    """Whether a reading's value is the proof."""
    wanted = wanted_by(proof, args)
    if isinstance(wanted, bool | str) or wanted is None:
        return bool(value == wanted) and isinstance(value, type(wanted))
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value - wanted) <= proof.tolerance
