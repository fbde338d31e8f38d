"""Writes docs/boards.md from the boards, the manifests of bitstreams/, and the networks' cards.

python -m stepnet_hdl.shipping.boards_page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.files import write_text
from stepnet.link import messages as protocol
from stepnet.link.frames import encode_frame
from stepnet.link.serial_line import BITS_PER_BYTE
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.capacity import fitting_networks
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.programmers import OTHER_WAYS, PROGRAMMERS
from stepnet_hdl.estimation.board_facts import board_facts
from stepnet_hdl.shipping.manifest import (
    CONVOLUTIONS,
    ENGINES,
    SPIKING,
    TABLES,
    Manifest,
    folder_of,
    read_manifest,
    shipped_boards,
)

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "boards.md"
EXAMPLE = REPOSITORY / "examples" / "own_boards.py"


HEADING = """\
# Boards

Made by `python -m stepnet_hdl.shipping.boards_page`. A bitstream of each board below is in
[bitstreams](../bitstreams), with a manifest that says how it was made;
`stepnet flash --board NAME --network digits` programs it and loads a network. LUTs and frequencies
are those that nextpnr reports for the placed and routed chip; no board was measured here. On iCE40
a LUT is a logic cell that is occupied, if only by a flip-flop, and on Gowin the place of one, which
an adder's bit may take as well; [figures.md](figures.md) says which figure is which.

