"""Chips that are a network of look-up tables: which core, how large, and what does not fit."""

import pytest

from stepnet.errors import BuildError
from stepnet.networks.shipped import load_lut_network, lut_names
from stepnet_hdl.boards.catalogue import all_boards, find_board
from stepnet_hdl.boards.chip_clocks import clock_hz_for
from stepnet_hdl.boards.table_chips import (
    TableCore,
    check_tables,
    fitting_tables,
    table_chip,
)
from stepnet_hdl.fpga.parts import find_part

SMALL = load_lut_network("digits-lut-small")
COMPACT = load_lut_network("digits-lut-compact")

PIPELINE, WALK = TableCore.PIPELINE, TableCore.TABLE_WALK


@pytest.mark.parametrize(
    ("network", "part", "core", "registered", "clock_hz"),
    [
        (SMALL, "iCE40HX1K", WALK, False, 96_000_000),
        (SMALL, "iCE40LP1K", WALK, False, 12_000_000),
        (SMALL, "iCE40UP5K", WALK, False, 42_000_000),
        (COMPACT, "iCE40UP5K", PIPELINE, False, 12_000_000),
        (COMPACT, "LFE5U-25F", PIPELINE, True, 120_000_000),
        (COMPACT, "GW1NR-9C", PIPELINE, False, 12_000_000),
    ],
)
def test_the_core_suits_the_part(network, part, core, registered, clock_hz):
    chip = table_chip(network, find_part(part))
    assert chip.fits
    assert (chip.core, chip.registered) == (core, registered)
    assert chip.limit_hz == clock_hz


def test_clocks_are_made_by_the_board():
    assert clock_hz_for(SMALL, find_board("icestick"), 1_000_000) == 96_000_000
    # Their packages have no PLL.
    assert clock_hz_for(SMALL, find_board("icesugarnano"), 1_000_000) == 12_000_000
    assert clock_hz_for(SMALL, find_board("nandlandgo"), 1_000_000) == 25_000_000
    assert clock_hz_for(None, find_board("icebreaker"), 1_000_000) == 42_000_000


def test_what_fits_a_part():
    assert fitting_tables(find_part("iCE40HX1K")) == ["digits-lut-small"]
    # Its four block RAMs do not hold the tables, and its look-up tables are too few.
    assert fitting_tables(find_part("GW1N-1")) == []
    assert fitting_tables(find_part("LFE5U-85F")) == lut_names()


def test_a_network_that_does_not_fit():
    chip = table_chip(COMPACT, find_part("iCE40HX1K"))
    others = [
        name
        for name, board in all_boards().items()
        if board.device not in ("iCE40HX1K", "iCE40LP1K", "GW1N-1")
    ]
    with pytest.raises(BuildError) as caught:
        check_tables(COMPACT, find_board("icestick"))
    assert str(caught.value) == (
        f"Network 'digits-lut-compact' does not fit icestick: it takes about {chip.luts:,} LUTs, "
        f"{chip.luts - 1216:,} more than can be filled of the 1,280 of the iCE40HX1K; of the "
        "shipped networks of look-up tables icestick takes digits-lut-small, and "
        f"'digits-lut-compact' fits {', '.join(others)}."
    )
