"""The commands `train` and `evaluate`, from a data file to a measured network."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from stepnet import Layer, Network
from stepnet.cli.evaluate import evaluate
from stepnet.cli.train import train
from stepnet.errors import AnalogueError, DataError, NetworkError, TrainingError
from stepnet.learning.delta import DeltaLearner
from stepnet.samples import sample_pictures

pytestmark = pytest.mark.slow

APP = typer.Typer()
APP.command()(train)
APP.command()(evaluate)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Commands write into the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bars(tmp_path):
    """A data file of two characters: a bar at the top, or at the bottom."""
    random = np.random.default_rng(0)
    labels = np.frombuffer(b"!w", dtype=np.uint8)[random.integers(0, 2, 200)]
    images = random.integers(0, 60, (200, 6, 6)).astype(np.uint8)
    images[labels == ord("!"), 0:2] = 200
    images[labels == ord("w"), 4:6] = 200
    path = tmp_path / "bars.npz"
    np.savez(path, images=images, labels=labels)
    return path


def run(*words):
    """What the command prints on stdout; whatever it raises comes through."""
    result = CliRunner().invoke(APP, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def small_training(bars, *more):
    return ("train", "--data", bars, "--hidden", "8", "--epochs", "60", *more)


@pytest.mark.slow
def test_a_trained_network_is_saved_and_measured(bars, tmp_path):
    path = tmp_path / "made.npz"
    answer = json.loads(run(*small_training(bars, "--output", path, "--name", "made", "--json")))
    network = Network.load(path)
    assert (network.name, network.sizes, network.alphabet) == ("made", (36, 8, 7), "!w")
    assert answer["digest"] == network.digest
    assert answer["accuracy"] == 1.0
    assert answer["images"] == 30
    assert network.card["accuracy"] == (
        "1.0000 of 30 images of the test part give exactly the right code"
    )
    measured = json.loads(run("evaluate", path, "--data", bars, "--json"))
    assert measured["accuracy"] == 1.0
    assert (measured["images"], measured["unknown"], measured["left_out"]) == (30, 0, 0)
    trained_on = json.loads(run("evaluate", path, "--data", bars, "--part", "train", "--json"))
    assert trained_on["images"] == 170


@pytest.mark.slow
def test_the_command_on_the_card_makes_the_network_again(bars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*small_training(bars, "--weight-bits", "2,1", "--seed", "5", "--ink-threshold", "90"))
    first = Network.load("bars-network.npz")
    assert [layer.weight_bits for layer in first.layers] == [2, 1]
    assert first.ink_threshold == 90
    stepnet, *words = first.card["command"].split()
    assert stepnet == "stepnet"
    run(*words, "--output", "again.npz")
    assert Network.load("again.npz").digest == first.digest


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
@pytest.mark.parametrize("rule", ["surrogate", "delta"])
def test_rule_and_readout_are_on_the_card(bars, tmp_path, rule, readout):
    paths = tmp_path / "first.npz", tmp_path / "again.npz"
    words = small_training(bars, "--rule", rule, "--readout", readout)
    answer = json.loads(run(*words, "--output", paths[0], "--json"))
    assert answer["accuracy"] == 1.0
    first = Network.load(paths[0])
    assert (first.card["rule"], first.readout) == (rule, readout)
    assert {layer.weight_bits for layer in first.layers} == {8 if rule == "delta" else 1}
    _, *again = first.card["command"].split()
    again[again.index("--data") + 1] = str(bars)
    run(*again, "--output", paths[1])
    assert Network.load(paths[1]).digest == first.digest


def test_training_goes_on_from_a_network(bars, tmp_path):
    run(*small_training(bars, "--output", "first.npz", "--name", "first"))
    words = ("train", "--data", bars, "--from", "first.npz", "--epochs", "2", "--name", "second")
    answer = json.loads(run(*words, "--json"))
    first, second = Network.load("first.npz"), Network.load("second.npz")
    assert answer["digest"] == second.digest
    assert second.sizes == first.sizes
    assert second.card["from"] == f"first, digest {first.digest}"
    assert second.card["attribution"] == "unknown; of first: unknown"
    assert "--from first.npz" in second.card["command"]
    assert "--hidden 8" in second.card["command"]
    with pytest.raises(TrainingError) as caught:
        run(*words, "--output", "first.npz")
    assert str(caught.value) == (
        "The output 'first.npz' is the network to start from; name another --output."
    )


def test_images_with_a_wrong_label_can_be_left_out(bars, tmp_path):
    """Every fifth label says the other character, and the data set knows."""
    with np.load(bars) as file:
        images, labels = file["images"], file["labels"].copy()
    clean = np.arange(len(labels)) % 5 != 0
    labels[~clean] = ord("!") + ord("w") - labels[~clean]
    data, path = tmp_path / "marked.npz", tmp_path / "made.npz"
    np.savez(data, images=images, labels=labels, clean=clean)
    words = ("train", "--data", data, "--rule", "delta", "--hidden", "8", "--epochs", "20")
    answer = json.loads(run(*words, "--clean", "--output", path, "--json"))
    assert answer["accuracy"] == 1.0
    assert answer["part"] == "clean test part"
    assert answer["images"] < 30
    assert Network.load(path).card["command"].endswith(" --clean")
    marked = json.loads(run("evaluate", path, "--data", data, "--clean", "--json"))
    everything = json.loads(run("evaluate", path, "--data", data, "--json"))
    assert (marked["accuracy"], marked["images"]) == (1.0, answer["images"])
    assert everything["accuracy"] == answer["images"] / 30
    text = run("evaluate", path, "--data", data, "--clean")
    assert text.startswith(f"Network marked-network on {data}, clean test part: ")


def test_part_of_the_training_images_is_held_out(bars, tmp_path):
    path = tmp_path / "made.npz"
    answer = json.loads(run(*small_training(bars, "--output", path, "--hold-out", "0.2", "--json")))
    assert answer["images"] == 34
    assert answer["part"] == "held-out 0.2 of the training part"


def test_the_text_of_evaluate(bars, tmp_path):
    path = tmp_path / "made.npz"
    text = run(*small_training(bars, "--output", path, "--name", "made"))
    assert text == (
        f"{path}: 36-8-7, 344 bits of weights, digest {Network.load(path).digest[:16]}\n"
        "runs/made: the run's settings, log, curves and network\n"
        "100.00% of 30 images of the test part give exactly the right code.\n"
    )
    lines = run("evaluate", path, "--data", bars).splitlines()
    assert lines[0] == f"Network made on {bars}, test part: 30 of 200 images"
    assert lines[2].split() == ["exactly", "the", "right", "code", "30", "100.00%"]
    assert lines[-3].startswith("Hardest characters: ")
    assert lines[-2] == "Right by bit of the code: " + ", ".join(f"{k} 100.0%" for k in range(7))
    assert lines[-1] == "Right if case does not count: 100.00%"


def test_evaluate_shows_how_writers_differ(bars, tmp_path):
    with np.load(bars) as file:
        images, labels = file["images"], file["labels"]
    data, path = tmp_path / "writers.npz", tmp_path / "made.npz"
    np.savez(data, images=images, labels=labels, writer=np.arange(200) % 20)
    run("train", "--data", data, "--rule", "delta", "--hidden", "8", "--output", path)
    assert run("evaluate", path, "--data", data).splitlines()[-1] == (
        "Right by writer: 3 writers from 100.0% to 100.0%, median 100.0%, standard deviation 0.0%"
    )
    answer = json.loads(run("evaluate", path, "--data", data, "--json"))
    assert list(answer["accuracy_by_writer"].values()) == [1.0] * 3
    assert answer["accuracy_by_bit"] == [1.0] * 7
    assert answer["case_folded_accuracy"] == 1.0


def test_digits_is_measured_on_mnist(mnist_folder):
    answer = json.loads(run("evaluate", "digits", "--data-dir", mnist_folder, "--json"))
    assert answer["images"] == 10_000
    assert answer["accuracy"] >= 0.93


@pytest.mark.usefixtures("sample_data")
def test_digits_is_measured_on_the_samples_as_mnist():
    answer = json.loads(run("evaluate", "digits", "--json"))
    assert answer["images"] == 20
    assert answer["accuracy"] >= 0.9


def test_an_output_folder_that_is_missing_is_named_before_training(bars, tmp_path):
    with pytest.raises(TrainingError) as caught:
        run(*small_training(bars, "--output", tmp_path / "absent" / "made.npz"))
    assert str(caught.value) == (
        f"There is no folder {str(tmp_path / 'absent')!r}; "
        "name an --output in a folder that exists."
    )


def test_an_output_that_is_a_device_is_refused_before_training(bars):
    with pytest.raises(TrainingError) as caught:
        run(*small_training(bars, "--output", os.devnull))
    assert str(caught.value) == f"The output {os.devnull!r} is no file; name one with --output."


def test_an_output_that_is_a_folder_is_refused_before_training(bars, tmp_path):
    with pytest.raises(TrainingError) as caught:
        run(*small_training(bars, "--output", tmp_path))
    assert str(caught.value) == (
        f"The output {str(tmp_path)!r} is a folder; name a file with --output."
    )
    assert not Path("runs").exists()


def test_an_output_folder_that_takes_no_files_is_refused_before_training(
    bars, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(TrainingError) as caught:
        run(*small_training(bars, "--output", tmp_path / "made.npz"))
    assert str(caught.value) == (
        f"Nothing can be written to the folder {str(tmp_path)!r}; "
        "name an --output in one that is writable."
    )
    assert not Path("runs").exists()


def test_a_character_that_is_nowhere_labelled_cleanly_is_named(bars):
    with np.load(bars) as file:
        images, labels = file["images"], file["labels"]
    np.savez("marked.npz", images=images, labels=labels, clean=labels == ord("!"))
    with pytest.raises(TrainingError) as caught:
        run("train", "--data", "marked.npz", "--rule", "delta", "--clean")
    assert str(caught.value) == (
        "Every image of 'w' is held out or marked as wrongly labelled; choose --characters "
        "without it, or learn without --hold-out and --clean."
    )
    assert not Path("runs").exists()


def test_data_from_which_nothing_can_be_learned_leaves_no_run_folder(bars):
    with np.load(bars) as file:
        images = file["images"]
    np.savez("alike.npz", images=images, labels=np.full(len(images), ord("w")))
    with pytest.raises(TrainingError) as caught:
        run("train", "--data", "alike.npz", "--rule", "delta")
    assert str(caught.value) == (
        "All images show the character 'w'; give a data set with at least two characters."
    )
    assert not Path("runs").exists()


def test_errors_come_through(bars, tmp_path):
    with pytest.raises(NetworkError):
        run("evaluate", "nothing-shipped", "--data", bars)
    with pytest.raises(DataError):
        run("evaluate", "digits", "--data", tmp_path / "absent.npz")
    with pytest.raises(TrainingError):
        run(*small_training(bars, "--rule", "magic"))


def test_a_list_that_holds_no_numbers_is_refused(bars):
    with pytest.raises(TrainingError) as caught:
        run("train", "--data", bars, "--hidden", "12x")
    assert str(caught.value) == (
        "The option --hidden is '12x'; give whole numbers with commas between, like 128,64."
    )


def test_the_data_file_is_not_written_over(bars):
    with pytest.raises(TrainingError) as caught:
        run(*small_training(bars, "--output", bars))
    assert str(caught.value) == (
        f"The output {str(bars)!r} is the data file; name another --output."
    )


def test_a_run_leaves_its_folder_and_the_next_one_takes_another(bars):
    words = ("train", "--data", bars, "--rule", "delta", "--hidden", "8", "--epochs", "2")
    folders = [json.loads(run(*words, "--json"))["run"] for _ in range(2)]
    assert folders == ["runs/bars-network", "runs/bars-network-2"]
    result = json.loads(Path(folders[0], "result.json").read_text())
    told = json.loads(Path(folders[0], "config.json").read_text())
    assert result["digest"] == Network.load(Path(folders[0], "network.npz")).digest
    assert told["config"]["rule"] == "delta"
    assert told["about"]["name"] == "bars-network"


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(bars, monkeypatch):
    """The interrupt comes while the third pass is under way."""
    words = ["train", "--data", str(bars), "--rule", "delta", "--hidden", "8", "--epochs", "4"]
    passes = DeltaLearner.learn

    def interrupted(self, epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return passes(self, epoch)

    monkeypatch.setattr(DeltaLearner, "learn", interrupted)
    stopped = CliRunner().invoke(APP, words)
    assert stopped.exit_code == 130
    assert "Stopped after 2 whole epochs; the same command goes on there.\n" in stopped.stderr
    assert not Path("bars-network.npz").exists()
    monkeypatch.undo()
    monkeypatch.chdir(bars.parent)
    again = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert "Going on after epoch 2 in runs/bars-network.\n" in again.stderr
    whole = json.loads(run(*words, "--run", "whole", "--output", "whole.npz", "--json"))
    assert whole["run"] == "whole"
    for ours, theirs in zip(
        Network.load("bars-network.npz").layers, Network.load("whole.npz").layers, strict=True
    ):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        np.testing.assert_array_equal(ours.thresholds, theirs.thresholds)


def test_a_sigmoid_network_is_trained_and_measured_both_ways(bars):
    words = ("train", "--data", bars, "--rule", "sigmoid", "--hidden", "8", "--epochs", "20")
    trained = json.loads(run(*words, "--json"))
    measured = json.loads(run("evaluate", "bars-network.npz", "--data", bars, "--json"))
    assert trained["accuracy"] == measured["accuracy"] == 1.0
    assert trained["float_accuracy"] == measured["float_accuracy"] == 1.0
    lines = run("evaluate", "bars-network.npz", "--data", bars).splitlines()
    assert lines[-1] == "Exactly right before its weights were rounded to 8 bits: 100.00%"


def test_a_choice_of_characters_is_learned(tmp_path):
    labels = np.tile(np.frombuffer(b"abc", np.uint8), 40)
    images = np.zeros((120, 6, 6), np.uint8)
    images[np.arange(120), labels - ord("a")] = 255
    np.savez("rows.npz", images=images, labels=labels)
    words = ("train", "--data", "rows.npz", "--rule", "delta", "--hidden", "8", "--epochs", "2")
    run(*words, "--characters", "a-b", "--output", "ab.npz")
    network = Network.load("ab.npz")
    assert network.alphabet == "ab"
    assert "--characters a-b" in network.card["command"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--weight-bits", "1,many"),
            "The option --weight-bits is '1,many'; give whole numbers or ternary with commas "
            "between, like 1,1,4.",
        ),
        (
            ("--surrogate", "cubic"),
            "There is no surrogate 'cubic'; choose one of straight-through, hard-tanh, sigmoid, "
            "arctan, triangle.",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(bars, options, sentence):
    with pytest.raises(TrainingError) as caught:
        run("train", "--data", bars, *options)
    assert str(caught.value) == sentence
    assert not Path("runs").exists()


# Characters that lie elsewhere


@pytest.fixture
def shifted(tmp_path):
    """Digits of MNIST, two pixels beside their place."""
    pictures = sample_pictures()
    images = np.stack([np.asarray(Image.open(path).convert("L")) for path, _ in pictures] * 5)
    labels = np.array([ord(label) for _, label in pictures] * 5, np.uint8)
    path = tmp_path / "shifted.npz"
    np.savez(path, images=np.roll(images, 2, axis=2), labels=labels)
    return path


def test_a_file_of_others_is_measured_whole_and_placed(shifted):
    answer = json.loads(run("evaluate", "digits", "--data", shifted, "--json"))
    as_it_is = json.loads(run("evaluate", "digits", "--data", shifted, "--placed", "yes", "--json"))
    assert (answer["part"], answer["images"], answer["images_in_data"]) == ("all", 100, 100)
    assert (answer["placed"], as_it_is["placed"]) == ("auto", "yes")
    assert answer["accuracy"] >= 0.95 > as_it_is["accuracy"]
    text = run("evaluate", "digits", "--data", shifted, "--part", "test")
    assert f"Network digits on {shifted}, test part: 15 of 100 images\n" in text


@pytest.mark.parametrize(("placed", "placing"), [("auto", "mnist"), ("yes", None)])
def test_the_card_keeps_how_characters_lay(shifted, tmp_path, placed, placing):
    path = tmp_path / "made.npz"
    words = ("train", "--data", shifted, "--rule", "delta", "--hidden", "8", "--epochs", "1")
    run(*words, "--placed", placed, "--output", path)
    assert Network.load(path).card.get("placing") == placing


def test_a_network_learns_for_arrays_and_is_measured_in_them(bars):
    words = small_training(bars, "--analogue", "pcm", "--output", "made.npz")
    assert json.loads(run(*words, "--json"))["accuracy"] == 1.0
    assert "--analogue pcm" in Network.load("made.npz").card["command"]
    words = ("evaluate", "made.npz", "--data", bars, "--part", "test", "--analogue", "pcm")
    words = (*words, "--after", "1year", "--programmings", "4")
    measured = json.loads(run(*words, "--json"))
    assert measured["accuracy"] == 1.0
    in_arrays = measured["in_arrays"]
    assert (in_arrays["memory"], in_arrays["after_seconds"]) == ("pcm", 31_557_600)
    accuracies = in_arrays["accuracies"]
    assert len(accuracies) == 4
    assert in_arrays["mean"] == pytest.approx(np.mean(accuracies))
    assert in_arrays["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert in_arrays["mean"] > 0.9
    assert json.loads(run(*words, "--json"))["in_arrays"] == in_arrays
    assert run(*words).splitlines()[-1] == (
        f"In arrays of pcm, 1year after programming: {in_arrays['mean']:.2%} exactly right, "
        f"standard deviation {in_arrays['standard_deviation']:.2%}, from {min(accuracies):.2%} to "
        f"{max(accuracies):.2%} in 4 programmings"
    )
    options = ("--thresholds", "fixed", "--adc-bits", "1", "--wire-ohm", "200")
    worse = run(*words, *options, "--largest-array", "64x64", "--seed", "3", "--json")
    assert json.loads(worse)["in_arrays"]["mean"] < in_arrays["mean"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--adc-bits", "0"),
            "An ADC of 0 bits cannot be made; give 1 to 16, or leave it out.",
        ),
        (
            ("--after", "-1day"),
            "A time of -86400 s is not after programming; give 0 or a finite time above.",
        ),
        (
            ("--no-tiling",),
            "Layer 0 takes an array of 794 x 64 cells, and the largest one has 256 x 256; allow "
            "tiling, or larger arrays.",
        ),
        (
            ("--largest-array", "many"),
            "The size 'many' is not understood; give rows and columns of cells, such as 256x256.",
        ),
    ],
)
def test_arrays_that_cannot_be_are_refused(words, sentence):
    """Layer 0 has 784 rows of weights, and 10 of thresholds."""
    weights = np.ones((32, 784))
    last = Layer(np.ones((7, 32)), np.full(7, 5))
    network = Network("wide", (Layer(weights, np.full(32, 10)), last))
    network.save("wide.npz")
    images = np.zeros((5, 28, 28), np.uint8)
    np.savez("empty.npz", images=images, labels=np.full(5, ord("1"), np.uint8))
    with pytest.raises(AnalogueError) as caught:
        run("evaluate", "wide.npz", "--data", "empty.npz", "--analogue", "pcm", *words)
    assert str(caught.value) == sentence


def test_options_of_arrays_need_arrays(bars):
    result = CliRunner().invoke(APP, ["evaluate", "digits", "--after", "1day"])
    assert result.exit_code == 2
    assert "it is about analogue arrays; give --analogue too." in result.output


def test_convolutions_do_not_stand_in_arrays():
    images = np.zeros((5, 28, 28), np.uint8)
    images[:, 4:24, 13:15] = 255
    np.savez("ones.npz", images=images, labels=np.full(5, ord("1"), np.uint8))
    with pytest.raises(AnalogueError) as caught:
        run("evaluate", "digits-conv", "--data", "ones.npz", "--analogue", "pcm")
    assert str(caught.value) == (
        "Network 'digits-conv' has convolutions, which arrays here do not hold; name a network of "
        "dense layers."
    )


def test_only_step_networks_stand_in_arrays(bars):
    run("train", "--data", bars, "--rule", "sigmoid", "--hidden", "8", "--epochs", "1")
    with pytest.raises(AnalogueError) as caught:
        run("evaluate", "bars-network.npz", "--data", bars, "--analogue", "pcm")
    assert str(caught.value) == (
        "Arrays of step neurons do not hold the network 'bars-network', which has neurons of "
        "another kind; name a step network."
    )
