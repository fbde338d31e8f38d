"""Which source decides what a cached library does: all that is read, and nothing else."""

import os
import subprocess
import sys

import pytest

from stepnet_sim import sources
from stepnet_sim.gates.bitstream import UNPACKING_MODULES
from stepnet_sim.sources import source_digest, source_files

MODULES_OF_A_DESIGN = """
import sys
from stepnet_hdl.flow.verilog import to_rtlil
from stepnet_sim.chips.design import Design
to_rtlil(Design(uart=True).component(), "chip")
print(*(name for name in sys.modules if name.partition(".")[0] in ("stepnet", "stepnet_hdl")))
"""


@pytest.mark.slow
def test_every_module_that_generates_the_chip_decides_what_it_is():
    run = [sys.executable, "-c", MODULES_OF_A_DESIGN]
    loaded = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    found = source_files("stepnet_sim.chips.design", "stepnet_hdl.flow.verilog")
    assert {
        "stepnet.cores.engine.cycles",
        "stepnet.boards.identity",
        "stepnet_hdl.cores.engine.engine",
    } <= set(loaded)
    assert set(loaded) <= set(found)


def test_what_serves_the_host_alone_decides_nothing():
    found = source_files("stepnet_sim.chips.design", "stepnet_hdl.flow.verilog")
    assert found.keys().isdisjoint(
        {"stepnet.boards.board", "stepnet.learning", "stepnet_hdl.flow.build"}
    )


def test_models_of_cells_decide_what_an_unpacked_bitstream_does():
    found = source_files(*UNPACKING_MODULES)
    assert {"stepnet_sim.gates.cells", *UNPACKING_MODULES} <= found.keys()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three folders, in which each module imports the next one in another way."""
    folder = tmp_path / "deep_package"
    (folder / "inner" / "most").mkdir(parents=True)
    for place in (folder, folder / "inner", folder / "inner" / "most"):
        (place / "__init__.py").write_text("")
    (folder / "top.py").write_text("from deep_package.inner import middle\n")
    (folder / "inner" / "middle.py").write_text(
        "def run():\n    import deep_package.inner.most.bottom\n"
    )
    (folder / "inner" / "most" / "bottom.py").write_text("WIDTH = 1\n")
    (folder / "aside.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sources, "PACKAGES", ("deep_package",))
    yield folder
    sys.modules.pop("deep_package", None)


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("inner/most/bottom.py", "WIDTH = 2\n", True),
        ("inner/most/__init__.py", "WIDTH = 2\n", True),
        ("inner/middle.py", "def run():\n    pass\n", True),
        ("inner/most/bottom.py", "# Bits.\n\nWIDTH = 1  # bit\n", False),
        ("aside.py", "WIDTH = 2\n", False),
    ],
)
def test_an_edit_changes_the_digest_where_it_is_read(package, file, text, changes):
    before = source_digest("deep_package.top")
    (package / file).write_text(text)
    assert (source_digest("deep_package.top") != before) == changes


def test_a_module_that_does_not_exist_is_refused():
    with pytest.raises(ModuleNotFoundError) as caught:
        source_digest("stepnet_sim.nowhere")
    assert str(caught.value) == (
        "There is no module 'stepnet_sim.nowhere' in stepnet, stepnet_hdl, stepnet_sim."
    )


@pytest.mark.slow
def test_no_locale_decides_the_digest():
    """A module with letters beyond ASCII is read where the system knows ASCII alone."""
    module = "stepnet.learning.surrogates"
    script = f"from stepnet_sim.sources import source_digest; print(source_digest({module!r}))"
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **ascii_alone},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == source_digest(module)
