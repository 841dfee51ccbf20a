"""One actor for each physical line: opens it, asks whoever is next, and opens it again when it is lost.

Everything that is asked on a line goes through `_exchange`: one question at a time, the gap between two frames, and the
check that answers still belong to their questions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from drivers.modbus.agenda import Agenda, Job
from drivers.modbus.link import Ask, Link, LinkLost, NoAnswer, ask_of
from drivers.modbus.member import CHECK_EVERY_S, LINK_SAID_EVERY_S, Member, Poll
from drivers.modbus.owed import Debts, Owed
from drivers.modbus.plan import Backoff, Class
from drivers.modbus.translate import by_gateway
from hub.clock import Clock
from hub.contract import Intake
from hub.model import LinkState, Words
from hub.supervise import guarded
from protocols.modbus import pdu

T = TypeVar("T")
Told = Callable[[], None]
QUIET_MOST_S = 3.0
LONGEST_REST_S = 5.0
LAST_WORDS_S = 3.0  # a line that is let go has so long to take back what was set for a moment (2 s at most)
WORK_MAY_WAIT_S = 1.0  # what somebody waits for takes its turn like a poll of so many seconds
LOAD_LOOKED_AT_EVERY_S = 60.0
LATE_MOST = 0.1  # of what is asked; when more is late, the line has more to do than it can
log = logging.getLogger("fieldhub.modbus")


class Timing(Struct, frozen=True):
    """How fast a line is spoken on."""

    timeout_s: float = 1.0
    gap_s: float = 0.0
    settle_s: float = 0.0  # after it was opened
    reopens: bool = True  # when all that were asked stayed silent; false: the other side dials, and is not cut off

    @property
    def quiet_s(self) -> float:
        """After a silence nothing is asked of that unit for so long: its answer may still be on its way."""
        return min(max(2 * self.timeout_s, 0.3), QUIET_MOST_S)


class LineDown(Exception):
    """The line is not open: nothing was sent."""

    def __init__(self, words: Words) -> None:
        super().__init__(words.key)
        self.words = words


class CalledOff(LineDown):
    """Whoever asked for it has gone before it was sent: it stays here."""


class Refused(Exception):
    """The unit answered with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Opener(Protocol):
    """How a line comes to a connection. Raises OSError or TimeoutError, in words by `why`."""

    async def open(self) -> Link: ...
    def why(self, error: Exception) -> Words: ...


class Exchange(Protocol):
    """Asks one thing within a turn. Raises NoAnswer, LinkLost, Refused.

    `ready` is called right before the bytes leave, and keeps them back by raising LineDown; with it, so does an asker
    who has gone. `sent` is called once they have left.
    """

    def __call__(
        self, message: pdu.Request, sent: Told | None = None, ready: Told | None = None
    ) -> Awaitable[pdu.Reply]: ...


class Work(Generic[T]):
    """Something that is done in one turn, without anybody in between (a command's writes)."""

    every_s = WORK_MAY_WAIT_S

    def __init__(self, member: Member, turn: Class, do: Callable[[Exchange], Awaitable[T]], now: float) -> None:
        self.member = member
        self.unit = member.unit
        self.turn = turn
        self.due = now
        self.do = do
        self.done: asyncio.Future[T] = asyncio.get_running_loop().create_future()


