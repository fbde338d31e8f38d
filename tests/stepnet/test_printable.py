"""What comes from others reaches a terminal as text and as nothing else."""

import sys

import numpy as np
import pytest

from stepnet import Layer, Network, cli
from stepnet.printable import printable

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\u00e9 \u4e2d", "caf\u00e9 \u4e2d"),
        (ESCAPE, r"\x1b]0;owned\x07\x1b[2J"),
        ("two\nlines\r\x08", r"two\nlines\r\x08"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.\u200b", r"\u202egnp.\u200b"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert printable(text) == shown


def test_a_long_text_is_cut():
    assert printable("x" * 11, most=10) == "x" * 10 + "..."
    assert printable("x" * 10, most=10) == "x" * 10


@pytest.fixture
def hostile(tmp_path):
    weights = np.ones((7, 4), dtype=int)
    layer = Layer(weights, np.zeros(7, dtype=int))
    card = {f"key{ESCAPE}": f"value{ESCAPE}", "accuracy": ESCAPE}
    network = Network(f"name{ESCAPE}", (layer,), 2, 2, alphabet="ab\x1b", card=card)
    return network.save(tmp_path / f"file{ESCAPE.replace('/', '')}.npz")


@pytest.mark.parametrize(
    "words",
    [
        ["networks", "FILE"],
        ["evaluate", "FILE", "--data", "DATA"],
        ["evaluate", "FILE", "--data", "absent\x1b.npz"],
        ["networks", "absent\x1b.npz"],
        ["infer", "absent\x1b.png"],
        ["share", "--board", "/dev/\x1b"],
        ["nonsense\x1b"],
    ],
)
def test_no_command_passes_it_on(words, hostile, tmp_path, monkeypatch, capsys):
    data = tmp_path / "data\x1b.npz"
    images = np.arange(80, dtype=np.uint8).reshape(20, 2, 2)
    np.savez(data, images=images, labels=np.array([97, 98] * 10))
    named = {"FILE": str(hostile), "DATA": str(data)}
    monkeypatch.setattr(sys, "argv", ["stepnet", *(named.get(word, word) for word in words)])
    with pytest.raises(SystemExit):
        cli.main()
    out, err = capsys.readouterr()
    assert out or err
    assert all(each.isprintable() or each == "\n" for each in out + err)
