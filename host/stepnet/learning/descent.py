# pyright: basic
# (torch publishes many functions without complete types)
"""Plain stochastic gradient descent, for the rules that train ordinary neurons.

Backpropagation on batches, without momentum: `w -= rate * dL/dw` (Rumelhart, Hinton and Williams,
Nature 323, 1986). Images, warps, batches, loss and the course of the rate are those of rule
surrogate.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from stepnet.data.sets import Dataset
from stepnet.learning.batch_learner import BatchLearner
from stepnet.learning.config import Config
from stepnet.networks import reference


class DescentLearner(BatchLearner):
    """A network of ordinary neurons under training; see `BatchLearner`."""

    def __init__(self, config: Config, dataset: Dataset) -> None:
        super().__init__(config, dataset)
        for number, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            weights, biases = self.starting(number, n_in, n_out)
            self.parameters[f"weights_{number}"] = weights.requires_grad_()
            self.parameters[f"biases_{number}"] = biases.requires_grad_()

    def excess(self, seen: Tensor) -> Tensor:
        """The sums of the last layer's trained rows, bias included: (N, rows) from (N, inputs) of 0
        and 1. The bias is minus the threshold, so a row fires where its sum is not negative.
        """
        sums = seen
        for number in range(self.config.layer_count):
            activations = self.answers(sums) if number else seen
            weights, biases = self.layer(number)
            sums = functional.linear(activations, weights, biases)
        return sums

    @abstractmethod
    def starting(self, number: int, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
        """Weights (n_out, n_in) and biases (n_out,) that layer `number` starts with."""

    @abstractmethod
    def answers(self, sums: Tensor) -> Tensor:
        """What hidden neurons answer to their sums; of the same shape."""

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """Weights and biases of a layer."""
        return self.parameters[f"weights_{number}"], self.parameters[f"biases_{number}"]

    def seen(self, batch: Tensor) -> Tensor:
        """Input bits of warped images as the reference has them: (N, pixels) float of 0 and 1."""
        images = self.warped(batch)
        return reference.ink(images, self.config.ink_threshold).flatten(1).float()

    def descend(self, loss: Tensor, learning_rate: float) -> None:
        """One step of gradient descent."""
        parameters = list(self.parameters.values())
        gradients = torch.autograd.grad(loss, parameters)
        # As a tensor, a rate beyond float32 is infinite; as a number, torch would refuse it.
        factor = torch.tensor(learning_rate)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= factor * gradient
