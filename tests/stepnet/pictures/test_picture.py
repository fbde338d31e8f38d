"""Pictures from outside: which form they get, and what is refused with which sentence."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from stepnet import files
from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures import paper
from stepnet.pictures.picture import normalise, read_picture
from stepnet.samples import sample_pictures


def seven(paper=255, ink=0):
    """A 7 of two thick strokes, away from the middle of the paper: (200, 150)."""
    grey = np.full((200, 150), paper, dtype=np.uint8)
    grey[20:36, 30:100] = ink
    for row in range(36, 120):
        left = 84 - (row - 36) // 2
        grey[row, left : left + 16] = ink
    return grey


def ink_box(image):
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def mass_centre(image):
    grid = np.indices(image.shape)
    return (grid * image).sum(axis=(1, 2)) / image.sum()


SEVEN = normalise(seven())


def png_header(width, height):
    """The start of a PNG that claims a size."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def samples():
    return np.stack([np.asarray(Image.open(path)) for path, _ in sample_pictures()])


def overlap(ours, theirs):
    """Ink pixels in both by ink pixels in either, 0 to 1; a shift by one pixel gives 0.65."""
    ours, theirs = ours >= 128, theirs >= 128
    return np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs)


def test_a_character_is_cut_out_scaled_and_centred():
    assert SEVEN.shape == (28, 28)
    assert SEVEN.dtype == np.uint8
    assert SEVEN.max() == 255
    assert ink_box(SEVEN) == (20, 14)
    np.testing.assert_allclose(mass_centre(SEVEN), (14, 14), atol=0.51)
    binary = SEVEN >= 128
    rows, columns = np.flatnonzero(binary.any(axis=1)), np.flatnonzero(binary.any(axis=0))
    assert binary[rows[0], columns[0] : columns[-1]].all()
    assert not binary[rows[-1] - 4 : rows[-1] + 1, columns[0] + 8 :].any()


@pytest.mark.parametrize(
    ("paper", "ink"), [(255, 0), (0, 255), (200, 60), (90, 200), (128, 30), (110, 250)]
)
def test_paper_and_ink_may_have_any_greys(paper, ink):
    assert overlap(normalise(seven(paper=paper, ink=ink)), SEVEN) > 0.95


def test_mostly_ink_is_still_ink():
    """A frame of paper decides, even where more of the picture is ink."""
    grey = np.full((40, 40), 255, dtype=np.uint8)
    grey[2:38, 2:38] = 0
    image = normalise(grey)
    assert (image[4:24, 4:24] == 255).all()
    assert image.sum() == 400 * 255


@pytest.mark.parametrize("factor", [0.25, 3, 12])
def test_the_size_of_the_picture_does_not_matter(factor):
    large = Image.fromarray(seven())
    scaled = large.resize((round(150 * factor), round(200 * factor)), Image.Resampling.BOX)
    assert overlap(normalise(scaled), SEVEN) > 0.75


def test_the_place_on_the_paper_does_not_matter():
    moved = np.full((400, 500), 255, dtype=np.uint8)
    moved[180:380, 20:170] = seven()
    np.testing.assert_array_equal(normalise(moved), SEVEN)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_picture_is_read(mode):
    grey = Image.fromarray(seven())
    converted = (
        grey.convert("RGB").convert(mode) if mode in ("HSV", "YCbCr") else grey.convert(mode)
    )
    assert overlap(normalise(converted), SEVEN) > 0.95


def test_more_than_eight_bits_are_scaled_not_cut():
    deep = (seven(paper=250, ink=10).astype(np.uint16) * 200).astype(np.uint16)
    assert overlap(normalise(Image.fromarray(deep)), SEVEN) > 0.95


def test_what_is_transparent_is_white_paper():
    grey = seven()
    colours = np.zeros((*grey.shape, 4), dtype=np.uint8)
    colours[..., 3] = 255 - grey
    np.testing.assert_array_equal(normalise(Image.fromarray(colours)), SEVEN)


def test_arrays_of_grey_colour_and_bool_are_pictures():
    grey = seven()
    np.testing.assert_array_equal(normalise(np.stack([grey] * 3, axis=2)), SEVEN)
    np.testing.assert_array_equal(normalise(grey > 128), SEVEN)


