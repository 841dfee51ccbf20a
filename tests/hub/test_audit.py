"""`fieldhub audit`: an entry that was changed, moved, taken away, put in or cut off is named; nothing is written."""

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import create_engine, text

from hub.__main__ import main
from hub.audit import BACK, verify
from hub.clock import ManualClock
from hub.config import HubFile, Site
from hub.identity import Identity
from hub.ledger import Ledger, Note
from hub.ledger.database import open_to_read
from hub.ledger.entries import START, changed, draft, seal
from hub.ledger.inspection import TEXTS, inspecting
from hub.ledger.people import Person, Session, Token
from hub.model import AlarmEvent, Device
from hub.registry import compare, follow
from hub.rights import Grant
from tests.hub.ledger.samples import at, change, command

WANG = Person("wang.min", "王敏", "$argon2id$…", (Grant("viewer"),), at(0))
PUMP = Device("ps-1", "东门泵站", "pump_station", "modbus+tcp://10.0.0.1:502/1", settings={"pumps": 3})
DTU = "modbus+dtu:860123456789012"
ENTRIES = 7


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """A site whose ledger has seven entries, with something in every column."""
    (tmp_path / "data").mkdir()
    ledger = await Ledger.open(url(tmp_path), ManualClock())
    await ledger.append(*(change(f"a{n}", AlarmEvent.RAISED, n) for n in range(3)))
    await ledger.append(command("c1", 3, key="k1"), command("c2", 4, key="k2"))
    await ledger.append(change("a1", AlarmEvent.ACKNOWLEDGED, 5, by="wang.min"), change("a2", by="li.na", seconds=6))
    await ledger.close()
    return tmp_path


def url(site: Path) -> str:
    return f"sqlite:///{site}/data/ledger.sqlite"


def by_hand(site: Path, *statements: str) -> None:
    """What somebody does who may write the file, and puts the refusals back when it is done."""
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    triggers = it.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        it.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        it.execute(statement)
    for _, sql in triggers:
        it.execute(sql)
    it.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    it.close()


def faults(site: Path, *known: tuple[int, str]) -> list[str]:
    with inspecting(url(site)) as ledger:
        return verify(ledger, known).faults


def audit(site: Path, *words: str) -> int:
    return main(["audit", str(site), *words])


def tip(site: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert audit(site, "tip") == 0
    return capsys.readouterr().out.strip()


def test_an_untouched_ledger_is_whole(site: Path, capsys: pytest.CaptureFixture[str]):
    known = tip(site, capsys)
    assert known.startswith("7:")
    assert audit(site, "verify", "--tip", known) == 0
    assert capsys.readouterr().out == "whole: 7 entries\n"


# ---- one byte -----------------------------------------------------------------------------------------------------


def flipped(site: Path, column: str, seq: int, place: int, bit: int) -> str:
    """One bit of one column of one entry is another; what it became."""
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    (raw,) = it.execute(f'SELECT CAST("{column}" AS BLOB) FROM entry WHERE seq = ?', (seq,)).fetchone()
    it.close()
    if not raw:
        after = bytes([1 << bit])
    else:
        place %= len(raw)
        after = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
    by_hand(site, f"""UPDATE entry SET "{column}" = CAST(x'{after.hex()}' AS TEXT) WHERE seq = {seq}""")
    return after.hex()


@pytest.mark.parametrize("column", ["at", *TEXTS])
@pytest.mark.parametrize("seq", [1, 4, ENTRIES])
def test_one_byte_that_was_changed_in_any_column_is_named(
    site: Path, column: str, seq: int, capsys: pytest.CaptureFixture[str]
):
    flipped(site, column, seq, 3, 0)
    assert audit(site, "verify") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"entry {seq} › was changed: ")


