"""The page for authors of rules is true: its rule runs, its mistakes are said as it says."""

import re
import tomllib
from pathlib import Path

import pytest

import rules
from rules.condition import Condition
from rules.errors import BadRule
from rules.fit import against
from rules.load import read
from rules.story import play
from tests.rules.field import station

README = (Path(rules.__file__).parent / "README.md").read_text("utf-8")
DEVICE, PLATE = station()
EXAMPLE = re.search(r"```toml\n(.*?)```", README, re.S)[1]
MISTAKES = re.findall(r"^(\S.*)\n    (.+)$", re.search(r"```\n(.*?)```", README.split("wrong\n")[1], re.S)[1], re.M)
CONDITIONS = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`[^|]*(?:\\\|[^|]*)*) \|", README, re.M)))


def test_its_rule_is_whole_and_its_story_is_true():
    rule = read(tomllib.loads(EXAMPLE)["rule"][0], "rules/pumps.toml")
    found = against(rule, [(DEVICE, PLATE)])
    assert found.mistakes == found.warnings == []
    assert play(rule, found.fit) == []


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_its_mistakes_are_said_as_it_says(text, said):
    with pytest.raises(BadRule) as caught:
        Condition(text).on(PLATE.points, plate="ps-2026")
    assert caught.value.mistakes == (said,)


def test_its_mistakes_are_there():
    assert len(MISTAKES) >= 8


@pytest.mark.parametrize("text", [one for one in CONDITIONS if "." in one])
def test_its_conditions_can_be_read(text):
    Condition(text)
