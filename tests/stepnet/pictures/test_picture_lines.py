"""Lines of characters: what is one character, where it lies, and what the network gets of it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stepnet import Layer, Network
from stepnet.boards.board import Reading
from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.placing import Placing, placing_of
from stepnet.networks.shipped import load_network
from stepnet.pictures.picture import normalise
from stepnet.pictures.pieces import label
from stepnet.pictures.placing import place
from stepnet.pictures.text_line import UNKNOWN_CHARACTER, find_line, read_text, segment_line
from stepnet.samples import sample_pictures

CAPITAL = 60
PEN = 7
GAP = 16
SPACE = 55

STROKES = {
    "H": [[(0, 0), (0, 1)], [(0.6, 0), (0.6, 1)], [(0, 0.5), (0.6, 0.5)]],
    "L": [[(0, 0), (0, 1), (0.5, 1)]],
    "o": [[(0, 0.5), (0.5, 0.5), (0.5, 1), (0, 1), (0, 0.5)]],
    "i": [[(0, 0.45), (0, 1)], [(0, 0.02), (0, 0.13)]],
    "j": [[(0.25, 0.45), (0.25, 1.2), (0, 1.3)], [(0.25, 0.02), (0.25, 0.13)]],
    "=": [[(0, 0.45), (0.5, 0.45)], [(0, 0.75), (0.5, 0.75)]],
    "%": [
        [(0.7, 0), (0.1, 1)],
        [(0, 0.05), (0.2, 0.05), (0.2, 0.3), (0, 0.3), (0, 0.05)],
        [(0.6, 0.7), (0.8, 0.7), (0.8, 0.95), (0.6, 0.95), (0.6, 0.7)],
    ],
    '"': [[(0, 0), (0, 0.3)], [(0.25, 0), (0.25, 0.3)]],
    "'": [[(0, 0), (0, 0.3)]],
    ":": [[(0, 0.45), (0, 0.56)], [(0, 0.89), (0, 1)]],
    ".": [[(0, 0.89), (0, 1)]],
    "/": [[(0.5, 0), (0, 1)]],
}


def drawn(text, gap=GAP, margin=50):
    """Black on white with a pen of `PEN` pixels, and the box of each character."""
    page = Image.new("L", (2 * margin + len(text) * (SPACE + CAPITAL), CAPITAL + 2 * margin), 255)
    pen, left, boxes = ImageDraw.Draw(page), margin, []
    for character in text:
        if character == " ":
            left += SPACE
            continue
        before = np.asarray(page) == 255
        for stroke in STROKES[character]:
            points = [(left + x * CAPITAL, margin + y * CAPITAL) for x, y in stroke]
            pen.line(points, fill=0, width=PEN, joint="curve")
        rows, columns = np.nonzero(before & (np.asarray(page) == 0))
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        left = int(columns.max()) + gap
    return page.crop((0, 0, left + margin, page.height)), boxes


def spaces(glyphs):
    return [number for number, glyph in enumerate(glyphs) if glyph.after_space]


def overlap(one, other):
    one, other = one >= 64, other >= 64
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


# What is one character


@pytest.mark.parametrize("text", ['Hi=j%":L.', "jj", "i", "H.H", "::H", '""HH', "=H=", "'H'"])
def test_characters_are_found_in_order_each_in_its_box(text):
    page, boxes = drawn(text)
    glyphs = segment_line(page)
    assert len(glyphs) == len(text)
    np.testing.assert_allclose([glyph.box for glyph in glyphs], boxes, atol=2)
    assert spaces(glyphs) == []


def test_spaces_are_wider_than_the_other_gaps():
    assert spaces(segment_line(drawn("HoH Hi L= %")[0])) == [3, 5, 7]


def test_characters_far_apart_are_no_words():
    """As in the boxes of a form: all gaps are alike."""
    assert spaces(segment_line(drawn("HoLHH", gap=60)[0])) == []


@pytest.mark.parametrize("degrees", [-10, -4, 7, 10])
def test_a_line_may_climb_or_fall(degrees):
    text = "HoL HiHL=H"
    page, _ = drawn(text)
    turned = page.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    line, level = find_line(turned), segment_line(page)
    assert line.tilt_degrees == pytest.approx(-degrees, abs=0.7)
    assert line.capital_height == pytest.approx(CAPITAL + PEN / 2, abs=5)
    assert spaces(line.glyphs) == [3]
    assert len(line.glyphs) == len(level)
    for glyph, straight in zip(line.glyphs, level, strict=True):
        images = (each.image(placing=Placing.UNIPEN) for each in (glyph, straight))
        assert overlap(*images) > 0.6


def test_boxes_are_in_pixels_of_the_picture_as_it_was_given():
    page, boxes = drawn("HoL")
    turned = page.rotate(8, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    glyphs = segment_line(turned)
    dark = np.asarray(turned) < 128
    inside = np.zeros_like(dark)
    for glyph in glyphs:
        left, top, right, bottom = glyph.box
        assert (right - left) * (bottom - top) < 3 * CAPITAL**2
        inside[top:bottom, left:right] = True
    assert not (dark & ~inside).any()
    large = page.resize((page.width * 7, page.height * 7), Image.Resampling.NEAREST)
    np.testing.assert_allclose(
        [glyph.box for glyph in segment_line(large)], np.multiply(boxes, 7), atol=21
    )


def test_paper_may_be_shaded_dark_and_noisy():
    page, boxes = drawn('Hi=j% ":L.')
    ink = 1 - np.asarray(page) / 255
    light = np.linspace(1, 0.5, page.width) * np.linspace(1, 0.8, page.height)[:, np.newaxis]
    noise = np.random.default_rng(0).normal(0, 3, ink.shape)
    for paper, pen in ((235, 50), (40, 220)):
        shaded = np.clip((paper + (pen - paper) * ink) * light + noise, 0, 255).astype(np.uint8)
        glyphs = segment_line(shaded)
        np.testing.assert_allclose([glyph.box for glyph in glyphs], boxes, atol=2)
        assert spaces(glyphs) == [5]


def test_leaning_neighbours_are_kept_apart():
    """Their boxes overlap; each image has the ink of one."""
    page, boxes = drawn("///", gap=-12)
    assert boxes[0][2] > boxes[1][0] + 10
    glyphs = segment_line(page)
    assert len(glyphs) == 3
    for glyph in glyphs:
        assert len(label(glyph.ink > 100).areas) == 1


def test_dirt_is_no_character():
    page, boxes = drawn("HoL")
    ImageDraw.Draw(page).point([(20, 30), (100, 10), (21, 31)], fill=60)
    np.testing.assert_allclose([glyph.box for glyph in segment_line(page)], boxes, atol=1)


# What the network gets


def height_of(image):
    rows = np.flatnonzero((image >= 64).any(axis=1))
    return rows[-1] - rows[0] + 1


def test_sizes_keep_their_proportion_to_capitals():
    capital, small, stop = segment_line(drawn("Ho.")[0])
    images = [glyph.image(placing=Placing.UNIPEN) for glyph in (capital, small, stop)]
    assert [height_of(image) for image in images] == pytest.approx([22, 13, 4], abs=1)
    assert [height_of(glyph.image()) for glyph in (capital, small)] == pytest.approx(
        [20, 20], abs=1
    )


def test_unipen_centres_the_box():
    glyph = segment_line(drawn("LH")[0])[0]
    rows, columns = np.nonzero(glyph.image(placing=Placing.UNIPEN) >= 64)
    assert rows.min() + rows.max() == pytest.approx(27, abs=1)
    assert columns.min() + columns.max() == pytest.approx(27, abs=1)


def test_what_is_longer_than_a_capital_is_scaled_down_to_the_frame():
    stroke = np.full((3, 200), 255, np.float32)
    image = place(stroke, 28, 28, Placing.UNIPEN, capital_height=40)
    columns = np.flatnonzero((image >= 64).any(axis=0))
    assert columns[-1] - columns[0] + 1 == 22


def test_a_full_stop_alone_stays_small():
    dot = np.full((50, 50), 255, np.float32)
    assert height_of(place(dot, 28, 28, Placing.UNIPEN)) == 4
    assert height_of(place(dot, 28, 28, Placing.MNIST)) == 20


@pytest.mark.parametrize(
    ("data", "placing"),
    [
        ("unipen, 79537 images of the training part", Placing.UNIPEN),
        ("mnist, 60000 images of the training part", Placing.MNIST),
        (None, None),
    ],
)
def test_the_card_tells_the_framing(data, placing):
    layer = Layer(np.ones((7, 784)), np.ones(7))
    network = Network("any", (layer,), card={} if data is None else {"data": data})
    assert placing_of(network) is placing


def test_whoever_knows_the_height_of_capitals_says_it():
    page = np.full((100, 100), 255, np.uint8)
    page[40:60, 47:53] = 0
    heights = [
        np.count_nonzero(normalise(page, placing=Placing.UNIPEN, capital_height=height).any(axis=1))
        for height in (None, 20, 40)
    ]
    assert heights == [22, 22, 11]


# Reading


def infer_many(network, known=lambda code: True):
    def infer(images):
        for image in images:
            code = int(reference.infer(network, image[np.newaxis])[0])
            yield Reading(chr(code) if known(code) else None, code, known(code), 0, 0)

    return infer


@pytest.fixture(scope="module")
def digits():
    """Shipped samples on one page, in two groups, and the digits network's reading of each."""
    network = load_network("digits")
    # These read the same when they are cut out and placed again, which moves some by a pixel.
    images = [np.asarray(Image.open(path)) for path, _ in sample_pictures()[1::3]]
    trimmed = [image[:, np.flatnonzero(image.any(axis=0))] for image in images]
    parts = [np.pad(image, ((10, 10), (4, 4))) for image in trimmed]
    page = np.hstack([*parts[:3], np.zeros((48, 20), np.uint8), *parts[3:]])
    read = bytes(reference.infer(network, np.stack(images))).decode()
    return network, np.pad(page, 8), f"{read[:3]} {read[3:]}"


