"""The pins and the rate of an SPI line, by board."""

import pytest
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.resources import SPIResource

from stepnet.errors import BuildError
from stepnet.link.spi_line import MOST_SPI_HZ
from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.boards.catalogue import BoardType, all_boards, find_board
from stepnet_hdl.boards.chip_clocks import rate_and_clock_hz
from stepnet_hdl.boards.spi_pins import SPI_PINS, request_spi, spi_pins
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.flow.build import BuildSettings, build
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_hdl.fpga.parts import PARTS


def board_with(resource):
    """An iCEBreaker with one more resource."""

    class OwnPlatform(ICEBreakerPlatform):
        resources = (*ICEBreakerPlatform.resources, resource)

    return BoardType("own", OwnPlatform, PARTS["iCE40UP5K"])


@pytest.mark.parametrize(
    ("board", "pins"),
    [
        ("icebreaker", {"cs": "4", "copi": "2", "cipo": "47", "clk": "45"}),
        ("ulx3s-25f", {"cs": "B11", "copi": "A10", "cipo": "A9", "clk": "B9"}),
        ("icepizero1-3", {"cs": "H2", "copi": "L2", "cipo": "J1", "clk": "G2"}),
    ],
)
def test_the_pins_of_a_board(board, pins):
    assert spi_pins(find_board(board)) == pins


def test_every_board_has_its_clock_its_serial_line_and_its_light_beside_the_spi_line():
    assert SPI_PINS.keys() <= all_boards().keys()
    for name in SPI_PINS:
        board = find_board(name)
        platform = board.platform()
        platform.request(platform.default_clk, dir="-")
        if ("led", 0) in platform.resources:
            platform.request("led", 0, dir="-")
        platform.request("uart", 0, dir="-")
        request_spi(board, platform)


def test_a_platform_of_ones_own_says_its_pins():
    resource = SPIResource(0, cs_n="43", clk="38", copi="34", cipo="31", role="peripheral")
    pins = {"cs": "43", "copi": "34", "cipo": "31", "clk": "38"}
    assert spi_pins(board_with(resource)) == pins


@pytest.mark.parametrize("wires", [{"role": "controller"}, {"role": "peripheral", "copi": None}])
def test_a_resource_that_is_no_peripheral(wires):
    resource = SPIResource(0, **{"cs_n": "43", "clk": "38", "copi": "34", "cipo": "31", **wires})
    with pytest.raises(BuildError) as caught:
        spi_pins(board_with(resource))
    assert str(caught.value) == (
        "The resource 'spi' of the board 'own' is not that of a peripheral with all four wires; "
        'declare it as SPIResource(0, cs_n=..., clk=..., copi=..., cipo=..., role="peripheral").'
    )


def test_a_board_without_pins_for_spi(tmp_path):
    with pytest.raises(BuildError) as caught:
        build(BuildSettings("tangnano9k", wire=Wire.SPI), tmp_path)
    platform = find_board("tangnano9k").platform
    assert str(caught.value) == (
        "No pins for SPI are known of the board 'tangnano9k'; derive a platform from "
        f"{platform.__module__}:{platform.__name__} that adds an SPIResource(0, "
        'role="peripheral", ...) on pins of your choice, as docs/boards.md shows, and name it as '
        "module:Class."
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"baud": 30_000_000}, "An SPI line of 30 MHz is faster than a board answers; choose at "
         "most 20 MHz."),
        ({"baud": 20_000_000, "clock_hz": 6_000_000}, "A clock of 6 MHz is too slow for an SPI "
         "line of 20 MHz: a byte needs at least 4 cycles; choose at most 12 MHz or a faster "
         "clock."),
    ],
)  # fmt: skip
def test_a_rate_that_the_line_cannot_have(settings, sentence, tmp_path):
    with pytest.raises(BuildError) as caught:
        build(BuildSettings("icebreaker", wire=Wire.SPI, **settings), tmp_path)
    assert str(caught.value) == sentence


def test_the_clock_needs_not_divide_into_the_rate():
    """Up to what the chip meets, at 1 MHz apart, whatever the line has."""
    for name in ("icebreaker", "ulx3s-25f", "icepizero1-3"):
        board = find_board(name)
        rate = rate_and_clock_hz(None, board, Wire.SPI)
        assert rate == (MOST_SPI_HZ, board.clock_hz_up_to(board.settings.clock_hz, None))
    board = find_board("icestick")
    tables = load_lut_network("digits-lut-small")
    assert rate_and_clock_hz(tables, board, Wire.SPI)[0] == MOST_SPI_HZ
    assert rate_and_clock_hz(None, find_board("icebreaker"), Wire.SPI, clock_hz=4_000_000) == (
        8_000_000,
        4_000_000,
    )


@pytest.fixture(scope="module")
def plan():
    tables = load_lut_network("digits-lut-small")
    return make_plan(find_board("icestick"), baud=MOST_SPI_HZ, network=tables, wire=Wire.SPI)


def test_the_tools_are_told_of_pins_and_of_the_lines_clock(plan):
    constraints = plan.files["stepnet.pcf"].splitlines()
    assert "set_io spi_0__clk__io 81" in constraints
    assert "set_frequency spi_0__clk__io 20.0" in constraints
    assert not any("uart" in line for line in constraints)
