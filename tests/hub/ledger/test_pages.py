"""Pages of the ledger for somebody who sees some devices only: complete, in order, and bounded in what they look at."""

import pytest

from hub.ledger import Ledger, pages
from hub.model import AlarmChange, AlarmEvent

from .samples import at


async def fill(ledger: Ledger, count: int) -> None:
    """Entry n is of device n mod 10, except the last ten, which are of device 0."""
    changes = [
        AlarmChange(f"a{n}", AlarmEvent.RAISED, f"d{n % 10 if n < count - 10 else 0}", "r", at(n), at(n))
        for n in range(count)
    ]
    await ledger.append(*changes)


async def collect(ledger: Ledger, seen: set[str], limit: int) -> list[str]:
    """All pages, oldest last."""
    found, before = [], None
    while page := await ledger.alarm_history(None, limit, before, seen):
        found += [change.alarm for _, change in page]
        before = page[-1][0]
    return found


@pytest.mark.parametrize("looked_at", [100_000, 7])
async def test_every_entry_of_the_devices_one_sees_comes_once_and_in_order(
    ledger: Ledger, looked_at: int, monkeypatch: pytest.MonkeyPatch
):
    """Also when the index of devices has to help, because they are few."""
    monkeypatch.setattr(pages, "LOOKED_AT", looked_at)
    monkeypatch.setattr(pages, "IDS_A_QUERY", 1)
    await fill(ledger, 60)
    for limit in (1, 3, 50):
        assert await collect(ledger, {"d3", "d7", "gone"}, limit) == [
            f"a{n}" for n in range(49, -1, -1) if n % 10 in (3, 7)
        ]
    assert await collect(ledger, set(), 5) == []


async def test_a_device_that_one_does_not_see_has_no_entries(ledger: Ledger):
    await fill(ledger, 20)
    assert await ledger.alarm_history("d3", 10, None, {"d4"}) == []
    assert len(await ledger.alarm_history("d3", 10, None, {"d3"})) == 1
