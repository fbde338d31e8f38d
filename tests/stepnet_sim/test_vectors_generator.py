"""docs/protocol_vectors.json is what its generator makes with the virtual board of today."""

import runpy
from pathlib import Path

import pytest

from stepnet_sim.chips.verilated import missing_compiler

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


def test_the_file_is_what_the_generator_makes():
    generator = runpy.run_path(str(DOCS / "protocol_vectors.py"))
    vectors = generator["vectors"]()
    assert generator["text"](vectors) == (DOCS / "protocol_vectors.json").read_text()
    page = (DOCS / "protocol.md").read_text()
    assert generator["page_with"](page, vectors["conversation"]) == page
