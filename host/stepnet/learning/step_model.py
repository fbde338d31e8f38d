# pyright: basic
# (torch publishes many functions without complete types)
"""Step networks under training with gradients, and the exact way from there to integers.

Forward, every neuron is what it will be in hardware: a step over an integer sum of quantised
weights and activations in {0, 1}. Backward, `stepnet.learning.surrogates` stands in.

Batch normalisation sits between sum and step while training. Afterwards it only moves the point at
which a neuron fires, so it becomes the neuron's integer threshold: see `StepLayer.export`.

For analogue arrays, the sums are off by what one programming of the integers would make of them.
The normalisation does not see that: afterwards it is a threshold, which no array adapts either.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stepnet.learning.config import Config
from stepnet.learning.convolution_sizes import over_image
from stepnet.learning.lesson import Lesson
from stepnet.learning.surrogates import largest, quantise, round_through, step
from stepnet.learning.torch_state import move_tensors
from stepnet.networks.convolution import Convolution
from stepnet.networks.network import Layer, Readout

INITIAL_LATENT = 0.1
"""Latent weights of one bit start uniformly within this limit of 0, where they change their sign
easily. Weights of more bits start within 1: this near to 0 all would be quantised to the same."""

Imperfection = Callable[[Layer, Tensor], Tensor]
"""By how much `sum - threshold` of each neuron is off where a layer of integers is made of
something inexact: (N, n_out), from the layer and its activations, (N, n_in)."""

EPSILON = 1e-5
"""Added to a variance before dividing by its root."""

STATISTICS_ACTIVATIONS = 1 << 23
"""How many activations of the widest layer are held as numbers at a time; the statistics do not
depend on it, because sums are integers."""


class StepLayer:
    """Neurons with quantised weights and batch normalisation; the step itself is outside.

    latent: (n_out, n_in) in -1..1, what the optimiser moves. Sums are made of its quantised value
    only.
    scale, shift: (n_out,), the normalisation's, which are trained too.
    mean, variance: (n_out,) float64, those of the sums, set by `set_statistics`.
    """

    def __init__(self, n_in: int, n_out: int, kind: int | str, generator: torch.Generator) -> None:
        self.kind = kind
        self.latent = _initial_latent(n_in, n_out, kind, generator)
        self.scale = torch.ones(n_out, requires_grad=True)
        self.shift = torch.zeros(n_out, requires_grad=True)
        self.mean = torch.zeros(n_out, dtype=torch.float64)
        self.variance = torch.ones(n_out, dtype=torch.float64)

    def parameters(self) -> dict[str, Tensor]:
        """What the optimiser moves, by name."""
        return {"latent": self.latent, "scale": self.scale, "shift": self.shift}

    def sums(self, activations: Tensor) -> Tensor:
        """The sums of weights whose input is 1: (N, n_out) integers, exact in float32."""
        return functional.linear(activations, quantise(self.latent, self.kind))

    def excess(self, activations: Tensor, imperfection: Imperfection | None = None) -> Tensor:
        """The sums, normalised over this batch, for training; a neuron fires where that is >= 0.

        imperfection: of what the layer will be made of; None for exact sums. A convolution knows
        none.
        """
        sums = self.sums(activations)
        excess = functional.batch_norm(
            sums, None, None, self.scale, self.shift, training=True, eps=EPSILON
        )
        if imperfection is None:
            return self._as_map(excess)
        self._take_statistics(sums)
        deviations = imperfection(self.export(), activations) * self._sign()
        return excess + deviations * self.scale / torch.sqrt(self.variance.float() + EPSILON)

    @torch.no_grad()
    def _take_statistics(self, sums: Tensor) -> None:
        """Let the statistics be those of one batch, which decide its thresholds."""
        self.mean = sums.double().mean(dim=0)
        self.variance = sums.double().var(dim=0, correction=0)

    def _sign(self) -> Tensor:
        """-1 for neurons that fire below their threshold while training, else 1: (n_out,) int64."""
        return torch.where(self.scale < 0, -1, 1)

    def _as_map(self, answers: Tensor) -> Tensor:
        """What the layer above sees of (rows of sums, n_out) answers: here the same."""
        return answers

    @torch.no_grad()
    def clip(self) -> None:
        """Keep latent weights in -1..1, so that each stays near enough to change its mind."""
        self.latent.clamp_(-1, 1)
        if self.kind == 2:
            # The negative of -2 is no weight, so this neuron cannot change its sign.
            self.scale.clamp_(min=0)

    def normalise(self, sums: Tensor) -> Tensor:
        """The sums, normalised with the statistics, in float64: (..., n_out).

        Each operation rounds monotonically. So for each neuron the result never falls as the sum
        grows (never rises, where the scale is negative), rounding included.
        """
        factor = self.scale.double() / torch.sqrt(self.variance + EPSILON)
        return (sums.double() - self.mean) * factor + self.shift.double()

    def set_statistics(self, batches: list[Tensor]) -> None:
        """Take mean and variance of every neuron's sums over all activations in `batches`, each
        (N, inputs) bool.
        """
        count = 0
        # Sums are integers, so both totals are exact whatever the order.
        total = torch.zeros_like(self.mean)
        squares = torch.zeros_like(self.mean)
        for batch in batches:
            sums = self.sums(batch.float()).double()
            count += len(sums)
            total += sums.sum(dim=0)
            squares += (sums * sums).sum(dim=0)
        self.mean = total / count
        self.variance = (squares / count - self.mean**2).clamp(min=0)

    def fires(self, activations: Tensor) -> Tensor:
        """What the trained neurons answer: (N, answers) float of 0 and 1."""
        return self._as_map(self.normalise(self.sums(activations)) >= 0).float()

    @torch.no_grad()
    def export(self) -> Layer:
        """The layer in integers, whose neurons fire for exactly the same inputs.

        A neuron fires where `normalise(sum) >= 0`. That holds from some sum on, or, if the scale is
        negative, up to some sum; then row and sums change their sign first. Bisection over all sums
        that the row can reach asks `normalise` itself, so no rounding can come between.
        """
        weights = quantise(self.latent, self.kind).to(torch.int64)
        sign = self._sign()
        weights = weights * sign[:, None]
        silent = weights.clamp(max=0).sum(dim=1) - 1
        firing = weights.clamp(min=0).sum(dim=1) + 1
        while bool((firing - silent > 1).any()):
            middle = torch.div(silent + firing, 2, rounding_mode="floor")
            reached = self.normalise(middle * sign) >= 0
            firing = torch.where(reached, middle, firing)
            silent = torch.where(reached, silent, middle)
        return Layer(weights.cpu().numpy(), firing.cpu().numpy(), _stored_bits(self.kind))


class ConvolutionLayer(StepLayer):
    """The same neurons at every position of a map, whose sums are normalised over all positions.

    Of 2 x 2 sums that are pooled only the largest counts: where a neuron's answer never falls as
    its sum grows, which is where the scale is not negative, the OR of the answers is the answer to
    the largest sum. So there are four times fewer sums to normalise, and a gradient goes to the
    window that decides.

    convolution: where the neurons look.
    latent: (neurons, fan_in), the inputs in the order of `convolution`.
    """

    def __init__(
        self,
        convolution: Convolution,
        neurons: int,
        kind: int | str,
        generator: torch.Generator,
    ) -> None:
        super().__init__(convolution.fan_in, neurons, kind, generator)
        self.convolution = convolution

    def sums(self, activations: Tensor) -> Tensor:
        """The sums that count: (N * positions, neurons) integers, exact in float32.

        activations: (N, inputs), the maps row by row, position by position, channel by channel.
        """
        over = self.convolution
        maps = activations.reshape(-1, over.height, over.width, over.channels)
        kernels = quantise(self.latent, self.kind)
        kernels = kernels.reshape(-1, over.kernel, over.kernel, over.channels)
        # torch wants the channels second, and is fastest where they still lie last in memory.
        sums = functional.conv2d(
            _channels_second(maps),
            _channels_second(kernels),
            stride=over.stride,
            padding=over.padding,
        )
        if over.pool:
            sums = functional.max_pool2d(sums, over.pool_side)
        return sums.permute(0, 2, 3, 1).reshape(-1, sums.shape[1])

    def _as_map(self, answers: Tensor) -> Tensor:
        """(N, positions * neurons) from (N * positions, neurons)."""
        return answers.reshape(-1, self.convolution.positions * answers.shape[1])

    @torch.no_grad()
    def clip(self) -> None:
        """As for all step neurons; and what is pooled keeps a scale that is not negative."""
        super().clip()
        if self.convolution.pool:
            self.scale.clamp_(min=0)

    def export(self) -> Layer:
        """The layer in integers, whose neurons fire for exactly the same windows."""
        return dataclasses.replace(super().export(), convolution=self.convolution)


def _channels_second(maps: Tensor) -> Tensor:
    """A view (N, channels, height, width) of maps whose channels are last."""
    return maps.permute(0, 3, 1, 2)


class ScoreLayer:
    """The last layer under readout nearest: the row with the largest `sum - threshold` wins.

    Rows are compared with each other, so they are not normalised one by one; scores are integers
    already while training, and one gain, common to all rows, makes them logits.

    latent: (n_out, n_in), as in `StepLayer`.
    offset: (n_out,), the thresholds before rounding, in units of `unit`.
    log_gain: (), the logarithm of how much a logit changes per `unit` of score.
    """

    def __init__(self, n_in: int, n_out: int, kind: int | str, generator: torch.Generator) -> None:
        self.kind = kind
        self.latent = _initial_latent(n_in, n_out, kind, generator)
        # What a sum of random weights amounts to.
        self.unit = math.sqrt(n_in) * largest(kind)
        self.offset = torch.zeros(n_out, requires_grad=True)
        self.log_gain = torch.zeros((), requires_grad=True)

    def parameters(self) -> dict[str, Tensor]:
        """What the optimiser moves, by name."""
        return {"latent": self.latent, "offset": self.offset, "log_gain": self.log_gain}

    def thresholds(self) -> Tensor:
        """The thresholds, rounded: (n_out,) integers."""
        return round_through(self.offset * self.unit)

    def scores(self, activations: Tensor) -> Tensor:
        """`sum - threshold` of every row: (N, n_out) integers."""
        return functional.linear(activations, quantise(self.latent, self.kind)) - self.thresholds()

    def excess(self, activations: Tensor, imperfection: Imperfection | None = None) -> Tensor:
        """The scores on the scale of logits: (N, n_out).

        imperfection: of what the layer will be made of; None for exact scores.
        """
        scores = self.scores(activations)
        if imperfection is not None:
            scores = scores + imperfection(self.export(), activations)
        return scores * (self.log_gain.exp() / self.unit)

    @torch.no_grad()
    def clip(self) -> None:
        """Keep latent weights in -1..1."""
        self.latent.clamp_(-1, 1)

    def set_statistics(self, batches: list[Tensor]) -> None:
        """Does nothing, because scores do not depend on statistics."""

    def fires(self, activations: Tensor) -> Tensor:
        """1 where a neuron's score is not negative, and 0 elsewhere: (N, n_out) float."""
        return (self.scores(activations) >= 0).float()

    @torch.no_grad()
    def export(self) -> Layer:
        """The layer in integers, whose rows have exactly the same scores."""
        weights = quantise(self.latent, self.kind).to(torch.int8)
        thresholds = self.thresholds().cpu().numpy()
        return Layer(weights.cpu().numpy(), thresholds, _stored_bits(self.kind))


