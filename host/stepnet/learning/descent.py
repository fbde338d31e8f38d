# pyright: basic
# (torch publishes many functions without complete types)
"""Plain stochastic gradient descent, for the rules that train ordinary neurons.

Backpropagation on batches, without momentum: `w -= rate * dL/dw` (Rumelhart, Hinton and Williams,
Nature 323, 1986). Images, warps, batches, loss and the course of the rate are those of rule
surrogate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.augmentation import warp
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import State
from stepnet.learning.lesson import Lesson
from stepnet.learning.schedule import rate
from stepnet.learning.torch_state import restore_tensors, tensors_state, threads
from stepnet.networks import reference
from stepnet.networks.kinds import AnyNetwork


class DescentLearner(ABC):
    """A network of ordinary neurons under training; a `stepnet.learning.learner.Learner`.

    Raises TrainingError in `learn` if the loss is no longer a number.
    """

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.lesson = Lesson(config.readout, dataset.alphabet)
        self.images = torch.tensor(dataset.images)
        self.indices = torch.from_numpy(self.lesson.targets.indices(dataset.labels))
        self.batches = max(1, len(dataset) // config.step_images)
        self.generator = torch.Generator().manual_seed(config.seed)
        sizes = (self.images[0].numel(), *config.hidden, self.lesson.rows)
        self.parameters: dict[str, Tensor] = {}
        for number, (n_in, n_out) in enumerate(pairwise(sizes)):
            weights, biases = self.starting(number, n_in, n_out)
            self.parameters[f"weights_{number}"] = weights.requires_grad_()
            self.parameters[f"biases_{number}"] = biases.requires_grad_()

    def learn(self, epoch: int) -> Iterator[Progress]:
        """Make pass `epoch`; yields after every batch."""
        with threads(self.config.threads):
            yield from self._pass(epoch)

    def _pass(self, epoch: int) -> Iterator[Progress]:
        count, epochs = len(self.images), self.config.epochs
        loss_sum, right, seen = 0.0, 0, 0
        order = torch.randperm(count, generator=self.generator)
        for number, batch in enumerate(order.tensor_split(self.batches)):
            step = (epoch - 1) * self.batches + number
            learning_rate = self.config.peak_rate * rate(step, epochs * self.batches)
            pixels, indices = self._pixels(batch), self.indices[batch]
            excess = self.excess(pixels)
            loss = self.lesson.loss(excess, self.lesson.chances(indices))
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss.item()} in epoch {epoch}; give a lower learning rate "
                    f"than {self.config.learning_rate}."
                )
            self._descend(loss, learning_rate)
            seen += len(batch)
            loss_sum += loss.item() * len(batch)
            right += int(self.lesson.right(excess, indices).sum())
            yield Progress(
                epoch=epoch,
                epochs=epochs,
                images_done=(epoch - 1) * count + seen,
                images_total=epochs * count,
                loss=loss_sum / seen,
                accuracy=right / seen,
                learning_rate=learning_rate,
            )

    def excess(self, pixels: Tensor) -> Tensor:
        """The sums of the last layer's trained rows, bias included: (N, rows) from (N, inputs) of 0
        and 1. The bias is minus the threshold, so a row fires where its sum is not negative.
        """
        sums = pixels
        for number in range(self.config.layer_count):
            activations = self.answers(sums) if number else pixels
            weights, biases = self.layer(number)
            sums = functional.linear(activations, weights, biases)
        return sums

    def state(self) -> State:
        """A copy of the weights, the biases and the state of the random generator."""
        return {
            **tensors_state(self.parameters, ""),
            "generator": self.generator.get_state().numpy().copy(),
        }

    def restore(self, state: State) -> None:
        """Take up a state that a learner of the same configuration and data had."""
        restore_tensors(self.parameters, state, "")
        self.generator.set_state(torch.from_numpy(np.array(state["generator"], dtype=np.uint8)))

    @abstractmethod
    def starting(self, number: int, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
        """Weights (n_out, n_in) and biases (n_out,) that layer `number` starts with."""

    @abstractmethod
    def answers(self, sums: Tensor) -> Tensor:
        """What hidden neurons answer to their sums; of the same shape."""

    @abstractmethod
    def export(self, name: str) -> AnyNetwork:
        """The network as it stands, under this name."""

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """Weights and biases of a layer."""
        return self.parameters[f"weights_{number}"], self.parameters[f"biases_{number}"]

    def _pixels(self, batch: Tensor) -> Tensor:
        """Input bits of warped images as the reference has them: (N, pixels) float of 0 and 1."""
        images = self.images[batch].float()
        if self.config.augmentation:
            images = warp(images, self.config.augmentation, self.generator)
        return reference.ink(images, self.config.ink_threshold).flatten(1).float()

    def _descend(self, loss: Tensor, learning_rate: float) -> None:
        """One step of gradient descent."""
        parameters = list(self.parameters.values())
        gradients = torch.autograd.grad(loss, parameters)
        # As a tensor, a rate beyond float32 is infinite; as a number, torch would refuse it.
        factor = torch.tensor(learning_rate)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= factor * gradient
