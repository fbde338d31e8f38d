"""`stepnet train` with more data sets than one, and with images of no character."""

import json
import shlex

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stepnet import Network
from stepnet.cli.train import train
from stepnet.errors import TrainingError
from stepnet.networks import reference

pytestmark = pytest.mark.slow

APP = typer.Typer()
APP.command()(train)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, sample_data):
    """Commands write into the current folder, and find data made of the shipped samples."""
    monkeypatch.chdir(tmp_path)


def run(*words):
    """What the command prints as JSON; whatever it raises comes through."""
    result = CliRunner().invoke(APP, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


MORE = ("--data", "mnist", "--characters", "0-4", "--also", "unipen", "--unknown", "4")
SMALL = ("--hidden", "16", "--epochs", "40", "--batch-size", "8", "--augmentation", "0")


@pytest.mark.parametrize(("readout", "alphabet"), [("bits", "01234"), ("nearest", "\00001234")])
def test_no_character_is_learned_from_what_others_have(readout, alphabet):
    """Of the twenty samples the digits from 5 on are among what is no character."""
    answer = run(*MORE, *SMALL, "--readout", readout, "--output", "made.npz")
    made = Network.load("made.npz")
    assert (made.alphabet, made.characters) == (alphabet, "01234")
    data = made.card["data"]
    assert data.startswith("mnist and unipen, 1")
    assert data.endswith(" of no character")
    assert made.card["attribution"].startswith("MNIST")
    assert "UNIPEN" in made.card["attribution"]
    assert answer["images"] == 10
    empty = np.zeros((1, 28, 28), np.uint8)
    assert not np.isin(reference.infer(made, empty), made.character_codes).any()
    again = shlex.split(made.card["command"])[2:]
    assert run(*again, "--output", "again.npz")["digest"] == made.digest


def test_more_data_need_a_placing(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (40, 6, 6)).astype(np.uint8)
    np.savez("noise.npz", images=images, labels=np.arange(40) % 2 + 48)
    with pytest.raises(TrainingError) as caught:
        run("--data", "noise.npz", "--unknown", "0.5")
    assert str(caught.value) == (
        "How the characters of the data lie is not known, and so not how those of other data sets "
        "are to be placed; learn without --also, --lone and --unknown."
    )


def test_too_much_of_no_character_is_refused():
    with pytest.raises(TrainingError) as caught:
        run("--data", "mnist", "--unknown", "5")
    assert str(caught.value) == "The setting unknown is 5.0; give a part from 0 to 4.0."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--data", "mnist", "--lone", "0.5"),
            "The characters of the data are all of one size, and so lie as lone ones do; learn "
            "without --lone.",
        ),
        (("--data", "unipen", "--lone", "2"), "The setting lone is 2.0; give a part from 0 to 1."),
    ],
)
def test_a_part_of_lone_characters_that_cannot_be_is_refused(words, message):
    with pytest.raises(TrainingError) as caught:
        run(*words)
    assert str(caught.value) == message


def test_a_network_that_has_no_such_answer_cannot_go_on_to_it():
    with pytest.raises(TrainingError) as caught:
        run("--data", "mnist", "--from", "digits-conv", "--unknown", "0.5")
    assert str(caught.value) == (
        "The network 'digits-conv' has no answer for images of no character; start from one that "
        "has, or learn without --unknown."
    )


def test_a_network_of_bits_goes_on_to_it():
    """Its bits 4 and 5 always fired."""
    words = ("--data", "mnist", "--from", "digits", "--unknown", "4", "--epochs", "60")
    run(*words, "--learning-rate", "0.05", "--output", "made.npz")
    empty = np.zeros((1, 28, 28), np.uint8)
    assert reference.infer(Network.load("digits"), empty)[0] >= ord("0")
    assert reference.infer(Network.load("made.npz"), empty)[0] < ord("0")
