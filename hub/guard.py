"""May this command go? known, allowed, armed, fresh, interlocks: each no is a sentence. Unknown is a no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from hub.clock import Clock
from hub.hub import Member
from hub.model import LINK, Action, Arg, Interlock, LinkState, Origin, Quality, Test, Title, Value, Words
from hub.rights import Grant, Right
from hub.sight import Sight
from hub.slot import LARGEST
from hub.words import named, shown

PART = " / "  # between the name of a rule and the part of the device it speaks of: "pump dry running / pump2"


class Request(Struct, frozen=True):
    """Somebody, or a rule, asks for a command."""

    device: str
    action: str
    args: Mapping[str, Any]
    asked_by: str
    because: str
    key: str = ""
    grants: tuple[Grant, ...] = ()
    rule: str = ""  # the rule that asks; empty for people
    origin: Origin | None = None  # where from; None for rules


class BadArgs(ValueError):
    """The action does not take these arguments; `mistakes` says what to write instead, one line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


class Check(Struct, frozen=True):
    """One interlock, judged: it holds, does not, or cannot be judged (None)."""

    title: Title
    holds: bool | None
    why: Words | None = None


class SentCounts(Protocol):
    """What the guard needs of the ledger: how often an action was sent."""

    async def count_sent(self, device: str, action: str, since: datetime) -> int: ...