@given(st.sampled_from(["at", *TEXTS]), st.integers(1, ENTRIES), st.integers(0, 2000), st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bit_of_any_text_is_named(site: Path, column: str, seq: int, place: int, bit: int):
    with_bit = site / "flipped"
    shutil.rmtree(with_bit, ignore_errors=True)
    shutil.copytree(site / "data", with_bit / "data")
    flipped(with_bit, column, seq, place, bit)
    found = faults(with_bit)
    assert len(found) == 1
    assert found[0].startswith(f"entry {seq} › was changed: ")


@pytest.mark.parametrize("value", ["1 - final", "2", "-1", "0.5", "x'00'", "'yes'"])
def test_a_final_that_was_changed_is_named(site: Path, value: str):
    by_hand(site, f"UPDATE entry SET final = {value} WHERE seq = 4")
    assert [it.partition(" › ")[0] for it in faults(site)] == ["entry 4"]


@pytest.mark.parametrize("value", ["NULL", "x'7075'", "17", "3.5"])
@pytest.mark.parametrize("column", ["at", "kind", "body", "hash"])
def test_a_value_of_another_type_is_named_and_stops_nothing(site: Path, column: str, value: str):
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    it.execute("PRAGMA writable_schema=ON")
    it.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'entry'")
    it.close()
    by_hand(site, f"UPDATE entry SET {column} = {value} WHERE seq = 4")
    found = [one for one in faults(site) if one.startswith("entry")]
    assert len(found) == 1
    assert found[0].startswith("entry 4 › was changed: ")


def test_bytes_of_the_file_that_no_query_would_meet_are_found(site: Path):
    """An index that says otherwise than its table: the console would be told by it, and the chain would be whole."""
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    it.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = it.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_entry_device'").fetchone()
    (size,) = it.execute("PRAGMA page_size").fetchone()
    it.close()
    file = site / "data/ledger.sqlite"
    raw = bytearray(file.read_bytes())
    where = raw.index(b"pump-7", (page - 1) * size)
    assert where < page * size
    raw[where : where + 6] = b"pump-8"
    file.write_bytes(raw)
    assert any("ledger.sqlite › is damaged: " in one for one in faults(site))


# ---- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM entry WHERE seq = 4", ["entry 4 › is missing"]),
        ("DELETE FROM entry WHERE seq IN (3, 4, 5)", ["entries 3 to 5 › are missing"]),
        ("DELETE FROM entry WHERE seq < 3", ["entries 1 to 2 › are missing"]),
        ("UPDATE entry SET seq = 17 WHERE seq = 7", ["entries 7 to 16 › are missing", "entry 17 › was changed: "]),
        (
            "INSERT INTO entry SELECT 8, at, kind, topic, step, final, 'c9', device, \"by\", '', body, prev, hash "
            "FROM entry WHERE seq = 7",
            ["entry 8 › was changed: "],
        ),
    ],
)
def test_rows_that_went_or_came_are_named(site: Path, statement: str, found: list[str]):
    by_hand(site, statement)
    told = faults(site)
    assert len(told) == len(found), told
    assert all(one.startswith(start) for one, start in zip(told, found, strict=True)), told


def test_rows_that_changed_places_are_named(site: Path):
    by_hand(
        site,
        "UPDATE entry SET seq = 100 WHERE seq = 3",
        "UPDATE entry SET seq = 3 WHERE seq = 5",
        "UPDATE entry SET seq = 5 WHERE seq = 100",
    )
    assert [it.partition(":")[0] for it in faults(site)] == ["entry 3 › was changed", "entry 5 › was changed"]


def test_a_row_that_stands_twice_is_named(site: Path):
    """A table that was made anew without its key."""
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    for statement in (
        "CREATE TABLE other AS SELECT * FROM entry",
        "INSERT INTO other SELECT * FROM entry WHERE seq = 4",
        "DROP TABLE entry",
        "ALTER TABLE other RENAME TO entry",
    ):
        it.execute(statement)
    it.close()
    assert "entry 4 › stands in the ledger twice" in faults(site)


def test_an_entry_that_was_changed_and_sealed_anew_shows_where_the_next_one_joins(site: Path):
    it = sqlite3.connect(site / "data/ledger.sqlite")
    (prev,) = it.execute("SELECT prev FROM entry WHERE seq = 4").fetchone()
    it.close()
    forged = seal(4, draft(replace(command("c1", 3, key="k1"), asked_by="somebody.else")), prev)
    values = ", ".join(f"\"{name}\" = '{forged[name]}'" for name in ("by", "body", "hash"))
    by_hand(site, f"UPDATE entry SET {values} WHERE seq = 4")
    assert faults(site) == ["entry 5 › does not follow entry 4: one of the two was changed and sealed anew"]


def test_the_first_entry_follows_none(site: Path):
    forged = seal(1, draft(change("a0")), "ab" * 32)
    by_hand(
        site,
        "DELETE FROM entry WHERE seq > 1",
        f"UPDATE entry SET body = '{forged['body']}', prev = '{forged['prev']}', hash = '{forged['hash']}'",
    )
    assert forged["prev"] != START
    assert faults(site) == ["entry 1 › was changed: it follows another one, and the first follows none"]


