# pyright: basic
# (torch publishes many functions without complete types)
"""Training with surrogate gradients, and the exact way from there to an integer network.

Forward, every neuron is what it will be in hardware: a step over an integer sum of quantised
weights and activations in {0, 1}. Backward, step and quantiser count as clipped identities (the
straight-through estimator: Bengio, Léonard and Courville, arXiv:1308.3432; for networks with
binary weights and activations Courbariaux et al., arXiv:1602.02830).

Batch normalisation sits between sum and step while training. Afterwards it only moves the point at
which a neuron fires, so it becomes the neuron's integer threshold: see `StepLayer.export`.

How the last layer learns depends on the readout:

bits     every row has its bit to answer; the loss is the sum of the binary cross-entropies.
tree     likewise, but only the rows on the path of the true bits are asked: the true bits choose
         the rows while learning, the network's own bits when it reads.
nearest  rows compete with `sum - threshold`, an integer; the loss is their cross-entropy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from stepnet.data import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.augmentation import warp
from stepnet.learning.config import Config, Progress
from stepnet.learning.targets import Targets
from stepnet.network import Layer, Readout

WARM_UP_PART = 0.02
"""Part of all steps over which the learning rate rises from 0."""


INITIAL_LATENT = 0.1
"""Latent weights of one bit start uniformly within this limit, where they change sides easily.
Those of more bits start within 1: this near to 0 all of them would be quantised to 0."""

RAMP = 1.0
"""Distance from the threshold, in normalised sums, up to which a step passes gradients."""


EPSILON = 1e-5
"""Added to a variance before dividing by its root."""


class _Quantise(torch.autograd.Function):
    """The nearest weight that `weight_bits` bits hold; backward the identity."""

    @staticmethod
    def forward(ctx, latent: Tensor, weight_bits: int) -> Tensor:
        if weight_bits == 1:
            return torch.where(latent >= 0, 1.0, -1.0)
        return torch.round(latent * ((1 << weight_bits - 1) - 1))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _quantise(latent: Tensor, weight_bits: int) -> Tensor:
    return cast(Tensor, _Quantise.apply(latent, weight_bits))


class _Round(torch.autograd.Function):
    """The nearest integer; backward the identity."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def _round(x: Tensor) -> Tensor:
    return cast(Tensor, _Round.apply(x))


class _Step(torch.autograd.Function):
    """1 where x >= 0, else 0; backward the slope of a ramp from -1 to 1."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= RAMP)


def _step(x: Tensor) -> Tensor:
    return cast(Tensor, _Step.apply(x))


def _initial_latent(n_in: int, n_out: int, weight_bits: int, generator: torch.Generator) -> Tensor:
    limit = INITIAL_LATENT if weight_bits == 1 else 1.0
    uniform = 2 * torch.rand(n_out, n_in, generator=generator) - 1
    return (limit * uniform).requires_grad_()


class StepLayer:
    """Neurons with quantised weights and batch normalisation; the step itself is outside.

    latent: (n_out, n_in) in -1..1, what the optimiser moves. The sums only ever see its quantised
    value: -1 or +1 for one bit, else an integer of at most 2^(weight_bits-1) - 1 either way. The
    range is symmetric so that a neuron can change its sign.
    scale, shift: (n_out,) of the normalisation, trained too.
    mean, variance: (n_out,) float64 of the sums, set by `collect_statistics`.
    """

    def __init__(self, n_in: int, n_out: int, weight_bits: int, generator: torch.Generator) -> None:
        self.weight_bits = weight_bits
        self.latent = _initial_latent(n_in, n_out, weight_bits, generator)
        self.scale = torch.ones(n_out, requires_grad=True)
        self.shift = torch.zeros(n_out, requires_grad=True)
        self.mean = torch.zeros(n_out, dtype=torch.float64)
        self.variance = torch.ones(n_out, dtype=torch.float64)

    def parameters(self) -> list[Tensor]:
        """What the optimiser moves."""
        return [self.latent, self.scale, self.shift]

    def sums(self, activations: Tensor) -> Tensor:
        """The sums of weights whose input is 1: (N, n_out) integers, exact in float32."""
        return functional.linear(activations, _quantise(self.latent, self.weight_bits))

    def margins(self, activations: Tensor) -> Tensor:
        """Sums normalised over this batch, for training; a neuron fires where they are >= 0."""
        return functional.batch_norm(
            self.sums(activations), None, None, self.scale, self.shift, training=True, eps=EPSILON
        )

    def normalise(self, sums: Tensor) -> Tensor:
        """Sums normalised with the collected statistics, in float64: (..., n_out).

        Each operation rounds monotonically. So for each neuron the result never falls as the sum
        grows (never rises, where the scale is negative), rounding included.
        """
        factor = self.scale.double() / torch.sqrt(self.variance + EPSILON)
        return (sums.double() - self.mean) * factor + self.shift.double()

    def collect_statistics(self, activations: Tensor) -> None:
        """Take mean and variance of every neuron's sums over all of `activations`."""
        sums = self.sums(activations).double()
        self.mean, self.variance = sums.mean(dim=0), sums.var(dim=0, correction=0)

    def fires(self, activations: Tensor) -> Tensor:
        """What the trained neurons answer: (N, n_out) float of 0 and 1."""
        return (self.normalise(self.sums(activations)) >= 0).float()

    def export(self) -> Layer:
        """The same neurons as integers: they fire for exactly the same inputs.

        A neuron fires where `normalise(sum) >= 0`. That holds from some sum on, or, if the scale is
        negative, up to some sum; then row and sums change their sign first. Bisection over all sums
        that the row can reach asks `normalise` itself, so no rounding can come between.
        """
        weights = _quantise(self.latent, self.weight_bits).to(torch.int64)
        sign = torch.where(self.scale < 0, -1, 1)
        weights = weights * sign[:, None]
        silent = weights.clamp(max=0).sum(dim=1) - 1
        firing = weights.clamp(min=0).sum(dim=1) + 1
        while bool((firing - silent > 1).any()):
            middle = torch.div(silent + firing, 2, rounding_mode="floor")
            reached = self.normalise(middle * sign) >= 0
            firing = torch.where(reached, middle, firing)
            silent = torch.where(reached, silent, middle)
        return Layer(weights.numpy(), firing.numpy(), self.weight_bits)


