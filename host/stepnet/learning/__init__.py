"""Training of step networks: `train(Config(...), dataset)` gives a `stepnet.Network`.

Nothing here prints; a callback is told how far the run is. Which rule makes the weights is the
matter of one module each (`stepnet.learning.delta`, in numpy; `stepnet.learning.surrogate`, in
torch, which no other rule needs); they all end in integer layers.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnet.data import Dataset
from stepnet.errors import MissingToolError, TrainingError
from stepnet.learning.config import Config, Progress
from stepnet.learning.targets import Targets
from stepnet.network import Layer, Network

__all__ = ["Config", "Progress", "train"]

Rule = Callable[[Config, Dataset, Callable[[Progress], None]], tuple[Layer, ...]]
"""Trains on all of a data set, calls back after every step, and returns integer layers."""


def train(
    config: Config,
    dataset: Dataset,
    *,
    name: str = "network",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Network:
    """Train a network on all of `dataset` with the rule and the readout of `config`.

    Its image size and its alphabet are those of the data set. `on_progress` is called after every
    step of the rule; whatever it raises ends the run.

    Raises TrainingError if there is one character only or the run fails, and MissingToolError if
    the rule needs torch and it is not installed.
    """
    if len(dataset.alphabet) < 2:
        raise TrainingError(
            f"All images show the character {dataset.alphabet!r}; "
            "give a data set with at least two characters."
        )
    layers = _rule(config.rule)(config, dataset, on_progress)
    _, height, width = dataset.images.shape
    return Network(
        name=name,
        layers=layers,
        height=height,
        width=width,
        ink_threshold=config.ink_threshold,
        readout=config.readout,
        alphabet=dataset.alphabet,
        code_prefix=Targets.of(config.readout, dataset.alphabet).code_prefix,
    )


def _rule(name: str) -> Rule:
    """The learning rule of this name, one of `config.RULES`."""
    if name == "delta":
        from stepnet.learning import delta

        return delta.train
    try:
        from stepnet.learning import surrogate
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingToolError(
            "The rule surrogate needs the package torch, which is not installed; install it with "
            'pip install "stepnet[train]", or choose the rule delta, which does without.'
        ) from None
    return surrogate.train
