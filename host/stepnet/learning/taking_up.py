# pyright: basic
# (torch publishes many functions without complete types)
"""From a network of integers back to one under training, for learning that starts from a network.

`take_up` is the way back of `StepModel.export`: the model fires exactly where the network does.
What a network under training has and integers do not keep is made up: how near each weight is to
changing, and how sure the last layer is. Both were chosen by measuring what some hundred images of
one writer make of a network that has never seen that writer (benchmarks/own_handwriting.py).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from stepnet.learning.starting import learned_alphabet
from stepnet.learning.step_model import EPSILON, StepLayer, StepModel
from stepnet.learning.surrogates import largest
from stepnet.learning.targets import Targets
from stepnet.networks.network import Network

ONE_BIT_LATENT = 0.3
"""How far from 0 the latent value of a one-bit weight begins. Nearer, a few images turn weights
around that other characters need."""

TERNARY_LATENT = 0.75
"""The same for a weight of -1 or +1 among ternary ones, whose steps are at 0.5."""

LAST_GAIN = 4.0
"""The scale of the last layer: the logit of a sum that is one standard deviation above its
threshold. A network that is sure
of what it reads changes for what it gets wrong alone."""


FRESH_SHIFT = 1.0
"""Where bits of the code begin that always fired and now have to tell that there is no character:
firing for most images."""


@torch.no_grad()
def take_up(model: StepModel, network: Network, pixels: Tensor) -> None:
    """Give `model` the weights and thresholds of `network`, whose layers it has.

    pixels: (N, inputs) bool, over which the sums' statistics are taken.

    Weights that training cannot have, the lowest of 3 and more bits, become the next ones.
    """
    batches = model.batches(pixels)
    trained = model.lesson.targets.trained_rows
    # Rows that had the same answer for all characters know nothing, and far from their thresholds
    # they would hardly learn.
    taught = Targets.of(network.readout, learned_alphabet(network)).trained_rows
    untaught = ~np.isin(trained, taught)
    for layer, given in zip(model.layers, network.layers, strict=True):
        is_last = layer is model.layers[-1]
        rows = trained if is_last else slice(None)
        weights = torch.tensor(given.weights[rows]).to(layer.latent.device).float()
        thresholds = torch.tensor(given.thresholds[rows]).to(layer.latent.device).double()
        fresh = torch.zeros(len(weights), dtype=torch.bool, device=weights.device)
        if is_last:
            fresh |= torch.from_numpy(untaught).to(fresh.device)
        taken = _latent(weights, layer.kind)
        layer.latent.copy_(torch.where(fresh[:, None], layer.latent, taken))
        if isinstance(layer, StepLayer):
            layer.set_statistics(batches)
            layer.scale.fill_(LAST_GAIN if is_last else 1.0)
            layer.scale[fresh] = 1.0
            # Half a unit below each threshold, where no sum falls.
            distance = layer.mean - (thresholds - 0.5)
            shift = layer.scale * distance / torch.sqrt(layer.variance + EPSILON)
            layer.shift.copy_(torch.where(fresh, FRESH_SHIFT, shift))
        else:
            layer.offset.copy_(thresholds / layer.unit)
            layer.log_gain.fill_(math.log(LAST_GAIN))
        batches = [layer.fires(batch.float()).bool() for batch in batches]


def _latent(weights: Tensor, kind: int | str) -> Tensor:
    """Latent values that `surrogates.quantise` makes these weights of."""
    match kind:
        case 1:
            return weights * ONE_BIT_LATENT
        case 2:
            return (weights + 0.5) / 1.5
        case str():
            return weights * TERNARY_LATENT
        case _:
            return (weights / largest(kind)).clamp(-1, 1)
