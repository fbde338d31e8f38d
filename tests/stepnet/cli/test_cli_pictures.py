"""The commands that draw networks and show their cards."""

import json
import re

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from small_networks import reading_network
from stepnet import plots
from stepnet.cli.evaluate import evaluate
from stepnet.cli.networks import networks
from stepnet.cli.weights import weights
from stepnet.errors import NetworkError
from stepnet.networks.shipped import all_names, load_network
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork

APP = typer.Typer(rich_markup_mode=None)
for command in (evaluate, networks, weights):
    APP.command()(command)


def run(*words, columns=80):
    """What the command prints on stdout; whatever it raises comes through."""
    result = CliRunner().invoke(
        APP, [str(word) for word in words], catch_exceptions=False, env={"COLUMNS": str(columns)}
    )
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def reading(tmp_path):
    return reading_network("adbc").save(tmp_path / "reading.npz")


def data_file(path, shown, read):
    """A data set of images of the characters `shown`, which `network` reads as `read`."""
    bits = np.array([list(read)]).T >> np.arange(7) & 1
    images = (255 * bits).astype(np.uint8).reshape(-1, 1, 7)
    np.savez(path, images=images, labels=np.frombuffer(shown, dtype=np.uint8))
    return path


@pytest.fixture
def data(tmp_path):
    """400 images: a is read as a and, one time in four, as b; b as b; c as ?; d is not shown."""
    return data_file(tmp_path / "data.npz", b"aaaabbcz" * 50, b"aaabbb?z" * 50)


@pytest.fixture
def everything(reading, data):
    """The words of `evaluate` on the training part, which is most of the data."""
    return ("evaluate", reading, "--data", data, "--part", "train")


# stepnet evaluate


def test_evaluate_names_the_top_confusions_and_what_is_missing(everything):
    counts = json.loads(run(*everything, "--json"))
    (_, a_as_b, _, _, _), _, (*_, c_as_unknown), _ = counts["confusion"]
    lines = run(*everything).splitlines()
    mistakes = {f"a as b ({a_as_b})": a_as_b, f"c as unknown ({c_as_unknown})": c_as_unknown}
    ranked = sorted(mistakes, key=lambda mistake: -mistakes[mistake])
    assert f"Most often misread: {', '.join(ranked)}" in lines
    assert lines[-1] == "Missing in the data: d"


def test_evaluate_names_five_confusions_at_most(tmp_path):
    alphabet = "abcdefgh"
    path = reading_network(alphabet).save(tmp_path / "reading.npz")
    shown = alphabet.encode() * 50
    data = data_file(tmp_path / "data.npz", shown, shown[1:] + shown[:1])
    (line,) = [
        line
        for line in run("evaluate", path, "--data", data).splitlines()
        if line.startswith("Most often misread: ")
    ]
    assert line.count(" as ") == 5


def test_evaluate_says_nothing_of_confusions_where_there_are_none(tmp_path):
    path = reading_network("ab").save(tmp_path / "reading.npz")
    data = data_file(tmp_path / "data.npz", b"ab" * 50, b"ab" * 50)
    text = run("evaluate", path, "--data", data)
    assert "misread" not in text
    assert "Missing" not in text


def test_evaluate_gives_everything_as_json(everything):
    answer = json.loads(run(*everything, "--json"))
    assert answer["characters"] == "abcd"
    a, b, c, d = answer["confusion"]
    assert (a[2:], c[:4], d) == ([0] * 3, [0] * 4, [0] * 5)
    assert (a[0] > a[1] > 0, c[4] > 0) == (True, True)
    assert b == [0, b[1], 0, 0, 0]
    assert sum(map(sum, answer["confusion"])) == answer["images"]
    assert answer["missing"] == "d"


def test_evaluate_measures_sigmoid_networks(everything, tmp_path):
    layers = (SigmoidLayer(np.eye(7), np.full(7, -0.5)),)
    path = SigmoidNetwork("s", layers, height=1, width=7, alphabet="adbc").save(tmp_path / "s.npz")
    command, _, *words = everything
    steps, sigmoids = (
        json.loads(run(*given, "--json")) for given in (everything, (command, path, *words))
    )
    assert sigmoids["network"] == "s"
    assert sigmoids["confusion"] == steps["confusion"]


