"""Networks in arrays: exact where the cells are, and how they fade where they are not."""

import dataclasses

import numpy as np
import pytest

from small_networks import images_for, network_of_random_shape, small_network
from stepnet import Layer
from stepnet.analogue import ArraySettings, Thresholds
from stepnet.errors import AnalogueError
from stepnet.networks import reference
from stepnet_sim.analogue import pcm
from stepnet_sim.analogue.layers import ProgrammedLayer
from stepnet_sim.analogue.memory import PCM
from stepnet_sim.analogue.rows import Rows

EXACT_WIRES = ArraySettings(wire_ohm=0)
YEAR_S = 31_557_600


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def exact_cells(monkeypatch):
    """Cells that are what they should be, and all fade to a half at once after a day."""
    monkeypatch.setattr(pcm, "program", lambda target_us, random: target_us.copy())
    monkeypatch.setattr(
        pcm,
        "read",
        lambda programmed_us, exponents, seconds, random: (
            programmed_us * np.float32(0.5 if seconds >= 86_400 else 1)
        ),
    )


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tile_rows", [1000, 7])
def test_exact_cells_answer_as_the_reference(readout, seed, tile_rows, exact_cells):
    network = network_of_random_shape(readout, seed)
    images = images_for(network, 200, seed)
    settings = dataclasses.replace(EXACT_WIRES, tile_rows=tile_rows, tile_columns=6)
    programmed = PCM.program(network, settings, generator())
    expected = reference.infer(network, images)
    for seconds in (0, YEAR_S):
        # Thresholds in rows have faded with the weights, so nothing has changed.
        np.testing.assert_array_equal(
            programmed.after(seconds, generator()).infer(images), expected
        )


def test_fixed_thresholds_need_a_calibration_where_cells_fade(exact_cells):
    network = small_network(sizes=(30, 40, 7))
    images = images_for(network, 300)
    expected = reference.infer(network, images)

    def right(calibrated_after_s, seconds):
        settings = dataclasses.replace(
            EXACT_WIRES, thresholds=Thresholds.FIXED, calibrated_after_s=calibrated_after_s
        )
        programmed = PCM.program(network, settings, generator())
        return (programmed.after(seconds, generator()).infer(images) == expected).mean()

    assert right(None, 0) == 1
    assert right(None, YEAR_S) < 0.9
    assert right(86_400.0, YEAR_S) == 1
    assert right(2.0 * YEAR_S, YEAR_S) < 0.9  # it has not come yet


def test_the_sum_of_all_rows_is_positive_where_a_neuron_fires():
    random = generator(5)
    layer = Layer(random.integers(-100, 101, (9, 20)), random.integers(-300, 300, 9), 8)
    rows = Rows.with_thresholds(layer)
    count = len(rows.inputs) - 20
    assert count == np.ceil((np.abs(layer.thresholds - 0.5) / np.abs(layer.weights).max()).max())
    assert np.flatnonzero(rows.inputs == 20).tolist() == [
        place * (20 + count) // count for place in range(count)
    ]
    bits = random.integers(0, 2, (500, 20)).astype(np.uint8)
    driven = np.concatenate([bits, np.ones((500, 1), np.uint8)], axis=1)[:, rows.inputs]
    np.testing.assert_array_equal(driven @ rows.weights > 0, reference.fires(layer, bits) == 1)


def test_neurons_that_do_not_ask_their_inputs_have_full_cells():
    """As they stand, their weights of 1 in 127 would be lost in the spread of programming."""
    weights = np.array([[1, 1, 1], [1, 1, 1], [127, -90, 3]])
    layer = Layer(weights, [0, 4, 20], 8)
    rows = Rows.with_thresholds(layer)
    assert rows.weights[rows.inputs == 3].tolist() == [[127, -127, -19.5]]
    assert rows.weights[rows.inputs != 3].T.tolist() == [[0, 0, 0], [0, 0, 0], [127, -90, 3]]


def test_an_adc_of_one_bit_is_a_comparator():
    network = small_network(sizes=(30, 40, 7))
    images = images_for(network, 300)
    answers = []
    for adc_bits in (None, 1):
        settings = ArraySettings(adc_bits=adc_bits)
        programmed = PCM.program(network, settings, generator())
        answers.append(programmed.after(YEAR_S, generator(1)).infer(images))
    np.testing.assert_array_equal(*answers)


def test_an_adc_gives_the_middle_of_the_step_in_which_a_sum_lies(exact_cells):
    layer = Layer(np.ones((1, 4)), [2], 1)
    settings = dataclasses.replace(EXACT_WIRES, thresholds=Thresholds.FIXED, adc_bits=2)
    read = ProgrammedLayer(layer, settings, generator()).read(0, generator())
    # 1.5 for the threshold and three deviations of 1, in two steps either way.
    assert read.full_scales == pytest.approx([4.5])
    bits = np.tri(5, 4, -1, dtype=np.uint8)
    assert (read.excess(bits) + 1.5)[:, 0].tolist() == pytest.approx(
        [1.125, 1.125, 1.125, 3.375, 3.375]
    )


