"""Compiled chips in a cache: run only as they were compiled, and from private folders alone."""

import os

import pytest

from stepnet.errors import BuildError
from stepnet_sim.chips import verilated
from stepnet_sim.chips.verilated import find_or_compile, missing_compiler

pytestmark = pytest.mark.skipif(
    missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
)


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Finds a chip in a cache of its own; `compiled` has one entry for each time it was made."""
    compiled = []

    def compile_chip(verilog, options, library, log):
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