def test_a_rotated_photo_is_turned_upright(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(np.rot90(seven())).save(path, exif=exif, quality=95)
    assert overlap(normalise(path), SEVEN) > 0.95


@pytest.mark.parametrize("quality", [40, 75])
def test_noise_and_compression_are_paper(quality):
    random = np.random.default_rng(0)
    noisy = np.clip(seven(paper=220, ink=40) + random.normal(0, 5, (200, 150)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(file, "JPEG", quality=quality)
    assert overlap(normalise(Image.open(file)), SEVEN) > 0.75


LIGHTS = {
    "from one side": lambda row, column: 1 - 0.45 * column,
    "from a corner": lambda row, column: 1 - 0.25 * column - 0.25 * row,
    "a lamp above": lambda row, column: 1 - 1.2 * ((row - 0.5) ** 2 + (column - 0.5) ** 2),
    "the shadow of a hand": lambda row, column: 1 - 0.35 / (1 + np.exp(25 * (column - row / 2))),
}


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize(("paper", "ink"), [(235, 40), (60, 230)])
def test_uneven_light_is_paper(light, paper, ink):
    moved = np.full((400, 320), paper, dtype=np.float64)
    moved[100:300, 80:230] = seven(paper=paper, ink=ink)
    rows, columns = np.indices(moved.shape) / np.reshape(moved.shape, (2, 1, 1))
    lit = moved * LIGHTS[light](rows, columns) + np.random.default_rng(0).normal(0, 2, moved.shape)
    assert overlap(normalise(np.clip(lit, 0, 255).astype(np.uint8)), SEVEN) > 0.8


def test_uneven_light_without_ink_is_blank():
    rows, columns = np.indices((200, 300)) / 300
    lit = 240 * LIGHTS["from a corner"](rows, columns)
    assert refusal(normalise, lit.astype(np.uint8)).startswith("The picture is blank")


@pytest.mark.parametrize("shape", [(9, 400), (400, 9), (9, 9)])
def test_narrow_pictures_in_uneven_light(shape):
    rows, columns = np.indices(shape) / np.reshape(shape, (2, 1, 1))
    lit = 250 * LIGHTS["the shadow of a hand"](rows, columns)
    lit[3:6, 3:6] = 10
    assert normalise(lit.astype(np.uint8)).max() == 255


def test_ink_on_a_part_of_the_border_is_ink():
    """A stroke that leaves the picture does not make the paper slope."""
    crossing = seven()
    crossing[20:36] = 0
    crossing = crossing[:, 20:]
    image = normalise(crossing)
    assert ink_box(image)[1] == 20
    assert overlap(image, normalise(np.pad(crossing, 20, constant_values=255))) > 0.9


def test_specks_do_not_count():
    """Dirt far away would make the character small."""
    dirty = np.full((300, 300), 255, dtype=np.uint8)
    dirty[50:250, 75:225] = seven()
    dirty[5:8, 5:8] = dirty[290:293, 280:283] = 0
    assert overlap(normalise(dirty), SEVEN) > 0.95


def test_dots_are_no_specks():
    colon = np.full((120, 60), 255, dtype=np.uint8)
    colon[20:30, 25:35] = colon[90:97, 27:34] = 0
    assert ink_box(normalise(colon))[0] == 20


def test_thin_strokes_survive():
    thin = np.full((600, 400), 255, dtype=np.uint8)
    thin[100:102, 100:300] = 0
    for row in range(102, 500):
        thin[row, 300 - row // 4 : 302 - row // 4] = 0
    binary = normalise(thin) >= 128
    assert binary.any(axis=1).sum() >= 19
    assert 40 <= binary.sum() <= 90


@pytest.mark.parametrize(("height", "width"), [(28, 28), (14, 28), (32, 16), (8, 8)])
def test_frames_of_any_shape(height, width):
    image = normalise(seven(), height, width)
    assert image.shape == (height, width)
    box = ink_box(image)
    assert box[0] <= round(height * 20 / 28)
    assert box[1] <= round(width * 20 / 28)
    assert box[0] == round(height * 20 / 28) or box[1] == round(width * 20 / 28)


def test_ink_stays_whole_where_its_mass_is_far_from_its_middle():
    grey = np.zeros((100, 100), dtype=np.uint8)
    grey[10:30, 10:90] = 255
    grey[30:90, 48:50] = 255
    assert ink_box(normalise(grey))[0] == 20


def test_samples_come_out_as_they_went_in():
    images = samples()
    again = np.stack([normalise(image) for image in images])
    assert int(np.abs(again.astype(int) - images).max()) <= paper.MIN_INK * 255


def test_normalising_twice_changes_nothing():
    np.testing.assert_array_equal(normalise(SEVEN), SEVEN)


@pytest.mark.slow
def test_mnist_keeps_its_accuracy(mnist):
    """Less than half a percent point may be lost on the way of a file."""
    network = load_network("digits")
    test = mnist.test.select(np.arange(0, 10_000, 5))
    again = np.stack([normalise(image) for image in test.images])
    raw = (reference.infer(network, test.images) == test.labels).mean()
    assert (reference.infer(network, again) == test.labels).mean() > raw - 0.005


def test_samples_keep_their_accuracy():
    network, images = load_network("digits"), samples()
    again = np.stack([normalise(image) for image in images])
    agree = reference.infer(network, again) == reference.infer(network, images)
    assert np.count_nonzero(agree) >= len(images) - 1


def scanned(image, pixels=20):
    """A digit as a scanner sees it: large, dark on light grey paper, noisy, compressed."""
    side = 28 * pixels
    large = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, 4, large.shape)
    grey = np.clip(230 - large * 0.8 + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=80)
    return Image.open(file)


def test_scanned_samples_are_read_like_the_samples():
    network, images = load_network("digits-medium"), samples()
    again = np.stack([normalise(scanned(image)) for image in images])
    agree = reference.infer(network, again) == reference.infer(network, images)
    assert np.count_nonzero(agree) >= len(images) - 1


def refusal(function, *arguments):
    with pytest.raises(ImageError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_is_refused(grey):
    assert refusal(normalise, np.full((50, 40), grey, dtype=np.uint8)) == (
        "The picture is blank: no ink differs from its border; "
        "give a character with some paper around it."
    )


def test_a_blank_file_is_named(tmp_path):
    path = tmp_path / "blank.png"
    Image.new("RGB", (30, 30), "white").save(path)
    assert refusal(normalise, path) == (
        f"The picture {str(path)!r} is blank: no ink differs from its border; "
        "give a character with some paper around it."
    )


def test_large_pictures_are_reduced_first():
    large = np.kron(seven(), np.ones((12, 12), dtype=np.uint8))
    assert overlap(normalise(large), SEVEN) > 0.9


def test_the_bytes_of_a_file_are_a_picture():
    np.testing.assert_array_equal(normalise(encoded("PNG")), normalise(seven(ink=30)))


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"text", None, "The file given is no picture or is damaged"),
        (b"text", "-", "The file '-' is no picture or is damaged"),
        (
            png_header(9000, 9000),
            None,
            "The picture has more than 64 million pixels; scale it down first.",
        ),
        (
            png_header(9000, 9000),
            "-",
            "The picture '-' has more than 64 million pixels; scale it down first.",
        ),
    ],
)
def test_bytes_are_called_as_the_caller_calls_them(content, name, sentence):
    found = refusal(read_picture, content, name)
    assert found in (sentence, f"{sentence}; give a PNG, a JPEG or another image file.")


def test_noise_without_ink_is_blank():
    noise = np.random.default_rng(0).normal(200, 3, (300, 300)).astype(np.uint8)
    assert refusal(normalise, noise).startswith("The picture is blank")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (0, 4, 3)])