def test_a_cut_off_end_shows_by_an_earlier_tip(site: Path, capsys: pytest.CaptureFixture[str]):
    known = tip(site, capsys)
    by_hand(site, "DELETE FROM entry WHERE seq > 5")
    assert audit(site, "verify") == 0, "what is left is a whole chain"
    assert audit(site, "verify", "--tip", known) == 1
    assert "entry 6 › and all after it are gone: the ledger ends at 5" in capsys.readouterr().out


async def test_a_history_that_was_written_anew_shows_by_an_earlier_tip(site: Path):
    with inspecting(url(site)) as inspected:
        known = inspected.tip()
    by_hand(site, "DELETE FROM entry WHERE seq > 5")
    ledger = await Ledger.open(url(site), ManualClock())
    await ledger.append(change("other"), change("other2"), change("other3"))
    await ledger.close()
    assert faults(site) == []
    (line,) = faults(site, known)
    assert line.startswith("entry 7 › is not the one of the tip")


def test_refusals_that_were_taken_away_or_put_in_are_named(site: Path):
    it = sqlite3.connect(site / "data/ledger.sqlite", isolation_level=None)
    it.execute("DROP TRIGGER entry_refuses_update")
    it.execute("CREATE TRIGGER helpful AFTER INSERT ON person BEGIN DELETE FROM session; END")
    it.close()
    gone, strange = faults(site)
    assert 'trigger "entry_refuses_update" is gone' in gone
    assert 'trigger "helpful" is none of the hub\'s' in strange


def test_more_faults_than_can_be_read_are_counted(site: Path):
    by_hand(
        site,
        "WITH RECURSIVE n(i) AS (SELECT 9 UNION ALL SELECT i + 1 FROM n WHERE i < 158) "
        "INSERT INTO entry SELECT i, at, kind, topic, step, final, i, device, \"by\", '', body, prev, hash "
        "FROM entry, n WHERE seq = 7",
    )
    told = faults(site)
    assert len(told) == 101
    assert told[-1] == "and 51 more", "150 changed, and the missing eighth"


# ---- the tables beside the chain ----------------------------------------------------------------------------------


@pytest.fixture
async def peopled(site: Path) -> Path:
    """The site with a person, a token, a registry and a terminal's secret, all written down by entries."""
    ledger = await Ledger.open(url(site), ManualClock(at(10)))
    added = Note("person", at(10), "admin", WANG.name, body={"did": "added", "changed": changed(None, WANG)})
    await ledger.people.add(WANG, added)
    token = Token("t1", "robot", WANG.name, "hash", (Grant("viewer"),), at(11))
    made = Note("token", at(11), WANG.name, "t1", body={"did": "made", "changed": changed(None, token)})
    await ledger.people.add_token(token, made)
    await follow(Site(site, HubFile(), {}, (), (PUMP,), {}, {"ps-1": "devices/pumps.toml"}), ledger.places, at(12))
    await Identity(ledger.keys, ManualClock(at(13))).renew(DTU, timedelta(days=7), WANG.name, {})
    await ledger.close()
    return site


def test_tables_that_say_what_the_entries_say_are_whole(peopled: Path):
    assert faults(peopled) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            """UPDATE person SET grants = '[{"role": "viewer"}, {"role": "security_admin", "area": ""}]'""",
            """person "wang.min" › grants is ['viewer', 'security_admin'] in the table, and ['viewer'] by""",
        ),
        (
            """UPDATE person SET grants = '[{"role": "viewer", "area": "340299100000"}]'""",
            """person "wang.min" › grants is ['viewer@340299100000'] in the table, and ['viewer'] by the entries""",
        ),
        ("UPDATE person SET disabled = 1", 'person "wang.min" › disabled is 1 in the table, and False by the entries'),
        (
            "INSERT INTO person (name, full_name, password, grants, language, disabled, created) "
            "SELECT 'mallory', full_name, password, grants, language, disabled, created FROM person",
            'person "mallory" › is in the table, and no entry says that anybody added it',
        ),
        ("DELETE FROM person", 'person "wang.min" › is in no row, and entry 8 says that it is there'),
        ("UPDATE token SET grants = '[\"admin\"]'", 'token "t1" › grants is '),
        ("UPDATE token SET person = 'admin'", 'token "t1" › person is '),
        ("UPDATE token SET id = 't2'", 'token "t2" › is in the table, and no entry says that anybody added it'),
        ("UPDATE device SET address = 'modbus+tcp://10.6.6.6:502/1'", 'device "ps-1" › address is '),
        ("""UPDATE device SET settings = '{"pumps": 4}'""", 'device "ps-1" › settings is '),
        (
            "DELETE FROM speaker_key WHERE until IS NOT NULL",
            f'speaker_key "{DTU}" › 1 in the table are not the 2 by entry ',
        ),
        ("UPDATE speaker_key SET until = NULL", f'speaker_key "{DTU}" › 2 in the table are not the 2 by '),
        (
            "INSERT INTO speaker_key SELECT 'modbus+dtu:x', hash, made_at, until FROM speaker_key WHERE until IS NULL",
            'speaker_key "modbus+dtu:x" › 1 in the table are not the 0 by no entry',
        ),
        ("UPDATE device SET retired_at = added_at", 'device "ps-1" › retired is True in the table, and False by'),
    ],
)
def test_a_row_that_was_changed_by_hand_without_an_entry_is_named(peopled: Path, statement: str, found: str):
    by_hand(peopled, statement)
    assert any(one.startswith(found) for one in faults(peopled)), faults(peopled)


