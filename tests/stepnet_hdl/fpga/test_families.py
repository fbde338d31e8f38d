"""Parts by name, and a family that nothing but its object and the row of its part knows."""

import dataclasses

import pytest
from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeICE40Platform
from amaranth_boards.resources import UARTResource
from amaranth_boards.tang_mega_138k_pro_dock import TangMega138kProDockPlatform
from amaranth_boards.ulx3s import ULX3S_45F_Platform

from stepnet.errors import BuildError
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.estimation.size import estimate
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_hdl.flow.report import cells, luts
from stepnet_hdl.fpga.families.gowin import GW1N
from stepnet_hdl.fpga.families.ice40 import ICE40
from stepnet_hdl.fpga.family import LutCosts, Speed
from stepnet_hdl.fpga.parts import FAMILIES, PARTS, Part, find_part, has_single_port_ram, part_of


def test_parts_of_platforms():
    assert part_of(ULX3S_45F_Platform) is find_part("LFE5U-45F")
    assert part_of(ULX3S_45F_Platform()) is find_part("LFE5U-45F")
    assert part_of(TangMega138kProDockPlatform) is None
    assert part_of(None) is None
    assert has_single_port_ram(find_board("icebreaker").platform)
    assert not has_single_port_ram(find_board("ice40hx8kbevn").platform)
    assert not has_single_port_ram(None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("LFE5U-46F", "There is no part 'LFE5U-46F'; did you mean LFE5U-45F or LFE5UM-45F or "),
        ("zzz", f"There is no part 'zzz'; there are {', '.join(PARTS)}."),
    ],
)
def test_unknown_parts(name, sentence):
    with pytest.raises(BuildError) as caught:
        find_part(name)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(("?", "."))


def test_every_part_with_a_chip_has_a_speed():
    for name in SETTINGS:
        assert find_part(name).family.speed_of(name).base_ns > 0


def test_families_differ_in_name_and_agree_on_tools():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        for tool, source in family.tools.items():
            assert source.placer is None or source.placer in family.tools, tool


def test_cells_that_take_a_place_are_added_up():
    logic, adders = {"used": 5, "available": 9}, {"used": 2, "available": 6}
    memory = {"used": 3, "available": 4}
    report = {"utilization": {"LUT4": logic, "ALU": adders, "RAM16SDP4": memory}}
    assert luts(report, GW1N.cells) == (5 + 2 + 6 * 3, 9)
    assert cells(report, "ALU") == (2, 6)
    assert cells(report, None) == (0, 0)
    assert cells(report, "BSRAM") == (0, 0)


class NewBoard(LatticeICE40Platform):
    device = "New-1"
    package = "SG48"
    default_clk = "clk12"
    resources = (
        Resource("clk12", 0, Pins("35", dir="i"), Clock(12e6), Attrs(IO_STANDARD="SB_LVCMOS")),
        UARTResource(0, rx="6", tx="9", attrs=Attrs(IO_STANDARD="SB_LVCMOS")),
    )
    connectors = ()

    def toolchain_prepare(self, fragment, name, **overrides):
        self.device = "iCE40UP5K"  # Amaranth has to know it
        return super().toolchain_prepare(fragment, name, **overrides)


@pytest.fixture
def new_family(monkeypatch):
    """A family and a part that are in no other module than this one."""
    family = dataclasses.replace(
        ICE40,
        name="New",
        synthesis_target=("-device", "u"),
        lut_costs=LutCosts(1000, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        speeds={"New-*": Speed(base_ns=10, doubling_ns=0)},
    )
    part = Part("New-1", family, luts=9_999, block_rams=40)
    monkeypatch.setitem(PARTS, part.name, part)
    shape = dataclasses.replace(SETTINGS["iCE40HX8K"].shape, weight_words=512)
    settings = dataclasses.replace(SETTINGS["iCE40HX8K"], shape=shape, clock_hz=12_000_000)
    monkeypatch.setitem(SETTINGS, part.name, settings)
    return family


def test_a_family_is_its_object_and_the_row_of_a_part(new_family):
    board = find_board(f"{__name__}:NewBoard")
    assert board.part.family is new_family
    assert (board.device, board.clock_hz) == ("New-1", 12_000_000)
    assert "synth_ice40 -device u -top" in make_plan(board, baud=1_000_000).files["stepnet.ys"]
    size = estimate(board.settings.shape, "New-1")
    assert size.frequency_hz == 100_000_000
    assert size.shares["LUTs"][1] == 9_999
