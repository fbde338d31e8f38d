"""What the service counts, as Prometheus reads it.

    stepnet_requests_total{status}            answered requests for readings
    stepnet_request_seconds                   how long each took, a histogram
    stepnet_requests_now, stepnet_images_waiting  taken on now
    stepnet_board_up{board}                   1 while a board works
    stepnet_board_images_total{board}         images that it answered
    stepnet_board_busy_seconds_total{board}   for how long it had images to infer
    stepnet_board_failures_total{board}       how many times it was lost

Those of the process and of Python are there under the names that their client libraries share.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stepnet.boards.pool import Pool
from stepnet.service.admission import Admission

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The figures of one service."""

    def __init__(self, pool: Pool, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._requests = Counter(
            "stepnet_requests",
            "Requests for readings that were answered, by the status of the answer.",
            ["status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "stepnet_request_seconds",
            "Seconds from a request for readings to its answer.",
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_Pool(pool, admission))

    def answered(self, status: int, seconds: float) -> None:
        """Count a request for readings."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """All figures now, as `CONTENT_TYPE` says."""
        return generate_latest(self._registry)


class _Pool(Collector):
    """Reads the figures of boards and of what waits when they are asked for."""

    def __init__(self, pool: Pool, admission: Admission) -> None:
        self._pool = pool
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        requests = "Requests that are being answered."
        yield GaugeMetricFamily("stepnet_requests_now", requests, self._admission.requests)
        waiting = "Images that wait for their readings."
        yield GaugeMetricFamily("stepnet_images_waiting", waiting, self._admission.images)
        up = GaugeMetricFamily("stepnet_board_up", "1 while a board works.", labels=["board"])
        images = CounterMetricFamily(
            "stepnet_board_images", "Images that a board answered.", labels=["board"]
        )
        busy = CounterMetricFamily(
            "stepnet_board_busy_seconds",
            "Seconds for which a board had images to infer.",
            labels=["board"],
        )
        failures = CounterMetricFamily(
            "stepnet_board_failures", "How many times a board was lost.", labels=["board"]
        )
        for name, board in zip(self._names(), self._pool.statistics, strict=True):
            up.add_metric([name], float(board.works))
            images.add_metric([name], board.images)
            busy.add_metric([name], board.busy_s)
            failures.add_metric([name], board.failures)
        yield from (up, images, busy, failures)

    def _names(self) -> list[str]:
        """How each board is called; one that is named several times gets a number."""
        names: list[str] = []
        seen: Counts[str] = Counts()
        for board in self._pool.statistics:
            seen[board.where] += 1
            number = seen[board.where]
            names.append(board.where if number == 1 else f"{board.where}#{number}")
        return names
