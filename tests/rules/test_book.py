"""The book of all rules: who is bound to what, restarts, and what cannot be seen."""

from msgspec.structs import replace

from hub.contract import Hold
from hub.model import Alarm, AlarmState, Nameplate, Point, Quality, Severity
from rules.book import Book
from rules.engine import Phase
from tests.rules.field import DEVICE, PLATE, Scene, at, put, rule, slots

HIGH = {"when": "inlet.level > 3.20 m", "until": "inlet.level < 3.05 m"}
HOT = {"each": "pump*", "when": "each.winding > 130 °C", "name": "hot"}


def standing(name, state=AlarmState.UNACKNOWLEDGED):
    return Alarm(
        id="a1", device=DEVICE.id, rule=name, severity=Severity.MEDIUM, state=state,
        since=at(-100), raised_at=at(-40), say={}, do={}, facts={},
    )  # fmt: skip


def test_each_part_is_an_instance_and_wakes_on_its_own_points():
    scene = Scene(rule(**HOT), rule(**HIGH))
    assert {key: [it.id for it in its] for key, its in scene.wakes.items()} == {
        "pump1.winding": ["hot / pump1"],
        "pump2.winding": ["hot / pump2"],
        "inlet.level": ["r"],
    }
    assert scene.take(0, pump1__winding=131.0, pump2__winding=120.0) == ["hot / pump1 raised"]
    assert scene.take(1, pump2__winding=131.0) == ["hot / pump2 raised"]


def test_a_rule_is_bound_to_the_kind_profile_and_devices_that_it_names():
    everywhere, other_kind = rule(**HIGH, name="a"), rule(**HIGH, name="b", kind="truck")
    this, other = rule(**HIGH, name="c", profile=["ps-2026"]), rule(**HIGH, name="d", profile=["ec-lift"])
    here, there = rule(**HIGH, name="e", device=["ps-1", "ps-2"]), rule(**HIGH, name="f", device=["ps-9"])
    scene = Scene(everywhere, other_kind, this, other, here, there)
    assert [it.id for it in scene.wakes["inlet.level"]] == ["a", "c", "e"]


def test_a_rule_that_cannot_be_on_a_device_is_left_out_by_name_and_the_others_go_on():
    plate = Nameplate({"inlet.level": Point("inlet.level", unit="MPa"), "pump1.x": Point("pump1.x")})
    scene = Scene(rule(**HIGH), rule("pump1.x > 1", name="works"), rule(**HOT), plate=plate)
    assert list(scene.wakes) == ["pump1.x"]
    assert scene.book.left_out[DEVICE.id] == (
        'rules/test.toml › rule "r" › in "inlet.level > 3.20 m" (letter 20): "m" measures length, "MPa" measures '
        "pressure. Write one of: MPa, Pa, bar, kPa",
        'rules/test.toml › rule "r" › in "inlet.level < 3.05 m" (letter 20): "m" measures length, "MPa" measures '
        "pressure. Write one of: MPa, Pa, bar, kPa",
    )


def test_after_a_restart_what_stands_is_not_announced_again_and_returns_when_it_does():
    for state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED):
        scene = Scene(rule(**HIGH))
        scene.book.restore([standing("r", state)])
        assert scene.take(0, inlet__level=3.3) == []
        assert scene.take(1, inlet__level=...) == []
        assert scene.take(2, inlet__level=3.0) == ["r returned"]
        assert scene.found[0].since == at(-100)


def test_what_stands_may_be_restored_before_its_device_is_there():
    book = Book([rule(**HIGH)], lambda device: PLATE)
    book.restore([standing("r")])
    where = slots()
    wakes = book.bind(DEVICE, where)
    put(where, {"inlet.level": 3.3})
    assert book.step(wakes["inlet.level"], at(0)) == []


def test_what_has_returned_before_the_restart_rings_again_when_it_comes_again():
    scene = Scene(rule(**HIGH))
    scene.book.restore([standing("r", AlarmState.RETURNED)])
    assert scene.take(0, inlet__level=3.3) == ["r raised"]


