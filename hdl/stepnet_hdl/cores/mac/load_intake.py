"""Writes the bytes of a LOAD into the weight memory."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import IMAGE_BYTES_BITS
from stepnet.cores.mac.shape import MacShape
from stepnet.link.messages import HEADER, LOAD, Refusal, Space
from stepnet_hdl.blocks.streams import PacketByte

TARGET_BYTES = LOAD.size - HEADER.size


class MacLoadIntake(wiring.Component):
    """Takes the bytes of a LOAD: its address and space, and then bytes for the weight memory, one
    in each cycle, each of which is written a cycle later. Bytes beyond the memory are not written,
    and the load is refused.

    initial_image_bytes: bytes of an image for the network that is there at power-on; 0 if there is
        none.
    """

    load: stream.Interface
    """Stream of `PacketByte`, in: address and space as in `messages.LOAD`, then bytes. The address
    counts bytes."""
    done: Signal
    """1 bit, out: 1 for one cycle, when the last byte of a load has been written."""
    refusal: Signal
    """8 bits, out: 0, or the `Refusal` that stopped the load; it counts while `done` is 1."""
    loading: Signal
    """1 bit, out: bytes of a load are taken or written."""
    address: Signal
    """`range(weight_words)`, out: the word of which a byte is written."""
    lane: Signal
    """`range(lanes)`, out: its lane."""
    data: Signal
    """8 bits, out: the byte."""
    write: Signal
    """1 bit, out: `data` is written in this cycle."""
    image_bytes: Signal
    """16 bits, out: how many bytes make an image, as the first bytes of the memory say."""

    def __init__(self, shape: MacShape, initial_image_bytes: int) -> None:
        self.shape = shape
        self.initial_image_bytes = initial_image_bytes
        super().__init__(
            {
                "load": In(stream.Signature(PacketByte)),
                "done": Out(1),
                "refusal": Out(8),
                "loading": Out(1),
                "address": Out(range(shape.weight_words)),
                "lane": Out(range(shape.lanes)),
                "data": Out(8),
                "write": Out(1),
                "image_bytes": Out(IMAGE_BYTES_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, load = self.shape, self.load
        place = Signal(8 * LOAD.fields["address"])  # of the next byte
        beyond = Signal()
        taken = Signal(range(TARGET_BYTES))
        m.d.comb += beyond.eq(place[shape.lane_bits :] >= shape.weight_words)
        m.d.sync += [self.write.eq(0), self.done.eq(0)]
        self._keep_image_bytes(m)
        with m.FSM():
            with m.State("TARGET"):
                m.d.comb += load.ready.eq(1)
                with m.If(load.valid):
                    m.d.sync += [self.refusal.eq(0), taken.eq(taken + 1)]
                    with m.If(taken < TARGET_BYTES - 1):
                        m.d.sync += place.eq(Cat(place[8:], load.p.data))
                    with m.Else():
                        m.d.sync += taken.eq(0)
                        m.next = "BYTES"
                        with m.If(load.p.data != Space.WEIGHTS):
                            m.d.sync += self.refusal.eq(Refusal.OUT_OF_RANGE)
                    with m.If(load.p.last):
                        m.d.sync += [self.refusal.eq(Refusal.WRONG_LENGTH), taken.eq(0)]
                        m.next = "END"
            with m.State("BYTES"):
                m.d.comb += [self.loading.eq(1), load.ready.eq(1)]
                with m.If(load.valid):
                    m.d.sync += [
                        self.data.eq(load.p.data),
                        self.lane.eq(place[: shape.lane_bits]),
                        self.address.eq(place[shape.lane_bits :]),
                        place.eq(place + 1),
                        self.write.eq(~beyond & (self.refusal == 0)),
                    ]
                    with m.If(beyond):
                        m.d.sync += self.refusal.eq(Refusal.OUT_OF_RANGE)
                    with m.If(load.p.last):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += self.loading.eq(1)
                m.d.sync += self.done.eq(1)
                m.next = "TARGET"
        return m

    def _keep_image_bytes(self, m: Module) -> None:
        """Keep what the first two bytes say, and refuse what cannot be."""
        low = Signal(8)
        image_bytes = Signal(range(self.shape.max_pixels // 8 + 1), init=self.initial_image_bytes)
        given = Cat(low, self.data)
        m.d.comb += self.image_bytes.eq(image_bytes)
        with m.If(self.write & (self.address == 0)):
            with m.If(self.lane == 0):
                m.d.sync += low.eq(self.data)
            with m.If(self.lane == 1):
                with m.If((given == 0) | (given > self.shape.max_pixels // 8)):
                    m.d.sync += self.refusal.eq(Refusal.OUT_OF_RANGE)
                with m.Else():
                    m.d.sync += image_bytes.eq(given)
