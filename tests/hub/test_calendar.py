"""Times that come again, in the zone of the site, over midnight and over New Year."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.calendar import DAYS, BadTimes, read

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def local(text, zone=SHANGHAI):
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("08:00-18:00", ("2026-06-03 08:00", "2026-06-07 17:59"), ("2026-06-03 07:59", "2026-06-03 18:00")),
        ("22:00-07:30", ("2026-06-03 22:00", "2026-06-04 00:00", "2026-06-04 07:29"), ("2026-06-04 07:30",)),
        ("Mon-Fri", ("2026-06-01 00:00", "2026-06-05 23:59"), ("2026-06-06 00:00", "2026-06-07 12:00")),
        ("Sat,Sun", ("2026-06-06 00:00", "2026-06-07 23:59"), ("2026-06-08 00:00", "2026-06-05 23:59")),
        ("Fri-Mon", ("2026-06-05 12:00", "2026-06-08 12:00"), ("2026-06-04 12:00", "2026-06-09 12:00")),
        ("Fri 22:00-06:00", ("2026-06-05 22:00", "2026-06-06 05:59"), ("2026-06-05 05:00", "2026-06-06 22:00")),
        ("05-15..09-30", ("2026-05-15 00:00", "2026-09-30 23:59"), ("2026-05-14 23:59", "2026-10-01 00:00")),
        ("11-15..02-29", ("2026-12-01 12:00", "2027-02-28 12:00"), ("2027-03-01 00:00", "2026-11-14 12:00")),
        ("12-31..12-31 20:00-04:00", ("2026-12-31 20:00", "2027-01-01 03:59"), ("2026-12-31 03:00",)),
        ("05-15..09-30 Mon-Fri 08:00-24:00", ("2026-06-01 23:59",), ("2026-06-02 00:00", "2026-06-06 09:00")),
    ],
)
def test_when_it_is(text, yes, no):
    it = read(text)
    assert [moment for moment in yes if not it.holds(local(moment), SHANGHAI)] == []
    assert [moment for moment in no if it.holds(local(moment), SHANGHAI)] == []


def test_what_goes_over_midnight_belongs_to_the_day_on_which_it_began():
    nights = read("Fri 22:00-06:00")
    assert nights.day(local("2026-06-05 23:00"), SHANGHAI) == nights.day(local("2026-06-06 05:59"), SHANGHAI)
    assert nights.day(local("2026-06-06 05:59"), SHANGHAI) == date(2026, 6, 5)
    assert nights.day(local("2026-06-06 06:00"), SHANGHAI) is None
    assert read("Mon-Fri").day(local("2026-06-05 23:59"), SHANGHAI) == date(2026, 6, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "says no time"),
        ("every day", '"every" is not a day. Days: Mon, Tue'),
        ("Mo-Fr", '"Mo" is not a day. Did you mean "Mon"?'),
        ("25:00-07:00", '"25:00-07:00" is no time of a day. Write for example "22:00-07:30"'),
        ("08:00-08:00", "begins when it ends. Leave it out for the whole day"),
        ("02-30..03-01", '"02-30..03-01" has a day that no year has'),
        ("08:00-18:00 Mon", '"Mon" is no time here. Write days of the year, days, hours'),
        ("08:00-12:00 13:00-18:00", '"13:00-18:00" is no time here'),
        ("8-18", '"8-18" is no time here'),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(BadTimes) as caught:
        read(text)
    assert said in str(caught.value)


TEXTS = st.tuples(
    st.sampled_from(["", "05-15..09-30", "10-25..03-29", "02-29..02-29"]),
    st.sampled_from(["", *DAYS, "Mon-Fri", "Sat-Tue"]),
    st.sampled_from(["", "00:00-23:59", "02:00-03:00", "02:30-02:15", "22:00-07:30"]),
).map(" ".join)


@given(TEXTS.filter(str.strip), st.integers(0, 2 * 365 * 24 * 60), st.sampled_from([SHANGHAI, BERLIN]))
@settings(max_examples=200)
def test_between_now_and_its_next_edge_the_answer_is_the_same(text, minutes, zone):
    """Also where the clocks of the zone are set, twice a year."""
    it, at = read(text), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    now, edge = it.holds(at, zone), it.next_edge(at, zone)
    until = at + timedelta(days=3) if edge is None else min(edge, at + timedelta(days=3))
    for n in range(1, int((until - at) / timedelta(minutes=15))):
        assert it.holds(at + timedelta(minutes=15 * n), zone) is now
    if edge is not None:
        assert edge > at
        assert it.holds(edge, zone) is not now
