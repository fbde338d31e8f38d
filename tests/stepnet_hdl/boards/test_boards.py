"""Boards by name, platforms of one's own, and what fits them."""

import dataclasses
from pathlib import Path

import pytest
from amaranth_boards.ice40_up5k_b_evn import ICE40UP5KBEVNPlatform

from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet.networks.shipped import load_network, lut_names
from stepnet_hdl.boards.capacity import check_built_in, check_network
from stepnet_hdl.boards.catalogue import all_boards, find_board
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.estimation.board_facts import board_facts
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_hdl.fpga.parts import find_part


def test_boards_that_people_own_are_there():
    boards = all_boards()
    expected = {
        *("icebreaker", "icesugar", "ice40hx8kbevn", "ecpix545", "icepizero1-3", "tangnano9k"),
        *("ulx3s-12f", "ulx3s-25f", "ulx3s-85f"),
    }
    assert expected <= set(boards)
    assert list(boards) == sorted(boards)
    assert boards["ulx3s-85f"].device == "LFE5U-85F"
    assert boards["tangnano9k"].device == "GW1NR-9C"


def test_clocks():
    assert find_board("icebreaker").oscillator_hz == 12_000_000
    assert find_board("icebreaker").clock_hz == SETTINGS["iCE40UP5K"].clock_hz
    for board in all_boards().values():
        if not board.is_too_small:
            assert board.clock_hz <= board.settings.clock_hz
            # A PLL is used where it gains, and never to go slower than the oscillator could.
            slowed = board.oscillator_hz > board.settings.clock_hz
            assert slowed or board.clock_hz >= board.oscillator_hz


def test_pins():
    assert find_board("icebreaker").pins == {"rx": "6", "tx": "9", "clock": "35"}
    assert find_board("tangnano9k").pins == {"rx": "18", "tx": "17", "clock": "52"}


def test_memories_fit_their_part():
    for name, settings in SETTINGS.items():
        part, shape = find_part(name), settings.shape
        if shape.weight_memory == "single_port":
            assert shape.weight_memory_bits <= part.single_port_bits
        else:
            assert shape.weight_memory_bits < part.block_rams * part.family.block_ram.bits


@pytest.mark.parametrize(
    ("board", "network"),
    [
        ("icebreaker", "digits"),
        ("icebreaker", "digits-medium"),
        ("icebreaker", "ascii"),
        ("icebreaker", "ascii-bits"),
        ("icebreaker", "ascii-nearest"),
        ("icebreaker", "letters"),
        ("tangnano9k", "digits"),
        ("ulx3s-85f", "digits-large"),
    ],
)
def test_a_shipped_network_fits_a_board(board, network):
    shape = find_board(board).settings.shape
    image = memory_image(load_network(network), shape)
    assert len(image.weights) <= shape.weight_words * shape.pe


