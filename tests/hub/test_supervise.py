"""What should run is kept running, with growing pauses, and nobody has to guess why it stopped."""

import asyncio

import pytest

from hub.clock import ManualClock
from hub.model import Words
from hub.supervise import CALM_AFTER_S, GRACE_S, LONGEST_PAUSE_S, Supervisor, attempt, guarded


class Job:
    """Runs for `lasts_s`, then ends as told."""

    def __init__(self, clock: ManualClock, error: BaseException | None = None, lasts_s: float = 0.0) -> None:
        self.clock, self.error, self.lasts_s = clock, error, lasts_s
        self.starts: list[float] = []

    async def __call__(self) -> None:
        self.starts.append(self.clock.monotonic())
        if self.lasts_s:
            await self.clock.sleep(self.lasts_s)
        if self.error is not None:
            raise self.error


async def starts(job: Job, seconds: float) -> list[float]:
    supervisor = Supervisor(job.clock)
    supervisor.keep("job", job)
    await job.clock.advance(seconds)
    await supervisor.close()
    return job.starts


@pytest.mark.parametrize("error", [None, ValueError("no"), asyncio.CancelledError(), TimeoutError()])
async def test_what_ends_is_started_again_with_growing_pauses(error: BaseException | None):
    begun = await starts(Job(ManualClock(), error), 300)
    assert begun == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert begun[-1] - begun[-2] == LONGEST_PAUSE_S


async def test_after_a_calm_time_the_pauses_are_short_again():
    job = Job(ManualClock(), ValueError("no"))
    supervisor = Supervisor(job.clock)
    supervisor.keep("job", job)
    await job.clock.advance(63)
    job.lasts_s = CALM_AFTER_S + 1
    await job.clock.advance(60 + job.lasts_s)
    job.lasts_s = 0
    await job.clock.advance(1)
    assert job.starts[-2:] == [123, 123 + CALM_AFTER_S + 1 + 1]
    await supervisor.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "it ended by itself"),
        (ConnectionError("cable"), "ConnectionError: cable"),
        (asyncio.CancelledError(), "it was cancelled from within"),
    ],
)
async def test_why_it_stopped_is_said(error: BaseException | None, text: str):
    job = Job(ManualClock(), error, lasts_s=5)
    supervisor = Supervisor(job.clock)
    supervisor.keep("driver pumps", job)
    await job.clock.advance(1)
    health = supervisor.health["driver pumps"]
    assert (health.running, health.restarts, health.error) == (True, 0, "")
    await job.clock.advance(4.5)
    assert (health.running, health.restarts, health.error) == (False, 1, text)
    await job.clock.advance(1)
    assert (health.running, health.restarts) == (True, 1)
    await supervisor.close()
    assert not health.running


async def test_one_that_fails_does_not_disturb_another():
    clock = ManualClock()
    good, bad = Job(clock, lasts_s=1e9), Job(clock, ValueError("no"))
    supervisor = Supervisor(clock)
    supervisor.keep("good", good)
    supervisor.keep("bad", bad)
    await clock.advance(100)
    assert (len(good.starts), supervisor.health["good"].running) == (1, True)
    await supervisor.close()


async def test_one_that_fails_while_it_is_ended_does_not_hold_up_the_end():
    clock = ManualClock()

    async def clumsy() -> None:
        try:
            await clock.sleep(1e9)
        finally:
            raise ConnectionError("while tidying up")

    supervisor = Supervisor(clock)
    supervisor.keep("clumsy", clumsy)
    await clock.advance(1)
    await asyncio.wait_for(supervisor.close(), 5)


async def test_whoever_wants_to_know_is_told_each_time_and_may_fail_himself():
    clock, told = ManualClock(), []

    def tell(why: str) -> None:
        told.append((clock.monotonic(), why))
        raise RuntimeError("and nobody listens")

    job = Job(clock, ConnectionError("cable"))
    supervisor = Supervisor(clock)
    supervisor.keep("job", job, tell)
    await clock.advance(4)
    assert told == [(at, "ConnectionError: cable") for at in (0, 1, 3)]
    assert job.starts == [0, 1, 3]
    await supervisor.close()
    assert len(told) == 3


async def test_one_may_be_let_go_and_its_end_is_waited_for_at_the_close():
    clock, ended = ManualClock(), []

    async def tidy() -> None:
        try:
            await clock.sleep(1e9)
        finally:
            await clock.sleep(5)
            ended.append(clock.monotonic())

    other = Job(clock, lasts_s=1e9)
    supervisor = Supervisor(clock)
    supervisor.keep("tidy", tidy)
    supervisor.keep("other", other)
    await clock.advance(1)
    supervisor.let_go("tidy")
    supervisor.let_go("nobody")
    await clock.advance(1)
    assert (ended, list(supervisor.health), supervisor.health["other"].running) == ([], ["other"], True)
    closing = asyncio.ensure_future(supervisor.close())
    await clock.advance(5)
    await closing
    assert ended == [6]


def test_what_is_guarded_says_why_it_failed(caplog: pytest.LogCaptureFixture):
    def fail() -> None:
        raise ValueError("no")

    assert guarded("one of many", fail) == "ValueError: no"
    assert "one of many failed" in caplog.text
    assert guarded("another", lambda: None) == ""


# ---- an attempt ---------------------------------------------------------------------------------------------------


async def test_an_attempt_in_time_gives_its_result():
    clock = ManualClock()

    async def work() -> int:
        await clock.sleep(5)
        return 7

    trying = asyncio.ensure_future(attempt(work(), 10, clock))
    await clock.advance(5)
    assert await trying == 7


@pytest.mark.parametrize(
    ("error", "text"),
    [(ConnectionError("cable"), "ConnectionError: cable"), (asyncio.CancelledError(), "it was stopped")],
)
async def test_an_attempt_that_fails_says_so(error: BaseException, text: str):
    async def work() -> None:
        raise error

    assert await attempt(work(), 10, ManualClock()) == Words("command.driver_failed", {"error": text})


async def test_an_attempt_whose_time_is_over_is_called_off():
    clock, ended = ManualClock(), []

    async def work() -> None:
        try:
            await clock.sleep(1e9)
        finally:
            ended.append(clock.monotonic())

    trying = asyncio.ensure_future(attempt(work(), 10, clock))
    await clock.advance(10)
    assert await trying == Words("command.time_is_over")
    assert ended == [10]


async def test_an_attempt_that_will_not_end_is_left_alone_after_a_while(caplog: pytest.LogCaptureFixture):
    clock = ManualClock()

    async def work() -> None:
        try:
            await clock.sleep(1e9)
        except asyncio.CancelledError:
            await clock.sleep(60)

    trying = asyncio.ensure_future(attempt(work(), 10, clock))
    await clock.advance(10)
    assert not trying.done()
    await clock.advance(GRACE_S)
    assert await trying == Words("command.time_is_over")
    assert "did not end when it was told to" in caplog.text
    await clock.advance(60)


async def test_whoever_cancels_an_attempt_cancels_the_work():
    clock, ended = ManualClock(), []

    async def work() -> None:
        try:
            await clock.sleep(1e9)
        finally:
            ended.append(True)

    trying = asyncio.ensure_future(attempt(work(), 10, clock))
    await clock.advance(1)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert ended == [True]
