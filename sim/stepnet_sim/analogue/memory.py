"""Networks in arrays of phase-change memory: what `--analogue pcm` names.

See `stepnet.analogue` for what each part promises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepnet.analogue import ArraySettings, check_time
from stepnet.networks.network import Layer, Network, Readout
from stepnet.networks.reference import binarise, read_out
from stepnet_sim.analogue.layers import ProgrammedLayer, ReadLayer, fading


class PcmReader:
    """A network in arrays at one moment; see `stepnet.analogue.ArrayReader`."""

    def __init__(self, network: Network, layers: list[ReadLayer]) -> None:
        self.network = network
        self.layers = layers

    def infer(self, images: NDArray[np.generic]) -> NDArray[np.uint8]:
        """See `stepnet.analogue.ArrayReader.infer`."""
        *hidden, last = self.layers
        activations = binarise(self.network, images)
        for layer in hidden:
            activations = (layer.excess(activations) > 0).view(np.uint8)
        return read_out(self.network, last.excess(activations))


class PcmNetwork:
    """A network in arrays; see `stepnet.analogue.ProgrammedNetwork`."""

    def __init__(self, network: Network, layers: list[ProgrammedLayer]) -> None:
        self.network = network
        self.layers = layers

    def after(self, seconds: float, random: np.random.Generator) -> PcmReader:
        """See `stepnet.analogue.ProgrammedNetwork.after`."""
        check_time(seconds)
        return PcmReader(self.network, [layer.read(seconds, random) for layer in self.layers])


class PcmMemory:
    """Phase-change memory; see `stepnet.analogue.AnalogueMemory`."""

    def program(
        self, network: Network, settings: ArraySettings, random: np.random.Generator
    ) -> PcmNetwork:
        """See `stepnet.analogue.AnalogueMemory.program`."""
        last = len(network.layers) - 1
        layers = [
            ProgrammedLayer(
                layer,
                settings,
                random,
                compared=network.readout is Readout.NEAREST and number == last,
                number=number,
            )
            for number, layer in enumerate(network.layers)
        ]
        return PcmNetwork(network, layers)

    def deviations(
        self,
        layer: Layer,
        settings: ArraySettings,
        seconds: float,
        random: np.random.Generator,
        *,
        compared: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `stepnet.analogue.AnalogueMemory.deviations`."""
        programmed = ProgrammedLayer(layer, settings, random, compared=compared)
        found, wanted = programmed.read(seconds, random), programmed.rows
        faded = fading(found.weights, wanted.weights)
        difference = found.weights / faded - wanted.weights
        always_on = wanted.inputs == layer.n_in
        return difference[~always_on].T, -difference[always_on].sum(axis=0)


PCM = PcmMemory()
"""The entry point."""
