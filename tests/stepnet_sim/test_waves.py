"""Waveforms of one image, read back with a reader that is not ours, against the reference."""

import re
import sys

import numpy as np
import pytest
import pywellen

from networks import random_images, random_network
from stepnet import Readout, cli, reference
from stepnet.cycles import cycles_per_image
from stepnet.engine import EngineShape
from stepnet.errors import NetworkError, PictureError
from stepnet.samples import sample_pictures
from stepnet_sim.design import ICEBREAKER
from stepnet_sim.waves import record_waves

ONE_BY_ONE = EngineShape(8, 64, 512, 128, 4, weight_memory="single_port", overlap_neurons=20)
IN_GROUPS = EngineShape(16, 64, 512, 128, 4, pe=4, parameter_lanes=2, max_sum_bits=0)

CASES = {
    "bits, first layer by input": (ONE_BY_ONE, (40, 12, 9, 7), (1, 1, 3), Readout.BITS),
    "tree, first layer by input": (ONE_BY_ONE, (40, 12, 15), (1, 2), Readout.TREE),
    "bits, in groups": (IN_GROUPS, (40, 13, 7), (2, 1), Readout.BITS),
    "tree, in groups": (IN_GROUPS, (40, 13, 15), (1, 2), Readout.TREE),
    "nearest, in groups": (IN_GROUPS, (40, 9, 11), (1, 1), Readout.NEAREST),
}


class Waveform:
    """A file and the values in it, cycle by cycle as its clock says."""

    def __init__(self, path):
        self.variables = {
            variable.full_name: variable for variable in pywellen.Waveform(str(path)).all_vars()
        }
        period_fs = round(1e15 / ICEBREAKER.clock_hz)
        clock = self.variables["chip.clk"].signal
        first = next(time for time in range(0, 2 * period_fs, period_fs // 8) if not clock.value_at(time))
        # In the middle of the cycle's first half, while the clock is 1.
        self.start_fs = first - period_fs // 4
        self.period_fs = period_fs

    def at(self, name, cycle):
        return self.variables[name].signal.value_at(self.start_fs + cycle * self.period_fs)


def number(value):
    """A signed number of the scope `image`; None where there is nothing."""
    if isinstance(value, str):
        assert set(value) == {"z"}
        return None
    return value - (value >> 31 << 32)


def recorded(case, seed=0):
    shape, sizes, weight_bits, readout = CASES[case]
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes, weight_bits, readout=readout)
    image = random_images(rng, network, 1)[0]
    return network, shape, image, record_waves(network, image, shape=shape)
