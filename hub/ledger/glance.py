"""A look at a ledger as it is, also at one of another revision: nothing is written, nothing migrated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from hub.ledger.database import open_to_read, place_of
from hub.ledger.trouble import LedgerUnavailable


class Glance(Struct, frozen=True):
    """What was seen. `newest`: the time of the last entry; `people`: rows with the columns that the revision has."""

    revision: str
    newest: datetime | None
    people: list[dict[str, Any]]


def glance(url: str) -> Glance:
    """Raises LedgerUnavailable: place › what."""
    engine = open_to_read(url)
    try:
        with engine.connect() as connection:
            revision = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
            newest = connection.execute(text("SELECT at FROM entry ORDER BY seq DESC LIMIT 1")).scalar()
            rows = connection.execute(text("SELECT * FROM person")).mappings()
            return Glance(revision, _instant(newest), [dict(row) for row in rows])
    except (DatabaseError, ValueError) as error:
        raise LedgerUnavailable(f"{place_of(url)} › {getattr(error, 'orig', error)}") from None
    finally:
        engine.dispose()


def _instant(kept: Any) -> datetime | None:
    if kept is None or isinstance(kept, datetime):
        return kept
    return datetime.fromisoformat(str(kept)).replace(tzinfo=UTC)
