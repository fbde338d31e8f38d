"""Data sets: what is read, how it is split, and what is refused with which sentence."""

import gzip
import os
import sys

import numpy as np
import pytest

from stepnet.data import sets as data
from stepnet.data.sets import Dataset
from stepnet.errors import DataError, MissingToolError


def characters(count=60, writers=None):
    """Images that hold their own number, so that a test can tell them apart."""
    images = np.zeros((count, 4, 3), dtype=np.uint8)
    images[:, 0, 0] = np.arange(count)
    labels = np.frombuffer(b"ab5", dtype=np.uint8)[np.arange(count) % 3]
    writer = None if writers is None else np.arange(count) % writers
    return Dataset(images, labels, writer, np.arange(count) % 7 > 0)


def saved(path, dataset, **changes):
    columns = {name: getattr(dataset, name) for name in ("images", "labels", "writer", "clean")}
    columns = {**columns, **changes}
    np.savez(path, **{name: column for name, column in columns.items() if column is not None})
    return path


def numbers(dataset):
    return dataset.images[:, 0, 0].tolist()


def test_a_data_set_knows_its_alphabet():
    assert characters().alphabet == "5ab"


def test_select_takes_every_column_along():
    chosen = characters(writers=4).select(np.array([5, 2]))
    assert numbers(chosen) == [5, 2]
    assert chosen.labels.tobytes() == b"55"
    assert chosen.writer.tolist() == [1, 2]
    assert chosen.clean.tolist() == [True, True]


def test_whole_writers_are_held_out():
    stays, held = characters(writers=10).hold_out(0.3, seed=1)
    assert len(set(held.writer)) == 3
    assert not set(held.writer) & set(stays.writer)
    assert sorted(numbers(stays) + numbers(held)) == list(range(60))


def test_without_writers_samples_are_held_out():
    stays, held = characters().hold_out(0.25, seed=1)
    assert len(held) == 15
    assert sorted(numbers(stays) + numbers(held)) == list(range(60))


def test_the_seed_alone_decides_what_is_held_out():
    whole = characters(writers=20)
    assert numbers(whole.hold_out(0.3, 1)[1]) == numbers(whole.hold_out(0.3, 1)[1])
    assert numbers(whole.hold_out(0.3, 1)[1]) != numbers(whole.hold_out(0.3, 2)[1])


@pytest.mark.parametrize(
    ("fraction", "writers", "what"),
    [(0.0, 4, "4 writers"), (1, None, "60 images"), (float("nan"), 4, "4 writers")],
)
def test_both_parts_hold_something(fraction, writers, what):
    with pytest.raises(DataError) as caught:
        characters(writers=writers).hold_out(fraction, seed=0)
    assert str(caught.value) == (
        f"A part of {fraction} cannot be held out of {what}; both parts need at least one."
    )


def test_a_file_is_split_by_writer(tmp_path):
    path = saved(tmp_path / "mine.npz", characters(writers=20))
    split = data.load(path)
    assert split.name == "mine"
    assert set(split.train.writer) | set(split.test.writer) == set(range(20))
    assert not set(split.train.writer) & set(split.test.writer)
    assert numbers(data.load(str(path)).test) == numbers(split.test)
    assert split.part("test") is split.test
    assert split.part("train") is split.train


def test_a_file_without_writers_is_split_by_sample(tmp_path):
    split = data.load(saved(tmp_path / "mine.npz", characters()))
    assert (len(split.train), len(split.test)) == (51, 9)


def test_labels_of_any_integer_type_are_codes(tmp_path):
    labels = np.array([65, 255, 0, 90] * 15, dtype=np.int64)
    split = data.load(saved(tmp_path / "mine.npz", characters(), labels=labels))
    assert split.train.labels.dtype == np.uint8
    assert set(split.train.labels) == {0, 65, 90, 255}


def test_unipen_is_found_in_the_folder_and_split_by_writer(tmp_path, monkeypatch):
    saved(tmp_path / "unipen_train_28.npz", characters(writers=20))
    split = data.load("unipen", tmp_path)
    assert not set(split.train.writer) & set(split.test.writer)
    assert "CC BY 4.0" in split.attribution
    monkeypatch.setenv("STEPNET_DATA", str(tmp_path))
    assert numbers(data.load("unipen").test) == numbers(split.test)


