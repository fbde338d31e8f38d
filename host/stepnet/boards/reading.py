"""What a board makes of an image, and how its answer becomes that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepnet.link import messages
from stepnet.link.exchange import compiled
from stepnet.networks.network import CharacterNetwork

READINGS_REMEMBERED = 4096

_READING = compiled(messages.READING)
_SPIKING_READING = compiled(messages.SPIKING_READING)
_HEADER_BYTES = messages.HEADER.size


@dataclass(frozen=True)
class Reading:
    """What a board made of one image.

    character: the character of the code; None if the code is not in the network's alphabet, or 0.
    code: the character register, 0 to 255.
    known: whether the code is one of the network's characters.
    margin: how far any one sum of the last layer may move before the code changes, at least 0; see
        `stepnet.reference.margin`.
    cycles: how many cycles of the board's clock passed from the last pixel to the register.
    spikes: how often neurons spiked, those of the last layer with them; None if none of them can.
    """

    character: str | None
    code: int
    known: bool
    margin: int
    cycles: int
    spikes: int | None = None


def reader(network: CharacterNetwork[Any]) -> Callable[[bytes], Reading]:
    """A function that makes a `Reading` of the payload of a READING for `network`.

    Up to `READINGS_REMEMBERED` readings are remembered, and one that is equal is the same object:
    making one takes longer than finding it, and a board says little that is new.
    """
    alphabet = frozenset(network.characters)
    remembered: dict[bytes, Reading] = {}

    def read(payload: bytes) -> Reading:
        said = payload[_HEADER_BYTES:]
        reading = remembered.get(said)
        if reading is None:
            spikes: int | None = None
            if len(payload) == _SPIKING_READING.size:
                _, _, code, margin, cycles, spikes = _SPIKING_READING.unpack(payload)
            else:
                _, _, code, margin, cycles = _READING.unpack(payload)
            known = chr(code) in alphabet
            reading = Reading(chr(code) if known else None, code, known, margin, cycles, spikes)
            if len(remembered) == READINGS_REMEMBERED:
                remembered.clear()
            remembered[said] = reading
        return reading

    return read
