"""What a board makes of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stepnet.link import messages
from stepnet.link.exchange import compiled
from stepnet.networks.network import Network

READINGS_REMEMBERED = 4096

_READING = compiled(messages.READING)


@dataclass(frozen=True)
class Reading:
    """What a board made of one image.

    character: the character of the code; None if the code is not in the network's alphabet.
    code: the character register, 0 to 255.
    known: the code is in the network's alphabet.
    margin: how far any one sum of the last layer may move before the code changes, at least 0: how
        sure the board is of the weakest bit, as in `reference.margin`.
    cycles: of the board's clock, from the last pixel to the register.
    """

    character: str | None
    code: int
    known: bool
    margin: int
    cycles: int


def reader(network: Network) -> Callable[[bytes], Reading]:
    """A function that reads the payload of a READING for `network`.

    Equal readings are the same object, as far as `READINGS_REMEMBERED` of them go: making one takes
    longer than finding it, and a board says little that is new.
    """
    alphabet = frozenset(network.alphabet)
    remembered: dict[tuple[int, int, int], Reading] = {}

    def read(payload: bytes) -> Reading:
        _, _, code, margin, cycles = _READING.unpack(payload)
        reading = remembered.get((code, margin, cycles))
        if reading is None:
            known = chr(code) in alphabet
            reading = Reading(chr(code) if known else None, code, known, margin, cycles)
            if len(remembered) == READINGS_REMEMBERED:
                remembered.clear()
            remembered[code, margin, cycles] = reading
        return reading

    return read
