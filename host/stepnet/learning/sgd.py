# pyright: basic
# (torch publishes many functions without complete types)
"""Rule sgd: ordinary networks for the multiply-accumulate core, trained without any trick.

`stepnet.learning.train` uses it for `rule="sgd"`: rectified neurons under plain
`stepnet.learning.descent`. The real network becomes one of integers by rounding alone, by the
formulas of `stepnet.networks.relu`; the largest answer of each hidden layer is taken from training
images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stepnet.learning.descent import DescentLearner
from stepnet.learning.torch_state import threads
from stepnet.networks import reference
from stepnet.networks.relu import ReluNetwork, quantised

CALIBRATION_IMAGES = 10_000
"""How many images, the first ones, tell how large answers become."""


class SgdLearner(DescentLearner):
    """A network of rectified neurons under training; see `DescentLearner`."""

    def starting(self, number: int, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
        """Weights uniform within sqrt(6 / n_in), the limit of He et al. (arXiv:1502.01852), and
        biases of 0.
        """
        limit = math.sqrt(6 / n_in)
        weights = (2 * torch.rand(n_out, n_in, generator=self.generator) - 1) * limit
        return weights, torch.zeros(n_out)

    def answers(self, sums: Tensor) -> Tensor:
        """Each sum that is positive, and 0 for the others."""
        return torch.relu(sums)

    def export(self, name: str) -> ReluNetwork:
        """The network as it stands, in integers, under this name."""
        with threads(self.config.threads), torch.no_grad():
            layers = [self.layer(number) for number in range(self.config.layer_count)]
            return ReluNetwork(
                name,
                quantised(
                    [weights.numpy() for weights, _ in layers],
                    [biases.numpy() for _, biases in layers],
                    self._largest_answers(),
                ),
                height=self.images.shape[1],
                width=self.images.shape[2],
                ink_threshold=self.config.ink_threshold,
                readout=self.config.readout,
                alphabet=self.lesson.targets.answered,
            )

    def _largest_answers(self) -> list[float]:
        """The largest answer in each hidden layer to images that are not warped."""
        images = self.images[:CALIBRATION_IMAGES].float()
        state = reference.ink(images, self.config.ink_threshold).flatten(1).float()
        largest: list[float] = []
        for number in range(self.config.layer_count - 1):
            weights, biases = self.layer(number)
            state = self.answers(state @ weights.T + biases)
            largest.append(float(state.max()))
        return largest
