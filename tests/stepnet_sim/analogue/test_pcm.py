"""The cells: mean and spread of many of them are those of the published formulas."""

import math

import numpy as np
import pytest

from stepnet_sim.analogue import pcm

CELLS = 400_000


def cells(conductance_us):
    return np.full(CELLS, conductance_us, dtype=np.float32)


@pytest.mark.parametrize(
    ("target_us", "spread_us"), [(25.0, 1.05538), (12.5, 0.952705), (5.0, 0.609556)]
)
def test_programming_spreads_as_the_polynomial_says(target_us, spread_us):
    programmed = pcm.program(cells(target_us), np.random.default_rng(0))
    assert programmed.dtype == np.float32
    assert programmed.mean() == pytest.approx(target_us, abs=0.01)
    assert programmed.std() == pytest.approx(spread_us, rel=0.01)


def test_a_cell_that_should_not_conduct_ends_at_0_or_a_little_above():
    programmed = pcm.program(cells(0.0), np.random.default_rng(0))
    assert programmed.min() == 0
    # The mean of the positive half of a normal distribution.
    assert programmed.mean() == pytest.approx(0.26348 / math.sqrt(2 * math.pi), rel=0.01)


@pytest.mark.parametrize(
    ("target_us", "mean", "spread"),
    [(25.0, 0.049, 0.008), (5.0, 0.049346, 0.014218), (2.5, 0.060090, 0.022882)],
)
def test_exponents_of_drift(target_us, mean, spread):
    exponents = pcm.drift_exponents(cells(target_us), np.random.default_rng(0))
    assert exponents.mean() == pytest.approx(mean, rel=0.01)
    assert exponents.std() == pytest.approx(spread, rel=0.02)
    assert exponents.min() >= 0


@pytest.mark.parametrize(
    ("seconds", "fading", "spread"),
    [(0, 1.0, 0.036818), (86_400, 0.663524, 0.044764), (31_557_600, 0.496929, 0.049606)],
)
def test_reading_fades_with_a_power_of_time_and_is_noisy(seconds, fading, spread):
    exponents = np.full(CELLS, 0.049, dtype=np.float32)
    found = pcm.read(cells(25.0), exponents, seconds, np.random.default_rng(0)) / 25
    assert found.mean() == pytest.approx(fading, rel=0.002)
    assert found.std() / found.mean() == pytest.approx(spread, rel=0.01)


def test_noise_of_small_conductances_is_stronger_up_to_a_limit():
    exponents = np.zeros(CELLS, dtype=np.float32)
    gathered = math.sqrt(math.log(20 / 500e-9))
    # One standard deviation above the middle, where no conductance is cut off at 0.
    strengths = [
        (
            np.quantile(pcm.read(cells(us), exponents, 0, np.random.default_rng(0)), 0.841345) / us
            - 1
        )
        / gathered
        for us in (25.0, 2.5, 0.01)
    ]
    assert strengths == pytest.approx([0.0088, 0.0088 * 10**0.65, 0.2], rel=0.02)
