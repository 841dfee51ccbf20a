"""Profiles: each shipped one against registers with known values, and every mistake in words."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.modbus import profile
from drivers.modbus.plan import Merging, blocks
from drivers.modbus.translate import Decoder
from hub.contract import BadConfig
from hub.model import Quality, Reading
from protocols.modbus import pdu
from tests.drivers.modbus_site import PROFILES

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
KINDS = {1: "coils", 2: "inputs", 3: "words", 4: "input_words"}


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.toml")), ids=lambda file: file.stem)
def test_each_profile_reads_its_registers_as_its_golden_file_says(file: Path):
    golden = tomllib.loads(file.read_text("utf-8"))
    plate = profile.load(PROFILES).plate(golden["profile"], golden.get("settings", {}))
    plan = blocks(plate.rows, Merging())
    decoders = [Decoder("d", block.at, block.fn, block.rows, plate.profile.labels) for block in plan]
    for case in golden["case"]:
        memory = {fn: _memory(case.get(kind, {}), fn) for fn, kind in KINDS.items()}
        found = {
            reading.point: _said(reading)
            for block, decoder in zip(plan, decoders, strict=True)
            for reading in decoder.readings(_data(memory[block.fn], block.fn, block.at, block.count), NOW)
        }
        for point, value in case["says"].items():
            if isinstance(value, float):
                assert found[point] == pytest.approx(value, rel=2e-6), (case["what"], point)
            else:
                assert (found[point], type(found[point])) == (value, type(value)), (case["what"], point)


def test_every_shipped_profile_has_a_golden_file_a_source_and_says_whether_it_was_verified():
    shipped = profile.load().profiles
    assert set(shipped) <= {file.stem for file in GOLDEN.glob("*.toml")}
    assert {one.verified for one in shipped.values()} == {"no"}
    assert all(one.source and one.title.keys() == {"zh-CN", "en"} for one in shipped.values())


def test_a_scaled_whole_number_is_the_nearest_one_and_not_its_neighbour():
    plate = profile.load().plate("ps-2026", {})
    row = next(row for row in plate.rows if row.key == "pump1.current")
    decoder = Decoder("d", row.at, 3, [row], {})
    assert [decoder.readings(pdu.data_of([n]), NOW)[0].value for n in (3, 123, 7)] == [0.3, 12.3, 0.7]


def _memory(places: dict[str, str], fn: int) -> dict[int, int]:
    memory: dict[int, int] = {}
    for at, text in places.items():
        raw = bytes.fromhex(text)
        cells = pdu.bits(raw, 8 * len(raw)) if fn in (1, 2) else pdu.words(raw)
        memory |= {int(at) + k: int(cell) for k, cell in enumerate(cells)}
    return memory


def _data(memory: dict[int, int], fn: int, at: int, count: int) -> bytes:
    cells = [memory.get(at + k, 0) for k in range(count)]
    return pdu.pack_bits(bool(cell) for cell in cells) if fn in (1, 2) else pdu.data_of(cells)


def _said(reading: Reading) -> object:
    if reading.quality is Quality.GOOD:
        return reading.value
    return f"{reading.quality.name} {reading.why.key if reading.why else ''}"


# ---- mistakes -----------------------------------------------------------------------------------------------------

HEAD = 'profile = "x"\nsource = "s"\nverified = "no"\n'
P = 'profiles/x.toml › point "a.b" › '


def mistakes(folder: Path, text: str, head: str = HEAD) -> list[str]:
    (folder / "x.toml").write_text(head + text, "utf-8")
    with pytest.raises(BadConfig) as bad:
        profile.load(folder)
    return list(bad.value.mistakes)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('at = 1, unit = "Mpa"', 'unit: "Mpa" is not a unit. Did you mean "MPa"?'),
        ('at = 1, tpye = "u16"', '"tpye" is not known here. Did you mean "type"? Known: access, at, bit,'),
        ('type = "u16"', "at has no address. Write a whole number from 0 to 65535"),
        ('at = "one"', 'at is "one". Write a whole number'),
        ("at = 70000", "at is 70000. Write a whole number from 0 to 65535"),
        ('at = 65535, type = "f32"', "at is 65535, which is not on the wire (base 0). Write 0 or more"),
        ('at = 1, type = "u61"', 'type is "u61". Did you mean "u64"? Write one of: bool, bits,'),
        ('at = 1, type = "f32", order = "ACBD"', 'order: "ACBD" is not an order of 2 registers: ABCD, CDAB,'),
        ('at = 1, type = "string"', "is a string without a length. Write length = its number of registers"),
        ("at = 1, bit = 16", "bit is 16. Write a whole number from 0 to 15"),
        ('at = 1, bit = 1, labels = "l"', "has bit and labels. Write one of them"),
        ('at = 1, bits = "6-4"', 'bits is "6-4". Write the first and the last bit, like "4..6"'),
        ("at = 1, when_in = 2", "when_in is 2. Write a list of codes, like [1, 2]"),
        ("at = 1, low = 5, high = 5", "low is 5 and high 5. low must be the smaller one"),
        ("at = 1, scale = 0", "scale is 0. Write what one count is worth, like 0.1"),
        ("at = 1, every_s = 0", "every_s is 0. Write a number above 0"),
        ("at = 1, no_value = [0x10000]", "no_value 65536 does not fit into u16. Write what the register shows"),
        ('at = 1, fn = 4, access = "rw"', "is rw and read by fn 4. Only coils (1) and holding registers (3) can be"),
        ('at = 1, fn = 1, type = "u16"', "fn 1 reads single bits. Leave out type, order and length"),
        ('at = 1, times = ["ct"]', 'times is "ct", which is no setting. Write [settings.ct] with default, low, high'),
        ('at = 1, labels = "state"', 'labels is "state". Write one of [labels]: l'),
        ("at = 1, unit = 'm'", 'has no name. Write zh = "…", en = "…"'),
    ],
)
def test_a_mistake_in_a_point_says_where_what_and_what_to_write(tmp_path: Path, row: str, says: str):
    found = mistakes(tmp_path, f'[labels.l]\n0 = ["a", "一", "one"]\n[points]\n"a.b" = {{ {row} }}\n')
    assert any(line.startswith(P + says) for line in found), found


def test_all_mistakes_of_a_file_are_said_at_once(tmp_path: Path):
    text = 'base = 2\n[line]\nmax_cuont = 3\n[points]\n"a.b" = { at = 1, unit = "Hz " }\n"c" = { at = 2, type = 7 }\n'
    assert [line.split(". ")[0].split("› ", 1)[1] for line in mistakes(tmp_path, text)] == [
        "base is 2",
        'line › "max_cuont" is not known here',
        'point "a.b" › unit: "Hz " is not a unit',
        'point "c" › type is 7',
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"a.b" = { at = 10, type = "f32", zh="一", en="a" }\n"c" = { at = 11, zh="二", en="c" }',
         'point "c" › its registers 11 overlap those of "a.b" (10 to 11). Check at, type and step; only bits,'),
        ('"a.b" = { at = 10, zh="一", en="a" }\n"c" = { at = 10, zh="二", en="c" }',
         'point "c" › its registers 10 overlap those of "a.b" (10)'),
        ('"link" = { at = 1, zh="一", en="a" }', 'point "link" › is a point that every device has.'),
        ('"A b" = { at = 1, zh="一", en="a" }', 'point "A b" › is not a key. Write small letters, digits, "_" and "."'),
        ('"p{n}" = { at = 1, zh="一", en="a" }', 'point "p{n}" › has {n} in its key and stands in no repeat'),
    ],
)  # fmt: skip
def test_rows_that_do_not_go_together_are_found(tmp_path: Path, text: str, says: str):
    found = mistakes(tmp_path, f"[points]\n{text}\n")
    assert any(line.startswith(f"profiles/x.toml › {says}") for line in found), found


def test_bits_codes_and_halves_may_share_a_register(tmp_path: Path):
    rows = ["bit = 0", "bit = 1", 'bits = "4..6"', "when_in = [1]", 'labels = "l"', 'type = "u8hi"', 'type = "u8lo"']
    text = "".join(f'"a{k}.b" = {{ at = 1, {row}, zh = "一", en = "a" }}\n' for k, row in enumerate(rows))
    (tmp_path / "x.toml").write_text(f'{HEAD}[labels.l]\n0 = ["a", "一", "one"]\n[points]\n{text}', "utf-8")
    assert len(profile.load(tmp_path).plate("x", {}).rows) == 7


def test_a_repeat_is_checked_for_as_many_as_its_setting_allows(tmp_path: Path):
    text = """
