"""What the resistance of the wires in an array costs.

The cells along a wire are a ladder: from one cell to the next the wire has `wire_ohm`, and each
cell leads from its node to something at 0 V. Whatever voltages drive the ladder, it is linear; so
each cell's share in what arrives at the wire's end does not depend on the others' inputs. With D
the tridiagonal matrix of the wire (2 on the diagonal, 1 in the last place, -1 beside it), G the
cells' conductances and e the first unit vector, the share is

    y = (D + wire_ohm G)^-1 e

and by reciprocity that is also the part of the voltage at the wire's end that a cell gets. A column
takes currents to its end, a row brings voltages from its end, so a cell at both counts

    g y_row y_column

as much as without wires. For columns alone that is exact. With both it leaves out that the voltage
along a column reaches into the rows, an effect of second order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shares(conductances_us: NDArray[np.float32], wire_ohm: float) -> NDArray[np.float32]:
    """What arrives at a wire's end from each of its cells, 0 to 1, of the same shape.

    conductances_us: (cells, ...) in microsiemens, from the wire's end on; the other axes are wires
    beside each other.
    """
    if wire_ohm == 0:
        return np.ones_like(conductances_us)
    diagonal = 2 + conductances_us.astype(np.float64) * 1e-6 * wire_ohm
    diagonal[-1] -= 1
    # From the far end on, each node sees its own diagonal less what lies behind it.
    for cell in range(len(diagonal) - 2, -1, -1):
        diagonal[cell] -= 1 / diagonal[cell + 1]
    return np.cumprod(1 / diagonal, axis=0).astype(np.float32)


def counted(conductances_us: NDArray[np.float32], wire_ohm: float) -> NDArray[np.float32]:
    """As how much each cell of an array counts, wires included, in microsiemens.

    conductances_us: (rows, columns) in microsiemens; rows are driven at column 0, and columns end
    at row 0.
    """
    along_columns = shares(conductances_us, wire_ohm)
    along_rows = shares(conductances_us.T, wire_ohm).T
    return conductances_us * along_columns * along_rows
