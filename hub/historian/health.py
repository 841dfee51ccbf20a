"""How a store is doing, as the system page, the metrics and the hub's own readings tell it."""

from __future__ import annotations

from msgspec import Struct


class Health(Struct, frozen=True):
    """How the store is doing, for the system page and for metrics."""

    head_points: int
    segments: int
    segment_points: int
    segment_bytes: int
    rollups: int
    rollup_bytes: int
    seal_error: str
    merge_error: str
    next_purge_us: int  # when the oldest day of readings goes, by its age; 0: never
    damage: tuple[str, ...]  # what was found broken at opening, a sentence each


class RemoteHealth(Struct, frozen=True):
    """How the server and the way to it are doing, for the system page and for metrics."""

    url: str
    waiting_points: int
    waiting_bytes: int
    dropped: int
    sent: int
    send_error: str
    damage: tuple[str, ...]


class MirrorHealth(Health, frozen=True):
    mirror: RemoteHealth
    mirror_missed: int  # readings that the mirror's spool could not take
