"""A TOML table while it is read: each key is taken once with its type, every mistake is noted, nothing is raised."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_MISSING: Any = object()
_SAYS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


class Sheet:
    """One table. Its mistakes go to the list that all sheets of a file share, as "place › what. What to write"."""

    def __init__(self, place: str, table: Any, mistakes: list[str]) -> None:
        self.place = place
        self.mistakes = mistakes
        self._left: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {}
        self._known: list[str] = []
        if not isinstance(table, Mapping):
            self.wrong(f"is {_short(table)}. Write a table")

    def wrong(self, what: str) -> None:
        self.mistakes.append(f"{self.place} › {what}")

    def take(self, key: str, type: type[T], default: Any = _MISSING) -> Any:
        """The value of `key`; the default (or an empty value) when it is missing or wrong."""
        self._known.append(key)
        value = self._left.pop(key, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                self.wrong(f"{key} is missing. Write {_SAYS[type]}")
                return type()
            return default
        if type is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, type) or (type is int and isinstance(value, bool)):
            self.wrong(f"{key} is {_short(value)}. Write {_SAYS[type]}")
            return type() if default is _MISSING else default
        return value

    def any(self, key: str, default: Any = None) -> Any:
        self._known.append(key)
        return self._left.pop(key, default)

    def whole(self, key: str, low: int, high: int, default: Any = _MISSING) -> Any:
        value = self.take(key, int, default)
        if isinstance(value, int) and value is not default and not low <= value <= high:
            self.wrong(f"{key} is {value}. Write a whole number from {low} to {high}")
            return low if default is _MISSING else default
        return value

    def number(self, key: str, above: float, default: Any = _MISSING) -> Any:
        value = self.take(key, float, default)
        if isinstance(value, float) and value is not default and not value > above:
            self.wrong(f"{key} is {value:g}. Write a number above {above:g}")
            return default
        return value

    def one_of(self, key: str, choices: Iterable[str], default: str) -> str:
        value = str(self.take(key, str, default))
        known = list(choices)
        if value != default and value not in known:
            self.wrong(f'{key} is "{value}".{near(value, known)} Write one of: {", ".join(known)}')
            return default
        return value

    def rows(self, key: str) -> list[Any]:
        return list(self.take(key, list, []))

    def title(self) -> dict[str, str]:
        """zh and en, the names that people see."""
        texts = {"zh-CN": self.take("zh", str, ""), "en": self.take("en", str, "")}
        return {language: text for language, text in texts.items() if text}

    def close(self) -> None:
        """What was not taken is not known."""
        for key in self._left:
            self.wrong(f'"{key}" is not known here.{near(key, self._known)} Known: {", ".join(sorted(self._known))}')


def near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""


def _short(value: Any) -> str:
    text = repr(value).replace("'", '"')
    return text if len(text) <= 40 else text[:39] + "…"
