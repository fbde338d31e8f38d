"""Teaches the last layer of a network that reads UNIPEN other pens: characters of fonts, and
characters whose size is not known.

    pip install ".[bench]"
    python benchmarks/last_layer.py answers --network NAME --fonts glyphs.npz --output answers.npz
    python benchmarks/last_layer.py learn --network NAME --answers answers.npz --output made.npz

`glyphs.npz` is what benchmarks/font_characters.py draws with `--placing unipen`; a part of its
families is held out, as of every data set. All layers but the last stay as they are, so what they
answer is computed once, for `IMAGES` of each kind that a seed takes; `stepnet train --fixed-layers`
does the same for all images of its data sets. `learn` prints what is read right before and after:
of the held-out families, of lone characters and of characters as UNIPEN has them (both learned),
and saves the network, with both steps on its card.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from stored_answers import Arrays, answers_to, parsers, read_answers, write_answers

from stepnet.data import evaluation, sets
from stepnet.data.sets import Dataset
from stepnet.learning import Config, train
from stepnet.learning.fixed_layers import rest_of
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network
from stepnet.pictures.wider import with_lone

IMAGES = {"held out": 4_000, "fonts": 45_000, "lone": 10_000, "unipen": 45_000}
"""How many images are answered: of held-out families, of the others, of UNIPEN's characters without
their sizes, and with them. The last three are learned."""

LEARNED = ("fonts", "lone", "unipen")
FONTS_STEP = 3
"""Of so many images of fonts one is learned: all of them cost UNIPEN's writers two points."""

SEED = 0

PASSES = 6
BATCH = 512
RATE = 0.01


def chosen(fonts: Path, data_dir: str | None) -> dict[str, Dataset]:
    """The images of each kind."""
    random = np.random.default_rng(SEED)
    unipen = sets.load("unipen", data_dir).train.cleaned()
    split = sets.load(fonts)

    def taken(dataset: Dataset, count: int) -> Dataset:
        return dataset.select(np.sort(random.permutation(len(dataset))[:count]))

    count = IMAGES["lone"]
    both = with_lone(taken(unipen, count), 1.0, SEED)
    return {
        "held out": taken(split.test, IMAGES["held out"]),
        "lone": both.select(np.arange(count, len(both))),
        "fonts": taken(split.train, IMAGES["fonts"]),
        "unipen": taken(unipen, IMAGES["unipen"]),
    }


def answer(network: Network, fonts: Path, data_dir: str | None, output: Path) -> None:
    """Write what the layer before the last one answers to the images."""
    found: Arrays = {}
    for kind, dataset in chosen(fonts, data_dir).items():
        found |= answers_to(kind, dataset, network, len(network.layers) - 1)
        print(f"{kind}: {len(dataset)} images", flush=True)
    write_answers(output, found)


def learn(name: str, network: Network, source: Path, data_dir: str | None) -> Network:
    """The network with a last layer that learned the answers, and a card."""
    last = rest_of(network, len(network.layers) - 1)
    kinds = read_answers(source, last.width)
    _tell("before", last, kinds)
    kinds["fonts"] = kinds["fonts"].select(np.arange(0, len(kinds["fonts"]), FONTS_STEP))
    learned = kinds[LEARNED[0]]
    for kind in LEARNED[1:]:
        learned = learned.with_others(kinds[kind])
    start = source.with_suffix(".last.npz")
    last.save(start)
    config = Config(
        start=str(start),
        readout=network.readout,
        epochs=PASSES,
        batch_size=BATCH,
        learning_rate=RATE,
        augmentation=0.0,
        seed=SEED,
    )
    taught = train(config, learned, name=name)
    assert isinstance(taught, Network)
    _tell("after", taught, kinds)
    made = dataclasses.replace(network, name=name, layers=(*network.layers[:-1], *taught.layers))
    score = evaluation.score(made, sets.load("unipen", data_dir).test.cleaned())
    step = f"python benchmarks/last_layer.py learn --network {network.name} --answers {source.name}"
    card = {
        "data": "unipen, 79537 images of the training part; its last layer "
        + " and ".join(f"{len(kinds[kind])} of {kind}" for kind in LEARNED),
        "from": f"{network.name}, digest {network.digest}",
        "command": f"{network.card['command']} && {step}",
        "accuracy": f"{score.accuracy:.4f} of {score.images} images of the clean test part give "
        "exactly the right code",
    }
    return dataclasses.replace(made, card={**network.card, **card})


def _tell(when: str, network: Network, kinds: dict[str, Dataset]) -> None:
    for kind, dataset in kinds.items():
        right = (reference.infer(network, dataset.images[:4000]) == dataset.labels[:4000]).mean()
        print(f"{when}, {kind}: {right:.2%} right", flush=True)


def main() -> None:
    """Write answers, or learn from them."""
    parser, first, _ = parsers("Teach a network's last layer other pens.")
    first.add_argument("--fonts", type=Path, required=True)
    options = parser.parse_args()
    network = load_network(options.network)
    if options.step == "answers":
        answer(network, options.fonts, options.data_dir, options.output)
        return
    made = learn(network.name, network, options.answers, options.data_dir)
    made.save(options.output)
    print(f"{options.output}: {made.card['accuracy']}; digest {made.digest}")


if __name__ == "__main__":
    main()
