"""notify.toml: what it says, and every mistake in it at once, with what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.contract import BadConfig
from hub.model import Severity
from hub.notices.file import NAME, read_plan, unheard
from hub.notices.plan import Whom
from tests.hub.notices.scene import CHANNELS, KNOWN, PLACES, ROUTE


def read(folder: Path, text: str, environment: dict[str, str] | None = None):
    (folder / NAME).write_text(text, "utf-8")
    return read_plan(folder, KNOWN, environment)


def mistakes(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        read(folder, text, environment)
    return list(caught.value.mistakes)


def test_a_site_without_the_file_tells_nobody(tmp_path: Path):
    plan = read_plan(tmp_path, KNOWN, {})
    assert (plan.routes, dict(plan.channels)) == ((), {})


def test_what_it_says(tmp_path: Path):
    plan = read(tmp_path, CHANNELS + ROUTE, PLACES)
    assert [step.after_s for step in plan.routes[0].steps] == [0, 300, 900]
    assert plan.routes[0].steps[2].tell == ((Whom.CHANNEL, "group"),)
    assert plan.channels["sms"].addressed
    assert not plan.channels["group"].addressed
    assert "13800000001" in plan.contacts["li.na"].by.values()
    assert "secret1" not in repr(plan), "an address is a secret"


def test_every_mistake_at_once(tmp_path: Path):
    said = mistakes(
        tmp_path,
        CHANNELS
        + """
