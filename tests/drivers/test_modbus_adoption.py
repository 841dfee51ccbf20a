"""Devices that come, change and go while the house runs: DTUs at a real door, adopted, replaced, retired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import DRIVERS
from drivers.modbus.driver import ModbusDriver
from hub import pending
from hub.adoption import OfAFile
from hub.clock import SystemClock
from hub.config import read_site
from hub.contract import BadConfig
from hub.errands.audit import verify
from hub.house import House
from hub.ledger.inspection import inspecting
from hub.model import Device, Quality
from hub.pending import Pending
from rules.book import Book
from rules.load import load_rules
from simulators.modbus.line import Unit
from simulators.modbus.server import DialIn, Greeting
from tests.drivers.modbus_site import Registers, until, word_at

PROFILES = Path(__file__).parent / "profiles"
A, B = "860123456789012", "860123456789013"
HUB = f"""
[drivers.modbus]
dtu_host = "127.0.0.1"
dtu_port = 0
dtu_settle_ms = 0
dtu_timeout_ms = 300
profiles_dir = "{PROFILES}"
"""
FILE = """
[[area]]
code = "340299100000"
name = "城关镇"

[[device]]
id = "of-a-file"
name = "文件泵站"
kind = "pump_station"
profile = "words"
address = "modbus+dtu:860000000000001/1"
"""


def row(id: str, imei: str = A, unit: int = 1, **more: Any) -> dict[str, Any]:
    told = {"id": id, "name": f"泵站 {id}", "kind": "pump_station", "address": f"modbus+dtu:{imei}/{unit}"}
    return told | {"profile": "words", "area": "340299100000", "settings": {"gap_ms": 0}} | more


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    (folder / "devices").mkdir(parents=True, exist_ok=True)
    (folder / "hub.toml").write_text(HUB, "utf-8")
    (folder / "devices" / "all.toml").write_text(FILE, "utf-8")
    site = read_site(folder, DRIVERS)
    plates = dict(site.plates)
    book = Book(load_rules(folder / "rules", []), lambda device: plates[device.id])
    it = await House.open(site, SystemClock(), book, DRIVERS, plates=plates)
    it.start()
    try:
        yield it
    finally:
        await it.close()


async def port_of(it: House) -> int:
    driver = it.drivers["modbus"]
    assert isinstance(driver, ModbusDriver)
    await until(lambda: driver.listener is not None and driver.listener.seats)
    assert driver.listener is not None
    return driver.listener.port


async def adopt(it: House, told: dict[str, Any]) -> Device:
    instead_of = told["id"] if told["id"] in it.hub.members else ""
    device, _ = it.adoption.check(told, instead_of)
    await it.put_device(device, instead_of, "li.qiang", {"address": "10.0.0.1"})
    return device


def good(it: House, device: str, point: str = "word.w111") -> Any:
    member = it.hub.members.get(device)
    slot = member.slots.get(point) if member else None
    return slot.value if slot is not None and slot.quality is Quality.GOOD else None


def whole(folder: Path) -> list[str]:
    with inspecting(f"sqlite:///{folder / 'data' / 'ledger.sqlite'}") as ledger:
        return [str(it) for it in verify(ledger, []).faults]


async def test_a_stranger_waits_unanswered_and_is_a_device_as_soon_as_somebody_says_so(tmp_path: Path):
    async with house(tmp_path) as it:
        unit = Unit(Registers(salt=3))
        caller = DialIn({1: unit}, "127.0.0.1", await port_of(it), Greeting(A.encode()))
        await caller.up()
        await until(it.reception.pending.all)
        (stranger,) = it.reception.pending.all()
        assert (stranger.address, stranger.peer, stranger.times) == (f"modbus+dtu:{A}/1", "127.0.0.1", 1)
        assert not unit.memory.asked, "nothing is asked of it"
        await adopt(it, row("new"))
        await until(lambda: good(it, "new") == word_at(111, 3))
        assert it.reception.pending.all() == []
        assert it.historian.catalogue.find("new", "word.w111") is not None
        await caller.down()
    assert whole(tmp_path) == []
    async with house(tmp_path) as again:
        assert again.hub.members["new"].device.name == "泵站 new", "it is there after a restart"


async def test_a_new_controller_has_the_history_of_the_old_one_and_the_old_one_is_believed_no_more(tmp_path: Path):
    async with house(tmp_path) as it:
        port = await port_of(it)
        old = DialIn({1: Unit(Registers(salt=1))}, "127.0.0.1", port, Greeting(A.encode()))
        new = DialIn({1: Unit(Registers(salt=2))}, "127.0.0.1", port, Greeting(B.encode()))
        await old.up()
        await adopt(it, row("ps-1"))
        await until(lambda: good(it, "ps-1") == word_at(111, 1))
        series = it.historian.catalogue.find("ps-1", "word.w111")
        await new.up()
        await adopt(it, row("ps-1", B))
        await until(lambda: good(it, "ps-1") == word_at(111, 2))
        await asyncio.sleep(0.3)
        assert good(it, "ps-1") == word_at(111, 2)
        assert it.historian.catalogue.find("ps-1", "word.w111") == series
        await old.down()
        await new.down()
    assert whole(tmp_path) == []


async def test_what_is_taken_out_of_service_is_polled_no_more_and_keeps_its_history(tmp_path: Path):
    async with house(tmp_path) as it:
        unit = Unit(Registers(salt=1))
        caller = DialIn({1: unit}, "127.0.0.1", await port_of(it), Greeting(A.encode()))
        await caller.up()
        await adopt(it, row("ps-1"))
        await until(lambda: good(it, "ps-1"))
        await it.retire_device("ps-1", "li.qiang", {})
        await asyncio.sleep(0.3)
        asked = len(unit.memory.asked)
        await asyncio.sleep(0.5)
        assert len(unit.memory.asked) == asked
        assert "ps-1" not in it.hub.members
        found = await it.historian.range(
            [it.historian.catalogue.find("ps-1", "word.w111").id],
            0,
            2**62,  # type: ignore[union-attr]
        )
        assert found, "its history stays"
        for other in (row("ps-1", kind="gate"), row("ps-1", B, name="另一座")):
            with pytest.raises(BadConfig, match=r'was the pump_station "泵站 ps-1" at .* Choose another id'):
                await adopt(it, other)
        await adopt(it, row("ps-1"))
        assert "ps-1" in it.hub.members, "it comes back as itself"
        await caller.down()
    assert whole(tmp_path) == []


async def test_mistakes_are_those_of_a_file_all_at_once_and_change_nothing(tmp_path: Path):
    async with house(tmp_path) as it:
        await adopt(it, row("ps-1"))
        bad = row("PS 2", area="999999999999", profile="wrods", address=f"modbus+dtu:{A}/1")
        with pytest.raises(BadConfig) as said:
            it.adoption.check(bad)
        text = "\n".join(said.value.mistakes)
        for part in ("small letters", 'no area "999999999999"', "wrods", 'is also the address of "ps-1"'):
            assert part in text, text
        with pytest.raises(BadConfig, match="this id is used already"):
            it.adoption.check(row("ps-1", B))
        with pytest.raises(OfAFile):
            await it.retire_device("of-a-file", "li.qiang", {})
        with pytest.raises(OfAFile):
            await adopt(it, row("of-a-file", B))
        assert sorted(it.hub.members) == ["of-a-file", "ps-1"]


async def test_two_who_adopt_at_the_same_time_do_not_get_one_address_both(tmp_path: Path):
    async with house(tmp_path) as it:
        outcomes = await asyncio.gather(adopt(it, row("one")), adopt(it, row("two")), return_exceptions=True)
        (refused,) = [one for one in outcomes if isinstance(one, BaseException)]
        assert isinstance(refused, BadConfig)
        assert "is also the address of" in str(refused)
        assert len(set(it.hub.members) & {"one", "two"}) == 1
        gone = asyncio.gather(
            it.retire_device("one" if "one" in it.hub.members else "two", "li.qiang", {}),
            adopt(it, row("one" if "one" in it.hub.members else "two", B)),
            return_exceptions=True,
        )
        assert isinstance((await gone)[1], BadConfig), "what was retired meanwhile does not come back by a change"
    assert whole(tmp_path) == []


# ---- nobody speaks for another --------------------------------------------------------------------------------------


async def test_whatever_one_dtu_sends_no_reading_of_another_changes(tmp_path: Path):
    """Bytes of every kind on A's line, answers of B's unit among them."""
    async with house(tmp_path) as it:
        port = await port_of(it)
        b = DialIn({1: Unit(Registers(salt=2))}, "127.0.0.1", port, Greeting(B.encode()))
        await b.up()
        await adopt(it, row("b", B))
        await adopt(it, row("a", A))
        words = [key for key in it.hub.members["b"].slots if key.startswith("word")]
        await until(lambda: all(it.hub.members["b"].slots[key].value is not None for key in words))  # of all blocks
        assert good(it, "b") == word_at(111, 2)
        before = {key: slot.value for key, slot in it.hub.members["b"].slots.items() if key.startswith("word")}
        forged = bytes.fromhex("0103020000b844") + b"\x01\x03\x7c" + b"\x7f" * 124

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.one_of(st.binary(max_size=260), st.just(forged), st.just(B.encode())), max_size=6))
        def search(parts: list[bytes]) -> None:
            sent.append(parts)

        sent: list[list[bytes]] = []
        search()
        for parts in sent:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(A.encode())
            await asyncio.sleep(0.02)
            for part in parts:
                writer.write(part)
            await asyncio.sleep(0.02)
            writer.close()
        await asyncio.sleep(0.5)
        after = {key: slot.value for key, slot in it.hub.members["b"].slots.items() if key.startswith("word")}
        assert after == before
        await b.down()


async def test_two_that_claim_one_name_are_shown_with_where_they_came_from(tmp_path: Path):
    """The new connection counts: a DTU that lost its network must get in again. That there were two is said."""
    async with house(tmp_path) as it:
        port = await port_of(it)
        await adopt(it, row("a", A))
        one = DialIn({1: Unit(Registers(salt=1))}, "127.0.0.1", port, Greeting(A.encode()))
        await one.up()
        await until(lambda: good(it, "a"))
        _, two = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        two.write(A.encode())
        await until(lambda: [p for p in it.puzzles() if p.why.key == "modbus.claimed_twice"])
        (puzzle,) = [p for p in it.puzzles() if p.why.key == "modbus.claimed_twice"]
        assert (puzzle.address, puzzle.why.args) == (f"modbus+dtu:{A}/1", {"before": "127.0.0.1", "now": "127.0.0.2"})
        two.close()
        await one.down()


def test_one_address_cannot_push_the_others_out_of_the_waiting_list(monkeypatch: pytest.MonkeyPatch):
    now = datetime(2026, 11, 27, tzinfo=UTC)
    it = Pending()
    it.heard("modbus+dtu:1/1", "10.0.0.1", b"1" * 500, now)
    for number in range(pending.MOST_OF_ONE * 3):
        it.heard(f"modbus+dtu:9{number}/1", "10.0.0.66", b"x", now)
    known = it.all()
    assert known[-1].address == "modbus+dtu:1/1"
    assert len(known) == pending.MOST_OF_ONE + 1
    assert len(known[-1].raw) == pending.MOST_BYTES
    monkeypatch.setattr(pending, "MOST_PENDING", 60)
    for number in range(100):
        it.heard(f"modbus+dtu:7{number}/1", f"10.0.1.{number}", b"x", now)
    assert len(it.all()) <= 60 + 1
    assert it.forgotten > 100
