"""`stepnet train`: from a data set to a network file."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stepnet.cli.options import CleanOption, DataDirOption, DataOption, JsonOption
from stepnet.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stepnet.data.evaluation import Score
    from stepnet.data.sets import Dataset
    from stepnet.learning import Config, Run
    from stepnet.networks.network import Network, Readout
    from stepnet.networks.sigmoid import SigmoidNetwork

RUNS_FOLDER = "runs"
"""Where run folders lie that nobody named."""


def train(
    data: DataOption = "mnist",
    data_dir: DataDirOption = None,
    rule: Annotated[
        str,
        typer.Option(help="Learning rule: surrogate, sigmoid (both need torch), or delta."),
    ] = "surrogate",
    readout: Annotated[
        str, typer.Option(help="How the last layer becomes a character: bits, tree or nearest.")
    ] = "bits",
    hidden: Annotated[
        str, typer.Option(help="Neurons of each hidden layer, first to last.")
    ] = "128,64",
    weight_bits: Annotated[
        str | None,
        typer.Option(
            help="Bits per weight, 1 to 8 or ternary (rule delta: 4 to 8): for all layers, or one "
            "for each; 1 if not given (rule delta and sigmoid: 8)."
        ),
    ] = None,
    ink_threshold: Annotated[
        int, typer.Option(help="Grey value, 0 to 255, from which a pixel counts as ink.")
    ] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed makes the same network.")] = 0,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per step; the rule's usual if not given.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At its peak; the rule's usual if not given.")
    ] = None,
    augmentation: Annotated[
        float, typer.Option(help="Strength of the random warps of training images; 0 for none.")
    ] = 0.5,
    surrogate: Annotated[
        str,
        typer.Option(
            help="What counts as the slope of a step: straight-through, hard-tanh, sigmoid, "
            "arctan or triangle."
        ),
    ] = "hard-tanh",
    auxiliary: Annotated[
        float, typer.Option(help="Weight in the loss of class detectors on the last hidden layer.")
    ] = 0.0,
    distillation: Annotated[
        float, typer.Option(help="Part of the lesson, 0 to 1, that comes from a teacher.")
    ] = 0.0,
    teacher_epochs: Annotated[
        int, typer.Option(help="Passes over the training images that the teacher takes before.")
    ] = 6,
    threads: Annotated[int, typer.Option(help="Threads of torch; they decide rounding.")] = 1,
    characters: Annotated[
        str | None,
        typer.Option(help="Characters to learn, like 0-9A-Z; all of the data if not given."),
    ] = None,
    clean: CleanOption = False,
    hold_out: Annotated[
        float,
        typer.Option(
            help="Part of the training images to keep back and to measure on in place of the "
            "test images, for choosing between settings."
        ),
    ] = 0.0,
    name: Annotated[
        str | None, typer.Option(help="Name of the network; DATA-network if not given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; NAME.npz here if not given.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the log, the curves and the checkpoint; runs/NAME if not given. A run "
            "that was stopped goes on where it was."
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Train a step network, save it, and measure it with the integer reference."""
    from stepnet import learning
    from stepnet.data import evaluation
    from stepnet.data import sets as data_sets
    from stepnet.networks.sigmoid import SigmoidNetwork

    config = learning.Config(
        rule=rule,
        hidden=_numbers(hidden),
        weight_bits=None if weight_bits is None else _weight_bits(weight_bits),
        readout=cast("Readout", readout),  # Config refuses any other word
        ink_threshold=ink_threshold,
        epochs=epochs,
        seed=seed,
        batch_size=batch_size,
        learning_rate=learning_rate,
        augmentation=augmentation,
        threads=threads,
        surrogate=surrogate,
        auxiliary=auxiliary,
        distillation=distillation,
        teacher_epochs=teacher_epochs,
    )
    split = data_sets.load(data, data_dir)
    name = name or f"{split.name}-network"
    path = output or Path(f"{name}.npz")
    _check_output(path, Path(data))
    learned, measured, part = split.train, split.test, "test part"
    if characters is not None:
        alphabet = data_sets.parse_characters(characters)
        learned, measured = learned.showing(alphabet), measured.showing(alphabet)
    whole = learned
    if hold_out:
        learned, measured = learned.hold_out(hold_out, seed)
        part = f"held-out {hold_out} of the training part"
    if clean:
        learned, measured = learned.cleaned(), measured.cleaned()
        part = f"clean {part}"
    _check_classes(learned, whole)
    about = {
        "name": name,
        "data": f"{split.name}, {len(learned)} images of the training part",
        "measured_on": part,
    }
    folder = _open_run(run, name, config, learned, about)
    network = _train_with_bar(config, learned, name, folder, measured if hold_out else None)
    score = evaluation.score(network, measured)
    card = {
        "data": about["data"],
        "rule": rule,
        "command": _command(config, data, name, characters, hold_out, clean),
        "seed": str(seed),
        "accuracy": f"{score.accuracy:.4f} of {score.images} images of the {part} give exactly "
        "the right code",
        "size": f"{network.weight_bits_total} bits of weights",
        "attribution": split.attribution,
    }
    network = dataclasses.replace(network, card=card)
    network.save(path)
    result = {
        "network": name,
        "file": str(path),
        "run": str(folder.folder),
        "digest": network.digest,
        "part": part,
        "accuracy": score.accuracy,
        "images": score.images,
        "unknown": score.unknown,
        "weight_bits_total": network.weight_bits_total,
        "seconds": folder.seconds,
    }
    if isinstance(network, SigmoidNetwork):
        result["float_accuracy"] = evaluation.float_accuracy(network, measured)
    folder.finish(network, result)
    if json_output:
        print(json.dumps(result))
    else:
        _show(result, network, score, part)


