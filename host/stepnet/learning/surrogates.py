# pyright: basic
# (torch publishes many functions without complete types)
"""Steps and roundings that gradients pass through, for rule surrogate.

Forward, a step is a step and a rounded weight is rounded, as in hardware. Backward, something with
a slope stands in for them: the surrogate. With x the distance from the threshold in normalised
sums, and dy/dx what counts as the slope of `y = 1 if x >= 0 else 0`:

    straight-through   1
    hard-tanh          1 if |x| <= 1 else 0
    sigmoid            4 s (1 - s) with s = 1 / (1 + exp(-2 x))
    arctan             1 / (1 + (pi x / 2)^2)
    triangle           max(0, 1 - |x| / 2)

All but the first are 1 at the threshold and have an area of 2, so they differ in shape alone.

Sources: straight-through Bengio, Léonard and Courville (arXiv:1308.3432); hard tanh Courbariaux et
al. (arXiv:1602.02830); the derivative of a sigmoid Zenke and Ganguli (arXiv:1705.11146) in the
family of functions of the same purpose; arctan Fang et al. (arXiv:2007.05785); triangle Esser et
al. (arXiv:1603.08270).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from stepnet.learning.settings import TERNARY

SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "straight-through": torch.ones_like,
    "hard-tanh": lambda x: (x.abs() <= 1).to(x.dtype),
    "sigmoid": lambda x: 1 - torch.tanh(x) ** 2,  # 4 s (1 - s), as s is (1 + tanh x) / 2
    "arctan": lambda x: 1 / (1 + (math.pi / 2 * x) ** 2),
    "triangle": lambda x: (1 - x.abs() / 2).clamp(min=0),
}
"""The slope at every element of a tensor, by the name of the surrogate."""


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, surrogate: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = SLOPES[surrogate]
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.slope(x), None


def step(x: Tensor, surrogate: str) -> Tensor:
    """1 where x >= 0, else 0. A gradient is multiplied by the slope of `surrogate`, one of
    `SLOPES`.
    """
    return cast(Tensor, _Step.apply(x, surrogate))


class _Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latent: Tensor, kind: int | str) -> Tensor:
        if kind == 1:
            return torch.where(latent >= 0, 1.0, -1.0)
        if kind == 2:
            return torch.round(1.5 * latent - 0.5)
        return torch.round(latent * largest(kind))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def quantise(latent: Tensor, kind: int | str) -> Tensor:
    """The weight for each latent value in -1..1. A gradient passes unchanged.

    kind: 1 makes weights -1 and +1, "ternary" -1, 0 and 1, and 2 makes -2 to 1. 3 to 8 bits make
    integers of at most 2^(kind-1) - 1 either way, so that a neuron can change its sign.
    """
    return cast(Tensor, _Quantise.apply(latent, kind))


def largest(kind: int | str) -> int:
    """The largest weight of this kind."""
    return 1 if kind in (1, TERNARY) else (1 << int(kind) - 1) - 1


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def round_through(x: Tensor) -> Tensor:
    """The nearest integer. A gradient passes unchanged."""
    return cast(Tensor, _Round.apply(x))
