"""Hub.take and its ticks against a simple model: dicts, written once more from the promises and not from the code."""

from itertools import pairwise
from math import isnan
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.model import AlarmEvent, Nameplate, Point, Quality, Words

from .kit import STATION, Desk, Diary, Limit, Nowhere, at, reading
from .kit import Hub as HouseHub

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD
LEVEL = Point("sump.level", unit="m", low=0.0, high=5.0, interval_s=10.0)
QUICK = Point("quick", low=-1.0, high=1.0, interval_s=2.0)
PLATE = Nameplate({"sump.level": LEVEL, "quick": QUICK})
POINTS = st.sampled_from(["sump.level", "quick"])
LEVELS = st.sampled_from([None, float("nan"), -1.5, -0.5, 0.5, 0.9, 2.0, 2.7, 3.5, 4.0, 7.0])


class Clock:
    """Time that a state machine moves, without an event loop."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Any:
        return at(self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Known:
    """What the model knows of one point."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.quality = BAD
        self.at: float | None = None
        self.heard: float | None = None
        self.last_good: float | None = None


class HubMachine(RuleBasedStateMachine):
    """Readings come early, late, wrong and not at all; time passes in steps of a second."""

    @initialize()
    def build(self) -> None:
        self.clock = Clock()
        self.diary, self.ledger, self.desk = Diary(), Nowhere(), Desk()
        self.rule = Limit()
        self.hub = HouseHub(self.clock, self.diary, self.ledger, self.rule)
        self.hub.adopt(STATION, PLATE)
        self.hub.watch(self.desk)
        self.known = {key: Known() for key in PLATE.points}
        self.rows: list[tuple[str, float]] = []
        self.readings = self.late = self.unknown = 0
        self.high = False

    # ---- what can happen ------------------------------------------------------------------------------------------

    @rule(
        point=POINTS,
        value=LEVELS,
        quality=st.sampled_from(Quality),
        age_s=st.sampled_from([0, 0, 0, 5, 60, 700, -5, -99]),
    )
    def one_comes(self, point: str, value: float | None, quality: Quality, age_s: float) -> None:
        now = self.clock.seconds
        why = None if quality is GOOD else Words("doubt")
        self.hub.take([reading(point, value, now - age_s, came=now, quality=quality, why=why)])
        self._expect(point, value, quality, now - age_s)

    @rule(level=LEVELS, quick=LEVELS)
    def a_poll_comes(self, level: float | None, quick: float | None) -> None:
        now = self.clock.seconds
        self.hub.take([reading("sump.level", level, now), reading("quick", quick, now)])
        self._expect("sump.level", level, GOOD, now)
        self._expect("quick", quick, GOOD, now)

    @rule()
    def one_comes_of_an_unknown_point(self) -> None:
        self.hub.take([reading("nowhere", 1.0, self.clock.seconds)])
        self.readings += 1
        self.unknown += 1

    @rule(seconds=st.sampled_from([1, 2, 5, 31, 100]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.seconds += 1
            self.hub.tick()
            self._expect_silence()

    @rule()
    def the_station_is_described_anew(self) -> None:
        self.hub.adopt(STATION, PLATE)

    @precondition(lambda self: self.hub.book.standing())
    @rule(by=st.sampled_from(["wang.min", "li.na"]))
    def somebody_acknowledges(self, by: str) -> None:
        (alarm,) = self.hub.book.standing()
        acknowledging = self.hub.alarms.acknowledge(alarm.id, by)
        try:
            acknowledging.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("this ledger makes nobody wait")

    # ---- the model ------------------------------------------------------------------------------------------------

    def _expect(self, point: str, value: float | None, said: Quality, measured: float) -> None:
        self.readings += 1
        now, known, plate = self.clock.seconds, self.known[point], PLATE.points[point]
        assert plate.low is not None
        assert plate.high is not None
        early = measured > now + 10
        measured = now if early else measured
        self.rows.append((point, measured))
        if value is None or isnan(value):
            value, possible = None, BAD if said is GOOD or value is not None else said
        else:
            possible = GOOD if plate.low <= value <= plate.high else BAD
        quality = min(said, possible)
        if quality is GOOD and (early or now - measured > 600):
            quality = UNCERTAIN
        if known.at is not None and measured < known.at:
            self.late += 1
            return
        known.value, known.quality, known.at, known.heard = value, quality, measured, now
        if quality is GOOD:
            known.last_good = value
        if point == "sump.level" and quality is GOOD and value is not None:
            self.high = value > 3 or (self.high and value >= 2.5)

    def _expect_silence(self) -> None:
        for key, known in self.known.items():
            if known.heard is None or known.quality is BAD:
                continue
            silent_s, interval_s = self.clock.seconds - known.heard, PLATE.points[key].interval_s
            if silent_s > max(3 * interval_s + 30, 9 * interval_s):
                known.quality = BAD
            elif silent_s > 3 * interval_s:
                known.quality = UNCERTAIN

    # ---- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def the_latest_is_as_the_model_says(self) -> None:
        for key, slot in self.hub.members[STATION.id].slots.items():
            known = self.known[key]
            newest = None if known.at is None else at(known.at)
            assert (slot.value, slot.at, slot.last_good) == (known.value, newest, known.last_good), key
            assert (slot.quality is GOOD) == (known.quality is GOOD), (key, slot.quality, known.quality)
            assert (slot.quality is GOOD) == (slot.why is None)
            # A look comes at most once a second and once an interval, so BAD may be said an interval later.
            assert slot.quality >= known.quality, key
            if slot.quality is not known.quality:
                interval_s = slot.point.interval_s
                assert known.heard is not None
                over_s = self.clock.seconds - known.heard - max(3 * interval_s + 30, 9 * interval_s)
                assert 0 < over_s <= interval_s, key

    @invariant()
    def nothing_is_lost_on_the_way_to_history(self) -> None:
        told = [(point, second) for point, second, value, _ in self.diary.rows if (point, second) in set(self.rows)]
        assert len(told) >= len(self.rows)
        gaps = len(self.diary.rows) - len(self.rows)
        assert gaps >= 0

    @invariant()
    def everything_is_counted(self) -> None:
        counts = self.hub.counts
        assert (counts["readings"], counts["late"], counts["unknown_point"]) == (self.readings, self.late, self.unknown)

    @invariant()
    def one_alarm_stands_and_it_tells_the_level(self) -> None:
        standing = self.hub.book.standing()
        assert len(standing) <= 1
        active = bool(standing) and standing[0].returned_at is None
        assert active == self.high

    @invariant()
    def raises_and_returns_take_turns(self) -> None:
        turns = [noun.event for noun in self.ledger.nouns if noun.event is not AlarmEvent.ACKNOWLEDGED]
        assert all(a is not b for a, b in pairwise(turns))
        assert not turns or turns[0] is AlarmEvent.RAISED
        raised = turns.count(AlarmEvent.RAISED)
        assert raised - turns.count(AlarmEvent.RETURNED) == self.high

    @invariant()
    def silence_is_waited_for(self) -> None:
        member = self.hub.members[STATION.id]
        waited_for = [slot for slot in member.slots.values() if slot.quality is not BAD]
        assert not waited_for or member.check_at < float("inf")
        assert len(self.hub._silences) < 200


HubMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHubAgainstItsModel = HubMachine.TestCase
