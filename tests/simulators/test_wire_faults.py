"""Each fault of the wire by its name, and what goes over the wire while it is on. Bytes are compared with bytes."""

from __future__ import annotations

import pytest

from protocols.modbus import pdu
from protocols.modbus.frames import Frame, seal_mbap, seal_rtu
from simulators.modbus.faults import HEARTBEAT, WIRE_FAULTS, Framing, Piece, Troubled
from simulators.modbus.line import Line, Unit, exchange
from simulators.modbus.unit import Refused

READ = Frame(5, bytes.fromhex("03 000A 0002"), 7)
# Registers 10 and 11 of unit 5 hold 4108 and 2000.
GOOD_RTU = bytes.fromhex("05 03 04 4108 2000 33CD")
GOOD_MBAP = bytes.fromhex("0007 0000 0007 05 03 04 4108 2000")


class Memory:
    """Registers 0..99; 10 and 11 are one float."""

    def __init__(self) -> None:
        self.words = [0] * 100
        self.words[10:12] = [0x4108, 0x2000]
        self.spans = {10: 2}

    def read(self, function, address, count):
        if address + count > len(self.words):
            raise Refused(pdu.Why.ILLEGAL_ADDRESS)
        return self.words[address : address + count]

    def write(self, address, words):
        self.words[address : address + len(words)] = words


def unit(*faults: str, **options: float) -> Unit:
    it = Unit(Memory())
    for fault in faults:
        it.faults.switch(fault, True, **options)
    return it


def says(it: Unit, framing: Framing = Framing.RTU, request: Frame = READ) -> list[bytes]:
    return [piece.raw for piece in exchange(it, framing, request)]


def rtu(hexes: str) -> bytes:
    body = bytes.fromhex(hexes)
    return seal_rtu(Frame(body[0], body[1:]))


def test_without_a_fault_the_answer_is_the_answer():
    assert says(unit()) == [GOOD_RTU]
    assert says(unit(), Framing.MBAP) == [GOOD_MBAP]


def test_dead_unit_says_nothing_and_does_nothing():
    it = unit("dead_unit")
    assert says(it) == says(it, Framing.MBAP) == []
    assert says(it, request=Frame(5, bytes.fromhex("06 0014 1234"))) == []
    assert it.memory.words[20] == 0


def test_drop_every_4th_carries_out_what_it_does_not_answer():
    it = unit("drop_every_4th")
    writes = [Frame(5, pdu.encode(pdu.WriteWord(20 + n, 7))) for n in range(8)]
    assert [bool(says(it, request=write)) for write in writes] == [True, True, True, False] * 2
    assert it.memory.words[20:28] == [7] * 8


def test_busy_twice_gives_exception_6_twice_and_then_the_answer():
    it = unit("busy_twice")
    busy = rtu("05 83 06")
    assert [says(it)[0] for _ in range(6)] == [busy, busy, GOOD_RTU] * 2


def test_one_behind_answers_the_request_before_under_the_number_of_this_one():
    it = unit("one_behind")
    other = Frame(5, bytes.fromhex("03 0000 0001"), 8)
    assert says(it, Framing.MBAP) == [GOOD_MBAP]  # there is none before the first
    assert says(it, Framing.MBAP, other) == [bytes.fromhex("0008 0000 0007 05 03 04 4108 2000")]
    assert says(it, Framing.MBAP) == [bytes.fromhex("0007 0000 0005 05 03 02 0000")]


def test_short_reply_lacks_a_register_and_is_right_in_itself():
    assert says(unit("short_reply")) == [rtu("05 03 02 4108")]
    assert says(unit("short_reply"), Framing.MBAP) == [bytes.fromhex("0007 0000 0005 05 03 02 4108")]
    assert says(unit("short_reply"), request=Frame(5, bytes.fromhex("03 0000 0001"))) == [rtu("05 03 02 0000")]


def test_wrong_function_says_4_for_3():
    assert says(unit("wrong_function")) == [rtu("05 04 04 4108 2000")]


