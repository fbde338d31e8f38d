# pyright: basic
# (torch publishes many functions without complete types)
"""Rule lut: gradient descent on the tables and wires of a network of look-up tables.

`stepnet.learning.train` uses it for `rule="lut"`. The model is in `stepnet.learning.lut_model`;
what the counts are taught is in `stepnet.learning.lesson`, where a row's excess is how far its
count is above half of its tables, divided by a temperature. Images, warps, batches and the course
of the rate are those of the other rules.
"""

from __future__ import annotations

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
from stepnet.learning.lut_model import MOMENTUM, SECOND_MOMENT, Gathering, LutModel
from stepnet.learning.pixel_choice import most_telling
from stepnet.learning.teaching import Teaching
from stepnet.learning.torch_state import (
    optimiser_state,
    restore_optimiser,
    restore_tensors,
    tensors_state,
    threads,
)
from stepnet.networks import reference
from stepnet.networks.lut import LutLayer, LutNetwork
from stepnet.networks.network import Readout

WIRE_RATE = 0.7
"""The learning rate of the wires' weights, in parts of that of the tables."""

TEMPERATURE_FACTOR, TEMPERATURE_POWER = 0.24, 0.57
"""The usual temperature is the first of these times the tables of a row to the power of the
second."""


class LutLearner:
    """The rule at work on all of `dataset`; see `stepnet.learning.learner.Learner`.

    Raises TrainingError if there are fewer tables than rows to be counted.
    """

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.images = torch.tensor(dataset.images)
        self.lesson = Lesson(config.readout, dataset.alphabet)
        if config.tables < self.lesson.rows:
            raise TrainingError(
                f"There are {config.tables} tables for {self.lesson.rows} counts; give at least "
                "one for each, better a hundred."
            )
        self.indices = torch.from_numpy(self.lesson.targets.indices(dataset.labels))
        self.teaching = Teaching(
            config, self.images, self.indices, len(dataset.alphabet), self.generator
        )
        pixels = reference.ink(dataset.images, config.ink_threshold)
        chosen = most_telling(pixels, config.gathered or config.pixels)
        self.gathering = None
        if config.gathered:
            # Where few pixels tell all, several tables begin with the same one.
            chosen = np.resize(chosen, config.gathered)
            self.gathering = Gathering(chosen, pixels[0].size, self.generator)
        self.model = LutModel(
            torch.arange(len(chosen)) if self.gathering else torch.from_numpy(chosen),
            self.lesson.rows,
            config.tables,
            config.table_inputs,
            self.generator,
        )
        sizes = self.model.sizes.float()
        self.temperature = (
            TEMPERATURE_FACTOR * float(sizes.mean()) ** TEMPERATURE_POWER
            if config.temperature is None
            else config.temperature
        )
        nearest = config.readout is Readout.NEAREST
        self.thresholds = torch.zeros_like(sizes) if nearest else (sizes / 2).ceil()
        self.latents = [self.model.counted.latents, self.model.first.latents]
        if self.gathering:
            self.latents.append(self.gathering.tables.latents)
        self.optimiser = torch.optim.Adam(
            self.latents, betas=(MOMENTUM, SECOND_MOMENT), eps=1e-12, fused=True
        )
        self.batches = max(1, len(self.images) // config.step_images)

    def learn(self, epoch: int) -> Iterator[Progress]:
        """Make pass `epoch`; yields after every batch."""
        count, epochs = len(self.images), self.config.passes
        teaching = self.teaching.at_work(epoch)
        loss_sum, right, seen = 0.0, 0, 0
        order = torch.randperm(count, generator=self.generator)
        for number, batch in enumerate(order.tensor_split(self.batches)):
            step, factor = self.teaching.course(epoch, number, self.batches)
            with threads(self.config.threads):
                images = self._warped(batch)
                if teaching:
                    loss, hits = self.teaching.learn(images, batch, factor)
                else:
                    loss, hits = self._learn_batch(images, batch, step, factor)
            seen += len(batch)
            loss_sum += loss.item() * len(batch)
            right += int(hits.sum())
            yield Progress(
                epoch=epoch,
                epochs=epochs,
                images_done=(epoch - 1) * count + seen,
                images_total=epochs * count,
                loss=loss_sum / seen,
                accuracy=right / seen,
                learning_rate=factor if teaching else self.config.peak_rate * factor,
                teaching=teaching,
            )

    def _learn_batch(
        self, images: Tensor, batch: Tensor, step: int, factor: float
    ) -> tuple[Tensor, Tensor]:
        """One step on one batch; returns its loss and which codes were right before it."""
        counts = self.counts(self._pixels(images)).requires_grad_()
        excess = (counts - self.thresholds + self._tie) / self.temperature
        loss = self.lesson.loss(excess, self.teaching.chances(self.lesson, batch))
        (gradient,) = torch.autograd.grad(loss, [counts])
        learning_rate = self.config.peak_rate * factor
        with torch.no_grad():
            wire_rate = WIRE_RATE * learning_rate
            of_counted, of_first, of_inputs, of_weights = self.model.backward(gradient)
            of_latents = [of_counted, of_first]
            if self.gathering:
                of_bits = self.model.of_candidates(of_inputs)
                of_gathered, of_places = self.gathering.backward(of_bits)
                of_latents.append(of_gathered)
                self.gathering.wires.move(of_places, step + 1, wire_rate)
            for latents, of_these in zip(self.latents, of_latents, strict=True):
                latents.grad = of_these
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
            for latents in self.latents:
                latents.clamp_(-1, 1)
            self.model.wires.move(of_weights, step + 1, wire_rate)
        return loss.detach(), self.lesson.right(excess, self.indices[batch])

    @property
    def _tie(self) -> float:
        """What is added to each count: a half where rows fire at their threshold, so that learning
        sees both sides of it alike.
        """
        return 0.0 if self.config.readout is Readout.NEAREST else 0.5

    def counts(self, pixels: Tensor) -> Tensor:
        """The counts of images, (N, rows) float, from their bits, (pixels, N) uint8."""
        if self.gathering:
            return self.model.forward(self.gathering.forward(pixels))
        return self.model.forward(pixels[self.model.candidates])

    def _tensors(self) -> dict[str, Tensor]:
        """All that training changes, but for what the optimiser of the latents remembers."""
        tensors = {f"model_{name}": tensor for name, tensor in self.model.tensors().items()}
        if self.gathering:
            tensors["gathered"] = self.gathering.tables.latents
            wires = self.gathering.wires.tensors()
            tensors |= {f"gathering_{name}": tensor for name, tensor in wires.items()}
        return tensors | self.teaching.tensors()

    def _warped(self, batch: Tensor) -> Tensor:
        """The grey values of warped images: (N, height, width) float."""
        images = self.images[batch].float()
        if self.config.augmentation:
            images = warp(images, self.config.augmentation, self.generator)
        return images

    def _pixels(self, images: Tensor) -> Tensor:
        """The images' bits as the reference has them: (pixels, N) uint8."""
        return reference.ink(images, self.config.ink_threshold).flatten(1).T.to(torch.uint8)

    def state(self) -> State:
        """See `Learner.state`."""
        return {
            **tensors_state(self._tensors(), ""),
            **optimiser_state(self.optimiser, "optimiser_"),
            **self.teaching.optimiser_state(),
            "generator": self.generator.get_state().numpy().copy(),
        }

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        restore_tensors(self._tensors(), state, "")
        restore_optimiser(self.optimiser, state, "optimiser_")
        self.teaching.restore_optimiser(state)
        self.generator.set_state(torch.from_numpy(np.array(state["generator"], dtype=np.uint8)))

    def export(self, name: str) -> LutNetwork:
        """The network as it stands, which computes bit for bit what training computed."""
        targets = self.lesson.targets
        _, height, width = self.images.shape
        # Rows that nobody trains have no tables: a count of 0 reaches 0 and does not reach 1.
        always = targets.wanted.max(axis=0) > 0
        thresholds = np.where(always, 0, 1).astype(np.int32)
        thresholds[targets.trained_rows] = self.thresholds.numpy()
        return LutNetwork(
            name=name,
            layers=self._layers(height * width),
            counts=self.model.counts(thresholds, targets.trained_rows),
            height=height,
            width=width,
            ink_threshold=self.config.ink_threshold,
            readout=self.config.readout,
            alphabet=targets.answered,
            code_prefix=targets.code_prefix,
        )

    def _layers(self, pixels: int) -> tuple[LutLayer, ...]:
        if not self.gathering:
            return self.model.export(pixels)
        gathered = self.gathering.export(pixels)
        return (gathered, *self.model.export(gathered.n_out))