class Line:
    """A physical line and the devices on it."""

    def __init__(self, name: str, opener: Opener, timing: Timing, clock: Clock, random: Random) -> None:
        self.name = name
        self.timing = timing
        self.members: dict[str, Member] = {}
        self.agenda = Agenda()
        self.debts = Debts()
        self.asked = 0
        self.busy_s = 0.0
        self._opener = opener
        self._clock = clock
        self._backoff = Backoff(random)
        self._intake: Intake | None = None
        self._link: Link | None = None
        self._why_down: Words | None = None
        self._bell: asyncio.Future[None] | None = None
        self._knocked = False  # a connection is offered, and nobody has opened the door yet
        self._silent: set[int] = set()
        self._heard_some = False  # since it was opened
        self._free_at = 0.0
        self._say_links_at = 0.0
        self._load_before = (inf, 0, 0)  # when, asked and late by then

    # ---- members --------------------------------------------------------------------------------------------------

    def join(self, member: Member, intake: Intake) -> None:
        self._intake = intake
        self.members[member.device.id] = member
        now = self._clock.monotonic()
        member.start(self.agenda, intake, now)
        if self._link is None and self._why_down is not None:
            member.cut(self._why_down, self._clock.now(), now)
        self.ring()

    def leave(self, device: str) -> None:
        member = self.members.pop(device, None)
        if member is not None:
            member.leave()

    # ---- work for others ------------------------------------------------------------------------------------------

    async def work(self, member: Member, turn: Class, do: Callable[[Exchange], Awaitable[T]]) -> T:
        """Do this in its turn. Raises LineDown (nothing was sent), and whatever `do` raises."""
        if self._link is None and self._why_down is not None:
            raise LineDown(self._why_down)
        work = Work(member, turn, do, self._clock.monotonic())
        self.agenda.put(work)
        self.ring()
        try:
            return await work.done
        finally:
            if not work.done.done() or work.done.cancelled():
                self.agenda.drop([work])

    def ring(self) -> None:
        """Something has changed: look again."""
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def knock(self) -> None:
        """The other side has come by itself: it is let in as soon as the present connection is let go."""
        self._knocked = True
        self.ring()

    # ---- the actor ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the line until cancelled."""
        try:
            while True:
                pause_s = 0.0
                if self._knocked:
                    self._knocked = False
                    self._backoff.reset()
                try:
                    link = await self._opener.open()
                except (OSError, TimeoutError) as error:
                    self._down(self._opener.why(error))
                    pause_s = self._backoff.pause()
                else:
                    await self._use(link)
                    if not self._heard_some:
                        self._down(Words("modbus.no_answer"))
                        pause_s = self._backoff.pause()
                await self._rest(0.0 if self._knocked else pause_s)
        except asyncio.CancelledError:
            for owed in self.debts.open:
                device = owed.member.device.id
                log.error("%s: it is let go, and %s is left with what was set for a moment", self.name, device)
            raise
        finally:
            self._why_down = self._why_down or Words("modbus.line_down")
            self._fail_waiting(LineDown(self._why_down))

    def failed(self, error: str) -> None:
        """It has failed in a way that nobody foresaw, and will be started again."""
        self._why_down = why = Words("modbus.line_failed", {"error": error})
        at, now = self._clock.now(), self._clock.monotonic()
        for member in self.members.values():  # one of them may be why
            guarded(f"{self.name}: {member.device.id}", member.cut, why, at, now)
        self._fail_waiting(LineDown(why))

    async def _use(self, link: Link) -> None:
        self._link, self._heard_some = link, False
        link.on_lost = self.ring
        self._silent.clear()
        try:
            if self.timing.settle_s:
                await asyncio.sleep(self.timing.settle_s)
            now = self._clock.monotonic()
            for member in self.members.values():
                member.reach(now)
            self.debts.afresh()
            await self._serve(link)
        except asyncio.CancelledError:
            await self._last_words(link)
            raise
        finally:
            self._link = None
            link.close()

    async def _serve(self, link: Link) -> None:
        """Ask until the link is lost, or everybody on it is silent."""
        clock, agenda = self._clock, self.agenda
        while not link.closed:
            now = clock.monotonic()
            if now >= self._say_links_at:  # also on a line that is never idle
                self._say_links()
                self._say_load(now)
            if self.debts.open and (owed := self.debts.due(now)) is not None:
                if not await self._pay(link, owed):  # one at a time: a stop does not wait until all is paid
                    return
                now = clock.monotonic()
            job = agenda.next(now)
            if job is None:
                rests = (agenda.due_in(now), self.debts.due_in(now), LONGEST_REST_S)
                await self._rest(min(rest_s for rest_s in rests if rest_s is not None))
                continue
            if isinstance(job, Poll):
                await self._poll(link, job, now)
            else:
                await self._do(link, job)
            if self._silent and self._all_silent():
                return

    async def _poll(self, link: Link, poll: Poll, begun: float) -> None:
        member, clock = poll.member, self._clock
        ask = poll.ask
        if _doubtful(member, ask, begun):
            if not await self._check(link, poll):
                return
            begun = clock.monotonic()
        if self.timing.gap_s:
            await self._gap()
            begun = clock.monotonic()
        member.last = ask
        try:
            reply = await link.ask(poll.unit, ask, self.timing.timeout_s)
        except NoAnswer as silence:
            return self._silence(link, poll, silence)
        now = clock.monotonic()
        member.rtt_s = now - begun
        self._heard(now, now - begun)
        if self.members.get(member.device.id) is not member:
            return  # it left while it was asked
        if reply[0] == ask.fn:
            member.answered(poll, reply[2:], clock.now(), now)
        else:
            member.refused(poll, reply[1], clock.now(), now)

    async def _do(self, link: Link, job: Job) -> None:
        assert isinstance(job, Work)
        if job.done.done():
            return  # nobody waits for it any more, and nothing was sent

        async def exchange(message: pdu.Request, sent: Told | None = None, ready: Told | None = None) -> pdu.Reply:
            return await self._exchange(link, job.member, message, sent, ready and still(ready))

        def still(ready: Told) -> Told:
            def wanted() -> None:
                if job.done.done():
                    raise CalledOff(Words("modbus.called_off"))
                ready()

            return wanted

        try:
            result: Any = await job.do(exchange)
        except (NoAnswer, Refused, ValueError, LineDown) as trouble:
            if not job.done.done():
                job.done.set_exception(trouble)
        else:
            if not job.done.done():
                job.done.set_result(result)
        finally:
            if not job.done.done():  # the line itself has failed
                job.done.set_exception(LineDown(Words("modbus.line_down")))

    async def _exchange(
        self, link: Link, member: Member, message: pdu.Request, sent: Told | None, ready: Told | None
    ) -> pdu.Reply:
        """Ask something by itself (see Exchange)."""
        ask = ask_of(message)
        if ask.echo is None and _doubtful(member, ask, self._clock.monotonic()):
            await self._check_question(link, member)
        await self._gap()
        if ready is not None:
            ready()  # nothing is awaited between here and the wire
        begun = self._clock.monotonic()
        member.last = ask
        try:
            raw = await link.ask(member.unit, ask, self.timing.timeout_s, sent)
        except LinkLost:
            raise
        except NoAnswer:
            member.suspect = True
            self.agenda.hold(member.unit, self._clock.monotonic() + self._quiet_s(link))
            raise
        now = self._clock.monotonic()
        self._heard(now, now - begun)
        if not by_gateway(raw):
            member.present(self._clock.now(), now)
        if raw[0] != ask.fn:
            raise Refused(raw[1])
        return pdu.read_reply(raw)

    # ---- what is owed ---------------------------------------------------------------------------------------------

    async def _pay(self, link: Link, owed: Owed) -> bool:
        """Take back what was set for a moment, or leave it owed when it cannot be. Whether the link still holds."""

        async def exchange(message: pdu.Request, sent: Told | None = None, ready: Told | None = None) -> pdu.Reply:
            return await self._exchange(link, owed.member, message, sent, ready)

        try:
            await owed.write(exchange)
        except Refused as refused:
            if not owed.tries and self._intake is not None:
                why = Words("modbus.reset_refused", {"code": refused.code})
                self._intake.puzzled_by(owed.member.device.address, b"", why)
            owed.put_off(self._clock.monotonic())
        except NoAnswer:
            owed.put_off(self._clock.monotonic())
        else:
            self.debts.settle(owed)
        return not link.closed

    async def _last_words(self, link: Link) -> None:
        """The line is let go: what is owed is written now, if that does not take long."""
        if not self.debts or link.closed:
            return

        async def pay_all() -> None:
            for owed in list(self.debts.open):
                await asyncio.sleep(max(0.0, owed.since - self._clock.monotonic()))
                await self._pay(link, owed)

        paying = asyncio.ensure_future(pay_all())  # a task of its own: a second cancel does not break it off
        await asyncio.wait({paying}, timeout=LAST_WORDS_S)
        paying.cancel()
        await asyncio.wait({paying})

    # ---- do answers belong to their questions? --------------------------------------------------------------------

    async def _check(self, link: Link, poll: Poll) -> bool:
        try:
            return not await self._check_question(link, poll.member, poll)
        except NoAnswer as silence:
            self._silence(link, poll, silence)
            return False

    async def _check_question(self, link: Link, member: Member, poll: Poll | None = None) -> bool:
        """Ask something small whose answer cannot be taken for the last question's. Raises NoAnswer. Whether the unit
        was down until now: then all its polls have been planned anew.
        """
        ask, was_down = member.check_question(poll), False
        if ask is not None:
            await self._gap()
            begun = self._clock.monotonic()
            member.last = ask
            raw = await link.ask(member.unit, ask, self.timing.timeout_s)
            now = self._clock.monotonic()
            self._heard(now, now - begun)
            was_down = not by_gateway(raw) and member.present(self._clock.now(), now)
        member.suspect, member.check_at = False, self._clock.monotonic() + CHECK_EVERY_S
        return was_down

    def _silence(self, link: Link, poll: Poll, silence: NoAnswer) -> None:
        """A poll was not answered."""
        now = self._clock.monotonic()
        self._free_at = now
        if isinstance(silence, LinkLost):
            return  # when the line is up again, everything is planned anew
        self.agenda.hold(poll.unit, now + self._quiet_s(link))  # a late answer is nobody's, whoever has this unit next
        if self.members.get(poll.member.device.id) is not poll.member:
            return  # it left while it was asked
        poll.member.silent(poll, silence, self._clock.now(), now)
        if poll.member.breaker.misses:  # of the unit, and not of one of its blocks alone
            self._silent.add(poll.unit)

    @property
    def quiet_s(self) -> float:
        """How long a late answer may still come."""
        return 0.0 if self._link is None else self._quiet_s(self._link)

    def _quiet_s(self, link: Link) -> float:
        """Where answers carry numbers, a late one is known for what it is."""
        return 0.0 if link.tagged else self.timing.quiet_s

    def _heard(self, now: float, took_s: float) -> None:
        self._heard_some = True
        self._free_at = now
        self.asked += 1
        self.busy_s += took_s
        if self._silent:
            self._silent.clear()
            self._backoff.reset()
        elif self._why_down is not None:
            self._why_down = None
            self._backoff.reset()

    def _all_silent(self) -> bool:
        """Nobody has answered since the first silence, and everybody was asked."""
        units = {member.unit for member in self.members.values()}
        if not units <= self._silent:
            return False
        if len(units) == 1 and any(member.ask_another(self._clock.monotonic()) for member in self.members.values()):
            return False  # one block's silence is not a line's
        return self.timing.reopens or all(member.breaker.state is LinkState.DOWN for member in self.members.values())

    # ---- waiting --------------------------------------------------------------------------------------------------

    async def _gap(self) -> None:
        wait_s = self._free_at + self.timing.gap_s - self._clock.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _rest(self, seconds: float) -> None:
        """Until the bell rings, or so long."""
        loop = asyncio.get_running_loop()
        bell = self._bell = loop.create_future()
        timer = loop.call_later(seconds, self.ring)
        try:
            await bell
        finally:
            timer.cancel()
            self._bell = None

    def _say_links(self) -> None:
        now = self._clock.monotonic()
        if now >= self._say_links_at:
            self._say_links_at = now + LINK_SAID_EVERY_S
            at = self._clock.now()
            for member in self.members.values():
                if member.breaker.state is LinkState.DOWN:
                    member.repeat_link(at, now)

    def _say_load(self, now: float) -> None:
        """A line with more to do than it can is slow for all that hang on it; people are told, and can ask for less."""
        since, asked, late = self._load_before
        if now - since < LOAD_LOOKED_AT_EVERY_S and since <= now:
            return
        self._load_before = (now, self.asked, self.agenda.overruns)
        asked, late = self.asked - asked, self.agenda.overruns - late
        if since <= now and late > LATE_MOST * asked and self._intake is not None:
            self._intake.puzzled_by(self.name, b"", Words("modbus.too_much", {"asked": asked, "late": late}))

    # ---- down -----------------------------------------------------------------------------------------------------

    def _down(self, why: Words) -> None:
        """The line cannot be opened: everybody on it is cut off, and nothing waits for it."""
        self._why_down = why
        at, now = self._clock.now(), self._clock.monotonic()
        for member in self.members.values():
            member.cut(why, at, now)
        self._fail_waiting(LineDown(why))
        self._say_links()

    def _fail_waiting(self, why: LineDown) -> None:
        for job in self.agenda.waiting(Class):
            if isinstance(job, Work) and not job.done.done():
                job.done.set_exception(why)


def _doubtful(member: Member, ask: Ask, now: float) -> bool:
    """Whether answers may not belong to their questions: after a silence, between two questions whose answers would
    look alike, and now and then. A device that is one answer behind gives itself away at a check."""
    if member.suspect or now >= member.check_at:
        return True
    last = member.last
    return last is not None and last.fn == ask.fn and last.size == ask.size and last.at != ask.at
