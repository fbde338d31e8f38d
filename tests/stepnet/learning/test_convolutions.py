"""Convolutions under training: they learn what stands anywhere, and are exported exactly."""

import dataclasses

import numpy as np
import pytest
import torch

from step_models import as_network, random_model
from stepnet.data.sets import Dataset
from stepnet.errors import NetworkError, TrainingError
from stepnet.learning import Config, Run, train
from stepnet.learning.convolution_sizes import (
    ConvolutionSize,
    read_convolutions,
    write_convolutions,
)
from stepnet.learning.starting import config_from
from stepnet.learning.surrogate import SurrogateLearner
from stepnet.networks import reference
from stepnet.networks.network import Readout

pytestmark = pytest.mark.slow

SHAPES = ["3x3x5p", "5x5x6s2,3x3x7+1", "2x2x7+1p,4x4x5s2+3p,1x1x4", "3x3x4s2p,2x2x3"]

SMALL = Config(
    convolutions=read_convolutions("3x3x16p"),
    hidden=(24,),
    readout=Readout.NEAREST,
    weight_bits=(1, 1, 4),
    epochs=12,
    batch_size=25,
    learning_rate=0.1,
    augmentation=0,
    seed=3,
)


def crosses(count=500, seed=0):
    """Images of 10 x 10 with a cross, a box or a corner of 3 x 3 pixels somewhere."""
    random = np.random.default_rng(seed)
    shapes = {
        "X": ("# #", " # ", "# #"),
        "O": ("###", "# #", "###"),
        "L": ("#  ", "#  ", "###"),
    }
    labels = random.choice(list(shapes), count)
    images = np.zeros((count, 10, 10), np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = random.integers(0, 8, 2)
        image[y : y + 3, x : x + 3] = [[255 * (c == "#") for c in row] for row in shapes[label]]
    return Dataset(images, np.array([ord(label) for label in labels], np.uint8))


def part_right(network, dataset):
    return (reference.infer(network, dataset.images) == dataset.labels).mean()


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("kind", [1, "ternary", 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_activation_is_the_same_after_export(shape, kind, readout):
    convolutions = read_convolutions(shape)
    bits = (kind,) * (len(convolutions) + 2)
    model = random_model(((13, 12), 9), bits, readout, convolutions=convolutions)
    images = np.random.default_rng(1).random((200, 13, 12)) < 0.5
    pixels = torch.from_numpy(images).flatten(1)
    model.set_statistics(pixels)
    network = as_network(model, 13, 12)
    exported = reference.activations(network, images)[1:]
    trained = [state.numpy() for state in model.activations(pixels.float())]
    for ours, theirs in zip(trained[:-1], exported[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(trained[-1], exported[-1][:, model.lesson.targets.trained_rows])
    assert exported[0].std() > 0.02


@torch.no_grad()
def test_the_statistics_are_those_of_the_sums_that_count():
    """With batches of one image as with all at once: sums are integers."""
    model = random_model(((9, 9), 8), (1, 1, 1), convolutions=read_convolutions("3x3x4p"))
    pixels = torch.from_numpy(np.random.default_rng(0).random((40, 81)) < 0.5)
    layer = model.layers[0]
    layer.set_statistics([pixels])
    at_once = layer.mean, layer.variance
    layer.set_statistics(list(pixels.split(1)))
    assert torch.equal(layer.mean, at_once[0])
    assert torch.equal(layer.variance, at_once[1])
    sums = reference.sums(layer.export(), layer.convolution.windows(pixels.numpy().view(np.uint8)))
    largest = sums[:, :6, :6].reshape(40, 3, 2, 3, 2, 4).max(axis=(2, 4))
    np.testing.assert_allclose(layer.mean.numpy(), largest.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_it_learns_what_stands_anywhere():
    network = train(SMALL, crosses())
    assert part_right(network, crosses(seed=1)) > 0.95
    assert network.sizes == (100, 4 * 4 * 16, 24, 3)
    assert network.convolves


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    config = dataclasses.replace(
        SMALL, epochs=2, auxiliary=0.5, distillation=0.5, teacher_epochs=1, augmentation=0.5
    )

    def stop(progress):
        if progress.images_done >= 1200:
            raise KeyboardInterrupt

    expected = train(config, crosses())
    run = Run.open(tmp_path, config, crosses(), {})
    with pytest.raises(KeyboardInterrupt):
        train(config, crosses(), run=run, on_progress=stop)
    again = Run.open(tmp_path, config, crosses(), {})
    assert len(again.records) == 2
    assert train(config, crosses(), run=again).digest == expected.digest


@pytest.mark.parametrize("readout", Readout)
def test_learning_goes_on_from_a_network_with_convolutions(readout, tmp_path):
    images = crosses(100)
    config = dataclasses.replace(
        SMALL, convolutions=read_convolutions("3x3x4p,2x2x5s2+1"), weight_bits=(1, 2, 1, 4)
    )
    network = train(dataclasses.replace(config, readout=readout, epochs=1), images)
    again = config_from(network, Config(start="any"))
    assert again.convolutions == config.convolutions
    assert (again.hidden, again.weight_bits) == ((24,), (1, 2, 1, 4))
    exported = SurrogateLearner(again, images, network).export("again")
    others = crosses(seed=2)
    np.testing.assert_array_equal(
        reference.infer(exported, others.images), reference.infer(network, others.images)
    )


def test_sizes_are_read_as_they_are_written():
    sizes = (
        ConvolutionSize(5, 32, pool=True),
        ConvolutionSize(3, 64, 2, 1),
        ConvolutionSize(1, 8, 2, 0, True),
        ConvolutionSize(3, 16, 1, 2, True),
    )
    text = "5x5x32p,3x3x64s2+1,1x1x8s2p,3x3x16+2p"
    assert write_convolutions(sizes) == text
    assert read_convolutions(text) == sizes
    assert read_convolutions(" 5x5x32p, 3x3x64s2+1 ") == sizes[:2]
    assert read_convolutions("") == ()


@pytest.mark.parametrize("word", ["5x5", "5x3x32", "5x5x32q", "5x5x32ps2", "x", "5x5x-1"])
def test_what_is_no_convolution(word):
    with pytest.raises(TrainingError) as caught:
        read_convolutions(f"3x3x8,{word}")
    assert str(caught.value) == (
        f"The convolution {word!r} is none; give KERNELxKERNELxCHANNELS like 5x5x32, then s2 for "
        "stride 2, +1 for a border of one position and p for pooling, where wanted, like "
        "3x3x64s2+1p."
    )


def test_convolutions_without_channels():
    with pytest.raises(TrainingError) as caught:
        Config(convolutions=read_convolutions("3x3x0"))
    assert str(caught.value) == (
        "The convolutions 3x3x0 hold one without channels; give at least 1 for each."
    )


def test_more_channels_than_anybody_means():
    with pytest.raises(TrainingError) as caught:
        Config(convolutions=read_convolutions("3x3x65537"))
    assert str(caught.value) == (
        "The convolutions 3x3x65537 hold one of more than 65536 channels; give fewer."
    )


@pytest.mark.parametrize("rule", ["delta", "sigmoid", "lut"])
def test_other_rules_do_not_convolve(rule):
    with pytest.raises(TrainingError) as caught:
        Config(rule=rule, convolutions=read_convolutions("3x3x8"))
    assert str(caught.value) == (
        f"The rule {rule} knows no setting convolutions, but it is 3x3x8; leave it out, or choose "
        "rule surrogate."
    )


def test_convolutions_that_do_not_fit_the_image_leave_no_folder(tmp_path):
    words = "3x3x8p,3x3x8p,3x3x8"
    config = dataclasses.replace(SMALL, weight_bits=1, convolutions=read_convolutions(words))
    with pytest.raises(NetworkError) as caught:
        Run.open(tmp_path / "run", config, crosses(), {})
    assert str(caught.value) == (
        "A kernel of 3 x 3 is larger than its input of 1 x 1 positions; give a smaller kernel, or "
        "pad the input."
    )
    assert not (tmp_path / "run").exists()


def test_weight_bits_are_counted_for_convolutions_too():
    with pytest.raises(TrainingError) as caught:
        dataclasses.replace(SMALL, weight_bits=(1, 4))
    assert str(caught.value) == (
        "There are 2 numbers of weight bits for 3 layers; give one for all, or one for each layer."
    )


def test_a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError) as caught:
        train(dataclasses.replace(SMALL, device="cuda"), crosses())
    assert str(caught.value) == (
        "The device is cuda, but torch finds no GPU here; leave out --device, or install a torch "
        "that is built for the GPU."
    )


def test_a_device_that_there_is_not():
    with pytest.raises(TrainingError) as caught:
        Config(device="tpu")
    assert str(caught.value) == "There is no device 'tpu'; choose one of cpu, cuda."


@pytest.mark.parametrize("readout", Readout)
def test_everything_lies_on_the_device(readout):
    """On torch's device without memory, where no tensor of the CPU may take part."""
    device = torch.device("meta")
    model = random_model(((9, 9), 8), (1, 1, 1), readout, convolutions=read_convolutions("3x3x4p"))
    model.to(device)
    _, excess = model.forward(torch.zeros(5, 81, device=device))
    loss = model.lesson.loss(excess, torch.zeros(5, 10, device=device))
    loss.backward()
    for tensor in model.parameters().values():
        assert tensor.device == device
        assert tensor.grad is not None
        assert tensor.grad.device == device


def test_arrays_hold_no_convolutions():
    sizes = read_convolutions("3x3x4p")
    with pytest.raises(TrainingError) as caught:
        Config(hidden=(), convolutions=sizes, analogue="pcm")
    assert str(caught.value) == (
        "Arrays of pcm hold no convolutions, but there are 3x3x4p; leave out convolutions or "
        "analogue."
    )
