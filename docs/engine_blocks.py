"""Draws the engine's units and what goes from one to the other, as its source connects them.

    python docs/engine_blocks.py

makes engine_blocks.svg. `UNITS` and `WIRES` name modules and ports of the gateware; a test holds
them to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from svg import BLUE, GREY, INK, ORANGE, PALE_BLUE, PALE_ORANGE, Drawing

from stepnet.files import write_text

PICTURE = Path(__file__).with_name("engine_blocks.svg")

WIDTH, HEIGHT = 1080, 520


class Unit(NamedTuple):
    """A box: where it is, and what it does in a few words."""

    x: int
    y: int
    width: int
    height: int
    does: tuple[str, ...]
    is_memory: bool = False


UNITS = {
    "load": Unit(40, 55, 110, 60, ("one byte waits",)),
    "intake": Unit(200, 45, 130, 190, ("packs bytes into", "words: pixels,", "or a network")),
    "parameters": Unit(410, 45, 150, 75, ("headers, thresholds,", "codes"), True),
    "weights": Unit(410, 160, 150, 75, ("words of", "SIMD x PE bits"), True),
    "activations": Unit(410, 285, 150, 75, ("two images and two", "layers; SIMD bits"), True),
    "sequencer": Unit(410, 415, 150, 75, ("which words meet", "in this cycle")),
    "datapath": Unit(
        700, 105, 140, 205, ("XNOR, popcount,", "add up, compare;", "PE neurons at once")
    ),
    "collector": Unit(700, 385, 140, 75, ("gathers the bits", "of hidden layers")),
    "readout": Unit(900, 105, 130, 110, ("makes the code", "of the last layer")),
}
"""The engine's submodules by their names."""


class Wire(NamedTuple):
    """An arrow from a port of a unit to one of another unit; a port of the engine itself has no
    unit before its point."""

    source: str
    target: str
    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)


WIRES = (
    Wire(".pixels", "intake.pixels", ((15, 190), (200, 190)), "pixels", (60, 182)),
    Wire(".load", "load.w_stream", ((15, 85), (40, 85)), "load", (22, 77)),
    Wire("load.r_stream", "intake.load", ((150, 85), (200, 85))),
    Wire("intake.word", "parameters.write_data", ((330, 82), (410, 82)), "words", (370, 75)),
    Wire("intake.word", "weights.write_data", ((330, 185), (410, 185)), "words", (366, 178)),
    Wire(
        "intake.word",
        "activations.write_data",
        ((300, 235), (300, 305), (410, 305)),
        "words",
        (345, 298),
    ),
    Wire(
        "intake.images",
        "sequencer.images",
        ((240, 235), (240, 455), (410, 455)),
        "images that are in",
        (322, 448),
    ),
    Wire("sequencer.activation_address", "activations.read_address", ((510, 415), (510, 360))),
    Wire(
        "sequencer.weight_address",
        "weights.read_address",
        ((440, 415), (440, 385), (385, 385), (385, 212), (410, 212)),
        "addresses",
        (476, 395),
    ),
    Wire("weights.read_data", "datapath.weights", ((560, 197), (700, 197)), "weights", (640, 190)),
    Wire(
        "parameters.read_data",
        "datapath.thresholds",
        ((560, 70), (660, 70), (660, 140), (700, 140)),
        "thresholds",
        (612, 63),
    ),
    Wire(
        "parameters.read_data",
        "sequencer.parameters",
        ((560, 100), (585, 100), (585, 435), (560, 435)),
        "headers",
        (616, 262),
    ),
    Wire(
        "activations.read_data",
        "datapath.activations",
        ((560, 305), (650, 305), (650, 250), (700, 250)),
        "activations",
        (632, 322),
    ),
    Wire(
        "sequencer.step",
        "datapath.step",
        ((560, 472), (680, 472), (680, 290), (700, 290)),
        "first word, last word, plane",
        (664, 488),
    ),
    Wire("datapath.margins", "readout.margins", ((840, 160), (900, 160)), "excess", (868, 152)),
    Wire("datapath.margins", "collector.fires", ((770, 310), (770, 385)), "fires?", (796, 352)),
    Wire(
        "collector.word",
        "activations.write_data",
        ((700, 415), (605, 415), (605, 340), (560, 340)),
        "words",
        (640, 408),
    ),
    Wire("readout.code", ".readings", ((1030, 140), (1065, 140)), "readings", (1052, 131)),
    Wire("readout.code", ".character", ((965, 215), (965, 265)), "character", (965, 282)),
)


def drawing() -> str:
    """The picture as SVG."""
    picture = Drawing(WIDTH, HEIGHT, "The units of the engine and what goes between them")
    for wire in WIRES:
        picture.line(wire.points, arrow=True)
        if wire.label:
            picture.text(*wire.at, wire.label, 12, GREY)
    for name, unit in UNITS.items():
        fill, stroke = (PALE_ORANGE, ORANGE) if unit.is_memory else (PALE_BLUE, BLUE)
        picture.box(unit.x, unit.y, unit.width, unit.height, fill, stroke)
        middle = unit.x + unit.width / 2
        top = unit.y + unit.height / 2 - 8.5 * len(unit.does) + 5
        picture.text(middle, top, name, 14, INK, bold=True)
        for number, line in enumerate(unit.does):
            picture.text(middle, top + 18 + 17 * number, line, 12)
    return str(picture)


if __name__ == "__main__":
    write_text(PICTURE, drawing())