def _check_output(path: Path, data: Path) -> None:
    """Refuse, before an hour of training, a file that cannot be written after it."""
    if not path.parent.is_dir():
        raise TrainingError(
            f"There is no folder {str(path.parent)!r}; name an --output in a folder that exists."
        )
    if path.is_dir():
        raise TrainingError(f"The output {str(path)!r} is a folder; name a file with --output.")
    if not os.access(path.parent, os.W_OK):
        raise TrainingError(
            f"Nothing can be written to the folder {str(path.parent)!r}; "
            "name an --output in one that is writable."
        )
    if path.resolve() == data.resolve():
        raise TrainingError(f"The output {str(path)!r} is the data file; name another --output.")


def _check_classes(learned: Dataset, whole: Dataset) -> None:
    """Refuse to learn from what has no image left of a character that the whole shows."""
    for character in whole.alphabet:
        if character not in learned.alphabet:
            raise TrainingError(
                f"Every image of {character!r} is held out or marked as wrongly labelled; choose "
                "--characters without it, or learn without --hold-out and --clean."
            )


def _open_run(
    named: Path | None, name: str, config: Config, dataset: Dataset, about: dict[str, str]
) -> Run:
    """The run in the folder that was named, or in the first that is free or can be gone on with."""
    from stepnet.learning import Run

    if named is not None:
        return Run.open(named, config, dataset, about)
    for folder in _free_folders(name):
        try:
            return Run.open(folder, config, dataset, about)
        except TrainingError:
            if not folder.is_dir():
                raise
    raise AssertionError  # there is always one more


def _free_folders(name: str) -> Iterator[Path]:
    """runs/NAME, runs/NAME-2, runs/NAME-3 and so on."""
    yield Path(RUNS_FOLDER, name)
    number = 2
    while True:
        yield Path(RUNS_FOLDER, f"{name}-{number}")
        number += 1


def _train_with_bar(
    config: Config, dataset: Dataset, name: str, run: Run, check_on: Dataset | None
) -> Network | SigmoidNetwork:
    """Train while a bar on stderr shows epoch, rate, loss, accuracy and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from stepnet import learning

    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f} images/s"),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("accuracy {task.fields[accuracy]:.2%}"),
        TimeRemainingColumn(),
    )
    if run.records:
        print(f"Going on after epoch {len(run.records)} in {run.folder}.", file=sys.stderr)
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", epoch=1, epochs=config.passes, rate=0.0, loss=0.0, accuracy=0.0)

        def show(progress: learning.Progress) -> None:
            bar.update(
                task,
                completed=progress.images_done,
                total=progress.images_total,
                epoch=progress.epoch,
                rate=bar.tasks[task].speed or 0.0,
                loss=progress.loss,
                accuracy=progress.accuracy,
            )

        try:
            return learning.train(
                config, dataset, name=name, run=run, check_on=check_on, on_progress=show
            )
        except KeyboardInterrupt:
            bar.stop()
            print(
                f"Stopped after {len(run.records)} whole epochs; the same command goes on there.",
                file=sys.stderr,
            )
            raise


def _show(
    result: Mapping[str, object], network: Network | SigmoidNetwork, score: Score, part: str
) -> None:
    print(
        f"{result['file']}: {'-'.join(map(str, network.sizes))}, "
        f"{network.weight_bits_total} bits of weights, digest {network.digest[:16]}"
    )
    print(f"{result['run']}: the run's settings, log, curves and network")
    print(
        f"{score.accuracy:.2%} of {score.images} images of the {part} give exactly the right code."
    )


def _command(
    config: Config, data: str, name: str, characters: str | None, hold_out: float, clean: bool
) -> str:
    """The command that makes this network again; where data and output lie does not matter."""
    from stepnet.learning import Config
    from stepnet.learning.config import GRADIENT_SETTINGS

    usual = Config(rule=config.rule)
    bits = config.weights_per_layer
    options: dict[str, object] = {
        "data": Path(data).name,
        "rule": config.rule,
        "readout": config.readout if config.readout != usual.readout else None,
        "hidden": ",".join(map(str, config.hidden)),
        "weight-bits": ",".join(map(str, bits[:1] if len(set(bits)) == 1 else bits)),
        "ink-threshold": config.ink_threshold,
        "epochs": config.epochs,
        "seed": config.seed,
    }
    for setting in (*GRADIENT_SETTINGS, "teacher_epochs", "threads"):
        if getattr(config, setting) != getattr(usual, setting):
            options[setting.replace("_", "-")] = getattr(config, setting)
    options |= {"characters": characters, "hold-out": hold_out or None, "name": name}
    words = ["stepnet", "train"]
    for option, value in options.items():
        if value is not None:
            words += [f"--{option}", str(value)]
    return shlex.join([*words, *(["--clean"] if clean else [])])


def _numbers(text: str) -> tuple[int, ...]:
    """The neurons of a list such as "128,64"; empty text is an empty list."""
    try:
        return tuple(int(number) for number in text.split(",")) if text.strip() else ()
    except ValueError:
        raise TrainingError(
            f"The option --hidden is {text!r}; give whole numbers with commas between, like 128,64."
        ) from None


def _weight_bits(text: str) -> int | str | tuple[int | str, ...]:
    """One kind of weights, or a list such as "1,ternary,8"."""
    from stepnet.learning.config import TERNARY

    try:
        kinds = tuple(
            word if word == TERNARY else int(word)
            for word in (word.strip() for word in text.split(","))
        )
    except ValueError:
        raise TrainingError(
            f"The option --weight-bits is {text!r}; give whole numbers or {TERNARY} with commas "
            "between, like 1,1,4."
        ) from None
    return kinds[0] if len(kinds) == 1 else kinds
