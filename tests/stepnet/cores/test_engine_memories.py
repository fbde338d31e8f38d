"""The engine's memories, read back by an independent model, and every refusal's whole sentence."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import engine_memory
from stepnet import Layer, Network, Readout
from stepnet.boards.identity import Identity, shape_fields
from stepnet.cores.engine.cycles import cycles_per_image, most_cycles_per_image
from stepnet.cores.engine.memory_image import (
    check_fits,
    enlarged,
    memory_image,
    stored_thresholds,
)
from stepnet.cores.engine.shape import EngineShape, popcount_latency_cycles
from stepnet.errors import NetworkError
from stepnet.link.messages import MAPS_IDENTITY, Space, pack_pixels
from stepnet.networks import reference
from stepnet.networks.convolution import Convolution
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_images,
    random_network,
)

SMALL = EngineShape(simd=8, max_inputs=64, weight_words=1024, parameter_words=64)
ALL_CODES = "".join(map(chr, range(128)))


def wide_network(rng, sizes, weight_bits, height=1, readout=Readout.BITS, **options):
    """Random weights, and thresholds some of which lie beyond every sum."""
    return random_network(rng, sizes, weight_bits, readout, height=height, spread=8.0, **options)


def codes_from_memory(network, shape, images):
    memory = memory_image(network, shape)
    return [
        engine_memory.run(
            memory.parameters.tobytes(), memory.weights.tobytes(), shape, pack_pixels(bits)
        )
        for bits in reference.binarise(network, images)
    ]


@st.composite
def shapes(draw):
    """Engines of any SIMD and PE that take 192 inputs and more."""
    simd = draw(st.sampled_from([8, 16, 24, 64]))
    pe = draw(st.integers(1, min(simd, 12)))
    lanes = draw(st.sampled_from([lanes for lanes in range(1, pe + 1) if pe % lanes == 0]))
    if pe // lanes > popcount_latency_cycles(simd) + 2:
        lanes = pe
    return EngineShape(
        simd,
        max_inputs=192,
        weight_words=1 << 15,
        parameter_words=1024,
        pe=pe,
        parameter_lanes=lanes,
        overlap_neurons=draw(st.sampled_from([0, 32, 192])),
    )


@settings(max_examples=150, deadline=None)
@given(
    shape=shapes(),
    inputs=st.integers(1, 150),
    hidden=st.lists(st.integers(1, 40), max_size=3),
    readout=st.sampled_from(Readout),
    data=st.data(),
)
def test_memories_hold_the_network(shape, inputs, hidden, readout, data):
    options = {}
    if readout is Readout.BITS:
        rows = data.draw(st.sampled_from([7, 8]))
    elif readout is Readout.TREE:
        depth = data.draw(st.integers(1, 7))
        rows = (1 << depth) - 1
        prefix = data.draw(st.integers(0, (1 << 8 - depth) - 1))
        options = {"code_prefix": format(prefix, f"0{8 - depth}b")}
    else:
        rows = data.draw(st.integers(1, 94))
        options = {"alphabet": "".join(chr(0x7E - row) for row in range(rows))}
    sizes = (inputs, *hidden, rows)
    weight_bits = [data.draw(st.integers(1, 8)) for _ in sizes[1:]]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    network = wide_network(rng, sizes, weight_bits, readout=readout, **options)
    images = rng.random((4, 1, inputs)) < 0.5
    expected = reference.infer(network, images).tolist()
    assert codes_from_memory(network, shape, images) == expected
    assert cycles_per_image(network, shape) <= most_cycles_per_image(shape)


def test_no_image_takes_more_cycles_than_the_bound():
    rng = np.random.default_rng(3)
    wide = wide_network(rng, (64, 64, 55, 7), (1, 1, 1))
    deep = wide_network(rng, (8, *[1] * 19, 2), (1,) * 20, alphabet="ab", readout=Readout.NEAREST)
    tree = wide_network(
        rng, (64, 127), (7,), alphabet=ALL_CODES, readout=Readout.TREE, code_prefix="0"
    )
    # Its path stays in the only group, whose words fill the memory.
    one_group = wide_network(
        rng, (4096, 7), (8,), alphabet="@A", readout=Readout.TREE, code_prefix="01000"
    )
    for network, shape in (
        (wide, SMALL),
        (wide, replace(SMALL, pe=8, parameter_lanes=2)),
        (deep, SMALL),
        (tree, replace(SMALL, weight_words=8192, parameter_words=256)),
        (one_group, EngineShape(8, 4096, 4096, 16, pe=8, parameter_lanes=2)),
    ):
        assert cycles_per_image(network, shape) <= most_cycles_per_image(shape), network.sizes
    assert cycles_per_image(wide, SMALL) > most_cycles_per_image(SMALL) / 2


@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_thresholds_no_sum_can_reach_act_the_same(weight_bits):
    rng = np.random.default_rng(weight_bits)
    (layer,) = wide_network(rng, (20, 7), (weight_bits,)).layers
    limits = np.iinfo(np.int32)
    lowest = np.minimum(layer.weights.astype(int), 0).sum(axis=1)
    highest = np.maximum(layer.weights.astype(int), 0).sum(axis=1)
    thresholds = [
        limits.min,
        limits.max,
        lowest[2],
        lowest[3] - 1,
        highest[4],
        highest[5] + 1,
        0,
    ]
    network = Network(
        "extreme", (Layer(layer.weights, thresholds, weight_bits),), 4, 5, alphabet=ALL_CODES
    )
    images = rng.random((64, 4, 5)) < 0.5
    # The two images at which each neuron's sum is the lowest and the highest.
    extremes = np.concatenate([layer.weights < 0, layer.weights > 0]).reshape(-1, 4, 5)
    images = np.concatenate([images, extremes])
    expected = reference.infer(network, images).tolist()
    assert codes_from_memory(network, SMALL, images) == expected


@pytest.mark.parametrize("weight_bits", range(1, 9))
def test_stored_thresholds_fit_the_sum(weight_bits):
    """Also at the widest layer, where the sums are the largest."""
    shape = EngineShape(simd=64, max_inputs=4032)
    limit = 1 << shape.sum_bits - 1
    smallest = -1 if weight_bits == 1 else -(1 << weight_bits - 1)
    for weight in (smallest, 1 if weight_bits == 1 else (1 << weight_bits - 1) - 1):
        for threshold in (np.iinfo(np.int32).min, np.iinfo(np.int32).max):
            layer = Layer(np.full((1, 4032), weight), [threshold], weight_bits)
            assert -limit <= stored_thresholds(layer)[0] < limit


def test_digest_is_the_crc_32_of_what_is_loaded():
    network = wide_network(np.random.default_rng(0), (20, 9, 7), (1, 3))
    memory = memory_image(network, SMALL)
    loaded = memory.parameters.tobytes() + memory.weights.tobytes()
    assert memory.digest == zlib.crc32(loaded)


def test_loads_name_word_and_lane():
    network = wide_network(np.random.default_rng(0), (20, 9, 7), (1, 3))
    fields = {"simd": 16, "max_inputs": 64, "weight_words": 1024, "parameter_words": 64}
    memory = memory_image(network, EngineShape(**fields, pe=3, parameter_lanes=3))
    loads = list(memory.loads(max_bytes=9))
    weights = [load for load in loads if load.space == Space.WEIGHTS]
    # Four values of two bytes at a time, three to a word of which two address bits count them.
    assert [load.address for load in weights[:4]] == [0b000, 0b101, 0b1010, 0b10000]
    assert b"".join(load.words for load in weights) == memory.weights.tobytes()
    assert b"".join(load.words for load in loads[: -len(weights)]) == memory.parameters.tobytes()


def test_memory_sizes():
    """Word 0, two headers and a threshold per neuron; whole words per row and bit plane."""
    network = wide_network(np.random.default_rng(0), (20, 9, 7), (1, 3))
    memory = memory_image(network, SMALL)
    assert memory.parameters.shape == (1 + 2 + 9 + 2 + 7, SMALL.parameter_bytes)
    assert memory.weights.shape == (9 * 1 * 3 + 7 * 3 * 2, 1)
    assert memory.parameters.dtype == memory.weights.dtype == np.uint8


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ({"simd": 12}, "An engine cannot have SIMD 12; choose a multiple of 8 from 8 to 1024."),
        ({"simd": 0}, "An engine cannot have SIMD 0; choose a multiple of 8 from 8 to 1024."),
        ({"simd": 2048}, "An engine cannot have SIMD 2048; choose a multiple of 8 from 8 to 1024."),
        (
            {"simd": 64, "max_inputs": 100},
            "An engine of SIMD 64 cannot take 100 inputs; choose a multiple of 64 up to 4096.",
        ),
        (
            {"simd": 64, "max_inputs": 0},
            "An engine of SIMD 64 cannot take 0 inputs; choose a multiple of 64 up to 4096.",
        ),
        (
            {"simd": 64, "max_inputs": 8192},
            "An engine of SIMD 64 cannot take 8192 inputs; choose a multiple of 64 up to 4096.",
        ),
        (
            {"max_weight_bits": 9},
            "An engine cannot have weights of 9 bits; choose 1 to 8.",
        ),
        (
            {"weight_words": 1},
            "An engine of PE 1 cannot have 1 weight words; choose 2 to 16777216.",
        ),
        (
            {"pe": 5, "parameter_lanes": 5, "weight_words": 1 << 22},
            "An engine of PE 5 cannot have 4194304 weight words; choose 2 to 2097152.",
        ),
        ({"pe": 0}, "An engine of SIMD 64 cannot have PE 0; choose 1 to 64."),
        ({"simd": 16, "pe": 17}, "An engine of SIMD 16 cannot have PE 17; choose 1 to 16."),
        (
            {"simd": 128, "pe": 65},
            "An engine of SIMD 128 cannot have PE 65; choose 1 to 64.",
        ),
        (
            {"pe": 6, "parameter_lanes": 4},
            "An engine of PE 6 cannot read 4 thresholds at a time; choose one of 1, 2, 3, 6.",
        ),
        (
            {"pe": 24, "parameter_lanes": 1},
            "An engine of PE 24 cannot read 1 thresholds at a time; "
            "choose one of 3, 4, 6, 8, 12, 24.",
        ),
        (
            {"max_sum_bits": 15},
            "An engine cannot have sums of 15 bits; choose 16 to 19, or 0 for 19.",
        ),
        (
            {"overlap_neurons": 1025},
            "An engine of 1024 inputs cannot compute 1025 neurons while pixels arrive; "
            "choose 0 to 1024.",
        ),
        (
            {"parameter_words": 8},
            "An engine cannot have 8 parameter words; choose 16 to 65536.",
        ),
        (
            {"weight_memory": "tape"},
            "There is no weight memory 'tape'; choose one of block, single_port, registered.",
        ),
    ],
)
def test_impossible_shapes(shape, sentence):
    with pytest.raises(NetworkError) as caught:
        EngineShape(**shape)
    assert str(caught.value) == sentence


LARGER = "; use a smaller network or an engine of a larger shape."


@pytest.mark.parametrize(
    ("sizes", "weight_bits", "limits", "sentence"),
    [
        (
            (65, 7),
            (1,),
            {},
            "Network 'random' does not fit the engine: layer 0 has 65 inputs, the engine takes up "
            "to 64" + LARGER,
        ),
        (
            (8, 70, 7),
            (1, 1),
            {"parameter_words": 128},
            "Network 'random' does not fit the engine: layer 0 has 70 neurons, the engine takes "
            "up to 64" + LARGER,
        ),
        (
            (8, 9, 7),
            (1, 5),
            {"max_weight_bits": 4},
            "Network 'random' does not fit the engine: layer 1 has 5 weight bits, the engine takes "
            "up to 4" + LARGER,
        ),
        (
            (16, 8, 7),
            (1, 3),
            {"weight_words": 36},
            "Network 'random' does not fit the engine: with layer 1 it needs 37 weight words of 8 "
            "bits, the engine has 36" + LARGER,
        ),
        (
            (16, 8, 7),
            (1, 1),
            {"parameter_words": 19},
            "Network 'random' does not fit the engine: its 2 layers and 15 neurons need 20 "
            "parameter words, the engine has 19" + LARGER,
        ),
    ],
)
def test_networks_that_do_not_fit(sizes, weight_bits, limits, sentence):
    network = wide_network(np.random.default_rng(0), sizes, weight_bits)
    fields = {"simd": 8, "max_inputs": 64, "weight_words": 1024, "parameter_words": 64}
    shape = EngineShape(**{**fields, **limits})
    with pytest.raises(NetworkError) as caught:
        memory_image(network, shape)
    assert str(caught.value) == sentence


def test_sums_have_to_fit():
    layers = (Layer(np.full((7, 192), 127), np.zeros(7), 8),)
    network = Network("heavy", layers, 1, 192, alphabet=ALL_CODES)
    fields = {"simd": 8, "max_inputs": 512, "weight_words": 2048, "parameter_words": 64}
    memory_image(network, EngineShape(**fields))
    heavier = Network("heavy", (Layer(np.full((7, 264), 127), np.zeros(7), 8),), 1, 264)
    with pytest.raises(NetworkError) as caught:
        memory_image(heavier, EngineShape(**fields, max_sum_bits=16))
    assert str(caught.value) == (
        "Network 'heavy' does not fit the engine: layer 0 has 17 bits in a sum, the engine takes "
        "up to 16" + LARGER
    )


def test_networks_that_just_fit():
    network = wide_network(np.random.default_rng(0), (64, 8, 7), (1, 3))
    check_fits(
        network,
        EngineShape(
            simd=8, max_inputs=64, weight_words=8 * 8 + 7 * 3, parameter_words=20, max_weight_bits=3
        ),
    )


def test_thresholds_of_the_nearest_rows_are_not_moved_and_have_to_fit():
    layer = Layer(np.ones((3, 8)), [0, 1 << 14, -5])
    shape = EngineShape(simd=8, max_inputs=64, weight_words=64, parameter_words=16)
    network = Network("near", (layer,), 2, 4, readout=Readout.NEAREST, alphabet="abc")
    with pytest.raises(NetworkError) as caught:
        memory_image(network, shape)
    assert str(caught.value) == (
        "Network 'near' does not fit the engine: its last layer has a threshold of 16384, the "
        "engine holds -16384 to 16383; move all thresholds of the layer by the same amount."
    )


@pytest.mark.parametrize(
    ("simd", "pe", "weight_words", "lanes"),
    [
        (64, 9, 512, [9]),
        (64, 10, 512, [5, 5]),
        (64, 1, 16384, [1]),
        (144, 8, 512, [4, 4]),
        (72, 24, 2048, [2] * 12),
        (96, 19, 512, [5, 5, 5, 4]),
        (288, 24, 512, [2] * 12),
    ],
)
def test_lanes_that_lie_far_apart_are_divided_into_neighbourhoods(simd, pe, weight_words, lanes):
    shape = EngineShape(simd, max_inputs=simd, weight_words=weight_words, pe=pe, parameter_lanes=pe)
    assert [len(neighbourhood) for neighbourhood in shape.neighbourhoods] == lanes
    assert [lane for lanes in shape.neighbourhoods for lane in lanes] == list(range(pe))
    assert shape.skew_cycles == len(lanes) - 1


def test_memory_with_a_single_port_is_one_neighbourhood():
    shape = EngineShape(64, max_inputs=64, pe=64, parameter_lanes=64, weight_memory="single_port")
    assert shape.neighbourhoods == (range(64),)
    assert shape.skew_cycles == 0


@st.composite
def convolution_networks(draw, largest_kernel):
    """Networks of one to three convolutions of every geometry over small images."""
    height, width = draw(st.integers(7, 12)), draw(st.integers(7, 12))
    sides, maps = (height, width), []
    for number in range(draw(st.integers(1, 3))):
        kernel = draw(st.integers(1, min(*sides, 4 if number else largest_kernel)))
        stride, padding = draw(st.sampled_from([1, 2])), draw(st.integers(0, kernel - 1))
        seen = Convolution(*sides, 1, kernel, stride, padding)
        pool = min(seen.windows_down, seen.windows_across) > 1 and draw(st.booleans())
        seen = replace(seen, pool=pool)
        sides = (seen.out_height, seen.out_width)
        bits = draw(st.sampled_from([1, 1, 3]))
        maps.append(RandomMap(draw(st.integers(1, 9)), kernel, stride, padding, pool, bits))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random_convolution_network(rng, height, width, maps, draw(st.sampled_from([0, 9])))


@settings(max_examples=100, deadline=None)
@given(shape=shapes(), data=st.data())
def test_memories_hold_convolutions(shape, data):
    network = data.draw(convolution_networks(shape.max_kernel))
    try:
        windows = data.draw(st.integers(1, 2 if shape.groups_per_word > 1 else 1))
        shape = enlarged(replace(shape, map_words=2, map_windows=windows), network)
    except NetworkError:  # no engine is as large
        reject()
    images = random_images(np.random.default_rng(0), network, 3)
    expected = reference.infer(network, images).tolist()
    assert codes_from_memory(network, shape, images) == expected
    assert cycles_per_image(network, shape) <= most_cycles_per_image(shape)


def map_refusal(shape, height, width, *maps):
    network = random_convolution_network(np.random.default_rng(0), height, width, maps)
    with pytest.raises(NetworkError) as caught:
        check_fits(network, shape)
    return str(caught.value)


def test_convolutions_that_an_engine_cannot_walk_are_refused():
    shape = EngineShape(16, max_inputs=256, weight_words=1024, parameter_words=256, map_words=64)
    assert map_refusal(replace(shape, map_words=0), 9, 9, RandomMap(4, 3)) == (
        "Network 'random' does not fit the engine: layer 0 is a convolution, whose address "
        "arithmetic this engine was built without; build one with `stepnet build --goal images "
        "--engine-for random`, or use a network of dense layers."
    )
    assert map_refusal(shape, 9, 9, RandomMap(4, 5)) == (
        "Network 'random' does not fit the engine: layer 0 has a kernel of 5 x 5 over the image, "
        "and an engine of SIMD 16 takes up to 4 x 4; use a smaller kernel or an engine of SIMD 32 "
        "or more."
    )
    assert map_refusal(shape, 9, 1, RandomMap(4, 1)) == (
        "Network 'random' does not fit the engine: layer 0 is a convolution over an image of one "
        "column; use an image of two columns or more."
    )
    assert map_refusal(shape, 255, 4, RandomMap(4, 3, padding=1)) == (
        "Network 'random' does not fit the engine: layer 0 sees a map of 257 rows or columns, the "
        "engine walks up to 256; use a smaller map."
    )
    assert map_refusal(shape, 10, 10, RandomMap(17, 2)) == (
        "Network 'random' does not fit the engine: layer 0 gives a map of 162 words of 16 bits, "
        "the engine has 64; use a smaller network or an engine of a larger shape."
    )
    assert map_refusal(shape, 9, 9, RandomMap(20, 2, 2), RandomMap(3, 4)) == (
        "Network 'random' does not fit the engine: layer 1 has 512 inputs, the engine takes up to "
        "256; use a smaller network or an engine of a larger shape."
    )


def test_an_engine_that_evaluates_two_windows_at_once_takes_answers_of_few_words():
    shape = EngineShape(
        16,
        max_inputs=512,
        weight_words=1024,
        parameter_words=512,
        map_words=512,
        map_windows=2,
    )
    assert map_refusal(shape, 3, 3, RandomMap(257, 3)) == (
        "Network 'random' does not fit the engine: layer 0 gives 17 words of 16 bits at a "
        "position, and an engine that evaluates two windows at once takes up to 16; use a smaller "
        "network, or an engine that evaluates one."
    )


@pytest.mark.parametrize("maps", [{}, {"map_words": 4096}, {"map_words": 64, "map_windows": 2}])
def test_a_board_tells_the_shape_of_its_engine(maps):
    shape = EngineShape(16, max_inputs=256, weight_words=512, parameter_words=64, pe=4, **maps)
    others = dict.fromkeys(MAPS_IDENTITY.fields.keys() - {"kind", "sequence"}, 0)
    assert Identity(**{**others, **shape_fields(shape)}).shape == shape


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (
            {"map_words": 1},
            "An engine cannot have maps of 1 words; choose 2 to 4096, or 0 for none.",
        ),
        (
            {"map_words": 2, "map_windows": 3},
            "An engine cannot evaluate 3 windows at once; choose 1 to 2.",
        ),
        (
            {"map_windows": 2},
            "An engine without convolutions has no windows to evaluate two at once; give it maps, "
            "or choose 1 window.",
        ),
        (
            {"map_words": 2, "map_windows": 2, "pe": 33, "parameter_lanes": 33},
            "An engine of SIMD 64 and PE 33 cannot evaluate two windows at once; choose PE 1 to "
            "32, or 1 window.",
        ),
    ],
)
def test_maps_that_no_engine_has(shape, sentence):
    with pytest.raises(NetworkError) as caught:
        EngineShape(**shape)
    assert str(caught.value) == sentence
