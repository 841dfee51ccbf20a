"""How good the alarms are (ISA-18.2, EEMUA 191): how many for each operator, floods, bad actors, answers. Pure.

A fold over the alarm changes of a time. An occurrence is one alarm, however often it came back within it; what was
raised while it was shelved called nobody and is not counted. (What is explained by something else is not raised.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from msgspec import Struct

from hub.model import Alarm, AlarmChange, AlarmEvent, AlarmState, Severity

PERIOD = timedelta(minutes=10)
GOOD_RATE, MOST_RATE = 1.0, 2.0  # alarms for an operator in a period, on average: good, and bearable
FLOOD = 10  # more than so many for an operator in a period are a flood
STALE = timedelta(hours=24)
FLEETING_S = 10.0  # over before anybody could have looked
BAD_ACTORS, FLOODS_TOLD = 20, 20
# Within which an alarm is to be acknowledged, by its severity: what the severities mean (rules/README.md).
ANSWER_S = {Severity.URGENT: 180.0, Severity.HIGH: 600.0, Severity.MEDIUM: 3_600.0, Severity.LOW: 28_800.0}
_ACTIVE = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)


class Actor(Struct, frozen=True):
    """A rule on a device, by what it costs attention. `lasted_s`: the median; None: none is over."""

    device: str
    rule: str
    severity: Severity
    alarms: int
    came_back: int
    chattered: int
    fleeting: int
    lasted_s: float | None


class Answers(Struct, frozen=True):
    """How alarms of a severity were answered. `median_s` None: none was."""

    severity: Severity
    alarms: int
    acknowledged: int
    in_time: int
    within_s: float
    median_s: float | None


class Flood(Struct, frozen=True):
    """Periods one after another, each with more than FLOOD alarms for an operator."""

    start: datetime
    end: datetime
    alarms: int


class Kpis(Struct, frozen=True):
    """Of [start, end), for so many operators."""

    start: datetime
    end: datetime
    operators: int
    alarms: int
    a_period: float  # for an operator, on average
    most_in_a_period: int  # for all of them
    flood_share: float  # of the periods, 0 to 1
    floods: tuple[Flood, ...]  # the largest
    days: tuple[tuple[datetime, int], ...]  # alarms in each day from `start` on
    answers: tuple[Answers, ...]  # by severity
    actors: tuple[Actor, ...]  # the worst first
    actors_share: float  # of all alarms, by these
    stale: tuple[str, ...]  # alarms that have stood for longer than STALE
    shelved: int  # that stand now
    suppressed: int


class _Life(Struct):
    """One occurrence."""

    first: AlarmChange
    came_back: int = 0
    chattered: bool = False
    returned_at: datetime | None = None
    acknowledged_at: datetime | None = None


def kpis(
    changes: Iterable[AlarmChange], standing: Sequence[Alarm], start: datetime, end: datetime, operators: int
) -> Kpis:
    """`changes`: all of [start, end), in order; `standing`: what stands at `end`."""
    lives = _lives(changes)
    counts = Counter((life.first.at - start) // PERIOD for life in lives)
    periods = max(1, -(-(end - start) // PERIOD))
    limit = FLOOD * operators
    actors = _actors(lives)
    return Kpis(
        start=start,
        end=end,
        operators=operators,
        alarms=len(lives),
        a_period=len(lives) / periods / operators,
        most_in_a_period=max(counts.values(), default=0),
        flood_share=sum(count > limit for count in counts.values()) / periods,
        floods=_floods(counts, limit, start),
        days=_days(lives, start, end),
        answers=tuple(_answers([it for it in lives if it.first.severity is one], one) for one in Severity),
        actors=actors,
        actors_share=sum(it.alarms for it in actors) / len(lives) if lives else 0.0,
        stale=tuple(it.id for it in standing if it.state in _ACTIVE and it.calls and end - it.raised_at > STALE),
        shelved=sum(it.shelved is not None for it in standing),
        suppressed=sum(it.suppressed is not None for it in standing),
    )


def _lives(changes: Iterable[AlarmChange]) -> list[_Life]:
    lives: dict[str, _Life] = {}
    shelved: set[tuple[str, str]] = set()
    for it in changes:
        place = it.device, it.rule
        life = lives.get(it.alarm)
        match it.event:
            case AlarmEvent.SHELVED:
                shelved.add(place)
            case AlarmEvent.UNSHELVED:
                shelved.discard(place)
            case AlarmEvent.RAISED if life is not None:
                life.came_back += 1
                life.chattered |= it.chatters
                life.returned_at = None
            case AlarmEvent.RAISED if place not in shelved:
                lives[it.alarm] = _Life(it, chattered=it.chatters)
            case AlarmEvent.RETURNED if life is not None:
                life.returned_at = it.at
            case AlarmEvent.ACKNOWLEDGED if life is not None and life.acknowledged_at is None:
                life.acknowledged_at = it.at
    return list(lives.values())


def _floods(counts: Mapping[int, int], limit: int, start: datetime) -> tuple[Flood, ...]:
    found: list[Flood] = []
    for n in sorted(n for n, count in counts.items() if count > limit):
        begins = start + PERIOD * n
        if found and found[-1].end == begins:
            found[-1] = Flood(found[-1].start, begins + PERIOD, found[-1].alarms + counts[n])
        else:
            found.append(Flood(begins, begins + PERIOD, counts[n]))
    return tuple(sorted(found, key=lambda it: -it.alarms)[:FLOODS_TOLD])


def _days(lives: Sequence[_Life], start: datetime, end: datetime) -> tuple[tuple[datetime, int], ...]:
    day = timedelta(days=1)
    counts = Counter((life.first.at - start) // day for life in lives)
    return tuple((start + day * n, counts[n]) for n in range(max(1, -(-(end - start) // day))))


def _answers(lives: Sequence[_Life], severity: Severity) -> Answers:
    took = [
        (life.acknowledged_at - life.first.at).total_seconds() for life in lives if life.acknowledged_at is not None
    ]
    within_s = ANSWER_S[severity]
    in_time = sum(s <= within_s for s in took)
    return Answers(severity, len(lives), len(took), in_time, within_s, median(took) if took else None)


def _actors(lives: Iterable[_Life]) -> tuple[Actor, ...]:
    places: dict[tuple[str, str], list[_Life]] = {}
    for life in lives:
        places.setdefault((life.first.device, life.first.rule), []).append(life)
    found = [_actor(device, rule, some) for (device, rule), some in places.items()]
    return tuple(sorted(found, key=lambda it: (-it.alarms - it.came_back, it.device, it.rule))[:BAD_ACTORS])


def _actor(device: str, rule: str, lives: Sequence[_Life]) -> Actor:
    lasted = [(life.returned_at - life.first.at).total_seconds() for life in lives if life.returned_at is not None]
    return Actor(
        device,
        rule,
        min(life.first.severity for life in lives),
        len(lives),
        sum(life.came_back for life in lives),
        sum(life.chattered for life in lives),
        sum(s < FLEETING_S for s in lasted),
        median(lasted) if lasted else None,
    )
