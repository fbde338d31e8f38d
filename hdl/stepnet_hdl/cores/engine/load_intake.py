"""Writes the words of a LOAD into the engine's memories."""

from collections.abc import Iterable

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import IMAGE_BYTES_BITS, EngineShape
from stepnet.link.messages import HEADER, LOAD, Refusal, Space
from stepnet_hdl.blocks.streams import PacketByte

ADDRESS_BYTES = LOAD.fields["address"]
LOAD_HEADER_BYTES = LOAD.size - HEADER.size


class MemoryWrites(wiring.PureInterface):
    """Where a word goes in the weight or the parameter memory. Directions are those of the one that
    writes it."""

    address: Signal
    """`range(max(weight_words, parameter_words))`, out: which word of its memory is written."""
    lane: Signal
    """`range(max(pe, parameter_lanes))`, out: which lane of that word is written."""
    weights: Signal
    """1 bit, out: the weight memory is written in this cycle."""
    parameters: Signal
    """1 bit, out: the parameter memory is written in this cycle."""
    loading: Signal
    """1 bit, out: words of a load are being taken or written, and nothing is computed."""


class MemoryWritesSignature(wiring.Signature):
    """The signature of `MemoryWrites`."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__(
            {
                "address": Out(range(max(shape.weight_words, shape.parameter_words))),
                "lane": Out(range(max(shape.pe, shape.parameter_lanes))),
                "weights": Out(1),
                "parameters": Out(1),
                "loading": Out(1),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> MemoryWrites:
        return MemoryWrites(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class LoadIntake(wiring.Component):
    """Takes the bytes of a LOAD, reads its address and space, and writes each memory word after
    them to its place.

    A word is written `latency_cycles` after its last byte was taken; words that lie beyond the end
    of their memory are not. `load` waits for two cycles only, one before the first byte and one
    after the address.

    initial_image_bytes: bytes of an image for the network that is there at power-on; 0 if there is
        none.
    max_word_bytes: bytes of the shift register in which words are gathered.
    """

    latency_cycles = 2
    """Cycles from taking the last byte of a word until that word is written."""

    load_cycles = 3
    """Cycles from taking the last byte of a load until `done`."""

    load: stream.Interface
    """Stream of `PacketByte`, in: address and space as in `messages.LOAD`, then memory words."""
    done: Signal
    """1 bit, out: 1 for one cycle, `load_cycles` after the last byte of a load was taken."""
    refusal: Signal
    """8 bits, out: 0, or the `Refusal` that stopped the load; it counts while `done` is 1."""
    idle: Signal
    """1 bit, out: nothing is being loaded."""
    begins: Signal
    """1 bit, out: a load begins, and from the next cycle on no pixels may be taken."""
    ends: Signal
    """1 bit, out: the load is over in the next cycle."""
    word_bytes: Signal
    """`range(max_word_bytes)`, in: how many bytes of the current word have been taken."""
    take: Signal
    """1 bit, out: a byte of `load` is taken in this cycle."""
    completes: Signal
    """1 bit, out: the next byte to be taken is the last one of its word."""
    shifted: Signal
    """`8 * max_word_bytes` bits, in: the bytes taken so far, the one of the cycle before in the top
    byte."""
    word: Signal
    """`8 * max_word_bytes` bits, in: the same bytes a cycle later, in which they are written."""
    writes: MemoryWrites
    """`MemoryWrites`, out: where `word` goes."""
    image_bytes: Signal
    """16 bits, out: how many bytes make an image, which is parameter word 0."""

    def __init__(self, shape: EngineShape, initial_image_bytes: int, max_word_bytes: int) -> None:
        self.shape = shape
        self.initial_image_bytes = initial_image_bytes
        self.word_bits = 8 * max_word_bytes
        super().__init__(
            {
                "load": In(stream.Signature(PacketByte)),
                "done": Out(1),
                "refusal": Out(8),
                "idle": Out(1),
                "begins": Out(1),
                "ends": Out(1),
                "word_bytes": In(range(max_word_bytes)),
                "take": Out(1),
                "completes": Out(1),
                "shifted": In(self.word_bits),
                "word": In(self.word_bits),
                "writes": Out(MemoryWritesSignature(shape)),
                "image_bytes": Out(IMAGE_BYTES_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        space = Signal(Space)
        to_weights = space == Space.WEIGHTS
        beyond = Signal()  # the address has left its memory
        ends_word = Signal()  # the last byte of a memory word is entering
        m.d.sync += [self.done.eq(0), ends_word.eq(0)]
        self._write(m, ends_word, to_weights, beyond)
        self._keep_image_bytes(m)

        load, writes = self.load, self.writes
        takes = Signal()  # if there is a byte
        m.d.comb += self.take.eq(takes & load.valid)
        idle = Signal(init=1)  # a register of its own, because it goes far
        m.d.comb += [self.idle.eq(idle), self.begins.eq(idle & load.valid)]
        with m.FSM():
            with m.State("IDLE"), m.If(load.valid):
                m.d.sync += [self.refusal.eq(0), idle.eq(0)]
                m.next = "ADDRESS"
            with m.State("ADDRESS"):
                at_last = self.word_bytes == LOAD_HEADER_BYTES - 1
                m.d.comb += [load.ready.eq(1), takes.eq(1), self.completes.eq(at_last)]
                with m.If(load.valid):
                    with m.If(at_last):
                        m.next = "PLACE"
                    with m.If(load.p.last):
                        m.d.sync += self.refusal.eq(Refusal.WRONG_LENGTH)
                        m.next = "END"
            with m.State("PLACE"):
                self._place(m, space, beyond)
                m.next = "WORDS"
            with m.State("WORDS"):
                last_byte = Mux(to_weights, shape.weight_bytes - 1, shape.parameter_bytes - 1)
                at_last = self.word_bytes == last_byte
                m.d.comb += [
                    writes.loading.eq(1),
                    load.ready.eq(1),
                    takes.eq(1),
                    self.completes.eq(at_last),
                ]
                with m.If(load.valid):
                    m.d.sync += ends_word.eq(at_last)
                    with m.If(load.p.last):
                        m.next = "END"
                        with m.If(~at_last):
                            m.d.sync += self.refusal.eq(Refusal.WRONG_LENGTH)
            # The last word is whole one cycle later, and what is said of it is known then.
            with m.State("END"):
                m.d.comb += writes.loading.eq(1)
                m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += [writes.loading.eq(1), self.ends.eq(1)]
                m.d.sync += [self.done.eq(1), idle.eq(1)]
                m.next = "IDLE"
        return m

    def _place(self, m: Module, space: Signal, beyond: Signal) -> None:
        """Split the address that came over the link into a word and a lane of its memory."""
        shape = self.shape
        header = self.shifted[-8 * LOAD_HEADER_BYTES :]
        address, given_space = header[: 8 * ADDRESS_BYTES], header[8 * ADDRESS_BYTES :]
        given_weights = given_space == Space.WEIGHTS
        weight_lane, weight_word = _split(address, shape.weight_lane_bits)
        parameter_lane, parameter_word = _split(address, shape.parameter_lane_bits)
        beyond_weights = (weight_word >= shape.weight_words) | (weight_lane >= shape.pe)
        beyond_parameters = (parameter_word >= shape.parameter_words) | (
            parameter_lane >= shape.parameter_lanes
        )
        m.d.sync += [
            self.writes.address.eq(Mux(given_weights, weight_word, parameter_word)),
            self.writes.lane.eq(Mux(given_weights, weight_lane, parameter_lane)),
            space.eq(given_space),
            beyond.eq(
                (given_space > Space.WEIGHTS)
                | Mux(given_weights, beyond_weights, beyond_parameters)
            ),
        ]

    def _write(self, m: Module, ends_word: Signal, to_weights: Value, beyond: Signal) -> None:
        """Write every memory word that is received, unless it lies beyond the end of its memory."""
        shape, writes = self.shape, self.writes
        whole = Signal()  # a word has been received
        ends_lanes = writes.lane == Mux(to_weights, shape.pe - 1, shape.parameter_lanes - 1)
        last_address = Mux(to_weights, shape.weight_words - 1, shape.parameter_words - 1)
        goes_beyond = beyond | (whole & ends_lanes & (writes.address == last_address))
        m.d.sync += [
            whole.eq(ends_word),
            writes.weights.eq(ends_word & to_weights & ~goes_beyond),
            writes.parameters.eq(ends_word & ~to_weights & ~goes_beyond),
        ]
        with m.If(whole):
            m.d.sync += [writes.lane.eq(writes.lane + 1), beyond.eq(goes_beyond)]
            with m.If(ends_lanes):
                m.d.sync += [writes.lane.eq(0), writes.address.eq(writes.address + 1)]
            with m.If(beyond):
                m.d.sync += self.refusal.eq(Refusal.OUT_OF_RANGE)

    def _keep_image_bytes(self, m: Module) -> None:
        """Keep parameter word 0, the number of bytes in an image, and refuse one that is
        impossible."""
        shape, writes = self.shape, self.writes
        image_bytes = Signal(range(shape.max_inputs // 8 + 1), init=self.initial_image_bytes)
        m.d.comb += self.image_bytes.eq(image_bytes)
        coming = self.shifted[-8 * shape.parameter_bytes :]
        impossible = Signal()
        m.d.sync += impossible.eq((coming == 0) | (coming > shape.max_inputs // 8))
        with m.If(writes.parameters & (writes.address == 0) & (writes.lane == 0)):
            with m.If(impossible):
                m.d.sync += self.refusal.eq(Refusal.OUT_OF_RANGE)
            with m.Else():
                m.d.sync += image_bytes.eq(self.word[-8 * shape.parameter_bytes :])


def _split(address: Value, lane_bits: int) -> tuple[Value, Value]:
    """Return lane and word of an address that came over the link."""
    return address[:lane_bits], address[lane_bits:]
