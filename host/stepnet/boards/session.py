"""A board that holds a network, and what loads or opens it again after a reset or a broken link."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from stepnet.boards.held_network import (
    built_in_digest,
    core_of,
    held_network,
    shipped_network,
)
from stepnet.boards.identity import Identity, read_identity
from stepnet.boards.loading import AnyImage, send_network
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.mac.layout import weight_image
from stepnet.cores.mac.program import MacNetwork
from stepnet.errors import BoardError, LinkBrokenError, LinkError
from stepnet.link.exchange import Exchange, Message
from stepnet.link.link import Link
from stepnet.link.messages import Core, Request
from stepnet.link.tally import Statistics
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork

IDENTIFY_ATTEMPTS = 4
"""How many times a board is asked who it is on opening, spread over the timeout: it may just be
starting."""

_KINDS = {Core.ENGINE: "step", Core.MAC: "ReLU", Core.MAC_SIGMOID: "sigmoid"}
"""The networks that a core which can be loaded computes."""

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
"""How long the pauses between attempts to open a link again are; each is twice the one before."""


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
        network: AnyNetwork | None,
        timeout_s: float,
        where: str,
        reopen: Callable[[], Link] | None,
        progress: Callable[[str], None] | None = None,
        known: Iterable[AnyNetwork] = (),
    ) -> None:
        self._where = where
        self._progress = progress
        self._reopen = reopen
        self._closed = False
        self.generation = 0
        self._memory: tuple[AnyNetwork, Identity, AnyImage] | None = None
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
            self._network = network or held_network(self._identity, where, known)
            self.load(self._network)
        except BaseException:
            link.close()
            raise

    @property
    def identity(self) -> Identity:
        """What the board said of itself when it was last asked."""
        return self._identity

    @property
    def network(self) -> AnyNetwork:
        """The network that the board infers."""
        return self._network

    @property
    def statistics(self) -> Statistics:
        """What has happened so far."""
        return self.exchange.tally.snapshot(self.exchange.dropped_frames)

    def load(self, network: AnyNetwork) -> None:
        """Infer `network` from now on; see `Board.load`."""
        self.check_open()
        if self.exchange.busy:
            raise BoardError(
                f"The board at {self._where!r} still has images of infer_many in flight; take or "
                "close all its readings before loading a network."
            )
        image = self._missing(network)
        if image is not None:
            if self._identity.loaded and self._progress is not None:
                self._progress(self._replacement(network))
            try:
                self._send(image)
            except BaseException:
                self.close()
                raise
            self.exchange.in_doubt = False
        self._network = network

    def _replacement(self, network: AnyNetwork) -> str:
        """What a load replaces, in a sentence without a full stop."""
        held = shipped_network(self._identity)
        digest = f"{self._identity.digest:08x}"
        name = repr(held.name) if held else f"a network that does not come with Stepnet ({digest})"
        return f"Loading {network.name!r} over {name}, which the board at {self._where!r} held"

    def restore(self, timeout_s: float | None = None) -> None:
        """See who is there now, and load the network unless the board holds it.

        Once this is done, nothing from before is in flight: it is answered, refused or lost.
        """
        self._identify(timeout_s)
        image = self._missing(self._network)
        if image is not None:
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

    def check_network(self, network: AnyNetwork) -> None:
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
        self.exchange.coded_images = self._identity.takes_coded_images

    def _missing(self, network: AnyNetwork) -> AnyImage | None:
        """What has to be sent for the board to hold `network`; None if it does already.

        Raises BoardError if it never can.
        """
        if self._identity.core == Core.PIPELINE_BENCH:
            raise BoardError(
                f"The board at {self._where!r} reads no image but its own; measure it with "
                "`stepnet bench --on-chip`, or flash another bitstream."
            )
        if not self._identity.takes_loads:
            self._check_built_in(network)
            return None
        if isinstance(network, LutNetwork):
            raise BoardError(
                f"The board at {self._where!r} has an engine, which cannot be loaded with "
                f"{network.name!r}, a network of look-up tables; build a bitstream that is this "
                "network, with `stepnet build --network`, or name a step network."
            )
        if isinstance(network, SpikingNetwork):
            raise BoardError(
                f"The board at {self._where!r} takes networks that do not spike, and cannot be "
                f"loaded with the spiking network {network.name!r}; build a bitstream that is this "
                "network, with `stepnet build --network`, or name another one."
            )
        self._check_core(network)
        image = self._memory_image(network)
        holds = self._identity.loaded and self._identity.digest == image.digest
        return None if holds else image

    def _check_core(self, network: Network | MacNetwork) -> None:
        """Raise BoardError if the board's core is for networks of another kind."""
        if core_of(network) == self._identity.core:
            return
        has = "an engine" if self._identity.core == Core.ENGINE else "a multiply-accumulate core"
        reads = _KINDS[Core(self._identity.core)]
        raise BoardError(
            f"The board at {self._where!r} has {has}, which computes {reads} networks, and cannot "
            f"be loaded with the {_KINDS[core_of(network)]} network {network.name!r}; flash a "
            "bitstream that `stepnet build --network` makes for it, or name another network."
        )

    def _memory_image(self, network: Network | MacNetwork) -> AnyImage:
        """What the board's memories hold for `network`; kept, because a reset may need it again
        soon.
        """
        core = replace(self._identity, loaded=0, digest=0, image_bytes=0, dropped_frames=0)
        if self._memory is None or self._memory[0] is not network or self._memory[1] != core:
            image = (
                weight_image(network, core.mac_shape)
                if isinstance(network, MacNetwork)
                else memory_image(network, core.shape)
            )
            self._memory = network, core, image
        return self._memory[2]

    def _check_built_in(self, network: AnyNetwork) -> None:
        """Raise BoardError unless this is the one network that the board can ever infer."""
        if self._identity.digest != built_in_digest(network):
            held = shipped_network(self._identity)
            raise BoardError(
                f"The board at {self._where!r} has "
                + (f"network {held.name!r}" if held else "another network")
                + f" built in and cannot be loaded with {network.name!r}; name the network that it "
                "has, or build a bitstream with this one."
            )

    def _send(self, image: AnyImage) -> None:
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
    """Raise BoardError if the timeout is none that somebody could wait."""
    if not 0 < timeout_s < math.inf:
        raise BoardError(f"A timeout of {timeout_s:g} s makes no sense; give a number above 0.")
