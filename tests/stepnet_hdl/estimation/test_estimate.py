"""Chips estimated before they are built, and engines picked by that."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import check_fits, memory_image, overlaps
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.network import Layer, Network
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.cli.estimate import estimate as estimate_command
from stepnet_hdl.cores.engine.structure import popcount_structure
from stepnet_hdl.estimation.engine_choice import (
    MAX_OVERLAP_LOSS,
    board_with,
    choose_engine,
    has_engine_for,
)
from stepnet_hdl.estimation.goal import Goal
from stepnet_hdl.estimation.size import LUT_ERROR, estimate
from stepnet_hdl.estimation.speed import performance
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.families.gowin import GW1N, GW5A
from stepnet_hdl.fpga.families.ice40 import ICE40
from stepnet_hdl.fpga.parts import find_part
from stepnet_hdl.fpga.ram_mapping import map_ram
from stepnet_hdl.shipping.manifest import read_manifest, shipped_boards, shipped_folder

BUILT = json.loads((Path(__file__).parents[3] / "benchmarks" / "estimate_table.json").read_text())


@pytest.fixture(scope="module")
def digits():
    return load_network("digits")


def test_the_published_table_covers_what_it_promises():
    shapes = [row["shape"] for row in BUILT]
    assert len(BUILT) >= 8
    families = {find_part(row["part"]).family.name for row in BUILT}
    assert families == {"iCE40", "ECP5", "GW1N", "GW2A", "GW5A"}
    assert {16, 256} <= {shape["simd"] for shape in shapes}
    assert {1, 32} <= {shape["pe"] for shape in shapes}
    assert {bool(shape["overlap_neurons"]) for shape in shapes} == {False, True}


@pytest.mark.parametrize("row", BUILT, ids=lambda row: f"{row['part']}-{row['shape']['simd']}")
def test_built_chips(row):
    expected = estimate(EngineShape(**row["shape"]), row["part"])
    assert expected.luts == pytest.approx(row["luts"], rel=LUT_ERROR)
    assert expected.flip_flops == pytest.approx(row["flip_flops"], rel=LUT_ERROR)
    assert expected.block_rams == row["block_rams"]
    assert expected.single_port_rams == row["single_port_rams"]


@pytest.mark.parametrize("name", shipped_boards())
def test_frequency_of_shipped_bitstreams(name):
    """Seeds alone spread by a tenth."""
    built = read_manifest(shipped_folder(name))
    expected = estimate(built.shape, built.part).frequency_hz
    assert expected == pytest.approx(built.max_frequency_hz, rel=0.1)


@pytest.mark.parametrize("row", [row for row in BUILT if "mhz" in row], ids=str)
def test_frequency_of_built_chips(row):
    """Those whose thresholds are read one by one for many neurons come out slower."""
    shape = EngineShape(**row["shape"])
    error = estimate(shape, row["part"]).frequency_hz / 1e6 / row["mhz"] - 1
    assert -0.1 < error < (0.1 if shape.parameter_reads < 4 else 0.4)


# What `memory_libmap` of Yosys 0.70 made of them, alone in a design: block RAMs, LUT RAMs.
@pytest.mark.parametrize(
    ("family", "width", "depth", "rams"),
    [
        (ICE40, 16, 4, (0, 0)),  # flip-flops
        (ICE40, 12, 6, (0, 0)),
        (ICE40, 12, 7, (1, 0)),
        (ICE40, 16, 257, (2, 0)),
        (ICE40, 16, 600, (3, 0)),
        (ICE40, 12, 1200, (4, 0)),  # three quarters of a word of each of five banks
        (ICE40, 22, 1200, (7, 0)),
        (ICE40, 11, 6656, (18, 0)),
        (ICE40, 16, 6656, (26, 0)),
        (ICE40, 64, 2048, (32, 0)),
        (ECP5, 8, 128, (0, 16)),
        (ECP5, 8, 200, (1, 0)),
        (ECP5, 12, 96, (0, 18)),
        (ECP5, 12, 128, (1, 0)),
        (ECP5, 36, 512, (1, 0)),
        (ECP5, 36, 513, (2, 0)),
        (ECP5, 32, 1300, (3, 0)),
        (ECP5, 12, 5000, (5, 0)),
        (ECP5, 8, 20000, (10, 0)),
        (GW1N, 8, 17, (0, 4)),
        (GW1N, 12, 96, (0, 18)),
        (GW1N, 22, 64, (0, 24)),  # of the last word of four bits only two are used, and counted
        (GW1N, 36, 512, (1, 0)),
        (GW1N, 32, 1300, (3, 0)),
        (GW5A, 8, 16, (0, 0)),
        (GW5A, 8, 17, (1, 0)),
        (GW5A, 12, 96, (1, 0)),
        (GW5A, 11, 6656, (6, 0)),
    ],
)
def test_memories_become_what_yosys_makes_of_them(family, width, depth, rams):
    mapping = map_ram(family, width, depth)
    assert (mapping.block_rams, mapping.lut_rams) == rams


def test_as_many_rams_hold_the_depth_that_a_mapping_names():
    for family in (ICE40, ECP5, GW1N, GW5A):
        for width, depth in ((16, 600), (72, 477), (22, 1200), (264, 430), (8, 3000)):
            mapping = map_ram(family, width, depth)
            deepest = map_ram(family, width, mapping.depth)
            assert mapping.depth >= depth
            assert (deepest.block_rams, deepest.banks) == (mapping.block_rams, mapping.banks)


@pytest.mark.parametrize("width", [8, 16, 64, 72, 255])
def test_popcount_structure_counts_the_flip_flops_of_the_gateware(width):
    from amaranth.hdl import Fragment

    from stepnet_hdl.blocks.popcount import Popcount

    fragment = Fragment.get(Popcount(width), None)
    registers = sum(len(signal) for signal in fragment.statements["sync"]._lhs_signals())
    assert popcount_structure(width).flip_flops == registers + width  # and the matches in front


def test_cycles_are_those_of_the_engine(digits):
    shape = EngineShape(max_weight_bits=8)
    speed = performance(digits, shape, frequency_hz=20_000_000, baud=1_000_000)
    assert speed.cycles == cycles_per_image(digits, shape)
    assert speed.latency_cycles == cycles_per_image(digits, shape, cycles_per_byte=200)
    assert speed.images_per_s == pytest.approx(20e6 / speed.cycles)
    # 3 bytes of header, 98 of pixels, 2 of CRC, 1 of COBS and the zero; 10 bits each.
    assert speed.link_images_per_s == pytest.approx(1e6 / 10 / 105)


def test_the_fastest_that_fits(digits):
    found = choose_engine(digits, find_board("icebreaker"))
    assert found.chosen.fits
    check_fits(digits, found.chosen.shape)
    memory_image(digits, found.chosen.shape)
    for other in found.neighbours:
        faster = other.performance.images_per_s > found.chosen.performance.images_per_s
        overlap_alone = dataclasses.replace(
            other.shape, overlap_neurons=found.chosen.shape.overlap_neurons
        )
        assert not (faster and other.fits) or overlap_alone == found.chosen.shape
        memory_image(digits, other.shape)
    # All four single-port RAMs give their 64 bits per cycle.
    assert found.chosen.shape.simd * found.chosen.shape.pe == 64
    assert found.chosen.estimate.single_port_rams == 4


def test_a_second_register_is_used_in_block_rams_and_behind_the_mux_of_banks(digits):
    layer = Layer(np.ones((7, 64), np.int8), np.zeros(7, np.int32))
    small = Network("small", (layer,), width=8, height=8)
    memories = [
        choose_engine(network, find_board(board)).chosen.shape.weight_memory
        for network, board in (
            *((digits, "ice40hx8kbevn"), (small, "ice40hx8kbevn")),
            *((digits, "ulx3s-25f"), (small, "ulx3s-25f")),
        )
    ]
    assert memories == ["registered", "block", "registered", "registered"]


def test_overlap_is_taken_where_it_costs_little(digits):
    chosen = choose_engine(digits, find_board("icebreaker")).chosen
    assert overlaps(digits, chosen.shape)
    without = dataclasses.replace(chosen.shape, overlap_neurons=0)
    plain = performance(digits, without, estimate(without, "iCE40UP5K").frequency_hz)
    assert chosen.performance.latency_s < plain.latency_s
    assert chosen.performance.images_per_s >= (1 - MAX_OVERLAP_LOSS) * plain.images_per_s


def test_the_smallest_that_keeps_up_with_the_link(digits):
    board = find_board("icebreaker")
    found = choose_engine(digits, board, Goal.LINK, baud=1_000_000)
    assert found.chosen.performance.keeps_up
    assert not found.chosen.shape.overlap_neurons
    for other in found.neighbours:
        smaller = other.estimate.luts < found.chosen.estimate.luts
        assert not (smaller and other.fits and other.performance.keeps_up)
    # A faster line asks for a larger engine, and one that no engine follows for the fastest.
    at_12_mbaud = choose_engine(digits, board, Goal.LINK, baud=12_000_000).chosen
    assert at_12_mbaud.performance.keeps_up
    assert at_12_mbaud.estimate.luts > found.chosen.estimate.luts
    at_100_mbaud = choose_engine(digits, board, Goal.LINK, baud=100_000_000).chosen
    assert at_100_mbaud == choose_engine(digits, board, baud=100_000_000).chosen


@pytest.mark.slow
def test_large_network_on_a_large_part():
    network = load_network("digits-large")
    chosen = choose_engine(network, find_board("ulx3s-85f")).chosen
    part = find_part("LFE5U-85F")
    assert chosen.fits
    assert chosen.estimate.block_rams <= part.block_rams
    # Three quarters of what all block RAMs give per cycle, or more.
    assert chosen.shape.simd * chosen.shape.pe >= 0.75 * part.block_rams * 36


@pytest.mark.parametrize("name", ["digits-conv", "ascii-conv"])
@pytest.mark.parametrize("board", ["icebreaker", "ulx3s-85f"])
def test_what_is_chosen_holds_a_network_with_convolutions(name, board):
    """Also its first kernel, for which a word has to be wide enough."""
    network = load_network(name)
    choice = choose_engine(network, find_board(board))
    check_fits(network, choice.chosen.shape)
    for neighbour in choice.neighbours:
        check_fits(network, neighbour.shape)


@pytest.mark.parametrize(
    ("name", "board"),
    [
        ("digits-conv", "tangnano9k"),
        ("digits-conv-open", "tangnano9k"),
        ("ascii-conv", "ulx3s-25f"),
        ("ascii-conv", "ice40hx8kbevn"),
        ("ascii-conv", "icebreaker"),
    ],
)
def test_there_is_an_engine_where_one_is_chosen(name, board):
    network, where = load_network(name), find_board(board)
    try:
        choose_engine(network, where)
    except BuildError:
        assert not has_engine_for(network, where)
    else:
        assert has_engine_for(network, where)


def test_two_windows_at_once_where_there_is_room():
    """And one, where memories that hold more networks need the room."""
    board = find_board("icebreaker")
    names = ("digits-conv", "digits-conv-open", "digits-conv-strict", "ascii-conv")
    digits, *others = map(load_network, names)
    choice = choose_engine(digits, board)
    assert choice.chosen.shape.map_windows == 2
    lone = [found for found in choice.neighbours if found.shape.map_windows == 1]
    assert len(lone) == 1
    assert lone[0].performance.cycles > 1.5 * choice.chosen.performance.cycles
    few = board_with(choice, board, others[:2]).settings
    assert (few.shape.map_windows, few.buffer_bytes) == (2, board.settings.buffer_bytes)
    assert board_with(choice, board, others).settings.shape.map_windows == 1


def test_a_network_that_no_engine_holds():
    with pytest.raises(BuildError) as caught:
        choose_engine(load_network("digits-large"), find_board("icebreaker"))
    assert str(caught.value) == (
        "No engine for network 'digits-large' fits the iCE40UP5K of icebreaker: the smallest takes "
        "12 of 4 single-port RAMs; use a smaller network or a larger board."
    )


def test_a_network_with_more_inputs_than_any_engine_takes():
    layer = Layer(np.ones((7, 65_536), dtype=int), np.zeros(7, dtype=int))
    with pytest.raises(BuildError) as caught:
        choose_engine(Network("wide", (layer,), 256, 256), find_board("icebreaker"))
    assert str(caught.value) == (
        "No engine takes the 65,536 inputs of the widest layer of network 'wide'; use a smaller "
        "network."
    )


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"simd": 12}, "No engine is made with SIMD 12; choose 8 to 1024 in steps of 8."),
        ({"pe": 0}, "No engine is made with PE 0; choose 1 to 64 in steps of 1."),
        (
            {"simd": 1024, "pe": 2},
            "No engine of SIMD 1024 and PE 2 for network 'digits' fits the iCE40UP5K of "
            "icebreaker; give other ones, or leave them out and have them picked.",
        ),
    ],
)
def test_engines_that_are_asked_for_and_cannot_be(digits, wish, sentence):
    with pytest.raises(BuildError) as caught:
        choose_engine(digits, find_board("icebreaker"), **wish)
    assert str(caught.value) == sentence


def test_a_board_without_a_uart_is_estimated(digits):
    board, baud = find_board("ice40up5kbevn", needs_uart=False), 1_000_000
    assert (
        choose_engine(digits, board).chosen
        == choose_engine(digits, find_board("icebreaker"), baud=baud).chosen
    )


def test_the_engine_alone(digits):
    """Beside the chip: all its block RAMs but those of the link, and the LUTs of what is placed as
    the engine in the chip of the iCE40LP8K, 1,803."""
    shape = find_board("tinyfpgabx").settings.shape
    chip = estimate(shape, "iCE40LP8K")
    assert chip.engine_luts == pytest.approx(1803, rel=0.15)
    assert chip.block_rams - chip.engine_block_rams == 2


def test_parts_that_have_no_chip(digits):
    with pytest.raises(BuildError, match=r"^There is no part 'GW1NR-9'; did you mean GW1NR-9C"):
        estimate(EngineShape(), "GW1NR-9")
    with pytest.raises(BuildError, match=r"^No engine fits the iCE40LP1K, which has 1,280 LUTs"):
        estimate(EngineShape(), "iCE40LP1K")
    with pytest.raises(BuildError, match="No engine fits the iCE40HX1K of icestick"):
        choose_engine(digits, find_board("icestick"))


def test_a_shape_that_cannot_exist_is_refused_before_it_is_estimated():
    with pytest.raises(NetworkError, match="An engine cannot have SIMD 0"):
        estimate(EngineShape(simd=0), "iCE40UP5K")


def test_command():
    app = typer.Typer(rich_markup_mode=None)
    app.command()(estimate_command)
    as_json = json.loads(CliRunner().invoke(app, ["--json"]).stdout)
    chosen = as_json["chosen"]
    assert (as_json["board"], as_json["network"]) == ("icebreaker", "digits")
    assert chosen["too_small"] is None
    lines = CliRunner().invoke(app, []).stdout.splitlines()
    assert lines[0] == (
        "Network digits on icebreaker (iCE40UP5K), goal images: "
        f"SIMD {chosen['shape']['simd']}, PE {chosen['shape']['pe']}."
    )
    for heading in ("LUTs of 5,280", "block RAMs of 30", "clock (MHz)", "latency (us)"):
        assert heading in lines[1]
    (marked,) = [line for line in lines[2:] if line.startswith("*")]
    assert f"{chosen['luts']:,}" in marked.split()
    assert len(lines) == 2 + 1 + len(as_json["neighbours"]) + 1
    assert lines[-1] == (
        "`stepnet build --board icebreaker --goal images` builds the one marked *, for 42 MHz; "
        "without a goal it is SIMD 64, PE 1 for 42 MHz, which suits the part."
    )
