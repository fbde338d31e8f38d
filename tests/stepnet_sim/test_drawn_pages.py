"""The drawings of docs are what their scripts draw today, and the engine's units are its own."""

import re
import runpy
from pathlib import Path

import pytest
from amaranth.hdl import Fragment

from stepnet.cores.engine.shape import EngineShape, popcount_latency_cycles
from stepnet_hdl.cores.engine import engine

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def script(monkeypatch):
    """Gives what is in a script of docs, by its name."""
    monkeypatch.syspath_prepend(str(DOCS))
    return lambda name: runpy.run_path(str(DOCS / f"{name}.py"))


@pytest.mark.slow
def test_timing_diagrams(script):
    timing = script("timing_diagrams")
    for name, text in timing["diagrams"]().items():
        assert text == (DOCS / f"{name}.json").read_text()
        assert timing["picture"](text) == (DOCS / f"{name}.svg").read_text()


def test_pictures_for_teaching(script):
    teaching = script("teaching_pictures")
    for name, text in teaching["pictures"]().items():
        assert text == (DOCS / name).read_text(), name
    assert popcount_latency_cycles(teaching["TREE_BITS"]) == 3


def test_blocks_of_the_engine(script):
    blocks = script("engine_blocks")
    assert blocks["drawing"]() == (DOCS / "engine_blocks.svg").read_text()
    shape = EngineShape(8, max_inputs=8, weight_words=16, parameter_words=16)
    built = Fragment.get(engine.Engine(shape), None)
    assert {str(name) for _, name, _ in built.subfragments} == blocks["UNITS"].keys()
    source = Path(engine.__file__).read_text()
    for wire in blocks["WIRES"]:
        for end in (wire.source, wire.target):
            unit, _, port = end.partition(".")
            name = rf"{unit or 'self'}\.{port}\b"
            # The writes of one memory are connected in a loop over their names.
            assert re.search(name, source) or re.search(rf'"{port}"', source), end
