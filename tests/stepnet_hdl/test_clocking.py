"""Dividers of the iCE40's PLL."""

import pytest

from stepnet.errors import BuildError
from stepnet_hdl.clocking import IcePll


@pytest.mark.parametrize(
    ("input_hz", "output_hz"), [(12e6, 24e6), (12e6, 48e6), (100e6, 50e6), (48e6, 30e6)]
)
def test_dividers_make_the_frequency(input_hz, output_hz):
    pll = IcePll.solve(input_hz, output_hz)
    oscillator_hz = input_hz / (pll.divr + 1) * (pll.divf + 1)
    assert 533e6 <= oscillator_hz <= 1066e6
    assert oscillator_hz / (1 << pll.divq) == output_hz


def test_icebreaker_has_the_dividers_of_icepll():
    assert IcePll.solve(12e6, 24e6) == IcePll(divr=0, divf=63, divq=5, filter_range=1)


def test_frequency_out_of_reach():
    with pytest.raises(BuildError) as caught:
        IcePll.solve(12e6, 25.1e6)
    assert str(caught.value) == (
        "The iCE40's PLL cannot make 25.1 MHz from 12 MHz; "
        "choose a multiple of the oscillator's frequency."
    )
