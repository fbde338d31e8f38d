"""A board that infers, real or virtual, behind one `infer()`: what most programs use.

    with open_board("/dev/ttyUSB1") as board:
        reading = board.infer(image)

Behind the port there may as well be the virtual board, or a board that another machine shares.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stepnet.boards.identity import Identity
from stepnet.boards.image_stream import ImageStream
from stepnet.boards.packing import ImageLike, ToldImage, told
from stepnet.boards.reading import Reading
from stepnet.boards.session import Session, check_timeout
from stepnet.link.link import Link, open_link
from stepnet.link.tally import Statistics
from stepnet.link.tokens import without_token
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.shipped import load_any_network

if TYPE_CHECKING:
    from stepnet.pictures.picture import Picture
    from stepnet.pictures.text_line import LineText

__all__ = ["Board", "ImageLike", "Reading", "open_board"]


class Board:
    """A board with a network on it, ready to infer. A context manager; for one thread.

    On opening, the board is asked who it is, and `network` is loaded unless it already holds it.

    link: the way to the board; belongs to the board from now on and is closed with it.
    network: the network to infer; None for the one that the board holds, if it is shipped or one of
    `known`.
    timeout_s: how long the board may be silent while an answer is due, and how long a link that
    broke in the middle of a stream may take to come back.
    where: how the board is named in errors.
    reopen: opens the link again after it broke. Without it, a board whose link broke is lost.
    progress: is told, in a sentence without a full stop, when a network is loaded over another.
    known: networks that the board may hold beside the shipped ones; nothing is loaded of them.

    Raises NetworkError if the network does not fit (nothing is loaded then), BoardError if the
    board has another protocol version or core or, without `network`, holds none of the shipped
    or known ones, and as all methods: LinkError if the link breaks and
    cannot be opened again or carries nonsense, LinkTimeoutError if the board does not answer,
    RefusedError if it refuses.
    """

    def __init__(
        self,
        link: Link,
        network: AnyNetwork | None,
        timeout_s: float = 5.0,
        *,
        where: str = "link",
        reopen: Callable[[], Link] | None = None,
        progress: Callable[[str], None] | None = None,
        known: Iterable[AnyNetwork] = (),
    ) -> None:
        self._session = Session(link, network, timeout_s, where, reopen, progress, known)

    @property
    def identity(self) -> Identity:
        """What the board said of itself when it was last asked: on opening, after a load and after
        whatever went wrong on the way.
        """
        return self._session.identity

    @property
    def baud(self) -> int | None:
        """Bits per second on the board's serial line, as given or found; None if there is none,
        such as behind a socket."""
        return self._session.exchange.baud

    @property
    def network(self) -> AnyNetwork:
        """The network that the board infers."""
        return self._session.network

    @property
    def statistics(self) -> Statistics:
        """What has happened since the board was opened."""
        return self._session.statistics

    def load(self, network: AnyNetwork | str | os.PathLike[str]) -> None:
        """Infer `network` from now on; sends it only if the board does not hold it already.

        network: a network, the name of a shipped one, or the path of a .npz file.

        A load in which something gets lost starts anew, up to `loading.LOAD_ATTEMPTS` times in all.
        If that does not help, the board is closed, because nobody knows what it holds.

        Raises NetworkError if there is no such network or it does not fit; the board keeps the one
        it has.
        """
        if isinstance(network, str | os.PathLike):
            network = load_any_network(network)
        self._session.load(network)

    def infer(self, image: ImageLike, *, placed: bool | None = None) -> Reading:
        """What the board reads in one image; with retries as in `infer_many`.

        image: a picture (from Pillow, encoded bytes, a path), or an array of uint8 grey values or
        bool that shows one character. It is placed as the characters were that the network learned
        from, as `picture.normalise` does it.
        placed: True takes an array of the network's size, bright ink on 0, as it is; False places
        it anyhow. None, the default, leaves it as it is if it lies as the network's data do, or if
        the network's card does not tell what they were.

        Raises ImageError if the image has a type or, where it is not placed, a size that does not
        fit, or the picture cannot be read.
        """
        (reading,) = self.infer_many([image], placed=placed)
        return reading

    def infer_many(
        self, images: Iterable[ImageLike], *, placed: bool | None = None
    ) -> Iterator[Reading]:
        """What the board reads in each of `images`, in their order; an image is as in `infer`.

        As many images are in flight as the board's buffer holds, and at most twice as many are
        kept, so `images` may be an endless generator. Readings that are there are given before the
        next image is taken.

        An image that was lost or refused is sent again. If the board forgot its network, that is
        loaded again; if the link broke, it is opened again, and the stream goes on. It fails after
        `timeout_s` of silence, or once the same thing went wrong several times in a row.

        If `images` raises, or holds what is no image, the readings of all images before it come
        first, and then that exception.
        """
        return self.infer_told(told(images, placed))

    def infer_told(self, images: Iterable[ToldImage]) -> Iterator[Reading]:
        """`infer_many` of images of which each may have its own `placed`."""
        return _readings(ImageStream(self._session, images))

    def stream(self, images: Iterable[ImageLike], *, placed: bool | None = None) -> ImageStream:
        """What `infer_many` does, step by step, for programs that cannot wait in an iterator."""
        return ImageStream(self._session, told(images, placed))

    def read_text(self, page: Picture) -> LineText:
        """What the board reads in a picture of one line of separate characters.

        Raises ImageError if the picture cannot be read or shows no ink.
        """
        from stepnet.pictures.text_line import read_text

        return read_text(partial(self.infer_many, placed=True), page, self.network)

    def close(self) -> None:
        """Give the link back. Closing twice does nothing."""
        self._session.close()

    def __enter__(self) -> Self:
        self._session.check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _readings(stream: ImageStream) -> Iterator[Reading]:
    try:
        while readings := stream.step():
            yield from readings
    finally:
        stream.close()


def open_board(
    where: str = "sim",
    network: AnyNetwork | str | os.PathLike[str] | None = "digits",
    *,
    timeout_s: float = 5.0,
    baud: int | None = None,
    uart: bool = False,
    progress: Callable[[str], None] = lambda message: None,
    known: Iterable[AnyNetwork] = (),
) -> Board:
    """Open a board and see that it holds a network.

    where: "sim" for the virtual board, "sim:ulx3s-25f" for one like that board, the name of another
    installed board, a serial port such as "/dev/ttyUSB1" or "COM3", or "socket://host:port".
    network: a network, the name of a shipped one, or the path of a .npz file; None for the network
    that the board holds, perhaps because it was built in, if it is shipped or one of `known`.
    timeout_s: how long the board may be silent while an answer is due, and how long a link that
    broke in the middle of a stream may take to come back.
    baud: bits per second on the wire; None to find them at a serial port, by asking the board at
        each rate that it may have, which takes less than 0.3 s.
    uart: drive the virtual board at its serial pins, instead of the bytes behind them.
    progress: is told, in a sentence without a full stop, what takes long, and which network is
        loaded over which.
    known: networks that the board may hold beside the shipped ones, where `network` is None.

    Raises NetworkError, and what `Board` and `link.open_link` raise.
    """
    if isinstance(network, str | os.PathLike):
        network = load_any_network(network)
    check_timeout(timeout_s)

    def open_it() -> Link:
        return open_link(
            where,
            network=network,
            baud=baud,
            timeout_s=timeout_s,
            uart=uart,
            progress=progress,
        )

    return Board(
        open_it(),
        network,
        timeout_s,
        where=without_token(where),
        reopen=open_it,
        progress=progress,
        known=known,
    )
