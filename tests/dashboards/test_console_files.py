"""The console's files keep their laws: no literals, equal languages, the browser floor, contrast, budgets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.pages import Pages

WEB = Path(__file__).resolve().parents[2] / "dashboards" / "web"
APP = sorted((WEB / "app").rglob("*.js"))
STYLES = sorted((WEB / "css").glob("*.css"))
LANGUAGES = ("zh-CN", "en")

LONGEST_PAGE = 200  # lines
LONGEST_LINE = 120
MOST_FILES_KB = 500  # the web part of the wheel
# Newer than Chromium 109, the last one for Windows 7 and 8.1.
TOO_NEW_CSS = r"\boklch|\boklab|color-mix|@container|:has\(|\bpopover\b|anchor-name|position-anchor|view-transition|@scope|@layer|\blch\(|light-dark|text-wrap"  # noqa: E501
TOO_NEW_JS = r"\.toSorted\(|\.toReversed\(|\.findLast\(|Object\.groupBy|Promise\.withResolvers|Array\.fromAsync|\.showPopover|structuredClone|randomUUID|crypto\.subtle|navigator\.clipboard|\(\?<[=!]"  # noqa: E501
LATER = {".findLast(": 97}  # these came with or before 109 and would be fine; kept out for phones
# Words that are the same in every language.
SAME_EVERYWHERE = {"FieldHub"}


def source(path: Path) -> str:
    """JavaScript without its comments."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r"(?m)(^|\s)//.*$", "", text)


def texts(language: str) -> dict[str, str]:
    """All of them: those of the first page, and those that come with the other pages."""
    first, more = (json.loads((WEB / "i18n" / part / f"{language}.json").read_text("utf-8")) for part in ("", "more"))
    assert not set(first) & set(more)
    return {**first, **more}


def at_first(*pages: str) -> set[Path]:
    """Files that are there when the first page is: these and what they import."""
    found: set[Path] = set()
    waiting = [WEB / "app" / name for name in pages]
    while waiting:
        path = waiting.pop().resolve()
        if path not in found:
            found.add(path)
            waiting += [path.parent / it for it in re.findall(r"(?m)^(?:import|\}).*from '(\.[^']+)'", source(path))]
    return found


# ---- words --------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_keys_in_the_same_order_with_the_same_blanks():
    chinese, english = texts("zh-CN"), texts("en")
    assert list(chinese) == list(english)
    blanks = re.compile(r"\{(\w+)\}")
    for key, text in chinese.items():
        if key != "confirm.checks.fine.one" and key != "system.restarts.one":
            assert set(blanks.findall(text)) == set(blanks.findall(english[key])), key


def test_english_has_no_chinese_and_chinese_is_chinese():
    for key, text in texts("en").items():
        if not key.startswith("language."):
            assert not re.search(r"[一-鿿]", text), key
    for key, text in texts("zh-CN").items():
        assert text == "" or re.search(r"[一-鿿]|^EN?|^English$|^、$", text), key


def test_every_text_that_is_used_is_there_and_every_text_that_is_there_is_used():
    known = set(texts("en"))
    code = "\n".join(source(path) for path in APP)
    used = set(re.findall(r"""T\(\s*'([\w.-]+)'""", code)) | set(re.findall(r"""\? '([\w]+\.[\w.-]+)'""", code))
    used |= set(re.findall(r""": '([a-z]+\.[\w.]+)'""", code)) & known
    made = [re.sub(r"\$\{[^}]*\}", "*", it) for it in re.findall(r"`([a-z]+\.[^`\s]*\$\{[^`]+)`", code)]
    patterns = [re.escape(it).replace(r"\*", r"[\w.-]+") for it in made]
    assert not {it for it in used if it not in known and not it.endswith(".js")} - {"inlet.level"}
    by_pattern = re.compile("|".join(patterns))
    spare = {key for key in known if key not in used and not by_pattern.fullmatch(key.removesuffix(".one"))}
    assert {key for key in spare if key.removesuffix(".one") not in used} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_that_come_later_are_of_pages_that_come_later(language: str):
    more = set(json.loads((WEB / "i18n" / "more" / f"{language}.json").read_text("utf-8")))
    first = set(texts(language)) - more
    code = "\n".join(source(path) for path in at_first("main.js", "pages/login.js"))
    used = {key for key in first | more if f"'{key.removesuffix('.one')}'" in code}
    for made in re.findall(r"`([a-z]+\.[^`\s]*\$\{[^`]+)`", code):
        pattern = re.escape(re.sub(r"\$\{[^}]*\}", "*", made)).replace(r"\*", r"[\w.-]+")
        used |= {key for key in first | more if re.fullmatch(pattern, key.removesuffix(".one"))}
    assert used & more == set(), "the first page would show their keys"
    assert first - used == set(), "they may come later: i18n/more/"


def test_no_literals_in_the_code():
    for path in APP:
        code = source(path)
        assert not re.search(r"[぀-ヿ一-鿿]", code), f"{path.name}: Chinese belongs into i18n/"
        for words in shown(code):
            found = set(re.findall(r"[A-Za-z]{2,}", words)) - SAME_EVERYWHERE
            assert not found, f"{path.name}: {words.strip()!r} belongs into i18n/"


def shown(code: str) -> Iterator[str]:
    """What the html`…` templates would show as it is: their text, and attributes that are read out."""
    for template in templates(code):
        for name, value in re.findall(r"""\s(aria-label|title|placeholder|alt)=["']([^"']*)["']""", template):
            assert name
            yield value
        yield re.sub(r"<[^>]*>", "\n", template)


