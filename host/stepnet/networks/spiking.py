"""Spiking networks: leaky integrate-and-fire neurons that see an image for some ticks.

With `a[i](t)` the spikes of the layer below in tick t (those of the coded image below the first
layer), and all potentials 0 before the first tick, a neuron computes in each tick:

    V[j] <- V[j] - (V[j] >> k) + leak[j] + sum_i w[j,i] a[i](t)
    z[j](t) = 1 if V[j] >= t[j] else 0
    V[j] <- (reset, or V[j] - t[j]) if z[j](t)
    V[j] <- max(V[j], floor)

That is the neuron of TrueNorth (Cassidy et al., IJCNN 2013, doi:10.1109/IJCNN.2013.6707077), whose
synaptic weights `w_ij s_G(i)` are one whole number each here, and which only knows the leak that is
added; the part `V >> k` that decays is rounded down, so that a potential loses 2^-k of its value.
With k = 0 it loses everything, so in a single tick the neuron is a step neuron: `from_step` makes
the same network of a step network, bit for bit.

All layers take part in each tick, one after the other, so a spike reaches the last layer in its own
tick. The rows of the readout are either how often each neuron of the last layer spiked, which fire
from one spike on, or the potentials by which its neurons, which then never spike, lie over their
thresholds after the last tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError
from stepnet.networks.network import CharacterNetwork, Layer, Network, whole_numbers
from stepnet.networks.reference import binarise, ink, margin_of, read_out, sums

MOST_TICKS = 64
MOST_DECAY_SHIFT = 15
LOWEST_FLOOR = -(1 << 20)

AT_ONCE = 1024
"""How many images are computed together."""


class Coding(StrEnum):
    """How an image becomes spikes, tick by tick; a pixel of less than the ink threshold never
    spikes.

    ONCE: each other pixel spikes in the first tick.
    RATE: each other pixel of grey value g spikes about `ticks * g / 255` times, evenly spread.
    LATENCY: each other pixel spikes once, the brightest in the first tick.
    """

    ONCE = "once"
    RATE = "rate"
    LATENCY = "latency"


class Rows(StrEnum):
    """What the readout of a spiking network asks: see the module."""

    SPIKES = "spikes"
    POTENTIALS = "potentials"


@dataclass(frozen=True, eq=False)
class SpikingLayer:
    """One layer of integrate-and-fire neurons. Arrays are copied and made read-only.

    step: weights and thresholds, those of a dense layer.
    leaks: (n_out,) int32, what is added to each potential in every tick.
    decay_shift: k, 0 to 15; a potential loses 2^-k of its value in each tick. None: nothing.
    reset: the potential after a spike; None to subtract the threshold.
    floor: no potential falls below it; from -2^20 to 0.

    Raises NetworkError if a shape, a type or a range does not hold.
    """

    step: Layer
    leaks: NDArray[np.int32]
    decay_shift: int | None = 0
    reset: int | None = None
    floor: int = LOWEST_FLOOR

    def __post_init__(self) -> None:
        if self.step.convolution is not None:
            raise NetworkError("A layer of spiking neurons is a convolution; give a dense layer.")
        leaks = whole_numbers(self.leaks, np.int32, "leaks")
        if leaks.shape != (self.n_out,):
            raise NetworkError(
                f"A layer of {self.n_out} neurons has leaks of shape {leaks.shape}; give one leak "
                "per neuron."
            )
        if self.decay_shift is not None and not 0 <= self.decay_shift <= MOST_DECAY_SHIFT:
            raise NetworkError(
                f"A layer has potentials that decay by 2^-{self.decay_shift}; choose a decay shift "
                f"of 0 to {MOST_DECAY_SHIFT}, or None for no decay."
            )
        if self.reset is not None and not LOWEST_FLOOR <= self.reset <= -LOWEST_FLOOR:
            raise NetworkError(
                f"A layer resets its potentials to {self.reset}; choose {LOWEST_FLOOR} to "
                f"{-LOWEST_FLOOR}, or None to subtract the threshold."
            )
        if not LOWEST_FLOOR <= self.floor <= 0:
            raise NetworkError(
                f"A layer has potentials of at least {self.floor}; choose a floor of "
                f"{LOWEST_FLOOR} to 0."
            )
        leaks.flags.writeable = False
        object.__setattr__(self, "leaks", leaks)

    @property
    def n_in(self) -> int:
        """How many inputs every neuron has."""
        return self.step.n_in

    @property
    def n_out(self) -> int:
        """How many neurons the layer has."""
        return self.step.n_out

    def decayed(self, potentials: NDArray[np.int64]) -> NDArray[np.int64]:
        """`V - (V >> k) + leak`, from (N, n_out)."""
        if self.decay_shift is None:
            return potentials + self.leaks
        return potentials - (potentials >> self.decay_shift) + self.leaks

    def after(self, potentials: NDArray[np.int64], spikes: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The potentials that go on into the next tick, from (N, n_out) of the comparison."""
        reset = potentials - self.step.thresholds if self.reset is None else self.reset
        return np.maximum(np.where(spikes, reset, potentials), self.floor)

    def bounds(
        self, ticks: int, *, spiking: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest and the highest potential that each neuron may have when it is compared, in
        one of the first `ticks`: two of (n_out,).

        spiking: whether it spikes, which resets its potential. A decay takes no potential farther
        from 0.
        """
        weights = self.step.weights.astype(np.int64)
        down = np.minimum(weights, 0).sum(axis=1) + np.minimum(self.leaks, 0)
        up = np.maximum(weights, 0).sum(axis=1) + np.maximum(self.leaks, 0)
        least, most = np.zeros_like(up), ticks * up
        if spiking and self.reset is None:  # a threshold below 0 is added
            most += ticks * np.maximum(-self.step.thresholds.astype(np.int64), 0)
        elif spiking and self.reset is not None:
            least += min(self.reset, 0)
            most += max(self.reset, 0)
        return np.maximum(least + (ticks - 1) * down, self.floor) + down, most


@dataclass(frozen=True, eq=False)
class SpikingNetwork(CharacterNetwork[SpikingLayer]):
    """A network of spiking neurons; see `CharacterNetwork` for its other attributes.

    ticks: for how many ticks it sees an image, 1 to 64.
    coding: how an image becomes spikes.
    asked: what the rows of the readout are.

    Raises NetworkError if any of this does not hold together.
    """

    kind: ClassVar[str] = "spiking"
    other_kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("step", "lut", "sigmoid", "relu"),
        "not a spiking network; name one that `stepnet train --rule spiking` made.",
    )

    ticks: int = field(kw_only=True)
    coding: Coding = field(default=Coding.ONCE, kw_only=True)
    asked: Rows = field(default=Rows.SPIKES, kw_only=True)

    def __post_init__(self) -> None:
        for name, kind in (("coding", Coding), ("asked", Rows)):
            given = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(given))
            except ValueError:
                raise NetworkError(
                    f"A spiking network has {name} {str(given)!r}; choose one of {', '.join(kind)}."
                ) from None
        if not 1 <= self.ticks <= MOST_TICKS:
            raise NetworkError(
                f"A spiking network sees images for {self.ticks} ticks; choose 1 to {MOST_TICKS}."
            )
        super().__post_init__()

    @property
    def weight_bits_total(self) -> int:
        """How many bits all weights take."""
        return sum(layer.step.weights.size * layer.step.weight_bits for layer in self.layers)

    @property
    def row_thresholds(self) -> NDArray[np.int64]:
        """What each row of the readout is compared with: (rows,)."""
        last = self.layers[-1].step
        if self.asked is Rows.POTENTIALS:
            return last.thresholds.astype(np.int64)
        # All spike as often as they can before the first one wins, so nothing is taken off.
        return np.full(last.n_out, 1 if self.readout != "nearest" else 0, dtype=np.int64)

    def _layer_entries(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "ticks": self.ticks,
            "coding": str(self.coding),
            "asked": str(self.asked),
            "weight_bits": [layer.step.weight_bits for layer in self.layers],
            "decay_shifts": [layer.decay_shift for layer in self.layers],
            "resets": [layer.reset for layer in self.layers],
            "floors": [layer.floor for layer in self.layers],
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(self.layers):
            arrays[f"weights_{number}"] = layer.step.weights
            arrays[f"thresholds_{number}"] = layer.step.thresholds
            arrays[f"leaks_{number}"] = layer.leaks
        return arrays

    @classmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[SpikingLayer, ...]:
        names = ("weight_bits", "decay_shifts", "resets", "floors")
        entries = zip(*(header.pop(name) for name in names), strict=True)
        return tuple(
            SpikingLayer(
                Layer(arrays[f"weights_{number}"], arrays[f"thresholds_{number}"], weight_bits),
                arrays[f"leaks_{number}"],
                decay_shift,
                reset,
                floor,
            )
            for number, (weight_bits, decay_shift, reset, floor) in enumerate(entries)
        )


def from_step(network: Network) -> SpikingNetwork:
    """The spiking network that computes what a step network computes, in one tick.

    Raises NetworkError if it has convolutions.
    """
    network.check_dense("a spiking network")
    return SpikingNetwork(
        network.name,
        tuple(SpikingLayer(layer, np.zeros(layer.n_out, np.int32)) for layer in network.layers),
        network.height,
        network.width,
        network.ink_threshold,
        network.readout,
        network.alphabet,
        network.code_prefix,
        network.card,
        ticks=1,
        asked=Rows.POTENTIALS,
    )


def encode(network: SpikingNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The spikes that images are coded as: (N, ticks, height * width) uint8 of 0 and 1.

    images: as in `stepnet.networks.reference.binarise`; of bool images each pixel that is set has
    the grey value 255.
    """
    inked = binarise(network, images)
    images = np.asarray(images)
    if images.dtype == np.bool_:
        grey = inked.astype(np.int64) * 255
    else:
        grey = images.reshape(inked.shape).astype(np.int64)
    return coded_spikes(grey, network.coding, network.ticks, network.ink_threshold)


def coded_spikes(
    grey: NDArray[np.int64], coding: Coding, ticks: int, ink_threshold: int
) -> NDArray[np.uint8]:
    """The spikes that grey values are coded as: (N, ticks, inputs) uint8 of 0 and 1.

    grey: (N, inputs) of 0 to 255, ink bright.
    """
    levels = grey[:, np.newaxis]
    times = np.arange(ticks)[:, np.newaxis]
    match coding:
        case Coding.ONCE:
            spikes = times == 0
        case Coding.RATE:
            spikes = (times + 1) * (levels + 1) >> 8 > times * (levels + 1) >> 8
        case Coding.LATENCY:
            darkest = max(ink_threshold, 1)
            spikes = (255 - levels) * ticks // (256 - darkest) == times
    return (spikes & ink(levels, ink_threshold)).astype(np.uint8)


def simulate(
    network: SpikingNetwork, coded: NDArray[np.uint8]
) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    """The spikes of every layer, (N, ticks, n_out) uint8 each, and the sum of every row of the
    readout, (N, rows).

    coded: (N, ticks, inputs) of 0 and 1, as `encode` gives it.
    """
    spikes = [
        np.zeros((len(coded), network.ticks, layer.n_out), np.uint8) for layer in network.layers
    ]
    potentials = [np.zeros((len(coded), layer.n_out), np.int64) for layer in network.layers]
    for tick in range(network.ticks):
        below = coded[:, tick]
        for number, layer in enumerate(network.layers):
            potential = layer.decayed(potentials[number]) + sums(layer.step, below).astype(np.int64)
            reads = network.asked is Rows.POTENTIALS and layer is network.layers[-1]
            fired = (potential >= layer.step.thresholds) & (not reads)
            potentials[number] = layer.after(potential, fired)
            below = spikes[number][:, tick] = fired.view(np.uint8)
    if network.asked is Rows.POTENTIALS:
        return spikes, potentials[-1]
    return spikes, spikes[-1].sum(axis=1, dtype=np.int64)


def row_sums(network: SpikingNetwork, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """The sum of every row of the readout: (N, rows). images: as in `encode`."""
    images = np.asarray(images)
    parts = [
        simulate(network, encode(network, images[start : start + AT_ONCE]))[1]
        for start in range(0, max(1, len(images)), AT_ONCE)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class SpikeCounts:
    """How often neurons spike while a network sees one image, in all ticks together.

    pixels: of the coded image.
    layers: of all neurons of each layer, first to last. The neurons of the last one never spike
        where the readout asks for potentials.
    rows: of each neuron of the last layer.
    """

    pixels: int
    layers: tuple[int, ...]
    rows: tuple[int, ...]

    @property
    def total(self) -> int:
        """Of all neurons, without the pixels."""
        return sum(self.layers)


def spike_counts(network: SpikingNetwork, images: NDArray[np.generic]) -> list[SpikeCounts]:
    """How often neurons spike for each image; images as in `encode`."""
    coded = encode(network, images)
    spikes, _ = simulate(network, coded)
    pixels = coded.sum(axis=(1, 2), dtype=np.int64).tolist()
    layers = np.stack([layer.sum(axis=(1, 2), dtype=np.int64) for layer in spikes], axis=1)
    rows = spikes[-1].sum(axis=1, dtype=np.int64)
    return [
        SpikeCounts(of_pixels, tuple(of_layers), tuple(of_rows))
        for of_pixels, of_layers, of_rows in zip(
            pixels, layers.tolist(), rows.tolist(), strict=True
        )
    ]


def infer(network: SpikingNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image: (N,) uint8. images: as in `encode`."""
    return read_out(network, row_sums(network, images) - network.row_thresholds)


def margin(network: SpikingNetwork, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """How far any one row may move before the code changes: (N,), at least 0.

    See `stepnet.networks.reference.margin`; a row of spikes lies between 0 and the ticks.
    images: as in `encode`.
    """
    if network.asked is Rows.POTENTIALS:
        lowest, highest = network.layers[-1].bounds(network.ticks, spiking=False)
    else:
        lowest = np.zeros(network.rows, dtype=np.int64)
        highest = lowest + network.ticks
    return margin_of(network, row_sums(network, images), network.row_thresholds, lowest, highest)
