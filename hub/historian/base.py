"""The historian as the house sees it: numbered series, batches in, columns and buckets out.

Times are integer microseconds since 1970 UTC; periods are half-open, [start, end). A value is always an f64: bools are
0 and 1, enums and texts are codes of the catalogue's dictionary, NaN says that there was no value (a gap). One series
has at most one reading at one time: written again, the last one written is the truth, so a batch may be sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from hub.model import Kind

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
MOST_POINTS = 5_000_000  # readings in one answer, or read at one time for buckets: 85 MB
MOST_BUCKETS = 200_000  # in one answer: 20 series of a week at a step of one minute


class HistoryUnavailable(Exception):
    """History cannot be opened, written or read. The text says: file › what is wrong › what to do."""


class AskedTooMuch(ValueError):
    """A question whose answer is over a named limit. The text says what to ask instead."""


class Series(Struct, frozen=True):
    """One point of one device, for as long as its kind and unit stay the same."""

    id: int
    device: str
    point: str
    kind: Kind
    unit: str
    area: str = ""


class Batch(Struct, frozen=True, eq=False):
    """Readings of many series, as columns of one length. Later rows win over earlier ones of the same series and time.

    The arrays must not change after the batch is made.
    """

    series: I32
    at_us: I64
    value: F64
    quality: U8

    @classmethod
    def of(cls, series: Any, at_us: Any, value: Any, quality: Any) -> Batch:
        """From lists, bytes-like arrays or numpy arrays; ValueError when they are not of one length."""
        it = cls(
            np.asarray(series, np.int32),
            np.asarray(at_us, np.int64),
            np.asarray(value, np.float64),
            np.asarray(quality, np.uint8),
        )
        if not len(it.series) == len(it.at_us) == len(it.value) == len(it.quality):
            raise ValueError(
                f"columns of one length expected, got series {len(it.series)}, at_us {len(it.at_us)}, "
                f"value {len(it.value)}, quality {len(it.quality)}"
            )
        return it

    def __len__(self) -> int:
        return len(self.series)


class Columns(Struct, frozen=True, eq=False):
    """Readings of one series, sorted by time, no time twice."""

    at_us: I64
    value: F64
    quality: U8

    def __len__(self) -> int:
        return len(self.at_us)


class Sample(Struct, frozen=True):
    """One reading of one series."""

    at_us: int
    value: float
    quality: int


class Buckets(Struct, frozen=True, eq=False):
    """Readings of one series, folded by steps that are aligned to 1970 UTC. Steps without a reading are left out.

    GOOD and UNCERTAIN values count; BAD ones and gaps (NaN) are only counted, in `gaps`. Where `count` is 0 the
    other columns are NaN. `mean` is of the readings, not of the time.
    """

    start_us: I64
    count: I64
    gaps: I64
    min: F64
    max: F64
    mean: F64
    last: F64

    def __len__(self) -> int:
        return len(self.start_us)


class Spells(Struct, frozen=True, eq=False):
    """When a series had which value: [start, end) each, in the order of time; what is not known is left out.

    `entered`: it had another value up to then (and not: nothing was known).
    """

    start_us: I64
    end_us: I64
    value: F64
    entered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_us)


class Held(Struct, frozen=True):
    """From `start_us` until the next edge a series had this value for so long, and went over to it so often."""

    start_us: int
    value: float
    held_us: int
    entered: int


class Retention(Struct, frozen=True):
    """How long what is kept; 0: for ever. `sooner`: (days, series) of readings that go earlier than the others."""

    readings_days: int = 0
    tiers_days: Mapping[int, int] = {}  # steps of so many µs
    most_bytes: int = 0  # of all files
    sooner: Callable[[], Sequence[tuple[int, Sequence[int]]]] = tuple


FOR_EVER = Retention()


class Historian(Protocol):
    """Where measurements go and come from. All methods raise HistoryUnavailable when the backend cannot be used.

    An answer has a key for every series that was asked for, also when there is nothing to tell.
    """

    async def write(self, batch: Batch) -> None:
        """Keep a batch. Returns when it is durable: what is acknowledged after that is not lost."""
        ...

    async def range(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Columns]:
        """Every reading in [start, end). Raises AskedTooMuch."""
        ...

    async def buckets(self, series: Sequence[int], start_us: int, end_us: int, step_us: int) -> dict[int, Buckets]:
        """All the steps that touch [start, end), each of them whole, so that it is the same in every answer.

        Raises AskedTooMuch.
        """
        ...

    async def last_before(self, series: Sequence[int], at_us: int) -> dict[int, Sample | None]:
        """The newest reading before `at_us`, whatever its quality: what a chart shows at its left edge."""
        ...

    async def spells(self, series: Sequence[int], start_us: int, end_us: int) -> dict[int, Spells]:
        """When each series had which value in [start, end): of states. A value holds until the next reading, and one
        hour at most. Raises AskedTooMuch.
        """
        ...

    async def drop_before(self, at_us: int) -> int:
        """Forget for good what is older. Returns how many readings were taken off the disk by it.

        None of it is told again from now on; a file that also holds younger readings stays until they are old.
        """
        ...

    async def close(self) -> None: ...


def to_us(at: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def to_datetime(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


NOTHING = Columns(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))
