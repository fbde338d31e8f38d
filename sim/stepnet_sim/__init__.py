"""The virtual board: the gateware of Stepnet, simulated; and the cocotb benches.

`run_bench` runs cocotb tests of one's own on any Amaranth component.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet_sim.benches.own_bench import run_bench

__all__ = ["run_bench"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: cocotb and Amaranth take their time."""
    if name not in __all__:
        raise AttributeError(f"module 'stepnet_sim' has no attribute {name!r}")
    return getattr(import_module("stepnet_sim.benches.own_bench"), name)
