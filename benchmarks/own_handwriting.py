"""What some hundred pictures of one's own handwriting make of a shipped network.

    python benchmarks/own_handwriting.py --data-dir FOLDER [--writers 149 319] [--json]

Characters by one writer of UNIPEN, digits if `--network` is not given, are written as PNG pictures
into a folder for each character, as `stepnet dataset` takes them. That makes a data set of a random
`--pictures` of them, and `stepnet train --from` goes on from the network with it; both at their
usual settings. What is told is the part of the writer's other pictures, which nothing was learned
from, whose exact code the network gives before and after; and what a network of the same shape
gives that learned from the same pictures alone. The shipped `digits` has seen no writer of UNIPEN.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stepnet.data import evaluation, sets
from stepnet.data.sets import Dataset
from stepnet.learning import Config, train
from stepnet.networks.network import Network
from stepnet.networks.placing import Placing, placing_of
from stepnet.networks.shipped import load_network
from stepnet.pictures.labelled import Labelled, place_pictures


def placed_pictures(drawn: Dataset, network: Network, folder: Path) -> Dataset:
    """The images, written as pictures and read again as `stepnet dataset` does."""
    pictures: list[Labelled] = []
    for number, (image, code) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
        place = folder / f"0x{code:02x}"
        place.mkdir(exist_ok=True)
        path = place / f"{number:05}.png"
        Image.fromarray(255 - image).save(path)
        pictures.append(Labelled(path, int(code)))

    def refuse(error: Exception) -> None:
        raise SystemExit(str(error))

    placing = placing_of(network) or Placing.MNIST
    made = place_pictures(pictures, (network.height, network.width), placing, refuse)
    assert made is not None
    return made


def measure(everything: Dataset, writer: int, network_name: str, pictures: int) -> dict[str, Any]:
    """The figures of one writer."""
    network = load_network(network_name)
    assert everything.writer is not None
    mine = everything.select(everything.writer == writer)
    mine = mine.select(np.isin(mine.labels, network.codes))
    with tempfile.TemporaryDirectory() as folder:
        placed = placed_pictures(mine, network, Path(folder))
    order = np.random.default_rng(0).permutation(len(placed))
    learned, unseen = placed.select(order[:pictures]), placed.select(order[pictures:])
    after = train(Config(start=network_name), learned)
    bits = tuple(layer.weight_bits for layer in network.layers)
    alone = train(
        Config(
            hidden=network.sizes[1:-1],
            weight_bits=bits,
            readout=network.readout,
            ink_threshold=network.ink_threshold,
            batch_size=32,
        ),
        learned,
    )
    figures = {
        name: round(evaluation.score(which, unseen).accuracy, 4)
        for name, which in (("before", network), ("after", after), ("alone", alone))
    }
    return {"writer": writer, "pictures": len(learned), "unseen": len(unseen), **figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--network", default="digits")
    parser.add_argument("--writers", type=int, nargs="+", default=[149, 319, 318, 246, 240, 252])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.data_dir:
        os.environ["STEPNET_DATA"] = arguments.data_dir
    everything = sets.load("unipen").part("all").cleaned()
    found = [
        measure(everything, writer, arguments.network, arguments.pictures)
        for writer in arguments.writers
    ]
    mean = {
        name: round(float(np.mean([figures[name] for figures in found])), 4)
        for name in ("before", "after", "alone")
    }
    if arguments.json:
        print(json.dumps({"network": arguments.network, "writers": found, "mean": mean}))
        return
    for figures in [*found, {"writer": "mean", "pictures": "", "unseen": "", **mean}]:
        print(
            f"{figures['writer']:>6}  {figures['pictures']:>4} learned, {figures['unseen']:>4} "
            f"unseen: {figures['before']:.1%} before, {figures['after']:.1%} after, "
            f"{figures['alone']:.1%} from these pictures alone"
        )


if __name__ == "__main__":
    main()
