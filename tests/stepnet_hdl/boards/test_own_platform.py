"""Platforms that somebody wrote: what works, and each mistake as one sentence with the way out."""

import sys
from types import ModuleType

import pytest
from amaranth.build import Attrs, Clock, Connector, Pins, Resource, Subsignal
from amaranth.vendor import LatticeECP5Platform, LatticeICE40Platform
from amaranth_boards.resources import UARTResource

from stepnet.errors import BuildError
from stepnet_hdl.boards.catalogue import all_boards, find_board
from stepnet_hdl.boards.own_platform import check_platform
from stepnet_hdl.flow.build_plan import make_plan

LEVELS = Attrs(IO_STANDARD="SB_LVCMOS")
CLOCK = Resource("clk", 0, Pins("35", dir="i"), Clock(12e6), LEVELS)
UART = UARTResource(0, rx="6", tx="9", attrs=LEVELS)


def wire(name, pins, direction):
    return Subsignal(name, Pins(pins, dir=direction))


@pytest.fixture
def own(monkeypatch):
    """Put a platform of an iCE40UP5K, changed as told, where `module:Class` finds it."""

    def make(base=LatticeICE40Platform, **changes):
        fields = {
            "device": "iCE40UP5K",
            "package": "SG48",
            "default_clk": "clk",
            "resources": (CLOCK, UART),
            "connectors": (),
            **changes,
        }
        module = ModuleType("mine")
        module.Board = type("Board", (base,), fields)
        monkeypatch.setitem(sys.modules, "mine", module)
        return "mine:Board"

    return make


@pytest.mark.parametrize("divisor", range(3))
def test_the_oscillator_inside_the_part(own, divisor):
    """From the 48 MHz inside, by a PLL if it is not the clock itself: no pin is asked for."""
    board = find_board(own(default_clk="SB_HFOSC", hfosc_div=divisor, resources=(UART,)))
    assert board.clock_hz == 42_000_000
    plan = make_plan(board, baud=1_000_000)
    text = plan.files["stepnet.il"]
    assert f'parameter \\CLKHF_DIV "0b{divisor:02b}"' in text
    assert "cell \\SB_PLL40_CORE" in text
    assert "clk" not in plan.files["stepnet.pcf"]
    assert board.pins == {"rx": "6", "tx": "9"}


def test_an_oscillator_that_is_the_clock_itself(own):
    board = find_board(own(default_clk="SB_HFOSC", hfosc_div=0, resources=(UART,)))
    text = make_plan(board, baud=1_000_000, clock_hz=48_000_000).files["stepnet.il"]
    assert "cell \\SB_HFOSC" in text
    assert "SB_PLL40" not in text


def test_an_ecp5s_oscillator(own):
    """10 MHz, of which a PLL makes whole megahertz; 310 / 3 MHz it makes none of."""
    ecp5 = {"base": LatticeECP5Platform, "device": "LFE5U-25F", "package": "BG256", "speed": "6"}
    pins = (UARTResource(0, rx="H2", tx="J1", attrs=Attrs(IO_TYPE="LVCMOS33")),)
    board = find_board(own(**ecp5, default_clk="OSCG", oscg_div=31, resources=pins))
    text = make_plan(board, baud=1_000_000).files["stepnet.il"]
    assert board.clock_hz == 120_000_000
    assert "cell \\OSCG" in text
    assert "cell \\EHXPLLL" in text


def test_a_clock_that_reaches_the_pll_through_the_logic(own):
    """27 MHz at a pin that feeds no PLL: it is the chip's clock, or a PLL's behind a buffer."""
    clock = Resource("clk", 0, Pins("44", dir="i"), Clock(27e6), LEVELS)
    board = find_board(own(resources=(clock, UART)))
    assert board.clock_hz == 27_000_000  # no whole megahertz above come exactly of 27
    text = make_plan(board, baud=1_000_000, clock_hz=54_000_000).files["stepnet.il"]
    assert "cell \\SB_PLL40_CORE" in text


