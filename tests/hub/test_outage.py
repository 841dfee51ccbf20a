"""One town's link is cut: one alarm for its cause, none for each of its stations, and none is missed elsewhere."""

import pytest
from msgspec import structs

from hub.clock import ManualClock
from hub.hub import Hub
from hub.model import LINK, Alarm, Area, Device, LinkState, Reading
from hub.outage import AT_ONCE_S, EVERY_S, Outages
from hub.rights import FAMILIES, Family
from rules.book import Book
from rules.load import load, shipped_files
from tests.rules.field import station
from tests.rules.test_in_the_hub import CALM, NoHistory, Notebook

_, PLATE = station(2)
CITY, TOWNS, VILLAGES = "341200000000", ("341204100000", "341204101000", "341204102000"), 3
AREAS = (
    Area(CITY, "阜城市"),
    *(Area(town, f"{n} 号镇", CITY) for n, town in enumerate(TOWNS, 1)),
    *(Area(f"{town[:9]}20{n}", f"{n} 号村", town) for town in TOWNS for n in range(VILLAGES)),
)
RULES = load(shipped_files())


class County:
    """A hub with stations in the villages of three towns. Their values come in every 10 s as long as they are up."""

    def __init__(self, stations: int = 150, changes=(), clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.plates: dict = {}
        self.book = Book(RULES, lambda device: self.plates[device.id])
        self.notes = Notebook()
        self.hub = Hub(self.clock, NoHistory(), self.notes, self.book)
        self.hub.areas.update({area.code: area for area in AREAS})
        family = lambda device: FAMILIES.get(device.kind, Family.OTHER)  # noqa: E731
        self.outages = Outages(self.hub, self.clock, family, self.plates)
        for town in TOWNS:
            for n in range(stations):
                area = f"{town[:9]}20{n % VILLAGES}"
                self.adopt(
                    Device(f"ps-{town[7:9]}-{n}", f"{n}", "pump_station", f"modbus+tcp://10.{town[8]}.0.{n}", "", area)
                )
        self.outages.gather()
        self.hub.restore(changes)
        self.outages.resume()
        self.down: set[str] = set()
        self.silent: set[str] = set()  # nothing is said of them, not even whether they are up
        self.values: dict[str, dict] = {}

    def adopt(self, device: Device) -> None:
        self.plates[device.id] = PLATE
        self.hub.adopt(device, PLATE)

    def of(self, town: str) -> list[str]:
        return [id for id, it in self.hub.members.items() if it.device.area[:9] == town[:9] and id.startswith("ps-")]

    async def run(self, seconds: float, step_s: float = EVERY_S) -> None:
        until = self.clock.monotonic() + seconds
        polls = 0
        while self.clock.monotonic() < until:
            now = self.clock.now()
            if polls % 5 == 0:
                for id in self.plates.keys() - self.silent:
                    if id.startswith("ps-"):
                        state = LinkState.DOWN if id in self.down else LinkState.UP
                        alive = {**CALM, "plc.heartbeat": int(now.timestamp()) % 65536}
                        told = {LINK: state.value} if id in self.down else {**alive, **self.values.get(id, {})}
                        self.hub.take([Reading(id, key, value, now, now) for key, value in told.items()])
            self.outages.look()
            self.hub.tick()
            await self.clock.advance(step_s)
            polls += 1

    def calling(self) -> list[tuple[str, str]]:
        return sorted((it.device, it.rule) for it in self.hub.book.standing() if it.calls)

    def alarm(self, device: str, rule: str) -> Alarm | None:
        return self.hub.book.of(device, rule)


OUTAGE_RULE = "many devices silent at once"


async def test_the_storm():
    """150 stations of a town are cut off, 20 levels flap at their limit, and three true alarms come meanwhile."""
    it = County()
    await it.run(60)
    assert it.calling() == []
    town, other = it.of(TOWNS[0]), it.of(TOWNS[1])
    it.down |= set(town)
    for n in range(60):  # ten minutes
        for flapping in other[:20]:
            it.values[flapping] = {"inlet.level": 4.01 if n % 2 else 3.5}
        if n >= 6:
            for true in other[20:23]:
                it.values[true] = {"inlet.level": 4.2}
        await it.run(10)
    highs = [(id, rule) for id in sorted(other[20:23]) for rule in ("sump high", "sump high-high")]
    assert it.calling() == sorted([*highs, (f"water:{TOWNS[0]}", OUTAGE_RULE)])
    said = it.alarm(f"water:{TOWNS[0]}", OUTAGE_RULE).say
    assert said["en"] == "Outage: 150 of 150 devices fell silent at once"
    assert len(it.notes.entries) == 7  # and nothing else was ever raised: nobody was called for nothing


async def test_what_stays_down_after_it_rings_by_itself():
    it = County(stations=20)
    await it.run(20)
    town = it.of(TOWNS[0])
    it.down |= set(town)
    await it.run(300)
    assert it.calling() == [(f"water:{TOWNS[0]}", OUTAGE_RULE)]
    it.down = {town[3]}
    await it.run(120)
    over = it.alarm(f"water:{TOWNS[0]}", OUTAGE_RULE)
    assert over.state == "returned"
    assert it.calling() == sorted([(town[3], "link down"), (f"water:{TOWNS[0]}", OUTAGE_RULE)])


async def test_those_that_rang_before_it_was_known_are_put_under_it():
    it = County(stations=20)
    await it.run(20)
    town = it.of(TOWNS[0])
    it.down |= set(town[:4])
    await it.run(90)
    assert len(it.calling()) == 4
    it.down |= set(town[4:])
    await it.run(60)
    assert it.calling() == [(f"water:{TOWNS[0]}", OUTAGE_RULE)]
    assert it.alarm(town[0], "link down").suppressed.say["en"] == "Part of an outage: see the alarm of its area"
    assert it.alarm(town[10], "link down") is None


async def test_four_are_no_outage_and_five_of_a_hundred_are_none():
    it = County(stations=20)
    await it.run(20)
    it.down |= set(it.of(TOWNS[0])[:4])
    await it.run(60)
    assert it.calling() == [(id, "link down") for id in sorted(it.down)]
    it = County(stations=100)
    await it.run(20)
    it.down |= set(it.of(TOWNS[0])[:10])
    await it.run(60)
    assert it.calling() == [(id, "link down") for id in sorted(it.down)]


async def test_those_that_fell_silent_one_by_one_have_no_cause_in_common():
    it = County(stations=20)
    await it.run(20)
    for id in it.of(TOWNS[0])[:8]:
        it.down.add(id)
        await it.run(AT_ONCE_S / 3)
    assert it.calling() == [(id, "link down") for id in sorted(it.down)]


async def test_it_is_told_of_the_smallest_area_that_holds_most_of_it_and_of_the_largest_when_it_spreads():
    it = County(stations=30)
    await it.run(20)
    village = [id for id in it.of(TOWNS[0]) if it.hub.members[id].device.area.endswith("201")]
    it.down |= set(village)
    await it.run(60)
    assert it.calling() == [(f"water:{TOWNS[0][:9]}201", OUTAGE_RULE)]
    it.down |= {id for town in TOWNS for id in it.of(town)}
    await it.run(120)
    assert (f"water:{CITY}", OUTAGE_RULE) in it.calling()
    assert it.alarm(f"water:{TOWNS[0][:9]}201", OUTAGE_RULE).state == "returned"
    assert len(it.calling()) == 2


async def test_after_a_restart_it_still_stands_and_its_stations_ring_neither_before_nor_after():
    it = County(stations=20)
    await it.run(20)
    it.down |= set(it.of(TOWNS[0]))
    await it.run(60)
    again = County(stations=20, changes=it.notes.entries, clock=it.clock)
    again.silent |= it.down
    await again.run(20)  # the driver has not said yet that they are down
    again.silent.clear()
    again.down |= it.down
    await again.run(400)
    assert again.calling() == [(f"water:{TOWNS[0]}", OUTAGE_RULE)]
    assert again.notes.entries == []
    again.down.clear()
    await again.run(200)
    assert again.alarm(f"water:{TOWNS[0]}", OUTAGE_RULE).state == "returned"


async def test_what_was_down_before_the_start_did_not_fall_silent_at_once():
    it = County(stations=20)
    it.down |= set(it.of(TOWNS[0])[:8])
    await it.run(60)
    assert it.calling() == [(id, "link down") for id in sorted(it.down)]


async def test_areas_come_and_go_with_their_devices():
    it = County(stations=5)
    water = {id for id in it.hub.members if id.startswith("water:")}
    assert water == {f"water:{code}" for code in (CITY, *TOWNS)}  # a village has two: too few
    it.hub.retire(it.of(TOWNS[0])[0])
    it.plates.pop("ps-00-0", None)
    await it.run(4)
    assert f"water:{TOWNS[0]}" not in it.hub.members
    device = Device("ps-new", "new", "pump_station", "modbus+tcp://10.9.9.9", "", f"{TOWNS[0][:9]}200")
    it.adopt(device)
    await it.run(4)
    slots = it.hub.members[f"water:{TOWNS[0]}"].slots
    assert (slots["links"].value, slots["links.down"].value, slots["outage"].value) == (5, 0, False)


async def test_a_device_that_moves_takes_its_link_along():
    it = County(stations=6)
    await it.run(10)
    moved = it.hub.members[it.of(TOWNS[0])[0]].device
    it.adopt(structs.replace(moved, area=f"{TOWNS[1][:9]}200"))
    await it.run(10)
    assert it.hub.members[f"water:{TOWNS[1]}"].slots["links"].value == 7
    assert it.hub.members[f"water:{TOWNS[0]}"].slots["links"].value == 5


@pytest.mark.parametrize("parent", ["341204100000", "nowhere"])
async def test_a_ring_of_areas_and_one_that_is_not_there_end(parent):
    it = County(stations=5)
    it.hub.areas[TOWNS[0]] = Area(TOWNS[0], "ring", parent)
    it.hub.changes += 1
    await it.run(4)
    assert f"water:{TOWNS[0]}" in it.hub.members
