"""Sends a network to a board, for `Session`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from stepnet.cores.engine.memory_image import MemoryImage
from stepnet.cores.mac.layout import WeightImage
from stepnet.errors import RefusedError
from stepnet.link import messages as protocol
from stepnet.link.exchange import MESSAGE_OVERHEAD_BYTES, Exchange, Message
from stepnet.link.messages import Layout, Refusal, Request

AnyImage: TypeAlias = MemoryImage | WeightImage
"""What the memories of a core hold that takes loads."""

LOAD_ATTEMPTS = 10
"""How many times a load is tried in all. One in which something gets lost starts anew, because the
words of a LOAD that arrived twice would count twice in the digest."""


def send_network(exchange: Exchange, image: AnyImage) -> None:
    """Put a network on the board, whatever it holds.

    Raises RefusedError if the board refuses, LinkError if each attempt lost something, and as all
    methods of `Exchange`.
    """
    exchange.tally.loads += 1
    for attempt in range(1, LOAD_ATTEMPTS + 1):
        try:
            if exchange.ask_all(_messages(image, exchange.buffer_bytes)):
                return
        except RefusedError as error:
            if error.reason != Refusal.WRONG_DIGEST or attempt == LOAD_ATTEMPTS:
                raise
        exchange.resync()
    raise exchange.given_up(Request.LOAD, LOAD_ATTEMPTS)


def _messages(image: AnyImage, buffer_bytes: int) -> Iterator[Message]:
    """Everything that puts a network on a board, in order."""
    yield Message(Request.CLEAR)
    largest_bytes = buffer_bytes - protocol.LOAD.size - MESSAGE_OVERHEAD_BYTES
    chunk_bytes = min(protocol.MAX_LOAD_BYTES, largest_bytes)
    for load in image.loads(chunk_bytes):
        place = _body(protocol.LOAD, address=load.address, space=load.space)
        yield Message(Request.LOAD, place + load.words)
    yield Message(Request.COMMIT, _body(protocol.COMMIT, digest=image.digest))


def _body(layout: Layout, **fields: int) -> bytes:
    """The fields of a request as bytes, without those of the header."""
    return layout.pack(kind=0, sequence=0, **fields)[protocol.HEADER.size :]
