# pyright: basic
# (torch publishes many functions without complete types)
"""Rule surrogate: gradient descent on a network of steps, with a slope that stands in for them.

`stepnet.learning.train` uses it for `rule="surrogate"`, the usual one. The model is in
`stepnet.learning.step_model`, the slopes are in `stepnet.learning.surrogates`, what the last layer
is taught is in `stepnet.learning.lesson`. Here is the run: Adam, whose rate follows
`stepnet.learning.schedule`, over warped and binarised images.

Two helpers may join in, and both are gone when the network is exported. Class detectors read the
last hidden layer, one for each character, and what they have to learn adds to the loss; so the
layer has to tell all characters apart before it has to spell them. A teacher, trained first, gives
each image a lesson softer than its label, see `stepnet.learning.teaching`.

For analogue arrays, every few steps see the sums of another programming of them; gradients reach
the weights as if they were the integers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.analogue_noise import AnalogueNoise
from stepnet.learning.augmentation import warp
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import State
from stepnet.learning.starting import alphabet_from
from stepnet.learning.step_model import Imperfection, ScoreLayer, StepModel
from stepnet.learning.taking_up import take_up
from stepnet.learning.teaching import Teaching
from stepnet.learning.torch_state import (
    device_of,
    optimiser_state,
    restore_optimiser,
    restore_tensors,
    tensors_state,
    threads,
)
from stepnet.networks import reference
from stepnet.networks.network import Layer, Network

DETECTOR_RATE = 0.1
"""The learning rate of the class detectors, in parts of that of the network: their weights are real
numbers and stay so, and need no steps large enough to change a quantised weight."""


class SurrogateLearner:
    """The rule at work on all of `dataset`; see `stepnet.learning.learner.Learner`.

    With a teacher, the first `config.teacher_epochs` passes are the teacher's.

    start: the network that it goes on from, whose alphabet it keeps; None for random weights. It
        suits `config` and `dataset`, as `stepnet.learning.starting` sees to.
    """

    def __init__(self, config: Config, dataset: Dataset, start: Network | None = None) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        device = device_of(config.device)
        self.images = torch.tensor(dataset.images).to(device)
        height, width = self.images.shape[1:]
        self.alphabet = alphabet_from(start, dataset) if start else dataset.alphabet
        self.model = StepModel(config, height, width, self.alphabet, self.generator)
        self.model.to(device)
        if start:
            take_up(self.model, start, self._binarise(self.images))
        indices = self.model.lesson.targets.indices(dataset.labels)
        self.indices = torch.from_numpy(indices).to(device)
        self.teaching = Teaching(
            config, self.images, self.indices, len(self.alphabet), self.generator
        )
        self.noise = AnalogueNoise(config.analogue, config.seed) if config.analogue else None
        self.detectors = self._new_detectors() if config.auxiliary else {}
        self.optimiser = torch.optim.Adam(
            [
                {"params": list(self.model.parameters().values()), "factor": 1.0},
                {"params": list(self.detectors.values()), "factor": DETECTOR_RATE},
            ],
            fused=True,
        )
        self.batches = max(1, len(self.images) // config.step_images)

    def _new_detectors(self) -> dict[str, Tensor]:
        n_in = self.model.features
        shape = (len(self.alphabet), n_in)
        weights = torch.randn(shape, generator=self.generator) / n_in**0.5
        return {
            "weights": weights.to(self.images.device).requires_grad_(),
            "biases": torch.zeros(shape[0], device=self.images.device, requires_grad=True),
        }

    def learn(self, epoch: int) -> Iterator[Progress]:
        """One pass; raises TrainingError if the loss is no longer a number."""
        teaching = self.teaching.at_work(epoch)
        loss_sum, right, seen = 0.0, 0, 0
        if self.noise:
            self.noise.start_pass()
        order = torch.randperm(len(self.images), generator=self.generator)
        for number, batch in enumerate(order.tensor_split(self.batches)):
            _, factor = self.teaching.course(epoch, number, self.batches)
            with threads(self.config.threads):
                images = self.images[batch].float()
                if self.config.augmentation:
                    images = warp(images, self.config.augmentation, self.generator)
                if teaching:
                    loss, hits = self.teaching.learn(images, batch, factor)
                else:
                    chances = self.teaching.chances(self.model.lesson, batch)
                    loss, hits = self._learn_batch(images, chances, self.indices[batch], factor)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss.item()} in epoch {epoch}; give a lower learning rate "
                    f"than {self.config.peak_rate}."
                )
            seen += len(batch)
            loss_sum += loss.item() * len(batch)
            right += int(hits.sum())
            yield Progress(
                epoch=epoch,
                epochs=self.config.passes,
                images_done=(epoch - 1) * len(self.images) + seen,
                images_total=self.config.passes * len(self.images),
                loss=loss_sum / seen,
                accuracy=right / seen,
                learning_rate=factor if teaching else self.config.peak_rate * factor,
                teaching=teaching,
            )

    def _learn_batch(
        self, images: Tensor, chances: Tensor, indices: Tensor, factor: float
    ) -> tuple[Tensor, Tensor]:
        """One step on one batch; returns its loss and which codes were right before it."""
        lesson = self.model.lesson
        pixels = self._binarise(images).float()
        features, excess = self.model.forward(pixels, self._imperfections())
        loss = lesson.loss(excess, chances)
        if self.detectors:
            scores = functional.linear(
                features, self.detectors["weights"], self.detectors["biases"]
            )
            loss = loss + self.config.auxiliary * functional.cross_entropy(scores, chances)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.peak_rate * factor * group["factor"]
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.model.clip()
        return loss.detach(), lesson.right(excess, indices)

    def _imperfections(self) -> list[Imperfection] | None:
        """Those of the arrays that this step sees, layer by layer; None without arrays."""
        if self.noise is None:
            return None
        self.noise.start_step()
        return [
            functools.partial(_in_arrays, self.noise, number, isinstance(layer, ScoreLayer))
            for number, layer in enumerate(self.model.layers)
        ]

    def _binarise(self, images: Tensor) -> Tensor:
        """Input bits as the reference has them: (N, pixels) bool."""
        return reference.ink(images, self.config.ink_threshold).flatten(1)

    def _tensors(self) -> dict[str, Tensor]:
        """Everything that a pass changes, except what the optimisers remember and the generator."""
        tensors = {f"model_{name}": tensor for name, tensor in self.model.parameters().items()}
        tensors |= {f"detectors_{name}": tensor for name, tensor in self.detectors.items()}
        return tensors | self.teaching.tensors()

    def state(self) -> State:
        """See `Learner.state`."""
        state = tensors_state(self._tensors(), "")
        state |= optimiser_state(self.optimiser, "optimiser_")
        state |= self.teaching.optimiser_state()
        if self.noise:
            state["noise"] = self.noise.state()
        return {**state, "generator": self.generator.get_state().numpy()}

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        restore_tensors(self._tensors(), state, "")
        restore_optimiser(self.optimiser, state, "optimiser_")
        self.teaching.restore_optimiser(state)
        if self.noise:
            self.noise.restore(state["noise"])
        self.generator.set_state(torch.from_numpy(state["generator"].copy()))

    def export(self, name: str) -> Network:
        """The network as it stands; its statistics are those of the unwarped training images."""
        with threads(self.config.threads):
            self.model.set_statistics(self._binarise(self.images))
            layers = self.model.export()
        _, height, width = self.images.shape
        return Network(
            name=name,
            layers=layers,
            height=height,
            width=width,
            ink_threshold=self.config.ink_threshold,
            readout=self.config.readout,
            alphabet=self.model.lesson.targets.answered,
            code_prefix=self.model.lesson.targets.code_prefix,
        )


def _in_arrays(
    noise: AnalogueNoise, number: int, compared: bool, layer: Layer, activations: Tensor
) -> Tensor:
    """The imperfection of the arrays that hold layer `number`; see `Imperfection`.

    compared: whether its neurons are compared with each other.
    """
    weights, thresholds = map(torch.from_numpy, noise.deviations(number, layer, compared))
    return functional.linear(activations, weights, -thresholds)
