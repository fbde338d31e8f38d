"""Wires: the formulas against Kirchhoff's laws, solved node by node."""

import numpy as np
import pytest

from stepnet_sim.analogue import wires


def solved(conductances_us, column_ohm, row_ohm, voltages):
    """The currents at the ends of the columns, (columns,), by solving for the voltage of every
    node: of a row's wire and of a column's wire at each cell.

    voltages: (rows,), at the rows' ends before column 0; columns end at 0 V before row 0.
    """
    rows, columns = conductances_us.shape
    cells = conductances_us.astype(np.float64) * 1e-6
    node = np.arange(2 * rows * columns).reshape(2, rows, columns)
    matrix = np.zeros((node.size, node.size))
    currents = np.zeros(node.size)

    def connect(one, other, siemens):
        for here, there in ((one, other), (other, one)):
            matrix[here, here] += siemens
            matrix[here, there] -= siemens

    for row in range(rows):
        for column in range(columns):
            of_row, of_column = node[:, row, column]
            connect(of_row, of_column, cells[row, column])
            if column:
                connect(node[0, row, column - 1], of_row, 1 / row_ohm)
            else:
                matrix[of_row, of_row] += 1 / row_ohm
                currents[of_row] += voltages[row] / row_ohm
            if row:
                connect(node[1, row - 1, column], of_column, 1 / column_ohm)
            else:
                matrix[of_column, of_column] += 1 / column_ohm
    found = np.linalg.solve(matrix, currents)
    return found[node[1, 0]] / column_ohm


@pytest.fixture
def array():
    """Conductances of 12 x 8 cells, and bits on the rows."""
    random = np.random.default_rng(3)
    conductances = random.uniform(0, 25, (12, 8)).astype(np.float32)
    return conductances, random.integers(0, 2, 12).astype(np.float64)


def test_columns_alone_are_exact(array):
    conductances, bits = array
    ohm = 2000.0  # so much that less than half arrives from the far end
    share = wires.shares(conductances, ohm)
    assert share[-1].max() < 0.5
    expected = solved(conductances, ohm, 1e-3, bits) * 1e6
    np.testing.assert_allclose(bits @ (conductances * share), expected, rtol=1e-4)


def test_rows_and_columns_are_right_to_the_first_order(array):
    conductances, bits = array
    ohm = 20.0
    ideal = bits @ conductances
    expected = solved(conductances, ohm, ohm, bits) * 1e6
    found = bits @ wires.counted(conductances, ohm)
    assert np.abs(expected / ideal - 1).max() > 0.02  # the wires are felt
    np.testing.assert_allclose(found, expected, rtol=0.002)


def test_wires_without_resistance_cost_nothing(array):
    conductances, _ = array
    np.testing.assert_array_equal(wires.counted(conductances, 0), conductances)
