"""Time moves when told, and whoever sleeps wakes at their moment."""

import asyncio
from datetime import UTC, timedelta

from hub.clock import ManualClock, SystemClock


async def test_sleepers_wake_in_the_order_of_their_moments_and_see_them():
    clock, seen = ManualClock(), []

    async def sleep(name: str, *seconds: float) -> None:
        for one in seconds:
            await clock.sleep(one)
            seen.append((name, clock.monotonic()))

    tasks = [asyncio.ensure_future(sleep("a", 3, 1)), asyncio.ensure_future(sleep("b", 2, 5))]
    await clock.advance(4.5)
    assert seen == [("b", 2), ("a", 3), ("a", 4)]
    assert clock.monotonic() == 4.5
    await clock.advance(2.5)
    assert seen[-1] == ("b", 7)
    await asyncio.gather(*tasks)


async def test_the_wall_clock_moves_along_and_can_be_set_by_itself():
    clock = ManualClock()
    before = clock.now()
    await clock.advance(90)
    assert clock.now() - before == timedelta(seconds=90)
    clock.jump(-3600)
    assert clock.now() - before == timedelta(seconds=90 - 3600)
    assert clock.monotonic() == 90


async def test_a_sleeper_who_is_cancelled_wakes_nobody_else():
    clock = ManualClock()
    gone, there = asyncio.ensure_future(clock.sleep(1)), asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    gone.cancel()
    await clock.advance(1)
    assert gone.cancelled()
    assert there.done()


async def test_no_time_is_no_sleep():
    clock = ManualClock()
    await asyncio.wait_for(clock.sleep(0), 1)
    await asyncio.wait_for(clock.sleep(-5), 1)
    assert clock.monotonic() == 0


async def test_the_machines_clock_is_utc_and_goes_on():
    clock = SystemClock()
    wall, monotonic = clock.now(), clock.monotonic()
    assert wall.tzinfo is UTC
    await clock.sleep(0.001)
    assert clock.monotonic() > monotonic
