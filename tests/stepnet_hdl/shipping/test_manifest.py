"""The bitstreams that come with Stepnet, and their manifests."""

from dataclasses import replace

import pytest

from stepnet.errors import BuildError
from stepnet.networks.shipped import load_lut_network, load_network, load_spiking_network
from stepnet_hdl.boards.capacity import fits
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import table_chip
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.flow.build import BuildSettings, board_of
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_hdl.flow.report import report_from_json
from stepnet_hdl.shipping import manifest
from stepnet_hdl.shipping import ship as shipped
from stepnet_hdl.shipping.manifest import (
    CONVOLUTIONS,
    SPIKING,
    TABLES,
    folder_of,
    read_manifest,
    shipped_boards,
    shipped_folder,
)
from stepnet_hdl.shipping.ship import (
    BOARDS,
    CONVOLVING_NETWORKS,
    SPIKING_NETWORKS,
    TABLE_NETWORKS,
    settings_of,
    ship,
)

REPORT = """{
    "board": "icebreaker", "part": "iCE40UP5K", "bitstream_name": "stepnet.bin",
    "bitstream": "stepnet.bin", "picture": "a.png", "network": null, "digests": {}, "cached": false,
    "luts": 2288, "luts_available": 5280, "flip_flops": 0, "flip_flops_available": 0,
    "block_rams": 24, "block_rams_available": 30, "single_port_rams": 4,
    "single_port_rams_available": 4, "max_frequency_hz": 34500000, "clock_hz": 24000000,
    "baud": 1000000, "seed": 3, "seeds_hz": {"3": 34500000}, "critical_path": [],
    "tools": ["yosys 1.0 (PATH)"], "plan_digest": "abc", "seconds": {}
}"""


@pytest.fixture
def build_of(monkeypatch):
    """Lets `ship` find a finished build with other figures than `REPORT`."""

    def change(**figures):
        def build(settings, folder):
            report = replace(report_from_json(REPORT), **figures)
            (folder / report.bitstream).write_bytes(b"bits")
            return replace(report, bitstream=folder / report.bitstream)

        monkeypatch.setattr(shipped, "build", build)

    return change


def test_manifest_says_how_the_bitstream_was_made(build_of, tmp_path):
    build_of()
    made = ship(BuildSettings("icebreaker"), tmp_path / "icebreaker")
    assert sorted(path.name for path in (tmp_path / "icebreaker").iterdir()) == [
        "manifest.json",
        "stepnet.bin",
    ]
    found = read_manifest(tmp_path / "icebreaker")
    assert found == made
    assert found.command == "stepnet build --board icebreaker --seed 3"
    assert found.shape == find_board("icebreaker").settings.shape
    assert found.utilisation["LUTs"] == (2288, 5280)


def test_manifest_of_a_spiking_network_names_it(build_of, tmp_path):
    build_of(board="ulx3s-25f", part="LFE5U-25F", network="digits-spiking")
    made = ship(settings_of("ulx3s-25f", SPIKING), tmp_path)
    assert made.command == "stepnet build --board ulx3s-25f --seed 3 --network digits-spiking"
    assert (made.network, made.engine, made.buffer_bytes) == ("digits-spiking", {}, 2048)


def test_manifest_of_a_chip_on_spi_says_so(build_of, tmp_path):
    pins = {"cs": "4", "copi": "2", "cipo": "47", "clk": "45"}
    build_of(wire="spi", pins=pins, baud=20_000_000)
    made = ship(BuildSettings("icebreaker", wire=Wire.SPI), tmp_path)
    assert read_manifest(tmp_path) == made
    assert (made.wire, made.pins, made.baud) == ("spi", pins, 20_000_000)
    assert made.command == "stepnet build --board icebreaker --seed 3 --wire spi"
    report = replace(report_from_json(REPORT), wire="spi", pins=pins, baud=20_000_000)
    assert "SPI         mode 0, up to 20 MHz; cs 4, copi 2, cipo 47, clk 45" in report.to_text()


def test_bitstream_with_too_little_to_spare_does_not_ship(build_of, tmp_path):
    build_of(max_frequency_hz=24_900_000)
    with pytest.raises(BuildError) as caught:
        ship(BuildSettings("icebreaker"), tmp_path / "icebreaker")
    assert str(caught.value) == (
        "The clock of icebreaker is met by 3.8% only, and a bitstream that ships needs 5%; try "
        "more --seeds, or lower the clock of its part."
    )
    assert not (tmp_path / "icebreaker").exists()


def test_damaged_bitstream_is_noticed(build_of, tmp_path):
    build_of()
    ship(BuildSettings("icebreaker"), tmp_path)
    (tmp_path / "stepnet.bin").write_bytes(b"other bits")
    with pytest.raises(BuildError, match="is not the one that its manifest names: its SHA-256 is"):
        read_manifest(tmp_path)


def test_bitstream_of_an_unknown_board():
    with pytest.raises(BuildError) as caught:
        shipped_folder("icebraker")
    assert str(caught.value) == "There is no board 'icebraker'; did you mean icebreaker?"


