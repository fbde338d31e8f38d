"""Teaches the layers behind the convolutions of `digits-conv-open` to know more of what is no
digit, or its last layer alone.

    pip install ".[bench]"
    python benchmarks/no_character_layers.py answers --network NAME --fonts glyphs.npz \\
        --output answers.npz
    python benchmarks/no_character_layers.py learn --network NAME --answers answers.npz \\
        --output made.npz

`glyphs.npz` is what benchmarks/font_characters.py draws. The convolutions stay as they are, so what
they answer is computed once. A part of all is held out, and `learn` prints what is said of it,
before and after: how many digits are read right, and how many of the rest are refused, with the row
of code 0 raised or lowered until one held-out digit of MNIST in a hundred is. Tangles
(benchmarks/no_character.py) are not among it; they stay for measuring.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stored_answers import Arrays, answers_to, parsers, read_answers, write_answers

from stepnet.data import evaluation, sets
from stepnet.data.sets import Dataset
from stepnet.learning import Config, train
from stepnet.learning.fixed_layers import rest_of
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures import no_character
from stepnet.pictures.wider import with_more

DRAWERS = {
    "scribbles": (no_character.scribble, 12_000),
    "coils": (no_character.coil, 6_000),
    "hatching": (no_character.hatching, 6_000),
    "dots": (no_character.dots, 3_000),
    "blank": (no_character.blank, 1_500),
    "parts": (no_character.part, 6_000),
    "pairs": (no_character.two, 8_000),
}
"""What is drawn that is no character, and how many of each; a tenth of so many are held out."""

COLLECTIONS = ("mnist", "unipen", "fonts")
OTHERS = 15_000
"""How many other characters of UNIPEN, and of fonts, are learned at most; a tenth is held out."""

HELD_OUT = 10
"""One of so many is held out: images of MNIST, writers of UNIPEN; of fonts, the test part."""

CONVOLUTIONS = 2
BATCH = 256


@dataclasses.dataclass(frozen=True)
class Step:
    """Some passes: their number, the rate of learning, and of which kinds a part is learned, or
    more than once."""

    passes: int
    rate: float
    parts: dict[str, float]


STEPS = (
    Step(3, 0.005, {}),
    Step(
        2,
        0.006,
        {
            "scribbles": 2.5,
            "coils": 1.5,
            "dots": 1.2,
            "parts": 0.7,
            "unipen others": 0.4,
            "fonts others": 0.4,
        },
    ),
)
"""Scribbles are what is refused least; other characters learned in full cost it."""

REFUSED = 0.01
SEED = 0
SEED_OF_DRAWING = 100


def parts(name: str, data_dir: str | None) -> tuple[Dataset, Dataset]:
    """What is learned of a collection, and what is held out."""
    split = sets.load(name, data_dir)
    if name not in COLLECTIONS:
        return split.train, split.test
    dataset = split.train.cleaned()
    by = np.arange(len(dataset)) if dataset.writer is None else dataset.writer
    held = np.unique(by)[::HELD_OUT]
    return dataset.select(~np.isin(by, held)), dataset.select(np.isin(by, held))


def collected(name: str, data_dir: str | None) -> list[tuple[Dataset, Dataset]]:
    """Of both parts of a collection: the digits, and other characters, labelled 0; all placed."""
    empty = parts("mnist", data_dir)[0].select(np.arange(100))
    found: list[tuple[Dataset, Dataset]] = []
    for dataset, most in zip(parts(name, data_dir), (OTHERS, OTHERS // 10), strict=True):
        is_digit = np.isin(dataset.labels, empty.labels)
        random = np.random.default_rng(SEED)
        others = random.permutation(np.flatnonzero(~is_digit))[:most]
        taken = np.sort(np.concatenate([np.flatnonzero(is_digit), others]))
        known, strange = with_more(empty, [dataset.select(taken)], Placing.MNIST)
        digits = known.select(np.arange(len(empty), len(known)))
        found.append((digits, unknown(strange)))
    return found


def unknown(images: NDArray[np.uint8]) -> Dataset:
    """The images as what is no character."""
    return Dataset(images, np.zeros(len(images), np.uint8))


def images_of(kind: str, fonts: str, data_dir: str | None) -> dict[str, Dataset]:
    """The images of a collection or of a kind that is drawn, by the name of their part."""
    if kind == "mnist":
        learned, held = parts(kind, data_dir)
        return {kind: learned, f"held out {kind}": held}
    if kind in COLLECTIONS:
        both = collected(fonts if kind == "fonts" else kind, data_dir)
        return {
            f"{held}{kind}{what}": dataset
            for held, each in zip(("", "held out "), both, strict=True)
            for what, dataset in zip(("", " others"), each, strict=True)
        }
    drawer, count = DRAWERS[kind]
    random = np.random.default_rng((SEED_OF_DRAWING, list(DRAWERS).index(kind)))
    found: dict[str, Dataset] = {}
    for held, characters, number in zip(
        ("", "held out "), parts("mnist", data_dir), (count, count // 10), strict=True
    ):
        drawn = [drawer(characters.images, Placing.MNIST, random) for _ in range(number)]
        found[f"{held}{kind}"] = unknown(np.stack(drawn))
    return found


def answers_of(kind: str, network: Network, fonts: str, data_dir: str | None) -> Arrays:
    """What the convolutions answer to the images of a kind."""
    found: Arrays = {}
    for name, dataset in images_of(kind, fonts, data_dir).items():
        found |= answers_to(name, dataset, network, CONVOLUTIONS)
    return found


def answer(
    network: Network, fonts: str, data_dir: str | None, output: Path, processes: int
) -> None:
    """Write what the convolutions answer to all kinds of images."""
    found: Arrays = {}
    work = functools.partial(answers_of, network=network, fonts=fonts, data_dir=data_dir)
    kinds = ["unipen", "fonts", *DRAWERS, "mnist"]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for answered in pool.imap_unordered(work, kinds):
            counts = [f"{name}: {len(array)}" for name, array in answered.items() if array.ndim > 1]
            print(", ".join(counts), flush=True)
            found |= answered
    write_answers(output, dict(sorted(found.items())))


def scores(network: Network, images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The likeliest digit's code, and how far the row of code 0 is ahead of its row, of each."""
    state = reference.binarise(network, images)
    for layer in network.layers[:-1]:
        state = reference.fires(layer, state)
    excess = reference.excess(network.layers[-1], state)
    of_none = network.codes == 0
    digits = excess[:, ~of_none]
    ahead = excess[:, of_none][:, 0] - digits.max(axis=1)
    return network.codes[~of_none][digits.argmax(axis=1)], ahead


