"""What a training run is told, and what it tells while it runs.

`Config` holds the settings: a program makes one for `stepnet.learning.train`, and `stepnet train`
makes its options and the command on a network's card from the same declaration. Nothing slow is
imported here, so that the command line starts quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from stepnet.errors import TrainingError
from stepnet.learning.convolution_sizes import (
    ConvolutionSize,
    read_convolutions,
    write_convolutions,
)
from stepnet.learning.settings import (
    TERNARY,
    Setting,
    default_of,
    file_name,
    read_sizes,
    read_weight_bits,
    settings_of,
    write_sizes,
    write_weight_bits,
)
from stepnet.networks.readout import MAX_WEIGHT_BITS, Readout

RULES = ("surrogate", "delta", "sigmoid", "sgd", "lut", "spiking")
"""The learning rules, each with a module of its name beside this one."""

STEP_RULES = ("surrogate", "delta", "sigmoid", "sgd", "spiking")
"""The rules that change weights; rule lut changes tables and wires."""

GRADIENT_RULES = ("surrogate", "sigmoid", "sgd", "lut", "spiking")
"""The rules that go down a gradient, with torch."""

KINDS = ("step", "lut")
"""The kinds of networks that can be trained: of step neurons, or of look-up tables."""

TABLE_INPUTS = (4, 7, 10, 13, 16)
"""How many pixels a counted table can see; see `stepnet.learning.lut_model`."""

SURROGATES = ("straight-through", "hard-tanh", "sigmoid", "arctan", "triangle")
"""The names of what may stand for the slope of a step; see `stepnet.learning.surrogates`."""

CODINGS = ("once", "rate", "latency")
"""The names of `stepnet.networks.spiking.Coding`."""

MOST_TICKS, MOST_DECAY_SHIFT = 64, 15
"""As of `stepnet.networks.spiking`, which takes long to import."""

DEVICES = ("cpu", "cuda")
"""Where torch may learn."""

DELTA_WEIGHT_BITS = range(4, MAX_WEIGHT_BITS + 1)
"""Bits per weight that the delta rule can move: with fewer, a step of 1 is too large."""

MAX_SEED = (1 << 63) - 1
"""The largest seed that all random generators take."""

MAX_HIDDEN = 1 << 16
"""The most neurons of a hidden layer; more is a slip of the finger, and no memory would hold their
weights."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything besides the data that decides what a training run makes.

    The same settings, data, versions and processor give the same network. With rule delta,
    processor and `threads` do not matter.

    Raises TrainingError if a value is out of its range, or given for a rule that does not know it,
    and AnalogueError if nobody offers the analogue memory.
    """

    rule: Annotated[
        str,
        Setting(
            "Learning rule: surrogate, sigmoid (both need torch), or delta; sgd makes ordinary "
            "networks for the multiply-accumulate core, lut networks of look-up tables, spiking "
            "networks of integrate-and-fire neurons.",
            called="learning rule",
            choices=RULES,
            on_card=True,
        ),
    ] = "surrogate"

    kind: Annotated[
        str,
        Setting(
            "Kind of network: step, or lut for look-up tables, whose rule is lut (needs torch).",
            called="kind of network",
            choices=KINDS,
        ),
    ] = "step"

    start: Annotated[
        str | None,
        Setting(
            "A shipped network or a .npz file to go on from, which gives layers, weights, readout "
            "and ink threshold; some hundred images are enough then.",
            rules=("surrogate",),
            option="from",
            write=file_name,
        ),
    ] = None
    """The network that learning starts from; None for weights at random."""

    fixed_layers: Annotated[
        int,
        Setting(
            "So many of its layers, from the first, stay as they are, and the rest learns on what "
            "they answer: quick, and without --augmentation.",
            least=0,
            rules=("surrogate",),
        ),
    ] = 0

    readout: Annotated[
        Readout,
        Setting(
            "How the last layer becomes a character: bits, tree or nearest.",
            called="readout",
            choices=tuple(Readout),
        ),
    ] = Readout.BITS

    hidden: Annotated[
        tuple[int, ...],
        Setting(
            "Neurons of each hidden layer, first to last.",
            rules=STEP_RULES,
            on_card=True,
            read=read_sizes,
            write=write_sizes,
        ),
    ] = (128, 64)
    """Empty for a network of one layer."""

    convolutions: Annotated[
        tuple[ConvolutionSize, ...],
        Setting(
            "Convolutions before the hidden layers, first to last, like 5x5x32p,3x3x64: kernel and "
            "channels, then s2 for stride 2, +1 for a border of one position, p for pooling of 2 x "
            "2 positions.",
            rules=("surrogate",),
            read=read_convolutions,
            write=write_convolutions,
        ),
    ] = ()
    """Empty for a network of dense layers alone."""

    weight_bits: Annotated[
        int | str | tuple[int | str, ...] | None,
        Setting(
            "Bits per weight, 1 to 8 or ternary (rule delta: 4 to 8): for all layers, or one "
            "for each; 1 if not given (rules delta, sigmoid and sgd: 8, spiking: 4).",
            rules=STEP_RULES,
            usual={"surrogate": 1, "delta": 8, "sigmoid": 8, "sgd": 8, "spiking": 4, "lut": None},
            on_card=True,
            read=read_weight_bits,
            write=write_weight_bits,
        ),
    ] = None
    """One number or "ternary" for all layers, or one for each, the last layer included."""

    ink_threshold: Annotated[
        int, Setting("Grey value, 0 to 255, from which a pixel counts as ink.", on_card=True)
    ] = 128

    epochs: Annotated[int, Setting("Passes over the training images.", least=1, on_card=True)] = 30

    seed: Annotated[
        int,
        Setting("The same seed makes the same network.", least=0, most=MAX_SEED, on_card=True),
    ] = 0

    batch_size: Annotated[
        int | None,
        Setting(
            "Images per step; the rule's usual if not given.",
            least=2,
            rules=GRADIENT_RULES,
            usual={
                "surrogate": 256,
                "delta": 32,
                "sigmoid": 32,
                "sgd": 32,
                "lut": 256,
                "spiking": 256,
            },
            usual_from=32,
        ),
    ] = None

    learning_rate: Annotated[
        float | None,
        Setting(
            "At its peak; the rule's usual if not given.",
            rules=GRADIENT_RULES,
            usual={
                "surrogate": 0.03,
                "delta": 1.0,
                "sigmoid": 1.0,
                "sgd": 0.1,
                "lut": 0.02,
                "spiking": 0.01,
            },
            usual_from=0.01,
        ),
    ] = None
    """The rate of learning at its peak. It warms up over the first steps and falls to 0 as a
    cosine."""

    augmentation: Annotated[
        float,
        Setting(
            "Strength of the random warps of training images; 0 for none.",
            least=0,
            rules=GRADIENT_RULES,
        ),
    ] = 0.5

    surrogate: Annotated[
        str,
        Setting(
            "What counts as the slope of a step: straight-through, hard-tanh, sigmoid, "
            "arctan or triangle.",
            called="surrogate",
            choices=SURROGATES,
            rules=("surrogate", "spiking"),
        ),
    ] = "hard-tanh"

    auxiliary: Annotated[
        float,
        Setting(
            "Weight in the loss of class detectors on the last hidden layer.",
            least=0,
            rules=("surrogate",),
        ),
    ] = 0.0
    """The detectors help while training and are thrown away afterwards; 0 for none."""

    distillation: Annotated[
        float,
        Setting(
            "Part of the lesson, 0 to 1, that comes from a teacher.",
            rules=("surrogate", "lut"),
        ),
    ] = 0.0
    """The rest of the lesson comes from the labels."""

    teacher_epochs: Annotated[
        int,
        Setting(
            "Passes over the training images that the teacher takes before.",
            least=1,
        ),
    ] = 6
    """Passes of the teacher over the training images; without a teacher it means nothing."""

    analogue: Annotated[
        str | None,
        Setting(
            "Learn for arrays of this analogue memory, such as pcm: every few steps see the sums "
            "of another programming; exact sums if not given.",
            rules=("surrogate",),
        ),
    ] = None
    """The kind of memory by its name; see `stepnet.analogue`."""

    tables: Annotated[
        int,
        Setting(
            "Kind lut: look-up tables that are counted, shared out between the counts.",
            least=1,
            most=MAX_HIDDEN,
            rules=("lut",),
        ),
    ] = 1000

    table_inputs: Annotated[
        int,
        Setting(
            "Kind lut: pixels that each counted table sees, 4, 7, 10, 13 or 16; three more for "
            "each table before it.",
            rules=("lut",),
        ),
    ] = 4

    pixels: Annotated[
        int | None,
        Setting(
            "Kind lut: how many pixels the wires may choose among; all if not given.",
            rules=("lut",),
        ),
    ] = None

    gathered: Annotated[
        int | None,
        Setting(
            "Kind lut: how many bits are gathered of an image in place of pixels, each the answer "
            "of a table on pixels of one byte, for chips that take it byte by byte.",
            rules=("lut",),
        ),
    ] = None

    temperature: Annotated[
        float | None,
        Setting(
            "Kind lut: divides the counts while learning; what suits their number if not given.",
            rules=("lut",),
        ),
    ] = None

    ticks: Annotated[
        int,
        Setting(
            "Rule spiking: for how many ticks the network sees an image.",
            least=1,
            most=MOST_TICKS,
            rules=("spiking",),
        ),
    ] = 4

    coding: Annotated[
        str,
        Setting(
            "Rule spiking: how an image becomes spikes: once (ink in the first tick), rate (the "
            "brighter, the more often) or latency (the brighter, the sooner).",
            called="coding",
            choices=CODINGS,
            rules=("spiking",),
        ),
    ] = "rate"

    decay_shift: Annotated[
        int,
        Setting(
            "Rule spiking: potentials lose 2^-k of their value in each tick; 0 for everything.",
            least=0,
            most=MOST_DECAY_SHIFT,
            rules=("spiking",),
        ),
    ] = 2

    device: Annotated[
        str,
        Setting(
            "Where torch learns: cpu, or cuda for a GPU of NVIDIA.",
            called="device",
            choices=DEVICES,
            rules=("surrogate",),
        ),
    ] = "cpu"
    """On another device torch adds up in another order too."""

    threads: Annotated[int, Setting("Threads of torch; they decide rounding.", least=1)] = 1
    """With another number of threads, torch adds up in another order."""

    def __post_init__(self) -> None:
        for name, setting in SETTINGS.items():
            value = getattr(self, name)
            if setting.choices and value not in setting.choices:
                raise TrainingError(
                    f"There is no {setting.called} {str(value)!r}; "
                    f"choose one of {', '.join(setting.choices)}."
                )
        self._match_kind_and_rule()
        self._match_readout_and_rule()
        object.__setattr__(self, "batch_size", self.step_images)
        object.__setattr__(self, "learning_rate", self.peak_rate)
        self._check_convolutions()
        self._check_hidden()
        self._check_weights()
        self._check_numbers()
        self._check_tables()
        self._check_analogue()
        self._check_foreign_settings()

    def _match_kind_and_rule(self) -> None:
        """Rule lut makes networks of kind lut, and it alone; either word will do."""
        if self.kind == "lut" and self.rule not in (
            "lut",
            default_of(self, "rule", SETTINGS["rule"]),
        ):
            raise TrainingError(
                f"The rule {self.rule} makes no network of look-up tables; leave out the rule or "
                "the kind."
            )
        if "lut" in (self.kind, self.rule):
            object.__setattr__(self, "kind", "lut")
            object.__setattr__(self, "rule", "lut")

    def _match_readout_and_rule(self) -> None:
        """Rule sgd makes networks that read nearest, and no others; its default is that."""
        readout = Readout(self.readout)
        if self.rule == "sgd" and readout is Readout.BITS:
            readout = Readout.NEAREST
        if self.rule == "sgd" and readout is not Readout.NEAREST:
            raise TrainingError(
                f"The rule sgd makes networks that read nearest, but the readout is {readout}; "
                "leave it out, or choose rule sigmoid."
            )
        object.__setattr__(self, "readout", readout)

    def _check_hidden(self) -> None:
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

    def _check_convolutions(self) -> None:
        channels = [size.channels for size in self.convolutions]
        told = write_convolutions(self.convolutions)
        if any(count < 1 for count in channels):
            raise TrainingError(
                f"The convolutions {told} hold one without channels; give at least 1 for each."
            )
        if any(count > MAX_HIDDEN for count in channels):
            raise TrainingError(
                f"The convolutions {told} hold one of more than {MAX_HIDDEN} channels; give fewer."
            )

    def _check_weights(self) -> None:
        if self.rule == "lut":
            return  # tables have none
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
            if self.rule in ("sigmoid", "sgd") and bits != MAX_WEIGHT_BITS:
                raise TrainingError(
                    f"The rule {self.rule} rounds its weights to {MAX_WEIGHT_BITS} bits, but the "
                    f"weight bits are {bits}; give {MAX_WEIGHT_BITS} or none, or choose rule "
                    "surrogate."
                )

    def _check_numbers(self) -> None:
        if not 0 <= self.ink_threshold <= 255:
            raise TrainingError(
                f"The ink threshold {self.ink_threshold} is no grey value; choose 0 to 255."
            )
        for name, setting in SETTINGS.items():
            value, least = getattr(self, name), setting.least
            if least is None:
                continue
            if not value >= least:
                raise TrainingError(f"The setting {name} is {value}; give at least {least}.")
            if value == math.inf:
                raise TrainingError(f"The setting {name} is {value}; give a finite number.")
            if setting.most is not None and value > setting.most:
                raise TrainingError(f"The setting {name} is {value}; give at most {setting.most}.")
        if not 0 < self.peak_rate < math.inf:
            raise TrainingError(
                f"The learning rate is {self.learning_rate}; give a finite number greater than 0."
            )
        if not 0 <= self.distillation <= 1:
            raise TrainingError(
                f"The setting distillation is {self.distillation}; give a part from 0 to 1."
            )

    def _check_tables(self) -> None:
        if self.table_inputs not in TABLE_INPUTS:
            raise TrainingError(
                f"The setting table_inputs is {self.table_inputs}; "
                f"choose one of {', '.join(map(str, TABLE_INPUTS))}."
            )
        for name, count in (("pixels", self.pixels), ("gathered", self.gathered)):
            if count is not None and count < 1:
                raise TrainingError(f"The setting {name} is {count}; give at least 1.")
        if self.pixels is not None and self.gathered is not None:
            raise TrainingError(
                f"Of {self.pixels} pixels, {self.gathered} bits are to be gathered; give one of "
                "both, pixels or gathered."
            )
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise TrainingError(
                f"The temperature is {self.temperature}; give a finite number greater than 0."
            )

    def _check_analogue(self) -> None:
        """Raise AnalogueError if there is no such memory."""
        if self.analogue is not None:
            from stepnet.analogue import memory

            memory(self.analogue)
            if self.convolutions:
                raise TrainingError(
                    f"Arrays of {self.analogue} hold no convolutions, but there are "
                    f"{write_convolutions(self.convolutions)}; leave out convolutions or analogue."
                )

    def _check_foreign_settings(self) -> None:
        """Refuse settings that would silently do nothing."""
        for name, setting in SETTINGS.items():
            known = not setting.rules or self.rule in setting.rules
            value = getattr(self, name)
            if not known and value != default_of(self, name, setting):
                called = f"{name} (--{setting.option})" if setting.option else name
                raise TrainingError(
                    f"The rule {self.rule} knows no setting {called}, but it is "
                    f"{setting.write(value)}; leave it out, or choose rule {setting.rules[0]}."
                )

    @property
    def layer_count(self) -> int:
        """How many layers the network has, the last one included."""
        return len(self.convolutions) + len(self.hidden) + 1

    @property
    def passes(self) -> int:
        """How many passes over the training images there are, the teacher's included."""
        return self.epochs + (self.teacher_epochs if self.distillation else 0)

    @property
    def peak_rate(self) -> float:
        """The learning rate, the rule's usual where none was given."""
        return self._or_usual("learning_rate")

    @property
    def step_images(self) -> int:
        """The batch size, the rule's usual where none was given."""
        return self._or_usual("batch_size")

    @property
    def weights_per_layer(self) -> tuple[int | str, ...]:
        """What the weights of every layer can be, first to last: a number of bits, or "ternary"."""
        bits: int | str | tuple[int | str, ...] = self._or_usual("weight_bits")
        return bits if isinstance(bits, tuple) else (bits,) * self.layer_count

    @property
    def bits_per_layer(self) -> tuple[int, ...]:
        """Bits that a weight of every layer takes in the network's file, first to last."""
        return tuple(2 if isinstance(bits, str) else bits for bits in self.weights_per_layer)

    def _or_usual(self, name: str) -> Any:
        value = getattr(self, name)
        return default_of(self, name, SETTINGS[name]) if value is None else value


SETTINGS = settings_of(Config)
"""The declarations of the fields of `Config`, by name, in their order."""


@dataclass(frozen=True)
class Progress:
    """Where a training run stands.

    epoch: the one under way, 1 to `epochs`.
    images_done, images_total: training images seen so far and in the whole run.
    loss: what the rule makes small, as the mean over the epoch so far.
    accuracy: part of the epoch's images, as warped, whose whole code came out right.
    learning_rate: the rate of the last step; for a teacher in parts of its peak; None for rule
    delta, whose steps are fixed.
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
