"""Every notebook of examples/ prints what it says it prints, cell by cell."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from stepnet_sim.chips.verilated import missing_compiler

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


def test_there_is_one():
    assert [path.stem for path in NOTEBOOKS] == ["your_network"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_print_what_the_notebook_holds(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    names = [cell["id"] for cell in cells]
    assert len(set(names)) == len(names)
    known = {"__name__": "__main__"}
    run = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    for cell in run:
        printed = io.StringIO()
        code = compile("".join(cell["source"]), f"{path.name}: {cell['id']}", "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, known)
        said = "".join("".join(output["text"]) for output in cell["outputs"])
        assert printed.getvalue() == said, cell["id"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for cell in json.loads(path.read_text())["cells"]:
        for link in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"])):
            assert (path.parent / link).exists(), link