def test_wrong_unit_answers_as_the_next():
    assert says(unit("wrong_unit")) == [rtu("06 03 04 4108 2000")]


def test_bad_crc_breaks_the_crc_on_rtu_and_the_length_on_mbap():
    (raw,) = says(unit("bad_crc"))
    assert raw[:-1] == GOOD_RTU[:-1]
    assert raw[-1] != GOOD_RTU[-1]
    assert says(unit("bad_crc"), Framing.MBAP) == [bytes.fromhex("0007 0000 0009 05 03 04 4108 2000")]


def test_heartbeat_inside_comes_in_the_middle():
    (raw,) = says(unit("heartbeat_inside"))
    assert raw == GOOD_RTU[:4] + HEARTBEAT + GOOD_RTU[4:]
    it = unit("heartbeat_inside")
    it.faults.heartbeat = b"\xfe"
    assert says(it) == [GOOD_RTU[:4] + b"\xfe" + GOOD_RTU[4:]]


def test_byte_by_byte_sends_pieces_of_one_byte_one_after_the_other():
    pieces = exchange(unit("byte_by_byte", pause_s=0.01), Framing.RTU, READ)
    assert b"".join(piece.raw for piece in pieces) == GOOD_RTU
    assert [len(piece.raw) for piece in pieces] == [1] * len(GOOD_RTU)
    assert [round(piece.after_s, 3) for piece in pieces] == [round(0.01 * n, 3) for n in range(len(GOOD_RTU))]


def test_slow_answers_are_right_but_take_their_time():
    assert exchange(unit("slow_answers"), Framing.RTU, READ) == [Piece(GOOD_RTU, 0.4)]


def test_late_answers_come_after_the_asker_s_patience_and_hold_nobody_up():
    assert exchange(unit("late_answers", after_s=1.5), Framing.RTU, READ) == [Piece(GOOD_RTU, 1.5, waits=False)]


def test_wrong_word_order_turns_values_of_two_registers_round_and_no_others():
    assert says(unit("wrong_word_order")) == [rtu("05 03 04 2000 4108")]
    one = Frame(5, bytes.fromhex("03 000B 0001"))
    assert says(unit("wrong_word_order"), request=one) == [rtu("05 03 02 2000")]


def test_illegal_address_is_a_hole_in_the_table():
    it = unit("illegal_address", first=12, last=19)
    assert says(it) == [GOOD_RTU]
    for address, count in ((12, 1), (10, 3), (19, 5), (0, 50)):
        assert says(it, request=Frame(5, pdu.encode(pdu.Read(3, address, count)))) == [rtu("05 83 02")]
    assert says(it, request=Frame(5, pdu.encode(pdu.WriteWord(15, 1)))) == [rtu("05 86 02")]
    assert it.memory.words[15] == 0


def test_short_requests_only_refuses_what_is_longer():
    it = unit("short_requests_only", most=16)
    assert says(it, request=Frame(5, pdu.encode(pdu.Read(3, 0, 17)))) == [rtu("05 83 03")]
    assert len(says(it, request=Frame(5, pdu.encode(pdu.Read(3, 0, 16))))[0]) == 5 + 32


def test_faults_add_up():
    it = unit("short_reply", "bad_crc", "slow_answers")
    (piece,) = exchange(it, Framing.RTU, READ)
    assert piece.raw[:-1] == rtu("05 03 02 4108")[:-1]
    assert piece.after_s == 0.4


def test_every_fault_has_a_name_both_titles_and_says_what_it_does():
    for name, fault in WIRE_FAULTS.items():
        assert name == fault.name
        assert set(fault.title) == {"zh-CN", "en"}
        assert fault.what


def test_what_is_switched_off_is_gone_and_what_is_not_there_cannot_be_switched():
    it = unit("dead_unit")
    it.faults.switch("dead_unit", False)
    assert says(it) == [GOOD_RTU]
    assert Troubled().names == []
    with pytest.raises(KeyError):
        it.faults.switch("gremlins", True)
    with pytest.raises(KeyError):
        it.faults.switch("late_answers", True, after_min=1)


