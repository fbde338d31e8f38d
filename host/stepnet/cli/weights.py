"""`stepnet weights`: what the first layer of a network looks for, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnet.cli.options import check_overwrites_nothing


def weights(
    network: Annotated[str, typer.Argument(help="A shipped network, or a .npz file.")],
    output: Annotated[Path, typer.Option(metavar="PNG", help="Picture to write.")],
    neurons: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many neurons, the smoothest first; all if not given. Of look-up tables, how "
            "many of each count have their wires drawn; 3 if not given.",
        ),
    ] = None,
) -> None:
    """Draw the weights of the first layer, those of each neuron as one image; or of a network of
    look-up tables, what each count gains from each pixel, and some tables with their wires.
    """
    from stepnet import plots
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.shipped import load_any_network, load_network

    check_overwrites_nothing("--output", output, [network])
    drawn = load_any_network(network)
    if isinstance(drawn, LutNetwork):
        path = plots.table_wires(drawn, output, neurons)
        print(f"{path}: {drawn.table_count} tables on {len(drawn.pixels_used)} pixels")
        return
    loaded = load_network(network)
    path = plots.first_layer(loaded, output, neurons)
    count = loaded.layers[0].neurons
    print(f"{path}: {min(neurons or count, count)} of {count} neurons")
