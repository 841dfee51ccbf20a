"""fieldhub replay: a set of rules played against what was recorded; which alarms there would have been, and, beside the
rules as they are, which would have been gained, lost or moved. Commands are only listed.

    fieldhub replay my-county --from 2026-11-01 --to 2026-12-01 --rules new-rules/
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from argparse import Namespace
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from msgspec import Struct, field

from hub import self_watch
from hub.clock import SystemClock
from hub.config import Site
from hub.contract import BadConfig
from hub.export import Period
from hub.historian.base import AskedTooMuch, HistoryUnavailable, to_us
from hub.historian.opening import look
from hub.mistakes import near
from hub.model import Device, Nameplate, Quality, Value
from hub.past import Catalogue, Past, Ranges, Told, patience_s
from rules.load import load_rules
from rules.replay import Change, Difference, Occurrence, Player, Sleep, compare
from rules.rule import Rule
from rules.story import play_all
from rules.window import MAX_WINDOW_S

WARM_UP_S = 3600.0  # before the time that is asked for: holds and windows are as they were then
MOST_LISTED = 200  # differences, without --all
SIGNS = {Change.GAINED: "+", Change.LOST: "-", Change.MOVED: "~", Change.SAME: "="}

Fleet = Sequence[tuple[Device, Nameplate]]
History = Callable[[str], tuple[Ranges, Catalogue]]  # of a device


class Played(Struct):
    """What came of it: alarms by the rules as they are (`now`), and by the `new` ones, where there are some."""

    readings: int = 0
    devices: int = 0
    now: list[Occurrence] = field(default_factory=list)
    new: list[Occurrence] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # why a rule is not judged somewhere


async def play(
    sets: Sequence[Iterable[Rule]],
    fleet: Fleet,
    history: History,
    zone: tzinfo,
    start: datetime,
    end: datetime,
    asleep: Sequence[Sleep] = (),
    told: Callable[[Device], None] = lambda device: None,
) -> Played:
    """One or two `sets` of rules on these devices, in [start, end). `asleep`: when there was no hub, in order.

    Raises HistoryUnavailable, AskedTooMuch.
    """
    done = Played()
    for device, plate in fleet:
        with _no_collections():
            await _play_one(done, sets, device, plate, history, zone, start, end, asleep)
        told(device)
    return done


async def _play_one(
    done: Played,
    sets: Sequence[Iterable[Rule]],
    device: Device,
    plate: Nameplate,
    history: History,
    zone: tzinfo,
    start: datetime,
    end: datetime,
    asleep: Sequence[Sleep],
) -> None:
    both, *rest = apart(sets)
    players = [Player(rules, device, plate, zone) for rules in (both, *rest)]
    done.left_out += [why for player in players for why in player.left_out if why not in done.left_out]
    points = {key: plate.points[key] for key in plate.points if any(key in it.reads for it in players)}
    ranges, catalogue = history(device.id)
    past = Past(ranges, catalogue, device.id, points)
    before_s = max([WARM_UP_S, *(it.looks_back_s for it in players)])
    sleeps = _Sleeps(asleep, players)
    async for at, values in past.between(to_us(start - timedelta(seconds=before_s)), to_us(end)):
        sleeps.take(at, values)
    sleeps.take(end, ())
    done.readings += past.readings
    done.devices += past.readings > 0
    of_both, *of_one = (it.occurrences(start) for it in players)
    done.now += of_both + of_one[0]
    if len(of_one) > 1:
        done.new += of_both + of_one[1]


def apart(sets: Sequence[Iterable[Rule]]) -> list[list[Rule]]:
    """The rules that are in every set, and of each set the others: what is the same is judged once."""
    known = [{(it.name, _what(it)): it for it in some} for some in sets]
    both = set(known[0]).intersection(*known[1:]) if len(known) > 1 else set()
    return [[it for key, it in known[0].items() if key in both]] + [
        [it for key, it in some.items() if key not in both] for some in known
    ]


def _what(it: Rule) -> str:
    """All that a rule does, wherever it is written and whatever its story."""
    return f"{sorted(it.within)} {replace(it, place='', story='', within=frozenset())!r}"


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Millions of small tuples come and go, none of them in a ring: looking for rings is a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


async def nights(history: History, start: datetime, end: datetime) -> list[Sleep]:
    """When there was no hub: it told nothing of itself either."""
    it = self_watch.plate(has_server=False, has_channels=False).points[self_watch.ALWAYS]
    ranges, catalogue = history(self_watch.ID)
    patience = timedelta(seconds=patience_s(it))
    found: list[Sleep] = []
    since: datetime | None = None
    async for at, ((_, value, _),) in Past(ranges, catalogue, self_watch.ID, {it.key: it}).between(
        to_us(start), to_us(end)
    ):
        if since is not None and value is not None:
            found.append((since, at))
        since = None if value is not None else since or at - patience
    return found if since is None else [*found, (since, end)]


class _Sleeps:
    """Tells players what was read, and leaves out the times without a hub: what became unknown then is, after it."""

    def __init__(self, asleep: Sequence[Sleep], players: Sequence[Player]) -> None:
        self._asleep = deque(asleep)
        self._players = players
        self._unknown: list[tuple[str, Value, Quality]] = []

    def take(self, at: datetime, values: Told) -> None:
        while self._asleep and self._asleep[0][0] <= at:
            begin, end = self._asleep[0]
            if at < end:
                self._unknown += values
                return
            self._asleep.popleft()
            for player in self._players:
                player.sleep(begin, end)
                player.take(end, self._unknown)
            self._unknown = []
        for player in self._players:
            player.take(at, values)


# ---- the errand -----------------------------------------------------------------------------------------------------


def replay(args: Namespace, site: Site, rules: Iterable[Rule]) -> int:
    """Raises BadConfig."""
    period = Period(args.start, args.end, site.hub.site.zone, SystemClock().now())
    fleet = _fleet(site, args.device)
    sets = [list(rules)]
    if args.rules is not None:
        if not args.rules.is_dir():
            raise BadConfig(f"--rules {args.rules} › is not a folder. Write one that has .toml files of rules")
        whole = _fleet(site, [])
        new = load_rules(args.rules, whole, site.areas)
        play_all(new)
        sets.append(list(new))
    if args.rule:
        sets = _only(sets, args.rule)
    begun = time.perf_counter()
    try:
        done = asyncio.run(_play(site, sets, fleet, period))
    except (HistoryUnavailable, AskedTooMuch) as error:
        raise BadConfig(str(error)) from None
    names = {device.id: device.name for device, _ in fleet}
    report = Report(done, names, period, args.rules is not None, site.hub.site.language)
    if args.json:
        print(json.dumps(report.plain(), ensure_ascii=False))
        return 0
    report.show(time.perf_counter() - begun, None if args.all else MOST_LISTED)
    return 0


async def _play(site: Site, sets: Sequence[Iterable[Rule]], fleet: Fleet, period: Period) -> Played:
    history = _history(site)
    asleep = await nights(history, period.start - timedelta(seconds=MAX_WINDOW_S), period.end)
    told = _progress(len(fleet))
    return await play(sets, fleet, history, period.zone, period.start, period.end, asleep, told)


def _fleet(site: Site, wanted: Sequence[str]) -> Fleet:
    """These devices, or all; the hub is one too."""
    every = [(device, site.plates[device.id]) for device in site.devices]
    every.append((self_watch.device(), self_watch.plate(has_server=True, has_channels=True)))
    ids = [device.id for device, _ in every]
    for name in wanted:
        if name not in ids:
            raise BadConfig(f'--device › there is no "{name}".{near(name, ids)}')
    return [(device, plate) for device, plate in every if not wanted or device.id in wanted]


def _only(sets: list[list[Rule]], names: Sequence[str]) -> list[list[Rule]]:
    """The rules of these names: one set may lack some, both may not."""
    known = {it.name for some in sets for it in some}
    for name in names:
        if name not in known:
            raise BadConfig(f'--rule › there is no rule "{name}".{near(name, known)}')
    return [[it for it in some if it.name in names] for some in sets]


def _history(site: Site) -> History:
    def of(device: str) -> tuple[Ranges, Catalogue]:
        seen = look(site.data / "history", site.folder, site.hub.history, device)
        for line in seen.damage:
            print(line, file=sys.stderr)
        return seen, seen.catalogue

    return of


def _progress(all_of: int) -> Callable[[Device], None]:
    """A line that counts, where somebody looks."""
    count = 0

    def told(device: Device) -> None:
        nonlocal count
        count += 1
        if sys.stderr.isatty():
            end = "\n" if count == all_of else ""
            print(f"\r{count} of {all_of} devices", end=end, file=sys.stderr, flush=True)

    return told


# ---- what is said of it ---------------------------------------------------------------------------------------------


class Report:
    """What came of a replay, for people and for programs."""

    def __init__(self, done: Played, names: Mapping[str, str], period: Period, two: bool, language: str) -> None:
        self._done, self._names, self._period, self._two, self._language = done, names, period, two, language
        self._differences = compare(done.now, done.new, period.end) if two else []

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it: `alarms` of one set of rules, `differences` of two."""
        done = self._done
        told: dict[str, Any] = {
            "from": self._period.show(self._period.start),
            "to": self._period.show(self._period.end),
            "devices": done.devices,
            "readings": done.readings,
            "left_out": done.left_out,
            "rules": [{"rule": rule, **counts} for rule, counts in sorted(self._by_rule().items())],
        }
        if not self._two:
            return {**told, "alarms": [self._plain(it) for it in self._alarms()]}
        differences = [
            {"change": it.change.value, "now": self._plain(it.now), "new": self._plain(it.new)}
            for it in self._differences
        ]
        return {**told, "differences": differences}

    def show(self, took_s: float, most: int | None) -> None:
        """Print it."""
        done, period = self._done, self._period
        days = (period.end - period.start) / timedelta(days=1)
        print(f"{period.show(period.start)} … {period.show(period.end)}: {days:.1f} days, {done.devices} devices, "
              f"{done.readings:,} readings, {took_s:.1f} s. Nothing was sent.")  # fmt: skip
        for line in done.left_out:
            print(f"note: {line}")
        self._show_table(days)
        if self._two:
            lines = [self._line(it) for it in self._differences if it.change is not Change.SAME]
        else:
            lines = [f"  {self._sentence(it)}" for it in self._alarms()]
        print()
        for line in lines[:most]:
            print(line)
        if most is not None and len(lines) > most:
            print(f"and {len(lines) - most} more: --all shows them, --rule NAME those of one rule")

    def _show_table(self, days: float) -> None:
        rows = sorted(self._by_rule().items(), key=lambda it: (-it[1]["now"] - it[1]["new"], it[0]))
        columns = ["now", "new", "gained", "lost", "moved", "commands"] if self._two else ["now", "commands"]
        wide = max([len("rule"), *(len(rule) for rule, _ in rows)])
        print("\n" + "rule".ljust(wide) + "".join(name.rjust(10) for name in columns) + "   a day".rjust(10))
        side = "new" if self._two else "now"
        for rule, counts in rows:
            cells = "".join(f"{counts[name]}".rjust(10) for name in columns)
            print(rule.ljust(wide) + cells + f"{counts[side] / days:.2f}".rjust(10))
        if not rows:
            print("no alarm, by any rule")

    def _by_rule(self) -> dict[str, Counter[str]]:
        """Of each rule: alarms now and new, what changed, and the commands that would have been asked for."""
        found: dict[str, Counter[str]] = {}
        for side, some in (("now", self._done.now), ("new", self._done.new)):
            for it in some:
                counts = found.setdefault(it.rule, Counter(dict.fromkeys(("now", "new", "commands"), 0)))
                counts[side] += 1
                if side == "new" or not self._two:
                    counts["commands"] += len(it.asks)
        for difference in self._differences:
            of = difference.new or difference.now
            if of is not None and difference.change is not Change.SAME:
                found[of.rule][difference.change.value] += 1
        return found

    def _alarms(self) -> list[Occurrence]:
        return sorted(self._done.now, key=lambda it: it.raised_at)

    def _line(self, it: Difference) -> str:
        if it.change is Change.MOVED and it.now is not None and it.new is not None:
            return f"~ {self._sentence(it.new)}  [now {self._when(it.now)}, {it.now.severity.name.lower()}]"
        only = it.new or it.now
        assert only is not None
        return f"{SIGNS[it.change]} {self._sentence(only)}"

    def _sentence(self, it: Occurrence) -> str:
        say = it.say.get(self._language) or next(iter(it.say.values()), "")
        more = [f"{it.count} times"] if it.count > 1 else []
        more += ["chatters"] if it.chatters else []
        more += ["explained by something else"] if it.suppressed else []
        more += [f"would ask for {', '.join(it.asks)}"] if it.asks else []
        tail = f" ({'; '.join(more)})" if more else ""
        name = self._names.get(it.device, it.device)
        return f"{self._when(it)}  {it.severity.name.lower():6}  {name} › {it.rule}: {say}{tail}"

    def _when(self, it: Occurrence) -> str:
        zone = self._period.zone
        begun = it.raised_at.astimezone(zone)
        if it.returned_at is None:
            return f"{begun:%Y-%m-%d %H:%M:%S} … still stood"
        return f"{begun:%Y-%m-%d %H:%M:%S} … {_span(it.returned_at - it.raised_at)}"

    def _plain(self, it: Occurrence | None) -> dict[str, Any] | None:
        if it is None:
            return None
        return {
            "device": it.device,
            "rule": it.rule,
            "severity": int(it.severity),
            "raised_at": self._period.show(it.raised_at),
            "returned_at": self._period.show(it.returned_at) if it.returned_at else None,
            "say": dict(it.say),
            "asks": list(it.asks),
            "count": it.count,
            "suppressed": it.suppressed,
            "chatters": it.chatters,
        }


def _span(it: timedelta) -> str:
    seconds = it.total_seconds()
    for unit, of in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= of:
            return f"{seconds / of:.1f} {unit}"
    return f"{seconds:.0f} s"