# ---- on a line, where answers meet


class Loop:
    """A loop whose time is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback, *args):
        self.later.append((self.now + delay, len(self.later), callback, args))

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [one for one in self.later if one[0] <= end]:
            self.later.remove(first := min(due, key=lambda one: one[:2]))
            self.now = max(self.now, first[0])
            first[2](*first[3])
        self.now = end


def line(units, framing=Framing.RTU):
    loop, said = Loop(), []
    it = Line(units, framing, loop, lambda raw: said.append((round(loop.now, 3), raw)))
    return it, loop, said


def test_on_rtu_a_late_answer_is_heard_as_the_answer_to_the_next_question():
    """What modbus.md §6 calls the wrong value on the wrong point."""
    it, loop, said = line({5: unit("late_answers", after_s=1.0)})
    first, second = (seal_rtu(Frame(5, pdu.encode(pdu.Read(3, at, 2)))) for at in (10, 30))
    it.hear(first)
    loop.go(0.9)  # the asker gives up, and asks for something else
    it.hear(second)
    loop.go(0.5)
    assert said == [(1.0, GOOD_RTU)]
    loop.go(1.0)
    assert said[1] == (1.9, rtu("05 03 04 0000 0000"))


def test_a_slow_unit_holds_its_line_and_the_order_of_answers():
    it, loop, said = line({5: unit("slow_answers"), 6: unit()})
    it.hear(seal_rtu(READ) + seal_rtu(Frame(6, READ.pdu)))
    loop.go(1.0)
    assert said == [(0.4, GOOD_RTU), (0.4, rtu("06 03 04 4108 2000"))]


def test_bytes_of_two_answers_never_mix():
    it, loop, said = line({5: unit("byte_by_byte"), 6: unit()})
    it.hear(seal_rtu(READ) + seal_rtu(Frame(6, READ.pdu)))
    loop.go(1.0)
    assert b"".join(raw for _, raw in said) == GOOD_RTU + rtu("06 03 04 4108 2000")


def test_a_dead_unit_does_not_keep_its_neighbour_from_answering():
    it, _, said = line({5: unit("dead_unit"), 6: unit()})
    it.hear(seal_rtu(READ))
    it.hear(seal_rtu(Frame(6, READ.pdu)))
    assert said == [(0.0, rtu("06 03 04 4108 2000"))]


def test_pipelined_requests_are_all_answered_in_their_order():
    it, _, said = line({5: unit()}, Framing.MBAP)
    it.hear(b"".join(seal_mbap(Frame(5, READ.pdu, n)) for n in range(5)))
    assert [raw[:2] for _, raw in said] == [n.to_bytes(2, "big") for n in range(5)]


def test_a_unit_that_is_not_there_is_silent_on_rtu_and_refused_by_a_gateway():
    rtu_line, _, silent = line({5: unit()})
    rtu_line.hear(seal_rtu(Frame(9, READ.pdu)))
    assert silent == []
    gateway, _, said = line({5: unit()}, Framing.MBAP)
    gateway.hear(seal_mbap(Frame(9, READ.pdu, 3)))
    assert said == [(0.0, bytes.fromhex("0003 0000 0003 09 83 0B"))]


def test_a_broadcast_is_obeyed_by_all_and_answered_by_none():
    units = {5: unit(), 6: unit()}
    it, _, said = line(units)
    it.hear(seal_rtu(Frame(0, pdu.encode(pdu.WriteWord(20, 99)))))
    assert said == []
    assert [one.memory.words[20] for one in units.values()] == [99, 99]


def test_an_unknown_function_is_refused_once_the_line_is_quiet():
    it, loop, said = line({5: unit()})
    it.hear(rtu("05 63 00"))
    assert said == []
    loop.go(0.1)
    assert said == [(0.05, rtu("05 E3 01"))]


def test_a_closed_line_says_nothing_more():
    it, loop, said = line({5: unit("late_answers")})
    it.hear(seal_rtu(READ))
    it.closed = True
    loop.go(10.0)
    assert said == []
