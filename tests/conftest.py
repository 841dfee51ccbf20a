"""What every test shares: the order they run in, and how hypothesis searches."""

import os

import pytest
from hypothesis import settings

# No deadline: two cores shared with a browser are slow now and then, and that is no finding.
# CI tries the same examples each time; a desk tries new ones.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast ones first, then the slow, and the browser last: the county that its tests run takes from all others."""
    items.sort(key=lambda item: [bool(item.get_closest_marker(late)) for late in ("browser", "slow")])