def test_a_hold_that_was_running_goes_on_after_a_restart():
    before = Scene(rule(**HIGH, hold="60 s"))
    before.take(0, inlet__level=3.3)
    holds = before.book.holds()
    assert holds == [Hold(DEVICE.id, "r", Phase.PENDING, at(0))]
    after = Scene(rule(**HIGH, hold="60 s"))
    after.book.restore([], holds)
    assert after.tick(60) == []  # nothing has been read since: unknown
    assert after.take(50, inlet__level=3.3) == []
    assert after.tick(59.9) == []
    assert after.tick(60) == ["r raised"]
    assert after.found[0].since == at(0)


def test_a_hold_that_was_running_while_the_house_stood_is_judged_with_the_first_reading():
    after = Scene(rule(**HIGH, hold="60 s"))
    after.book.restore([], [Hold(DEVICE.id, "r", Phase.PENDING, at(0))])
    assert after.take(300, inlet__level=3.3) == ["r raised"]
    after = Scene(rule(**HIGH, hold="60 s"))
    after.book.restore([], [Hold(DEVICE.id, "r", Phase.PENDING, at(0))])
    assert after.take(300, inlet__level=3.1) == []
    assert after.book.holds() == []


def test_a_return_that_was_running_goes_on_after_a_restart():
    before = Scene(rule(**HIGH, until_hold="60 s"))
    before.take(0, inlet__level=3.3)
    before.take(10, inlet__level=3.0)
    after = Scene(rule(**HIGH, until_hold="60 s"))
    after.book.restore([standing("r")], before.book.holds())
    assert after.take(20, inlet__level=3.0) == []
    assert after.tick(70) == ["r returned"]


def test_without_kept_holds_a_restart_makes_a_hold_begin_again_and_nothing_worse():
    after = Scene(rule(**HIGH, hold="60 s"))
    after.book.restore([])
    after.take(30, inlet__level=3.3)
    assert after.tick(89.9) == []
    assert after.tick(90) == ["r raised"]


def test_a_device_that_is_described_anew_keeps_what_stands_and_what_is_held():
    scene = Scene(rule(**HIGH), rule(**HIGH, name="held", hold="60 s"), rule(**HOT))
    scene.take(0, inlet__level=3.3, pump1__winding=100.0)
    scene.book.unbind(DEVICE.id)
    assert scene.book.tick(at(60)) == []  # nobody rings for a device that is not there
    scene.wakes = scene.book.bind(replace(DEVICE, name="东门"), scene.slots)
    assert scene.take(30, inlet__level=3.3) == []
    assert scene.take(60, inlet__level=3.3) == ["held raised"]
    assert scene.take(61, inlet__level=3.0) == ["r returned", "held returned"]


def test_a_standing_alarm_whose_rule_is_gone_is_named():
    scene = Scene(rule(**HIGH))
    scene.book.restore([standing("r"), standing("an old rule")])
    assert scene.book.orphans() == [(DEVICE.id, "an old rule")]


def test_what_cannot_be_judged_is_named_with_the_points_it_wants():
    scene = Scene(
        rule(**HIGH),
        rule("inlet.level > setting.high_high_level and pump1.running is on", name="two"),
        rule("inlet.level is missing", name="never blind"),
        rule(**HOT),
    )
    assert [blind.rule for blind in scene.book.unknown(DEVICE.id)] == ["r", "two", "hot / pump1", "hot / pump2"]
    scene.take(0, inlet__level=3.3, pump1__winding=100.0, pump2__winding=100.0)
    (blind,) = scene.book.unknown(DEVICE.id)
    assert blind.rule == "two"
    assert [(key, quality) for key, quality, _ in blind.wants] == [
        ("setting.high_high_level", Quality.BAD),
        ("pump1.running", Quality.BAD),
    ]
    assert blind.wants[0][2] is not None
    scene.take(1, pump1__running=False)
    assert scene.book.unknown(DEVICE.id) == []  # "… and false" is false, whatever the limit is
    scene.take(2, inlet__level=...)
    assert [blind.rule for blind in scene.book.unknown(DEVICE.id)] == ["r"]  # it stands, and cannot end
    assert scene.book.unknown("nobody") == []


def test_timers_ring_in_the_order_of_their_time():
    scene = Scene(rule(**HIGH, name="slow", hold="60 s"), rule(**HIGH, name="fast", hold="30 s"))
    scene.take(0, inlet__level=3.3)
    assert scene.book.next_due() == at(30)
    assert scene.tick(100) == ["fast raised", "slow raised"]
    assert scene.book.next_due() is None
