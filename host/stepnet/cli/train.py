"""`stepnet train`: from a data set to a network file."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stepnet.cli.options import CleanOption, DataDirOption, DataOption, JsonOption
from stepnet.errors import TrainingError

if TYPE_CHECKING:
    from stepnet.data import Dataset
    from stepnet.learning import Config
    from stepnet.network import Network, Readout


def train(
    data: DataOption = "mnist",
    data_dir: DataDirOption = None,
    hidden: Annotated[
        str, typer.Option(help="Neurons of each hidden layer, first to last.")
    ] = "128,64",
    weight_bits: Annotated[
        str | None,
        typer.Option(
            help="Bits per weight, 1 to 8 (rule delta: 4 to 8): for all layers, or one for each; "
            "1 if not given (rule delta: 8)."
        ),
    ] = None,
    ink_threshold: Annotated[
        int, typer.Option(help="Grey value, 0 to 255, from which a pixel counts as ink.")
    ] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed makes the same network.")] = 0,
    rule: Annotated[
        str, typer.Option(help="Learning rule: surrogate (needs torch), or delta.")
    ] = "surrogate",
    readout: Annotated[
        str, typer.Option(help="How the last layer becomes a character: bits, tree or nearest.")
    ] = "bits",
    clean: CleanOption = False,
    output: Annotated[
        Path | None, typer.Option(help="File to write; NAME.npz here if not given.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the network; DATA-network if not given.")
    ] = None,
    hold_out: Annotated[
        float,
        typer.Option(
            help="Part of the training images to keep back and to measure on in place of the "
            "test images, for choosing between settings."
        ),
    ] = 0.0,
    json_output: JsonOption = False,
) -> None:
    """Train a step network, save it, and measure it with the integer reference."""
    from stepnet import data as data_sets
    from stepnet import evaluation, learning

    bits = None if weight_bits is None else _numbers(weight_bits, "--weight-bits")
    config = learning.Config(
        rule=rule,
        hidden=_numbers(hidden, "--hidden"),
        weight_bits=bits[0] if bits and len(bits) == 1 else bits,
        readout=cast("Readout", readout),  # Config refuses any other word
        ink_threshold=ink_threshold,
        epochs=epochs,
        seed=seed,
    )
    split = data_sets.load(data, data_dir)
    name = name or f"{split.name}-network"
    path = output or Path(f"{name}.npz")
    if not path.parent.is_dir():
        # Said now, not after an hour of training.
        raise TrainingError(
            f"There is no folder {str(path.parent)!r}; name an --output in a folder that exists."
        )
    if path.resolve() == Path(data).resolve():
        raise TrainingError(f"The output {str(path)!r} is the data file; name another --output.")
    learned, measured, part = split.train, split.test, "test part"
    if hold_out:
        learned, measured = learned.hold_out(hold_out, seed)
        part = f"held-out {hold_out} of the training part"
    if clean:
        learned, measured = learned.cleaned(), measured.cleaned()
        part = f"clean {part}"
    network = _train_with_bar(config, learned, name)
    result = evaluation.score(network, measured)
    card = {
        "data": f"{split.name}, {len(learned)} images of the training part",
        "rule": rule,
        "command": _command(config, data, name, hold_out, clean),
        "seed": str(seed),
        "accuracy": f"{result.accuracy:.4f} of {result.images} images of the {part} give exactly "
        "the right code",
        "attribution": split.attribution,
    }
    network = dataclasses.replace(network, card=card)
    network.save(path)
    if json_output:
        print(
            json.dumps(
                {
                    "network": name,
                    "file": str(path),
                    "digest": network.digest,
                    "part": part,
                    "accuracy": result.accuracy,
                    "images": result.images,
                    "unknown": result.unknown,
                }
            )
        )
        return
    print(f"{path}: {'-'.join(map(str, network.sizes))}, digest {network.digest[:16]}")
    print(
        f"{result.accuracy:.2%} of {result.images} images of the {part} give exactly the right "
        "code."
    )


def _train_with_bar(config: Config, dataset: Dataset, name: str) -> Network:
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
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", epoch=1, epochs=config.epochs, rate=0.0, loss=0.0, accuracy=0.0)

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

        return learning.train(config, dataset, name=name, on_progress=show)


def _command(config: Config, data: str, name: str, hold_out: float, clean: bool) -> str:
    """The command that makes this network again; where data and output lie does not matter."""
    bits = (
        config.bits_per_layer[:1] if len(set(config.bits_per_layer)) == 1 else config.bits_per_layer
    )
    words = ["stepnet", "train", "--data", Path(data).name, "--rule", config.rule]
    if config.readout != "bits":
        words += ["--readout", config.readout]
    words += ["--hidden", ",".join(map(str, config.hidden))]
    words += ["--weight-bits", ",".join(map(str, bits))]
    words += ["--ink-threshold", str(config.ink_threshold)]
    words += ["--epochs", str(config.epochs), "--seed", str(config.seed), "--name", name]
    if hold_out:
        words += ["--hold-out", str(hold_out)]
    if clean:
        words += ["--clean"]
    return shlex.join(words)


def _numbers(text: str, option: str) -> tuple[int, ...]:
    """The numbers of a list such as "128,64"; empty text is an empty list."""
    try:
        return tuple(int(number) for number in text.split(",")) if text.strip() else ()
    except ValueError:
        raise TrainingError(
            f"The option {option} is {text!r}; give whole numbers with commas between, like 128,64."
        ) from None