def test_the_argument_comes_before_the_variable_before_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPNET_DATA", str(tmp_path / "variable"))
    assert data.data_folder(tmp_path / "given") == tmp_path / "given"
    assert data.data_folder() == tmp_path / "variable"
    monkeypatch.delenv("STEPNET_DATA")
    assert data.data_folder().parts[-2:] == ("stepnet", "data")


IMAGES = characters().images
LABELS = characters().labels
DATASET_REFUSALS = {
    "images of another type": (
        (IMAGES.astype(np.float32), LABELS),
        "The images are float32 of shape (60, 4, 3); "
        "give uint8 grey values of shape (N, height, width), none of them 0.",
    ),
    "images in rows": (
        (IMAGES.reshape(60, 12), LABELS),
        "The images are uint8 of shape (60, 12); "
        "give uint8 grey values of shape (N, height, width), none of them 0.",
    ),
    "no images": (
        (IMAGES[:0], LABELS[:0]),
        "The images are uint8 of shape (0, 4, 3); "
        "give uint8 grey values of shape (N, height, width), none of them 0.",
    ),
    "labels of another type": (
        (IMAGES, LABELS.astype(float)),
        "The labels are float64 of shape (60,); "
        "give 60 integers, the character code of each image.",
    ),
    "images along the last axis": (
        (np.moveaxis(IMAGES, 0, -1), LABELS),
        "The images have shape (4, 3, 60) for 60 labels: their axes are in another order; give "
        "np.moveaxis(images, -1, 0), which is (N, height, width).",
    ),
    "too few labels": (
        (IMAGES, LABELS[:-1]),
        "The labels are uint8 of shape (59,); give 60 integers, the character code of each image.",
    ),
    "negative label": (
        (IMAGES, np.where(np.arange(60) == 3, -1, 65)),
        "The label -1 is no character code; labels are codes from 0 to 255.",
    ),
    "label too large": (
        (IMAGES, np.where(np.arange(60) == 3, 0x2460, 65)),
        "The label 9312 is no character code; labels are codes from 0 to 255.",
    ),
    "writers of another shape": (
        (IMAGES, LABELS, np.zeros(3, dtype=int)),
        "The array 'writer' is int64 of shape (3,); "
        "give 60 integers, one per image, or leave it out.",
    ),
    "clean of another type": (
        (IMAGES, LABELS, None, np.ones(60)),
        "The array 'clean' is float64 of shape (60,); "
        "give 60 bool values, one per image, or leave it out.",
    ),
}


@pytest.mark.parametrize(("columns", "sentence"), DATASET_REFUSALS.values(), ids=DATASET_REFUSALS)
def test_columns_of_another_form_are_refused(columns, sentence):
    with pytest.raises(DataError) as caught:
        Dataset(*columns)
    assert str(caught.value) == sentence


def test_a_file_with_unusable_columns_is_named(tmp_path):
    path = saved(tmp_path / "mine.npz", characters(), labels=np.full(60, 300))
    with pytest.raises(DataError) as caught:
        data.load(path)
    assert str(caught.value) == (
        f"The data file {str(path)!r} cannot be used. "
        "The label 300 is no character code; labels are codes from 0 to 255."
    )


@pytest.mark.parametrize("key", ["images", "labels"])
def test_a_missing_array_is_named(key, tmp_path):
    path = saved(tmp_path / "mine.npz", characters(), **{key: None})
    with pytest.raises(DataError) as caught:
        data.load(path)
    assert str(caught.value) == (
        f"The data file {str(path)!r} has no array {key!r}; "
        "it needs images (N, height, width) and labels (N,)."
    )


def test_an_unknown_name_is_refused():
    with pytest.raises(DataError) as caught:
        data.load("emnist")
    assert str(caught.value) == (
        "There is no data set 'emnist'; choose mnist, unipen, or the path of a .npz file."
    )


def test_an_unknown_part_is_refused(tmp_path):
    split = data.load(saved(tmp_path / "mine.npz", characters()))
    with pytest.raises(DataError) as caught:
        split.part("validation")
    assert str(caught.value) == (
        "There is no part 'validation' of a data set; choose train, test or all."
    )


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "absent.npz"
    with pytest.raises(DataError) as caught:
        data.load(path)
    assert str(caught.value) == (
        f"There is no data file {str(path)!r}; choose mnist, unipen, or a .npz that exists."
    )


