"""One device on a line: what it is asked and when, and what its answers (and its silence) mean for its points.

Knows no socket and no clock: the line tells it what happened and when, and it puts the next questions on the agenda.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf

from drivers.modbus.agenda import Agenda
from drivers.modbus.link import Ask, NoAnswer, ask_of
from drivers.modbus.plan import BITS_TO_A_WORD, Block, Breaker, Class, Limits, Merging, Search, block_of, blocks
from drivers.modbus.plate import RTT
from drivers.modbus.rows import BIT_FUNCTIONS, Plate, Row
from drivers.modbus.translate import GATEWAY, JITTER, MISSING, NO_ANSWER, Decoder, Verdict, verdict_of
from hub.contract import Intake
from hub.model import LINK, Device, LinkState, Quality, Reading, Words
from hub.slot import STALE_INTERVALS
from protocols.modbus import pdu

RETESTS_S = (10.0, 60.0, 600.0, 3600.0)  # rows that a device does not have are tried again after these pauses
RETEST_ALL_S = 60.0  # but at the latest after this, when it has none: it may be starting
ALONE_MISSES = 2  # so many in a row, while others of its unit answer, and it is the block's own trouble
ALONE_LONGEST_S = 60.0  # pauses between the tries of such a block double up to this
HELD_LEAST_S = 5.0  # an answer may be missing for three intervals; of fast points for so long, for the tries take time
LINK_SAID_EVERY_S = 10.0
CHECK_EVERY_S = 30.0  # a question of another shape, which shows whether answers belong to their questions
BUSY_TRIES = 3
BUSY_PAUSE_S = {5: 1.0, 6: 0.25}
PUZZLE_EVERY_S = 10.0
HURRY_S = 0.5  # after a command its proof is read so often …
HURRY_LATER_S = 1.0  # … and so often
HURRY_CALMS_S = 10.0  # after this
SPLITS = (1, 2, 3)  # exceptions after which a block is taken apart

_SILENT = Verdict(Quality.UNCERTAIN, JITTER, hold=True)
_DOWN = Verdict(Quality.BAD, NO_ANSWER)
_MISSING = Verdict(Quality.BAD, MISSING)


class Poll:
    """A block that is read again and again. While a search goes on, `ask` is the search's question."""

    __slots__ = (
        "alone",
        "ask",
        "block",
        "busy",
        "checks",
        "decoder",
        "due",
        "every_s",
        "heard",
        "hurried_from",
        "hurried_until",
        "lone",
        "member",
        "misses",
        "retests",
        "search",
        "silent_since",
        "turn",
        "unit",
        "usual",
    )

    def __init__(self, member: Member, block: Block, due: float, lone: bool = False) -> None:
        self.member = member
        self.unit = member.unit
        self.block = block
        self.ask: Ask = question(block)
        self.decoder = Decoder(member.device.id, block.at, block.fn, block.rows, member.plate.profile.labels)
        self.turn = self.usual = Class.PROBE if lone else block.whose_turn
        self.due = due
        self.every_s = RETESTS_S[0] if lone else block.every_s
        self.lone = lone  # a row that the device does not have, tried again from time to time
        self.retests = 1
        self.heard = -inf  # when it was last read
        self.misses = 0  # in a row, since `silent_since`
        self.silent_since = 0.0
        self.alone = False  # it is silent while others of its unit answer
        self.busy = 0
        self.checks: tuple[Ask, ...] | None = None
        self.hurried_from = self.hurried_until = 0.0
        self.search: Search | None = None

    def doubt(self, verdict: Verdict, now: float) -> Verdict:
        """What this verdict says of values that were read some time ago: doubt does not last for ever."""
        if not verdict.hold or now - self.heard <= max(STALE_INTERVALS * self.every_s, HELD_LEAST_S):
            return verdict
        return _DOWN if verdict is _SILENT else Verdict(Quality.BAD, verdict.why)

    def questions(self) -> tuple[Ask, ...]:
        """Two small questions about this block whose answers differ in length; none, when it is too short for that."""
        if self.checks is None:
            fn, at = self.block.fn, self.block.at
            least = 9 if fn in BIT_FUNCTIONS else 2
            enough = self.block.count >= least
            self.checks = tuple(ask_of(pdu.Read(fn, at, count)) for count in (1, least)) if enough else ()
        return self.checks


