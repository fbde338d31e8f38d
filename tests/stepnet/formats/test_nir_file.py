"""Spiking networks as NIR files: there and back, from snnTorch, and what is refused."""

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
import snntorch
import torch
from snntorch.export_nir import export_to_nir

from stepnet.errors import NetworkError
from stepnet.formats.nir_file import read_nir, write_nir
from stepnet.networks import spiking
from stepnet.networks.network import Layer
from stepnet.networks.random_networks import random_images, random_spiking_network
from stepnet.networks.spiking import LOWEST_FLOOR, Coding, Rows


def sayable(network):
    """The network with what NIR has words for."""
    layers = [replace(each, reset=each.reset or 0, floor=LOWEST_FLOOR) for each in network.layers]
    if network.asked is Rows.POTENTIALS:
        last = layers[-1]
        step = Layer(last.step.weights, np.zeros(last.n_out), last.step.weight_bits)
        layers[-1] = replace(last, step=step)
    return replace(network, layers=tuple(layers))


@pytest.mark.parametrize("asked", Rows)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_there_and_back(tmp_path, asked, bits):
    rng = np.random.default_rng(bits)
    network = sayable(
        random_spiking_network(
            rng, (25, 14, 12, 10), ticks=5, weight_bits=bits, height=5, asked=asked
        )
    )
    path = write_nir(network, tmp_path / "net.nir")
    read = read_nir(path, ticks=5, alphabet=network.alphabet)
    for ours, theirs in zip(network.layers, read.layers, strict=True):
        np.testing.assert_array_equal(theirs.step.weights, ours.step.weights)
        np.testing.assert_array_equal(theirs.step.thresholds, ours.step.thresholds)
        np.testing.assert_array_equal(theirs.leaks, ours.leaks)
        assert theirs.decay_shift == ours.decay_shift
        assert theirs.reset == ours.reset
    assert read.asked is asked
    images = random_images(rng, network, 50)
    np.testing.assert_array_equal(spiking.row_sums(read, images), spiking.row_sums(network, images))


def test_what_snntorch_exports(tmp_path):
    """Step by step the same spikes; where half of a potential decays, it differs by what rounding
    takes, so weights are many units."""
    torch.manual_seed(4)
    unit = 0.01
    linears = [torch.nn.Linear(16, 12), torch.nn.Linear(12, 5)]
    for linear in linears:
        linear.weight.data = torch.randint(-100, 101, linear.weight.shape) * unit
        linear.bias.data = torch.randint(-20, 21, linear.bias.shape) * unit
    leakies = [
        snntorch.Leaky(
            beta=beta * torch.ones(n_out),
            threshold=torch.ones(n_out),
            init_hidden=True,
            reset_mechanism="zero",
            output=number == 1,
        )
        for number, (beta, n_out) in enumerate(((0.5, 12), (0.0, 5)))
    ]
    model = torch.nn.Sequential(linears[0], leakies[0], linears[1], leakies[1])
    path = tmp_path / "snntorch.nir"
    nir.write(path, export_to_nir(model, torch.rand(16)))
    network = read_nir(path, ticks=8, coding=Coding.RATE)
    assert [layer.decay_shift for layer in network.layers] == [1, 0]
    assert [layer.step.weight_bits for layer in network.layers] == [8, 8]
    images = random_images(np.random.default_rng(1), network, 60)
    coded = spiking.encode(network, images)
    (hidden, _), counts = spiking.simulate(network, coded)
    expected = euler(path, coded)
    assert (hidden == expected[0]).mean() > 0.995
    assert (counts == expected[1].sum(axis=1)).mean() > 0.98


def euler(path, coded, dt_s=1e-4):
    """The graph in float64, tick by tick, by the formulas of its nodes."""
    nodes = nir.read(path).nodes
    pairs = [(nodes["0"], nodes["1"]), (nodes["2"], nodes["3"])]
    potentials = [np.zeros((len(coded), len(neurons.tau))) for _, neurons in pairs]
    spikes = [[] for _ in pairs]
    for tick in range(coded.shape[1]):
        below = coded[:, tick].astype(float)
        for number, (inputs, neurons) in enumerate(pairs):
            share = dt_s / neurons.tau
            current = below @ inputs.weight.T.astype(float) + inputs.bias
            v = potentials[number]
            v = v + share * (neurons.v_leak - v + neurons.r * current)
            fired = v > neurons.v_threshold + 1e-6  # float32 says one of a hundred units inexactly
            potentials[number] = np.where(fired, neurons.v_reset, v)
            below = fired.astype(float)
            spikes[number].append(fired)
    return [np.stack(each, axis=1) for each in spikes]