def test_read_text(digits):
    network, page, expected = digits
    found = read_text(infer_many(network), page, network)
    assert found.text == str(found) == expected
    assert [reading.character for reading in found.readings] == list(expected.replace(" ", ""))
    assert len(found.glyphs) == 7


def test_an_unknown_character_is_marked(digits):
    network, page, expected = digits
    first = ord(expected[0])
    found = read_text(infer_many(network, known=lambda code: code != first), page, network)
    assert found.text == expected.replace(chr(first), UNKNOWN_CHARACTER)


def test_two_lines_are_refused():
    page = np.asarray(drawn("HoL")[0])
    with pytest.raises(ImageError) as caught:
        segment_line(np.vstack([page, page]))
    assert str(caught.value) == (
        "The picture holds 2 lines; cut it into pictures of one line each."
    )


def test_a_blank_page_is_refused():
    with pytest.raises(ImageError) as caught:
        read_text(iter, np.full((60, 200), 220, np.uint8), load_network("digits"))
    assert str(caught.value) == (
        "The picture is blank: no ink differs from its border; "
        "give a character with some paper around it."
    )


# Connected pieces


def flooded(mask):
    """Sets of pixels that touch, found one pixel at a time."""
    left = set(zip(*np.nonzero(mask), strict=True))
    pieces = []
    while left:
        edge, piece = [left.pop()], set()
        while edge:
            row, column = edge.pop()
            piece.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
            edge += near & left
            left -= near
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize("density", [0.1, 0.3, 0.45, 0.8])
def test_label_finds_what_a_flood_finds(density):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 30), (30, 1), (23, 37)):
        mask = rng.uniform(size=shape) < density
        mask.flat[0] = True
        found = label(mask)
        pieces = flooded(mask)
        assert len(found.areas) == len(pieces)
        np.testing.assert_array_equal(found.labels > 0, mask)
        for piece in pieces:
            rows, columns = map(np.array, zip(*piece, strict=True))
            (number,) = set(found.labels[rows, columns].tolist())
            assert found.areas[number - 1] == len(piece)
            assert found.boxes[number - 1].tolist() == [
                columns.min(),
                rows.min(),
                columns.max() + 1,
                rows.max() + 1,
            ]