def raise_of(network: Network, stored: dict[str, Dataset]) -> int:
    """By how much the row of code 0 is to be raised so that it refuses `REFUSED` of the digits."""
    ahead = scores(network, stored["held out mnist"].images)[1]
    return int(np.quantile(ahead, 1 - REFUSED, method="lower")) + 1


def tell(when: str, network: Network, stored: dict[str, Dataset]) -> None:
    """Print what the network says of what is held out."""
    own = (scores(network, stored["held out mnist"].images)[1] >= 0).mean()
    least = raise_of(network, stored)
    print(f"{when}: {own:.2%} of MNIST's digits refused; with the row raised by {least}:")
    for name, dataset in stored.items():
        if name.startswith("held out"):
            codes, ahead = scores(network, dataset.images)
            refused, right = ahead >= least, (codes == dataset.labels) & (ahead < least)
            told = f"{refused.mean():.1%} refused"
            told += f", {right.mean():.2%} right" if dataset.labels.any() else ""
            print(f"  {name}: {told}", flush=True)


def learned_in(step: Step, stored: dict[str, Dataset]) -> Dataset:
    """What is learned in a step."""
    learned = stored["mnist"]
    for name, dataset in stored.items():
        if name != "mnist" and not name.startswith("held out"):
            count = round(step.parts.get(name, 1.0) * len(dataset))
            learned = learned.with_others(dataset.select(np.resize(np.arange(len(dataset)), count)))
    return learned


