"""What a training run is told, and what it tells while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from stepnet.errors import TrainingError
from stepnet.networks.network import MAX_WEIGHT_BITS, Readout

RULES = ("surrogate", "delta", "sigmoid")
"""Learning rules, each with a module of its name beside this one."""

SURROGATES = ("straight-through", "hard-tanh", "sigmoid", "arctan", "triangle")
"""What counts as the slope of a step; see `stepnet.learning.surrogates`."""

TERNARY = "ternary"
"""Weights -1, 0 and +1, which the network's file keeps in 2 bits."""

USUAL_WEIGHT_BITS = {"surrogate": 1, "delta": 8, "sigmoid": 8}
"""Bits per weight where none are given."""

USUAL_LEARNING_RATE = {"surrogate": 0.03, "delta": 1.0, "sigmoid": 1.0}
"""Learning rate where none is given. Rule delta has steps of 1 and no other."""

USUAL_BATCH_SIZE = {"surrogate": 256, "delta": 32, "sigmoid": 32}
"""Images per step where no number is given. Rule delta always takes its own."""

DELTA_WEIGHT_BITS = range(4, MAX_WEIGHT_BITS + 1)
"""Fewer leave the delta rule no room for steps of 1."""

MAX_SEED = (1 << 63) - 1
"""The largest seed that all random generators take."""

MAX_HIDDEN = 1 << 16
"""Neurons of a hidden layer; more is a slip of the finger, and no memory would hold the weights."""

GRADIENT_SETTINGS = (
    "batch_size",
    "learning_rate",
    "augmentation",
    "surrogate",
    "auxiliary",
    "distillation",
)
"""Settings that mean nothing without a gradient."""

FOREIGN_SETTINGS = {
    "surrogate": (),
    "delta": GRADIENT_SETTINGS,
    "sigmoid": ("surrogate", "auxiliary", "distillation"),
}
"""Settings that a rule does not know. Left at their usual values they do nothing."""


