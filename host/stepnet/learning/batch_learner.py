# pyright: basic
# (torch publishes many functions without complete types)
"""What the rules that go over the images batch by batch have in common: the pass itself.

Each has its own network, what that sees of an image, and how it moves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.augmentation import warp
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import State
from stepnet.learning.lesson import Lesson
from stepnet.learning.schedule import rate
from stepnet.learning.torch_state import restore_tensors, tensors_state, threads
from stepnet.networks.kinds import AnyNetwork


class BatchLearner(ABC):
    """A network under training; a `stepnet.learning.learner.Learner`.

    parameters: the tensors that passes change, by name; a rule fills them in.

    Raises TrainingError in `learn` if the loss is no longer a number.
    """

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.lesson = Lesson(config.readout, dataset.alphabet)
        self.images = torch.tensor(dataset.images)
        self.indices = torch.from_numpy(self.lesson.targets.indices(dataset.labels))
        self.batches = max(1, len(dataset) // config.step_images)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.parameters: dict[str, Tensor] = {}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs of an image, then the neurons of each layer, of the last one the trained rows."""
        return (self.images[0].numel(), *self.config.hidden, self.lesson.rows)

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
            indices = self.indices[batch]
            excess = self.excess(self.seen(batch))
            loss = self.lesson.loss(excess, self.lesson.chances(indices))
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss.item()} in epoch {epoch}; give a lower learning rate "
                    f"than {self.config.learning_rate}."
                )
            self.descend(loss, learning_rate)
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

    @abstractmethod
    def seen(self, batch: Tensor) -> Tensor:
        """What the network sees of warped images, floats of 0 and 1; (N, ...) from the places of N
        images."""

    @abstractmethod
    def excess(self, seen: Tensor) -> Tensor:
        """By how much each trained row exceeds its threshold, brought to a common scale: (N, rows)
        from what `seen` gives."""

    @abstractmethod
    def descend(self, loss: Tensor, learning_rate: float) -> None:
        """Move the parameters one step down."""

    @abstractmethod
    def export(self, name: str) -> AnyNetwork:
        """The network as it stands, under this name."""

    def state(self) -> State:
        """A copy of the parameters and the state of the random generator."""
        return {
            **tensors_state(self.parameters, ""),
            "generator": self.generator.get_state().numpy().copy(),
        }

    def restore(self, state: State) -> None:
        """Take up a state that a learner of the same configuration and data had."""
        restore_tensors(self.parameters, state, "")
        self.generator.set_state(torch.from_numpy(np.array(state["generator"], dtype=np.uint8)))

    def warped(self, batch: Tensor) -> Tensor:
        """The grey values of warped images: (N, height, width) float."""
        images = self.images[batch].float()
        if self.config.augmentation:
            images = warp(images, self.config.augmentation, self.generator)
        return images
