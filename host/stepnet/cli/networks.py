"""`stepnet networks`: which networks are shipped, and the card of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import JsonOption

if TYPE_CHECKING:
    from stepnet.networks.network import Network

UNBROKEN_COLUMNS = 1000
"""Wider than any table of networks: a row stays one line, wherever it is printed to."""


def networks(
    name: Annotated[
        str | None,
        typer.Argument(help="A shipped network, or a .npz file; all shipped ones if not given."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """List the shipped networks, or show the whole card of one."""
    from stepnet.networks.shipped import load_network, names

    if name is not None:
        network = load_network(name)
        if json_output:
            print(json.dumps(_as_json(network)))
        else:
            _show_card(network)
        return
    shipped = [load_network(name) for name in names()]
    if json_output:
        print(json.dumps({"networks": [_as_json(network) for network in shipped]}))
    else:
        _show_table(shipped)


def _show_table(shipped: list[Network]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "sizes", "weight bits", "readout", "characters"):
        table.add_column(heading)
    for heading in ("accuracy", "kbit"):
        table.add_column(heading, justify="right")
    for network in shipped:
        accuracy = _accuracy(network)
        cells = (
            network.name,
            _sizes(network),
            _weight_bits(network),
            str(network.readout),
            _in_short(network.alphabet),
            "-" if accuracy is None else f"{accuracy:.2%}",
            _kbit(network),
        )
        # As text: an alphabet may hold what rich takes for markup.
        table.add_row(*map(Text, cells))
    Console(width=UNBROKEN_COLUMNS).print(table)


def _show_card(network: Network) -> None:
    facts = {
        "sizes": _sizes(network),
        "weight bits": f"{_weight_bits(network)}; {_kbit(network)} kbit in all",
        "readout": str(network.readout),
        "characters": f"{len(network.alphabet)}: {_in_short(network.alphabet)}",
        "image": f"{network.height} x {network.width} pixels, "
        f"ink from grey value {network.ink_threshold}",
        "digest": network.digest,
        **network.card,
    }
    print(network.name)
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"  {key:{width}}  {value}")


def _as_json(network: Network) -> dict[str, object]:
    return {
        "name": network.name,
        "sizes": network.sizes,
        "weight_bits": [layer.weight_bits for layer in network.layers],
        "weight_bits_total": network.weight_bits_total,
        "readout": network.readout,
        "alphabet": network.alphabet,
        "height": network.height,
        "width": network.width,
        "ink_threshold": network.ink_threshold,
        "accuracy": _accuracy(network),
        "digest": network.digest,
        "card": network.card,
    }


def _accuracy(network: Network) -> float | None:
    """The accuracy on the card, 0 to 1: the number that its sentence begins with, if it does."""
    try:
        accuracy = float(network.card.get("accuracy", "").partition(" ")[0])
    except ValueError:
        return None
    return accuracy if 0 <= accuracy <= 1 else None


def _sizes(network: Network) -> str:
    return "-".join(map(str, network.sizes))


def _weight_bits(network: Network) -> str:
    """One number if all layers have the same, else that of each: "1" or "1,1,4"."""
    bits = [str(layer.weight_bits) for layer in network.layers]
    return bits[0] if len(set(bits)) == 1 else ",".join(bits)


def _kbit(network: Network) -> str:
    return f"{network.weight_bits_total / 1000:,.0f}"


def _in_short(alphabet: str) -> str:
    """The characters in the order of their codes, three or more in a row as in "0-9A-Z"."""
    runs: list[list[int]] = []
    for code in sorted(map(ord, alphabet)):
        if runs and code == runs[-1][-1] + 1:
            runs[-1].append(code)
        else:
            runs.append([code])
    return "".join(
        "".join(map(_visible, run)) if len(run) < 3 else f"{_visible(run[0])}-{_visible(run[-1])}"
        for run in runs
    )


def _visible(code: int) -> str:
    return chr(code) if chr(code).isprintable() else f"\\x{code:02x}"
