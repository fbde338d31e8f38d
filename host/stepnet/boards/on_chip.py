"""Has a board measure itself: it runs images of its own at the full speed of its pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.boards.identity import Identity, read_identity
from stepnet.errors import BoardError
from stepnet.link import messages as protocol
from stepnet.link.exchange import Exchange, Message
from stepnet.link.link import Link
from stepnet.link.messages import Core, Request

LEAST_IMAGES_PER_S = 10_000
"""Slower than any board, and slower than a virtual one, which tells how long to wait."""

IDENTIFY_ATTEMPTS = 4


@dataclass(frozen=True)
class Measurement:
    """What a board counted.

    images: how many it ran through its pipeline.
    right: how many of their codes were those of the characters that they show.
    cycles: from the first image's entry to the last one's code.
    clock_hz: of the board.
    stored_images: how many different ones there are.
    """

    images: int
    right: int
    cycles: int
    clock_hz: int
    stored_images: int

    @property
    def images_per_s(self) -> float:
        """The rate, with the way of the first image through the pipeline in it."""
        return self.images * self.clock_hz / self.cycles


class OnChipBench:
    """A board with images of its own. A context manager; for one thread.

    link: the way to the board; belongs to the bench from now on and is closed with it.
    timeout_s: how long the board may be silent while an answer is due, beyond the time that it
        works.
    where: how the board is named in errors.

    Raises BoardError if the board has no images of its own, and as all methods what `Exchange`
    raises.
    """

    def __init__(self, link: Link, timeout_s: float = 5.0, *, where: str = "link") -> None:
        self._link = link
        try:
            self._exchange = Exchange(link, where, timeout_s)
            self._exchange.resync()
            answer = self._exchange.ask(
                Message(Request.IDENTIFY),
                attempts=IDENTIFY_ATTEMPTS,
                timeout_s=timeout_s / IDENTIFY_ATTEMPTS,
            )
            self.identity: Identity = read_identity(answer, where)
            if self.identity.core != Core.PIPELINE_BENCH:
                raise BoardError(
                    f"The board at {where!r} has no images of its own to be measured with; build a "
                    "bitstream that has some, with `stepnet build --on-chip`."
                )
        except BaseException:
            link.close()
            raise

    @property
    def stored_images(self) -> int:
        """How many images the board keeps."""
        return self.identity.parameter_words

    def measure(self, images: int) -> Measurement:
        """Run so many images, in their order and from the start again after the last one.

        images: 1 to `messages.MOST_MEASURED_IMAGES`; BoardError for others.
        """
        if not 1 <= images <= protocol.MOST_MEASURED_IMAGES:
            raise BoardError(
                f"A board is not measured with {images:,} images; give 1 to "
                f"{protocol.MOST_MEASURED_IMAGES:,}."
            )
        body = protocol.MEASURE.pack(kind=0, sequence=0, images=images)[protocol.HEADER.size :]
        working_s = images / LEAST_IMAGES_PER_S
        answer = self._exchange.ask(
            Message(Request.INFER, body), timeout_s=self._exchange.timeout_s + working_s
        )
        found = protocol.MEASUREMENT.unpack(answer)
        return Measurement(
            images, found["right"], found["cycles"], self.identity.clock_hz, self.stored_images
        )

    def close(self) -> None:
        """Give the link back. Closing twice does nothing."""
        self._link.close()

    def __enter__(self) -> OnChipBench:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
