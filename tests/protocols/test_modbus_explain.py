"""`fieldhub decode modbus`: what the bytes say."""

from protocols.modbus.explain import explain


def test_a_published_rtu_request_is_read_as_one():
    whole, lines = explain(bytes.fromhex("1103006B00037687"))
    assert whole
    assert lines == [
        "as RTU, asked by a hub:",
        "  unit 17: read 3 holding registers from 107 (0x006B), function 3",
    ]


def test_an_exception_is_said_in_words():
    assert explain(bytes.fromhex("018302C0F1"))[1][1] == "  unit 1: refuses function 3: exception 2, illegal address"


def test_noise_is_shown_and_is_not_whole():
    whole, lines = explain(bytes.fromhex("0103FF"))
    assert not whole
    assert lines == ["broken: 01 03 ff: 3 bytes in which no frame begins, neither as TCP nor as RTU"]
    assert explain(bytes.fromhex("0103FF"), "tcp")[1] == ["broken: 01 03 ff: 3 bytes in which no frame begins, as TCP"]


def test_a_frame_whose_check_bytes_alone_are_wrong_says_what_they_should_be():
    assert explain(bytes.fromhex("0103 0201 F4B8 54")) == (
        False,
        [
            "broken: as RTU the check bytes (CRC) are B8 54, should be B8 53",
            "as RTU, answered by a device, if all but the check bytes is right:",
            "  unit 1: registers, function 3: 500 (0x01F4)",
        ],
    )
    assert explain(bytes.fromhex("018302C0F2"), "rtu")[1][0].endswith("are C0 F2, should be C0 F1")
    assert "CRC" not in explain(bytes.fromhex("018302C0F2"), "tcp")[1][0]


def test_a_frame_that_is_request_and_reply_alike_is_said_in_both_ways():
    whole, lines = explain(bytes.fromhex("000100000006110600010003"))
    assert whole
    assert [line for line in lines if line.startswith("as")] == [
        "as TCP (MBAP), asked by a hub:",
        "as TCP (MBAP), answered by a device:",
    ]
