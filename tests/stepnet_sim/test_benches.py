"""Runs the cocotb benches, under every simulator that this machine has."""

import functools
import shutil

import pytest

from stepnet.errors import MissingToolError
from stepnet_sim.benches.bench_runner import BENCHES, build_benches, check_bench
from stepnet_sim.benches.simulator import SIMULATORS, BenchError, missing_tool


@pytest.mark.slow
@pytest.mark.parametrize(
    # In turn, so that not everybody waits for the one compilation of Verilator's.
    ("name", "simulator"),
    [(name, simulator) for name in reversed(BENCHES) for simulator in SIMULATORS],
)
def test_bench(name, simulator, made_once, tmp_path, monkeypatch):
    if (missing := missing_tool(simulator)) is not None:
        pytest.skip(f"{simulator} needs {missing}, which is not installed")
    benches = BENCHES if simulator == "verilator" else (name,)
    build_dir = made_once(
        f"{simulator}-{'-'.join(benches)}",
        functools.partial(build_benches, simulator, benches=benches),
    )
    monkeypatch.chdir(tmp_path)
    assert check_bench(name, simulator, build_dir) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_does_not_compile_is_a_failure_with_its_log(tmp_path, monkeypatch):
    if (missing := missing_tool("verilator")) is not None:
        pytest.skip(f"verilator needs {missing}, which is not installed")
    monkeypatch.setattr("stepnet_sim.benches.bench_runner.to_verilog", lambda rtlil_text: "module")
    with pytest.raises(BenchError) as error:
        build_benches("verilator", tmp_path)
    log = tmp_path / "build.log"
    assert str(error.value) == (
        f"The benches do not compile with verilator; {str(log)!r} says why."
    )
    assert "syntax error" in log.read_text()


def test_missing_compiler_is_named(tmp_path, monkeypatch):
    (tmp_path / "g++").symlink_to(shutil.which("true") or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as error:
        build_benches("verilator", tmp_path)
    assert str(error.value) == (
        "The benches need make to run under verilator; install it, or choose another simulator of "
        "verilator, icarus."
    )