def test_an_lp8k_of_ones_own(own):
    clock = Resource("clk", 0, Pins("B2", dir="i"), Clock(16e6), LEVELS)
    uart = UARTResource(0, rx="A1", tx="A2", attrs=LEVELS)
    board = find_board(own(device="iCE40LP8K", package="CM81", resources=(clock, uart)))
    plan = make_plan(board, baud=1_000_000)
    assert "--lp8k" in plan.place_and_route
    assert board.clock_hz == all_boards()["tinyfpgabx"].clock_hz


def test_boards_with_an_lp8k_and_from_tinyvision():
    boards = all_boards()
    assert boards["tinyfpgabx"].device == "iCE40LP8K"
    assert boards["tinyfpgabx"].pins == {"rx": "A1", "tx": "A2", "clock": "B2"}
    for name in ("upduino-3-0", "upduino-3-1"):
        assert boards[name].device == "iCE40UP5K"
        assert boards[name].pins == {"rx": "15", "tx": "14", "clock": "20"}
        assert boards[name].clock_hz == 42_000_000


def test_every_board_would_pass_as_one_of_ones_own():
    for board in all_boards().values():
        check_platform(board.name, board.platform, board.part)


MISTAKES = {
    "wrong package": (
        {"package": "SG84"},
        "The board 'mine:Board' has the package 'SG84', which the iCE40UP5K does not come in or "
        "the open tools do not know; its package is one of SG48, UWG30.",
    ),
    "no package": (
        {"package": None},
        "The board 'mine:Board' has the package None, which the iCE40UP5K does not come in or the "
        "open tools do not know; its package is one of SG48, UWG30.",
    ),
    "no speed": (
        {"base": LatticeECP5Platform, "device": "LFE5U-25F", "package": "BG256", "speed": 6},
        "The board 'mine:Board' has the speed 6; an ECP5 has speed '6', '7' or '8', as text.",
    ),
    "no clock": (
        {"default_clk": None},
        "The board 'mine:Board' names no clock; let its default_clk be the name of a resource with "
        "a Clock, which is one of clk, or the oscillator inside the iCE40UP5K, SB_HFOSC or "
        "SB_LFOSC.",
    ),
    "another clock": (
        {"default_clk": "clk12"},
        "The board 'mine:Board' has the default_clk 'clk12', but no resource of that name; name "
        "one with a Clock, which is one of clk, or the oscillator inside the iCE40UP5K, SB_HFOSC "
        "or SB_LFOSC.",
    ),
    "another part's oscillator": (
        {"default_clk": "SB_HFOSC", "hfosc_div": 0, "device": "iCE40HX8K", "package": "CT256"},
        "The board 'mine:Board' has the default_clk 'SB_HFOSC', but no resource of that name; name "
        "one with a Clock, which is one of clk.",
    ),
    "no frequency": (
        {"resources": (Resource("clk", 0, Pins("35", dir="i"), LEVELS), UART)},
        "The clock 'clk' of the board 'mine:Board' has no frequency; add one in Hz to its "
        "resource, like Clock(12e6).",
    ),
    "megahertz": (
        {"resources": (Resource("clk", 0, Pins("35", dir="i"), Clock(12.0), LEVELS), UART)},
        "The clock 'clk' of the board 'mine:Board' has 12 Hz, too few for a serial line; give its "
        "frequency in Hz, like Clock(12e6).",
    ),
    "no divisor": (
        {"default_clk": "SB_HFOSC"},
        "The oscillator SB_HFOSC of the board 'mine:Board' has no frequency ('Board' object has no "
        "attribute 'hfosc_div'); give the class hfosc_div, 0 for 48 MHz up to 3 for 6 MHz.",
    ),
    "a divisor in MHz": (
        {"default_clk": "SB_HFOSC", "hfosc_div": 48},
        "The oscillator SB_HFOSC of the board 'mine:Board' has no frequency (hfosc_div is 48); "
        "give the class hfosc_div, 0 for 48 MHz up to 3 for 6 MHz.",
    ),
    "the slow oscillator": (
        {"default_clk": "SB_LFOSC"},
        "The oscillator SB_LFOSC of the board 'mine:Board' has 10000 Hz, too few for a serial "
        "line; choose another default_clk.",
    ),
    "a UART of another name": (
        {"resources": (CLOCK, Resource("serial", 0, wire("rx", "6", "i"), wire("tx", "9", "o")))},
        "The board 'mine:Board' has no resource 'uart', but 'serial'; make of it "
        "UARTResource(0, rx=..., tx=...), as docs/boards.md shows.",
    ),
    "wires apart": (
        {
            "resources": (
                CLOCK,
                Resource("rx", 0, Pins("6", dir="i")),
                Resource("tx", 0, Pins("9", dir="o")),
            )
        },
        "The board 'mine:Board' has no resource 'uart', but 'rx' and 'tx'; make of it "
        "UARTResource(0, rx=..., tx=...), as docs/boards.md shows.",
    ),
    "a UART of another number": (
        {"resources": (CLOCK, UARTResource(1, rx="6", tx="9", attrs=LEVELS))},
        "The board 'mine:Board' has a resource 'uart', but none with the number 0; give its serial "
        "line the number 0.",
    ),
    "wires of other names": (
        {"resources": (CLOCK, Resource("uart", 0, wire("rxd", "6", "i"), wire("txd", "9", "o")))},
        "The resource 'uart' of the board 'mine:Board' has 'rxd' and 'txd', but no 'rx'; declare "
        "it as UARTResource(0, rx=..., tx=...), as docs/boards.md shows.",
    ),
    "pins without names": (
        {"resources": (CLOCK, Resource("uart", 0, Pins("6 9", dir="io")))},
        "The resource 'uart' of the board 'mine:Board' has no wires by name, but no 'rx'; declare "
        "it as UARTResource(0, rx=..., tx=...), as docs/boards.md shows.",
    ),
    "a wire of two pins": (
        {"resources": (CLOCK, Resource("uart", 0, wire("rx", "6 7", "i"), wire("tx", "9", "o")))},
        "The wire 'rx' of the resource 'uart' of the board 'mine:Board' has not exactly one pin; "
        "give it one.",
    ),
    "directions as the host sees them": (
        {"resources": (CLOCK, Resource("uart", 0, wire("rx", "6", "o"), wire("tx", "9", "i")))},
        "The wire 'rx' of the resource 'uart' of the board 'mine:Board' has the direction 'o'; it "
        "is 'i' as the FPGA sees it: rx is what comes from the host.",
    ),
    "a pin twice": (
        {"resources": (CLOCK, UARTResource(0, rx="35", tx="9", attrs=LEVELS))},
        "The pins of 'uart' of the board 'mine:Board' cannot be used (Resource component uart_0.rx "
        "uses physical pin 35, but it is already used by resource component clk_0 that was "
        "requested earlier); give clock and UART pins of their own, which the connectors that they "
        "name have.",
    ),
    "a pin that its connector lacks": (
        {
            "resources": (CLOCK, UARTResource(0, rx="9", tx="1", conn=("pmod", 0))),
            "connectors": (Connector("pmod", 0, "6 9"),),
        },
        "The pins of 'uart' of the board 'mine:Board' cannot be used (Resource (subsignal rx (pins "
        "i pmod_0:9)) refers to nonexistent connector pin pmod_0:9); give clock and UART pins of "
        "their own, which the connectors that they name have.",
    ),
    "a resource twice": (
        {"resources": (CLOCK, UART, UART)},
        "No platform can be made of 'mine:Board' (NameError: Trying to add {uart}, but {uart} has "
        "the same name and number); correct it after the example in docs/boards.md.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(own, mistake):
    changes, sentence = MISTAKES[mistake]
    with pytest.raises(BuildError) as caught:
        find_board(own(**changes))
    assert str(caught.value) == sentence.replace("{uart}", repr(UART))


def test_a_module_that_fails(monkeypatch, tmp_path):
    (tmp_path / "broken_boards.py").write_text("import amaranth\n1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BuildError) as caught:
        find_board("broken_boards:Board")
    assert str(caught.value) == (
        "The platform 'broken_boards:Board' cannot be imported (ZeroDivisionError: division by "
        "zero); correct its module."
    )
