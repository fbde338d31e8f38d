"""Commands whose options are declared by a dataclass, and the words that give the same again."""

import shlex
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from stepnet.cli import declared
from stepnet.cli.train import TrainOptions
from stepnet.learning import Config
from stepnet.learning.config import SETTINGS


def told(*words):
    """What `stepnet train` makes of these words."""
    taken = []
    result = invoke(taken.append, *words)
    assert result.exit_code == 0, result.output
    return taken[0]


def invoke(run, *words):
    app = typer.Typer()
    app.command()(declared.command("train", TrainOptions, run))
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(rule="delta", hidden=(), weight_bits=4, ink_threshold=3, seed=7),
        Config(rule="sigmoid", readout="tree", learning_rate=0.5, threads=2, batch_size=4),
        Config(weight_bits=(1, "ternary", 8), surrogate="arctan", auxiliary=0.25),
        Config(hidden=(8,), distillation=1.0, teacher_epochs=2, augmentation=0.0, epochs=1),
    ],
    ids=["usual", "delta", "sigmoid", "kinds", "teacher"],
)
def test_the_words_give_the_same_settings(config):
    options = TrainOptions(config=config, characters="0-9", hold_out=0.125, clean=True, name="a b")
    again = told(*shlex.split(shlex.join(declared.words(options))))
    assert again.config.weights_per_layer == config.weights_per_layer
    assert replace(again.config, weight_bits=config.weight_bits) == config
    assert replace(again, config=config) == options


def test_only_what_matters_stands_in_the_words():
    words = declared.words(TrainOptions(data="far/away.npz", name="n"))
    assert " ".join(words) == (
        "--data away.npz --rule surrogate --hidden 128,64 --weight-bits 1 --ink-threshold 128 "
        "--epochs 30 --seed 0 --name n"
    )


def test_every_setting_is_an_option():
    help_text = invoke(print, "--help").output
    for name, setting in SETTINGS.items():
        assert f"--{(setting.option or name).replace('_', '-')} " in help_text
