"""A scene for each test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from tests.hub.kit import House
from tests.hub.notices.scene import CHANNELS, ROUTE, Scene, plan_of


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Callable[..., Scene]]:
    """scene(route text, channels text): a running notifier over a house."""
    opened: list[Scene] = []
    house = await House.open(tmp_path)

    def make(route: str = ROUTE, channels: str = CHANNELS) -> Scene:
        it = Scene(house, plan_of(tmp_path, channels + route))
        opened.append(it)
        return it

    yield make
    for it in opened:
        await it.close()
    await house.close()
