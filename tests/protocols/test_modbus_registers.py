"""Registers to values and back, with vectors that were seen on wires."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadMessage
from protocols.modbus.registers import ORDERS, TYPES, codec, in_all_orders


@pytest.mark.parametrize(
    ("order", "wire"),
    [("ABCD", "47F1 2000"), ("CDAB", "2000 47F1"), ("BADC", "F147 0020"), ("DCBA", "0020 F147")],
)
def test_the_float_of_the_libmodbus_test_server_in_all_four_orders(order: str, wire: str):
    raw = bytes.fromhex(wire)
    assert codec("f32", order).read(raw) == 123456.0
    assert codec("f32", order).write(123456.0) == raw


def test_the_tuf_2000m_sends_its_floats_low_word_first():
    raw = bytes.fromhex("806B 4212")
    assert codec("f32", "CDAB").read(raw) == pytest.approx(36.6254, abs=5e-5)
    assert in_all_orders(raw)["CDAB"]["f32"] == codec("f32", "CDAB").read(raw)
    assert [order for order in ORDERS if 1 < abs(in_all_orders(raw)[order]["f32"] or 0) < 1000] == ["CDAB"]


@pytest.mark.parametrize(
    ("order", "wire"),
    [
        ("ABCDEFGH", "0102 0304 0506 0708"),
        ("GHEFCDAB", "0708 0506 0304 0102"),
        ("BADCFEHG", "0201 0403 0605 0807"),
        ("HGFEDCBA", "0807 0605 0403 0201"),
    ],
)
def test_the_four_orders_of_64_bits(order: str, wire: str):
    assert codec("u64", order).read(bytes.fromhex(wire)) == 0x0102030405060708
    assert codec("u64", order).write(0x0102030405060708) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("short", "long"), [("ABCD", "ABCDEFGH"), ("CDAB", "GHEFCDAB"), ("BADC", "BADCFEHG"), ("DCBA", "HGFEDCBA")]
)
def test_a_64_bit_order_may_be_written_by_its_32_bit_cousin(short: str, long: str):
    assert codec("f64", short).places == codec("f64", long).places


@pytest.mark.parametrize(
    ("type", "wire", "value"),
    [
        ("u16", "FFFE", 65534),
        ("i16", "FFFE", -2),
        ("u8hi", "12FE", 0x12),
        ("u8lo", "12FE", 0xFE),
        ("i8hi", "FE12", -2),
        ("i8lo", "12FE", -2),
        ("i32", "FFFF FFFE", -2),
        ("i64", "FFFF FFFF FFFF FFFE", -2),
        ("f64", "40C8 1CD6 E631 F8A1", 12345.6789),
        ("bcd16", "2026", 2026),
        ("bcd32", "1234 5678", 12345678),
        ("bcd16", "12A4", None),
        ("bool", "0000", False),
        ("bool", "0002", True),
        ("bits", "8001", 0x8001),
        ("f32", "7FC0 0000", None),
        ("f32", "7F80 0000", None),
        ("f64", "FFF0 0000 0000 0000", None),
    ],
)
def test_each_type_reads_as_the_table_says(type: str, wire: str, value: object):
    assert codec(type).read(bytes.fromhex(wire)) == value
    assert codec(type).read(bytes.fromhex("AAAA" + wire), 2) == value


def test_text_ends_at_its_nul_and_may_come_in_swapped_bytes():
    assert codec("string", length=4).read(b"GD200A\0x") == "GD200A"
    assert codec("string", "BA", length=3).read(b"DG02A0") == "GD200A"
    assert codec("string", length=4, encoding="gbk").read("东风泵站".encode("gbk")) == "东风泵站"
    assert codec("string", length=4, encoding="utf-8").write("泵1") == "泵1".encode() + b"\0" * 4
    with pytest.raises(ValueError, match="needs 9 bytes, and there are 8"):
        codec("string", length=4).write("123456789")


@pytest.mark.parametrize(
    ("type", "value", "says"),
    [
        ("u16", 65536, "65536 does not fit into u16"),
        ("u16", -1, "-1 does not fit into u16"),
        ("i16", 1.5, "i16 cannot hold 1.5: it is not whole"),
        ("bcd16", 10000, "10000 does not fit into bcd16"),
        ("u16", "on", "u16 cannot hold 'on'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(type: str, value: float, says: str):
    with pytest.raises(ValueError, match=says):
        codec(type).write(value)


def test_unknown_types_and_orders_are_refused_with_what_to_write():
    with pytest.raises(ValueError, match="'float' is not a type: bool, bits"):
        codec("float")
    with pytest.raises(ValueError, match="'ACBD' is not an order of 2 registers: ABCD, CDAB, BADC, DCBA"):
        codec("f32", "ACBD")
    with pytest.raises(BadMessage, match="f32 needs 4 bytes, got 2"):
        codec("f32").read(b"ab")


INTEGERS = {"u16": (0, 2**16), "i16": (-(2**15), 2**15), "u32": (0, 2**32), "i32": (-(2**31), 2**31)}
INTEGERS |= {"u64": (0, 2**64), "i64": (-(2**63), 2**63), "bcd16": (0, 10**4), "bcd32": (0, 10**8)}
INTEGERS |= {"u8hi": (0, 2**8), "u8lo": (0, 2**8), "i8hi": (-128, 128), "i8lo": (-128, 128), "bits": (0, 2**16)}


@given(st.data())
def test_every_whole_number_comes_back_in_every_order(data: st.DataObject):
    type = data.draw(st.sampled_from(sorted(INTEGERS)))
    low, end = INTEGERS[type]
    value = data.draw(st.integers(low, end - 1))
    order = data.draw(st.sampled_from(ORDERS if codec(type).registers > 1 else ("AB", "BA")))
    assert codec(type, order).read(codec(type, order).write(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(ORDERS))
def test_every_float_comes_back_in_every_order(value: float, order: str):
    assert codec("f64", order).read(codec("f64", order).write(value)) == value
    if abs(value) < 3e38:
        assert (
            codec("f32", order).read(codec("f32", order).write(value))
            == struct.unpack(">f", struct.pack(">f", value))[0]
        )


@given(st.binary(min_size=8, max_size=8))
def test_no_eight_bytes_make_any_type_fail_or_give_nan(raw: bytes):
    for type in TYPES:
        value = codec(type, length=4).read(raw)
        assert not isinstance(value, float) or math.isfinite(value)