class ScoreLayer:
    """The last layer under readout nearest: the row with the largest `sum - threshold` wins.

    Rows are compared with each other, so they are not normalised one by one; scores are integers
    already while training, and one gain, common to all rows, makes them logits.

    latent: (n_out, n_in) as in `StepLayer`.
    offset: (n_out,) thresholds in units of `unit`, before rounding.
    log_gain: (), logarithm of the logits' change per `unit` of score.
    """

    def __init__(self, n_in: int, n_out: int, weight_bits: int, generator: torch.Generator) -> None:
        self.weight_bits = weight_bits
        self.latent = _initial_latent(n_in, n_out, weight_bits, generator)
        # What a sum of random weights amounts to.
        self.unit = math.sqrt(n_in) * max(1, (1 << weight_bits - 1) - 1)
        self.offset = torch.zeros(n_out, requires_grad=True)
        self.log_gain = torch.zeros((), requires_grad=True)

    def parameters(self) -> list[Tensor]:
        """What the optimiser moves."""
        return [self.latent, self.offset, self.log_gain]

    def thresholds(self) -> Tensor:
        """(n_out,) integers."""
        return _round(self.offset * self.unit)

    def scores(self, activations: Tensor) -> Tensor:
        """`sum - threshold` of every row: (N, n_out) integers."""
        sums = functional.linear(activations, _quantise(self.latent, self.weight_bits))
        return sums - self.thresholds()

    def margins(self, activations: Tensor) -> Tensor:
        """Scores as logits: (N, n_out)."""
        return self.scores(activations) * (self.log_gain.exp() / self.unit)

    def collect_statistics(self, activations: Tensor) -> None:
        """Nothing: scores do not depend on statistics."""

    def fires(self, activations: Tensor) -> Tensor:
        """Where the score is not negative: (N, n_out) float of 0 and 1."""
        return (self.scores(activations) >= 0).float()

    def export(self) -> Layer:
        """The same rows as integers: they have the same scores."""
        weights = _quantise(self.latent, self.weight_bits).to(torch.int8)
        return Layer(weights.numpy(), self.thresholds().numpy(), self.weight_bits)


