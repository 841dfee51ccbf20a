"""What a message says: one alarm or a bundle of them, in the receiver's language and the site's time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from msgspec import Struct

from hub.model import Alarm, Severity, Title, Words
from hub.words import Catalogue

MOST_LISTED = 10  # alarms in one message; the rest are counted
MOST_LETTERS = 3_000  # of its body
MOST_IN_TITLE = 120

_SEVERITIES = {
    Severity.URGENT: "severity.urgent",
    Severity.HIGH: "severity.high",
    Severity.MEDIUM: "severity.medium",
    Severity.LOW: "severity.low",
}
_TITLES = {  # whether it is over, and whether there are several
    (False, False): "notice.title_calls",
    (False, True): "notice.title_calls_many",
    (True, False): "notice.title_ended",
    (True, True): "notice.title_ended_many",
}


class About(StrEnum):
    """Why somebody is told of an alarm."""

    CALLS = "calls"  # it calls, and this is the first who are told
    UNANSWERED = "unanswered"  # those who were told before have not acknowledged it
    ENDED = "ended"  # it was acknowledged, or is over
    TRIAL = "trial"  # there is no alarm: somebody tries a channel


class Item(Struct, frozen=True):
    """One alarm in a message. `route` and `step`: why this receiver is told; the latter counts from 0."""

    about: About
    alarm: Alarm
    device: str  # its name
    route: str = ""
    step: int = 0


class Text(Struct, frozen=True):
    title: str
    body: str


def write(items: Sequence[Item], language: str, zone: tzinfo, now: datetime, words: Catalogue, link: str = "") -> Text:
    """Those that call first, the most severe of them at the top."""
    listed = sorted(items, key=lambda it: (it.about is About.ENDED, it.alarm.severity, it.alarm.raised_at))
    first = listed[0]
    args = {**_args(first, zone, now), "n": len(listed)}
    title = words.say(Words(_TITLES[first.about is About.ENDED, len(listed) > 1], args), language)
    lines = [line for it in listed[:MOST_LISTED] for line in _lines(it, language, zone, now, words)]
    if len(listed) > MOST_LISTED:
        lines.append(words.say(Words("notice.more", {"n": len(listed) - MOST_LISTED}), language))
    if link:
        lines.append(f"{link}/alarms" + (f"?id={first.alarm.id}" if len(listed) == 1 else ""))
    body = "\n".join(lines)
    return Text(_cut(title, MOST_IN_TITLE), _cut(body, MOST_LETTERS))


def trial(language: str, now: datetime, zone: tzinfo, words: Catalogue) -> Text:
    """Somebody wants to know whether a channel works."""
    args = {"at": _clock(now, zone, now)}
    return Text(words.say(Words("notice.title_trial"), language), words.say(Words("notice.trial", args), language))


def _lines(it: Item, language: str, zone: tzinfo, now: datetime, words: Catalogue) -> list[str]:
    args = _args(it, zone, now)
    if it.about is About.ENDED:
        seen = bool(it.alarm.acknowledged_by) and it.alarm.returned_at is None
        return [words.say(Words("notice.acknowledged" if seen else "notice.over", args), language)]
    lines = [words.say(Words("notice.calls", args), language)]
    if it.about is About.UNANSWERED and now - it.alarm.raised_at >= timedelta(minutes=1):
        lines.append(words.say(Words("notice.unanswered", args), language))
    if it.alarm.do:
        lines.append(words.say(Words("notice.do", args), language))
    return lines


def _args(it: Item, zone: tzinfo, now: datetime) -> Mapping[str, object]:
    alarm = it.alarm
    return {
        "severity": Words(_SEVERITIES[alarm.severity]),
        "device": it.device,
        "say": alarm.say or {"en": alarm.rule, "zh-CN": alarm.rule},
        "do": _one_line(alarm.do),
        "at": _clock(alarm.raised_at, zone, now),
        "ended_at": _clock(alarm.returned_at or alarm.acknowledged_at or now, zone, now),
        "by": alarm.acknowledged_by,
        "minutes": max(0.0, (now - alarm.raised_at).total_seconds() / 60),
    }


def _clock(at: datetime, zone: tzinfo, now: datetime) -> str:
    """The time of the day, with the day when it is another one."""
    local = at.astimezone(zone)
    return f"{local:%H:%M:%S}" if local.date() == now.astimezone(zone).date() else f"{local:%m-%d %H:%M:%S}"


def _one_line(text: Title) -> Title:
    return {language: " ".join(it.split()) for language, it in text.items()}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