[[contact]]
person = "chen.bo"
by = { smss = "1" }
quiet = "25:00-07:00"
[[shift]]
name = "days"
times = ["Mon-Fry 08:00-20:00"]
people = ["li.na", "li.nan"]
[[shift]]
name = "nights"
teams = [["li.na"], ["wang.min"]]
[[shift]]
name = "empty"
[[away]]
person = "li.na"
from = 2026-06-02
to = 2026-06-01
instead = "zhao.lee"
[[route]]
name = "all"
areas = ["340299100001"]
kinds = ["pump_statoin"]
rules = ["sump hihg"]
steps = [
    { after = "5 min", tell = ["shift:dyas", "li.na"], by = ["smss"] },
    { after = "0 s", tell = ["role:water_opreator", "channel:gruop", "person:li"] },
    { after = "3 days", tell = ["channel:group"] },
]
""",
    )
    assert said == [
        'notify.toml › contact "chen.bo" › by › there is no channel "smss". Did you mean "sms"?',
        'notify.toml › contact "chen.bo" › quiet › "25:00-07:00" is no time of a day. Write for example "22:00-07:30"',
        'notify.toml › shift "days" › times › "Fry" is not a day. Did you mean "Fri"? Write for example "Mon-Fri"',
        'notify.toml › shift "nights" › since is missing. Write the day on which the first team begins: '
        "since = 2026-11-02",
        'notify.toml › shift "empty" › has nobody. Write people = […], or teams = [[…], […]] that take turns',
        'notify.toml › away "li.na" › to 2026-06-01 lies before from 2026-06-02. Write the last day as to',
        'notify.toml › away "li.na" › there is no contact "zhao.lee". Did you mean "zhao.li"?',
        'notify.toml › route "all" › areas › there is no area "340299100001". Did you mean "340299100000"?',
        'notify.toml › route "all" › kinds › there is no kind "pump_statoin". Did you mean "pump_station"?',
        'notify.toml › route "all" › rules › there is no rule "sump hihg". Did you mean "sump high"?',
        'notify.toml › route "all" › step 1 › there is no shift "dyas". Did you mean "days"?',
        'notify.toml › route "all" › step 1 › "li.na" names nobody. Write whom: tell = ["shift:days", "person:li.na", '
        '"role:water_operator", "channel:duty-group"]',
        'notify.toml › route "all" › step 1 › by › there is no channel "smss". Did you mean "sms"?',
        'notify.toml › route "all" › step 2 › there is no role "water_opreator". Did you mean "water_operator"?',
        'notify.toml › route "all" › step 2 › there is no channel "gruop". Did you mean "group"?',
        'notify.toml › route "all" › step 2 › there is no person "li". Known: chen.bo, li.na, wang.min, zhao.li',
        'notify.toml › route "all" › step 3 › after › "3 days" is not a time. Write for example "0 s", "5 min" or '
        '"1 h"',
        'notify.toml › route "all" › steps › do not come one after the other. Write them in the order of their times',
        'notify.toml › shift "days" › nobody can reach "li.nan": there is no [[contact]] of theirs. '
        'Did you mean "li.na"?',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[chanel.sms]", "notify.toml › chanel › is not known here. Take it out, or check its spelling"),
        (
            '[channel.sms]\nurl = "sms://user:geheim@host"',
            'notify.toml › channel.sms.url › is not where a secret is. Write "env:NAME" or "file:PATH", and put the '
            "secret there",
        ),
        (
            '[[route]]\nname = "x"\nsteps = []',
            "notify.toml › route.0.steps › [] has too few. Write who after whom: steps",
        ),
        ('link = "hub.county.example"', 'notify.toml › link › "hub.county.example" cannot stand here. Write "https://'),
        (
            '[[route]]\nname = "x"\nseverity = ["red"]\nsteps = [{ after = "0 s", tell = ["person:a"] }]',
            '"red" is not one of the words for this',
        ),
        ("[[contact]\n", "is not TOML"),
    ],
)
def test_what_cannot_stand_there_is_said(tmp_path: Path, text: str, said: str):
    (first,) = mistakes(tmp_path, text)
    assert said in first
    assert "geheim" not in first


def test_what_is_wrong_with_an_address_is_said_without_it(tmp_path: Path):
    (tmp_path / "sms").write_text("no address, secret22", "utf-8")
    (tmp_path / "sms").chmod(0o600)
    text = CHANNELS.replace('"env:SMS"', '"file:sms"') + ROUTE
    said = mistakes(tmp_path, text, {"GROUP": "wecombot://key/{to}"})
    assert [it.split(" › ", 2)[1:] for it in said][:2] == [
        ['channel "sms"', "url › the secret there is no address of Apprise. Write one like \"wecombot://KEY\" or "
         '"mailtos://…?to={to}"'],
        ['channel "mail"', "url › the environment has no MAIL. Set it where the hub is started: in the unit's "
         "EnvironmentFile"],
    ]  # fmt: skip
    assert 'channel "group" has {to} in its address: tell people by it' in said[-1]
    assert "secret22" not in "".join(said)


def test_a_group_is_no_way_to_a_person(tmp_path: Path):
    text = CHANNELS + '[[contact]]\nperson = "chen.bo"\nby = { group = "1" }\n'
    (said,) = mistakes(tmp_path, text, PLACES)
    assert (
        'contact "chen.bo" › by › "group" has no {to} in its address: it is a group. Tell it with "channel:group"'
        in said
    )


def test_what_may_be_meant_so_is_noted(tmp_path: Path):
    plan = read(tmp_path, CHANNELS + ROUTE.replace('name = "pumps"', 'name = "pumps"\nkinds = ["pump_station"]'))
    assert unheard(plan) == ["notify.toml › no route takes every urgent alarm: some will call nobody"]
    plan = read(tmp_path, CHANNELS + '[channel.old]\nurl = "env:OLD"\n' + ROUTE)
    assert unheard(plan) == ['notify.toml › channel "old" › nobody is told by it']


def test_teams_take_turns_from_their_day_on_and_before_it(tmp_path: Path):
    plan = read(
        tmp_path,
        CHANNELS + '[[shift]]\nname = "n"\ntimes = ["20:00-08:00"]\nteams = [["li.na"], ["wang.min"], ["zhao.li"]]\n'
        "turn_days = 2\nsince = 2026-06-01\n",
    )

    def night(day: int, hour: int) -> list[str]:
        return plan.on_duty("n", datetime(2026, 6, day, (hour - 8) % 24, tzinfo=UTC))

    assert night(1, 22) == night(2, 22) == ["li.na"]
    assert plan.on_duty("n", datetime(2026, 6, 2, 23, tzinfo=UTC)) == ["li.na"], (
        "07:00 is still the night of the day before"
    )
    assert night(3, 22) == ["wang.min"]
    assert night(5, 22) == ["zhao.li"]
    assert night(7, 22) == ["li.na"]
    assert plan.on_duty("n", datetime(2026, 5, 31, 14, tzinfo=UTC)) == ["zhao.li"]
    assert night(1, 12) == []


def test_severity_names_are_the_rules_own():
    assert {it.name.lower() for it in Severity} == {"urgent", "high", "medium", "low"}
