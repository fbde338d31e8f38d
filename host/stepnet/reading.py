"""What a board makes of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stepnet import protocol
from stepnet.exchange import compiled
from stepnet.network import Network

READINGS_REMEMBERED = 4096

_READING = compiled(protocol.READING)


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


def reader(network: Network) -> Callable[[bytes], Reading]:
    """A function that reads the payload of a READING for `network`.

    Equal readings are the same object, as far as `READINGS_REMEMBERED` of them go: making one takes
    longer than finding it, and a board says little that is new.
    """
    alphabet = frozenset(network.alphabet)
    remembered: dict[tuple[int, int], Reading] = {}

    def read(payload: bytes) -> Reading:
        _, _, code, cycles = _READING.unpack(payload)
        reading = remembered.get((code, cycles))
        if reading is None:
            known = chr(code) in alphabet
            reading = Reading(chr(code) if known else None, code, known, cycles)
            if len(remembered) == READINGS_REMEMBERED:
                remembered.clear()
            remembered[code, cycles] = reading
        return reading

    return read
