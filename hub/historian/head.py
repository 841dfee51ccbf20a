"""The readings that are in the journal and not in a segment yet, in memory: a row of immutable arrays.

Nothing here is changed in place. Readers take the tuple of parts as it is and need no lock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from hub.historian.base import I32, Batch, Columns

JOIN = 64  # so many small parts at the end become one, or a quiet hub's reader would visit thousands
SMALL_POINTS = 100_000


class Part(Struct, frozen=True, eq=False):
    """Batches that follow each other; `id` is the journal id of the last one."""

    id: int
    batch: Batch
    t0_us: int
    t1_us: int

    @classmethod
    def of(cls, id: int, batch: Batch) -> Part:
        return cls(id, batch, int(batch.at_us.min()), int(batch.at_us.max()))


Parts = tuple[Part, ...]


def append(parts: Parts, new: Part, fixed_id: int = 0) -> Parts:
    """With one more part. Parts up to `fixed_id` are being sealed: they are not joined with later ones."""
    parts = (*parts, new)
    tail = parts[-JOIN:]
    if len(tail) < JOIN or tail[0].id <= fixed_id or any(len(it.batch) > SMALL_POINTS for it in tail):
        return parts
    return (*parts[:-JOIN], Part.of(new.id, concatenate([it.batch for it in tail])))


def after(parts: Parts, id: int) -> Parts:
    """What is left when the parts up to `id` are sealed."""
    return tuple(it for it in parts if it.id > id)


def points(parts: Parts) -> int:
    return sum(len(it.batch) for it in parts)


def concatenate(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    return Batch(
        np.concatenate([it.series for it in batches]),
        np.concatenate([it.at_us for it in batches]),
        np.concatenate([it.value for it in batches]),
        np.concatenate([it.quality for it in batches]),
    )


def find(parts: Parts, wanted: I32, start_us: int, end_us: int) -> dict[int, Columns]:
    """The readings of the wanted series in [start, end), in the order in which they were written."""
    hits = [_pick(it.batch, wanted, start_us, end_us) for it in parts if it.t1_us >= start_us and it.t0_us < end_us]
    hits = [it for it in hits if len(it)]
    if not hits:
        return {}
    found = concatenate(hits)
    order = np.argsort(found.series, kind="stable")
    series = found.series[order]
    starts = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
    ends = np.append(starts[1:], len(series))
    at_us, value, quality = found.at_us[order], found.value[order], found.quality[order]
    return {
        int(series[a]): Columns(at_us[a:b], value[a:b], quality[a:b])
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _pick(batch: Batch, wanted: I32, start_us: int, end_us: int) -> Batch:
    mask = batch.series == wanted[0] if len(wanted) == 1 else np.isin(batch.series, wanted)
    at = np.flatnonzero(mask)
    at_us = batch.at_us[at]
    at = at[(at_us >= start_us) & (at_us < end_us)]
    return Batch(batch.series[at], batch.at_us[at], batch.value[at], batch.quality[at])
