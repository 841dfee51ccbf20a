"""Carries a command out: writes it in one turn, never twice, and says what the device said.

not sent                               UNDELIVERED
sent, no answer, or one that leaves it open   EXPIRED: we do not know. Its proof is read; it is not sent again.
the device (or its PLC) says no        REJECTED
the device (or its PLC) says yes       ACKNOWLEDGED
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from drivers.modbus.line import Exchange, Line, LineDown, Refused, Told
from drivers.modbus.link import NoAnswer
from drivers.modbus.member import Member
from drivers.modbus.owed import MOST_OWED, Owed
from drivers.modbus.plan import Class
from drivers.modbus.rows import ActionRow, Handshake, Row
from drivers.modbus.translate import Step, steps
from hub.clock import Clock
from hub.contract import Sent
from hub.model import Command, LinkState, Receipt, Stage, Title, Words
from protocols.modbus import pdu

RESULT_EVERY_S = 0.25
UNKNOWN_FUNCTION = 1
# Exceptions after which a write may have happened all the same: it is under way (5), it failed half way (4, 8), or a
# gateway speaks, which does not know: of its way there (10), or of the answer (11).
LEAVES_OPEN = {
    4: "modbus.failed_while_written",
    5: "modbus.takes_long",
    8: "modbus.failed_while_written",
    10: "modbus.gateway_has_no_path",
    11: "modbus.gateway_heard_nothing",
}


class TooLate(LineDown):
    """Its deadline passed while it waited for its turn: nothing was sent."""


class Carrier:
    """One command on its way."""

    def __init__(
        self, line: Line, member: Member, action: ActionRow, command: Command, sent: Sent, clock: Clock
    ) -> None:
        self._line = line
        self._member = member
        self._action = action
        self._command = command
        self._sent = sent
        self._clock = clock
        self._turn = Class.SAFETY if action.plate["safety"] else Class.COMMAND
        self._resets: list[Owed] = []
        self.is_out = False

    async def carry_out(self) -> Receipt:
        """From the first byte to what the device says of it."""
        try:
            if self._action.handshake is not None:
                return await self._with_handshake(self._action.handshake)
            todo = steps(self._action, self._command.args)
            await self._line.work(self._member, self._turn, lambda exchange: self._write(exchange, todo))
            self._hurry()
            return self._receipt(Stage.ACKNOWLEDGED, Words("modbus.acknowledged"))
        except LineDown as down:
            if not self.is_out:
                return self._receipt(Stage.UNDELIVERED, down.words)
            return self._unanswered(down.words)
        except Refused as refused:
            return self._refused(refused.code)
        except NoAnswer as silence:
            if not self.is_out:
                return self._receipt(Stage.UNDELIVERED, Words("modbus.not_sent", {"why": silence.why}))
            return self._unanswered(silence.why)
        except ValueError as wrong:
            if self.is_out:
                return self._unanswered(str(wrong))
            return self._receipt(Stage.UNDELIVERED, Words("modbus.cannot_write", {"why": str(wrong)}))

    def _refused(self, code: int) -> Receipt:
        if not self.is_out:  # it was asked for something before it
            return self._receipt(Stage.UNDELIVERED, Words("modbus.refused_before", {"code": code}))
        self._hurry()
        if code in LEAVES_OPEN:
            return self._receipt(Stage.EXPIRED, Words(LEAVES_OPEN[code], {"code": code}))
        return self._receipt(Stage.REJECTED, Words("modbus.refused_by_device", {"code": code}))

    def _unanswered(self, why: str | Words) -> Receipt:
        self._hurry()
        return self._receipt(Stage.EXPIRED, Words("modbus.sent_but_silent", {"why": why}))

    def _receipt(self, stage: Stage, words: Words) -> Receipt:
        if any(reset in self._line.debts for reset in self._resets):
            stage, words = Stage.EXPIRED, Words("modbus.reset_owed", {"said": words})
        return Receipt(self._command.id, stage, self._clock.now(), words)

    def _out(self) -> None:
        if not self.is_out:
            self.is_out = True
            self._sent(Words("modbus.sent"))

    def _in_time(self) -> None:
        """Looked at again right before the bytes leave: nothing stale ever does."""
        if not self.is_out and self._clock.now() >= self._command.deadline:
            raise TooLate(Words("modbus.too_late"))

    def _hurry(self) -> None:
        proof = self._action.plate["proof"]
        if proof is not None:
            self._member.hurry(self._action.refresh, proof.within_s, self._clock.monotonic())
            self._line.ring()

    # ---- plain writes ---------------------------------------------------------------------------------------------

    async def _write(self, exchange: Exchange, todo: list[Step]) -> None:
        for step in todo:
            await self._one(exchange, step)

    async def _one(self, exchange: Exchange, step: Step) -> None:
        """One write. What is set for a moment is owed from then on, and taken back here, or by the line when it can."""
        if step.then is None:
            return await self._set(exchange, step.message, step.bit, self._out, self._in_time)
        then, bit = step.then, (step.bit[0], step.bit[1], not step.bit[2]) if step.bit else None
        reset = Owed(self._member, lambda exchange: self._set(exchange, then, bit))
        if self._line.debts.full:
            raise LineDown(Words("modbus.too_much_owed", {"count": MOST_OWED}))
        self._resets.append(reset)

        def out() -> None:
            reset.begin(self._clock.monotonic() + step.pulse_s)
            self._line.debts.add(reset)
            self._out()

        try:
            await self._set(exchange, step.message, step.bit, out, self._in_time)
        except Refused as refused:
            if refused.code not in LEAVES_OPEN:
                self._line.debts.settle(reset)
            raise
        except NoAnswer:
            # The line pays it later: a late answer to what was set could be taken for the answer to the reset.
            reset.begin(max(reset.since, self._clock.monotonic() + self._line.quiet_s))
            raise
        await asyncio.sleep(step.pulse_s)
        await reset.write(exchange)
        self._line.debts.settle(reset)

    async def _set(
        self,
        exchange: Exchange,
        message: pdu.Request,
        bit: tuple[int, int, bool] | None,
        sent: Told | None = None,
        ready: Told | None = None,
    ) -> None:
        if bit is None or not self._member.no_mask:
            try:
                await exchange(message, sent, ready)
                return
            except Refused as refused:
                if bit is None or refused.code != UNKNOWN_FUNCTION:
                    raise
                self._member.no_mask = True  # the device does not know function 22
        at, place, on = bit
        was = await exchange(pdu.Read(3, at, 1))
        assert isinstance(was, pdu.Values)
        word = int.from_bytes(was.data, "big")
        await exchange(pdu.WriteWord(at, word | 1 << place if on else word & ~(1 << place)), sent, ready)

    # ---- commands with a number -----------------------------------------------------------------------------------

    async def _with_handshake(self, shake: Handshake) -> Receipt:
        number = await self._line.work(self._member, self._turn, lambda exchange: self._order(exchange, shake))
        self._hurry()
        until = self._clock.monotonic() + shake.within_s
        await asyncio.sleep(shake.settle_s)
        said: int | None = None
        while self._clock.monotonic() < until and self._clock.now() < self._command.deadline:
            said = await self._result(shake, number)
            if said in shake.accepted:
                return self._receipt(Stage.ACKNOWLEDGED, Words("modbus.accepted_by_plc", {"number": number}))
            if said in shake.refused:
                return self._receipt(Stage.REJECTED, await self._why_not(shake))
            await asyncio.sleep(RESULT_EVERY_S)
        return self._receipt(Stage.EXPIRED, Words("modbus.no_result", {"number": number, "within_s": shake.within_s}))

    async def _order(self, exchange: Exchange, shake: Handshake) -> int:
        """Write the command with the number after the present one; both in one request."""
        count = shake.number_at - shake.at + 1
        now = await exchange(pdu.Read(3, shake.at, count))
        assert isinstance(now, pdu.Values)
        registers = list(pdu.words(now.data))
        registers[0] = shake.value
        registers[-1] = number = registers[-1] % 0xFFFF + 1
        await exchange(pdu.WriteWords(shake.at, pdu.data_of(registers)), self._out, self._in_time)
        return number

    async def _result(self, shake: Handshake, number: int) -> int | None:
        """What the PLC says of our number; None while it shows another one, or does not answer."""
        count = shake.result_at - shake.number_at + 1
        read = pdu.Read(3, shake.number_at, count)
        try:
            now = await self._line.work(self._member, Class.READ_BACK, lambda exchange: exchange(read))
        except (NoAnswer, Refused, LineDown):
            return None
        assert isinstance(now, pdu.Values)
        registers = pdu.words(now.data)
        return registers[-1] if registers[0] == number else None

    async def _why_not(self, shake: Handshake) -> Words:
        """The PLC's own reasons, as far as it has a register for them."""
        row = next((row for row in self._member.plate.rows if row.key == shake.reasons), None)
        if row is None:
            return Words("modbus.refused_by_plc")
        read = pdu.Read(row.fn, row.at, row.registers)
        try:
            now = await self._line.work(self._member, Class.READ_BACK, lambda exchange: exchange(read))
        except (NoAnswer, Refused, LineDown):
            return Words("modbus.refused_by_plc")
        assert isinstance(now, pdu.Values)
        reasons = self._names(row, int.from_bytes(now.data, "big"))
        return Words("modbus.refused_because", {"reasons": reasons}) if reasons else Words("modbus.refused_by_plc")

    def _names(self, row: Row, bits: int) -> Title:
        """The bits that are set, by their names in both languages."""
        labels = self._member.plate.profile.labels.get(row.flags, ())
        found = [label.title for label in labels if bits >> label.code & 1]
        if not found:
            return {}
        return {"zh-CN": "、".join(title["zh-CN"] for title in found), "en": ", ".join(t["en"] for t in found)}


class Watchdog:
    """Counts a register up, so that the device sees that a hub watches; if the hub dies, the device decides alone."""

    def __init__(self, line: Line, member: Member, when_refused: Callable[[int], None]) -> None:
        self._line = line
        self._member = member
        self._when_refused = when_refused
        self._word = 0

    async def feed(self) -> None:
        """For ever, as often as the profile says."""
        watchdog = self._member.plate.profile.watchdog
        assert watchdog is not None
        while True:
            if self._member.breaker.state is not LinkState.DOWN:  # else it would only keep its neighbours waiting
                self._word = self._word % 0xFFFF + 1
                await self._write(watchdog.at, watchdog.fn)
            await asyncio.sleep(watchdog.every_s)

    async def _write(self, at: int, fn: int) -> None:
        data: pdu.Request = pdu.WriteWord(at, self._word)
        if fn == 16:
            data = pdu.WriteWords(at, pdu.data_of([self._word]))
        try:
            await self._line.work(self._member, Class.SLOW, _asks(data))
        except (NoAnswer, LineDown):
            pass  # its polls say so; the next one comes
        except Refused as refused:
            self._when_refused(refused.code)


def _asks(message: pdu.Request) -> Callable[[Exchange], Any]:
    return lambda exchange: exchange(message)
