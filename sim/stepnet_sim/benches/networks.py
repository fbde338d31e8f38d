"""Random networks and images, and what an engine has to make of them."""

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
from stepnet.networks.network import Layer, Network, Readout


def random_network(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    weight_bits: tuple[int, ...],
    readout: Readout = Readout.BITS,
) -> Network:
    """A network whose neurons fire about half of the time; `sizes[0]` inputs in one row.

    A tree of less than 8 bits has a random prefix; with readout nearest the codes are random.
    """
    layers: list[Layer] = []
    for n_in, n_out, bits in zip(sizes[:-1], sizes[1:], weight_bits, strict=True):
        if bits == 1:
            weights = rng.choice([-1, 1], (n_out, n_in))
        else:
            weights = rng.integers(-(1 << bits - 1), 1 << bits - 1, (n_out, n_in))
        half_of_all = weights.sum(axis=1) // 2
        spread = 1 + int(np.abs(weights).max() * np.sqrt(n_in) / 2)
        thresholds = half_of_all + rng.integers(-spread, spread + 1, n_out)
        layers.append(Layer(weights.astype(np.int8), thresholds.astype(np.int32), bits))
    codes = rng.permutation(256)[: sizes[-1]] if readout is Readout.NEAREST else range(128)
    prefix_bits = 8 - sizes[-1].bit_length() if readout is Readout.TREE else 0
    return Network(
        "random",
        tuple(layers),
        height=1,
        width=sizes[0],
        readout=readout,
        alphabet="".join(map(chr, codes)),
        code_prefix="".join(str(bit) for bit in rng.integers(0, 2, prefix_bits)),
    )


@dataclass(frozen=True)
class Program:
    """A network as one engine runs it: the reference for its memories, codes and cycles."""

    network: Network
    shape: EngineShape

    @cached_property
    def memory(self) -> MemoryImage:
        """What is loaded."""
        return memory_image(self.network, self.shape)

    @cached_property
    def cycles(self) -> int:
        """From the last pixel to the register, if all pixels came one after the other."""
        return cycles_per_image(self.network, self.shape, cycles_per_byte=1)

    def cycles_at(self, cycles_per_byte: int) -> int:
        """From the last pixel to the register, if pixels come at this pace."""
        return cycles_per_image(self.network, self.shape, cycles_per_byte)

    def cycles_after(self, arrival_cycles: Sequence[int]) -> int:
        """From the last pixel to the register, if the pixels came in these cycles."""
        return cycles_after(self.network, self.shape, arrival_cycles)

    def random_images(self, rng: np.random.Generator, count: int) -> list[bytes]:
        """Packed images of random pixels."""
        bits = rng.integers(0, 2, (count, self.network.width), dtype=np.uint8)
        return [pack_pixels(row) for row in bits]

    def code(self, image: bytes) -> int:
        """The character code of one packed image."""
        bits: NDArray[np.uint8] = np.unpackbits(
            np.frombuffer(image, np.uint8), bitorder="little", count=self.network.width
        )
        return int(reference.infer(self.network, bits.astype(bool).reshape(1, 1, -1))[0])

    def room(self, image: bytes) -> int:
        """How far a sum may move before the code of one packed image changes."""
        bits = np.unpackbits(
            np.frombuffer(image, np.uint8), bitorder="little", count=self.network.width
        )
        return int(reference.room(self.network, bits.astype(bool).reshape(1, 1, -1))[0])