def test_missing_unipen_names_file_and_folder(tmp_path):
    with pytest.raises(DataError) as caught:
        data.load("unipen", tmp_path)
    assert str(caught.value) == (
        "The data set unipen needs the file unipen_train_28.npz in the folder "
        f"{str(tmp_path)!r}; put it there, or name its folder with --data-dir or STEPNET_DATA."
    )


def not_plain_arrays(tmp_path):
    objects = np.array([{"any": "object"}], dtype=object)
    whole = saved(tmp_path / "whole.npz", characters()).read_bytes()
    np.save(tmp_path / "lone.npy", IMAGES)
    np.savez(tmp_path / "objects.npz", images=objects, labels=objects)
    return {
        "text": b"no zip",
        "empty": b"",
        "cut": whole[:-40],
        "damaged": whole[:400] + b"\x55\xaa" * 50 + whole[500:],
        "lone array": (tmp_path / "lone.npy").read_bytes(),
        "objects": (tmp_path / "objects.npz").read_bytes(),
    }


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "damaged", "lone array", "objects"])
def test_a_file_that_is_no_npz_is_refused(kind, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(not_plain_arrays(tmp_path)[kind])
    with pytest.raises(DataError) as caught:
        data.load(path)
    assert str(caught.value) == (
        f"The data file {str(path)!r} is no .npz of plain arrays or is damaged; "
        "write it with numpy.savez_compressed."
    )


MNIST_NAMES = [file.name for files in data.MNIST_FILES.values() for file in files]


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.tobytes()


def test_an_idx_file_is_read(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "array.gz"
    path.write_bytes(gzip.compress(idx(array)))
    digest = data.hashlib.md5(idx(array)).hexdigest()
    np.testing.assert_array_equal(data.read_idx(path, digest), array)


def test_mnist_of_other_content_is_refused(tmp_path):
    for name in MNIST_NAMES:
        (tmp_path / name).write_bytes(gzip.compress(b"something else"))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with pytest.raises(DataError) as caught:
        data.load("mnist", tmp_path)
    assert str(caught.value) == (
        f"The file {str(path)!r} does not hold the MNIST data: the MD5 of its content is "
        "6c7ba9c5a141421e1c03cb9807c97c74 instead of 6bbc9ace898e44ae57da46a324031adb; "
        "delete it and fetch it again."
    )


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"x" * 999)[:-12]], ids=["other", "cut"]
)
def test_damaged_mnist_is_refused(content, tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in MNIST_NAMES:
        (tmp_path / "mnist" / name).write_bytes(content)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    with pytest.raises(DataError) as caught:
        data.load("mnist", tmp_path)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no gzip file or is damaged; delete it and fetch it again."
    )


def test_a_failed_download_names_files_and_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MNIST_MIRRORS", ("http://127.0.0.1:9/", "http://127.0.0.1:9/two/"))
    for name in MNIST_NAMES[1:]:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data.load("mnist", tmp_path)
    assert str(caught.value) == (
        f"The data set mnist lacks train-images-idx3-ubyte.gz in {str(tmp_path)!r} and the "
        "download failed; put the files there from http://127.0.0.1:9/, or name their folder with "
        "--data-dir or STEPNET_DATA."
    )


def test_a_download_goes_into_the_folder(tmp_path, monkeypatch, local_files):
    """From a server on this machine, the second one named; what arrives is checked as ever."""
    for name in MNIST_NAMES:
        (local_files.folder / name).write_bytes(gzip.compress(name.encode()))
    monkeypatch.setattr(data, "MNIST_MIRRORS", ("http://127.0.0.1:9/", local_files.url))
    with pytest.raises(DataError, match="does not hold the MNIST data"):
        data.load("mnist", tmp_path)
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == sorted(MNIST_NAMES)


def test_what_was_downloaded_is_read_and_not_fetched_again(
    tmp_path, monkeypatch, local_files, sample_data
):
    for path in (sample_data / "mnist").iterdir():
        path.rename(local_files.folder / path.name)
    monkeypatch.setattr(data, "MNIST_MIRRORS", (local_files.url,))
    fetched = data.load("mnist", tmp_path / "fetched")
    assert fetched.train.labels.tobytes() == b"00112233445566778899"
    for path in local_files.folder.iterdir():
        path.unlink()
    again = data.load("mnist", tmp_path / "fetched")
    np.testing.assert_array_equal(again.test.images, fetched.test.images)


