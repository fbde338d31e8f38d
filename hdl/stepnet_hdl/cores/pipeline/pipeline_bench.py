"""Runs images that lie on the chip through a pipeline, one in every cycle, and counts right codes.

A link brings an image in a thousand cycles or more; what the pipeline does at its full speed can
only be seen from beside it.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from stepnet.boards.held_network import built_in_digest
from stepnet.cores.engine.shape import CODE_BITS
from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.link.messages import BENCH_COUNT_BYTES, Core
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.cores.interface import CYCLES_BITS, MARGIN_BITS, InferenceCore
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline

COUNT_BITS = min(CYCLES_BITS, MARGIN_BITS)
"""Width of the counters; what is asked for beyond that is cut off."""


READ_CYCLES = 2
"""The memories have a second register, without which they would be the longest path."""


class _Cycler(wiring.Component):
    """A memory that is read word by word, and from the start again after the last one."""

    advance: Signal
    """1 bit, in: goes to the next word."""
    restart: Signal
    """1 bit, in: goes to the first word."""
    word: Signal
    """`width` bits, out: the word that it was at `READ_CYCLES` before."""

    def __init__(self, words: list[int], width: int) -> None:
        self._words = words
        self._width = width
        super().__init__({"advance": In(1), "restart": In(1), "word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = len(self._words)
        m.submodules.memory = store = memory.Memory(
            shape=self._width, depth=depth, init=self._words
        )
        port = store.read_port(domain="sync")
        address = Signal(range(depth))
        m.d.comb += [port.addr.eq(address), port.en.eq(1)]
        m.d.sync += self.word.eq(port.data)
        with m.If(self.advance):
            m.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))
        with m.If(self.restart):
            m.d.sync += address.eq(0)
        return m


class PipelineBench(InferenceCore):
    """Takes a number instead of an image, runs so many of its own images through a `TablePipeline`,
    and offers what came of it as its reading; see `messages.MEASURE` and `MEASUREMENT`.

    The images come in their order and from the start again after the last one, one in every cycle.
    Cycles are counted from the first one's entry into the pipeline to the last one's character.

    stored: the network, which is built in for good, and the images.
    registered: as of `TablePipeline`.
    """

    def __init__(self, stored: StoredImages, *, registered: bool = True) -> None:
        self.stored = stored
        self._tables = TablePipeline(stored.network, registered=registered)
        self.latency_cycles = self._tables.latency_cycles
        super().__init__(
            Core.PIPELINE_BENCH,
            identity_fields={"parameter_words": len(stored)},
            built_in_digest=built_in_digest(stored.network),
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        used: list[int] = self.stored.network.pixels_used.tolist()
        m.submodules.tables = tables = self._tables
        m.submodules.images = images = _Cycler(
            [sum(int(bit) << place for place, bit in enumerate(row)) for row in self._kept(used)],
            len(used),
        )
        m.submodules.codes = codes = _Cycler(self.stored.codes.tolist(), CODE_BITS)

        place = Signal(range(BENCH_COUNT_BYTES))
        asked = Signal(8 * BENCH_COUNT_BYTES)  # how many images are to be run
        busy = Signal()  # a number has come, and its reading has not gone
        complete = Signal()  # the number is whole
        running = Signal()
        enters = Signal()  # the memory is read for the image that comes to the pipeline next
        entering = Signal(COUNT_BITS)  # how many images are to enter after that
        unfinished = Signal()  # characters are still to come
        leaving = Signal(COUNT_BITS)  # how many
        computed = Signal()
        cycles, right = Signal(COUNT_BITS), Signal(COUNT_BITS)
        # What follows in later cycles, while the memories are read; the last bit is the oldest.
        pixels_follow = Signal(READ_CYCLES)
        cycles_follow = Signal(READ_CYCLES)
        comparing_follows = Signal(READ_CYCLES)
        is_counted, is_right = Signal(), Signal()
        is_compared = comparing_follows[-1]
        character = delayed(m, tables.character, READ_CYCLES, "character")
        taken = self.pixels.valid & self.pixels.ready
        starts = complete & ~self.tentative
        leaves = tables.character_valid & running

        m.d.comb += [
            self.image_bytes.eq(BENCH_COUNT_BYTES),
            self.pixels.ready.eq(~busy),
            self.last_pixels.eq(place == BENCH_COUNT_BYTES - 1),
            images.restart.eq(starts),
            images.advance.eq(enters),
            *(tables.pixels[pixel].eq(images.word[at]) for at, pixel in enumerate(used)),
            tables.valid.eq(pixels_follow[-1]),
            tables.cancel.eq(self.cancel),
            codes.restart.eq(starts),
            codes.advance.eq(leaves),
            self.character.eq(tables.character),
            self.readings.valid.eq(computed),
            self.readings.p.code.eq(tables.character),
            self.readings.p.margin.eq(right),
            self.readings.p.cycles.eq(cycles),
        ]
        with m.If(taken):
            m.d.sync += [asked.eq(Cat(asked[8:], self.pixels.p)), place.eq(place + 1)]
            with m.If(self.last_pixels):
                m.d.sync += [busy.eq(1), complete.eq(1), place.eq(0)]
        with m.If(enters):
            m.d.sync += [entering.eq(entering - 1), enters.eq(entering != 0)]
        with m.If(leaves):
            m.d.sync += [leaving.eq(leaving - 1), unfinished.eq(leaving != 1)]
        m.d.sync += [
            pixels_follow.eq(Cat(enters, pixels_follow)),
            cycles_follow.eq(Cat(running, cycles_follow)),
            cycles.eq(cycles + (cycles_follow[-1] & unfinished)),
            comparing_follows.eq(Cat(leaves, comparing_follows)),
            is_counted.eq(is_compared),
            is_right.eq(is_compared & (character == codes.word)),
            right.eq(right + is_right),
        ]
        with m.If(running & ~(unfinished | comparing_follows.any() | is_counted)):
            m.d.sync += [running.eq(0), computed.eq(1)]
        with m.If(starts):
            m.d.sync += [
                complete.eq(0),
                running.eq(1),
                enters.eq(asked != 0),
                entering.eq(asked - 1),
                unfinished.eq(asked != 0),
                leaving.eq(asked),
                cycles.eq(0),
                right.eq(0),
            ]
        # A reading that is offered stays, whatever is cancelled.
        with m.If(Mux(computed, self.readings.ready, self.cancel)):
            stopped = (busy, complete, running, computed, place)
            following = (pixels_follow, cycles_follow, comparing_follows, is_counted, is_right)
            under_way = (enters, unfinished, *following)
            m.d.sync += [signal.eq(Const(0)) for signal in (*stopped, *under_way)]
        return m

    def _kept(self, used: list[int]) -> list[list[bool]]:
        """The images without the pixels that the network does not use."""
        return self.stored.pixels.reshape(len(self.stored), -1)[:, used].tolist()
