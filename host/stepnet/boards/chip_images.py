"""Chooses the images that a chip keeps to measure itself with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stepnet.cores.pipeline.stored_images import StoredImages, stored_images
from stepnet.data import sets as data_sets
from stepnet.errors import NetworkError
from stepnet.networks.lut import LutNetwork
from stepnet.networks.shipped import load_any_network, lut_names
from stepnet.pictures.data_sets import placed_for


def chip_images(
    network: str,
    data: str,
    data_dir: Path | None,
    progress: Callable[[str], None] = lambda message: None,
) -> StoredImages:
    """What a chip is made of that measures itself: a network, and the first images of the test part
    of a data set.

    network: of look-up tables, a shipped one by name or a .npz file.
    data: as for `stepnet evaluate`.

    Raises NetworkError for a step network, and what loading network and data raises.
    """
    loaded = load_any_network(network)
    if not isinstance(loaded, LutNetwork):
        raise NetworkError(
            f"Network {loaded.name!r} is a step network, and only the pipeline of a network of "
            f"look-up tables takes an image in every cycle; name one, such as "
            f"{', '.join(lut_names())}."
        )
    dataset = placed_for(loaded, data_sets.load(data, data_dir).test, None, progress)
    return stored_images(loaded, dataset.images, dataset.labels)
