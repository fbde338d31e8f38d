"""Toggles of nets: what counts as a net, what SAIF says, and a counter whose toggles are known."""

from itertools import pairwise

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.gates.cells import yosys_models
from stepnet_sim.gates.toggles import (
    Netlist,
    activity,
    counted_chip,
    read_activity,
    synthesised,
)

BITS = 5
CYCLES = 64

SAIF = """(SAIFILE
(DURATION 10)
(INSTANCE TOP
(INSTANCE chip
(NET
(clk (T0 10) (T1 0) (TZ 0) (TX 0) (TB 0) (TC 0))
(net_2 (T0 4) (T1 6) (TZ 0) (TX 0) (TB 0) (TC 7))
(net_3 (T0 10) (T1 0) (TZ 0) (TX 0) (TB 0) (TC 3))
(net_4 (T0 2) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 2))
(net_5 (T0 1) (T1 9) (TZ 0) (TX 0) (TB 0) (TC 5))
))))
"""


def cell(kind, inputs, outputs):
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {"type": kind, "connections": inputs | outputs, "port_directions": directions}


NETLIST = Netlist(
    {"character": {"bits": [2]}},
    {
        "register": cell("SB_DFF", {"C": [9], "D": [3]}, {"Q": [2]}),
        "lut": cell("SB_LUT4", {"I0": [2], "I1": [5]}, {"O": [3]}),
        "carry": cell("SB_CARRY", {"I0": [2]}, {"CO": [4]}),
        "memory": cell("SB_RAM40_4K", {"RE": [2], "RCLKE": ["1"]}, {"RDATA": [5]}),
    },
)


def test_each_net_counts_once_and_what_stays_in_its_cell_is_left_out():
    """Net 3 goes from a LUT to its own flip-flop, net 4 is a carry."""
    found = read_activity(NETLIST, SAIF, 10)
    assert (found.toggles, found.routed_toggles) == (7 + 3 + 2 + 5, 7 + 5)
    assert found.memory_cycles == {"SB_RAM40_4K": 6}
    assert NETLIST.logic_cells == 1


def test_what_stays_in_a_logic_cell_of_an_ecp5_is_left_out():
    """Net 3 goes from an adder to its own flip-flop, net 4 is a carry, net 6 goes to two."""
    netlist = Netlist(
        {"character": {"bits": [2]}},
        {
            "register": cell("TRELLIS_FF", {"CLK": [9], "DI": [3], "LSR": [6]}, {"Q": [2]}),
            "adder": cell("CCU2C", {"A0": [2], "A1": [5]}, {"S0": [3], "COUT": [4]}),
            "lut": cell("LUT4", {"A": [2]}, {"Z": [6]}),
            "other": cell("TRELLIS_FF", {"CLK": [9], "DI": [6]}, {"Q": [5]}),
        },
    )
    assert netlist.routed_nets() == {2, 5, 6}


class Count(wiring.Component):
    """A counter; its highest bit is the character."""

    def __init__(self):
        super().__init__({"character": Out(8)})

    def elaborate(self, platform):
        m = Module()
        count = Signal(BITS)
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.character.eq(count[-1])
        return m


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason="there is no C++ compiler")
def test_a_counter_toggles_as_often_as_counting_does():
    netlist = synthesised(Count(), "synth_ice40")
    chip = counted_chip(netlist, yosys_models("ice40/cells_sim.v"))
    chip.run(bytearray(), 1)
    before = chip.cycles - 1  # the counter's value: reset took one cycle
    found = activity(netlist, chip, lambda: chip.run(bytearray(), CYCLES))
    seen = [(before + cycle) % (1 << BITS) for cycle in range(CYCLES)]
    changes = sum((a ^ b).bit_count() for a, b in pairwise([0, *seen]))
    assert found.cycles == CYCLES
    assert found.routed_toggles == changes