@dataclass(frozen=True)
class Config:
    """Everything besides the data that decides what a training run makes.

    rule: how weights learn, one of `RULES`.
    hidden: neurons of each hidden layer; empty for a network of one layer.
    weight_bits: bits per weight, one for all layers or one for each, the last layer included; None
    for the rule's usual. Rule surrogate: 1 to 8, or "ternary"; delta: 4 to 8; sigmoid: 8.
    readout: how the last layer becomes a character.
    ink_threshold: grey value (0 to 255) from which a pixel is 1.
    epochs: passes over the training images.
    seed: the same seed, data, versions, processor and `threads` give the same network; with rule
    delta, processor and threads do not matter.

    The rest is for the rules that use torch; those of rule delta are constants of its module.

    batch_size: images per step of the optimiser; None for the rule's usual.
    learning_rate: at its peak; it warms up over the first steps and falls to 0 as a cosine. None
    for the rule's usual.
    augmentation: strength of the random warps of the training images; 0 switches them off.
    threads: of torch, which adds up in another order with another number of them.

    And this for rule surrogate alone.

    surrogate: what counts as the slope of a step on the way back, one of `SURROGATES`.
    auxiliary: weight in the loss of class detectors, which read the last hidden layer while
    training and are thrown away afterwards; 0 for none.
    distillation: part of the lesson, 0 to 1, that comes from a teacher instead of the labels.
    teacher_epochs: passes over the training images that the teacher takes before.

    Raises TrainingError if a value is out of its range, or given for a rule that does not know it.
    """

    rule: str = "surrogate"
    hidden: tuple[int, ...] = (128, 64)
    weight_bits: int | str | tuple[int | str, ...] | None = None
    readout: Readout = Readout.BITS
    ink_threshold: int = 128
    epochs: int = 30
    seed: int = 0
    batch_size: int | None = None
    learning_rate: float | None = None
    augmentation: float = 0.5
    threads: int = 1
    surrogate: str = "hard-tanh"
    auxiliary: float = 0.0
    distillation: float = 0.0
    teacher_epochs: int = 6

    def __post_init__(self) -> None:
        _one_of(RULES, self.rule, "learning rule")
        _one_of(SURROGATES, self.surrogate, "surrogate")
        _one_of(tuple(Readout), str(self.readout), "readout")
        object.__setattr__(self, "readout", Readout(self.readout))
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", USUAL_BATCH_SIZE[self.rule])
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", USUAL_LEARNING_RATE[self.rule])
        if any(neurons < 1 for neurons in self.hidden):
            raise TrainingError(
                f"The hidden layers {self.hidden} hold one without neurons; "
                "give at least 1 for each."
            )
        if any(neurons > MAX_HIDDEN for neurons in self.hidden):
            raise TrainingError(
                f"The hidden layers {self.hidden} hold one of more than {MAX_HIDDEN} neurons; "
                "give fewer."
            )
        self._check_weights()
        if not 0 <= self.ink_threshold <= 255:
            raise TrainingError(
                f"The ink threshold {self.ink_threshold} is no grey value; choose 0 to 255."
            )
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch_size", self.step_images, 2),
            ("threads", self.threads, 1),
            ("seed", self.seed, 0),
            ("augmentation", self.augmentation, 0),
            ("auxiliary", self.auxiliary, 0),
            ("teacher_epochs", self.teacher_epochs, 1),
        ):
            if not value >= least:
                raise TrainingError(f"The setting {name} is {value}; give at least {least}.")
            if value == math.inf:
                raise TrainingError(f"The setting {name} is {value}; give a finite number.")
        if self.seed > MAX_SEED:
            raise TrainingError(f"The setting seed is {self.seed}; give at most {MAX_SEED}.")
        if not 0 < self.peak_rate < math.inf:
            raise TrainingError(
                f"The learning rate is {self.learning_rate}; give a finite number greater than 0."
            )
        if not 0 <= self.distillation <= 1:
            raise TrainingError(
                f"The setting distillation is {self.distillation}; give a part from 0 to 1."
            )
        self._check_foreign_settings()

    def _check_foreign_settings(self) -> None:
        """Refuse settings that would silently do nothing."""
        usual: dict[str, object] = {
            **{field.name: field.default for field in fields(self)},
            "batch_size": USUAL_BATCH_SIZE[self.rule],
            "learning_rate": USUAL_LEARNING_RATE[self.rule],
        }
        for name in FOREIGN_SETTINGS[self.rule]:
            if getattr(self, name) != usual[name]:
                raise TrainingError(
                    f"The rule {self.rule} knows no setting {name}, but it is "
                    f"{getattr(self, name)}; leave it out, or choose rule surrogate."
                )

    def _check_weights(self) -> None:
        if len(self.weights_per_layer) != self.layer_count:
            raise TrainingError(
                f"There are {len(self.weights_per_layer)} numbers of weight bits for "
                f"{self.layer_count} layers; give one for all, or one for each layer."
            )
        for bits in self.weights_per_layer:
            if bits != TERNARY and bits not in range(1, MAX_WEIGHT_BITS + 1):
                raise TrainingError(
                    f"The weight bits {bits} are out of range; "
                    f"choose 1 to {MAX_WEIGHT_BITS}, or {TERNARY}."
                )
            if self.rule == "delta" and bits not in DELTA_WEIGHT_BITS:
                raise TrainingError(
                    f"The rule delta moves weights of {DELTA_WEIGHT_BITS[0]} to "
                    f"{DELTA_WEIGHT_BITS[-1]} bits, but the weight bits are {bits}; "
                    "give more, or choose rule surrogate."
                )
            if self.rule == "sigmoid" and bits != MAX_WEIGHT_BITS:
                raise TrainingError(
                    f"The rule sigmoid rounds its weights to {MAX_WEIGHT_BITS} bits, but the "
                    f"weight bits are {bits}; give {MAX_WEIGHT_BITS} or none, or choose rule "
                    "surrogate."
                )

    @property
    def layer_count(self) -> int:
        """Layers of the network, the last one included."""
        return len(self.hidden) + 1

    @property
    def passes(self) -> int:
        """Passes over the training images, the teacher's included."""
        return self.epochs + (self.teacher_epochs if self.distillation else 0)

    @property
    def peak_rate(self) -> float:
        """The learning rate, the rule's usual where none was given."""
        return USUAL_LEARNING_RATE[self.rule] if self.learning_rate is None else self.learning_rate

    @property
    def step_images(self) -> int:
        """The batch size, the rule's usual where none was given."""
        return USUAL_BATCH_SIZE[self.rule] if self.batch_size is None else self.batch_size

    @property
    def weights_per_layer(self) -> tuple[int | str, ...]:
        """What the weights of every layer can be, first to last: a number of bits, or "ternary"."""
        if isinstance(self.weight_bits, tuple):
            return self.weight_bits
        bits = USUAL_WEIGHT_BITS[self.rule] if self.weight_bits is None else self.weight_bits
        return (bits,) * self.layer_count

    @property
    def bits_per_layer(self) -> tuple[int, ...]:
        """Bits that a weight of every layer takes in the network's file, first to last."""
        return tuple(2 if isinstance(bits, str) else bits for bits in self.weights_per_layer)


@dataclass(frozen=True)
class Progress:
    """Where a training run stands.

    epoch: the one under way, 1 to `epochs`.
    images_done, images_total: training images seen so far and in the whole run.
    loss: mean over the epoch so far of what the rule makes small. accuracy: part of the epoch's
    images, as warped, whose whole code came out right.
    learning_rate: of the last step, in parts of its peak for a teacher; None for rule delta, whose
    steps are fixed.
    teaching: whether it is the teacher that learns.
    """

    epoch: int
    epochs: int
    images_done: int
    images_total: int
    loss: float
    accuracy: float
    learning_rate: float | None = None
    teaching: bool = False


def _one_of(choices: tuple[str, ...], value: str, what: str) -> None:
    if value not in choices:
        raise TrainingError(f"There is no {what} {value!r}; choose one of {', '.join(choices)}.")