def test_a_dac_gives_the_nearest_of_its_steps(exact_cells):
    layer = Layer(np.ones((5, 12)), [3, 10, 2, 6, 8], 1)
    settings = dataclasses.replace(EXACT_WIRES, thresholds=Thresholds.FIXED, dac_bits=2)
    read = ProgrammedLayer(layer, settings, generator()).read(0, generator())
    # Four steps from -9.5 to 9.5, for 2.5, 9.5, 1.5, 5.5 and 7.5.
    third = 19 / 6
    assert read.limits.tolist() == pytest.approx([third, 9.5, third, third, 9.5])


def test_an_adc_of_few_bits_costs_accuracy_and_one_of_many_none(exact_cells):
    network = small_network(sizes=(30, 40, 7))
    images = images_for(network, 300)
    expected = reference.infer(network, images)

    def right(adc_bits):
        settings = dataclasses.replace(EXACT_WIRES, thresholds=Thresholds.FIXED, adc_bits=adc_bits)
        reader = PCM.program(network, settings, generator()).after(0, generator())
        return (reader.infer(images) == expected).mean()

    assert right(2) < right(4) < right(12) == 1


def test_an_array_keeps_its_cells_and_another_programming_has_others():
    layer = Layer(np.ones((20, 100)), np.full(20, 10), 1)
    first, second = (ProgrammedLayer(layer, EXACT_WIRES, generator(seed)) for seed in (1, 2))
    now, later = (first.read(seconds, generator(3)).weights for seconds in (0, YEAR_S))
    other = second.read(YEAR_S, generator(5)).weights
    weights = first.rows.inputs < 100
    assert 0.97 < now[weights].mean() < 1.01
    assert 0.47 < later[weights].mean() < 0.53
    # The drift is each cell's own, and stands still from one reading to the next.
    again = first.read(YEAR_S, generator(4)).weights
    assert np.corrcoef(later[weights].ravel(), again[weights].ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(later[weights].ravel(), other[weights].ravel())[0, 1]) < 0.1


def test_wires_take_most_from_the_far_end_of_a_large_array():
    layer = Layer(np.ones((4, 300)), np.full(4, 10), 1)
    for tile_rows, far in ((1000, 0.75), (30, 0.99)):
        settings = ArraySettings(wire_ohm=0.35, tile_rows=tile_rows)
        read = ProgrammedLayer(layer, settings, generator()).read(0, generator())
        weights = read.weights[read.inputs < 300]
        assert weights[-10:].mean() / weights[:10].mean() == pytest.approx(far, abs=0.06)


def test_deviations_are_none_in_exact_arrays(exact_cells):
    layer = small_network().layers[0]
    weights, thresholds = PCM.deviations(layer, EXACT_WIRES, YEAR_S, generator())
    assert weights.shape == layer.weights.shape
    assert thresholds.shape == layer.thresholds.shape
    assert np.abs(weights).max() < 1e-6
    assert np.abs(thresholds).max() < 1e-5


def test_deviations_are_those_of_a_programming():
    """Sums with deviating weights and thresholds are the currents, but for the common fading."""
    layer = small_network(seed=3).layers[0]
    weights, thresholds = PCM.deviations(layer, EXACT_WIRES, YEAR_S, generator(8))
    assert 0.08 < weights.std() < 0.2
    random = generator(8)
    read = ProgrammedLayer(layer, EXACT_WIRES, random).read(YEAR_S, random)
    bits = generator(9).integers(0, 2, (50, layer.n_in)).astype(np.uint8)
    sums = bits @ (layer.weights + weights).T - (layer.thresholds - 0.5 + thresholds)
    found = read.excess(bits)
    fading = (found * sums).sum() / (sums * sums).sum()
    assert 0.4 < fading < 0.6
    np.testing.assert_allclose(found / fading, sums, atol=1e-3)


def test_a_layer_larger_than_an_array_is_refused_without_tiling():
    network = small_network(sizes=(30, 12, 7))
    settings = ArraySettings(tile_rows=20, tile_columns=64, tiling=False)
    with pytest.raises(AnalogueError) as caught:
        PCM.program(network, settings, generator())
    rows = len(Rows.with_thresholds(network.layers[0]).inputs)
    assert str(caught.value) == (
        f"Layer 0 takes an array of {rows} x 24 cells, and the largest one has 20 x 64; allow "
        "tiling, or larger arrays."
    )
    assert PCM.program(network, dataclasses.replace(settings, tile_rows=rows), generator())


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_nothing_is_read_before_it_is_programmed(seconds):
    programmed = PCM.program(small_network(), ArraySettings(), generator())
    with pytest.raises(AnalogueError) as caught:
        programmed.after(seconds, generator())
    assert str(caught.value) == (
        f"A time of {seconds:g} s is not after programming; give 0 or a finite time above."
    )
