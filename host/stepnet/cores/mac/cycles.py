"""How many cycles a multiply-accumulate core takes for an image, exactly.

A layer takes its header, `HEADER_CYCLES`, a read for each step, which gives every lane a product,
and one cycle for each group in which the sums leave the lanes. Tests check every reading against
it.
"""

from __future__ import annotations

from stepnet.cores.mac.layout import layer_plans
from stepnet.cores.mac.program import MacNetwork, codes_of, multiplications
from stepnet.cores.mac.shape import MacShape

HEADER_CYCLES = 2
"""Cycles from having read a layer's header to its first step."""

SETTLING_CYCLES = 4
"""Cycles that a layer waits which settles, beside one for each neuron below and those from a sum to
its activation, and without the reads of its header."""

START_CYCLES = 1
"""Cycles from the last pixels until the first layer begins."""

END_CYCLES = 10
"""Cycles from the last step to the character register, beside one for each neuron of the last
group and the reads of the word with the code."""


def cycles_per_image(network: MacNetwork, shape: MacShape) -> int:
    """Cycles from the transfer of an image's last pixels to the character register.

    Where the codes take several words, some of them read twice as slowly, the code is assumed to
    be in the slowest.
    """
    plans = layer_plans(network, shape)
    cycles = START_CYCLES
    neurons_below = 0
    for plan in plans:
        reads = sum(map(shape.read_cycles, range(plan.first_word, plan.next_word)))
        cycles += reads + HEADER_CYCLES + plan.groups
        if plan.settles:
            header_reads = shape.read_cycles(plan.first_word)
            cycles += SETTLING_CYCLES + shape.activation_cycles + neurons_below - header_reads
        neurons_below = plan.last_neurons
    code_word = plans[-1].next_word + shape.groups(len(codes_of(network))) - 1
    return cycles + plans[-1].last_neurons + shape.read_cycles(code_word) + END_CYCLES


def utilisation(network: MacNetwork, shape: MacShape) -> float:
    """The part of all lanes and cycles in which a product of the network is made, 0 to 1. The
    products of biases and of lanes behind the last neuron do not count."""
    return multiplications(network) / (shape.lanes * cycles_per_image(network, shape))
