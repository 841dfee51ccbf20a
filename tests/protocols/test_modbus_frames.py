"""Modbus frames and what DTUs mix in: golden bytes in every way they can arrive, and bytes that nobody should send."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadMessage
from protocols.modbus import pdu
from protocols.modbus.dtu import Door, Greeting, How, Stripper
from protocols.modbus.frames import (
    LONGEST_MBAP,
    LONGEST_RTU,
    Broken,
    Frame,
    MbapStream,
    RtuStream,
    Side,
    crc16,
    seal_mbap,
    seal_rtu,
)

GOLDEN = tomllib.loads((Path(__file__).parent / "golden" / "modbus.toml").read_text("utf-8"))
STREAMS = {"rtu": RtuStream, "mbap": MbapStream}
SEALS = {"rtu": seal_rtu, "mbap": seal_mbap}
NOISE = b"\x7eHELLO\xff\xfe"


def all_of(stream, *pieces: bytes):
    return [one for piece in pieces for one in stream.feed(piece)] + stream.idle()


def frames(found):
    return [one for one in found if isinstance(one, Frame)]


@pytest.mark.parametrize("it", GOLDEN["frame"], ids=lambda it: it["what"])
class TestEachGoldenFrame:
    def test_says_what_it_says_and_can_be_written_again(self, it):
        raw, side = bytes.fromhex(it["hex"]), Side(it["hears"])
        (frame,) = all_of(STREAMS[it["on"]](side), raw)
        message = pdu.decode(frame, side)
        assert repr(message) == it["says"]
        assert pdu.encode(message) == frame.pdu
        assert SEALS[it["on"]](frame) == raw

    def test_byte_by_byte(self, it):
        raw, side = bytes.fromhex(it["hex"]), Side(it["hears"])
        whole = all_of(STREAMS[it["on"]](side), raw)
        assert all_of(STREAMS[it["on"]](side), *(raw[i : i + 1] for i in range(len(raw)))) == whole

    def test_after_noise_and_before_it(self, it):
        raw, side = bytes.fromhex(it["hex"]), Side(it["hears"])
        (frame,) = all_of(STREAMS[it["on"]](side), raw)
        if isinstance(pdu.decode(frame, side), pdu.Unknown):
            return  # nothing but silence tells where an unknown function ends: noise cannot be told from it
        before, *rest = all_of(STREAMS[it["on"]](side), NOISE, raw, raw, NOISE)
        assert before == Broken(NOISE, before.why)
        assert rest[:2] == [frame, frame]
        assert b"".join(one.raw for one in rest[2:]) == NOISE

    def test_twice_in_a_row_in_one_lump(self, it):
        raw, side = bytes.fromhex(it["hex"]), Side(it["hears"])
        (frame,) = all_of(STREAMS[it["on"]](side), raw)
        if it["on"] == "rtu" and isinstance(pdu.decode(frame, side), pdu.Unknown):
            return
        assert all_of(STREAMS[it["on"]](side), raw + raw) == [frame, frame]

    def test_backwards_it_is_no_message_of_ours(self, it):
        raw, side = bytes.fromhex(it["hex"])[::-1], Side(it["hears"])
        found = all_of(STREAMS[it["on"]](side), raw)
        assert not frames(found)
        assert b"".join(one.raw for one in found) == raw

    def test_cut_off_at_any_place_it_is_broken_when_the_line_falls_silent(self, it):
        raw, side = bytes.fromhex(it["hex"]), Side(it["hears"])
        for length in range(1, len(raw)):
            found = all_of(STREAMS[it["on"]](side), raw[:length])
            assert not frames(found)
            assert b"".join(one.raw for one in found) == raw[:length]


@pytest.mark.parametrize("it", GOLDEN["dtu"], ids=lambda it: it["what"])
class TestEachGoldenDtu:
    @staticmethod
    def strip(it, *pieces: bytes) -> tuple[Stripper, bytes]:
        stripper = Stripper([bytes.fromhex(text) for text in it["texts"]], units={1})
        return stripper, b"".join(map(stripper.feed, pieces)) + stripper.idle()

    def test_leaves_the_frames_and_nothing_else(self, it):
        stripper, clean = self.strip(it, bytes.fromhex(it["hex"]))
        assert clean == bytes.fromhex(it["clean"])
        assert (stripper.heartbeats, stripper.junk) == (it["heartbeats"], it["junk"])

    def test_byte_by_byte_and_cut_in_two_at_any_place(self, it):
        raw, clean = bytes.fromhex(it["hex"]), bytes.fromhex(it["clean"])
        assert self.strip(it, *(raw[i : i + 1] for i in range(len(raw))))[1] == clean
        for cut in range(1, len(raw)):
            assert self.strip(it, raw[:cut], raw[cut:])[1] == clean

    def test_twice_in_a_row(self, it):
        raw, clean = bytes.fromhex(it["hex"]), bytes.fromhex(it["clean"])
        assert self.strip(it, raw + raw)[1] == clean + clean


def test_the_crc_is_the_published_one():
    assert crc16(b"123456789") == 0x4B37  # the catalogue's check value of CRC-16/MODBUS
    assert crc16(b"123456789" + (0x4B37).to_bytes(2, "little")) == 0


def test_a_bad_crc_is_broken_and_the_next_frame_is_not():
    good = bytes.fromhex("1103006B00037687")
    broken, frame = all_of(RtuStream(Side.REQUESTS), good[:-1] + b"\x00" + good)
    assert broken == Broken(good[:-1] + b"\x00", broken.why)
    assert frame == Frame(17, good[1:-2])


def test_only_the_units_that_are_expected_begin_a_frame():
    reply = bytes.fromhex("110306AE415652434049AD")
    assert frames(all_of(RtuStream(Side.REPLIES, units={17}), reply))
    assert not frames(all_of(RtuStream(Side.REPLIES, units={1, 2}), reply))


def test_a_false_beginning_does_not_hold_a_reply_back_once_the_line_is_idle():
    reply = bytes.fromhex("110306AE415652434049AD")
    stream = RtuStream(Side.REPLIES)
    assert stream.feed(b"\x01\x03\xc8" + reply) == []  # looks like the beginning of 205 bytes
    assert frames(stream.idle()) == [Frame(17, reply[1:-2])]


# ---- replies that cannot answer the request


READ = pdu.Read(3, 100, 2)


@pytest.mark.parametrize(
    ("request_", "reply", "why"),
    [
        (READ, pdu.Values(3, b"\x00\x01\x00\x02"), ""),
        (READ, pdu.Values(3, b"\x00\x01"), "asked for 4 bytes, got 2"),
        (READ, pdu.Values(4, b"\x00\x01\x00\x02"), "asked function 3, got function 4"),
        (READ, pdu.Refusal(3, 2), ""),
        (READ, pdu.Refusal(4, 2), "asked function 3, refused function 4"),
        (READ, pdu.WriteWord(1, 2), "asked function 3, got function 6"),
        (pdu.Read(1, 0, 37), pdu.Values(1, bytes(5)), ""),
        (pdu.WriteWord(1, 2), pdu.WriteWord(1, 2), ""),
        (pdu.WriteWord(1, 2), pdu.WriteWord(1, 3), "expected WriteWord(address=1, word=2), got WriteWord("),
        (pdu.WriteWords(304, bytes(4)), pdu.Written(16, 304, 2), ""),
        (pdu.WriteWords(304, bytes(4)), pdu.Written(16, 300, 2), "expected Written(function=16, address=304, count=2)"),
        (pdu.WriteBits(1, 3, b"\x05"), pdu.Written(15, 1, 3), ""),
        (pdu.ReadWriteWords(1, 2, 5, bytes(2)), pdu.Values(23, bytes(4)), ""),
        (pdu.ReadWriteWords(1, 2, 5, bytes(2)), pdu.Values(23, bytes(2)), "asked for 4 bytes, got 2"),
    ],
)
def test_unlike_says_why_a_reply_cannot_be_the_answer(request_, reply, why):
    said = pdu.unlike(request_, reply)
    assert said.startswith(why)
    assert bool(said) == bool(why)


@pytest.mark.parametrize(
    ("read", "raw", "says"),
    [
        (pdu.read_request, "", "a PDU has at least its function, got nothing"),
        (pdu.read_request, "0300", "function 3: 4 bytes must follow, got 1"),
        (pdu.read_request, "05 0001 1234", "function 5: a coil is FF00 or 0000, got 1234"),
        (pdu.read_request, "10 0001 0002 02 0001", "function 16: 2 values need 4 bytes, got 2"),
        (pdu.read_request, "10 0001 0001 02 00", "function 16: says 2 bytes of values, has 1"),
        (pdu.read_request, "17 0001 0001 0001 0002 02 0001", "function 23: 2 values need 4 bytes, got 2"),
        (pdu.read_reply, "03 04 0001", "function 3: says 4 bytes of values, has 2"),
        (pdu.read_reply, "83", "function 131: 1 bytes must follow, got 0"),
    ],
)
def test_a_bad_message_says_what_was_expected_and_what_came(read, raw, says):
    with pytest.raises(BadMessage) as bad:
        read(bytes.fromhex(raw))
    assert str(bad.value) == says


# ---- the door of a DTU


def test_a_secret_behind_the_name_is_read_whole_and_not_shown():
    said = "PS-1:k7mw29xqhd3tk4fgmnpq"
    for glued in (b"", b"\x01\x03", b"\r\n"):
        whole = said.encode() + glued
        for cut in range(len(whole) + 1):  # however TCP parts it
            door = Door([Greeting(How.TEXT, "PS-1"), Greeting(How.IMEI)])
            one = door.feed(whole[:cut]) or door.feed(whole[cut:]) or door.idle()
            assert one is not None
            assert (one.id, one.secret, one.raw) == ("PS-1", said[5:], said.encode()), cut
            assert glued.startswith(one.rest)
            assert one.shown == b"PS-1:***" + one.rest
    for other in (b"PS-1:K7MW29XQHD3TK4FGMNPQ", b"PS-1:short", b"PS-1"):
        door = Door([Greeting(How.TEXT, "PS-1")])
        one = door.feed(other) or door.idle()
        assert one is not None
        assert (one.secret, one.raw, one.rest) == ("", b"PS-1", other[4:])


def test_a_registration_is_known_by_the_silence_or_by_what_follows_it():
    door = Door([Greeting(How.TEXT, "PS-1"), Greeting(How.TEXT, "PS-12")])
    assert door.feed(b"PS-") is None
    assert door.feed(b"12") is None
    assert door.idle().id == "PS-12"
    glued = Door([Greeting(How.TEXT, "PS-1")]).feed(b"PS-1\x01\x03")
    assert (glued.id, glued.raw, glued.rest) == ("PS-1", b"PS-1", b"\x01\x03")


def test_a_longer_registration_that_is_still_coming_is_waited_for():
    door = Door([Greeting(How.TEXT, "PS-1"), Greeting(How.TEXT, "PS-123")])
    assert door.feed(b"PS-12") is None
    assert door.feed(b"3") is None
    assert door.idle().id == "PS-123"


@pytest.mark.parametrize(
    ("greeting", "said", "id"),
    [
        (Greeting(How.IMEI), b"861234050000017", "861234050000017"),
        (Greeting(How.IMEI), b"IMEI:861234050000017\r\n", "861234050000017"),
        (Greeting(How.IMEI), b"8986112345678901234", None),  # an ICCID has more digits
        (Greeting(How.HEX, "AA 55 01"), b"\xaa\x55\x01", "AA 55 01"),
        (Greeting(How.REGEX, r"\$REG,([A-Z0-9]+),\d\*"), b"$REG,XY7,1*", "XY7"),
        (Greeting(How.REGEX, "USR-[0-9]+"), b"USR-0042", "USR-0042"),
        (Greeting(How.TEXT, "PS-1"), b"GET / HTTP/1.1\r\n", None),
    ],
)
def test_each_way_to_recognise_a_registration(greeting, said, id):
    door = Door([greeting])
    found = door.feed(said) or door.idle()
    assert (found and found.id) == id
    assert door.held == said


@pytest.mark.parametrize(
    ("how", "pattern", "says"),
    [
        (How.HEX, "AA 5", '"AA 5" is not hex: write two digits a byte'),
        (How.REGEX, "(", '"(" is no regular expression: '),
        (How.TEXT, "", "a registration by text needs a pattern"),
    ],
)
def test_a_greeting_that_cannot_be_says_why(how, pattern, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        Greeting(how, pattern)


# ---- what nobody should send


sides = st.sampled_from(Side)
data_of = st.binary(max_size=120).map(lambda raw: raw[: len(raw) // 2 * 2])
u16 = st.integers(0, 0xFFFF)
u8 = st.integers(0, 255)
REQUESTS = st.one_of(
    st.builds(pdu.Read, st.integers(1, 4), u16, u16),
    st.builds(pdu.WriteBit, u16, st.booleans()),
    st.builds(pdu.WriteWord, u16, u16),
    st.builds(pdu.WriteWords, u16, data_of),
    st.integers(1, 900).flatmap(
        lambda n: st.builds(pdu.WriteBits, u16, st.just(n), st.binary(min_size=(n + 7) // 8, max_size=(n + 7) // 8))
    ),
    st.builds(pdu.MaskWord, u16, u16, u16),
    st.builds(pdu.ReadWriteWords, u16, u16, u16, data_of),
)
REPLIES = st.one_of(
    st.builds(pdu.Values, st.sampled_from((1, 2, 3, 4, 23)), st.binary(max_size=200)),
    st.builds(pdu.WriteBit, u16, st.booleans()),
    st.builds(pdu.WriteWord, u16, u16),
    st.builds(pdu.Written, st.sampled_from((15, 16)), u16, u16),
    st.builds(pdu.MaskWord, u16, u16, u16),
    st.builds(pdu.Refusal, st.sampled_from((1, 3, 16, 23)), u8),
)

# Noise, whole frames of both sides and framings, and frames that break off: cut wherever the list cuts them.
SEALED = st.builds(
    lambda seal, unit, message, cut: seal(Frame(unit, pdu.encode(message)))[:cut],
    st.sampled_from((seal_rtu, seal_mbap)),
    st.sampled_from((0, 1, 3, 247)),
    st.one_of(REQUESTS, REPLIES),
    st.one_of(st.none(), st.integers(1, 12)),
)
chunks = st.lists(st.one_of(st.binary(max_size=400), SEALED), max_size=8)


@given(chunks, sides)
def test_a_stream_loses_no_byte_holds_few_and_never_raises(pieces, side):
    for stream, seal, most in ((RtuStream(side), seal_rtu, LONGEST_RTU), (MbapStream(side), seal_mbap, LONGEST_MBAP)):
        found = []
        for piece in pieces:
            found += stream.feed(piece)
            assert len(stream._held) <= 2 * most
        found += stream.idle()
        assert b"".join(one.raw if isinstance(one, Broken) else seal(one) for one in found) == b"".join(pieces)


@given(chunks, sides)
def test_how_bytes_are_cut_changes_nothing(pieces, side):
    raw = b"".join(pieces)
    for stream in STREAMS.values():
        assert all_of(stream(side), *pieces) == all_of(stream(side), raw)


@given(st.one_of(st.tuples(REQUESTS, st.just(Side.REQUESTS)), st.tuples(REPLIES, st.just(Side.REPLIES))), u8, u16)
def test_every_message_comes_back_from_the_wire_as_it_was(told, unit, transaction):
    message, side = told
    for framing, stream in STREAMS.items():
        frame = Frame(unit, pdu.encode(message), transaction if framing == "mbap" else 0)
        assert all_of(stream(side), SEALS[framing](frame)) == [frame]
        assert pdu.decode(frame, side) == message


@given(st.binary(max_size=260), sides)
def test_decode_raises_nothing_but_bad_message_and_what_it_reads_it_can_write(raw, side):
    try:
        message = pdu.decode(Frame(1, raw), side)
    except BadMessage:
        return
    assert pdu.encode(message) == raw


@given(chunks)
def test_a_stripper_holds_few_bytes_and_lets_only_right_crcs_through(pieces):
    stripper = Stripper([b"HB", b"\xfe", b"\x01\x03"])
    for piece in [*pieces, None]:
        clean = stripper.idle() if piece is None else stripper.feed(piece)
        assert not [one for one in all_of(RtuStream(Side.REPLIES), clean) if isinstance(one, Broken)]
        assert len(stripper._held) <= 512
    assert not stripper._held


@given(data_of.filter(len), st.integers(0, 200), st.binary(min_size=2, max_size=20))
def test_a_reply_survives_any_heartbeat_at_any_place(data, place, heartbeat):
    reply = seal_rtu(Frame(7, pdu.encode(pdu.Values(3, data))))
    place %= len(reply) + 1
    stripper = Stripper([heartbeat], units={7})
    clean = stripper.feed(reply[:place]) + stripper.feed(heartbeat) + stripper.feed(reply[place:]) + stripper.idle()
    assert clean == reply


@given(st.lists(st.booleans(), max_size=40))
def test_bits_and_words_come_back(coils):
    assert pdu.bits(pdu.pack_bits(coils), len(coils)) == tuple(coils)
    words = [n * 1337 & 0xFFFF for n in range(len(coils))]
    assert list(pdu.words(pdu.data_of(words))) == words


def test_whoever_has_said_its_name_does_not_become_another_by_what_it_says_then():
    """A made-up reply or noise behind it, and then the name of a neighbour that stands by itself."""
    mine, other = b"860123456789012", b"860123456789013"
    greetings = [Greeting(How.TEXT, mine.decode()), Greeting(How.TEXT, other.decode()), Greeting(How.IMEI)]
    for noise in (b"\x01\x03\x02\x00\x00\xb8D", b"\xf1", other + b"\x00", b" "):
        door = Door(greetings)
        said = door.feed(mine + noise + other + b"\x01") or door.idle()
        assert (said.id, said.raw) == (mine.decode(), mine)
    door = Door(greetings)
    said = door.feed(b"\x00\x00" + other + b" ") or door.idle()  # noise before the first name is let be
    assert said.id == other.decode()
