"""`stepnet import` and `stepnet export` from the command line."""

import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from onnx_graphs import Graph
from stepnet import Layer, Network, cli, reference
from stepnet.cli.import_report import boards_that_hold
from stepnet.data.sets import load
from stepnet.networks import spiking
from stepnet.networks.random_networks import random_images, random_spiking_network
from stepnet.networks.shipped import load_network
from stepnet.networks.spiking import LOWEST_FLOOR, SpikingNetwork


@pytest.fixture
def stepnet(monkeypatch, capsys):
    """Runs the command line; returns its exit code and what it wrote to stdout and stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["stepnet", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    return run


def two_bit_network():
    """Of 28 x 28 pixels seen in three levels, with a hidden layer of two-bit activations."""
    random = np.random.default_rng(0)
    graph = Graph((1, 28, 28))
    narrow = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    graph.add("Flatten", axis=1)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", np.float32(1))
    graph.custom("Quant", np.float32(1), np.float32(0), np.float32(2), **narrow)
    graph.add("MatMul", random.choice([-1, 1], (784, 16)).astype(np.float32))
    graph.add("Mul", np.float32(0.05))
    graph.custom("Quant", np.float32(1), np.float32(0), np.float32(2), **narrow)
    graph.add("MatMul", random.choice([-1, 1], (16, 10)).astype(np.float32))
    return graph


@pytest.fixture
def boards(monkeypatch):
    """Two boards that hold every network."""
    known = [
        {"board": "small", "cycles": 1234, "clock_hz": 10, "images_per_s": 1.0},
        {"board": "large", "cycles": 56, "clock_hz": 10, "images_per_s": 2.0},
    ]
    found = sorted(known, key=lambda board: -board["images_per_s"])
    monkeypatch.setattr("stepnet.cli.import_report.boards_that_hold", lambda network: found)
    return found


@pytest.mark.usefixtures("boards")
def test_the_report_says_what_became_of_the_network(stepnet, sample_data, tmp_path):
    path = two_bit_network().save(tmp_path / "two.onnx")
    output = tmp_path / "two.npz"
    code, text, errors = stepnet("import", path, "--output", output, "--data", "mnist")
    network = Network.load(output)
    hidden = network.sizes[1]
    test = load("mnist", sample_data).test
    accuracy = np.mean(reference.infer(network, test.images) == test.labels)
    assert (code, errors) == (0, "")
    ink = network.ink_threshold
    agreement = network.card["agreement on grey"]
    assert text.splitlines() == [
        f"{output}: two.onnx, made by test",
        f"  layers      784-{hidden}-10, weights of 1-1 bits, {network.weight_bits_total:,} in all",
        f"              layer 1: 16 neurons of several levels are {hidden} step neurons, "
        f"{(hidden - 16) * 784:,} more weight bits",
        "  readout     nearest, 10 characters: 0123456789",
        f"  image       28 x 28 pixels, ink from grey value {ink}: agrees best with the source on "
        "grey images",
        "  agreement   exact: 20 of 20 images of mnist of paper and full ink",
        f"              {agreement} as they are, of whose grey the source sees more than ink",
        f"  accuracy    {accuracy:.2%} of images of mnist",
        "  boards      large (56 cycles), small (1,234 cycles)",
    ]


def test_the_report_as_json(stepnet, boards, tmp_path):
    path = two_bit_network().save(tmp_path / "two.onnx")
    code, text, _ = stepnet("import", path, "--json", "--alphabet", "abcdefghij", "--name", "x")
    found = json.loads(text)
    assert code == 0
    assert found["network"] == "x"
    assert found["alphabet"] == "abcdefghij"
    assert found["output"] is None
    assert found["exact"] is True
    assert found["sees_grey"] is True
    assert found["ink_from"] == "nothing"
    assert found["on_full_ink"] == {"images": 1000, "equal": 1000}
    assert found["on_grey"] is None
    assert found["widened"] == [[16, found["sizes"][1]]]
    assert found["boards"] == boards
    assert found["accuracy"] is None
    assert not list(tmp_path.glob("*.npz"))


def test_options_of_the_import(stepnet, boards, tmp_path):
    path = Graph((784,))
    path.custom("BipolarQuant", np.float32(1))
    path.add("MatMul", np.random.default_rng(0).choice([-1, 1], (784, 4)).astype(np.float32))
    path = path.save(tmp_path / "flat.onnx")
    options = ("--image-size", "14x56", "--pixels", "-1..1", "--ink-threshold", "99")
    _, text, _ = stepnet("import", path, *options, "--json")
    found = json.loads(text)
    assert (found["height"], found["width"]) == (14, 56)
    assert (found["ink_threshold"], found["ink_from"]) == (99, "the option")
    assert boards


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("import", "FILE", "--image-size", "28"),
            "Invalid value: The image size '28' is no height and width; write them as 28x28.",
        ),
        (
            ("import", "FILE", "--output", "FILE"),
            "Invalid value for --output: the file 'FILE' is what is to be read; name another one.",
        ),
        (
            ("import", "absent.onnx"),
            "There is no file 'absent.onnx'; name an ONNX file or a Keras .h5.",
        ),
        (
            ("export", "digits", "--to", "tarot"),
            "Invalid value: There is no format 'tarot'; choose one of qonnx, c, nir, verilog.",
        ),
        (
            ("export", "digits", "--to", "c", "--batch", "3"),
            "Invalid value for --batch: it goes with --to qonnx.",
        ),
        (
            ("export", "digits", "--to", "c", "--pe", "2"),
            "Invalid value for --simd and --pe: they go with --to verilog.",
        ),
    ],
)
def test_wrong_usage_is_one_sentence(words, sentence, stepnet, tmp_path):
    path = str(two_bit_network().save(tmp_path / "two.onnx"))
    code, text, errors = stepnet(*(path if word == "FILE" else word for word in words))
    assert (code, text, errors) == (2, "", f"stepnet: {sentence}\n".replace("FILE", path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(stepnet, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code, _, errors = stepnet("import", tmp_path / "pipe")
    assert code == 2
    assert errors == (
        f"stepnet: The file {str(tmp_path / 'pipe')!r} cannot be read (it is a pipe); "
        "name an ONNX file or a Keras .h5.\n"
    )


@pytest.mark.parametrize(("to", "ending"), [("c", ".c"), ("qonnx", ".onnx")])
def test_an_export_is_named_after_the_network(to, ending, stepnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stepnet("export", "digits", "--to", to) == (0, f"digits{ending}\n", "")
    assert (tmp_path / f"digits{ending}").stat().st_size > 10_000
    named = tmp_path / "mine"
    code, text, _ = stepnet("export", "digits", "--to", to, "--output", named, "--json")
    digest = load_network("digits").digest
    assert code == 0
    assert json.loads(text) == {"network": "digits", "digest": digest, "files": [str(named)]}


@pytest.mark.parametrize(("to", "ending"), [("c", ".c"), ("qonnx", ".onnx")])
def test_an_export_without_a_name_replaces_no_file(to, ending, stepnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"digits{ending}"
    path.write_text("mine")
    assert stepnet("export", "digits", "--to", to) == (
        2,
        "",
        f"stepnet: The file 'digits{ending}' exists; name it with --output to replace it, or "
        "another one.\n",
    )
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "file"), [("../up", "_up.c"), ("/etc/x", "_etc_x.c"), (".hidden\n", "hidden_.c")]
)
def test_the_name_of_a_network_leads_to_no_other_folder(name, file, stepnet, tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    layer = Layer(np.ones((7, 4), dtype=int), np.zeros(7, dtype=int))
    Network(name, (layer,), 2, 2).save(tmp_path / "named.npz")
    assert stepnet("export", "../named.npz", "--to", "c") == (0, f"{file}\n", "")
    assert (tmp_path / "inner" / file).is_file()


def test_boards_come_from_other_packages_the_fastest_first():
    """Those of the gateware, which is installed with the tests."""
    found = boards_that_hold(load_network("digits"))
    assert found is not None
    assert {"icebreaker", "ulx3s-25f"} <= {board["board"] for board in found}
    rates = [board["images_per_s"] for board in found]
    assert rates == sorted(rates, reverse=True)
    assert all(board["images_per_s"] == board["clock_hz"] / board["cycles"] for board in found)


def test_a_spiking_network_there_and_back(stepnet, tmp_path):
    rng = np.random.default_rng(4)
    made = random_spiking_network(rng, (36, 12, 10), ticks=3, height=6)
    layers = [replace(each, reset=0, floor=LOWEST_FLOOR) for each in made.layers]
    made = replace(made, layers=tuple(layers), alphabet="0123456789")
    source, file, output = (tmp_path / name for name in ("made.npz", "net.nir", "taken.npz"))
    made.save(source)
    assert stepnet("export", source, "--to", "nir", "--output", file) == (0, f"{file}\n", "")
    status, out, err = stepnet("import", file, "--ticks", 3, "--output", output)
    assert (status, err) == (0, "")
    assert out == (
        f"{output}: net.nir, 36-12-10\n  3 ticks of coding rate, read by spikes; what decays of a "
        "potential is rounded down.\n"
    )
    images = random_images(rng, made, 30)
    taken = SpikingNetwork.load(output)
    np.testing.assert_array_equal(spiking.infer(taken, images), spiking.infer(made, images))
    status, out, _ = stepnet("import", file, "--ticks", 3, "--json")
    assert json.loads(out) == {
        **{"network": "net", "digest": replace(taken, name="net").digest, "sizes": [36, 12, 10]},
        **{"ticks": 3, "coding": "rate", "rows": "spikes", "accuracy": None, "output": None},
    }


def test_what_does_not_go_with_spikes(stepnet, tmp_path):
    assert stepnet("import", tmp_path / "net.nir", "--pixels", "0..1")[2] == (
        "stepnet: Invalid value for --pixels and --ink-threshold: a .nir file takes spikes, not "
        "pixels.\n"
    )
    assert stepnet("import", tmp_path / "net.nir", "--coding", "phase")[2] == (
        "stepnet: Invalid value: There is no coding 'phase'; choose one of once, rate, latency.\n"
    )
    assert stepnet("import", tmp_path / "net.onnx", "--ticks", 3)[2] == (
        "stepnet: Invalid value for --ticks, --coding and --dt: they go with a .nir file.\n"
    )
    assert stepnet("export", "digits", "--to", "nir")[2].endswith(
        "holds a step network, not a spiking network; name one that `stepnet train --rule spiking` "
        "made.\n"
    )
