"""`stepnet networks`: which networks are shipped, and the card of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import JsonOption
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.networks.kinds import AnyNetwork

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
    from stepnet.networks.shipped import all_names, load_any_network

    if name is not None:
        network = load_any_network(name)
        if json_output:
            print(json.dumps(_as_json(network)))
        else:
            _show_card(network)
        return
    shipped = [load_any_network(name) for name in all_names()]
    if json_output:
        print(json.dumps({"networks": [_as_json(network) for network in shipped]}))
    else:
        _show_table(shipped)


def _show_table(shipped: list[AnyNetwork]) -> None:
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
            _in_short(network.characters),
            "-" if accuracy is None else f"{accuracy:.2%}",
            _kbit(network),
        )
        # As text: an alphabet may hold what rich takes for markup.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(width=UNBROKEN_COLUMNS).print(table)


def _show_card(network: AnyNetwork) -> None:
    facts = {
        "sizes": _sizes(network),
        **_what_it_is_made_of(network),
        "readout": str(network.readout),
        "characters": f"{len(network.characters)}: {_in_short(network.characters)}",
        "image": f"{network.height} x {network.width} pixels, "
        f"ink from grey value {network.ink_threshold}",
        "digest": network.digest,
        **network.card,
    }
    print(printable(network.name))
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"  {printable(key):{width}}  {printable(value)}")


def _as_json(network: AnyNetwork) -> dict[str, object]:
    from stepnet.networks.kinds import bits_per_layer

    return {
        "name": network.name,
        "sizes": network.sizes,
        "kind": network.kind,
        "weight_bits": bits_per_layer(network),
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


def _accuracy(network: AnyNetwork) -> float | None:
    """The accuracy on the card, 0 to 1: the number with which its sentence begins; None if there is
    none.
    """
    try:
        accuracy = float(network.card.get("accuracy", "").partition(" ")[0])
    except ValueError:
        return None
    return accuracy if 0 <= accuracy <= 1 else None


def _sizes(network: AnyNetwork) -> str:
    return "-".join(map(str, network.sizes))


def _what_it_is_made_of(network: AnyNetwork) -> dict[str, str]:
    from stepnet.networks.lut import LutNetwork

    if isinstance(network, LutNetwork):
        pixels = len(network.pixels_used)
        return {
            "tables": f"{network.table_count} of 16 bits on {pixels} pixels",
            "counted": f"{len(network.counts.groups)} tables, at most "
            f"{network.counts.sizes.max()} for a row",
        }
    return {"weight bits": f"{_weight_bits(network)}; {_kbit(network)} kbit in all"}


def _weight_bits(network: AnyNetwork) -> str:
    """One number if all layers have the same, else that of each: "1" or "1,1,4"."""
    from stepnet.networks.kinds import bits_per_layer

    bits = [str(bits) for bits in bits_per_layer(network)]
    if not bits:
        return "tables"
    return bits[0] if len(set(bits)) == 1 else ",".join(bits)


def _kbit(network: AnyNetwork) -> str:
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
