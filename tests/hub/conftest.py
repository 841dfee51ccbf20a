"""A house for each test, on a disk of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from .kit import House


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One pump station that answers, with a fresh good reading of everything."""
    it = await House.open(tmp_path)
    it.poll()
    yield it
    await it.close()