"Over the link" is what the serial line carries at the manifest's baud rate, one image after the
other, coded and as it is: [coded](link.md#a-coding-of-pixels) are the images that the network was
trained for, on average; a board without coded images has "-" there. "In the core" is what the
engine would do if images came as fast as it takes them. The rate is the highest that the board's
USB chip makes and its clock allows, see [the link](link.md#rates).
"""

CONVOLUTIONS_HEADING = """\
## Networks with convolutions

The engines above are built without the arithmetic of [convolutions](convolution.md), which takes
more look-up tables and some of the clock. These have it, and
`stepnet flash --board NAME --network digits-conv` takes them by itself. For other boards, and for
larger networks, `stepnet build --board NAME --goal images --engine-for NETWORK` makes one.
"""

TABLES_HEADING = """\
## Networks of look-up tables

These bitstreams are one network each, of look-up tables, and hold no other;
[the pipeline](pipeline.md) says how. `stepnet flash --board NAME --network NETWORK` programs them.
"""

SPIKING_HEADING = """\
## Spiking networks

This bitstream is a [spiking network](spiking.md), and holds no other.
`stepnet flash --board NAME --network NETWORK` programs it.
"""

OTHERS_HEADING = """\
## All boards

Every board of amaranth-boards with a `uart` resource and an open toolchain, and some that it lacks:
the Colorlight i9, the Tang Nano 20K, the Tang Primer 25K in its dock, the UPduino 3.0 and 3.1, and
the TinyFPGA BX with a USB adapter at its pins 1 and 2. `stepnet boards` lists them;
`stepnet build --board NAME` builds for any of them that is large enough.

No bitstreams come for the UPduinos and the TinyFPGA BX. Built once with seed 1, the UPduino's chip
takes 2,515 of 5,280 LUTs and reaches 48.4 MHz where 42 are asked for; the TinyFPGA BX's takes 2,999
of 7,680 LUTs and all 32 block RAMs and reaches 85.4 MHz where 70 are asked for. On an UPduino the
jumper OSC (R16) has to be bridged, so that the crystal of 12 MHz reaches pin 20. Its USB chip has
the serial line on the pins of the flash memory, 14 and 15, and the memory has to stay unselected,
as it does while nothing drives pin 16. Program it with `iceprog`, the TinyFPGA BX with `tinyprog`.

On Gowin, nextpnr 0.11 leaves out the time that a block RAM takes to give a word, 2.3 ns in a GW2A
or GW5A and 3.5 ns in a GW1NR-9 by apycula's own tables, so that what it reports is too much. Chips
for these parts run at half of that at most.

The Tang Mega 138K is not among them. The tools know the GW5AST-138 in its version C alone
(`chipdb-GW5AST-138C` of nextpnr, apycula 0.32), without its PLLs, while the platform of
amaranth-boards is one of version B.

"Networks" are the shipped ones that the engine holds which suits the part, "networks with
convolutions" those that some engine on the part holds, which
`stepnet build --board NAME --goal images --engine-for NETWORK` makes.

"""

COLUMNS = (
    *("board", "part", "LUTs", "memory, kbit", "clock, MHz", "Mbaud"),
    *("networks", "networks with convolutions", "networks of look-up tables"),
)
"""Of the table of all boards."""

OWN_HEADING = """\
## A board of your own

A platform of Amaranth with one of the parts above and a resource `uart` is all that it takes.
[examples/own_boards.py](../examples/own_boards.py) has one board from scratch, and one without a
UART of its own, which gets it on a PMOD:

```sh
PYTHONPATH=examples stepnet build --board own_boards:Up5kWithPmodUart
```

Where `default_clk` is the oscillator inside the part, `SB_HFOSC` of an UltraPlus with its
`hfosc_div` or `OSCG` of an ECP5 with its `oscg_div`, no pin is needed, and a PLL makes the chip's
clock of it. But it may be 10 % off (Lattice FPGA-DS-02008), and a serial line bears about 4 %, so
that such a board may not answer; the report of the build says so. A mistake in a platform, a
package that the part does not come in, a clock without a frequency, a UART with other names or on
pins that something else has, is one sentence, before anything is built. `stepnet estimate` needs no
UART. Where a tool fails, its first error is told.

For a chip [on SPI](link.md#spi) a platform says its pins with `SPIResource(0, cs_n=..., clk=...,
copi=..., cipo=..., role="peripheral")`, and needs no UART.

```python
"""

VERIFIED = """\
## What is checked

`stepnet verify --level bitstream --board icebreaker` unpacks the bitstream itself (iceunpack,
icebox_vlog), block RAM contents and single-port RAMs included, and runs it in Verilator through its
serial pins: it identifies itself, takes a network and infers images, and every character and every
cycle count has to be the reference's. The PLL is not simulated: its output is the simulation's
clock. This works for every iCE40 board.

No tool turns an ECP5 bitstream back into a netlist. For these boards the same command runs the
netlist that nextpnr placed and routed, the very one that the bitstream is packed from: its look-up
tables, carries, flip-flops and RAMs with every multiplexer as it is configured.

What gowin_unpack gives for Gowin lacks the block RAMs, where the network is, so that a Gowin
bitstream cannot be run. The netlist that Yosys makes is:
`stepnet verify --level netlist` runs the Tang Nano 9K's, beside those of an iCE40 and an ECP5.
"""


CODED_FRAME_BYTES = {"mnist": 55.97, "unipen": 54.63}
"""The frame of a coded image of 28 x 28 pixels on average, by data: `groups` of
benchmarks/pixel_coding.py."""


def page() -> str:
    """The whole text of docs/boards.md."""
    sections = [HEADING, *_engines(ENGINES)]
    sections += [CONVOLUTIONS_HEADING, *_engines(CONVOLUTIONS)]
    sections += [TABLES_HEADING, *_built_in(TABLES)]
    sections += [SPIKING_HEADING, *_built_in(SPIKING)]
    sections += [OTHERS_HEADING + _all_boards(), OWN_HEADING + _example() + "```\n", VERIFIED]
    return "\n".join(sections)


def _engines(kind: str) -> Iterator[str]:
    """A section for each bitstream of this kind, which is an engine."""
    for name in shipped_boards(kind):
        manifest = read_manifest(folder_of(name, kind))
        picture, deeper = (name, "") if kind == ENGINES else (f"{name}-{kind}", "#")
        yield (
            _shipped_section(name, manifest, "engine", _engine(manifest), deeper)
            + f"\n{_networks(manifest)}\n![Placement of {name}](boards/{picture}.png)\n"
        )


def _built_in(kind: str) -> Iterator[str]:
    """A section for each bitstream of this kind, which is a network."""
    for name in shipped_boards(kind):
        manifest = read_manifest(folder_of(name, kind))
        yield (
            _shipped_section(name, manifest, "network", f"`{manifest.network}`", "#")
            + f"\n![Placement of {name}](boards/{name}-{kind}.png)\n"
        )


def _shipped_section(name: str, manifest: Manifest, what: str, which: str, deeper: str = "") -> str:
    """The heading and the facts; `what` the chip is, and `which`."""
    board = find_board(name)
    spare = manifest.max_frequency_hz / manifest.clock_hz - 1
    used = ", ".join(
        f"{used:,} of {available:,} {kind}"
        for kind, (used, available) in manifest.utilisation.items()
    )
    facts = {
        "part": f"{manifest.part}; {used}",
        what: which,
        "clock": f"{manifest.clock_hz / 1e6:g} MHz from {_clock_source(board, manifest)}; "
        f"{manifest.max_frequency_hz / 1e6:.1f} MHz are reached, {spare:.0%} to spare",
        "pins": f"from the host {board.pins['rx']}, to the host {board.pins['tx']}, "
        f"{manifest.baud:,} baud",
        "cable": _cable(name),
        "made by": f"`{manifest.command}`",
    }
    lines = [f"{deeper}## {name}", "", "| | |", "|---|---|"]
    lines += [f"| {fact} | {value} |" for fact, value in facts.items()]
    return "\n".join(lines) + "\n"


def _networks(manifest: Manifest) -> str:
    names = fitting_networks(manifest.shape)
    if not names:
        return "No shipped network fits this engine; train a smaller one.\n"
    lines = [
        "| network | right | images/s over the link, coded | as they are | images/s in the core |",
        "|---|---|---|---|---|",
    ]
    takes_coded = find_board(manifest.board).settings.coded_images
    for name in names:
        network = load_network(name)
        accuracy = network.card.get("accuracy", "").partition(" ")[0]
        core = manifest.clock_hz / cycles_per_image(network, manifest.shape)
        lines.append(
            f"| `{name}` | {float(accuracy):.2%} | "
            f"{f'{coded_images_per_s(network, manifest.baud):,.0f}' if takes_coded else '-'} | "
            f"{images_per_s(network, manifest.baud):,.0f} | "
            f"{core:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def images_per_s(network: Network, baud: int) -> float:
    """Images that a serial line carries, frame after frame."""
    frame = encode_frame(bytes(protocol.INFER.size + image_bytes(network)))
    return baud / BITS_PER_BYTE / len(frame)


def coded_images_per_s(network: Network, baud: int) -> float:
    """Images that a serial line carries, coded, like those of the first data set that the network
    was trained with."""
    data = re.findall(r"\w+", network.card["data"])[0]
    return baud / BITS_PER_BYTE / CODED_FRAME_BYTES[data]


def _engine(manifest: Manifest) -> str:
    shape = manifest.shape
    weight_kbit = shape.weight_memory_bits / 1024
    windows = ", two windows at once" if shape.map_windows > 1 else ""
    return (
        f"SIMD {shape.simd} x PE {shape.pe}{windows}, {weight_kbit:,.0f} kbit of weights of up "
        f"to {shape.max_weight_bits} bits, layers of up to {shape.max_inputs:,} inputs"
    )


def _clock_source(board: BoardType, manifest: Manifest) -> str:
    oscillator = f"the oscillator of {board.oscillator_hz / 1e6:g} MHz"
    return oscillator if board.oscillator_hz == manifest.clock_hz else f"a PLL at {oscillator}"


def _cable(name: str) -> str:
    if name in OTHER_WAYS:
        return f"the board's own USB; to program it, {OTHER_WAYS[name]}"
    vendor, product = PROGRAMMERS[name].usb_id
    options = " ".join(PROGRAMMERS[name].options)
    return f"the board's own USB, {vendor:04x}:{product:04x}; `openFPGALoader {options}`"


def _all_boards() -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for fact in board_facts():
        clock = "-" if fact.is_too_small else f"{fact.clock_hz / 1e6:g}"
        link = "-" if fact.is_too_small and not fact.tables else f"{fact.baud / 1e6:g}"
        networks = "too small for an engine" if fact.is_too_small else _listed(fact.networks)
        lines.append(
            f"| {fact.name} | {fact.part} | {fact.luts:,} | {fact.memory_kbit:,} | {clock} | "
            f"{link} | {networks} | {_listed(fact.convolving)} | {_listed(fact.tables)} |"
        )
    return "\n".join(lines) + "\n"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none of the shipped"


def _example() -> str:
    """The example without its docstring."""
    return EXAMPLE.read_text(encoding="utf-8").partition('"""\n\n')[2]


if __name__ == "__main__":
    write_text(PAGE, page())
