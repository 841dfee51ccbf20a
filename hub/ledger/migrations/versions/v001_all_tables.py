"""The first revision: entries that are only ever appended, people, devices and areas."""

import sqlalchemy as sa
from alembic import op

revision = "001"
down_revision = None

_REFUSAL = "the ledger is append-only: entries are never changed or deleted"
_REFUSE = {
    "sqlite": [
        f"CREATE TRIGGER entry_refuses_{verb.lower()} BEFORE {verb} ON entry "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION entry_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
        "CREATE TRIGGER entry_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION entry_refuses()",
    ],
}


def upgrade() -> None:
    _entries()
    _people()
    _places()
    for statement in _REFUSE[op.get_bind().dialect.name]:
        op.execute(statement)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _entries() -> None:
    op.create_table(
        "entry",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        _time("at"),
        *map(_text, ("kind", "topic", "step")),
        sa.Column("final", sa.Boolean(), nullable=False),
        *map(_text, ("subject", "device", "by", "key", "body", "prev", "hash")),
        sa.PrimaryKeyConstraint("seq", name="pk_entry"),
    )
    op.create_index("ix_entry_kind_seq", "entry", ["kind", "seq"])
    op.create_index("ix_entry_device", "entry", ["kind", "device", "seq"])
    op.create_index("ix_entry_subject", "entry", ["kind", "subject", "step", "seq", "final"])
    for name, columns, unique, where in (
        ("ix_entry_sent", ["device", "topic", "at"], False, "step = 'sent'"),
        ("ix_entry_raised", ["device", "topic", "seq", "step"], False, "step = 'raised'"),
        ("uq_entry_command", ["subject"], True, "kind = 'command'"),
        ("uq_entry_key", ["by", "key"], True, "kind = 'command' AND key != ''"),
    ):
        op.create_index(
            name, "entry", columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def _people() -> None:
    op.create_table(
        "person",
        *map(_text, ("name", "full_name", "password")),
        sa.Column("roles", sa.JSON(), nullable=False),
        _text("language"),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        _time("created"),
        sa.PrimaryKeyConstraint("name", name="pk_person"),
    )
    op.create_table(
        "session",
        *map(_text, ("id", "person", "csrf")),
        *map(_time, ("created", "seen", "expires")),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name="fk_session_person_person", ondelete="CASCADE"),
    )
    op.create_index("ix_session_person", "session", ["person"])
    op.create_table(
        "token",
        *map(_text, ("id", "name", "person", "secret")),
        sa.Column("roles", sa.JSON(), nullable=False),
        _time("created"),
        _time("expires", nullable=True),
        _time("last_used", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.ForeignKeyConstraint(["person"], ["person.name"], name="fk_token_person_person", ondelete="CASCADE"),
    )
    op.create_index("ix_token_person", "token", ["person"])


def _places() -> None:
    op.create_table(
        "area",
        *map(_text, ("code", "name", "parent", "source")),
        _time("added_at"),
        _time("retired_at", nullable=True),
        sa.PrimaryKeyConstraint("code", name="pk_area"),
    )
    op.create_table(
        "device",
        *map(_text, ("id", "name", "kind", "address", "profile", "area")),
        sa.Column("settings", sa.JSON(), nullable=False),
        _text("source"),
        _time("added_at"),
        _time("retired_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
    )
