"""The weight memory of a multiply-accumulate core: what its words compute, and what fits."""

import zlib

import numpy as np
import pytest

from stepnet.boards.identity import read_identity
from stepnet.cores.mac.cycles import cycles_per_image, utilisation
from stepnet.cores.mac.layout import check_fits, layer_plans, weight_image, words_needed
from stepnet.cores.mac.program import Choice, multiplications
from stepnet.cores.mac.shape import MacShape
from stepnet.errors import LinkError, NetworkError
from stepnet.link.messages import IDENTITY, PROTOCOL_VERSION, Answer, Core, Space
from stepnet.networks import kinds
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_relu_network, random_sigmoid_network
from stepnet.networks.relu import ReluLayer, ReluNetwork
from stepnet.networks.sigmoid import TABLE

SHAPE = MacShape(lanes=8, weight_words=256, max_pixels=64, max_hidden=32)


SIGMOID_SHAPE = MacShape(weight_words=256, max_pixels=64, max_hidden=32, sigmoid=True)


def network(sizes=(20, 9, 17), seed=0):
    return random_relu_network(np.random.default_rng(seed), sizes, height=4)


def chosen(sums, choice):
    """The number that the last sums choose."""
    if choice == Choice.LARGEST:
        return sums.index(max(sums))
    if choice == Choice.BITS:
        return sum((each >= 0) << place for place, each in enumerate(sums))
    node = 1
    while node <= len(sums):
        node = 2 * node + (sums[node - 1] >= 0)
    return node


def of_memory(words, image, *, sigmoid=False):
    """The character's code, computed from the words alone, as docs/mac.md tells it."""
    signed = words.view(np.int8).astype(int)
    place, state = 1, image.flatten().astype(int).tolist()
    while True:
        header = words[place].tolist()
        steps, inputs = header[0] + 256 * header[1] + 1, header[2] + 256 * header[3]
        groups, multiplier, flags, last_neurons = header[4:8]
        given = [*state[:inputs], *[255] * (steps - inputs - 1), 1]
        assert len(given) == steps
        place += 1
        sums = []
        for _ in range(groups + 1):
            group = sum(a * signed[place + step] for step, a in enumerate(given))
            sums += group.tolist()
            place += steps
        sums = sums[: len(sums) - words.shape[1] + last_neurons + 1]
        multiplier += header[8] << 8 if sigmoid else 0
        if flags >> 7:
            return words[place:].flatten()[chosen(sums, header[9] if sigmoid else Choice.LARGEST)]
        if sigmoid:
            steps = [multiplier * each >> (flags & 0x3F) for each in sums]
            state = [int(TABLE[min(max(128 + step, 0), 255)]) for step in steps]
            continue
        shift = (flags & 0x3F) + 1
        state = [min(max(each, 0) * multiplier + (1 << shift - 1) >> shift, 255) for each in sums]


@pytest.mark.parametrize("sizes", [(20, 5), (20, 9, 17), (20, 30, 8, 6)])
def test_the_words_compute_the_network(sizes):
    net = network(sizes)
    images = np.random.default_rng(1).integers(0, 2, (20, 4, 5)) == 1
    words = weight_image(net, SHAPE).words
    assert [of_memory(words, image) for image in images] == kinds.infer(net, images).tolist()


@pytest.mark.parametrize(
    ("sizes", "readout", "prefix"),
    [
        ((20, 9, 5), Readout.NEAREST, ""),
        ((20, 9, 17, 7), Readout.BITS, ""),
        ((20, 31, 31), Readout.TREE, "011"),
    ],
)
def test_the_words_compute_the_integer_twin_of_a_sigmoid_network(sizes, readout, prefix):
    net = random_sigmoid_network(np.random.default_rng(3), sizes, 4, readout, prefix)
    images = np.random.default_rng(1).integers(0, 2, (20, 4, 5)) == 1
    words = weight_image(net, SIGMOID_SHAPE).words
    codes = [of_memory(words, image, sigmoid=True) for image in images]
    assert codes == kinds.infer(net, images).tolist()
    assert len(set(codes)) > 2


def test_biases_of_any_size():
    """127 * 255 + 127 is the largest that two words hold."""
    for bias, steps in ((127, 0), (-382, 1), (32512, 1), (32513, 2), (-32767, 1), (-32768, 2)):
        layer = ReluLayer(np.ones((2, 20), np.int8), np.array([bias, 0]))
        net = ReluNetwork("bias", (layer,), 4, 5, readout="nearest", alphabet="ab")
        assert layer_plans(net, SHAPE)[0].high_steps == steps
        words = weight_image(net, SHAPE).words
        by_step = words[2 : 2 + 21 + steps, 0].view(np.int8).astype(int)
        assert by_step[20:-1].sum() * 255 + by_step[-1] == bias


