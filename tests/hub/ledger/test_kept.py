"""Entries are kept for ever: nothing in the house deletes or changes one, and the database would refuse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.test_house import Source, kept

# What would touch entries by words of SQL, or by calls of SQLAlchemy and Alembic.
BY_WORDS = re.compile(
    r"\b(?:DELETE\s+FROM|UPDATE|TRUNCATE(?:\s+TABLE)?|DROP\s+TABLE(?:\s+IF\s+EXISTS)?|REPLACE\s+INTO)\s+"
    r"[\"'`\[]?entry\b|\bDROP\s+TRIGGER\s+[\"'`\[]?entry_refuses|DISABLE\s+TRIGGER",
    re.IGNORECASE,
)
BY_CALLS = {"delete", "update", "drop_table", "drop_column", "alter_column", "batch_alter_table", "rename_table"}
OURS = ("hub", "rules", "drivers", "dashboards", "protocols")


def touches_entries(it: Source) -> Iterator[str]:
    for number, line in enumerate(it.text.splitlines(), 1):
        if found := BY_WORDS.search(line):
            yield f"{it.path}:{number}: {found[0]!r}: entries are never changed or deleted"
    for node in ast.walk(it.tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0] if node.args else getattr(node.func, "value", None)
        of_entries = (isinstance(first, ast.Name) and first.id == "entry") or (
            isinstance(first, ast.Constant) and first.value == "entry"
        )
        if name in BY_CALLS and of_entries:
            yield f"{it.path}:{node.lineno}: {name}(entry): entries are never changed or deleted"


def test_nothing_in_the_house_deletes_or_changes_an_entry():
    found = [one for it in kept() if it.room in OURS and it.path.endswith(".py") for one in touches_entries(it)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "connection.execute(delete(entry).where(entry.c.seq < 9))",
        "connection.execute(update(entry).values(body=''))",
        "connection.execute(entry.delete())",
        "connection.execute(text('delete from entry where at < :old'))",
        'engine.execute(f"""TRUNCATE entry""")',
        "op.drop_table('entry')",
        "op.drop_column('entry', 'key')",
        "op.execute('DROP TRIGGER entry_refuses_delete')",
        "execute('ALTER TABLE entry DISABLE TRIGGER USER')",
    ],
)
def test_the_look_for_it_sees_what_it_must(code: str):
    assert list(touches_entries(Source("hub/x.py", code)))


@pytest.mark.parametrize(
    "code", ["select(entry)", "insert(entry)", "delete(session)", "x = 'an entry is never deleted'"]
)
def test_and_nothing_else(code: str):
    assert not list(touches_entries(Source("hub/x.py", code)))
