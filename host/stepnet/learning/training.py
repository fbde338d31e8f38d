"""Trains a network: the passes over the images, with their checks and checkpoints.

`train` is what programs and `stepnet train` call. Which rule changes the weights is the matter of
one module for each: `delta`, in numpy; `surrogate`, `sigmoid`, `sgd`, `spiking` and `lut`, in
torch, which rule delta does without. Each is a `Learner`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from stepnet.data import evaluation
from stepnet.data.sets import Dataset
from stepnet.errors import MissingToolError
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import Learner, check_learnable
from stepnet.learning.run import Record, Run
from stepnet.learning.starting import check_start, config_from, start_network
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.network import Network

CHECKS = 12
"""How many times the network is measured during a run, at most."""


def train(
    config: Config,
    dataset: Dataset,
    *,
    name: str = "network",
    run: Run | None = None,
    check_on: Dataset | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> AnyNetwork:
    """Train a network on all of `dataset` with the rule and the readout of `config`.

    Its image size and its alphabet are those of the data set, or those of the network that
    `config` starts from, whose layers, weights and readout it has then too. Rule sigmoid gives a
    SigmoidNetwork, rule sgd a ReluNetwork, rule spiking a SpikingNetwork, rule lut a LutNetwork,
    the others a Network.

    run: keeps a record and a checkpoint of every pass; one that was stopped is gone on with.
    check_on: images on which the integer network is measured now and then, for the curves; nothing
    is learned from them. on_progress: called after every step of the rule; whatever it raises ends
    the run, which loses the pass under way.

    Raises TrainingError if `check_learnable`, `check_start` or `check_fixed` of
    `stepnet.learning.fixed_layers` does or the run fails, NetworkError
    if there is no network to start from, and MissingToolError if the rule needs torch and it is not
    installed.
    """
    check_learnable(dataset)
    start = start_network(config)
    if start is not None:
        check_start(start, dataset)
        config = config_from(start, config)
    learner = _learner(config, dataset, start)
    if run and run.state is not None:
        try:
            learner.restore(run.state)
        except (KeyError, ValueError, TypeError, IndexError, RuntimeError, OverflowError) as error:
            raise run.damaged() from error
    done = len(run.records) if run else 0
    for epoch in range(done + 1, config.passes + 1):
        record = _pass(learner, epoch, on_progress)
        if check_on is not None and _is_check(epoch - config.passes + config.epochs, config.epochs):
            score = evaluation.score(learner.export(name), check_on)
            record["checked_accuracy"] = score.accuracy
        if run:
            run.keep(record, learner.state())
    return learner.export(name)


def _pass(learner: Learner, epoch: int, on_progress: Callable[[Progress], None]) -> Record:
    """Make one pass; returns its record."""
    start = time.perf_counter()
    progress = None
    for progress in learner.learn(epoch):
        on_progress(progress)
    assert progress is not None  # a pass has at least one step
    return {
        "epoch": epoch,
        "loss": progress.loss,
        "accuracy": progress.accuracy,
        "learning_rate": progress.learning_rate,
        "teaching": progress.teaching,
        "seconds": time.perf_counter() - start,
    }


def _is_check(epoch: int, epochs: int) -> bool:
    """Whether the network is measured after this pass: checks are evenly spread over the run, and
    one comes after the last pass.
    """
    return epoch > 0 and epoch * CHECKS // epochs > (epoch - 1) * CHECKS // epochs


def _learner(config: Config, dataset: Dataset, start: Network | None) -> Learner:
    """The learner of the rule that `config` names; `start` is what rule surrogate goes on from."""
    if config.rule == "delta":
        from stepnet.learning.delta import DeltaLearner

        return DeltaLearner(config, dataset)
    try:
        if config.rule == "sigmoid":
            from stepnet.learning.sigmoid import SigmoidLearner

            return SigmoidLearner(config, dataset)
        if config.rule == "sgd":
            from stepnet.learning.sgd import SgdLearner

            return SgdLearner(config, dataset)
        if config.rule == "spiking":
            from stepnet.learning.spiking import SpikingLearner

            return SpikingLearner(config, dataset)
        if config.rule == "lut":
            from stepnet.learning.lut import LutLearner

            return LutLearner(config, dataset)
        from stepnet.learning.fixed_layers import RestLearner, check_fixed
        from stepnet.learning.surrogate import SurrogateLearner

        check_fixed(config, start)
        if start is not None and config.fixed_layers:
            return RestLearner(config, dataset, start)
        return SurrogateLearner(config, dataset, start)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingToolError(
            f"The rule {config.rule} needs the package torch, which is not installed; install it "
            'with pip install "stepnet[train]", or choose the rule delta, which does without.'
        ) from None
