"""The coding of images that INFER_CODED carries: groups of bytes without their zeros.

An image is cut into groups of `GROUP_BYTES` bytes, the last of which may be shorter. Each becomes a
byte that says which of them are not 0, the first one in bit 0, and those bytes in their order.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

GROUP_BYTES = 8


def code_images(images: NDArray[np.uint8]) -> list[bytes]:
    """Code packed images of one size.

    images: uint8, (images, image_bytes).
    """
    count, image_bytes = images.shape
    groups = -(-image_bytes // GROUP_BYTES)
    padded = np.zeros((count, groups * GROUP_BYTES), np.uint8)
    padded[:, :image_bytes] = images
    whole = np.empty((count * groups, 1 + GROUP_BYTES), np.uint8)
    whole[:, 0] = np.packbits(padded != 0, None, "little")
    whole[:, 1:] = padded.reshape(-1, GROUP_BYTES)
    kept = whole != 0
    kept[:, 0] = True
    coded = whole[kept].tobytes()
    sizes: list[int] = np.add.reduce(
        kept.reshape(count, groups * (1 + GROUP_BYTES)), 1, np.intp
    ).tolist()
    return [coded[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]


def undone(coded: bytes, image_bytes: int) -> bytes:
    """What a board makes of the bytes that follow the header of an INFER_CODED, CRC included.

    What comes behind the image stays as it is. If `coded` ends before the image does, so does what
    is made of it: with the zeros before the first byte that is missing.
    """
    image = bytearray()
    at = 0
    while len(image) < image_bytes and at < len(coded):
        mask, at = coded[at], at + 1
        for bit in range(min(GROUP_BYTES, image_bytes - len(image))):
            if not mask >> bit & 1:
                image.append(0)
            elif at < len(coded):
                image.append(coded[at])
                at += 1
            else:
                return bytes(image)
    return bytes(image) + coded[at:]
