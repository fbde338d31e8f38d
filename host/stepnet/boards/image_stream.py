"""Images to a board and its readings back: the loop behind `Board.infer_many`.

An image is taken from its source only when the board's buffer can hold it, and readings that are
there are given before another image is taken. So memory stays constant, and a slow source holds up
nothing that is already there. What the exchange knows to be lost is sent again at once, under
another number.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.packing import ImagePacker, ToldImage
from stepnet.boards.reading import Reading, reader
from stepnet.boards.session import Session
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.errors import LinkBrokenError
from stepnet.link.exchange import ATTEMPTS, Message
from stepnet.link.messages import Answer, Request
from stepnet.link.pixel_coding import code_images

REFUSALS = 3
"""How many times in a row a board may refuse an image, though its network was loaded again, before
the stream is given up."""

BREAKS = 3
"""How many times a link may break, without one reading between, before the stream is given up."""

WINDOWS_KEPT = 2
"""How far images are taken ahead of the oldest one without a reading, in windows: while that one is
lost and sent again, the others go on."""

SLOW_PULL_S = 1e-4
"""A source that takes longer for an image makes the stream look for readings before it goes on."""

BATCH = 40
"""The most images that are sent in one write: as many as the buffer of an iCEBreaker holds, because
numpy takes hardly longer for forty than for one."""

_IMAGE = int(Request.INFER)
_READING = int(Answer.READING)


class NotYetError(Exception):
    """Raised by a source whose next image is not there yet, but will be."""


class ImageStream:
    """The readings of `images`, in order, by the network that the board has now.

    finished: whether every reading has been given.

    Its methods raise what `Board.infer_many` raises.
    """

    def __init__(self, session: Session, images: Iterable[ToldImage]) -> None:
        self.finished = False
        self._session = session
        self._exchange = session.exchange
        self._network = session.network
        self._source = iter(images)
        self._packer = ImagePacker(self._network, BATCH)
        self._read = reader(self._network)
        self._message_bytes = Message(_IMAGE, bytes(image_bytes(self._network))).buffer_bytes
        self._exhausted = False
        self._source_error: Exception | None = None
        self._pending: deque[Message] = deque()  # without a reading, in order
        self._again: deque[Message] = deque()  # of these, what has to be sent again
        self._troubles_seen = self._exchange.troubles
        self._generation_seen = session.generation
        self._refusals = 0
        self._breaks = 0

    def step(self) -> list[Reading]:
        """The next readings, as many as are there, but at least one.

        There are none once all were given, which makes the stream `finished`, and while nothing is
        in flight because the source has no image yet.
        """
        while not (readings := self._ready()):
            self._session.check_open()
            self._session.check_network(self._network)
            try:
                self._mend()
                pulled_s = self._fill()
                nothing_to_take = self._exhausted or pulled_s == math.inf
                # If there is nothing here, requests of another stream still fill the buffer.
                if not self._pending and nothing_to_take:
                    return self._end()
                if pulled_s and pulled_s < self._exchange.round_trip_s:
                    self._exchange.poll()
                else:
                    self._exchange.settle()
            except LinkBrokenError as error:
                self._breaks += 1
                if self._breaks > BREAKS:
                    self._session.close()
                    raise
                self._session.reconnect(error)
        self._refusals = self._breaks = 0
        return readings

    def close(self) -> None:
        """Let go of what is in flight."""
        self._exchange.forget(self._pending)

    def _ready(self) -> list[Reading]:
        """The readings at the front that come from this network beyond doubt."""
        readings: list[Reading] = []
        pending = self._pending
        while pending and (first := pending[0]).answer:
            if first.doubtful or first.answer[0] != _READING:
                break
            pending.popleft()
            readings.append(self._read(first.answer))
        return readings

    def _mend(self) -> None:
        """Find out what was lost or refused, and load a board again that has lost its network.

        An image may be lost in a reset, after which a board with a network built in answers for
        that network. So the board is asked what it holds; if that is another network, nothing that
        came after the loss counts. The lost image may belong to another stream, or to one whose
        readings nobody takes any more.
        """
        if self._troubles_seen == self._exchange.troubles and not self._exchange.in_doubt:
            return
        reasons = {message.refusal: message for message in self._pending}
        reasons.pop(None, None)
        if reasons:
            self._refusals += 1
            if self._refusals > REFUSALS:
                raise self._exchange.refused(next(iter(reasons.values())))
        self._session.restore()
        network_was_gone = self._generation_seen != self._session.generation
        self._generation_seen = self._session.generation
        self._troubles_seen = self._exchange.troubles
        self._again.clear()
        for message in self._pending:
            message.doubtful = False
            if network_was_gone:
                message.answer = b""
            if not message.answer or message.refusal is not None:
                if message.attempts >= ATTEMPTS:
                    raise self._exchange.given_up(_IMAGE, message.attempts)
                self._again.append(message)

    def _fill(self) -> float:
        """Send what the board's buffer takes: first what is to be sent again, then new images.

        Returns how long the source took for its last image if that was long, infinity if that image
        is not there yet, and else 0.
        """
        exchange = self._exchange
        while self._again and exchange.fits(self._again[0]):
            exchange.tally.retries += 1
            exchange.send([self._again.popleft()])
        free = exchange.free_bytes() // self._message_bytes
        if exchange.idle:
            free = max(free, 1)
        window = max(exchange.buffer_bytes // self._message_bytes, 1)
        free = min(free, WINDOWS_KEPT * window - len(self._pending))
        while free > 0 and not (self._exhausted or self._again):
            batch, pulled_s = self._pull(min(free, BATCH))
            self._pending.extend(batch)
            exchange.send(batch)
            if pulled_s:
                return pulled_s
            free -= len(batch)
        return 0.0

    def _pull(self, most: int) -> tuple[list[Message], float]:
        """Take up to `most` images from the source, fewer if it ends or is slow. Returns them and
        how long the source took, in the way of `_fill`.
        """
        pulled_s = 0.0
        add, source = self._packer.add, self._source
        now_s = time.perf_counter()
        for _ in range(most):
            start_s = now_s
            try:
                add(*next(source))
            except StopIteration:
                self._exhausted = True
                break
            except NotYetError:
                pulled_s = math.inf
                break
            except Exception as error:
                self._source_error = error  # what was sent is answered first
                self._exhausted = True
                break
            now_s = time.perf_counter()
            if now_s - start_s > SLOW_PULL_S:
                pulled_s = now_s - start_s
                break
        return self._messages(self._packer.take()), pulled_s

    def _messages(self, packed: NDArray[np.uint8]) -> list[Message]:
        """The requests for packed images, each with its coding where that is shorter."""
        if not len(packed):
            return []
        size, whole = packed.shape[1], packed.tobytes()
        bodies = [whole[at : at + size] for at in range(0, len(whole), size)]
        if not self._exchange.coded_images:
            return [Message(_IMAGE, body) for body in bodies]
        return [
            Message(_IMAGE, body, coded if len(coded) < size else None)
            for body, coded in zip(bodies, code_images(packed), strict=True)
        ]

    def _end(self) -> list[Reading]:
        self.finished = self._exhausted
        error, self._source_error = self._source_error, None
        if error is not None:
            raise error
        return []
