"""Pictures of handwriting as network input.

`normalise("seven.jpg")` takes a character of any size, dark on light or light on dark, and gives it
the form that the training data have: bright ink on 0, cut out, scaled, centred. It is for pictures
from outside; images that have the network's size are inferred as they are.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zlib
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from stepnet.errors import ImageError
from stepnet.files import open_file_or_pipe
from stepnet.networks.placing import Placing
from stepnet.pictures.one_character import check_one_character
from stepnet.pictures.paper import MIN_CONTRAST, find_ink
from stepnet.pictures.placing import place

Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.generic]"
"""A path; the bytes of an image file; from Pillow in any mode; or an array of uint8 of shape
(H, W), (H, W, 3) or (H, W, 4), or of bool of shape (H, W)."""

MAX_MEGAPIXELS = 64

MAX_FILE_BYTES = 512 << 20
"""How large a picture's file may be: larger than `MAX_MEGAPIXELS` in any format, packed or not."""

FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "PPM",
    "TIFF",
    "WEBP",
    "JPEG2000",
    "DIB",
    "PCX",
    "SGI",
    "TGA",
    "QOI",
    "AVIF",
)
"""What is read, whatever a file's name says. Pillow knows more: for EPS it starts Ghostscript,
which runs the program that such a file is, and icons hold pictures of a size that is not told
before. The common ones come first, because the others load all of Pillow; last the one that it may
lack."""


DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""What Pillow's decoders answer damage with."""

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""How a HEIC says what it is, behind `ftyp`. AVIF, which is read, has other brands."""

ANIMATED = ("GIF", "WEBP", "PNG")
"""Formats whose further pictures are frames of an animation."""

MAX_FRAMES = 100
"""In how many frames of an animation ink is sought."""

THUMBNAIL_SIDE = 200
"""The longer side of the small picture that tells in which colour ink differs from paper."""

FEW_PART = 0.003
"""The part of all pixels that does not count there, at either end of the range of greys."""


def suffixes() -> frozenset[str]:
    """How the names of files in `FORMATS` end, in lower case."""
    registered = Image.registered_extensions().items()
    return frozenset(suffix for suffix, of in registered if of in (*FORMATS, "MPO")) | {
        # Not read, but said to be a HEIC instead of left out in silence.
        ".heic",
        ".heif",
    }


def read_picture(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Image.Image:
    """The picture in an image file of one of `FORMATS`, in memory, upright.

    source: the file's path, or its content.
    name: how the picture is called in errors; the path if not given.

    Raises ImageError if the file is missing, a directory, a device, a pipe that nobody fills,
    unreadable, no picture, damaged or larger than `MAX_MEGAPIXELS` or `MAX_FILE_BYTES`.
    """
    if source == "":  # which Path takes for the current folder
        raise ImageError("A picture without a name cannot be read; give its path.")
    name = _name(source) if name is None else name
    called = repr(name) if name else "given"
    try:
        # What Pillow warns about is refused below, or does not matter.
        with _opened(source) as file, warnings.catch_warnings(action="ignore"):
            if file.seek(0, os.SEEK_END) > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            _check_kind(file, called)
            with Image.open(file, formats=FORMATS) as picture:
                _check_size(picture, _what(name))
                _seek_ink(picture)
                return ImageOps.exif_transpose(picture)
    except ImageError:
        raise
    except IsADirectoryError:
        raise ImageError(f"{called} is a directory; name a picture in it.") from None
    except FileNotFoundError:
        raise ImageError(f"There is no picture {called}; check the path.") from None
    except PermissionError:
        raise ImageError(
            f"You may not read the picture {called}; change its permissions or name another."
        ) from None
    except (UnidentifiedImageError, KeyError):  # of a format that this Pillow lacks, the latter
        raise ImageError(
            f"The file {called} is no picture or is damaged; "
            "give a PNG, a JPEG or another image file."
        ) from None
    except Image.DecompressionBombError:
        raise _too_large(_what(name)) from None
    except DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(
            f"The picture {called} cannot be read ({reason or 'its content is damaged'}); "
            "give a PNG, a JPEG or another image file."
        ) from error


def normalise(
    picture: Picture,
    height: int = 28,
    width: int = 28,
    placing: Placing = Placing.MNIST,
    *,
    capital_height: float | None = None,
) -> NDArray[np.uint8]:
    """One character as network input: (height, width) uint8 grey values, bright ink on 0.

    placing: how the characters lie in the data that the network learned from; see
        `stepnet.networks.placing.placing_of`.
    capital_height: how many pixels of the picture the writer's capitals are high, under `UNIPEN`;
        if it is not known, the character counts as one.

    1. What is transparent becomes white; colours become grey.
    2. Paper is found and taken away: `stepnet.pictures.paper.find_ink`.
    3. The ink is cut out, scaled and centred: `stepnet.pictures.placing.place`.

    Images of MNIST come out as they went in, but for one in a thousand.

    Raises ImageError if the picture is empty or blank, too large, cannot be one character, or is an
    array of another form, and as `read_picture` does.
    """
    grey, what = grey_values(picture)
    ink = find_ink(grey, what)
    check_one_character(ink.strength, what)
    if capital_height is not None:
        capital_height /= ink.reduction
    return place(ink.strength, height, width, placing, capital_height)


def grey_values(picture: Picture, name: str | None = None) -> tuple[NDArray[np.float32], str]:
    """A picture's grey values, (H, W) of 0 to 255, and how the picture is called in errors.

    Transparent parts are white; more than 8 bits are scaled. Errors and `name` as in
    `read_picture`, and ImageError if there is not one pixel, or the array has another form.
    """
    what = _what(_name(picture) if name is None else name)
    if isinstance(picture, (str, os.PathLike, bytes)):
        picture = read_picture(picture, name)
    return _grey(picture, what), what


def page_count(source: str | os.PathLike[str] | bytes) -> int:
    """How many pages a picture's file has, of which `read_picture` reads the first; frames of an
    animation are no pages. 1 if it cannot be read."""
    try:
        with (
            _opened(source) as file,
            warnings.catch_warnings(action="ignore"),
            Image.open(file, formats=("TIFF",)) as picture,
        ):
            return int(getattr(picture, "n_frames", 1))
    except (*DAMAGE, KeyError, Image.DecompressionBombError):
        return 1


def _check_kind(file: BinaryIO, called: str) -> None:
    """Raise ImageError if a file is of a kind that people take for a picture and that is not read.
    Leaves the file at its start."""
    file.seek(0)
    start = file.read(512)
    file.seek(0)
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        raise ImageError(
            f"The file {called} is a HEIC, as phones take photos, which is not read; "
            "save it as JPEG or PNG."
        )
    if start.startswith(b"%PDF-"):
        raise ImageError(f"The file {called} is a PDF; save the page as PNG or JPEG.")
    if b"<svg" in start:
        raise ImageError(f"The file {called} is an SVG, which has no pixels; save it as PNG.")


def _seek_ink(picture: Image.Image) -> None:
    """Go to the first frame of an animation that is not of one colour, if there is one."""
    frames = int(getattr(picture, "n_frames", 1)) if picture.format in ANIMATED else 1
    for frame in range(min(frames, MAX_FRAMES)):
        picture.seek(frame)
        if any(high - low >= MIN_CONTRAST for low, high in _extremes(picture)):
            return
    if frames > 1:
        picture.seek(0)


def _extremes(picture: Image.Image) -> list[tuple[int, int]]:
    """The least and the greatest value of each of red, green, blue and alpha."""
    colours = picture.convert("RGBA")
    return [channel.getextrema() for channel in colours.split()]  # pyright: ignore[reportReturnType]


def _opened(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return open_file_or_pipe(source, MAX_FILE_BYTES)


def _name(picture: Picture) -> str:
    return str(picture) if isinstance(picture, (str, os.PathLike)) else ""


def _what(name: str) -> str:
    return f"picture {name!r}" if name else "picture"


def _grey(picture: Image.Image | NDArray[np.generic], what: str) -> NDArray[np.float32]:
    """Grey values on any scale, transparent parts white: (H, W)."""
    if not isinstance(picture, Image.Image):
        picture = _from_array(picture)
    if 0 in picture.size:
        raise ImageError(
            f"The {what} has {picture.width} x {picture.height} pixels; give one that is not empty."
        )
    _check_size(picture, what)
    if picture.format == "EPS":  # opened elsewhere, and not loaded yet
        raise ImageError(
            f"The {what} is an EPS, for which another program would be started; convert it to PNG."
        )
    if picture.mode.startswith(("I", "F")):
        # More than 8 bits: Pillow would cut them off instead of scaling. Such modes have no alpha.
        deep = np.asarray(picture).astype(np.float32)
        endless = np.count_nonzero(~np.isfinite(deep))
        if endless:
            raise ImageError(
                f"Of the {deep.size} pixels of the {what}, {endless} hold no finite number (NaN or "
                "infinite); replace them by the grey of the paper."
            )
        return (deep - deep.min()) * (255 / max(float(np.ptp(deep)), 1.0))
    straight = {"La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)
    coloured = (picture if straight == picture.mode else picture.convert(straight)).convert("RGBA")
    seen = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), coloured)
    some_transparent = _extremes(coloured)[3][0] < 255
    if some_transparent and all(low == high for low, high in _extremes(seen)):
        # White ink on nothing.
        seen = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), coloured)
    return np.asarray(_most_contrast(seen.convert("RGB"))).astype(np.float32)


def _most_contrast(coloured: Image.Image) -> Image.Image:
    """The greys of a picture; or, if greys hardly differ, the one of red, green and blue in which
    ink differs most from paper."""
    grey = coloured.convert("L")
    step = -(-max(grey.size) // THUMBNAIL_SIDE)

    def contrast(channel: Image.Image) -> float:
        low, high = np.quantile(np.asarray(channel.reduce(step)), [FEW_PART, 1 - FEW_PART])
        return float(high - low)

    in_grey = contrast(grey)
    if in_grey >= MIN_CONTRAST:
        return grey
    strongest = max(coloured.split(), key=contrast)
    return strongest if contrast(strongest) >= max(MIN_CONTRAST, 2 * in_grey) else grey


def _from_array(given: NDArray[np.generic]) -> Image.Image:
    array = np.asarray(given)
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[..., 0] if array.shape[2] == 1 else array[0]
    if array.dtype == np.bool_ and array.ndim == 2:
        array = array.astype(np.uint8) * np.uint8(255)
    coloured = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype == np.object_:
        raise ImageError(
            f"An object of type {type(given).__name__!r} is no picture; give a path, the bytes of "
            "an image file, a picture from Pillow or an array of uint8."
        )
    if array.dtype != np.uint8 or not (array.ndim == 2 or coloured):
        advice = ", for values from 0 to 1 `numpy.uint8(255 * array)`" * (array.dtype.kind == "f")
        raise ImageError(
            f"An array of {array.dtype} with shape {array.shape} is no picture; give uint8 of "
            f"shape (H, W), (H, W, 3) or (H, W, 4), or bool of shape (H, W){advice}."
        )
    if 0 in array.shape:
        return Image.new("L", (array.shape[1], array.shape[0]))
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(picture: Image.Image, what: str) -> None:
    if picture.width * picture.height > MAX_MEGAPIXELS * 1_000_000:
        raise _too_large(what)


def _too_large(what: str) -> ImageError:
    return ImageError(
        f"The {what} has more than {MAX_MEGAPIXELS} million pixels; scale it down first."
    )
