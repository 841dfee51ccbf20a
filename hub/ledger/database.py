"""How the database is opened: URL, pragmas, and the newest revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from alembic import command as alembic
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from hub.ledger.trouble import LedgerUnavailable, unavailable

BUSY_TIMEOUT_MS = 5_000  # how long to wait for another program that writes
READERS = 2  # connections, and threads, that read
MIGRATIONS = Path(__file__).resolve().parent / "migrations"
WRITER_LOCK = 8420  # PostgreSQL's advisory lock: one transaction writes at a time, whoever it is
WAL_KEPT_BYTES = 64 * 1024 * 1024


def place_of(url: str) -> str:
    """What to call the database in a message: the file's path, or the URL without its password."""
    it = _parse(url)
    return it.database or "" if it.get_backend_name() == "sqlite" else it.render_as_string(hide_password=True)


def open_database(url: str) -> tuple[Engine, Engine]:
    """(writer, readers) of a database at the newest revision. Raises LedgerUnavailable, with what to do."""
    place = place_of(url)
    writer = _engine(_parse(url), writes=True)
    try:
        with writer.begin() as connection:
            _upgrade(connection, place)
    except DBAPIError as error:
        writer.dispose()
        raise unavailable(place, "cannot be opened", error) from error
    except LedgerUnavailable:
        writer.dispose()
        raise
    return writer, _engine(_parse(url), writes=False)


def open_to_read(url: str) -> Engine:
    """For an inspector: nothing is migrated, and an SQLite file is opened so that it cannot be written at all.

    A file that no program has open (it has no log beside it) is read as it lies, so that no file is made beside it:
    evidence on a disk that cannot be written can be read too.
    """
    it = _parse(url)
    if it.get_backend_name() != "sqlite":
        # One state of the database for the whole walk, and no way to write.
        return _engine(it, writes=False).execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    file = Path(it.database or "").absolute()
    if not file.is_file():
        raise LedgerUnavailable(f"{it.database} › is not there. Name the folder of a site that has run")
    log = file.with_name(file.name + "-wal")
    lies_still = not log.exists() or log.stat().st_size == 0
    query = {"uri": "true", "mode": "ro"} | ({"immutable": "1"} if lies_still else {})
    engine = create_engine(URL.create("sqlite", database=f"file:{quote(str(file))}", query=query), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA query_only=ON")

    return engine


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for this connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """Of this program's migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head() or ""


def _upgrade(connection: Connection, place: str) -> None:
    config = migrations(connection)
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if strange := present - known:
        raise LedgerUnavailable(
            f"{place} › cannot be opened: it is at revision {', '.join(sorted(strange))}, and this program knows "
            f"revisions up to {script.get_current_head()}. A newer FieldHub has written it: run that one, "
            "or bring back the copy from before the update."
        )
    if present != set(script.get_heads()):
        alembic.upgrade(config, "head")


def _parse(url: str) -> URL:
    try:
        it = make_url(url)
    except ArgumentError:
        raise LedgerUnavailable("ledger url › is not a URL. Write sqlite:///data/ledger.sqlite") from None
    if it.get_backend_name() == "sqlite" and it.database in (None, "", ":memory:"):
        raise LedgerUnavailable(f"{url} › is kept in memory and would be lost. Write sqlite:///data/ledger.sqlite")
    return it


def _engine(url: URL, *, writes: bool) -> Engine:
    # One connection for the one thread that writes; as many as there are threads for the others.
    pool: dict[str, Any] = {"pool_size": 1 if writes else READERS, "max_overflow": 0}
    try:
        engine = create_engine(
            url,
            pool_pre_ping=url.get_backend_name() != "sqlite",
            json_serializer=lambda it: msgspec.json.encode(it).decode(),
            json_deserializer=msgspec.json.decode,
            **pool,
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise LedgerUnavailable(
            f"{url.render_as_string(hide_password=True)} › cannot be opened: {error}. Install the driver "
            "(postgresql+psycopg:// needs psycopg), or write sqlite:///data/ledger.sqlite"
        ) from error
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine, writes)
    elif writes:
        _set_up_postgresql_writer(engine)
    return engine


def _set_up_sqlite(engine: Engine, writes: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, so that migrations are all or nothing too
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"journal_size_limit={WAL_KEPT_BYTES}",
            f"query_only={'OFF' if writes else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgresql_writer(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
