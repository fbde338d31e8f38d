"""The exported core as a peripheral in a SoC of LiteX, simulated; see examples/litex_soc.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stepnet.networks.shipped import load_network
from stepnet_hdl.export.files import write_core

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed"),
]


def run(script, folder):
    environment = {name: value for name, value in os.environ.items() if name[:6] != "PYTEST"}
    return subprocess.run(
        [sys.executable, EXAMPLES / script, "core/stepnet_digits.v", "soc"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_soc_reads_images_and_its_bench_notices_what_is_wrong(tmp_path):
    write_core(load_network("digits"), tmp_path / "core", simd=32, pe=2)
    assert run("litex_soc.py", tmp_path).returncode == 0
    done = run("litex_soc_bench.py", tmp_path)
    assert (done.returncode, "PASS=1 FAIL=0" in done.stdout) == (0, True), done.stdout
    assert [line.split()[-1] for line in done.stdout.splitlines() if ".png: " in line] == list(
        "037"
    )

    soc = tmp_path / "soc" / "litex_soc.v"
    right = "code_status <= reading_code;"
    assert right in soc.read_text()
    soc.write_text(soc.read_text().replace(right, "code_status <= reading_code + 1'd1;"))
    done = run("litex_soc_bench.py", tmp_path)
    assert (done.returncode, "PASS=0 FAIL=1" in done.stdout) == (1, True), done.stdout