class StepModel:
    """A step network under training.

    Rows of the last layer that have the same answer for every character are not trained: `export`
    adds neurons that always or never fire.

    sizes: inputs, then neurons of each hidden layer. weight_bits: of each layer, the last included.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        weight_bits: tuple[int, ...],
        readout: Readout,
        alphabet: str,
        generator: torch.Generator,
    ) -> None:
        self.readout = readout
        self.targets = Targets.of(readout, alphabet)
        self.wanted = torch.from_numpy(self.targets.wanted[:, self.targets.trained_rows])
        last_kind = ScoreLayer if readout is Readout.NEAREST else StepLayer
        kinds = (*[StepLayer] * (len(sizes) - 1), last_kind)
        outputs = (*sizes[1:], self.wanted.shape[1])
        self.layers: list[StepLayer | ScoreLayer] = [
            kind(n_in, n_out, layer_bits, generator)
            for kind, n_in, n_out, layer_bits in zip(
                kinds, sizes, outputs, weight_bits, strict=True
            )
        ]

    def parameters(self) -> list[Tensor]:
        """What the optimiser moves."""
        return [tensor for layer in self.layers for tensor in layer.parameters()]

    def margins(self, pixels: Tensor) -> Tensor:
        """The trained rows before their step: (N, trained rows) from (N, inputs) of 0 and 1."""
        *hidden, last = self.layers
        activations = pixels
        for layer in hidden:
            activations = _step(layer.margins(activations))
        return last.margins(activations)

    def loss(self, margins: Tensor, wanted: Tensor) -> Tensor:
        """Minus the logarithm of the chance that the whole code is right, rows being independent.

        margins: (N, trained rows). wanted: the same shape, +1, -1, and 0 for rows not asked.
        """
        if self.readout is Readout.NEAREST:
            return functional.cross_entropy(margins, wanted.argmax(dim=1))
        rows = functional.binary_cross_entropy_with_logits(
            margins, (wanted > 0).float(), reduction="none"
        )
        return (rows * (wanted != 0)).sum(dim=1).mean()

    def right(self, margins: Tensor, wanted: Tensor) -> Tensor:
        """Whether the whole code is right: (N,) bool. A walk with right rows alone is the path."""
        if self.readout is Readout.NEAREST:
            return margins.argmax(dim=1) == wanted.argmax(dim=1)
        return (((margins >= 0) == (wanted > 0)) | (wanted == 0)).all(dim=1)

    @torch.no_grad()
    def clip_latent(self) -> None:
        """Keep latent weights in -1..1, so that each stays near enough to change its mind."""
        for layer in self.layers:
            layer.latent.clamp_(-1, 1)

    @torch.no_grad()
    def collect_statistics(self, pixels: Tensor) -> None:
        """Let every layer, first to last, see all of `pixels` and keep its statistics."""
        activations = pixels
        for layer in self.layers:
            layer.collect_statistics(activations)
            activations = layer.fires(activations)

    @torch.no_grad()
    def activations(self, pixels: Tensor) -> list[Tensor]:
        """What every layer answers with the collected statistics, the trained rows last."""
        states = [pixels]
        for layer in self.layers:
            states.append(layer.fires(states[-1]))
        return states[1:]

    @torch.no_grad()
    def export(self) -> tuple[Layer, ...]:
        """Integer layers that fire exactly where `activations` says."""
        *hidden, last = [layer.export() for layer in self.layers]
        return (*hidden, self.targets.complete(last))


def train(
    config: Config, dataset: Dataset, on_progress: Callable[[Progress], None]
) -> tuple[Layer, ...]:
    """Train on all of `dataset`; returns integer layers for `config.readout`.

    Raises TrainingError if the loss is no longer a number. `on_progress` is called after each step.
    """
    generator = torch.Generator().manual_seed(config.seed)
    images = torch.tensor(dataset.images)
    model = StepModel(
        (images[0].numel(), *config.hidden),
        config.bits_per_layer,
        config.readout,
        dataset.alphabet,
        generator,
    )
    wanted = model.wanted[torch.from_numpy(model.targets.indices(dataset.labels))]
    with _threads(config.threads):
        _optimise(model, config, images, wanted, generator, on_progress)
        model.collect_statistics(_binarise(images, config))
        return model.export()


def _optimise(
    model: StepModel,
    config: Config,
    images: Tensor,
    wanted: Tensor,
    generator: torch.Generator,
    on_progress: Callable[[Progress], None],
) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    batches = max(1, len(images) // config.batch_size)
    steps = config.epochs * batches
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    for epoch in range(1, config.epochs + 1):
        loss_sum, right, seen = 0.0, 0, 0
        order = torch.randperm(len(images), generator=generator)
        for batch in order.tensor_split(batches):
            pixels = images[batch].float()
            if config.augmentation:
                pixels = warp(pixels, config.augmentation, generator)
            margins = model.margins(_binarise(pixels, config))
            loss = model.loss(margins, wanted[batch])
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss.item()} in epoch {epoch}; give a lower learning rate "
                    f"than {config.learning_rate}."
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            model.clip_latent()

            seen += len(batch)
            loss_sum += loss.item() * len(batch)
            right += int(model.right(margins, wanted[batch]).sum())
            on_progress(
                Progress(
                    epoch=epoch,
                    epochs=config.epochs,
                    images_done=(epoch - 1) * len(images) + seen,
                    images_total=config.epochs * len(images),
                    loss=loss_sum / seen,
                    accuracy=right / seen,
                )
            )


def _binarise(images: Tensor, config: Config) -> Tensor:
    """Input bits as the reference has them: (N, pixels) float of 0 and 1."""
    return (images >= config.ink_threshold).flatten(1).float()


def _rate(step: int, steps: int) -> float:
    """Factor on the learning rate: up in a line, down to 0 in half a cosine."""
    warm_up = max(1, int(steps * WARM_UP_PART))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
