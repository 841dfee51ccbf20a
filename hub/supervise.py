"""Keeps things running: drivers are restarted with growing pauses, and what fails is said, never swallowed.

The only file that may catch every exception, because only here is "anything" the right thing to expect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct

from hub.clock import Clock
from hub.model import Words

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CALM_AFTER_S = 120.0  # ran so long: the next failure starts with the shortest pause again
GRACE_S = 2.0  # what was called off has so long to tidy up; then nobody waits for it any more

T = TypeVar("T")
log = logging.getLogger("fieldhub.supervise")


class Health(Struct):
    """How a supervised job is doing."""

    name: str
    running: bool = False
    restarts: int = 0
    error: str = ""


class Supervisor:
    """Runs long-lived jobs until closed; a job that ends or raises is started again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.health: dict[str, Health] = {}

    def keep(
        self, name: str, job: Callable[[], Awaitable[None]], on_failure: Callable[[str], None] | None = None
    ) -> None:
        """Start `job` and keep it running; `on_failure` is told each time why it must be started again."""
        self.let_go(name)
        health = self.health[name] = Health(name)
        self._kept[name] = asyncio.get_running_loop().create_task(self._keep(health, job, on_failure), name=name)

    def let_go(self, name: str) -> None:
        """End this one, if it is kept. It tidies up by itself; `close` waits for it."""
        task = self._kept.pop(name, None)
        if task is not None:
            del self.health[name]
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def close(self) -> None:
        """End all of them, and wait until they have tidied up."""
        for task in self._kept.values():
            task.cancel()
        await asyncio.gather(*self._kept.values(), *self._ending, return_exceptions=True)
        self._kept.clear()

    async def _keep(
        self, health: Health, job: Callable[[], Awaitable[None]], on_failure: Callable[[str], None] | None
    ) -> None:
        pause_s = FIRST_PAUSE_S
        me = asyncio.current_task()
        assert me is not None
        while not me.cancelling():
            started = self._clock.monotonic()
            health.running = True
            try:
                await job()
                health.error = "it ended by itself"
            except asyncio.CancelledError:
                if me.cancelling():
                    raise
                health.error = "it was cancelled from within"  # something that it waited for was; nobody ended it
                log.warning("%s: %s", health.name, health.error)
            except Exception as error:
                health.error = f"{type(error).__name__}: {error}"
                log.exception("%s failed", health.name)
            finally:
                health.running = False
            if me.cancelling():
                return  # it failed while it was being ended
            if on_failure is not None:
                guarded(f"what {health.name} does about it", on_failure, health.error)
            if self._clock.monotonic() - started > CALM_AFTER_S:
                pause_s = FIRST_PAUSE_S
            health.restarts += 1
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def guarded(name: str, do: Callable[..., None], *args: Any) -> str:
    """Do this, for one of many whose failure must not reach the others. Why it failed, or ""; the log has it too."""
    try:
        do(*args)
    except Exception as error:
        log.exception("%s failed", name)
        return f"{type(error).__name__}: {error}"
    return ""


async def attempt(work: Awaitable[T], left_s: float, clock: Clock) -> T | Words:
    """The result of `work`, or in words why there is none: its time is over, it failed, or it was stopped."""
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    try:
        await _first(task, left_s, clock)
        if not task.done():
            return Words("command.time_is_over")
        if task.cancelled():
            return Words("command.driver_failed", {"error": "it was stopped"})
        return task.result()
    except Exception as error:
        log.exception("a command failed in its driver")
        return Words("command.driver_failed", {"error": f"{type(error).__name__}: {error}"})
    finally:
        if not task.done():
            task.cancel()
            await _first(task, GRACE_S, clock)
            _log_last_words(task)


async def _first(task: asyncio.Future[Any], seconds: float, clock: Clock) -> None:
    """Wait until `task` is done, but not longer than this."""
    timer = asyncio.ensure_future(clock.sleep(max(seconds, 0.0)))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()


def _log_last_words(task: asyncio.Future[Any]) -> None:
    if not task.done():
        log.error("a command's driver did not end when it was told to")
    elif not task.cancelled() and (error := task.exception()):
        log.error("a command failed in its driver when it was told to end", exc_info=error)
