"""The clock of a chip on a board: the oscillator as it is, or multiplied by a PLL."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import C, ClockDomain, ClockSignal, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer

from stepnet.errors import BuildError

REFERENCE_HZ = (10e6, 133e6)
OSCILLATOR_HZ = (533e6, 1066e6)
FILTER_RANGE_LIMITS_HZ = (17e6, 26e6, 44e6, 66e6, 101e6)
"""Limits of the iCE40's PLL: phase detector input, VCO, and the input frequencies up to which each
FILTER_RANGE from 1 on holds (Lattice FPGA-TN-02052)."""


@dataclass(frozen=True)
class IcePll:
    """Dividers of an SB_PLL40 with simple feedback:
    `output = input / (divr + 1) * (divf + 1) / 2^divq`."""

    divr: int
    divf: int
    divq: int
    filter_range: int

    @classmethod
    def solve(cls, input_hz: float, output_hz: float) -> "IcePll":
        """The dividers that give exactly `output_hz`; BuildError if there are none."""
        for divr in range(16):
            reference_hz = input_hz / (divr + 1)
            if not REFERENCE_HZ[0] <= reference_hz <= REFERENCE_HZ[1]:
                continue
            for divq in range(1, 7):
                oscillator_hz = output_hz * (1 << divq)
                multiplier = oscillator_hz / reference_hz
                if (
                    OSCILLATOR_HZ[0] <= oscillator_hz <= OSCILLATOR_HZ[1]
                    and multiplier.is_integer()
                    and multiplier <= 128
                ):
                    filter_range = 1 + sum(reference_hz > limit for limit in FILTER_RANGE_LIMITS_HZ)
                    return cls(divr, int(multiplier) - 1, divq, filter_range)
        raise BuildError(
            f"The iCE40's PLL cannot make {output_hz / 1e6:g} MHz from {input_hz / 1e6:g} MHz; "
            "choose a multiple of the oscillator's frequency."
        )


def add_pll_domain(m: Module, platform: Any, output_hz: float) -> None:
    """Drive domain `sync` with `output_hz` from an iCE40 board's default clock.

    The domain is in reset until the PLL has locked.
    """
    input_hz = platform.default_clk_frequency
    pll = IcePll.solve(input_hz, output_hz)
    pin = platform.request(platform.default_clk, dir="-")
    m.domains.sync = ClockDomain()
    locked = Signal()
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=C(pll.divr, 4),
        p_DIVF=C(pll.divf, 7),
        p_DIVQ=C(pll.divq, 3),
        p_FILTER_RANGE=C(pll.filter_range, 3),
        i_PACKAGEPIN=pin.io,
        i_RESETB=C(1),
        i_BYPASS=C(0),
        o_PLLOUTGLOBAL=ClockSignal(),
        o_LOCK=locked,
    )
    m.submodules.reset = ResetSynchronizer(~locked)
