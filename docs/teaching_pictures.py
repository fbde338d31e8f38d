"""Draws the pictures of teaching.md, each from the shipped network `digits` and a shipped sample.

    python docs/teaching_pictures.py

makes teaching_neuron.svg, teaching_step.svg, teaching_popcount.svg and teaching_code.svg.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from svg import BLUE, DARK, FAINT, GREY, INK, ORANGE, PALE_BLUE, PALE_ORANGE, Drawing

from stepnet import Network
from stepnet.files import write_text
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures

HERE = Path(__file__).parent

NEURON = 67
"""A neuron of the first layer that fires for both samples of a 7, and for others that have a stroke
where it looks for one."""

SAMPLE = 14
"""A 7."""

TREE_BITS = 15
"""How many bits the drawn popcount counts; its tree has no gaps then."""

TREE_AT = 7 * 28 + 6
"""The first pixel of the bits that are counted: in the bar of the 7."""


@dataclass(frozen=True)
class Lesson:
    """The network, the samples, and what one neuron makes of them."""

    network: Network
    labels: list[str]
    images: NDArray[np.uint8]

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """(samples, 784) of 0 and 1: the pixels that are ink."""
        return reference.binarise(self.network, self.images)

    @cached_property
    def weights(self) -> NDArray[np.int8]:
        """(784,) of -1 and +1."""
        return self.network.layers[0].weights[NEURON]

    @cached_property
    def threshold(self) -> int:
        """What the neuron's sum has to reach."""
        return int(self.network.layers[0].thresholds[NEURON])

    @cached_property
    def sums(self) -> list[int]:
        """The neuron's sum for each sample."""
        sums = reference.sums(self.network.layers[0], self.bits)
        return [int(each) for each in sums[:, NEURON]]

    @cached_property
    def matches(self) -> NDArray[np.bool_]:
        """(784,): where pixel and weight of the sample that is drawn are equal, as bits."""
        return (self.bits[SAMPLE] == 1) == (self.weights > 0)

    @cached_property
    def minus_ones(self) -> int:
        """How many of the neuron's weights are -1."""
        return int(np.count_nonzero(self.weights < 0))


def lesson() -> Lesson:
    """What all pictures are drawn from."""
    samples = sample_pictures()
    images = np.stack([np.asarray(Image.open(path)) for path, _ in samples])
    return Lesson(load_network("digits"), [label for _, label in samples], images)


def neuron(of: Lesson) -> str:
    """Pixels, weights and where they match, then popcount and compare."""
    drawing = Drawing(1000, 320, f"Neuron {NEURON} of digits meets a 7")
    side = 7
    width = 28 * side

    def field(
        x: float, title: str, below: str, marked: NDArray[np.bool_], colours: list[str]
    ) -> None:
        drawing.text(x + width / 2, 40, title, bold=True)
        drawing.box(x - 4, 52, width + 8, width + 8, colours[0], "none", 3)
        for value, colour in ((True, colours[1]), (False, colours[0])):
            places = np.argwhere(marked.reshape(28, 28) == value)
            drawing.squares(
                ((x + side * c, 56 + side * r) for r, c in places.tolist()), side - 1, colour
            )
        drawing.text(x + width / 2, 280, below, 12, GREY)

    ink = of.bits[SAMPLE] == 1
    on_plus = int(np.count_nonzero(ink & (of.weights > 0)))
    field(30, "pixels", f"{int(ink.sum())} of 784 are ink", ink, [DARK, "#f4f1e6"])
    field(
        280,
        "weights",
        f"orange +1, blue -1: {of.minus_ones} of them",
        of.weights > 0,
        ["#9dbbdc", "#d98a60"],
    )
    field(
        530,
        "XNOR",
        f"equal: {int(of.matches.sum())}",
        of.matches,
        [FAINT, INK],
    )
    drawing.text(253, 160, "and", 12, GREY)
    drawing.line([(742, 154), (772, 154)], arrow=True)
    stored = of.threshold + of.minus_ones
    count = int(of.matches.sum())
    drawing.box(780, 62, 190, 74, PALE_BLUE)
    drawing.text(875, 84, "popcount", bold=True)
    drawing.text(875, 104, f"{count} matches", 12)
    drawing.text(875, 122, f"sum = {count} - {of.minus_ones} = {of.sums[SAMPLE]}", 12)
    drawing.line([(875, 136), (875, 164)], arrow=True)
    drawing.box(780, 166, 190, 74, PALE_BLUE)
    drawing.text(875, 188, "compare", bold=True)
    fires = count >= stored
    drawing.text(875, 208, f"{count} {'≥' if fires else '<'} {stored}", 12)
    drawing.text(875, 226, f"which is {of.threshold} + {of.minus_ones}", 12)
    drawing.line([(875, 240), (875, 264)], arrow=True)
    drawing.text(875, 284, "1: it fires" if fires else "0: it rests", 14, ORANGE, bold=True)
    drawing.text(
        380,
        304,
        f"The same by hand: {on_plus} ink pixels lie on +1 and {int(ink.sum()) - on_plus} on -1; "
        f"{on_plus} - {int(ink.sum()) - on_plus} = {of.sums[SAMPLE]}.",
        12,
        GREY,
    )
    return str(drawing)


