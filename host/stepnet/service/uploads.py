"""What was posted as images of the network: pictures, a batch of them, or arrays of numpy."""

from __future__ import annotations

import asyncio
import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from stepnet.archives import ArchiveError, read_array
from stepnet.errors import ImageError, StepnetError
from stepnet.networks.kinds import AnyNetwork
from stepnet.pictures.arrays import ready_array
from stepnet.pictures.preparing import prepare_character, prepare_drawing, prepare_line
from stepnet.pictures.segmentation import Glyph

BODY_S = 30.0
"""How long all of a request's body may take to arrive."""

NPY = "application/x-npy"
JSON = "application/json"

PREPARE = {"picture": prepare_character, "drawing": prepare_drawing, "line": prepare_line}
"""What is made of a picture, by what it is said to be."""

PLACED = {"auto": None, "yes": True, "no": False}
"""Whether the characters of arrays lie as the network expects them."""

UNPROCESSABLE, TOO_LARGE, TOO_SLOW, NO_SUCH_TYPE = 422, 413, 408, 415


class UploadError(StepnetError):
    """A request that cannot be answered.

    status: of the answer.
    """

    def __init__(self, sentence: str, status: int = UNPROCESSABLE) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, eq=False)
class Upload:
    """The images of a request.

    images: each (height, width) of uint8 or bool, as the network gets it.
    glyphs: the characters of a line, one for each image; None if it was no line.
    """

    images: list[NDArray[np.generic]]
    glyphs: tuple[Glyph, ...] | None = None


async def read_body(request: Request, most_bytes: int) -> bytes:
    """What a request carries, taken only as far as it may be large.

    Raises UploadError if it is larger, or takes longer than `BODY_S`.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most_bytes:
                    raise UploadError(
                        f"The request has more than {most_bytes / 2**20:g} MiB; post fewer or "
                        "smaller pictures at a time.",
                        TOO_LARGE,
                    )
    except TimeoutError:
        raise UploadError(
            f"The request was not there after {BODY_S:g} s; send it faster, or fewer pictures at "
            "a time.",
            TOO_SLOW,
        ) from None
    return bytes(content)


def read_upload(
    body: bytes,
    content_type: str,
    query: Mapping[str, str],
    network: AnyNetwork,
    most_images: int,
) -> Upload:
    """The images in a request.

    content_type: image/... or application/octet-stream for one picture, application/json for a
        batch of them, application/x-npy for arrays.
    query: `as` says what a picture is, `placed` how the characters of arrays lie.

    Raises UploadError for a request that makes no sense or has too many images, and ImageError for
    a picture in which no character is found.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == NPY:
        return Upload(_arrays(body, _choice(query, "placed", PLACED, "auto"), network, most_images))
    prepare = _choice(query, "as", PREPARE, "picture")
    if kind == JSON:
        if prepare is prepare_line:
            raise UploadError("A line is not read in a batch; post its picture alone.")
        pictures = _batch(body, most_images)
        images: list[NDArray[np.generic]] = []
        for number, picture in enumerate(pictures):
            images += prepare(picture, network, f"picture {number} of the batch").images
        return Upload(images)
    if not (kind.startswith("image/") or kind in ("application/octet-stream", "")):
        raise UploadError(
            f"What a request of type {kind[:80]!r} holds is not known; post a picture as "
            f"image/png or the like, a batch as {JSON}, or arrays as {NPY}.",
            NO_SUCH_TYPE,
        )
    prepared = prepare(body, network, "picture")
    _check_count(len(prepared.images), most_images)
    return Upload(list(prepared.images), prepared.glyphs if prepared.line is not None else None)


def _choice(query: Mapping[str, str], name: str, choices: Mapping[str, Any], usual: str) -> Any:
    given = query.get(name, usual)
    if given not in choices:
        raise UploadError(
            f"The parameter {name} is {given[:80]!r}; it may be {', '.join(choices)}."
        )
    return choices[given]


def _check_count(count: int, most_images: int) -> None:
    if count > most_images:
        raise UploadError(
            f"The request has {count} images, and at most {most_images} are taken at a time; post "
            "them in several requests.",
            TOO_LARGE,
        )


def _batch(body: bytes, most_images: int) -> list[bytes]:
    """The pictures of {"pictures": [base64, ...]}."""
    try:
        told: object = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    found = cast(dict[str, object], told).get("pictures") if isinstance(told, dict) else None
    if not isinstance(found, list) or not found:
        raise UploadError(
            'A batch is JSON like {"pictures": ["iVBORw0KGgo...", ...]}, each an encoded picture '
            "in base64; this request is none."
        )
    pictures = cast(list[object], found)
    _check_count(len(pictures), most_images)
    return [_decoded(number, picture) for number, picture in enumerate(pictures)]


def _decoded(number: int, picture: object) -> bytes:
    try:
        if isinstance(picture, str):
            return b64decode(picture, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise UploadError(f"The picture {number} of the batch is no base64; encode its bytes so.")


def _arrays(
    body: bytes, placed: bool | None, network: AnyNetwork, most_images: int
) -> list[NDArray[np.generic]]:
    """The images of an array (height, width) or (n, height, width)."""
    try:
        array = read_array(body)
    except ArchiveError as error:
        raise UploadError(
            f"The request is no .npy file as numpy.save writes it ({str(error).removesuffix('.')})."
        ) from None
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or not len(array):
        raise UploadError(
            f"The array has the shape {array.shape}; give (n, height, width), or (height, width) "
            "for one image."
        )
    if array.dtype not in (np.dtype(np.uint8), np.dtype(np.bool_)):
        raise UploadError(
            f"The array is of {array.dtype}; give uint8 grey values from 0 to 255, or bool."
        )
    _check_count(len(array), most_images)
    images: list[NDArray[np.generic]] = []
    for number, image in enumerate(array):
        try:
            images.append(ready_array(network, image, placed))
        except ImageError as error:
            raise ImageError(f"Image {number} of the array cannot be read: {error}") from None
    return images
