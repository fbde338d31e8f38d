# pyright: basic
# (torch publishes many functions without complete types)
"""Random warps of training images, a whole batch at once, so that a network learns more than the
images it has.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

ROTATION_RAD = math.radians(7.5)
SCALE = 0.08
SHEAR = 0.12
SHIFT_PIXELS = 1.0
BEND_PIXELS = 0.8
"""Standard deviation of the elastic displacement at its control points."""

STROKE_LOG_GAIN = 1.0
"""Limit of the logarithm of the gain on grey values. The edge of a stroke is grey, so with another
gain more or less of it reaches the ink threshold, and the stroke is wider or narrower."""

CONTROL_POINTS = 5
"""Displacements are drawn on a square grid of this side and interpolated between."""


def warp(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Every image rotated, scaled, sheared, shifted and bent at random, its strokes made wider or
    narrower.

    images: (N, height, width) float from 0 to 255; so is the result, with 0 where it shows what
    lies outside of the image.
    strength: factor on all amounts.
    generator: one of the CPU, so that the same numbers are drawn wherever the images lie.

    Rotation, shear, shift and the logarithms of the scale in x and y and of the gain are uniform
    within their limits; the bending is a smooth normal displacement field (after Simard, Steinkraus
    and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003).
    """
    count, height, width = images.shape

    def uniform(limit: float) -> Tensor:
        drawn = torch.rand(count, 1, generator=generator).to(images.device)
        return (2 * drawn - 1) * limit * strength

    # Positions are in half image sides from the centre, so a pixel is 2 / side.
    side = torch.linspace(-1, 1, CONTROL_POINTS, device=images.device)
    y, x = torch.meshgrid(side * (1 - 1 / height), side * (1 - 1 / width), indexing="ij")
    x, y = x.reshape(1, -1), y.reshape(1, -1)
    angle, shear = uniform(ROTATION_RAD), uniform(SHEAR)
    x, y = x * torch.exp(uniform(SCALE)) + y * shear, y * torch.exp(uniform(SCALE))
    x, y = x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()
    bend = torch.randn(2, *x.shape, generator=generator).to(images.device)
    bend = bend * BEND_PIXELS * strength
    x = x + (uniform(SHIFT_PIXELS) + bend[0]) * (2 / width)
    y = y + (uniform(SHIFT_PIXELS) + bend[1]) * (2 / height)
    # Linear interpolation keeps the affine part exact, so only control points need computing.
    sources = torch.stack([x, y], dim=1) @ _interpolation(height, width).to(images.device)
    grid = sources.reshape(count, 2, height, width).permute(0, 2, 3, 1)
    warped = functional.grid_sample(images[:, None], grid, mode="bilinear", align_corners=False)
    return (warped[:, 0] * torch.exp(uniform(STROKE_LOG_GAIN))[:, :, None]).clamp(max=255)


@cache
def _interpolation(height: int, width: int) -> Tensor:
    """What each control point contributes to each pixel: (points, pixels)."""
    points = CONTROL_POINTS**2
    single = torch.eye(points).reshape(points, 1, CONTROL_POINTS, CONTROL_POINTS)
    spread = functional.interpolate(single, (height, width), mode="bilinear", align_corners=True)
    return spread.reshape(points, height * width)