def graph(neurons, weight=None, bias=None, edges=None):
    weight = np.array([[1.0, 2, 3, -1], [0, 1, 1, 2]]) if weight is None else weight
    inputs = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
    nodes = {
        "input": nir.Input(np.array([4])),
        "fc": inputs,
        "lif": neurons,
        "output": nir.Output(np.array([len(weight)])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, edges or list(pairwise(names)))


def lif(tau=2e-4, **changes):
    fields = {"r": 2.0, "v_leak": 0.0, "v_threshold": 2.5, "v_reset": 0.0, **changes}
    return nir.LIF(tau=np.full(2, tau), **{name: np.full(2, v) for name, v in fields.items()})


def refusal(tmp_path, made, **given):
    path = tmp_path / "given.nir"
    nir.write(path, made)
    with pytest.raises(NetworkError) as caught:
        read_nir(path, **{"ticks": 4, **given})
    return str(caught.value).replace(str(path), "FILE")


def test_what_cannot_be_said_in_whole_numbers(tmp_path):
    assert refusal(tmp_path, graph(lif(3e-4))) == (
        "The NIR node 'lif' keeps 0.666667 of a potential in a tick of 0.0001 s; give all its "
        "neurons a tau of 0.0001 s times 1, 2, 4 or another power of 2, or name another dt."
    )
    weights = np.array([[1.0, 2, 3, np.pi], [0, 1, 1, 2]])
    assert refusal(tmp_path, graph(lif(), weights)) == (
        "The NIR node 'fc' has weights, biases, leaks or resets that are no whole multiples, "
        "with weights of -128 to 127, of one unit; quantise it to 8 bits or fewer."
    )
    assert refusal(tmp_path, graph(lif(), bias=np.array([np.nan, 0]))) == (
        "The NIR node 'fc' has numbers that are not finite; train it anew."
    )
    several = lif()
    several.v_reset = np.array([0.0, 1.0])
    assert refusal(tmp_path, graph(several)) == (
        "The NIR node 'lif' resets its neurons to several potentials; give them one."
    )


def test_what_has_no_equal_here(tmp_path):
    ones = np.ones(2)
    cuba = nir.CubaLIF(tau_syn=ones, tau_mem=ones, r=ones, v_leak=ones, v_threshold=ones)
    assert refusal(tmp_path, graph(cuba)) == (
        "The NIR node 'lif' is a CubaLIF, which the spiking core does not have; it has LIF, IF and "
        "Threshold, and LI and I at the end."
    )
    square = np.eye(4)
    neurons = nir.Threshold(np.ones(4))
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output"), ("lif", "fc")]
    assert refusal(tmp_path, graph(neurons, square, edges=edges)) == (
        "The NIR node 'lif' goes on to 'output', 'fc'; give a graph in which each node goes on to "
        "one other, without recurrence."
    )
    inner = {"input": nir.Input(np.array([2])), "lif": lif(), "back": nir.Linear(np.eye(2))}
    inner["output"] = nir.Output(np.array([2]))
    loop = [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
    assert refusal(tmp_path, graph(nir.NIRGraph(inner, loop))) == (
        "The NIR node 'lif' makes the graph recurrent; the spiking core takes layers that follow "
        "each other alone."
    )
    assert refusal(tmp_path, graph(lif()), image_size=(3, 2)) == (
        "The NIR file 'FILE' takes 4 inputs, which are no image of 3 x 2; give its height and "
        "width."
    )


def test_files_that_are_none(tmp_path):
    with pytest.raises(NetworkError) as caught:
        read_nir(tmp_path / "none.nir", ticks=1)
    assert str(caught.value) == (
        f"There is no NIR file {str(tmp_path / 'none.nir')!r}; name one that `nir.write` made."
    )
    path = tmp_path / "text.nir"
    path.write_text("no HDF5")
    with pytest.raises(NetworkError) as caught:
        read_nir(path, ticks=1)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no NIR file or is damaged (OSError); name one that `nir.write` "
        "made."
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"reset": None},
            "subtracts its thresholds after a spike, and NIR only resets to a potential",
        ),
        ({"floor": -1}, "has potentials that do not fall below -1, and NIR knows no such limit"),
    ],
)
def test_what_nir_has_no_word_for(tmp_path, changes, reason):
    network = sayable(random_spiking_network(np.random.default_rng(0), (9, 8), ticks=2, height=3))
    (layer,) = network.layers
    with pytest.raises(NetworkError) as caught:
        write_nir(replace(network, layers=(replace(layer, **changes),)), tmp_path / "net.nir")
    assert str(caught.value) == (
        f"Layer 0 of 'random' {reason}; train it with `stepnet train --rule spiking`, which makes "
        "none like that."
    )
