"""The schema: what the revisions make is what tables.py says, old data opens, and newer data is refused in words."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from hub.clock import ManualClock
from hub.ledger import Ledger, LedgerUnavailable
from hub.ledger.tables import metadata
from hub.model import Stage
from hub.rights import Grant

FIRST = Path(__file__).with_name("first_revision.sql")


async def test_the_revisions_make_what_the_tables_say(ledger: Ledger, url: str):
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_partial_indexes_have_the_conditions_of_the_tables(tmp_path: Path):
    """Alembic's comparison does not look at them. Both databases are given the same text."""
    await (await Ledger.open(f"sqlite:///{tmp_path / 'migrated.sqlite'}", ManualClock())).close()
    metadata.create_all(create_engine(f"sqlite:///{tmp_path / 'plain.sqlite'}"))
    found = conditions(tmp_path / "migrated.sqlite")
    assert len(found) == 5
    assert found == conditions(tmp_path / "plain.sqlite")


def conditions(file: Path) -> dict[str, str]:
    indexes = inspect(create_engine(f"sqlite:///{file}")).get_indexes("entry")
    return {
        str(it["name"]): str(it["dialect_options"]["sqlite_where"]).replace('"', "")
        for it in indexes
        if it.get("dialect_options")
    }


async def test_data_written_at_the_first_revision_still_opens(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    old = sqlite3.connect(file)
    old.executescript(FIRST.read_text("utf-8"))
    old.close()
    ledger = await Ledger.open(f"sqlite:///{file}", ManualClock())
    assert await ledger.verify() is None
    assert [it.alarm for it in await ledger.standing_alarm_changes()] == ["alarm-2"]
    asked, receipts = (await ledger.open_commands())[0]
    assert (asked.id, asked.because, [it.stage for it in receipts]) == ("command-2", "irrigation", [Stage.SENT])
    person = await ledger.people.person("wang.min")
    assert person is not None
    assert (person.full_name, person.grants, person.second) == ("王敏", (Grant("water_operator"),), "")
    (token,) = await ledger.people.tokens()
    assert (token.name, token.grants) == ("data board", (Grant("viewer"),))
    areas, devices = await ledger.places.load()
    assert ([it.it.name for it in areas], [it.source for it in devices]) == (["东门镇"], ["file:devices.toml"])
    await ledger.close()


async def test_who_was_admin_has_both_powers_and_their_session_goes_on(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    old = sqlite3.connect(file)
    old.executescript(FIRST.read_text("utf-8"))
    old.execute("UPDATE person SET roles = ?", ('["admin", "viewer"]',))
    old.commit()
    old.close()
    ledger = await Ledger.open(f"sqlite:///{file}", ManualClock())
    found = await ledger.people.session("s1")
    assert found is not None
    assert found[1].grants == (Grant("system_admin"), Grant("security_admin"), Grant("viewer"))
    assert await ledger.verify() is None
    await ledger.close()


async def test_a_newer_database_is_refused_in_words(ledger: Ledger, url: str):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '999'"))
    engine.dispose()
    with pytest.raises(LedgerUnavailable, match="revision 999, and this program knows revisions up to 004") as refused:
        await Ledger.open(url, ManualClock())
    assert str(refused.value).endswith(
        "A newer FieldHub has written it: run that one, or bring back the copy from before the update."
    )


async def test_a_migration_that_fails_leaves_nothing_behind(url: str):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE device (of_another_program INTEGER)"))
    with pytest.raises(LedgerUnavailable, match=r'cannot be opened: .*device"? already exists.* Nothing was changed'):
        await Ledger.open(url, ManualClock())
    assert inspect(engine).get_table_names() == ["device"]
    engine.dispose()
