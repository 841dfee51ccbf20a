"""A ledger for each test, in every database that is to be tested: SQLite, and a PostgreSQL when one is named."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine, text

from hub.clock import ManualClock
from hub.ledger import Ledger

POSTGRES = os.environ.get("FIELDHUB_TEST_POSTGRES_URL", "")  # postgresql+psycopg://…; its public schema is emptied
SQLITE = "sqlite:///{folder}/ledger.sqlite"


@pytest.fixture(params=[SQLITE, *([POSTGRES] if POSTGRES else [])], ids=lambda url: url.partition(":")[0])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if request.param == SQLITE:
        return SQLITE.format(folder=tmp_path)
    engine = create_engine(request.param)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return str(request.param)


@pytest_asyncio.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    it = await Ledger.open(url, ManualClock())
    yield it
    await it.close()
