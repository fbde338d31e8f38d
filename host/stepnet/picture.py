"""Pictures of handwriting as network input.

`normalise("seven.jpg")` takes a character of any size, dark on light or light on dark, and gives it
the form that the training data have: bright ink on 0, cut out, scaled, centred. It is for pictures
from outside; images that have the network's size are inferred as they are.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from stepnet.errors import ImageError

MAX_MEGAPIXELS = 64

INK_PART = 20 / 28
"""Part of the frame that the longer side of a character fills, as in MNIST."""

MIN_CONTRAST = 24
"""Grey levels between paper and ink below which a picture counts as blank."""

MIN_INK = 0.1
"""Part of the full contrast that a pixel needs to belong to the character's box; compression leaves
less around strokes."""

NOISE_DEVIATIONS = 6
"""Standard deviations of the paper's noise up to which a pixel is paper."""

MIN_STROKE_PIXELS = 1.8
"""Strokes that would come out thinner than this, in pixels of the result, are widened first."""


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in an image file of any format that Pillow reads, in memory, upright.

    Raises ImageError if `path` is missing, a directory, unreadable, no picture, damaged or larger
    than `MAX_MEGAPIXELS`.
    """
    path = Path(path)
    try:
        # What Pillow warns about is refused below, or does not matter.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            _check_size(picture, f"picture {str(path)!r}")
            return ImageOps.exif_transpose(picture)
    except IsADirectoryError:
        raise ImageError(f"{str(path)!r} is a directory; name a picture in it.") from None
    except FileNotFoundError:
        raise ImageError(f"There is no picture {str(path)!r}; check the path.") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"The file {str(path)!r} is no picture or is damaged; "
            "give a PNG, a JPEG or another image file."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(f"picture {str(path)!r}") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        # Pillow's decoders answer damage with any of these.
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(
            f"The picture {str(path)!r} cannot be read ({reason or 'its content is damaged'}); "
            "give a PNG, a JPEG or another image file."
        ) from error


def normalise(
    picture: str | os.PathLike[str] | Image.Image | NDArray[np.generic],
    height: int = 28,
    width: int = 28,
) -> NDArray[np.uint8]:
    """One character as network input: (height, width) uint8 grey values, bright ink on 0.

    picture: a path, as for `read_picture`; or from Pillow in any mode; or an array of uint8 of
    shape (H, W), (H, W, 3) or (H, W, 4), or of bool of shape (H, W).

    1. What is transparent becomes white; colours become grey.
    2. The paper is the median grey of the picture's border. Ink is what differs from it, on the
       side (darker or brighter) where the squares of the differences add up to more.
    3. What differs by no more than the border's own noise is paper.
    4. The box around all pixels of at least `MIN_INK` is cut out and scaled, keeping its aspect, so
       that it fills `INK_PART` of the frame's height or width and no more of the other. Thin
       strokes are widened before they shrink away.
    5. The brightest ink becomes 255, and the centre of mass goes to pixel (height / 2, width / 2),
       rounded to whole pixels, as far as the ink stays within the frame.

    Images of MNIST come out as they went in, but for one in a thousand.

    Raises ImageError if the picture is empty or blank, too large, or an array of another form, and
    as `read_picture` does.
    """
    what = "picture"
    if isinstance(picture, (str, os.PathLike)):
        what = f"picture {str(picture)!r}"
        picture = read_picture(picture)
    ink = _ink(_grey(picture, what), what)
    strong = ink >= MIN_INK * ink.max()
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(INK_PART * height / ink.shape[0], INK_PART * width / ink.shape[1])
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    character = np.asarray(
        Image.fromarray(_widen_strokes(ink, scale)).resize(size, Image.Resampling.BILINEAR)
    )
    stretched = np.rint(character * (255 / character.max())).astype(np.uint8)
    return _centre(stretched, height, width)


def _grey(picture: Image.Image | NDArray[np.generic], what: str) -> NDArray[np.float32]:
    """Grey values on any scale, transparent parts white: (H, W)."""
    if not isinstance(picture, Image.Image):
        picture = _from_array(picture)
    if 0 in picture.size:
        raise ImageError(
            f"The {what} has {picture.width} x {picture.height} pixels; give one that is not empty."
        )
    _check_size(picture, what)
    if picture.mode.startswith(("I", "F")):
        # More than 8 bits: Pillow would cut them off instead of scaling. Such modes have no alpha.
        deep = np.asarray(picture).astype(np.float32)
        return (deep - deep.min()) * (255 / max(float(np.ptp(deep)), 1.0))
    coloured = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(paper, coloured).convert("L")).astype(np.float32)


def _from_array(array: NDArray[np.generic]) -> Image.Image:
    array = np.asarray(array)
    if array.dtype == np.bool_ and array.ndim == 2:
        array = array.astype(np.uint8) * np.uint8(255)
    coloured = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (array.ndim == 2 or coloured):
        raise ImageError(
            f"An array of {array.dtype} with shape {array.shape} is no picture; give uint8 of "
            "shape (H, W), (H, W, 3) or (H, W, 4), or bool of shape (H, W)."
        )
    if 0 in array.shape:
        return Image.new("L", (array.shape[1], array.shape[0]))
    return Image.fromarray(np.ascontiguousarray(array))


def _ink(grey: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    """How much each pixel differs from the paper, 0 where it is paper; some pixel is not."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    # 1.4826 median deviations are a standard deviation of normal noise, untouched by ink there.
    noise = NOISE_DEVIATIONS * 1.4826 * np.median(np.abs(border - paper))
    difference = grey - paper
    darker, brighter = np.maximum(-difference, 0), np.maximum(difference, 0)
    ink = darker if np.square(darker).sum() > np.square(brighter).sum() else brighter
    if ink.max() < max(MIN_CONTRAST, noise):
        raise ImageError(
            f"The {what} is blank: no ink differs from its border; "
            "give a character with some paper around it."
        )
    return np.where(ink >= noise, ink, np.float32(0))


def _widen_strokes(ink: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Ink whose strokes keep `MIN_STROKE_PIXELS` when the picture shrinks by `scale`.

    A stroke's width is twice its area by its outline, the outline counted where ink meets paper.
    """
    inside = np.pad(ink >= ink.max() / 2, 1)
    outline = np.count_nonzero(inside[1:] != inside[:-1])
    outline += np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    stroke = 2 * np.count_nonzero(inside) / outline
    missing = int(MIN_STROKE_PIXELS / scale - stroke)
    if missing < 2:
        return ink
    grey = Image.fromarray(np.rint(ink * (255 / ink.max())).astype(np.uint8))
    for _ in range(missing // 2):
        grey = grey.filter(ImageFilter.MaxFilter(3))
    return np.asarray(grey).astype(np.float32)


def _centre(character: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """`character` in a frame of zeros with its centre of mass in the middle."""
    corner: list[int] = []
    for axis, side in enumerate((height, width)):
        profile = character.sum(axis=1 - axis, dtype=np.int64)
        mass_centre = float(profile @ np.arange(len(profile)) / profile.sum())
        corner.append(min(max(0, round(side / 2 - mass_centre)), side - len(profile)))
    frame = np.zeros((height, width), dtype=np.uint8)
    frame[corner[0] :, corner[1] :][: character.shape[0], : character.shape[1]] = character
    return frame


def _check_size(picture: Image.Image, what: str) -> None:
    if picture.width * picture.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(what)


def _too_large(what: str) -> ImageError:
    return ImageError(
        f"The {what} has more than {MAX_MEGAPIXELS} million pixels; scale it down first."
    )