def test_list_says_what_fits_and_what_is_too_small():
    facts = {fact.name: fact for fact in board_facts(baud=1_000_000)}
    assert "digits" in facts["icebreaker"].networks
    assert "exercise" not in facts["icebreaker"].networks
    assert facts["icebreaker"].memory_kbit == 120 + 1024
    engines = {name: (fact.simd, fact.pe, fact.weight_bits // 1024) for name, fact in facts.items()}
    # 144 x 8 lanes of 512 words on the 25F; the UP5K has four RAMs of 256 kbit.
    assert engines["ulx3s-25f"] == (144, 8, 576)
    assert engines["icebreaker"] == (64, 1, 1024)
    assert facts["icestick"].is_too_small
    assert facts["icestick"].networks == ()
    assert facts["icestick"].convolving == ()
    assert facts["tangnano9k"].convolving == ("digits-conv",)
    assert "ascii-conv" in facts["icebreaker"].convolving
    assert facts["icestick"].tables == ("digits-lut-small",)
    assert facts["tangnano"].tables == ()
    assert facts["ulx3s-85f"].tables == tuple(lut_names())


def test_network_too_large_for_a_board():
    shapes = [
        (name, find_board(name).settings.shape)
        for name in ("icebreaker", "tangnano9k", "ulx3s-85f")
    ]
    check_network(load_network("digits"), "tangnano9k", shapes)
    ample = dataclasses.replace(
        dict(shapes)["icebreaker"], weight_words=1 << 20, parameter_words=1 << 15, max_sum_bits=0
    )
    needed = len(memory_image(load_network("digits-large"), ample).weights)
    with pytest.raises(BuildError) as caught:
        check_network(load_network("digits-large"), "icebreaker", shapes)
    assert str(caught.value) == (
        f"Network 'digits-large' does not fit icebreaker: it needs {needed:,} weight words of 64 "
        f"bits, {needed - 16384:,} more than the 16,384 that the engine has in single-port RAM; "
        "icebreaker holds ascii, ascii-bits, ascii-nearest, digits, digits-medium, letters, and "
        "'digits-large' fits ulx3s-85f."
    )


def test_network_too_wide_for_a_board():
    wide = load_network("digits-large")
    shapes = [("icebreaker", EngineShape(max_inputs=512))]
    with pytest.raises(BuildError) as caught:
        check_network(wide, "icebreaker", shapes)
    assert str(caught.value) == (
        "Network 'digits-large' does not fit the engine: layer 0 has 784 inputs, the engine takes "
        "up to 512; icebreaker holds no shipped network, and 'digits-large' fits no board."
    )


def test_a_network_with_convolutions_asks_for_an_engine_of_its_own():
    shapes = [("ulx3s-25f", find_board("ulx3s-25f").settings.shape)]
    with pytest.raises(BuildError) as caught:
        check_network(load_network("digits-conv"), "ulx3s-25f", shapes)
    assert str(caught.value) == (
        "Network 'digits-conv' does not fit the engine: layer 0 is a convolution, whose address "
        "arithmetic this engine was built without; `stepnet estimate --board ulx3s-25f --network "
        "digits-conv` tells which engine to build for it."
    )
    with pytest.raises(BuildError) as caught:
        check_built_in(load_network("digits-conv"), find_board("icebreaker"))
    assert str(caught.value) == (
        "No network can be built into icebreaker, because its weights are in single-port RAM, "
        "which a bitstream cannot fill; build without --network but with --goal images "
        "--engine-for digits-conv and load 'digits-conv' over the link."
    )


UART_MISSING = (
    "The board {name!r} has no resource 'uart'; derive a platform from "
    "amaranth_boards.ice40_up5k_b_evn:ICE40UP5KBEVNPlatform that adds a UARTResource on pins of "
    "your choice, as docs/boards.md shows, and name it as module:Class."
)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("icebraker", "There is no board 'icebraker'; did you mean icebreaker?"),
        ("zzz", "There is no board 'zzz'; `stepnet boards` lists all."),
        (
            "no_such_module:Board",
            "The platform 'no_such_module:Board' cannot be imported (No module named "
            "'no_such_module'); name it as module:Class of a module that Python finds, for "
            "instance in a folder that PYTHONPATH names.",
        ),
        (
            "artya7-35",
            "The board 'artya7-35' has the part 'xc7a35ti', which Stepnet does not know or which "
            f"no open tools build for; take a board with one of {', '.join(SETTINGS)}.",
        ),
        (
            "amaranth_boards.arty_a7:ArtyA7_35Platform",
            "The board 'amaranth_boards.arty_a7:ArtyA7_35Platform' has the part 'xc7a35ti', which "
            "Stepnet does not know or which no open tools build for; take a board with one of "
            f"{', '.join(SETTINGS)}.",
        ),
        (
            "amaranth_boards.ulx3s:Resource",
            "What 'amaranth_boards.ulx3s:Resource' names is no board; it has to be a platform "
            f"class of Amaranth with one of the parts {', '.join(SETTINGS)}.",
        ),
        ("ice40up5kbevn", UART_MISSING.format(name="ice40up5kbevn")),
        (
            "amaranth_boards.ice40_up5k_b_evn:ICE40UP5KBEVNPlatform",
            UART_MISSING.format(name="amaranth_boards.ice40_up5k_b_evn:ICE40UP5KBEVNPlatform"),
        ),
    ],
)
def test_unknown_boards(name, sentence):
    with pytest.raises(BuildError) as caught:
        find_board(name)
    assert str(caught.value) == sentence


def test_part_that_is_too_small():
    with pytest.raises(BuildError) as caught:
        _ = find_board("icestick").settings
    assert str(caught.value) == (
        "No engine fits the iCE40HX1K of icestick, which has 1,280 LUTs and 64 kbit of memory; "
        f"take a board with one of {', '.join(SETTINGS)}, or a network of look-up tables that "
        "`stepnet boards` lists for it."
    )


@pytest.fixture
def example_boards(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "examples"))


@pytest.mark.usefixtures("example_boards")
def test_own_platform_with_a_uart_on_a_pmod():
    assert not any(resource.name == "uart" for resource in ICE40UP5KBEVNPlatform.resources)
    board = find_board("own_boards:Up5kWithPmodUart")
    assert board.pins == {"rx": "26", "tx": "27", "clock": "35"}
    pins = make_plan(board, baud=1_000_000).files["stepnet.pcf"]
    assert "set_io uart_0__rx__io 26" in pins
    assert "set_io uart_0__tx__io 27" in pins


@pytest.mark.usefixtures("example_boards")
def test_own_platform_from_scratch():
    pins = make_plan(find_board("own_boards:HandMade"), baud=1_000_000).files["stepnet.pcf"]
    assert "set_io led_0__io 11" in pins
