"""Finds the pictures that `stepnet infer` was given, and makes each ready to be inferred."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stepnet.errors import ImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stepnet.networks.kinds import AnyNetwork
    from stepnet.pictures.preparing import Prepared
    from stepnet.pictures.segmentation import Glyph

STDIN = Path("-")
"""The path that stands for a picture on stdin."""

Refuse = Callable[[ImageError], None]
"""Is told of a picture that cannot be read; the others go on."""


@dataclass(frozen=True, eq=False)
class ReadyPicture:
    """A picture that can be inferred.

    images: one of a single character, or one for each character of a line; (height, width) uint8.
    glyphs: the characters of the line; None if the picture was taken for a single character.
    prepared: all that was found on the picture, if it is to be drawn; else None, because it is
        large.
    """

    path: Path
    images: Sequence[NDArray[np.uint8]]
    glyphs: Sequence[Glyph] | None
    prepared: Prepared | None


def find_pictures(names: Iterable[str], refuse: Refuse) -> Iterator[Path]:
    """The paths of the pictures that were named; in the place of a folder, those in it, sorted."""
    for name in names:
        path = Path(name)
        try:
            if not name:  # which Path takes for the current folder
                raise ImageError("A picture without a name cannot be read; give its path.")
            yield from [path] if path == STDIN or not path.is_dir() else _pictures_in(path)
        except ImageError as error:
            refuse(error)
        except OSError as error:
            refuse(
                ImageError(
                    f"What is at {str(path)!r} cannot be seen ({error.strerror}); "
                    "name pictures and folders that you may read."
                )
            )


def ready_pictures(
    paths: Iterable[Path], network: AnyNetwork, refuse: Refuse, *, text: bool, keep_all: bool
) -> Iterator[ReadyPicture]:
    """Yield the pictures that can be read, prepared for `network`; refuse the others one by one.

    text: each picture is a line of characters.
    keep_all: keep what was found on each picture, to draw it.
    """
    from stepnet.pictures.preparing import prepare_character, prepare_line

    prepare = prepare_line if text else prepare_character
    for path in paths:
        try:
            content = _content(path)
            prepared = prepare(content, network, str(path))
        except ImageError as error:
            refuse(error)
            continue
        _tell_pages(content, path)
        glyphs = prepared.glyphs if text else None
        yield ReadyPicture(path, prepared.images, glyphs, prepared if keep_all else None)


def _tell_pages(content: Path | bytes, path: Path) -> None:
    from stepnet.pictures.picture import page_count
    from stepnet.printable import printable

    pages = page_count(content)
    if pages > 1:
        sentence = f"The picture {str(path)!r} has {pages} pages, of which the first is read."
        print(f"stepnet: {printable(sentence)}", file=sys.stderr, flush=True)


def _pictures_in(folder: Path) -> list[Path]:
    from stepnet.pictures.picture import suffixes

    known = suffixes()
    pictures = sorted(
        inside for inside in folder.iterdir() if inside.suffix.lower() in known and inside.is_file()
    )
    if not pictures:
        raise ImageError(
            f"The folder {str(folder)!r} holds no picture; name one with PNG, JPEG or other "
            "image files in it."
        )
    return pictures


def _content(path: Path) -> Path | bytes:
    from stepnet.files import read_stream
    from stepnet.pictures.picture import MAX_FILE_BYTES

    if path != STDIN:
        return path
    try:
        return read_stream(sys.stdin.buffer, MAX_FILE_BYTES, str(STDIN))
    except OSError as error:
        raise ImageError(
            f"The picture {str(STDIN)!r} cannot be read ({error.strerror}); pipe in one PNG, JPEG "
            "or other image file."
        ) from error
