"""The table walk as a core of a chip: its network is built in, and tables take turns."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data

from stepnet.boards.held_network import built_in_digest
from stepnet.cores.table_walk.contents import HALF_TABLE_BITS, walk_contents, walk_shape
from stepnet.link.messages import Core
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_hdl.cores.table_walk.row_readout import RowReadout

PIXELS_PER_BYTE = 8
PIXEL_CYCLES = 2
TABLE_CYCLES = 4


def walk_latency_cycles(network: LutNetwork) -> int:
    """Cycles from the transfer of the last pixels to the character register in a `TableWalk`."""
    last_byte = PIXELS_PER_BYTE * PIXEL_CYCLES
    return last_byte + TABLE_CYCLES * walk_shape(network).tables + RowReadout.judge_cycles + 3


class TableWalk(InferenceCore):
    """Keeps pixels and answers in one block RAM, and takes one table after the other from others.

    A byte of pixels takes `PIXELS_PER_BYTE * PIXEL_CYCLES` cycles, in which no other is taken, and
    a table takes `TABLE_CYCLES`: one for each of its inputs. The character register has the code
    `latency_cycles` after the transfer of the last pixels, and the reading is offered at the same
    time; the code of an image that is still tentative waits before the register, and its reading
    says `latency_cycles` all the same. No pixels are taken from the last ones of an image until its
    reading was. The margin is not computed and reads 0.

    network: is built in for good.
    """

    def __init__(self, network: LutNetwork) -> None:
        self.network = network
        self.image_transfers = -(-network.height * network.width // PIXELS_PER_BYTE)
        self._shape = walk_shape(network)
        self.latency_cycles = walk_latency_cycles(network)
        super().__init__(Core.PIPELINE, built_in_digest=built_in_digest(network))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, contents = self._shape, walk_contents(self.network)
        m.submodules.bits = bits = Ram(1, 2 * shape.half, contents.bits)
        m.submodules.tables = tables = Ram(shape.word_bits, shape.words, contents.words)
        m.submodules.readout = readout = RowReadout(self.network, shape.row_tables)
        place = Signal(range(max(shape.half, shape.words + 1)))
        """The pixel whose turn it is, or the word of `tables` to read next."""
        free = Signal(range(shape.half))
        """Where the next bit is stored."""
        starts, computed = Signal(), Signal()  # the walk begins; the code is ready
        m.d.comb += [
            self.image_bytes.eq(self.image_transfers),
            self.readings.p.code.eq(self.character),
            self.readings.p.cycles.eq(self.latency_cycles),
            readout.restart.eq(starts),
        ]
        with m.FSM():
            self._take_pixels(m, bits, place, free, starts)
            self._walk(m, bits, tables, readout, place, free, computed)
            with m.State("JUDGE"):
                m.d.sync += computed.eq(1)
                with m.If(computed & ~self.tentative):
                    m.d.sync += self.character.eq(readout.code)
                    m.next = "READING"
                self._give_up(m, place, free)
            with m.State("READING"):
                m.d.comb += self.readings.valid.eq(1)
                m.d.sync += [place.eq(0), free.eq(0)]
                with m.If(self.readings.ready):
                    m.next = "PIXELS"
        return m

    def _take_pixels(
        self, m: Module, bits: Ram, place: Signal, free: Signal, starts: Signal
    ) -> None:
        """Store those pixels of each byte that are kept."""
        byte, left = Signal(PIXELS_PER_BYTE), Signal(range(PIXELS_PER_BYTE + 1))
        asked = Signal()  # whether the pixel is kept is being read
        pixels = PIXELS_PER_BYTE * self.image_transfers
        m.d.comb += self.last_pixels.eq(
            place[: pixels.bit_length()] >> 3 == self.image_transfers - 1
        )
        with m.State("PIXELS"):
            m.d.comb += [
                self.pixels.ready.eq(left == 0),
                bits.read_address.eq(Cat(place[: len(free)], C(1, 1))),
                bits.read_enable.eq(1),
                bits.write_address.eq(free),
                bits.write_data.eq(byte[0]),
            ]
            with m.If(left == 0):
                m.d.sync += byte.eq(self.pixels.p)
                with m.If(self.pixels.valid):
                    m.d.sync += left.eq(PIXELS_PER_BYTE)
            with m.Else():
                m.d.sync += asked.eq(~asked)
                with m.If(asked):
                    m.d.comb += bits.write_enable.eq(bits.read_data)
                    m.d.sync += [
                        free.eq(free + bits.read_data),
                        byte.eq(byte >> 1),
                        left.eq(left - 1),
                        place.eq(place + 1),
                    ]
                    with m.If(place == pixels - 1):
                        m.d.comb += starts.eq(1)
                        m.d.sync += place.eq(0)
                        m.next = "FETCH"
            with m.If(self.cancel):
                m.d.sync += [left.eq(0), asked.eq(0)]
            self._give_up(m, place, free)

    def _walk(
        self,
        m: Module,
        bits: Ram,
        tables: Ram,
        readout: RowReadout,
        place: Signal,
        free: Signal,
        computed: Signal,
    ) -> None:
        """Read two words for each table, and for each word two bits."""
        shape = self._shape
        word = data.View(
            data.StructLayout(
                {"a": shape.wire_bits, "b": shape.wire_bits, "entries": HALF_TABLE_BITS}
            ),
            tables.read_data,
        )
        phase = Signal(2)
        answers = Signal()  # what is read now is input 3 of a table
        counting = Signal()
        left_in_row = Signal(range(max(2, shape.row_tables)))
        below, entries = Signal(2), Signal(HALF_TABLE_BITS)
        low, high = Signal(), Signal()  # the answer, if input 3 is 0 or 1
        m.d.comb += [
            tables.read_address.eq(place),
            readout.answer.eq(Mux(bits.read_data, high, low)),
            readout.row_ends.eq(left_in_row == 0),
        ]
        with m.State("FETCH"):
            m.d.comb += tables.read_enable.eq(1)
            m.d.sync += [
                phase.eq(0),
                answers.eq(0),
                computed.eq(0),
                counting.eq(shape.stored_tables == 0),
                left_in_row.eq(shape.row_tables - 1),
            ]
            m.next = "WALK"
            self._give_up(m, place, free)
        with m.State("WALK"):
            address = Mux(phase[0], word.b, word.a)
            m.d.comb += [
                bits.read_address.eq(address),
                bits.read_enable.eq(1),
                bits.write_address.eq(free),
                bits.write_data.eq(readout.answer),
                tables.read_enable.eq(phase[0]),
            ]
            m.d.sync += phase.eq(phase + 1)
            with m.If(~phase[0]):
                m.d.sync += place.eq(place + 1)
            with m.Switch(phase):
                with m.Case(0), m.If(answers):
                    m.d.comb += readout.counts.eq(counting)
                    with m.If(counting):
                        m.d.sync += left_in_row.eq(
                            Mux(readout.row_ends, shape.row_tables - 1, left_in_row - 1)
                        )
                    with m.Else():
                        m.d.comb += bits.write_enable.eq(1)
                        m.d.sync += free.eq(free + 1)
                    with m.If(place == 2 * shape.stored_tables):
                        m.d.sync += counting.eq(1)
                    with m.If(place == shape.words):
                        m.next = "JUDGE"
                with m.Case(1):
                    m.d.sync += [below[0].eq(bits.read_data), entries.eq(word.entries)]
                with m.Case(2):
                    m.d.sync += below[1].eq(bits.read_data)
                with m.Case(3):
                    entry = Cat(below, bits.read_data)
                    m.d.sync += [
                        low.eq(entries.bit_select(entry, 1)),
                        high.eq(word.entries.bit_select(entry, 1)),
                        answers.eq(1),
                    ]
            self._give_up(m, place, free)

    def _give_up(self, m: Module, place: Signal, free: Signal) -> None:
        """Begin anew if the image is cancelled."""
        with m.If(self.cancel):
            m.d.sync += [place.eq(0), free.eq(0)]
            m.next = "PIXELS"
