"""Draws the engine's schedule: which unit does what, cycle by cycle, for one image.

`stepnet infer --schedule` calls it. What is drawn was recorded from the running gateware; no
formula of the engine's timing is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stepnet import plots
from stepnet.errors import PictureError
from stepnet.files import write_whole
from stepnet.networks.network import Network
from stepnet_sim.waves.account import Account, Issue

WIDTH_INCHES = 12.0
PANEL_INCHES = 2.3
DPI = 150

SMALL_POINTS = 5.5
TEXT_POINTS = 8

ZOOM_CYCLES = 58
"""How many cycles a panel has in which single ones can be told apart."""

LEAD_CYCLES = 10
"""How many cycles are shown before what a panel is about."""

CAPTION = (
    "Cycles from the last pixels. In a weight word: its group of neurons, and which word (w) or "
    "bit plane (p) of the group it is. Popcount: matches of the first neuron."
)

LANES = (
    "pixels",
    "sequencer",
    "weight words",
    "popcount",
    "decisions",
    "activations",
    "readout",
    "register",
)
"""The units, each a lane of the picture, from top to bottom."""

STATE_COLOURS = {
    "WAIT": "#ffffff",
    "ROW_HEADER": "#d9c7a3",
    "LAYER_HEADER": "#c4a96f",
    "DECODE": "#b6964f",
    "PREPARE": "#a8863f",
    "MAP_HEADER": "#8f7130",
    "COMPUTE": "#cfdceb",
    "DESCEND": "#d7bfe0",
    "FIND_ROW": "#b894c8",
    "READ_OUT": "#f3cdb8",
    "LOOK_UP": "#e39d78",
    "LOOKED_UP": "#d98a60",
    "RESULT": plots.ORANGE,
}

LAYER_COLOURS = ("#1f5a94", "#2f8f6b", "#8a5aa8", "#b07d1e", "#b0445a", "#4f7f8f")

PIXEL_COLOUR = "#6b6b6b"
BYTE_COLOUR = "#b5b5b5"


@dataclass(frozen=True)
class _Panel:
    """A piece of the time, from cycle `first` to cycle `last` of the recording."""

    title: str
    first: int
    last: int

    @property
    def is_zoom(self) -> bool:
        """Whether single cycles can be told apart and hold text."""
        return self.last - self.first <= 2 * ZOOM_CYCLES


def draw_schedule(account: Account, network: Network, clock_hz: int, path: Path) -> None:
    """Draw the whole image, and closer: the start, the way from layer to layer, and the end.

    Raises PictureError if the file cannot be written, MissingToolError if matplotlib is missing.
    """
    plots.check(path)
    from matplotlib.figure import Figure

    panels = list(_panels(account))
    figure = Figure(figsize=(WIDTH_INCHES, 0.75 + PANEL_INCHES * len(panels)), dpi=DPI)
    figure.set_layout_engine("constrained", h_pad=0.06)
    figure.suptitle(_title(account, network, clock_hz), fontsize=TEXT_POINTS + 2, color=plots.INK)
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, panel, account)
    all_axes[-1].set_xlabel(CAPTION, fontsize=TEXT_POINTS - 1, color=plots.INK)
    _legend(figure, account)
    try:
        write_whole(path, lambda file: figure.savefig(file, format="png"))
    except OSError as error:
        raise PictureError(
            f"The picture cannot be written to {str(path)!r} ({error.strerror}); "
            "name a file in a folder that exists and is writable."
        ) from error


def _title(account: Account, network: Network, clock_hz: int) -> str:
    sizes = "-".join(map(str, network.sizes))
    shape = account.shape
    time_us = account.counted_cycles / clock_hz * 1e6
    return (
        f"{network.name} ({sizes}) on an engine of SIMD {shape.simd}, PE {shape.pe}: "
        f"{account.counted_cycles:,} cycles from the last pixels to the register, "
        f"{time_us:.1f} us at {clock_hz / 1e6:g} MHz"
    )


def _panels(account: Account) -> Iterator[_Panel]:
    first = min(int(account.pixel_cycles[0]), account.issues[0].cycle) - LEAD_CYCLES // 2
    first, last = max(0, first), min(account.result_cycle + LEAD_CYCLES, account.cycles - 1)
    yield _Panel("the whole image", first, last)
    yield _zoom("the start", max(first, account.issues[0].cycle - 2 * LEAD_CYCLES), account)
    for before, after in pairwise(account.issues):
        if before.layer != after.layer:
            title = f"from layer {before.layer} to layer {after.layer}"
            yield _zoom(title, before.cycle - 2 * LEAD_CYCLES, account)
    yield _zoom("the end", account.result_cycle + LEAD_CYCLES - ZOOM_CYCLES, account)


def _zoom(title: str, first: int, account: Account) -> _Panel:
    first = max(0, min(first, account.cycles - ZOOM_CYCLES))
    return _Panel(title, first, first + ZOOM_CYCLES - 1)


def _draw_panel(axes: Any, panel: _Panel, account: Account) -> None:
    axes.set_title(panel.title, loc="left", fontsize=TEXT_POINTS, color=plots.INK)
    zero = account.last_pixel_cycle
    axes.set_xlim(panel.first - zero, panel.last + 1 - zero)
    axes.set_ylim(len(LANES), 0)
    axes.set_yticks([lane + 0.5 for lane in range(len(LANES))], LANES, fontsize=TEXT_POINTS - 1)
    axes.tick_params(axis="x", labelsize=TEXT_POINTS - 1, colors=plots.INK)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for lane in range(len(LANES)):
        axes.axhline(lane, color=plots.GRID, linewidth=0.6, zorder=0)
    drawing = _Drawing(axes, panel, zero)
    _draw_pixels(drawing, account)
    _draw_states(drawing, account)
    _draw_issues(drawing, account)
    _draw_popcount(drawing, account)
    _draw_decisions(drawing, account)
    _draw_writes(drawing, account)
    _draw_readout(drawing, account)
    _draw_register(drawing, account)


@dataclass(frozen=True)
class _Drawing:
    """Boxes and text in the lanes of one panel, by the cycles of the recording."""

    axes: Any
    panel: _Panel
    zero: int

    def shows(self, cycle: int) -> bool:
        """Whether the cycle lies in the panel."""
        return self.panel.first <= cycle <= self.panel.last

    def boxes(
        self,
        lane: str,
        spans: Sequence[tuple[int, int]],
        colour: str,
        bottom: float = 0.1,
        top: float = 0.9,
    ) -> None:
        """Fill spans of cycles, each the first and how many; `bottom` and `top` from 0 to 1."""
        shown = [
            (first - self.zero, count)
            for first, count in spans
            if first <= self.panel.last and first + count > self.panel.first
        ]
        if not shown:
            return
        edge = "white" if self.panel.is_zoom else colour
        self.axes.broken_barh(
            shown,
            (LANES.index(lane) + 1 - top, top - bottom),
            facecolors=colour,
            edgecolors=edge,
            linewidth=0.4 if self.panel.is_zoom else 0.15,
        )

    def bars(
        self, lane: str, bars: Sequence[tuple[int, float, float]], colour: str, **settings: Any
    ) -> None:
        """Fill single cycles, each the cycle, and bottom and top from 0 to 1, as one object of the
        picture however many they are: a convolution evaluates windows by the ten thousand.
        """
        from matplotlib.collections import PolyCollection

        shown = [bar for bar in bars if self.shows(bar[0])]
        if not shown:
            return
        cycles, bottoms, tops = np.array(shown, dtype=np.float64).T
        left, floor = cycles - self.zero, LANES.index(lane) + 1.0
        corners = ((left, bottoms), (left, tops), (left + 1, tops), (left + 1, bottoms))
        polygons = np.stack([np.stack([x, floor - y], axis=1) for x, y in corners], axis=1)
        edge = "white" if self.panel.is_zoom else colour
        usual = {"edgecolors": edge, "linewidth": 0.4 if self.panel.is_zoom else 0.15}
        collection = PolyCollection(list(polygons), facecolors=colour, **(usual | settings))
        self.axes.add_collection(collection, autolim=False)

    def text(
        self, lane: str, first: int, count: int, text: str, colour: str = plots.INK, at: float = 0.5
    ) -> None:
        """Write into a span of cycles, as far as the panel shows it."""
        start, end = max(first, self.panel.first), min(first + count, self.panel.last + 1)
        if start < end:
            self.axes.text(
                (start + end) / 2 - self.zero,
                LANES.index(lane) + at,
                text,
                fontsize=SMALL_POINTS,
                color=colour,
                ha="center",
                va="center",
                clip_on=True,
            )


def _draw_pixels(drawing: _Drawing, account: Account) -> None:
    """A box for each byte, with its number. Those that complete a word are darker."""
    cycles = account.pixel_cycles.tolist()
    drawing.boxes("pixels", [(cycle, 1) for cycle in cycles], BYTE_COLOUR)
    filling = {cycles[number] for number in account.filling_bytes}
    drawing.boxes("pixels", [(cycle, 1) for cycle in sorted(filling)], PIXEL_COLOUR)
    if drawing.panel.is_zoom:
        for number, cycle in enumerate(cycles):
            colour = "white" if cycle in filling else plots.INK
            drawing.text("pixels", cycle, 1, str(number), colour)


def _draw_states(drawing: _Drawing, account: Account) -> None:
    cycle = 0
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for state, run in groupby(map(_kind, account.states)):
        count = len(list(run))
        spans[state].append((cycle, count))
        if drawing.panel.is_zoom and count > 3:
            drawing.text("sequencer", cycle, count, state.lower().replace("_", " "))
        cycle += count
    for state, found in spans.items():
        drawing.boxes("sequencer", found, STATE_COLOURS[state])


def _kind(state: str) -> str:
    """The state without the number of headers that are still to come."""
    return state.rstrip("0123456789").rstrip("_")


def _draw_issues(drawing: _Drawing, account: Account) -> None:
    for layer, issues in _by_layer(account):
        colour = LAYER_COLOURS[layer % len(LAYER_COLOURS)]
        drawing.boxes("weight words", _spans([issue.cycle for issue in issues], drawing), colour)
        if not drawing.panel.is_zoom:
            first, last = issues[0].cycle, issues[-1].cycle
            if last - first > (drawing.panel.last - drawing.panel.first) / 30:
                text = f"layer {layer}: {len(issues):,} words"
                drawing.text("weight words", first, last - first + 1, text, "white")
            continue
        name = _naming(issues)
        for issue in issues:
            if not drawing.shows(issue.cycle):
                continue
            drawing.text("weight words", issue.cycle, 1, str(issue.group), "white", 0.32)
            drawing.text("weight words", issue.cycle, 1, name(issue), "white", 0.7)


def _naming(issues: Sequence[Issue]) -> Callable[[Issue], str]:
    """A function that names the words of a layer so that those of a group can be told apart."""
    if all(issue.plane == 0 for issue in issues):
        return lambda issue: f"w{issue.word}"
    if all(issue.word == 0 for issue in issues):
        return lambda issue: f"p{issue.plane}"
    return lambda issue: f"{issue.plane}.{issue.word}"


def _draw_popcount(drawing: _Drawing, account: Account) -> None:
    """A bar for each word, as high as it has matches."""
    ended = next(issue for issue in account.issues if issue.ends_group)
    # One cycle to add the count to the sum, and one to compare it.
    latency = account.decisions[0].cycle - 2 - ended.cycle
    for layer, issues in _by_layer(account):
        colour = LAYER_COLOURS[layer % len(LAYER_COLOURS)]
        cycles = [issue.cycle + latency for issue in issues]
        bars = [
            (cycle, 0.02, 0.07 + 0.9 * account.matches[cycle] / account.shape.simd)
            for cycle in cycles
            if drawing.shows(cycle)
        ]
        width = 0.6 if drawing.panel.is_zoom else 0.0
        drawing.bars("popcount", bars, colour, alpha=0.75, linewidth=width)


def _draw_decisions(drawing: _Drawing, account: Account) -> None:
    """A box for each group, with the number of its first neuron. As much of it stands above the
    line as neurons of the group fire, and the rest below.
    """
    lane = LANES.index("decisions")
    drawing.axes.axhline(lane + 0.5, color=plots.RULE, linewidth=0.5, zorder=0)
    bars: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for cycle, group in groupby(account.decisions, key=lambda decision: decision.cycle):
        if not drawing.shows(cycle):
            continue
        first, *others = group
        neurons = [first, *others]
        share = sum(decision.fires for decision in neurons) / len(neurons)
        colour = LAYER_COLOURS[first.layer % len(LAYER_COLOURS)]
        if share > 0:
            bars[colour].append((cycle, 0.5, 0.5 + 0.45 * share))
        if share < 1:
            bars[colour].append((cycle, 0.05 + 0.45 * share, 0.5))
        if drawing.panel.is_zoom:
            mixed = 0 < share < 1  # two boxes, either of them too low to hold a number
            at = (0.88 if mixed else 0.28) if share >= 0.5 else (0.12 if mixed else 0.75)
            colour = plots.INK if mixed else "white"
            drawing.text("decisions", cycle, 1, str(first.neuron), colour, at)
    for colour, found in bars.items():
        drawing.bars("decisions", found, colour)


def _draw_writes(drawing: _Drawing, account: Account) -> None:
    cycles = account.activation_write_cycles.tolist()
    pixels = account.pixel_write_cycles.tolist()
    drawing.boxes("activations", [(cycle, 1) for cycle in pixels], PIXEL_COLOUR)
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for cycle in cycles:
        layer = int(account.layers[cycle])
        spans[layer].append((cycle, 1))
        if drawing.panel.is_zoom:
            drawing.text("activations", cycle + 1, 5, f"of layer {layer}")
    for layer, found in spans.items():
        drawing.boxes("activations", found, LAYER_COLOURS[layer % len(LAYER_COLOURS)])


def _draw_readout(drawing: _Drawing, account: Account) -> None:
    for taken in account.taken:
        colour = plots.ORANGE if taken.fires else "#e3b39b"
        drawing.boxes("readout", [(taken.cycle, 1)], colour)
        if drawing.panel.is_zoom:
            drawing.text("readout", taken.cycle, 1, str(int(taken.fires)), "white")


def _draw_register(drawing: _Drawing, account: Account) -> None:
    cycle = account.result_cycle
    count = account.cycles - cycle
    drawing.boxes("register", [(cycle, count)], plots.ORANGE)
    code = account.register[cycle]
    if drawing.panel.is_zoom:
        shown = f"{chr(code)!r} " if 0x20 < code < 0x7F else ""
        drawing.text("register", cycle, count, f"{shown}0x{code:02x}", "white")


def _by_layer(account: Account) -> Iterator[tuple[int, list[Issue]]]:
    for layer, issues in groupby(account.issues, key=lambda issue: issue.layer):
        yield layer, list(issues)


def _spans(cycles: Sequence[int], drawing: _Drawing) -> list[tuple[int, int]]:
    """One span per cycle where these can be told apart, else one per run."""
    if drawing.panel.is_zoom:
        return [(cycle, 1) for cycle in cycles]
    spans: list[tuple[int, int]] = []
    for cycle in cycles:
        if spans and sum(spans[-1]) == cycle:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((cycle, 1))
    return spans


def _legend(figure: Any, account: Account) -> None:
    from matplotlib.patches import Patch

    layers = range(max(issue.layer for issue in account.issues) + 1)
    swatches = [(f"layer {n}", LAYER_COLOURS[n % len(LAYER_COLOURS)]) for n in layers]
    swatches += [("8 pixels", BYTE_COLOUR), ("the 8 that fill a word", PIXEL_COLOUR)]
    seen = set(map(_kind, account.states)) - {"WAIT"}
    states = [state for state in STATE_COLOURS if state in seen]
    swatches += [(state.lower().replace("_", " "), STATE_COLOURS[state]) for state in states]
    figure.legend(
        handles=[Patch(facecolor=colour, label=label) for label, colour in swatches],
        loc="outside lower center",
        ncols=6,
        fontsize=TEXT_POINTS - 1,
        frameon=False,
    )
