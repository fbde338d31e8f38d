"""Drawings that are kept with their labels."""

import numpy as np
import pytest

from small_networks import small_network
from stepnet.data.sets import read_dataset
from stepnet.errors import DataError
from stepnet.web.keeping import keep_drawing

NETWORK = small_network()
IMAGE = np.arange(30, dtype=np.uint8).reshape(5, 6)


def test_drawings_add_up_in_their_order(tmp_path):
    folder = tmp_path / "drawings"
    for number, label in enumerate("Kb7", 1):
        path, count = keep_drawing(folder, NETWORK, IMAGE + np.uint8(number), label)
        assert count == number
    assert path == folder / "drawings-5x6-mnist.npz"
    kept = read_dataset(path)
    assert "".join(map(chr, kept.labels)) == "Kb7"
    np.testing.assert_array_equal(kept.images[1], IMAGE + 2)


@pytest.mark.parametrize("label", ["", "ab", "\0", "\n", "\N{EURO SIGN}"])
def test_a_label_is_one_character(tmp_path, label):
    with pytest.raises(DataError) as refused:
        keep_drawing(tmp_path, NETWORK, IMAGE, label)
    assert str(refused.value) == (
        f"A drawing shows one character of a code below 256, and {label!r} is none; give the "
        "character that it was."
    )
    assert not list(tmp_path.iterdir())


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "drawings-5x6-mnist.npz"
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"is no \.npz of plain arrays"):
        keep_drawing(tmp_path, NETWORK, IMAGE, "K")
    assert path.read_bytes() == b"mine"
    np.savez(path, images=np.ones((1, 3, 3), np.uint8), labels=np.array([75], np.uint8))
    with pytest.raises(DataError) as refused:
        keep_drawing(tmp_path, NETWORK, IMAGE, "K")
    assert str(refused.value) == (
        f"The data file {str(path)!r} takes no more drawings of 5 x 6 pixels; move it elsewhere, "
        "or name another folder."
    )


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="name a folder that you may write") as refused:
        keep_drawing(tmp_path / "file" / "folder", NETWORK, IMAGE, "K")
    assert str(refused.value).startswith("The drawing cannot be kept in ")