[settings.pumps]
default = 1
low = 1
high = 3
whole = true
[points]
"far.off" = { at = 45, zh = "远", en = "far" }
[[repeat]]
count = "pumps"
step = 20
[repeat.points]
"pump{n}.run" = { at = 5, zh = "{n}", en = "{n}" }
"""
    assert mistakes(tmp_path, text) == [
        'profiles/x.toml › point "pump3.run" › its registers 45 overlap those of "far.off" (45). '
        "Check at, type and step; only bits, when_in, labels and flags may share a register"
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('write = []', "writes nothing. Write write = [{ at = …, value = … }]"),
        ('write = [{ at = 1 }]', "write 1 › has no value to write. Write value = a number, or arg ="),
        ('write = [{ at = 1, value = 70000 }]', "write 1: 70000 does not fit into u16. Write a value that"),
        ('write = [{ at = 1, value = 1, type = "f32", fn = 6 }]', "write 1 › fn 6 writes one register, and f32 has 2"),
        ('write = [{ at = 1, arg = "sped" }], args = [{ key = "speed" }]',
         'write takes "sped", which is no argument. Did you mean "speed"?'),
        ('write = [{ at = 1, value = 1 }], proof = { point = "a.runing", becomes = true }',
         'proof is "a.runing", which is no point. Did you mean "a.running"? Write the key of a point'),
        ('write = [{ at = 1, value = 1 }], proof = { point = "a.state", becomes = "runs" }',
         'proof becomes "runs", which "a.state" never is. Write one of: off, on'),
        ('write = [{ at = 1, value = 1 }], interlocks = [{ zh = "一", en = "a" }]',
         "interlocks 1 › has nothing to test. Write point, test and limit, or count and per_s"),
        ('write = [{ at = 1, value = 1 }], hazard = "pmup"', 'hazard is "pmup". Did you mean "pump"? Write one of:'),
        ('handshake = { at = 1, value = 1, number_at = 1, result_at = 3, accepted = [1] }',
         "handshake › must stand as one block: at, then number_at, then result_at, within 16 registers"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_action_says_where_what_and_what_to_write(tmp_path: Path, row: str, says: str):
    text = f"""
