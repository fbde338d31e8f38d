# pyright: basic
# (torch publishes many functions without complete types)
"""Rule sigmoid: the ordinary way of training, as a yardstick for the other rules.

`stepnet.learning.train` uses it for `rule="sigmoid"`: sigmoid neurons under plain
`stepnet.learning.descent`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from stepnet.learning.descent import DescentLearner
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork


class SigmoidLearner(DescentLearner):
    """A sigmoid network under training; see `DescentLearner`."""

    def starting(self, number: int, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
        """Random weights, and biases that have sums spread around 0."""
        weights = _initial_weights(n_in, n_out, self.generator)
        # Hidden neurons answer 1/2 on average; so their successors start in the middle too.
        return weights, weights.sum(dim=1) / -2 if number else torch.zeros(n_out)

    def answers(self, sums: Tensor) -> Tensor:
        """The sigmoid of each sum."""
        return torch.sigmoid(sums)

    def export(self, name: str) -> SigmoidNetwork:
        """The network as it stands, under this name, with all rows of the last layer."""
        layers = [
            SigmoidLayer(*(tensor.detach().numpy() for tensor in self.layer(number)))
            for number in range(self.config.layer_count)
        ]
        targets = self.lesson.targets
        _, height, width = self.images.shape
        return SigmoidNetwork(
            name,
            (*layers[:-1], self._complete(layers[-1])),
            height=height,
            width=width,
            ink_threshold=self.config.ink_threshold,
            readout=self.config.readout,
            alphabet=targets.answered,
            code_prefix=targets.code_prefix,
        )

    def _complete(self, trained: SigmoidLayer) -> SigmoidLayer:
        """The last layer with all its rows, also those that are not trained; see
        `Targets.complete`.
        """
        targets = self.lesson.targets
        rows = targets.wanted.shape[1]
        weights = np.zeros((rows, trained.n_in), dtype=np.float32)
        always = targets.wanted.max(axis=0) > 0
        biases = np.where(always, 1, -1).astype(np.float32)
        weights[targets.trained_rows] = trained.weights
        biases[targets.trained_rows] = trained.biases
        return SigmoidLayer(weights, biases)


def _initial_weights(n_in: int, n_out: int, generator: torch.Generator) -> Tensor:
    """(n_out, n_in), uniform within 4 sqrt(6 / (n_in + n_out)): the limit of Glorot and Bengio
    (AISTATS 2010) for tanh, times 4 for the smaller slope of the sigmoid.
    """
    limit = 4 * math.sqrt(6 / (n_in + n_out))
    return (2 * torch.rand(n_out, n_in, generator=generator) - 1) * limit
