"""A network as an engine runs it: what benches load, and what they expect for an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.engine.cycles import cycles_after, cycles_per_image
from stepnet.cores.engine.memory_image import MemoryImage, memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import pack_pixels
from stepnet.networks import reference
from stepnet.networks.network import Network


@dataclass(frozen=True)
class Program:
    """A network as one engine runs it: the reference for its memories, codes and cycles."""

    network: Network
    shape: EngineShape

    @cached_property
    def memory(self) -> MemoryImage:
        """What the engine's memories hold."""
        return memory_image(self.network, self.shape)

    @cached_property
    def cycles(self) -> int:
        """Cycles from the last pixel to the register, if pixels come one after the other."""
        return cycles_per_image(self.network, self.shape, cycles_per_byte=1)

    def cycles_at(self, cycles_per_byte: int) -> int:
        """Cycles from the last pixel to the register, if pixels come at this pace."""
        return cycles_per_image(self.network, self.shape, cycles_per_byte)

    def cycles_after(self, arrival_cycles: Sequence[int]) -> int:
        """Cycles from the last pixel to the register, if pixels come in these cycles."""
        return cycles_after(self.network, self.shape, arrival_cycles)

    def random_images(self, rng: np.random.Generator, count: int) -> list[bytes]:
        """Packed images of random pixels."""
        bits = rng.integers(0, 2, (count, self.network.sizes[0]), dtype=np.uint8)
        return [pack_pixels(row) for row in bits]

    def code(self, image: bytes) -> int:
        """The character code of one packed image."""
        return int(reference.infer(self.network, self._unpacked(image))[0])

    def margin(self, image: bytes) -> int:
        """How far a sum may move before the code of one packed image changes."""
        return int(reference.margin(self.network, self._unpacked(image))[0])

    def _unpacked(self, image: bytes) -> NDArray[np.bool_]:
        network = self.network
        packed = np.frombuffer(image, np.uint8)
        bits = np.unpackbits(packed, bitorder="little", count=network.sizes[0])
        return bits.astype(bool).reshape(1, network.height, network.width)