class StepModel:
    """A step network under training.

    Rows of the last layer that have the same answer for every character are not trained: `export`
    adds neurons that always or never fire.

    config: says the convolutions, the hidden layers, the weights, the readout and the surrogate.
    height, width: of an image in pixels.
    features: how many activations the last layer sees.

    Raises NetworkError if the convolutions do not fit the image.
    """

    def __init__(
        self, config: Config, height: int, width: int, alphabet: str, generator: torch.Generator
    ) -> None:
        self.surrogate = config.surrogate
        self.lesson = Lesson(config.readout, alphabet)
        kinds = iter(config.weights_per_layer)
        n_in = height * width
        self.layers: list[StepLayer | ScoreLayer] = []
        for size, over in zip(
            config.convolutions, over_image(config.convolutions, height, width), strict=True
        ):
            self.layers.append(ConvolutionLayer(over, size.channels, next(kinds), generator))
            n_in = over.positions * size.channels
        for neurons in config.hidden:
            self.layers.append(StepLayer(n_in, neurons, next(kinds), generator))
            n_in = neurons
        last_kind = ScoreLayer if config.readout is Readout.NEAREST else StepLayer
        self.layers.append(last_kind(n_in, self.lesson.rows, next(kinds), generator))
        self.features = n_in

    def to(self, device: torch.device) -> None:
        """Let everything lie on `device`; called before an optimiser knows the parameters."""
        for owner in (*self.layers, self.lesson):
            move_tensors(owner, device)

    def parameters(self) -> dict[str, Tensor]:
        """What the optimiser moves, by name."""
        return {
            f"layer_{number}_{name}": tensor
            for number, layer in enumerate(self.layers)
            for name, tensor in layer.parameters().items()
        }

    def forward(
        self, pixels: Tensor, imperfections: Sequence[Imperfection | None] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The last hidden layer's activations, (N, neurons) of 0 and 1, and the excess of the
        trained rows, (N, rows).

        pixels: (N, inputs) of 0 and 1.
        imperfections: of each layer, first to last; None for exact sums.
        """
        *hidden, last = self.layers
        *of_hidden, of_last = imperfections or [None] * len(self.layers)
        activations = pixels
        for layer, imperfection in zip(hidden, of_hidden, strict=True):
            activations = step(layer.excess(activations, imperfection), self.surrogate)
        return activations, last.excess(activations, of_last)

    def batches(self, pixels: Tensor) -> list[Tensor]:
        """Parts of `pixels`, (N, inputs), so small that every layer's sums fit the memory."""
        widest = max(
            pixels.shape[1],
            *(layer.latent.shape[0] * _evaluations(layer) for layer in self.layers),
        )
        return list(pixels.split(max(1, STATISTICS_ACTIVATIONS // widest)))

    def clip(self) -> None:
        """Move what has limits back into them; called after every step of the optimiser."""
        for layer in self.layers:
            layer.clip()

    @torch.no_grad()
    def set_statistics(self, pixels: Tensor) -> None:
        """Let every layer, first to last, see all of `pixels` and keep its statistics.

        pixels: (N, inputs) bool.
        """
        batches = self.batches(pixels)
        for layer in self.layers:
            layer.set_statistics(batches)
            batches = [layer.fires(batch.float()).bool() for batch in batches]

    @torch.no_grad()
    def activations(self, pixels: Tensor) -> list[Tensor]:
        """What the neurons of each layer answer with these statistics, first to last; of the last
        layer the trained rows alone.
        """
        states = [pixels]
        for layer in self.layers:
            states.append(layer.fires(states[-1]))
        return states[1:]

    @torch.no_grad()
    def export(self) -> tuple[Layer, ...]:
        """Integer layers that fire exactly where `activations` says."""
        *hidden, last = [layer.export() for layer in self.layers]
        return (*hidden, self.lesson.targets.complete(last))


def _evaluations(layer: StepLayer | ScoreLayer) -> int:
    """How often each neuron is evaluated for one image."""
    return layer.convolution.evaluations if isinstance(layer, ConvolutionLayer) else 1


def _initial_latent(n_in: int, n_out: int, kind: int | str, generator: torch.Generator) -> Tensor:
    limit = INITIAL_LATENT if kind == 1 else 1.0
    uniform = 2 * torch.rand(n_out, n_in, generator=generator) - 1
    return (limit * uniform).requires_grad_()


def _stored_bits(kind: int | str) -> int:
    """How many bits a weight of this kind takes in the network's file."""
    return 2 if isinstance(kind, str) else kind
