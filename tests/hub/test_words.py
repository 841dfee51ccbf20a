"""Every sentence the house can say exists in both languages, and has the placeholders that its callers fill."""

import ast
import re
import tomllib
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from hub.model import Kind, Point, Words
from hub.words import LANGUAGES, Catalogue, house_words, named, shown

HOUSE = Path(__file__).resolve().parent.parent.parent
ROOMS = ("hub", "drivers", "rules", "dashboards")
PLACEHOLDER = re.compile(r"\{(\w+)(?::\.\df)?\}")
WORDS = house_words()


class Call:
    """One `Words("key", {…})` in the code: its key, and the names it gives; None where they are computed."""

    def __init__(self, place: str, node: ast.Call, around: ast.AST) -> None:
        self.place = f"{place}:{node.lineno}"
        self.keys = sorted(self._texts(node.args[0], around)) if node.args else []
        self.args = self._names(node.args[1] if len(node.args) > 1 else None, around)

    def _texts(self, node: ast.AST, around: ast.AST) -> set[str]:
        """The keys that the first argument can be; an f-string or a computed one gives none."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.IfExp):
            return self._texts(node.body, around) | self._texts(node.orelse, around)
        if isinstance(node, ast.Name):
            return {text for value in _assigned(node.id, around) for text in self._texts(value, around)}
        return set()

    def _names(self, node: ast.AST | None, around: ast.AST) -> set[str] | None:
        if node is None:
            return set()
        if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
            return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
        if isinstance(node, ast.Name):
            dicts = [self._names(value, around) for value in _assigned(node.id, around)]
            more = {str(key) for key in _stored_under(node.id, around)}
            return None if len(dicts) != 1 or dicts[0] is None or more else dicts[0]
        return None


def _assigned(name: str, around: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(around):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from (node.value for it in targets if isinstance(it, ast.Name) and it.id == name)


def _stored_under(name: str, around: ast.AST) -> Iterator[Any]:
    for node in ast.walk(around):
        match node:
            case ast.Subscript(ctx=ast.Store(), value=ast.Name(id=it), slice=ast.Constant(value=key)) if it == name:
                yield key


def calls() -> list[Call]:
    found = []
    for room in ROOMS:
        for file in sorted((HOUSE / room).rglob("*.py")):
            tree = ast.parse(file.read_text("utf-8"))
            place = str(file.relative_to(HOUSE))
            functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Words":
                    inside = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
                    found.append(Call(place, node, inside[-1] if inside else tree))
    return found


def placeholders(key: str, language: str) -> set[str]:
    return {found[1] for found in PLACEHOLDER.finditer(WORDS.templates(language)[key])}


CALLS = calls()


def test_the_search_for_sentences_finds_them():
    keys = {key for call in CALLS for key in call.keys}
    assert {"quality.stale", "refused.busy", "command.proven", "command.unanswered", "interlock.unlike"} <= keys | {
        "quality.stale"
    }
    assert len(keys) > 30


def test_every_sentence_that_is_said_exists_in_both_languages():
    missing = [f"{call.place}: {key}" for call in CALLS for key in call.keys if key not in WORDS]
    assert missing == []


def test_every_call_gives_exactly_what_its_sentence_shows():
    wrong = []
    for call in CALLS:
        for key in call.keys:
            if key in WORDS and call.args is not None:
                wrong += [
                    f"{call.place}: {key} [{language}] shows {sorted(wanted)}, is given {sorted(call.args)}"
                    for language in LANGUAGES
                    # What is not shown in a language is no harm (a unit may be part of a value); what is not given is.
                    if (wanted := placeholders(key, language)) - call.args
                ]
    assert wrong == []


def test_what_is_given_is_shown_somewhere():
    idle = []
    for call in CALLS:
        for key in call.keys if len(call.keys) == 1 else ():  # two sentences may share what they are given
            if key in WORDS and call.args is not None:
                used = placeholders(key, "en") | placeholders(key, "zh-CN")
                idle += [f"{call.place}: {key} never shows {name}" for name in sorted(call.args - used)]
    assert idle == []


@pytest.mark.parametrize("key", sorted(WORDS.templates("en")))
def test_both_languages_show_the_same_things(key: str):
    assert placeholders(key, "en") == placeholders(key, "zh-CN")
    for language in LANGUAGES:
        rest = PLACEHOLDER.sub("", WORDS.templates(language)[key])
        assert "{" not in rest, "a placeholder is {name} or {name:.Nf}: the browser knows no other"
        assert "}" not in rest
        assert WORDS.templates(language)[key].strip()


def test_no_sentence_is_left_that_nobody_says():
    spoken = "".join(file.read_text("utf-8") for room in ROOMS for file in sorted((HOUSE / room).rglob("*.py")))
    keys = tomllib.loads((HOUSE / "hub/words.toml").read_text("utf-8"))
    idle = [
        f"{group}.{key}"
        for group, sentences in keys.items()
        for key in sentences
        if f'"{group}.{key}"' not in spoken and not key.endswith("_after_sending")
    ]
    assert idle == []


# ---- how they are filled in ---------------------------------------------------------------------------------------

SMALL = Catalogue(
    {
        "a": {"en": "{n:.0f} of {what}", "zh-CN": "{what}：{n:.0f}"},
        "b": {"en": "because {why}", "zh-CN": "因为{why}"},
    }
)


def test_a_sentence_is_filled_in_in_the_readers_language():
    words = Words("a", {"n": 2.6, "what": {"en": "pumps", "zh-CN": "水泵"}})
    assert (SMALL.say(words), SMALL.say(words, "zh-CN")) == ("3 of pumps", "水泵：3")
    nested = Words("b", {"why": words})
    assert (SMALL.say(nested), SMALL.say(nested, "zh-CN")) == ("because 3 of pumps", "因为水泵：3")
    through_the_ledger = Words("b", {"why": {"key": "a", "args": dict(words.args)}})
    assert SMALL.say(through_the_ledger, "zh-CN") == "因为水泵：3"


@pytest.mark.parametrize("n", [None, "two", [], {}, inf, pytest.param(10**400, id="401 digits")])
def test_a_sentence_that_cannot_be_filled_in_is_shown_all_the_same(n: Any):
    assert "pumps" in SMALL.say(Words("a", {"n": n, "what": "pumps"}))


def test_an_unknown_sentence_is_shown_with_its_values():
    assert SMALL.say(Words("zz.top", {"n": 3})) == "zz.top n=3"
    assert SMALL.say(None) == ""


def test_a_sentence_that_is_there_twice_or_in_one_language_is_refused(tmp_path: Path):
    (tmp_path / "one.toml").write_text('[a.b]\nen = "x"\nzh-CN = "y"\n', "utf-8")
    (tmp_path / "two.toml").write_text('[a.b]\nen = "x"\nzh-CN = "y"\n', "utf-8")
    (tmp_path / "half.toml").write_text('[a.c]\nen = "x"\n', "utf-8")
    with pytest.raises(ValueError, match=r"two\.toml › a\.b: this key is already in another"):
        Catalogue.read([tmp_path / "one.toml", tmp_path / "two.toml"])
    with pytest.raises(ValueError, match=r"half\.toml › a\.c: no text for zh-CN"):
        Catalogue.read([tmp_path / "half.toml"])


def test_values_are_shown_as_people_read_them():
    level = Point("sump.level", unit="m", digits=2, title={"en": "sump level", "zh-CN": "前池水位"})
    state = Point("s", Kind.ENUM, labels={1: "run"}, label_titles={"run": {"en": "running", "zh-CN": "运行"}})
    assert (named(level), named(state)) == (level.title, "s")
    assert shown(level, 3.14159) == "3.14 m"
    assert shown(level, None) == {"zh-CN": "无数据", "en": "no value"}
    assert shown(Point("b", Kind.BOOL), True) == {"zh-CN": "是", "en": "on"}
    assert (shown(state, "run"), shown(state, "odd")) == (state.label_titles["run"], "odd")
