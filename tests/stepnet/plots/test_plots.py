"""Pictures, looked at through their pixels."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageColor

from stepnet import Counts, Layer, LutLayer, LutNetwork, Network, plots
from stepnet.errors import MissingToolError
from stepnet.networks.convolution import Convolution
from stepnet.plots import drawing
from stepnet.plots.table_wires import influences

pytestmark = pytest.mark.slow


ASCII = "".join(map(chr, range(33, 127)))


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """Fewer pixels are looked at faster."""
    monkeypatch.setattr(drawing, "DPI", 100)


def pixels(path):
    """(height, width, 3) int"""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def where(image, colour):
    """(height, width) bool: the pixels of exactly this colour."""
    return (image == ImageColor.getrgb(colour)).all(axis=2)


# The curves of a run


def records(epochs, checked=()):
    return [
        {
            "epoch": epoch,
            "loss": 2 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "learning_rate": None,
            "seconds": 1.0,
            **({"checked_accuracy": 0.9} if epoch in checked else {}),
        }
        for epoch in range(1, epochs + 1)
    ]


def test_curves_show_loss_and_accuracy_in_two_panels(tmp_path):
    path = tmp_path / "curves.png"
    assert plots.curves(records(20), path, "a run") == path
    image = pixels(path)
    line = image[..., 2] - image[..., 0] > 60
    height, width = line.shape
    falling, rising = line[: height * 2 // 5], line[height * 47 // 100 :]
    for panel, slope in ((falling, 1), (rising, -1)):
        rows, columns = np.nonzero(panel)
        assert np.corrcoef(rows, columns)[0, 1] * slope > 0.5
        assert np.ptp(columns) > 0.8 * width
    assert not where(image, plots.ORANGE).any()


def test_curves_show_what_was_checked_as_points(tmp_path):
    few = pixels(plots.curves(records(20, {5, 20}), tmp_path / "few.png", "a run"))
    many = pixels(plots.curves(records(20, range(1, 21)), tmp_path / "many.png", "a run"))
    # One more point each is the legend's.
    few_area, many_area = where(few, plots.ORANGE).sum(), where(many, plots.ORANGE).sum()
    assert few_area * 21 / 3 == pytest.approx(many_area, rel=0.1)


def test_curves_show_a_run_of_one_epoch(tmp_path):
    image = pixels(plots.curves(records(1), tmp_path / "one.png", "a run"))
    rows, _ = np.nonzero(where(image, plots.BLUE))
    assert rows.min() < len(image) / 3 < 2 * len(image) / 3 < rows.max()


def test_a_run_without_epochs_has_no_curves(tmp_path):
    path = tmp_path / "none.png"
    with pytest.raises(plots.PictureError) as caught:
        plots.curves([], path, "a run")
    assert str(caught.value) == (
        f"The picture {str(path)!r} would show no epoch; train for at least one first."
    )
    assert not path.exists()


# The confusion matrix


def confused(path, characters, counts, title="title"):
    """The picture of a matrix of `counts`, {(true, read): count}, by row and column."""
    matrix = np.zeros((len(characters), len(characters) + 1), np.int64)
    for cell, count in counts.items():
        matrix[cell] = count
    return pixels(plots.confusion(matrix, characters, path, title))


def changed(before, after):
    """The box (top, bottom, left, right) in which two pictures differ, and its middle colour."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    # Beside the middle, where a count may be written.
    colour = after[top + (bottom - top) // 8, left + (right - left) // 8]
    return (top, bottom, left, right), colour


@pytest.mark.slow
@pytest.mark.parametrize("characters", ["0123456789", ASCII[:26], ASCII])
def test_a_rare_confusion_is_seen(tmp_path, characters):
    """One image in a thousand is a cell that stands out from the white around it."""
    last = len(characters) - 1
    all_right = {(true, true): 1000 for true in range(last + 1)}
    before = confused(tmp_path / "before.png", characters, all_right)
    one = {(last, 0): 1, (last, last): 1000}
    after = confused(tmp_path / "after.png", characters, all_right | one)
    (top, bottom, left, right), (red, green, blue) = changed(before, after)
    # The cell at the lower left, not smaller than its character.
    assert min(bottom - top, right - left) > 6
    assert top > after.shape[0] / 2
    assert right < after.shape[1] / 4
    assert red > 200
    assert red - blue > 30
    assert green > blue


def test_rare_confusions_are_told_apart_beside_a_frequent_one(tmp_path):
    """Shares of 0.2 % and 2 % where another character is misread every second time."""
    frequent = {(0, 0): 500, (0, 1): 500, (1, 1): 1000}
    before = confused(tmp_path / "none.png", ASCII[:20], frequent)
    colours = [
        changed(before, confused(tmp_path / "some.png", ASCII[:20], frequent | {(1, 0): count}))[1]
        for count in (2, 20)
    ]
    assert np.abs(colours[0] - colours[1]).sum() > 50


@pytest.mark.parametrize(("read", "right"), [(1, True), (0, False), (3, False)])
def test_right_readings_are_blue_and_mistakes_orange(tmp_path, read, right):
    """The column after the characters is that of unknown codes."""
    image = confused(tmp_path / "one.png", "abc", {(1, read): 5})
    cells = image[:, :-130]  # without the scales
    blueness = cells[..., 2] - cells[..., 0]
    assert (blueness > 60).any() == right
    assert (blueness < -60).any() != right


def test_rows_are_weighed_by_themselves(tmp_path):
    """Half of a rare character read wrong looks like half of a frequent one."""
    few = confused(tmp_path / "few.png", ASCII[:20], {(3, 5): 2, (3, 3): 2})
    many = confused(tmp_path / "many.png", ASCII[:20], {(3, 5): 900, (3, 3): 900})
    np.testing.assert_array_equal(few, many)


def test_a_character_without_images_is_told_from_one_never_misread(tmp_path):
    before = confused(tmp_path / "before.png", ASCII[:20], {(0, 20): 9})
    after = confused(tmp_path / "after.png", ASCII[:20], {(0, 20): 9, (1, 20): 9})
    (top, bottom, left, right), _ = changed(before, after)
    # The whole row was grey before, and is white but for the unknown codes now.
    assert right - left > 20 * (bottom - top - 1)
    middle = (top + bottom) // 2, (left + right) // 2
    assert before[middle].tolist() == [229] * 3
    assert after[middle].tolist() == [255] * 3


def test_counts_are_written_for_few_characters_only(tmp_path):
    for characters, written in (("abcdefghijklmnop", True), ("abcdefghijklmnopq", False)):
        one = confused(tmp_path / "1.png", characters, {(0, 0): 1})
        eight = confused(tmp_path / "8.png", characters, {(0, 0): 8})
        assert (one != eight).any() == written


def test_titles_and_characters_are_no_formulas(tmp_path):
    confused(tmp_path / "a.png", "$\\^_{} \x07\xe9", {(0, 0): 1}, title=r"a $\nonsense{ b$")
    plots.curves(records(2), tmp_path / "b.png", r"a $\nonsense{ b$")
    network = one_layer(np.ones((2, 6)), 1, height=2, name=r"$\nonsense{$")
    plots.first_layer(network, tmp_path / "c.png")


# The first layer


def one_layer(weights, weight_bits, height, name="weights"):
    weights = np.asarray(weights)
    return Network(
        name,
        (
            Layer(weights, np.zeros(len(weights)), weight_bits),
            Layer(np.ones((7, len(weights))), np.zeros(7)),
        ),
        height=height,
        width=weights.shape[1] // height,
    )


def drawn_weights(path, height, width, columns):
    """The colour at the middle of every weight, by row and column of the mosaic; checks that every
    weight is a square of one colour. The mosaic lies 0.15 inches from the left and from below, and
    0.5 from above.
    """
    image = pixels(path)
    mosaic_height, mosaic_width = height + 1, columns * (width + 1) - 1
    side = round(6.5 * drawing.DPI / mosaic_width)
    rows = (len(image) - 15 - 50) // side
    area = image[50 : 50 + rows * side, 15 : 15 + mosaic_width * side]
    blocks = area.reshape(rows, side, mosaic_width, side, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert (rows + 1) % mosaic_height == 0
    return blocks[:, 0, :, 0]


def test_every_weight_is_a_square_and_smooth_neurons_come_first(tmp_path):
    """A chess board, then a picture in two halves: drawn the other way round."""
    random = np.random.default_rng(0)
    chess = np.indices((4, 6)).sum(axis=0) % 2 * 2 - 1
    halves = np.where(np.arange(6) < 3, 1, -1) * np.ones((4, 1), int)
    noise = random.permuted(halves.ravel()).reshape(4, 6)
    network = one_layer([chess.ravel(), noise.ravel(), halves.ravel()], 1, height=4)
    path = plots.first_layer(network, tmp_path / "all.png")
    colours = drawn_weights(path, 4, 6, columns=3)
    expected = np.concatenate([halves, np.zeros((4, 1)), noise, np.zeros((4, 1)), chess], axis=1)
    named = {1: plots.ORANGE, 0: "white", -1: plots.BLUE}
    for weight, colour in named.items():
        np.testing.assert_array_equal(
            (colours == ImageColor.getrgb(colour)).all(axis=2), expected == weight
        )
    first = drawn_weights(
        plots.first_layer(network, tmp_path / "one.png", neurons=1), 4, 6, columns=1
    )
    np.testing.assert_array_equal(first, colours[:, :6])


def test_a_convolution_shows_its_kernels(tmp_path):
    kernels = np.array([[1, 1, -1, -1] * 2, [1, -1] * 4])[:, :4]
    maps = Layer(kernels, [0, 0], 1, Convolution(4, 6, 1, 2))
    network = Network("maps", (maps, Layer(np.ones((7, 30)), np.zeros(7))), 4, 6)
    colours = drawn_weights(plots.first_layer(network, tmp_path / "all.png"), 2, 2, columns=2)
    orange = (colours == ImageColor.getrgb(plots.ORANGE)).all(axis=2)
    assert orange[:, [0, 1, 3, 4]].tolist() == [
        [True, True, True, False],
        [False, False, True, False],
    ]


def test_weights_of_several_bits_are_shades(tmp_path):
    weights = np.array([[-100, -50, 0, 50, 100, 100]])
    path = plots.first_layer(one_layer(weights, 8, height=2), tmp_path / "weights.png")
    low, lower, none, higher, high, _ = drawn_weights(path, 2, 3, columns=1).reshape(6, 3)
    assert low.tolist() == list(ImageColor.getrgb(plots.BLUE))
    assert high.tolist() == list(ImageColor.getrgb(plots.ORANGE))
    assert none.min() >= 253
    assert low.sum() < lower.sum() < none.sum() > higher.sum() > high.sum()


def test_a_few_large_weights_do_not_make_the_others_pale(tmp_path):
    random = np.random.default_rng(0)
    weights = random.integers(-10, 11, (16, 144))
    calm = plots.first_layer(one_layer(weights, 8, height=12), tmp_path / "calm.png")
    weights[0, 0] = 127
    loud = plots.first_layer(one_layer(weights, 8, height=12), tmp_path / "loud.png")
    strong = [where(pixels(path), plots.ORANGE).sum() for path in (calm, loud)]
    assert strong[1] > 0.9 * strong[0]


@pytest.mark.slow
def test_neurons_of_a_large_layer_are_drawn(tmp_path):
    random = np.random.default_rng(0)
    network = one_layer(random.choice([-1, 1], (1024, 784)), 1, height=28)
    image = pixels(plots.first_layer(network, tmp_path / "large.png"))
    share = where(image, plots.BLUE).sum() / where(image, plots.ORANGE).sum()
    assert share == pytest.approx(1, abs=0.01)
    # At least two pixels for each weight, either way.
    assert where(image, plots.BLUE).sum() > 0.5 * 4 * 1024 * 784 * 0.98


# Files


def test_the_same_picture_is_the_same_file(tmp_path):
    paths = [plots.curves(records(3), tmp_path / f"{n}.png", "a run") for n in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_picture_that_is_no_png_is_refused(tmp_path):
    path = tmp_path / "curves.pdf"
    with pytest.raises(plots.PictureError) as caught:
        plots.curves(records(3), path, "a run")
    assert str(caught.value) == (
        f"Pictures are PNG files, but {str(path)!r} ends otherwise; name a file that ends in .png."
    )


def test_a_picture_that_fills_the_memory_is_refused(tmp_path):
    layer = Layer(np.ones((7, 65_536), dtype=int), np.zeros(7, dtype=int))
    with pytest.raises(plots.PictureError) as caught:
        plots.first_layer(Network("wide", (layer,), 1, 65_536), tmp_path / "wide.png")
    assert str(caught.value) == (
        "The picture would have 524,404 x 71 pixels, and at most 32 million are drawn; draw fewer "
        "neurons, or a smaller network."
    )


def test_a_folder_that_is_missing_is_named(tmp_path):
    path = tmp_path / "absent" / "curves.png"
    with pytest.raises(plots.PictureError) as caught:
        plots.check(path)
    assert str(caught.value) == (
        f"There is no folder {str(path.parent)!r}; "
        "name a picture in a folder that exists and is writable."
    )


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "folder.png"
    path.mkdir()
    with pytest.raises(plots.PictureError) as caught:
        plots.curves(records(3), path, "a run")
    assert str(caught.value) == (
        f"The picture cannot be written to {str(path)!r} (Is a directory); "
        "name a file in a folder that exists and is writable."
    )
    assert list(tmp_path.iterdir()) == [path]


def test_matplotlib_that_is_missing_is_named(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingToolError) as caught:
        plots.check(tmp_path / "curves.png")
    assert str(caught.value) == (
        "Pictures need the package matplotlib, which is not installed; install it with "
        'pip install "stepnet[train]".'
    )


# Tables and their wires


def lut_network(readout="nearest", alphabet="ab", rows=2, **changes):
    """Each row counts one table that asks for one pixel: the first row for ink in the upper left
    corner, the second for none in the lower right one. They look through a layer that passes on.
    """
    first = LutLayer([[0, 0, 0, 0], [15, 0, 0, 0]], [0xAAAA, 0xAAAA], 16)
    last = LutLayer([[0, 0, 0, 0], [1, 1, 1, 1]], [0xAAAA, 0x5555], 2)
    return LutNetwork(
        "corners",
        (first, last),
        height=4,
        width=4,
        readout=readout,
        alphabet=alphabet,
        counts=Counts([0, 1], [1] * rows),
        **changes,
    )


def test_a_count_depends_on_pixels_through_all_layers():
    found = influences(lut_network())
    assert found[0].tolist() == [1.0] + [0.0] * 15
    assert found[1].tolist() == [0.0] * 15 + [-1.0]


def test_the_influence_of_a_pixel_is_its_mean_gain():
    both = LutLayer([[2, 5, 0, 0]], [0x8888], 16)  # a0 and a1
    network = LutNetwork(
        "and", (both,), height=4, width=4, readout="nearest", alphabet="a", counts=Counts([0], [0])
    )
    found = influences(network)[0]
    assert found[[2, 5]].tolist() == [0.5, 0.5]
    assert np.count_nonzero(found) == 2


def test_pixels_that_raise_a_count_are_orange_and_those_that_lower_it_blue(tmp_path):
    path = plots.table_wires(lut_network(), tmp_path / "wires.png", tables=1)
    image = pixels(path)
    orange, blue = where(image, drawing.ORANGE), where(image, drawing.BLUE)
    panels = image.shape[1] * 2 // 3
    assert orange[:, : panels // 2].sum() > 20
    assert blue[:, panels // 2 : panels].sum() > 20


@pytest.mark.parametrize(
    ("readout", "rows", "fields"),
    [("bits", 7, {}), ("tree", 7, {"code_prefix": "01100", "alphabet": "abcdefg"})],
)
def test_rows_without_tables_have_no_panel(tmp_path, readout, rows, fields):
    two = pixels(plots.table_wires(lut_network(), tmp_path / "two.png"))
    path = tmp_path / "some.png"
    network = lut_network(**{"readout": readout, "rows": rows, **fields})
    assert pixels(plots.table_wires(network, path)).shape == two.shape
