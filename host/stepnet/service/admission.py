"""How much is taken on at once, and when to come again.

Whatever is taken on is held in memory until its readings are there, so both its requests and its
images have a limit. Who comes beyond that is told so at once, with the time after which a place is
likely to be free: better than a line that nobody sees the end of.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from stepnet.errors import BoardError

RATE_OVER_S = 2.0
"""The rate of readings is taken anew after so long."""

MOST_RETRY_S = 60


class BusyError(BoardError):
    """All places are taken.

    retry_after_s: whole seconds after which one is likely to be free, 1 to `MOST_RETRY_S`.
    """

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Admission:
    """Counts what is taken on; for one event loop.

    most_requests: at once, each of which may hold what was posted.
    most_images: that wait for their readings at once, of all requests together. A request is taken
        on however many it has while no other image waits.
    clock: tells seconds.

    requests, images: that are taken on now.
    """

    def __init__(
        self,
        most_requests: int,
        most_images: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_requests = most_requests
        self._most_images = most_images
        self._clock = clock
        self.requests = 0
        self.images = 0
        self._images_per_s = 0.0
        self._counted_since_s = clock()
        self._counted = 0

    @contextmanager
    def request(self) -> Generator[None]:
        """Have a request's place until the end of the `with`; BusyError if there is none."""
        if self.requests >= self._most_requests:
            raise BusyError(
                f"{self._most_requests} requests are being answered, which is the most at once; "
                "send this one again later, or post more pictures in each.",
                self._retry_after_s(),
            )
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def waiting(self, images: int) -> Generator[None]:
        """Have places for so many images until the end of the `with`; BusyError if there are not
        as many."""
        if self.images and self.images + images > self._most_images:
            raise BusyError(
                f"{self.images} images wait for a board, and with these {images} there would be "
                f"more than {self._most_images}; send them again later.",
                self._retry_after_s(),
            )
        self.images += images
        try:
            yield
        finally:
            self.images -= images
        self._count(images)

    def _count(self, images: int) -> None:
        """Note that images were read."""
        self._counted += images
        passed_s = self._clock() - self._counted_since_s
        if passed_s >= RATE_OVER_S:
            self._images_per_s = self._counted / passed_s
            self._counted_since_s += passed_s
            self._counted = 0

    def _retry_after_s(self) -> int:
        """How long what waits now will take at the rate of late."""
        if not self._images_per_s:
            return 1
        return max(1, min(MOST_RETRY_S, math.ceil(self.images / self._images_per_s)))