def test_the_table_has_a_line_for_every_character(everything):
    a, b, c, _ = json.loads(run(*everything, "--json"))["confusion"]
    text = run(*everything, "--table")
    assert text.startswith(run(*everything))
    *_, header, line_a, line_b, line_c, line_d = text.splitlines()
    assert header.split() == ["images", "right", "mostly", "misread", "as"]
    share = a[1] / sum(a)
    assert line_a.split() == ["a", str(sum(a)), f"{1 - share:.1%}", "b", f"{share:.1%}"]
    assert line_b.split() == ["b", str(sum(b)), "100.0%"]
    assert line_c.split() == ["c", str(sum(c)), "0.0%", "unknown", "100.0%"]
    assert line_d.split() == ["d", "0"]


@pytest.mark.parametrize(("columns", "beside"), [(40, 1), (80, 2), (200, 4)])
def test_the_table_of_many_characters_uses_the_width_of_the_terminal(tmp_path, columns, beside):
    alphabet = "".join(map(chr, range(32, 127)))
    path = reading_network(alphabet).save(tmp_path / "reading.npz")
    shown = alphabet.encode() * 20
    data = data_file(tmp_path / "data.npz", shown, shown)
    words = ("evaluate", path, "--data", data, "--part", "train", "--table")
    lines = run(*words, columns=columns).splitlines()
    start = next(number for number, line in enumerate(lines) if line.count("mostly"))
    table = lines[start:]
    assert table[0].count("mostly misread as") == beside
    assert len(table) - 1 == -(-len(alphabet) // beside)
    assert max(map(len, table)) <= columns
    characters = [cell.split()[0] for line in table[1:] for cell in line.split("100.0%")[:-1]]
    assert sorted(characters) == sorted(["'", *alphabet[1:]])


def test_the_confusion_matrix_is_drawn(everything, tmp_path):
    path = tmp_path / "confusion.png"
    assert run(*everything, "--confusion", path).splitlines()[-1] == f"Confusion matrix: {path}"
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    again = tmp_path / "again.png"
    json.loads(run(*everything, "--json", "--confusion", again))
    assert again.read_bytes() == path.read_bytes()


def test_a_picture_that_cannot_be_drawn_is_said_before_measuring(reading, tmp_path):
    no_data = ("evaluate", reading, "--data", tmp_path / "absent.npz")
    with pytest.raises(plots.PictureError) as caught:
        run(*no_data, "--confusion", tmp_path / "confusion.svg")
    assert str(caught.value) == (
        f"Pictures are PNG files, but {str(tmp_path / 'confusion.svg')!r} ends otherwise; "
        "name a file that ends in .png."
    )
    with pytest.raises(plots.PictureError) as caught:
        run(*no_data, "--confusion", tmp_path / "absent" / "confusion.png")
    assert str(caught.value) == (
        f"There is no folder {str(tmp_path / 'absent')!r}; "
        "name a picture in a folder that exists and is writable."
    )


# stepnet networks


def test_shipped_networks_are_listed_a_line_each():
    header, *lines = run("networks", columns=40).splitlines()
    assert header.split() == (
        ["name", "sizes", "weight", "bits", "readout", "characters", "accuracy", "kbit"]
    )
    assert [line.split()[0] for line in lines] == all_names()
    assert "digits-lut" in all_names()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    assert cells["digits"] == ["784-128-64-7", "1,1,8", "bits", "0-9", "96.37%", "112"]
    assert cells["exercise"] == ["784-512-7", "8", "bits", "0-9", "96.77%", "3,240"]


def test_shipped_networks_as_json():
    listed = json.loads(run("networks", "--json"))["networks"]
    assert [entry["name"] for entry in listed] == all_names()
    digits = load_network("digits")
    assert next(entry for entry in listed if entry["name"] == "digits") == {
        "name": "digits",
        "kind": "step",
        "sizes": [784, 128, 64, 7],
        "weight_bits": [1, 1, 8],
        "weight_bits_total": 112_128,
        "readout": "bits",
        "alphabet": "0123456789",
        "height": 28,
        "width": 28,
        "ink_threshold": 64,
        "accuracy": 0.9637,
        "digest": digits.digest,
        "card": digits.card,
    }
    assert json.loads(run("networks", "digits", "--json")) == listed[all_names().index("digits")]


def test_the_whole_card_of_one_network_is_shown():
    exercise = load_network("exercise")
    lines = run("networks", "exercise", columns=40).splitlines()
    assert lines[0] == "exercise"
    shown = dict(re.split("  +", line.strip(), maxsplit=1) for line in lines[1:])
    assert shown == {
        "sizes": "784-512-7",
        "weight bits": "8; 3,240 kbit in all",
        "readout": "bits",
        "characters": "10: 0-9",
        "image": "28 x 28 pixels, ink from grey value 64",
        "digest": exercise.digest,
        **exercise.card,
    }


@pytest.mark.parametrize(
    ("alphabet", "shown"),
    [
        ("".join(map(chr, range(33, 127))), "94: !-~"),
        ("zyxCBAca", "8: A-Cacx-z"),
        ("\x01 \x7f", "3: \\x01 \\x7f"),
        ("\x00ab", "2: ab"),
    ],
)
def test_characters_are_shown_in_short(tmp_path, alphabet, shown):
    alphabet = "".join(dict.fromkeys(alphabet))
    path = reading_network(alphabet).save(tmp_path / "reading.npz")
    assert f"  characters   {shown}" in run("networks", path).splitlines()


@pytest.mark.parametrize(
    ("accuracy", "value"),
    [
        ("1.0000 of 30 images", 1.0),
        ("unknown", None),
        ("", None),
        ("97 of 100 images", None),
        ("nan", None),
    ],
)
def test_the_accuracy_is_the_number_on_the_card(tmp_path, accuracy, value):
    path = reading_network("ab", card={"accuracy": accuracy}).save(tmp_path / "reading.npz")
    assert json.loads(run("networks", path, "--json"))["accuracy"] == value


def test_a_network_that_is_not_there_is_named():
    with pytest.raises(NetworkError) as caught:
        run("networks", "nothing-shipped")
    assert str(caught.value) == (
        f"There is no network 'nothing-shipped'; choose one of {', '.join(all_names())}, "
        "or name a .npz file that `stepnet train` wrote."
    )


# stepnet weights


def test_the_first_layer_is_drawn(reading, tmp_path):
    path = tmp_path / "weights.png"
    assert run("weights", reading, "--output", path) == f"{path}: 7 of 7 neurons\n"
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    few = tmp_path / "few.png"
    words = ("weights", reading, "--output", few, "--neurons", 3)
    assert run(*words) == f"{few}: 3 of 7 neurons\n"
    assert few.read_bytes() != path.read_bytes()
    words = ("weights", reading, "--output", few, "--neurons", 300)
    assert run(*words) == f"{few}: 7 of 7 neurons\n"
    assert few.read_bytes() == path.read_bytes()


def test_a_picture_of_weights_is_a_png(tmp_path):
    with pytest.raises(plots.PictureError) as caught:
        run("weights", "digits", "--output", tmp_path / "weights.jpg")
    assert str(caught.value) == (
        f"Pictures are PNG files, but {str(tmp_path / 'weights.jpg')!r} ends otherwise; "
        "name a file that ends in .png."
    )


@pytest.mark.parametrize("words", [("--neurons", "0"), ()])
def test_weights_need_an_output_and_a_neuron(tmp_path, words):
    output = ("--output", tmp_path / "weights.png") if words else ()
    result = CliRunner().invoke(APP, ["weights", "digits", *map(str, output), *words])
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_tables_are_drawn_with_their_wires(tmp_path):
    path = tmp_path / "wires.png"
    result = CliRunner().invoke(APP, ["weights", "digits-lut-compact", "--output", str(path)])
    assert result.stdout.strip() == f"{path}: 1592 tables on 404 pixels"
    assert path.exists()
