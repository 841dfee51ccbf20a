"""What pydantic finds wrong in a table, in the house's words: place › what is wrong. What to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hub.mistakes import SHOWN, cut


def explain(error: ValidationError, *place: str, write: Mapping[str, str] | None = None) -> list[str]:
    """One line for each mistake that pydantic found. `write`: of a field, what to write there."""
    lines: dict[str, None] = {}
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        one_of = next((at for at, part in enumerate(parts) if part in _FORMS), None)
        parts = parts[:one_of]  # a field of several forms is one place, and wrong once
        remedy = (write or {}).get(parts[-1] if parts else "", "")
        where = [".".join(parts)] if parts else []
        what = _what(item, remedy) if one_of is None else f"cannot stand here. Write {remedy}"
        lines[" › ".join((*place, *where, what))] = None
    return list(lines)


NOT_SAID_BACK = "secret"  # the kind of a mistake whose value may be a secret
_FORMS = ("str", "dict[str,str]")  # pydantic's names of the forms that a field may have


def _what(item: Any, remedy: str) -> str:
    """What is wrong with one value, and what to write; `remedy` is the field's own word on that."""
    kind, given, limits = item["type"], item["input"], item.get("ctx", {})
    shown = f'"{cut(given)}"' if isinstance(given, str) else _short(given)
    if kind == "extra_forbidden":
        return "is not known here. Take it out, or check its spelling"
    if kind == "missing":
        return f"is missing.{f' Write {remedy}' if remedy else ' Add it'}"
    for begin, what, usual in _KINDS:
        if kind.startswith(begin):
            return f"{shown} {what}. Write {remedy or usual.format(**limits)}"
    said = item["msg"].removeprefix("Value error, ")
    if kind == NOT_SAID_BACK:
        return str(said)
    return f"{said}{f'. Write {remedy}' if remedy else ''} (written: {_short(given)})"


# Of pydantic's kinds of mistake, by how they begin: what is wrong, and what to write where the field does not say it.
_KINDS = (
    ("string_pattern_mismatch", "cannot stand here", "it like the examples"),
    ("string_too_short", "is too short", "at least {min_length} letter"),
    ("string_too_long", "is too long", "at most {max_length} letters"),
    ("too_short", "has too few", "at least {min_length}"),
    ("too_long", "has too many", "at most {max_length}"),
    ("string", "is not a text", 'it in quotes: "…"'),
    ("int", "is not a whole number", "one like 8420, without quotes"),
    ("float", "is not a number", "one like 2.5, without quotes"),
    ("finite_number", "is not a number", "one like 2.5"),
    ("bool", "is neither true nor false", "true or false, without quotes"),
    ("greater_than_equal", "is too small", "a number of at least {ge}"),
    ("greater_than", "is too small", "a number greater than {gt}"),
    ("less_than_equal", "is too large", "a number of at most {le}"),
    ("less_than", "is too large", "a number less than {lt}"),
    ("literal_error", "is not one of the words for this", "{expected}"),
    ("dict", "is not a table", "key = value lines below it, or { key = value }".replace("{", "{{").replace("}", "}}")),
    ("model", "is not a table", "it as a table of its own: [name] or [[name]], and key = value below"),
    ("tuple", "is not a list", "it in brackets: […, …]"),
    ("list", "is not a list", "it in brackets: […, …]"),
    ("path", "is not a path", 'it in quotes: "…"'),
)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "…"
