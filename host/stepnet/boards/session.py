"""A board that holds a network, and what brings it back there after a reset or a broken link."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from stepnet.boards.held_network import built_in_digest, held_network, shipped_network
from stepnet.boards.identity import Identity, read_identity
from stepnet.boards.loading import send_network
from stepnet.cores.engine.memory_image import MemoryImage, memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BoardError, LinkBrokenError, LinkError
from stepnet.link.exchange import Exchange, Message
from stepnet.link.link import Link
from stepnet.link.messages import Request
from stepnet.link.tally import Statistics
from stepnet.networks.network import Network

IDENTIFY_ATTEMPTS = 4
"""On opening, spread over the timeout: the board may just be starting."""

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
"""Between two attempts to open a link again; each pause is twice the one before."""


class Session:
    """One board under its network, behind `Board` and its streams of images.

    Arguments and errors are those of `stepnet.boards.board.Board`.

    exchange: the conversation with the board.
    generation: goes up each time that the network is sent to the board. What the board answered in
        an earlier generation may come from another network.
    """

    def __init__(
        self,
        link: Link,
        network: Network | None,
        timeout_s: float,
        where: str,
        reopen: Callable[[], Link] | None,
    ) -> None:
        self._where = where
        self._reopen = reopen
        self._closed = False
        self.generation = 0
        self._memory: tuple[Network, EngineShape, MemoryImage] | None = None
        try:
            check_timeout(timeout_s)
            self.exchange = Exchange(link, where, timeout_s)
            self.exchange.resync()
            self._take_identity(
                self.exchange.ask(
                    Message(Request.IDENTIFY),
                    attempts=IDENTIFY_ATTEMPTS,
                    timeout_s=timeout_s / IDENTIFY_ATTEMPTS,
                )
            )
            self._network = network or held_network(self._identity, where)
            self.load(self._network)
        except BaseException:
            link.close()
            raise

    @property
    def identity(self) -> Identity:
        """What the board said of itself when it was last asked."""
        return self._identity

    @property
    def network(self) -> Network:
        """The network that the board infers."""
        return self._network

    @property
    def statistics(self) -> Statistics:
        """What has happened so far."""
        return self.exchange.tally.snapshot(self.exchange.dropped_frames)

    def load(self, network: Network) -> None:
        """As `Board.load`."""
        self.check_open()
        if self.exchange.busy:
            raise BoardError(
                f"The board at {self._where!r} still has images of infer_many in flight; take or "
                "close all its readings before loading a network."
            )
        if not self._identity.takes_loads:
            self._check_built_in(network)
        elif not self._holds(image := self._memory_image(network)):
            try:
                self._send(image)
            except BaseException:
                self.close()
                raise
            self.exchange.in_doubt = False
        self._network = network

    def restore(self, timeout_s: float | None = None) -> None:
        """See who is there now, and load the network unless the board holds it.

        Once this is done, nothing from before is in flight: it is answered, refused or lost.
        """
        self._identify(timeout_s)
        if not self._identity.takes_loads:
            self._check_built_in(self._network)
        elif not self._holds(image := self._memory_image(self._network)):
            self._send(image)
        self.exchange.in_doubt = False

    def reconnect(self, broke: LinkBrokenError) -> None:
        """Open the link again and `restore`; the board is closed if that fails within the timeout.

        Raises `broke` itself if there is no way to open the link again.
        """
        if self._reopen is None:
            self.close()
            raise broke
        self.exchange.tally.reconnects += 1
        give_up_s = time.monotonic() + self.exchange.timeout_s
        pause_s = FIRST_PAUSE_S
        while True:
            self.exchange.close()
            try:
                self.exchange.restart(self._reopen())
                self.restore(max(0.0, give_up_s - time.monotonic()))
                return
            except LinkError as error:
                if time.monotonic() + pause_s >= give_up_s:
                    self.close()
                    raise self._gone(error) from broke
            except BaseException:
                self.close()
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Give the link back. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self.exchange.close()

    def check_open(self) -> None:
        """Raise BoardError if the board is closed."""
        if self._closed:
            raise BoardError(
                f"The board at {self._where!r} is closed; open it again with open_board."
            )

    def check_network(self, network: Network) -> None:
        """Raise BoardError unless the board still infers `network` for infer_many."""
        if self._network is not network:
            raise BoardError(
                f"The board at {self._where!r} was loaded with network {self._network.name!r} "
                f"while infer_many used {network.name!r}; call infer_many again."
            )

    def _identify(self, timeout_s: float | None = None) -> None:
        self._take_identity(self.exchange.insist(Message(Request.IDENTIFY), timeout_s))

    def _take_identity(self, answer: bytes) -> None:
        self._identity = read_identity(answer, self._where)
        self.exchange.buffer_bytes = self._identity.buffer_bytes

    def _memory_image(self, network: Network) -> MemoryImage:
        """What the board's memories hold for `network`; kept for a load that has to be soon."""
        shape = self._identity.shape
        if self._memory is None or self._memory[0] is not network or self._memory[1] != shape:
            self._memory = network, shape, memory_image(network, shape)
        return self._memory[2]

    def _holds(self, image: MemoryImage) -> bool:
        return bool(self._identity.loaded) and self._identity.digest == image.digest

    def _check_built_in(self, network: Network) -> None:
        """Raise BoardError unless this is the one network that the board can ever infer."""
        if self._identity.digest != built_in_digest(network):
            held = shipped_network(self._identity)
            raise BoardError(
                f"The board at {self._where!r} has "
                + (f"network {held.name!r}" if held else "another network")
                + f" built in and cannot be loaded with {network.name!r}; name the network that it "
                "has, or build a bitstream with this one."
            )

    def _send(self, image: MemoryImage) -> None:
        self.generation += 1
        send_network(self.exchange, image)
        self._identify()

    def _gone(self, error: LinkError) -> LinkBrokenError:
        return LinkBrokenError(
            f"The connection to {self._where!r} broke and did not come back within "
            f"{self.exchange.timeout_s:g} s ({str(error).removesuffix('.')}); check the cable and "
            "open the board again."
        )


def check_timeout(timeout_s: float) -> None:
    """Raise BoardError if one cannot wait that long."""
    if not 0 < timeout_s < math.inf:
        raise BoardError(f"A timeout of {timeout_s:g} s makes no sense; give a number above 0.")
