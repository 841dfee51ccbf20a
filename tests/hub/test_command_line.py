"""The words after `fieldhub`: each command has an example that is true, and says what a word cannot be."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import defaultdict
from pathlib import Path

import pytest

from hub.command_line import parser
from simulators.county.stations import SITES

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PARSER = parser(defaultdict(lambda: lambda args: 0))
COMMANDS = next(it for it in PARSER._actions if isinstance(it, argparse._SubParsersAction)).choices


def example(name: str) -> list[str]:
    return shlex.split(COMMANDS[name].format_help().partition("example:")[2])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_it_understands(name: str):
    assert example(name)[:2] == ["fieldhub", name]
    PARSER.parse_args(example(name)[1:])


def test_the_example_of_a_fault_names_a_station_of_the_demo():
    assert example("fault")[3] in {site.id for site in SITES}


def test_help_says_where_the_examples_are_and_the_readme_lists_the_commands():
    assert "fieldhub COMMAND --help shows what a command takes, with an example." in PARSER.format_help()
    told = README.partition("`fieldhub COMMAND --help` shows one with an example:")[2].partition(". ")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run x --port 99999", "99999 is not a port. Write a number from 1 to 65535, like 8420"),
        ("demo --port http", "http is not a port. Write a number from 1 to 65535, like 8420"),
        ("fault set a b --for -5", "-5 is not a time. Write a number of seconds above 0, like 120"),
        ("fault set a b --for soon", "soon is not a time. Write a number of seconds above 0, like 120"),
        ("fault set a b --for inf", "inf is not a time. Write a number of seconds above 0, like 120"),
    ],
)
def test_a_word_that_cannot_be_is_said(words: str, said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        PARSER.parse_args(words.split())
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_readme_says_what_a_dtu_needs():
    (row,) = [line for line in README.splitlines() if "modbus+dtu:" in line]
    assert "needs `dtu_port` in `[drivers.modbus]` of `hub.toml`" in row
