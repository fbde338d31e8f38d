"""The commands build, boards, estimate and flash."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from fake_tools import make_tools
from stepnet.cores.engine.memory_image import layer_weight_words
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.random_networks import random_network
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.capacity import fitting_networks
from stepnet_hdl.boards.catalogue import all_boards, find_board
from stepnet_hdl.cli import boards, build, estimate, flash
from stepnet_hdl.flow import build as build_module
from stepnet_hdl.flow import cache


@pytest.fixture
def run():
    app = typer.Typer(rich_markup_mode=None)
    for command in (build.build, boards.boards, estimate.estimate, flash.flash):
        app.command()(command)

    def run(line):
        done = CliRunner().invoke(app, shlex.split(line), catch_exceptions=True)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def fake_flow(monkeypatch, tmp_path):
    monkeypatch.setattr(cache.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    (tmp_path / "tools").mkdir()
    tools = make_tools(tmp_path / "tools", mhz_by_seed={5: 40.0})
    monkeypatch.setattr(build_module, "find_flow_tool", lambda name, part=None: tools[name])


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_build_on_spi(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "build --board icestick --network digits-lut-small --wire spi --clock-mhz 12 --json"
    report = json.loads(run(line).stdout)
    assert report["wire"] == "spi"
    assert report["pins"] == {"cs": "78", "copi": "79", "cipo": "80", "clk": "81"}
    assert (report["baud"], report["clock_hz"]) == (20_000_000, 12_000_000)
    assert Path(report["bitstream"]).parts[:2] == ("build", "icestick-digits-lut-small-spi")


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_build(run, tmp_path):
    seeds = "--seed 4 --seeds 2 --best"
    line = f"build --board icebreaker --clock-mhz 24 {seeds} --output '{tmp_path / 'out'}'"
    as_text = run(line)
    assert "Place and route, best so far 40.0 MHz." in as_text.stderr.splitlines()
    assert "reaches 40.0 MHz (67% to spare)" in as_text.stdout
    as_json = json.loads(run(f"{line} --json").stdout)
    assert (as_json["seed"], as_json["cached"]) == (5, True)
    assert as_json["bitstream"] == str(tmp_path / "out" / "stepnet.bin")


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_build_with_a_network(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "build --board ice40hx8kbevn --seed 5 --clock-mhz 24"
    plain = json.loads(run(f"{line} --json").stdout)
    done = json.loads(run(f"{line} --network digits --json").stdout)
    assert (plain["network"], done["network"]) == (None, "digits")
    assert done["bitstream"] == str(Path("build", "ice40hx8kbevn-digits", "stepnet.bin"))
    assert done["plan_digest"] != plain["plan_digest"]
    assert not done["cached"]
    again = run(f"{line} --network digits")
    assert "built in    digits" in again.stdout
    assert "from the cache" in again.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_another_network_in_the_same_file_is_another_build(run, tmp_path):
    line = (
        f"build --board ice40hx8kbevn --seed 5 --clock-mhz 24 --network '{tmp_path / 'my.npz'}' "
        f"--output '{tmp_path / 'out'}' --json"
    )
    digests = []
    for seed in range(2):
        network = random_network(np.random.default_rng(seed), (64, 16, 7), (1, 1))
        network.save(tmp_path / "my.npz")
        done = json.loads(run(line).stdout)
        assert (done["network"], done["cached"]) == ("random", False)
        digests.append(done["plan_digest"])
    assert digests[0] != digests[1]


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_build_with_a_network_and_single_port_memory(run, tmp_path):
    with pytest.raises(BuildError) as caught:
        run(f"build --board icebreaker --network digits-large --output '{tmp_path / 'out'}'")
    assert str(caught.value) == (
        "No network can be built into icebreaker, because its weights are in single-port RAM, "
        "which a bitstream cannot fill; build without --network and load 'digits-large' over the "
        f"link, or build for {', '.join(boards_that_hold('digits-large'))}."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("fake_flow")
def test_build_with_a_network_that_is_too_large(run, tmp_path):
    shape = find_board("tangnano9k").settings.shape
    letters = load_network("letters")
    needed = sum(layer_weight_words(letters, layer, shape) for layer in letters.layers)
    with pytest.raises(BuildError) as caught:
        run(f"build --board tangnano9k --network letters --output '{tmp_path / 'out'}'")
    assert str(caught.value) == (
        f"Network 'letters' does not fit tangnano9k: it needs {needed:,} weight words of "
        f"{shape.simd * shape.pe} bits, {needed - shape.weight_words:,} more than the "
        f"{shape.weight_words:,} that the engine has in block RAM; tangnano9k holds "
        f"{', '.join(fitting_networks(shape))}, and 'letters' fits "
        f"{', '.join(boards_that_hold('letters'))}."
    )


def test_build_with_a_network_that_is_not_there(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetworkError, match="There is no network 'none'; choose one of "):
        run("build --board ulx3s-85f --network none")


def test_build_of_an_engine_for_several_networks(run):
    with pytest.raises(BuildError) as caught:
        run("build --board icebreaker --goal images --engine-for 'digits-conv, digits-large'")
    assert str(caught.value).startswith(
        "The engine for network 'digits-conv' that holds 'digits-large', too, does not fit"
    )
    done = run("build --board icebreaker --goal images --engine-for digits-conv,")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        "Error: Invalid value for --engine-for: 'digits-conv,' has no name at a comma; give "
        "networks with one comma between two, like digits-conv,ascii-conv."
    )


def boards_that_hold(network):
    """By name, of those whose weights are in block RAM."""
    return [
        board.name
        for board in all_boards().values()
        if not board.is_too_small
        and board.settings.shape.weight_memory != "single_port"
        and network in fitting_networks(board.settings.shape)
    ]


def test_boards(run):
    facts = {fact["name"]: fact for fact in json.loads(run("boards --json").stdout)["boards"]}
    assert facts["tangnano9k"]["part"] == "GW1NR-9C"
    assert facts["ulx3s-25f"]["spiking"] == ["digits-spiking"]
    assert facts["icebreaker"]["spiking"] == []
    (line,) = (line for line in run("boards").stdout.splitlines() if line.startswith("icestick "))
    none = "none of the shipped"
    assert re.search(rf"too small for an engine +{none} +digits-lut-small +{none}$", line)
    assert "digits-conv" in facts["icebreaker"]["convolving"]


def test_estimate_of_tables(run):
    found = json.loads(run("estimate --board icestick --network digits-lut-small --json").stdout)
    assert (found["core"], found["block_rams"]) == ("table walk", 16)
    as_text = run("estimate --board icestick --network digits-lut-small").stdout.splitlines()
    assert as_text[0] == "Network digits-lut-small on icestick (iCE40HX1K): table walk."
    assert as_text[1] == f"  LUTs        {found['luts']:,} of 1,280"
    cycles = found["latency_cycles"]
    assert as_text[4] == (
        f"  latency     {cycles:,} cycles, {cycles / 96:.1f} us from the last pixel to the register"
    )


def test_flash_takes_the_bitstream_that_is_the_network(run):
    done = run("flash --board icebreaker --network digits --dry-run")
    command, bitstream, network = done.stdout.splitlines()
    assert command.endswith("bitstreams/icebreaker/stepnet.bin")
    assert bitstream == (
        "# The bitstream that comes for icebreaker: an engine of SIMD 64 x PE 1 at 42 MHz, "
        "12,000,000 baud."
    )
    assert network == (
        "# Then 'digits' is loaded, which fits: 1,848 of 16,384 weight words, 206 of 2,048 "
        "parameter words."
    )
    assert run("flash --board icebreaker --dry-run").stdout.splitlines()[-1] == (
        "# Nothing is loaded; give --network for that."
    )
    for line in ("flash --board icestick", "flash --board icestick --network digits-lut-small"):
        done = run(f"{line} --dry-run")
        command, network = done.stdout.splitlines()
        assert command.endswith("bitstreams/tables/icestick/stepnet.bin")
        assert network == ("# The bitstream is the network 'digits-lut-small'; nothing is loaded.")


def test_flash_with_a_network_that_needs_another_bitstream(run):
    with pytest.raises(BuildError) as caught:
        run("flash --board ulx3s-25f --network digits-lut --dry-run")
    assert str(caught.value) == (
        "No bitstream that is 'digits-lut' comes for ulx3s-25f, and an engine cannot be loaded "
        "with a network of look-up tables; build one with: stepnet build --board ulx3s-25f "
        "--network digits-lut, and name it with --bitstream."
    )
    with pytest.raises(BuildError) as caught:
        run("flash --board icestick --network digits --dry-run")
    assert str(caught.value) == (
        "The icestick is too small for an engine; the bitstream that comes for it is the network "
        "'digits-lut-small' and cannot be loaded with 'digits'; leave out --network."
    )


def test_flash_takes_the_bitstream_whose_engine_convolves(run):
    command, bitstream, network = run(
        "flash --board icebreaker --network digits-conv --dry-run"
    ).stdout.splitlines()
    assert command.endswith("bitstreams/convolutions/icebreaker/stepnet.bin")
    assert bitstream == (
        "# The bitstream that comes for icebreaker: an engine of SIMD 64 x PE 1 at 33 MHz, "
        "8,000,000 baud."
    )
    assert network == (
        "# Then 'digits-conv' is loaded, which fits: 3,120 of 16,384 weight words, 263 of 1,024 "
        "parameter words."
    )
    with pytest.raises(BuildError) as caught:
        run("flash --board ulx3s-25f --network ascii-conv --dry-run")
    assert str(caught.value) == (
        "Network 'ascii-conv' does not fit the engine: layer 0 gives a map of 144 words of 72 "
        "bits, the engine has 128; `stepnet estimate --board ulx3s-25f --network ascii-conv` "
        "tells which engine to build for it."
    )
    with pytest.raises(BuildError) as caught:
        run("flash --board icesugar --network digits-conv --dry-run")
    assert str(caught.value) == (
        "Network 'digits-conv' does not fit the engine: layer 0 is a convolution, whose address "
        "arithmetic this engine was built without; `stepnet estimate --board icesugar --network "
        "digits-conv` tells which engine to build for it."
    )


def test_flash_prints_its_command(run, tmp_path, monkeypatch):
    loader = tmp_path / "openFPGALoader"
    loader.write_text("#!/bin/sh\nexit 1\n")
    loader.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    bitstream = tmp_path / "my stepnet.bit"
    bitstream.write_bytes(b"bits")
    done = run(f"flash --board ulx3s-85f --bitstream '{bitstream}' --dry-run")
    assert shlex.split(done.stdout, comments=True) == [
        *(str(loader), "-b", "ulx3s", "--write-flash", str(bitstream))
    ]
    done = run(f"flash --board ulx3s-85f --bitstream '{bitstream}' --network digits --dry-run")
    assert done.stdout.splitlines()[1:] == [
        "# A bitstream of your own; which engine it has, the board tells when it runs.",
        "# Then 'digits' is loaded, if it fits that engine.",
    ]


def test_flash_without_a_bitstream(run, tmp_path):
    with pytest.raises(BuildError) as caught:
        run(f"flash --board icebreaker --bitstream '{tmp_path / 'none.bin'}'")
    assert str(caught.value) == (
        f"There is no bitstream {str(tmp_path / 'none.bin')!r}; make one with: stepnet build "
        "--board icebreaker."
    )
