# pyright: basic
# (torch publishes many functions without complete types)
"""What images are said to show while a network learns: by their labels, and by a teacher.

The rules `surrogate` and `lut` share it. Without distillation there are the labels alone. With it
the first passes of a run are the teacher's own, see `stepnet.learning.teacher`; afterwards its
answers take the place of a part of each label.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stepnet.learning.config import Config
from stepnet.learning.learner import State
from stepnet.learning.lesson import Lesson
from stepnet.learning.schedule import rate
from stepnet.learning.teacher import Teacher
from stepnet.learning.torch_state import optimiser_state, restore_optimiser

ASKED_AT_ONCE = 1024
"""How many images the teacher is shown together."""


class Teaching:
    """The labels and the teacher of one run.

    images: (N, height, width) uint8, those that the network learns, unwarped.
    indices: (N,) int64, the place of each image's character in the alphabet.
    characters: of the alphabet.
    generator: draws the teacher's first weights; nothing is drawn without a teacher.
    passes: how many passes are the teacher's, before the network's.
    """

    def __init__(
        self,
        config: Config,
        images: Tensor,
        indices: Tensor,
        characters: int,
        generator: torch.Generator,
    ) -> None:
        self.images = images
        self.indices = indices
        self.part = config.distillation
        self.epochs = config.epochs
        self.passes = config.passes - config.epochs
        self.teacher = None
        if config.distillation:
            _, height, width = images.shape
            self.teacher = Teacher(height, width, characters, generator)
            self.teacher.network.to(images.device)
        self._answers: Tensor | None = None

    def at_work(self, epoch: int) -> bool:
        """Whether pass `epoch`, 1 for the first, is one of the teacher's."""
        return epoch <= self.passes

    def course(self, epoch: int, number: int, batches: int) -> tuple[int, float]:
        """How many steps whoever learns in pass `epoch` has made before batch `number` of it, and
        the factor on the learning rate there.

        batches: of a pass.
        """
        teaching = self.at_work(epoch)
        before, passes = (0, self.passes) if teaching else (self.passes, self.epochs)
        step = (epoch - 1 - before) * batches + number
        return step, rate(step, passes * batches)

    def learn(self, images: Tensor, batch: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """One step of the teacher; returns its loss and which images were right before it.

        images: as warped. batch: their places. factor: on the learning rate.
        """
        assert self.teacher is not None, "only a teacher has passes of its own"
        return self.teacher.learn(images, self.indices[batch], factor)

    def chances(self, lesson: Lesson, batch: Tensor) -> Tensor:
        """How probable each character is for each image of a batch, by its label and the teacher.

        The teacher is asked once about each image, unwarped; a warp does not change what it shows.
        """
        chances = lesson.chances(self.indices[batch])
        if self.teacher is None:
            return chances
        if self._answers is None:
            self._answers = torch.cat(
                [self.teacher.chances(part.float()) for part in self.images.split(ASKED_AT_ONCE)]
            )
        return chances.lerp(self._answers[batch], self.part)

    def tensors(self) -> dict[str, Tensor]:
        """What passes change, by name, except what the optimiser remembers."""
        if self.teacher is None:
            return {}
        module = self.teacher.network.state_dict()
        return {f"teacher_{name}": tensor for name, tensor in module.items()}

    def optimiser_state(self) -> State:
        """What the teacher's optimiser remembers."""
        if self.teacher is None:
            return {}
        return optimiser_state(self.teacher.optimiser, "teacher_optimiser_")

    def restore_optimiser(self, state: State) -> None:
        """Let the teacher's optimiser remember what `optimiser_state` gave."""
        if self.teacher is not None:
            restore_optimiser(self.teacher.optimiser, state, "teacher_optimiser_")
        self._answers = None
