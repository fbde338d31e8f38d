# pyright: basic
# (torch publishes many functions without complete types)
"""Rule spiking: integrate-and-fire neurons, trained with surrogate gradients through time.

`stepnet.learning.train` uses it for `rule="spiking"`. Forward, every tick is that of
`stepnet.networks.spiking`, in whole numbers. Backward, the gradient goes back through all ticks: a
surrogate stands for the slope of a spike (Neftci, Mostafa and Zenke, arXiv:1901.09948), roundings
pass it on, and that a spike resets its own potential is left out. A reset is one to 0, and the rows
of the readout are the potentials of the last layer, so that NIR can say what was learned.

Weights are made of latent values as in rule surrogate. Thresholds and leaks are latent too, in
units of how far the sums of a layer usually spread; they are rounded as weights are.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stepnet.data.sets import Dataset
from stepnet.learning.batch_learner import BatchLearner
from stepnet.learning.config import Config
from stepnet.learning.learner import State
from stepnet.learning.surrogates import largest, quantise, round_through, step
from stepnet.learning.torch_state import optimiser_state, restore_optimiser
from stepnet.networks.network import Layer
from stepnet.networks.spiking import Coding, Rows, SpikingLayer, SpikingNetwork, coded_spikes

USUAL_INPUTS = 0.15
"""What part of a layer's inputs is usually 1: the ink of a character, and neurons that spike."""


class SpikingLearner(BatchLearner):
    """A spiking network under training; see `BatchLearner`."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        super().__init__(config, dataset)
        self.kinds = config.weights_per_layer
        self.units: list[float] = []
        for number, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            latent = 2 * torch.rand(n_out, n_in, generator=self.generator) - 1
            self.parameters[f"latent_{number}"] = latent.requires_grad_()
            is_last = number == len(config.hidden)
            thresholds = torch.full((n_out,), 0.0 if is_last else 1.0)
            self.parameters[f"thresholds_{number}"] = thresholds.requires_grad_(not is_last)
            self.parameters[f"leaks_{number}"] = torch.zeros(n_out, requires_grad=True)
            usual_weight = largest(self.kinds[number]) / (1 if self.kinds[number] == 1 else 3**0.5)
            self.units.append(usual_weight * math.sqrt(USUAL_INPUTS * n_in))
        learned = [tensor for tensor in self.parameters.values() if tensor.requires_grad]
        self.optimiser = torch.optim.Adam(learned, lr=config.peak_rate)

    def seen(self, batch: Tensor) -> Tensor:
        """What warped images are coded as: (N, ticks, inputs) float of 0 and 1."""
        grey = self.warped(batch).flatten(1).round().clamp(0, 255).long().numpy()
        coded = coded_spikes(
            grey, Coding(self.config.coding), self.config.ticks, self.config.ink_threshold
        )
        return torch.from_numpy(coded).float()

    def descend(self, loss: Tensor, learning_rate: float) -> None:
        """One step of Adam (Kingma and Ba, arXiv:1412.6980); latent weights stay in -1..1."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            for layer in range(len(self.units)):
                self.parameters[f"latent_{layer}"].clamp_(-1, 1)

    def excess(self, seen: Tensor) -> Tensor:
        """By how much the potentials of the trained rows lie over their thresholds after the last
        tick, in units of their usual spread: (N, rows) from (N, ticks, inputs) of 0 and 1."""
        potentials = [torch.zeros(1)] * len(self.units)
        shift = self.config.decay_shift
        for tick in range(self.config.ticks):
            below = seen[:, tick]
            for number, unit in enumerate(self.units):
                weights = quantise(self.parameters[f"latent_{number}"], self.kinds[number])
                leaks = round_through(self.parameters[f"leaks_{number}"] * unit)
                held = potentials[number]
                decayed = held - _down(held * 2.0**-shift)
                potential = decayed + leaks + functional.linear(below, weights)
                if number == len(self.units) - 1:
                    potentials[number] = potential
                    continue
                threshold = self._threshold(number)
                below = step((potential - threshold) / unit, self.config.surrogate)
                potentials[number] = potential * (1 - below.detach())
        return potentials[-1] / self.units[-1]

    def _threshold(self, number: int) -> Tensor:
        """The thresholds of a layer; those of the last one stay 0, because its leaks do as well."""
        return round_through(self.parameters[f"thresholds_{number}"] * self.units[number])

    def state(self) -> State:
        """As of `BatchLearner`, and what Adam remembers."""
        return {**super().state(), **optimiser_state(self.optimiser, "optimiser_")}

    def restore(self, state: State) -> None:
        """Take up a state that a learner of the same configuration and data had."""
        super().restore(state)
        restore_optimiser(self.optimiser, state, "optimiser_")

    @torch.no_grad()
    def export(self, name: str) -> SpikingNetwork:
        """The network as it stands, under this name, with all rows of the last layer."""
        targets = self.lesson.targets
        _, height, width = self.images.shape
        layers = [self._layer(number) for number in range(len(self.units))]
        return SpikingNetwork(
            name,
            (*layers[:-1], self._complete(layers[-1])),
            height=height,
            width=width,
            ink_threshold=self.config.ink_threshold,
            readout=self.config.readout,
            alphabet=targets.answered,
            code_prefix=targets.code_prefix,
            ticks=self.config.ticks,
            coding=Coding(self.config.coding),
            asked=Rows.POTENTIALS,
        )

    def _layer(self, number: int) -> SpikingLayer:
        kind = self.kinds[number]
        weights = quantise(self.parameters[f"latent_{number}"], kind).numpy()
        thresholds = self._threshold(number).numpy()
        leaks = torch.round(self.parameters[f"leaks_{number}"] * self.units[number]).numpy()
        bits = 2 if isinstance(kind, str) else kind
        return SpikingLayer(
            Layer(weights.astype(np.int8), thresholds.astype(np.int32), bits),
            leaks.astype(np.int32),
            self.config.decay_shift,
            reset=0,
        )

    def _complete(self, trained: SpikingLayer) -> SpikingLayer:
        """The last layer with all its rows, also those that are not trained; see
        `Targets.complete`."""
        targets = self.lesson.targets
        last = targets.complete(trained.step)
        leaks, thresholds = np.zeros(last.n_out, dtype=np.int32), last.thresholds.copy()
        leaks[targets.trained_rows] = trained.leaks
        never = thresholds == last.n_in + 1
        never[targets.trained_rows] = False
        thresholds[never] = self.config.ticks * last.n_in + 1
        return SpikingLayer(
            Layer(last.weights, thresholds, last.weight_bits), leaks, trained.decay_shift, reset=0
        )


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.floor(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def _down(x: Tensor) -> Tensor:
    """The largest integer that is not larger. A gradient passes unchanged."""
    return _Down.apply(x)  # pyright: ignore[reportReturnType]
