"""How fast a network runs on an engine, in the core and over the link."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.frames import encode_frame
from stepnet.link.messages import INFER
from stepnet.link.serial_line import BITS_PER_BYTE, DEFAULT_BAUD
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork


@dataclass(frozen=True)
class Performance:
    """How fast a network runs on a chip.

    cycles: per image, for images that wait for the engine.
    latency_cycles: from the last pixel to the register, for an image that comes over the link.
    images_per_s: that the engine computes if they wait for it.
    link_images_per_s: that the serial line carries.
    frequency_hz: of the chip.
    """

    cycles: int
    latency_cycles: int
    images_per_s: float
    link_images_per_s: float
    frequency_hz: int

    @property
    def latency_s(self) -> float:
        """`latency_cycles` as a time."""
        return self.latency_cycles / self.frequency_hz

    @property
    def keeps_up(self) -> bool:
        """Whether the engine is at least as fast as the link."""
        return self.images_per_s >= self.link_images_per_s


def performance(
    network: Network, shape: EngineShape, frequency_hz: int, baud: int = DEFAULT_BAUD
) -> Performance:
    """How fast `network` runs on an engine of `shape` behind a serial line of `baud`; cycles are
    exact, see `stepnet.cores.engine.cycles`."""
    bytes_per_image = image_bytes(network)
    cycles = max(cycles_per_image(network, shape), bytes_per_image)
    byte_cycles = BITS_PER_BYTE * frequency_hz // baud
    return Performance(
        cycles=cycles,
        latency_cycles=cycles_per_image(network, shape, max(1, byte_cycles)),
        images_per_s=frequency_hz / cycles,
        link_images_per_s=link_images_per_s(network, baud),
        frequency_hz=frequency_hz,
    )


def link_images_per_s(network: AnyNetwork, baud: int) -> float:
    """Images that a serial line carries, if no byte of their frames is 0; of a spiking network an
    image is its spikes in all ticks."""
    ticks = network.ticks if isinstance(network, SpikingNetwork) else 1
    frame = encode_frame(b"\x01" * (INFER.size + ticks * image_bytes(network)))
    return baud / (BITS_PER_BYTE * len(frame))
