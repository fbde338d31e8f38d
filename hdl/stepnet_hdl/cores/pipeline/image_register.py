"""Gathers the pixels of an image until all of them are there."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.errors import BuildError


def check_transfers(pixels: int, pixels_per_cycle: int) -> None:
    """Raise BuildError if images of that size cannot come in such transfers."""
    if pixels_per_cycle != 8 and pixels % pixels_per_cycle:
        raise BuildError(
            f"{pixels} pixels do not come in whole transfers of {pixels_per_cycle}; choose 8 "
            f"pixels per cycle, or a divisor of {pixels}."
        )


class ImageRegister(wiring.Component):
    """Takes an image some pixels at a time, and shows it whole.

    Each pixel has a register that is written when its turn comes, so that pixels that nobody reads
    are left out by synthesis. Spare bits of the last transfer do not count.

    pixels: of an image.
    pixels_per_cycle: of a transfer; BuildError if neither a byte's 8 nor a divisor of `pixels`.
    """

    stream: stream.Interface
    """Stream of `pixels_per_cycle` bits, in: images row by row, the first pixel lowest."""
    last: Signal
    """1 bit, out: the next transfer is the last one of an image."""
    restart: Signal
    """1 bit, in: what has come of an image is void, and the next transfer is the first one of an
    image."""
    image: Signal
    """`pixels` bits, out: the image, from `latency_cycles` after its last transfer until the first
    one of the next image."""
    valid: Signal
    """1 bit, out: 1 for one cycle, `latency_cycles` after the last transfer of an image, if
    `restart` did not come with it."""

    latency_cycles = 1
    """Cycles from the transfer of an image's last pixels to `valid`."""

    def __init__(self, pixels: int, pixels_per_cycle: int) -> None:
        check_transfers(pixels, pixels_per_cycle)
        self.pixels = pixels
        self.pixels_per_cycle = pixels_per_cycle
        self.transfers = -(-pixels // pixels_per_cycle)
        super().__init__(
            {
                "stream": In(stream.Signature(pixels_per_cycle)),
                "last": Out(1),
                "restart": In(1),
                "image": Out(pixels),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place = Signal(range(self.transfers))
        image = Signal(self.pixels, reset_less=True)
        taken = self.stream.valid & self.stream.ready
        m.d.comb += [
            self.stream.ready.eq(1),
            self.last.eq(place == self.transfers - 1),
            self.image.eq(image),
        ]
        m.d.sync += self.valid.eq(taken & self.last & ~self.restart)
        with m.If(taken):
            m.d.sync += place.eq(Mux(self.last, 0, place + 1))
            for transfer in range(self.transfers):
                first = transfer * self.pixels_per_cycle
                with m.If(place == transfer):
                    written = image[first : first + self.pixels_per_cycle]
                    m.d.sync += written.eq(self.stream.p)
        with m.If(self.restart):
            m.d.sync += place.eq(0)
        return m
