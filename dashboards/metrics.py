"""What Prometheus may read of the house: requests, streams, and what the hub counts of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dashboards.live import Bus
from hub.house import House

SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)
MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """A registry of our own: nothing global, so that two houses in one process do not mix."""

    def __init__(self, house: House, bus: Bus) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fieldhub_http_requests", "Requests answered", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "fieldhub_http_seconds", "Time to answer", ["route"], buckets=SECONDS, registry=self._registry
        )
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}
        self._registry.register(_HouseNumbers(house, bus))

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request has been answered. `route` is one of the table, never what somebody typed."""
        children = self._children.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _HouseNumbers:
    """What the house says of itself, asked when Prometheus asks."""

    def __init__(self, house: House, bus: Bus) -> None:
        self._house = house
        self._bus = bus

    def collect(self) -> Iterable[Metric]:
        house, bus = self._house, self._bus
        system = house.system()
        yield _gauge("ready", "1 when the house can work", house.ready()[0])
        yield _gauge("devices", "Devices in the house", len(house.hub.members))
        yield _gauge("viewers", "Open live streams", len(bus.viewers))
        yield _gauge("stream_frame_number", "Number of the last frame of the live stream", bus.number)
        yield _gauge("stream_frames_merged", "Frames that slow viewers got merged", bus.frames_merged)
        alarms = GaugeMetricFamily(
            "fieldhub_alarms_standing", "Standing alarms that call somebody", labels=["severity"]
        )
        standing = house.alarms()
        calling = [it for it in standing if it.calls]
        for severity in (1, 2, 3, 4):
            alarms.add_metric([str(severity)], sum(it.severity == severity for it in calling))
        yield alarms
        yield _gauge("alarms_shelved", "Alarms that somebody has put aside", sum(bool(it.shelved) for it in standing))
        yield _gauge("alarms_suppressed", "Alarms that another explains", sum(bool(it.suppressed) for it in standing))
        counts = CounterMetricFamily("fieldhub_hub", "What the hub counted", labels=["what"])
        for what, count in system["counts"].items():
            counts.add_metric([what], count)
        yield counts
        for part in ("historian", "ledger"):
            for name, number in system[part].items():
                if isinstance(number, bool | int | float):
                    yield _gauge(f"{part}_{name}", f"{part}: {name}", number)
        for name, number in system["historian"]["store"].items():
            if isinstance(number, int | float):
                yield _gauge(f"history_{name}", f"history store: {name}", number)
        jobs = GaugeMetricFamily("fieldhub_job_running", "1 when a job of the house runs", labels=["job"])
        restarts = CounterMetricFamily("fieldhub_job_restarts", "Restarts of a job", labels=["job"])
        for job in system["jobs"]:
            jobs.add_metric([job["name"]], float(job["running"]))
            restarts.add_metric([job["name"]], job["restarts"])
        yield jobs
        yield restarts


def _gauge(name: str, about: str, number: float) -> Metric:
    return GaugeMetricFamily(f"fieldhub_{name}", about, value=float(number))