def test_a_picture_without_pixels_is_refused(shape):
    assert refusal(normalise, np.zeros(shape, dtype=np.uint8)) == (
        f"The picture has {shape[1]} x {shape[0]} pixels; give one that is not empty."
    )


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5,), "uint8"), ((5, 5), "float32"), ((5, 5, 2), "uint8"), ((5, 5, 3), "bool")],
)
def test_an_array_of_another_form_is_refused(shape, dtype):
    assert refusal(normalise, np.zeros(shape, dtype=dtype)) == (
        f"An array of {dtype} with shape {shape} is no picture; give uint8 of shape (H, W), "
        "(H, W, 3) or (H, W, 4), or bool of shape (H, W)"
        + (", for values from 0 to 1 `numpy.uint8(255 * array)`." if dtype == "float32" else ".")
    )


def test_a_missing_picture_is_named(tmp_path):
    path = tmp_path / "absent.png"
    assert refusal(read_picture, path) == f"There is no picture {str(path)!r}; check the path."


def test_a_directory_is_no_picture(tmp_path):
    assert refusal(read_picture, tmp_path) == (
        f"{str(tmp_path)!r} is a directory; name a picture in it."
    )


def test_a_picture_of_others(tmp_path, request):
    path = tmp_path / "locked.png"
    Image.new("L", (4, 4)).save(path)
    path.chmod(0)
    request.getfixturevalue("modes_count")
    assert refusal(read_picture, path) == (
        f"You may not read the picture {str(path)!r}; change its permissions or name another."
    )


