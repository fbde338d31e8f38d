"""The potentials of all neurons, to which weights are added and which are compared."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.spiking.contents import SpikingContents, SpikingShape
from stepnet.networks.spiking import Rows, SpikingLayer, SpikingNetwork
from stepnet_hdl.blocks.ram import Ram


class Potentials(wiring.Component):
    """Keeps the potentials and adds weights to those of a group, or compares a group.

    Weights are added in the cycle after `adds`, so that the next group may be the same. Of a group
    that is compared, the spikes are there two cycles later and its potentials are stored one more
    cycle later: reset, bounded, and with the decay and the leak of the next tick. With `clears`
    they are as before the first tick instead.

    network: whose layers are built in.
    """

    adds: Signal
    """1 bit, in: add weights to group `group`."""
    compares: Signal
    """1 bit, in: compare the potentials of group `group` with its thresholds."""
    clears: Signal
    """1 bit, in: with `compares`, the potentials are those of before the first tick."""
    final: Signal
    """1 bit, in: with `compares`, this is the last tick."""
    group: Signal
    """`range(groups)`, in: the group, of those of all layers."""
    layer: Signal
    """`range(layers)`, in: the layer of the group; it stays the same until a group is stored."""
    weights: data.View
    """`ArrayLayout(weight_bits, lanes)`, in: what is added, in the cycle after `adds`."""
    counts: Signal
    """1 bit, in: whether the weights count, in the cycle after `adds`."""
    compared: Signal
    """1 bit, out: `spikes` are those of a group."""
    spikes: Signal
    """`lanes` bits, out: which neurons spike, two cycles after `compares`."""
    excesses: data.View
    """`ArrayLayout(signed(potential_bits + 1), lanes)`, out: by how much the potentials lie over
    the thresholds, two cycles after `compares`."""

    def __init__(
        self, network: SpikingNetwork, shape: SpikingShape, contents: SpikingContents
    ) -> None:
        self.network = network
        self.shape = shape
        self.contents = contents
        super().__init__(
            {
                "adds": In(1),
                "compares": In(1),
                "clears": In(1),
                "final": In(1),
                "group": In(range(shape.groups)),
                "layer": In(range(len(shape.layers))),
                "weights": In(data.ArrayLayout(shape.weight_bits, shape.lanes)),
                "counts": In(1),
                "compared": Out(1),
                "spikes": Out(shape.lanes),
                "excesses": Out(data.ArrayLayout(signed(shape.potential_bits + 1), shape.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, lanes = self.shape, range(self.shape.lanes)
        potential = signed(shape.potential_bits)
        group_layout = data.ArrayLayout(potential, shape.lanes)
        m.submodules.memory = memory = Ram(group_layout.size, shape.groups)
        m.submodules.neurons = neurons = Ram(
            (shape.potential_bits + shape.leak_bits) * shape.lanes,
            shape.groups,
            self.contents.neurons,
        )
        m.d.comb += [
            memory.read_address.eq(self.group),
            memory.read_enable.eq(self.adds | self.compares),
            neurons.read_address.eq(self.group),
            neurons.read_enable.eq(self.compares),
        ]
        stored = data.View(group_layout, memory.read_data)
        thresholds = data.View(group_layout, neurons.read_data[: group_layout.size])
        leaks = neurons.read_data[group_layout.size :]

        # What was stored in the cycle in which it was read is not what was read.
        adding, adding_to = Signal(), Signal.like(self.group)
        again = Signal()
        sums = [Signal(potential, name=f"sum_{lane}") for lane in lanes]
        before = Signal(group_layout, reset_less=True)
        m.d.sync += [
            adding.eq(self.adds),
            adding_to.eq(self.group),
            again.eq(self.adds & adding & (self.group == adding_to)),
            before.as_value().eq(Cat(sums)),
        ]
        for lane in lanes:
            weight = self._weight(self.weights[lane])
            of_lane = Mux(again, before[lane], stored[lane])
            m.d.comb += sums[lane].eq(of_lane + Mux(self.counts, weight, 0))

        # A group that is compared goes through three stages.
        comparing, clearing, ending = Signal(2), Signal(2), Signal(2)
        groups = [Signal.like(self.group, name=f"group_{stage}") for stage in range(3)]
        kept_leaks = [Signal(len(leaks), name=f"leaks_{stage}") for stage in range(2)]
        held = Signal(group_layout, reset_less=True)
        kept = Signal(group_layout, reset_less=True)
        storing, stores_cleared, stores_last = Signal(), Signal(), Signal()
        m.d.sync += [
            comparing.eq(Cat(self.compares, comparing)),
            clearing.eq(Cat(self.clears, clearing)),
            ending.eq(Cat(self.final & ~self.clears, ending)),
            Cat(groups).eq(Cat(self.group, *groups[:-1])),
            kept_leaks[0].eq(leaks),
            kept_leaks[1].eq(kept_leaks[0]),
            storing.eq(comparing[1]),
            stores_cleared.eq(clearing[1]),
            stores_last.eq(ending[1]),
            held.eq(stored),
        ]
        m.d.comb += self.compared.eq(comparing[1])
        for lane in lanes:
            m.d.sync += [
                self.spikes[lane].eq(stored[lane] >= thresholds[lane]),
                self.excesses[lane].eq(stored[lane] - thresholds[lane]),
            ]
            m.d.sync += kept[lane].eq(self._after(lane, held[lane]))
        leak_layout = data.ArrayLayout(signed(max(1, shape.leak_bits)), shape.lanes)
        leak = data.View(leak_layout, kept_leaks[1]) if shape.leak_bits else None
        following = [Signal(potential, name=f"following_{lane}") for lane in lanes]
        for lane in lanes:
            added = leak[lane] if leak is not None else C(0, 1)
            decayed = self._decayed(kept[lane])
            m.d.comb += following[lane].eq(
                Mux(stores_last, kept[lane], Mux(stores_cleared, 0, decayed) + added)
            )
        m.d.comb += [
            memory.write_enable.eq(adding | storing),
            memory.write_address.eq(Mux(storing, groups[2], adding_to)),
            memory.write_data.eq(Mux(storing, Cat(following), Cat(sums))),
        ]
        return m

    def _weight(self, weight: Value) -> Value:
        if self.shape.weight_bits == 1:
            return Cat(1, ~weight).as_signed()
        return weight.as_signed()

    def _by_layer(
        self, make: Callable[[SpikingLayer, bool], Value], key: Callable[..., Any]
    ) -> Value:
        """What `make` gives for the neuron's layer; layers with the same `key` share it."""
        made: dict[Any, tuple[Value, list[int]]] = {}
        last = len(self.network.layers) - 1
        for number, layer in enumerate(self.network.layers):
            is_asked = number == last and self.network.asked is Rows.POTENTIALS
            of_key = made.setdefault(key(layer, is_asked), (make(layer, is_asked), []))
            of_key[1].append(number)
        (result, _), *others = made.values()
        for value, numbers in others:
            is_one = Cat(self.layer == number for number in numbers).any()
            result = Mux(is_one, value, result)
        return result

    def _after(self, lane: int, held: Value) -> Value:
        """The potential after the comparison, as `SpikingLayer.after` has it."""

        def after(layer: SpikingLayer, is_asked: bool) -> Value:
            if is_asked:
                kept = held
            elif layer.reset is None:
                kept = Mux(self.spikes[lane], self.excesses[lane], held)
            else:
                reset = C(max(layer.reset, layer.floor), held.shape())
                kept = Mux(self.spikes[lane], reset, held)
            if layer.floor > -(1 << self.shape.potential_bits - 1):
                kept = Mux(kept < layer.floor, layer.floor, kept)
            return kept

        return self._by_layer(after, lambda layer, is_asked: (is_asked, layer.reset, layer.floor))

    def _decayed(self, potential: Value) -> Value:
        """The potential without what it loses in a tick."""

        def decayed(layer: SpikingLayer, _: bool) -> Value:
            if layer.decay_shift is None:
                return potential
            if layer.decay_shift == 0:
                return C(0, potential.shape())
            return potential - (potential >> layer.decay_shift)

        return self._by_layer(decayed, lambda layer, _: layer.decay_shift)
