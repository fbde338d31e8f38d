"""A picture of where everything lies on the chip, coloured by block."""

from __future__ import annotations

import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stepnet_hdl.flow.report import BuildFigures, own_name

TILE_PIXELS = 14
MAX_COLUMNS_PIXELS = 1200
LEGEND_PIXELS = 330
MARGIN_PIXELS = 16
LINE_PIXELS = 18
FONT_PIXELS = 13
BACKGROUND = "#ffffff"
EMPTY_TILE = "#f1f1f1"
TEXT = "#202020"
OTHER = "#9a9a9a"
COLOURS = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#9c755f"),
    *("#ff9da7", "#2f4b7c", "#8cd17d", "#d4a6c8"),
)
"""For the largest blocks, in their order; the rest share `OTHER`."""

_LEADING_BLOCKS = re.compile(r"^(chip\.)+")


@dataclass(frozen=True)
class PlacedCell:
    """A cell on the chip: its column and row, and the block of the design that it belongs to."""

    column: int
    row: int
    block: str


def read_placement(netlist: Path) -> list[PlacedCell]:
    """Every placed cell of a netlist that nextpnr wrote."""
    modules = json.loads(netlist.read_text(encoding="utf-8"))["modules"]
    (top,) = (module for module in modules.values() if "top" in module["attributes"])
    placed: list[PlacedCell] = []
    for name, cell in top["cells"].items():
        found = re.match(r"X(\d+)/?Y(\d+)/", cell["attributes"].get("NEXTPNR_BEL", ""))
        if found:
            placed.append(PlacedCell(int(found[1]), int(found[2]), block_of(name)))
    return placed


def block_of(cell: str) -> str:
    """The block that a cell belongs to: two levels of the design below the chip.

    `chip.chip.engine.datapath.sum_SB_LUT4_O` is in `engine.datapath`, what lies at the top of the
    design in `board`, and what only the tools know in `other`.
    """
    if cell.startswith("$"):
        return "other"
    path = _LEADING_BLOCKS.sub("", own_name(cell)).split(".")
    return ".".join(path[:-1][:2]) or "board"


def draw(cells: Sequence[PlacedCell], board_name: str, figures: BuildFigures) -> bytes:
    """A PNG: the chip tile by tile, each cell in the colour of its block, and a legend."""
    columns = 1 + max((cell.column for cell in cells), default=0)
    rows = 1 + max((cell.row for cell in cells), default=0)
    tile = max(4, min(TILE_PIXELS, MAX_COLUMNS_PIXELS // columns))
    by_size = Counter(cell.block for cell in cells).most_common()
    colours = {block: colour for (block, _), colour in zip(by_size, COLOURS, strict=False)}
    legend = [(colours[block], block, count) for block, count in by_size if block in colours]
    if rest := sum(count for block, count in by_size if block not in colours):
        legend.append((OTHER, "smaller ones", rest))
    legend_lines = len(legend) + 4
    image = Image.new(
        "RGB",
        (
            columns * tile + LEGEND_PIXELS + 3 * MARGIN_PIXELS,
            max(rows * tile, legend_lines * LINE_PIXELS) + 2 * MARGIN_PIXELS,
        ),
        BACKGROUND,
    )
    canvas = ImageDraw.Draw(image)
    _draw_tiles(canvas, cells, colours, (columns, rows), tile)
    title = [
        f"{board_name}, {figures.part}",
        f"{figures.clock_hz / 1e6:g} MHz, reaches {figures.max_frequency_hz / 1e6:.1f} MHz",
    ]
    _draw_legend(canvas, columns * tile + 2 * MARGIN_PIXELS, title, legend)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_tiles(
    canvas: ImageDraw.ImageDraw,
    cells: Sequence[PlacedCell],
    colours: dict[str, str],
    size: tuple[int, int],
    tile: int,
) -> None:
    """Row 0 at the bottom, as in the parts' own drawings. The cells of a tile are stripes."""
    columns, rows = size
    by_tile: dict[tuple[int, int], list[str]] = defaultdict(list)
    for cell in cells:
        by_tile[cell.column, cell.row].append(cell.block)
    for column in range(columns):
        for row in range(rows):
            left = MARGIN_PIXELS + column * tile
            top = MARGIN_PIXELS + (rows - 1 - row) * tile
            inner = tile - 1
            canvas.rectangle((left, top, left + inner - 1, top + inner - 1), fill=EMPTY_TILE)
            blocks = sorted(by_tile[column, row])
            for number, block in enumerate(blocks):
                first = top + number * inner // len(blocks)
                last = top + (number + 1) * inner // len(blocks) - 1
                canvas.rectangle(
                    (left, first, left + inner - 1, max(first, last)),
                    fill=colours.get(block, OTHER),
                )


def _draw_legend(
    canvas: ImageDraw.ImageDraw,
    left: int,
    title: Sequence[str],
    legend: Sequence[tuple[str, str, int]],
) -> None:
    """Lines of text, then for each block its colour, its name and its number of cells."""
    font = ImageFont.load_default(FONT_PIXELS)
    top = MARGIN_PIXELS
    for line in title:
        canvas.text((left, top), line, fill=TEXT, font=font)
        top += LINE_PIXELS
    top += LINE_PIXELS // 2
    for colour, block, count in legend:
        canvas.rectangle((left, top + 3, left + 11, top + 14), fill=colour)
        canvas.text((left + 20, top), f"{block}  {count:,}", fill=TEXT, font=font)
        top += LINE_PIXELS