def question(block: Block) -> Ask:
    return ask_of(pdu.Read(block.fn, block.at, block.count))


class Member:
    """A device, its polls, and what is known of how it answers."""

    def __init__(self, device: Device, plate: Plate, unit: int, merging: Merging, breaker: Breaker) -> None:
        self.device = device
        self.plate = plate
        self.unit = unit
        self.breaker = breaker
        self.merging = merging
        self.limits = {False: Limits(merging.max_count), True: Limits(BITS_TO_A_WORD * merging.max_count)}
        self.polls: list[Poll] = []
        self.missing: list[Poll] = []
        self.suspect = False  # an answer may still be on its way
        self.check_at = 0.0  # at once, and again after every new connection
        self.last: Ask | None = None  # the last question
        self.rtt_s = 0.0
        self.no_mask = False  # it does not know function 22
        self._present_at = -inf  # when it last answered what is no reading of a block
        self._probes: deque[Poll] = deque()  # while it is down: who is asked next
        self._said: LinkState | None = None
        self._said_at = 0.0
        self._why_down = NO_ANSWER  # while it is
        self._puzzle_at = 0.0
        self._intake: Intake | None = None
        self._agenda = Agenda()

    def plan(self) -> list[Block]:
        """All that is read, before anything is known of what the device does not have."""
        return blocks(self.plate.rows, self.merging)

    # ---- coming and going -----------------------------------------------------------------------------------------

    def start(self, agenda: Agenda, intake: Intake, now: float) -> None:
        """Put everything on the agenda."""
        self._agenda = agenda
        self._intake = intake
        self.polls = [Poll(self, block, now) for block in self.plan()]
        for poll in self.polls:
            agenda.later(poll)

    def leave(self) -> None:
        self._agenda.drop([*self.polls, *self.missing])

    def cut(self, why: Words, at: datetime, now: float) -> None:
        """The line is down."""
        self.leave()
        if self.breaker.state is not LinkState.DOWN:
            self._probes.clear()  # else whoever was not asked yet is next
        self.breaker.cut(now)
        self._why_down = why
        if self._said is not LinkState.DOWN:
            self._tell([*self._all_points(Verdict(Quality.BAD, why), at), *self._link(at, now)])

    def reach(self, now: float) -> None:
        """The line is up again: one question first, everything else once it is answered."""
        self.leave()
        self.check_at = 0.0
        for poll in self.polls:
            poll.busy = 0
        if self.breaker.state is LinkState.DOWN:
            return self._set_probe(max(now, self.breaker.probe_at))
        for poll in self.polls:
            self._agenda.later(poll)
        self._retest(now)

    def _set_probe(self, due: float) -> None:
        """Of a unit that is down one block at a time is asked: all in turn, for one that never answers must not hide
        that the others do; and first those that answered last.
        """
        self.leave()
        if not self._probes:
            self._probes.extend(sorted(self.polls or self.missing, key=lambda poll: (-poll.heard, poll.block.count)))
        if self._probes:
            probe = self._probes[0]
            self._probes.rotate(-1)
            probe.search, probe.ask = None, question(probe.block)
            probe.turn, probe.due = Class.PROBE, due
            self._agenda.later(probe)

    # ---- what came of a question ----------------------------------------------------------------------------------

    def answered(self, poll: Poll, data: bytes, at: datetime, now: float) -> None:
        """A usable answer. `data` follows the byte count."""
        poll.heard = now
        if poll.misses or poll.busy:
            self._well(poll)
        if poll.search is not None:
            self.breaker.answered()
            return self._searched(poll, True, at, now)
        readings = poll.decoder.readings(data, at)
        limits = self.limits[poll.block.fn in BIT_FUNCTIONS]
        if poll.block.count > limits.good:
            limits.good = poll.block.count
        if self.breaker.answered():
            self._resume(now)
        elif poll.lone:
            self._there_after_all(poll, now)
        elif now < poll.hurried_until:
            poll.turn = Class.READ_BACK
            poll.due = now + (HURRY_S if now - poll.hurried_from < HURRY_CALMS_S else HURRY_LATER_S)
            self._agenda.later(poll)
        else:
            poll.turn = poll.usual
            self._agenda.again(poll, now)
        if now - self._said_at >= LINK_SAID_EVERY_S or self._said is not self.breaker.state:
            readings = readings + self._link(at, now)
        self._tell(readings)

    def refused(self, poll: Poll, code: int, at: datetime, now: float) -> None:
        """An exception reply: the device is there, and says no."""
        verdict = verdict_of(code)
        if code in GATEWAY:
            return self.silent(poll, NoAnswer("gateway"), at, now, verdict)
        self._present_at = now
        if poll.misses:
            self._well(poll, poll.busy)
        if self.breaker.answered():
            return self._resume(now)
        if poll.lone:
            return self._retest_later(poll, now)
        if code in BUSY_PAUSE_S and poll.busy < BUSY_TRIES:
            poll.busy += 1
            poll.due = now + BUSY_PAUSE_S[code]
            return self._agenda.later(poll)
        poll.busy = 0
        if code in SPLITS:
            return self._take_apart(poll, code, at, now)
        poll.search = None
        self._tell([*poll.decoder.without(poll.doubt(verdict, now), at), *self._link(at, now)])
        self._agenda.again(poll, now)

    def present(self, at: datetime, now: float) -> bool:
        """It has answered something that is no poll. Whether it was down: then everything has been planned anew."""
        self._present_at = now
        if not self.breaker.answered():
            return False
        self._resume(now)
        self._tell(self._link(at, now))
        return True

    def silent(self, poll: Poll, why: NoAnswer, at: datetime, now: float, verdict: Verdict = _SILENT) -> None:
        """No answer, or none that can be believed."""
        self.suspect = True
        self._puzzle(why, now)
        if not poll.misses:
            poll.silent_since = now
        poll.misses += 1
        was = self.breaker.state
        if was is not LinkState.DOWN:
            if self._others_answer(poll):
                return self._by_itself(poll, verdict, at, now)
            if self.breaker.misses == Breaker.MISSES_TO_DOWN - 1 and self.ask_another(now):
                return self._not_read(poll, verdict, at, now)
        self.breaker.missed(now)
        if self.breaker.state is LinkState.DOWN:
            if was is not LinkState.DOWN:
                down = Verdict(Quality.BAD, verdict.why) if verdict is not _SILENT else _DOWN
                self._why_down = down.why
                self._tell([*self._all_points(down, at), *self._link(at, now)])
            return self._set_probe(self.breaker.probe_at)
        for one in self.polls:
            one.turn = Class.PROBE  # behind everybody who answers, until it answers again
        for other in self._agenda.take_back([*self.polls, *self.missing]):  # the rest of its cycle
            self._agenda.again(other, now)
        if poll.misses == 1 and self.breaker.misses == 1:
            self._agenda.put(poll)
            self._tell([*poll.decoder.without(poll.doubt(verdict, now), at), *self._link(at, now)])
        else:
            self._not_read(poll, verdict, at, now)

    def _not_read(self, poll: Poll, verdict: Verdict, at: datetime, now: float) -> None:
        self._agenda.again(poll, now)
        self._tell([*poll.decoder.without(poll.doubt(verdict, now), at), *self._link(at, now)])

    # ---- blocks that are silent while others answer ---------------------------------------------------------------

    def _others_answer(self, poll: Poll) -> bool:
        """Cheap devices do not refuse an address that they do not have: they say nothing."""
        if poll.lone:
            return bool(self.polls)
        heard = max((other.heard for other in self.polls), default=-inf)
        return poll.misses >= ALONE_MISSES and max(heard, self._present_at) > poll.silent_since

    def ask_another(self, now: float) -> bool:
        """Before a unit is down, or its line given up, because one block was silent, another is asked; if there is one
        that is not silent too."""
        silent = [poll for poll in self.polls if poll.misses and not poll.alone]
        others = [poll for poll in self.polls if not poll.misses]
        if self.breaker.state is LinkState.DOWN or len(silent) != 1 or not others:
            return False
        witness = max(others, key=lambda poll: poll.heard)
        self._agenda.drop([witness])
        witness.due, witness.turn = now, Class.PROBE  # its neighbours wait for one silence, not for two
        self._agenda.later(witness)
        return True

    def _by_itself(self, poll: Poll, verdict: Verdict, at: datetime, now: float) -> None:
        """The trouble of this block alone: its tries grow rare, and its unit is neither down nor wholly well."""
        if poll.lone:
            return self._retest_later(poll, now)
        poll.alone, poll.turn = True, Class.PROBE
        self.breaker.flaw()
        pause_s = poll.every_s * 2.0 ** min(poll.misses - ALONE_MISSES, 16)
        poll.due = now + min(pause_s, max(poll.every_s, ALONE_LONGEST_S))
        self._agenda.later(poll)
        self._tell([*poll.decoder.without(poll.doubt(verdict, now), at), *self._link(at, now)])

    def _well(self, poll: Poll, busy: int = 0) -> None:
        """It answers again."""
        poll.misses, poll.busy = 0, busy
        if poll.alone:
            poll.alone = False
            self.breaker.flawed = any(other.alone for other in self.polls)

    # ---- rows that are not there ----------------------------------------------------------------------------------

    def _take_apart(self, poll: Poll, code: int, at: datetime, now: float) -> None:
        limits = self.limits[poll.block.fn in BIT_FUNCTIONS]
        if poll.search is not None:
            return self._searched(poll, False, at, now)
        if code == 1 or len(poll.block.rows) == 1 or len({row.at for row in poll.block.rows}) == 1:
            return self._settle(poll, [], poll.block.rows, at, now)
        poll.search = Search(poll.block, limits, self.merging)
        self._next_question(poll, at, now)

    def _searched(self, poll: Poll, good: bool, at: datetime, now: float) -> None:
        assert poll.search is not None
        poll.search.answer(good)
        self._next_question(poll, at, now)

    def _next_question(self, poll: Poll, at: datetime, now: float) -> None:
        search = poll.search
        assert search is not None
        part = search.question
        if part is not None:
            poll.ask = question(part)
            return self._agenda.put(poll)
        if search.limit is not None:
            self._keep_short(poll, search.limit, now)
        self._settle(poll, search.kept, search.missing, at, now)

    def _settle(self, poll: Poll, kept: Sequence[Block], missing: Sequence[Row], at: datetime, now: float) -> None:
        """In the place of a block that was refused: the parts that are there, and now and then the others."""
        self.polls.remove(poll)
        for block in kept:
            self._add(Poll(self, block, now), self.polls)
        for rows in _by_place(missing):
            lone = Poll(self, block_of(rows), now + RETESTS_S[0], lone=True)
            self._add(lone, self.missing)
            self._tell(lone.decoder.without(_MISSING, at))
        if missing and not self.polls and self._intake is not None:
            self._retest(now + RETESTS_S[0], 1)
            self._intake.puzzled_by(self.device.address, b"", Words("modbus.base_hint"))
        self._tell(self._link(at, now))

    def _keep_short(self, searched: Poll, limit: int, now: float) -> None:
        """The device refuses long requests: the other blocks are cut before they are refused too."""
        bits = searched.block.fn in BIT_FUNCTIONS
        words = max(1, limit // BITS_TO_A_WORD if bits else limit)
        self.merging = Merging(self.merging.max_gap, min(self.merging.max_count, words), self.merging.merge)
        too_long = [
            poll for poll in self.polls if poll is not searched and poll.block.count > limit and not poll.search
        ]
        self._agenda.drop(too_long)
        for poll in too_long:
            if (poll.block.fn in BIT_FUNCTIONS) == bits:
                self.polls.remove(poll)
                for block in blocks(poll.block.rows, self.merging):
                    self._add(Poll(self, block, now), self.polls)
            else:
                self._agenda.later(poll)

    def _there_after_all(self, poll: Poll, now: float) -> None:
        """A row that was missing: the others may be there too, and when all are, they are read together again."""
        self.missing.remove(poll)
        self._add(Poll(self, poll.block, now), self.polls)
        if not self.missing:
            self.leave()
            self.polls = []
            for block in self.plan():
                self._add(Poll(self, block, now), self.polls)
        self._retest(now)

    def _retest(self, due: float, retests: int = 0) -> None:
        """What the device did not have is tried again then, and more and more rarely from then on."""
        self._agenda.drop(self.missing)
        for lone in self.missing:
            lone.due, lone.retests = due, retests
            self._agenda.later(lone)

    def _retest_later(self, lone: Poll, now: float) -> None:
        pause_s = RETESTS_S[min(lone.retests, len(RETESTS_S) - 1)]
        lone.retests += 1
        lone.every_s = pause_s if self.polls else min(pause_s, RETEST_ALL_S)
        lone.due = now + lone.every_s
        self._agenda.later(lone)

    def _add(self, poll: Poll, to: list[Poll]) -> None:
        to.append(poll)
        self._agenda.later(poll)

    def _resume(self, now: float) -> None:
        """The device answers again: everything is read anew."""
        self.leave()
        self._probes.clear()
        for poll in self.polls:
            poll.due, poll.search, poll.ask = now, None, question(poll.block)
            poll.turn = Class.READ_BACK if now < poll.hurried_until else poll.usual
            if not poll.alone:
                poll.misses = 0
            self._agenda.later(poll)
        self._retest(now)

    # ---- commands -------------------------------------------------------------------------------------------------

    def hurry(self, points: Iterable[str], for_s: float, now: float) -> None:
        """Read these points at once and often for a while: somebody waits for their values."""
        wanted = set(points)
        for poll in self.polls:
            if poll.search is None and any(row.key in wanted for row in poll.block.rows):
                self._agenda.drop([poll])
                poll.hurried_from, poll.hurried_until = now, now + for_s
                poll.turn = Class.READ_BACK
                poll.due = now
                self._agenda.later(poll)

    def check_question(self, poll: Poll | None = None) -> Ask | None:
        """A small question whose answer has another length than the last question's: it shows whether answers belong
        to their questions. Of the poll's own block, if that is long enough; else of one that answers. None: everything
        that this device has is of one length.
        """
        last = self.last
        others = sorted((one for one in self.polls if not one.misses), key=lambda one: -one.heard)
        for one in [poll, *others] if poll is not None else others:
            for ask in one.questions():
                if last is None or (ask.fn, ask.size) != (last.fn, last.size):
                    return ask
        return None

    # ---- what is said ---------------------------------------------------------------------------------------------

    def _tell(self, readings: list[Reading]) -> None:
        if readings and self._intake is not None:
            self._intake.take(readings)

    def _all_points(self, verdict: Verdict, at: datetime) -> list[Reading]:
        return [reading for poll in self.polls for reading in poll.decoder.without(verdict, at)]

    def _link(self, at: datetime, now: float) -> list[Reading]:
        state = self.breaker.state
        if state is self._said and now - self._said_at < LINK_SAID_EVERY_S:
            return []
        self._said, self._said_at = state, now
        id = self.device.id
        if state is LinkState.DOWN:
            return [
                Reading(id, LINK, state.value, at, at, why=self._why_down),
                Reading(id, RTT, None, at, at, Quality.BAD, self._why_down),
            ]
        return [Reading(id, LINK, state.value, at, at), Reading(id, RTT, 1000 * self.rtt_s, at, at)]

    def repeat_link(self, at: datetime, now: float) -> None:
        """So that the state of a device that is down does not itself grow stale."""
        if self._said is not None:
            self._tell(self._link(at, now))

    def _puzzle(self, why: NoAnswer, now: float) -> None:
        if why.heard and now >= self._puzzle_at and self._intake is not None:
            self._puzzle_at = now + PUZZLE_EVERY_S
            self._intake.puzzled_by(self.device.address, why.heard, Words("modbus.puzzle", {"why": why.why}))


def _by_place(rows: Sequence[Row]) -> list[list[Row]]:
    places: dict[int, list[Row]] = {}
    for row in rows:
        places.setdefault(row.at, []).append(row)
    return list(places.values())
