"""The arrays that learning sees: which programming, for how many steps, read when."""

import numpy as np
import pytest

from stepnet import Layer
from stepnet.learning.analogue_noise import (
    EARLIEST_S,
    LATEST_S,
    STEPS_PER_PROGRAMMING,
    AnalogueNoise,
)

LAYER = Layer(np.ones((3, 5)), np.full(3, 2))


class CountedMemory:
    """Answers with the number of the call."""

    def __init__(self):
        self.seconds = []

    def deviations(self, layer, settings, seconds, random, *, compared):
        assert layer is LAYER
        assert compared
        self.seconds.append(seconds)
        return np.full((3, 5), len(self.seconds)), np.zeros(3)


@pytest.fixture
def noise():
    noise = AnalogueNoise("pcm", 0)
    noise.memory = CountedMemory()
    return noise


def asked(noise, number=0):
    return int(noise.deviations(number, LAYER, True)[0][0, 0])


def test_a_programming_serves_for_some_steps_and_each_layer_has_its_own(noise):
    seen = []
    for _ in range(2 * STEPS_PER_PROGRAMMING + 1):
        noise.start_step()
        seen.append((asked(noise), asked(noise, 1)))
    each = STEPS_PER_PROGRAMMING
    assert seen == [(1, 2)] * each + [(3, 4)] * each + [(5, 6)]
    times = noise.memory.seconds
    assert times[0] == times[1] != times[2]


def test_times_are_spread_over_all_magnitudes(noise):
    for _ in range(400):
        noise.start_pass()
        noise.start_step()
        asked(noise)
    times = np.log(noise.memory.seconds)
    low, high = np.log(EARLIEST_S), np.log(LATEST_S)
    assert low <= times.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < times.max() <= high
    assert np.median(times) == pytest.approx((low + high) / 2, rel=0.15)


def test_a_pass_depends_on_the_state_before_it_alone(noise):
    noise.start_step()
    noise.start_step()
    state = noise.state()
    drawn = []
    for _ in range(2):
        noise.restore(state)
        noise.start_pass()
        noise.start_step()
        asked(noise)
        drawn.append(noise.seconds)
    assert drawn[0] == drawn[1]
