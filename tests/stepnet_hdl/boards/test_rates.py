"""The rates of boards, by their USB chips."""

import pytest

from stepnet.errors import BuildError
from stepnet.link.serial_line import DEFAULT_BAUD, divisor_for
from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.boards.catalogue import all_boards, find_board
from stepnet_hdl.boards.chip_clocks import baud_for, clock_hz_for
from stepnet_hdl.boards.rates import USB_CHIPS, best_baud, check_baud
from stepnet_hdl.flow.build import BuildSettings, build


@pytest.mark.parametrize(
    ("board", "clock_hz", "baud"),
    [
        ("icebreaker", 42_000_000, 12_000_000),
        ("ice40hx8kbevn", 111_000_000, 12_000_000),
        ("ecpix545", 170_000_000, 12_000_000),
        ("ulx3s-25f", 120_000_000, 3_000_000),
        ("ulx3s-85f", 90_000_000, 3_000_000),
        ("icepizero1-3", 120_000_000, 3_000_000),
        ("tangnano9k", 27_000_000, 3_000_000),
        ("icesugar", 42_000_000, 1_000_000),
    ],
)
def test_the_rate_and_the_clock_of_a_board(board, clock_hz, baud):
    found = find_board(board)
    assert (found.clock_hz, found.baud) == (clock_hz, baud)


def test_no_clock_is_slower_for_its_rate_and_every_rate_is_met():
    for board in all_boards().values():
        if board.is_too_small:
            continue
        assert board.clock_hz >= board.clock_hz_for(DEFAULT_BAUD)
        assert board.clock_hz / divisor_for(board.clock_hz, board.baud) == pytest.approx(
            board.baud, rel=0.005
        )


def test_every_board_with_a_chip_is_one():
    assert USB_CHIPS.keys() <= all_boards().keys()


def test_a_clock_that_the_highest_rate_would_slow_down():
    slow = {12_000_000: 36_000_000}
    assert best_baud("icebreaker", lambda baud: slow.get(baud, 40_000_000)) == 8_000_000


def test_a_clock_that_is_asked_for_has_the_rate_that_it_can():
    board = find_board("icebreaker")
    rates = {mhz: baud_for(None, board, mhz * 1_000_000) for mhz in (42, 36, 30, 24, 12, 2)}
    assert rates == {
        42: 12_000_000,
        36: 12_000_000,
        30: 8_000_000,
        24: 8_000_000,
        12: 3_000_000,
        2: DEFAULT_BAUD,
    }


def test_a_network_of_tables_has_a_rate_of_its_own():
    tables, board = load_lut_network("digits-lut-small"), find_board("nandlandgo")
    baud = baud_for(tables, board)
    assert (baud, clock_hz_for(tables, board, baud)) == (8_000_000, 25_000_000)


@pytest.mark.parametrize(
    ("board", "baud", "nearest"),
    [
        ("ulx3s-25f", 2_500_000, "The FT231X of ulx3s-25f cannot make 2500000 baud; choose "
         "2000000 or 3000000 baud."),
        ("ulx3s-25f", 12_000_000, "The FT231X of ulx3s-25f cannot make 12000000 baud; choose "
         "3000000 baud."),
        ("icebreaker", 10_000_000, "The FT2232H of icebreaker cannot make 10000000 baud; choose "
         "8000000 or 12000000 baud."),
    ],
)  # fmt: skip
def test_a_rate_that_the_usb_chip_does_not_make(board, baud, nearest, tmp_path):
    with pytest.raises(BuildError) as caught:
        build(BuildSettings(board, baud=baud), tmp_path)
    assert str(caught.value) == nearest


def test_a_rate_is_free_where_the_chip_is_not_known():
    check_baud("icesugar", 2_500_000)
    check_baud("icebreaker", 115_200)
