"""What a board has done so far: counted by the exchange, shown by `Board.statistics`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """What happened on the way to one board since it was opened; a snapshot that does not change.

    images: how many images were answered with a reading.
    retries: how many images were sent again, because they were lost or refused or the link broke.
    refusals: how many times the board refused an image.
    timeouts: how many times the board was asked whether it is still there, because an answer took
        longer than the measured round trip lets expect.
    loads: how many times a network was sent.
    reconnects: how many times the link broke in the middle of a stream and was opened again.
    dropped_frames: how many frames came from the board broken; those that the board dropped are in
        `Identity.dropped_frames`.
    bytes_sent, bytes_received: how many bytes went over the link, with all that frames add.
    busy_s: in how many seconds images were in flight.
    mean_latency_s, worst_latency_s: how long it took from the first sending of an image until the
        program took its answer from the link; 0 before the first image.
    """

    images: int
    retries: int
    refusals: int
    timeouts: int
    loads: int
    reconnects: int
    dropped_frames: int
    bytes_sent: int
    bytes_received: int
    busy_s: float
    mean_latency_s: float
    worst_latency_s: float

    @property
    def images_per_s(self) -> float:
        """How many images a second were read while some were in flight; 0 before the first one."""
        return self.images / self.busy_s if self.busy_s else 0.0


@dataclass
class Tally:
    """The counters behind `Statistics`, which the exchange and the session count up."""

    images: int = 0
    retries: int = 0
    refusals: int = 0
    timeouts: int = 0
    loads: int = 0
    reconnects: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    busy_s: float = 0.0
    busy_since_s: float | None = None
    latency_sum_s: float = 0.0
    worst_latency_s: float = 0.0

    def begin(self, now_s: float) -> None:
        """Note that an image is in flight from `now_s` of the monotonic clock on."""
        if self.busy_since_s is None:
            self.busy_since_s = now_s

    def rest(self, now_s: float) -> None:
        """Note that nothing is in flight any more."""
        if self.busy_since_s is not None:
            self.busy_s += now_s - self.busy_since_s
            self.busy_since_s = None

    def answered(self, latencies_s: Sequence[float]) -> None:
        """Count images, each answered so long after it was sent first."""
        if latencies_s:
            self.images += len(latencies_s)
            self.latency_sum_s += sum(latencies_s)
            self.worst_latency_s = max(self.worst_latency_s, *latencies_s)

    def snapshot(self, dropped_frames: int) -> Statistics:
        """The counters as they stand."""
        running_s = 0.0 if self.busy_since_s is None else time.monotonic() - self.busy_since_s
        return Statistics(
            images=self.images,
            retries=self.retries,
            refusals=self.refusals,
            timeouts=self.timeouts,
            loads=self.loads,
            reconnects=self.reconnects,
            dropped_frames=dropped_frames,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            busy_s=self.busy_s + running_s,
            mean_latency_s=self.latency_sum_s / self.images if self.images else 0.0,
            worst_latency_s=self.worst_latency_s,
        )