[labels.l]
0 = ["off", "关", "off"]
1 = ["on", "开", "on"]
[points]
"a.running" = {{ at = 1, bit = 0 }}
"a.state" = {{ at = 2, labels = "l" }}
[actions]
"a.start" = {{ zh = "启", en = "start", {row} }}
"""
    found = mistakes(tmp_path, text)
    assert any(line.startswith(f'profiles/x.toml › action "a.start" › {says}') for line in found), found


def test_a_key_that_stands_twice_and_a_missing_source_are_found(tmp_path: Path):
    found = mistakes(tmp_path, '[points]\n"a" = { at = 1 }\n"a" = { at = 2 }\n')
    assert found[0].startswith(
        'profiles/x.toml › line 6 › "a" = { at = 2 } is not TOML: Cannot overwrite a value. A key may'
    )
    assert mistakes(tmp_path, "", 'profile = "y"\n') == [
        'profiles/x.toml › profile is "y", and the file is called x.toml. Give both the same name',
        "profiles/x.toml › source is missing. Write a text",
        "profiles/x.toml › verified is missing. Write a text",
    ]


def test_settings_are_checked_against_the_profile():
    shelf = profile.load()
    for settings, says in (
        ({"pumps": 9}, 'settings › pumps is 9. Write a whole number from 1 to 8 ("ps-2026")'),
        ({"pump": 2}, 'settings › "pump" is not known here. Did you mean "pumps"? Known: pumps, gap_ms,'),
        ({"gap_ms": "5"}, "settings › gap_ms is '5'. Write what [line] of a profile takes"),
    ):
        with pytest.raises(BadConfig) as bad:
            shelf.plate("ps-2026", settings)
        assert bad.value.mistakes[0].startswith(says)
    with pytest.raises(BadConfig, match=r'there is no Modbus profile "ps-2025"\. Write one of: abb-acs580,'):
        shelf.plate("ps-2025", {})


def test_a_sites_own_profile_replaces_the_shipped_one_and_other_drivers_files_are_left_alone(tmp_path: Path):
    (tmp_path / "tuf-2000m.toml").write_text(HEAD.replace('"x"', '"tuf-2000m"') + "[points]\n", "utf-8")
    (tmp_path / "truck.toml").write_text('driver = "jt808"\nwhatever = 1\n', "utf-8")
    shelf = profile.load(tmp_path)
    assert shelf.plate("tuf-2000m", {}).rows == ()
    assert "truck" not in shelf.profiles
    assert "ps-2026" in shelf.profiles
