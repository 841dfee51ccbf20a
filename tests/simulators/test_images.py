"""Other makes: what their images hold is what the hub's own profiles make of it."""

from __future__ import annotations

import pytest

from drivers.modbus import profile
from drivers.modbus.driver import SPEC
from hub.model import Stage
from protocols.modbus import pdu
from protocols.modbus.pdu import Why
from simulators.modbus.line import Unit
from simulators.modbus.static import StaticMemory, images, read_image
from simulators.modbus.unit import Refused, answer
from tests.drivers.modbus_site import command, device, driving, serving, until

# What a file's `expect` takes for granted about its site.
SETTINGS = {"chint-dtsu666": {"ct": 30}}


def of(name: str, now=lambda: 0.0) -> tuple[StaticMemory, dict[int, Unit]]:
    memory = StaticMemory(read_image(name), now)
    return memory, {memory.image.unit: Unit(memory)}


def test_there_is_an_image_for_each_make_that_has_a_profile():
    assert set(images()) == set(profile.load().profiles) - {"ps-2026"}  # which has a whole world


@pytest.mark.parametrize("name", images())
async def test_the_driver_reads_through_its_profile_what_the_image_says(name: str):
    memory, units = of(name)
    async with serving(units) as server:
        address = f"modbus+tcp://127.0.0.1:{server.port}/{memory.image.unit}"
        it = device("d", address, name, **SETTINGS.get(name, {}))
        points = SPEC.nameplate(it).points
        async with driving([it], profiles_dir=None) as (_, intake):
            await until(lambda: all(("d", value.name) in intake.latest for value in memory.image.values), 10)
        for value in memory.image.values:
            point, found = points[value.name], intake.latest["d", value.name]
            assert found.why is None, (value.name, found)
            assert point.unit == value.unit or value.kind == "u16", value.name
            if point.labels:
                assert found.value == point.labels[int(value.expect)], value.name
            else:
                assert found.value == pytest.approx(value.expect, rel=1e-6), value.name


@pytest.mark.parametrize("name", images())
def test_values_move_slowly_and_counters_grow(name: str):
    time_s = [0.0]
    memory, _ = of(name, lambda: time_s[0])

    seen: dict[str, set[tuple[int, ...]]] = {}
    for _ in range(500):
        time_s[0] += 7.3
        for value in memory.values.values():
            words = memory.read(value.fn, value.at, len(value.words(0.0)))
            seen.setdefault(value.name, set()).add(tuple(words))
    for value in memory.values.values():
        assert (len(seen[value.name]) > 1) == bool(value.raw and (value.wobble or value.rate)), value.name


def test_a_drive_starts_stops_and_takes_its_set_point():
    memory, _ = of("invt-gd200a")
    read = lambda at: memory.read(3, at, 1)[0]  # noqa: E731
    memory.write(0x2000, [5])
    assert (read(0x2100), read(0x3000), read(0x3004)) == (3, 0, 0)
    memory.write(0x2001, [3500])
    assert (read(0x3001), read(0x3000)) == (3500, 0)
    memory.write(0x2000, [1])
    assert (read(0x2100), read(0x3000), read(0x3004)) == (1, 3500, 386)
    memory.write(0x2001, [4000])
    assert read(0x3000) == 4000


@pytest.mark.parametrize(("name", "running"), [("invt-gd200a", "drive.running"), ("abb-acs580", "drive.running")])
async def test_a_command_of_the_hub_stops_and_starts_a_drive_and_is_seen_to(name: str, running: str):
    memory, units = of(name)
    async with serving(units) as server:
        it = device("d", f"modbus+tcp://127.0.0.1:{server.port}/{memory.image.unit}", name)
        async with driving([it], profiles_dir=None) as (driver, intake):
            await until(lambda: intake.value("d", running) is True)
            for action, runs in (("drive.stop", False), ("drive.start", True)):
                receipt = await driver.carry_out(it, command(it, action), lambda words: None)
                assert receipt.stage is Stage.ACKNOWLEDGED, receipt
                await until(lambda runs=runs: intake.value("d", running) is runs)


@pytest.mark.parametrize(
    ("name", "request_", "why"),
    [
        ("invt-gd200a", pdu.Read(4, 0x3000, 1), Why.ILLEGAL_FUNCTION),
        ("tuf-2000m", pdu.Read(4, 0, 2), Why.ILLEGAL_FUNCTION),  # function 3 only
        ("invt-gd200a", pdu.Read(3, 0x2100, 20), Why.ILLEGAL_VALUE),  # at most 16
        ("invt-gd200a", pdu.Read(3, 0x2102, 8), Why.ILLEGAL_ADDRESS),  # reaches beyond its block
        ("invt-gd200a", pdu.WriteWord(0x3000, 1), Why.ILLEGAL_ADDRESS),
        ("chint-dtsu666", pdu.Read(3, 0, 2), Why.ILLEGAL_ADDRESS),
    ],
)
def test_what_such_a_make_refuses(name: str, request_: pdu.Request, why: Why):
    memory, _ = of(name)
    reply = pdu.read_reply(answer(memory, pdu.encode(request_)))
    assert reply == pdu.Refusal(pdu.encode(request_)[0], why)


def test_the_tuf_sends_its_floats_low_word_first():
    memory, _ = of("tuf-2000m")
    assert memory.read(3, 0, 2) == [0xD800, 0x4490]  # 1158.75 is 4490 D800


def test_a_value_outside_its_blocks_is_a_mistake_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("simulators.modbus.static.IMAGES", tmp_path)
    (tmp_path / "x.toml").write_text(
        'make = "X"\nmodel = "Y"\ntitle = {}\nsource = "none"\nblocks = [[0, 9]]\n'
        'value = [{ name = "flow", at = 9, kind = "f32", raw = 1.0, expect = 1.0 }]\n',
        "utf-8",
    )
    with pytest.raises(ValueError, match=r"images/x.toml › flow: 9\.\.10 lies in no block"):
        read_image("x")


def test_writing_where_nothing_listens_is_refused():
    memory, _ = of("tuf-2000m")
    with pytest.raises(Refused):
        memory.write(0, [1])
