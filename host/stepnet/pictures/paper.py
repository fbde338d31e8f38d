"""Tells ink from paper in a picture.

`find_ink` takes grey values and gives the strength of the ink: 0 where there is paper, and the
more, the more a pixel differs from it. Paper may be darker or brighter than the ink, unevenly lit
and noisy. It is the first step of `stepnet.pictures.preparing`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stepnet.errors import ImageError
from stepnet.pictures.dither import without_dither
from stepnet.pictures.dots import without_dots
from stepnet.pictures.frame import without_frame
from stepnet.pictures.page import continued, find_page
from stepnet.pictures.pieces import Components, label
from stepnet.pictures.rules import without_remains, without_rules

MIN_CONTRAST = 24
"""How many grey levels ink has to differ from paper; a picture with less counts as blank."""

MIN_INK = 0.1
"""The part of the full contrast that a pixel needs to count as ink; what compression leaves around
strokes has less."""

NOISE_DEVIATIONS = 6
"""How many standard deviations of the paper's noise a pixel may differ and still be paper."""

CALM_DEVIATION = 2.5
"""Standard deviation of noise, in grey levels, above which a picture is smoothed first."""

SMOOTHING_PART = 1 / 300
"""The radius of that smoothing, in parts of the picture's shorter side."""

MAX_PIXELS = 2_000_000
"""Larger pictures are reduced first: a character needs a hundred pixels, a line some thousand."""

SHADE_SIDE = 48
"""The longer side, at most, of the small picture on which the shade of the paper is found."""

FINER = 4
"""How many times as fine the picture is from which lines are taken before."""

MIN_LINED_SIDE = 96
"""The shorter side of pictures, in pixels, from which on they are: in smaller ones a stroke is as
thin as a line."""

LINE_WINDOW = 5
"""The side of the window of the median that takes them, twice as wide as the widest line."""

MEDIAN_SIDE = 17
"""The side of the window of the running median on that small picture: a third of the picture, most
of which is paper."""

MIN_SHADED_SIDE = 8
"""The shorter side of pictures from which on the shade of their paper is sought; the paper of
smaller ones is taken to have one grey."""

FEW_PART = 0.15
"""The part of the border that may be anything but paper."""

INK_CONTRAST_PART = 0.6
"""The part of the picture's contrast from which on a difference is ink rather than shadow."""

DARK_GREY = 10
"""A grey is light times colour, but for dark ones a sensor's own offset counts for as much; this
much is added before greys are divided."""

SPECK_AREA = 0.15
"""The area of the smallest piece that is no speck, in squares as wide as the stroke."""

MIN_STROKE_AREA = 0.1
"""The area of pieces that tell how wide strokes are, at least, in parts of the largest piece's."""

FAINT_PEAK = 0.35
"""The part of the full contrast that a piece of ink reaches somewhere; one that does not is a
smudge."""

DEVIATION_BY_MEDIAN = 1.4826
"""The standard deviation of normal noise over its median distance from the median (MAD)."""


@dataclass(frozen=True, eq=False)
class Ink:
    """A picture, taken apart into paper and ink. All arrays are (H, W) float32.

    grey: the picture in grey values, reduced by `reduction` if it was large.
    paper: the grey that the paper has under every pixel.
    strength: by how many grey levels a pixel differs from the paper; 0 if it is paper or a speck.
    reduction: how many pixels of the picture as it was make one here, along each side.
    """

    grey: NDArray[np.float32]
    paper: NDArray[np.float32]
    strength: NDArray[np.float32]
    reduction: int


def find_ink(grey: NDArray[np.float32], what: str = "picture") -> Ink:
    """The ink of a picture.

    grey: (H, W) grey values of 0 to 255 with paper along most of the border.
    what: how the picture is called in errors.

    The paper is what explains the greys of the border: one grey; or else a surface of the second
    degree; or else, where a shadow falls, the running median of the whole picture. Ink is what
    differs from the paper by more than the border's noise, on the side (darker or brighter) where
    the squares of the differences add up to more. Its strength is as it would be in the light that
    the paper has on average. Pieces much smaller than a stroke is wide, or faint throughout, are
    specks.

    Raises ImageError if the picture is blank.
    """
    reduction = int(np.ceil(np.sqrt(grey.size / MAX_PIXELS)))
    if reduction > 1:
        grey = np.asarray(Image.fromarray(grey).reduce(reduction))
    grey = without_dither(grey)
    page = find_page(grey)
    if page is not None:
        grey = continued(grey, page)
    ink, change = _differences(grey, what)
    cleaned, strongest_rule = without_rules(ink.strength, page)
    if strongest_rule:
        # Rules at the border have been taken for what paper looks like; so once more without them.
        try:
            ink, _ = _differences(_grey_without(ink, cleaned, change), what)
        except ImageError:
            raise ImageError(
                f"The {what} shows rules and nothing else that differs from the paper; give a "
                "character in stronger ink, or on plain paper."
            ) from None
        cleaned, second = without_rules(ink.strength, page)
        cleaned = without_remains(cleaned, max(strongest_rule, second))
        _check_inside(cleaned, what)
    return Ink(grey, ink.paper, _without_specks(without_dots(without_frame(cleaned))), reduction)