def templates(code: str) -> Iterator[str]:
    """The raw text of each html`…`, expressions taken out; those inside expressions follow by themselves."""
    for start in (found.end() for found in re.finditer(r"html`", code)):
        text, depth, at = [], 0, start
        while at < len(code):
            two = code[at : at + 2]
            if depth == 0 and code[at] == "`":
                break
            if depth == 0 and two == "${":
                depth, at = 1, at + 2
                text.append("\0")
                continue
            if depth == 0:
                text.append(code[at])
            elif code[at] in "{}":
                depth += 1 if code[at] == "{" else -1
            at += 1
        yield "".join(text)


# ---- the code -----------------------------------------------------------------------------------------------------


def test_code_keeps_its_form():
    for path in APP:
        lines = path.read_text("utf-8").splitlines()
        code = source(path)
        assert lines[0].startswith("/**"), f"{path.name} does not say what it is"
        assert not re.search(r"\bclass\s+\w|\bthis\.", code), f"{path.name}: functions only"
        assert "console.log" not in code and "debugger" not in code, path.name  # noqa: PT018
        if path.parent.name == "pages":
            assert len(lines) < LONGEST_PAGE, f"{path.name} has {len(lines)} lines"
            assert not re.search(r"\bfetch\(", code), f"{path.name}: data comes from store.js or api.js"
        for number, line in enumerate(lines, 1):
            assert len(line) <= LONGEST_LINE, f"{path.name}:{number} has {len(line)} letters"


def test_code_imports_only_what_lies_here():
    shipped = set(re.findall(r'"([^"]+)": "\{\{assets\}\}', (WEB / "index.html").read_text("utf-8")))
    for path in APP:
        for name in re.findall(r"""(?m)(?:^(?:import|\}).*from |import\()'([^']+)'""", source(path)):
            if name.startswith("."):
                assert (path.parent / name).resolve().is_file(), f"{path.name}: {name} is not there"
            else:
                assert name in shipped, f"{path.name}: {name} is not in the import map"


def test_nothing_comes_from_another_host():
    for path in [*APP, *STYLES, WEB / "index.html"]:
        for address in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", source(path)):
            pytest.fail(f"{path.name}: {address}")


def test_styles_and_code_stay_at_the_browser_floor():
    for path in STYLES:
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(TOO_NEW_CSS, text), f"{path.name}: {re.search(TOO_NEW_CSS, text)}"
        assert not nested(text), f"{path.name}: nesting is newer than the floor: {nested(text)}"
    for path in APP:
        found = re.search(TOO_NEW_JS, source(path))
        assert not found, f"{path.name}: {found}"


def nested(css: str) -> str:
    """The first rule that stands inside a rule ("" when none does); @media and @keyframes may hold rules."""
    stack: list[str] = []
    for found in re.finditer(r"([^{};]*)([{};])", css):
        head, sign = found[1].strip(), found[2]
        if sign == "{":
            if stack and not stack[-1].startswith("@"):
                return head
            stack.append(head)
        elif sign == "}":
            stack.pop()
    return ""


# ---- colours ------------------------------------------------------------------------------------------------------

INKS = ("ink", "ink-2", "ink-3")
GROUNDS = ("bg", "panel", "panel-2", "raise", "hatch", "accent-soft")
TEXT_PAIRS = [(ink, ground) for ink in INKS for ground in GROUNDS if (ink, ground) != ("ink-3", "accent-soft")] + [
    ("accent-ink", "accent"),
    ("proc-on-ink", "proc-on"),
    ("p1-ink", "p1"),
    ("p2-ink", "p2"),
    ("p3-ink", "p3"),
    ("p4-ink", "p4"),
    ("notice-ink", "notice"),
]
SHAPE_PAIRS = [
    (shape, ground) for shape in ("p1-line", "p4", "proc-on", "focus", "accent") for ground in ("panel", "raise")
]


@pytest.mark.parametrize("theme", ["day", "night"])
def test_every_pair_of_colours_can_be_read(theme: str):
    colours = tokens(theme)
    for ink, ground in TEXT_PAIRS:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, contrast(colours[ink], colours[ground]))
    for shape, ground in SHAPE_PAIRS:
        assert contrast(colours[shape], colours[ground]) >= 3, (
            shape,
            ground,
            contrast(colours[shape], colours[ground]),
        )
    if theme == "day":  # the pale ones stand out by their outline
        assert contrast(colours["edge"], colours["raise"]) >= 3


def tokens(theme: str) -> dict[str, str]:
    text = (WEB / "css" / "tokens.css").read_text("utf-8")
    day, _, night = text.partition('[data-theme="night"]')
    told = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", day))
    if theme == "night":
        told |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", night.partition("\n}")[0]))
    return told


def contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (it / 12.92 if it <= 0.03928 else ((it + 0.055) / 1.055) ** 2.4 for it in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# ---- what is sent -------------------------------------------------------------------------------------------------


def test_the_files_are_few_and_small():
    size = sum(path.stat().st_size for path in WEB.rglob("*") if path.is_file())
    assert size <= MOST_FILES_KB * 1024


def test_the_page_has_one_inline_script_and_its_sum_is_in_the_policy():
    index = Pages().index
    assert index is not None
    text = index.body.decode()
    assert len(re.findall(r"<script(?![^>]*\ssrc=)", text)) == 1
    assert not re.search(r"\son\w+=|style=", text)