def test_the_loads_are_the_words_in_order_and_the_digest_is_theirs():
    image = weight_image(network(), SHAPE)
    loads = list(image.loads(33))
    assert {load.space for load in loads} == {Space.WEIGHTS}
    assert [load.address for load in loads] == list(range(0, image.words.size, 33))
    content = b"".join(load.words for load in loads)
    assert content == image.words.tobytes()
    assert image.digest == zlib.crc32(content)
    assert image.image_bytes == 3


def test_words_of_two_reads_cost_a_cycle_each():
    net = network((64, 32, 10))
    whole = MacShape(weight_words=512, max_pixels=64, max_hidden=32)
    halves = MacShape(weight_words=512, max_pixels=64, max_hidden=32, wide_words=100)
    more = words_needed(net, whole) - 100
    assert cycles_per_image(net, halves) == cycles_per_image(net, whole) + more
    busy = multiplications(net) / (16 * cycles_per_image(net, whole))
    assert utilisation(net, whole) == busy


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (
            (68, 5),
            "its images have 68 pixels, the core takes 64; take a network of smaller images.",
        ),
        (
            (20, 33, 5),
            "layer 0 has 33 neurons, the core holds the answers of 32; train with fewer --hidden "
            "neurons.",
        ),
        (
            (64, 32, 5),
            "it takes 302 words of 8 weights, 46 more than the 256 of the core; train with fewer "
            "--hidden neurons.",
        ),
    ],
)
def test_what_does_not_fit(sizes, sentence):
    with pytest.raises(NetworkError) as caught:
        check_fits(network(sizes), SHAPE)
    told = "Network 'random' does not fit the multiply-accumulate core: "
    assert str(caught.value) == told + sentence


def test_sums_that_are_too_large():
    layers = (
        ReluLayer(np.ones((300, 20), np.int8), np.zeros(300, np.int32), 255, 1),
        ReluLayer(np.full((2, 300), 127, np.int8), np.zeros(2, np.int32)),
    )
    net = ReluNetwork("large", layers, 4, 5, readout="nearest", alphabet="ab")
    with pytest.raises(NetworkError) as caught:
        check_fits(net, MacShape(weight_words=4096, max_hidden=512))
    assert str(caught.value) == (
        "Network 'large' does not fit the multiply-accumulate core: a sum of layer 1 may reach "
        "9,715,500, an accumulator holds less than 8,388,608; train with fewer --hidden neurons."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"lanes": 12},
        {"max_hidden": 100},
        {"lanes": 8, "wide_words": 10},
        {"lanes": 8, "sigmoid": True},
    ],
)
def test_shapes_that_there_are_not(changes):
    fields = {"lanes": 16, "max_hidden": 128, "wide_words": None, **changes}
    with pytest.raises(NetworkError) as caught:
        MacShape(weight_words=256, **fields)
    assert str(caught.value) == (
        f"There is no multiply-accumulate core of {fields['lanes']} lanes, 256 words of weights, "
        f"1024 pixels, {fields['max_hidden']} hidden neurons and {fields['wide_words']} wide "
        f"words{' for sigmoid networks' if 'sigmoid' in changes else ''}; choose 8, 16, 32, 64 "
        "lanes, and see MacShape for the rest."
    )


def test_a_board_that_says_of_its_core_what_cannot_be():
    fields = dict.fromkeys(IDENTITY.fields, 0) | {
        "kind": Answer.IDENTITY,
        "protocol_version": PROTOCOL_VERSION,
        "core": Core.MAC,
        "simd": 7,
        "weight_words": 100,
    }
    with pytest.raises(LinkError) as caught:
        read_identity(IDENTITY.pack(**fields), "the port")
    assert str(caught.value) == (
        "The board at 'the port' says that it has a multiply-accumulate core of 7 lanes with 100 "
        "words, which cannot be; build its bitstream again."
    )


def test_only_step_networks_are_taken_where_nothing_else_is_offered():
    with pytest.raises(NetworkError) as caught:
        kinds.step_network(network(), "the page")
    assert str(caught.value) == (
        "The network 'random' multiplies 8-bit weights and activations, which the page does not "
        "offer; name a step network."
    )
