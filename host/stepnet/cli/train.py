"""`stepnet train`: from a data set to a network file."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli import declared
from stepnet.cli.options import CLEAN_HELP, DATA_HELP, DataDirOption, JsonOption, Placed
from stepnet.cli.output import Progress as Waiting
from stepnet.errors import TrainingError
from stepnet.learning.config import Config
from stepnet.learning.settings import Setting, file_name
from stepnet.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stepnet.data.evaluation import Score
    from stepnet.data.sets import Dataset, Split
    from stepnet.learning import Progress, Run
    from stepnet.networks.kinds import AnyNetwork
    from stepnet.networks.network import Network
    from stepnet.networks.placing import Placing

MOST_UNKNOWN = 4.0
"""How many images of no character there may be for each of one."""

RUNS_FOLDER = "runs"
"""Where run folders lie that nobody named."""


def _read_names(text: str) -> tuple[str, ...]:
    """The data sets in a list such as "unipen,fonts.npz"; empty text is an empty list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _write_names(names: Sequence[str]) -> str:
    """The list that `_read_names` reads, without the folders, which a card need not tell."""
    return ",".join(map(file_name, names))


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Everything that `stepnet train` is told. What decides the network is a `Setting`, and stands
    in the command on its card; the other options say where things lie.
    """

    data: Annotated[str, Setting(DATA_HELP, on_card=True, write=file_name)] = "mnist"
    data_dir: DataDirOption = None
    config: Config = dataclasses.field(default_factory=Config)
    characters: Annotated[
        str | None,
        Setting("Characters to learn, like 0-9A-Z; all of the data if not given."),
    ] = None
    clean: Annotated[bool, Setting(CLEAN_HELP)] = False
    placed: Annotated[
        str,
        Setting(
            "Whether the characters of a .npz file lie as they should: yes takes the images as "
            "they are, no cuts all out and places them, auto looks.",
            called="placing",
            choices=tuple(Placed),
        ),
    ] = Placed.AUTO
    also: Annotated[
        tuple[str, ...],
        Setting(
            "More data sets to learn from, with commas between: the training parts of mnist, "
            "unipen or .npz files, their characters placed like those of --data. Characters that "
            "--data lacks are left out.",
            read=_read_names,
            write=_write_names,
        ),
    ] = ()
    lone: Annotated[
        float,
        Setting(
            "Learn that part of the images of --data once more as characters lie that come alone, "
            "whose size beside capitals is not known; where the data lie as UNIPEN's do."
        ),
    ] = 0.0
    unknown: Annotated[
        float,
        Setting(
            "Learn to answer code 0, unknown, for what is no character: from so many images of "
            "none, in parts of the others. They are characters of --also that --data lacks, and "
            "drawn ones: scribbles, dots, parts, pairs. 0 for none.",
        ),
    ] = 0.0
    hold_out: Annotated[
        float,
        Setting(
            "Part of the training images to keep back and to measure on in place of the "
            "test images, for choosing between settings."
        ),
    ] = 0.0
    name: Annotated[str | None, Setting("Name of the network; DATA-network if not given.")] = None
    output: Annotated[
        Path | None, typer.Option(help="File to write; NAME.npz here if not given.")
    ] = None
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the log, the curves and the checkpoint; runs/NAME if not given. A run "
            "that was stopped goes on where it was."
        ),
    ] = None
    json_output: JsonOption = False


@dataclass(frozen=True, eq=False)
class _Images:
    """The images that a run learns from and is measured on.

    part: what the measured ones are, in words.
    attribution: who made the data set and under which licence.
    placing: how the characters lie; None if that is not known, or known by the name of the data.
    """

    learned: Dataset
    measured: Dataset
    part: str
    attribution: str
    placing: Placing | None = None


def _train(options: TrainOptions) -> None:
    """Train a network, save it, and measure it with the integer reference."""
    from stepnet.data import evaluation, sets
    from stepnet.learning.starting import check_start, config_from, start_network
    from stepnet.networks.sigmoid import SigmoidNetwork
    from stepnet.pictures.data_sets import doubts

    split = sets.load(options.data, options.data_dir)
    name = options.name or f"{split.name}-network"
    options = dataclasses.replace(options, name=name)
    path = options.output or Path(f"{name}.npz")
    start = start_network(options.config)
    if start is not None:
        options = dataclasses.replace(options, config=config_from(start, options.config))
    _check_output(path, [options.data, options.config.start])
    images = _choose_images(options, split)
    if start is not None or Path(options.data).suffix == ".npz":
        images = _place(images, Placed(options.placed).known, start)
    if options.also or options.lone or options.unknown:
        images = _widen(options, images, split.name)
    for doubt in doubts(images.learned):
        print(f"stepnet: {doubt}", file=sys.stderr)
    about = {
        "name": name,
        "data": _told_data(options, split, images),
        "measured_on": images.part,
    }
    if start is not None:
        check_start(start, images.learned)
        about["from"] = f"{start.name}, digest {start.digest}"
    folder = _open_run(options.run, name, options.config, images.learned, about)
    check_on = images.measured if options.hold_out else None
    network = _train_with_bar(options.config, images.learned, name, folder, check_on)
    score = evaluation.score(network, images.measured)
    card = _card(options, network, score, images, about, start)
    network = dataclasses.replace(network, card=card)
    network.save(path)
    result = {
        "network": name,
        "file": str(path),
        "run": str(folder.folder),
        "digest": network.digest,
        "part": images.part,
        "accuracy": score.accuracy,
        "images": score.images,
        "unknown": score.unknown,
        "weight_bits_total": network.weight_bits_total,
        "seconds": folder.seconds,
    }
    if isinstance(network, SigmoidNetwork):
        result["float_accuracy"] = evaluation.float_accuracy(network, images.measured)
    folder.finish(network, result)
    if options.json_output:
        print(json.dumps(result))
    else:
        _show(result, network, score, images.part)


train = declared.command("train", TrainOptions, _train)


def _check_output(path: Path, inputs: Sequence[str | None]) -> None:
    """Refuse, before an hour of training, a file that cannot be written after it."""
    if not path.parent.is_dir():
        raise TrainingError(
            f"There is no folder {str(path.parent)!r}; name an --output in a folder that exists."
        )
    if path.is_dir():
        raise TrainingError(f"The output {str(path)!r} is a folder; name a file with --output.")
    if path.exists() and not path.is_file():
        raise TrainingError(f"The output {str(path)!r} is no file; name one with --output.")
    if not os.access(path.parent, os.W_OK):
        raise TrainingError(
            f"Nothing can be written to the folder {str(path.parent)!r}; "
            "name an --output in one that is writable."
        )
    for given, what in zip(inputs, ("data file", "network to start from"), strict=True):
        if given is not None and path.resolve() == Path(given).resolve():
            raise TrainingError(f"The output {str(path)!r} is the {what}; name another --output.")


def _choose_images(options: TrainOptions, split: Split) -> _Images:
    """The images of `split` that the options choose.

    Raises TrainingError if no image is left of a character that is to be learned.
    """
    from stepnet.data.sets import parse_characters

    learned, measured, part = split.train, split.test, "test part"
    if options.characters is not None:
        alphabet = parse_characters(options.characters)
        learned, measured = learned.showing(alphabet), measured.showing(alphabet)
    wanted = learned.alphabet
    if options.hold_out:
        learned, measured = learned.hold_out(options.hold_out, options.config.seed)
        part = f"held-out {options.hold_out} of the training part"
    if options.clean:
        learned, measured = learned.cleaned(), measured.cleaned()
        part = f"clean {part}"
    for character in wanted:
        if character not in learned.alphabet:
            raise TrainingError(
                f"Every image of {character!r} is held out or marked as wrongly labelled; choose "
                "--characters without it, or learn without --hold-out and --clean."
            )
    return _Images(learned, measured, part, split.attribution)


def _place(images: _Images, placed: bool | None, start: Network | None) -> _Images:
    """The images of a file with their characters placed, unless they are; as the network that
    learning starts from expects them, if there is one."""
    import numpy as np

    from stepnet.networks.placing import placing_of
    from stepnet.pictures.data_sets import placed_for, placed_to_learn

    # Both parts together, so that they are placed in one way.
    count = len(images.learned)
    together = images.learned.with_others(images.measured)
    with Waiting() as progress:
        if start is not None:
            together, placing = placed_for(start, together, placed, progress), placing_of(start)
        else:
            together, placing = placed_to_learn(together, placed, progress)
    learned, measured = (
        together.select(np.arange(*ends)) for ends in ((0, count), (count, len(together)))
    )
    return dataclasses.replace(images, learned=learned, measured=measured, placing=placing)


def _widen(options: TrainOptions, images: _Images, name: str) -> _Images:
    """The images with those of the other data sets that the options name, and of no character."""
    from stepnet.data import sets
    from stepnet.networks.placing import Placing
    from stepnet.pictures.wider import with_lone, with_more, with_no_character

    if not 0 <= options.unknown <= MOST_UNKNOWN:
        raise TrainingError(
            f"The setting unknown is {options.unknown}; give a part from 0 to {MOST_UNKNOWN}."
        )
    placing = images.placing or (Placing(name) if name in tuple(Placing) else None)
    if placing is None:
        raise TrainingError(
            "How the characters of the data lie is not known, and so not how those of other data "
            "sets are to be placed; learn without --also, --lone and --unknown."
        )
    if options.lone and placing is not Placing.UNIPEN:
        raise TrainingError(
            "The characters of the data are all of one size, and so lie as lone ones do; learn "
            "without --lone."
        )
    if not 0 <= options.lone <= 1:
        raise TrainingError(f"The setting lone is {options.lone}; give a part from 0 to 1.")
    more: list[Dataset] = []
    attributions = [images.attribution]
    for source in options.also:
        split = sets.load(source, options.data_dir)
        part = split.train
        if options.hold_out:
            part, _ = part.hold_out(options.hold_out, options.config.seed)
        more.append(part.cleaned())
        attributions.append(split.attribution)
    with Waiting() as progress:
        learned = images.learned
        if options.lone:
            learned = with_lone(learned, options.lone, options.config.seed)
        learned, others = with_more(learned, more, placing, progress)
        if options.unknown:
            seed = options.config.seed
            learned = with_no_character(learned, others, options.unknown, placing, seed)
    known = [attribution for attribution in attributions if attribution != "unknown"]
    attribution = "; ".join(known) or "unknown"
    return dataclasses.replace(images, learned=learned, attribution=attribution)


def _told_data(options: TrainOptions, split: Split, images: _Images) -> str:
    """What was learned from, in words that begin with the name of the data set."""
    learned = images.learned
    if not (options.also or options.lone or options.unknown):
        return f"{split.name}, {len(learned)} images of the training part"
    none = int((learned.labels == 0).sum())
    more = "".join(f" and {Path(name).stem}" for name in options.also)
    told = f"{split.name}{more}, {len(learned) - none} images of their training parts"
    return f"{told}, {none} of no character" if none else told


def _card(
    options: TrainOptions,
    network: AnyNetwork,
    score: Score,
    images: _Images,
    about: Mapping[str, str],
    start: Network | None,
) -> dict[str, str]:
    """What the network's file says of where the network comes from. The command on it makes the
    same network again; where data and output lie does not matter.
    """
    placing = {} if images.placing is None else {"placing": str(images.placing)}
    started = {} if start is None else {"from": about["from"]}
    attribution = images.attribution
    if start is not None and "attribution" in start.card:
        attribution += f"; of {start.name}: {start.card['attribution']}"
    return {
        "data": about["data"],
        **started,
        **placing,
        "rule": options.config.rule,
        "command": shlex.join(["stepnet", "train", *declared.words(options)]),
        "seed": str(options.config.seed),
        "accuracy": f"{score.accuracy:.4f} of {score.images} images of the {images.part} give "
        "exactly the right code",
        "size": _size(network),
        "attribution": attribution,
    }


def _size(network: AnyNetwork) -> str:
    from stepnet.networks.lut import LutNetwork

    if isinstance(network, LutNetwork):
        return f"{network.table_count} tables on {len(network.pixels_used)} pixels"
    return f"{network.weight_bits_total} bits of weights"


def _open_run(
    named: Path | None, name: str, config: Config, dataset: Dataset, about: dict[str, str]
) -> Run:
    """The run in the folder that was named, or in the first that is free or can be gone on with."""
    from stepnet.learning import Run
    from stepnet.learning.run import RunTakenError

    if named is not None:
        return Run.open(named, config, dataset, about)
    for folder in _free_folders(name):
        with suppress(RunTakenError):
            return Run.open(folder, config, dataset, about)
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
) -> AnyNetwork:
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
        where = printable(str(run.folder))
        print(f"Going on after epoch {len(run.records)} in {where}.", file=sys.stderr)
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", epoch=1, epochs=config.passes, rate=0.0, loss=0.0, accuracy=0.0)

        def show(progress: Progress) -> None:
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


def _show(result: Mapping[str, object], network: AnyNetwork, score: Score, part: str) -> None:
    print(
        f"{printable(str(result['file']))}: {'-'.join(map(str, network.sizes))}, "
        f"{_size(network)}, digest {network.digest[:16]}"
    )
    print(f"{printable(str(result['run']))}: the run's settings, log, curves and network")
    print(
        f"{score.accuracy:.2%} of {score.images} images of the {part} give exactly the right code."
    )