def test_missing_bitstream_names_the_others(build_of, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "SHIPPED_FOLDERS", (tmp_path,))
    build_of()
    ship(BuildSettings("icebreaker"), tmp_path / "icebreaker")
    assert shipped_boards() == ["icebreaker"]
    with pytest.raises(BuildError) as caught:
        shipped_folder("versaecp5")
    assert str(caught.value) == (
        "No bitstream for 'versaecp5' comes with Stepnet, only for icebreaker; build one with: "
        "stepnet build --board versaecp5, and name it with --bitstream."
    )


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            TABLES,
            "No bitstream of the kind 'tables' comes for 'icesugar'; choose one of icebreaker, "
            "icestick, icesugarnano, nandlandgo, ulx3s-25f.",
        ),
        (
            CONVOLUTIONS,
            "No bitstream of the kind 'convolutions' comes for 'icesugar'; choose one of "
            "icebreaker, ulx3s-25f.",
        ),
    ],
)
def test_a_board_that_no_bitstream_of_the_kind_comes_for(kind, sentence):
    with pytest.raises(BuildError) as caught:
        settings_of("icesugar", kind)
    assert str(caught.value) == sentence


def test_a_board_that_no_bitstream_with_an_engine_comes_for():
    with pytest.raises(BuildError, match=r"^No bitstream with an engine comes for 'icestick'; "):
        settings_of("icestick")


def test_manifest_of_an_engine_with_convolutions_says_how_it_is_picked(build_of, tmp_path):
    build_of()
    made = ship(settings_of("icebreaker", CONVOLUTIONS), tmp_path)
    assert read_manifest(tmp_path) == made
    assert made.command == (
        "stepnet build --board icebreaker --seed 3 --clock-mhz 33 --goal images --engine-for "
        "digits-conv-open,ascii-conv"
    )
    assert made.shape.map_words
    # Memory for both takes the place of half the buffer.
    assert made.buffer_bytes == find_board("icebreaker").settings.buffer_bytes // 2


def test_all_that_should_ship_does():
    assert shipped_boards() == sorted(BOARDS)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
def test_shipped_bitstream_is_of_this_gateware(board):
    found = read_manifest(shipped_folder(board))
    assert found.max_frequency_hz >= 1.05 * found.clock_hz
    assert {path.name for path in shipped_folder(board).iterdir()} == {
        manifest.MANIFEST,
        found.bitstream,
    }
    plan = make_plan(find_board(board), baud=found.baud, clock_hz=found.clock_hz)
    assert found.source_digest == plan.digest, "build it again: python -m stepnet_hdl.shipping.ship"
    # Large parts take nextpnr's other router.
    assert ("--router router2" in " ".join(plan.place_and_route)) == (board == "ulx3s-85f")


def manifest_of_this_gateware(folder, network, option):
    """The manifest of a bitstream that is `network`, after the checks that all of them pass."""
    found = read_manifest(folder)
    assert found.network == network.name
    assert found.max_frequency_hz >= 1.05 * found.clock_hz
    plan = make_plan(
        find_board(found.board), baud=found.baud, clock_hz=found.clock_hz, network=network
    )
    assert found.source_digest == plan.digest, (
        f"build it again: python -m stepnet_hdl.shipping.ship {option}"
    )
    return found


def test_all_tables_that_should_ship_do():
    assert shipped_boards(TABLES) == sorted(TABLE_NETWORKS)
    # Who names no network gets an engine where there is one.
    assert read_manifest(shipped_folder("icebreaker")).network is None
    assert read_manifest(shipped_folder("icestick")).network == "digits-lut-small"


def test_all_engines_with_convolutions_that_should_ship_do():
    assert shipped_boards(CONVOLUTIONS) == sorted(CONVOLVING_NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("board", CONVOLVING_NETWORKS)
def test_shipped_bitstream_with_convolutions_is_of_this_gateware(board):
    found = read_manifest(folder_of(board, CONVOLUTIONS))
    assert found.max_frequency_hz >= 1.05 * found.clock_hz
    chosen = board_of(settings_of(board, CONVOLUTIONS), None)
    plan = make_plan(chosen, baud=found.baud, clock_hz=found.clock_hz)
    assert found.source_digest == plan.digest, (
        "build it again: python -m stepnet_hdl.shipping.ship --convolutions"
    )
    assert found.shape == chosen.settings.shape
    for name in CONVOLVING_NETWORKS[board]:
        assert fits(load_network(name), found.shape)


def test_all_spiking_networks_that_should_ship_do():
    assert shipped_boards(SPIKING) == sorted(SPIKING_NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("board", SPIKING_NETWORKS)
def test_shipped_spiking_bitstream_is_of_this_gateware(board):
    network = load_spiking_network(SPIKING_NETWORKS[board])
    found = manifest_of_this_gateware(folder_of(board, SPIKING), network, "--spiking")
    chip = spiking_chip(network, find_board(board))
    assert found.buffer_bytes == chip.buffer_bytes


def test_estimates_are_within_15_percent_of_packed_pipelines():
    """On an iCE40UP5K, by nextpnr: the whole chip, which was not routed for want of a clock."""
    chip = table_chip(load_lut_network("digits-lut-compact"), find_board("icebreaker").part)
    assert chip.luts == pytest.approx(3873, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("board", TABLE_NETWORKS)
def test_shipped_bitstream_of_tables_is_of_this_gateware(board):
    network = load_lut_network(TABLE_NETWORKS[board])
    found = manifest_of_this_gateware(folder_of(board, TABLES), network, "--tables")
    used, _ = found.utilisation["LUTs"]
    chip = table_chip(network, find_board(board).part)
    assert chip.luts == pytest.approx(used, rel=0.15)
    assert chip.block_rams == found.utilisation["block RAMs"][0]