async def test_changes_that_were_written_down_are_none(peopled: Path):
    ledger = await Ledger.open(url(peopled), ManualClock(at(20)))
    after = replace(WANG, grants=(Grant("viewer", "340299100000"), Grant("auditor")), disabled=True)
    body = {"did": "changed", "changed": changed(WANG, after)}
    await ledger.people.change(after, Note("person", at(20), "admin", WANG.name, body=body))
    await ledger.people.end_token("t1", Note("token", at(21), WANG.name, "t1", body={"did": "ended"}))
    await follow(Site(peopled, HubFile(), {}, (), (), {}, {}), ledger.places, at(22))
    await ledger.close()
    assert faults(peopled) == []


async def test_a_token_that_was_ended_and_is_back_is_named(peopled: Path):
    ledger = await Ledger.open(url(peopled), ManualClock(at(20)))
    await ledger.append(Note("token", at(21), WANG.name, "t1", body={"did": "ended"}))
    await ledger.close()
    assert faults(peopled) == ['token "t1" › is in the table, and entry 13 says that it has ended']


async def test_entries_from_before_there_was_before_and_after_are_compared_as_far_as_they_go(site: Path):
    ledger = await Ledger.open(url(site), ManualClock(at(10)))
    await ledger.people.add(WANG, Note("person", at(10), "", WANG.name, body={"did": "added", "roles": ["viewer"]}))
    after = replace(WANG, full_name="王敏敏")
    body = {"did": "changed", "full_name": "王敏敏"}
    await ledger.people.change(after, Note("person", at(11), "admin", WANG.name, body=body))
    legacy = Note("registry", at(12), "hub", "county", body={"added": ["ps-1"], "changed": [], "retired": []})
    it = Site(site, HubFile(), {}, (), (PUMP,), {}, {"ps-1": "devices/pumps.toml"})
    await ledger.places.apply(compare(it, [])[0], legacy)
    await ledger.close()
    assert faults(site) == []
    by_hand(site, "UPDATE person SET full_name = '李娜'")
    assert faults(site) == [
        "person \"wang.min\" › full_name is '李娜' in the table, and '王敏敏' by the entries (the last is 9)"
    ]


async def test_roles_of_before_there_were_grants_are_the_grants_that_they_became(site: Path):
    ledger = await Ledger.open(url(site), ManualClock(at(10)))
    became = (Grant("viewer"), Grant("system_admin"), Grant("security_admin"))
    body = {"did": "added", "roles": ["viewer", "admin"]}
    await ledger.people.add(replace(WANG, grants=became), Note("person", at(10), "", WANG.name, body=body))
    await ledger.close()
    assert faults(site) == []
    by_hand(site, """UPDATE person SET grants = '[{"role": "system_admin", "area": ""}]'""")
    (line,) = faults(site)
    assert line.startswith("person \"wang.min\" › grants is ['system_admin'] in the table, and ['viewer', ")


async def test_a_second_factor_that_was_taken_away_by_hand_is_named(peopled: Path):
    ledger = await Ledger.open(url(peopled), ManualClock(at(20)))
    note = Note("person", at(20), WANG.name, WANG.name, body={"did": "second factor set"})
    await ledger.people.set_second(WANG.name, "sealed", ("code",), note)
    await ledger.close()
    assert faults(peopled) == []
    by_hand(peopled, "UPDATE person SET second = ''")
    assert faults(peopled) == [
        'person "wang.min" › second factor is False in the table, and True by the entries (the last is 13)'
    ]