def drawn_ink(grey: NDArray[np.float32], what: str = "drawing") -> Ink:
    """The ink of a drawing that a program made: black on white, and nothing else on the paper.

    grey: (H, W) grey values of 0, full ink, to 255, paper.
    what: how the drawing is called in errors.

    Nothing is sought that only a photo or a scan has, so that no stroke is taken for a rule or a
    frame. Pieces are specks as in `find_ink`.

    Raises ImageError if the drawing is blank.
    """
    strength = np.float32(255) - grey
    if strength.max() < MIN_CONTRAST:
        raise ImageError(f"The {what} is blank; draw something.")
    return Ink(grey, np.full_like(grey, 255), _without_specks(strength), 1)


def _differences(grey: NDArray[np.float32], what: str) -> tuple[Ink, NDArray[np.float32]]:
    """Everything that differs from the paper, specks too, and by how much grey changes where the
    strength of the ink grows by one.

    Raises ImageError as `find_ink` does.
    """
    paper = find_paper(grey)
    noise = deviation(border(grey - paper))
    radius = min(grey.shape) * SMOOTHING_PART
    if noise > CALM_DEVIATION and radius > 0.5:
        grey = _smoothed(grey, radius)
        noise = deviation(border(grey - paper))
    difference = grey - paper
    darker, brighter = np.maximum(-difference, 0), np.maximum(difference, 0)
    is_dark = np.square(darker).sum() > np.square(brighter).sum()
    strength = darker if is_dark else brighter
    threshold = NOISE_DEVIATIONS * noise
    if strength.max() < max(MIN_CONTRAST, threshold):
        raise _blank(grey, what)
    light = (paper + DARK_GREY) / (np.median(paper) + DARK_GREY)
    strength = np.where(strength >= threshold, strength / light, np.float32(0))
    return Ink(grey, paper, strength, 1), (-light if is_dark else light)


def _check_inside(strength: NDArray[np.float32], what: str) -> None:
    """Raise ImageError if, on ruled paper, the ink reaches the picture's border: then a rule has
    been left with it."""
    mask = strength >= MIN_INK * strength.max()
    pieces = label(mask)
    weights = np.bincount(pieces.labels[mask], strength[mask])
    main = pieces.labels == int(weights.argmax())
    if any(side.any() for side in (main[0], main[-1], main[:, 0], main[:, -1])):
        raise ImageError(
            f"The {what} shows rules that cannot all be told from the ink, which reaches the "
            "border; leave some paper around the character, or give it on plain paper."
        )


