"""Papers and files as people have them, and what cannot be one character."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures.picture import normalise, page_count, read_picture
from stepnet.pictures.preparing import prepare_character, prepare_line
from stepnet.samples import sample_pictures

PAPERS = Path(__file__).parent / "papers"
DIGITS = load_network("digits")


def seven(side=280):
    """A sample of a 7, bright on 0, redrawn large with a margin."""
    sample = Image.open(sample_pictures()[14][0]).resize((side, side), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(sample), 30)


def read(images):
    return bytes(reference.infer(DIGITS, np.stack(images))).decode()


def refusal(picture):
    with pytest.raises(ImageError) as caught:
        prepare_character(picture, DIGITS)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(PAPERS.glob("*_is_9.*")), ids=lambda path: path.stem)
def test_a_digit_is_read_on_any_paper(path):
    assert read(prepare_character(path, DIGITS).images) == "9"


def test_a_line_is_read_on_rules():
    path = PAPERS / "line_seyes_is_2439.jpg"
    assert read(prepare_line(path, DIGITS).images) == "2439"
    assert refusal(path) == (
        f"The picture {str(path)!r} shows 4 pieces of ink side by side where one character is "
        "expected; read a line as text, or cut it into pictures of one character each."
    )


def test_rules_alone_are_no_character():
    page = np.full((300, 400), 240, np.uint8)
    page[::40] = 100
    assert refusal(page) == (
        "The picture shows rules and nothing else that differs from the paper; give a character in "
        "stronger ink, or on plain paper."
    )


def test_a_rule_that_cannot_be_told_from_ink_is_refused():
    """Two bent lines from edge to edge through the digit."""
    page = 255 - seven()
    columns = np.arange(page.shape[1])
    for height in (110, 200):
        rows = np.rint(height + 40 * np.sin(columns / 60)).astype(int)
        page[rows, columns] = page[rows + 1, columns] = page[rows + 2, columns] = 0
    assert refusal(page) == (
        "The picture shows thin lines from edge to edge that cannot be told from the ink, such as "
        "rules; give the character on plain paper, or cut the lines off."
    )


def test_what_is_much_wider_than_high_is_no_character():
    page = np.full((200, 600), 255, np.uint8)
    columns = np.arange(40, 560)
    rows = np.rint(100 + 50 * np.sin(columns / 30)).astype(int)
    for thick in range(8):
        page[rows + thick, columns] = 0
    assert refusal(page) == (
        "The ink in the picture is 520 pixels wide and 108 high, which is no single character; "
        "read a line as text, or cut it into pictures of one character each."
    )


def test_a_block_is_no_digit():
    page = np.full((200, 200), 255, np.uint8)
    page[50:150, 60:150] = 0
    assert refusal(page) == (
        "The ink in the picture is a block of 90 x 100 pixels without a stroke, which is no "
        "character of the network; give one with some paper around it."
    )
    assert normalise(page).max() == 255  # a full stop


def test_white_ink_on_nothing():
    canvas = np.full((*seven().shape, 4), 255, np.uint8)
    canvas[..., 3] = seven()
    assert read(prepare_character(Image.fromarray(canvas), DIGITS).images) == "7"


def test_ink_that_differs_in_colour_alone():
    colours = np.where((seven() > 127)[..., np.newaxis], [147, 20, 20], [40, 40, 200])
    assert read(prepare_character(colours.astype(np.uint8), DIGITS).images) == "7"


@pytest.mark.parametrize(("most", "factor"), [(1, 255), (16, 15)])
def test_values_that_end_far_below_255(most, factor):
    grey = (seven().astype(np.int32) * most // 255).astype(np.uint8)
    assert refusal(Image.fromarray(grey)) == (
        f"The picture has grey values from 0 to {most} only, where 255 is white; multiply them by "
        f"{factor}."
    )


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_pixels_that_are_no_number(odd):
    grey = seven().astype(np.float32)
    grey[3, 4] = odd
    assert refusal(Image.fromarray(grey)) == (
        f"Of the {grey.size} pixels of the picture, 1 hold no finite number (NaN or infinite); "
        "replace them by the grey of the paper."
    )


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_alpha_that_is_multiplied_already(mode):
    straight = {"La": "LA", "RGBa": "RGBA"}[mode]
    picture = Image.fromarray(255 - seven()).convert(straight).convert(mode)
    assert read(prepare_character(picture, DIGITS).images) == "7"


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (
            b"\0\0\0\x18ftypheic\0\0\0\0",
            "is a HEIC, as phones take photos, which is not read; save it as JPEG or PNG.",
        ),
        (b"%PDF-1.7\n", "is a PDF; save the page as PNG or JPEG."),
        (b"<?xml?><svg width='9'>", "is an SVG, which has no pixels; save it as PNG."),
    ],
)
def test_files_that_people_take_for_pictures(tmp_path, start, sentence):
    path = tmp_path / "photo.jpg"
    path.write_bytes(start + bytes(2000))
    assert refusal(path) == f"The file {str(path)!r} {sentence}"


def test_an_animation_that_starts_empty():
    """The first frame with ink is read."""
    ink = Image.fromarray(255 - seven())
    file = io.BytesIO()
    Image.new("L", ink.size, 255).save(file, "GIF", save_all=True, append_images=[ink])
    assert read(prepare_character(file.getvalue(), DIGITS).images) == "7"


def test_pages_are_counted():
    page, file = Image.fromarray(255 - seven()), io.BytesIO()
    page.save(file, "TIFF", save_all=True, append_images=[page])
    assert page_count(file.getvalue()) == 2
    assert read_picture(file.getvalue()).size == page.size
    assert page_count(b"II*\0damaged") == 1
