"""Training of step networks: `train(Config(...), dataset)` gives a `stepnet.Network`.

Nothing here prints; a callback is told how far the run is. Which rule makes the weights is the
matter of one module each (`stepnet.learning.surrogate`); they all end in integer layers.
"""

from __future__ import annotations

from collections.abc import Callable

from stepnet.data import Dataset
from stepnet.errors import MissingToolError
from stepnet.learning.config import Config, Progress
from stepnet.network import Network

__all__ = ["Config", "Progress", "train"]


def train(
    config: Config,
    dataset: Dataset,
    *,
    name: str = "network",
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Network:
    """Train a network with readout bits on all of `dataset`, with surrogate gradients.

    Its image size and its alphabet are those of the data set. `on_progress` is called after every
    step of the optimiser; whatever it raises ends the run.

    Raises TrainingError if the run fails and MissingToolError if torch is not installed.
    """
    try:
        from stepnet.learning import surrogate
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingToolError(
            "Training needs the package torch, which is not installed; "
            'install it with pip install "stepnet[train]".'
        ) from None
    layers = surrogate.train(config, dataset, on_progress)
    _, height, width = dataset.images.shape
    return Network(
        name=name,
        layers=layers,
        height=height,
        width=width,
        ink_threshold=config.ink_threshold,
        alphabet=dataset.alphabet,
    )
