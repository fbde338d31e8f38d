"""What became of an imported network: what it is, how it agrees with its source, which boards hold
it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from stepnet.formats.importing import Imported
    from stepnet.networks.network import Network

CAPACITY_GROUP = "stepnet.capacity"
"""Entry points that tell which boards hold a network: a function of the network that returns a list
of mappings with `board`, `cycles`, `clock_hz` and `images_per_s`."""

Boards: TypeAlias = list[Mapping[str, Any]]

INK = {
    "the source": "the source's own threshold",
    "the option": "as --ink-threshold says",
    "images": "agrees best with the source on grey images",
    "nothing": "the source has no single threshold; --data finds the one that agrees best",
}
"""Where an ink threshold comes from, as the report says it."""


def boards_that_hold(network: Network) -> Boards | None:
    """The boards that a network fits, the fastest first; None if nothing here knows boards."""
    found: Boards = []
    known = False
    for entry_point in entry_points(group=CAPACITY_GROUP):
        try:
            found += entry_point.load()(network)
        except ModuleNotFoundError:
            continue
        known = True
    found.sort(key=lambda board: -board["images_per_s"])
    return found if known else None


def as_json(
    imported: Imported, accuracy: float | None, boards: Boards | None, output: Path | None
) -> dict[str, object]:
    """What an import came to, as one JSON object."""
    network = imported.network
    return {
        "network": network.name,
        "digest": network.digest,
        "output": None if output is None else str(output),
        "tool": imported.tool,
        "sizes": network.sizes,
        "weight_bits": [layer.weight_bits for layer in network.layers],
        "weight_bits_total": network.weight_bits_total,
        "readout": network.readout,
        "alphabet": network.alphabet,
        "height": network.height,
        "width": network.width,
        "ink_threshold": network.ink_threshold,
        "ink_from": imported.ink_from,
        "exact": imported.is_exact,
        "sees_grey": imported.sees_grey,
        "on_full_ink": dataclasses.asdict(imported.on_full_ink),
        "on_grey": imported.on_grey and dataclasses.asdict(imported.on_grey),
        "images": imported.images_name,
        "undecided": imported.undecided,
        "widened": imported.widened,
        "accuracy": accuracy,
        "boards": boards,
        "notes": imported.notes,
    }


def lines(imported: Imported, accuracy: float | None, boards: Boards | None) -> Iterator[str]:
    """What an import came to, line by line.

    accuracy: on labelled images; None if there are none. boards: see `boards_that_hold`.
    """
    network = imported.network
    bits = "-".join(str(layer.weight_bits) for layer in network.layers)
    yield (
        f"layers      {'-'.join(map(str, network.sizes))}, weights of {bits} bits, "
        f"{network.weight_bits_total:,} in all"
    )
    yield from _widened(imported)
    characters = network.characters
    yield f"readout     {network.readout}, {len(characters)} characters: {characters}"
    yield (
        f"image       {network.height} x {network.width} pixels, ink from grey value "
        f"{network.ink_threshold}: {INK[imported.ink_from]}"
    )
    exact, images = "exact" if imported.is_exact else "not exact", imported.images_name
    yield f"agreement   {exact}: {imported.on_full_ink} {images} of paper and full ink"
    if imported.on_grey is not None:
        yield (
            f"            {imported.on_grey} {images} as they are"
            f"{', of whose grey the source sees more than ink' if imported.sees_grey else ''}"
        )
    if accuracy is not None:
        yield f"accuracy    {accuracy:.2%} of {images}"
    yield f"boards      {_boards(boards)}"
    yield from imported.notes


def _widened(imported: Imported) -> Iterator[str]:
    """What activations of several levels cost, layer by layer."""
    layers = zip(imported.widened, imported.network.layers, strict=False)
    for number, ((neurons, steps), layer) in enumerate(layers, start=1):
        if steps > neurons:
            more = (steps - neurons) * layer.n_in * layer.weight_bits
            yield (
                f"            layer {number}: {neurons} neurons of several levels are {steps} step "
                f"neurons, {more:,} more weight bits"
            )


def _boards(boards: Boards | None) -> str:
    if boards is None:
        return 'to see which hold it: pip install "stepnet[fpga]"'
    if not boards:
        return "none holds it; the virtual board does"
    return ", ".join(f"{board['board']} ({board['cycles']:,} cycles)" for board in boards)
