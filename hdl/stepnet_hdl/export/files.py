"""The folder of an exported core: Verilog, testbench, FuseSoC."""

from __future__ import annotations

from pathlib import Path

from stepnet.errors import BuildError
from stepnet.files import write_text
from stepnet.formats.c_export import c_name
from stepnet.networks.kinds import AnyNetwork
from stepnet_hdl.export.core import core_for
from stepnet_hdl.export.fusesoc import fusesoc_core
from stepnet_hdl.export.testbench import testbench_verilog
from stepnet_hdl.export.verilog import core_verilog


def write_core(network: AnyNetwork, folder: Path, simd: int = 64, pe: int = 1) -> list[Path]:
    """Write `NAME.v`, `NAME_tb.v` and `NAME.core` into a folder, which is made if it is missing,
    with NAME as `c_name` has it; returns their paths.

    simd, pe: weights of a neuron, and neurons, that the engine handles per cycle.

    Raises NetworkError if there is no such engine, MissingToolError without Yosys, BuildError if it
    fails or the folder cannot be written to.
    """
    name = c_name(network)
    texts = {
        f"{name}.v": core_verilog(network, core_for(network, simd, pe), name),
        f"{name}_tb.v": testbench_verilog(network, name),
        f"{name}.core": fusesoc_core(name, f"The network {network.name} as a core"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [write_text(folder / file, text) for file, text in texts.items()]
    except OSError as error:
        raise BuildError(
            f"The core cannot be written into {str(folder)!r} ({error.strerror}); name a folder "
            "that can be written to."
        ) from error
