"""Clocks of boards, and dividers of the PLLs."""

from fractions import Fraction

import pytest
from amaranth.hdl import Module, Signal

from stepnet.errors import BuildError
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.fpga.clocks import add_clock_domain, divides, fastest_clock_hz, pll_for
from stepnet_hdl.fpga.families.ecp5 import Ecp5Pll
from stepnet_hdl.fpga.families.gowin import GW1N, GW2A, RPLL_OUTPUT_DIVIDERS, PllA
from stepnet_hdl.fpga.families.ice40 import Ice40Pll


@pytest.mark.parametrize(
    ("input_hz", "output_hz"), [(12e6, 24e6), (12e6, 48e6), (100e6, 50e6), (48e6, 30e6)]
)
def test_ice40_dividers_make_the_frequency(input_hz, output_hz):
    pll = Ice40Pll.solve(input_hz, output_hz)
    oscillator_hz = Fraction(input_hz) / (pll.divr + 1) * (pll.divf + 1)
    assert 533e6 <= oscillator_hz <= 1066e6
    assert oscillator_hz / (1 << pll.divq) == output_hz


def test_icebreaker_has_the_dividers_of_icepll():
    assert Ice40Pll.solve(12e6, 24e6) == Ice40Pll(divr=0, divf=63, divq=5, filter_range=1)


@pytest.mark.parametrize(
    ("input_hz", "output_hz"), [(25e6, 50e6), (25e6, 60e6), (100e6, 48e6), (50e6, 66e6)]
)
def test_ecp5_dividers_make_the_frequency(input_hz, output_hz):
    pll = Ecp5Pll.solve(input_hz, output_hz)
    assert Fraction(input_hz) / pll.clki_div >= 10e6
    oscillator_hz = Fraction(input_hz) / pll.clki_div * pll.clkop_div
    assert 400e6 <= oscillator_hz <= 800e6
    assert oscillator_hz / pll.clkos_div == output_hz


@pytest.mark.parametrize(("family", "output_hz"), [(GW1N, 60e6), (GW1N, 27e6), (GW2A, 150e6)])
def test_rpll_dividers_make_the_frequency(family, output_hz):
    pll = family.solve_pll(27e6, output_hz)
    assert Fraction(27_000_000) / pll.idiv >= 3e6
    assert Fraction(27_000_000) / pll.idiv * pll.fbdiv == output_hz
    lowest_hz, highest_hz = (400e6, 1_200e6) if family is GW1N else (500e6, 1_250e6)
    assert lowest_hz <= output_hz * pll.odiv <= highest_hz
    assert pll.odiv in RPLL_OUTPUT_DIVIDERS


@pytest.mark.parametrize("output_hz", [60e6, 75e6, 62e6])
def test_plla_dividers_make_the_frequency(output_hz):
    pll = PllA.solve(50e6, output_hz)
    oscillator_hz = Fraction(50_000_000) / pll.idiv * pll.mdiv
    assert 800e6 <= oscillator_hz <= 1_600e6
    assert oscillator_hz / pll.odiv == output_hz


@pytest.mark.parametrize(
    ("board", "cell", "settings"),
    [
        ("icebreaker", "SB_PLL40_PAD", r"parameter \DIVF 7'1001111"),
        ("ulx3s-25f", "EHXPLLL", r"parameter \CLKOS_DIV 10"),
        ("tangprimer20k", "rPLL", r'parameter \DEVICE "GW2A-18C"'),
        ("tangnano20k", "rPLL", r'parameter \DEVICE "GW2A-18C"'),
        ("tangprimer25k", "PLLA", r"parameter \ODIV0_SEL 15"),
    ],
)
def test_a_clock_from_the_pll_of_the_family(board, cell, settings):
    platform = find_board(board).platform()
    m = Module()
    add_clock_domain(m, platform, pll_for(platform, 60_000_000))
    blink = Signal(24)
    m.d.sync += blink.eq(blink + 1)
    text = platform.prepare(m, name="top").files["top.il"]
    text = text if isinstance(text, str) else text.decode()
    assert f"cell \\{cell} " in text
    assert settings in text


def test_frequencies_out_of_reach():
    assert GW1N.solve_pll(27e6, 50e6) is None  # its phase detector takes no 1 MHz
    assert PllA.solve(10e6, 60e6) is None
    assert Ice40Pll.solve(12e6, 25.1e6) is None
    assert Ecp5Pll.solve(8e6, 50e6) is None  # below what its phase detector takes


@pytest.mark.parametrize(
    ("board", "limit_hz", "baud", "clock_hz"),
    [
        ("icebreaker", 24e6, 1_000_000, 24_000_000),
        ("icebreaker", 34e6, 1_000_000, 33_000_000),
        ("icebreaker", 34e6, 3_000_000, 33_000_000),
        ("icebreaker", 8e6, 1_000_000, 12_000_000),  # no PLL goes that low: the oscillator
        ("ulx3s-25f", 50e6, 1_000_000, 50_000_000),
        ("ulx3s-25f", 50e6, 3_000_000, 50_000_000),  # 16 5/8 cycles to a bit, 0.25 % off
        ("icebreaker", 42e6, 12_000_000, 42_000_000),  # 3 1/2 cycles
        ("icebreaker", 41e6, 12_000_000, 39_000_000),  # 3 1/4, with which 40 MHz is 2.6 % off
        ("ulx3s-25f", 24e6, 1_000_000, 24_000_000),
        ("ecpix545", 80e6, 1_000_000, 80_000_000),  # slower than its oscillator
        ("tangnano9k", 62e6, 1_000_000, 60_000_000),  # its PLL makes multiples of 3 MHz
        ("tangprimer20k", 62e6, 1_000_000, 60_000_000),
        ("tangprimer25k", 62e6, 1_000_000, 62_000_000),
    ],
)
def test_the_largest_clock_that_divides_into_the_baud_rate(board, limit_hz, baud, clock_hz):
    assert fastest_clock_hz(find_board(board).platform(), limit_hz, baud) == clock_hz


def test_dividing():
    assert divides(50_000_000, 1_000_000)
    assert divides(50_000_000, 3_000_000)
    assert not divides(40_000_000, 12_000_000)  # by 3 3/8, 1.2 % off
    assert divides(3_000_000, 1_000_000)
    assert not divides(2_000_000, 1_000_000)  # too few cycles for a bit


def test_oscillator_needs_no_pll():
    assert pll_for(find_board("icebreaker").platform(), 12_000_000) is None


def test_clock_that_no_pll_makes():
    with pytest.raises(BuildError) as caught:
        pll_for(find_board("icebreaker").platform(), 25_100_000)
    assert str(caught.value) == (
        "No PLL of this part makes 25.1 MHz from 12 MHz; choose a multiple of the oscillator's "
        "frequency."
    )