def test_a_download_does_not_open_the_cache_to_others(tmp_path, monkeypatch):
    """Whatever the umask leaves: compiled chips in it would not be trusted."""
    monkeypatch.setattr(data.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.delenv(data.DATA_DIR_VARIABLE, raising=False)
    monkeypatch.setattr(data, "MNIST_MIRRORS", ("http://127.0.0.1:1/",))
    before = os.umask(0o002)
    try:
        with pytest.raises(DataError, match="the download failed"):
            data.load("mnist")
    finally:
        os.umask(before)
    assert (tmp_path / "stepnet").stat().st_mode & 0o777 == 0o700


def test_a_download_without_pooch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingToolError) as caught:
        data.load("mnist", tmp_path)
    assert str(caught.value) == (
        f"The data set mnist lacks {', '.join(MNIST_NAMES)} in {str(tmp_path / 'mnist')!r}, and "
        'the download needs the package pooch; install it with pip install "stepnet[train]", or '
        "put the files there from https://ossci-datasets.s3.amazonaws.com/mnist/."
    )


def test_mnist_is_the_well_known_one(mnist):
    assert mnist.train.images.shape == (60_000, 28, 28)
    assert mnist.test.images.shape == (10_000, 28, 28)
    assert mnist.train.labels[:5].tobytes() == b"50419"
    assert mnist.test.labels[:5].tobytes() == b"72104"
    assert mnist.train.alphabet == mnist.test.alphabet == "0123456789"
    assert "CC BY-SA 3.0" in mnist.attribution


@pytest.mark.usefixtures("sample_data")
def test_data_sets_with_a_name_are_read_from_the_folder_in_the_environment():
    mnist = data.load("mnist")
    for part in (mnist.train, mnist.test):
        assert part.images.shape == (20, 28, 28)
        assert part.alphabet == "0123456789"
    assert "CC BY-SA 3.0" in mnist.attribution
    unipen = data.load("unipen")
    assert (len(unipen.train), len(unipen.test)) == (16, 4)
    assert set(unipen.train.writer).isdisjoint(unipen.test.writer)
    assert len(unipen.train.cleaned()) + len(unipen.test.cleaned()) == 18
    assert "CC BY 4.0" in unipen.attribution


def test_cleaned_leaves_out_what_is_marked():
    images, labels = np.zeros((3, 2, 2), np.uint8), np.array([65, 66, 67])
    marked = data.Dataset(images, labels, clean=np.array([True, False, True]))
    assert marked.cleaned().labels.tolist() == [65, 67]
    unmarked = data.Dataset(images, labels)
    assert unmarked.cleaned() is unmarked


def test_a_data_set_without_a_clean_label_is_refused():
    dataset = data.Dataset(np.zeros((1, 2, 2), np.uint8), np.array([65]), clean=np.array([False]))
    with pytest.raises(DataError) as caught:
        dataset.cleaned()
    assert str(caught.value) == (
        "No label of the data set is marked as clean; use all of its samples."
    )


def test_a_choice_of_characters_keeps_their_samples():
    dataset = Dataset(
        np.zeros((5, 2, 2), np.uint8),
        np.frombuffer(b"abcab", np.uint8),
        writer=np.arange(5),
        clean=np.array([True, False, True, True, False]),
    )
    chosen = dataset.showing("ac")
    assert chosen.labels.tobytes() == b"aca"
    assert chosen.writer.tolist() == [0, 2, 3]
    assert chosen.clean.tolist() == [True, True, True]


def test_a_character_without_an_image_is_named():
    dataset = Dataset(np.zeros((2, 2, 2), np.uint8), np.frombuffer(b"ab", np.uint8))
    with pytest.raises(DataError) as caught:
        dataset.showing("abx")
    assert str(caught.value) == (
        "No image of the data set shows 'x'; leave it out of the characters, or choose another "
        "data set."
    )


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("0-3", "0123"),
        ("x0-2a", "012ax"),
        ("-a", "-a"),
        ("a-", "-a"),
        ("aba", "ab"),
        ("+--", "+,-"),
        ("A-CX-Z", "ABCXYZ"),
    ],
)
def test_characters_are_named_by_ranges(text, characters):
    assert data.parse_characters(text) == characters


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("9-0", "The characters 9-0 run backwards; write 0-9."),
        ("", "No characters are named; give some, like 0-9A-Z."),
    ],
)
def test_a_range_that_runs_backwards_is_refused(text, sentence):
    with pytest.raises(DataError) as caught:
        data.parse_characters(text)
    assert str(caught.value) == sentence
