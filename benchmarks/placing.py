"""What placing does for arrays that lie elsewhere, and what it costs the host.

    python benchmarks/placing.py [--data-dir FOLDER] [--images N] [--json]

Exact codes of `digits`, `digits-medium` and `digits-large` by the reference, for images as they are
and as `infer` takes them: MNIST's own test images, those redrawn with their longer side 24 pixels
and the box in the middle as EMNIST lays them out, those redrawn with 14 pixels anywhere in the
image, and the digits of UNIPEN's test writers. Costs are CPU time for one image: of seeing that it
lies as it should, and of placing it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepnet.data import sets
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network
from stepnet.pictures.arrays import ready_array

NETWORKS = ("digits", "digits-medium", "digits-large")
DIGITS = "0123456789"
SEED = 0

Images = NDArray[np.uint8]


def redrawn(image: Images, longer_side: int, draw: np.random.Generator | None) -> Images:
    """The character with another size, in the middle or, with `draw`, anywhere."""
    height, width = image.shape
    rows, columns = np.nonzero(image)
    cut = Image.fromarray(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    scale = longer_side / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))))
    free = width - cut.width, height - cut.height
    left, top = (side // 2 if draw is None else int(draw.integers(0, side + 1)) for side in free)
    page = Image.new("L", (width, height))
    page.paste(cut, (left, top))
    return np.asarray(page)


def collections(data_dir: str | None, count: int) -> Iterator[tuple[str, Images, Images]]:
    """Name, images and labels of each collection."""
    draw = np.random.default_rng(SEED)
    mnist = sets.load("mnist", data_dir).test
    mnist = mnist.select(draw.permutation(len(mnist))[:count])
    yield "mnist", mnist.images, mnist.labels
    large = np.stack([redrawn(image, 24, None) for image in mnist.images])
    yield "mnist, 24 pixels, box in the middle", large, mnist.labels
    small = np.stack([redrawn(image, 14, draw) for image in mnist.images])
    yield "mnist, 14 pixels, anywhere", small, mnist.labels
    unipen = sets.load("unipen", data_dir).test.cleaned().showing(DIGITS)
    unipen = unipen.select(draw.permutation(len(unipen))[:count])
    yield "unipen digits", unipen.images, unipen.labels


def accuracy(network: Network, images: Images, labels: Images) -> float:
    """The part of exact codes."""
    return float((reference.infer(network, images) == labels).mean())


def cost_us(work: Callable[[Images], object], images: Images) -> float:
    """CPU time for one image."""
    start_s = time.process_time()
    for image in images:
        work(image)
    return (time.process_time() - start_s) / len(images) * 1e6


def main() -> None:
    """Print a line per network and collection, or one JSON object."""
    parser = argparse.ArgumentParser(description="Placing: exact codes and cost.")
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--images", type=int, default=2000, help="images of each collection")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    networks = [load_network(name) for name in NETWORKS]
    rows: list[dict[str, Any]] = []
    costs: dict[str, float] = {}
    for name, images, labels in collections(arguments.data_dir, arguments.images):
        placed = np.stack([ready_array(networks[0], image).astype(np.uint8) for image in images])
        for network in networks:
            row = {
                "network": network.name,
                "collection": name,
                "as_they_are": accuracy(network, images, labels),
                "as_infer_takes_them": accuracy(network, placed, labels),
            }
            rows.append(row)
            if not arguments.json:
                shown = f"{row['as_they_are']:.2%} -> {row['as_infer_takes_them']:.2%}"
                print(f"{network.name}, {name}: {shown}", flush=True)
        if name == "mnist":
            costs["seen_us"] = cost_us(lambda image: ready_array(networks[0], image), images)
            first = images[:300]
            costs["placed_us"] = cost_us(
                lambda image: ready_array(networks[0], image, False), first
            )
    costs = {name: round(cost, 1) for name, cost in costs.items()}
    if arguments.json:
        print(json.dumps({"rows": rows, **costs}))
    else:
        print(
            f"{costs['seen_us']} us to see that an image lies so, {costs['placed_us']} us to place"
        )


if __name__ == "__main__":
    main()
