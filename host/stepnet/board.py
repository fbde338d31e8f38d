"""A board that infers: real or virtual, behind one `infer()`.

with open_board("/dev/ttyUSB1") as board:
    reading = board.infer(image)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet import protocol, reference
from stepnet.errors import (
    BoardError,
    ImageError,
    LinkTimeoutError,
    RefusedError,
)
from stepnet.exchange import Exchange, Message
from stepnet.identity import Identity, read_identity
from stepnet.link import Link, open_link, without_token
from stepnet.memory_image import MemoryImage, image_bytes, memory_image
from stepnet.network import Network
from stepnet.networks import load_network
from stepnet.protocol import DEFAULT_BAUD, Refusal, Request

if TYPE_CHECKING:
    from PIL import Image

    from stepnet.picture import Picture
    from stepnet.text_line import LineText

ImageLike: TypeAlias = "NDArray[np.generic] | Image.Image | bytes | str | os.PathLike[str]"
"""An image of the network's size, or a picture of any size: from Pillow, the bytes of an encoded
one (PNG, JPEG, ...), or its path."""

IDENTIFY_ATTEMPTS = 4
LOAD_ATTEMPTS = 3
INFER_ATTEMPTS = 2


@dataclass(frozen=True)
class Reading:
    """What a board made of one image.

    character: the character of the code; None if the code is not in the network's alphabet.
    code: the character register, 0 to 255.
    known: the code is in the network's alphabet.
    cycles: of the board's clock, from the last pixel to the register.
    """

    character: str | None
    code: int
    known: bool
    cycles: int


class Board:
    """A board with a network on it, ready to infer. A context manager; for one thread.

    On opening, the board is asked who it is, and `network` is loaded unless it already holds it.

    link: the way to the board; belongs to the board from now on and is closed with it.
    timeout_s: how long any one answer may take.
    where: how the board is named in errors.

    Raises NetworkError if the network does not fit (nothing is loaded then), BoardError if the
    board has another protocol version or core, and as all methods: LinkError if the link breaks or
    carries nonsense, LinkTimeoutError if the board does not answer, RefusedError if it refuses.
    """

    def __init__(
        self, link: Link, network: Network, timeout_s: float = 5.0, *, where: str = "link"
    ) -> None:
        self._link = link
        self._where = where
        self._closed = False
        try:
            _check_timeout(timeout_s)
            self._exchange = Exchange(link, where, timeout_s)
            self._exchange.resync()
            self._identity = self._identify()
            self._network = network
            self.load(network)
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> Identity:
        """What the board said of itself when it was last asked: on opening and after a load."""
        return self._identity

    @property
    def network(self) -> Network:
        """The network that the board infers."""
        return self._network

    def load(self, network: Network) -> None:
        """Infer `network` from now on; sends it only if the board does not hold it already.

        A load whose answers get lost starts anew, up to `LOAD_ATTEMPTS` times in all. If that does
        not help, the board is closed, because nobody knows what it holds.

        Raises NetworkError if the network does not fit; the board keeps the one it has.
        """
        self._check_open()
        if self._exchange.busy:
            raise BoardError(
                f"The board at {self._where!r} still has images of infer_many in flight; take or "
                "close all its readings before loading a network."
            )
        image = memory_image(network, self._identity.shape)
        if not (self._identity.loaded and self._identity.digest == image.digest):
            try:
                self._send_network(image)
                self._identity = self._identify()
            except BaseException:
                self.close()
                raise
        self._network = network

    def infer(self, image: ImageLike) -> Reading:
        """What the board reads in one image; if no answer comes in time, it is asked once more.

        image: (height, width) uint8 grey values with bright ink, or bool, of the network's size; or
        a picture, which `picture.normalise` makes fit.

        Raises ImageError if the image has another size or type or the picture cannot be read.
        """
        (reading,) = self.infer_many([image])
        return reading

    def infer_many(self, images: Iterable[ImageLike]) -> Iterator[Reading]:
        """What the board reads in each of `images`, in their order; each as in `infer`.

        As many images are in flight as the board's buffer holds, and no more are kept, so `images`
        may be an endless generator.
        """
        network = self._network
        answers = self._exchange.ask_each(
            self._infer_messages(network, images),
            window=protocol.window(self._identity.buffer_bytes, image_bytes(network)),
            attempts=INFER_ATTEMPTS,
        )
        return (_reading(network, answer) for answer in answers)

    def read_text(self, page: Picture) -> LineText:
        """What the board reads in a picture of one line of separate characters.

        Raises ImageError if the picture cannot be read or shows no ink.
        """
        from stepnet.text_line import read_text

        return read_text(self.infer_many, page, self._network)

    def close(self) -> None:
        """Give the link back. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._link.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BoardError(
                f"The board at {self._where!r} is closed; open it again with open_board."
            )

    def _infer_messages(self, network: Network, images: Iterable[ImageLike]) -> Iterator[Message]:
        for image in images:
            self._check_open()
            if self._network is not network:
                raise BoardError(
                    f"The board at {self._where!r} was loaded with network {self._network.name!r} "
                    f"while infer_many used {network.name!r}; call infer_many again."
                )
            bits = reference.binarise(network, _pixels(network, image)[np.newaxis])
            yield Message(Request.INFER, data=protocol.pack_pixels(bits[0]))

    def _identify(self) -> Identity:
        """Ask a few times within the timeout: the board may just be starting."""
        answer = self._exchange.ask(
            Message(Request.IDENTIFY),
            attempts=IDENTIFY_ATTEMPTS,
            timeout_s=self._exchange.timeout_s / IDENTIFY_ATTEMPTS,
        )
        return read_identity(answer, self._where)

    def _send_network(self, image: MemoryImage) -> None:
        chunk_bytes = _load_chunk_bytes(self._identity)
        # The board's buffer is shared by whole messages, whatever their kind.
        window = protocol.window(
            self._identity.buffer_bytes, protocol.LOAD.size - protocol.INFER.size + chunk_bytes
        )
        for attempt in range(1, LOAD_ATTEMPTS + 1):
            try:
                for _ in self._exchange.ask_each(_load_messages(image, chunk_bytes), window=window):
                    pass
                return
            except (LinkTimeoutError, RefusedError) as error:
                lost = isinstance(error, LinkTimeoutError) or error.reason == Refusal.WRONG_DIGEST
                if not lost or attempt == LOAD_ATTEMPTS:
                    raise
                self._exchange.resync()


