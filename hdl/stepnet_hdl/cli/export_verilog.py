"""`stepnet export --to verilog`: a core with a network, for a design of one's own."""

from __future__ import annotations

from pathlib import Path

from stepnet.cores.mac.program import MacNetwork
from stepnet.errors import NetworkError
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.cli.requirements import require_amaranth

SIMD, PE = 64, 1
"""The engine if nothing is said of it."""


def export_verilog(
    network: AnyNetwork, folder: Path, simd: int | None, pe: int | None
) -> list[Path]:
    """Write the core's files into a folder; returns their paths.

    simd, pe: of the engine; None for the usual ones. NetworkError if they are given for another
        network than one of step neurons.
    """
    require_amaranth()
    from stepnet_hdl.export.files import write_core

    if isinstance(network, LutNetwork) and (simd is not None or pe is not None):
        raise NetworkError(
            f"The network {network.name!r} is of look-up tables and becomes a pipeline, in which "
            "all of them work at once; leave --simd and --pe out."
        )
    if isinstance(network, MacNetwork | SpikingNetwork) and (simd, pe) != (None, None):
        raise NetworkError(
            f"The network {network.name!r} becomes a core of 16 lanes, which is no engine; leave "
            "--simd and --pe out."
        )
    return write_core(network, folder, SIMD if simd is None else simd, PE if pe is None else pe)
