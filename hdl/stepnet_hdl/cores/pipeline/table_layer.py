"""One layer of look-up tables, with a register behind each."""

import numpy as np
from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, LutLayer


class TableLayer(wiring.Component):
    """Takes the bits of the layer below in every cycle, gives the answer of each table.

    What does not change a table's answer is not wired to it, so that synthesis leaves out the bits
    below on which nothing depends.

    layer: wires and truth tables.
    registered: a register behind each table; otherwise the answers come in the same cycle.
    """

    bits: Signal
    """`n_in` bits, in: the answers of the layer below, or the pixels."""
    answers: Signal
    """`n_out` bits, out: the answers of the tables to the `bits` of `latency_cycles` before."""

    def __init__(self, layer: LutLayer, *, registered: bool = True) -> None:
        self.layer = layer
        self.registered = registered
        self.latency_cycles = int(registered)
        super().__init__({"bits": In(layer.n_in), "answers": Out(layer.n_out)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        domain = m.d.sync if self.registered else m.d.comb
        answers = Signal(self.layer.n_out, reset_less=True)
        for number in range(self.layer.n_out):
            domain += answers[number].eq(self._answer(number))
        m.d.comb += self.answers.eq(answers)
        return m

    def _answer(self, number: int) -> Value:
        """One table over those of its inputs that it depends on."""
        table, wires = reduced(self.layer, number)
        if not wires:
            return C(table, 1)
        if (table, len(wires)) == (0b10, 1):
            return self.bits[wires[0]]
        return self._look_up(table, [self.bits[wire] for wire in wires])

    def _look_up(self, table: int, bits: list[Value]) -> Value:
        """The answer at the address that the bits make, the first one lowest."""
        return C(table, 1 << len(bits)).bit_select(Cat(bits), 1)


def reduced(layer: LutLayer, number: int) -> tuple[int, list[int]]:
    """A truth table over only those wires on which the answer depends, each of them once.

    Bit i of the table is the answer where wire k of the list carries bit k of i.
    """
    wires = layer.wires[number]
    answers = int(layer.tables[number]) >> np.arange(TABLE_BITS) & 1
    addresses = np.arange(TABLE_BITS)
    kept: list[int] = []
    for wire in dict.fromkeys(wires.tolist()):
        places = [place for place in range(TABLE_INPUTS) if wires[place] == wire]
        mask = sum(1 << place for place in places)
        # Places on the same wire are equal; other addresses never occur.
        possible = np.isin(addresses & mask, (0, mask))
        addresses = addresses[possible]
        on = addresses & mask == mask
        if (answers[addresses[~on] | mask] != answers[addresses[~on]]).any():
            kept.append(wire)
    table = 0
    for entry in range(1 << len(kept)):
        address = sum(
            1 << place
            for place in range(TABLE_INPUTS)
            if int(wires[place]) in kept and entry >> kept.index(int(wires[place])) & 1
        )
        table |= int(answers[address]) << entry
    return table, kept
