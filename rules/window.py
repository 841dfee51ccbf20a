"""What was, over a time that ends now: mean, least, most, change, how often, how long. No clock: it is told the time.

A Window keeps the course of a value as pieces, each from a moment until the next. A reading stands until the next one;
what could not be believed is unknown for as long. `trusted` is what a condition reads of it, as it does of a slot: None
unless the time is known to MIN_KNOWN of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any

from hub.slot import LARGEST

MAX_WINDOW_S = 7 * 86400.0
MIN_KNOWN = 0.9  # of its time; with less it is unknown
MAX_PIECES = 300  # of a window; then neighbours that are shorter than a 120th of its time together become one
FINEST = 120
LOOKS = 100  # in a window's time: what changes steadily is looked at so often
LOOK_S = (1.0, 60.0)  # and not more often, nor less
SOON_S = 0.001  # two looks are not at one moment, whatever floats make of it
BACK_S = 60.0  # a time so little before the newest is the newest; further back, a clock was set and nothing is known


class Fold(StrEnum):
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    CHANGE = "change"
    COUNT = "count"  # how often it became true
    TIME = "time"  # for how many seconds it was true


STEADY = (Fold.MEAN, Fold.TIME)  # they move as time goes by; the others only when a piece has left

Measure = Callable[[], float | bool | None]


@dataclass(slots=True)
class Piece:
    """From `start` on. `known_s` and `area` (value * s) are filled in when the next one begins."""

    start: float  # seconds since 1970
    first: float | None
    last: float | None
    low: float
    high: float
    began: int = 0  # how often it became true
    known_s: float = 0.0
    area: float = 0.0


def _piece(at: float, value: float | None, began: int) -> Piece:
    return Piece(at, value, value, inf if value is None else value, -inf if value is None else value, began)


class Window:
    """`measure` says what the value is now; `span_s` is how far back it is looked at."""

    __slots__ = ("_known", "_pieces", "fold", "measure", "span_s", "trusted")

    def __init__(self, fold: Fold, span_s: float, measure: Measure) -> None:
        self.fold = fold
        self.span_s = span_s
        self.measure = measure
        self.trusted: float | None = None
        self._pieces: deque[Piece] = deque()
        self._known: float | None = None  # the last known value: whether it became true is told from it

    def look(self, at: float) -> None:
        """It is `at`: note what the value is, and what was."""
        value = self.measure()
        self.put(at, None if value is None else float(value))
        at = max(at, self._pieces[-1].start)
        self._forget(at - self.span_s)
        amount = self._fold(at)
        self.trusted = amount if amount is not None and -LARGEST < amount < LARGEST else None

    def put(self, at: float, value: float | None) -> None:
        """From `at` on it is `value`; None: unknown."""
        if not self._pieces:
            self._add(at, value)
            return
        newest = self._pieces[-1]
        if at < newest.start - BACK_S:
            self._pieces.clear()
            self._known = None
            self._add(at, value)
        elif value != newest.last:
            at = max(at, newest.start)
            _close(newest, at)
            self._add(at, value)
            if len(self._pieces) > MAX_PIECES:
                self._thin()

    def before(self, course: Iterable[tuple[float, float | None]]) -> None:
        """What was, before anything was known here: (time, value), in order."""
        later, now = self._pieces, self._known
        self._pieces, self._known = deque(), None
        for at, value in course:
            if later and at >= later[0].start:
                break
            self.put(at, value)
        if self._pieces and later:
            _close(self._pieces[-1], later[0].start)
            first = next((it for it in later if it.first is not None), None)
            if first is not None:
                first.began += int(first.first == 1 and self._known == 0)
        self._pieces.extend(later)
        self._known = self._known if now is None else now

    def next_look(self, at: float) -> float | None:
        """When it will have changed though nothing was read; None: never."""
        pieces, span = self._pieces, self.span_s
        since = at - pieces[0].start
        if since < span:  # before it can be known nobody need look
            known = span if self.fold is Fold.CHANGE else span * MIN_KNOWN
            if since < known:
                return max(pieces[0].start + known, at + SOON_S)
        elif len(pieces) == 1:
            return None
        if self.fold in STEADY or since < span:
            return at + min(max(span / LOOKS, LOOK_S[0]), LOOK_S[1])
        return max(pieces[1].start + span, at + LOOK_S[0])

    def shift(self, by_s: float) -> None:
        """The clock by which it is told the time was set."""
        for piece in self._pieces:
            piece.start += by_s

    # ---- steps ----------------------------------------------------------------------------------------------------

    def _add(self, at: float, value: float | None) -> None:
        self._pieces.append(_piece(at, value, int(value == 1 and self._known == 0)))
        if value is not None:
            self._known = value

    def _forget(self, left: float) -> None:
        pieces = self._pieces
        while len(pieces) > 1 and pieces[1].start <= left:
            pieces.popleft()

    def _fold(self, at: float) -> float | None:
        pieces, left = self._pieces, at - self.span_s
        oldest, newest = pieces[0], pieces[-1]
        if self.fold is Fold.CHANGE:
            then = oldest.first if oldest.start <= left else None
            return None if then is None or newest.last is None else newest.last - then
        open_s = at - max(newest.start, left)
        known, area = (0.0, 0.0) if newest.last is None else (open_s, open_s * newest.last)
        low, high, began = inf, -inf, 0
        for piece in pieces:
            share = 1.0
            if piece.start <= left:
                if piece is not newest:
                    length = pieces[1].start - piece.start
                    share = (pieces[1].start - left) / length if length else 0.0
            else:
                began += piece.began
            known += piece.known_s * share
            area += piece.area * share
            low, high = min(low, piece.low), max(high, piece.high)
        if known < self.span_s * MIN_KNOWN:
            return None
        by_fold: dict[Fold, Any] = {Fold.MIN: low, Fold.MAX: high, Fold.COUNT: began, Fold.TIME: area}
        return float(area / known if self.fold is Fold.MEAN else by_fold[self.fold])

    def _thin(self) -> None:
        """Join neighbours, from the oldest on; the newest stays open."""
        shortest = self.span_s / FINEST
        joined: deque[Piece] = deque([self._pieces.popleft()])
        newest = self._pieces.pop()
        ends = [*(it.start for it in self._pieces), newest.start][1:]
        for piece, end in zip(self._pieces, ends, strict=True):
            if end - joined[-1].start <= shortest:
                _join(joined[-1], piece)
            else:
                joined.append(piece)
        joined.append(newest)
        self._pieces = joined


def _close(piece: Piece, at: float) -> None:
    """It ends at `at`."""
    if piece.last is not None:
        piece.known_s = at - piece.start
        piece.area = piece.known_s * piece.last


def _join(piece: Piece, following: Piece) -> None:
    piece.last = following.last
    piece.low, piece.high = min(piece.low, following.low), max(piece.high, following.high)
    piece.began += following.began
    piece.known_s += following.known_s
    piece.area += following.area
