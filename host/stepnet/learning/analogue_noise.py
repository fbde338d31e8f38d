"""What arrays of analogue memory would add to the sums of a network that learns to live in them.

The arrays are those of `stepnet.analogue`, with comparators alone and thresholds in rows, so that
nothing but their imperfections remains. Every few steps of the rule see another programming, read
after another time. How cells behave is known to the package that offers the memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepnet.analogue import SECONDS, AnalogueMemory, ArraySettings, memory
from stepnet.learning.learner import random_state, restore_random
from stepnet.networks.network import Layer

EARLIEST_S, LATEST_S = 1.0, SECONDS["year"]
"""The times after programming that are drawn, evenly on a logarithmic scale: cells fade with powers
of time."""

STEPS_PER_PROGRAMMING = 4
"""How many steps of the rule see the same programming: to draw one takes as long as some steps."""


class AnalogueNoise:
    """The imperfections of arrays of the memory of this name, one programming after the other.

    Raises AnalogueError if nobody offers it.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.memory: AnalogueMemory = memory(name)
        self.settings = ArraySettings()
        self.random = np.random.default_rng(seed)
        self.start_pass()

    def start_pass(self) -> None:
        """Forget the last programming, so that a pass depends on the generator alone."""
        self.steps = 0

    def start_step(self) -> None:
        """Take the programming for one more step, or all layers programmed anew and read at
        another time.
        """
        if self.steps % STEPS_PER_PROGRAMMING == 0:
            self.seconds = EARLIEST_S * (LATEST_S / EARLIEST_S) ** self.random.random()
            self.programmed: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self.steps += 1

    def deviations(
        self, number: int, layer: Layer, compared: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """By how much weights, (n_out, n_in), and thresholds, (n_out,), of layer `number` are off;
        see `stepnet.analogue.AnalogueMemory.deviations`.
        """
        if number not in self.programmed:
            self.programmed[number] = self.memory.deviations(
                layer, self.settings, self.seconds, self.random, compared=compared
            )
        return self.programmed[number]

    def state(self) -> NDArray[np.uint64]:
        """What `restore` needs to draw the same in the next pass."""
        return random_state(self.random)

    def restore(self, state: NDArray[np.generic]) -> None:
        """Take up a `state`."""
        restore_random(self.random, state)