def _grey_without(
    ink: Ink, cleaned: NDArray[np.float32], change: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The grey values of a picture once its ink is `cleaned`: where nothing is left, those around
    go on; where ink crosses what was taken out, its own."""
    gone = (cleaned < ink.strength) & (cleaned < MIN_INK * cleaned.max())
    grey = ink.grey + change * (cleaned - ink.strength)
    return continued(grey.astype(np.float32), ~gone)


def _blank(grey: NDArray[np.float32], what: str) -> ImageError:
    low, high = float(grey.min()), float(grey.max())
    if 0 < high < MIN_CONTRAST and low < high:
        return ImageError(
            f"The {what} has grey values from {low:.0f} to {high:.0f} only, where 255 is white; "
            f"multiply them by {255 // max(1, round(high))}."
        )
    return ImageError(
        f"The {what} is blank: no ink differs from its border; "
        "give a character with some paper around it."
    )


def find_paper(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The grey of the paper under every pixel of (H, W) grey values, as in `find_ink`."""
    flat = np.full_like(grey, np.median(border(grey)))
    if min(grey.shape) < MIN_SHADED_SIDE:
        return flat
    small = np.asarray(Image.fromarray(grey).reduce(-(-max(grey.shape) // SHADE_SIDE)))
    if _explains(np.full_like(small, flat[0, 0]), small):
        return flat
    if min(grey.shape) >= MIN_LINED_SIDE:
        small = _without_lines(grey)
    if _explains(np.full_like(small, np.median(border(small))), small):
        return np.full_like(grey, np.median(border(small)))
    surface = _fitted_surface(small)
    shade = surface if _explains(surface, small) else _running_median(small)
    height, width = grey.shape
    full = Image.fromarray(shade).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(full), 0, 255)


def _without_lines(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The small picture on which shade is sought, without lines: rules along the border are no
    shade."""
    levels = Image.fromarray(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))
    finer = levels.reduce(-(-max(grey.shape) // (FINER * SHADE_SIDE)))
    finer = finer.filter(ImageFilter.MedianFilter(LINE_WINDOW))
    small = finer.reduce(-(-max(finer.size) // SHADE_SIDE))
    return np.asarray(small).astype(np.float32)


def _explains(paper: NDArray[np.float32], grey: NDArray[np.float32]) -> bool:
    """Whether all but a few of the border's pixels are this paper, or what differs there is ink.

    Neighbours on the border differ by noise alone. A shadow differs from the paper by more than
    that, and ink by nearly as much as anything in the picture.
    """
    ring = border(grey)
    noise = deviation(np.diff(ring)) / float(np.sqrt(2))
    far = float(np.quantile(np.abs(ring - border(paper)), 1 - FEW_PART))
    contrast = float(np.abs(grey - paper).max())
    return far <= 3 * noise + 3 or far >= INK_CONTRAST_PART * contrast


def border(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outermost pixels of (H, W) values, in order around the picture."""
    return np.concatenate([values[0], values[1:, -1], values[-1, -2::-1], values[-2:0:-1, 0]])


def deviation(values: NDArray[np.float32]) -> float:
    """The standard deviation of normal noise, which ink among the `values` hardly changes."""
    return DEVIATION_BY_MEDIAN * float(np.median(np.abs(values - np.median(values))))


def stroke_width(mask: NDArray[np.bool_]) -> float:
    """The mean width in pixels of the strokes of a (H, W) mask: twice its area over its outline.

    The outline is counted where ink meets paper; slanting strokes come out a little too thin.
    """
    inside = np.pad(mask, 1)
    outline = np.count_nonzero(inside[1:] != inside[:-1])
    outline += np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    return 2 * np.count_nonzero(inside) / outline


def _fitted_surface(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The surface of the second degree with the least absolute distances from the border's greys.

    Found by least squares, weighted anew each time by one over the distance, so that ink on a part
    of the border hardly counts.
    """
    rows, columns = np.meshgrid(
        *(np.linspace(-1, 1, side, dtype=np.float32) for side in grey.shape), indexing="ij"
    )
    terms = np.stack([np.ones_like(rows), rows, columns, rows**2, rows * columns, columns**2])
    at_border = np.stack([border(term) for term in terms], axis=1).astype(np.float64)
    ring = border(grey).astype(np.float64)
    weights = np.ones(len(ring))
    coefficients = np.zeros(len(terms))
    for _ in range(12):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(at_border * root[:, np.newaxis], ring * root, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(ring - at_border @ coefficients), 0.5)
    return np.tensordot(coefficients, terms, axes=1).astype(np.float32)


def _running_median(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median of a window around each pixel; beyond the border the shade goes on as it came."""
    window = tuple(min(MEDIAN_SIDE, 2 * side - 1) for side in grey.shape)
    beyond = [(side // 2, side // 2) for side in window]
    padded = np.pad(grey, beyond, mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    return np.median(windows, axis=(2, 3)).astype(np.float32)


def _smoothed(grey: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    levels = Image.fromarray(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))
    return np.asarray(levels.filter(ImageFilter.GaussianBlur(radius))).astype(np.float32)


def _without_specks(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    mask = strength >= MIN_INK * strength.max()
    pieces: Components = label(mask)
    peaks = np.zeros(len(pieces.areas), dtype=np.float32)
    np.maximum.at(peaks, pieces.labels[mask] - 1, strength[mask])
    faint = peaks < FAINT_PEAK * peaks.max()
    # Something is left, however small everything is; and specks do not say how wide strokes are.
    largest = int(pieces.areas[~faint].max())
    strokes = np.append(False, pieces.areas >= MIN_STROKE_AREA * largest)[pieces.labels]
    smallest = min(SPECK_AREA * stroke_width(strokes) ** 2, largest)
    specks = faint | (pieces.areas < smallest)
    if not specks.any():
        return strength
    return np.where(np.append(False, specks)[pieces.labels], np.float32(0), strength)
