"""Weights as pairs of conductances: one cell in a column that adds, one in a column that takes off.

The weight is the difference of the two. One of them is always programmed to 0, so that as little
as possible flows, and the largest weight of a layer is the largest conductance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepnet_sim.analogue import pcm
from stepnet_sim.analogue.rows import Rows


def to_conductances(rows: Rows) -> NDArray[np.float32]:
    """What the cells are to be programmed to, in microsiemens: (rows, 2 n_out), the two columns of
    a neuron beside each other, first the one that adds.
    """
    scaled = rows.weights * np.float32(pcm.LARGEST_US / rows.largest)
    both = np.stack([scaled, -scaled], axis=2).clip(min=0)
    return both.reshape(len(scaled), -1)


def to_weights(conductances_us: NDArray[np.float32], largest: int) -> NDArray[np.float32]:
    """As which weights cells count: (rows, n_out), from (rows, 2 n_out) in microsiemens."""
    difference = conductances_us[:, 0::2] - conductances_us[:, 1::2]
    return difference * np.float32(largest / pcm.LARGEST_US)