def test_no_name_is_no_directory():
    assert refusal(normalise, "") == "A picture without a name cannot be read; give its path."


def test_a_name_that_the_system_refuses(tmp_path):
    path = tmp_path / ("x" * 300 + ".png")
    assert refusal(read_picture, path) == (
        f"The picture {str(path)!r} cannot be read (File name too long); "
        "give a PNG, a JPEG or another image file."
    )


@pytest.mark.parametrize("content", [b"", b"plain text"], ids=["empty", "text"])
def test_a_file_that_is_no_picture(content, tmp_path):
    path = tmp_path / "file.png"
    path.write_bytes(content)
    assert refusal(read_picture, path) == (
        f"The file {str(path)!r} is no picture or is damaged; "
        "give a PNG, a JPEG or another image file."
    )


def test_a_cut_picture(tmp_path):
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert refusal(read_picture, path) == (
        f"The picture {str(path)!r} cannot be read (its content is damaged); "
        "give a PNG, a JPEG or another image file."
    )


@pytest.mark.parametrize("side", [8001, 10_000, 60_000])
def test_a_picture_too_large_is_refused_unread(side, tmp_path, recwarn):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    assert refusal(read_picture, path) == (
        f"The picture {str(path)!r} has more than 64 million pixels; scale it down first."
    )
    assert not recwarn.list


def test_a_picture_in_memory_too_large_is_refused():
    assert refusal(normalise, np.zeros((8000, 8001), dtype=np.uint8)) == (
        "The picture has more than 64 million pixels; scale it down first."
    )


FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]


def encoded(format):
    file = io.BytesIO()
    Image.fromarray(seven(ink=30)).save(file, format)
    return file.getvalue()


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_files_give_a_picture_or_one_sentence(tmp_path_factory, format, data):
    content = bytearray(encoded(format))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        image = normalise(path)
    except ImageError:
        return
    assert image.shape == (28, 28)
    assert image.max() == 255


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(executed) print\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program that leaves a file when it is started in the place of Ghostscript."""
    programs, started = tmp_path / "programs", tmp_path / "started"
    programs.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        (programs / name).write_text(f"#!/bin/sh\ntouch '{started}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # nothing was looked for yet
    return started


def test_no_program_is_started_for_a_picture(tmp_path, ghostscript):
    path = tmp_path / "seven.png"
    path.write_bytes(EPS)
    sentence = "is no picture or is damaged; give a PNG, a JPEG or another image file."
    assert refusal(normalise, path) == f"The file {str(path)!r} {sentence}"
    assert refusal(normalise, EPS) == f"The file given {sentence}"
    with Image.open(path) as opened_elsewhere:
        assert refusal(normalise, opened_elsewhere) == (
            "The picture is an EPS, for which another program would be started; convert it to PNG."
        )
    assert not ghostscript.exists()


@pytest.mark.parametrize("format", ["ICO", "EPS"])
def test_formats_that_are_not_read(format):
    file = io.BytesIO()
    Image.fromarray(seven(ink=30)).save(file, format)
    assert "is no picture or is damaged" in refusal(normalise, file.getvalue())


def test_what_is_no_file_is_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIPE_SILENT_S", 0.1)
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in (
        (tmp_path / "pipe.png", "it is a pipe that nobody fills"),
        (Path("/dev/zero"), "it is a device"),
    ):
        assert refusal(read_picture, path) == (
            f"The picture {str(path)!r} cannot be read ({reason}); "
            "give a PNG, a JPEG or another image file."
        )


def test_a_file_too_large_for_any_picture_is_not_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert refusal(read_picture, path) == (
        f"The picture {str(path)!r} cannot be read (File too large); "
        "give a PNG, a JPEG or another image file."
    )
