"""The rows of the readout: spikes that are counted, or potentials over their thresholds."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.spiking.contents import SpikingShape
from stepnet.networks.spiking import Rows, SpikingNetwork
from stepnet_hdl.blocks.ram import Ram


class RowValues(wiring.Component):
    """Counts the spikes of the last layer, if those are the rows, and passes the rows of a group on
    one by one.

    network: which network's rows they are.
    width: of what a row exceeds by.
    """

    counting: Signal
    """1 bit, in: groups are counted, from the cycle before the first one on."""
    counts: Signal
    """1 bit, in: `spikes` are those of group `counted`."""
    counted: Signal
    """`range(groups)`, in: the group of the last layer that is counted now, or next."""
    is_first_tick: Signal
    """1 bit, in: no spikes of the image were counted before."""
    reads: Signal
    """1 bit, in: the rows of group `group` are taken two cycles later."""
    group: Signal
    """`range(groups)`, in: a group of the last layer."""
    spikes: Signal
    """`lanes` bits, in: which neurons spike."""
    excesses: data.View
    """`ArrayLayout(signed(potential_bits + 1), lanes)`, in: by how much the potentials of the group
    lie over their thresholds, while `takes` is 1."""
    takes: Signal
    """1 bit, in: take all rows of the group."""
    shifts: Signal
    """1 bit, in: go on to the next row."""
    excess: Signal
    """`signed(width)`, out: by how much the row exceeds what it is compared with."""

    def __init__(self, network: SpikingNetwork, shape: SpikingShape, width: int) -> None:
        self.network = network
        self.shape = shape
        self.width = width
        super().__init__(
            {
                "counting": In(1),
                "counts": In(1),
                "counted": In(range(shape.groups + 1)),
                "is_first_tick": In(1),
                "reads": In(1),
                "group": In(range(shape.groups + 1)),
                "spikes": In(shape.lanes),
                "excesses": In(data.ArrayLayout(signed(shape.potential_bits + 1), shape.lanes)),
                "takes": In(1),
                "shifts": In(1),
                "excess": Out(signed(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        rows = Signal(data.ArrayLayout(signed(self.width), shape.lanes))
        if self.network.asked is Rows.POTENTIALS:
            taken: Sequence[Value] = [self.excesses[lane] for lane in range(shape.lanes)]
        else:
            taken = self._counted(m)
        m.d.comb += self.excess.eq(rows[0])
        with m.If(self.takes):
            m.d.sync += [rows[lane].eq(each) for lane, each in enumerate(taken)]
        with m.Elif(self.shifts):
            m.d.sync += rows.as_value().eq(rows.as_value()[self.width :])
        return m

    def _counted(self, m: Module) -> list[Value]:
        """Count the spikes of each tick; by how much the count of each lane exceeds what its row is
        compared with, as it is read."""
        shape = self.shape
        layout = data.ArrayLayout(shape.ticks.bit_length(), shape.lanes)
        groups = shape.layers[-1].groups
        m.submodules.memory = memory = Ram(layout.size, groups)
        before = data.View(layout, memory.read_data)
        now = [Signal(layout.elem_shape, name=f"now_{lane}") for lane in range(shape.lanes)]
        (needed,) = set(self.network.row_thresholds.tolist())
        m.d.comb += [
            # While a group is counted, the count of the next one is read.
            memory.read_address.eq(Mux(self.reads, self.group, self.counted + self.counts)),
            memory.read_enable.eq(self.reads | self.counting),
            memory.write_address.eq(self.counted),
            memory.write_enable.eq(self.counts),
            memory.write_data.eq(Cat(now)),
        ]
        for lane in range(shape.lanes):
            start = Mux(self.is_first_tick, 0, before[lane])
            m.d.comb += now[lane].eq(start + self.spikes[lane])
        return [before[lane] - needed for lane in range(shape.lanes)]
