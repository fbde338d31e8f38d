"""What a training run is told, and what it tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.errors import TrainingError
from stepnet.network import MAX_WEIGHT_BITS, Readout

RULES = ("surrogate", "delta")
"""Learning rules, each with a module of its name beside this one."""

USUAL_WEIGHT_BITS = {"surrogate": 1, "delta": 8}
"""Bits per weight where none are given."""

DELTA_WEIGHT_BITS = range(4, MAX_WEIGHT_BITS + 1)
"""Fewer leave the delta rule no room for steps of 1."""


@dataclass(frozen=True)
class Config:
    """Everything besides the data that decides what a training run makes.

    rule: how weights learn, one of `RULES`.
    hidden: neurons of each hidden layer; empty for a network of one layer.
    weight_bits: bits per weight (1 to 8; rule delta: 4 to 8): one number for all layers or one for
    each, the last layer included; None for the rule's usual, 1 for surrogate and 8 for delta.
    readout: how the last layer becomes a character.
    ink_threshold: grey value (0 to 255) from which a pixel is 1.
    epochs: passes over the training images.
    seed: the same seed, data, versions, processor and `threads` give the same network; with rule
    delta, processor and threads do not matter.

    The rest is for rule surrogate; those of rule delta are constants of its module.

    batch_size: images per step of the optimiser.
    learning_rate: of Adam at its peak; it warms up over the first steps and falls to 0 as a cosine.
    augmentation: strength of the random warps of the training images; 0 switches them off.
    threads: of torch, which adds up in another order with another number of them.

    Raises TrainingError if a value is out of its range.
    """

    rule: str = "surrogate"
    hidden: tuple[int, ...] = (128, 64)
    weight_bits: int | tuple[int, ...] | None = None
    readout: Readout = Readout.BITS
    ink_threshold: int = 128
    epochs: int = 30
    seed: int = 0
    batch_size: int = 256
    learning_rate: float = 0.03
    augmentation: float = 0.5
    threads: int = 1

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise TrainingError(
                f"There is no learning rule {self.rule!r}; choose one of {', '.join(RULES)}."
            )
        try:
            object.__setattr__(self, "readout", Readout(self.readout))
        except ValueError:
            raise TrainingError(
                f"There is no readout {str(self.readout)!r}; choose one of {', '.join(Readout)}."
            ) from None
        if any(neurons < 1 for neurons in self.hidden):
            raise TrainingError(
                f"The hidden layers {self.hidden} hold one without neurons; "
                "give at least 1 for each."
            )
        if len(self.bits_per_layer) != self.layer_count:
            raise TrainingError(
                f"There are {len(self.bits_per_layer)} numbers of weight bits for "
                f"{self.layer_count} layers; give one for all, or one for each layer."
            )
        if not all(1 <= bits <= MAX_WEIGHT_BITS for bits in self.bits_per_layer):
            raise TrainingError(
                f"The weight bits {self.weight_bits} are out of range; "
                f"choose 1 to {MAX_WEIGHT_BITS}."
            )
        if self.rule == "delta" and not all(
            bits in DELTA_WEIGHT_BITS for bits in self.bits_per_layer
        ):
            raise TrainingError(
                f"The rule delta moves weights of {DELTA_WEIGHT_BITS[0]} to "
                f"{DELTA_WEIGHT_BITS[-1]} bits, but the weight bits are {self.weight_bits}; "
                "give more, or choose rule surrogate."
            )
        if not 0 <= self.ink_threshold <= 255:
            raise TrainingError(
                f"The ink threshold {self.ink_threshold} is no grey value; choose 0 to 255."
            )
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch_size", self.batch_size, 2),
            ("threads", self.threads, 1),
            ("seed", self.seed, 0),
            ("augmentation", self.augmentation, 0),
        ):
            if not value >= least:
                raise TrainingError(f"The setting {name} is {value}; give at least {least}.")
        if not self.learning_rate > 0:
            raise TrainingError(
                f"The learning rate is {self.learning_rate}; give a number greater than 0."
            )

    @property
    def layer_count(self) -> int:
        """Layers of the network, the last one included."""
        return len(self.hidden) + 1

    @property
    def bits_per_layer(self) -> tuple[int, ...]:
        """Weight bits of every layer, first to last."""
        if isinstance(self.weight_bits, tuple):
            return self.weight_bits
        bits = USUAL_WEIGHT_BITS[self.rule] if self.weight_bits is None else self.weight_bits
        return (bits,) * self.layer_count


@dataclass(frozen=True)
class Progress:
    """Where a training run stands.

    epoch: the one under way, 1 to `epochs`.
    images_done, images_total: training images seen so far and in the whole run.
    loss: mean over the epoch so far of what the rule makes small. accuracy: part of the epoch's
    images, as warped, whose whole code came out right.
    """

    epoch: int
    epochs: int
    images_done: int
    images_total: int
    loss: float
    accuracy: float
