"""A calendar in a condition."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hub.calendar import read
from rules.season import Season

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=SHANGHAI).astimezone(UTC)


def test_it_is_looked_up_again_only_at_its_edge_and_when_the_clock_is_set_back():
    season = Season(read("22:00-07:30"), SHANGHAI)
    season.look(local("2026-06-03 21:00"))
    assert (season.trusted, season.next_look()) == (False, local("2026-06-03 22:00"))
    season.look(local("2026-06-03 22:00"))
    assert (season.trusted, season.next_look()) == (True, local("2026-06-04 07:30"))
    season.look(local("2026-06-03 12:00"))
    assert season.trusted is False