SESSION = Session("ab" * 32, WANG.name, "csrf", at(20), at(20), at(9000))


async def signed_in(peopled: Path, **more: str) -> None:
    ledger = await Ledger.open(url(peopled), ManualClock(at(20)))
    body = {"did": "signed_in", "address": "10.0.4.2", **more}
    await ledger.people.open_session(SESSION, Note("login", at(20), WANG.name, WANG.name, body=body))
    await ledger.close()


@pytest.mark.parametrize("more", [{"session": "ab" * 6}, {}], ids=["named by its entry", "by an older entry"])
async def test_a_session_that_nobody_opened_is_named(peopled: Path, more: dict[str, str]):
    await signed_in(peopled, **more)
    assert faults(peopled) == []
    by_hand(
        peopled,
        "INSERT INTO session (id, person, csrf, created, seen, expires) "
        "SELECT 'cdcdcdcdcdcdcdcd', person, csrf, '2026-06-01 04:01:00.000000', seen, expires FROM session",
    )
    assert faults(peopled) == ['session cdcdcdcdcdcd of "wang.min" › is in the table, and no entry says who signed in']


async def test_a_session_that_was_made_somebody_elses_is_named(peopled: Path):
    await signed_in(peopled, session="ab" * 6)
    by_hand(peopled, "UPDATE session SET person = 'admin'")
    assert faults(peopled) == [
        "session abababababab › is of \"admin\" in the table, and of {'wang.min'} by the entries"
    ]


# ---- times --------------------------------------------------------------------------------------------------------


async def test_a_time_that_goes_back_is_noted_and_is_no_fault(site: Path, capsys: pytest.CaptureFixture[str]):
    ledger = await Ledger.open(url(site), ManualClock())
    await ledger.append(Note("login", at(100)), Note("login", at(100) - BACK), change("late alarm", seconds=-900))
    await ledger.append(Note("login", at(100) - BACK - BACK - timedelta(seconds=1)))
    await ledger.close()
    assert audit(site, "verify") == 0
    said = capsys.readouterr()
    assert said.out == "whole: 11 entries\n"
    assert said.err == "note: entry 11 › is 3 s earlier than entry 9: the clock was set back\n"


# ---- it only reads ------------------------------------------------------------------------------------------------


def lies(site: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((site / "data").iterdir())}


@pytest.mark.parametrize("what", ["verify", "tip"])
def test_nothing_is_written_and_no_file_made(site: Path, what: str):
    before = lies(site)
    assert list(before) == ["ledger.sqlite"]
    assert audit(site, what) == 0
    assert lies(site) == before


def test_a_ledger_of_another_revision_is_read_as_it_is(site: Path):
    by_hand(site, "UPDATE alembic_version SET version_num = '999'", "ALTER TABLE person ADD COLUMN later TEXT")
    before = lies(site)
    assert audit(site, "verify") == 0
    assert lies(site) == before


async def test_a_running_hub_is_inspected_with_what_it_has_just_written(site: Path):
    ledger = await Ledger.open(url(site), ManualClock())
    await ledger.append(change("now"))
    with inspecting(url(site)) as inspected:
        assert verify(inspected).entries == ENTRIES + 1
        await ledger.append(change("meanwhile"))
    assert await ledger.verify() is None
    await ledger.close()


def test_the_inspector_cannot_write_even_if_it_would(site: Path):
    engine = open_to_read(url(site))
    with engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.execute(text("DELETE FROM person"))
    engine.dispose()


@pytest.mark.parametrize("wrong", ["7", "7:zz", "x:" + "0" * 64])
def test_what_is_no_tip_is_said(site: Path, wrong: str, capsys: pytest.CaptureFixture[str]):
    assert audit(site, "verify", "--tip", wrong) == 2
    assert "is not a tip. Write what `fieldhub audit DIR tip` printed" in capsys.readouterr().err


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert audit(tmp_path, "verify") == 2
    assert "ledger.sqlite › is not there" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_a_ledger_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "data").mkdir()
    engine = create_engine(url(tmp_path))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (n INTEGER)"))
    engine.dispose()
    assert audit(tmp_path, "verify") == 2
    assert "ledger.sqlite › has no ledger in it. Name the database of a site" in capsys.readouterr().err
