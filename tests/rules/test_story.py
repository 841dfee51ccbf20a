"""A story is played as it is written; what is not true of it, or cannot be read, is said by its line."""

import pytest

from rules.errors import BadRule
from rules.fit import against
from rules.load import Rules
from rules.story import play, play_all
from tests.rules.field import DEVICE, PLATE, rule

# style.md §3, with the pump's number and a severity of the house
STORY = """
time   outlet.pressure   pump1.running   is
0 s    0.50              on              normal
10 s   0.85              -               pending
39 s   0.85              -               pending
40 s   0.85              -               raised: pump1.stop
50 s   bad               -               raised
60 s   0.75              off             raised
70 s   0.69              -               normal
"""


def over_pressure(story=STORY, **fields):
    return rule(
        "outlet.pressure > 0.80 MPa and pump1.running is on",
        **{"name": "pump over-pressure", "hold": "30 s", "until": "outlet.pressure < 700 kPa", "then": ["pump1.stop"]}
        | fields,
        story=story,
    )


def told(it):
    fit = against(it, [(DEVICE, PLATE)]).fit
    assert fit is not None
    return play(it, fit)


def test_the_story_of_the_house_is_true():
    assert told(over_pressure()) == []


PLACE = 'rules/test.toml › rule "pump over-pressure" › story › '


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("60 s   0.75              off             raised", "60 s   0.75              off             normal"),
            'at "60 s  0.75  off": expected "normal", happened "raised"',
        ),
        (
            ("raised: pump1.stop", "raised"),
            'at "40 s  0.85  -": expected "raised", happened "raised: pump1.stop"',
        ),
        (
            ("39 s   0.85              -               pending", "39 s   0.85              -               raised"),
            'at "39 s  0.85  -": expected "raised", happened "pending"',
        ),
        (("0.69              -               normal", "0.69              -               nromal"),
         'at "70 s  0.69  -": "nromal" is not a state. Did you mean "normal"?'),
        (("50 s   bad ", "50 s   bda "),
         'at "50 s   bda               -               raised": "bda" is not a number. '
         "Write one in MPa, without the unit, or -, bad, none"),
        (("0.50              on ", "0.50              yes"),
         'at "0 s    0.50              yes             normal": "yes" is no value of "pump1.running". Values: on, off'),
        (("10 s   0.85              -               pending", "10 s   0.85   pending"),
         'at "10 s   0.85   pending": has 3 cells, the first line has 4. Part them by two blanks'),
        (("39 s ", "9 s  "),
         'at "9 s    0.85              -               pending": is not later than the line before'),
        (("39 s ", "soon "),
         'at "soon   0.85              -               pending": "soon" is not a time. '
         'Write for example "30 s" or "2 min"'),
        (("outlet.pressure   pump1.running   is", "outlet.presure    pump1.running   is"),
         'at "time   outlet.presure    pump1.running   is": the rule does not look at "outlet.presure". '
         'Did you mean "outlet.pressure"?'),
        (("time   outlet", "at     outlet"),
         'at "at     outlet.pressure   pump1.running   is": the first line is "time", then points, then "is", '
         "two blanks apart"),
    ],
)  # fmt: skip
def test_what_is_not_true_is_said_by_its_line(change, said):
    assert change[0] in STORY
    assert told(over_pressure(STORY.replace(*change)))[0] == PLACE + said


def test_a_point_without_a_column_is_a_mistake():
    story = "time   outlet.pressure   is\n0 s    0.50              unknown\n"
    assert told(over_pressure(story)) == [
        PLACE + 'at "time   outlet.pressure   is": the rule looks at "pump1.running" too. Give it a column'
    ]


def test_a_story_of_nothing_is_a_mistake():
    assert told(over_pressure("once upon a time")) == [
        PLACE + 'has 1 lines. Write a head "time  inlet.level  is" and up to 200 lines'
    ]


def test_what_becomes_so_by_time_alone_between_two_lines_has_happened():
    story = """
    time   outlet.pressure   pump1.running   is
    0 s    0.85              on              pending
    90 s   0.75              -               raised: pump1.stop
    """
    assert told(over_pressure(story)) == []


def test_a_story_shows_unknown_labels_and_the_parts_of_each():
    it = rule(
        "each.state is fault",
        name="each",
        each="pump*",
        then=["each.stop"],
        story="""
        time   each.state   is
        0 s    none         unknown
        1 s    running      normal
        2 s    fault        raised: each.stop
        3 s    bad          raised
        4 s    locked out   normal
        5 s    bad          unknown
        """,
    )
    assert (
        told(it)
        == ['rules/test.toml › rule "each" › story › at "4 s  locked out": expected "normal", happened "normal"'][1:]
    )


def test_all_stories_are_played_and_all_that_is_untrue_is_said():
    true, untrue = over_pressure(), over_pressure(STORY.replace("bad", "0.6"), name="untrue")
    fits = {it.name: against(it, [(DEVICE, PLATE)]).fit for it in (true, untrue)}
    silent = rule("inlet.level > 3 m", name="silent")
    assert play_all(Rules((true, silent), (), fits)) == 1
    with pytest.raises(BadRule) as caught:
        play_all(Rules((true, untrue, silent), (), fits))
    assert len(caught.value.mistakes) == 2
    assert all('rule "untrue"' in line for line in caught.value.mistakes)
