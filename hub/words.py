"""Sentences for people, in both languages: `words.toml` files, and how they are filled in.

    [quality.stale]
    en    = "no reading for {age_s:.0f} s"
    zh-CN = "已 {age_s:.0f} 秒没有数据"

A placeholder is {name} or {name:.Nf}; the browser fills in the same templates (dashboards/web/app/core.js).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub.model import Point, Words

LANGUAGES = ("zh-CN", "en")


class Catalogue:
    """Every sentence the house can say: key -> language -> template."""

    def __init__(self, sentences: Mapping[str, Mapping[str, str]]) -> None:
        self._sentences = dict(sentences)

    @classmethod
    def read(cls, files: Iterable[Path]) -> Catalogue:
        """All sentences of these files. Raises ValueError on a key that is there twice or lacks a language."""
        sentences: dict[str, Mapping[str, str]] = {}
        for file in files:
            for key, texts in _leaves(tomllib.loads(file.read_text("utf-8")), ""):
                if key in sentences:
                    raise ValueError(f"{file.name} › {key}: this key is already in another words.toml")
                if missing := set(LANGUAGES) - set(texts):
                    raise ValueError(f"{file.name} › {key}: no text for {', '.join(sorted(missing))}")
                sentences[key] = texts
        return cls(sentences)

    def say(self, words: Words | None, language: str = "en") -> str:
        """The sentence in `language`; a key that is not known is shown as it is, with its values."""
        if words is None:
            return ""
        texts = self._sentences.get(words.key)
        if texts is None:
            return " ".join((words.key, *(f"{k}={v}" for k, v in words.args.items())))
        template = texts.get(language, texts["en"])
        args = {name: self._in(language, value) for name, value in words.args.items()}
        try:
            return template.format_map(args)
        except (KeyError, ValueError, IndexError, TypeError, OverflowError):
            return f"{template} {args}"

    def _in(self, language: str, value: Any) -> Any:
        """A value as the reader sees it: a title or a sentence in their language, anything else as it is."""
        if isinstance(value, Words):
            return self.say(value, language)
        if isinstance(value, Mapping):
            if "key" in value and "args" in value:  # a sentence that has been through the ledger
                return self.say(Words(value["key"], value["args"]), language)
            return value.get(language) or value.get("en") or str(dict(value))
        return value

    def templates(self, language: str) -> dict[str, str]:
        """key -> template, for the browser."""
        return {key: texts[language] for key, texts in sorted(self._sentences.items())}

    def __contains__(self, key: object) -> bool:
        return key in self._sentences


def named(point: Point) -> Any:
    """What a point is called in a sentence: its title in both languages, or its key."""
    return point.title or point.key


def shown(point: Point, value: Any) -> Any:
    """A value as people read it: with its unit, an enum's name, on and off in both languages."""
    if value is None:
        return {"zh-CN": "无数据", "en": "no value"}
    if isinstance(value, bool):
        return {"zh-CN": "是" if value else "否", "en": "on" if value else "off"}
    if isinstance(value, int | float):
        return f"{value:.{point.digits}f} {point.unit}".rstrip()
    return point.label_titles.get(str(value)) or str(value)


def house_words() -> Catalogue:
    """The catalogue of all words.toml files that the house ships: hub/ and every driver."""
    here = Path(__file__).resolve().parent
    return Catalogue.read([here / "words.toml", *sorted((here.parent / "drivers").glob("*/words.toml"))])


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Mapping[str, str]]]:
    for key, value in table.items():
        if all(isinstance(text, str) for text in value.values()):
            yield prefix + key, value
        else:
            yield from _leaves(value, f"{prefix}{key}.")
