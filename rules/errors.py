"""BadRule: what the author of a rule wrote and cannot be, where it stands, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hub.contract import BadConfig

SHOWN = 72  # letters of an expression that a message quotes


class BadRule(BadConfig):
    """Mistakes of the author of a rule, one line each: place › what is wrong › what to write instead.

    `at` is the place of the first one in its expression, counted from 0, when it is about an expression.
    """

    def __init__(self, *mistakes: str, at: int | None = None) -> None:
        super().__init__(*mistakes)
        self.at = at

    def within(self, *place: str) -> list[str]:
        """The mistakes with the place in front: 'rules/pumps.toml › rule "x" › in "…": …'."""
        return [" › ".join((*place, mistake)) for mistake in self.mistakes]


def points_at(text: str, at: int, what: str) -> str:
    """A mistake in an expression: quotes it (or the part around `at`) and counts to the letter."""
    start = 0 if len(text) <= SHOWN else max(0, min(at - SHOWN // 2, len(text) - SHOWN))
    end = min(len(text), start + SHOWN)
    quoted = " ".join(text[start:end].split())
    return f'in "{"…" if start else ""}{quoted}{"…" if end < len(text) else ""}" (letter {at + 1}): {what}'


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A sentence that helps with a word that is not known: ' Did you mean "x"?', or what there is."""
    names = list(known)
    near = next((name for name in names if name.lower() == word.lower()), None)
    if near is None:
        near = next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.6)), None)
    if near is not None:
        return f' Did you mean "{near}"?'
    if not otherwise or not names:
        return ""
    return f" {otherwise}: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
