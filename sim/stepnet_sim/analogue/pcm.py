"""Cells of phase-change memory: what becomes of a conductance that is programmed.

The model is statistical and was fitted to a million cells; conductances G in microsiemens, g their
part of the largest one, N(0, 1) a normal number of each cell's own:

    programmed      G_p = max(0, G + s(g) N(0, 1))
                    s(g) = 0.26348 + 1.9650 g - 1.1731 g^2              at most 25 microsiemens
    drift           G_d(t) = G_p ((t + t_0) / t_0)^-n,  t_0 = 20 s
                    n = |m(g) + d(g) N(0, 1)|
                    m(g) = -0.0155 ln g + 0.0244 within 0.049 .. 0.1
                    d(g) = -0.0125 ln g - 0.0059 within 0.008 .. 0.045
    read            G_r(t) = max(0, G_d (1 + Q(g_p) sqrt(ln((t + t_0 + t_r) / 2 t_r)) N(0, 1)))
                    Q(g) = 0.0088 g^-0.65, at most 0.2,  t_r = 250 ns

t counts from the end of programming, when a cell is verified at t_0. Q is the strength of 1/f
noise, which grows with the time for which it has gathered; it is slow beside an inference, so it is
drawn once for all images that are read at one time. A cell that should not conduct at all is
programmed like the others and ends a little above 0.

Sources: Nandakumar et al., "Phase-change memory models for deep learning training and inference",
ICECS 2019 (doi 10.1109/ICECS46596.2019.8964852); Joshi et al., Nature Communications 11, 2473
(2020), for the measurements. Constants as in `PCMLikeNoiseModel` of IBM's Analog Hardware
Acceleration Kit (aihwkit 1.1.0; Rasch et al., arXiv:2104.02184), with which
benchmarks/analogue_noise_model.py compares this module.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_US = 25.0
"""The largest conductance that is programmed, in microsiemens."""

VERIFIED_S = 20.0
"""t_0: how long after its pulse a cell is read for the drift's first point."""

READ_S = 250e-9
"""t_r: how long one reading takes."""

PROGRAMMING_US = (0.26348, 1.9650, -1.1731)
"""The polynomial s(g), from the constant on."""

DRIFT_MEAN = (0.0244, -0.0155, 0.049, 0.1)
"""m(g): constant, factor of ln g, and the range that it is kept in."""

DRIFT_SPREAD = (-0.0059, -0.0125, 0.008, 0.045)
"""d(g), in the same way."""

NOISE_FACTOR, NOISE_POWER, NOISE_MOST = 0.0088, -0.65, 0.2
"""Q(g)."""

SMALLEST_PART = 1e-7
"""Where ln g is taken of less, it is taken of this."""


def program(target_us: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """The conductances that cells have after programming, in microsiemens.

    target_us: what they should have, 0 to `LARGEST_US`, of any shape.
    """
    part = target_us / np.float32(LARGEST_US)
    constant, linear, square = map(np.float32, PROGRAMMING_US)
    spread_us = constant + linear * part + square * part**2
    return np.maximum(target_us + spread_us * _normal(target_us, random), np.float32(0))


def drift_exponents(
    target_us: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """The exponents n with which cells drift, of the same shape; each keeps its own for ever."""
    logarithm = np.log(np.maximum(target_us / np.float32(LARGEST_US), np.float32(SMALLEST_PART)))
    mean, spread = (
        np.clip(np.float32(constant) + np.float32(factor) * logarithm, low, high)
        for constant, factor, low, high in (DRIFT_MEAN, DRIFT_SPREAD)
    )
    return np.abs(mean + spread * _normal(target_us, random)).astype(np.float32)


def read(
    programmed_us: NDArray[np.float32],
    exponents: NDArray[np.float32],
    seconds: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """The conductances of programmed cells when they are read, `seconds` after programming."""
    since_pulse_s = seconds + VERIFIED_S
    faded = np.exp(exponents * np.float32(-np.log(since_pulse_s / VERIFIED_S)))
    part = np.maximum(programmed_us / np.float32(LARGEST_US), np.float32(SMALLEST_PART))
    strength = np.minimum(
        np.float32(NOISE_FACTOR) * part ** np.float32(NOISE_POWER), np.float32(NOISE_MOST)
    )
    gathered = np.float32(np.sqrt(np.log((since_pulse_s + READ_S) / (2 * READ_S))))
    noisy = programmed_us * faded * (1 + strength * gathered * _normal(programmed_us, random))
    return np.maximum(noisy, np.float32(0))


def _normal(like: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    return random.standard_normal(like.shape, dtype=np.float32)
