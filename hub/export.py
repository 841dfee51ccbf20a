"""Devices, readings, alarms and commands of a site as CSV: UTF-8 with BOM, times in the site's zone with their offset.

Ledger and history can be read beside a running hub: what is exported is what it had written down at the start.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Protocol, TextIO
from zoneinfo import ZoneInfo

from msgspec import Struct

from hub.audit_export import sign
from hub.clock import Clock
from hub.config import Site
from hub.contract import BadConfig
from hub.historian.base import Columns, HistoryUnavailable, Series, to_datetime, to_us
from hub.historian.catalogue import Catalogue
from hub.historian.opening import look
from hub.house import open_ledger
from hub.ledger.ledger import Ledger
from hub.ledger.trouble import LedgerUnavailable
from hub.mistakes import near
from hub.model import AlarmChange, AlarmEvent, Device, Kind, Point, Quality
from hub.seal import Seal
from hub.words import Catalogue as Sentences
from hub.words import house_words

PAGE = 1_000  # entries read from the ledger at once
CHUNK = timedelta(days=1)  # of history read at once
DEFAULT_SPAN = timedelta(days=1)
# What a spreadsheet would run when a cell begins with it; the wide ones it takes for the narrow ones.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

Rows = AsyncIterator[Sequence[Any]]


class Order(Protocol):
    """What is to be exported (the command line's own object)."""

    what: str
    device: str
    point: list[str]
    start: str
    end: str
    output: Path | None
    sign: bool


class Ranges(Protocol):
    """A historian, or somebody who looks at one."""

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> Mapping[int, Columns]: ...


async def export(site: Site, clock: Clock, order: Order) -> int:
    """Write what `order` asks for; how many rows. Raises BadConfig."""
    if order.sign and order.output is None:
        raise BadConfig("--sign › needs a file beside which the seal can lie. Write -o FILE.csv")
    period = Period(order.start, order.end, site.hub.site.zone, clock.now())
    try:
        # Before the file is made, or written over: whether there is anything of that name at all.
        seen = _seen(site, order, period) if order.what == "readings" else None
        if order.device and order.what in ("alarms", "commands"):
            await _check_device(site, clock, order.device)
        if order.output is None:
            return await _export(site, clock, order, period, seen, sys.stdout)
        seal = Seal(site.data) if order.sign else None
        with order.output.open("w", encoding="utf-8", newline="") as out:
            count = await _export(site, clock, order, period, seen, out)
        if seal is not None:
            span = {"of": order.what, "device": order.device, "from": period.start, "to": period.end}
            sign(order.output, seal, str(site.hub.site.name), "csv", {**span, "rows": count, "made_at": clock.now()})
        return count
    except (LedgerUnavailable, HistoryUnavailable) as error:
        raise BadConfig(str(error)) from None
    except BrokenPipeError:
        raise  # the reader's wish
    except OSError as error:
        raise BadConfig(f"{order.output} › cannot be written: {error.strerror}. Choose another file") from None


async def _check_device(site: Site, clock: Clock, device: str) -> None:
    """Raises BadConfig for a device that is not of this site, and never was."""
    ids = {it.id for it in site.devices}
    if device not in ids:
        ledger = await open_ledger(site, clock)
        try:
            ids |= {row.it.id for row in (await ledger.places.load())[1] if isinstance(row.it, Device)}
        finally:
            await ledger.close()
    if device not in ids:
        raise BadConfig(f'--device › there is no "{device}".{near(device, ids)}')


def _seen(site: Site, order: Order, period: Period) -> Rows:
    history = look(site.data / "history", site.folder, site.hub.history, order.device)
    for line in history.damage:
        print(line, file=sys.stderr)
    points = known_points(site, history.catalogue, order.device, order.point)
    return readings(site, history, history.catalogue, order.device, points, period)


async def _export(site: Site, clock: Clock, order: Order, period: Period, seen: Rows | None, out: TextIO) -> int:
    if seen is not None:
        return await write(seen, out)
    if order.what == "devices":
        return await write(devices(site), out)
    ledger = await open_ledger(site, clock)
    language = site.hub.site.language
    try:
        if order.what == "alarms":
            return await write(alarms(ledger, order.device, period, language), out)
        return await write(commands(ledger, order.device, period, house_words(), language), out)
    finally:
        await ledger.close()


def local_time(option: str, text: str, zone: tzinfo) -> datetime:
    """A time as somebody at the site writes it. Raises BadConfig."""
    try:
        it = datetime.fromisoformat(text)
    except ValueError:
        raise BadConfig(f'{option} {text} › is not a date or time. Write "2026-11-01" or "2026-11-01T08:00"') from None
    return (it if it.tzinfo else it.replace(tzinfo=zone)).astimezone(UTC)


class Period:
    """[start, end) of an export, written in the site's zone."""

    def __init__(self, start: str, end: str, zone: str, now: datetime) -> None:
        self.zone = ZoneInfo(zone)
        self.end = local_time("--to", end, self.zone) if end else now
        self.start = local_time("--from", start, self.zone) if start else self.end - DEFAULT_SPAN
        if self.start >= self.end:
            raise BadConfig(f"--from {start} › is not before --to {end or 'now'}. Exchange them")

    def show(self, at: datetime) -> str:
        return at.astimezone(self.zone).isoformat(timespec="milliseconds")


async def write(rows: Rows, out: TextIO) -> int:
    """Write the rows as CSV; how many there were after the heading."""
    out.write("\ufeff")
    writer = csv.writer(out)
    count = -1
    async for row in rows:
        writer.writerow([_cell(value) for value in row])
        count += 1
    return max(count, 0)


async def devices(site: Site) -> Rows:
    yield "id", "name", "kind", "profile", "area", "area_name", "address"
    names = {area.code: area.name for area in site.areas}
    for it in site.devices:
        yield it.id, it.name, it.kind, it.profile, it.area, names.get(it.area, ""), it.address


def known_points(site: Site, catalogue: Catalogue, device: str, points: Iterable[str]) -> list[str]:
    """The points to export: those that are asked for, or all with history. Raises BadConfig for what is not there."""
    kept = sorted({series.point for series in catalogue.of(device)})
    plate = site.plates.get(device)
    if plate is None and not kept:
        raise BadConfig(f'--device › there is no "{device}".{near(device, [it.id for it in site.devices])}')
    asked = list(points)
    names = dict.fromkeys((*kept, *(plate.points if plate else ())))
    missing = [f'--point › "{device}" has no "{it}".{near(it, names)}' for it in asked if it not in names]
    if missing:
        raise BadConfig(*missing)
    return [it for it in (asked or kept) if it in kept]


async def readings(
    site: Site, historian: Ranges, catalogue: Catalogue, device: str, points: Iterable[str], period: Period
) -> Rows:
    """One row a reading. Raises BadConfig for a device or point that is not there."""
    wanted = known_points(site, catalogue, device, points)
    known = {series.point: series for series in catalogue.of(device)}
    plate = site.plates.get(device)
    yield "time", "device", "point", "value", "unit", "quality"
    start = period.start
    while start < period.end:
        end = min(start + CHUNK, period.end)
        found = await historian.range([known[p].id for p in wanted], to_us(start), to_us(end))
        for point in wanted:
            series = known[point]
            plated = plate.points.get(point) if plate else None
            columns = found[series.id]
            for at_us, value, quality in zip(columns.at_us, columns.value, columns.quality, strict=True):
                shown = _value(series, float(value), plated, catalogue)
                yield period.show(to_datetime(int(at_us))), device, point, shown, series.unit, Quality(quality).name
        start = end


async def alarms(ledger: Ledger, device: str, period: Period, language: str) -> Rows:
    """One row a change of an alarm, newest first; each with the sentence with which it was raised.

    (When it has returned the values in that sentence are others, and it would contradict itself.)
    """
    yield "time", "device", "rule", "event", "severity", "by", "text", "note", "alarm"
    held: deque[_Row] = deque()  # rows in their order; from the first one on whose raise is not read yet
    waiting: defaultdict[str, list[_Row]] = defaultdict(list)  # alarm -> its rows among those
    async for it in _changes(ledger, device):
        text = it.say.get(language, "")
        row = _Row(it, text if it.event is AlarmEvent.RAISED else None)
        if it.event is AlarmEvent.RAISED:
            for later in waiting.pop(it.alarm, ()):
                later.said = text
        if period.start <= it.at < period.end:
            held.append(row)
            if row.said is None:
                waiting[it.alarm].append(row)
        while held and held[0].said is not None:
            yield held.popleft().cells(period)
        if it.at < period.start and not held:
            return
    for row in held:  # of alarms whose raise is not in this ledger
        row.said = row.said or row.it.say.get(language, "")
        yield row.cells(period)


class _Row(Struct):
    """A change of an alarm, and the sentence with which the alarm was raised, once that is known."""

    it: AlarmChange
    said: str | None

    def cells(self, period: Period) -> Sequence[Any]:
        it = self.it
        return period.show(it.at), it.device, it.rule, it.event, int(it.severity), it.by, self.said, it.note, it.alarm


async def _changes(ledger: Ledger, device: str) -> AsyncIterator[AlarmChange]:
    before: int | None = None
    while page := await ledger.alarm_history(device or None, PAGE, before):
        before = page[-1][0]
        for _, it in page:
            yield it


async def commands(ledger: Ledger, device: str, period: Period, sentences: Sentences, language: str) -> Rows:
    """One row a receipt, newest command first."""
    yield "asked", "device", "action", "args", "asked_by", "because", "stage", "time", "words", "command"
    before: int | None = None
    while page := await ledger.commands(device or None, PAGE, before):
        before = page[-1][0]
        for _, (it, receipts) in page:
            if not period.start <= it.asked_at < period.end:
                continue
            head = (period.show(it.asked_at), it.device, it.action, dict(it.args), it.asked_by, it.because)
            for receipt in receipts:
                words = sentences.say(receipt.words, language)
                yield *head, receipt.stage, period.show(receipt.at), words, it.id
            if not receipts:
                yield *head, "", "", "", it.id
        if page[-1][1][0].asked_at < period.start:
            return


def _value(series: Series, value: float, point: Point | None, catalogue: Catalogue) -> Any:
    """A stored number as a person reads it: with as many digits as on the screen, an enum's label, a text."""
    if math.isnan(value):
        return ""
    if series.kind is Kind.BOOL:
        return "on" if value else "off"
    if series.kind is Kind.ENUM:
        return (point.labels if point else {}).get(int(value), int(value))
    if series.kind is Kind.TEXT:
        return catalogue.text(series.id, value)
    return f"{value:.{point.digits}f}" if point else repr(value)


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is quoted; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value