def open_board(
    where: str = "sim",
    network: Network | str | os.PathLike[str] = "digits",
    *,
    timeout_s: float = 5.0,
    baud: int = DEFAULT_BAUD,
    uart: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> Board:
    """Open a board and see that it holds a network.

    where: "sim" for the virtual board, the name of another installed board, a serial port such as
    "/dev/ttyUSB1" or "COM3", or "socket://host:port".
    network: a network, the name of a shipped one, or the path of a .npz file.
    timeout_s: how long any one answer may take.
    baud: bits per second on the wire.
    uart: drive the virtual board at its serial pins, instead of the bytes behind them.
    progress: is told, in a sentence without a full stop, what takes long.

    Raises NetworkError, and what `Board` and `link.open_link` raise.
    """
    if not isinstance(network, Network):
        network = load_network(network)
    _check_timeout(timeout_s)
    link = open_link(where, baud=baud, timeout_s=timeout_s, uart=uart, progress=progress)
    return Board(link, network, timeout_s, where=without_token(where))


def _check_timeout(timeout_s: float) -> None:
    if not 0 < timeout_s < math.inf:
        raise BoardError(f"A timeout of {timeout_s:g} s makes no sense; give a number above 0.")


def _load_chunk_bytes(identity: Identity) -> int:
    """Data bytes of one LOAD that fit the board's buffer beside the rest of the message."""
    beside = protocol.LOAD.size + protocol.CRC_BYTES + protocol.BUFFER_OVERHEAD_BYTES
    return min(protocol.MAX_LOAD_BYTES, identity.buffer_bytes - beside)


def _load_messages(image: MemoryImage, chunk_bytes: int) -> Iterator[Message]:
    """Everything that puts a network on a board, in order."""
    yield Message(Request.CLEAR)
    for load in image.loads(chunk_bytes):
        yield Message(Request.LOAD, {"address": load.address, "space": load.space}, load.words)
    yield Message(Request.COMMIT, {"digest": image.digest})


def _pixels(network: Network, image: ImageLike) -> NDArray[np.generic]:
    """An image of the network's size, or what a picture becomes at that size."""
    if isinstance(image, np.ndarray):
        if image.shape != (network.height, network.width):
            size = " x ".join(map(str, image.shape))
            raise ImageError(
                f"The image has {size} pixels, but network {network.name!r} takes "
                f"{network.height} x {network.width}; `stepnet.picture.normalise` makes any "
                "picture fit."
            )
        return image
    from stepnet.framing import framing_of
    from stepnet.picture import normalise

    return normalise(image, network.height, network.width, framing_of(network))


def _reading(network: Network, answer: bytes) -> Reading:
    fields = protocol.READING.unpack(answer)
    code = fields["code"]
    known = chr(code) in network.alphabet
    return Reading(chr(code) if known else None, code, known, fields["cycles"])
