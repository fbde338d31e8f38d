"""Real numbers as integers times a unit, staircases, and rankings: the small parts of an import."""

import numpy as np
import pytest

from stepnet.formats.levels import multiples, row_multiples, to_halves
from stepnet.formats.staircase import by_bisection, by_looking
from stepnet.formats.steps import copies_for, shared_out


@pytest.mark.parametrize("scale", [1, 0.1, 0.7, 1 / 3, 1e-6, 123.456])
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_quantised_weights_are_found_again(scale, bits):
    random = np.random.default_rng(bits)
    half = 1 << bits - 1
    integers = random.choice([-1, 1], 200) if bits == 1 else random.integers(-half, half, 200)
    integers[:2] = 1, -half
    found = multiples((integers * np.float32(scale)).astype(np.float32), 128)
    np.testing.assert_array_equal(found.integers, integers)
    assert found.unit == pytest.approx(scale, rel=1e-6)


def test_the_largest_unit_is_taken():
    assert multiples(np.array([4.0, -8, 0, 12])).unit == 4
    assert multiples(np.array([4.0, 6])).integers.tolist() == [2, 3]
    assert multiples(np.zeros(3)).integers.tolist() == [0, 0, 0]


def test_numbers_that_are_no_multiples_are_not_taken_for_some():
    random = np.random.default_rng(0)
    assert multiples(random.normal(0, 1, 20).astype(np.float32), 128) is None
    assert multiples(np.array([1.0, 300]), 128) is None
    assert multiples(np.array([1.0, 1.001]), 128) is None


def test_rows_may_have_a_unit_each():
    rows = np.array([[0.5, -0.5, 1.5], [0.7071, 0, -1.4142]], np.float32)
    found = row_multiples(rows, 128)
    assert found.integers.tolist() == [[1, -1, 3], [1, 0, -2]]
    np.testing.assert_allclose(found.units, [0.5, 0.7071], rtol=1e-6)
    # One for all is preferred, even if each row could have a larger one.
    assert row_multiples(np.array([[0.5, -1], [0.75, 0]])).units.tolist() == [0.25, 0.25]
    assert row_multiples(np.array([[1, 2, 3], [0.1, 0.23457, 0.9]]), 128) == 1


def test_halves_are_made_exact():
    assert to_halves(np.array([0.49999999, -1.5000001, 0.3])).tolist() == [0.5, -1.5, 0.3]


def staircase_by_hand(function, lowest, highest):
    """(first, [(threshold, value), ...]) of one function, asked for every integer."""
    values = [function(integer) for integer in range(lowest, highest + 1)]
    steps = [
        (lowest + place, values[place])
        for place in range(1, len(values))
        if values[place] != values[place - 1]
    ]
    return values[0], steps


@pytest.mark.parametrize("find", [by_bisection, by_looking])
def test_staircases_are_found_step_by_step(find):
    """Five functions at once: rising, falling, constant, of two steps, and one whose step is at an
    end."""
    functions = [
        lambda x: np.where(x >= 3, 1, -1),
        lambda x: np.where(x > -2, 0, 5),
        lambda x: 0 * x + 7,
        lambda x: np.clip(x // 4, -1, 1),
        lambda x: np.where(x >= 20, 1, 0),
    ]
    lowest, highest = np.full(5, -20), np.array([20, 20, 20, 9, 20])

    def together(integers):
        columns = zip(functions, integers.T, strict=True)
        return np.stack([function(column) for function, column in columns], axis=1)

    found = find(together, lowest, highest, 4)
    for number, function in enumerate(functions):
        own = found.neuron == number
        first, steps = staircase_by_hand(function, -20, int(highest[number]))
        assert found.first[number] == first
        assert list(zip(found.threshold[own], found.value[own], strict=True)) == steps


def test_a_function_that_rises_and_falls_is_found_by_looking():
    found = by_looking(np.abs, np.array([-3]), np.array([3]), 10)
    assert found.threshold.tolist() == [-2, -1, 0, 1, 2, 3]
    assert found.value.tolist() == [2, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("find", [by_bisection, by_looking])
def test_more_steps_than_the_limit_are_not_looked_for(find):
    assert find(lambda x: x, np.array([0]), np.array([5]), 4) is None
    assert find(lambda x: x, np.array([0]), np.array([5]), 5) is not None


def test_too_many_integers_are_not_asked_for():
    assert by_looking(np.sign, np.array([-(1 << 30)]), np.array([1 << 30]), 5) is None


def test_weights_are_shared_among_copies():
    rows = np.array([[1, 128, -129, 400], [0, -3, 5, -400]])
    copies = copies_for(rows)
    assert copies.tolist() == [1, 2, 2, 4]
    shared = shared_out(rows, copies)
    assert shared.min() >= -128
    assert shared.max() <= 127
    starts = np.cumsum(copies) - copies
    np.testing.assert_array_equal(np.add.reduceat(shared, starts, axis=1), rows)
