"""`stepnet dataset`: folders of pictures become a data set, and what cannot is named."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from stepnet import cli
from stepnet.data import sets
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures.labelled import label_of
from stepnet.samples import sample_pictures


@pytest.fixture
def dataset(monkeypatch, capsys, tmp_path):
    """Run `stepnet dataset` in an empty folder; gives exit code, stdout and stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["stepnet", "dataset", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


@pytest.fixture
def pictures(tmp_path):
    """The samples, each in a folder of its character."""
    folder = tmp_path / "mine"
    for path, label in sample_pictures():
        (folder / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / label)
    return folder


def test_pictures_in_folders_become_a_data_set(dataset, pictures, tmp_path):
    code, out, err = dataset(pictures)
    assert (code, err) == (0, "")
    assert out == (
        "mine.npz: 20 images of 10 characters, placed like those of mnist\n"
        "mine.png: look whether each is what its row says\n"
        "  0 2, 1 2, 2 2, 3 2, 4 2, 5 2, 6 2, 7 2, 8 2, 9 2\n"
    )
    made = sets.load("mine.npz").part("all")
    read = reference.infer(load_network("digits"), made.images)
    assert (read == made.labels).mean() >= 0.95
    sheet = Image.open("mine.png")
    assert sheet.size == (60 + 2 * 60, 10 * 60)
    assert (np.asarray(sheet)[:60, 60:120] < 100).any()  # the first zero


def test_the_names_of_files_tell_the_character(dataset, tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    for path, _ in sample_pictures():
        shutil.copy(path, folder)  # 7_0000.png and so on
    answer = json.loads(dataset(folder, "--output", "flat.npz", "--json")[1])
    assert answer == {
        "file": "flat.npz",
        "sheet": "flat.png",
        "images": 20,
        "refused": 0,
        "placing": "mnist",
        "characters": dict.fromkeys("0123456789", 2),
    }


def test_what_cannot_be_used_is_named_and_the_others_go_on(dataset, pictures):
    (pictures / "7" / "broken.png").write_bytes(b"no picture")
    (pictures / "7" / "more").mkdir()
    (pictures / "seven").mkdir()
    shutil.copy(pictures / "7" / "7_0000.png", pictures / "first.png")
    code, out, err = dataset(pictures)
    assert code == 2
    assert out.startswith("mine.npz: 20 images of 10 characters")
    assert err.splitlines() == [
        f"stepnet: The folder '{pictures}/7/more' lies in one that is named after a character; put "
        f"its pictures into '{pictures}/7'.",
        f"stepnet: The folder '{pictures}/seven' is named after no character; name it after the "
        "one that its pictures show, or after its code, like 0x37 for 7.",
        f"stepnet: The name of the picture '{pictures}/first.png' tells no character; let it begin "
        "with the character and _, like 7_first.png, or put it into a folder named after it.",
        f"stepnet: The file '{pictures}/7/broken.png' is no picture or is damaged; give a PNG, a "
        "JPEG or another image file.",
    ]


def test_signs_are_doubted_and_placed_beside_capitals(dataset, pictures):
    signs = pictures.parent / "signs"
    signs.mkdir()
    shutil.copytree(pictures / "1", signs / "0x2f")
    code, out, err = dataset(signs, "--capital-height", "40")
    assert code == 0
    assert out.startswith("signs.npz: 2 images of 1 characters, placed like those of unipen\n")
    assert err == (
        "stepnet: No label is a letter or a digit, only '/'; give character codes, which for the "
        "digits 0 to 9 are 48 to 57, if others are meant.\n"
    )
    with np.load("signs.npz") as made:
        tall = np.flatnonzero(made["images"][0].max(axis=1))
    assert 8 <= len(tall) <= 14  # 20 of the capitals' 40 pixels, which are 22 in the image


def test_a_network_says_size_and_place(dataset, pictures):
    answer = json.loads(dataset(pictures, "--network", "ascii", "--json")[1])
    assert answer["placing"] == "unipen"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["nowhere"],
            "There is no folder 'nowhere'; name one with pictures of single characters.",
        ),
        (
            ["{empty}"],
            "No picture in the folder '{empty}' can be used; give each a subfolder named after its "
            "character, or a name that begins with it, like 7_first.png.",
        ),
        (
            ["{pictures}", "--output", "{pictures}/mine.npz"],
            "The output '{pictures}/mine.npz' would lie among the pictures in '{pictures}'; name "
            "an --output elsewhere.",
        ),
        (
            ["{pictures}", "--output", "mine.zip"],
            "The output 'mine.zip' is no .npz file; data sets are .npz.",
        ),
        (
            ["{pictures}", "--sheet", "sheet.jpg"],
            "The output 'sheet.jpg' is no .png file; contact sheets are .png.",
        ),
        (
            ["{pictures}", "--output", "no/mine.npz"],
            "The data set cannot be written to 'no/mine.npz' (No such file or directory); name a "
            "file in a folder that exists and is writable.",
        ),
    ],
)
def test_what_cannot_be_is_refused(dataset, pictures, tmp_path, words, sentence):
    (tmp_path / "empty").mkdir()
    names = {"pictures": pictures, "empty": tmp_path / "empty"}
    code, out, err = dataset(*(word.format(**names) for word in words))
    assert (code, out) == (2, "")
    assert err == f"stepnet: {sentence.format(**names)}\n"


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("7", 0x37),
        ("0x41", 0x41),
        ("0X2f", 0x2F),
        ("é", 0xE9),
        ("", None),
        ("77", None),
        ("0x", None),
        ("0x_7", None),
        ("0xzz", None),
        ("0x07", None),
        ("0x20", None),
        ("0x100", None),
        ("\u4e00", None),
    ],
)
def test_labels(word, code):
    assert label_of(word) == code
