"""The ledger's tables, as the newest revision leaves them (migrations/ makes them, a test compares).

SQL that both SQLite and PostgreSQL accept; texts have no length, times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    and_,
    false,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime. SQLite keeps it as UTC text that sorts, PostgreSQL as timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; the ledger keeps aware times")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        aware: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware


def word(it: str) -> Any:
    """A constant of ours written into the SQL, so that the planner sees that a partial index fits."""
    return literal_column(f"'{it}'", Text)


def _partial(name: str, where: Any, *columns: Any, unique: bool = False) -> None:
    """An index of the rows of which `where` is true, alike in both databases."""
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


# What happened, in order; never changed (triggers refuse it) and chained: hash = sha256(prev, this entry).
entry = Table(
    "entry",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),  # alarm | command | receipt | and what a Note says: login, setting, hub, …
    Column("topic", Text, nullable=False),  # alarm: its rule; command and receipt: the action
    Column("step", Text, nullable=False),  # alarm: its event; receipt: its stage
    Column("final", Boolean, nullable=False),  # a receipt after which nothing follows
    Column("subject", Text, nullable=False),  # the alarm's occurrence, the command's id
    Column("device", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("key", Text, nullable=False),  # the asker's idempotency key
    Column("body", Text, nullable=False),  # the noun itself as JSON, byte for byte what was hashed
    Column("prev", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
_IS_COMMAND = entry.c.kind == word("command")
_HAS_KEY = and_(_IS_COMMAND, entry.c.key != word(""))
# Only alarms are raised and only receipts are sent; naming the kind as well would draw SQLite to a longer index.
_IS_SENT = entry.c.step == word("sent")
_IS_RAISED = entry.c.step == word("raised")
_IS_SHELVED = entry.c.step == word("shelved")

Index("ix_entry_kind_seq", entry.c.kind, entry.c.seq)
Index("ix_entry_device", entry.c.kind, entry.c.device, entry.c.seq)
Index("ix_entry_subject", entry.c.kind, entry.c.subject, entry.c.step, entry.c.seq, entry.c.final)
_partial("ix_entry_sent", _IS_SENT, entry.c.device, entry.c.topic, entry.c.at)
_partial("ix_entry_raised", _IS_RAISED, entry.c.device, entry.c.topic, entry.c.seq, entry.c.step)
_partial("ix_entry_shelved", _IS_SHELVED, entry.c.device, entry.c.topic, entry.c.seq, entry.c.subject)
_partial("uq_entry_command", _IS_COMMAND, entry.c.subject, unique=True)
_partial("uq_entry_key", _HAS_KEY, entry.c.by, entry.c.key, unique=True)

person = Table(
    "person",
    metadata,
    Column("name", Text, primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("password", Text, nullable=False),  # a hash, made by the caller
    Column("language", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", Instant, nullable=False),
    Column("grants", JSON),  # [{role, area}]; area "": the whole house
    Column("password_set", Instant),
    Column("must_change", Boolean, nullable=False, server_default=false()),  # the password, at the next log-in
    Column("second", Text, nullable=False, server_default=text("''")),  # the second factor's secret, sealed
    Column("subject", Text, nullable=False, server_default=text("''")),  # who they are at the OpenID provider
    Column("second_step", BigInteger, nullable=False, server_default=text("0")),  # the last that was used
    Column("recovery", JSON),  # hashes of codes for a lost second factor
)

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),  # a hash: a stolen backup opens no session
    Column("person", Text, ForeignKey("person.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("seen", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("address", Text, nullable=False, server_default=text("''")),
    Column("agent", Text, nullable=False, server_default=text("''")),
    Column("way", Text, nullable=False, server_default=text("''")),  # password, second, openid
)

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("person", Text, ForeignKey("person.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("secret", Text, nullable=False),  # a hash
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("last_used", Instant),
    Column("grants", JSON),
)

area = Table(
    "area",
    metadata,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("source", Text, nullable=False),  # "file:areas.toml", or "" when made by hand
    Column("added_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

device = Table(
    "device",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("source", Text, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

speaker_key = Table(
    "speaker_key",
    metadata,
    Column("speaker", Text, primary_key=True),  # an address without its unit: what proves itself on the wire
    Column("hash", Text, primary_key=True),
    Column("made_at", Instant, nullable=False),
    Column("until", Instant),  # it counts no longer than until then
)