class Guard:
    """The house's judgement before anything dangerous leaves it."""

    def __init__(
        self,
        clock: Clock,
        members: Mapping[str, Member],
        ledger: SentCounts,
        sight: Sight,
        armed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._clock = clock
        self._members = members
        self._ledger = ledger
        self._sight = sight
        self._armed = armed or {}  # rule name -> devices where it may ask for hazardous actions; everything else: not

    def known(self, ask: Request) -> tuple[Member, Action, dict[str, Any]]:
        """The device, the action and its checked arguments. Raises LookupError (which has the name) or BadArgs."""
        member = self._members.get(ask.device)
        if member is None:
            raise LookupError(f'there is no device "{ask.device}"')
        action = member.plate.actions.get(ask.action)
        if action is None:
            known = ", ".join(member.plate.actions) or "none"
            raise LookupError(f'"{ask.device}" has no action "{ask.action}". It has: {known}')
        return member, action, check_args(action, ask.args)

    async def judge(self, member: Member, action: Action, args: Mapping[str, Any], ask: Request) -> Words | None:
        """Why the command may not go; None when it may."""
        return self.allows(member, action, ask) or await self.holds(member, action)

    def allows(self, member: Member, action: Action, ask: Request) -> Words | None:
        """Why this may not be asked now, by this asker; None when it may."""
        return self._allowed(member, action, ask) or self._fresh(member, action)

    async def holds(self, member: Member, action: Action) -> Words | None:
        """Which interlock does not hold; None when all do. A safety command has none in its way."""
        if action.safety:
            return None
        return _refused_by(await self.checks(member, action))

    def still(self, member: Member, action: Action) -> Words | None:
        """Judged once more at the last moment: what has become of readings while the command was written down."""
        if action.safety:
            return None
        locks = [lock for lock in action.interlocks if not lock.count]
        return self._fresh(member, action) or _refused_by([_reading_check(member, lock) for lock in locks])

    async def checks(self, member: Member, action: Action) -> list[Check]:
        """Every interlock of the action, judged now; for the confirmation dialog too."""
        return [await self._check(member, action, interlock) for interlock in action.interlocks]

    def _allowed(self, member: Member, action: Action, ask: Request) -> Words | None:
        if not ask.rule:
            may = self._sight.allows(ask.grants, Right.COMMAND, member.device)
            return None if may else Words("refused.no_right", {"who": ask.asked_by})
        rule, _, _ = ask.rule.partition(PART)  # armed by its name, for every part of the device
        if action.hazard == "none" or member.device.id in self._armed.get(rule, ()):
            return None
        return Words("refused.not_armed", {"rule": ask.rule})

    def _fresh(self, member: Member, action: Action) -> Words | None:
        if action.safety:
            return None  # the link may be back; the driver finds out, and says UNDELIVERED if it is not
        link = member.slots.get(LINK)
        if link is not None and link.quality is Quality.GOOD and link.value == LinkState.DOWN:
            return Words("refused.link_down", {"because": link.why or Words("refused.link_is_down")})
        slot = member.slots.get(action.proof.point) if action.proof else None
        if slot is not None and slot.quality is not Quality.GOOD:
            return Words("refused.stale", {"point": named(slot.point), "because": slot.why})
        return None

    async def _check(self, member: Member, action: Action, lock: Interlock) -> Check:
        if not lock.count:
            return _reading_check(member, lock)
        since = self._clock.now() - timedelta(seconds=lock.per_s)
        sent = await self._ledger.count_sent(member.device.id, action.key, since)
        words = Words("interlock.count", {"sent": sent, "count": lock.count, "minutes": lock.per_s / 60})
        return Check(lock.title, sent < lock.count, words)


def _reading_check(member: Member, lock: Interlock) -> Check:
    value, why = _good(member, lock.point)
    limit: Value = lock.limit
    if why is None and isinstance(limit, str) and limit.startswith("@"):
        limit, why = _good(member, limit[1:])
    if why is not None:
        return Check(lock.title, None, why)
    point = member.slots[lock.point].point
    words = {"point": named(point), "value": shown(point, value), "limit": shown(point, limit)}
    holds = compare(value, lock.test, limit)
    return Check(lock.title, holds, Words("interlock.reading" if holds is not None else "interlock.unlike", words))


def _refused_by(checks: Iterable[Check]) -> Words | None:
    for check in checks:
        if check.holds is None:
            return Words("refused.cannot_judge", {"interlock": check.title, "because": check.why})
        if not check.holds:
            return Words("refused.interlock", {"interlock": check.title, "because": check.why})
    return None


def compare(value: Any, test: Test, limit: Any) -> bool | None:
    """`value` `test` `limit`; None when the two are not of one kind, or of one that has no order."""
    kind = _kind(value)
    if kind is None or kind is not _kind(limit):
        return None
    if test is Test.IS:
        return bool(value == limit)
    if test is Test.IS_NOT:
        return bool(value != limit)
    if kind is not float:
        return None
    if test is Test.ABOVE:
        return bool(value > limit)
    if test is Test.BELOW:
        return bool(value < limit)
    if test is Test.AT_LEAST:
        return bool(value >= limit)
    return bool(value <= limit)


def _kind(value: Any) -> type | None:
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float
    return str if isinstance(value, str) else None


def check_args(action: Action, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, complete and in range. Raises BadArgs with all mistakes at once."""
    mistakes = [
        f'"{key}" is not an argument of {action.key}. It takes: {", ".join(a.key for a in action.args) or "none"}'
        for key in args
        if key not in {a.key for a in action.args}
    ]
    checked: dict[str, Any] = {}
    for arg in action.args:
        if arg.key not in args:
            mistakes.append(f'"{arg.key}" is missing. Write {_wanted(arg)}')
        elif not _fits(arg, args[arg.key]):
            mistakes.append(f'"{arg.key}" is {args[arg.key]!r}. Write {_wanted(arg)}')
        else:
            checked[arg.key] = args[arg.key]
    if mistakes:
        raise BadArgs(mistakes)
    return checked


def _fits(arg: Arg, value: Any) -> bool:
    if arg.choices:
        return value in arg.choices
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
        return False
    return (arg.low is None or value >= arg.low) and (arg.high is None or value <= arg.high)


def _wanted(arg: Arg) -> str:
    if arg.choices:
        return f"one of {', '.join(arg.choices)}"
    unit = f" {arg.unit}" if arg.unit else ""
    low = "" if arg.low is None else f" from {arg.low:g}{unit}"
    high = "" if arg.high is None else f" to {arg.high:g}{unit}"
    return f"a number{low}{high}"


def _good(member: Member, point: str) -> tuple[Value, Words | None]:
    slot = member.slots.get(point)
    if slot is None:
        return None, Words("interlock.no_point", {"point": point})
    if slot.quality is not Quality.GOOD:
        return None, Words("interlock.no_good_value", {"point": named(slot.point), "because": slot.why})
    return slot.value, None
