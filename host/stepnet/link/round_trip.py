"""How long an answer takes, and how long to wait before doubting that one comes; for `exchange`."""

from __future__ import annotations

FIRST_PATIENCE_S = 1.0
"""How long to wait before anything was measured."""

LEAST_PATIENCE_S = 0.03
"""The least time to wait. A USB serial adapter may hold bytes back for 16 ms, as it comes."""


class RoundTrip:
    """Smoothed time from a request to its answer, as TCP estimates it (RFC 6298, section 2).

    seconds: the smoothed time; 0 before anything was measured.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._deviation_s = 0.0

    def add(self, sample_s: float) -> None:
        """Take one measurement in."""
        if not self.seconds:
            self.seconds = sample_s
            self._deviation_s = sample_s / 2
        else:
            self._deviation_s += (abs(sample_s - self.seconds) - self._deviation_s) / 4
            self.seconds += (sample_s - self.seconds) / 8

    def patience_s(self, most_s: float) -> float:
        """How long to wait for an answer before doubting that it comes; at most `most_s`."""
        if not self.seconds:
            return min(FIRST_PATIENCE_S, most_s)
        return min(max(LEAST_PATIENCE_S, self.seconds + 4 * self._deviation_s), most_s)