def step(of: Lesson) -> str:
    """The sums of all samples, and the step that makes a bit of them."""
    drawing = Drawing(1000, 300, f"What neuron {NEURON} of digits makes of twenty samples")
    low, high = min(of.sums) - 3, max(of.sums) + 3
    top, bottom = 70, 200

    def x_of(value: float) -> float:
        return 70 + 860 * (value - low) / (high - low)

    edge = x_of(of.threshold - 0.5)
    drawing.text(500, 32, f"neuron {NEURON} of the first layer, twenty samples", bold=True)
    for value, y in ((1, top), (0, bottom)):
        drawing.text(44, y + 5, str(value), 14, INK)
    drawing.line([(60, bottom), (edge, bottom), (edge, top), (940, top)], BLUE, 3)
    taken: list[tuple[float, int]] = []
    for value, label in sorted(zip(of.sums, of.labels, strict=True)):
        near = {place for x, place in taken if abs(x - x_of(value)) < 24}
        place = next(place for place in range(9) if place not in near)
        taken.append((x_of(value), place))
        fires = value >= of.threshold
        y = (top if fires else bottom) + 22 + 24 * place
        drawing.circle(x_of(value), y, 11, PALE_ORANGE if fires else PALE_BLUE, GREY)
        drawing.text(x_of(value), y + 4.5, label, 13)
    axis = 270
    drawing.line([(60, axis), (940, axis)], GREY, 1)
    for value in range(-(-low // 10) * 10, high + 1, 10):
        drawing.line([(x_of(value), axis - 4), (x_of(value), axis + 4)], GREY, 1)
        drawing.text(x_of(value), axis + 20, str(value), 12, GREY)
    drawing.text(edge - 8, top + 70, f"threshold {of.threshold}", 12, BLUE, anchor="end")
    drawing.text(930, axis - 10, "sum", 12, GREY)
    return str(drawing)


def popcount(of: Lesson) -> str:
    """The tree that counts fifteen matches, with the number at each of its places."""
    drawing = Drawing(1000, 400, "The tree of adders that counts fifteen bits")
    bits = [int(each) for each in of.matches[TREE_AT : TREE_AT + TREE_BITS]]

    def x_of(bit: int) -> float:
        return 60 + 62 * bit

    def draw(first: int, count: int, y: float) -> tuple[float, int]:
        """Draw the count of some bits; return where it stands, and the number."""
        places = range(first, first + count)
        number = sum(bits[place] for place in places)
        if count <= 3:
            middle = x_of(first + count // 2)
            for place in places:
                drawing.line([(x_of(place), 316), (middle + 14 * (place - first - 1), 276)])
            drawing.box(middle - 62, 232, 124, 44, PALE_BLUE)
            drawing.text(middle, 250, "full adder", 12)
            drawing.text(middle, 269, str(number), 15, INK, bold=True)
            return middle, number
        half = count // 2  # as the gateware divides them: two halves, and the last bit as carry
        low, low_number = draw(first, half, y + 84)
        high, high_number = draw(first + half, count - 1 - half, y + 84)
        carry = first + count - 1
        middle = (low + high) / 2
        below = 232 if count == 7 else y + 84
        drawing.line([(low, below), (middle - 22, y + 44)])
        drawing.line([(high, below), (middle + 22, y + 44)])
        drawing.line(
            [(x_of(carry), 316), (x_of(carry), y + 22), (middle + 74, y + 22)], ORANGE, arrow=True
        )
        drawing.box(middle - 74, y, 148, 44, PALE_BLUE)
        drawing.text(middle, y + 17, f"{low_number} + {high_number} + {bits[carry]}", 12)
        drawing.text(
            middle, y + 37, str(low_number + high_number + bits[carry]), 15, INK, bold=True
        )
        return middle, number

    drawing.text(500, 30, f"{TREE_BITS} matches, counted in three cycles", bold=True)
    middle, number = draw(0, TREE_BITS, 64)
    assert number == sum(bits)
    drawing.line([(middle, 64), (middle, 42)], arrow=True)
    for place, bit in enumerate(bits):
        in_carry = place in (6, 13, 14)
        fill, stroke = (PALE_ORANGE, ORANGE) if in_carry else ("#ffffff", BLUE)
        drawing.box(x_of(place) - 16, 316, 32, 32, fill, stroke, 4)
        drawing.text(x_of(place), 338, str(bit), 15)
    drawing.text(
        500,
        378,
        "orange: bits that enter an adder as its carry, and cost no adder of their own",
        12,
        GREY,
    )
    for y, cycle in ((254, 1), (170, 2), (86, 3)):
        drawing.text(16, y + 4, f"{cycle}", 12, GREY)
    drawing.text(22, 62, "cycle", 12, GREY)
    return str(drawing)


def code(of: Lesson) -> str:
    """Seven neurons, their bits, and the row of the ASCII table that these are."""
    drawing = Drawing(1000, 380, "The last layer's seven bits are the ASCII code")
    last = of.network.layers[-1]
    state = reference.activations(of.network, of.images[SAMPLE : SAMPLE + 1])
    sums = reference.sums(last, state[-2])[0]
    bits = [int(each) for each in state[-1][0]]
    drawing.text(300, 36, "the seven neurons of the last layer", bold=True)
    for column, k in enumerate(range(6, -1, -1)):
        x = 40 + 78 * column
        fires = bits[k] == 1
        drawing.box(x, 56, 66, 84, PALE_ORANGE if fires else PALE_BLUE, ORANGE if fires else BLUE)
        drawing.text(x + 33, 76, f"bit {k}", 13, bold=True)
        drawing.text(x + 33, 98, f"{int(sums[k])}", 13)
        drawing.text(x + 33, 116, "≥" if fires else "<", 12)
        drawing.text(x + 33, 132, f"{int(last.thresholds[k])}", 13)
        drawing.line([(x + 33, 140), (x + 33, 186)], arrow=True)
        drawing.box(x + 13, 190, 40, 44, "#ffffff", ORANGE if fires else BLUE, 3)
        drawing.text(x + 33, 219, str(bits[k]), 20, INK, bold=True)
        drawing.text(x + 33, 256, str(1 << k), 12, GREY)
    value = sum(bit << k for k, bit in enumerate(bits))
    added = " + ".join(str(1 << k) for k in range(6, -1, -1) if bits[k])
    drawing.text(300, 296, f"{added} = {value} = 0x{value:02x}", 16)
    drawing.text(300, 326, f"ASCII {value} is the character {chr(value)!r}", 16, ORANGE, bold=True)
    drawing.line([(590, 212), (660, 212)], arrow=True)
    drawing.text(810, 36, "ASCII", bold=True)
    for row, each in enumerate(range(ord("0"), ord("9") + 1)):
        y = 68 + 30 * row
        if each == value:
            drawing.box(676, y - 19, 268, 28, PALE_ORANGE, ORANGE, 4)
        drawing.text(720, y, f"{each:07b}", 16)
        drawing.text(820, y, f"0x{each:02x}", 14, GREY)
        drawing.text(900, y, chr(each), 16, bold=True)
    return str(drawing)


def pictures() -> dict[str, str]:
    """All of them, by the names of their files."""
    of = lesson()
    drawn = {"neuron": neuron, "step": step, "popcount": popcount, "code": code}
    return {f"teaching_{name}.svg": draw(of) for name, draw in drawn.items()}


if __name__ == "__main__":
    for name, text in pictures().items():
        write_text(HERE / name, text)
