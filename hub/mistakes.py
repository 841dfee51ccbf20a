"""How a mistake in a file is said: file › place › what is wrong. What to write instead.

The words of tomllib are its own, and say no remedy: here they become ours. Those of pydantic: hub/config_words.py.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hub.contract import BadConfig

MAX_FILE_BYTES = 16 * 1024 * 1024  # of one TOML file
SHOWN = 60  # letters that a message quotes
MOST_NAMED = 400  # letters of a list of what is known


class Mistakes(list[str]):
    """What was found wrong so far, a line each."""

    def add(self, *parts: str) -> None:
        self.append(" › ".join(parts))


def near(name: str, known: Iterable[str]) -> str:
    """A sentence that helps with a name that is not known: ' Did you mean "x"?', or what there is."""
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if found:
        return f' Did you mean "{found[0]}"?'
    return f" Known: {', '.join(sorted(names)[:20])}" if names and len(", ".join(names)) <= MOST_NAMED else ""


# ---- TOML ---------------------------------------------------------------------------------------------------------


def read_toml(file: Path, place: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises BadConfig: the line that cannot be read, and what to write there."""
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise BadConfig(f"{place} › is {len(raw)} bytes; a file may have {MAX_FILE_BYTES}. Split it")
        text = raw.decode("utf-8-sig")  # Windows' editor begins its files with a mark
        return tomllib.loads(text)
    except OSError as error:
        raise BadConfig(f"{place} › cannot be read: {error.strerror}. Check that it exists and its rights") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadConfig(f"{place} › line {line} is not UTF-8. Save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{place} › {_not_toml(text, str(error))}") from None
    except RecursionError:
        raise BadConfig(f"{place} › is nested too deeply. Write it flat") from None


_AT = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
# What a Chinese keyboard writes where TOML wants the plain sign.
_PLAIN = {"“": '"', "”": '"', "‘": "'", "’": "'", "，": ",", "＝": "=", "［": "[", "］": "]", "｛": "{", "｝": "}",
          "【": "[", "】": "]", "＃": "#", "。": ".", "　": " "}  # fmt: skip
_REMEDIES = (  # of tomllib's sentences: what they begin with, and what to write
    ("Invalid value", 'Write texts in quotes, "…", and numbers, true and false without'),
    ("Expected '=' after a key", "Write: key = value"),
    ("Expected ']", "Write [name] on a line of its own, or [[name]] for one of several"),
    ("Cannot overwrite a value", "A key may stand only once in its table: take one of them out"),
    ("Cannot declare", "This table stands twice: put both together under one heading"),
    ("Cannot mutate immutable", "This table was written in { } already: put all of it there"),
    ("Unclosed", "Write the bracket that closes it"),
    ("Expected newline or end of document", "Write one key = value on a line, and nothing after it but a # comment"),
)


def _not_toml(text: str, error: str) -> str:
    match = _AT.fullmatch(error)
    what = (match[1] if match else error).replace("\n", "\\n")
    known = next((it for begin, it in _REMEDIES if what.startswith(begin)), "")
    if match is None or match[2] is None:
        remedy = known if what.startswith("Cannot") else "Look for a quote or a bracket that is opened and never closed"
        return f"the end of the file › is not TOML: {what}. {remedy}"
    line = text.split("\n")[int(match[2]) - 1].strip()
    bare = _TEXT.sub('""', line).partition("#")[0]
    foreign = "".join(dict.fromkeys(sign for sign in bare if sign in _PLAIN))
    if foreign:
        pairs = ", ".join(f"{_PLAIN[sign]} for {sign}" if sign.strip() else "a plain blank" for sign in foreign)
        remedy = f"Signs of a Chinese keyboard are no part of TOML. Write {pairs}"
    elif bare.replace('""', "").count('"') or what.startswith("Illegal character '\\\\n'"):
        remedy = 'A quote is not closed. Write one " before the text and one after it'
    else:
        remedy = known or "Write: key = value, one on a line"
    return f"line {match[2]} › {cut(line)} is not TOML: {what}. {remedy}"


def cut(line: str) -> str:
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
