import numpy as np
import pytest

from stepnet.link.pixel_coding import GROUP_BYTES, code_images, undone


def by_definition(body):
    coded = bytearray()
    for start in range(0, len(body), GROUP_BYTES):
        part = body[start : start + GROUP_BYTES]
        coded.append(sum(1 << place for place, byte in enumerate(part) if byte))
        coded += bytes(byte for byte in part if byte)
    return bytes(coded)


@pytest.mark.parametrize("image_bytes", [1, 7, 8, 9, 98, 128])
def test_a_batch_is_coded_image_by_image(image_bytes):
    rng = np.random.default_rng(image_bytes)
    images = rng.integers(0, 256, (40, image_bytes), dtype=np.uint8)
    images *= rng.random(images.shape) < rng.random((40, 1))
    bodies = [row.tobytes() for row in images]
    coded = code_images(images)
    assert coded == [by_definition(body) for body in bodies]
    assert [undone(each, image_bytes) for each in coded] == bodies


def test_no_images_are_no_bytes():
    assert code_images(np.zeros((0, 98), np.uint8)) == []


def test_what_follows_an_image_stays_as_it_is():
    (coded,) = code_images(np.array([[0, 5, 0]], np.uint8))
    assert coded == b"\x02\x05"
    assert undone(coded + b"\0\x01", 3) == b"\0\x05\0\0\x01"


@pytest.mark.parametrize(
    ("coded", "made"), [(b"", b""), (b"\x84", b"\0\0"), (b"\x84\x07", b"\0\0\x07\0\0\0\0")]
)
def test_what_ends_too_soon_is_made_up_to_the_byte_that_is_missing(coded, made):
    assert undone(coded, 12) == made
