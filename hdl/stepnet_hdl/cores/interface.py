"""The face that every core shows to the chip: its ports, and what the link has to know of it.

A core derives from `InferenceCore`. `stepnet_hdl.chip.chip.Chip` puts any of them behind the link.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS, IMAGE_BYTES_BITS
from stepnet.link.messages import Core
from stepnet_hdl.blocks.streams import PacketByte

CYCLES_BITS = 24
"""Width of the number of cycles in a reading. It counts to 0.1 s at 160 MHz, and no image takes
that long."""
MARGIN_BITS = 24
"""Width of the margin in a reading. No shape of an engine has wider sums."""

CoreReading = data.StructLayout(
    {"code": CODE_BITS, "margin": MARGIN_BITS, "cycles": CYCLES_BITS, "overrun": 1}
)
"""What a core says of an image: the code of its character; the margin, which is how far any one sum
may move before that code changes; the cycles from the last pixel to the character register; and
`overrun`, which makes the rest worthless, because the loaded network ran off the end of the
parameter memory."""

SPIKES_BITS = 24
"""Width of the number of spikes in a reading."""

SpikingReading = data.StructLayout({**CoreReading.members, "spikes": SPIKES_BITS})
"""What a core of neurons that spike says of an image: also how often they did."""

CANCEL_CYCLES = 2
"""Cycles after `cancel`, from which on no cancelled image gives a reading."""


class CorePorts(wiring.PureInterface):
    """The ports that every core has. Their directions are those that the core sees."""

    pixels: stream.Interface
    """Stream of 8 bits, in: packed images, row by row, the first pixel in bit 0, `image_bytes`
    bytes each. While the frame of an image is still arriving, the link offers each byte for one
    cycle only, whether it is taken or not."""
    last_pixels: Signal
    """1 bit, out: the next byte of `pixels` is the last one of an image."""
    tentative: Signal
    """1 bit, in: the image in progress may still be cancelled, so its reading is kept back."""
    cancel: Signal
    """1 bit, in: all images that have no reading yet are void, except one whose reading is offered
    in this very cycle; `CANCEL_CYCLES` later none of them gives one. It is never 1 while words are
    loaded."""
    readings: stream.Interface
    """Stream of `CoreReading`, out: one reading for each image, in the order of the images. That of
    a core whose neurons spike is a `SpikingReading`."""
    character: Signal
    """8 bits, out: the character register, which holds the code of the latest image until that of
    the next one."""
    image_bytes: Signal
    """16 bits, out: how many bytes make an image; 0 before there is a network."""
    load: stream.Interface
    """Stream of `PacketByte`, in: the body of a LOAD, address and space first. It makes images void
    as `cancel` does."""
    load_done: Signal
    """1 bit, out: 1 for one cycle, when the last byte of a load has had its effect."""
    load_refusal: Signal
    """8 bits, out: 0, or the `Refusal` that the load met; it counts while `load_done` is 1."""


class CoreSignature(wiring.Signature):
    """The signature of `CorePorts`.

    spikes: its readings are `SpikingReading`.
    """

    def __init__(self, *, spikes: bool = False) -> None:
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
                "last_pixels": Out(1),
                "tentative": In(1),
                "cancel": In(1),
                "readings": Out(stream.Signature(SpikingReading if spikes else CoreReading)),
                "character": Out(CODE_BITS),
                "image_bytes": Out(IMAGE_BYTES_BITS),
                "load": In(stream.Signature(PacketByte)),
                "load_done": Out(1),
                "load_refusal": Out(8),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> CorePorts:
        return CorePorts(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class InferenceCore(wiring.Component):
    """The base of every core: it takes images and gives characters. Its ports are those of
    `CorePorts`.

    kind: which core it is; the host learns it from the board's identity.
    identity_fields: what the identity says of the core's size, by the names of `messages.IDENTITY`.
        Fields of an engine's shape that are not given are 0.
    takes_loads: networks come over the link. A core that takes none has one built in: the link
        refuses CLEAR, LOAD and COMMIT as unknown, and the ports of loading are not connected.
    built_in_digest: digest of the network that the core holds at power-on; None if it holds none.

    Raises ValueError if the core has no network and takes none either.
    """

    pixels: stream.Interface
    last_pixels: Signal
    tentative: Signal
    cancel: Signal
    readings: stream.Interface
    character: Signal
    image_bytes: Signal
    load: stream.Interface
    load_done: Signal
    load_refusal: Signal

    def __init__(
        self,
        kind: Core,
        *,
        identity_fields: Mapping[str, int] | None = None,
        takes_loads: bool = False,
        built_in_digest: int | None = None,
    ) -> None:
        if not takes_loads and built_in_digest is None:
            raise ValueError("A core that takes no network needs one built in; give its digest.")
        self.kind = kind
        self.identity_fields: dict[str, int] = dict(identity_fields or {})
        self.takes_loads = takes_loads
        self.built_in_digest = built_in_digest
        signature: Any = CoreSignature(spikes=kind is Core.SPIKING)
        super().__init__(signature)

    @abstractmethod
    def elaborate(self, platform: object) -> Module:
        """Make the gateware of the core."""
