"""Benches of one's own: the example, a failing assert as it is shown, and every mistake."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from stepnet import cli
from stepnet.errors import MissingToolError
from stepnet_hdl.blocks.popcount import Popcount
from stepnet_sim import run_bench
from stepnet_sim.benches.named import find_benches
from stepnet_sim.benches.own_bench import BenchFileError, FailedTestsError, run_file
from stepnet_sim.benches.runtime_objects import give_runtime, keep_runtime
from stepnet_sim.benches.simulator import missing_tool

EXAMPLE = Path(__file__).parents[2] / "examples" / "bench_popcount.py"


def needs_compiler(test):
    """One compilation serves all such tests, which one worker runs."""
    missing = missing_tool("verilator")
    test = pytest.mark.skipif(missing is not None, reason=f"{missing} is not installed")(test)
    return pytest.mark.slow(pytest.mark.xdist_group("own benches")(test))


def stepnet_verify(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr of the command."""
    monkeypatch.setattr(sys, "argv", ["stepnet", "verify", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return left.value.code or 0, captured.out, captured.err


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The folder of the command's output in which the example was run once, with waves."""
    output = tmp_path_factory.mktemp("verify")
    folder = output / "benches" / "bench_popcount"
    folder.mkdir(parents=True)
    (folder / ".stepnet-verify").touch()
    run = run_bench(Popcount(8), EXAMPLE, waves=True, folder=folder)
    assert [(test.name, test.passed) for test in run.tests] == [
        ("counts_the_ones_of_every_word", True)
    ]
    assert run.waves == folder / "waves.vcd"
    return output


@pytest.fixture
def wrong(tmp_path):
    """The example with a mistake in what it expects, in a folder of its own."""
    text = EXAMPLE.read_text()
    assert text.count("word.bit_count(),") == 1
    path = tmp_path / EXAMPLE.name
    path.write_text(text.replace("word.bit_count(),", "word.bit_count() | word >> 7,"))
    return path


@needs_compiler
def test_the_example_shows_its_signals(compiled):
    waves = (compiled / "benches" / "bench_popcount" / "waves.vcd").read_text()
    assert " bits " in waves
    assert " count " in waves
    assert len(waves.splitlines()) > 1000


@needs_compiler
def test_a_failing_assert_is_shown_by_name_and_values(
    compiled, wrong, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    begin = compiled / "benches" / "bench_popcount" / "dut"
    compiled_at = begin.stat().st_mtime_ns
    code, out, err = stepnet_verify(
        monkeypatch, capsys, "--bench", wrong.parent, "--output", compiled, "--waves"
    )
    line = 1 + [" assert " in line for line in wrong.read_text().splitlines()].index(True)
    waves = compiled / "benches" / "bench_popcount" / "waves.vcd"
    # 10000001 is the first word with its top bit set and an even count.
    assert out.splitlines() == [
        "bench_popcount: 0 of 1 tests pass",
        f"counts_the_ones_of_every_word fails at 5190 ns in line {line} of bench_popcount.py:",
        '    assert dut.count.value == word.bit_count() | word >> 7, f"the ones of {word:08b}"',
        "    the ones of 10000001",
        "    assert 0b0010 == (2 | (129 >> 7))",
        f"Every signal is in {str(waves)!r}, for GTKWave or Surfer.",
    ]
    assert (code, err) == (1, "Compiling what 'bench_popcount.py' tests, and running it.\n")
    assert begin.stat().st_mtime_ns == compiled_at
    assert sorted(tmp_path.iterdir()) == [wrong]


@needs_compiler
def test_a_failure_is_raised_in_python_and_told_to_programs(compiled, wrong, monkeypatch, capsys):
    with pytest.raises(FailedTestsError) as error:
        run_bench(Popcount(8), wrong, folder=compiled / "benches" / "bench_popcount")
    assert str(error.value).startswith("bench_popcount: 0 of 1 tests pass\n")
    assert error.value.run.waves is None
    (failed,) = error.value.run.failed
    assert (failed.file, failed.time_ns) == (str(wrong), 5190)
    code, out, _ = stepnet_verify(
        monkeypatch, capsys, "--bench", wrong, "--output", compiled, "--json"
    )
    told = json.loads(out)
    assert (code, told["agree"]) == (1, False)
    assert [test["failure"] for test in told["benches"]["bench_popcount"]] == [failed.failure]


class Loose(Elaboratable):
    def elaborate(self, platform):
        return Module()


class Broken(wiring.Component):
    done: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.done.eq(Signal(3)[7])
        return m


@pytest.mark.parametrize(
    ("component", "sentence"),
    [
        (
            None,
            "What 'bench_popcount.py' tests is nothing and has no ports; give it a component, a "
            "class derived from amaranth.lib.wiring.Component.",
        ),
        (
            Loose(),
            "What 'bench_popcount.py' tests is of the class Loose and has no ports; give it a "
            "component, a class derived from amaranth.lib.wiring.Component.",
        ),
        (
            Broken(),
            "The component Broken of 'bench_popcount.py' cannot be elaborated (IndexError in line "
            "{line} of test_own_benches.py: Index 7 is out of bounds for a 3-bit value); correct "
            "it there.",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*never used")
def test_what_is_no_component(component, sentence, tmp_path):
    text = Path(__file__).read_text().splitlines()
    line = text.index("        m.d.comb += self.done.eq(Signal(3)[7])") + 1
    with pytest.raises(BenchFileError) as error:
        run_bench(component, EXAMPLE, folder=tmp_path / "build")
    assert str(error.value) == sentence.format(line=line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "def component():\n    return None\n",
            "The file 'bench_mine.py' has no test; write @cocotb.test() above an async function.",
        ),
        (
            "import cocotb\n\n@cocotb.test()\nasync def works(dut): ...\n",
            "The bench 'bench_mine.py' does not say what it tests; write a function component() in "
            "it that returns an Amaranth component.",
        ),
        (
            "import cocotb\ndef component() return 1\n",
            "The bench 'bench_mine.py' cannot be imported (SyntaxError in line 2: expected ':'); "
            "correct it there.",
        ),
        (
            "import cocotbs\n",
            "The bench 'bench_mine.py' cannot be imported (ModuleNotFoundError in line 1 of "
            "bench_mine.py: No module named 'cocotbs'); correct it there.",
        ),
        (
            "import cocotb\n\n@cocotb.test()\nasync def works(dut): ...\n\n"
            "def component():\n    return Popcount(8)\n",
            "The function component() of 'bench_mine.py' fails (NameError in line 7 of "
            "bench_mine.py: name 'Popcount' is not defined); have it return an Amaranth component.",
        ),
    ],
)
def test_what_is_no_bench(text, sentence, tmp_path):
    path = tmp_path / "bench_mine.py"
    path.write_text(text)
    with pytest.raises(BenchFileError) as error:
        run_file(path, tmp_path / "build")
    assert str(error.value) == sentence
    assert sys.path[0] != str(tmp_path)


def test_a_machine_without_a_compiler(tmp_path, monkeypatch):
    (tmp_path / "g++").symlink_to(shutil.which("true") or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as error:
        run_bench(Popcount(8), EXAMPLE, folder=tmp_path / "build")
    assert str(error.value) == (
        "A bench needs make, which this machine lacks; install g++ and make."
    )


def test_the_runtime_is_kept_for_the_same_options_only(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr("stepnet_sim.benches.runtime_objects.compiler_version", lambda: "g++ 1")
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (first / "verilated.o").write_bytes(b"runtime")
    (first / "Vtop.o").write_bytes(b"component")
    keep_runtime(first, ["-O1"])
    give_runtime(second, ["-O1"])
    assert [path.name for path in second.iterdir()] == ["verilated.o"]
    assert (second / "verilated.o").read_bytes() == b"runtime"
    assert (second / "verilated.o").stat().st_mtime > time.time() + 60
    give_runtime(second, ["-O2"])
    assert list(second.iterdir()) == []


def test_benches_by_name_file_and_folder(tmp_path):
    for name in ("bench_b.py", "bench_a.py", "helper.py"):
        (tmp_path / name).touch()
    found = find_benches(["uart", str(tmp_path), str(tmp_path / "bench_a.py"), "uart"])
    assert [bench.name for bench in found] == ["uart", "bench_a", "bench_b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--bench", "popcnt"],
            "There is no bench 'popcnt' and no file of that name; did you mean popcount?",
        ),
        (
            ["--bench", "mine.py"],
            "There is no bench 'mine.py' and no file of that name; name one of popcount, uart, "
            "engine, chip, pipeline, mac, spiking, a Python file, or a folder.",
        ),
        (
            ["--bench", "empty"],
            "The folder 'empty' has no bench; name the files with your tests bench_*.py.",
        ),
        (
            ["--bench", "popcount", "--level", "proofs"],
            "Invalid value for --bench: it runs benches and no level; leave --level and --board "
            "out.",
        ),
        (
            ["--waves"],
            "Invalid value for --waves: it records what a bench does; give --bench too.",
        ),
    ],
)
def test_the_command_refuses(arguments, sentence, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    found = stepnet_verify(monkeypatch, capsys, *arguments)
    assert found == (2, "", f"stepnet: {sentence}\n")
