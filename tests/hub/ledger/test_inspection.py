"""An inspector's look at a ledger, in every database that is tested."""

import pytest
from sqlalchemy import create_engine, text

from hub.audit import verify
from hub.ledger import Ledger, LedgerUnavailable, Note, Person
from hub.ledger.entries import changed
from hub.ledger.inspection import inspecting
from hub.rights import Grant

from .samples import at, change, command

WANG = Person("wang.min", "王敏", "$argon2id$…", (Grant("viewer"),), at(0))


async def written(ledger: Ledger) -> None:
    await ledger.append(change("a1"), command("c1", 1, key="k"), change("a2", by="wang.min"))
    body = {"did": "added", "changed": changed(None, WANG)}
    await ledger.people.add(WANG, Note("person", at(2), "admin", WANG.name, body=body))


def tampered(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER entry_refuses_update"))
        else:
            connection.execute(text("ALTER TABLE entry DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


async def test_an_untouched_ledger_is_whole_and_its_tip_is_the_ledgers_own(ledger: Ledger, url: str):
    await written(ledger)
    with inspecting(url) as inspected:
        found = verify(inspected, [await ledger.tip()])
        assert inspected.tip() == await ledger.tip()
    assert (found.entries, found.faults, found.notes) == (4, [], [])


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE entry SET body = replace(body, 'sump', 'pump') WHERE seq = 1", "entry 1 › was changed"),
        ("UPDATE entry SET final = NOT final WHERE seq = 2", "entry 2 › was changed"),
        ("UPDATE person SET disabled = NOT disabled", 'person "wang.min" › disabled is '),
        ("UPDATE person SET full_name = 'x'", "person \"wang.min\" › full_name is 'x' in the table"),
        (
            """UPDATE person SET grants = '[{"role": "auditor", "area": ""}]'""",
            "person \"wang.min\" › grants is ['auditor']",
        ),
    ],
)
async def test_what_was_touched_is_named_and_so_is_the_refusal_that_is_gone(
    ledger: Ledger, url: str, statement: str, named: str
):
    await written(ledger)
    tampered(url, statement)
    with inspecting(url) as inspected:
        gone, *told = verify(inspected).faults
    assert "is gone, which refuses to change entries" in gone
    assert len(told) == 1
    assert told[0].startswith(named)


async def test_an_inspector_cannot_write(ledger: Ledger, url: str):
    with pytest.raises(LedgerUnavailable, match=r"(?i)read-?\s?only"), inspecting(url) as inspected:
        inspected._connection.execute(text("DELETE FROM person"))


def test_a_database_without_a_ledger_is_said(url: str):
    create_engine(url).connect().close()
    with pytest.raises(LedgerUnavailable, match=r"is not there|has no ledger in it"), inspecting(url):
        pass
