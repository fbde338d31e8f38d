"""Draws how a picture becomes network input, step by step, for `stepnet infer --steps`.

The drawing shows the page, the paper that was found on it, the ink that is left, the boxes of the
characters, and each character as the network sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stepnet.networks import reference
from stepnet.pictures.paper import Ink
from stepnet.pictures.placing import ink_box
from stepnet.pictures.preparing import Prepared
from stepnet.pictures.segmentation import Line

PAGE_WIDTH_PIXELS = 960
MAX_PANEL_WIDTH_PIXELS = 640
MAX_PANEL_HEIGHT_PIXELS = 320
MARGIN_PIXELS = 12
CAPTION_PIXELS = 22
PAGE_COLOUR = "#f3f1ec"
CAPTION_COLOUR = "#222222"
BOX_COLOUR = "#d03020"
SEEN_SCALE = 4
"""How many pixels of the drawing show one pixel that the network sees, along each side."""

FONT = ImageFont.load_default(14)  # in smaller ones a colon is lost


def draw_steps(prepared: Prepared, captions: Sequence[str], ink_threshold: int) -> Image.Image:
    """The steps from a picture, of one character or of a line, to network input.

    captions: what is written below each character, a few letters each, such as what was read in it.
    ink_threshold: grey value from which a pixel is 1 for the network.
    """
    cut_out = (
        _character_panel(prepared.ink) if prepared.line is None else _line_panel(prepared.line)
    )
    seen = _seen_panel(prepared.images, captions, ink_threshold)
    return _laid_out([*_page_panels(prepared.ink), cut_out, seen])


def _character_panel(ink: Ink) -> Image.Image:
    left, top, right, bottom = ink_box(ink.strength)
    boxed = _boxed(_ink_picture(ink.strength), [(left, top, right, bottom)])
    return _panel("4 The character's box", boxed)


def _line_panel(line: Line) -> Image.Image:
    capital = f"capitals {line.capital_height:.0f} pixels high"
    turned = f"{_levelled(line.tilt_degrees)}, {capital}"
    spaces = sum(glyph.after_space for glyph in line.glyphs)
    cut = f"{_counted(len(line.boxes), 'character')}, {_counted(spaces, 'space')}"
    return _panel(f"4 The line, {turned}; {cut}", _boxed(_ink_picture(line.level), line.boxes))


def _levelled(tilt_degrees: float) -> str:
    if round(tilt_degrees, 1) == 0:
        return "as it lies"
    return (
        f"level (it {'fell' if tilt_degrees > 0 else 'climbed'} by {abs(tilt_degrees):.1f} degrees)"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _page_panels(ink: Ink) -> list[Image.Image]:
    return [
        _panel("1 The page, in grey", _levels(ink.grey)),
        _panel("2 The paper that was found", _levels(ink.paper)),
        _panel("3 What is left: the ink", _ink_picture(ink.strength)),
    ]


def _levels(grey: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))


def _ink_picture(strength: NDArray[np.float32]) -> Image.Image:
    """Ink black on white, whatever it was."""
    return _levels(255 - strength * (255 / float(strength.max())))


def _boxed(picture: Image.Image, boxes: Sequence[tuple[int, int, int, int]]) -> Image.Image:
    scale = _fitting_scale(picture)
    large = _scaled(picture, scale).convert("RGB")
    draw = ImageDraw.Draw(large)
    for left, top, right, bottom in boxes:
        corners = (left * scale - 1, top * scale - 1, right * scale, bottom * scale)
        draw.rectangle(corners, outline=BOX_COLOUR)
    return large


def _seen_panel(
    images: Sequence[NDArray[np.uint8]], captions: Sequence[str], ink_threshold: int
) -> Image.Image:
    """Each character in grey, below it the bits that the network gets, below that its caption."""
    height, width = images[0].shape
    cell_width = width * SEEN_SCALE + 4
    cell_height = 2 * (height * SEEN_SCALE + 4) + CAPTION_PIXELS
    per_row = max(1, PAGE_WIDTH_PIXELS // cell_width)
    rows = -(-len(images) // per_row)
    picture = Image.new(
        "RGB", (min(len(images), per_row) * cell_width, rows * cell_height), PAGE_COLOUR
    )
    for number, (grey, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = number % per_row * cell_width, number // per_row * cell_height
        bits = np.where(reference.ink(grey, ink_threshold), np.uint8(255), np.uint8(0))
        for place, image in enumerate((grey, bits)):
            large = Image.fromarray(image).resize(
                (width * SEEN_SCALE, height * SEEN_SCALE), Image.Resampling.NEAREST
            )
            picture.paste(large, (left, top + place * (height * SEEN_SCALE + 4)))
        _write(picture, (left, top + cell_height - CAPTION_PIXELS), caption)
    return _panel("5 As the network sees it: grey, and the bits", picture, scale=1)


def _panel(caption: str, picture: Image.Image, scale: float | None = None) -> Image.Image:
    """A picture below its caption; scaled to fit, if `scale` is not given."""
    shown = _scaled(picture, scale or _fitting_scale(picture)).convert("RGB")
    caption_width = round(FONT.getlength(caption)) + 2
    size = max(shown.width, caption_width), shown.height + CAPTION_PIXELS
    panel = Image.new("RGB", size, PAGE_COLOUR)
    _write(panel, (0, 0), caption)
    panel.paste(shown, (0, CAPTION_PIXELS))
    return panel


def _fitting_scale(picture: Image.Image) -> float:
    return min(MAX_PANEL_WIDTH_PIXELS / picture.width, MAX_PANEL_HEIGHT_PIXELS / picture.height)


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return picture.resize(size, method)


def _write(picture: Image.Image, place: tuple[int, int], text: str) -> None:
    shown = text.encode("latin-1", "replace").decode("latin-1")  # what the built-in font has
    ImageDraw.Draw(picture).text(place, shown, fill=CAPTION_COLOUR, font=FONT)


def _laid_out(panels: Sequence[Image.Image]) -> Image.Image:
    """Panels side by side as long as they fit the page, then in the next row."""
    rows: list[list[Image.Image]] = [[]]
    for panel in panels:
        taken = sum(before.width + MARGIN_PIXELS for before in rows[-1])
        if rows[-1] and taken + panel.width > PAGE_WIDTH_PIXELS:
            rows.append([])
        rows[-1].append(panel)
    widths = [sum(panel.width + MARGIN_PIXELS for panel in row) for row in rows]
    heights = [max(panel.height for panel in row) + MARGIN_PIXELS for row in rows]
    page = Image.new(
        "RGB", (max(widths) + MARGIN_PIXELS, sum(heights) + MARGIN_PIXELS), PAGE_COLOUR
    )
    top = MARGIN_PIXELS
    for row, height in zip(rows, heights, strict=True):
        left = MARGIN_PIXELS
        for panel in row:
            page.paste(panel, (left, top))
            left += panel.width + MARGIN_PIXELS
        top += height
    return page