def learn(
    network: Network,
    answered: Path,
    data_dir: str | None,
    fixed: int,
    start: Path,
    steps: Sequence[Step] = STEPS,
) -> Network:
    """The network with its last layers learned, its row of code 0 raised, and a card.

    fixed: how many of its layers stay as they are.
    start: a file to write, which learning starts from.
    steps: of learning; none to raise that row alone.
    """
    rest = rest_of(network, CONVOLUTIONS)
    stored = read_answers(answered, rest.width)
    tell("before", rest, stored)
    taught = rest
    for step in steps:
        taught.save(start)
        config = Config(
            start=str(start),
            fixed_layers=fixed - CONVOLUTIONS,
            readout=network.readout,
            epochs=step.passes,
            batch_size=BATCH,
            learning_rate=step.rate,
            augmentation=0.0,
            seed=SEED,
        )
        learned = learned_in(step, stored)
        made = train(config, learned, name=network.name)
        assert isinstance(made, Network)
        taught = made
        tell(f"after {step.passes} passes over {len(learned)} images", taught, stored)
    *hidden, last = taught.layers
    thresholds = last.thresholds + raise_of(taught, stored) * (taught.codes == 0)
    last = dataclasses.replace(last, thresholds=thresholds)
    layers = (*network.layers[:CONVOLUTIONS], *hidden, last)
    made = dataclasses.replace(network, layers=layers)
    score = evaluation.score(made, sets.load("mnist", data_dir).test)
    none = sum(
        len(dataset)
        for name, dataset in stored.items()
        if not name.startswith("held out") and not dataset.labels.any()
    )
    more = (
        f"; its layers behind the convolutions {sum(len(stored[name]) for name in COLLECTIONS)} "
        f"digits of them and {none} images of no character"
    )
    card = {
        # What it may have started from learned of the same data sets.
        "attribution": network.card["attribution"].partition("; of ")[0],
        "data": network.card["data"] + more * bool(steps),
        "from": f"{network.name}, digest {network.digest}",
        "command": f"{network.card['command']} && python benchmarks/no_character_layers.py learn "
        f"--network {network.name} --answers {answered.name}" + " --raise-only" * (not steps),
        "accuracy": f"{score.accuracy:.4f} of {score.images} images of the test part give exactly "
        "the right code",
    }
    return dataclasses.replace(made, card={**network.card, **card})


def main() -> None:
    """Write answers, or learn from them."""
    parser, first, second = parsers("Teach a network's last layers what is no digit.")
    first.add_argument("--fonts", required=True, help="what font_characters.py draws")
    first.add_argument("--processes", type=int, default=1, help="how many work at once")
    second.add_argument(
        "--fixed-layers", type=int, default=CONVOLUTIONS, help="how many stay as they are"
    )
    second.add_argument("--name", help="of the network that is made; that of --network if none")
    second.add_argument(
        "--raise-only", action="store_true", help="learn nothing, raise the row of code 0"
    )
    options = parser.parse_args()
    network = load_network(options.network)
    if options.step == "answers":
        answer(network, options.fonts, options.data_dir, options.output, options.processes)
        return
    start = options.output.with_suffix(".rest.npz")
    fixed, steps = options.fixed_layers, () if options.raise_only else STEPS
    made = learn(network, options.answers, options.data_dir, fixed, start, steps)
    made = dataclasses.replace(made, name=options.name or made.name)
    made.save(options.output)
    print(f"{options.output}: {made.card['accuracy']}; digest {made.digest}")


if __name__ == "__main__":
    main()
